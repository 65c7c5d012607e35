// Command bench measures Synap against redis-server on one machine, in one run,
// with the same load generator, and prints ratios: absolute figures of a shared
// machine are noise. Medians of alternating pairs; rows below their bar are
// marked.
//
//	go run ./bench            the rows that every change must keep, per door
//	go run ./bench -full      the whole table
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
	full                bool
	pairs               int
	only                string
}

func main() {
	var o options
	flag.StringVar(&o.synap, "synap", "bin/synap", "the binary under test")
	flag.StringVar(&o.redis, "redis", "redis-server", "the server compared with")
	flag.StringVar(&o.doors, "doors", "loop,redcon", "network doors to measure")
	flag.BoolVar(&o.full, "full", false, "the whole table")
	flag.IntVar(&o.pairs, "pairs", 5, "pairs of runs per row")
	flag.StringVar(&o.only, "only", "", "only rows whose name contains this")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
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
	if below > 0 {
		fmt.Printf("\n%d rows are below their bar\n", below)
	}
	return nil
}

// table prints all rows of one door and returns how many are below their bar.
func table(o options, door string) (below int, err error) {
	fmt.Printf("\n## door %s\n\n| workload | Synap | Redis | ratio | bar | CPU a request | |\n|---|---|---|---|---|---|---|\n", door)
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
	rest := []func(options, string) (row, error){keyMemory, idleConnections}
	if o.full {
		rest = append(rest, listMemory, streamMemory, publishing, tailLatency)
	}
	for _, f := range rest {
		if o.only != "" {
			break
		}
		r, err := f(o, door)
		if err != nil {
			return below, err
		}
		below += r.print()
	}
	return below, nil
}

// row is one line of the table. A ratio is Synap's figure by Redis'.
type row struct {
	name         string
	ours, theirs float64
	unit         string
	bar          float64
	atMost       bool // the bar is an upper one
	cpu          string
}

func (r row) print() (below int) {
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
