package store

import (
	"encoding/binary"
	"unsafe"
)

// entry is a key and its value in a slot of an arena:
//
//	byte 0      kind (3 bits, never 0 while live) and flags
//	bytes 1–3   access clock: seconds, or under an LFU policy minutes and counter
//	byte 4      key length; with flagLong bytes 4–7
//	4 bytes     place in the expiry heap, with flagExpires
//	            key; one too long for a slot stands in the record table
//	            value; with flagObject 4 bytes, the number of its record
//	            slack
//
// The length of the value is what the slot has left, less the slack: the
// slot's unused bytes, whose number stands at its very end if it is not zero
// (flagSlack). So 11 bytes of key and 64 of value fill a slot of 80.
type entry struct {
	p    unsafe.Pointer
	slot int // bytes
}

const (
	kindMask    = 0x07
	flagExpires = 0x08
	flagObject  = 0x10
	flagRaw     = 0x20 // a string that OBJECT ENCODING calls raw whatever its length
	flagSlack   = 0x40
	flagLong    = 0x80
)

const (
	shortHeader = 5
	longHeader  = 8
	expiryBytes = 4
	numberBytes = 4     // the number of a record
	maxKey      = 16384 // longer keys stand in the record table
	farKey      = 1<<32 - 1
)

// entryBytes returns what an entry takes, apart from its value.
func entryBytes(keyLen int, expires bool) int {
	n := shortHeader + keyLen
	if keyLen > 255 {
		n = longHeader + keyLen
		if keyLen > maxKey {
			n = longHeader + numberBytes
		}
	}
	if expires {
		n += expiryBytes
	}
	return n
}

func (e entry) bytes(from, n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(e.p, from)), n)
}

func (e entry) word(at int) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(e.p, at))[:])
}

func (e entry) setWord(at int, v uint32) {
	binary.LittleEndian.PutUint32((*[4]byte)(unsafe.Add(e.p, at))[:], v)
}

func (e entry) flags() byte        { return *(*byte)(e.p) }
func (e entry) setFlags(f byte)    { *(*byte)(e.p) = f }
func (e entry) kind() Kind         { return Kind(e.flags() & kindMask) }
func (e entry) expires() bool      { return e.flags()&flagExpires != 0 }
func (e entry) clock() uint32      { return e.word(0) >> 8 }
func (e entry) setClock(c uint32)  { e.setWord(0, uint32(e.flags())|c<<8) }
func (e entry) heapPlace() uint32  { return e.word(e.headerBytes() - expiryBytes) }
func (e entry) setHeap(at uint32)  { e.setWord(e.headerBytes()-expiryBytes, at) }
func (e entry) record() uint32     { return e.word(e.valueAt()) }
func (e entry) setRecord(n uint32) { e.setWord(e.valueAt(), n) }

func (e entry) headerBytes() int {
	n := shortHeader
	if e.flags()&flagLong != 0 {
		n = longHeader
	}
	if e.flags()&flagExpires != 0 {
		n += expiryBytes
	}
	return n
}

// keyBytes returns the bytes that the key takes in the slot.
func (e entry) keyBytes() int {
	if e.flags()&flagLong == 0 {
		return int(*(*byte)(unsafe.Add(e.p, 4)))
	}
	if n := e.word(4); n != farKey {
		return int(n)
	}
	return numberBytes
}

func (e entry) isFar() bool   { return e.flags()&flagLong != 0 && e.word(4) == farKey }
func (e entry) valueAt() int  { return e.headerBytes() + e.keyBytes() }
func (e entry) near() []byte  { return e.bytes(e.headerBytes(), e.keyBytes()) }
func (e entry) value() []byte { at := e.valueAt(); return e.bytes(at, e.slot-e.slack()-at) }

// The number of unused bytes, read from the end of the slot, takes 1 byte below
// 128, 2 below 16384, else 4; the top two bits of the first say which.
const (
	slackTwo  = 0x80
	slackFour = 0xC0
)

func (e entry) slack() int {
	if e.flags()&flagSlack == 0 {
		return 0
	}
	last := *(*byte)(unsafe.Add(e.p, e.slot-1))
	switch {
	case last < slackTwo:
		return int(last)
	case last < slackFour:
		return int(last&^slackTwo)<<8 | int(*(*byte)(unsafe.Add(e.p, e.slot-2)))
	}
	return int(e.word(e.slot-4) &^ (slackFour << 24))
}

// setUsed records that the entry takes n bytes of its slot.
func (e entry) setUsed(n int) {
	slack := e.slot - n
	if slack == 0 {
		e.setFlags(e.flags() &^ flagSlack)
		return
	}
	e.setFlags(e.flags() | flagSlack)
	switch {
	case slack < 1<<7:
		*(*byte)(unsafe.Add(e.p, e.slot-1)) = byte(slack)
	case slack < 1<<14:
		*(*byte)(unsafe.Add(e.p, e.slot-2)) = byte(slack)
		*(*byte)(unsafe.Add(e.p, e.slot-1)) = slackTwo | byte(slack>>8)
	default:
		e.setWord(e.slot-4, uint32(slack)|slackFour<<24)
	}
}

// farNumber reads the number of the record that holds a far key.
func farNumber(near []byte) uint32 { return binary.LittleEndian.Uint32(near) }

// record is what an entry keeps outside the arena: a large value or a key too
// long for a slot.
type record struct {
	object Object
	key    []byte
	bytes  int64  // as last taken into the accounts
	heap   int64  // the part of bytes on the Go heap
	alarm  uint32 // place in the heap of timed values + 1; 0 = not there
	owed   uint32 // number of the snapshot that is yet to write the value, see cut
}

const recordBytes = int64(unsafe.Sizeof(record{}))

// records is a table of records, numbered; it grows by segments.
type records struct {
	segments []*[recordsPerSegment]record
	n        uint32
	free     []uint32
}

const recordsPerSegment = 64

func (t *records) at(n uint32) *record {
	return &t.segments[n/recordsPerSegment][n%recordsPerSegment]
}

func (t *records) add(r record) uint32 {
	var n uint32
	if k := len(t.free); k > 0 {
		n, t.free = t.free[k-1], t.free[:k-1]
	} else {
		n = t.n
		if n%recordsPerSegment == 0 {
			t.segments = append(t.segments, new([recordsPerSegment]record))
		}
		t.n++
	}
	*t.at(n) = r
	return n
}

func (t *records) remove(n uint32) {
	t.at(n).release()
	if t.free = append(t.free, n); len(t.free) == int(t.n) {
		*t = records{}
	}
}

func (r *record) release() {
	if r.object != nil {
		release(r.object)
	}
	*r = record{}
}

// weight returns what a record holds: bytes in all, and of them on the Go heap.
func (r *record) weight() (bytes, heap int64) {
	if r.object == nil {
		return int64(len(r.key)), int64(len(r.key))
	}
	bytes = r.object.Bytes()
	if o, ok := r.object.(offHeap); ok {
		return bytes, o.heapBytes()
	}
	return bytes, bytes
}

// dropSome releases records that hold about n bytes, and reports whether any are
// left. The records must not be used any more.
func (t *records) dropSome(n int64) (more bool) {
	for t.n > 0 {
		if n <= 0 {
			return true
		}
		r := t.at(t.n - 1)
		if o, ok := r.object.(gradual); ok && r.bytes > n && o.releaseSome(n) {
			return true
		}
		n -= r.bytes + recordBytes
		r.release()
		if t.n--; t.n%recordsPerSegment == 0 {
			t.segments = t.segments[:len(t.segments)-1]
		}
	}
	return false
}
