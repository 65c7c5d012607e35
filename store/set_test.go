package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// setModel is a store with one set and a map of what should be in it.
type setModel struct {
	t    *testing.T
	s    *Store
	tx   Tx
	want map[string]bool
}

var setKey = []byte("set")

func newSetModel(t *testing.T) *setModel {
	return &setModel{t: t, s: New(Options{Shards: 1}), want: map[string]bool{}}
}

// do runs f with the set's handle in a transaction of its own.
func (m *setModel) do(f func(s *Set)) {
	m.t.Helper()
	m.s.Begin(&m.tx, 0, 1)
	m.tx.LockKey(setKey)
	set, err := m.tx.SetOf(setKey, Write)
	if err != nil {
		m.t.Fatal(err)
	}
	f(&set)
	m.tx.Unlock()
}

// add, remove and pop run one command of several members and check that it
// records one change, and the removal of the key if that is due.
func (m *setModel) add(members ...string) {
	m.t.Helper()
	changed, created := false, len(m.want) == 0
	m.do(func(s *Set) {
		s.Expect([]byte(members[0]), len(members))
		for _, v := range members {
			if s.Add([]byte(v)) == m.want[v] {
				m.t.Fatalf("Add(%.20q) does not know whether it is there", v)
			}
			changed = changed || !m.want[v]
			m.want[v] = true
		}
		s.Done()
	})
	switch {
	case !changed:
		m.changes()
	case created:
		m.changes(Created)
	default:
		m.changes(Changed)
	}
}

func (m *setModel) remove(members ...string) {
	m.t.Helper()
	changed := false
	m.do(func(s *Set) {
		for _, v := range members {
			if s.Remove([]byte(v)) != m.want[v] {
				m.t.Fatalf("Remove(%.20q) does not know whether it is there", v)
			}
			changed = changed || m.want[v]
			delete(m.want, v)
		}
		s.Done()
	})
	m.reduced(changed)
}

func (m *setModel) pop(n int, rnd *uint64) {
	m.t.Helper()
	changed := false
	m.do(func(s *Set) {
		for ; n > 0 && s.Len() > 0; n-- {
			changed = true
			s.Pop(rnd, func(v []byte) {
				if !m.want[string(v)] {
					m.t.Fatalf("Pop gives %.20q", v)
				}
				delete(m.want, string(v))
			})
		}
		s.Done()
	})
	m.reduced(changed)
}

func (m *setModel) reduced(changed bool) {
	m.t.Helper()
	switch {
	case !changed:
		m.changes()
	case len(m.want) == 0:
		m.changes(Changed, Emptied)
	default:
		m.changes(Changed)
	}
}

func (m *setModel) changes(want ...Effect) {
	m.t.Helper()
	var got []Effect
	for _, c := range m.tx.Changes() {
		got = append(got, c.Effect)
	}
	if !slices.Equal(got, want) {
		m.t.Fatalf("changes %v, not %v", got, want)
	}
}

func (m *setModel) check() {
	m.t.Helper()
	m.do(func(s *Set) {
		seen := 0
		before := int64(0)
		s.Each(func(v []byte) bool {
			if !m.want[string(v)] || !s.Has([]byte(string(v))) {
				m.t.Fatalf("%.20q is in the set", v)
			}
			if s.IsInts() && s.big == nil {
				n, _ := canonicalInt(v)
				if seen > 0 && n <= before {
					m.t.Fatalf("%d comes after %d", n, before)
				}
				before = n
			}
			seen++
			return true
		})
		if seen != len(m.want) || s.Len() != len(m.want) {
			m.t.Fatalf("%d members visited of %d, not %d", seen, s.Len(), len(m.want))
		}
		scanned := map[string]bool{}
		for cursor := uint64(0); ; {
			if cursor = s.Scan(cursor, 10, func(v []byte) { scanned[string(v)] = true }); cursor == 0 {
				break
			}
		}
		if len(scanned) != len(m.want) {
			m.t.Fatalf("a scan finds %d members of %d", len(scanned), len(m.want))
		}
	})
	m.s.checkInvariants(m.t)
}

func TestSetAgainstMap(t *testing.T) {
	numbers := []int64{0, 1, -1, 127, 128, 32767, 32768, -32769, 1 << 31, -1<<31 - 1, 1<<63 - 1, -1 << 63}
	for seed := range uint64(9) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		m := newSetModel(t)
		member := func() string {
			switch n := numbers[rnd.IntN(len(numbers))]; {
			case seed%3 == 0: // integers alone
				return fmt.Sprint(n/2 + int64(rnd.IntN(800)))
			case seed%3 == 1 && rnd.IntN(200) > 0:
				return fmt.Sprint(rnd.IntN(300))
			case rnd.IntN(100) == 0:
				return strings.Repeat("x", rnd.IntN(5000))
			}
			return fmt.Sprint("member:", rnd.IntN(300))
		}
		state := rnd.Uint64()
		for step := range 6000 {
			members := make([]string, 1+rnd.IntN(1+rnd.IntN(4)))
			for i := range members {
				members[i] = member()
			}
			switch shrinking := step/1000%2 == 1; {
			case rnd.IntN(40) == 0:
				m.pop(rnd.IntN(30), &state)
			case shrinking == (rnd.IntN(4) > 0):
				m.remove(members...)
			default:
				m.add(members...)
			}
			if step%100 == 0 {
				m.check()
			}
		}
		m.check()
		m.pop(len(m.want), &state)
		m.check()
		if n := live(m.s); n != 0 {
			t.Errorf("%d bytes of pieces left", n)
		}
	}
}

// TestSetForms follows the forms of Redis 7.2 (t_set.c, setTypeAdd).
func TestSetForms(t *testing.T) {
	for _, c := range []struct {
		packing Packing
		calls   []string // members of each SADD
		want    string
	}{
		{DefaultPacking, []string{"1 2 3"}, "intset"},
		{DefaultPacking, []string{"1 2 x"}, "listpack"},
		{DefaultPacking, []string{"1 2 " + strings.Repeat("x", 65)}, "hashtable"},
		{DefaultPacking, []string{strings.Repeat("x", 64)}, "listpack"},
		{Packing{SetIntset: 2, SetEntries: 4, SetValue: 64}, []string{"1", "2"}, "intset"},
		{Packing{SetIntset: 2, SetEntries: 4, SetValue: 64}, []string{"1", "2", "3"}, "hashtable"},
		{Packing{SetIntset: 2, SetEntries: 4, SetValue: 64}, []string{"1 2 3"}, "listpack"},
		{Packing{SetIntset: 2, SetEntries: 4, SetValue: 64}, []string{"1 2 3 4 5"}, "hashtable"},
		{Packing{SetIntset: 2, SetEntries: 4, SetValue: 64}, []string{"1", "1 1 1"}, "hashtable"},
		{Packing{SetIntset: 2, SetEntries: 4, SetValue: 64}, []string{"a", "b", "c", "d"}, "listpack"},
		{Packing{SetIntset: 2, SetEntries: 4, SetValue: 64}, []string{"a", "b", "c", "d", "e"}, "hashtable"},
		{Packing{SetIntset: 4, SetEntries: 4, SetValue: 2}, []string{"100", "a"}, "hashtable"},
		{Packing{SetIntset: 5000, SetEntries: 4, SetValue: 64}, []string{numbered(3000)}, "intset"},
		{Packing{SetIntset: 4, SetEntries: 5000, SetValue: 64}, []string{"x", numbered(3000)}, "listpack"},
	} {
		m := newSetModel(t)
		m.s.SetPacking(c.packing)
		for _, call := range c.calls {
			m.add(strings.Fields(call)...)
		}
		m.do(func(s *Set) {
			if got := s.Encoding(); got != c.want {
				t.Errorf("SADD %.30q: %s, not %s", c.calls, got, c.want)
			}
		})
		m.check()
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprint(&b, " ", i)
	}
	return b.String()
}

func TestSetSample(t *testing.T) {
	for _, size := range []int{10, 1000} {
		m := newSetModel(t)
		m.add(strings.Fields(strings.ReplaceAll(numbered(size), " ", " m"))...)
		rnd, hits := uint64(1), map[string]int{}
		for _, n := range []int{1, 3, size / 2, size - 1} {
			for range 100 {
				m.do(func(s *Set) {
					drawn := map[string]bool{}
					s.Sample(n, &rnd, func(v []byte) bool {
						drawn[string(v)] = true
						hits[string(v)]++
						return true
					})
					if len(drawn) != n {
						t.Fatalf("%d of %d members drawn, not %d", len(drawn), size, n)
					}
				})
			}
		}
		if len(hits) != size {
			t.Errorf("%d of %d members are ever drawn", len(hits), size)
		}
	}
}

// TestSetMoves follows a large set through RENAME, COPY, MOVE, FLUSHALL and
// being overwritten: its memory is given back, once.
func TestSetMoves(t *testing.T) {
	m := newSetModel(t)
	members := strings.Fields(strings.ReplaceAll(numbered(2000), " ", " member:"))
	other := []byte("other")
	whole := func(f func(tx *Tx)) {
		m.s.Begin(&m.tx, 0, 1)
		m.tx.WantAll()
		m.tx.Lock()
		f(&m.tx)
		m.tx.Unlock()
		m.s.checkInvariants(t)
	}
	m.add(members...)
	one := live(m.s)
	whole(func(tx *Tx) { tx.Rename(setKey, other) })
	whole(func(tx *Tx) { tx.Copy(other, 0, setKey) })
	whole(func(tx *Tx) { tx.Move(setKey, 1) })
	if n := live(m.s); n > 2*one {
		t.Errorf("two sets hold %d bytes, one %d", n, one)
	}
	whole(func(tx *Tx) {
		s, _ := tx.SetOf(other, Read)
		if s.Len() != len(members) || !s.Has([]byte(members[7])) {
			t.Error("the copied set has lost members")
		}
		tx.Set(other, []byte("text"), false)
	})
	if n := live(m.s); n > one+one/4 {
		t.Errorf("one set holds %d bytes, it did %d", n, one)
	}
	whole(func(tx *Tx) { tx.FlushAsync(-1) })
	for m.s.CompactStep() {
	}
	if n := live(m.s); n != 0 {
		t.Errorf("%d bytes of pieces left after FLUSHALL", n)
	}
}

// TestFlushStep looks at how much of a large set a step gives back.
func TestFlushStep(t *testing.T) {
	m := newSetModel(t)
	m.do(func(s *Set) {
		for i := range 300_000 {
			s.Add(fmt.Appendf(nil, "%060d", i))
		}
		s.Done()
	})
	m.s.Begin(&m.tx, 0, 1)
	m.tx.WantAll()
	m.tx.Lock()
	m.tx.FlushAsync(-1)
	m.tx.Unlock()
	for before := live(m.s); m.s.CompactStep(); {
		now := live(m.s)
		if before-now > stepChunks*maxChunk+segmentMax && now > 8<<20 { // the index goes at once
			t.Errorf("a step gives back %d bytes", before-now)
		}
		before = now
	}
	if n := live(m.s); n != 0 {
		t.Errorf("%d bytes of pieces left", n)
	}
}
