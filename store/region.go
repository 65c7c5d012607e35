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
// segments of doubling size, so nothing is ever copied, and a page that was
// never written costs nothing.
type array struct {
	segments [maxSegments]unsafe.Pointer // first: what at reads
	regions  [maxSegments]region
	item     uintptr // bytes
}

const (
	firstItems  = 64 // items of the first segment
	firstBits   = 6
	maxSegments = 27 // 64 << 26 items: all that 32 bits can number
)

// segmentOf returns the segment of item i and its place there.
func segmentOf(i uint32) (segment int, place uint32) {
	segment = bits.Len32(i >> firstBits)
	return segment, i - uint32(firstItems/2<<segment)&^(firstItems-1)
}

func (a *array) at(i uint32) unsafe.Pointer {
	k, place := segmentOf(i)
	return unsafe.Add(a.segments[k], uintptr(place)*a.item)
}

// reserve makes items up to and including i addressable.
func (a *array) reserve(i uint32) {
	k, _ := segmentOf(i)
	if a.segments[k] != nil {
		return
	}
	n := firstItems
	if k > 0 {
		n = firstItems << (k - 1)
	}
	a.regions[k] = newRegion(n * int(a.item))
	a.segments[k] = a.regions[k].p
}

// trim gives back the segments that n items leave unused, but for one, so
// that a size swinging about a boundary does not map and unmap.
func (a *array) trim(n uint32) {
	k, _ := segmentOf(n)
	for k += 2; k < maxSegments && a.segments[k] != nil; k++ {
		a.regions[k].release()
		a.segments[k] = nil
	}
}

// release gives back everything.
func (a *array) release() {
	for k := range a.segments {
		if a.segments[k] != nil {
			a.regions[k].release()
			a.segments[k] = nil
		}
	}
}
