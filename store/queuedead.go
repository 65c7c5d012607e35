package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unsafe"
)

// deadLetters are the messages that nobody could handle, the oldest first. A
// dead message's ticket field holds its place: the number of dead letters
// before it, ever, modulo 2^32.
type deadLetters struct {
	rows  deque[deadLetter]
	first uint32 // place of the first row
	holes int    // rows of letters that were taken out
	named *table // number of those with an id of their own, by id; nil = none
}

type deadLetter struct {
	seq    uint64 // 0: taken out
	last   int64  // failure, unix milliseconds
	reason DeadReason
}

func (d *deadLetters) bytes() int64 {
	n := int64(d.rows.cap()) * int64(unsafe.Sizeof(deadLetter{}))
	if d.named != nil {
		n += d.named.bytes()
	}
	return n
}

func (d *deadLetters) release() {
	if d.named != nil {
		d.named.release()
	}
	*d = deadLetters{}
}

// each visits the letters from the nth on.
func (d *deadLetters) each(nth int, visit func(d *deadLetter) bool) {
	if d.holes == 0 && nth > 0 { // nothing to count
		for i := nth; i < d.rows.len() && visit(d.rows.at(i)); i++ {
		}
		return
	}
	for i := range d.rows.len() {
		if r := d.rows.at(i); r.seq == 0 {
			continue
		} else if nth--; nth < 0 && !visit(r) {
			return
		}
	}
}

// bury makes the message of a ticket a dead letter.
func (q *Queue) bury(at uint32, reason DeadReason, now int64) {
	t := q.tickets.at(at)
	m := q.message(t.seq)
	m.setDead()
	switch t.state {
	case Unacked:
		q.unlease(at)
	case Delayed:
		q.count[Delayed]--
	default:
		q.entomb(m)
	}
	q.tickets.free(at)
	if m.failed() == 0 {
		m.setFailed(now)
	}
	q.stats.DeadLettered++
	q.addDead(m, deadLetter{m.seq, now, reason})
	for q.set.DeadMax > 0 && int64(q.count[Dead]) > q.set.DeadMax {
		q.stats.DeadDropped++
		q.removeDead(q.dead.rows.at(0).seq) // the first is never a hole
	}
}

func (q *Queue) addDead(m message, row deadLetter) {
	d := &q.dead
	m.setTicket(d.first + uint32(d.rows.len()))
	d.rows.pushBack(row)
	q.count[Dead]++
	if id, _, _ := m.parts(); len(id) > 0 {
		if d.named == nil {
			d.named = newTable(q.seen.store)
		}
		var seq [8]byte
		binary.BigEndian.PutUint64(seq[:], m.seq)
		d.named.put(id, seq[:])
	}
}

// removeDead takes a dead letter out for good.
func (q *Queue) removeDead(seq uint64) {
	d := &q.dead
	m := q.message(seq)
	if id, _, _ := m.parts(); len(id) > 0 {
		if e := d.named.find(id); e != 0 && binary.BigEndian.Uint64(d.named.value(e)) == seq {
			d.named.removeElem(e)
		}
	}
	d.rows.at(int(m.ticket() - d.first)).seq = 0
	d.holes++
	q.erase(seq)
	if q.count[Dead]--; q.count[Dead] == 0 {
		d.release()
		return
	}
	for d.rows.at(0).seq == 0 {
		d.rows.popFront()
		d.first++
		d.holes--
	}
	if d.holes > minCorpses && d.holes > q.count[Dead] {
		q.closeHoles()
	}
}

func (q *Queue) closeHoles() {
	old := q.dead.rows
	q.dead.rows, q.dead.first, q.dead.holes = deque[deadLetter]{}, 0, 0
	for _, row := range old.all() {
		if row.seq != 0 {
			q.message(row.seq).setTicket(uint32(q.dead.rows.len()))
			q.dead.rows.pushBack(row)
		}
	}
}

// findDead returns the number of the dead letter with an id, 0 if there is
// none.
func (q *Queue) findDead(id []byte) uint64 {
	if q.dead.named != nil {
		if e := q.dead.named.find(id); e != 0 {
			return binary.BigEndian.Uint64(q.dead.named.value(e))
		}
	}
	_, number, ok := bytes.Cut(id, []byte{'-'})
	if !ok {
		return 0
	}
	seq, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return 0
	}
	if m := q.message(seq); m.b != nil && m.gone() && string(m.appendID(nil)) == string(id) {
		return seq
	}
	return 0
}

// DeadLetters visits dead letters, the oldest first, from the nth on.
func (q *Queue) DeadLetters(nth int, visit func(Message) bool) {
	q.dead.each(nth, func(d *deadLetter) bool {
		return visit(Message{m: q.message(d.seq), State: Dead, Reason: d.reason, Last: d.last})
	})
}

// DropDead removes the dead letter with an id and reports whether it was there.
func (q *Queue) DropDead(id []byte, log *QueueLog) bool {
	seq := q.findDead(id)
	if seq != 0 {
		q.removeDead(seq)
		log.number(opUndead, seq)
	}
	return seq != 0
}

// FindDead returns the numbers of dead letters: of those with the given ids, or
// without any of the first n.
func (q *Queue) FindDead(ids [][]byte, n int) []uint64 {
	var numbers []uint64
	for _, id := range ids {
		if seq := q.findDead(id); seq != 0 {
			numbers = append(numbers, seq)
		}
	}
	if len(ids) > 0 { // an id may be named twice
		slices.Sort(numbers)
		return slices.Compact(numbers)
	}
	q.dead.each(0, func(d *deadLetter) bool {
		if len(numbers) < n {
			numbers = append(numbers, d.seq)
		}
		return len(numbers) < n
	})
	return numbers
}

// Redrive publishes the dead letters with the given numbers anew, all or none,
// in to, which may be the queue itself.
func (q *Queue) Redrive(to *Queue, numbers []uint64, now int64, log, toLog *QueueLog) error {
	if most := to.set.MaxDepth; most > 0 && int64(to.Len()+len(numbers)) > most {
		return ErrQueueFull
	}
	size := int64(0)
	for _, seq := range numbers {
		size += int64(len(q.message(seq).b)) + maxMadeID
	}
	if to != q && !to.HasRoom(len(numbers), size) {
		return ErrQueueRoom
	}
	for _, seq := range numbers {
		q.redrive(seq, to, now, log, toLog)
	}
	return nil
}

// maxMadeID is the most bytes of an id made of time and number.
const maxMadeID = 40

func (q *Queue) redrive(seq uint64, to *Queue, now int64, log, toLog *QueueLog) {
	m := q.message(seq)
	_, payload, _ := m.parts()
	r := publishing{
		Publication: Publication{
			ID: m.appendID(nil), Payload: bytes.Clone(payload), Priority: m.priority(), Retries: m.retries(),
		},
		seq: to.seq + 1, at: now,
	}
	Message{m: m}.Headers(func(h []byte) { r.Headers = append(r.Headers, bytes.Clone(h)) })
	if to.set.TTL > 0 {
		r.dies = addTime(now, to.set.TTL)
	}
	q.removeDead(seq)
	log.number(opUndead, seq)
	to.publish(&r)
	toLog.publish(&r, 0)
}

// Peek visits messages in a state, in the order in which they are next in line,
// those with a timer about in its order, until visit returns false.
func (q *Queue) Peek(s QueueState, visit func(Message) bool) {
	switch s {
	case Ready:
		q.peekReady(visit)
	case Dead:
		q.DeadLetters(0, visit)
	default:
		for _, at := range q.tickets.heaps[s] {
			if !visit(Message{m: q.message(q.tickets.at(at).seq), State: s}) {
				return
			}
		}
	}
}

func (q *Queue) peekReady(visit func(Message) bool) {
	for p := priorities - 1; p >= 0; p-- {
		r := &q.ready[p]
		again := heapWalk{of: r.again}
		for i := 0; i < r.fresh.len() || again.more(); {
			var seq uint64
			if again.more() {
				seq = again.next()
			} else {
				seq = *r.fresh.at(i)
				i++
			}
			if m := q.message(seq); !m.gone() && !visit(Message{m: m}) {
				return
			}
		}
	}
}

// dedup remembers the ids of messages for some time: in two tables, of which
// the older one goes once all in it is too old. An id's value is the time in
// unix milliseconds.
type dedup struct {
	store      *Store
	now, older *table
	since      int64 // when now was begun
	window     int64 // milliseconds, of the last id
}

func (d *dedup) has(id []byte, since int64) bool {
	for _, t := range [...]*table{d.now, d.older} {
		if t == nil {
			continue
		}
		if e := t.find(id); e != 0 && int64(binary.LittleEndian.Uint64(t.value(e))) > since {
			return true
		}
	}
	return false
}

func (d *dedup) add(id []byte, now, window int64) {
	if len(id) == 0 || window <= 0 {
		return
	}
	d.window = window
	if d.now == nil || now-d.since > window {
		if d.older != nil {
			d.older.release()
		}
		d.older, d.now, d.since = d.now, newTable(d.store), now
	}
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(now))
	d.now.put(id, at[:])
}

// due returns when every id is too old, if none comes meanwhile; 0 = never.
func (d *dedup) due() int64 {
	if d.now == nil && d.older == nil {
		return 0
	}
	return addTime(addTime(d.since, d.window), d.window)
}

// hasRoom reports whether ids of so many bytes surely fit.
func (d *dedup) hasRoom(size int64) bool { return d.now == nil || d.now.hasRoom(1, size) }

func (d *dedup) bytes() int64 {
	n := int64(0)
	for _, t := range [...]*table{d.now, d.older} {
		if t != nil {
			n += t.bytes()
		}
	}
	return n
}

func (d *dedup) release() {
	for _, t := range [...]*table{d.now, d.older} {
		if t != nil {
			t.release()
		}
	}
	*d = dedup{store: d.store}
}

// consumers are those who asked for messages, by name.
type consumers struct {
	byName map[string]uint32
	list   []consumer
	unused []uint32
	hand   int   // where the next look for idle ones begins
	names  int64 // bytes
}

type consumer struct {
	name    string
	unacked int
	asked   int64 // unix milliseconds
	live    bool
}

const (
	consumerIdle = 60_000 // milliseconds after which one that holds nothing is forgotten
	consumerLook = 4      // looked at when a new one comes
)

// open returns the number of the consumer of a name, a new one if need be;
// false if there are most already.
func (c *consumers) open(name []byte, now int64, most int) (uint32, bool) {
	if i, ok := c.byName[string(name)]; ok {
		c.list[i].asked = now
		return i, true
	}
	c.forget(now, consumerLook)
	if len(c.byName) >= most {
		if c.forget(now, len(c.list)); len(c.byName) >= most {
			return 0, false
		}
	}
	if c.byName == nil {
		c.byName = make(map[string]uint32)
	}
	i := uint32(len(c.list))
	if n := len(c.unused); n > 0 {
		i, c.unused = c.unused[n-1], c.unused[:n-1]
	} else {
		c.list = append(c.list, consumer{})
	}
	c.list[i] = consumer{name: string(name), asked: now, live: true}
	c.names += int64(len(name))
	c.byName[c.list[i].name] = i
	return i, true
}

// load adds a consumer behind the others.
func (c *consumers) load(name []byte) {
	unused := c.unused
	c.unused = nil
	c.open(name, 0, math.MaxInt)
	c.unused = unused
}

// forget looks at the next n consumers and drops the idle ones.
func (c *consumers) forget(now int64, n int) {
	for range min(n, len(c.list)) {
		c.hand = (c.hand + 1) % len(c.list)
		w := &c.list[c.hand]
		if w.live && w.unacked == 0 && now-w.asked > consumerIdle {
			delete(c.byName, w.name)
			c.names -= int64(len(w.name))
			*w = consumer{}
			c.unused = append(c.unused, uint32(c.hand))
		}
	}
}

func (c *consumers) count(now int64) int {
	n := 0
	for i := range c.list {
		if w := &c.list[i]; w.live && (w.unacked > 0 || now-w.asked <= consumerIdle) {
			n++
		}
	}
	return n
}

func (c *consumers) bytes() int64 {
	const perName = 48 // of a map
	return int64(cap(c.list))*int64(unsafe.Sizeof(consumer{})) + int64(len(c.byName))*perName + c.names
}
