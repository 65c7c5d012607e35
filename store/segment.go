package store

import "unsafe"

// add appends an element that is in no index yet.
func (t *table) add(key, value []byte) elem {
	e := t.reserve(unitsOf(len(key), len(value)))
	p := t.at(e)
	putBytes(unsafe.Add(p, putBytes(p, key)), value)
	return e
}

// reserve takes room for an element of n units.
func (t *table) reserve(n uint32) elem {
	size := int(n) * elemUnit
	if size > soleElement {
		i := t.newSegment(size)
		t.segs[i].used = n
		return elem(i << placeBits)
	}
	if t.open == 0 || int(t.segs[t.open].used)*elemUnit+size > t.segs[t.open].n {
		t.open = t.newSegment(max(size, int(min(max(t.held/4, segmentMin), segmentFull))))
	}
	s := &t.segs[t.open]
	e := elem(t.open<<placeBits | s.used)
	s.used += n
	return e
}

// segmentFull is the size of a full segment: the largest slot within what
// references reach.
var segmentFull = func() (n int64) {
	for _, size := range slotSizes {
		if size <= segmentMax {
			n = int64(size)
		}
	}
	return n
}()

// newSegment returns the number of a new segment of at least size bytes.
func (t *table) newSegment(size int) uint32 {
	p := t.from.alloc(size)
	i := t.unused
	if i != 0 {
		t.unused = t.segs[i].used
	} else {
		i = uint32(len(t.segs))
		if i == maxSegments {
			panic("store: a table is full")
		}
		t.segs = append(t.segs, segment{})
	}
	t.segs[i] = segment{piece: p}
	t.held += int64(p.n)
	t.taken++
	return i
}

func (t *table) freeSegment(i uint32) {
	s := &t.segs[i]
	t.held -= int64(s.n)
	t.dead -= int64(s.dead) * elemUnit
	t.taken--
	t.from.free(s.piece)
	*s = segment{used: t.unused}
	t.unused = i
	switch i {
	case t.open:
		t.open = 0
	case t.victim:
		t.victim = 0
	}
}

// bury takes e, which is in no index any more, for dead.
func (t *table) bury(e elem) {
	p := t.at(e)
	if checked && *(*byte)(p) == deadMark {
		panic("store: element removed twice")
	}
	t.discard(e, units(p))
}

// discard marks n units from e on as dead.
func (t *table) discard(e elem, n uint32) {
	i := uint32(e >> placeBits)
	s := &t.segs[i]
	p := t.at(e)
	if uint32(e)&(1<<placeBits-1)+n == s.used {
		s.used -= n
	} else {
		s.dead += n
		t.dead += int64(n) * elemUnit
		if checked {
			poisonElement(p, n)
		}
		*(*uint32)(p) = n<<8 | deadMark
	}
	switch {
	case s.dead < s.used:
	case i == t.open:
		t.dead -= int64(s.dead) * elemUnit
		s.used, s.dead = 0, 0
	default:
		t.freeSegment(i)
	}
}

func poisonElement(p unsafe.Pointer, units uint32) {
	b := unsafe.Slice((*byte)(p), units*elemUnit)
	for i := range b {
		b[i] = 0xDB
	}
}

// reclaim moves some elements out of a sparsely used segment, once a third (or
// half, see idle) of the memory is dead: so a removal costs two moves (or one) at
// most in the long run.
func (t *table) reclaim() {
	if t.victim == 0 && !t.findVictim() {
		return
	}
	t.fetchMoves()
	s := &t.segs[t.victim]
	for budget := tableMoves; budget > 0 && t.victim != 0 && t.swept < s.used; {
		from := elem(t.victim<<placeBits | t.swept)
		n := units(t.at(from))
		t.swept += n
		if *(*byte)(t.at(from)) == deadMark {
			continue
		}
		budget--
		p, _ := t.placeOf(from)
		to := t.reserve(n)
		s = &t.segs[t.victim] // the row of segments may have moved
		copy(unsafe.Slice((*byte)(t.at(to)), n*elemUnit), unsafe.Slice((*byte)(t.at(from)), n*elemUnit))
		p.b.refs[p.i] = ref(to)
		t.bury(from)
		if t.onMove != nil {
			t.onMove(from, to)
		}
	}
}

// fetchMoves asks for the buckets of the elements that are moved next.
func (t *table) fetchMoves() {
	s := &t.segs[t.victim]
	at := t.swept
	for budget := tableMoves; budget > 0 && at < s.used; budget-- {
		e := elem(t.victim<<placeBits | at)
		p := t.at(e)
		if *(*byte)(p) != deadMark {
			t.fetchBucket(e)
		}
		at += units(p)
	}
}

// fetchBucket asks for the bucket of the index that e is in.
func (t *table) fetchBucket(e elem) {
	prefetch(unsafe.Pointer(t.index.bucket(t.index.home(t.hashOf(ref(e))))))
}

// findVictim looks for the segment with the most dead of some, at least the
// share that may be. There is one if as much of all the memory is.
func (t *table) findVictim() bool {
	if t.dead == 0 || t.dead*int64(t.idle) < t.held {
		return false
	}
	most := uint32(0)
	for range min(tableLooks, len(t.segs)) {
		if t.hand++; t.hand >= uint32(len(t.segs)) {
			t.hand = 1
		}
		if s := &t.segs[t.hand]; s.p != nil && s.dead*uint32(t.idle) >= s.used && s.dead > most {
			t.victim, most = t.hand, s.dead
		}
	}
	if most == 0 {
		return false
	}
	t.swept = 0
	if t.open == t.victim {
		t.open = 0
	}
	return true
}

// each visits every element until visit returns false, in the order of memory.
// visit must not change the table.
func (t *table) each(visit func(e elem) bool) {
	for i := range t.segs {
		if t.segs[i].p == nil {
			continue
		}
		for at := uint32(0); at < t.segs[i].used; {
			e := elem(uint32(i)<<placeBits | at)
			p := t.at(e)
			at += units(p)
			if *(*byte)(p) != deadMark && !visit(e) {
				return
			}
		}
	}
}

// scan visits some elements from cursor on, at least count if there are as
// many, and returns the next cursor, 0 at the end. Any cursor is legal. What
// is present throughout a whole scan is visited at least once. visit must not
// change the table.
func (t *table) scan(cursor uint64, count int, visit func(key, value []byte)) uint64 {
	count = min(max(count, 1), 1<<24)
	seen := 0
	for steps := count * 10; ; steps-- {
		cursor = t.index.scan(cursor, func(r ref) {
			visit(t.key(elem(r)), t.value(elem(r)))
			seen++
		})
		if cursor == 0 || seen >= count || steps <= 0 {
			return cursor
		}
	}
}

// random returns a random element, each with the same probability, 0 if there
// is none.
func (t *table) random(rnd *uint64) elem {
	if t.index.count == 0 {
		return 0
	}
	return elem(t.index.random(rnd))
}
