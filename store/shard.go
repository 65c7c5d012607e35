package store

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"unsafe"
)

// shard is one lock of a database and what it guards. The published numbers
// may be read without it.
type shard struct {
	mu     sync.Mutex
	data   *contents // nil until the first write; SWAPDB exchanges it
	waits  waitTable
	hits   int64
	misses int64
	number uint32 // place in the order of locking: database, then index

	keys    atomic.Int64 // published by publish
	expires atomic.Int64
	used    atomic.Int64 // bytes
	onHeap  atomic.Int64 // bytes of them on the Go heap
	due     atomic.Int64 // earliest expiry, unix milliseconds; 0: none

	_ [32]byte // two shards shall not share a cache line
}

// publish makes the numbers of the shard readable without its lock.
// It returns the time of the next expiry or alarm if that is news, else 0.
func (sh *shard) publish() (due int64) {
	c := sh.data
	if c == nil || !c.dirty {
		return 0
	}
	c.dirty = false
	publish(&sh.keys, int64(c.dict.count))
	publish(&sh.expires, int64(c.heap.n))
	publish(&sh.used, c.used())
	publish(&sh.onHeap, c.onHeap)
	due = earlier(earlier(c.heap.first(), c.hashes.first()), c.alarms.first())
	if due == sh.due.Load() {
		return 0
	}
	sh.due.Store(due)
	return due
}

// publish stores n if it is news: a load costs less than a store.
func publish(to *atomic.Int64, n int64) {
	if to.Load() != n {
		to.Store(n)
	}
}

// vacate publishes that the shard is empty.
func (sh *shard) vacate() {
	for _, to := range [...]*atomic.Int64{&sh.keys, &sh.expires, &sh.used, &sh.onHeap, &sh.due} {
		to.Store(0)
	}
}

// contents is the data of a shard, guarded by the shard's lock.
type contents struct {
	arena   arena
	dict    dict
	heap    deadlines
	records records
	alarms  alarms
	hashes  deadlines // packed hashes with fields that expire, by the first of them
	seed    maphash.Seed
	objects int64               // bytes of records and what they hold
	onHeap  int64               // … those on the Go heap
	kinds   [kindMask + 1]int64 // bytes by kind: slots and objects
	dirty   bool                // changed since publish
	cut     *cut                // of the snapshot that is being written; nil: none
}

func newContents(seed maphash.Seed) *contents {
	c := &contents{seed: seed}
	c.dict.init(blocks{}, keyBuckets)
	c.heap.init()
	c.hashes.init()
	return c
}

// furnish gives an empty shard of a database its contents.
func (s *Store) furnish(sh *shard, db int) {
	sh.data = newContents(s.seed)
	if !s.written[db].Load() {
		s.written[db].Store(true)
	}
}

// used returns the bytes of all that is stored and of what finds it.
func (c *contents) used() int64 {
	return c.arena.live + c.objects + c.dict.bytes() + c.heap.bytes() + c.hashes.bytes() + c.alarms.bytes()
}

// release gives the memory back; c must not be used again.
func (c *contents) release() {
	c.dict.release()
	c.heap.items.release()
	c.hashes.items.release()
	c.arena.dropAll(len(c.arena.chunks))
	c.records.dropSome(math.MaxInt64)
}

func (c *contents) entry(r ref) entry {
	pg := &c.arena.pages[r>>pageBits]
	e := entry{unsafe.Add(pg.base, uintptr(r&(pageUnits-1))*unitBytes), int(pg.slot)}
	if checked && e.kind() == KindNone {
		panic("store: freed entry read")
	}
	return e
}

// key returns the entry's key, aliasing the arena.
func (c *contents) key(e entry) []byte {
	k := e.near()
	if e.isFar() {
		return c.records.at(farNumber(k)).key
	}
	return k
}

func (c *contents) hashOf(r ref) uint64 {
	return maphash.Bytes(c.seed, c.key(c.entry(r)))
}

// matches reports whether e's key is key.
func (c *contents) matches(e entry, key []byte) bool {
	if e.flags()&flagLong != 0 {
		return string(c.key(e)) == string(key)
	}
	at, n := shortHeader, int(*(*byte)(unsafe.Add(e.p, 4)))
	if n != len(key) {
		return false
	}
	if e.flags()&flagExpires != 0 {
		at += expiryBytes
	}
	return string(e.bytes(at, n)) == string(key)
}

// slot is where a live entry is, valid until the next write in its shard.
type slot struct {
	entry
	place
	c *contents
	h uint64
}

func (s slot) ref() ref { return s.b.refs[s.i] }

// lookup finds key of hash h, expired or not.
func (c *contents) lookup(h uint64, key []byte) (slot, bool) {
	tag := tagOf(h)
	for b := c.dict.bucket(c.dict.home(h)); b != nil; b = c.dict.following(b) {
		x, y := b.match(tag)
		for ; x != 0; x &= x - 1 {
			i := trailingByte(x)
			if b.tags[i] != tag {
				continue
			}
			if e := c.entry(b.refs[i]); c.matches(e, key) {
				return slot{e, place{b, i}, c, h}, true
			}
		}
		for ; y != 0; y &= y - 1 {
			i := 8 + trailingByte(uint64(y))
			if b.tags[i] != tag {
				continue
			}
			if e := c.entry(b.refs[i]); c.matches(e, key) {
				return slot{e, place{b, i}, c, h}, true
			}
		}
	}
	return slot{}, false
}

// value is what is to be stored: bytes, or an object.
type value struct {
	kind   Kind
	raw    bool
	bytes  []byte
	object Object
}

// add stores an absent key. at is its expiry, 0 for none.
func (c *contents) add(h uint64, key []byte, v value, at int64, clock uint32) {
	c.preserve(slot{c: c, h: h})
	r := c.place(key, v, at != 0, clock)
	if at != 0 {
		c.heap.push(c, at, r)
	}
	c.dict.insert(h, r)
	c.dict.grow(c)
	c.dirty = true
	if v.kind == KindHash {
		c.enroll(r)
	}
	if v.object != nil {
		if s, ok := c.lookup(h, key); ok {
			c.wind(s)
		}
	}
}

// place writes a new entry into the arena. It is in no index and, if expires
// is set, not in the heap yet.
func (c *contents) place(key []byte, v value, expires bool, clock uint32) ref {
	head := entryBytes(len(key), expires)
	if v.object == nil && head+len(v.bytes) > maxSlot {
		v.object = bigStringOf(v.bytes)
	}
	n := head + len(v.bytes)
	if v.object != nil {
		n = head + numberBytes
	}
	r := c.arena.alloc(n)
	pg := &c.arena.pages[r>>pageBits]
	e := entry{c.arena.at(r), int(pg.slot)}
	e.begin(v, len(key), expires, clock)
	e.setUsed(n)
	if len(key) > maxKey {
		e.setWord(4, farKey)
		e.setWord(head-numberBytes, c.addRecord(record{key: append([]byte(nil), key...)}, v.kind))
	} else {
		copy(e.bytes(head-len(key), len(key)), key)
	}
	if v.object != nil {
		e.setRecord(c.addRecord(record{object: v.object}, v.kind))
	} else {
		copy(e.bytes(head, len(v.bytes)), v.bytes)
	}
	c.kinds[v.kind] += int64(pg.slot)
	return r
}

// begin writes the header, but for the heap place.
func (e entry) begin(v value, keyLen int, expires bool, clock uint32) {
	f := byte(v.kind)
	if expires {
		f |= flagExpires
	}
	if v.object != nil {
		f |= flagObject
	}
	if v.raw {
		f |= flagRaw
	}
	if keyLen > 255 {
		f |= flagLong
		e.setWord(4, uint32(keyLen))
	} else {
		*(*byte)(unsafe.Add(e.p, 4)) = byte(keyLen)
	}
	e.setWord(0, uint32(f)|clock<<8)
}

func (c *contents) addRecord(r record, k Kind) uint32 {
	n := c.records.add(r)
	c.count(k, recordBytes, recordBytes)
	c.weigh(c.records.at(n), k)
	return n
}

func (c *contents) dropRecord(n uint32, k Kind) {
	c.setAlarm(n, 0, 0)
	r := c.records.at(n)
	c.count(k, -recordBytes-r.bytes, -recordBytes-r.heap)
	c.records.remove(n)
}

// takeObject takes the object of s out of its record, so that it outlives it.
func (c *contents) takeObject(s slot) {
	r := c.records.at(s.record())
	c.count(s.kind(), -r.bytes, -r.heap)
	r.object, r.bytes, r.heap = nil, 0, 0
}

// weigh takes what a record holds now into the accounts.
func (c *contents) weigh(r *record, k Kind) {
	bytes, heap := r.weight()
	c.count(k, bytes-r.bytes, heap-r.heap)
	r.bytes, r.heap = bytes, heap
}

// count takes n bytes more of records and what they hold into the accounts,
// heap of them on the Go heap.
func (c *contents) count(k Kind, n, heap int64) {
	c.objects += n
	c.kinds[k] += n
	c.onHeap += heap
}

// free gives back the entry's slot and records. It is in no index any more.
func (c *contents) free(r ref, e entry) {
	k := e.kind()
	if e.flags()&flagObject != 0 {
		c.dropRecord(e.record(), k)
	}
	if e.isFar() {
		c.dropRecord(farNumber(e.near()), k)
	}
	c.kinds[k] -= int64(e.slot)
	c.arena.release(r)
}

// replace puts v in the place of s's value; the expiry stays.
func (c *contents) replace(s *slot, key []byte, v value, clock uint32) {
	c.preserve(*s)
	c.dismiss(s.entry)
	c.exchange(s, key, v, clock)
	if v.kind == KindHash {
		c.enroll(s.ref())
	}
}

func (c *contents) exchange(s *slot, key []byte, v value, clock uint32) {
	if v.object == nil && (c.overwrite(s, v, clock) || c.overwriteBig(s, v, clock)) {
		return // nothing that is published has changed
	}
	c.dirty = true
	old, r := s.entry, s.ref()
	s.b.refs[s.i] = c.place(key, v, old.expires(), clock)
	s.entry = c.entry(s.b.refs[s.i])
	if old.expires() {
		c.heap.moved(c, old.heapPlace(), s.b.refs[s.i])
	}
	c.free(r, old)
	c.wind(*s)
}

// suits reports whether n bytes should stand in a slot of the given size: they
// fit and leave no more than a quarter of it idle.
func suits(n, slot int) bool { return n <= slot && slot-n <= max(unitBytes-1, slot/4) }

// overwrite writes v over the bytes of s's value if the slot suits.
func (c *contents) overwrite(s *slot, v value, clock uint32) bool {
	f := s.flags()
	k := Kind(f & kindMask)
	at := s.valueAt()
	n := at + len(v.bytes)
	if f&flagObject != 0 || !suits(n, s.slot) || k != v.kind && s.isFar() {
		return false
	}
	if k != v.kind {
		c.kinds[k] -= int64(s.slot)
		c.kinds[v.kind] += int64(s.slot)
	}
	copy(s.bytes(at, len(v.bytes)), v.bytes)
	f = f&^(kindMask|flagRaw) | byte(v.kind)
	if v.raw {
		f |= flagRaw
	}
	s.setWord(0, uint32(f)|clock<<8)
	s.setUsed(n)
	return true
}

// overwriteBig writes v over a string that has a region of its own, if that
// suits.
func (c *contents) overwriteBig(s *slot, v value, clock uint32) bool {
	if s.flags()&flagObject == 0 || v.kind != KindString || len(v.bytes)+s.valueAt() <= maxSlot {
		return false
	}
	big, ok := c.records.at(s.record()).object.(*bigString)
	if !ok || !big.suits(len(v.bytes)) {
		return false
	}
	big.b = big.b[:len(v.bytes)]
	copy(big.b, v.bytes)
	f := s.flags() &^ flagRaw
	if v.raw {
		f |= flagRaw
	}
	s.setWord(0, uint32(f)|clock<<8)
	return true
}

// setExpiry gives s another expiry, 0 for none.
func (c *contents) setExpiry(s *slot, at int64) {
	c.dirty = true
	switch had := s.expires(); {
	case had && at != 0:
		c.heap.change(c, s.heapPlace(), at)
	case had:
		c.heap.remove(c, s.heapPlace())
		c.reshape(s, false)
	case at != 0:
		c.reshape(s, true)
		c.heap.push(c, at, s.ref())
	}
}

// reshape rewrites s's entry with or without room for the heap place.
func (c *contents) reshape(s *slot, expires bool) {
	old, r := s.entry, s.ref()
	from, head := old.headerBytes(), old.headerBytes()+expiryBytes
	f := old.flags() | flagExpires
	if !expires {
		f, head = old.flags()&^flagExpires, old.headerBytes()-expiryBytes
	}
	used := old.slot - old.slack() - from // key and value
	n := head + used
	if n > maxSlot {
		c.replace(s, c.key(old), value{kind: old.kind(), raw: f&flagRaw != 0, object: bigStringOf(old.value())}, old.clock())
		c.reshape(s, expires)
		return
	}
	e := old
	if n > old.slot || classOf[(n+unitBytes-1)/unitBytes] != classOf[old.slot/unitBytes] {
		s.b.refs[s.i] = c.arena.alloc(n)
		e = entry{c.arena.at(s.b.refs[s.i]), int(c.arena.pages[s.b.refs[s.i]>>pageBits].slot)}
		copy(e.bytes(0, min(from, head)), old.bytes(0, min(from, head)))
		c.kinds[old.kind()] += int64(e.slot - old.slot)
	}
	copy(e.bytes(head, used), old.bytes(from, used))
	e.setFlags(f)
	e.setUsed(n)
	if e != old {
		c.relocated(e, s.ref())
		c.arena.release(r)
	}
	s.entry = e
}

// delete removes the entry.
func (c *contents) delete(s slot) {
	c.preserve(s)
	c.dirty = true
	r := s.ref()
	c.dismiss(s.entry)
	if s.expires() {
		c.heap.remove(c, s.heapPlace())
	}
	c.dict.remove(s.h, s.place, c)
	c.free(r, s.entry)
	c.dict.shrink(c)
}
