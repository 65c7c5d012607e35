package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// queueRows are the rows about reliable queues. Redis' side is the recipe of
// its documentation: LPUSH, RPOPLPUSH to a list of what is being worked on, and
// LREM there when it is done.
func queueRows(full bool) []otherRow {
	rows := []otherRow{{"QPUBLISH", queuePublishing}, {"QCONSUME", queueConsuming}, {"queue: wake-up", queueWakeUps}}
	if full {
		rows = append(rows, otherRow{"queue: depth", queueDepths}, otherRow{"queue: bytes a message", queueMemory})
	}
	return rows
}

const (
	messageSize = 64 // bytes of a payload
	inFlight    = 100
	manyWaiting = 1_000_000
)

// atLoop is a bar that the other door does not have.
func atLoop(door string, bar float64) float64 {
	if door != "loop" {
		return 0
	}
	return bar
}

// rates runs two loads in turn and fills in the medians of what they return:
// requests a second, and the server's microseconds a request.
func (r *row) rates(pairs int, run [2]func() (rate, cpu float64, err error)) error {
	var speed, cpu [2][]float64
	for range pairs {
		for i, f := range run {
			rate, used, err := f()
			if err != nil {
				return err
			}
			speed[i], cpu[i] = append(speed[i], rate), append(cpu[i], used)
		}
	}
	r.ours, r.theirs = median(speed[0]), median(speed[1])
	r.cpu = fmt.Sprintf("%.2f / %.2f µs", median(cpu[0]), median(cpu[1]))
	return nil
}

// withBoth runs f with a fresh server of each kind.
func withBoth(o options, door string, f func(ours, theirs *process) error) error {
	ours, err := startSynap(o.synap, door)
	if err != nil {
		return err
	}
	defer ours.stop()
	theirs, err := startRedis(o.redis)
	if err != nil {
		return err
	}
	defer theirs.stop()
	return f(ours, theirs)
}

// newQueue makes a queue anew, without limits.
func newQueue(p *process, name string) error {
	return errors.Join(p.do("DEL", name), p.do("QCREATE", name, "MAXDEPTH", "0", "ACKDEADLINE", "3600000"))
}

// numbered is a message unlike every other.
func numbered(i int) string { return fmt.Sprintf("%0*d", messageSize, i) }

func publishNumbered(p *process, name string, n int) error {
	return p.fill(n, func(b []byte, i int) []byte { return command(b, "QPUBLISH", name, numbered(i)) })
}

func queuePublishing(o options, door string) (row, error) {
	const messages = 400_000
	r := row{name: "QPUBLISH by LPUSH, pipeline 16", unit: "req/s", bar: atLoop(door, 0.8)}
	text := strings.Repeat("m", messageSize)
	publish := custom("", "", 16, messages, 0, "qpublish", "queue", text).after(func(p *process) error { return newQueue(p, "queue") })
	push := custom("", "", 16, messages, 0, "lpush", "queue", text).after(remove("queue"))
	return r, withBoth(o, door, func(ours, theirs *process) error {
		return r.rates(o.pairs, [2]func() (float64, float64, error){
			func() (float64, float64, error) { return publish.run(ours) },
			func() (float64, float64, error) { return push.run(theirs) },
		})
	})
}

// recipe is how a worker takes messages, and is done with them.
type recipe struct {
	fill func(p *process, n int) error
	take []string // and the worker's name
	// taken reads the reply to take: what it appends names the message.
	taken func(c *conn, b []byte) ([]byte, error)
	done  func(b []byte, worker string, name []byte) []byte
}

var reliable = recipe{
	fill: func(p *process, n int) error {
		return errors.Join(newQueue(p, "queue"), publishNumbered(p, "queue", n))
	},
	take: []string{"QCONSUME", "queue"},
	taken: func(c *conn, b []byte) ([]byte, error) {
		for range 2 { // an array of one message, of six parts
			if line, err := c.in.ReadSlice('\n'); err != nil || line[0] != '*' {
				return b, fmt.Errorf("QCONSUME: %q, %w", line, err)
			}
		}
		if err := c.skip(1); err != nil {
			return b, err
		}
		b, err := c.bulk(b)
		if err != nil {
			return b, err
		}
		return b, c.skip(4)
	},
	done: func(b []byte, _ string, receipt []byte) []byte {
		return lastArgument(append(b, "*3\r\n$4\r\nQACK\r\n$5\r\nqueue\r\n"...), receipt)
	},
}

var lists = recipe{
	fill: func(p *process, n int) error {
		return errors.Join(p.do("FLUSHALL"), p.fill(n, func(b []byte, i int) []byte { return command(b, "LPUSH", "queue", numbered(i)) }))
	},
	take:  []string{"RPOPLPUSH", "queue"},
	taken: (*conn).bulk,
	done: func(b []byte, worker string, message []byte) []byte {
		b = append(b, "*4\r\n$4\r\nLREM\r\n"...)
		return lastArgument(append(lastArgument(b, worker), "$2\r\n-1\r\n"...), message)
	},
}

func lastArgument[T string | []byte](b []byte, arg T) []byte {
	b = append(strconv.AppendInt(append(b, '$'), int64(len(arg)), 10), "\r\n"...)
	return append(append(b, arg...), "\r\n"...)
}

// bulk reads a reply that is a text, and appends it.
func (c *conn) bulk(b []byte) ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil || line[0] != '$' || line[1] == '-' {
		return b, fmt.Errorf("%q is no text: %w", line, err)
	}
	size := 0
	for _, d := range line[1 : len(line)-2] {
		size = 10*size + int(d-'0')
	}
	text, err := c.in.Peek(size)
	if err != nil {
		return b, err
	}
	b = append(b, text...)
	_, err = c.in.Discard(size + 2)
	return b, err
}

// work takes n messages, holding inFlight of them at a time: a pipeline is done
// with the oldest ones and takes as many. A message counts as two requests.
func (r *recipe) work(p *process, worker string, n int) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	take := command(nil, append(slices.Clone(r.take), worker)...)
	var b []byte
	held := make([][]byte, inFlight)
	for at := 0; at <= n; at += inFlight {
		b = b[:0]
		replies := 0
		for _, name := range held {
			if at > 0 {
				b = r.done(b, worker, name)
				replies++
			}
		}
		for range held {
			if at < n {
				b = append(b, take...)
			}
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
		if err := c.skip(replies); err != nil {
			return err
		}
		for i := range held {
			if at < n {
				if held[i], err = r.taken(c, held[i][:0]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// run lets workers take and be done with messages that are there.
func (r *recipe) run(p *process) (rate, cpu float64, err error) {
	const workers, messages = 4, 50 * inFlight * 40
	if err := r.fill(p, messages); err != nil {
		return 0, 0, err
	}
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	var group sync.WaitGroup
	failed := make([]error, workers)
	for i := range workers {
		group.Go(func() { failed[i] = r.work(p, fmt.Sprint("worker:", i), messages/workers) })
	}
	group.Wait()
	took := time.Since(begin)
	after, err := p.cpu()
	return 2 * messages / took.Seconds(), float64((after - before).Microseconds()) / (2 * messages), errors.Join(append(failed, err)...)
}

func queueConsuming(o options, door string) (row, error) {
	r := row{name: "QCONSUME and QACK by RPOPLPUSH and LREM, 100 in flight", unit: "req/s", bar: atLoop(door, 2)}
	return r, withBoth(o, door, func(ours, theirs *process) error {
		return r.rates(o.pairs, [2]func() (float64, float64, error){
			func() (float64, float64, error) { return reliable.run(ours) },
			func() (float64, float64, error) { return lists.run(theirs) },
		})
	})
}

// queueDepths compares a queue in which many wait with one in which few do.
func queueDepths(o options, door string) (row, error) {
	const few, messages = 10, 100_000
	r := row{name: "a message through a queue of 1 M by one of 10", unit: "req/s", bar: atLoop(door, 0.9)}
	p, err := startSynap(o.synap, door)
	if err != nil {
		return r, err
	}
	defer p.stop()
	through := func(name string) func() (float64, float64, error) {
		return func() (float64, float64, error) {
			before, err := p.cpu()
			if err != nil {
				return 0, 0, err
			}
			begin := time.Now()
			err = p.cycle(name, messages)
			took := time.Since(begin)
			after, err2 := p.cpu()
			return 3 * messages / took.Seconds(), float64((after - before).Microseconds()) / (3 * messages), errors.Join(err, err2)
		}
	}
	if err := errors.Join(newQueue(p, "many"), newQueue(p, "few"), publishNumbered(p, "many", manyWaiting), publishNumbered(p, "few", few)); err != nil {
		return r, err
	}
	return r, r.rates(2*o.pairs, [2]func() (float64, float64, error){through("many"), through("few")})
}

// cycle sends n messages, each behind those that wait, and takes as many from
// the front, ten of each in a pipeline.
func (p *process) cycle(name string, n int) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	publish, take := command(nil, "QPUBLISH", name, numbered(0)), command(nil, "QCONSUME", name, "worker")
	done := []byte(fmt.Sprintf("*3\r\n$4\r\nQACK\r\n$%d\r\n%s\r\n", len(name), name))
	const depth = 10
	var b []byte
	held := make([][]byte, depth)
	for at := 0; at < n; at += depth {
		b = b[:0]
		for range depth {
			b = append(append(b, publish...), take...)
		}
		for i := 0; at > 0 && i < depth; i++ {
			b = lastArgument(append(b, done...), held[i])
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
		for i := range held {
			if err := c.skip(1); err != nil {
				return err
			}
			if held[i], err = reliable.taken(c, held[i][:0]); err != nil {
				return err
			}
		}
		if at > 0 {
			if err := c.skip(depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// queueWakeUps is how long a message needs to reach one who waits for it, from
// the moment in which it is sent: the 99th percentile.
func queueWakeUps(o options, door string) (row, error) {
	const rounds, messages = 5, 3000
	r := row{name: "p99 of waking QCONSUME by BRPOP", unit: "µs", bar: atLoop(door, 1.2), atMost: true, cpu: "–"}
	return r, withBoth(o, door, func(ours, theirs *process) error {
		if err := newQueue(ours, "queue"); err != nil {
			return err
		}
		var times [2][]float64
		text := strings.Repeat("m", messageSize)
		for range rounds {
			for i, f := range [2]func() ([]float64, error){
				func() ([]float64, error) {
					return ours.wakeUps(messages, []string{"QCONSUME", "queue", "worker", "BLOCK", "0"}, []string{"QPUBLISH", "queue", text})
				},
				func() ([]float64, error) {
					return theirs.wakeUps(messages, []string{"BRPOP", "queue", "0"}, []string{"LPUSH", "queue", text})
				},
			} {
				all, err := f()
				if err != nil {
					return err
				}
				slices.Sort(all)
				times[i] = append(times[i], all[len(all)*99/100])
			}
		}
		r.ours, r.theirs = median(times[0]), median(times[1])
		return nil
	})
}

// wakeUps sends messages one by one to a client that waits, and returns the
// microseconds that each took.
func (p *process) wakeUps(n int, wait, send []string) ([]float64, error) {
	waiter, err := p.dial()
	if err != nil {
		return nil, err
	}
	defer waiter.Close()
	sender, err := p.dial()
	if err != nil {
		return nil, err
	}
	defer sender.Close()
	request := command(nil, wait...)
	times := make([]float64, 0, n)
	for range n {
		if _, err := waiter.Write(request); err != nil {
			return nil, err
		}
		if err := awaitBlocked(sender); err != nil {
			return nil, err
		}
		begin := time.Now()
		if _, err := sender.Write(command(nil, send...)); err != nil {
			return nil, err
		}
		if err := waiter.skip(1); err != nil {
			return nil, err
		}
		times = append(times, float64(time.Since(begin).Nanoseconds())/1000)
		if err := sender.skip(1); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// awaitBlocked asks until a client is blocked.
func awaitBlocked(c *conn) error {
	for {
		if _, err := c.Write(command(nil, "INFO", "clients")); err != nil {
			return err
		}
		text, err := c.bulk(nil)
		if err != nil || bytes.Contains(text, []byte("blocked_clients:1")) {
			return err
		}
	}
}

// queueMemory is what a message that waits takes.
func queueMemory(o options, door string) (row, error) {
	r := row{name: "memory a waiting message of 64 bytes, 1 M", unit: "B", bar: 140, atMost: true, alone: true, cpu: "–"}
	p, err := startSynap(o.synap, door)
	if err != nil {
		return r, err
	}
	defer p.stop()
	grown, err := growth(p, func() error { return errors.Join(newQueue(p, "queue"), publishNumbered(p, "queue", manyWaiting)) })
	r.ours = grown / manyWaiting
	return r, err
}
