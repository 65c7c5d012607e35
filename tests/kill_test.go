//go:build !record

package tests

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

var flagKills = flag.Int("kills", 50, "kills of TestKills")

const (
	killWriters   = 3 // at each door
	killConsumers = 1
	killLease     = 150 * time.Millisecond
)

// ledgerWriter writes to keys that nobody else writes to, one command after the
// other, and knows which were acknowledged.
type ledgerWriter struct {
	id       int
	network  string
	rnd      *rand.Rand
	subjects []ledgerSubject
	steps    []int // acknowledged, by subject
	open     int   // subject of a step without an answer, -1: none
}

func (w *ledgerWriter) key(subject int) string {
	return fmt.Sprintf("%s of %d", w.subjects[subject].name, w.id)
}

// run writes until the server is gone.
func (w *ledgerWriter) run(c *client) error {
	for {
		s := w.rnd.IntN(len(w.subjects))
		w.open = s
		var b []byte
		commands := w.subjects[s].step(w.key(s), w.steps[s])
		for _, args := range commands {
			b = appendCommand(b, args)
		}
		if c.sendRaw(b) != nil {
			return nil
		}
		for range commands {
			v, err := c.read()
			switch {
			case err != nil || v.kind == 'x':
				return nil
			case v.isError():
				return fmt.Errorf("%q: %s", commands, v.render())
			}
		}
		w.steps[s]++
		w.open = -1
	}
}

// check compares everything with the ledger: what was acknowledged is there, and
// of the one command without an answer all or nothing.
func (w *ledgerWriter) check(c *client) error {
	for s, subject := range w.subjects {
		err := subject.holds(c, w.key(s), w.steps[s])
		if err != nil && s == w.open {
			if subject.holds(c, w.key(s), w.steps[s]+1) == nil {
				w.steps[s]++
				err = nil
			}
		}
		if err != nil {
			return fmt.Errorf("%s, after %d steps: %w", w.key(s), w.steps[s], err)
		}
	}
	w.open = -1
	return nil
}

// ledgerQueue is a queue that several publish to and consume from.
type ledgerQueue struct {
	mu        sync.Mutex     // guards what follows
	published map[string]int // acknowledged 2, without an answer 1
	acked     map[string]int
	all       int // ever published
}

const ledgerQueueName = "a queue"

// publish is a publisher.
func (q *ledgerQueue) publish(c *client, id int) error {
	for j := 0; ; j++ {
		for q.full() {
			if v, err := c.do("PING"); err != nil || v.kind == 'x' {
				return nil
			}
		}
		message := fmt.Sprintf("%d-%d-%d", id, q.all, j)
		q.set(q.published, message, 1)
		v, err := c.do("QPUBLISH", ledgerQueueName, "payload", "ID", message, "PRIORITY", strconv.Itoa(j%10))
		switch {
		case err != nil || v.kind == 'x':
			return nil
		case v.isError():
			return errors.New(v.render())
		}
		q.set(q.published, message, 2)
	}
}

// full keeps publishers from running away from the consumers.
func (q *ledgerQueue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.published)-len(q.acked) > 1000
}

func (q *ledgerQueue) set(m map[string]int, message string, n int) {
	q.mu.Lock()
	m[message] = n
	q.mu.Unlock()
}

// consume is a consumer that acknowledges most messages, and lets some leases end.
func (q *ledgerQueue) consume(c *client, id int) error {
	lease := strconv.FormatInt(killLease.Milliseconds(), 10)
	for j := 0; ; j++ {
		asked := time.Now()
		v, err := c.do("QCONSUME", ledgerQueueName, "c"+strconv.Itoa(id), "COUNT", "4", "BLOCK", "50", "DEADLINE", lease)
		switch {
		case err != nil || v.kind == 'x':
			return nil
		case v.isError():
			return errors.New(v.render())
		}
		for i, m := range v.items {
			message, receipt := m.items[0].text, m.items[1].text
			q.mu.Lock()
			state, known := q.acked[message], q.published[message] > 0
			q.mu.Unlock()
			late := time.Since(asked) >= killLease // another may have had it since
			if state == 2 && !late || !known {
				return fmt.Errorf("message %s was delivered: acknowledged %v, published %v", message, state == 2, known)
			}
			if (i+j)%10 == 9 {
				continue
			}
			q.set(q.acked, message, max(state, 1))
			v, err := c.do("QACK", ledgerQueueName, receipt)
			if err != nil || v.kind == 'x' {
				return nil
			}
			if v.text == "1" {
				q.set(q.acked, message, 2)
			}
		}
	}
}

// check compares the queue with the ledger, which forgets what is done.
func (q *ledgerQueue) check(c *client) error {
	there := map[string]bool{}
	b := appendCommand(nil, []string{"MULTI"}) // a lease may end between two looks
	for _, state := range []string{"READY", "UNACKED", "DELAYED", "DEAD"} {
		b = appendCommand(b, []string{"QPEEK", ledgerQueueName, "COUNT", "1000000", state})
	}
	if err := c.sendRaw(appendCommand(b, []string{"EXEC"})); err != nil {
		return err
	}
	var states value
	for range 6 {
		v, err := c.read()
		if err != nil || v.isError() {
			return fmt.Errorf("QPEEK: %v %s", err, v.render())
		}
		states = v
	}
	for _, v := range states.items {
		for _, m := range v.items {
			id := m.items[0].text
			switch {
			case there[id]:
				return fmt.Errorf("message %s is there twice", id)
			case q.published[id] == 0:
				return fmt.Errorf("message %s was never published", id)
			case q.acked[id] == 2:
				return fmt.Errorf("message %s came back after its acknowledgement", id)
			}
			there[id] = true
		}
	}
	for id, state := range q.published {
		if state == 2 && q.acked[id] == 0 && !there[id] {
			return fmt.Errorf("message %s is lost", id)
		}
	}
	q.all += len(q.published) // names of the next life
	for id := range q.published {
		if !there[id] {
			delete(q.published, id)
			delete(q.acked, id)
		} else {
			q.published[id], q.acked[id] = 2, 0
		}
	}
	return nil
}

// TestKills kills the program again and again while it writes all types through
// both doors and rewrites its log and its snapshot. After each start everything
// that was acknowledged must be there, nothing else, and no acknowledged message
// of a queue.
func TestKills(t *testing.T) {
	seed := time.Now().UnixNano()
	rnd := rand.New(rand.NewPCG(uint64(seed), 0))
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	var writers []*ledgerWriter
	for i := range 2 * killWriters {
		subjects := ledgerSubjects()
		writers = append(writers, &ledgerWriter{i, []string{"tcp", "unix"}[i%2], rand.New(rand.NewPCG(uint64(seed), uint64(i+1))), subjects, make([]int, len(subjects)), -1})
	}
	q := &ledgerQueue{published: map[string]int{}, acked: map[string]int{}}
	acked := 0
	for kill := range *flagKills {
		policy := []string{"always", "always", "everysec", "no"}[kill%4]
		one := &killedProgram{policy: policy, dir: dir, socket: filepath.Join(dir, "socket")}
		one.start(t)
		if kill > 0 {
			one.check(t, writers, q)
		}
		one.load(t, writers, q, rnd, time.Duration(20+rnd.IntN(100))*time.Millisecond)
		if t.Failed() {
			return
		}
	}
	last := &killedProgram{policy: "always", dir: dir, socket: filepath.Join(dir, "socket")}
	last.start(t)
	last.check(t, writers, q)
	for _, w := range writers {
		for _, n := range w.steps {
			acked += n
		}
	}
	t.Logf("%d kills, %d acknowledged steps, %d messages", *flagKills, acked, q.all)
	if acked < 10**flagKills {
		t.Errorf("only %d steps were acknowledged", acked)
	}
}

// killedProgram is one life of the program.
type killedProgram struct {
	*program
	policy, dir, socket string
}

func (k *killedProgram) start(t *testing.T) {
	t.Helper()
	k.program = startProgram(t, "--dir", k.dir, "--appendonly", "yes", "--appendfsync", k.policy, "--unixsocket", k.socket)
	k.awaitLoaded(t)
}

// awaitLoaded returns when commands are answered.
func (p *program) awaitLoaded(t testing.TB) {
	t.Helper()
	c := p.dial(t, 2)
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		v, err := c.do("PING")
		if err != nil || v.kind == 'x' {
			t.Fatalf("the program has ended: %v\n%s", err, p.log.String())
		}
		if !v.isError() {
			return
		}
	}
	t.Fatal("the program loads for too long")
}

func (k *killedProgram) check(t *testing.T, writers []*ledgerWriter, q *ledgerQueue) {
	t.Helper()
	c := k.dial(t, 2)
	for _, w := range writers {
		if err := w.check(c); err != nil {
			t.Error(err)
		}
	}
	if err := q.check(c); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// load lets everybody write for a time, then kills.
func (k *killedProgram) load(t *testing.T, writers []*ledgerWriter, q *ledgerQueue, rnd *rand.Rand, d time.Duration) {
	t.Helper()
	c := k.dial(t, 2)
	c.must(t, "QCREATE", ledgerQueueName, "RETRIES", "1000", "UPDATE")
	var all sync.WaitGroup
	run := func(network string, f func(*client) error) {
		addr := k.addr
		if network == "unix" {
			addr = k.socket
		}
		c, err := dial(network, addr, 2)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer c.close()
			if err := f(c); err != nil {
				t.Error(err)
			}
		})
	}
	for _, w := range writers {
		run(w.network, w.run)
	}
	for i, network := range []string{"tcp", "unix"} {
		run(network, func(c *client) error { return q.publish(c, i) })
		for range killConsumers {
			run(network, func(c *client) error { return q.consume(c, i) })
		}
	}
	what := slices.Concat(slices.Repeat([]string{"BGREWRITEAOF"}, rnd.IntN(3)), slices.Repeat([]string{"BGSAVE"}, rnd.IntN(2)))
	for _, name := range what {
		time.Sleep(time.Duration(rnd.Int64N(int64(d))) / 2)
		if _, err := c.do(name); err != nil { // one that runs already is refused
			t.Error(err)
		}
	}
	time.Sleep(time.Duration(rnd.Int64N(int64(d))))
	k.cmd.Process.Kill()
	all.Wait()
	k.cmd.Wait()
}
