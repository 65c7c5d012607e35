package store

import (
	"bytes"
	"unsafe"
)

// nodeMax is the most bytes of elements in a node (list-max-listpack-size -2);
// an element longer than that is a node of its own.
const nodeMax = 8192

// nodeFull is what ends of lists are filled to: the largest slot within nodeMax.
var nodeFull = func() (n int) {
	for _, size := range slotSizes {
		if size <= nodeMax {
			n = int(size)
		}
	}
	return n
}()

// End is an end of a list.
type End uint8

const (
	Front End = iota // left, head
	Back             // right, tail
)

// quicklist is a list too large for the arena: a row of buffers of packed
// elements outside the Go heap, each with room at one or both ends, so that
// pushes and pops there neither move a buffer nor, amortized, allocate.
type quicklist struct {
	nodes deque[node]
	from  blocks
	count int
	live  int   // bytes of elements, packed
	held  int64 // bytes of buffers
}

// node is a buffer whose elements stand in buf[lo:hi].
type node struct {
	buf    piece
	lo, hi uint32
	n      uint32 // elements
	shape  shape
}

func newQuicklist(s *Store) *quicklist { return &quicklist{from: s.newBlocks()} }

func (d *node) elements() []byte { return d.buf.bytes()[d.lo:d.hi] }
func (d *node) size() int        { return int(d.hi - d.lo) }
func (d *node) row() row         { return row{d.elements(), int(d.n), d.shape} }

// packedSize returns the bytes of the elements, packed.
func (d *node) packedSize() int {
	if d.shape == mixed {
		return d.size()
	}
	return int(d.n) * d.shape.total()
}

func (q *quicklist) Kind() Kind { return KindList }
func (q *quicklist) Len() int   { return q.count }

func (q *quicklist) Bytes() int64 { return q.held + q.heapBytes() }

// heapBytes returns the part of Bytes that is on the Go heap.
func (q *quicklist) heapBytes() int64 {
	return int64(unsafe.Sizeof(*q)) + int64(q.nodes.cap())*int64(unsafe.Sizeof(node{}))
}

func (q *quicklist) release() {
	for _, d := range q.nodes.all() {
		q.from.free(d.buf)
	}
	q.nodes = deque[node]{}
}

// releaseSome is release for about n bytes. It reports whether there are more.
func (q *quicklist) releaseSome(n int64) (more bool) {
	for ; n > 0 && q.nodes.len() > 0; q.nodes.popBack() {
		d := q.nodes.at(q.nodes.len() - 1)
		n -= int64(d.buf.n)
		q.from.free(d.buf)
	}
	return q.nodes.len() > 0
}

// Clone copies the list; its buffers have no spare room.
func (q *quicklist) Clone() Object {
	c := &quicklist{count: q.count, from: q.from}
	for _, d := range q.nodes.all() {
		c.adopt(c.nodes.len(), d.row())
	}
	return c
}

// adopt inserts a node with a copy of the elements at place i. The count of the
// list is left to the caller.
func (q *quicklist) adopt(i int, r row) {
	d := node{buf: q.copyOf(r.b), hi: uint32(len(r.b)), n: uint32(r.n), shape: r.shape}
	q.live += d.packedSize()
	if i == q.nodes.len() {
		q.nodes.pushBack(d)
		return
	}
	q.nodes.insert(i, d)
}

// alloc returns a buffer of at least n bytes.
func (q *quicklist) alloc(n int) piece {
	p := q.from.alloc(n)
	q.held += int64(p.n)
	return p
}

// copyOf returns a buffer that begins with b.
func (q *quicklist) copyOf(b []byte) piece {
	p := q.alloc(len(b))
	copy(p.bytes(), b)
	return p
}

// rehouse gives a node another buffer.
func (q *quicklist) rehouse(d *node, p piece) {
	q.free(d.buf)
	d.buf = p
}

func (q *quicklist) free(p piece) {
	q.held -= int64(p.n)
	q.from.free(p)
}

// discard takes node i out. The count is left to the caller.
func (q *quicklist) discard(i int) {
	d := q.nodes.at(i)
	q.live -= d.packedSize()
	q.free(d.buf)
	q.nodes.remove(i)
}

// push adds an element at an end.
func (q *quicklist) push(end End, e element) {
	d := q.roomFor(end, e)
	n := e.in(d.shape)
	if end == Front {
		d.lo -= uint32(n)
		e.putIn(d.buf.bytes()[d.lo:], d.shape)
	} else {
		e.putIn(d.buf.bytes()[d.hi:], d.shape)
		d.hi += uint32(n)
	}
	d.n++
	q.count++
	q.live += e.total()
}

// roomFor returns the node at an end, a new one if need be, with room for the
// element there.
func (q *quicklist) roomFor(end End, e element) *node {
	if q.nodes.len() > 0 {
		d := q.nodes.at(0)
		if end == Back {
			d = q.nodes.at(q.nodes.len() - 1)
		}
		if d.shape == mixed || d.shape == e.shape() || q.mix(d, end, e) {
			n := e.in(d.shape)
			if d.size()+n <= nodeMax && (d.room(end) >= n || q.makeRoom(d, end, n)) {
				return d
			}
		}
		q.seal(d)
	}
	d := node{shape: e.shape()}
	d.buf = q.alloc(max(e.in(d.shape), min(nodeFull, max(512, q.live/4))))
	if end == Front {
		d.lo, d.hi = uint32(d.buf.n), uint32(d.buf.n)
		return q.nodes.pushFront(d)
	}
	return q.nodes.pushBack(d)
}

// mix makes the elements of a node mixed ones, with room for e at an end,
// unless the node is worth keeping as it is.
func (q *quicklist) mix(d *node, end End, e element) bool {
	size := d.packedSize()
	if d.size() > nodeFull/2 || size+e.total() > nodeFull {
		return false
	}
	p := q.alloc(max(size+e.total(), d.buf.n))
	lo := 0
	if end == Front {
		lo = p.n - size
	}
	d.row().appendPacked(p.bytes()[:lo])
	q.rehouse(d, p)
	d.lo, d.hi, d.shape = uint32(lo), uint32(lo+size), mixed
	return true
}

func (d *node) room(end End) int {
	if end == Front {
		return int(d.lo)
	}
	return d.buf.n - int(d.hi)
}

// makeRoom slides the elements of a node that is at most half full to its other
// end, or gives a small node a larger buffer. It reports whether n more bytes,
// which the node may hold, fit at that end now.
func (q *quicklist) makeRoom(d *node, end End, n int) bool {
	size := d.size()
	to := d.buf
	switch {
	case size+n <= to.n && size <= to.n/2:
	case to.n < nodeFull && size+n <= nodeFull:
		to = q.alloc(min(nodeFull, max(2*to.n, size+n)))
	default:
		return false
	}
	lo := 0
	if end == Front {
		lo = to.n - size
	}
	copy(to.bytes()[lo:], d.elements())
	if to != d.buf {
		q.rehouse(d, to)
	}
	d.lo, d.hi = uint32(lo), uint32(lo+size)
	return true
}

// seal gives up the idle room of a node that will not be an end any more, if
// it is worth a copy.
func (q *quicklist) seal(d *node) {
	if size := d.size(); d.buf.n-size > d.buf.n/8 {
		q.rehouse(d, q.copyOf(d.elements()))
		d.lo, d.hi = 0, uint32(size)
	}
}

// drop removes the first or last n elements.
func (q *quicklist) drop(end End, n int) {
	q.count -= n
	for n > 0 {
		i := 0
		if end == Back {
			i = q.nodes.len() - 1
		}
		d := q.nodes.at(i)
		if n >= int(d.n) {
			n -= int(d.n)
			q.discard(i)
			continue
		}
		q.live -= d.packedSize()
		if end == Front {
			d.lo += uint32(d.row().offset(n))
		} else {
			d.hi = d.lo + uint32(d.row().offset(int(d.n)-n))
		}
		d.n -= uint32(n)
		q.live += d.packedSize()
		n = 0
	}
}

// locate returns the node that element i is in, and the element's place there.
func (q *quicklist) locate(i int) (at, place int) {
	if i < q.count/2 {
		for at = 0; i >= int(q.nodes.at(at).n); at++ {
			i -= int(q.nodes.at(at).n)
		}
		return at, i
	}
	i = q.count - i // elements from it to the end
	for at = q.nodes.len() - 1; i > int(q.nodes.at(at).n); at-- {
		i -= int(q.nodes.at(at).n)
	}
	return at, int(q.nodes.at(at).n) - i
}

// splice puts e in front of the element at the given place of node i, instead
// of that element if over is true. place may be the number of elements.
func (q *quicklist) splice(i, place int, over bool, e element) {
	d := q.nodes.at(i)
	cut := 0
	if over {
		cut = 1
	}
	q.count += 1 - cut
	if q.spliceNode(d, place, cut, e) {
		return
	}
	if !over && place == 0 && i > 0 {
		if d := q.nodes.at(i - 1); q.spliceNode(d, int(d.n), 0, e) {
			return
		}
	}
	if !over && place == int(d.n) && i+1 < q.nodes.len() && q.spliceNode(q.nodes.at(i+1), 0, 0, e) {
		return
	}
	q.split(i, place, cut, e)
}

// spliceNode puts e into a node, instead of the next cut elements. It reports
// whether the node holds that.
func (q *quicklist) spliceNode(d *node, place, cut int, e element) bool {
	r := d.row()
	if r.shape != mixed && r.shape != e.shape() {
		r = r.packed()
	}
	from, to, n := r.offset(place), r.offset(place+cut), e.in(r.shape)
	if len(r.b)-(to-from)+n > nodeMax && int(d.n) != cut {
		return false
	}
	q.live -= d.packedSize()
	if r.shape != d.shape {
		q.rehouse(d, q.copyOf(r.b))
		d.lo, d.hi, d.shape = 0, uint32(len(r.b)), mixed
	}
	q.rewrite(d, from, to, n)
	e.putIn(d.buf.bytes()[int(d.lo)+from:], d.shape)
	d.n += 1 - uint32(cut)
	q.live += d.packedSize()
	return true
}

// split puts e between the parts of node i, without the cut elements, as a node
// of its own.
func (q *quicklist) split(i, place, cut int, e element) {
	d := q.nodes.at(i)
	r := d.row()
	from, to := r.offset(place), r.offset(place+cut)
	head := row{bytes.Clone(r.b[:from]), place, r.shape}
	tail := row{bytes.Clone(r.b[to:]), r.n - place - cut, r.shape}
	own := row{make([]byte, e.in(e.shape())), 1, e.shape()}
	e.putIn(own.b, own.shape)
	q.discard(i)
	for _, part := range []row{tail, own, head} {
		if part.n > 0 {
			q.adopt(i, part)
		}
	}
}

// rewrite makes elements()[from:to] of a node n bytes long.
func (q *quicklist) rewrite(d *node, from, to, n int) {
	b := d.elements()
	size := len(b) - (to - from) + n
	if int(d.lo)+size <= d.buf.n && d.buf.n <= max(nodeMax, 2*size) {
		whole := d.buf.bytes()[d.lo : int(d.lo)+size]
		copy(whole[from+n:], b[to:])
	} else {
		p := q.alloc(max(size, min(size+size/8, nodeFull)))
		copy(p.bytes(), b[:from])
		copy(p.bytes()[from+n:], b[to:])
		q.rehouse(d, p)
		d.lo = 0
	}
	d.hi = d.lo + uint32(size)
}

// removeEqual removes the elements equal to w, but for the first keep of them
// and those behind the next most.
func (q *quicklist) removeEqual(w wanted, keep, most int) (removed int) {
	for i := 0; i < q.nodes.len() && removed < most; {
		d := q.nodes.at(i)
		r := d.row()
		found := 0
		if keep > 0 {
			found = r.count(w)
		}
		if keep > 0 && keep >= found {
			keep -= found
			i++
			continue
		}
		length, gone := r.drop(w, keep, most-removed)
		keep = 0
		q.live -= d.packedSize()
		q.count -= gone
		d.hi = d.lo + uint32(length)
		d.n -= uint32(gone)
		q.live += d.packedSize()
		removed += gone
		if d.n == 0 {
			q.discard(i)
			continue
		}
		i++
	}
	q.mend()
	return removed
}

// mend joins neighbours that removals have left less than half full together.
func (q *quicklist) mend() {
	for i := 0; i+1 < q.nodes.len(); {
		d, next := q.nodes.at(i), q.nodes.at(i+1)
		if d.packedSize()+next.packedSize() > nodeMax/2 {
			i++
			continue
		}
		both := shaped(next.row().appendPacked(d.row().appendPacked(nil)), int(d.n+next.n))
		q.discard(i + 1)
		q.discard(i)
		q.adopt(i, both)
	}
}
