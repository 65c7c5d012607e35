package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rows about Synap alone, whose bars are figures of its own.

// samples is how often each of them is measured; its median counts.
const samples = 5

// marking is how long the collector marks in a full collection beside 2 M keys,
// the time in which the world stands still included.
func marking(o options, door string) (row, error) {
	r := row{name: "marking in a full collection, 2 M keys", unit: "ms", bar: 2, atMost: true, alone: true}
	p, err := startSynapWith(o.synap, door, []string{"GODEBUG=gctrace=1"}, "--http-port", "0")
	if err != nil {
		return r, err
	}
	value := strings.Repeat("v", 64)
	err = p.fill(2_000_000, func(b []byte, i int) []byte { return command(b, "SET", fmt.Sprintf("key:%07d", i), value) })
	for range samples {
		err = errors.Join(err, p.do("MEMORY", "PURGE"))
		time.Sleep(settling / samples) // it runs aside
	}
	p.stop()
	if err != nil {
		return r, err
	}
	var wall, still, cpu []float64
	for _, m := range gcTrace.FindAllStringSubmatch(p.said.String(), -1) {
		n := make([]float64, len(m))
		for i, text := range m[1:] {
			n[i], _ = strconv.ParseFloat(text, 64)
		}
		wall = append(wall, n[0]+n[1]+n[2])
		still = append(still, n[0]+n[2])
		cpu = append(cpu, n[3]+n[4])
	}
	if len(wall) == 0 {
		return r, errors.New("the collector said nothing of a full collection")
	}
	r.ours = median(wall)
	r.cpu = fmt.Sprintf("%.2f ms, %.0f µs at a standstill", median(cpu), 1000*median(still))
	return r, nil
}

// gcTrace finds the full collections asked for: the clock of sweep termination,
// marking and mark termination, then the processor time of assistance and of
// marking on purpose. Marking with processors that had nothing else to do costs
// nobody anything.
var gcTrace = regexp.MustCompile(`(?m)^gc \d+ @.*: ([0-9.]+)\+([0-9.]+)\+([0-9.]+) ms clock, [0-9.]+\+([0-9.]+)/([0-9.]+)/[0-9.]+\+[0-9.]+ ms cpu, .*\(forced\)$`)

// scraping is how long GET /metrics takes with 100 k queues, rooms and topics.
func scraping(o options, door string) (row, error) {
	r := row{name: "scrape, 100 k queues, rooms and topics", unit: "ms", bar: 50, atMost: true, alone: true}
	side, err := freeAddress()
	if err != nil {
		return r, err
	}
	_, port, _ := net.SplitHostPort(side)
	p, err := startSynapWith(o.synap, door, nil, "--http-port", port)
	if err != nil {
		return r, err
	}
	defer p.stop()
	const names = 100_000
	if err := p.fill(3*names, func(b []byte, i int) []byte {
		name := strconv.Itoa(i / 3)
		switch i % 3 {
		case 0:
			return command(b, "LPUSH", "queue:"+name, "x")
		case 1:
			return command(b, "XADD", "room:"+name, "*", "type", "t"+name)
		}
		return command(b, "PUBLISH", "topic:"+name, "x")
	}); err != nil {
		return r, err
	}
	var times []float64
	size := 0
	for range samples {
		begin := time.Now()
		answer, err := http.Get("http://" + side + "/metrics")
		if err != nil {
			return r, err
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return r, err
		}
		times = append(times, float64(time.Since(begin).Microseconds())/1000)
		size = max(size, len(text))
	}
	r.ours, r.cpu = median(times), fmt.Sprintf("%d kB", size/1000)
	if size >= 1_000_000 {
		return r, fmt.Errorf("the scrape has %d bytes, which is not under 1 MB", size)
	}
	return r, nil
}

// costs runs the in-process comparison of metrics and limiter, on against off.
func costs() ([]row, error) {
	out, err := exec.Command("go", "test", "./server", "-run", "^$", "-bench", "^BenchmarkCost$", "-benchtime", "1x").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go test ./server: %w: %s", err, out)
	}
	var rows []row
	for line := range bytes.Lines(out) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "BenchmarkCost/") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "BenchmarkCost/"), "-")
		figure := func(unit string) float64 {
			v := 0.0
			if i := slices.Index(fields, unit); i > 0 {
				v, _ = strconv.ParseFloat(fields[i-1], 64)
			}
			return v
		}
		spread := func(what string) string {
			return fmt.Sprintf("%.1f to %.1f of %.0f ns", figure(what+"-min"), figure(what+"-max"), figure("ns/command"))
		}
		rows = append(rows,
			row{name: name + " in process: all metrics", ours: figure("metrics-ns"), unit: "ns", bar: 30, atMost: true, alone: true, cpu: spread("metrics")},
			row{name: name + " in process: the limiter", ours: figure("limiter-ns"), unit: "ns", bar: 10, atMost: true, alone: true, cpu: spread("limiter")})
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("go test ./server printed no figure: %s", out)
	}
	return rows, nil
}
