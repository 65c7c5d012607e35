package store

import (
	"hash"
	"sort"
	"unsafe"
)

// Stream is a log of entries in ascending order of ID (Redis' XADD family): a
// row of blocks, found by binary search, and the consumer groups by name.
//
// It is guarded by the lock of its key's shard; whoever changes it calls
// Tx.SaveStream or Tx.SaveStreamQuietly.
type Stream struct {
	mem        *streamMemory
	groups     names[*Group]
	blocks     deque[*block]
	length     int
	held       int64 // bytes of blocks
	last       ID    // greatest ID ever added
	maxDeleted ID    // greatest ID ever deleted by Delete
	added      uint64
	tail       tail       // the last entry, so that reading it alone is quick
	number     numberText // a packed number's text while it is visited
}

// tail is where the last entry of the last block begins and the ID before it;
// at is 0 when that is not known.
type tail struct {
	at     int
	before ID
}

// NewStream returns an empty stream, not stored anywhere yet.
func NewStream() *Stream { return &Stream{mem: &streamMemory{}} }

// NewStream returns an empty stream that is to be stored with SaveStream.
func (tx *Tx) NewStream() *Stream {
	return &Stream{mem: &streamMemory{blocks: tx.store.newBlocks()}}
}

// Stream returns key's stream, nil if key is absent.
func (tx *Tx) Stream(key []byte, a Access) (*Stream, error) {
	at, ok := tx.find(key, a)
	if !ok {
		return nil, nil
	}
	s, ok := tx.object(at).(*Stream)
	if !ok {
		return nil, ErrWrongType
	}
	at.c.preserve(at) // the caller may change it, however it asked
	return s, nil
}

// SaveStream records a change of s, the stream of key or a new one for it.
func (tx *Tx) SaveStream(key []byte, s *Stream) {
	at, ok := tx.find(key, Peek)
	if !ok {
		tx.putObject(key, s)
		return
	}
	tx.settle(&at)
	tx.changed(key, KindStream, Changed)
}

// SaveStreamQuietly is SaveStream for a change that gives nothing to those who
// wait for the key: entries went, or a group's own state changed.
func (tx *Tx) SaveStreamQuietly(key []byte, s *Stream) {
	tx.SaveStream(key, s)
	if c := &tx.changes[len(tx.changes)-1]; c.Effect == Changed {
		c.Effect = Reduced
	}
}

func (s *Stream) Kind() Kind { return KindStream }

// Len returns the number of entries.
func (s *Stream) Len() int { return s.length }

// Blocks returns the number of blocks: Redis' radix tree has as many keys.
func (s *Stream) Blocks() int { return s.blocks.len() }

// LastID returns the greatest ID that was ever added, or set by SetID.
func (s *Stream) LastID() ID { return s.last }

// MaxDeletedID returns the greatest ID that was ever deleted, 0-0 if none.
func (s *Stream) MaxDeletedID() ID { return s.maxDeleted }

// Added returns how many entries were ever added.
func (s *Stream) Added() uint64 { return s.added }

// FirstID returns the ID of the first entry, 0-0 if there is none.
func (s *Stream) FirstID() ID {
	if s.length == 0 {
		return ID{}
	}
	return (*s.blocks.at(0)).first()
}

// TopID returns the ID of the last entry that is there, 0-0 if there is none.
func (s *Stream) TopID() ID {
	if s.length == 0 {
		return ID{}
	}
	return (*s.blocks.at(s.blocks.len() - 1)).last
}

// Bytes returns the memory held.
func (s *Stream) Bytes() int64 {
	return s.held + s.mem.held + int64(unsafe.Sizeof(*s)+unsafe.Sizeof(*s.mem)) + int64(s.blocks.cap())*int64(unsafe.Sizeof((*block)(nil)))
}

// Clone returns a copy without idle room.
func (s *Stream) Clone() Object {
	c := *s
	c.mem = &streamMemory{blocks: s.mem.blocks}
	c.blocks, c.held = deque[*block]{}, 0
	s.cloneGroups(&c)
	for _, b := range s.blocks.all() {
		copied := *b
		copied.mem = piece{}
		copied.seal(c.mem.blocks)
		c.blocks.pushBack(&copied)
		c.held += copied.bytes()
	}
	return &c
}

// Add appends an entry of pairs of field and value. id must be greater than
// LastID. A new block begins when the last would pass maxBytes (counted as
// Redis counts) or maxEntries; 0 is no limit.
func (s *Stream) Add(id ID, pairs [][]byte, maxBytes, maxEntries int64) {
	size := 0
	for _, v := range pairs {
		size += len(v)
	}
	var b *block
	if n := s.blocks.len(); n > 0 {
		b = *s.blocks.at(n - 1)
		s.held -= b.bytes()
		if b.full(size, maxBytes, maxEntries) {
			var room []byte
			if b.mem.p == nil {
				room = b.seal(s.mem.blocks)
			}
			s.held += b.bytes()
			b = newBlock(id, pairs, room)
			s.blocks.pushBack(b)
		} else {
			b.unseal(s.mem.blocks)
		}
	} else {
		b = newBlock(id, pairs, make([]byte, 0, size+size/4+8))
		s.blocks.pushBack(b)
	}
	s.tail = tail{len(b.buf), b.last}
	b.add(id, pairs)
	s.held += b.bytes()
	s.last = id
	s.length++
	s.added++
}

// SetID sets LastID; and Added unless added is negative, and MaxDeletedID
// unless maxDeleted is 0-0. last must not be less than TopID.
func (s *Stream) SetID(last ID, added int64, maxDeleted ID) {
	s.last = last
	if added >= 0 {
		s.added = uint64(added)
	}
	if maxDeleted != (ID{}) {
		s.maxDeleted = maxDeleted
	}
}

// seek returns the first block whose last entry is not before id.
func (s *Stream) seek(id ID) int {
	all := s.blocks.all()
	return sort.Search(len(all), func(i int) bool { return !all[i].last.Less(id) })
}

// Delete removes an entry and reports whether it was there.
func (s *Stream) Delete(id ID) bool {
	i := s.seek(id)
	if i == s.blocks.len() {
		return false
	}
	b := *s.blocks.at(i)
	before := b.bytes()
	if !b.delete(id) {
		return false
	}
	s.resettle(b, i)
	s.held += b.bytes() - before
	s.length--
	if i == s.blocks.len()-1 {
		s.tail = tail{}
	}
	if b.live == 0 {
		s.discard(i)
	}
	if s.maxDeleted.Less(id) {
		s.maxDeleted = id
	}
	return true
}

// resettle moves the buffer of a block, unless the last, out of the Go heap if
// it was rewritten there.
func (s *Stream) resettle(b *block, i int) {
	if b.mem.p != nil && (len(b.buf) == 0 || &b.buf[0] != &b.mem.bytes()[0]) || b.mem.p == nil && i < s.blocks.len()-1 {
		b.seal(s.mem.blocks)
	}
}

func (s *Stream) discard(i int) {
	b := *s.blocks.at(i)
	s.held -= b.bytes()
	if b.mem.p != nil {
		s.mem.blocks.free(b.mem)
	}
	if i == 0 {
		s.blocks.popFront()
		return
	}
	s.blocks.remove(i)
}

// Entry is an entry during a visit.
type Entry struct {
	ID     ID
	Fields int // pairs of field and value
	stream *Stream
	block  *block
	at     packedEntry
}

// Each visits fields and values in turn. The bytes are valid during the visit.
func (e Entry) Each(visit func(v []byte)) {
	if e.at.flags&entrySameShapes != 0 {
		e.eachShaped(visit)
		return
	}
	body, names := e.block.buf[e.at.body:], e.block.buf
	num := &e.stream.number
	for range e.Fields {
		if e.at.flags&entrySameNames != 0 {
			visit(unpack(names, num))
			names = names[headSize(names):]
		} else {
			visit(unpack(body, num))
			body = body[headSize(body):]
		}
		visit(unpack(body, num))
		body = body[headSize(body):]
	}
}

// Range visits the entries from one ID to another, both included, until visit
// returns false.
func (s *Stream) Range(from, to ID, visit func(e Entry) bool) {
	for i := s.seek(from); i < s.blocks.len(); i++ {
		b := *s.blocks.at(i)
		before := b.before
		for at := int(b.start); at < len(b.buf); {
			e := b.entryAt(at, before)
			at, before = e.end, e.id
			if e.id.Less(from) || e.flags&entryDead != 0 {
				continue
			}
			if to.Less(e.id) || !visit(Entry{e.id, e.fields, s, b, e}) {
				return
			}
		}
		if !b.last.Less(to) {
			return
		}
	}
}

// Has reports whether there is an entry of the given ID.
func (s *Stream) Has(id ID) bool {
	f := s.Finder()
	_, ok := f.Find(id)
	return ok
}

// RangeBack visits the entries from one ID down to another, both included,
// until visit returns false.
func (s *Stream) RangeBack(from, to ID, visit func(e Entry) bool) {
	if s.length == 0 {
		return
	}
	if b := *s.blocks.at(s.blocks.len() - 1); s.tail.at > 0 && !from.Less(b.last) {
		e := b.entryAt(s.tail.at, s.tail.before)
		if e.id.Less(to) || !visit(Entry{e.id, e.fields, s, b, e}) {
			return
		}
		from, _ = e.id.Prev() // never 0-0, which no entry has
	}
	var room [128]tail // a block is read forwards, then visited backwards
	i := s.seek(from)
	if i == s.blocks.len() {
		i--
	}
	for ; i >= 0; i-- {
		b := *s.blocks.at(i)
		marks, before := room[:0], b.before
		for at := int(b.start); at < len(b.buf); {
			e := b.entryAt(at, before)
			if from.Less(e.id) {
				break
			}
			if e.flags&entryDead == 0 && !e.id.Less(to) {
				marks = append(marks, tail{at, before})
			}
			at, before = e.end, e.id
		}
		for j := len(marks) - 1; j >= 0; j-- {
			e := b.entryAt(marks[j].at, marks[j].before)
			if !visit(Entry{e.id, e.fields, s, b, e}) {
				return
			}
		}
		if b.last.Less(to) {
			return
		}
	}
}

// digest adds all that two equal streams have in common.
func (s *Stream) digest(h hash.Hash) {
	for _, id := range []ID{s.last, s.maxDeleted, {s.added, 0}} {
		part(h, id.Append(nil))
	}
	s.Range(ID{}, MaxID, func(e Entry) bool {
		part(h, e.ID.Append(nil))
		e.Each(func(v []byte) { part(h, v) })
		return true
	})
	s.digestGroups(h)
}

// release frees the memory; the stream must not be used again.
func (s *Stream) release() {
	for _, g := range s.Groups() {
		g.release()
	}
	s.groups = names[*Group]{}
	for s.blocks.len() > 0 {
		s.discard(s.blocks.len() - 1)
	}
}

// heapBytes returns the part of Bytes that is on the Go heap, but for the groups
// and consumers themselves.
func (s *Stream) heapBytes() int64 {
	n := int64(unsafe.Sizeof(*s)+unsafe.Sizeof(*s.mem)) + int64(s.blocks.cap())*int64(unsafe.Sizeof((*block)(nil))) + int64(s.blocks.len())*blockBytes
	if k := s.blocks.len(); k > 0 {
		if b := *s.blocks.at(k - 1); b.mem.p == nil {
			n += int64(cap(b.buf))
		}
	}
	return n
}
