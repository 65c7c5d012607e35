package store

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Queue is a reliable queue. A message is ready, held by a consumer under a
// receipt (unacked), delayed, or dead; it leaves the queue when its holder
// acknowledges it. Ready messages stand in ten rings, one a priority; those
// that were delivered before stand ahead of their ring, in order of
// publication.
//
// A message with a timer (a lease's deadline, a delay, a time-to-live) has a
// ticket, and the tickets of a state form a heap: no operation costs more than
// O(log n) for each message it touches, and nothing is walked to find what is
// due. Messages stand outside the Go heap, by number.
//
// What a method decides it writes into a QueueLog too, as operations that Apply
// repeats: replay needs no clock. A queue is guarded by the lock of its key's
// shard; whoever changes it calls Tx.SaveQueue.
type Queue struct {
	set     QueueSettings
	all     shelf // messages, see message
	ready   [priorities]ring
	tickets tickets
	dead    deadLetters
	seen    dedup
	workers consumers
	seq     uint64 // of the last message published
	count   [queueStates]int
	filled  uint16 // priorities that have ready messages, a bit each
	stats   QueueCounters
	told    QueueTotals // what the store's totals hold of this queue

	owned  map[uint64]owned // leased messages by the client at whose end they go back
	home   atomic.Pointer[contents]
	record uint32 // in home
	hash   uint64 // of the key
}

// QueueSettings are the properties of a queue, set by QCREATE.
type QueueSettings struct {
	MaxDepth    int64 // messages ready, delayed and unacked; 0 = no limit
	AckDeadline int64 // milliseconds
	Retries     int64 // redeliveries after the first delivery
	Backoff     int64 // milliseconds of delay after the first failure, doubled with each
	BackoffMax  int64 // … up to this; 0 = no limit
	DeadMax     int64 // dead letters kept; 0 = no limit
	TTL         int64 // milliseconds a message may wait; 0 = for ever
	Prefetch    int64 // messages a consumer may hold; 0 = no limit
}

// QueueCounters count messages since the queue was made.
type QueueCounters struct {
	Published, Consumed, Acked, Nacked, Redelivered, DeadLettered, Expired uint64
	DeadDropped                                                            uint64 // dead letters that gave way to newer ones
}

// QueueState is where a message is.
type QueueState uint8

const (
	Ready QueueState = iota
	Unacked
	Delayed
	Dead
	queueStates
)

// DeadReason says why a message became a dead letter.
type DeadReason uint8

const (
	DeadNack     DeadReason = iota // refused more often than Retries allows
	DeadDeadline                   // its last deadline passed
	DeadRefused                    // refused for good
	DeadTTL                        // waited longer than its time-to-live
)

// String returns the word that QDLQ LIST shows.
func (r DeadReason) String() string { return [...]string{"nack", "deadline", "dead", "ttl"}[r&3] }

const (
	priorities  = 10
	maxDoubling = 40      // doublings of a backoff beyond which no delay fits
	maxNumber   = 1 << 62 // of the last message in a dump or log, so that counting on never overflows

	// MaxConsumerName is the most bytes of a consumer's name.
	MaxConsumerName = 1024
)

var (
	// ErrQueueFull is returned when MaxDepth forbids another message.
	ErrQueueFull = errors.New("store: the queue is at its maximum depth")
	// ErrQueueData is returned when operations or a dump do not fit the queue.
	ErrQueueData = errors.New("store: bad queue data")
	// ErrQueueRoom is returned when a queue cannot hold more bytes.
	ErrQueueRoom = errors.New("store: the queue holds as many bytes as it can")
	// ErrConsumers is returned when a queue has as many consumers as it may.
	ErrConsumers = errors.New("store: the queue has too many consumers")
)

// Queue returns key's queue, nil if key is absent. Unless it only peeks, what is
// due happens first.
func (tx *Tx) Queue(key []byte, a Access) (*Queue, error) {
	at, ok := tx.find(key, a)
	if !ok {
		return nil, nil
	}
	q, ok := tx.object(at).(*Queue)
	if !ok {
		return nil, ErrWrongType
	}
	at.c.preserve(at) // the caller may change it, however it asked
	if due := q.Due(); a != Peek && due != 0 && due <= tx.Now {
		event := tx.Event
		q.fire(tx, key, fireAtOnce)
		tx.Event = event
	}
	return q, nil
}

// fireAtOnce is how many messages of which the time has come are moved when a
// queue is opened; the cron takes the rest.
const fireAtOnce = 1000

// ApplyQueue repeats operations of a QueueLog on key's queue, which is made if
// it is absent. It stops at the first that does not fit; what went before it is
// done and logged.
func (tx *Tx) ApplyQueue(key, ops []byte) error {
	q, err := tx.Queue(key, Peek)
	if err != nil {
		return err
	}
	fresh := q == nil
	if fresh {
		q = tx.NewQueue()
	}
	done, err := q.Apply(ops)
	if done == 0 {
		if fresh {
			q.release()
		}
		return err
	}
	log := tx.QueueLog()
	log.b = append(log.b, ops[:done]...)
	tx.SaveQueue(key, q, log, true)
	return err
}

// Drained reports whether key holds a queue that has no ready message: nobody
// who waits for one need be asked.
func (tx *Tx) Drained(key []byte) bool {
	at, ok := tx.find(key, Peek)
	if !ok || at.kind() != KindQueue {
		return false
	}
	return tx.object(at).(*Queue).filled == 0
}

// NewQueue returns an empty queue, not stored anywhere yet.
func (tx *Tx) NewQueue() *Queue { return newQueue(tx.store) }

func newQueue(s *Store) *Queue { return &Queue{all: newShelf(s), seen: dedup{store: s}} }

// DropQueue gives back what NewQueue returned and SaveQueue did not get.
func (tx *Tx) DropQueue(key []byte, q *Queue) {
	if _, ok := tx.find(key, Peek); !ok {
		q.release()
	}
}

// QueueLog returns an empty log for a queue that the transaction is about to
// change. It is used anew once the changes are reset.
func (tx *Tx) QueueLog() *QueueLog {
	if tx.logTurn == len(tx.logs) {
		tx.logs = append(tx.logs, new(QueueLog))
	}
	l := tx.logs[tx.logTurn]
	tx.logTurn++
	*l = QueueLog{On: tx.Logged, b: emptied(l.b)}
	return l
}

// SaveQueue records a change of q, the queue of key or a new one for it, and
// the operations in log that repeat it. wakes tells whether somebody who waits
// for messages may be helped by it.
func (tx *Tx) SaveQueue(key []byte, q *Queue, log *QueueLog, wakes bool) {
	at, ok := tx.find(key, Peek)
	if !ok {
		tx.putObject(key, q)
	} else {
		tx.settle(&at)
		effect := Reduced
		if wakes {
			effect = Changed
		}
		tx.changed(key, KindQueue, effect)
	}
	c := &tx.changes[len(tx.changes)-1]
	c.DeadLettered, c.Redelivered = log.dead, log.again
	c.Log = log.record(key)
}

// SettleQueue takes what asking for messages in vain has added to the queue of
// key into the accounts.
func (tx *Tx) SettleQueue(key []byte) {
	if at, ok := tx.find(key, Peek); ok {
		tx.settle(&at)
	}
}

// fire lets what is due happen, for the shard's alarms.
func (q *Queue) fire(tx *Tx, key []byte, budget int) int {
	if due := q.seen.due(); due != 0 && due <= tx.Now {
		q.seen.release()
		tx.SettleQueue(key)
	}
	log := tx.QueueLog()
	n := q.Fire(tx.Now, budget, log)
	if n > 0 {
		tx.Event = "qexpire"
		tx.SaveQueue(key, q, log, true)
	}
	return n
}

// QueueTotals are sums over the queues of a store. Messages in a state are those
// there are; counters keep what queues have done that are gone.
type QueueTotals struct {
	Queues   int64
	In       [queueStates]int64
	Counters QueueCounters
}

// queueTotals guards the totals; a queue changes under its shard's lock only.
type queueTotals struct {
	mu  sync.Mutex
	sum QueueTotals
}

// QueueTotals returns the sums over all queues, without a walk.
func (s *Store) QueueTotals() QueueTotals {
	s.queues.mu.Lock()
	defer s.queues.mu.Unlock()
	return s.queues.sum
}

// share takes what the queue holds now into the store's totals.
func (q *Queue) share() {
	now := QueueTotals{Queues: 1, Counters: q.stats}
	for s, n := range q.count {
		now.In[s] = int64(n)
	}
	q.tell(&now)
}

func (q *Queue) tell(now *QueueTotals) {
	t := &q.seen.store.queues
	t.mu.Lock()
	t.sum.Queues += now.Queues - q.told.Queues
	for s := range now.In {
		t.sum.In[s] += now.In[s] - q.told.In[s]
	}
	t.sum.Counters.move(&q.told.Counters, &now.Counters)
	t.mu.Unlock()
	q.told = *now
}

// move adds what has been counted between two states of some counters.
func (c *QueueCounters) move(from, to *QueueCounters) {
	c.Published += to.Published - from.Published
	c.Consumed += to.Consumed - from.Consumed
	c.Acked += to.Acked - from.Acked
	c.Nacked += to.Nacked - from.Nacked
	c.Redelivered += to.Redelivered - from.Redelivered
	c.DeadLettered += to.DeadLettered - from.DeadLettered
	c.Expired += to.Expired - from.Expired
	c.DeadDropped += to.DeadDropped - from.DeadDropped
}

// In returns the number of messages in a state.
func (q *Queue) In(s QueueState) int { return q.count[s] }

// Settings returns the queue's settings.
func (q *Queue) Settings() QueueSettings { return q.set }

// SetSettings replaces the settings.
func (q *Queue) SetSettings(set QueueSettings, log *QueueLog) {
	q.set = set
	log.settings(&set)
}

// Counters returns what the queue has counted.
func (q *Queue) Counters() QueueCounters { return q.stats }

// Kind returns KindQueue.
func (q *Queue) Kind() Kind { return KindQueue }

// Len returns the number of messages that are not dead.
func (q *Queue) Len() int { return q.count[Ready] + q.count[Unacked] + q.count[Delayed] }

// Bytes returns the memory held.
func (q *Queue) Bytes() int64 {
	n := int64(unsafe.Sizeof(*q)) + q.all.bytes() + q.tickets.bytes() + q.dead.bytes() + q.seen.bytes() + q.workers.bytes()
	for p := range q.ready {
		n += q.ready[p].bytes()
	}
	return n
}

func (q *Queue) release() {
	q.tell(&QueueTotals{Counters: q.told.Counters})
	q.releaseOwners()
	q.home.Store(nil)
	q.all.release()
	q.seen.release()
	q.dead.release()
}

// Consumers returns how many consumers hold messages or asked for some within
// the last minute.
func (q *Queue) Consumers(now int64) int { return q.workers.count(now) }

// OldestAge returns for how many milliseconds the first message of those next
// in line has been there; 0 if none is ready.
func (q *Queue) OldestAge(now int64) int64 {
	oldest := now
	for p := range q.ready {
		r := &q.ready[p]
		if len(r.again) > 0 {
			oldest = min(oldest, q.published(r.again[0], now))
		}
		if r.fresh.len() > 0 {
			oldest = min(oldest, q.published(*r.fresh.at(0), now))
		}
	}
	return now - oldest
}

// Publication is a message to be published.
type Publication struct {
	ID       []byte // empty: made from time and number
	Payload  []byte
	Priority int
	Due      int64    // unix milliseconds from which it is ready; 0 = at once
	TTL      int64    // milliseconds it may wait; 0 = as the queue says
	Retries  int64    // negative = as the queue says
	Headers  [][]byte // fields and values in turn
}

// Publish adds a message, unless its ID was published within the last window
// milliseconds. It appends the message's id to id.
func (q *Queue) Publish(p *Publication, now, window int64, log *QueueLog, id []byte) ([]byte, bool, error) {
	if len(p.ID) > 0 && q.seen.has(p.ID, now-window) {
		return append(id, p.ID...), false, nil
	}
	if q.set.MaxDepth > 0 && int64(q.Len()) >= q.set.MaxDepth {
		return id, false, ErrQueueFull
	}
	if !q.HasRoom(1, p.size()) {
		return id, false, ErrQueueRoom
	}
	r := publishing{Publication: *p, seq: q.seq + 1, at: now}
	if r.Due <= now {
		r.Due = 0
	}
	if ttl := cmpOr(p.TTL, q.set.TTL); ttl > 0 {
		r.dies = addTime(max(now, r.Due), ttl)
	}
	q.publish(&r)
	q.seen.add(p.ID, now, window)
	log.publish(&r, window)
	return q.message(r.seq).appendID(id), true, nil
}

// HasRoom reports whether n more messages of so many bytes in all surely fit.
func (q *Queue) HasRoom(n int, size int64) bool {
	return q.all.log.hasRoom(n, size+int64(n)*messageMost) && q.seen.hasRoom(size)
}

// size returns the bytes that the message brings with it.
func (p *Publication) size() int64 {
	n := int64(len(p.ID) + len(p.Payload))
	for _, h := range p.Headers {
		n += int64(len(h)) + binary.MaxVarintLen32
	}
	return n
}

// cmpOr returns the first that is not 0.
func cmpOr(a, b int64) int64 {
	if a != 0 {
		return a
	}
	return b
}

// addTime adds a duration to a time; the sum does not pass the largest one.
func addTime(at, d int64) int64 {
	if sum := at + d; sum >= at {
		return sum
	}
	return 1<<63 - 1
}

// publishing is a publication with what was decided about it.
type publishing struct {
	Publication
	seq  uint64
	at   int64 // published, unix milliseconds
	dies int64 // when its time-to-live ends; 0 = never
}

// publish puts a message in its place.
func (q *Queue) publish(r *publishing) {
	q.newMessage(r)
	q.seq = r.seq
	q.stats.Published++
	if when := earlier(r.Due, r.dies); when != 0 {
		state := Ready
		if r.Due != 0 {
			state = Delayed
		}
		q.message(r.seq).setTicket(q.tickets.take(ticket{seq: r.seq, when: when, state: state}))
	}
	if r.Due != 0 {
		q.count[Delayed]++
	} else {
		q.join(r.seq)
	}
}

// join puts a message among the ready ones: at the back of its ring, or ahead
// of it if it was delivered before.
func (q *Queue) join(seq uint64) {
	m := q.message(seq)
	p := m.priority()
	r := &q.ready[p]
	if m.deliveries() > 0 {
		r.again.push(seq)
	} else {
		r.fresh.pushBack(seq)
	}
	r.live++
	q.filled |= 1 << p
	q.count[Ready]++
}

// QueueConsumer is who takes messages.
type QueueConsumer struct {
	Name     []byte
	Owner    uint64 // client at whose end the messages are released; 0 = none
	Deadline int64  // milliseconds; 0 = as the queue says
	Most     int    // consumers a queue may have
}

// Consume leases up to n messages to c, the highest priority first, and visits
// each, until visit returns false. It returns how many.
func (q *Queue) Consume(c *QueueConsumer, n int, now int64, log *QueueLog, visit func(Message) bool) (taken int, err error) {
	worker, ok := q.workers.open(c.Name, now, c.Most)
	if !ok {
		return 0, ErrConsumers
	}
	if q.set.Prefetch > 0 {
		n = min(n, int(q.set.Prefetch)-q.workers.list[worker].unacked)
	}
	deadline := addTime(now, cmpOr(c.Deadline, q.set.AckDeadline))
	for more := true; more && taken < n && q.filled != 0; taken++ {
		m := q.next()
		if m.deliveries() > 0 {
			log.again++
		}
		if at := q.lease(m, worker, deadline); c.Owner != 0 {
			q.own(at, c.Owner)
		}
		log.lease(c.Name, deadline)
		more = visit(Message{m: m, State: Unacked})
	}
	return taken, nil
}

// next takes the message that is first in line; there is one.
func (q *Queue) next() message {
	p := bits.Len16(q.filled) - 1
	r := &q.ready[p]
	for {
		if m := q.message(r.pop()); !m.gone() {
			q.leave(p)
			return m
		}
		r.corpses--
	}
}

// leave counts a message of priority p out of the ready ones.
func (q *Queue) leave(p int) {
	r := &q.ready[p]
	q.count[Ready]--
	if r.live--; r.live == 0 {
		q.filled &^= 1 << p
	}
}

// lease hands a message that was taken from the ready ones to a consumer.
func (q *Queue) lease(m message, worker uint32, deadline int64) uint32 {
	t := ticket{seq: m.seq, when: deadline, state: Unacked, consumer: worker}
	at := m.ticket()
	if at != noTicket {
		q.tickets.change(at, t)
	} else {
		at = q.tickets.take(t)
		m.setTicket(at)
	}
	m.setDeliveries(m.deliveries() + 1)
	if m.deliveries() > 1 {
		q.stats.Redelivered++
	}
	q.workers.list[worker].unacked++
	q.count[Unacked]++
	q.stats.Consumed++
	return at
}

// heldBy returns the ticket that a receipt stands for; false if it is no longer
// held.
func (q *Queue) heldBy(receipt []byte, now int64) (at uint32, ok bool) {
	seq, delivery, ok := parseReceipt(receipt)
	if !ok {
		return 0, false
	}
	at, ok = q.ticketOf(seq)
	if !ok || q.tickets.at(at).state != Unacked || q.tickets.at(at).when <= now {
		return 0, false
	}
	return at, q.message(seq).deliveries() == delivery
}

// ticketOf returns the ticket of a message, false if it has none.
func (q *Queue) ticketOf(seq uint64) (at uint32, ok bool) {
	m := q.message(seq)
	if m.gone() || m.ticket() == noTicket {
		return 0, false
	}
	return m.ticket(), true
}

// Ack removes the message held under a receipt and reports whether there was
// one.
func (q *Queue) Ack(receipt []byte, now int64, log *QueueLog) bool {
	at, ok := q.heldBy(receipt, now)
	if ok {
		log.number(opAck, q.tickets.at(at).seq)
		q.ack(at)
	}
	return ok
}

func (q *Queue) ack(at uint32) {
	q.stats.Acked++
	q.erase(q.unlease(at))
	q.tickets.free(at)
}

// unlease takes a message from its holder.
func (q *Queue) unlease(at uint32) uint64 {
	q.disown(at)
	t := q.tickets.at(at)
	q.workers.list[t.consumer].unacked--
	q.count[Unacked]--
	return t.seq
}

// Nack gives the message held under a receipt back, after delay milliseconds
// (negative: the queue's backoff), or makes it a dead letter. It reports
// whether there was one.
func (q *Queue) Nack(receipt []byte, delay int64, dead bool, now int64, log *QueueLog) bool {
	at, ok := q.heldBy(receipt, now)
	if !ok {
		return false
	}
	q.stats.Nacked++
	log.count(opNacked)
	reason := DeadNack
	if dead {
		reason = DeadRefused
	}
	q.fail(at, reason, delay, now, log)
	return true
}

// fail ends a lease without success.
func (q *Queue) fail(at uint32, reason DeadReason, delay, now int64, log *QueueLog) {
	m := q.message(q.tickets.at(at).seq)
	retries := q.set.Retries
	if own := m.retries(); own >= 0 {
		retries = own
	}
	switch {
	case reason == DeadRefused:
	case int64(m.deliveries()) > retries:
	case m.dies() != 0 && m.dies() <= now:
		reason = DeadTTL
		q.stats.Expired++
		log.count(opExpired)
	default:
		if delay < 0 {
			delay = q.backoff(m.deliveries())
		}
		due := int64(0)
		if delay > 0 {
			due = addTime(now, delay)
		}
		log.giveBack(m.seq, due, now)
		q.giveBack(at, due, now)
		return
	}
	log.bury(m.seq, reason, now)
	q.bury(at, reason, now)
}

func (q *Queue) backoff(failures uint32) int64 {
	if q.set.Backoff == 0 {
		return 0
	}
	shift := min(failures-1, maxDoubling)
	d := q.set.Backoff << shift
	if d>>shift != q.set.Backoff {
		d = 1<<63 - 1
	}
	if q.set.BackoffMax > 0 {
		d = min(d, q.set.BackoffMax)
	}
	return d
}

// giveBack returns a leased message to its place, now or at due.
func (q *Queue) giveBack(at uint32, due, now int64) {
	seq := q.unlease(at)
	m := q.message(seq)
	if m.failed() == 0 {
		m.setFailed(now)
	}
	when := earlier(due, m.dies())
	switch {
	case due != 0:
		q.tickets.change(at, ticket{seq: seq, when: when, state: Delayed})
		q.count[Delayed]++
	case when != 0:
		q.tickets.change(at, ticket{seq: seq, when: when, state: Ready})
		q.join(seq)
	default:
		m.setTicket(noTicket)
		q.tickets.free(at)
		q.join(seq)
	}
}

// Extend moves the deadline of the message held under a receipt to a time in
// unix milliseconds.
func (q *Queue) Extend(receipt []byte, deadline, now int64, log *QueueLog) bool {
	at, ok := q.heldBy(receipt, now)
	if ok {
		q.tickets.reschedule(at, deadline)
		log.reschedule(q.tickets.at(at).seq, deadline)
	}
	return ok
}

// Due returns when the next timer fires, or ids can be forgotten, in unix
// milliseconds; 0 = never.
func (q *Queue) Due() int64 {
	_, due := q.tickets.first()
	return earlier(due, q.seen.due())
}

// Fire does what is due, for at most budget messages, and reports how many.
func (q *Queue) Fire(now int64, budget int, log *QueueLog) (fired int) {
	for ; fired < budget; fired++ {
		at, due := q.tickets.first()
		if due == 0 || due > now {
			break
		}
		t := q.tickets.at(at)
		m := q.message(t.seq)
		switch {
		case t.state == Unacked:
			q.fail(at, DeadDeadline, -1, now, log)
		case m.dies() != 0 && m.dies() <= now:
			q.stats.Expired++
			log.count(opExpired)
			log.bury(m.seq, DeadTTL, now)
			q.bury(at, DeadTTL, now)
		default:
			log.number(opArrive, m.seq)
			q.arrive(at)
		}
	}
	return fired
}

// arrive makes a delayed message ready.
func (q *Queue) arrive(at uint32) {
	seq := q.tickets.at(at).seq
	m := q.message(seq)
	q.count[Delayed]--
	if dies := m.dies(); dies != 0 {
		q.tickets.change(at, ticket{seq: seq, when: dies, state: Ready})
	} else {
		m.setTicket(noTicket)
		q.tickets.free(at)
	}
	q.join(seq)
}

// Purge drops every message in a state and returns how many there were.
func (q *Queue) Purge(s QueueState, log *QueueLog) int {
	n := q.count[s]
	if n > 0 {
		q.purge(s)
		log.purge(s)
	}
	return n
}

func (q *Queue) purge(s QueueState) {
	switch s {
	case Dead:
		q.dead.each(0, func(d *deadLetter) bool { q.erase(d.seq); return true })
		q.dead.release()
		q.count[Dead] = 0
		return
	case Ready:
		for p := range q.ready {
			r := &q.ready[p]
			for _, seq := range r.fresh.all() {
				q.drop(seq)
			}
			for _, seq := range r.again {
				q.drop(seq)
			}
			*r = ring{}
		}
		q.filled, q.count[Ready] = 0, 0
		return
	}
	for h := q.tickets.heaps[s]; len(h) > 0; h = q.tickets.heaps[s] {
		at := h[len(h)-1]
		t := q.tickets.at(at)
		if s == Unacked {
			q.disown(at)
			q.workers.list[t.consumer].unacked--
		}
		q.erase(t.seq)
		q.tickets.free(at)
	}
	q.count[s] = 0
}

// drop removes a ready message and its ticket; a corpse stays.
func (q *Queue) drop(seq uint64) {
	m := q.message(seq)
	if m.gone() {
		return
	}
	if at := m.ticket(); at != noTicket {
		q.tickets.free(at)
	}
	q.erase(seq)
}

// appendReceipt appends the text that names one delivery of one message: number
// and delivery in hexadecimal, joined by a dash.
func appendReceipt(to []byte, seq uint64, delivery uint32) []byte {
	to = append(strconv.AppendUint(to, seq, 16), '-')
	return strconv.AppendUint(to, uint64(delivery), 16)
}

func parseReceipt(b []byte) (seq uint64, delivery uint32, ok bool) {
	var parts [2]uint64
	k, digits := 0, 0
	for _, c := range b {
		switch {
		case c == '-' && k == 0 && digits > 0:
			k, digits = 1, 0
			continue
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, 0, false
		}
		if digits++; digits > 16 {
			return 0, 0, false
		}
		parts[k] = parts[k]<<4 | uint64(c)
	}
	return parts[0], uint32(parts[1]), k == 1 && digits > 0 && parts[1] <= 1<<32-1
}
