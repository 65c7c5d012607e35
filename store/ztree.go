package store

import (
	"bytes"
	"math"
	"unsafe"
)

// ztree keeps the elements of a table in the order of a sorted set: a B+ tree
// (Bayer and McCreight, 1972) whose inner nodes count what is below them, so
// that ranks are found on the way. Leaves hold scores and references to
// elements; inner nodes hold of each child the number of elements and its first
// score and element, which is compared only where scores are equal.
//
// Nodes are items of two arrays outside the Go heap, named by their numbers.
// There are no gaps: a node that is freed is replaced by the last one.
type ztree struct {
	keys   *table
	leaves array
	inners array
	nleaf  uint32 // leaves in use
	ninner uint32
	root   uint32
	height int // levels of inner nodes
	count  int // elements
	moving elem
	path   [zHeightMax]zstep
}

const (
	zLeafMax   = 62 // 768 bytes a leaf
	zInnerMax  = 62 // 1248 bytes an inner node
	zHeightMax = 12 // more than 2^32 elements need
	zMerge     = 4  // a node below 1/zMerge of its room joins a neighbour
)

type zleaf struct {
	n     uint32
	score [zLeafMax]float64
	elem  [zLeafMax]elem
}

type zinner struct {
	n     uint32
	score [zInnerMax]float64 // first of each child
	elem  [zInnerMax]elem
	child [zInnerMax]uint32
	count [zInnerMax]uint32
}

// zstep is an inner node on the way to a leaf, and the child taken.
type zstep struct {
	node uint32
	i    int
}

// zplace is a place in a leaf; the path to it is in the tree.
type zplace struct {
	leaf uint32
	i    int
}

// zentry is what a leaf holds of an element, or an inner node of a child.
type zentry struct {
	score float64
	elem  elem
}

func newZTree(keys *table, from blocks) *ztree {
	return &ztree{
		keys:   keys,
		leaves: array{item: unsafe.Sizeof(zleaf{}), from: from},
		inners: array{item: unsafe.Sizeof(zinner{}), from: from},
	}
}

func (t *ztree) leaf(n uint32) *zleaf   { return (*zleaf)(t.leaves.at(n)) }
func (t *ztree) inner(n uint32) *zinner { return (*zinner)(t.inners.at(n)) }

func (t *ztree) newLeaf() (uint32, *zleaf) {
	t.leaves.reserve(t.nleaf)
	t.nleaf++
	l := t.leaf(t.nleaf - 1)
	l.n = 0
	return t.nleaf - 1, l
}

func (t *ztree) newInner() (uint32, *zinner) {
	t.inners.reserve(t.ninner)
	t.ninner++
	in := t.inner(t.ninner - 1)
	in.n = 0
	return t.ninner - 1, in
}

// bytes returns the memory of the nodes.
func (t *ztree) bytes() int64 { return t.leaves.held + t.inners.held }

// heapBytes returns what of the tree is on the Go heap.
func (t *ztree) heapBytes() int64 {
	return int64(unsafe.Sizeof(*t)) + int64(cap(t.leaves.segments)+cap(t.inners.segments))*int64(unsafe.Sizeof(piece{}))
}

func (t *ztree) release() {
	t.leaves.release()
	t.inners.release()
}

// clone returns a copy over keys, which is a clone of the tree's own table.
func (t *ztree) clone(keys *table) *ztree {
	c := *t
	c.keys, c.leaves, c.inners = keys, t.leaves.clone(), t.inners.clone()
	return &c
}

// compare tells how member stands to the key of e. An element that is on the
// move is found under its old reference.
func (t *ztree) compare(member []byte, e elem) int {
	if e == t.moving {
		return 0
	}
	return bytes.Compare(member, t.keys.key(e))
}

// search returns how many of the entries are before (score, member), or are it
// too if equal is true.
func (t *ztree) search(scores []float64, elems []elem, score float64, member []byte, equal bool) int {
	lo := lowerBound(scores, score)
	if lo == len(scores) || scores[lo] != score {
		return lo
	}
	hi := lo + 1
	if hi < len(scores) && scores[hi] == score {
		hi = len(scores)
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		before := false
		if scores[mid] == score {
			c := t.compare(member, elems[mid])
			before = c > 0 || c == 0 && equal
		}
		if before {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// lowerBound returns how many of the scores, which ascend, are less than one.
// The loop has no branch that depends on them: it would be predicted wrongly
// every other time.
func lowerBound(scores []float64, score float64) int {
	if len(scores) == 0 {
		return 0
	}
	p, n := unsafe.Pointer(unsafe.SliceData(scores)), len(scores)
	base := 0
	for n > 1 {
		half := n / 2
		base += half & -less(*(*float64)(unsafe.Add(p, (base+half-1)*8)), score)
		n -= half
	}
	return base + less(scores[base], score)
}

// less returns 1 if a < b, else 0.
func less(a, b float64) (n int) {
	if a < b {
		n = 1
	}
	return n
}

// find goes to the place of (score, member), or to where it belongs.
func (t *ztree) find(score float64, member []byte) zplace {
	node := t.root
	for level := range t.height {
		in := t.inner(node)
		i := max(t.search(in.score[:in.n], in.elem[:in.n], score, member, true)-1, 0)
		t.path[level] = zstep{node, i}
		node = in.child[i]
	}
	l := t.leaf(node)
	return zplace{node, t.search(l.score[:l.n], l.elem[:l.n], score, member, false)}
}

// at goes to the element of a rank, which must exist.
func (t *ztree) at(rank int) zplace {
	node := t.root
	for level := range t.height {
		in := t.inner(node)
		i := 0
		for rank >= int(in.count[i]) {
			rank -= int(in.count[i])
			i++
		}
		t.path[level] = zstep{node, i}
		node = in.child[i]
	}
	return zplace{node, rank}
}

// rank returns the rank of the place that was gone to last.
func (t *ztree) rank(p zplace) int {
	rank := p.i
	for _, step := range t.path[:t.height] {
		in := t.inner(step.node)
		for _, n := range in.count[:step.i] {
			rank += int(n)
		}
	}
	return rank
}

// countBefore returns how many elements before says are before something. It
// must be true of a first part of them only.
func (t *ztree) countBefore(before func(score float64, e elem) bool) int {
	if t.count == 0 {
		return 0
	}
	rank, node := 0, t.root
	for range t.height {
		in := t.inner(node)
		lo, hi := 1, int(in.n) // children whose first element is before, and the first child
		for lo < hi {
			mid := int(uint(lo+hi) / 2)
			if before(in.score[mid], in.elem[mid]) {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		for _, n := range in.count[:lo-1] {
			rank += int(n)
		}
		node = in.child[lo-1]
	}
	l := t.leaf(node)
	lo, hi := 0, int(l.n)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if before(l.score[mid], l.elem[mid]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return rank + lo
}

// visit visits the entries of ranks [from, to) until f returns false, the last
// first if back is true.
func (t *ztree) visit(from, to int, back bool, f func(score float64, e elem) bool) {
	for from < to {
		if back {
			p := t.at(to - 1)
			l := t.leaf(p.leaf)
			for i := p.i; i >= 0 && from < to; i-- {
				if !f(l.score[i], l.elem[i]) {
					return
				}
				to--
			}
			continue
		}
		p := t.at(from)
		l := t.leaf(p.leaf)
		for i := p.i; i < int(l.n) && from < to; i++ {
			if !f(l.score[i], l.elem[i]) {
				return
			}
			from++
		}
	}
}

// insert adds an element, whose key is member.
func (t *ztree) insert(score float64, e elem, member []byte) {
	if t.count == 0 {
		t.root, _ = t.newLeaf()
	}
	t.count++
	p := t.find(score, member)
	l := t.leaf(p.leaf)
	for _, step := range t.path[:t.height] {
		t.inner(step.node).count[step.i]++
	}
	if l.n < zLeafMax {
		l.insert(p.i, zentry{score, e})
		if p.i == 0 {
			t.renameFirst(t.height, zentry{score, e})
		}
		return
	}
	t.splitLeaf(p, zentry{score, e})
}

func (l *zleaf) insert(i int, x zentry) {
	n := int(l.n)
	copy(l.score[i+1:n+1], l.score[i:n])
	copy(l.elem[i+1:n+1], l.elem[i:n])
	l.score[i], l.elem[i] = x.score, x.elem
	l.n++
}

// renameFirst enters x as the first element of the node that the path has
// reached at a level, in all the nodes above that say so.
func (t *ztree) renameFirst(level int, x zentry) {
	for level--; level >= 0; level-- {
		step := t.path[level]
		in := t.inner(step.node)
		in.score[step.i], in.elem[step.i] = x.score, x.elem
		if step.i > 0 {
			return
		}
	}
}

// splitLeaf puts x into a full leaf that becomes two. At the ends of the tree
// the leaf stays full, so that ascending or descending insertion leaves no room
// idle.
func (t *ztree) splitLeaf(p zplace, x zentry) {
	right, r := t.newLeaf()
	l := t.leaf(p.leaf)
	half := zLeafMax / 2
	switch {
	case p.i == zLeafMax && t.atEnd(t.height):
		half = zLeafMax
	case p.i == 0: // only in the first leaf is anything before the first element
		half = 0
	}
	r.n = uint32(copy(r.score[:], l.score[half:l.n]))
	copy(r.elem[:], l.elem[half:l.n])
	l.n = uint32(half)
	if p.i < half || half == 0 {
		l.insert(p.i, x)
		if p.i == 0 {
			t.renameFirst(t.height, x)
		}
	} else {
		r.insert(p.i-half, x)
	}
	t.addChild(t.height-1, p.leaf, right, zentry{r.score[0], r.elem[0]}, l.n, r.n)
}

// addChild enters a new node right of the child that the path takes at a level,
// whose number and elements are left and leftCount.
func (t *ztree) addChild(level int, left, right uint32, first zentry, leftCount, rightCount uint32) {
	if level < 0 {
		t.growRoot(left, right, first, leftCount, rightCount)
		return
	}
	step := t.path[level]
	in := t.inner(step.node)
	in.count[step.i] = leftCount
	if in.n < zInnerMax {
		in.insert(step.i+1, right, first, rightCount)
		return
	}
	node, r := t.newInner()
	in = t.inner(step.node)
	half := zInnerMax / 2
	if t.atEnd(level + 1) {
		half = zInnerMax - 1 // as splitLeaf
	}
	r.take(in, half)
	if i := step.i + 1; i <= half {
		in.insert(i, right, first, rightCount)
	} else {
		r.insert(i-half, right, first, rightCount)
	}
	t.addChild(level-1, step.node, node, zentry{r.score[0], r.elem[0]}, in.total(), r.total())
}

// atEnd reports whether the path takes the last child at all levels above one.
func (t *ztree) atEnd(level int) bool {
	for _, step := range t.path[:level] {
		if step.i != int(t.inner(step.node).n)-1 {
			return false
		}
	}
	return true
}

// growRoot makes a root above left, the old one, and right.
func (t *ztree) growRoot(left, right uint32, first zentry, leftCount, rightCount uint32) {
	oldest := t.firstOf(left)
	node, in := t.newInner()
	in.insert(0, left, oldest, leftCount)
	in.insert(1, right, first, rightCount)
	t.root = node
	t.height++
}

// firstOf returns the first entry of the root.
func (t *ztree) firstOf(root uint32) zentry {
	if t.height == 0 {
		l := t.leaf(root)
		return zentry{l.score[0], l.elem[0]}
	}
	in := t.inner(root)
	return zentry{in.score[0], in.elem[0]}
}

func (in *zinner) insert(i int, child uint32, first zentry, count uint32) {
	n := int(in.n)
	copy(in.score[i+1:n+1], in.score[i:n])
	copy(in.elem[i+1:n+1], in.elem[i:n])
	copy(in.child[i+1:n+1], in.child[i:n])
	copy(in.count[i+1:n+1], in.count[i:n])
	in.score[i], in.elem[i], in.child[i], in.count[i] = first.score, first.elem, child, count
	in.n++
}

// take moves the children of from from i on behind those of in.
func (in *zinner) take(from *zinner, i int) {
	n := int(in.n)
	copy(in.score[n:], from.score[i:from.n])
	copy(in.elem[n:], from.elem[i:from.n])
	copy(in.child[n:], from.child[i:from.n])
	copy(in.count[n:], from.count[i:from.n])
	in.n += from.n - uint32(i)
	from.n = uint32(i)
}

func (in *zinner) remove(i int) {
	n := int(in.n)
	copy(in.score[i:n-1], in.score[i+1:n])
	copy(in.elem[i:n-1], in.elem[i+1:n])
	copy(in.child[i:n-1], in.child[i+1:n])
	copy(in.count[i:n-1], in.count[i+1:n])
	in.n--
}

// total returns how many elements are below the node.
func (in *zinner) total() (n uint32) {
	for _, c := range in.count[:in.n] {
		n += c
	}
	return n
}

// rescore gives the element at the place gone to last another score if it stays
// where it is, and reports whether it does.
func (t *ztree) rescore(p zplace, score float64) bool {
	l := t.leaf(p.leaf)
	old := l.score[p.i]
	before, behind := math.Inf(-1), math.Inf(1) // a strict bound is enough
	if p.i > 0 {
		before = l.score[p.i-1]
	} else if score < old && t.height > 0 {
		return false
	}
	if p.i+1 < int(l.n) {
		behind = l.score[p.i+1]
	} else if score > old && t.height > 0 {
		return false
	}
	if score <= before || score >= behind {
		return false
	}
	l.score[p.i] = score
	if p.i == 0 {
		t.renameFirst(t.height, zentry{score, l.elem[0]})
	}
	return true
}

// moved gives the element at the place gone to last, which is a reference of
// old, its new one.
func (t *ztree) moved(p zplace, old, e elem) {
	l := t.leaf(p.leaf)
	if checked && (p.i >= int(l.n) || l.elem[p.i] != old) {
		panic("store: an element of a sorted set is not in its tree")
	}
	l.elem[p.i] = e
	if p.i == 0 {
		t.renameFirst(t.height, zentry{l.score[0], e})
	}
}
