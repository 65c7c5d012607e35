package store

import (
	"bytes"
	"encoding/binary"
	"unsafe"
)

// block is some consecutive entries of a stream, packed into one buffer:
//
//	names      of the fields that most entries have, those of the first entry
//	shapes     of their values, 2 bytes each, where the first two agree
//	gap        of entries trimmed from the front
//	entries    from start on
//
// An entry is
//
//	1 byte     flags
//	varint     milliseconds since the entry before
//	varint     number, less what is expected; absent with entryExpected
//	           values alone, with entrySameNames; else a varint, how many
//	           fields, and each field's name and value
//
// With entrySameShapes a value whose field has a shape stands there without
// what that says (see shape).
//
// Names and values are packed elements without back lengths. The first and the
// last entry of a block are never dead, so that its first ID and last are
// those of living entries.
type block struct {
	buf    []byte
	mem    piece  // what buf is in; none while entries are appended: then it is on the Go heap
	before ID     // of the entry before the first, from which the first counts on
	last   ID     // of the last entry
	base   ID     // of the first entry that ever was in the block
	names  uint32 // bytes of the names
	fields uint32 // how many names
	start  uint32
	live   uint32 // entries that are not dead
	added  uint32 // entries ever added
	dead   uint32 // bytes of dead entries behind start
	values uint32 // bytes of the values of an entry of the shapes; 0: to be counted
	weight int    // see entryWeight
}

const (
	entryDead       = 1 << iota // deleted, not yet compacted away
	entrySameNames              // its field names are the block's
	entryExpected               // its number is 0 in a new millisecond, else the next one
	entrySameShapes             // with entrySameNames: its values have the block's shapes
)

const blockBytes = int64(unsafe.Sizeof(block{}))

// newBlock returns a block that takes its names from the pairs of field and
// value of its first entry, and is written into room.
func newBlock(id ID, pairs [][]byte, room []byte) *block {
	b := &block{buf: room[:0], base: id}
	b.before, _ = id.Prev()
	b.last = b.before
	b.fields = uint32(len(pairs) / 2)
	b.weight = listpackFrame + 2*listpackInt(0) + listpackInt(int64(b.fields)) + listpackInt(0)
	for i := 0; i < len(pairs); i += 2 {
		e := pack(pairs[i])
		b.buf = appendElement(b.buf, e)
		b.weight += e.total()
	}
	b.beginEntries()
	return b
}

// beginEntries ends the names and leaves room for the shapes.
func (b *block) beginEntries() {
	b.names = uint32(len(b.buf))
	b.buf = append(b.buf, make([]byte, 2*b.fields)...)
	b.start = uint32(len(b.buf))
}

func appendElement(buf []byte, e element) []byte {
	n := len(buf)
	buf = extend(buf, e.size)
	e.putHead(buf[n:])
	return buf
}

// extend makes buf n bytes longer; what they hold is undefined.
func extend(buf []byte, n int) []byte {
	if len(buf)+n <= cap(buf) {
		return buf[:len(buf)+n]
	}
	grown := make([]byte, len(buf)+n, max(len(buf)+n, cap(buf)+cap(buf)/2))
	copy(grown, buf)
	return grown
}

// A block is full when its entries would fill a node of Redis' stream, which
// is a listpack: so the options stream-node-max-bytes and -entries mean the
// same, and approximate trimming cuts at the same entries.
const listpackFrame = 7

func listpackInt(n int64) int { return intSize(n) + 1 }

// entryWeight returns the bytes that the entry would take in Redis' listpack.
func (b *block) entryWeight(id ID, pairs [][]byte, same bool) int {
	n := int64(len(pairs))
	w := listpackInt(0) + listpackInt(int64(id.Ms-b.base.Ms)) + listpackInt(int64(id.Seq-b.base.Seq))
	if same {
		for i := 1; i < len(pairs); i += 2 {
			w += pack(pairs[i]).total()
		}
		return w + listpackInt(n/2+3)
	}
	for _, v := range pairs {
		w += pack(v).total()
	}
	return w + listpackInt(n/2) + listpackInt(n+4)
}

// full reports whether an entry with size bytes of fields and values must go
// into a new block. A limit of 0 is none.
func (b *block) full(size int, maxBytes, maxEntries int64) bool {
	const most = 1 << 30
	if maxBytes <= 0 || maxBytes > most {
		maxBytes = most
	}
	return int64(b.weight+size) >= maxBytes || maxEntries > 0 && int64(b.added) >= maxEntries
}

// add appends an entry, whose ID is greater than the last.
func (b *block) add(id ID, pairs [][]byte) {
	same := b.sameNames(pairs)
	b.weight += b.entryWeight(id, pairs, same)
	flags := byte(0)
	if same {
		flags = entrySameNames
	}
	from := len(b.buf)
	b.buf = appendHeader(b.buf, b.last, id, flags)
	if !same {
		b.buf = binary.AppendUvarint(b.buf, uint64(len(pairs)/2))
	}
	for i, v := range pairs {
		if i&1 == 1 || !same {
			b.buf = appendElement(b.buf, pack(v))
		}
	}
	if same {
		b.strip(from, b.entryBody(from))
	}
	b.last = id
	b.live++
	b.added++
}

// appendHeader appends what says the ID of an entry that follows the ID before.
func appendHeader(buf []byte, before, id ID, flags byte) []byte {
	ms, expected := id.Ms-before.Ms, uint64(0)
	if ms == 0 {
		expected = before.Seq + 1
	}
	if id.Seq == expected {
		flags |= entryExpected
	}
	buf = append(buf, flags)
	buf = binary.AppendUvarint(buf, ms)
	if id.Seq != expected {
		buf = binary.AppendUvarint(buf, id.Seq-expected)
	}
	return buf
}

func (b *block) sameNames(pairs [][]byte) bool {
	if len(pairs)/2 != int(b.fields) {
		return false
	}
	at := 0
	for i := 0; i < len(pairs); i += 2 {
		n := headSize(b.buf[at:])
		if e := pack(pairs[i]); e.size != n || !e.equals(b.buf[at:at+n]) {
			return false
		}
		at += n
	}
	return true
}

// equals reports whether b, as long as header and data of the element, is them.
func (e element) equals(b []byte) bool {
	var num numberText
	if e.number {
		putInt(num[:], e.num)
		return bytes.Equal(num[:e.size], b)
	}
	return isText(b[0]) && bytes.HasSuffix(b, e.text)
}

// packedEntry is an entry found in a block.
type packedEntry struct {
	id     ID
	from   int // of the entry in the buffer
	body   int // of its fields
	end    int
	fields int
	flags  byte
}

// entryAt reads the entry at an offset; before is the ID of the one before it.
func (b *block) entryAt(at int, before ID) packedEntry {
	e := packedEntry{from: at, flags: b.buf[at], id: before, fields: int(b.fields)}
	at++
	ms, n := uvarint(b.buf[at:])
	at += n
	if ms == 0 {
		e.id.Seq++
	} else {
		e.id = ID{before.Ms + ms, 0}
	}
	if e.flags&entryExpected == 0 {
		more, n := uvarint(b.buf[at:])
		at += n
		e.id.Seq += more
	}
	e.body = at
	elements := e.fields
	switch {
	case e.flags&entrySameShapes != 0:
		e.end = b.shapedEnd(at)
		return e
	case e.flags&entrySameNames == 0:
		count, n := uvarint(b.buf[at:])
		at += n
		e.body = at
		e.fields, elements = int(count), 2*int(count)
	}
	for range elements {
		at += headSize(b.buf[at:])
	}
	e.end = at
	return e
}

// uvarint is binary.Uvarint, quick for one byte.
func uvarint(b []byte) (uint64, int) {
	if c := b[0]; c < 0x80 {
		return uint64(c), 1
	}
	return binary.Uvarint(b)
}

// each visits the entries in order, dead ones too, until visit returns false.
func (b *block) each(visit func(e packedEntry) bool) {
	id := b.before
	for at := int(b.start); at < len(b.buf); {
		e := b.entryAt(at, id)
		if !visit(e) {
			return
		}
		at, id = e.end, e.id
	}
}

// first returns the ID of the first entry.
func (b *block) first() ID { return b.entryAt(int(b.start), b.before).id }

// delete removes the entry with the given ID and reports whether it was there.
func (b *block) delete(id ID) bool {
	var prior, found packedEntry // prior: the last live entry before the one found
	prior.end = -1
	b.each(func(e packedEntry) bool {
		if !e.id.Less(id) {
			found = e
			return false
		}
		if e.flags&entryDead == 0 {
			prior = e
		}
		return true
	})
	if found.end == 0 || found.id != id || found.flags&entryDead != 0 {
		return false
	}
	b.live--
	switch {
	case b.live == 0:
	case prior.end < 0:
		b.advance(found)
	case found.end == len(b.buf):
		b.dead -= uint32(found.from - prior.end)
		b.buf, b.last = b.buf[:prior.end], prior.id
	default:
		b.buf[found.from] |= entryDead
		b.dead += uint32(found.end - found.from)
		if int(b.dead) > len(b.buf)/2 {
			b.compact()
		}
	}
	return true
}

// advance makes the first live entry behind e the first one.
func (b *block) advance(e packedEntry) {
	for {
		b.start, b.before = uint32(e.end), e.id
		if e = b.entryAt(e.end, e.id); e.flags&entryDead == 0 {
			return
		}
		b.dead -= uint32(e.end - e.from)
	}
}

// trim removes entries from the front while more returns true, but not the
// last one, and returns how many.
func (b *block) trim(more func(id ID, removed int) bool) (removed int) {
	for b.live > 1 {
		e := b.entryAt(int(b.start), b.before)
		if !more(e.id, removed) {
			break
		}
		b.live--
		removed++
		b.advance(e)
	}
	return removed
}

// compact rewrites the buffer, on the Go heap, without dead entries and gap.
func (b *block) compact() {
	front := b.names + 2*b.fields
	buf := append(make([]byte, 0, len(b.buf)-int(b.dead)), b.buf[:front]...)
	id := b.before
	b.each(func(e packedEntry) bool {
		if e.flags&entryDead == 0 {
			buf = appendHeader(buf, id, e.id, e.flags&(entrySameNames|entrySameShapes))
			if e.flags&entrySameNames == 0 {
				buf = binary.AppendUvarint(buf, uint64(e.fields))
			}
			buf = append(buf, b.buf[e.body:e.end]...)
			id = e.id
		}
		return true
	})
	b.buf, b.start, b.dead = buf, front, 0
}

// maxRoom is the largest buffer that a sealed block hands on.
const maxRoom = 16 << 10

// seal moves the buffer into a piece of its size, as nothing is appended to the
// block any more, and returns the old one for the block behind.
func (b *block) seal(from blocks) (room []byte) {
	room = b.buf
	old := b.mem
	b.mem = from.alloc(len(room))
	n := copy(b.mem.bytes(), room)
	b.buf = b.mem.bytes()[:n:n]
	if old.p != nil {
		from.free(old)
		return nil
	}
	if cap(room) > maxRoom {
		return nil
	}
	return room
}

// unseal moves the buffer to the Go heap, as entries will be appended.
func (b *block) unseal(from blocks) {
	if b.mem.p != nil {
		b.buf = append(make([]byte, 0, len(b.buf)+len(b.buf)/4+8), b.buf...)
		from.free(b.mem)
		b.mem = piece{}
	}
}

// bytes returns what the block takes.
func (b *block) bytes() int64 {
	if b.mem.p != nil {
		return blockBytes + int64(b.mem.n)
	}
	return blockBytes + int64(cap(b.buf))
}
