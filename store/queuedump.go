package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash"
	"math"
	"slices"
)

// queueVersion stands at the beginning of a dump.
const queueVersion = 2

// appendTo appends everything about the queue that lasts: settings, counters,
// ids seen, consumers, messages by number, the order of the ready ones, tickets
// and dead letters.
func (q *Queue) appendTo(dst []byte) []byte {
	w := QueueLog{On: true, b: append(dst, queueVersion)}
	for _, n := range q.set.all() {
		w.add(uint64(*n))
	}
	for _, n := range q.stats.all() {
		w.add(*n)
	}
	w.add(q.seq)
	w.add(uint64(q.seen.window))
	w.ids(q.seen.now)
	w.ids(q.seen.older)
	w.add(uint64(len(q.workers.list)))
	for i := range q.workers.list {
		w.text([]byte(q.workers.list[i].name))
	}
	w.add(uint64(q.all.len()))
	q.all.each(func(seq uint64, b []byte) bool {
		w.add(seq)
		w.text(b)
		return true
	})
	for p := range q.ready {
		q.appendRing(&w, &q.ready[p])
	}
	q.tickets.each(func(t *ticket) {
		w.op(byte(t.state), t.seq, uint64(t.when), uint64(t.consumer))
	})
	w.op(byte(Dead), uint64(q.count[Dead]))
	q.dead.each(0, func(d *deadLetter) bool {
		w.op(byte(d.reason), d.seq, uint64(d.last))
		return true
	})
	return w.b
}

func (c *QueueCounters) all() [8]*uint64 {
	return [...]*uint64{&c.Published, &c.Consumed, &c.Acked, &c.Nacked, &c.Redelivered, &c.DeadLettered, &c.Expired, &c.DeadDropped}
}

func (l *QueueLog) add(n uint64) { l.b = binary.AppendUvarint(l.b, n) }

// ids appends a table of ids with their times, in order.
func (l *QueueLog) ids(t *table) {
	if t == nil {
		l.add(0)
		return
	}
	var all []elem
	t.each(func(e elem) bool {
		all = append(all, e)
		return true
	})
	slices.SortFunc(all, func(a, b elem) int { return bytes.Compare(t.key(a), t.key(b)) })
	l.add(uint64(len(all)))
	for _, e := range all {
		l.text(t.key(e))
		l.add(binary.LittleEndian.Uint64(t.value(e)))
	}
}

func (q *Queue) appendRing(w *QueueLog, r *ring) {
	for _, row := range [...][]uint64{r.fresh.all(), r.again} {
		n := 0
		for _, seq := range row {
			if !q.message(seq).gone() {
				n++
			}
		}
		w.add(uint64(n))
		for _, seq := range row {
			if !q.message(seq).gone() {
				w.add(seq)
			}
		}
	}
}

// loadQueue builds a queue from a dump.
func loadQueue(s *Store, b []byte) (*Queue, error) {
	q := newQueue(s)
	r := queueReader{b: b}
	if q.load(&r) && !r.bad && len(r.b) == 0 {
		return q, nil
	}
	q.release()
	return nil, ErrQueueData
}

func (q *Queue) load(r *queueReader) bool {
	if r.code() != queueVersion {
		return false
	}
	for _, n := range q.set.all() {
		*n = r.time()
	}
	for _, n := range q.stats.all() {
		*n = uint64(r.time())
	}
	q.told.Counters = q.stats // the store's totals count what happens from now on
	q.seq = r.upTo(maxNumber)
	window := r.time()
	newest := q.loadIDs(r)
	q.seen.older, q.seen.now = q.seen.now, nil
	oldest := q.loadIDs(r)
	q.seen.now, q.seen.older = q.seen.older, q.seen.now
	q.seen.since, q.seen.window = max(newest, oldest), window
	for n := r.upTo(uint64(len(r.b))); n > 0 && !r.bad; n-- {
		name := r.text(MaxConsumerName)
		if _, doubled := q.workers.byName[string(name)]; doubled || r.bad {
			return false
		}
		if len(name) == 0 { // a number that is free
			q.workers.unused = append(q.workers.unused, uint32(len(q.workers.list)))
			q.workers.list = append(q.workers.list, consumer{})
			continue
		}
		q.workers.load(name)
	}
	for n := r.upTo(uint64(len(r.b))); n > 0 && !r.bad; n-- {
		if !q.loadMessage(r) {
			return false
		}
	}
	for p := range q.ready {
		if !q.loadRing(r, p) {
			return false
		}
	}
	return q.loadTickets(r) && q.loadDead(r) && q.Len()+q.count[Dead] == q.all.len()
}

func (q *Queue) loadIDs(r *queueReader) (newest int64) {
	for n := r.upTo(uint64(len(r.b))); n > 0 && !r.bad; n-- {
		id, at := r.text(MaxMessageID), r.time()
		if len(id) > 0 && !r.bad && q.seen.hasRoom(int64(len(id))) {
			q.seen.add(id, at, math.MaxInt64)
			newest = max(newest, at)
		}
	}
	return newest
}

// loadMessage reads a message and checks that its parts fit.
func (q *Queue) loadMessage(r *queueReader) bool {
	seq, b := r.number(), r.text(math.MaxInt)
	if r.bad || seq == 0 || seq > q.seq || len(b) < messageHead || b[30]&priorityMask >= priorities || q.message(seq).b != nil {
		return false
	}
	size := messageHead
	if b[30]&flagDies != 0 {
		size += 8
	}
	if b[30]&flagHeaders != 0 {
		if size += 4; len(b) < size {
			return false
		}
		size += int(binary.LittleEndian.Uint32(b[size-4:]))
	}
	size += int(binary.LittleEndian.Uint32(b[24:])) + int(binary.LittleEndian.Uint16(b[28:]))
	if size != len(b) || (message{seq, b}).dies() < 0 || !q.all.log.hasRoom(1, int64(size)+8) {
		return false
	}
	_, _, headers := message{seq, b}.parts()
	h, n := queueReader{b: headers}, 0
	for ; h.more(); n++ {
		h.text(math.MaxInt)
	}
	if h.bad || n%2 != 0 {
		return false
	}
	copy(q.all.add(seq, len(b)), b)
	m := q.message(seq)
	m.b[30] &^= flagDead | flagPlaced
	m.setTicket(noTicket)
	return true
}

// unplaced returns a message that no place was given to yet.
func (q *Queue) unplaced(seq uint64) (message, bool) {
	m := q.message(seq)
	return m, m.b != nil && m.b[30]&flagPlaced == 0
}

func (q *Queue) loadRing(r *queueReader, p int) bool {
	for row := range 2 {
		for n := r.upTo(uint64(len(r.b))); n > 0 && !r.bad; n-- {
			m, ok := q.unplaced(r.number())
			if !ok || m.priority() != p || row == 1 != (m.deliveries() > 0) {
				return false
			}
			m.b[30] |= flagPlaced
			q.join(m.seq)
		}
	}
	return !r.bad
}

func (q *Queue) loadTickets(r *queueReader) bool {
	for !r.bad {
		state := QueueState(r.code())
		if state == Dead {
			return !r.bad
		}
		seq, when, worker := r.number(), r.time(), r.upTo(uint64(len(q.workers.list)))
		m := q.message(seq)
		if r.bad || m.b == nil || m.ticket() != noTicket || state > Delayed || when == 0 {
			return false
		}
		placed := m.b[30]&flagPlaced != 0
		if placed != (state == Ready) || state == Unacked && worker >= uint64(len(q.workers.list)) {
			return false
		}
		m.b[30] |= flagPlaced
		m.setTicket(q.tickets.take(ticket{seq: seq, when: when, state: state, consumer: uint32(worker)}))
		switch state {
		case Unacked:
			q.workers.list[worker].unacked++
			q.count[Unacked]++
		case Delayed:
			q.count[Delayed]++
		}
	}
	return false
}

func (q *Queue) loadDead(r *queueReader) bool {
	for n := r.upTo(uint64(len(r.b))); n > 0 && !r.bad; n-- {
		reason := DeadReason(r.code())
		m, ok := q.unplaced(r.number())
		last := r.time()
		if r.bad || !ok || reason > DeadTTL {
			return false
		}
		m.b[30] |= flagPlaced
		m.setDead()
		q.addDead(m, deadLetter{m.seq, last, reason})
	}
	return !r.bad
}

// Clone returns a copy, without idle room; the copy knows no client as owner of
// a lease.
func (q *Queue) Clone() Object {
	c, err := loadQueue(q.seen.store, q.appendTo(nil))
	if err != nil {
		panic("store: a queue's dump cannot be loaded: " + err.Error())
	}
	return c
}

// digest adds all that two equal queues have in common.
func (q *Queue) digest(h hash.Hash) {
	numbers := []uint64{q.seq}
	for _, n := range q.set.all() {
		numbers = append(numbers, uint64(*n))
	}
	digestNumbers(h, append(numbers, counters(&q.stats)...)...)
	for s := Ready; s <= Dead; s++ {
		var all []Message
		q.Peek(s, func(m Message) bool {
			all = append(all, m)
			return true
		})
		if s == Unacked || s == Delayed {
			slices.SortFunc(all, func(a, b Message) int { return cmp.Compare(a.m.seq, b.m.seq) })
		}
		for _, m := range all {
			q.digestMessage(h, m, s)
		}
	}
}

func (q *Queue) digestMessage(h hash.Hash, m Message, s QueueState) {
	when := int64(0)
	if at, ok := q.ticketOf(m.m.seq); ok {
		when = q.tickets.at(at).when
	}
	digestNumbers(h, uint64(s), uint64(m.Reason), uint64(m.Last), uint64(m.Priority()), uint64(m.Published()),
		uint64(m.First()), uint64(m.m.retries()), uint64(m.m.dies()), uint64(when))
	part(h, m.AppendReceipt(nil))
	part(h, m.AppendID(nil))
	part(h, m.Payload())
	m.Headers(func(b []byte) { part(h, b) })
}

func digestNumbers(h hash.Hash, numbers ...uint64) {
	var b []byte
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	part(h, b)
}

func counters(c *QueueCounters) []uint64 {
	out := make([]uint64, 0, 8)
	for _, n := range c.all() {
		out = append(out, *n)
	}
	return out
}
