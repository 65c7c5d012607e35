package store

import (
	"encoding/binary"
	"hash/maphash"
	"unsafe"
)

// table holds the elements of a large hash, set or sorted set: a key and a
// value each, the value empty in a set. It is a log of elements in segments
// outside the Go heap, found through a linear hash table as keys are. What
// dies is reclaimed by moving the live elements out of a sparsely used segment,
// a few at each write. It is guarded by the lock of its key's shard.
//
//	key length     1 byte below 253, or 0xFD and 2 bytes, or 0xFE and 4
//	key
//	value length   likewise
//	value          then up to 3 bytes of padding
//
// A dead element is 0xFF and its length, in units, in 3 bytes.
type table struct {
	index  dict
	segs   []segment // [0] is unused
	from   blocks
	seed   maphash.Seed
	open   uint32 // segment that elements are appended to, 0: none
	victim uint32 // segment being emptied, 0: none
	swept  uint32 // units of the victim that are behind
	hand   uint32 // where the next look for a victim begins
	unused uint32 // head of the list of unused segment numbers, 0: none
	taken  uint32 // segments in use
	held   int64  // bytes of segments
	dead   int64  // bytes of dead elements
	idle   uint8  // one of so many parts of the memory may be dead: 3, or 2 where a move is dear

	// onMove, if set, is told that an element has another reference. It may
	// look at the element but not change the table.
	onMove func(from, to elem)
}

// elem names an element of a table: a segment's number and a place in it, in
// units of 4 bytes. Zero is none. It is valid until the next write, unless
// onMove says otherwise.
type elem uint32

// segment is a piece with elements one behind the other. An element too long
// to share a segment has one for itself.
type segment struct {
	piece        // nil p: unused
	used  uint32 // units; the next unused number when unused
	dead  uint32 // units
}

const (
	elemUnit     = 4 // bytes
	placeBits    = 14
	segmentMin   = 512                   // bytes
	segmentMax   = elemUnit << placeBits // 64 KiB
	soleElement  = segmentMax / 4        // bytes above which an element has a segment of its own
	maxSegments  = 1 << (32 - placeBits)
	tableBuckets = 2  // log2 of the buckets in the first segment of a table's index: 256 bytes
	tableMoves   = 16 // elements moved at a write
	tableLooks   = 16 // segments looked at for a victim at a write

	shortLength  = 0xFD // lengths below stand in one byte
	mediumLength = 0xFD // followed by 2 bytes
	longLength   = 0xFE // followed by 4 bytes
	deadMark     = 0xFF
)

// newTable returns an empty table.
func newTable(s *Store) *table {
	t := &table{from: s.newBlocks(), seed: s.seed, segs: make([]segment, 1, 4), idle: 3}
	t.index.init(t.from, tableBuckets)
	return t
}

// len returns the number of elements.
func (t *table) len() int { return t.index.count }

// bytes returns the memory held.
func (t *table) bytes() int64 {
	return t.held + t.index.buckets.held + t.index.overflow.held + t.heapBytes()
}

// heapBytes returns the part of bytes that is on the Go heap.
func (t *table) heapBytes() int64 {
	return int64(unsafe.Sizeof(*t)) + int64(cap(t.segs))*int64(unsafe.Sizeof(segment{})) +
		int64(cap(t.index.buckets.segments)+cap(t.index.overflow.segments))*int64(unsafe.Sizeof(piece{}))
}

// release gives all memory back; the table must not be used again.
func (t *table) release() {
	for i := range t.segs {
		if t.segs[i].p != nil {
			t.from.free(t.segs[i].piece)
		}
	}
	t.segs = nil
	t.index.release()
}

// releaseSome is release for about n bytes. It reports whether there are more.
func (t *table) releaseSome(n int64) (more bool) {
	for ; n > 0 && len(t.segs) > 0; t.segs = t.segs[:len(t.segs)-1] {
		if s := &t.segs[len(t.segs)-1]; s.p != nil {
			n -= int64(s.n)
			t.from.free(s.piece)
		}
	}
	return len(t.segs) > 0
}

// clone returns a copy with the same references, without onMove.
func (t *table) clone() *table {
	c := *t
	c.onMove = nil
	c.index = t.index.clone()
	c.segs = make([]segment, len(t.segs))
	for i, s := range t.segs {
		if s.p != nil {
			used := s.bytes()[:s.used*elemUnit]
			s.piece = t.from.alloc(s.n)
			copy(s.bytes(), used)
		}
		c.segs[i] = s
	}
	return &c
}

// hasRoom reports whether n more elements of so many bytes, keys and values
// together, surely fit: writes that could pass the end of what references can
// name must be refused before.
func (t *table) hasRoom(n int, size int64) bool {
	size += int64(n) * (10 + elemUnit) // headers and padding
	return int64(t.taken)+size/soleElement+64 < maxSegments
}

func (t *table) at(e elem) unsafe.Pointer {
	return unsafe.Add(t.segs[e>>placeBits].p, uintptr(e&(1<<placeBits-1))*elemUnit)
}

// length reads the length at p and returns it with the bytes that it takes.
func length(p unsafe.Pointer) (n, head int) {
	switch b := *(*byte)(p); b {
	case mediumLength:
		return int(binary.LittleEndian.Uint16((*[3]byte)(p)[1:])), 3
	case longLength:
		return int(binary.LittleEndian.Uint32((*[5]byte)(p)[1:])), 5
	default:
		return int(b), 1
	}
}

// lengthBytes returns what the length n takes.
func lengthBytes(n int) int {
	switch {
	case n < shortLength:
		return 1
	case n < 1<<16:
		return 3
	}
	return 5
}

// putBytes writes the length of v and v, and returns what both take.
func putBytes(p unsafe.Pointer, v []byte) int {
	head := putLength(p, len(v))
	copy(unsafe.Slice((*byte)(unsafe.Add(p, head)), len(v)), v)
	return head + len(v)
}

// putLength writes the length n and returns what it takes.
func putLength(p unsafe.Pointer, n int) int {
	head := lengthBytes(n)
	b := unsafe.Slice((*byte)(p), head)
	switch head {
	case 1:
		b[0] = byte(n)
	case 3:
		b[0] = mediumLength
		binary.LittleEndian.PutUint16(b[1:], uint16(n))
	default:
		b[0] = longLength
		binary.LittleEndian.PutUint32(b[1:], uint32(n))
	}
	return head
}

// unitsOf returns the units that an element takes.
func unitsOf(key, value int) uint32 {
	return uint32((lengthBytes(key) + key + lengthBytes(value) + value + elemUnit - 1) / elemUnit)
}

// units returns the units that the element at p takes, dead or alive.
func units(p unsafe.Pointer) uint32 {
	if *(*byte)(p) == deadMark {
		return *(*uint32)(p) >> 8
	}
	k, head := length(p)
	v, more := length(unsafe.Add(p, head+k))
	return uint32((head + k + more + v + elemUnit - 1) / elemUnit)
}

// key returns the key of e, aliasing the table.
func (t *table) key(e elem) []byte {
	p := t.at(e)
	n, head := length(p)
	return unsafe.Slice((*byte)(unsafe.Add(p, head)), n)
}

// value returns the value of e, aliasing the table: it may be overwritten.
func (t *table) value(e elem) []byte {
	p := t.at(e)
	n, head := length(p)
	p = unsafe.Add(p, head+n)
	n, head = length(p)
	return unsafe.Slice((*byte)(unsafe.Add(p, head)), n)
}

func (t *table) hash(key []byte) uint64 { return maphash.Bytes(t.seed, key) }

func (t *table) hashOf(r ref) uint64 { return t.hash(t.key(elem(r))) }

// is reports whether the key of e is key.
func (t *table) is(e elem, key []byte) bool {
	p := t.at(e)
	if n := len(key); n < shortLength {
		return int(*(*byte)(p)) == n && string(unsafe.Slice((*byte)(unsafe.Add(p, 1)), n)) == string(key)
	}
	return string(t.key(e)) == string(key)
}

// lookup returns where the index holds key of hash h.
func (t *table) lookup(h uint64, key []byte) (place, elem) {
	tag := tagOf(h)
	for b := t.index.bucket(t.index.home(h)); b != nil; b = t.index.following(b) {
		x, y := b.match(tag)
		for ; x != 0; x &= x - 1 {
			i := trailingByte(x)
			if b.tags[i] == tag && t.is(elem(b.refs[i]), key) {
				return place{b, i}, elem(b.refs[i])
			}
		}
		for ; y != 0; y &= y - 1 {
			i := 8 + trailingByte(uint64(y))
			if b.tags[i] == tag && t.is(elem(b.refs[i]), key) {
				return place{b, i}, elem(b.refs[i])
			}
		}
	}
	return place{}, 0
}

// placeOf returns where the index holds e, and the hash of its key.
func (t *table) placeOf(e elem) (place, uint64) {
	h := t.hashOf(ref(e))
	for b := t.index.bucket(t.index.home(h)); b != nil; b = t.index.following(b) {
		for i, r := range b.refs {
			if elem(r) == e && b.tags[i] != 0 {
				return place{b, i}, h
			}
		}
	}
	panic("store: an element of a table is not in its index")
}

// find returns the element of key, 0 if there is none.
func (t *table) find(key []byte) elem {
	_, e := t.lookup(t.hash(key), key)
	return e
}

// put makes value the value of key, and reports whether key is new. Neither is
// kept.
func (t *table) put(key, value []byte) (e elem, created bool) {
	h := t.hash(key)
	p, e := t.lookup(h, key)
	if e != 0 {
		if !t.overwrite(e, value) {
			e = t.exchange(p, value)
		}
		return e, false
	}
	t.reclaim() // not behind add, which might move what is returned
	e = t.add(key, value)
	t.index.insert(h, ref(e))
	t.index.grow(t)
	return e, true
}

// exchange gives the element that the index holds at p another value. It
// reclaims first, so as not to move what it returns.
func (t *table) exchange(p place, value []byte) elem {
	t.reclaim()
	return t.replace(p, elem(p.b.refs[p.i]), value)
}

// overwrite replaces the value of e by one of the same length, if it is that.
func (t *table) overwrite(e elem, value []byte) bool {
	old := t.value(e)
	if len(old) != len(value) {
		return false
	}
	copy(old, value)
	return true
}

// remove removes key and reports whether it was there.
func (t *table) remove(key []byte) bool {
	h := t.hash(key)
	p, e := t.lookup(h, key)
	if e == 0 {
		return false
	}
	t.take(h, p, e)
	return true
}

// removeElem removes e.
func (t *table) removeElem(e elem) {
	p, h := t.placeOf(e)
	t.take(h, p, e)
}

func (t *table) take(h uint64, p place, e elem) {
	t.index.remove(h, p, t)
	t.bury(e)
	t.index.shrink(t)
	t.reclaim()
}

// replace gives the element e, which the index holds at p, another value: in
// place if it does not get longer, by a new element otherwise.
func (t *table) replace(p place, e elem, value []byte) elem {
	at := t.at(e)
	n, head := length(at)
	old := units(at)
	now := unitsOf(n, len(value))
	if now > old || now != old && old > soleElement/elemUnit {
		to := t.add(t.key(e), value)
		p.b.refs[p.i] = ref(to)
		t.bury(e)
		if t.onMove != nil {
			t.onMove(e, to)
		}
		return to
	}
	putBytes(unsafe.Add(at, head+n), value)
	if now < old {
		t.discard(e+elem(now), old-now)
	}
	return e
}
