package store

import "encoding/binary"

// shapeAt returns the shape of the values of a field.
func (b *block) shapeAt(field int) shape {
	return shape(binary.LittleEndian.Uint16(b.buf[int(b.names)+2*field:]))
}

// shapeOfNext returns the shape of the bare element that buf begins with, and
// its bytes.
func shapeOfNext(buf []byte) (s shape, size int) {
	size = headSize(buf)
	if !isText(buf[0]) {
		return element{size: size, number: true}.shape(), size
	}
	return element{text: unpack(buf, nil)}.shape(), size
}

// entryBody returns where the values of the entry at an offset begin, which has
// the block's names and is the last one.
func (b *block) entryBody(at int) int {
	e := packedEntry{flags: b.buf[at]}
	at++
	_, n := uvarint(b.buf[at:])
	at += n
	if e.flags&entryExpected == 0 {
		_, n = uvarint(b.buf[at:])
		at += n
	}
	return at
}

// strip takes out of the values of the last entry what their shapes say, if
// they have the block's. The second entry that ever was in the block decides
// which these are. The entry begins at from, its values at body.
func (b *block) strip(from, body int) {
	if b.added == 1 && b.live == 1 {
		b.findShapes(body)
	}
	any := false
	at := body
	for i := range int(b.fields) {
		own, size := shapeOfNext(b.buf[at:])
		if s := b.shapeAt(i); s != mixed {
			if any = true; own != s {
				return
			}
		}
		at += size
	}
	if !any {
		return
	}
	b.buf[from] |= entrySameShapes
	to := body
	at = body
	for i := range int(b.fields) {
		size := headSize(b.buf[at:])
		n := b.shapeAt(i).headWidth()
		to += copy(b.buf[to:], b.buf[at+n:at+size])
		at += size
	}
	b.buf = b.buf[:to]
}

// findShapes sets the shapes to those that the first entry and the values at an
// offset agree in.
func (b *block) findShapes(body int) {
	first := b.entryAt(int(b.start), b.before)
	if first.flags&entrySameNames == 0 {
		return
	}
	values, fixed := 0, true
	at := first.body
	for i := range int(b.fields) {
		s, n := shapeOfNext(b.buf[at:])
		other, m := shapeOfNext(b.buf[body:])
		at, body = at+n, body+m
		if s != other {
			s = mixed
		}
		if s == mixed {
			fixed = false
		} else {
			values += s.width()
		}
		binary.LittleEndian.PutUint16(b.buf[int(b.names)+2*i:], uint16(s))
	}
	if fixed {
		b.values = uint32(values)
	}
}

// shapedEnd returns where the values of an entry of the block's shapes end.
func (b *block) shapedEnd(at int) int {
	if b.values > 0 {
		return at + int(b.values)
	}
	for i := range int(b.fields) {
		if s := b.shapeAt(i); s != mixed {
			at += s.width()
		} else {
			at += headSize(b.buf[at:])
		}
	}
	return at
}

// shapedValue returns the value at an offset, of a field of the shape, and
// where the next one begins.
func (b *block) shapedValue(at int, s shape, num *numberText) (v []byte, next int) {
	if s == mixed {
		return unpack(b.buf[at:], num), at + headSize(b.buf[at:])
	}
	return row{b: b.buf, shape: s}.value(at, num), at + s.width()
}

// eachShaped visits the values, as elements, of an entry of the block's shapes.
func (b *block) eachShaped(at int, visit func(e element)) {
	var num numberText
	for i := range int(b.fields) {
		var v []byte
		v, at = b.shapedValue(at, b.shapeAt(i), &num)
		visit(pack(v))
	}
}

// eachShaped is Each for an entry of the block's shapes.
func (e Entry) eachShaped(visit func(v []byte)) {
	b, at, name := e.block, e.at.body, 0
	for i := range e.Fields {
		visit(unpack(b.buf[name:], &e.stream.number))
		name += headSize(b.buf[name:])
		var v []byte
		v, at = b.shapedValue(at, b.shapeAt(i), &e.stream.number)
		visit(v)
	}
}
