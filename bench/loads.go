package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// load is a redis-benchmark run: 64-byte values, 100 k random keys.
type load struct {
	name     string
	command  string   // the command it needs
	args     []string // of redis-benchmark
	requests int
	bar      float64 // ratio demanded at the loop door
	redcon   float64 // and at the redcon door; 0: none
	cpuBar   float64 // ratio of processor time a request allowed at the loop door; 0: any

	prepare func(p *process) error // before each run, not measured; or nil
}

func test(name, test string, clients, pipeline, requests int, bar, redcon float64) load {
	return load{
		name: name, command: strings.TrimSuffix(strings.ToLower(strings.Split(test, "_")[0]), " "), requests: requests, bar: bar, redcon: redcon,
		args: []string{"-t", test, "-c", strconv.Itoa(clients), "-P", strconv.Itoa(pipeline)},
	}
}

// within bounds the processor time of a request too.
func (l load) within(cpuBar float64) load {
	l.cpuBar = cpuBar
	return l
}

func custom(name, command string, pipeline, requests int, bar float64, args ...string) load {
	return load{name: name, command: command, requests: requests, bar: bar, args: append([]string{"-c", "50", "-P", strconv.Itoa(pipeline)}, args...)}
}

var quickLoads = slices.Concat([]load{
	test("SET", "set", 50, 1, 60_000, 0.95, 0),
	test("GET", "get", 50, 1, 60_000, 0.95, 0).after(strings64),
	test("SET, pipeline 16", "set", 50, 16, 400_000, 1.5, 1),
	test("GET, pipeline 16", "get", 50, 16, 500_000, 1.5, 1).after(strings64),
	test("GET, pipeline 100, 8 connections", "get", 8, 100, 1_000_000, 2, 0).after(strings64),
}, collectionLoads(1, 1.2))

var fullLoads = slices.Concat([]load{
	test("SET", "set", 50, 1, 100_000, 1, 0).within(1),
	test("GET", "get", 50, 1, 100_000, 1, 0).within(1).after(strings64),
	test("SET, pipeline 16", "set", 50, 16, 600_000, 1.7, 1),
	test("GET, pipeline 16", "get", 50, 16, 800_000, 1.7, 1).after(strings64),
	test("INCR, pipeline 16", "incr", 50, 16, 800_000, 1.7, 1),
	test("GET, pipeline 100, 8 connections", "get", 8, 100, 1_500_000, 2.3, 0).after(strings64),
	test("RPOP, pipeline 16", "rpop", 50, 16, 3*members, 1.3, 0).after(list("mylist", 3*members)),
	custom("EVAL of ten calls", "eval", 1, 20_000, 0.5, "eval", "for i=1,10 do redis.call('incr', KEYS[1]) end return 1", "1", "counter:__rand_int__"),
}, collectionLoads(3, 1.3), moreCollectionLoads(1.2))

// strings64 sets the keys that GET of redis-benchmark asks for.
func strings64(p *process) error {
	value := strings.Repeat("v", 64)
	return p.fill(members, func(b []byte, i int) []byte { return command(b, "SET", fmt.Sprintf("key:%012d", i), value) })
}

func (l load) measure(ours, theirs *process, pairs int, door string) (row, error) {
	r := row{name: l.name, unit: "req/s", bar: l.bar}
	if door == "redcon" {
		r.bar = l.redcon
	}
	var speed, cpu [2][]float64
	for range pairs {
		for i, p := range []*process{ours, theirs} {
			rate, used, err := l.run(p)
			if err != nil {
				return r, fmt.Errorf("%s: %w", l.name, err)
			}
			speed[i] = append(speed[i], rate)
			cpu[i] = append(cpu[i], used)
		}
	}
	r.ours, r.theirs = median(speed[0]), median(speed[1])
	r.cpu = fmt.Sprintf("%.2f / %.2f µs", median(cpu[0]), median(cpu[1]))
	if share := median(cpu[0]) / median(cpu[1]); l.cpuBar > 0 && door == "loop" {
		r.cpu += fmt.Sprintf(", ratio %.2f, bar ≤ %.2f", share, l.cpuBar)
		if share > l.cpuBar {
			r.cpu += " **above**"
		}
	}
	return r, nil
}

var csvRate = regexp.MustCompile(`(?m)^"[^"]*","([0-9.]+)"`)

// run returns requests a second and the server's microseconds a request.
func (l load) run(p *process) (rate, cpu float64, err error) {
	if l.prepare != nil {
		if err := l.prepare(p); err != nil {
			return 0, 0, err
		}
	}
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	args := append([]string{"-h", "127.0.0.1", "-p", p.port, "--csv", "-d", "64", "-r", "100000", "-n", strconv.Itoa(l.requests)}, l.args...)
	out, err := exec.Command("redis-benchmark", args...).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("redis-benchmark: %w: %s", err, out)
	}
	found := csvRate.FindAllSubmatch(out, -1) // LRANGE first fills its list: the last line counts
	if len(found) == 0 {
		return 0, 0, fmt.Errorf("redis-benchmark printed %s", out)
	}
	rate, err = strconv.ParseFloat(string(found[len(found)-1][1]), 64)
	if err != nil {
		return 0, 0, err
	}
	after, err := p.cpu()
	return rate, float64((after - before).Microseconds()) / float64(l.requests), err
}

// both measures one figure of a fresh server of each kind.
func both(o options, door string, figure func(p *process) (float64, error)) (ours, theirs float64, err error) {
	for i, start := range []func() (*process, error){
		func() (*process, error) { return startSynap(o.synap, door) },
		func() (*process, error) { return startRedis(o.redis) },
	} {
		p, err := start()
		if err != nil {
			return 0, 0, err
		}
		v, err := figure(p)
		p.stop()
		if err != nil {
			return 0, 0, err
		}
		if i == 0 {
			ours = v
		} else {
			theirs = v
		}
	}
	return ours, theirs, nil
}

// settling is the time in which both servers give back what the load needed.
const settling = 4 * time.Second

// growth returns what the process holds more after a change, once it is calm.
func growth(p *process, change func() error) (float64, error) {
	before, err := p.resident()
	if err != nil {
		return 0, err
	}
	if err := change(); err != nil {
		return 0, err
	}
	time.Sleep(settling)
	after, err := p.resident()
	return after - before, err
}

func memoryRow(o options, door, name string, bar float64, things int, change func(p *process) error) (row, error) {
	ours, theirs, err := both(o, door, func(p *process) (float64, error) {
		grown, err := growth(p, func() error { return change(p) })
		return grown / float64(things), err
	})
	return row{name: name, ours: ours, theirs: theirs, unit: "B", bar: bar, atMost: true, cpu: "–"}, err
}

func keyMemory(o options, door string) (row, error) {
	const keys = 2_000_000
	bar := 0.70
	if o.full {
		bar = 0.68
	}
	value := strings.Repeat("v", 64)
	return memoryRow(o, door, "memory a key, 2 M keys of 11 + 64 bytes", bar, keys, func(p *process) error {
		return p.fill(keys, func(b []byte, i int) []byte { return command(b, "SET", fmt.Sprintf("key:%07d", i), value) })
	})
}

// idleConnections also checks that others are answered meanwhile.
func idleConnections(o options, door string) (row, error) {
	const clients = 10_000
	r, err := memoryRow(o, door, "memory an idle connection, 10,000", 1, clients, func(p *process) error {
		for range clients {
			c, err := net.Dial("tcp", p.addr)
			if err != nil {
				return err
			}
			p.idle = append(p.idle, c)
			if err := (&conn{c, bufio.NewReaderSize(c, 16)}).do("PING"); err != nil {
				return err
			}
		}
		other, err := p.dial()
		if err != nil {
			return err
		}
		defer other.Close()
		return other.do("SET", "k", "v")
	})
	if door == "redcon" {
		r.bar = 0
		r.name += " (at most 16 KiB)"
	}
	return r, err
}

// publishing measures deliveries a second to 100 subscribers.
func publishing(o options, door string) (row, error) {
	const subscribers, messages = 100, 20_000
	ours, theirs, err := both(o, door, func(p *process) (float64, error) {
		var done sync.WaitGroup
		failed := make(chan error, subscribers)
		for range subscribers {
			c, err := p.dial()
			if err != nil {
				return 0, err
			}
			defer c.Close()
			if err := c.do("SUBSCRIBE", "news"); err != nil {
				return 0, err
			}
			done.Go(func() {
				const size = len("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$64\r\n\r\n") + 64
				if _, err := io.CopyN(io.Discard, c.in, int64(messages*size)); err != nil {
					failed <- err
				}
			})
		}
		start := time.Now()
		text := strings.Repeat("m", 64)
		if err := p.fill(messages, func(b []byte, _ int) []byte { return command(b, "PUBLISH", "news", text) }); err != nil {
			return 0, err
		}
		done.Wait()
		select {
		case err := <-failed:
			return 0, err
		default:
		}
		return subscribers * messages / time.Since(start).Seconds(), nil
	})
	return row{name: "PUBLISH to 100 subscribers, deliveries", ours: ours, theirs: theirs, unit: "/s", bar: 1.3, cpu: "–"}, err
}

// tailLatency is the p99.9 of GET at half of Redis' peak load over 10 M keys
// while a second client writes: the median of alternating runs.
func tailLatency(o options, door string) (row, error) {
	const keys, runs = 10_000_000, 3
	r := row{name: "p99.9 at half of the load, 10 M keys, writes", unit: "µs", bar: 1, atMost: true, cpu: "–"}
	ours, err := startSynap(o.synap, door)
	if err != nil {
		return r, err
	}
	defer ours.stop()
	theirs, err := startRedis(o.redis)
	if err != nil {
		return r, err
	}
	defer theirs.stop()
	both := []*process{ours, theirs}
	for _, p := range both {
		if err := p.fill(keys, setOf(keys)); err != nil {
			return r, err
		}
	}
	peak, _, err := test("", "get", 50, 1, 100_000, 0, 0).run(theirs)
	if err != nil {
		return r, err
	}
	var worst [2][]float64
	for range runs {
		for i, p := range both {
			late, err := writtenMeanwhile(p, keys, func() (float64, error) { return paced(p, keys, int(peak/2)) })
			if err != nil {
				return r, err
			}
			worst[i] = append(worst[i], late)
		}
	}
	r.ours, r.theirs = median(worst[0]), median(worst[1])
	return r, nil
}

// setOf makes the request that fills one of so many keys.
func setOf(keys int) func(b []byte, i int) []byte {
	value := strings.Repeat("v", 64)
	return func(b []byte, i int) []byte { return command(b, "SET", eightDigits(i%keys), value) }
}

func eightDigits(i int) string { return "key:" + strconv.Itoa(100_000_000 + i)[1:] }

// writtenMeanwhile measures while a client sets a thousand keys every 50 ms.
func writtenMeanwhile(p *process, keys int, measure func() (float64, error)) (float64, error) {
	set := setOf(keys)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	var failed error
	writer.Go(func() {
		for i := 0; failed == nil; i += 1000 {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			failed = p.fill(1000, func(b []byte, j int) []byte { return set(b, i+j*7919) })
		}
	})
	v, err := measure()
	close(stop)
	writer.Wait()
	return v, errors.Join(err, failed)
}

// paced sends GETs at a fixed rate for five seconds and returns the 99.9th
// percentile of their latency in microseconds, counted from when each was due.
func paced(p *process, keys, rate int) (float64, error) {
	const clients, seconds = 8, 5
	var mu sync.Mutex
	var all []float64
	var group sync.WaitGroup
	failed := make(chan error, clients)
	start := time.Now().Add(100 * time.Millisecond)
	every := time.Second / time.Duration(rate)
	for n := range clients {
		group.Go(func() {
			times, err := pacedClient(p, keys, start.Add(time.Duration(n)*every), clients*every, rate*seconds/clients)
			if err != nil {
				failed <- err
			}
			mu.Lock()
			all = append(all, times...)
			mu.Unlock()
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	slices.Sort(all)
	return all[len(all)*999/1000], nil
}

func pacedClient(p *process, keys int, due time.Time, every time.Duration, requests int) ([]float64, error) {
	c, err := p.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	times := make([]float64, 0, requests)
	for i := range requests {
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		if err := c.do("GET", eightDigits(i*7919%keys)); err != nil {
			return nil, err
		}
		times = append(times, float64(time.Since(due).Microseconds()))
		due = due.Add(every)
	}
	return times, nil
}
