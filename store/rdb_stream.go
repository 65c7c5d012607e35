package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// A stream is written as one listpack for each block, under the block's base
// ID:
//
//	entries, deleted entries, names, each name, 0
//	flags, ms and number less the base's, [fields, [name,] value …], elements
//
// Names are left out where the entry has those of the block.
const (
	streamEntryDead      = 1
	streamEntrySameNames = 2
)

func (w *rdbWriter) stream(s *Stream) {
	w.length(uint64(s.blocks.len()))
	for _, b := range s.blocks.all() {
		w.block(b)
	}
	w.length(uint64(s.length))
	w.id(s.last)
	w.id(s.FirstID())
	w.id(s.maxDeleted)
	w.length(s.added)
	w.length(uint64(s.groups.len()))
	for _, g := range s.Groups() {
		w.group(g)
	}
}

// group appends a consumer group: what is pending, and of each consumer again
// which of that is its own.
func (w *rdbWriter) group(g *Group) {
	w.text([]byte(g.name))
	w.id(g.last)
	w.length(uint64(g.read))
	w.length(uint64(g.pending.n))
	g.pending.each(ID{}, func(v nack) bool {
		w.rawID(v.id)
		w.time(v.time)
		w.length(uint64(v.count))
		return true
	})
	w.length(uint64(g.consumers.len()))
	for _, c := range g.Consumers() {
		w.text([]byte(c.name))
		w.time(c.Seen)
		w.length(uint64(c.pending.n))
		c.pending.each(ID{}, func(v nack) bool {
			w.rawID(v.id)
			return true
		})
	}
}

func (w *rdbWriter) rawID(id ID) {
	w.out = binary.BigEndian.AppendUint64(w.out, id.Ms)
	w.out = binary.BigEndian.AppendUint64(w.out, id.Seq)
}

// block appends the base ID of a block and its living entries.
func (w *rdbWriter) block(b *block) {
	w.length(16)
	w.rawID(b.base)
	w.beginListpack()
	n := 4 + int(b.fields)
	w.add(packInt(int64(b.live)))
	w.add(packInt(0))
	w.add(packInt(int64(b.fields)))
	w.bare(b.buf[:b.names], int(b.fields))
	w.add(packInt(0))
	b.each(func(e packedEntry) bool {
		if e.flags&entryDead == 0 {
			n += w.entry(b, e)
		}
		return true
	})
	w.endListpack(n)
}

// entry appends an entry and returns how many elements it took.
func (w *rdbWriter) entry(b *block, e packedEntry) int {
	flags, elements := int64(0), 2*e.fields
	if e.flags&entrySameNames != 0 {
		flags, elements = streamEntrySameNames, e.fields
	}
	w.add(packInt(flags))
	w.add(packInt(int64(e.id.Ms - b.base.Ms)))
	w.add(packInt(int64(e.id.Seq - b.base.Seq)))
	before := 3
	if flags == 0 {
		w.add(packInt(int64(e.fields)))
		before = 4
	}
	if e.flags&entrySameShapes != 0 {
		b.eachShaped(e.body, w.add)
	} else {
		w.bare(b.buf[e.body:e.end], elements)
	}
	w.add(packInt(int64(before + elements)))
	return before + elements + 1
}

// bare appends n elements that have no back lengths.
func (w *rdbWriter) bare(b []byte, n int) {
	for range n {
		size := headSize(b)
		at := len(w.node)
		w.node = extend(w.node, size+backSize(size))
		copy(w.node[at:], b[:size])
		putBack(w.node[at+size:], size)
		b = b[size:]
	}
}

// stream reads a stream. Its blocks must ascend and its numbers agree.
func (r *rdbReader) stream(kind byte) *Stream {
	s := r.tx.NewStream()
	for n := r.count(2); n > 0 && !r.bad; n-- {
		base := rawID(r.exactly(16))
		if b := r.block(base); b != nil && b.live > 0 {
			r.need(s.length == 0 || s.TopID().Less(b.first()))
			b.seal(s.mem.blocks)
			s.blocks.pushBack(b)
			s.held += b.bytes()
			s.length += int(b.live)
		}
	}
	r.need(r.length() == uint64(s.length))
	s.last = r.id()
	s.added = uint64(s.length)
	if kind != rdbStream {
		r.id() // of the first entry
		s.maxDeleted = r.id()
		s.added = r.length()
	}
	r.need(!s.last.Less(s.TopID()))
	for n := r.count(groupMinBytes); n > 0 && !r.bad; n-- {
		r.group(s, kind)
	}
	return s
}

// The fewest bytes that a group, a pending entry and a consumer take.
const (
	groupMinBytes    = 5
	pendingMinBytes  = 16 + 8 + 1
	consumerMinBytes = 1 + 8 + 1
)

// group reads a consumer group. Every pending entry must be that of one
// consumer, and every name and ID must come once.
func (r *rdbReader) group(s *Stream, kind byte) {
	name, last := bytes.Clone(r.text()), r.id()
	read := s.countTo(last)
	if kind != rdbStream {
		read = int64(r.length())
	}
	r.need(read >= -1)
	pending := make([]Pending, r.count(pendingMinBytes))
	for i := range pending {
		p := &pending[i]
		p.ID, p.Time, p.Count = r.rawID(), r.time(), int64(r.length())
		r.need(p.Time >= 0 && p.Count >= 0 && (i == 0 || pending[i-1].ID.Less(p.ID)))
		if r.bad {
			return
		}
	}
	g := s.CreateGroup(name, last, read)
	r.need(g != nil)
	for n := r.count(consumerMinBytes); n > 0 && !r.bad; n-- {
		r.consumer(g, pending, kind)
	}
	for i := range pending {
		if r.need(pending[i].Consumer != nil); r.bad {
			return
		}
		g.Assign(pending[i])
	}
}

// consumer reads a consumer, and which of the pending entries are its own.
func (r *rdbReader) consumer(g *Group, pending []Pending, kind byte) {
	name, seen := bytes.Clone(r.text()), r.time()
	active := seen
	if kind == rdbStream3 {
		active = r.time()
	}
	if r.bad {
		return
	}
	c := g.CreateConsumer(name, seen)
	if r.need(c != nil); r.bad {
		return
	}
	c.Active = active
	for n := r.count(16); n > 0 && !r.bad; n-- {
		i, ok := slices.BinarySearchFunc(pending, r.rawID(), func(p Pending, id ID) int { return p.ID.Compare(id) })
		r.need(ok && pending[i].Consumer == nil)
		if !r.bad {
			pending[i].Consumer = c
		}
	}
}

// exactly reads a string of n bytes.
func (r *rdbReader) exactly(n int) []byte {
	b := r.text()
	r.need(len(b) == n)
	if r.bad {
		return nil
	}
	return b
}

// block reads the listpack of a block.
func (r *rdbReader) block(base ID) *block {
	text := r.text()
	r.need(base != ID{})
	if r.bad {
		return nil
	}
	p := newListpackReader(text)
	live, dead, fields := p.int(), p.int(), p.int()
	b := &block{base: base, weight: len(text)}
	b.before, _ = base.Prev()
	b.last = b.before
	p.need(live >= 0 && dead >= 0 && 0 < fields && fields <= int64(len(p.rest)))
	for n := fields; n > 0 && !p.bad; n-- {
		b.buf = appendElement(b.buf, p.next())
	}
	p.need(p.int() == 0)
	b.fields = uint32(fields)
	b.beginEntries()
	for p.left() {
		dead -= b.load(&p)
		b.added++
	}
	r.need(p.done() && dead == 0 && int64(b.live) == live && len(b.buf) <= math.MaxUint32)
	return b
}

// load reads an entry; a dead one is passed over. It returns how many dead
// ones it saw.
func (b *block) load(p *listpackReader) (dead int64) {
	flags := p.int()
	id := ID{b.base.Ms + uint64(p.int()), b.base.Seq + uint64(p.int())}
	start, fields, elements, before := len(b.buf), int64(b.fields), int64(b.fields), int64(3)
	own := byte(entrySameNames)
	if flags&streamEntrySameNames == 0 {
		fields = p.int()
		p.need(0 < fields && fields <= int64(len(p.rest)))
		own, elements, before = 0, 2*fields, 4
	}
	b.buf = appendHeader(b.buf, b.last, id, own)
	if own == 0 {
		b.buf = binary.AppendUvarint(b.buf, uint64(fields))
	}
	body := len(b.buf)
	for n := elements; n > 0 && !p.bad; n-- {
		b.buf = appendElement(b.buf, p.next())
	}
	p.need(p.int() == before+elements)
	if own != 0 && !p.bad {
		b.strip(start, body)
	}
	if flags&streamEntryDead != 0 {
		b.buf = b.buf[:start]
		return 1
	}
	p.need(b.last.Less(id))
	b.last = id
	b.live++
	return 0
}
