package store

import "unsafe"

// deadlines is a 4-ary heap of the expiring entries of a shard, the earliest
// first. Each entry's header holds its place, each item the entry's reference.
type deadlines struct {
	items array
	n     uint32
}

// deadline is 12 bytes: the 64-bit time is split so that no padding is needed.
type deadline struct {
	low, high uint32 // unix milliseconds
	ref       ref
}

func (d deadline) when() int64 { return int64(uint64(d.high)<<32 | uint64(d.low)) }

const (
	deadlineBytes = int64(unsafe.Sizeof(deadline{}))
	deadlineItems = 8 // log2 of the items of the first segment: 3 KiB
	arity         = 4
)

func (h *deadlines) init() { h.items = array{item: uintptr(deadlineBytes), first: deadlineItems} }

func (h *deadlines) bytes() int64 { return int64(h.n) * deadlineBytes }

func (h *deadlines) at(i uint32) *deadline { return (*deadline)(h.items.at(i)) }

// first returns the earliest time, 0 if there is none.
func (h *deadlines) first() int64 {
	if h.n == 0 {
		return 0
	}
	return h.at(0).when()
}

func (h *deadlines) push(c placer, when int64, r ref) {
	h.items.reserve(h.n)
	h.n++
	h.up(c, h.n-1, newDeadline(when, r))
}

func newDeadline(when int64, r ref) deadline {
	return deadline{uint32(when), uint32(uint64(when) >> 32), r}
}

// placer keeps the places of what is in a heap.
type placer interface{ setPlace(r ref, i uint32) }

func (c *contents) setPlace(r ref, i uint32) { c.entry(r).setHeap(i) }

// put writes d at place i, and tells c of it.
func (h *deadlines) put(c placer, i uint32, d deadline) {
	*h.at(i) = d
	c.setPlace(d.ref, i)
}

// up and down find d's place from the free place i.
func (h *deadlines) up(c placer, i uint32, d deadline) {
	for i > 0 {
		parent := (i - 1) / arity
		p := *h.at(parent)
		if p.when() <= d.when() {
			break
		}
		h.put(c, i, p)
		i = parent
	}
	h.put(c, i, d)
}

func (h *deadlines) down(c placer, i uint32, d deadline) {
	for {
		child := i*arity + 1
		if child >= h.n {
			break
		}
		least := *h.at(child)
		for k := child + 1; k < min(i*arity+arity+1, h.n); k++ {
			if x := *h.at(k); x.when() < least.when() {
				child, least = k, x
			}
		}
		if d.when() <= least.when() {
			break
		}
		h.put(c, i, least)
		i = child
	}
	h.put(c, i, d)
}

func (h *deadlines) fix(c placer, i uint32, d deadline) {
	if i > 0 && d.when() < h.at((i-1)/arity).when() {
		h.up(c, i, d)
	} else {
		h.down(c, i, d)
	}
}

func (h *deadlines) change(c placer, i uint32, when int64) {
	h.fix(c, i, newDeadline(when, h.at(i).ref))
}

// remove takes out the item at place i; what c knows of it is left as it is.
func (h *deadlines) remove(c placer, i uint32) {
	h.n--
	if last := *h.at(h.n); i != h.n {
		h.fix(c, i, last)
	}
	h.items.trim(h.n)
}

// moved tells the heap that the entry of place i is now at r.
func (h *deadlines) moved(c placer, i uint32, r ref) {
	h.at(i).ref = r
	c.setPlace(r, i)
}

// countDue returns how many items from place i down have a time that has come.
func (h *deadlines) countDue(i uint32, now int64) int {
	if i >= h.n || h.at(i).when() > now {
		return 0
	}
	n := 1
	for k := range uint32(arity) {
		n += h.countDue(i*arity+1+k, now)
	}
	return n
}

// NextExpiry returns the earliest expiry or alarm of all, in unix milliseconds;
// 0 if there is none. It takes no lock.
func (s *Store) NextExpiry() int64 {
	next := int64(0)
	for i := range s.locks {
		if due := s.locks[i].due.Load(); due != 0 && (next == 0 || due < next) {
			next = due
		}
	}
	return next
}

// ExpireSome removes up to budget keys whose time has come, and lets timed
// values do what is due, shard by shard; it goes on where the last call ended. flush is called under each shard's
// lock with the changes of that shard, so that the caller can journal and
// announce them. More reports that due keys may be left.
func (s *Store) ExpireSome(tx *Tx, now int64, budget int, flush func(*Tx)) (more bool) {
	from := int(s.expireAt.Load())
	for k := range s.locks {
		i := (from + k) % len(s.locks)
		sh := &s.locks[i]
		if due := sh.due.Load(); due == 0 || due > now {
			continue
		}
		if budget <= 0 {
			s.expireAt.Store(uint32(i))
			return true
		}
		s.Begin(tx, i/s.shards, now)
		tx.lockShard(sh)
		for c := sh.data; c != nil && c.heap.n > 0 && c.heap.first() <= now && budget > 0; budget-- {
			tx.expire(c.slotOf(c.heap.at(0).ref))
		}
		if sh.data != nil {
			budget = tx.expireHashes(sh.data, budget)
			budget = sh.data.ring(tx, budget)
		}
		if len(tx.changes) > 0 {
			flush(tx)
		}
		tx.Unlock()
	}
	return s.anyDue(now)
}

func (s *Store) anyDue(now int64) bool {
	due := s.NextExpiry()
	return due != 0 && due <= now
}

// slotOf finds the index place of a live entry.
func (c *contents) slotOf(r ref) slot {
	h := c.hashOf(r)
	tag := tagOf(h)
	for b := c.dict.bucket(c.dict.home(h)); b != nil; b = c.dict.following(b) {
		for i, t := range b.tags {
			if t == tag && b.refs[i] == r {
				return slot{c.entry(r), place{b, i}, c, h}
			}
		}
	}
	panic("store: entry not in its index")
}
