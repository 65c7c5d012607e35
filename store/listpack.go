package store

import (
	"encoding/binary"
	"math"
	"strconv"
)

// The packed forms of collections in Redis' dumps. Each reader visits the
// elements in order and reports whether all it saw is well formed, to the last
// byte: what it has visited must be thrown away if not.

const (
	listpackHead = 6 // bytes: total, elements
	listpackEnd  = 0xff
)

// eachListpack reads a listpack (https://github.com/antirez/listpack).
func eachListpack(b []byte, visit func(e element) bool) bool {
	r := newListpackReader(b)
	for r.left() {
		if e := r.next(); r.bad || !visit(e) {
			return false
		}
	}
	return r.done()
}

// listpackReader reads a listpack element by element. When it meets what
// cannot be, it becomes bad for good and returns zeros.
type listpackReader struct {
	rest []byte
	want int // elements as told, listpackUnset if not
	n    int // elements read
	bad  bool
}

func newListpackReader(b []byte) listpackReader {
	if len(b) < listpackHead+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != listpackEnd {
		return listpackReader{bad: true}
	}
	return listpackReader{rest: b[listpackHead : len(b)-1], want: int(binary.LittleEndian.Uint16(b[4:]))}
}

func (r *listpackReader) left() bool { return len(r.rest) > 0 && !r.bad }

// next reads an element. A text that is a number becomes one, so that equal
// values are equal elements.
func (r *listpackReader) next() element {
	if !r.left() {
		r.bad = true
		return packInt(0)
	}
	size, ok := checkedSpan(r.rest)
	if !ok {
		r.bad = true
		return packInt(0)
	}
	var e element
	if isText(r.rest[0]) {
		e = pack(unpack(r.rest, nil))
	} else {
		e = packInt(unpackInt(r.rest))
	}
	r.rest = r.rest[size:]
	r.n++
	return e
}

// int reads an element that must be a number.
func (r *listpackReader) int() int64 {
	e := r.next()
	r.need(e.number)
	return e.num
}

// need makes the reader bad unless ok.
func (r *listpackReader) need(ok bool) { r.bad = r.bad || !ok }

// done reports whether the listpack has been read to its end and told the
// truth of its length.
func (r *listpackReader) done() bool {
	return !r.bad && len(r.rest) == 0 && (r.want == listpackUnset || r.want == r.n)
}

// checkedSpan is span for bytes that nobody has checked yet.
func checkedSpan(b []byte) (size int, ok bool) {
	head := 1
	switch c := b[0]; {
	case c > tagInt64:
		return 0, false
	case c >= 0xe0 && c < 0xf0:
		head = 2
	case c == tagText32:
		head = 5
	}
	if len(b) < head {
		return 0, false
	}
	n := headSize(b)
	back := backSize(n)
	if n > len(b)-back {
		return 0, false
	}
	var want [5]byte
	putBack(want[:], n)
	return n + back, string(b[n:n+back]) == string(want[:back])
}

func packInt(n int64) element { return element{num: n, size: intSize(n), number: true} }

// value returns the value of the element; a number's is written into num.
func (e element) value(num *numberText) []byte {
	if e.number {
		return strconv.AppendInt(num[:0], e.num, 10)
	}
	return e.text
}

// A ziplist is what Redis had before listpacks: total bytes, offset of the last
// element, number of elements, then each with the length of the one before it.
const (
	ziplistHead = 10
	ziplistEnd  = 0xff
	ziplistFar  = 0xfe // the length before takes four more bytes
)

// eachZiplist reads a ziplist (ziplist.c describes it).
func eachZiplist(b []byte, visit func(e element) bool) bool {
	if len(b) < ziplistHead+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != ziplistEnd {
		return false
	}
	tail := uint64(binary.LittleEndian.Uint32(b[4:]))
	want := int(binary.LittleEndian.Uint16(b[8:]))
	at, last, before, n := ziplistHead, ziplistHead, 0, 0
	for at < len(b)-1 {
		e, size, ok := ziplistElement(b[at:len(b)-1], before)
		if !ok || !visit(e) {
			return false
		}
		last, before = at, size
		at += size
		n++
	}
	return tail == uint64(last) && (want == math.MaxUint16 || want == n)
}

// ziplistElement reads the element that b begins with, behind one of the given
// number of bytes.
func ziplistElement(b []byte, before int) (e element, size int, ok bool) {
	at, told := 1, int(b[0])
	if b[0] == ziplistFar {
		if len(b) < 5 {
			return e, 0, false
		}
		at, told = 5, int(binary.LittleEndian.Uint32(b[1:]))
	}
	if told != before || at >= len(b) {
		return e, 0, false
	}
	c := b[at]
	if c < 0xc0 {
		return ziplistText(b, at)
	}
	if c > 0xf0 && c < 0xfe {
		return packInt(int64(c&0x0f) - 1), at + 1, true
	}
	width, known := map[byte]int{0xc0: 2, 0xd0: 4, 0xe0: 8, 0xf0: 3, 0xfe: 1}[c]
	at++
	if !known || len(b)-at < width {
		return e, 0, false
	}
	return packInt(littleInt(b[at : at+width])), at + width, true
}

// ziplistText reads a text whose length stands at an offset of b.
func ziplistText(b []byte, at int) (e element, size int, ok bool) {
	n := uint64(b[at] & 0x3f)
	switch b[at] >> 6 {
	case 0:
		at++
	case 1:
		if len(b)-at < 2 {
			return e, 0, false
		}
		n = n<<8 | uint64(b[at+1])
		at += 2
	default:
		if len(b)-at < 5 || n != 0 {
			return e, 0, false
		}
		n = uint64(binary.BigEndian.Uint32(b[at+1:]))
		at += 5
	}
	if n > uint64(len(b)-at) {
		return e, 0, false
	}
	return pack(b[at : at+int(n)]), at + int(n), true
}

// littleInt reads a signed number of 1 to 8 bytes, the lowest first.
func littleInt(b []byte) int64 {
	var n uint64
	for i, c := range b {
		n |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return int64(n<<shift) >> shift
}

// eachZipmap reads a zipmap, the small hash before Redis 2.6: a count, then
// lengths and texts of keys and values, a value with a number of unused bytes
// behind it. Lengths of 254 and more take four more bytes.
func eachZipmap(b []byte, visit func(e element) bool) bool {
	if len(b) < 2 || b[len(b)-1] != 0xff {
		return false
	}
	want, n := int(b[0]), 0
	rest := b[1 : len(b)-1]
	for len(rest) > 0 {
		text, left, ok := zipmapText(rest, n&1)
		if !ok || !visit(pack(text)) {
			return false
		}
		rest = left
		n++
	}
	return n&1 == 0 && (want >= 254 || want == n/2)
}

// zipmapText reads a length, so many bytes with the number of unused ones, and
// a text.
func zipmapText(b []byte, unused int) (text, rest []byte, ok bool) {
	n, at := uint64(b[0]), 1
	if n == 254 {
		if len(b) < 5 {
			return nil, nil, false
		}
		n, at = uint64(binary.LittleEndian.Uint32(b[1:])), 5
	}
	if n == 255 && at == 1 || len(b)-at < unused {
		return nil, nil, false
	}
	free := uint64(0)
	if unused > 0 {
		free = uint64(b[at])
		at++
	}
	if n+free > uint64(len(b)-at) {
		return nil, nil, false
	}
	end := at + int(n)
	return b[at:end], b[end+int(free):], true
}

const intsetHead = 8 // bytes: width, members

// eachIntset reads an intset: ascending numbers of one width, none twice.
func eachIntset(b []byte, visit func(n int64) bool) bool {
	if len(b) <= intsetHead {
		return false
	}
	width, n := int(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	rest := b[intsetHead:]
	if width != 2 && width != 4 && width != 8 || n*uint64(width) != uint64(len(rest)) {
		return false
	}
	for before := int64(0); len(rest) > 0; rest = rest[width:] {
		v := littleInt(rest[:width])
		if len(rest) < len(b)-intsetHead && v <= before || !visit(v) {
			return false
		}
		before = v
	}
	return true
}
