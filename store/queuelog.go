package store

import (
	"encoding/binary"
	"math"
)

// QueueLog collects what was done to a queue as operations that Queue.Apply
// repeats on an equal queue: a byte that names the operation, then numbers as
// varints and texts with their length before them. The zero value writes
// nothing: On says that somebody reads it.
type QueueLog struct {
	On    bool
	b     []byte
	dead  int32 // messages that became dead letters
	again int32 // messages delivered again
}

const (
	opSettings   = iota + 1 // the eight settings
	opPublish               // number, time, priority, due, end of life, retries + 1, window, id, payload, count of headers, headers
	opLease                 // deadline, consumer: of the message next in line
	opAck                   // message
	opNacked                // counts one
	opGiveBack              // message, due, time
	opBury                  // message, reason, time
	opReschedule            // message, time
	opArrive                // message: its delay is over
	opExpired               // counts one
	opPurge                 // state
	opUndead                // message: a dead letter that is taken out
)

var wordQAPPLY = []byte("QAPPLY")

// record returns the command that repeats what was done to the queue at key;
// nil if nobody reads it.
func (l *QueueLog) record(key []byte) [][]byte {
	if !l.On {
		return nil
	}
	return [][]byte{wordQAPPLY, key, l.b}
}

func (l *QueueLog) op(code byte, numbers ...uint64) {
	l.b = append(l.b, code)
	for _, n := range numbers {
		l.b = binary.AppendUvarint(l.b, n)
	}
}

func (l *QueueLog) text(b []byte) {
	l.b = append(binary.AppendUvarint(l.b, uint64(len(b))), b...)
}

func (l *QueueLog) count(code byte) {
	if l.On {
		l.op(code)
	}
}

func (l *QueueLog) number(code byte, n uint64) {
	if l.On {
		l.op(code, n)
	}
}

func (l *QueueLog) purge(s QueueState) { l.number(opPurge, uint64(s)) }

func (l *QueueLog) giveBack(seq uint64, due, now int64) {
	if l.On {
		l.op(opGiveBack, seq, uint64(due), uint64(now))
	}
}

func (l *QueueLog) bury(seq uint64, reason DeadReason, now int64) {
	l.dead++
	if l.On {
		l.op(opBury, seq, uint64(reason), uint64(now))
	}
}

func (l *QueueLog) reschedule(seq uint64, when int64) {
	if l.On {
		l.op(opReschedule, seq, uint64(when))
	}
}

func (l *QueueLog) lease(consumer []byte, deadline int64) {
	if l.On {
		l.op(opLease, uint64(deadline))
		l.text(consumer)
	}
}

func (l *QueueLog) settings(s *QueueSettings) {
	if l.On {
		l.b = append(l.b, opSettings)
		for _, n := range s.all() {
			l.b = binary.AppendUvarint(l.b, uint64(*n))
		}
	}
}

func (s *QueueSettings) all() [8]*int64 {
	return [...]*int64{&s.MaxDepth, &s.AckDeadline, &s.Retries, &s.Backoff, &s.BackoffMax, &s.DeadMax, &s.TTL, &s.Prefetch}
}

func (l *QueueLog) publish(r *publishing, window int64) {
	if !l.On {
		return
	}
	l.op(opPublish, r.seq, uint64(r.at), uint64(r.Priority), uint64(r.Due), uint64(r.dies),
		uint64(r.Retries+1), uint64(max(window, 0)))
	l.text(r.ID)
	l.text(r.Payload)
	l.b = binary.AppendUvarint(l.b, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		l.text(h)
	}
}

// reader reads what a QueueLog or a dump holds; its first failure lasts.
type queueReader struct {
	b   []byte
	bad bool
}

func (r *queueReader) more() bool { return len(r.b) > 0 && !r.bad }

func (r *queueReader) number() uint64 {
	n, k := binary.Uvarint(r.b)
	if k <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[k:]
	return n
}

// upTo reads a number that is at most most.
func (r *queueReader) upTo(most uint64) uint64 {
	n := r.number()
	if n > most {
		r.bad = true
		return 0
	}
	return n
}

func (r *queueReader) time() int64 { return int64(r.upTo(math.MaxInt64)) }

func (r *queueReader) code() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// text returns bytes that alias the input.
func (r *queueReader) text(most int) []byte {
	n := r.upTo(uint64(min(len(r.b), most)))
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

// Apply repeats operations that a QueueLog collected. It stops at the first
// that does not fit, and returns how many bytes went before it.
func (q *Queue) Apply(ops []byte) (done int, err error) {
	r := queueReader{b: ops}
	for r.more() {
		if !q.apply(&r) || r.bad {
			return done, ErrQueueData
		}
		done = len(ops) - len(r.b)
	}
	return done, nil
}

// apply repeats one operation and reports whether it fits.
func (q *Queue) apply(r *queueReader) bool {
	switch code := r.code(); code {
	case opSettings:
		return q.applySettings(r)
	case opPublish:
		return q.applyPublish(r)
	case opLease:
		return q.applyLease(r)
	case opNacked:
		q.stats.Nacked++
	case opExpired:
		q.stats.Expired++
	case opPurge:
		if s := QueueState(r.upTo(uint64(Dead))); !r.bad {
			q.purge(s)
		}
	case opUndead:
		seq := r.number()
		if m := q.message(seq); r.bad || m.b == nil || !m.gone() {
			return false
		}
		q.removeDead(seq)
	default:
		at, ok := q.ticketOf(r.number())
		return !r.bad && ok && q.applyTicket(r, code, at)
	}
	return true
}

// applyTicket repeats an operation on a message that has a ticket.
func (q *Queue) applyTicket(r *queueReader, code byte, at uint32) bool {
	state := q.tickets.at(at).state
	switch code {
	case opAck:
		if state != Unacked {
			return false
		}
		q.ack(at)
	case opGiveBack:
		due, now := r.time(), r.time()
		if r.bad || state != Unacked {
			return false
		}
		q.giveBack(at, due, now)
	case opBury:
		reason, now := r.upTo(uint64(DeadTTL)), r.time()
		if r.bad {
			return false
		}
		q.bury(at, DeadReason(reason), now)
	case opReschedule:
		when := r.time()
		if r.bad || when == 0 {
			return false
		}
		q.tickets.reschedule(at, when)
	case opArrive:
		if state != Delayed {
			return false
		}
		q.arrive(at)
	default:
		return false
	}
	return true
}

func (q *Queue) applySettings(r *queueReader) bool {
	var set QueueSettings
	for _, n := range set.all() {
		*n = r.time()
	}
	if !r.bad {
		q.set = set
	}
	return !r.bad
}

func (q *Queue) applyPublish(r *queueReader) bool {
	p := publishing{seq: r.number(), at: r.time()}
	p.Priority = int(r.upTo(priorities - 1))
	p.Due, p.dies = r.time(), r.time()
	p.Retries = int64(r.upTo(MaxRetries+1)) - 1
	window := r.time()
	p.ID = r.text(MaxMessageID)
	p.Payload = r.text(math.MaxInt)
	for n := r.upTo(uint64(len(r.b))); n > 0 && !r.bad; n-- {
		p.Headers = append(p.Headers, r.text(math.MaxInt))
	}
	if r.bad || p.seq <= q.seq || p.seq > maxNumber || !q.HasRoom(1, p.size()) {
		return false
	}
	q.publish(&p)
	q.seen.add(p.ID, p.at, window)
	return true
}

func (q *Queue) applyLease(r *queueReader) bool {
	deadline := r.time()
	name := r.text(math.MaxInt)
	if r.bad || q.filled == 0 || deadline == 0 || len(name) == 0 || len(name) > MaxConsumerName {
		return false
	}
	q.workers.forget(deadline, consumerLook)
	worker, _ := q.workers.open(name, 0, math.MaxInt)
	q.lease(q.next(), worker, deadline)
	return true
}
