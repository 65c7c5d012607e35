package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// modelPending is a pending entry of the model: a slice, searched from the
// front.
type modelPending struct {
	id       ID
	consumer string
	time     int64
	count    int64
}

type modelGroup struct {
	consumers []string
	pending   []modelPending
}

func (m *modelGroup) find(id ID) int {
	return slices.IndexFunc(m.pending, func(p modelPending) bool { return p.id == id })
}

func (m *modelGroup) of(consumer string) (own []modelPending) {
	for _, p := range m.pending {
		if consumer == "" || p.consumer == consumer {
			own = append(own, p)
		}
	}
	return own
}

func checkGroup(t *testing.T, g *Group, m *modelGroup) {
	t.Helper()
	slices.SortFunc(m.pending, func(a, b modelPending) int { return a.id.Compare(b.id) })
	slices.Sort(m.consumers)
	var names []string
	for _, c := range g.Consumers() {
		names = append(names, c.Name())
		checkNacks(t, g, c, m.of(c.Name()))
	}
	if !slices.Equal(names, m.consumers) {
		t.Fatalf("consumers %v, want %v", names, m.consumers)
	}
	checkNacks(t, g, nil, m.of(""))
	if g.Pending() != len(m.pending) {
		t.Fatalf("%d pending, want %d", g.Pending(), len(m.pending))
	}
	if n := len(m.pending); n > 0 {
		if first, last := g.PendingRange(); first != m.pending[0].id || last != m.pending[n-1].id {
			t.Fatalf("from %v to %v", first, last)
		}
	}
}

func checkNacks(t *testing.T, g *Group, c *Consumer, want []modelPending) {
	t.Helper()
	var got []modelPending
	g.Nacks(c, ID{}, MaxID, func(p Pending) bool {
		got = append(got, modelPending{p.ID, p.Consumer.Name(), p.Time, p.Count})
		return true
	})
	if !slices.Equal(got, want) || c != nil && c.Pending() != len(want) {
		t.Fatalf("pending %v, want %v", got, want)
	}
}

// step does one random thing to the group and to the model.
func (m *modelGroup) step(t *testing.T, rnd *rand.Rand, g *Group, now int64) {
	name := fmt.Sprint("c", rnd.IntN(8))
	known := slices.Contains(m.consumers, name)
	id := ID{uint64(rnd.IntN(500)), uint64(rnd.IntN(3))}
	at := m.find(id)
	switch n := rnd.IntN(20); {
	case n == 0:
		if created := g.CreateConsumer([]byte(name), now); (created == nil) != known {
			t.Fatalf("consumer %s: created %v, was there %v", name, created != nil, known)
		} else if !known {
			m.consumers = append(m.consumers, name)
		}
	case n == 1 && rnd.IntN(4) == 0:
		pending, ok := g.DropConsumer([]byte(name))
		if ok != known || pending != len(m.of(name)) && ok {
			t.Fatalf("dropped %s: %d %v, want %d %v", name, pending, ok, len(m.of(name)), known)
		}
		m.consumers = slices.DeleteFunc(m.consumers, func(c string) bool { return c == name })
		m.pending = slices.DeleteFunc(m.pending, func(p modelPending) bool { return p.consumer == name })
	case n < 13 && known: // delivered or claimed
		p := modelPending{id, name, now - int64(rnd.IntN(50)), int64(1 + rnd.IntN(3))}
		g.Assign(Pending{ID: id, Consumer: g.Consumer([]byte(name)), Time: p.time, Count: p.count})
		if at >= 0 {
			m.pending[at] = p
		} else {
			m.pending = append(m.pending, p)
		}
	default:
		if g.Ack(id) != (at >= 0) {
			t.Fatalf("acknowledged %v, want %v", at < 0, at >= 0)
		}
		if at >= 0 {
			m.pending = slices.Delete(m.pending, at, at+1)
		}
	}
}

func TestGroupsEqualASlice(t *testing.T) {
	for seed := range uint64(5) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		s := NewStream()
		s.mem.blocks = New(Options{}).newBlocks()
		empty := s.Bytes()
		g := s.CreateGroup([]byte("g"), ID{}, -1)
		m := &modelGroup{}
		for step := range 4000 {
			m.step(t, rnd, g, int64(step)+1000)
			if step%67 == 0 {
				checkGroup(t, g, m)
			}
		}
		c := s.Clone().(*Stream)
		copied := c.Group([]byte("g"))
		checkGroup(t, copied, m)
		for range 500 {
			m.step(t, rnd, copied, 9000)
		}
		checkGroup(t, copied, m)
		s.DropGroup([]byte("g"))
		c.DropGroup([]byte("g"))
		if s.Bytes() != empty || c.Bytes() != empty {
			t.Fatalf("%d and %d bytes after the groups went, want %d", s.Bytes(), c.Bytes(), empty)
		}
	}
}

func TestTrimmingAndGroups(t *testing.T) {
	build := func() (*Stream, *Group) {
		s := NewStream()
		for i := range uint64(1000) {
			s.Add(ID{i + 1, 0}, [][]byte{[]byte("f"), []byte("v")}, 0, 10)
		}
		g := s.CreateGroup([]byte("g"), ID{900, 0}, 900)
		c := g.CreateConsumer([]byte("c"), 0)
		for i := uint64(1); i <= 900; i += 3 {
			g.Assign(Pending{ID: ID{i, 0}, Consumer: c, Count: 1})
		}
		return s, g
	}
	for _, c := range []struct {
		trim                Trim
		removed, left, refs int
		first               ID
		hole                bool
	}{
		{Trim{MaxLen: 400}, 600, 400, 300, ID{601, 0}, false},
		{Trim{MaxLen: 400, Refs: DeleteRefs}, 600, 400, 100, ID{601, 0}, false},
		{Trim{MaxLen: 400, Refs: AckedOnly}, 600, 400, 300, ID{1, 0}, true},
		{Trim{MaxLen: 0, Refs: AckedOnly}, 600, 400, 300, ID{1, 0}, true},
		{Trim{MaxLen: 995, Approx: true, Refs: DeleteRefs}, 0, 1000, 300, ID{1, 0}, false},
		{Trim{MaxLen: 985, Approx: true, Refs: DeleteRefs}, 10, 990, 296, ID{11, 0}, false},
		{Trim{MaxLen: 985, Approx: true, Refs: AckedOnly}, 6, 994, 300, ID{1, 0}, true},
		{Trim{ByID: true, MinID: ID{100, 0}, Refs: DeleteRefs}, 99, 901, 267, ID{100, 0}, false},
		{Trim{ByID: true, MinID: ID{100, 0}, Approx: true, Limit: 5, Refs: DeleteRefs}, 5, 995, 298, ID{6, 0}, false},
		{Trim{ByID: true, MinID: ID{}, Refs: DeleteRefs}, 0, 1000, 300, ID{1, 0}, false},
		{Trim{MaxLen: 5000, Refs: DeleteRefs}, 0, 1000, 300, ID{1, 0}, false},
	} {
		s, g := build()
		n := s.Trim(c.trim)
		if n != c.removed || s.Len() != c.left || g.Pending() != c.refs || s.FirstID() != c.first || (s.MaxDeletedID() != ID{}) != c.hole {
			t.Errorf("%+v: removed %d, left %d from %v, pending %d, deleted up to %v", c.trim, n, s.Len(), s.FirstID(), g.Pending(), s.MaxDeletedID())
		}
	}
}
