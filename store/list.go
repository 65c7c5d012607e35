package store

import "encoding/binary"

// packedMax is the most bytes of elements in a list that is one blob of its
// shard's arena: above it, moving them at each push at the head would cost more
// than a node of a quicklist does.
const packedMax = 2048

// countBytes is the length of a blob's head: the number of its elements.
const countBytes = 2

// List is a handle on the list of a key. It is valid until the next write in
// the key's shard that does not go through it. Every method that changes the
// list records one change, and a list that becomes empty is removed.
type List struct {
	tx   *Tx
	key  []byte
	at   slot
	n    int
	live bool       // the key exists
	big  *quicklist // nil: packed in a blob
}

// List returns a handle on key's list. Its Len is 0 if key is absent: pushing
// then creates it.
func (tx *Tx) List(key []byte, a Access) (List, error) {
	var l List
	err := tx.OpenList(&l, key, a)
	return l, err
}

// OpenList is List with a handle of the caller's: copying one takes as long as
// a push.
func (tx *Tx) OpenList(l *List, key []byte, a Access) error {
	l.tx, l.key = tx, key
	if l.at, l.live = tx.find(key, a); !l.live {
		return nil
	}
	if l.at.kind() != KindList {
		l.live = false
		return ErrWrongType
	}
	l.load()
	return nil
}

func (l *List) open(s slot) {
	l.at, l.live = s, true
	l.load()
}

// load reads what stands at l.at.
func (l *List) load() {
	if o := l.at.object(); o != nil {
		l.big = o.(*quicklist)
		l.n = l.big.count
		return
	}
	l.big = nil
	l.n = int(binary.LittleEndian.Uint16(l.at.value()))
}

// reopen finds the value again after a write that moved it.
func (l *List) reopen() {
	if s, ok := l.tx.find(l.key, Peek); ok {
		l.open(s)
	}
}

// Len returns the number of elements, 0 if the key is absent.
func (l *List) Len() int { return l.n }

// parts and part show the elements as rows, whatever the form of the list.
func (l *List) parts() int {
	switch {
	case !l.live:
		return 0
	case l.big != nil:
		return l.big.nodes.len()
	}
	return 1
}

func (l *List) part(i int) row {
	if l.big != nil {
		return l.big.nodes.at(i).row()
	}
	return row{b: l.tx.blob(l.at)[countBytes:], n: l.n}
}

// locate returns the part that element i is in, and its place there.
func (l *List) locate(i int) (part, place int) {
	if l.big != nil {
		return l.big.locate(i)
	}
	return 0, i
}

// Encoding returns the name that OBJECT ENCODING of Redis 7.2 gives a list of
// this size; limit is list-max-listpack-size: a number of elements, or -1 to -5
// for 4, 8, 16, 32 and 64 KiB.
func (l *List) Encoding(limit int64) string {
	const listpackHead = 7
	size := listpackHead
	if l.big != nil {
		size += l.big.live
	} else if l.live {
		size += len(l.tx.blob(l.at)) - countBytes
	}
	fits := size <= nodeMax && int64(l.n) <= limit
	if limit < 0 {
		fits = size <= 2048<<min(-limit, 5)
	}
	if fits {
		return "listpack"
	}
	return "quicklist"
}

// Push adds values at an end, one after the other.
func (l *List) Push(end End, values ...[]byte) {
	if len(values) == 0 {
		return
	}
	if l.big == nil {
		size := 0
		for _, v := range values {
			if size += len(v); size > packedMax {
				break
			}
		}
		if size <= packedMax && l.pushPacked(end, values) {
			return
		}
		l.unpackAll(end, values)
		return
	}
	for _, v := range values {
		l.big.push(end, pack(v))
	}
	l.changed()
}

// pushPacked adds to a blob, or makes one, and reports false if it would be too
// long.
func (l *List) pushPacked(end End, values [][]byte) bool {
	old := 0
	if l.live {
		old = len(l.tx.blob(l.at)) - countBytes
	}
	size := old
	for _, v := range values {
		e := pack(v)
		size += e.total()
	}
	if size > packedMax {
		return false
	}
	if !l.live {
		var room [256]byte
		b := room[:]
		if countBytes+size > len(b) {
			b = make([]byte, countBytes+size)
		}
		b = b[:countBytes+size]
		fill(b, end, 0, values)
		l.tx.putBlob(l.key, KindList, b)
		l.reopen()
		return true
	}
	s, b := l.tx.growBlob(l.at, countBytes+size)
	l.at = s
	fill(b, end, old, values)
	l.n += len(values)
	l.tx.changed(l.key, KindList, Changed)
	return true
}

// fill writes values into b, a blob of its final length that holds old bytes of
// elements behind its head.
func fill(b []byte, end End, old int, values [][]byte) {
	n := 0
	if old > 0 {
		n = int(binary.LittleEndian.Uint16(b))
	}
	binary.LittleEndian.PutUint16(b, uint16(n+len(values)))
	b = b[countBytes:]
	if end == Back {
		for _, v := range values {
			old += pack(v).put(b[old:])
		}
		return
	}
	at := len(b) - old
	copy(b[at:], b[:old])
	for _, v := range values {
		e := pack(v)
		at -= e.total()
		e.put(b[at:])
	}
}

// unpackAll turns a packed or absent list into a quicklist and pushes values.
func (l *List) unpackAll(end End, values [][]byte) {
	q := newQuicklist(l.tx.store)
	if l.live {
		r := l.part(0)
		q.adopt(0, shaped(r.b, r.n))
		q.count = r.n
	}
	for _, v := range values {
		q.push(end, pack(v))
	}
	l.tx.putObject(l.key, q)
	l.reopen()
}

// changed takes a quicklist that was changed into the accounts: it is removed
// when empty and becomes a blob when it has got small.
func (l *List) changed() {
	q := l.big
	l.n = q.count
	if q.count > 0 && q.live <= packedMax/2 {
		l.packAll()
		return
	}
	l.tx.settle(&l.at)
	l.tx.changed(l.key, KindList, Changed)
	l.removeEmpty()
}

func (l *List) packAll() {
	b := make([]byte, countBytes, countBytes+l.big.live)
	binary.LittleEndian.PutUint16(b, uint16(l.big.count))
	for _, d := range l.big.nodes.all() {
		b = d.row().appendPacked(b)
	}
	l.tx.putBlob(l.key, KindList, b)
	l.reopen()
}

func (l *List) removeEmpty() {
	if l.n == 0 {
		l.tx.remove(l.key, Emptied)
		l.live, l.big = false, nil
	}
}

// keepPacked makes elements [from, to) of a blob, n of them, all there is.
func (l *List) keepPacked(from, to, n int) {
	b := l.tx.blob(l.at)
	copy(b[countBytes:], b[countBytes+from:countBytes+to])
	binary.LittleEndian.PutUint16(b, uint16(n))
	l.at, _ = l.tx.growBlob(l.at, countBytes+to-from)
	l.n = n
	l.tx.changed(l.key, KindList, Changed)
	l.removeEmpty()
}

// Pop removes up to n elements from an end, and visits each before it goes, the
// outermost first. The bytes are valid during the visit.
func (l *List) Pop(end End, n int, visit func(v []byte)) int {
	n = min(n, l.n)
	if n <= 0 {
		return 0
	}
	if end == Front {
		l.Range(0, n-1, func(v []byte) bool { visit(v); return true })
	} else {
		l.rangeBack(l.n-1, n, func(_ int, r row, at int) bool {
			visit(r.value(at, &l.tx.number))
			return true
		})
	}
	l.drop(end, n)
	return n
}

func (l *List) drop(end End, n int) {
	if l.big != nil {
		l.big.drop(end, n)
		l.changed()
		return
	}
	r := l.part(0)
	if end == Front {
		l.keepPacked(r.offset(n), len(r.b), l.n-n)
		return
	}
	l.keepPacked(0, r.offset(l.n-n), l.n-n)
}

// Index visits element i, counted from the end if i is negative; false if there
// is none. The bytes are valid during the visit.
func (l *List) Index(i int, visit func(v []byte)) bool {
	if i < 0 {
		i += l.n
	}
	if i < 0 || i >= l.n {
		return false
	}
	part, place := l.locate(i)
	r := l.part(part)
	visit(r.value(r.offset(place), &l.tx.number))
	return true
}

// bounds returns the range that Redis' start and stop mean: negative ones count
// from the end, and both are clamped. The range is empty if from > to.
func (l *List) bounds(start, stop int) (from, to int) {
	if start < 0 {
		start = max(start+l.n, 0)
	}
	if stop < 0 {
		stop += l.n
	}
	return start, min(stop, l.n-1)
}

// RangeLen returns how many elements Range visits.
func (l *List) RangeLen(start, stop int) int {
	from, to := l.bounds(start, stop)
	return max(to-from+1, 0)
}

// Range visits the elements from start to stop, both included, negative ones
// counted from the end, until visit returns false. The bytes are valid during
// the visit.
func (l *List) Range(start, stop int, visit func(v []byte) bool) {
	from, to := l.bounds(start, stop)
	if from > to {
		return
	}
	n := to - from + 1
	part, place := l.locate(from)
	for ; n > 0; part, place = part+1, 0 {
		r := l.part(part)
		for at := r.offset(place); at < len(r.b) && n > 0; n-- {
			if !visit(r.value(at, &l.tx.number)) {
				return
			}
			at = r.next(at)
		}
	}
}

// rangeForward visits n elements, by row and offset, from i on; rangeBack from
// i backwards.
func (l *List) rangeForward(i, n int, visit func(i int, r row, at int) bool) {
	part, place := l.locate(i)
	for ; n > 0; part, place = part+1, 0 {
		r := l.part(part)
		for at := r.offset(place); at < len(r.b) && n > 0; at = r.next(at) {
			if !visit(i, r, at) {
				return
			}
			i++
			n--
		}
	}
}

func (l *List) rangeBack(i, n int, visit func(i int, r row, at int) bool) {
	part, place := l.locate(i)
	for ; n > 0; part-- {
		r := l.part(part)
		if place < 0 {
			place = r.n - 1
		}
		for at := r.offset(place + 1); at > 0 && n > 0; {
			at = r.before(at)
			if !visit(i, r, at) {
				return
			}
			i--
			n--
		}
		place = -1
	}
}

// Set replaces element i, counted from the end if negative; false if there is
// none.
func (l *List) Set(i int, v []byte) bool {
	if i < 0 {
		i += l.n
	}
	if i < 0 || i >= l.n {
		return false
	}
	part, place := l.locate(i)
	l.splice(part, place, true, v)
	return true
}

// Insert puts v before or behind the first element equal to pivot and returns
// the new length, -1 if there is no such element.
func (l *List) Insert(pivot []byte, after bool, v []byte) int {
	w := want(pivot)
	for part := range l.parts() {
		r := l.part(part)
		if r.never(w) {
			continue
		}
		for at, place := 0, 0; at < len(r.b); at, place = r.next(at), place+1 {
			if !r.is(at, w) {
				continue
			}
			if after {
				place++
			}
			l.splice(part, place, false, v)
			return l.n
		}
	}
	return -1
}

// splice puts v in front of an element, or in its place if over is true.
func (l *List) splice(part, place int, over bool, v []byte) {
	e := pack(v)
	if l.big == nil {
		r := l.part(0)
		from := r.offset(place)
		to, count := from, r.n+1
		if over {
			to, count = r.next(from), r.n
		}
		if size := len(r.b) - (to - from) + e.total(); size <= packedMax {
			l.splicePacked(from, to, size, count, e)
			return
		}
		q := newQuicklist(l.tx.store)
		q.count = r.n
		q.adopt(0, shaped(r.b, r.n))
		q.splice(0, place, over, e)
		l.tx.putObject(l.key, q)
		l.reopen()
		return
	}
	l.big.splice(part, place, over, e)
	l.changed()
}

// splicePacked puts e in the place of bytes [from, to) of a blob's elements,
// which are size bytes and count elements then.
func (l *List) splicePacked(from, to, size, count int, e element) {
	old := len(l.tx.blob(l.at))
	if countBytes+size > old {
		l.at, _ = l.tx.growBlob(l.at, countBytes+size)
	}
	b := l.tx.blob(l.at)
	copy(b[countBytes+from+e.total():], b[countBytes+to:old])
	e.put(b[countBytes+from:])
	binary.LittleEndian.PutUint16(b, uint16(count))
	if countBytes+size < old {
		l.at, _ = l.tx.growBlob(l.at, countBytes+size)
	}
	l.n = count
	l.tx.changed(l.key, KindList, Changed)
}

// Remove removes elements equal to v: the first count, the last -count if it is
// negative, all if it is 0. It returns how many.
func (l *List) Remove(count int, v []byte) int {
	if !l.live {
		return 0
	}
	w := want(v)
	keep, most := 0, l.n
	if count > 0 {
		most = min(count, l.n)
	} else if count < 0 {
		most = l.n
		if count > -l.n {
			most = -count
		}
		for part := range l.parts() {
			keep += l.part(part).count(w)
		}
		keep = max(keep-most, 0)
	}
	if l.big != nil {
		removed := l.big.removeEqual(w, keep, most)
		if removed > 0 {
			l.changed()
		}
		return removed
	}
	length, removed := l.part(0).drop(w, keep, most)
	if removed > 0 {
		l.keepPacked(0, length, l.n-removed)
	}
	return removed
}

// Trim keeps the elements from start to stop, as Range counts them. It records
// a change even if all are kept.
func (l *List) Trim(start, stop int) (removed int) {
	if !l.live {
		return 0
	}
	from, to := l.bounds(start, stop)
	head, tail := from, l.n-1-to
	if from > to {
		head, tail = l.n, 0
	}
	if l.big == nil {
		r := l.part(0)
		first := r.offset(head)
		l.keepPacked(first, max(first, r.offset(r.n-tail)), r.n-head-tail)
		return head + tail
	}
	l.big.drop(Front, head)
	l.big.drop(Back, tail)
	l.changed()
	return head + tail
}

// Find visits the indices of elements equal to v until visit returns false:
// from the tail backwards if back is true, comparing at most max elements.
func (l *List) Find(v []byte, back bool, most int, visit func(i int) bool) {
	if !l.live {
		return
	}
	w := want(v)
	look := func(i int, r row, at int) bool { return !r.is(at, w) || visit(i) }
	if back {
		l.rangeBack(l.n-1, min(most, l.n), look)
		return
	}
	l.rangeForward(0, min(most, l.n), look)
}
