package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// durabilityRows are the rows about the log, snapshots and loading. Data
// directories are temporary ones: TMPDIR says on which disk.
func durabilityRows(full bool) []otherRow {
	rows := []otherRow{{"log: everysec", loggingEverySecond}, {"log: always", loggingAlways}}
	if !full {
		return rows
	}
	const some, many = 5_000_000, 10_000_000
	var run saveRun
	for _, r := range []struct {
		name string
		row  func(r *saveRun) row
	}{{"BGSAVE: duration", (*saveRun).duration}, {"BGSAVE: p99", (*saveRun).latency}, {"BGSAVE: memory", (*saveRun).memory}} {
		rows = append(rows, otherRow{r.name, func(o options, door string) (row, error) {
			if err := run.measure(o, door, some); err != nil {
				return row{}, err
			}
			return r.row(&run), nil
		}})
	}
	return append(rows,
		starting("start: snapshot, 5 M keys", some, makeSnapshot, "no"),
		starting("start: log of commands, 5 M keys", some, makeLog, "yes"),
		starting("start: base of the log, 5 M keys", some, makeBase, "yes"),
		starting("start: snapshot, 10 M keys", many, makeSnapshot, "no"))
}

// loggingEverySecond compares Synap with a log to Synap without.
func loggingEverySecond(o options, door string) (row, error) {
	r := row{name: "SET, pipeline 16, appendfsync everysec by no log (" + diskName() + ")", unit: "req/s", bar: 0.9}
	logging, err := startSynap(o.synap, door, "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
	if err != nil {
		return r, err
	}
	defer logging.stop()
	plain, err := startSynap(o.synap, door)
	if err != nil {
		return r, err
	}
	defer plain.stop()
	return r, r.loads(o.pairs, test("", "set", 50, 16, 600_000, 0, 0), logging, plain)
}

// loggingAlways compares two servers that sync before they answer.
func loggingAlways(o options, door string) (row, error) {
	r := row{name: "SET, appendfsync always (" + diskName() + ")", unit: "req/s", bar: 1}
	ours, err := startSynap(o.synap, door, "--appendonly", "yes", "--appendfsync", "always")
	if err != nil {
		return r, err
	}
	defer ours.stop()
	theirs, err := startRedis(o.redis, "--appendonly", "yes", "--appendfsync", "always")
	if err != nil {
		return r, err
	}
	defer theirs.stop()
	return r, r.loads(o.pairs, test("", "set", 50, 1, 20_000, 0, 0), ours, theirs)
}

// loads runs one load on two servers in turn.
func (r *row) loads(pairs int, l load, ours, theirs *process) error {
	return r.rates(pairs, [2]func() (float64, float64, error){
		func() (float64, float64, error) { return l.run(ours) },
		func() (float64, float64, error) { return l.run(theirs) },
	})
}

// diskName returns the kind of file system that temporary directories are on.
func diskName() string {
	text, _ := os.ReadFile("/proc/mounts")
	kind, longest := "disk", -1
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		rel, err := filepath.Rel(f[1], os.TempDir())
		if err == nil && rel != ".." && !strings.HasPrefix(rel, "../") && len(f[1]) > longest {
			kind, longest = f[2], len(f[1])
		}
	}
	return kind
}

// tokens makes the request that sets one of so many keys of 11 bytes to 64
// digits, which no compression makes shorter.
func tokens(keys int) func(b []byte, i int) []byte {
	return func(b []byte, i int) []byte {
		var raw [32]byte
		for j := range 4 {
			x := uint64(4*i+j+1) * 0x9e3779b97f4a7c15
			x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
			x = (x ^ x>>27) * 0x94d049bb133111eb
			binary.LittleEndian.PutUint64(raw[8*j:], x^x>>31)
		}
		b = fmt.Appendf(b, "*3\r\n$3\r\nSET\r\n$11\r\nkey%08d\r\n$64\r\n", i%keys)
		return append(hex.AppendEncode(b, raw[:]), "\r\n"...)
	}
}

// saveRun is what a BGSAVE under writes costs both servers: medians of
// alternating runs, Synap's first.
type saveRun struct {
	done         bool
	took         [2]float64 // milliseconds
	quiet, while [2]float64 // p99 in microseconds
	growth       [2]float64 // of resident memory, in percent
}

func (r *saveRun) duration() row {
	return row{name: "BGSAVE of 5 M keys under 10,000 writes a second (" + diskName() + ")", ours: r.took[0], theirs: r.took[1], unit: "ms", bar: 1, atMost: true, cpu: "–"}
}

func (r *saveRun) latency() row {
	return row{name: "p99 of a write meanwhile by before", ours: r.while[0] / r.quiet[0], unit: "×", bar: 2, atMost: true, alone: true,
		cpu: fmt.Sprintf("%.0f by %.0f µs; Redis %.0f by %.0f", r.while[0], r.quiet[0], r.while[1], r.quiet[1])}
}

func (r *saveRun) memory() row {
	return row{name: "growth of resident memory meanwhile", ours: r.growth[0], unit: "%", bar: 15, atMost: true, alone: true, cpu: "–"}
}

// measure does so once.
func (r *saveRun) measure(o options, door string, keys int) error {
	if r.done {
		return nil
	}
	return withBoth(o, door, func(ours, theirs *process) error {
		both := [2]*process{ours, theirs}
		for _, p := range both {
			if err := p.fill(keys, tokens(keys)); err != nil {
				return err
			}
		}
		time.Sleep(settling)
		var took, quiet, while, growth [2][]float64
		for range min(o.pairs, 3) {
			for i, p := range both {
				s, err := p.saved(keys)
				if err != nil {
					return err
				}
				took[i], growth[i] = append(took[i], s.took), append(growth[i], s.growth)
				quiet[i], while[i] = append(quiet[i], s.quiet), append(while[i], s.while)
			}
		}
		for i := range both {
			r.took[i], r.growth[i], r.quiet[i], r.while[i] = median(took[i]), median(growth[i]), median(quiet[i]), median(while[i])
		}
		r.done = true
		return nil
	})
}

// oneSave is the same of one run of one server.
type oneSave struct{ took, quiet, while, growth float64 }

// saved runs BGSAVE while a thousand keys are set in every tenth of a second,
// one by one. It ends when the file has its name.
func (p *process) saved(keys int) (s oneSave, err error) {
	const before = 4 * time.Second
	file := filepath.Join(p.dir, "dump.rdb")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s, err
	}
	w := p.startWriting(keys)
	time.Sleep(before)
	held, err := p.resident()
	if err != nil {
		return s, errors.Join(err, w.end())
	}
	begin, most := time.Now(), held
	err = p.do("BGSAVE")
	for err == nil {
		if _, missing := os.Stat(file); missing == nil {
			break
		}
		if time.Since(begin) > time.Minute {
			err = errors.New("no snapshot within a minute")
		}
		time.Sleep(5 * time.Millisecond)
		now, err2 := p.resident()
		most, err = max(most, now), errors.Join(err, err2)
	}
	end := time.Now()
	if err = errors.Join(err, w.end()); err != nil {
		return s, err
	}
	return oneSave{
		took: float64(end.Sub(begin).Milliseconds()), growth: 100 * (most - held) / held,
		quiet: w.p99(begin.Add(-before+time.Second), begin), while: w.p99(begin, end),
	}, nil
}

// pacedWriter sets keys at a fixed rate and keeps how long each took, counted
// from when it was due, or from when its client could send it if a timer was late.
type pacedWriter struct {
	stop   chan struct{}
	group  sync.WaitGroup
	mu     sync.Mutex // guards what follows
	times  []timed
	failed error
}

type timed struct {
	due  time.Time
	took time.Duration
}

func (p *process) startWriting(keys int) *pacedWriter {
	const clients, rate = 32, 10_000
	w := &pacedWriter{stop: make(chan struct{})}
	start := time.Now().Add(50 * time.Millisecond)
	for n := range clients {
		w.group.Go(func() {
			times, err := w.client(p, keys, n, start.Add(time.Duration(n)*time.Second/rate), clients*time.Second/rate)
			w.mu.Lock()
			w.times, w.failed = append(w.times, times...), errors.Join(w.failed, err)
			w.mu.Unlock()
		})
	}
	return w
}

func (w *pacedWriter) client(p *process, keys, n int, due time.Time, every time.Duration) (times []timed, err error) {
	c, err := p.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	request := tokens(keys)
	var b []byte
	for i := n * keys; ; i += 7919 {
		select {
		case <-w.stop:
			return times, nil
		default:
		}
		asked := due
		if left := time.Until(due); left > 0 {
			time.Sleep(left)
			asked = time.Now() // a timer that is late is not the server's
		}
		b = request(b[:0], i)
		if _, err := c.Write(b); err != nil {
			return times, err
		}
		if err := c.skip(1); err != nil {
			return times, err
		}
		times = append(times, timed{due, time.Since(asked)})
		due = due.Add(every)
	}
}

func (w *pacedWriter) end() error {
	close(w.stop)
	w.group.Wait()
	return w.failed
}

// p99 returns the 99th percentile of what was due in a span, in microseconds.
func (w *pacedWriter) p99(from, to time.Time) float64 {
	var all []float64
	for _, t := range w.times {
		if !t.due.Before(from) && t.due.Before(to) {
			all = append(all, float64(t.took.Nanoseconds())/1000)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// starting compares how long both servers take until they answer, with the
// very same files: those that Synap has made.
func starting(name string, keys int, files func(p *process) error, log string) otherRow {
	return otherRow{name, func(o options, door string) (row, error) {
		r := row{name: name, unit: "ms", bar: 1, atMost: true, cpu: "–"}
		p, err := startSynap(o.synap, door, "--appendonly", log, "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0")
		if err != nil {
			return r, err
		}
		p.keep = true
		defer os.RemoveAll(p.dir)
		err = p.fill(keys, tokens(keys))
		if err == nil {
			err = files(p)
		}
		p.stop()
		if err != nil {
			return r, err
		}
		var took [2][]float64
		for range min(o.pairs, 3) {
			for i, args := range [2][]string{
				{o.synap, "--network-door", door, "--http-port", "0", "--save", "", "--appendonly", log},
				{o.redis, "--save", "", "--appendonly", log},
			} {
				ms, err := started(p.dir, keys, args[0], args[1:])
				if err != nil {
					return r, err
				}
				took[i] = append(took[i], ms)
			}
		}
		r.ours, r.theirs = median(took[0]), median(took[1])
		return r, nil
	}}
}

func makeSnapshot(p *process) error { return p.do("SAVE") }

// makeLog has nothing to do: what was answered is in the file.
func makeLog(*process) error { return nil }

// makeBase ends when the log's next base has its name.
func makeBase(p *process) error {
	const within = 2 * time.Minute
	bases := filepath.Join(p.dir, "appendonlydir", "*.base.rdb")
	before, err := filepath.Glob(bases)
	if err != nil {
		return err
	}
	if err := p.do("BGREWRITEAOF"); err != nil {
		return err
	}
	for begin := time.Now(); time.Since(begin) < within; time.Sleep(50 * time.Millisecond) {
		now, err := filepath.Glob(bases)
		if err != nil {
			return err
		}
		if len(now) == 1 && !slices.Equal(now, before) {
			return nil
		}
	}
	return errors.New("the log was not rewritten in time")
}

// started returns the milliseconds until a server answers that finds these
// files, and checks that it has all keys.
func started(dir string, keys int, binary string, args []string) (float64, error) {
	begin := time.Now()
	p, err := startIn(dir, binary, nil, args)
	if err != nil {
		return 0, err
	}
	p.keep = true
	defer p.stop()
	c, err := p.dial()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for {
		err := c.do("PING")
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "-LOADING") {
			return 0, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	took := float64(time.Since(begin).Milliseconds())
	if _, err := c.Write(command(nil, "DBSIZE")); err != nil {
		return 0, err
	}
	line, err := c.in.ReadString('\n')
	if want := fmt.Sprintf(":%d\r\n", keys); err == nil && line != want {
		err = fmt.Errorf("%s has %q of %d keys", binary, line, keys)
	}
	return took, err
}
