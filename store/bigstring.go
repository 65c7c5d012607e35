package store

import "unsafe"

// bigString is a string too large for a slot, in a region of its own: the
// collector would let as much garbage of such strings gather as there are live
// ones. Its record owns it: what takes it elsewhere must clear the record.
type bigString struct {
	b   []byte // the beginning of mem
	mem region
}

const regionStep = 4096 // bytes, the usual page

// newBigString returns a string of n undefined bytes with room for at least
// room more.
func newBigString(n, room int) *bigString {
	mem := newRegion((n + room + regionStep - 1) &^ (regionStep - 1))
	return &bigString{unsafe.Slice((*byte)(mem.p), mem.n)[:n], mem}
}

func bigStringOf(v []byte) *bigString {
	s := newBigString(len(v), 0)
	copy(s.b, v)
	return s
}

// Kind returns KindString.
func (s *bigString) Kind() Kind { return KindString }

// Len returns 1: a string is one value.
func (s *bigString) Len() int { return 1 }

// Bytes returns the size of the region.
func (s *bigString) Bytes() int64 { return int64(s.mem.n) + int64(unsafe.Sizeof(*s)) }

// Clone returns a copy in a region of its own.
func (s *bigString) Clone() Object { return bigStringOf(s.b) }

// resize makes the string n bytes long, in place if the region suits. What
// was there is kept as far as it goes; the rest is undefined.
func (s *bigString) resize(n int) {
	if !s.suits(n) {
		room := 0
		if n > len(s.b) {
			room = n / 4 // it will grow on
		}
		grown := newBigString(n, room)
		copy(grown.b, s.b)
		s.mem.release()
		*s = *grown
		return
	}
	s.b = s.b[:n]
}

// suits reports whether n bytes should stand in the region: they fit and leave
// no more than a third of it idle.
func (s *bigString) suits(n int) bool { return n <= s.mem.n && n >= s.mem.n-s.mem.n/3 }

func (s *bigString) heapBytes() int64 { return int64(unsafe.Sizeof(*s)) }

func (s *bigString) release() { s.mem.release() }
