package store

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// zmodel is a sorted set as a sorted slice.
type zmodel []zmodelMember

type zmodelMember struct {
	member string
	score  float64
}

func (m zmodel) find(member string) int {
	return slices.IndexFunc(m, func(x zmodelMember) bool { return x.member == member })
}

func (m *zmodel) put(member string, score float64) {
	if i := m.find(member); i >= 0 {
		*m = slices.Delete(*m, i, i+1)
	}
	x := zmodelMember{member, score}
	i, _ := slices.BinarySearchFunc(*m, x, func(a, b zmodelMember) int {
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.member, b.member))
	})
	*m = slices.Insert(*m, i, x)
}

// check compares the set with the model, and the tree's nodes with each other.
func (m zmodel) check(t *testing.T, z *ZSet) {
	t.Helper()
	if z.Len() != len(m) {
		t.Fatalf("length %d, want %d", z.Len(), len(m))
	}
	i := 0
	z.ByRank(0, z.Len(), false, func(member []byte, score float64) bool {
		if string(member) != m[i].member || score != m[i].score {
			t.Fatalf("rank %d: %q %v, want %q %v", i, member, score, m[i].member, m[i].score)
		}
		i++
		return true
	})
	if i != len(m) {
		t.Fatalf("%d visited, want %d", i, len(m))
	}
	if z.big != nil {
		z.big.tree.verify(t)
	}
}

// verify checks counts, first elements and that every node is in use once.
func (t *ztree) verify(tb testing.TB) {
	tb.Helper()
	leaves, inners := map[uint32]bool{}, map[uint32]bool{}
	var walk func(node uint32, level int) (zentry, int)
	walk = func(node uint32, level int) (zentry, int) {
		if level == t.height {
			l := t.leaf(node)
			if l.n == 0 || node >= t.nleaf || leaves[node] {
				tb.Fatalf("leaf %d of %d: %d elements, seen %v", node, t.nleaf, l.n, leaves[node])
			}
			leaves[node] = true
			return zentry{l.score[0], l.elem[0]}, int(l.n)
		}
		in := t.inner(node)
		if in.n == 0 || node >= t.ninner || inners[node] {
			tb.Fatalf("inner node %d of %d: %d children, seen %v", node, t.ninner, in.n, inners[node])
		}
		inners[node] = true
		total := 0
		for i := range in.n {
			first, n := walk(in.child[i], level+1)
			if first != (zentry{in.score[i], in.elem[i]}) || n != int(in.count[i]) {
				tb.Fatalf("child %d: first %v and %d elements, its parent says %v %v %d", i, first, n, in.score[i], in.elem[i], in.count[i])
			}
			total += n
		}
		return zentry{in.score[0], in.elem[0]}, total
	}
	if t.count == 0 {
		return
	}
	if _, n := walk(t.root, 0); n != t.count || len(leaves) != int(t.nleaf) || len(inners) != int(t.ninner) {
		tb.Fatalf("%d elements, %d leaves, %d inner nodes; the tree says %d, %d, %d", n, len(leaves), len(inners), t.count, t.nleaf, t.ninner)
	}
}

// zharness holds one sorted set and its model.
type zharness struct {
	s     *Store
	tx    Tx
	model zmodel
	rnd   *rand.Rand
}

func newZHarness(seed uint64) *zharness {
	return &zharness{s: New(Options{Databases: 1, Shards: 1}), rnd: rand.New(rand.NewPCG(seed, 1))}
}

// do runs f on the set; what it changed is recorded once, or not at all.
func (h *zharness) do(t *testing.T, f func(z *ZSet)) {
	t.Helper()
	h.s.Begin(&h.tx, 0, 1000)
	h.tx.Event = "test"
	h.tx.LockKey([]byte("z"))
	defer h.tx.Unlock()
	z, err := h.tx.ZSetOf([]byte("z"), Write)
	if err != nil {
		t.Fatal(err)
	}
	f(&z)
	z.Done()
	changes := h.tx.Changes()
	switch n := len(changes); {
	case n > 2, n == 2 && (changes[1].Effect != Emptied || len(h.model) > 0):
		t.Fatalf("changes: %v", changes)
	}
	if len(h.model) == 0 && h.tx.Kind([]byte("z"), Peek) != KindNone {
		t.Fatal("an empty set is there")
	}
}

func (h *zharness) member(space int) string {
	n := h.rnd.IntN(space)
	switch n % 3 {
	case 0:
		return fmt.Sprint(n)
	case 1:
		return fmt.Sprintf("member:%d", n)
	}
	return fmt.Sprintf("%0*d", 3+n%60, n)
}

func (h *zharness) score() float64 {
	switch h.rnd.IntN(4) {
	case 0:
		return float64(h.rnd.IntN(5))
	case 1:
		return h.rnd.NormFloat64()
	case 2:
		return math.Inf(h.rnd.IntN(2)*2 - 1)
	}
	return float64(h.rnd.IntN(1000))
}

// step makes one random change, of which growing decides the direction.
func (h *zharness) step(t *testing.T, space int, growing bool) {
	t.Helper()
	h.do(t, func(z *ZSet) {
		switch op := h.rnd.IntN(12); {
		case op == 0 && len(h.model) > 0:
			from := h.rnd.IntN(len(h.model))
			to := min(from+h.rnd.IntN(20), len(h.model))
			if !growing {
				to = min(from+h.rnd.IntN(200), len(h.model))
			}
			z.RemoveSpan(from, to)
			h.model = slices.Delete(h.model, from, to)
		case op < 4 || !growing && op < 10:
			for range 1 + h.rnd.IntN(3) {
				m := h.member(space)
				i := h.model.find(m)
				if z.Remove([]byte(m)) != (i >= 0) {
					t.Fatalf("Remove(%q) of rank %d", m, i)
				}
				if i >= 0 {
					h.model = slices.Delete(h.model, i, i+1)
				}
			}
		case op == 10 && len(h.model) > 0: // a small step of a score
			x := h.model[h.rnd.IntN(len(h.model))]
			s := x.score + 0.001
			z.Add([]byte(x.member), s, 0)
			h.model.put(x.member, s)
		default:
			for range 1 + h.rnd.IntN(8) {
				m, s := h.member(space), h.score()
				z.Add([]byte(m), s, 0)
				h.model.put(m, s)
			}
		}
	})
}

func TestZSetAgainstModel(t *testing.T) {
	for seed := range uint64(6) {
		h := newZHarness(seed)
		space := []int{60, 400, 6000}[seed%3]
		for i := range 4000 {
			h.step(t, space, i/800%2 == 0)
			if i%97 == 0 {
				h.do(t, func(z *ZSet) { h.model.check(t, z); h.look(t, z) })
			}
		}
	}
}

// look compares what is read at random places.
func (h *zharness) look(t *testing.T, z *ZSet) {
	t.Helper()
	n := len(h.model)
	for range 20 {
		m := h.member(500)
		i := h.model.find(m)
		rank, score, ok := z.Rank([]byte(m))
		again, there := z.Score([]byte(m))
		if ok != (i >= 0) || there != ok || ok && (rank != i || score != h.model[i].score || again != score) {
			t.Fatalf("Rank(%q) = %d, %v, %v; Score = %v, %v; want rank %d", m, rank, score, ok, again, there, i)
		}
		r := ScoreRange{Min: h.score(), Max: h.score(), MinOpen: h.rnd.IntN(2) == 0, MaxOpen: h.rnd.IntN(2) == 0}
		from, to := z.SpanScore(r)
		want := 0
		for i, x := range h.model {
			if !r.before(x.score) && !r.behind(x.score) {
				if want == 0 && from != i {
					t.Fatalf("SpanScore(%+v) begins at %d, not %d", r, from, i)
				}
				want++
			}
		}
		if to-from != want {
			t.Fatalf("SpanScore(%+v) = %d to %d, want %d members", r, from, to, want)
		}
		if n == 0 {
			continue
		}
		a := h.rnd.IntN(n)
		b := min(n, a+h.rnd.IntN(150))
		k := b
		z.ByRank(a, b, true, func(member []byte, score float64) bool {
			k--
			if h.model[k] != (zmodelMember{string(member), score}) {
				t.Fatalf("rank %d from the end: %q %v, want %v", k, member, score, h.model[k])
			}
			return true
		})
	}
}

func TestZSetLexRanges(t *testing.T) {
	h := newZHarness(9)
	for _, n := range []int{5, 100, 3000} {
		h.do(t, func(z *ZSet) {
			for range n {
				m := h.member(n * 2)
				z.Add([]byte(m), 0, 0)
				h.model.put(m, 0)
			}
		})
		h.do(t, func(z *ZSet) {
			for range 300 {
				r := LexRange{h.bound(n), h.bound(n)}
				from, to := z.SpanLex(r, h.rnd.IntN(2) == 0)
				want := 0
				for _, x := range h.model {
					if b := []byte(x.member); !r.before(b) && !r.behind(b) {
						want++
					}
				}
				if to-from != want || want > 0 && r.before([]byte(h.model[from].member)) {
					t.Fatalf("SpanLex(%+v) = %d to %d, want %d members", r, from, to, want)
				}
			}
		})
	}
}

func (h *zharness) bound(n int) LexBound {
	switch h.rnd.IntN(8) {
	case 0:
		return LexBound{All: -1}
	case 1:
		return LexBound{All: 1}
	}
	return LexBound{Text: []byte(h.member(n * 2)), Open: h.rnd.IntN(2) == 0}
}

func TestZAddModes(t *testing.T) {
	for _, size := range []int{1, 500} {
		h := newZHarness(3)
		h.do(t, func(z *ZSet) {
			for i := range size {
				z.Add(fmt.Appendf(nil, "m%d", i), 10, 0)
				h.model.put(fmt.Sprintf("m%d", i), 10)
			}
		})
		for _, c := range []struct {
			member string
			score  float64
			mode   ZAddMode
			effect ZAddEffect
			now    float64
		}{
			{"m0", 5, ZAddNX, ZRefused, 0},
			{"x", 5, ZAddXX, ZRefused, 0},
			{"m0", 5, ZAddGT, ZRefused, 0},
			{"m0", 15, ZAddLT, ZRefused, 0},
			{"m0", 10, ZAddGT, ZRefused, 0},
			{"m0", 10, 0, ZKept, 10},
			{"m0", 11, ZAddGT | ZAddXX, ZRescored, 11},
			{"m0", -1, ZAddIncr, ZRescored, 10},
			{"m0", 1, ZAddIncr | ZAddLT, ZRefused, 0},
			{"m0", 0, ZAddIncr, ZKept, 10},
			{"m0", math.Inf(1), ZAddIncr, ZRescored, math.Inf(1)},
			{"m0", math.Inf(-1), ZAddIncr, ZNaN, 0},
		} {
			h.do(t, func(z *ZSet) {
				effect, now := z.Add([]byte(c.member), c.score, c.mode)
				if effect != c.effect || now != c.now {
					t.Errorf("%d members: Add(%s, %v, %b) = %v, %v; want %v, %v", size, c.member, c.score, c.mode, effect, now, c.effect, c.now)
				}
			})
		}
	}
}

// TestPackedScores checks that a packed score is read back as it was, and that
// integers are packed as such.
func TestPackedScores(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	scores := []float64{0, 1, -1, 127, 128, 4095, -4096, 1 << 52, 1<<52 - 1, 1 << 53, -1 << 53, 1e17, 1e22, 1e300, 5e-324, 0.1, 1e-5, 1e-6, 123456.789, math.Inf(1), math.Inf(-1), math.MaxFloat64, math.Copysign(0, -1), 1700000000.123456}
	for range 20000 {
		scores = append(scores, math.Float64frombits(rnd.Uint64()), rnd.NormFloat64(), float64(rnd.Int64()))
	}
	for _, score := range scores {
		if math.IsNaN(score) {
			continue
		}
		var room scoreText
		e := packScore(score, &room)
		b := make([]byte, e.total())
		e.put(b)
		if got := unpackScore(b); math.Float64bits(got) != math.Float64bits(score) {
			t.Fatalf("%v is read back as %v", score, got)
		}
		if !e.number && score == math.Trunc(score) && math.Abs(score) < 1<<52 && math.Float64bits(score) != 1<<63 {
			t.Errorf("%v is packed as a text", score)
		}
	}
}

func TestZBuilder(t *testing.T) {
	for _, n := range []int{0, 1, 100, 129, 5000} {
		h := newZHarness(uint64(n))
		h.s.Begin(&h.tx, 0, 1000)
		h.tx.LockKey([]byte("z"))
		b := h.tx.NewZBuilder()
		for range n {
			m, s := h.member(n*2), h.score()
			b.Put([]byte(m), s)
			h.model.put(m, s)
		}
		for i := 0; i < len(h.model); i += 10 {
			b.Remove([]byte(h.model[i].member))
			h.model = slices.Delete(h.model, i, i+1)
		}
		i := 0
		b.Each(func(member []byte, score float64) bool {
			if h.model[i] != (zmodelMember{string(member), score}) {
				t.Fatalf("member %d is %q %v, want %v", i, member, score, h.model[i])
			}
			i++
			return true
		})
		if got := b.Store([]byte("z")); got != len(h.model) {
			t.Errorf("stored %d, want %d", got, len(h.model))
		}
		h.tx.Unlock()
		h.do(t, func(z *ZSet) { h.model.check(t, z) })
		for range 300 {
			h.step(t, n*2+10, false)
		}
		h.do(t, func(z *ZSet) { h.model.check(t, z) })
	}
}

// TestZSetGivesMemoryBack fills and empties a set and looks at the pools.
func TestZSetGivesMemoryBack(t *testing.T) {
	h := newZHarness(5)
	h.do(t, func(z *ZSet) {
		for i := range 20000 {
			m := fmt.Sprintf("member:%08d", i)
			z.Add([]byte(m), h.rnd.Float64(), 0)
		}
		h.model = make(zmodel, z.Len())
	})
	_, full, _ := h.s.pools.sizes()
	for h.model != nil {
		h.do(t, func(z *ZSet) {
			z.Pop(h.rnd.IntN(2) == 0, 100, func([]byte, float64) {})
			h.model = h.model[:z.Len()]
			if z.Len() == 0 {
				h.model = nil
			}
		})
		if n := len(h.model); n == 10000 || n == 2000 {
			_, live, _ := h.s.pools.sizes()
			t.Logf("%d members: %d bytes of %d", n, live, full)
			if live > full*int64(n)/20000*2+64<<10 {
				t.Errorf("%d members keep %d bytes of %d", n, live, full)
			}
		}
	}
	if _, live, _ := h.s.pools.sizes(); live != 0 {
		t.Errorf("an emptied set keeps %d bytes", live)
	}
}

func TestZSetCloneIsIndependent(t *testing.T) {
	h := newZHarness(6)
	for range 600 {
		h.step(t, 3000, true)
	}
	h.do(t, func(z *ZSet) {
		saved := z.big.Clone().(*sortedSet)
		defer saved.release()
		copied := ZSet{tx: &h.tx, n: saved.Len(), live: true, big: saved}
		h.model.check(t, &copied)
		was := slices.Clone(h.model)
		for range 200 {
			m := h.member(3000)
			z.Add([]byte(m), h.score(), 0)
			saved.remove([]byte(h.model[h.rnd.IntN(len(was))].member))
		}
		saved.tree.verify(t)
		saved.byRank(0, saved.Len(), false, func(member []byte, score float64) bool {
			if i := was.find(string(member)); i < 0 || was[i].score != score {
				t.Fatalf("the copy has %q %v", member, score)
			}
			return true
		})
		h.model = nil
		z.ByRank(0, z.Len(), false, func(m []byte, s float64) bool {
			h.model = append(h.model, zmodelMember{string(bytes.Clone(m)), s})
			return true
		})
		h.model.check(t, z)
	})
}
