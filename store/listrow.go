package store

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// shape says how the elements of a row are written: mixed ones as packed
// elements, elements of one shape without the header and the back length that
// they have in common. Lists of identifiers and counters are of one shape
// nearly always.
type shape uint16

const (
	mixed      shape = iota
	shapeInt7        // the headers of these two are the number
	shapeInt13       //
	shapeInt16
	shapeInt24
	shapeInt32
	shapeInt64
	shapeText // a text of one byte; the next one, of two
)

// shapeTextMax is the longest text that has a shape: what longer ones would
// save is little.
const shapeTextMax = 512

// shape returns the shape that the element has, mixed if it has none.
func (e element) shape() shape {
	if !e.number {
		if n := len(e.text); n > 0 && n <= shapeTextMax {
			return shapeText + shape(n-1)
		}
		return mixed
	}
	switch e.size {
	case 1, 2, 3, 4, 5:
		return shapeInt7 + shape(e.size-1)
	}
	return shapeInt64
}

// headWidth returns the bytes that packed elements have in common in front,
// width those that each has of its own. Neither is for mixed ones.
func (s shape) headWidth() int {
	switch {
	case s <= shapeInt13:
		return 0
	case s < shapeText+63:
		return 1
	}
	return 2
}

var intWidths = [...]int{shapeInt7: 1, shapeInt13: 2, shapeInt16: 2, shapeInt24: 3, shapeInt32: 4, shapeInt64: 8}

func (s shape) width() int {
	if s >= shapeText {
		return int(s-shapeText) + 1
	}
	return intWidths[s]
}

// total returns the bytes of a packed element of the shape.
func (s shape) total() int {
	size := s.headWidth() + s.width()
	return size + backSize(size)
}

// head writes what packed elements have in common in front.
func (s shape) head(to []byte) {
	switch n := s.width(); {
	case s >= shapeText+63:
		to[0], to[1] = 0xe0|byte(n>>8), byte(n)
	case s >= shapeText:
		to[0] = 0x80 | byte(n)
	case s > shapeInt13:
		to[0] = [...]byte{tagInt16, tagInt24, tagInt32, tagInt64}[s-shapeInt16]
	}
}

// in returns the bytes that the element takes in a row of the shape, which is
// the element's or mixed.
func (e element) in(s shape) int {
	if s == mixed {
		return e.total()
	}
	return s.width()
}

// putIn writes the element as it stands in a row of the shape.
func (e element) putIn(to []byte, s shape) {
	switch {
	case s == mixed:
		e.put(to)
	case s >= shapeText:
		copy(to, e.text)
	case s <= shapeInt13:
		putInt(to, e.num)
	default:
		var b [9]byte
		binary.LittleEndian.PutUint64(b[:], uint64(e.num))
		copy(to[:s.width()], b[:])
	}
}

// row is some elements of a list, one behind the other.
type row struct {
	b     []byte
	n     int
	shape shape
}

// offset returns where element i begins, the length of b for i = n.
func (r row) offset(i int) int {
	if r.shape == mixed {
		return skip(r.b, r.n, i)
	}
	return i * r.shape.width()
}

// next returns where the element behind the one at an offset begins; before
// where the one in front of it does.
func (r row) next(at int) int {
	if r.shape == mixed {
		return at + span(r.b[at:])
	}
	return at + r.shape.width()
}

func (r row) before(at int) int {
	if r.shape == mixed {
		return at - backSpan(r.b[:at])
	}
	return at - r.shape.width()
}

// value returns the value at an offset: a part of b, or a number's text written
// into num.
func (r row) value(at int, num *numberText) []byte {
	switch {
	case r.shape == mixed:
		return unpack(r.b[at:], num)
	case r.shape >= shapeText:
		return r.b[at : at+r.shape.width()]
	}
	return r.element(at).value(num)
}

// element returns the element at an offset, of a row that is not mixed.
func (r row) element(at int) element {
	data := r.b[at : at+r.shape.width()]
	switch {
	case r.shape >= shapeText:
		return element{text: data, size: r.shape.headWidth() + len(data)}
	case r.shape <= shapeInt13:
		return packInt(unpackInt(data))
	}
	return packInt(littleInt(data))
}

// appendPacked appends the elements, packed.
func (r row) appendPacked(to []byte) []byte {
	if r.shape == mixed {
		return append(to, r.b...)
	}
	head, width, total := r.shape.headWidth(), r.shape.width(), r.shape.total()
	at := len(to)
	to = slices.Grow(to, r.n*total)[:at+r.n*total]
	for from := 0; from < len(r.b); from, at = from+width, at+total {
		r.shape.head(to[at:])
		copy(to[at+head:], r.b[from:from+width])
		putBack(to[at+head+width:], head+width)
	}
	return to
}

// packed returns the elements as packed ones; it may alias b.
func (r row) packed() row {
	if r.shape == mixed {
		return r
	}
	return row{b: r.appendPacked(nil), n: r.n}
}

// shapeOf returns the shape that all packed elements of b have, mixed if they
// differ.
func shapeOf(b []byte) shape {
	s := mixed
	for at := 0; at < len(b); {
		size := headSize(b[at:])
		e := element{size: size, number: !isText(b[at])}
		if !e.number {
			e.text = unpack(b[at:], nil)
		}
		if own := e.shape(); own == mixed || at > 0 && own != s {
			return mixed
		} else {
			s = own
		}
		at += size + backSize(size)
	}
	return s
}

// shaped returns packed elements as a row, which may alias b, of the shape that
// they have.
func shaped(b []byte, n int) row {
	s := shapeOf(b)
	if s == mixed {
		return row{b: b, n: n}
	}
	head, width, total := s.headWidth(), s.width(), s.total()
	out := make([]byte, 0, n*width)
	for at := head; at < len(b); at += total {
		out = append(out, b[at:at+width]...)
	}
	return row{b: out, n: n, shape: s}
}

// wanted is a value that is looked for.
type wanted struct {
	enc   []byte // header and data
	shape shape
	data  []byte // the bytes of enc that stand in a row of the shape
}

func want(v []byte) wanted {
	e := pack(v)
	w := wanted{enc: make([]byte, e.size), shape: e.shape()}
	e.putHead(w.enc)
	w.data = w.enc[w.shape.headWidth():]
	return w
}

// is reports whether the element at an offset is w; never whether no element
// can be.
func (r row) is(at int, w wanted) bool {
	if r.shape == mixed {
		return bytes.HasPrefix(r.b[at:], w.enc)
	}
	return r.shape == w.shape && bytes.HasPrefix(r.b[at:], w.data)
}

func (r row) never(w wanted) bool { return r.shape != mixed && r.shape != w.shape }

// drop removes the elements equal to w, but for the first keep of them and
// those behind the next most. It returns the length left and how many were
// removed.
func (r row) drop(w wanted, keep, most int) (length, removed int) {
	if r.never(w) {
		return len(r.b), 0
	}
	for at := 0; at < len(r.b); {
		next := r.next(at)
		if removed < most && r.is(at, w) {
			if keep == 0 {
				removed++
				at = next
				continue
			}
			keep--
		}
		if length != at {
			copy(r.b[length:], r.b[at:next])
		}
		length += next - at
		at = next
	}
	return length, removed
}

// count returns how many elements are equal to w.
func (r row) count(w wanted) int {
	found := 0
	if r.never(w) {
		return 0
	}
	for at := 0; at < len(r.b); at = r.next(at) {
		if r.is(at, w) {
			found++
		}
	}
	return found
}
