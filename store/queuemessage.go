package store

import (
	"container/heap"
	"encoding/binary"
	"strconv"
	"unsafe"
)

// message is a message by its number, and its bytes on the shelf:
//
//	6 bytes   published, unix milliseconds
//	6         first failure, 0 = none
//	4         deliveries
//	4         ticket, noTicket = none
//	4         retries, ownRetries = the queue's
//	4         length of the payload
//	2         length of the id, 0 = made of time and number
//	1         priority and flags
//	8         end of the time-to-live, with flagDies
//	4         length of the headers, with flagHeaders
//	          id, payload, headers (each a varint and bytes)
type message struct {
	seq uint64
	b   []byte // nil: there is none
}

const (
	messageHead  = 31
	messageMost  = messageHead + 8 + 4 + 8 // with all that may stand before id, payload and headers, and the key
	priorityMask = 0x0f
	flagDies     = 0x10
	flagHeaders  = 0x20
	flagDead     = 0x40
	flagPlaced   = 0x80 // while a dump is loaded: it has its place

	noTicket   = 1<<32 - 1
	ownRetries = 1<<32 - 1

	// MaxMessageID is the most bytes of a message's id.
	MaxMessageID = 1<<16 - 1
	// MaxRetries is the most redeliveries a message may ask for.
	MaxRetries = 1<<32 - 2
)

// message finds a message; its bytes are valid until the queue next changes.
func (q *Queue) message(seq uint64) message {
	return message{seq, q.all.find(seq)}
}

// erase removes a message from the shelf alone.
func (q *Queue) erase(seq uint64) {
	q.all.remove(seq)
}

// published returns when a message was published, now if it is gone.
func (q *Queue) published(seq uint64, now int64) int64 {
	if m := q.message(seq); !m.gone() {
		return m.published()
	}
	return now
}

func (m message) published() int64    { return get48(m.b) }
func (m message) failed() int64       { return get48(m.b[6:]) }
func (m message) setFailed(at int64)  { put48(m.b[6:], at) }
func (m message) deliveries() uint32  { return binary.LittleEndian.Uint32(m.b[12:]) }
func (m message) ticket() uint32      { return binary.LittleEndian.Uint32(m.b[16:]) }
func (m message) setTicket(at uint32) { binary.LittleEndian.PutUint32(m.b[16:], at) }
func (m message) priority() int       { return int(m.b[30] & priorityMask) }
func (m message) setDead()            { m.b[30] |= flagDead }

// gone reports whether a place among the ready messages is that of one which
// died or was removed.
func (m message) gone() bool { return m.b == nil || m.b[30]&flagDead != 0 }

func (m message) setDeliveries(n uint32) { binary.LittleEndian.PutUint32(m.b[12:], n) }

// retries returns how many redeliveries the message asked for, negative if it
// left that to the queue.
func (m message) retries() int64 {
	if n := binary.LittleEndian.Uint32(m.b[20:]); n != ownRetries {
		return int64(n)
	}
	return -1
}

// dies returns when the time-to-live ends, 0 = never.
func (m message) dies() int64 {
	if m.b[30]&flagDies == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(m.b[messageHead:]))
}

// parts returns the id (empty if made), the payload and the headers.
func (m message) parts() (id, payload, headers []byte) {
	b, at, head := m.b, messageHead, 0
	if b[30]&flagDies != 0 {
		at += 8
	}
	if b[30]&flagHeaders != 0 {
		head = int(binary.LittleEndian.Uint32(b[at:]))
		at += 4
	}
	n, size := int(binary.LittleEndian.Uint16(b[28:])), int(binary.LittleEndian.Uint32(b[24:]))
	return b[at : at+n], b[at+n : at+n+size], b[at+n+size : at+n+size+head]
}

// appendID appends the message's id: the one it was given, or time and number.
func (m message) appendID(to []byte) []byte {
	if id, _, _ := m.parts(); len(id) > 0 {
		return append(to, id...)
	}
	to = strconv.AppendInt(to, m.published(), 10)
	return strconv.AppendUint(append(to, '-'), m.seq, 10)
}

func get48(b []byte) int64 {
	return int64(uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint16(b[4:]))<<32)
}

func put48(b []byte, n int64) {
	binary.LittleEndian.PutUint32(b, uint32(n))
	binary.LittleEndian.PutUint16(b[4:], uint16(n>>32))
}

// newMessage puts a message on the shelf.
func (q *Queue) newMessage(r *publishing) {
	size, headers := messageHead+len(r.ID)+len(r.Payload), 0
	flags := byte(r.Priority)
	if r.dies != 0 {
		flags |= flagDies
		size += 8
	}
	if len(r.Headers) > 0 {
		flags |= flagHeaders
		headers = headerBytes(r.Headers)
		size += 4 + headers
	}
	b := q.all.add(r.seq, size)[:messageHead]
	put48(b, r.at)
	put48(b[6:], 0)
	binary.LittleEndian.PutUint32(b[12:], 0)
	binary.LittleEndian.PutUint32(b[16:], noTicket)
	retries := uint32(ownRetries)
	if r.Retries >= 0 {
		retries = uint32(r.Retries)
	}
	binary.LittleEndian.PutUint32(b[20:], retries)
	binary.LittleEndian.PutUint32(b[24:], uint32(len(r.Payload)))
	binary.LittleEndian.PutUint16(b[28:], uint16(len(r.ID)))
	b[30] = flags
	if r.dies != 0 {
		b = binary.LittleEndian.AppendUint64(b, uint64(r.dies))
	}
	if headers > 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(headers))
	}
	b = append(append(b, r.ID...), r.Payload...)
	for _, h := range r.Headers {
		b = append(binary.AppendUvarint(b, uint64(len(h))), h...)
	}
}

func headerBytes(headers [][]byte) int {
	n := 0
	for _, h := range headers {
		n += uvarintBytes(uint64(len(h))) + len(h)
	}
	return n
}

func uvarintBytes(n uint64) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// Message is a message during a visit: its bytes are valid until the visit
// ends.
type Message struct {
	State  QueueState
	Reason DeadReason // of a dead one
	Last   int64      // last failure of a dead one, unix milliseconds
	m      message
}

// AppendID appends the id.
func (m Message) AppendID(to []byte) []byte { return m.m.appendID(to) }

// AppendReceipt appends the receipt under which an unacked message is held.
func (m Message) AppendReceipt(to []byte) []byte {
	return appendReceipt(to, m.m.seq, m.m.deliveries())
}

// Payload returns the payload.
func (m Message) Payload() []byte { _, p, _ := m.m.parts(); return p }

// Priority returns the priority, 0 to 9.
func (m Message) Priority() int { return m.m.priority() }

// Deliveries returns how often the message was delivered.
func (m Message) Deliveries() int { return int(m.m.deliveries()) }

// First returns the time of the first failure in unix milliseconds, 0 if there
// was none.
func (m Message) First() int64 { return m.m.failed() }

// Published returns the time of publication in unix milliseconds.
func (m Message) Published() int64 { return m.m.published() }

// Fields returns the number of headers.
func (m Message) Fields() int {
	n := 0
	m.Headers(func([]byte) { n++ })
	return n / 2
}

// Headers visits fields and values in turn.
func (m Message) Headers(visit func(b []byte)) {
	_, _, h := m.m.parts()
	for len(h) > 0 {
		n, k := binary.Uvarint(h)
		visit(h[k : k+int(n)])
		h = h[k+int(n):]
	}
}

// ring holds the numbers of the ready messages of a priority, and of some that
// died meanwhile.
type ring struct {
	fresh   deque[uint64] // never delivered, in order
	again   numberHeap    // delivered before, in order of publication
	live    int
	corpses int
}

func (r *ring) bytes() int64 { return int64(r.fresh.cap()+cap(r.again)) * 8 }

// pop takes the number that is next in line; there is one.
func (r *ring) pop() uint64 {
	if len(r.again) > 0 {
		return r.again.pop()
	}
	seq := *r.fresh.at(0)
	r.fresh.popFront()
	return seq
}

// entomb counts a ready message that died out of its ring. Its place goes when
// its turn comes, or when half of the ring is such places.
func (q *Queue) entomb(m message) {
	p := m.priority()
	r := &q.ready[p]
	r.corpses++
	q.leave(p)
	q.uncover(r)
	if r.corpses > minCorpses && r.corpses > r.live {
		q.sweep(r)
	}
}

// uncover takes places of dead messages from the front, where the age of the
// oldest is read.
func (q *Queue) uncover(r *ring) {
	for len(r.again) > 0 && q.message(r.again[0]).gone() {
		r.again.pop()
		r.corpses--
	}
	for r.fresh.len() > 0 && q.message(*r.fresh.at(0)).gone() {
		r.fresh.popFront()
		r.corpses--
	}
}

// minCorpses is how many places of dead messages a ring may always have.
const minCorpses = 64

// sweep removes the places of messages that are gone.
func (q *Queue) sweep(r *ring) {
	old := *r
	*r = ring{live: old.live}
	for _, seq := range old.fresh.all() {
		if !q.message(seq).gone() {
			r.fresh.pushBack(seq)
		}
	}
	for _, seq := range old.again {
		if !q.message(seq).gone() {
			r.again.push(seq)
		}
	}
}

// numberHeap is a binary heap of numbers, the least first.
type numberHeap []uint64

func (h *numberHeap) push(n uint64) {
	*h = append(*h, n)
	a := *h
	i := len(a) - 1
	for ; i > 0 && a[(i-1)/2] > n; i = (i - 1) / 2 {
		a[i] = a[(i-1)/2]
	}
	a[i] = n
}

func (h *numberHeap) pop() uint64 {
	a := *h
	top, last := a[0], a[len(a)-1]
	a = a[:len(a)-1]
	*h = a
	if len(a) == 0 {
		*h = nil
		return top
	}
	i := 0
	for down := 1; down < len(a); down = 2*i + 1 {
		if down+1 < len(a) && a[down+1] < a[down] {
			down++
		}
		if last <= a[down] {
			break
		}
		a[i] = a[down]
		i = down
	}
	a[i] = last
	return top
}

// heapWalk visits a heap's numbers in order and leaves the heap alone: after k
// of them it knows the places, at most k+1, of which one is next.
type heapWalk struct {
	of     numberHeap
	places []int // a binary heap by the numbers there
	begun  bool
}

func (w *heapWalk) more() bool {
	if !w.begun {
		w.begun = true
		w.add(0)
	}
	return len(w.places) > 0
}

func (w *heapWalk) add(place int) {
	if place < len(w.of) {
		heap.Push(w, place)
	}
}

// next returns the next number; there is one.
func (w *heapWalk) next() uint64 {
	place := heap.Pop(w).(int)
	w.add(2*place + 1)
	w.add(2*place + 2)
	return w.of[place]
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (w *heapWalk) Len() int           { return len(w.places) }
func (w *heapWalk) Less(i, j int) bool { return w.of[w.places[i]] < w.of[w.places[j]] }
func (w *heapWalk) Swap(i, j int)      { w.places[i], w.places[j] = w.places[j], w.places[i] }
func (w *heapWalk) Push(place any)     { w.places = append(w.places, place.(int)) }

func (w *heapWalk) Pop() any {
	last := w.places[len(w.places)-1]
	w.places = w.places[:len(w.places)-1]
	return last
}

// ticket is what a message with a timer has beside its bytes.
type ticket struct {
	seq      uint64
	when     int64  // unix milliseconds
	owner    uint64 // client at whose end the lease ends; 0 = none
	place    uint32 // in the heap
	consumer uint32 // of a lease
	before   uint32 // of the same owner
	after    uint32
	state    QueueState
	live     bool
}

// tickets is a table of tickets and, for each state, a 4-ary heap of them by
// time: those in one state are found without a look at the others.
type tickets struct {
	slots  []ticket
	unused []uint32
	heaps  [Dead][]uint32 // of messages that are ready, unacked and delayed
}

func (t *tickets) at(i uint32) *ticket { return &t.slots[i] }

// each visits the live tickets in order of number.
func (t *tickets) each(visit func(v *ticket)) {
	for i := range t.slots {
		if t.slots[i].live {
			visit(&t.slots[i])
		}
	}
}

func (t *tickets) bytes() int64 {
	n := int64(cap(t.slots))*int64(unsafe.Sizeof(ticket{})) + int64(cap(t.unused))*4
	for _, h := range t.heaps {
		n += int64(cap(h)) * 4
	}
	return n
}

// first returns the earliest ticket and its time, 0 if there is none.
func (t *tickets) first() (i uint32, when int64) {
	for _, h := range t.heaps {
		if len(h) > 0 && (when == 0 || t.slots[h[0]].when < when) {
			i, when = h[0], t.slots[h[0]].when
		}
	}
	return i, when
}

// take makes a ticket and returns its number.
func (t *tickets) take(v ticket) uint32 {
	i := uint32(len(t.slots))
	if n := len(t.unused); n > 0 {
		i, t.unused = t.unused[n-1], t.unused[:n-1]
	} else {
		t.slots = append(t.slots, ticket{})
	}
	t.enter(i, v)
	return i
}

// change replaces a live ticket.
func (t *tickets) change(i uint32, v ticket) {
	if old := &t.slots[i]; old.state != v.state {
		t.leave(i)
		t.enter(i, v)
		return
	}
	v.live, v.place = true, t.slots[i].place
	t.slots[i] = v
	t.fix(t.heaps[v.state], v.place, i)
}

func (t *tickets) reschedule(i uint32, when int64) {
	v := &t.slots[i]
	v.when = when
	t.fix(t.heaps[v.state], v.place, i)
}

// free gives a ticket up; all memory goes with the last one.
func (t *tickets) free(i uint32) {
	t.leave(i)
	t.slots[i] = ticket{}
	if len(t.unused)+1 == len(t.slots) {
		*t = tickets{}
		return
	}
	t.unused = append(t.unused, i)
}

// enter puts v in a slot, and in its state's heap.
func (t *tickets) enter(i uint32, v ticket) {
	h := append(t.heaps[v.state], i)
	t.heaps[v.state] = h
	v.live, v.place = true, uint32(len(h)-1)
	t.slots[i] = v
	t.up(h, v.place, i)
}

// leave takes a ticket out of its state's heap.
func (t *tickets) leave(i uint32) {
	at, state := t.slots[i].place, t.slots[i].state
	h := t.heaps[state]
	n := uint32(len(h) - 1)
	last := h[n]
	h = h[:n]
	t.heaps[state] = h
	switch {
	case n == 0:
		t.heaps[state] = nil
	case at != n:
		t.fix(h, at, last)
	}
}

func (t *tickets) put(h []uint32, at, i uint32) {
	h[at] = i
	t.slots[i].place = at
}

func (t *tickets) fix(h []uint32, at, i uint32) {
	if at > 0 && t.slots[i].when < t.slots[h[(at-1)/arity]].when {
		t.up(h, at, i)
	} else {
		t.down(h, at, i)
	}
}

func (t *tickets) up(h []uint32, at, i uint32) {
	for at > 0 {
		parent := (at - 1) / arity
		if t.slots[h[parent]].when <= t.slots[i].when {
			break
		}
		t.put(h, at, h[parent])
		at = parent
	}
	t.put(h, at, i)
}

func (t *tickets) down(h []uint32, at, i uint32) {
	n := uint32(len(h))
	for {
		child := at*arity + 1
		if child >= n {
			break
		}
		for k := child + 1; k < min(at*arity+arity+1, n); k++ {
			if t.slots[h[k]].when < t.slots[h[child]].when {
				child = k
			}
		}
		if t.slots[i].when <= t.slots[h[child]].when {
			break
		}
		t.put(h, at, h[child])
		at = child
	}
	t.put(h, at, i)
}
