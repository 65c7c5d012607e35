package store

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// queuePair is a queue and its twin, which only sees the log.
type queuePair struct {
	t      *testing.T
	s      *Store
	q, two *Queue
	log    QueueLog
	now    int64
}

func newQueuePair(t *testing.T, set QueueSettings) *queuePair {
	s := New(Options{})
	p := &queuePair{t: t, s: s, q: newQueue(s), two: newQueue(s), now: 1_000_000}
	p.q.SetSettings(set, p.begin())
	p.end()
	return p
}

func (p *queuePair) begin() *QueueLog {
	p.log = QueueLog{On: true}
	return &p.log
}

// end repeats what was logged on the twin.
func (p *queuePair) end() {
	p.t.Helper()
	if _, err := p.two.Apply(p.log.b); err != nil {
		p.t.Fatalf("the log cannot be replayed: %v", err)
	}
}

func (p *queuePair) publish(m Publication) string {
	p.t.Helper()
	id, _, err := p.q.Publish(&m, p.now, 60_000, p.begin(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.end()
	return string(id)
}

func (p *queuePair) consume(who string, n int) (receipts, payloads []string) {
	p.t.Helper()
	_, err := p.q.Consume(&QueueConsumer{Name: []byte(who), Most: 100}, n, p.now, p.begin(), func(m Message) bool {
		receipts = append(receipts, string(m.AppendReceipt(nil)))
		payloads = append(payloads, string(m.Payload()))
		return true
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.end()
	return receipts, payloads
}

func (p *queuePair) equal() {
	p.t.Helper()
	a, b := p.q.appendTo(nil), p.two.appendTo(nil)
	if !bytes.Equal(digestOf(p.q), digestOf(p.two)) {
		p.t.Fatalf("the twin differs:\n%q\n%q", a, b)
	}
	c, err := loadQueue(p.s, a)
	if err != nil {
		p.t.Fatalf("a dump cannot be loaded: %v\n%q", err, a)
	}
	if !bytes.Equal(digestOf(p.q), digestOf(c)) {
		p.t.Fatal("a queue that was dumped and loaded differs")
	}
	c.release()
}

func TestQueueOrder(t *testing.T) {
	p := newQueuePair(t, QueueSettings{AckDeadline: 1000, Retries: 3})
	for i, prio := range []int{5, 9, 0, 5, 9} {
		p.publish(Publication{Payload: fmt.Appendf(nil, "m%d", i), Priority: prio, Retries: -1})
	}
	r, got := p.consume("w", 3)
	if want := []string{"m1", "m4", "m0"}; !slices.Equal(got, want) {
		t.Fatalf("consumed %v, want %v", got, want)
	}
	// A redelivered message goes ahead of its own priority, not of higher ones.
	p.q.Nack([]byte(r[2]), -1, false, p.now, p.begin())
	p.end()
	p.publish(Publication{Payload: []byte("m5"), Priority: 9, Retries: -1})
	if _, got := p.consume("w", 9); !slices.Equal(got, []string{"m5", "m0", "m3", "m2"}) {
		t.Fatalf("consumed %v", got)
	}
	// An old receipt does nothing.
	if p.q.Ack([]byte(r[2]), p.now, p.begin()) {
		t.Fatal("the receipt of an earlier delivery was accepted")
	}
	p.now += 1000
	if n := p.q.Fire(p.now, 100, p.begin()); n != 6 {
		t.Fatalf("%d deadlines passed, want 6", n)
	}
	p.end()
	if p.q.In(Ready) != 6 || p.q.In(Unacked) != 0 {
		t.Fatalf("ready %d, unacked %d", p.q.In(Ready), p.q.In(Unacked))
	}
	p.equal()
}

// queueDriver does random things to a queue and keeps a tally of them.
type queueDriver struct {
	*queuePair
	rnd              *rand.Rand
	held             []string // receipts, also old ones
	published, acked int
}

func (d *queueDriver) receipt() []byte {
	if len(d.held) == 0 {
		return nil
	}
	return []byte(d.held[d.rnd.IntN(len(d.held))])
}

func (d *queueDriver) publication() Publication {
	m := Publication{Payload: fmt.Appendf(nil, "payload %d", d.published), Priority: d.rnd.IntN(10), Retries: int64(d.rnd.IntN(4)) - 1}
	if d.rnd.IntN(4) == 0 {
		m.Due = d.now + int64(d.rnd.IntN(40))
	}
	if d.rnd.IntN(4) == 0 {
		m.TTL = 1 + int64(d.rnd.IntN(60))
	}
	if d.rnd.IntN(4) == 0 {
		m.Headers = [][]byte{[]byte("a"), []byte("b")}
	}
	if d.rnd.IntN(3) == 0 {
		m.ID = fmt.Appendf(nil, "id-%d", d.published)
	}
	return m
}

func (d *queueDriver) step() {
	d.now += int64(d.rnd.IntN(4))
	switch d.rnd.IntN(12) {
	case 0, 1, 2, 3:
		d.publish(d.publication())
		d.published++
	case 4, 5:
		r, _ := d.consume(fmt.Sprint("w", d.rnd.IntN(5)), 1+d.rnd.IntN(5))
		d.held = append(d.held, r...)
		d.held = d.held[max(0, len(d.held)-200):]
	case 6:
		if d.q.Ack(d.receipt(), d.now, d.begin()) {
			d.acked++
		}
		d.end()
	case 7:
		d.q.Nack(d.receipt(), int64(d.rnd.IntN(30))-1, d.rnd.IntN(5) == 0, d.now, d.begin())
		d.end()
	case 8:
		d.q.Extend(d.receipt(), d.now+int64(d.rnd.IntN(90)), d.now, d.begin())
		d.end()
	case 9:
		d.q.Fire(d.now, 1+d.rnd.IntN(50), d.begin())
		d.end()
	case 10:
		if n := d.q.In(Dead); n > 0 && d.rnd.IntN(3) == 0 {
			d.deadLetters(n)
		}
	case 11:
		if d.rnd.IntN(100) == 0 {
			d.q.Purge(QueueState(d.rnd.IntN(4)), d.begin())
			d.end()
		}
	}
}

func (d *queueDriver) deadLetters(n int) {
	var ids [][]byte
	d.q.DeadLetters(d.rnd.IntN(n), func(m Message) bool {
		ids = append(ids, m.AppendID(nil))
		return d.rnd.IntN(3) > 0
	})
	log := d.begin()
	if d.rnd.IntN(2) == 0 {
		numbers := d.q.FindDead(ids, len(ids))
		if err := d.q.Redrive(d.q, numbers, d.now, log, log); err != nil {
			d.t.Fatal(err)
		}
		d.published += len(numbers)
	} else {
		for _, id := range ids {
			d.q.DropDead(id, log)
		}
	}
	d.end()
}

// TestQueueModel drives a queue at random, checks its counts against the tally
// of what was done, and that log and dump repeat it.
func TestQueueModel(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		set := QueueSettings{AckDeadline: 50, Retries: 2, Backoff: int64(rnd.IntN(2) * 10), BackoffMax: 35, DeadMax: int64(rnd.IntN(2) * 40)}
		d := &queueDriver{queuePair: newQueuePair(t, set), rnd: rnd}
		for range 3000 {
			d.step()
		}
		if c := d.q.Counters(); int(c.Published) != d.published || int(c.Acked) != d.acked {
			t.Fatalf("seed %d: counted %d published and %d acked, did %d and %d", seed, c.Published, c.Acked, d.published, d.acked)
		}
		d.equal()
		checkQueue(t, d.q)
		d.q.release()
		d.two.release()
	}
}

// checkQueue compares the counts with what Peek finds.
func checkQueue(t *testing.T, q *Queue) {
	t.Helper()
	total := 0
	for s := Ready; s <= Dead; s++ {
		n := 0
		q.Peek(s, func(Message) bool { n++; return true })
		if n != q.In(s) {
			t.Fatalf("state %d: %d messages, counted %d", s, n, q.In(s))
		}
		total += n
	}
	if total != q.all.len() {
		t.Fatalf("%d messages on the shelf, %d in a state", q.all.len(), total)
	}
}

func TestQueueTimeToLiveLeavesNoPlaces(t *testing.T) {
	p := newQueuePair(t, QueueSettings{AckDeadline: 1000, TTL: 10})
	p.publish(Publication{Payload: []byte("first"), TTL: -1, Retries: -1})
	for range 5000 {
		p.now++
		p.publish(Publication{Payload: []byte("x"), Retries: -1})
		p.q.Fire(p.now, 10, p.begin())
		p.end()
	}
	if n := p.q.ready[0].fresh.len(); n > 300 {
		t.Fatalf("%d places for %d messages", n, p.q.In(Ready))
	}
	if p.q.In(Dead) < 4900 || p.q.Counters().Expired < 4900 {
		t.Fatalf("%d dead letters, %d expired", p.q.In(Dead), p.q.Counters().Expired)
	}
	p.equal()
}

// TestQueueWalk compares what Peek shows of redelivered messages with what is
// delivered, in order.
func TestQueueWalk(t *testing.T) {
	var h numberHeap
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		h.push(rnd.Uint64N(500))
	}
	for w := (heapWalk{of: slices.Clone(h)}); w.more(); {
		if got, want := w.next(), h.pop(); got != want {
			t.Fatalf("walked to %d, want %d", got, want)
		}
	}
	if len(h) != 0 {
		t.Fatalf("the walk ended %d too early", len(h))
	}
}

// TestQueueLogsOfOneCommand sees that what one command logs about several queues
// stays apart until the changes are reset.
func TestQueueLogsOfOneCommand(t *testing.T) {
	s := New(Options{})
	var tx Tx
	s.Begin(&tx, 0, 1000)
	s.SetLogged(true)
	tx.WantAll()
	tx.Lock()
	defer tx.Unlock()
	for i := range 5 {
		key := fmt.Appendf(nil, "q%d", i)
		log := tx.QueueLog()
		q := tx.NewQueue()
		q.SetSettings(QueueSettings{MaxDepth: int64(i + 1), AckDeadline: 1}, log)
		tx.SaveQueue(key, q, log, true)
	}
	for i, c := range tx.Changes() {
		q := newQueue(s)
		if _, err := q.Apply(c.Log[2]); err != nil || q.Settings().MaxDepth != int64(i+1) {
			t.Fatalf("change %d logs %q: depth %d, %v", i, c.Log[2], q.Settings().MaxDepth, err)
		}
	}
}

// TestQueueApplyInPart sees that operations up to the first bad one are done and
// logged, so that a log never says less than what happened.
func TestQueueApplyInPart(t *testing.T) {
	s := New(Options{})
	var tx Tx
	s.Begin(&tx, 0, 1000)
	s.SetLogged(true)
	tx.WantAll()
	tx.Lock()
	defer tx.Unlock()
	good := (&QueueLog{On: true})
	good.settings(&QueueSettings{MaxDepth: 3})
	if err := tx.ApplyQueue([]byte("q"), append(slices.Clone(good.b), opAck, 9)); err != ErrQueueData {
		t.Fatalf("a bad operation: %v", err)
	}
	if q, err := tx.Queue([]byte("q"), Peek); err != nil || q == nil || q.Settings().MaxDepth != 3 {
		t.Fatalf("the good operation was not done: %v, %v", q, err)
	}
	if c := tx.Changes(); len(c) != 1 || !bytes.Equal(c[0].Log[2], good.b) {
		t.Fatalf("logged %+v", c)
	}
	before := s.QueueTotals()
	if err := tx.ApplyQueue([]byte("none"), []byte{opAck, 9}); err != ErrQueueData || s.QueueTotals() != before {
		t.Fatalf("%v, totals %+v, before %+v", err, s.QueueTotals(), before)
	}
}

func FuzzQueueDump(f *testing.F) {
	s := New(Options{})
	q := newQueue(s)
	q.set = QueueSettings{AckDeadline: 10, Retries: 1}
	log := &QueueLog{On: true}
	for i := range 5 {
		if _, _, err := q.Publish(&Publication{Payload: []byte("p"), Priority: i, ID: fmt.Append(nil, "id", i), Retries: -1, TTL: int64(i * 10)}, 100, 1000, log, nil); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := q.Consume(&QueueConsumer{Name: []byte("w"), Most: 9}, 3, 101, log, func(Message) bool { return true }); err != nil {
		f.Fatal(err)
	}
	q.Fire(200, 2, log)
	f.Add(q.appendTo(nil), log.b)
	f.Fuzz(func(t *testing.T, dump, ops []byte) {
		q, err := loadQueue(s, dump)
		if err != nil {
			q = newQueue(s)
		} else {
			checkQueue(t, q)
		}
		_, _ = q.Apply(ops)
		q.Fire(1<<62, 100, &QueueLog{})
		q.release()
	})
}

func digestOf(q *Queue) []byte {
	h := sha1.New()
	q.digest(h)
	return h.Sum(nil)
}

// TestQueueForgetsIDs sees that a queue that nobody uses keeps no ids whose
// window has passed, and not one less before.
func TestQueueForgetsIDs(t *testing.T) {
	s := New(Options{})
	const window = 1000
	var tx Tx
	publish := func(key, id string, now int64) bool {
		s.Begin(&tx, 0, now)
		tx.LockKey([]byte(key))
		defer tx.Unlock()
		defer tx.ResetChanges()
		q, err := tx.Queue([]byte(key), Write)
		if err != nil {
			t.Fatal(err)
		}
		if q == nil {
			q = tx.NewQueue()
		}
		log := tx.QueueLog()
		_, added, err := q.Publish(&Publication{ID: []byte(id), Payload: []byte("x"), Retries: -1}, now, window, log, nil)
		if err != nil {
			t.Fatal(err)
		}
		if added {
			tx.SaveQueue([]byte(key), q, log, true)
		}
		return added
	}
	remembered := func() (n int) {
		s.Begin(&tx, 0, 0)
		tx.WantAll()
		tx.Lock()
		defer tx.Unlock()
		for _, key := range []string{"q", "r"} {
			if q, _ := tx.Queue([]byte(key), Peek); q != nil {
				for _, table := range []*table{q.seen.now, q.seen.older} {
					if table != nil {
						n += table.len()
					}
				}
			}
		}
		return n
	}
	for i := range 100 {
		if !publish("q", fmt.Sprint("id", i), 5000+int64(i)*15) { // the window ends twice meanwhile
			t.Fatalf("id %d was there", i)
		}
	}
	if publish("q", "id99", 7484) || !publish("q", "id99", 7485) {
		t.Fatal("id99 was forgotten too early or too late")
	}
	s.Begin(&tx, 0, 7485)
	tx.WantAll()
	tx.Lock()
	q, _ := tx.Queue([]byte("q"), Peek)
	tx.putObject([]byte("r"), q.Clone())
	tx.ResetChanges()
	tx.Unlock()
	before := s.Used()
	for now := int64(7485); now <= 7485+3*window; now += 100 {
		for s.ExpireSome(&tx, now, 100, func(tx *Tx) {}) {
		}
	}
	if n, after := remembered(), s.Used(); n > 0 || after >= before {
		t.Fatalf("%d ids are remembered; %d bytes, before %d", n, after, before)
	}
}
