package store

// deque is a row of values that grows and shrinks at both ends in constant
// time, amortized. The zero value is empty.
type deque[T any] struct {
	room   []T
	lo, hi int // values stand in room[lo:hi]; the rest is zero
}

func (d *deque[T]) len() int    { return d.hi - d.lo }
func (d *deque[T]) at(i int) *T { return &d.room[d.lo+i] }
func (d *deque[T]) cap() int    { return len(d.room) }
func (d *deque[T]) all() []T    { return d.room[d.lo:d.hi] }

// pushFront and pushBack return the place of the new value.
func (d *deque[T]) pushFront(v T) *T {
	if d.lo == 0 {
		d.recenter(true)
	}
	d.lo--
	d.room[d.lo] = v
	return &d.room[d.lo]
}

func (d *deque[T]) pushBack(v T) *T {
	if d.hi == len(d.room) {
		d.recenter(false)
	}
	d.room[d.hi] = v
	d.hi++
	return &d.room[d.hi-1]
}

// recenter makes room at one end: by half a length, in a new array unless the
// old one is half empty.
func (d *deque[T]) recenter(front bool) {
	n := d.len()
	old := d.all()
	room := d.room
	fresh := n*2 >= len(room)
	if fresh {
		room = make([]T, n+n/2+2)
	}
	lo := 0
	if front {
		lo = len(room) - n
	}
	copy(room[lo:], old)
	if !fresh {
		clear(room[:lo])
		clear(room[lo+n:])
	}
	d.room, d.lo, d.hi = room, lo, lo+n
}

func (d *deque[T]) popFront() {
	var zero T
	d.room[d.lo] = zero
	d.lo++
	d.shrink()
}

func (d *deque[T]) popBack() {
	var zero T
	d.hi--
	d.room[d.hi] = zero
	d.shrink()
}

// shrink gives back an array that is seven eighths empty.
func (d *deque[T]) shrink() {
	if n := d.len(); len(d.room) >= 32 && n <= len(d.room)/8 {
		room := make([]T, 2*n+2)
		lo := (len(room) - n) / 2
		copy(room[lo:], d.all())
		d.room, d.lo, d.hi = room, lo, lo+n
	}
}

// insert puts v at place i; the values from there on move back.
func (d *deque[T]) insert(i int, v T) {
	d.pushBack(v)
	row := d.all()
	copy(row[i+1:], row[i:])
	row[i] = v
}

// remove takes value i out.
func (d *deque[T]) remove(i int) {
	if i < d.len()/2 {
		copy(d.room[d.lo+1:], d.room[d.lo:d.lo+i])
		d.popFront()
		return
	}
	copy(d.room[d.lo+i:], d.room[d.lo+i+1:d.hi])
	d.popBack()
}
