package store

// timed is a value that does something by itself when its time comes: fields of
// a hash expire, leases and delays of a queue end.
type timed interface {
	Object
	// Due returns when that is, in unix milliseconds; 0 = never.
	Due() int64
	// fire does what is due at tx.Now for at most budget elements, records the
	// change and reports how many there were.
	fire(tx *Tx, key []byte, budget int) int
}

// alarms is a binary heap of the timed values of a shard by their next time.
// Each one's record holds its place.
type alarms struct{ heap []alarm }

type alarm struct {
	when   int64
	hash   uint64 // of the key
	record uint32
}

const alarmBytes = 24

func (a *alarms) bytes() int64 { return int64(cap(a.heap)) * alarmBytes }

// first returns the earliest time, 0 if there is none.
func (a *alarms) first() int64 {
	if len(a.heap) == 0 {
		return 0
	}
	return a.heap[0].when
}

// set changes the time of a record's value, 0 for none; h is its key's hash.
func (c *contents) setAlarm(n uint32, h uint64, when int64) {
	r := c.records.at(n)
	a := &c.alarms
	switch i := int(r.alarm) - 1; {
	case i < 0 && when == 0:
		return
	case i < 0:
		a.heap = append(a.heap, alarm{})
		c.fixAlarm(len(a.heap)-1, alarm{when, h, n})
	case when != 0:
		c.fixAlarm(i, alarm{when, h, n})
	default:
		r.alarm = 0
		last := a.heap[len(a.heap)-1]
		a.heap = a.heap[:len(a.heap)-1]
		if i < len(a.heap) {
			c.fixAlarm(i, last)
		} else if i == 0 {
			a.heap = nil
		}
	}
	c.dirty = true
}

// fixAlarm finds the place of x from place i on.
func (c *contents) fixAlarm(i int, x alarm) {
	h := c.alarms.heap
	for i > 0 && x.when < h[(i-1)/2].when {
		c.putAlarm(i, h[(i-1)/2])
		i = (i - 1) / 2
	}
	for down := 2*i + 1; down < len(h); down = 2*i + 1 {
		if down+1 < len(h) && h[down+1].when < h[down].when {
			down++
		}
		if x.when <= h[down].when {
			break
		}
		c.putAlarm(i, h[down])
		i = down
	}
	c.putAlarm(i, x)
}

func (c *contents) putAlarm(i int, x alarm) {
	c.alarms.heap[i] = x
	c.records.at(x.record).alarm = uint32(i) + 1
}

// wind sets the alarm of the value of s if it is a timed one.
func (c *contents) wind(s slot) {
	if k := s.kind(); s.flags()&flagObject == 0 || k != KindHash && k != KindQueue {
		return
	}
	n := s.record()
	o, ok := c.records.at(n).object.(timed)
	if !ok {
		return
	}
	c.setAlarm(n, s.h, o.Due())
	if q, ok := o.(*Queue); ok {
		q.share()
		q.settleIn(s)
	}
}

// slotOfRecord finds the entry whose value is in record n.
func (c *contents) slotOfRecord(h uint64, n uint32) slot {
	tag := tagOf(h)
	for b := c.dict.bucket(c.dict.home(h)); b != nil; b = c.dict.following(b) {
		for i, t := range b.tags {
			if t != tag {
				continue
			}
			if e := c.entry(b.refs[i]); e.flags()&flagObject != 0 && e.record() == n {
				return slot{e, place{b, i}, c, h}
			}
		}
	}
	panic("store: a record without an entry")
}

// ring lets the timed values whose time has come do what is due, for at most
// budget elements, and returns what is left of it.
func (c *contents) ring(tx *Tx, budget int) int {
	var key []byte
	for budget > 0 && len(c.alarms.heap) > 0 && c.alarms.heap[0].when <= tx.Now {
		a := c.alarms.heap[0]
		s := c.slotOfRecord(a.hash, a.record)
		c.preserve(s)
		key = append(key[:0], c.key(s.entry)...)
		o := c.records.at(a.record).object.(timed)
		budget -= max(1, o.fire(tx, key, budget))
		if s, ok := c.lookup(a.hash, key); ok {
			c.wind(s)
		}
	}
	return budget
}

// earlier returns the earlier of two times, of which 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (tx *Tx) noteDue(at int64) { tx.due = earlier(tx.due, at) }

// due tells whoever waits for the next expiry or alarm that there is one at the
// given time, if that is before what it waits for.
func (s *Store) due(at int64) {
	if at < s.awaited.Load() {
		select {
		case s.sooner <- struct{}{}:
		default:
		}
	}
}

// Await says until when, in unix milliseconds, the caller of ExpireSome is going
// to wait. The channel gets a value when something is due before.
func (s *Store) Await(until int64) <-chan struct{} {
	s.awaited.Store(until)
	return s.sooner
}
