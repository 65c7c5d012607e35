package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Addresses the load comes from. Those of free are exempt from the limiter, the
// others have a bucket of their own each.
var (
	free    = []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"}
	limited = []string{"127.0.0.5", "127.0.0.6"}
)

const (
	crowd          = "127.0.0.7" // limited too: opens more connections than it may
	limitRate      = 200         // commands a second of a limited address
	limitBurst     = 50
	maxConnections = 8
)

// serverOptions are the options that the load counts on, in pairs.
var serverOptions = []string{
	"rate-limit-enabled", "yes", "rate-limit-requests-per-second", fmt.Sprint(limitRate), "rate-limit-burst-size", fmt.Sprint(limitBurst),
	"rate-limit-exempt", strings.Join(free, " "), "rate-limit-max-connections", fmt.Sprint(maxConnections),
	"queue-dedup-window", "24h",
}

// load drives one server until end.
type load struct {
	addr     string
	end      time.Time
	seed     uint64
	workers  sync.WaitGroup
	received atomic.Int64 // messages by subscribers

	mu    sync.Mutex // guards what follows
	total ledger
	err   error
}

// worker is a goroutine of the load with one connection.
type worker struct {
	*client
	load *load
	from string
	rnd  *rand.Rand
}

// start runs f with a connection from an address.
func (l *load) start(group *sync.WaitGroup, from string, f func(*worker) error) {
	l.mu.Lock()
	l.seed++
	seed := l.seed
	l.mu.Unlock()
	group.Go(func() {
		did := ledger{}
		w := &worker{load: l, from: from, rnd: rand.New(rand.NewPCG(seed, 1))}
		var err error
		if w.client, err = dial(l.addr, from, did); err == nil {
			err = f(w)
			w.close()
		}
		l.mu.Lock()
		l.total.merge(did)
		if err != nil {
			l.err = errors.Join(l.err, fmt.Errorf("from %s: %w", from, err))
		}
		l.mu.Unlock()
	})
}

// run drives the server at addr for d and returns what was done.
func run(addr string, d time.Duration, seed uint64) (ledger, error) {
	l := &load{addr: addr, seed: seed, total: ledger{}}
	l.start(&l.workers, free[0], prepare)
	l.workers.Wait()
	if l.err != nil {
		return nil, l.err
	}
	l.end = time.Now().Add(d)
	subscribers, stop := l.subscribe()
	for i, f := range []func(*worker) error{
		mixed(keyValue), mixed(keyValue), mixed(produce), mixed(consume), blockingConsume, mailman, mixed(stream),
		roomReader, roomWriter, mixed(publish), transactions, visits, labour, labour, latecomer, leaver,
	} {
		l.start(&l.workers, free[i%len(free)], f)
	}
	for _, from := range limited {
		l.start(&l.workers, from, hurry)
	}
	l.start(&l.workers, crowd, overcrowd)
	l.workers.Wait()
	l.awaitMessages()
	stop()
	subscribers.Wait()
	l.total.add(float64(l.received.Load()), received)
	return l.total, l.err
}

// Names of the load. There are fewer of each kind than the metrics show, and
// lists and streams are never deleted: all have series from the first command.
func (w *worker) key() string   { return fmt.Sprint("key:", w.rnd.IntN(30)) }
func (w *worker) jobs() string  { return fmt.Sprint("jobs:", w.rnd.IntN(10)) }
func (w *worker) room() string  { return fmt.Sprint("room:", w.rnd.IntN(rooms)) }
func (w *worker) topic() string { return fmt.Sprint("topic:", w.rnd.IntN(10)) }

const rooms = 10

func (w *worker) running() bool { return time.Now().Before(w.load.end) }

// prepare makes what must be there: a string, a list, the streams.
func prepare(w *worker) error {
	all := []request{line("SET text words"), line("RPUSH list a b c"), line("XADD %s * a b", waitedRoom)}
	for i := range rooms {
		all = append(all, line("XADD room:%d * type opened", i))
	}
	_, err := w.do(append(all, makeQueues()...)...)
	return err
}

// mixed sends pipelines of requests that pick makes up.
func mixed(pick func(*worker) request) func(*worker) error {
	return func(w *worker) error {
		for w.running() {
			batch := make([]request, 1+w.rnd.IntN(32))
			for i := range batch {
				batch[i] = pick(w)
			}
			if _, err := w.do(batch...); err != nil {
				return err
			}
		}
		return nil
	}
}

func keyValue(w *worker) request {
	switch w.rnd.IntN(16) {
	case 0, 1:
		return line("SET %s %d", w.key(), w.rnd.IntN(1000))
	case 2:
		return line("SET %s word EX 1000", w.key())
	case 3:
		return line("SET gone:%d x PX %d", w.rnd.Uint64(), 1+w.rnd.IntN(50))
	case 4, 5, 6:
		return line("GET %s", w.key())
	case 7:
		return line("MGET %s %s list", w.key(), w.key())
	case 8:
		return line("INCR %s", w.key()) // an error where a word is
	case 9:
		return line("APPEND %s 1", w.key())
	case 10:
		return line("EXISTS %s %s", w.key(), w.key())
	case 11:
		return line("DEL %s", w.key())
	case 12:
		return line("STRLEN %s", w.key())
	case 13:
		return line("CL.THROTTLE allowance:%d 5 1 100", w.rnd.IntN(5))
	case 14:
		return line("GET list")
	}
	return []request{{"GET"}, {"NOSUCH", "x"}, {"LPUSH", "text", "x"}, {"SET", "a"}}[w.rnd.IntN(4)]
}

func produce(w *worker) request {
	switch w.rnd.IntN(3) {
	case 0:
		return line("LPUSH %s a", w.jobs())
	case 1:
		return line("RPUSH %s a b c", w.jobs())
	}
	return line("LMOVE %s %s LEFT RIGHT", w.jobs(), w.jobs())
}

func consume(w *worker) request {
	switch w.rnd.IntN(6) {
	case 0:
		return line("LPOP %s", w.jobs())
	case 1:
		return line("RPOP %s 5", w.jobs())
	case 2:
		return line("BLPOP %s %s 0.01", w.jobs(), w.jobs())
	case 3:
		return line("LLEN %s", w.jobs())
	case 4:
		return line("LRANGE %s 0 2", w.jobs())
	}
	return line("RPOP text")
}

// blockingConsume waits for the mailman, in vain now and then.
func blockingConsume(w *worker) error {
	for w.running() {
		for _, r := range []request{line("BLPOP mail post 0.02"), line("BLMOVE post mail LEFT RIGHT 0.01"), line("BLPOP empty 0.001")} {
			if _, err := w.do(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func mailman(w *worker) error {
	for w.running() {
		if _, err := w.do(line("RPUSH mail a b"), line("LPUSH post c")); err != nil {
			return err
		}
		time.Sleep(time.Duration(w.rnd.IntN(30)) * time.Millisecond)
	}
	return nil
}

func stream(w *worker) request {
	switch w.rnd.IntN(10) {
	case 0, 1:
		return line("XADD %s * type %s who x", w.room(), []string{"joined", "left"}[w.rnd.IntN(2)])
	case 2:
		return line("XADD %s * who x", w.room())
	case 3:
		return line("XADD %s 0-1 who x", w.room()) // smaller than the last: an error
	case 4:
		return line("XRANGE %s - + COUNT %d", w.room(), 1+w.rnd.IntN(5))
	case 5:
		return line("XREVRANGE %s + - COUNT 2", w.room())
	case 6:
		return line("XREAD COUNT 3 STREAMS %s room:0 0 0", fmt.Sprint("room:", 1+w.rnd.IntN(rooms-1)))
	case 7:
		return line("XTRIM %s MAXLEN 100", w.room())
	case 8:
		return line("XDEL %s 1-1", w.room())
	}
	return line("XLEN %s", w.room())
}

// roomReader always waits: $ is behind every entry.
func roomReader(w *worker) error {
	for w.running() {
		if _, err := w.do(line("XREAD BLOCK 20 STREAMS %s $", waitedRoom)); err != nil {
			return err
		}
	}
	return nil
}

// roomWriter wakes the reader, and deletes what it added.
func roomWriter(w *worker) error {
	for w.running() {
		got, err := w.do(line("XADD %s * type tick", waitedRoom))
		if err != nil {
			return err
		}
		if _, err := w.do(line("XDEL %s %s", waitedRoom, got[0].text)); err != nil {
			return err
		}
		time.Sleep(time.Duration(w.rnd.IntN(30)) * time.Millisecond)
	}
	return nil
}

func publish(w *worker) request {
	if w.rnd.IntN(4) == 0 {
		return line("SPUBLISH shard:%d hello", w.rnd.IntN(2))
	}
	return line("PUBLISH %s hello", w.topic())
}

// transactions runs every way a transaction can go.
func transactions(w *worker) error {
	for w.running() {
		k := w.key()
		batches := [][]request{
			{line("WATCH %s", k), line("MULTI"), line("SET %s 1", k), line("INCR %s", k), line("GET %s", k), line("EXEC")},
			{line("MULTI"), line("RPUSH %s a b", w.jobs()), line("LPOP %s", w.jobs()), line("BLPOP %s 0", w.jobs()), line("EXEC")},
			{line("MULTI"), line("XADD %s * type joined", w.room()), line("PUBLISH %s x", w.topic()), line("EXEC")},
			{line("MULTI"), line("INCR text"), line("LPUSH text x"), line("SET %s 5", k), line("EXEC")},
			{line("MULTI"), line("SET %s 2", k), line("NOSUCH"), line("EXEC")},
			{line("MULTI"), line("SET %s 3", k), line("DISCARD")},
			{line("WATCH %s", k), line("SET %s 4", k), line("MULTI"), line("GET %s", k), line("EXEC")},
			{line("WATCH %s", k), line("UNWATCH"), line("EXEC")},
			{line("MULTI"), line("QPUBLISH %s x", w.work()), line("QPUBLISH full x"), line("EXEC")},
		}
		if _, err := w.do(batches[w.rnd.IntN(len(batches))]...); err != nil {
			return err
		}
	}
	return nil
}

// visits comes and goes.
func visits(w *worker) error {
	for w.running() {
		c, err := dial(w.load.addr, w.from, w.did)
		if err != nil {
			return err
		}
		if _, err := c.do(line("HELLO 3"), line("PING"), line("SELECT 1"), line("LPUSH jobs:0 far"), line("RPOP jobs:0"), line("QUIT")); err != nil {
			return err
		}
		if err := c.awaitEnd(); err != nil {
			return err
		}
		time.Sleep(time.Duration(w.rnd.IntN(10)) * time.Millisecond)
	}
	return nil
}

// awaitEnd reads that the server closed the connection.
func (c *client) awaitEnd() error {
	defer c.close()
	if _, err := c.r.ReadByte(); err != io.EOF {
		return fmt.Errorf("the connection is not closed: %w", err)
	}
	return nil
}

// hurry sends more than its address may.
func hurry(w *worker) error {
	began := time.Now()
	for w.running() {
		batch := make([]request, 1+w.rnd.IntN(30))
		for i := range batch {
			batch[i] = []request{line("GET %s", w.key()), line("SET %s v", w.key()), line("PING")}[w.rnd.IntN(3)]
		}
		got, err := w.do(batch...)
		if err != nil {
			return err
		}
		for i := range got {
			if !got[i].failed() {
				w.did.add(1, series(admitted, "address", w.from))
			}
		}
		time.Sleep(time.Duration(w.rnd.IntN(60)) * time.Millisecond)
	}
	w.did.add(limitBurst+limitRate*time.Since(began).Seconds(), series(allowed, "address", w.from))
	return nil
}

// No metrics: what the limiter let through, and what it may at most.
const (
	admitted = "commands let through"
	allowed  = "commands allowed"
)

// overcrowd fills its address' connections, and tries a few more.
func overcrowd(w *worker) error {
	open := []*client{w.client}
	if _, err := w.do(line("PING")); err != nil { // it may not have been admitted yet
		return err
	}
	for len(open) < maxConnections {
		c, err := dial(w.load.addr, w.from, w.did)
		if err != nil {
			return err
		}
		defer c.close()
		if _, err := c.do(line("PING")); err != nil {
			return err
		}
		open = append(open, c)
	}
	for range 5 {
		// The refusal is no reply of a session: its bytes are not the door's.
		c, err := dial(w.load.addr, w.from, ledger{})
		if err != nil {
			return err
		}
		got, err := c.read()
		if err != nil || !got.failed() {
			return fmt.Errorf("one connection too many is answered %q: %w", got.text, err)
		}
		c.close()
		w.did.add(1, "synap_ratelimit_decisions_total", "action", "reject", "layer", "connection")
		w.did.add(1, "synap_connections_rejected_total", "reason", "address_limit")
	}
	return nil
}

// subscribe connects the subscribers; stop hangs up.
func (l *load) subscribe() (group *sync.WaitGroup, stop func()) {
	group = &sync.WaitGroup{}
	stopped, ready := make(chan struct{}), make(chan struct{})
	for i, r := range []request{line("SUBSCRIBE topic:0 topic:1 topic:2"), line("PSUBSCRIBE topic:*"), line("SSUBSCRIBE shard:0"), line("SUBSCRIBE topic:9")} {
		l.start(group, free[i%len(free)], func(w *worker) error {
			if err := w.confirm(r); err != nil {
				return err
			}
			ready <- struct{}{}
			go func() {
				<-stopped
				w.close()
			}()
			for i == 3 && w.running() { // this one comes and goes
				if err := errors.Join(w.confirm(line("UNSUBSCRIBE topic:9")), w.confirm(r)); err != nil {
					return err
				}
			}
			w.conn.SetDeadline(time.Time{}) // until it is stopped
			for {
				if _, err := w.message(); err != nil {
					select {
					case <-stopped:
						return nil
					default:
						return fmt.Errorf("%q: %w", r, err)
					}
				}
			}
		})
	}
	for range 4 {
		select {
		case <-ready:
		case <-time.After(patience): // it says why when it has ended
		}
	}
	return group, func() { close(stopped) }
}

// confirm sends a subscription and reads up to its last confirmation.
func (w *worker) confirm(r request) error {
	if err := w.send(r); err != nil {
		return err
	}
	for left := len(r) - 1; left > 0; {
		got, err := w.message()
		if err != nil {
			return err
		}
		if strings.EqualFold(got.first(), r[0]) {
			left--
		}
	}
	w.did.enter(r, &reply{kind: '*'})
	return nil
}

// message reads what is sent to a subscriber and counts messages.
func (w *worker) message() (reply, error) {
	got, err := w.read()
	switch got.first() {
	case "message", "pmessage", "smessage":
		w.load.received.Add(1)
	}
	return got, err
}

// awaitMessages waits until the subscribers have what PUBLISH said they get.
func (l *load) awaitMessages() {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if l.mu.Lock(); float64(l.received.Load()) >= l.total[delivered] {
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
	}
}
