package store

import (
	"math/bits"
	"unsafe"
)

// region is a piece of zeroed memory that holds no Go pointers.
type region struct {
	p      unsafe.Pointer
	n      int
	mapped bool // outside the Go heap
}

// newRegion takes n bytes from the system, or from the Go heap where the
// system has no mappings left to give.
func newRegion(n int) region {
	if p := mapMemory(n); p != nil {
		return region{p: p, n: n, mapped: true}
	}
	words := make([]uint64, (n+7)/8)
	return region{p: unsafe.Pointer(unsafe.SliceData(words)), n: n}
}

func (r *region) release() {
	if r.mapped {
		unmapMemory(r.p, r.n)
	}
	*r = region{}
}

// array is a growable array of fixed-size items without pointers. It grows by
// segments, four of each size before the size doubles, so nothing is ever
// copied, at most a fifth is idle, and a page that was never written costs
// nothing.
type array struct {
	segments []piece
	item     uintptr // bytes
	first    uint8   // log2 of the items of the first segment
	from     blocks  // whose memory it is; the zero blocks: regions of its own
	held     int64   // bytes of all segments
}

// stepBits is log2 of the segments of each size.
const stepBits = 2

// locate returns the segment of item i and its place there.
func (a *array) locate(i uint32) (segment int, place uint32) {
	i += 1 << stepBits << (a.first & 31)
	top := bits.Len32(i) - 1 - stepBits // log2 of the segment's items
	return (top-int(a.first))<<stepBits + int(i>>(top&31))&(1<<stepBits-1), i & (1<<(top&31) - 1)
}

func (a *array) at(i uint32) unsafe.Pointer {
	k, place := a.locate(i)
	return unsafe.Add(a.segments[k].p, uintptr(place)*a.item)
}

// reserve makes items up to and including i addressable, i being at most one
// segment ahead. They may hold anything unless the memory is of regions.
func (a *array) reserve(i uint32) {
	k, _ := a.locate(i)
	if k == len(a.segments) {
		s := a.from.alloc(int(a.item) << (int(a.first) + k>>stepBits))
		a.segments = append(a.segments, s)
		a.held += int64(s.n)
	}
}

// trim gives back the segments that n items leave unused, but for one, so
// that a size swinging about a boundary does not map and unmap.
func (a *array) trim(n uint32) {
	k, _ := a.locate(n)
	for last := len(a.segments) - 1; last >= k+2; last-- {
		a.held -= int64(a.segments[last].n)
		a.from.free(a.segments[last])
		a.segments = a.segments[:last]
	}
}

// release gives back everything.
func (a *array) release() {
	for _, s := range a.segments {
		a.from.free(s)
	}
	a.segments, a.held = nil, 0
}

// clone returns a copy.
func (a *array) clone() array {
	c := *a
	c.segments = make([]piece, len(a.segments))
	for k, s := range a.segments {
		c.segments[k] = a.from.alloc(s.n)
		copy(c.segments[k].bytes(), s.bytes())
	}
	return c
}
