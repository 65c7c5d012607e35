package store

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// modelNacks is a pending list as a plain sorted slice.
type modelNacks []nack

func (m modelNacks) at(id ID) (int, bool) {
	return slices.BinarySearchFunc(m, id, func(v nack, id ID) int { return v.id.Compare(id) })
}

// randomNack draws IDs that collide and are near each other, and now and then
// one that no narrow block holds.
func randomNack(rnd *rand.Rand, now int64) nack {
	v := nack{id: ID{uint64(rnd.IntN(400)), uint64(rnd.IntN(4))}, time: now - int64(rnd.IntN(1000)), count: int64(rnd.IntN(5)), owner: uint32(rnd.IntN(3))}
	switch rnd.IntN(400) {
	case 0:
		v.id.Ms += math.MaxUint32 * uint64(rnd.IntN(5))
	case 1:
		v.id.Seq = math.MaxUint64 - uint64(rnd.IntN(3))
	case 2:
		v.id = MaxID
	case 3:
		v.time = 0
	case 4:
		v.count = math.MaxInt64
	case 5:
		v.owner = 1 << 20
	}
	return v
}

func checkPending(t *testing.T, l *pendingList, model modelNacks) {
	t.Helper()
	var got modelNacks
	l.each(ID{}, func(v nack) bool { got = append(got, v); return true })
	if !slices.Equal(got, model) || l.n != len(model) {
		t.Fatalf("%d records (%d), want %d\n%v\n%v", len(got), l.n, len(model), got, model)
	}
	held := int64(0)
	for _, b := range l.blocks.all() {
		held += int64(b.mem.n) + pendingBlockBytes
		if b.n == 0 || b.n > blockNacks {
			t.Fatalf("a block of %d records", b.n)
		}
		for i := range b.n {
			if v := l.at(b, i); !l.bare && v.time < b.time {
				t.Fatalf("time %d before the block's %d", v.time, b.time)
			}
		}
	}
	if held != l.mem.held {
		t.Fatalf("%d bytes counted, %d held", l.mem.held, held)
	}
}

func TestPendingListEqualsASlice(t *testing.T) {
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		store := New(Options{})
		l := pendingList{mem: &streamMemory{blocks: store.newBlocks()}}
		var model modelNacks
		for step := range 6000 {
			grow := step/1500%2 == 0
			v := randomNack(rnd, int64(step)+5000)
			i, ok := model.at(v.id)
			switch n := rnd.IntN(10); {
			case grow && n < 8 || n < 2:
				if l.set(v); ok {
					model[i] = v
				} else {
					model = slices.Insert(model, i, v)
				}
			case n < 9:
				if !ok && len(model) > 0 {
					i = rnd.IntN(len(model))
					if rnd.IntN(2) == 0 {
						i = 0
					}
					v, ok = model[i], true
				}
				old, found := l.remove(v.id)
				if found != ok || ok && old != model[i] {
					t.Fatalf("removed %v %v, want %v", old, found, ok)
				}
				if ok {
					model = slices.Delete(model, i, i+1)
				}
			default:
				checkOldest(t, &l, model, v.time, 1+rnd.IntN(400))
				next, found := l.next(v.id)
				if found != (i < len(model)) || found && next != model[i] {
					t.Fatalf("next of %v: %v %v", v.id, next, found)
				}
			}
			if step%97 == 0 {
				checkPending(t, &l, model)
			}
		}
		checkPending(t, &l, model)
		mem := &streamMemory{blocks: store.newBlocks()}
		c := l.clone(mem)
		l.release()
		checkPending(t, &c, model)
		c.release()
		if l.mem.held != 0 || mem.held != 0 {
			t.Fatalf("%d and %d bytes held after release", l.mem.held, mem.held)
		}
	}
}

func checkOldest(t *testing.T, l *pendingList, model modelNacks, until int64, limit int) {
	t.Helper()
	want := slices.DeleteFunc(slices.Clone(model), func(v nack) bool { return v.time > until })
	slices.SortStableFunc(want, func(a, b nack) int { return cmp.Compare(a.time, b.time) })
	if got := l.oldest(until, limit); !slices.Equal(got, want[:min(limit, len(want))]) {
		t.Fatalf("oldest %d until %d: %v, want %v", limit, until, got, want[:min(limit, len(want))])
	}
	least := int64(math.MaxInt64)
	for _, v := range model {
		least = min(least, v.time)
	}
	if at, ok := l.earliest(); ok != (len(model) > 0) || at != least {
		t.Fatalf("earliest %d, want %d", at, least)
	}
}

func TestPendingEntriesAreSmall(t *testing.T) {
	store := New(Options{})
	s := NewStream()
	s.mem.blocks = store.newBlocks()
	g := s.CreateGroup([]byte("g"), ID{}, 0)
	c := g.CreateConsumer([]byte("c"), 0)
	const n = 100_000
	for i := range uint64(n) {
		g.Assign(Pending{ID: ID{1_700_000_000_000 + i, 0}, Consumer: c, Time: 1_700_000_000_000 + int64(i), Count: 1})
	}
	if each := s.Bytes() / n; each > 40 {
		t.Errorf("%d bytes for each pending entry, want at most 40", each)
	}
}
