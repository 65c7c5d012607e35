package store

import (
	"hash"
	"slices"
	"unsafe"
)

// Group is a consumer group of a stream: how far it has read, and which entries
// wait for an acknowledgement, in all and by consumer.
type Group struct {
	name      string
	last      ID
	read      int64 // entries read up to last; -1: not known
	pending   pendingList
	consumers names[*Consumer]
	numbers   []*Consumer // by number; nil where one was deleted
	free      []uint32    // numbers not in use
	stream    *Stream
}

// Consumer is a consumer of a group. Seen is when it last tried to read, and
// Active when it last got something, -1 if never: unix milliseconds.
type Consumer struct {
	Seen   int64
	Active int64

	name    string
	number  uint32
	pending pendingList // bare
}

// Pending is an entry that was delivered to a consumer Count times, at Time for
// the last time, and was not acknowledged.
type Pending struct {
	ID       ID
	Consumer *Consumer
	Time     int64
	Count    int64
}

const (
	groupBytes    = int64(unsafe.Sizeof(Group{})) + 8
	consumerBytes = int64(unsafe.Sizeof(Consumer{})) + 16
)

// Groups returns the groups by name.
func (s *Stream) Groups() []*Group { return s.groups.all() }

// Group returns the group of the given name, nil if there is none.
func (s *Stream) Group(name []byte) *Group { return s.groups.get(name) }

// CreateGroup adds a group that has read up to last, which are so many entries
// (-1: not known). It returns nil if there is one of that name.
func (s *Stream) CreateGroup(name []byte, last ID, read int64) *Group {
	if s.Group(name) != nil {
		return nil
	}
	g := &Group{name: string(name), last: last, read: read, stream: s, pending: pendingList{mem: s.mem}}
	s.groups.add(g)
	s.mem.held += groupBytes + int64(len(name))
	return g
}

// DropGroup removes a group and reports whether there was one.
func (s *Stream) DropGroup(name []byte) bool {
	g := s.Group(name)
	if g == nil {
		return false
	}
	g.release()
	s.mem.held -= groupBytes + int64(len(name))
	s.groups.remove(name)
	return true
}

func (g *Group) release() {
	g.pending.release()
	for _, c := range g.Consumers() {
		c.pending.release()
		g.stream.mem.held -= consumerBytes + int64(len(c.name))
	}
}

// Name returns the group's name.
func (g *Group) Name() string { return g.name }

// Last returns the ID of the last entry that was read.
func (g *Group) Last() ID { return g.last }

// Read returns how many entries were read; -1: not known.
func (g *Group) Read() int64 { return g.read }

// SetLast sets the last ID and how many entries were read up to it.
func (g *Group) SetLast(last ID, read int64) { g.last, g.read = last, read }

// Advance counts the entry id, which is behind Last, as read.
func (g *Group) Advance(id ID) {
	s := g.stream
	if g.read >= 0 && !g.last.Less(s.FirstID()) && !s.holesFrom(g.last) {
		g.read++
	} else if s.added > 0 {
		g.read = s.countTo(id)
	}
	g.last = id
}

// Lag returns how many entries the group has yet to read; false if that is not
// known (as Redis 7.2.7 computes it).
func (g *Group) Lag() (n int64, ok bool) {
	s := g.stream
	switch {
	case s.length == 0:
		return 0, true
	case g.last.Less(s.FirstID()) && s.maxDeleted.Less(s.FirstID()):
		return int64(s.length), true
	case g.read >= 0 && !s.holesFrom(g.last):
		return int64(s.added) - g.read, true
	}
	if read := s.countTo(g.last); read >= 0 {
		return int64(s.added) - read, true
	}
	return 0, false
}

// holesFrom reports whether an entry behind id may have been deleted from
// between others.
func (s *Stream) holesFrom(id ID) bool {
	return s.length > 0 && s.maxDeleted != ID{} && !s.maxDeleted.Less(id)
}

// countTo returns how many entries were ever added up to id, -1 where only a
// walk could tell (Redis' streamEstimateDistanceFromFirstEverEntry).
func (s *Stream) countTo(id ID) int64 {
	first := s.FirstID()
	switch {
	case s.added == 0:
		return 0
	case s.length == 0 && !s.last.Less(id):
		return int64(s.added)
	case id != ID{} && id.Less(s.maxDeleted):
		return -1
	case id == s.last:
		return int64(s.added)
	case s.last.Less(id):
		return -1
	case s.maxDeleted != ID{} && !s.maxDeleted.Less(first):
		return -1
	case id.Less(first):
		return int64(s.added) - int64(s.length)
	case id == first:
		return int64(s.added) - int64(s.length) + 1
	}
	return -1
}

// Consumers returns the consumers by name.
func (g *Group) Consumers() []*Consumer { return g.consumers.all() }

// Consumer returns the consumer of the given name, nil if there is none.
func (g *Group) Consumer(name []byte) *Consumer { return g.consumers.get(name) }

// CreateConsumer adds a consumer that was seen now, in unix milliseconds. It
// returns nil if there is one of that name.
func (g *Group) CreateConsumer(name []byte, now int64) *Consumer {
	if g.Consumer(name) != nil {
		return nil
	}
	c := &Consumer{Seen: now, Active: -1, name: string(name), pending: pendingList{bare: true, mem: g.stream.mem}}
	if k := len(g.free); k > 0 {
		c.number, g.free = g.free[k-1], g.free[:k-1]
		g.numbers[c.number] = c
	} else {
		c.number = uint32(len(g.numbers))
		g.numbers = append(g.numbers, c)
	}
	g.consumers.add(c)
	g.stream.mem.held += consumerBytes + int64(len(name))
	return c
}

// DropConsumer removes a consumer and what is pending for it; it returns how
// many entries these were, and false if there is no such consumer.
func (g *Group) DropConsumer(name []byte) (pending int, ok bool) {
	c := g.Consumer(name)
	if c == nil {
		return 0, false
	}
	pending = c.pending.n
	c.pending.each(ID{}, func(v nack) bool {
		g.pending.remove(v.id)
		return true
	})
	c.pending.release()
	g.consumers.remove(name)
	g.numbers[c.number] = nil
	g.free = append(g.free, c.number)
	g.stream.mem.held -= consumerBytes + int64(len(name))
	return pending, true
}

// Name returns the consumer's name.
func (c *Consumer) Name() string { return c.name }

// Pending returns how many entries wait for the consumer's acknowledgement.
func (c *Consumer) Pending() int { return c.pending.n }

// Pending returns how many entries wait for an acknowledgement.
func (g *Group) Pending() int { return g.pending.n }

// PendingRange returns the first and the last ID that wait for an
// acknowledgement; some must.
func (g *Group) PendingRange() (first, last ID) {
	v, _ := g.pending.next(ID{})
	return v.id, g.pending.last()
}

func (g *Group) shown(v nack) Pending {
	return Pending{ID: v.id, Consumer: g.numbers[v.owner], Time: v.time, Count: v.count}
}

// Nack returns the pending entry of the given ID.
func (g *Group) Nack(id ID) (p Pending, ok bool) {
	v, ok := g.pending.get(id)
	if ok {
		p = g.shown(v)
	}
	return p, ok
}

// NextNack returns the first pending entry not before id.
func (g *Group) NextNack(id ID) (p Pending, ok bool) {
	v, ok := g.pending.next(id)
	if ok {
		p = g.shown(v)
	}
	return p, ok
}

// Nacks visits the pending entries from one ID to another, both included, until
// visit returns false: those of c alone unless it is nil. visit may call Nack
// and Assign for the entry visited, and nothing else that writes.
func (g *Group) Nacks(c *Consumer, from, to ID, visit func(p Pending) bool) {
	list := &g.pending
	if c != nil {
		list = &c.pending
	}
	list.each(from, func(v nack) bool {
		if to.Less(v.id) {
			return false
		}
		if c != nil {
			v, _ = g.pending.get(v.id)
		}
		return visit(g.shown(v))
	})
}

// Oldest returns pending entries that were delivered at until or before, those
// first that have waited longest, at most limit; 0 is no limit.
func (g *Group) Oldest(until int64, limit int) []Pending {
	found := g.pending.oldest(until, limit)
	shown := make([]Pending, len(found))
	for i, v := range found {
		shown[i] = g.shown(v)
	}
	return shown
}

// Earliest returns when the pending entry that has waited longest was
// delivered; false if nothing is pending.
func (g *Group) Earliest() (at int64, ok bool) { return g.pending.earliest() }

// Assign makes p pending for p.Consumer, whether it was pending or not.
func (g *Group) Assign(p Pending) {
	if old, ok := g.pending.get(p.ID); !ok {
		p.Consumer.pending.set(nack{id: p.ID})
	} else if old.owner != p.Consumer.number {
		g.numbers[old.owner].pending.remove(p.ID)
		p.Consumer.pending.set(nack{id: p.ID})
	}
	g.pending.set(nack{p.ID, p.Time, p.Count, p.Consumer.number})
}

// Ack takes an entry out of those pending and reports whether it was there.
func (g *Group) Ack(id ID) bool {
	v, ok := g.pending.remove(id)
	if ok {
		g.numbers[v.owner].pending.remove(id)
	}
	return ok
}

// Referenced reports whether a group has yet to read an entry or to acknowledge
// it.
func (s *Stream) Referenced(id ID) bool {
	for _, g := range s.Groups() {
		if g.last.Less(id) {
			return true
		}
		if _, _, ok := g.pending.find(id); ok {
			return true
		}
	}
	return false
}

// Unreference takes an entry out of those pending, in every group.
func (s *Stream) Unreference(id ID) (found bool) {
	for _, g := range s.Groups() {
		found = g.Ack(id) || found
	}
	return found
}

// cloneGroups copies the groups of s into c.
func (s *Stream) cloneGroups(c *Stream) {
	c.groups = names[*Group]{}
	for _, g := range s.Groups() {
		copied := c.CreateGroup([]byte(g.name), g.last, g.read)
		copied.pending = g.pending.clone(c.mem)
		copied.numbers = make([]*Consumer, len(g.numbers))
		copied.free = slices.Clone(g.free)
		for _, from := range g.Consumers() {
			to := *from
			to.pending = from.pending.clone(c.mem)
			copied.consumers.add(&to)
			copied.numbers[to.number] = &to
			c.mem.held += consumerBytes + int64(len(to.name))
		}
	}
}

// digestGroups adds what a replayed log restores of the groups: not the times,
// nor how often entries were delivered, as reading one's history is not logged.
func (s *Stream) digestGroups(h hash.Hash) {
	for _, g := range s.Groups() {
		part(h, []byte(g.name))
		part(h, ID{uint64(g.read), 0}.Append(g.last.Append(nil)))
		for _, c := range g.Consumers() {
			part(h, []byte(c.name))
			c.pending.each(ID{}, func(v nack) bool {
				part(h, v.id.Append(nil))
				return true
			})
		}
	}
}
