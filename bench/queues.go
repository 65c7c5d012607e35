package main

import (
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
	rows := []otherRow{{"QPUBLISH", queuePublishing}, consuming("QCONSUME COUNT 100 and QACK of as many", 2, &together), {"queue: wake-up", queueWakeUps}}
	if full {
		rows = append(rows, consuming("QCONSUME and QACK one by one", 0, &oneByOne), otherRow{"queue: depth", queueDepths}, otherRow{"queue: bytes a message", queueMemory})
	}
	return rows
}

const (
	messageSize = 64 // bytes of a payload
	inFlight    = 100
	manyWaiting = 1_000_000

	// goesToSleep is the time in which a request to wait has surely arrived.
	// Asking the server whether it has would keep the server busy.
	goesToSleep = 300 * time.Microsecond
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

// recipe is how a worker takes messages, and is done with them. A message is
// known by a name: its receipt, or itself.
type recipe struct {
	fill func(p *process, n int) error
	take func(b []byte, worker string, n int) []byte
	// taken reads the replies to take.
	taken func(c *conn, names [][]byte) error
	done  func(b []byte, worker string, names [][]byte) []byte
	once  bool // one reply to done, not one a message
}

func fillQueue(p *process, n int) error {
	return errors.Join(newQueue(p, "queue"), publishNumbered(p, "queue", n))
}

var (
	oneByOne = recipe{fill: fillQueue, take: repeatedly("QCONSUME"), taken: func(c *conn, names [][]byte) (err error) {
		for i := range names {
			if err = errors.Join(c.arrayOf(1), c.delivery(&names[i])); err != nil {
				break
			}
		}
		return err
	}, done: func(b []byte, _ string, names [][]byte) []byte {
		for _, receipt := range names {
			b = appendArgument(append(b, "*3\r\n$4\r\nQACK\r\n$5\r\nqueue\r\n"...), receipt)
		}
		return b
	}}
	together = recipe{once: true, fill: fillQueue, take: func(b []byte, worker string, n int) []byte {
		return command(b, "QCONSUME", "queue", worker, "COUNT", strconv.Itoa(n))
	}, taken: func(c *conn, names [][]byte) error {
		err := c.arrayOf(len(names))
		for i := range names {
			if err == nil {
				err = c.delivery(&names[i])
			}
		}
		return err
	}, done: func(b []byte, _ string, names [][]byte) []byte {
		b = fmt.Appendf(b, "*%d\r\n$4\r\nQACK\r\n$5\r\nqueue\r\n", 2+len(names))
		for _, receipt := range names {
			b = appendArgument(b, receipt)
		}
		return b
	}}
	twoLists = recipe{fill: func(p *process, n int) error {
		return errors.Join(p.do("FLUSHALL"), p.fill(n, func(b []byte, i int) []byte { return command(b, "LPUSH", "queue", numbered(i)) }))
	}, take: repeatedly("RPOPLPUSH"), taken: func(c *conn, names [][]byte) (err error) {
		for i := range names {
			if names[i], err = c.bulk(names[i][:0]); err != nil {
				break
			}
		}
		return err
	}, done: func(b []byte, worker string, names [][]byte) []byte {
		for _, message := range names {
			b = appendArgument(append(b, "*4\r\n$4\r\nLREM\r\n"...), worker)
			b = appendArgument(append(b, "$2\r\n-1\r\n"...), message)
		}
		return b
	}}
)

func repeatedly(name string) func(b []byte, worker string, n int) []byte {
	return func(b []byte, worker string, n int) []byte {
		request := command(nil, name, "queue", worker)
		for range n {
			b = append(b, request...)
		}
		return b
	}
}

func appendArgument[T string | []byte](b []byte, arg T) []byte {
	b = append(strconv.AppendInt(append(b, '$'), int64(len(arg)), 10), "\r\n"...)
	return append(append(b, arg...), "\r\n"...)
}

// arrayOf reads the beginning of a reply.
func (c *conn) arrayOf(n int) error {
	line, err := c.in.ReadSlice('\n')
	if err == nil && (line[0] != '*' || string(line[1:len(line)-2]) != strconv.Itoa(n)) {
		err = fmt.Errorf("%q begins no array of %d", line, n)
	}
	return err
}

// delivery reads a message of QCONSUME, and keeps its receipt.
func (c *conn) delivery(receipt *[]byte) error {
	err := errors.Join(c.arrayOf(6), c.skip(1))
	if err == nil {
		*receipt, err = c.bulk((*receipt)[:0])
	}
	if err == nil {
		err = c.skip(4)
	}
	return err
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
// with those held and takes as many.
func (r *recipe) work(p *process, worker string, n int) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	var b []byte
	held := make([][]byte, inFlight)
	for at := 0; at <= n; at += inFlight {
		b = b[:0]
		replies := 0
		if at > 0 {
			b = r.done(b, worker, held)
			if replies = len(held); r.once {
				replies = 1
			}
		}
		if at < n {
			b = r.take(b, worker, inFlight)
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
		if err := c.skip(replies); err != nil {
			return err
		}
		if at < n {
			if err := r.taken(c, held); err != nil {
				return err
			}
		}
	}
	return nil
}

// run lets workers take and be done with messages that are there, and returns
// how many a second, and the server's microseconds for each.
func (r *recipe) run(p *process) (rate, cpu float64, err error) {
	const workers, messages = 4, 2000 * inFlight
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
	return messages / took.Seconds(), float64((after - before).Microseconds()) / messages, errors.Join(append(failed, err)...)
}

// consuming compares a way to work through a queue with the recipe.
func consuming(name string, bar float64, way *recipe) otherRow {
	return otherRow{name, func(o options, door string) (row, error) {
		r := row{name: name + " by RPOPLPUSH and LREM, 100 in flight", unit: "/s", bar: atLoop(door, bar)}
		return r, withBoth(o, door, func(ours, theirs *process) error {
			return r.rates(o.pairs, [2]func() (float64, float64, error){
				func() (float64, float64, error) { return way.run(ours) },
				func() (float64, float64, error) { return twoLists.run(theirs) },
			})
		})
	}}
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
			b = appendArgument(append(b, done...), held[i])
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
		for i := range held {
			if err := c.skip(1); err != nil {
				return err
			}
			if err := errors.Join(c.arrayOf(1), c.delivery(&held[i])); err != nil {
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
		time.Sleep(goesToSleep)
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
