package store

import (
	"encoding/binary"
	"unsafe"
)

// ref names an entry of an arena: a page number and the place within the
// page in units of 8 bytes. Zero is no entry. 19 bits of pages of 64 KiB make
// 32 GiB an arena, that is, a shard.
type ref uint32

const (
	unitBytes = 8
	pageBits  = 13 // units of a page
	pageUnits = 1 << pageBits
	pageBytes = pageUnits * unitBytes
	maxPages  = 1 << (32 - pageBits)
	maxChunk  = 4 << 20   // bytes
	maxSlot   = 256 << 10 // bytes; larger strings have mappings of their own
)

// slotSizes are the sizes of slots, classOf the class for a size in units.
// Steps of 8 bytes to 128, then an eighth more each; a sixteenth from 2 to
// 8 KiB, where the parts of large lists and streams are.
var slotSizes, classOf = sizeClasses()

const classes = 91

func sizeClasses() (sizes [classes]uint32, class [maxSlot/unitBytes + 1]uint8) {
	size, from := uint32(unitBytes), 0
	for c := range sizes {
		sizes[c] = size
		for u := from; u <= int(size/unitBytes); u++ {
			class[u] = uint8(c)
		}
		from = int(size/unitBytes) + 1
		step := size / 8
		switch {
		case size < 128:
			step = unitBytes
		case size > 2000 && size < 8192:
			step = size / 16
		}
		size = min((size+step+unitBytes-1)&^(unitBytes-1), maxSlot)
	}
	return sizes, class
}

// page is what finding an entry needs to know of its 64 KiB.
type page struct {
	base  unsafe.Pointer
	slot  uint32 // bytes of each slot
	chunk uint32 // index into arena.chunks
}

// chunk is one mapping cut into slots of one size.
type chunk struct {
	mem   region
	first uint32 // page number
	class uint8
	room  int32  // index into size.room, -1 when full or being emptied
	slots uint32 // all
	cut   uint32 // slots ever used since the chunk was empty
	live  uint32
	swept uint32 // slots that compaction has passed
	free  ref    // head of the list of freed slots
}

// size is one size class of an arena.
type size struct {
	room  []uint32 // chunks with a free slot
	bytes int      // mapped
	cut   int      // slots ever used
	live  int      // slots in use
}

// arena hands out slots. It is guarded by its shard's lock.
type arena struct {
	pages     []page
	chunks    []*chunk
	spare     []uint32            // unused indexes of chunks
	pageRuns  map[uint32][]uint32 // unused page numbers by length of run
	sizes     [classes]size
	mapped    int64  // bytes
	live      int64  // bytes of slots in use
	idle      int64  // bytes of slots freed and not used again
	closing   *chunk // what compaction is emptying: nothing new goes in
	compactAt uint8  // class where the next look for waste begins
}

// at returns where r's slot begins.
func (a *arena) at(r ref) unsafe.Pointer {
	return unsafe.Add(a.pages[r>>pageBits].base, uintptr(r&(pageUnits-1))*unitBytes)
}

// alloc returns a slot of at least n bytes, n ≤ maxSlot. Its contents are
// undefined.
func (a *arena) alloc(n int) ref {
	class := classOf[(n+unitBytes-1)/unitBytes]
	sz := &a.sizes[class]
	if len(sz.room) == 0 {
		a.grow(class)
	}
	ch := a.chunks[sz.room[len(sz.room)-1]]
	var r ref
	if ch.free != 0 {
		r = ch.free
		a.idle -= int64(slotSizes[class])
		ch.free = ref(binary.LittleEndian.Uint32((*[8]byte)(a.at(r))[4:]))
	} else {
		r = ref(ch.first<<pageBits + ch.cut*(slotSizes[class]/unitBytes))
		ch.cut++
		sz.cut++
	}
	ch.live++
	sz.live++
	a.live += int64(slotSizes[class])
	if ch.free == 0 && ch.cut == ch.slots {
		a.noRoom(ch)
	}
	return r
}

// release frees r's slot and gives the chunk back once it is empty.
func (a *arena) release(r ref) {
	pg := a.pages[r>>pageBits]
	ch := a.chunks[pg.chunk]
	sz := &a.sizes[ch.class]
	p := a.at(r)
	if checked {
		a.poison(p, pg.slot)
	}
	head := (*[8]byte)(p)
	head[0] = 0 // the live mark: no entry is of kind none
	binary.LittleEndian.PutUint32(head[4:], uint32(ch.free))
	ch.free = r
	ch.live--
	sz.live--
	a.live -= int64(pg.slot)
	a.idle += int64(pg.slot)
	switch {
	case ch.live > 0:
		if ch.room < 0 && ch != a.closing {
			a.hasRoom(pg.chunk)
		}
	case ch == a.closing || len(sz.room) > 1:
		a.drop(pg.chunk)
	default: // the last chunk with room stays, cut anew
		sz.cut -= int(ch.cut)
		a.idle -= int64(ch.cut) * int64(pg.slot)
		ch.cut, ch.free = 0, 0
		if ch.room < 0 {
			a.hasRoom(pg.chunk)
		}
	}
	if sz.live == 0 && len(sz.room) > 0 && a.chunks[sz.room[0]].mem.n > pageBytes {
		a.drop(sz.room[0])
	}
}

func (a *arena) poison(p unsafe.Pointer, n uint32) {
	b := unsafe.Slice((*byte)(p), n)
	if b[0]&kindMask == 0 {
		panic("store: entry freed twice")
	}
	for i := range b {
		b[i] = 0xDB
	}
}

func (a *arena) hasRoom(id uint32) {
	ch := a.chunks[id]
	sz := &a.sizes[ch.class]
	ch.room = int32(len(sz.room))
	sz.room = append(sz.room, id)
}

func (a *arena) noRoom(ch *chunk) {
	sz := &a.sizes[ch.class]
	last := sz.room[len(sz.room)-1]
	sz.room[ch.room] = last
	a.chunks[last].room = ch.room
	sz.room = sz.room[:len(sz.room)-1]
	ch.room = -1
}

// grow maps another chunk for the class: a quarter of what it has, eight slots
// at least, within 64 KiB and 4 MiB.
func (a *arena) grow(class uint8) {
	sz := &a.sizes[class]
	n := pageBytes
	for n < maxChunk && (n*4 <= sz.bytes || n < 8*int(slotSizes[class])) {
		n *= 2
	}
	ch := &chunk{mem: newRegion(n), class: class, slots: uint32(n) / slotSizes[class]}
	id := uint32(len(a.chunks))
	if k := len(a.spare); k > 0 {
		id, a.spare = a.spare[k-1], a.spare[:k-1]
		a.chunks[id] = ch
	} else {
		a.chunks = append(a.chunks, ch)
	}
	ch.first = a.takePages(uint32(n / pageBytes))
	for i := range n / pageBytes {
		a.pages[int(ch.first)+i] = page{base: unsafe.Add(ch.mem.p, i*pageBytes), slot: slotSizes[class], chunk: id}
	}
	sz.bytes += n
	a.mapped += int64(n)
	a.hasRoom(id)
}

// takePages returns the first of n consecutive unused page numbers.
func (a *arena) takePages(n uint32) uint32 {
	if runs := a.pageRuns[n]; len(runs) > 0 {
		a.pageRuns[n] = runs[:len(runs)-1]
		return runs[len(runs)-1]
	}
	first := max(len(a.pages), 1) // page 0 would make reference 0
	if first+int(n) > maxPages {
		panic("store: a shard is full: use more shards")
	}
	a.pages = append(a.pages, make([]page, first+int(n)-len(a.pages))...)
	return uint32(first)
}

// drop unmaps an empty chunk.
func (a *arena) drop(id uint32) {
	ch := a.chunks[id]
	sz := &a.sizes[ch.class]
	if ch.room >= 0 {
		a.noRoom(ch)
	}
	if ch == a.closing {
		a.closing = nil
	}
	n := ch.mem.n
	pages := uint32(n / pageBytes)
	clear(a.pages[ch.first : ch.first+pages])
	if a.pageRuns == nil {
		a.pageRuns = make(map[uint32][]uint32)
	}
	a.pageRuns[pages] = append(a.pageRuns[pages], ch.first)
	sz.bytes -= n
	sz.cut -= int(ch.cut)
	a.idle -= int64(ch.cut) * int64(slotSizes[ch.class])
	a.mapped -= int64(n)
	ch.mem.release()
	a.chunks[id] = nil
	a.spare = append(a.spare, id)
}

// dropAll unmaps at most n chunks, whatever they hold, and reports whether
// any are left.
func (a *arena) dropAll(n int) (more bool) {
	for k := len(a.chunks) - 1; k >= 0; k-- {
		if n--; n < 0 {
			return true
		}
		if ch := a.chunks[k]; ch != nil {
			ch.mem.release()
		}
		a.chunks = a.chunks[:k]
	}
	return false
}

// wasteful returns a class that compaction would shrink: more than a quarter
// of its slots and 128 KiB lie idle. It looks only if an eighth of the whole
// does.
func (a *arena) wasteful() (class uint8, ok bool) {
	if a.idle < 2*pageBytes || a.idle < a.live/8 {
		return 0, false
	}
	for range classes {
		c := a.compactAt
		sz := &a.sizes[c]
		if idle := sz.cut - sz.live; idle > sz.cut/4 && idle*int(slotSizes[c]) > 2*pageBytes {
			return c, true
		}
		a.compactAt = (c + 1) % classes
	}
	return 0, false
}

// victim returns the chunk that compaction empties: the one already begun,
// else, of a wasteful class, the one with the smallest share in use.
func (a *arena) victim() *chunk {
	if a.closing != nil {
		return a.closing
	}
	class, ok := a.wasteful()
	if !ok {
		return nil
	}
	for _, ch := range a.chunks {
		if ch == nil || ch.class != class {
			continue
		}
		if v := a.closing; v == nil || uint64(ch.live)*uint64(v.slots) < uint64(v.live)*uint64(ch.slots) {
			a.closing = ch
		}
	}
	if a.closing.room >= 0 {
		a.noRoom(a.closing)
	}
	return a.closing
}

// sweep appends up to n references of the entries of a chunk being emptied,
// from where the last sweep ended.
func (a *arena) sweep(ch *chunk, refs []ref, n int) []ref {
	units := slotSizes[ch.class] / unitBytes
	for ; ch.swept < ch.cut && len(refs) < n; ch.swept++ {
		r := ref(ch.first<<pageBits + ch.swept*units)
		if *(*byte)(a.at(r))&kindMask != 0 {
			refs = append(refs, r)
		}
	}
	return refs
}
