package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// tableModel is a table beside a map, with what keeps references to elements.
type tableModel struct {
	t    *testing.T
	tab  *table
	want map[string]string
	refs map[elem]string // every element, by onMove kept up to date
}

func newTableModel(t *testing.T, s *Store) *tableModel {
	m := &tableModel{t: t, tab: newTable(s), want: map[string]string{}, refs: map[elem]string{}}
	m.tab.onMove = func(from, to elem) {
		key, ok := m.refs[from]
		if !ok || string(m.tab.key(to)) != key {
			t.Fatalf("moved %q from %d to %d, where %q is", key, from, to, m.tab.key(to))
		}
		delete(m.refs, from)
		m.refs[to] = key
	}
	return m
}

func (m *tableModel) put(key, value string) {
	e, created := m.tab.put([]byte(key), []byte(value))
	if _, had := m.want[key]; had == created {
		m.t.Fatalf("put of %.20q: created %v", key, created)
	}
	m.want[key] = value
	if created {
		m.refs[e] = key
	}
}

func (m *tableModel) remove(key string) {
	e := m.tab.find([]byte(key))
	_, had := m.want[key]
	if had != (e != 0) {
		m.t.Fatalf("find of %.20q: %d", key, e)
	}
	delete(m.refs, e)
	delete(m.want, key)
	if m.tab.remove([]byte(key)) != had {
		m.t.Fatalf("remove of %.20q: not %v", key, had)
	}
}

// check compares the whole contents and the accounts.
func (m *tableModel) check() {
	m.t.Helper()
	if m.tab.len() != len(m.want) {
		m.t.Fatalf("%d elements, not %d", m.tab.len(), len(m.want))
	}
	seen := 0
	m.tab.each(func(e elem) bool {
		key, value := m.tab.key(e), m.tab.value(e)
		if want, ok := m.want[string(key)]; !ok || want != string(value) || m.tab.find(key) != e || m.refs[e] != string(key) {
			m.t.Fatalf("element %d: %.20q has %.20q, not %.20q", e, key, value, want)
		}
		seen++
		return true
	})
	if seen != len(m.want) {
		m.t.Fatalf("each visits %d elements of %d", seen, len(m.want))
	}
	held, dead, taken := int64(0), int64(0), uint32(0)
	for _, s := range m.tab.segs {
		if s.p != nil {
			held += int64(s.n)
			dead += int64(s.dead) * elemUnit
			taken++
		}
	}
	if held != m.tab.held || dead != m.tab.dead || taken != m.tab.taken {
		m.t.Fatalf("accounts: %d held, %d dead, %d taken, counted %d, %d, %d", m.tab.held, m.tab.dead, m.tab.taken, held, dead, taken)
	}
}

func live(s *Store) int64 {
	_, n, _ := s.pools.sizes()
	return n
}

func TestTableAgainstMap(t *testing.T) {
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := New(Options{Shards: 1})
		m := newTableModel(t, s)
		space := []int{30, 2000, 20000}[seed%3]
		for step := range 60_000 {
			key := fmt.Sprint("k", rnd.IntN(space))
			if rnd.IntN(50) == 0 {
				key += string(bytes.Repeat([]byte("x"), rnd.IntN(700)))
			}
			growing := step/10_000%2 == 0
			switch n := rnd.IntN(10); {
			case n < 4 == growing:
				value := make([]byte, rnd.IntN(1+rnd.IntN(60)))
				if rnd.IntN(500) == 0 {
					value = make([]byte, rnd.IntN(100_000))
				}
				m.put(key, string(value))
			case n == 9:
				if m.tab.find([]byte(key)) != 0 {
					value := m.want[key][:rnd.IntN(len(m.want[key])+1)]
					m.tab.put([]byte(key), []byte(value))
					m.want[key] = value
				}
			default:
				m.remove(key)
			}
			if step%5000 == 0 {
				m.check()
			}
		}
		m.check()
		c := m.tab.clone()
		for key := range m.want {
			m.remove(key)
		}
		m.check()
		if m.tab.held > 2*segmentMax {
			t.Errorf("an empty table holds %d bytes", m.tab.held)
		}
		m.tab.release()
		if c.len() > 0 && c.random(&seed) == 0 {
			t.Error("a copy has no elements")
		}
		c.release()
		if n := live(s); n != 0 {
			t.Errorf("%d bytes left after release", n)
		}
	}
}

func TestTableCopyIsIndependent(t *testing.T) {
	s := New(Options{Shards: 1})
	a := newTable(s)
	for i := range 3000 {
		a.put(fmt.Append(nil, i), fmt.Append(nil, "v", i))
	}
	a.put([]byte("long"), make([]byte, 1<<20))
	b := a.clone()
	for i := range 3000 {
		a.remove(fmt.Append(nil, i))
	}
	a.release()
	for i := range 3000 {
		if e := b.find(fmt.Append(nil, i)); e == 0 || string(b.value(e)) != fmt.Sprint("v", i) {
			t.Fatalf("the copy has lost %d", i)
		}
	}
	b.release()
	if n := live(s); n != 0 {
		t.Errorf("%d bytes left after release", n)
	}
}

// TestTableScan grows and shrinks the table between every two calls and asks
// for every element that was there throughout.
func TestTableScan(t *testing.T) {
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		tab := newTable(New(Options{Shards: 1}))
		for i := range 500 {
			tab.put(fmt.Append(nil, "fixed", i), nil)
		}
		seen := map[string]bool{}
		at, next := 0, 0
		for cursor, calls := uint64(0), 0; ; calls++ {
			cursor = tab.scan(cursor, 1+rnd.IntN(20), func(key, _ []byte) { seen[string(key)] = true })
			if cursor == 0 {
				break
			}
			if calls > 10_000 {
				t.Fatal("the scan does not end")
			}
			for range rnd.IntN(400) {
				if rnd.IntN(2) == 0 {
					tab.put(fmt.Append(nil, "m", next), nil)
					next++
				} else if at < next {
					tab.remove(fmt.Append(nil, "m", at))
					at++
				}
			}
		}
		for i := range 500 {
			if !seen[fmt.Sprint("fixed", i)] {
				t.Errorf("seed %d: the scan has missed fixed%d", seed, i)
			}
		}
	}
}

// TestTableRandom compares draws with the uniform distribution by chi-squared.
func TestTableRandom(t *testing.T) {
	const n, draws = 700, 140_000
	tab := newTable(New(Options{Shards: 1}))
	for i := range n {
		tab.put(binary.LittleEndian.AppendUint32(nil, uint32(i)), nil)
	}
	rnd, hits := uint64(1), [n]int{}
	for range draws {
		hits[binary.LittleEndian.Uint32(tab.key(tab.random(&rnd)))]++
	}
	chi := 0.0
	for _, h := range hits {
		d := float64(h) - draws/n
		chi += d * d / (draws / n)
	}
	if chi < n-1-5*37.4 || chi > n-1+5*37.4 { // five standard deviations, √(2·699)
		t.Errorf("chi-squared %.0f for %d degrees of freedom", chi, n-1)
	}
}

// TestTableGivesMemoryBack removes most elements in random order.
func TestTableGivesMemoryBack(t *testing.T) {
	tab := newTable(New(Options{Shards: 1}))
	const n = 100_000
	key := func(i int) []byte { return fmt.Appendf(nil, "member:%09d", i) }
	for i := range n {
		tab.put(key(i), nil)
	}
	if per := tab.bytes() / n; per > 35 {
		t.Errorf("%d bytes for an element of 16", per)
	}
	for i, k := range rand.New(rand.NewPCG(3, 3)).Perm(n) {
		if i%10 != 0 {
			tab.remove(key(k))
		}
	}
	if per := tab.bytes() / int64(tab.len()); per > 75 {
		t.Errorf("%d bytes for an element of 16 after removals", per)
	}
}

func TestTableSmall(t *testing.T) {
	for _, n := range []int{150, 200, 500, 1000} {
		tab := newTable(New(Options{Shards: 1}))
		for i := range n {
			tab.put(fmt.Appendf(nil, "member:%09d", i), nil)
		}
		if per := tab.bytes() / int64(n); per > 44 {
			t.Errorf("%d elements of 16 bytes: %d bytes each", n, per)
		}
	}
}

func TestPieceFreedTwice(t *testing.T) {
	if !checked {
		t.Skip("only builds with -race or the tag arenaheap look for it")
	}
	b := New(Options{}).newBlocks()
	p := b.alloc(100)
	b.free(p)
	defer func() {
		if recover() == nil {
			t.Error("a piece could be freed twice")
		}
	}()
	b.free(p)
}
