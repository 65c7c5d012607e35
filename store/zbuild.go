package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// ZBuilder collects members and scores, in any order, for a sorted set that is
// stored whole or only read once. Store, or else Release, ends it.
type ZBuilder struct {
	tx   *Tx
	set  *sortedSet // without a tree until it is finished
	full bool
}

// NewZBuilder returns an empty builder.
func (tx *Tx) NewZBuilder() *ZBuilder {
	b := &ZBuilder{tx: tx, set: newSortedSet(tx.store)}
	b.set.members.onMove = nil
	return b
}

// Len returns the number of members.
func (b *ZBuilder) Len() int { return b.set.members.len() }

// Score returns the score of a member; false if there is no such member.
func (b *ZBuilder) Score(member []byte) (float64, bool) { return b.set.score(member) }

// Full reports whether Put has refused a member: there is no room for more.
func (b *ZBuilder) Full() bool { return b.full }

// Put adds a member or replaces its score.
func (b *ZBuilder) Put(member []byte, score float64) {
	if !b.set.members.hasRoom(1, int64(len(member))+scoreBytes) {
		b.full = true
		return
	}
	var value [scoreBytes]byte
	binary.LittleEndian.PutUint64(value[:], math.Float64bits(score))
	if _, created := b.set.members.put(member, value[:]); created {
		b.set.length += int64(len(member))
	}
}

// Remove removes a member if it is there.
func (b *ZBuilder) Remove(member []byte) {
	if b.set.members.remove(member) {
		b.set.length -= int64(len(member))
	}
}

// sorted returns the members in order.
func (b *ZBuilder) sorted() []zentry {
	t := b.set.members
	all := make([]zentry, 0, t.len())
	t.each(func(e elem) bool {
		all = append(all, zentry{b.set.scoreOf(e), e})
		return true
	})
	slices.SortFunc(all, func(x, y zentry) int {
		if c := cmp.Compare(x.score, y.score); c != 0 {
			return c
		}
		return bytes.Compare(t.key(x.elem), t.key(y.elem))
	})
	return all
}

// Each visits the members in the order of a sorted set until visit returns
// false.
func (b *ZBuilder) Each(visit func(member []byte, score float64) bool) {
	for _, x := range b.sorted() {
		if !visit(b.set.members.key(x.elem), x.score) {
			return
		}
	}
}

// Store makes the members the value of key, whatever it was, without an expiry,
// and returns how many there are. If there are none, key is removed.
func (b *ZBuilder) Store(key []byte) int {
	n := b.Len()
	if n == 0 {
		b.Release()
		b.tx.Delete(key)
		return 0
	}
	b.tx.put(key, b.value(), 0)
	return n
}

// Release drops what was collected.
func (b *ZBuilder) Release() {
	if b.set != nil {
		b.set.release()
		b.set = nil
	}
}

// value ends the builder and returns the set in the form that its size asks for.
func (b *ZBuilder) value() value {
	z := b.set
	all := b.sorted()
	z.named = b.named()
	if !z.named {
		for i, x := range all {
			if x.score == 0 { // or less than zero by its sign alone
				all[i].score = 0
				clear(z.members.value(x.elem))
			}
		}
	}
	z.tree.build(all)
	if len(all) <= zsetPackedMax && z.length <= packedMax {
		if p := z.packed(); len(p) <= zsetHead+packedMax {
			b.Release()
			return value{kind: KindZSet, bytes: p}
		}
	}
	z.members.onMove = z.moved
	b.set = nil
	return value{kind: KindZSet, object: z}
}

// named reports whether Redis would make a skip list of the members.
func (b *ZBuilder) named() bool {
	p := b.tx.packing()
	long := b.Len() > p.ZSetEntries
	b.set.members.each(func(e elem) bool {
		long = long || len(b.set.members.key(e)) > p.ZSetValue
		return !long
	})
	return long
}

// zBulk is how many entries a node of a tree made at once gets: some room is
// left for the next ones.
const zBulk = zLeafMax - zLeafMax/16

// build makes an empty tree one of all, which is in order.
func (t *ztree) build(all []zentry) {
	type child struct {
		first zentry
		node  uint32
		count uint32
	}
	var level []child
	t.count = len(all)
	for part := range slices.Chunk(all, zBulk) {
		node, l := t.newLeaf()
		for _, x := range part {
			l.insert(int(l.n), x)
		}
		level = append(level, child{part[0], node, l.n})
	}
	for len(level) > 1 {
		var above []child
		for part := range slices.Chunk(level, zBulk) {
			node, in := t.newInner()
			for _, c := range part {
				in.insert(int(in.n), c.node, c.first, c.count)
			}
			above = append(above, child{part[0].first, node, in.total()})
		}
		level = above
		t.height++
	}
	if len(level) > 0 {
		t.root = level[0].node
	}
}
