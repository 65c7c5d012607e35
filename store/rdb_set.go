package store

import (
	"encoding/binary"
	"slices"
	"strconv"
)

func (w *rdbWriter) setOf(s slot) *Set {
	set := &Set{tx: w.tx}
	set.open(s)
	return set
}

// set appends a set: integers as an intset, others one by one, as Redis 7.0
// knows no listpack of members.
func (w *rdbWriter) set(kind byte, s slot) {
	set := w.setOf(s)
	if kind == rdbSetIntset {
		w.intset(set)
		return
	}
	w.length(uint64(set.Len()))
	set.Each(func(member []byte) bool {
		w.text(member)
		return true
	})
}

func (w *rdbWriter) intset(set *Set) {
	ints := make([]int64, 0, set.Len())
	set.Each(func(member []byte) bool {
		n, _ := canonicalInt(member)
		ints = append(ints, n)
		return true
	})
	slices.Sort(ints)
	width := max(intWidth(ints[0]), intWidth(ints[len(ints)-1]))
	w.node = slices.Grow(w.node[:0], intsetHead+width*len(ints))[:intsetHead+width*len(ints)]
	binary.LittleEndian.PutUint32(w.node, uint32(width))
	binary.LittleEndian.PutUint32(w.node[4:], uint32(len(ints)))
	out := intset{w.node[intsetHead:], width}
	for i, n := range ints {
		out.set(i, n)
	}
	w.text(w.node)
}

// set reads a set; an empty one and a member that comes twice are bad.
func (r *rdbReader) set(kind byte) value {
	b := r.tx.NewSetBuilder()
	var room numberText
	switch kind {
	case rdbSet:
		for n := r.count(1); n > 0 && !r.bad; n-- {
			member := r.text()
			r.need(!r.bad && b.Add(member))
		}
	case rdbSetIntset:
		r.need(eachIntset(r.text(), func(n int64) bool { return b.Add(strconv.AppendInt(room[:0], n, 10)) }))
	default:
		r.need(eachListpack(r.text(), func(e element) bool { return b.Add(e.value(&room)) }))
	}
	r.need(b.Len() > 0)
	return b.value()
}
