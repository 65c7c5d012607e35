package store

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
)

// sortedSet is a sorted set too large to be packed.
type sortedSet struct {
	named  bool // OBJECT ENCODING calls it a skip list
	scores map[string]float64
	order  []zmember
}

type zmember struct {
	score  float64
	member []byte
}

func newSortedSet(*Store) *sortedSet { return &sortedSet{scores: map[string]float64{}} }

func (z *sortedSet) Kind() Kind { return KindZSet }
func (z *sortedSet) Len() int   { return len(z.order) }
func (z *sortedSet) Bytes() int64 {
	return int64(len(z.order)) * 80
}
func (z *sortedSet) Clone() Object {
	c := newSortedSet(nil)
	c.named = z.named
	for _, m := range z.order {
		c.insert(m.member, m.score)
	}
	return c
}

func (z *sortedSet) score(member []byte) (float64, bool) {
	s, ok := z.scores[string(member)]
	return s, ok
}

func (z *sortedSet) at(score float64, member []byte) int {
	return sort.Search(len(z.order), func(i int) bool {
		o := &z.order[i]
		return o.score > score || o.score == score && bytes.Compare(o.member, member) >= 0
	})
}

func (z *sortedSet) rank(member []byte) (int, float64, bool) {
	s, ok := z.scores[string(member)]
	if !ok {
		return 0, 0, false
	}
	return z.at(s, member), s, true
}

func (z *sortedSet) find(member []byte) (int, float64) {
	i, s, ok := z.rank(member)
	if !ok {
		return 0, 0
	}
	return i + 1, s
}

func (z *sortedSet) insert(member []byte, score float64) {
	z.scores[string(member)] = score
	z.order = slices.Insert(z.order, z.at(score, member), zmember{score, bytes.Clone(member)})
}

func (z *sortedSet) rescore(e int, _, score float64) {
	m := z.order[e-1].member
	z.order = slices.Delete(z.order, e-1, e)
	z.insert(m, score)
}

func (z *sortedSet) remove(member []byte) bool {
	i, _, ok := z.rank(member)
	if ok {
		z.removeSpan(i, i+1)
	}
	return ok
}

func (z *sortedSet) removeSpan(from, to int) {
	for _, m := range z.order[from:to] {
		delete(z.scores, string(m.member))
	}
	z.order = slices.Delete(z.order, from, to)
}

func (z *sortedSet) byRank(from, to int, back bool, visit func(member []byte, score float64) bool) {
	for i := range to - from {
		o := &z.order[from+i]
		if back {
			o = &z.order[to-1-i]
		}
		if !visit(o.member, o.score) {
			return
		}
	}
}

func (z *sortedSet) spanScore(r *ScoreRange) (from, to int) {
	return sort.Search(len(z.order), func(i int) bool { return !r.before(z.order[i].score) }),
		sort.Search(len(z.order), func(i int) bool { return r.behind(z.order[i].score) })
}

func (z *sortedSet) spanLex(r *LexRange) (from, to int) {
	return sort.Search(len(z.order), func(i int) bool { return !r.before(z.order[i].member) }),
		sort.Search(len(z.order), func(i int) bool { return r.behind(z.order[i].member) })
}

func (z *sortedSet) packs() bool {
	return len(z.order) <= zsetPackedMax/2 && len(z.packed()) <= packedMax/2
}

func (z *sortedSet) packed() []byte {
	b := []byte{0, 0, 0}
	binary.LittleEndian.PutUint16(b, uint16(len(z.order)))
	if z.named {
		b[2] = 1
	}
	var text scoreText
	for _, o := range z.order {
		for _, e := range [2]element{pack(o.member), packScore(o.score, &text)} {
			n := len(b)
			b = extend(b, e.total())
			e.put(b[n:])
		}
	}
	return b
}

func (z *sortedSet) scan(_ uint64, _ int, visit func(member []byte, score float64)) uint64 {
	for _, o := range z.order {
		visit(o.member, o.score)
	}
	return 0
}
