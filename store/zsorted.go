package store

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// sortedSet is a sorted set too large to be packed: a table of members and
// their scores, and a tree of them in order.
type sortedSet struct {
	named   bool // OBJECT ENCODING calls it a skip list
	members *table
	tree    *ztree
	length  int64  // bytes of all members
	leaving []elem // taken out of the tree, to be removed from the table
}

const (
	scoreBytes = 8
	// zsetCost bounds what a packed member takes besides its own bytes.
	zsetCost = 5 + 5 + 2 + 26
)

func newSortedSet(s *Store) *sortedSet {
	z := &sortedSet{members: newTable(s)}
	z.tree = newZTree(z.members, z.members.from)
	z.members.onMove = z.moved
	z.members.idle = 2 // a move costs a search in the tree
	return z
}

// Kind, Len, Bytes, Clone and release make a sortedSet an Object.
func (z *sortedSet) Kind() Kind { return KindZSet }
func (z *sortedSet) Len() int   { return z.tree.count }

func (z *sortedSet) Bytes() int64 {
	return int64(unsafe.Sizeof(*z)) + z.members.bytes() + z.tree.bytes() + z.tree.heapBytes()
}

func (z *sortedSet) heapBytes() int64 {
	return int64(unsafe.Sizeof(*z)) + z.members.heapBytes() + z.tree.heapBytes()
}

func (z *sortedSet) Clone() Object {
	c := &sortedSet{named: z.named, members: z.members.clone(), length: z.length}
	c.tree = z.tree.clone(c.members)
	c.members.onMove = c.moved
	return c
}

func (z *sortedSet) release() {
	z.members.release()
	z.tree.release()
}

// scoreOf returns the score that the table holds.
func (z *sortedSet) scoreOf(e elem) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(z.members.value(e)))
}

// moved is told by the table that an element has another reference.
func (z *sortedSet) moved(from, to elem) {
	for i, e := range z.leaving {
		if e == from {
			z.leaving[i] = to
			return
		}
	}
	z.tree.moving = from
	p := z.tree.find(z.scoreOf(to), z.members.key(to))
	z.tree.moving = 0
	z.tree.moved(p, from, to)
}

// find returns a member's element and score; the element is 0 if there is none.
func (z *sortedSet) find(member []byte) (elem, float64) {
	e := z.members.find(member)
	if e == 0 {
		return 0, 0
	}
	return e, z.scoreOf(e)
}

func (z *sortedSet) score(member []byte) (float64, bool) {
	e, score := z.find(member)
	return score, e != 0
}

func (z *sortedSet) rank(member []byte) (rank int, score float64, ok bool) {
	e, score := z.find(member)
	if e == 0 {
		return 0, 0, false
	}
	return z.tree.rank(z.tree.find(score, member)), score, true
}

// insert adds a new member.
func (z *sortedSet) insert(member []byte, score float64) {
	var value [scoreBytes]byte
	binary.LittleEndian.PutUint64(value[:], math.Float64bits(score))
	e, _ := z.members.put(member, value[:])
	z.length += int64(len(member))
	z.tree.insert(score, e, member)
}

// rescore gives an element another score than its old one.
func (z *sortedSet) rescore(e elem, old, score float64) {
	member := z.members.key(e)
	p := z.tree.find(old, member)
	if !z.tree.rescore(p, score) {
		z.tree.cut(p, 1)
		z.tree.insert(score, e, member)
	}
	binary.LittleEndian.PutUint64(z.members.value(e), math.Float64bits(score))
}

// remove removes a member and reports whether it was there.
func (z *sortedSet) remove(member []byte) bool {
	e, score := z.find(member)
	if e == 0 {
		return false
	}
	z.tree.cut(z.tree.find(score, member), 1)
	z.length -= int64(len(member))
	z.members.removeElem(e)
	return true
}

// removeSpan removes the members of ranks [from, to), leaf by leaf.
func (z *sortedSet) removeSpan(from, to int) {
	for from < to {
		p := z.tree.at(from)
		l := z.tree.leaf(p.leaf)
		n := min(to-from, int(l.n)-p.i)
		z.leaving = append(z.leaving[:0], l.elem[p.i:p.i+n]...)
		z.tree.cut(p, n)
		for i := range z.leaving {
			z.length -= int64(len(z.members.key(z.leaving[i])))
			z.members.removeElem(z.leaving[i])
			z.leaving[i] = 0
		}
		z.leaving = z.leaving[:0]
		to -= n
	}
}

// fetchNext asks for the memory that popping the next members will read, which
// would be waited for then.
func (z *sortedSet) fetchNext(back bool) {
	if z.Len() == 0 {
		return
	}
	rank, step := 0, 1
	if back {
		rank, step = z.Len()-1, -1
	}
	p := z.tree.at(rank)
	l := z.tree.leaf(p.leaf)
	next := p.i + 4*step
	if uint(next) < uint(l.n) {
		prefetch(z.members.at(l.elem[next]))
	}
	if next -= 2 * step; uint(next) < uint(l.n) {
		z.members.fetchBucket(l.elem[next])
	}
}

func (z *sortedSet) byRank(from, to int, back bool, visit func(member []byte, score float64) bool) {
	z.tree.visit(from, to, back, func(score float64, e elem) bool {
		return visit(z.members.key(e), score)
	})
}

func (z *sortedSet) spanScore(r *ScoreRange) (from, to int) {
	return z.tree.countBefore(func(score float64, _ elem) bool { return r.before(score) }),
		z.tree.countBefore(func(score float64, _ elem) bool { return !r.behind(score) })
}

func (z *sortedSet) spanLex(r *LexRange) (from, to int) {
	return z.tree.countBefore(func(_ float64, e elem) bool { return r.before(z.members.key(e)) }),
		z.tree.countBefore(func(_ float64, e elem) bool { return !r.behind(z.members.key(e)) })
}

func (z *sortedSet) scan(cursor uint64, count int, visit func(member []byte, score float64)) uint64 {
	return z.members.scan(cursor, count, func(member, value []byte) {
		visit(member, math.Float64frombits(binary.LittleEndian.Uint64(value)))
	})
}

// packs reports whether the set has got so small that it should be packed.
func (z *sortedSet) packs() bool {
	return z.Len() <= zsetPackedMax/2 && z.length+int64(z.Len()*zsetCost) <= packedMax
}

// packed returns the set as a blob.
func (z *sortedSet) packed() []byte {
	b := make([]byte, zsetHead, zsetHead+int(z.length)+z.Len()*zsetCost)
	binary.LittleEndian.PutUint16(b, uint16(z.Len()))
	if z.named {
		b[2] = 1
	}
	var text scoreText
	z.byRank(0, z.Len(), false, func(member []byte, score float64) bool {
		for _, e := range [2]element{pack(member), packScore(score, &text)} {
			n := len(b)
			b = extend(b, e.total())
			e.put(b[n:])
		}
		return true
	})
	return b
}

func (z *sortedSet) releaseSome(n int64) bool { return z.members.releaseSome(n) }
