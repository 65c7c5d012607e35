package store

import "unsafe"

// largeHash is a hash too large to be packed. It is guarded by the lock of its
// key's shard; whoever changes it settles the accounts.
type largeHash struct {
	t     *table
	times fieldTimes
	state byte // hashNamed, hashTimed
}

func newLargeHash(s *Store) *largeHash {
	l := &largeHash{t: newTable(s)}
	l.times.from = l.t.from
	l.t.onMove = l.times.moved
	return l
}

// Kind returns KindHash.
func (l *largeHash) Kind() Kind { return KindHash }

// Len returns the number of fields.
func (l *largeHash) Len() int { return l.t.len() }

// Bytes returns the memory held.
func (l *largeHash) Bytes() int64 {
	return int64(unsafe.Sizeof(*l)) + l.t.bytes() + l.times.bytes()
}

// heapBytes returns the part of Bytes that is on the Go heap.
func (l *largeHash) heapBytes() int64 {
	return int64(unsafe.Sizeof(*l)) + l.t.heapBytes() + l.times.mapBytes()
}

// Clone returns a copy.
func (l *largeHash) Clone() Object {
	c := &largeHash{t: l.t.clone(), times: l.times.clone(), state: l.state}
	c.t.onMove = c.times.moved
	return c
}

func (l *largeHash) release() {
	l.t.release()
	l.times.release()
}

// due reports whether the time of some field has come.
func (l *largeHash) due(now int64) bool {
	first := l.times.heap.first()
	return first != 0 && first <= now
}

// dueCount returns how many fields there are whose time has come.
func (l *largeHash) dueCount(now int64) int {
	if !l.due(now) {
		return 0
	}
	return l.times.heap.countDue(0, now)
}

// overdue reports whether the time of e has come; due says that it has for some
// field.
func (l *largeHash) overdue(e elem, due bool, now int64) bool {
	if !due {
		return false
	}
	at := l.times.at(e)
	return at != 0 && at <= now
}

// find returns the element of a field, 0 if it is absent.
func (l *largeHash) find(field []byte, now int64) elem {
	e := l.t.find(field)
	if e != 0 && l.overdue(e, l.due(now), now) {
		return 0
	}
	return e
}

func (l *largeHash) get(field []byte, now int64) ([]byte, bool) {
	e := l.find(field, now)
	if e == 0 {
		return nil, false
	}
	return l.t.value(e), true
}

func (l *largeHash) each(now int64, visit func(field, value []byte) bool) {
	due := l.due(now)
	l.t.each(func(e elem) bool {
		return l.overdue(e, due, now) || visit(l.t.key(e), l.t.value(e))
	})
}

func (l *largeHash) scan(cursor uint64, count int, now int64, visit func(field, value []byte)) uint64 {
	due := l.due(now)
	return l.t.scan(cursor, count, func(field, value []byte) {
		if !due || l.find(field, now) != 0 {
			visit(field, value)
		}
	})
}

// pick returns a random field whose time has not come; there must be one.
func (l *largeHash) pick(rnd *uint64, now int64) elem {
	due := l.due(now)
	for range 100 {
		if e := l.t.random(rnd); !l.overdue(e, due, now) {
			return e
		}
	}
	left, found := 1, elem(0) // nearly all are overdue: one pass over all, each kept with probability 1/left
	l.t.each(func(e elem) bool {
		if !l.overdue(e, due, now) {
			if mix(rnd)>>1%uint64(left) == 0 {
				found = e
			}
			left++
		}
		return true
	})
	return found
}

func (l *largeHash) random(n int64, rnd *uint64, now int64, visit func(field, value []byte) bool) {
	for ; n > 0; n-- {
		if e := l.pick(rnd, now); !visit(l.t.key(e), l.t.value(e)) {
			return
		}
	}
}

func (l *largeHash) sample(n int, rnd *uint64, now int64, visit func(field, value []byte) bool) {
	seen := map[elem]bool{}
	for len(seen) < n {
		e := l.pick(rnd, now)
		if seen[e] {
			continue
		}
		seen[e] = true
		if !visit(l.t.key(e), l.t.value(e)) {
			return
		}
	}
}

// put sets a field and reports whether it is new.
func (l *largeHash) put(field, value []byte, keep bool, now int64) (created bool) {
	e, created := l.t.put(field, value)
	if created || l.times.heap.n == 0 {
		return created
	}
	at := l.times.at(e)
	if gone := at != 0 && at <= now; gone || !keep {
		l.times.set(e, 0)
		return gone
	}
	return false
}

// delete removes a field and reports whether it was there.
func (l *largeHash) delete(field []byte, now int64) bool {
	e := l.find(field, now)
	if e == 0 {
		return false
	}
	l.times.set(e, 0)
	l.t.removeElem(e)
	return true
}

// setLarge sets a field of a large hash.
func (h *Hash) setLarge(field, value []byte, keep bool) (created bool) {
	created = h.big.put(field, value, keep, h.tx.Now)
	h.n = h.big.t.len()
	h.name(h.n, max(len(field), len(value)))
	return created
}

// unpackAll makes a packed or absent hash a large one. It records no change but
// the creation.
func (h *Hash) unpackAll() {
	l := newLargeHash(h.tx.store)
	if !h.live {
		h.tx.putObject(h.key, l)
		h.told = true
		h.reopen()
		return
	}
	l.state = h.state()
	p := h.pairs()
	for at := 0; at < len(p.b); {
		value := at + span(p.b[at:])
		e, _ := l.t.put(unpack(p.b[at:], &h.tx.field), unpack(p.b[value:], &h.tx.number))
		if p.timed {
			_, when := p.time(value)
			l.times.set(e, when)
		}
		at = p.behind(value)
	}
	h.become(value{kind: KindHash, object: l})
}

// become gives the hash another form, without recording a change.
func (h *Hash) become(v value) {
	h.at.c.replace(&h.at, h.key, v, h.at.clock())
	h.open(h.at)
}

// pack makes a large hash a packed one if it has got small, and reports whether
// it did.
func (h *Hash) pack() bool {
	l := h.big
	if h.n == 0 || h.n > hashPackedMax/2 || l.due(h.tx.Now) {
		return false
	}
	timed := l.state&hashTimed != 0
	b := make([]byte, hashHead, hashTimedHead+packedMax/2)
	b[0], b[1] = l.state, byte(h.n)
	if timed {
		b = append(b, 0, 0, 0, 0)
	}
	fits := true
	l.t.each(func(e elem) bool {
		field, value := pack(l.t.key(e)), pack(l.t.value(e))
		if fits = len(b)+field.total()+value.total()+noTime.total() <= packedMax/2; !fits {
			return false
		}
		b = appendPacked(appendPacked(b, field), value)
		if timed {
			b = appendPacked(b, timeElement(l.times.at(e)))
		}
		return true
	})
	if !fits {
		return false
	}
	h.become(value{kind: KindHash, bytes: b})
	return true
}

// appendPacked appends an element with its back length.
func appendPacked(b []byte, e element) []byte {
	n := len(b)
	b = extend(b, e.total())
	e.put(b[n:])
	return b
}

func (l *largeHash) releaseSome(n int64) bool { return l.t.releaseSome(n) }
