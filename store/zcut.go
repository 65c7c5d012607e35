package store

import "slices"

// Removal from a ztree.

// cut removes n elements from the place gone to last on, all in its leaf.
func (t *ztree) cut(p zplace, n int) {
	l := t.leaf(p.leaf)
	copy(l.score[p.i:], l.score[p.i+n:l.n])
	copy(l.elem[p.i:], l.elem[p.i+n:l.n])
	l.n -= uint32(n)
	t.count -= n
	for _, step := range t.path[:t.height] {
		t.inner(step.node).count[step.i] -= uint32(n)
	}
	if l.n > 0 && p.i == 0 {
		t.renameFirst(t.height, zentry{l.score[0], l.elem[0]})
	}
	freed := zfreed{leaf: -1}
	t.thinLeaf(p.leaf, &freed)
	t.lowerRoot(&freed)
	t.fill(&freed)
}

// zfreed holds the numbers of the nodes that a removal has freed: one of each
// level at most, and the roots that it makes needless.
type zfreed struct {
	leaf   int64 // -1: none
	inners [2 * zHeightMax]uint32
	n      int // inner nodes
}

func (f *zfreed) inner(n uint32) { f.inners[f.n] = n; f.n++ }

// thinLeaf removes an empty leaf, or joins a nearly empty one with a neighbour.
func (t *ztree) thinLeaf(node uint32, freed *zfreed) {
	l := t.leaf(node)
	if t.height == 0 {
		if l.n == 0 {
			freed.leaf = int64(node)
		}
		return
	}
	if l.n == 0 {
		freed.leaf = int64(node)
		t.dropChild(t.height-1, freed)
		return
	}
	if l.n >= zLeafMax/zMerge {
		return
	}
	step := t.path[t.height-1]
	in := t.inner(step.node)
	left, ok := in.joinable(step.i, zLeafMax)
	if !ok {
		return
	}
	a, b := t.leaf(in.child[left]), t.leaf(in.child[left+1])
	copy(a.score[a.n:], b.score[:b.n])
	copy(a.elem[a.n:], b.elem[:b.n])
	a.n += b.n
	in.count[left] += in.count[left+1]
	freed.leaf = int64(in.child[left+1])
	t.path[t.height-1].i = left + 1
	t.dropChild(t.height-1, freed)
}

// joinable returns the left one of child i and a neighbour of it that fit into
// a leaf together with room to spare.
func (in *zinner) joinable(i int, room uint32) (left int, ok bool) {
	fits := func(left int) bool { return in.count[left]+in.count[left+1] <= room*3/4 }
	if i > 0 && fits(i-1) {
		return i - 1, true
	}
	return i, i+1 < int(in.n) && fits(i)
}

// dropChild removes the child that the path takes at a level, and thins the
// node then.
func (t *ztree) dropChild(level int, freed *zfreed) {
	step := t.path[level]
	in := t.inner(step.node)
	in.remove(step.i)
	if in.n == 0 {
		freed.inner(step.node)
		if level > 0 {
			t.dropChild(level-1, freed)
		}
		return
	}
	if step.i == 0 {
		t.renameFirst(level, zentry{in.score[0], in.elem[0]})
	}
	if level == 0 || in.n >= zInnerMax/zMerge {
		return
	}
	above := t.path[level-1]
	parent := t.inner(above.node)
	for _, left := range [2]int{above.i - 1, above.i} {
		if left < 0 || left+1 >= int(parent.n) {
			continue
		}
		a, b := t.inner(parent.child[left]), t.inner(parent.child[left+1])
		if a.n+b.n > zInnerMax*3/4 {
			continue
		}
		a.take(b, 0)
		parent.count[left] += parent.count[left+1]
		freed.inner(parent.child[left+1])
		t.path[level-1].i = left + 1
		t.dropChild(level-1, freed)
		return
	}
}

// lowerRoot frees roots with a single child, and all levels of an empty tree.
func (t *ztree) lowerRoot(freed *zfreed) {
	if t.count == 0 {
		t.height = 0
		return
	}
	for t.height > 0 {
		in := t.inner(t.root)
		if in.n > 1 {
			return
		}
		freed.inner(t.root)
		t.root = in.child[0]
		t.height--
	}
}

// fill moves the last nodes into the places of those freed. The greatest number
// is filled first: so the last node is never a freed one itself.
func (t *ztree) fill(freed *zfreed) {
	if t.count == 0 {
		t.nleaf, t.ninner = 0, 0
		t.leaves.trim(0)
		t.inners.trim(0)
		return
	}
	if freed.leaf >= 0 {
		t.nleaf--
		if node, last := uint32(freed.leaf), t.nleaf; last != node {
			*t.leaf(node) = *t.leaf(last)
			l := t.leaf(node)
			t.renumber(zentry{l.score[0], l.elem[0]}, t.height, last, node)
		}
		t.leaves.trim(t.nleaf)
	}
	inners := freed.inners[:freed.n]
	slices.Sort(inners)
	for _, node := range slices.Backward(inners) {
		t.ninner--
		if last := t.ninner; last != node {
			*t.inner(node) = *t.inner(last)
			in := t.inner(node)
			t.renumberInner(zentry{in.score[0], in.elem[0]}, last, node)
		}
	}
	if len(inners) > 0 {
		t.inners.trim(t.ninner)
	}
}

// renumber enters the new number of a node at a level that begins with first.
func (t *ztree) renumber(first zentry, level int, old, node uint32) {
	if level == 0 {
		t.root = node
		return
	}
	t.find(first.score, t.keys.key(first.elem))
	step := t.path[level-1]
	in := t.inner(step.node)
	if checked && in.child[step.i] != old {
		panic("store: a node of a sorted set is not where its first element is")
	}
	in.child[step.i] = node
}

// renumberInner is renumber for an inner node, whose level is found on the way.
func (t *ztree) renumberInner(first zentry, old, node uint32) {
	if t.root == old {
		t.root = node
		return
	}
	t.find(first.score, t.keys.key(first.elem))
	for level := 1; level < t.height; level++ {
		if t.path[level].node == old {
			t.renumber(first, level, old, node)
			return
		}
	}
	panic("store: a node of a sorted set is not in its tree")
}
