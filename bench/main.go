// Command bench measures Synap against redis-server on one machine, in one run,
// with the same load generator, and prints ratios: absolute figures of a shared
// machine are noise. Medians of alternating pairs; rows below their bar are
// marked.
//
//	go run ./bench            the rows that every change must keep, per door
//	go run ./bench -full      the whole table
//	go run ./bench -costs     what metrics and limiter cost a command, in process
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

type options struct {
	synap, redis, doors string
	full, costs         bool
	pairs               int
	only                string
}

func main() {
	var o options
	flag.StringVar(&o.synap, "synap", "bin/synap", "the binary under test")
	flag.StringVar(&o.redis, "redis", "redis-server", "the server compared with")
	flag.StringVar(&o.doors, "doors", "loop,redcon", "network doors to measure")
	flag.BoolVar(&o.full, "full", false, "the whole table")
	flag.BoolVar(&o.costs, "costs", false, "only the cost of metrics and limiter")
	flag.IntVar(&o.pairs, "pairs", 5, "pairs of runs per row")
	flag.StringVar(&o.only, "only", "", "only rows whose name contains this")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.costs {
		_, err := costTable()
		return err
	}
	for _, program := range []string{o.synap, o.redis, "redis-benchmark"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	fmt.Printf("%s, %d CPUs, %s, %s\n", cpuName(), runtime.NumCPU(), firstLine(o.redis, "--version"), firstLine(o.synap, "--version"))
	below := 0
	for _, door := range strings.Split(o.doors, ",") {
		start := time.Now()
		n, err := table(o, door)
		if err != nil {
			return err
		}
		below += n
		fmt.Printf("\n(door %s: %.0f s)\n", door, time.Since(start).Seconds())
	}
	if o.only == "" {
		n, err := costTable()
		if err != nil {
			return err
		}
		below += n
	}
	if below > 0 {
		fmt.Printf("\n%d rows are below their bar\n", below)
	}
	return nil
}

// costTable prints what does not depend on a door.
func costTable() (below int, err error) {
	fmt.Print("\n## in process, median of ten alternating runs\n\n", header)
	rows, err := costs()
	for _, r := range rows {
		below += r.print()
	}
	return below, err
}

const header = "| workload | Synap | Redis | ratio | bar | CPU a request | |\n|---|---|---|---|---|---|---|\n"

// table prints all rows of one door and returns how many are below their bar.
func table(o options, door string) (below int, err error) {
	fmt.Printf("\n## door %s\n\n%s", door, header)
	speed := quickLoads
	if o.full {
		speed = fullLoads
	}
	ours, err := startSynap(o.synap, door)
	if err != nil {
		return 0, err
	}
	defer ours.stop()
	theirs, err := startRedis(o.redis)
	if err != nil {
		return 0, err
	}
	defer theirs.stop()
	for _, l := range speed {
		if !strings.Contains(l.name, o.only) || !ours.knows(l.command) {
			continue
		}
		r, err := l.measure(ours, theirs, o.pairs, door)
		if err != nil {
			return below, err
		}
		below += r.print()
	}
	for _, m := range otherRows(o.full, door) {
		if !strings.Contains(m.name, o.only) {
			continue
		}
		r, err := m.run(o, door)
		if err != nil {
			return below, fmt.Errorf("%s: %w", m.name, err)
		}
		below += r.print()
	}
	return below, nil
}

// otherRow measures something that is no load of redis-benchmark.
type otherRow struct {
	name string // for -only
	run  func(options, string) (row, error)
}

func otherRows(full bool, door string) []otherRow {
	rows := []otherRow{
		{"memory a key", keyMemory}, {"memory an idle connection", idleConnections}, {"marking", marking}, {"scrape", scraping},
	}
	rows = append(rows, collectionMemory(full)...)
	rows = append(rows, queueRows(full)...)
	if door == "loop" { // files do not depend on the door
		rows = append(rows, durabilityRows(full)...)
	}
	if full {
		rows = append(rows, otherRow{"PUBLISH to 100 subscribers", publishing}, otherRow{"p99.9", tailLatency})
	}
	return rows
}

// row is one line of the table. A ratio is Synap's figure by Redis', and what the
// bar is about; a row about Synap alone has a bar for its figure.
type row struct {
	name         string
	ours, theirs float64
	unit         string
	bar          float64
	atMost       bool // the bar is an upper one
	alone        bool
	cpu          string
}

func (r row) print() (below int) {
	if r.alone {
		return r.printAlone()
	}
	ratio := r.ours / r.theirs
	mark, sign := "", "≥"
	if r.atMost {
		sign = "≤"
	}
	if r.bar > 0 && (ratio < r.bar) != r.atMost && ratio != r.bar {
		mark, below = "**below**", 1
	}
	bar := "–"
	if r.bar > 0 {
		bar = fmt.Sprintf("%s %.2f", sign, r.bar)
	}
	fmt.Printf("| %s | %s | %s | %.2f | %s | %s | %s |\n", r.name, figure(r.ours, r.unit), figure(r.theirs, r.unit), ratio, bar, r.cpu, mark)
	return below
}

func (r row) printAlone() (below int) {
	mark := ""
	if r.ours > r.bar {
		mark, below = "**above**", 1
	}
	fmt.Printf("| %s | %.2f %s | – | – | ≤ %g %s | %s | %s |\n", r.name, r.ours, r.unit, r.bar, r.unit, r.cpu, mark)
	return below
}

func figure(v float64, unit string) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.0f k%s", v/1000, unit)
	case v >= 100:
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func firstLine(program string, args ...string) string {
	out, _ := exec.Command(program, args...).Output()
	line, _, _ := strings.Cut(string(out), "\n")
	if len(line) > 60 {
		line = line[:60]
	}
	return strings.TrimSpace(line)
}

func cpuName() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :\n")
		}
	}
	return runtime.GOARCH
}
