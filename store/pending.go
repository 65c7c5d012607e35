package store

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"sort"
	"unsafe"
)

// nack is a pending entry: delivered, and not acknowledged.
type nack struct {
	id    ID
	time  int64  // of the last delivery, unix milliseconds
	count int64  // deliveries
	owner uint32 // number of the consumer
}

// pendingList is a set of nacks in ascending order of ID: a row of blocks,
// found by binary search, of records of one width, found likewise. A bare list
// keeps IDs alone.
//
//	narrow   4 bytes milliseconds above base, 4 bytes number
//	         4 bytes time above base, 2 bytes count, 2 bytes owner
//	wide     8 + 8 bytes ID, 8 bytes time, 8 bytes count, 4 bytes owner
//
// A block is narrow as long as all of its records fit.
type pendingList struct {
	blocks deque[*pendingBlock]
	n      int
	bare   bool
	mem    *streamMemory
}

// pendingBlock is some consecutive records; a stored one is never empty.
type pendingBlock struct {
	mem  piece
	n    int
	ms   uint64 // base of a narrow block's IDs
	time int64  // base of its times; in a wide block too, no time is before it
	wide bool
}

const (
	blockNacks        = 256 // most records of a block
	pendingBlockBytes = int64(unsafe.Sizeof(pendingBlock{}))
)

func (l *pendingList) width(wide bool) int {
	switch {
	case l.bare && wide:
		return 16
	case l.bare:
		return 8
	case wide:
		return 40
	}
	return 16
}

func (l *pendingList) idAt(b *pendingBlock, i int) ID {
	r := b.mem.bytes()[i*l.width(b.wide):]
	if b.wide {
		return ID{binary.LittleEndian.Uint64(r), binary.LittleEndian.Uint64(r[8:])}
	}
	return ID{b.ms + uint64(binary.LittleEndian.Uint32(r)), uint64(binary.LittleEndian.Uint32(r[4:]))}
}

func (l *pendingList) at(b *pendingBlock, i int) nack {
	v := nack{id: l.idAt(b, i)}
	if l.bare {
		return v
	}
	r := b.mem.bytes()[i*l.width(b.wide):]
	if b.wide {
		v.time = int64(binary.LittleEndian.Uint64(r[16:]))
		v.count = int64(binary.LittleEndian.Uint64(r[24:]))
		v.owner = binary.LittleEndian.Uint32(r[32:])
		return v
	}
	v.time = b.time + int64(binary.LittleEndian.Uint32(r[8:]))
	v.count = int64(binary.LittleEndian.Uint16(r[12:]))
	v.owner = uint32(binary.LittleEndian.Uint16(r[14:]))
	return v
}

// put writes a record that fits.
func (l *pendingList) put(b *pendingBlock, i int, v nack) {
	r := b.mem.bytes()[i*l.width(b.wide):]
	if b.wide {
		binary.LittleEndian.PutUint64(r, v.id.Ms)
		binary.LittleEndian.PutUint64(r[8:], v.id.Seq)
		if !l.bare {
			binary.LittleEndian.PutUint64(r[16:], uint64(v.time))
			binary.LittleEndian.PutUint64(r[24:], uint64(v.count))
			binary.LittleEndian.PutUint32(r[32:], v.owner)
			b.time = min(b.time, v.time)
		}
		return
	}
	binary.LittleEndian.PutUint32(r, uint32(v.id.Ms-b.ms))
	binary.LittleEndian.PutUint32(r[4:], uint32(v.id.Seq))
	if !l.bare {
		binary.LittleEndian.PutUint32(r[8:], uint32(v.time-b.time))
		binary.LittleEndian.PutUint16(r[12:], uint16(v.count))
		binary.LittleEndian.PutUint16(r[14:], uint16(v.owner))
	}
}

// fits reports whether v can be written into the block as it is.
func (l *pendingList) fits(b *pendingBlock, v nack) bool {
	if b.wide {
		return true
	}
	if v.id.Ms < b.ms || v.id.Ms-b.ms > math.MaxUint32 || v.id.Seq > math.MaxUint32 {
		return false
	}
	return l.bare || v.time >= b.time && v.time-b.time <= math.MaxUint32 &&
		uint64(v.count) <= math.MaxUint16 && v.owner <= math.MaxUint16
}

// all returns the block's records in room.
func (l *pendingList) all(b *pendingBlock, room []nack) []nack {
	for i := range b.n {
		room = append(room, l.at(b, i))
	}
	return room
}

// pack makes the block hold the given records, with room for half as many more.
func (l *pendingList) pack(b *pendingBlock, records []nack) {
	l.drop(b)
	b.ms, b.time, b.wide = records[0].id.Ms, math.MaxInt64, false
	for _, v := range records {
		b.time = min(b.time, v.time)
	}
	for _, v := range records {
		b.wide = b.wide || !l.fits(b, v)
	}
	b.mem = l.mem.alloc(min(max(len(records)*3/2, 4), blockNacks) * l.width(b.wide))
	b.n = len(records)
	for i, v := range records {
		l.put(b, i, v)
	}
}

// drop frees the block's memory.
func (l *pendingList) drop(b *pendingBlock) {
	if b.mem.p != nil {
		l.mem.free(b.mem)
		b.mem = piece{}
	}
}

func (l *pendingList) addBlock(i int, records []nack) {
	b := &pendingBlock{}
	l.pack(b, records)
	l.blocks.insert(i, b)
	l.mem.held += pendingBlockBytes
}

func (l *pendingList) removeBlock(i int) {
	l.drop(*l.blocks.at(i))
	if i == 0 {
		l.blocks.popFront()
	} else {
		l.blocks.remove(i)
	}
	l.mem.held -= pendingBlockBytes
}

// seek returns the place of the first record not before id: block and record,
// the number of blocks and 0 if there is none.
func (l *pendingList) seek(id ID) (bi, i int) {
	all := l.blocks.all()
	if n := len(all); n > 0 && l.idAt(all[n-1], all[n-1].n-1).Less(id) {
		return n, 0 // entries are delivered in order
	}
	bi = sort.Search(len(all), func(k int) bool { return !l.idAt(all[k], all[k].n-1).Less(id) })
	if bi < len(all) {
		b := all[bi]
		i = sort.Search(b.n, func(k int) bool { return !l.idAt(b, k).Less(id) })
	}
	return bi, i
}

// find returns the place of id.
func (l *pendingList) find(id ID) (bi, i int, ok bool) {
	bi, i = l.seek(id)
	return bi, i, bi < l.blocks.len() && l.idAt(*l.blocks.at(bi), i) == id
}

// get returns the record of id.
func (l *pendingList) get(id ID) (v nack, ok bool) {
	bi, i, ok := l.find(id)
	if ok {
		v = l.at(*l.blocks.at(bi), i)
	}
	return v, ok
}

// next returns the first record not before id.
func (l *pendingList) next(id ID) (v nack, ok bool) {
	bi, i := l.seek(id)
	if bi == l.blocks.len() {
		return v, false
	}
	return l.at(*l.blocks.at(bi), i), true
}

// last returns the last record's ID.
func (l *pendingList) last() ID {
	b := *l.blocks.at(l.blocks.len() - 1)
	return l.idAt(b, b.n-1)
}

// set writes v over the record of its ID, or inserts it.
func (l *pendingList) set(v nack) {
	bi, i, ok := l.find(v.id)
	if ok {
		l.overwrite(*l.blocks.at(bi), i, v)
		return
	}
	l.n++
	if bi == l.blocks.len() { // behind all: full blocks stay full
		if bi == 0 || (*l.blocks.at(bi - 1)).n == blockNacks {
			l.addBlock(bi, []nack{v})
			return
		}
		bi--
		i = (*l.blocks.at(bi)).n
	}
	b := *l.blocks.at(bi)
	if b.n == blockNacks {
		var room [blockNacks]nack
		records := l.all(b, room[:0])
		l.addBlock(bi+1, records[blockNacks/2:])
		l.pack(b, records[:blockNacks/2])
		if i > blockNacks/2 {
			b, i = *l.blocks.at(bi + 1), i-blockNacks/2
		}
	}
	l.insert(b, i, v)
}

func (l *pendingList) overwrite(b *pendingBlock, i int, v nack) {
	if l.fits(b, v) {
		l.put(b, i, v)
		return
	}
	var room [blockNacks]nack
	records := l.all(b, room[:0])
	records[i] = v
	l.pack(b, records)
}

// insert puts v at place i of a block that is not full.
func (l *pendingList) insert(b *pendingBlock, i int, v nack) {
	w := l.width(b.wide)
	if buf := b.mem.bytes(); l.fits(b, v) && (b.n+1)*w <= len(buf) {
		copy(buf[(i+1)*w:(b.n+1)*w], buf[i*w:b.n*w])
		b.n++
		l.put(b, i, v)
		return
	}
	var room [blockNacks]nack
	l.pack(b, slices.Insert(l.all(b, room[:0]), i, v))
}

// remove removes the record of id and returns it.
func (l *pendingList) remove(id ID) (v nack, ok bool) {
	bi, i, ok := l.find(id)
	if !ok {
		return v, false
	}
	b := *l.blocks.at(bi)
	v = l.at(b, i)
	w, buf := l.width(b.wide), b.mem.bytes()
	copy(buf[i*w:], buf[(i+1)*w:b.n*w])
	b.n--
	l.n--
	switch {
	case b.n == 0:
		l.removeBlock(bi)
	case b.n < blockNacks/4 && bi+1 < l.blocks.len() && l.merge(bi):
	case b.n < blockNacks/4 && bi > 0 && l.merge(bi-1):
	case b.n*w < len(buf)/4 && len(buf) > 4*pieceUnits:
		var room [blockNacks]nack
		l.pack(b, l.all(b, room[:0]))
	}
	return v, true
}

// merge joins a block and the one behind it unless that would be nearly full.
func (l *pendingList) merge(bi int) bool {
	b, behind := *l.blocks.at(bi), *l.blocks.at(bi + 1)
	if b.n+behind.n > blockNacks*3/4 {
		return false
	}
	var room [blockNacks]nack
	records := l.all(behind, l.all(b, room[:0]))
	l.pack(b, records)
	l.removeBlock(bi + 1)
	return true
}

// each visits the records from id on until visit returns false; nothing may be
// inserted or removed meanwhile.
func (l *pendingList) each(from ID, visit func(v nack) bool) {
	bi, i := l.seek(from)
	for ; bi < l.blocks.len(); bi, i = bi+1, 0 {
		for b := *l.blocks.at(bi); i < b.n; i++ {
			if !visit(l.at(b, i)) {
				return
			}
		}
	}
}

// oldest returns the limit records that were delivered first, none after until,
// in order of delivery; 0 is no limit. Blocks whose records are all later are
// passed over.
func (l *pendingList) oldest(until int64, limit int) []nack {
	var found []nack
	first := func() {
		slices.SortFunc(found, func(a, b nack) int {
			if c := cmp.Compare(a.time, b.time); c != 0 {
				return c
			}
			return a.id.Compare(b.id)
		})
		if limit > 0 && len(found) > limit {
			found = found[:limit]
		}
	}
	for _, b := range l.blocks.all() {
		if b.time > until {
			continue
		}
		for i := range b.n {
			if v := l.at(b, i); v.time <= until {
				found = append(found, v)
			}
		}
		l.tighten(b)
		if limit > 0 && len(found) >= limit+blockNacks {
			first()
			until = found[limit-1].time - 1 // an equal time further on has a greater ID
		}
	}
	first()
	return found
}

// earliest returns when the record that was delivered first was; false if there
// are none.
func (l *pendingList) earliest() (at int64, ok bool) {
	at = math.MaxInt64
	for _, b := range l.blocks.all() {
		if b.time < at {
			l.tighten(b)
			at = min(at, b.time)
		}
	}
	return at, l.n > 0
}

// tighten makes the base of the block's times the least of them.
func (l *pendingList) tighten(b *pendingBlock) {
	least := int64(math.MaxInt64)
	for i := range b.n {
		least = min(least, l.at(b, i).time)
	}
	by := uint32(least - b.time)
	if by == 0 && !b.wide {
		return
	}
	if !b.wide {
		buf := b.mem.bytes()
		for i := range b.n {
			r := buf[i*l.width(false)+8:]
			binary.LittleEndian.PutUint32(r, binary.LittleEndian.Uint32(r)-by)
		}
	}
	b.time = least
}

// clone returns a copy in memory of its own.
func (l *pendingList) clone(mem *streamMemory) pendingList {
	c := pendingList{n: l.n, bare: l.bare, mem: mem}
	for _, b := range l.blocks.all() {
		copied := *b
		n := b.n * l.width(b.wide)
		copied.mem = mem.alloc(n)
		copy(copied.mem.bytes(), b.mem.bytes()[:n])
		c.blocks.pushBack(&copied)
		mem.held += pendingBlockBytes
	}
	return c
}

// release frees the memory; the list is empty then.
func (l *pendingList) release() {
	for _, b := range l.blocks.all() {
		l.drop(b)
		l.mem.held -= pendingBlockBytes
	}
	l.blocks, l.n = deque[*pendingBlock]{}, 0
}
