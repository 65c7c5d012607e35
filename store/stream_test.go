package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

type modelEntry struct {
	id    ID
	pairs []string
}

func (e modelEntry) String() string { return fmt.Sprint(e.id, e.pairs) }

func readEntry(e Entry) modelEntry {
	m := modelEntry{id: e.ID}
	e.Each(func(v []byte) { m.pairs = append(m.pairs, string(v)) })
	return m
}

func equalEntries(a, b []modelEntry) bool {
	return slices.EqualFunc(a, b, func(x, y modelEntry) bool {
		return x.id == y.id && slices.Equal(x.pairs, y.pairs)
	})
}

func between(model []modelEntry, from, to ID) []modelEntry {
	var found []modelEntry
	for _, e := range model {
		if !e.id.Less(from) && !to.Less(e.id) {
			found = append(found, e)
		}
	}
	return found
}

// checkStream compares a stream with its model in both directions, and checks
// what its blocks claim.
func checkStream(t *testing.T, s *Stream, model []modelEntry, from, to ID) {
	t.Helper()
	want := between(model, from, to)
	var got []modelEntry
	s.Range(from, to, func(e Entry) bool {
		got = append(got, readEntry(e))
		return true
	})
	if !equalEntries(got, want) {
		t.Fatalf("range %v to %v: %.300v, want %.300v", from, to, got, want)
	}
	got = nil
	s.RangeBack(to, from, func(e Entry) bool {
		got = append(got, readEntry(e))
		return true
	})
	slices.Reverse(got)
	if !equalEntries(got, want) {
		t.Fatalf("backwards %v to %v: %.300v, want %.300v", to, from, got, want)
	}
	if s.Len() != len(model) {
		t.Fatalf("length %d, want %d", s.Len(), len(model))
	}
	first, top := ID{}, ID{}
	if n := len(model); n > 0 {
		first, top = model[0].id, model[n-1].id
	}
	if s.FirstID() != first || s.TopID() != top {
		t.Fatalf("from %v to %v, want %v to %v", s.FirstID(), s.TopID(), first, top)
	}
	checkBlocks(t, s)
}

func checkBlocks(t *testing.T, s *Stream) {
	t.Helper()
	held := int64(0)
	for i, b := range s.blocks.all() {
		held += b.bytes()
		live, dead := uint32(0), uint32(0)
		var entries []packedEntry
		b.each(func(e packedEntry) bool {
			entries = append(entries, e)
			if e.flags&entryDead != 0 {
				dead += uint32(e.end - e.from)
			} else {
				live++
			}
			return true
		})
		if live != b.live || dead != b.dead || live == 0 {
			t.Fatalf("block %d has %d entries and %d dead bytes, counts %d and %d", i, live, dead, b.live, b.dead)
		}
		end := entries[len(entries)-1]
		if (entries[0].flags|end.flags)&entryDead != 0 || end.id != b.last {
			t.Fatalf("block %d begins or ends with a dead entry, or ends at %v and not at %v", i, end.id, b.last)
		}
	}
	if held != s.held {
		t.Fatalf("counts %d bytes, has %d", s.held, held)
	}
}

func randomPairs(r *rand.Rand) []string {
	var pairs []string
	switch r.IntN(12) {
	case 0, 1, 2:
		for range 1 + r.IntN(4) {
			pairs = append(pairs, randomValue(r), randomValue(r))
		}
	case 3, 4, 5, 6, 7: // values of one length, or nearly
		id := fmt.Sprintf("item-%0*d", 8+r.IntN(20)/19, r.IntN(99))
		pairs = []string{"temperature", strconv.Itoa(200 + r.IntN(800)), "7", id}
	case 8:
		pairs = []string{"temperature", strconv.Itoa(-100000 - r.IntN(9)), "7", strings.Repeat("x", 63+r.IntN(2))}
	default:
		pairs = []string{"temperature", strconv.Itoa(r.IntN(1000)), "7", randomValue(r)}
	}
	return pairs
}

func bytesOf(words []string) [][]byte {
	b := make([][]byte, len(words))
	for i, w := range words {
		b[i] = []byte(w)
	}
	return b
}

func randomNextID(r *rand.Rand, last ID) ID {
	switch r.IntN(4) {
	case 0:
		return ID{last.Ms, last.Seq + 1 + r.Uint64N(1000)}
	case 1:
		return ID{last.Ms + 1 + r.Uint64N(1<<r.IntN(20)), r.Uint64N(3)}
	}
	return ID{last.Ms, last.Seq + 1}
}

func streamStep(t *testing.T, r *rand.Rand, s *Stream, model []modelEntry) []modelEntry {
	switch r.IntN(10) {
	default:
		e := modelEntry{randomNextID(r, s.LastID()), randomPairs(r)}
		s.Add(e.id, bytesOf(e.pairs), 4096, int64(r.IntN(2)*20))
		if s.LastID() != e.id {
			t.Fatalf("last ID %v, want %v", s.LastID(), e.id)
		}
		return append(model, e)
	case 0, 1, 2:
		if len(model) == 0 {
			return model
		}
		i := r.IntN(len(model))
		id := model[i].id
		if r.IntN(5) == 0 {
			id.Seq += 500_000 // no such entry
			if s.Delete(id) {
				t.Fatalf("deleted %v, which is not there", id)
			}
			return model
		}
		if !s.Delete(id) || s.Delete(id) || s.MaxDeletedID().Less(id) {
			t.Fatalf("entry %v not deleted, or twice", id)
		}
		return slices.Delete(model, i, i+1)
	case 3:
		if r.IntN(10) > 0 || len(model) == 0 {
			return model
		}
		trim := Trim{ByID: r.IntN(2) == 0, Approx: r.IntN(2) == 0, Limit: int64(r.IntN(2) * r.IntN(40))}
		keep := len(model) - r.IntN(len(model)/2+1)
		if trim.MaxLen = int64(keep); keep > 0 {
			trim.MinID = model[len(model)-keep].id
		}
		removed := s.Trim(trim)
		if most := len(model) - keep; removed > most || !trim.Approx && trim.Limit == 0 && removed != most {
			t.Fatalf("%+v removed %d, want %d", trim, removed, most)
		}
		if trim.Limit > 0 && trim.Approx && removed > int(trim.Limit) {
			t.Fatalf("%+v removed %d", trim, removed)
		}
		return model[removed:]
	}
}

func TestStreamAgainstModel(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 11))
			s := NewStream()
			var model []modelEntry
			for i := range 2000 {
				model = streamStep(t, r, s, model)
				if i%20 == 0 || len(model) < 5 {
					from, to := ID{}, MaxID
					if len(model) > 0 && r.IntN(2) == 0 {
						from, to = model[r.IntN(len(model))].id, model[r.IntN(len(model))].id
					}
					checkStream(t, s, model, from, to)
				}
			}
			c := s.Clone().(*Stream)
			checkStream(t, c, model, ID{}, MaxID)
			s.Trim(Trim{MaxLen: 0})
			checkStream(t, s, nil, ID{}, MaxID)
			checkStream(t, c, model, ID{}, MaxID)
		})
	}
}

func TestStreamExtremeIDs(t *testing.T) {
	s := NewStream()
	ids := []ID{{0, 1}, {0, math.MaxUint64}, {1, 0}, {1, math.MaxUint64}, {math.MaxUint64, 0}, MaxID}
	var model []modelEntry
	for _, id := range ids {
		s.Add(id, bytesOf([]string{"f", "v"}), 0, 0)
		model = append(model, modelEntry{id, []string{"f", "v"}})
	}
	checkStream(t, s, model, ID{}, MaxID)
	if !s.Delete(MaxID) || !s.Delete(ID{0, 1}) {
		t.Fatal("an entry at the edge was not deleted")
	}
	checkStream(t, s, model[1:5], ID{}, MaxID)
}

func TestStreamBlocksAsRedisCutsThem(t *testing.T) {
	s := NewStream()
	for i := range uint64(250) {
		s.Add(ID{1, i}, bytesOf([]string{"f", "v"}), 4096, 100)
	}
	if s.Blocks() != 3 {
		t.Fatalf("%d blocks of 100 entries", s.Blocks())
	}
	if n := s.Trim(Trim{MaxLen: 120, Approx: true}); n != 100 {
		t.Fatalf("trimmed %d, want a whole block", n)
	}
	if n := s.Trim(Trim{MaxLen: 0, Approx: true, Limit: 60}); n != 0 {
		t.Fatalf("trimmed %d, over the limit", n)
	}
	if n := s.Trim(Trim{MaxLen: 10}); n != 140 || s.Len() != 10 || s.FirstID() != (ID{1, 240}) {
		t.Fatalf("trimmed %d to %d from %v", n, s.Len(), s.FirstID())
	}
}

func TestStreamCompacts(t *testing.T) {
	s := NewStream()
	value := strings.Repeat("v", 100)
	for i := range uint64(100) {
		s.Add(ID{1, i}, bytesOf([]string{"f", value}), 0, 0)
	}
	full := s.Bytes()
	for i := range uint64(98) {
		s.Delete(ID{1, i + 1})
	}
	if s.Len() != 2 || s.Bytes() > full/10 {
		t.Fatalf("%d entries hold %d of %d bytes", s.Len(), s.Bytes(), full)
	}
	checkBlocks(t, s)
}

func TestStreamInStore(t *testing.T) {
	tx := newListTx(t)
	key := []byte("s")
	if s, err := tx.Stream(key, Write); s != nil || err != nil {
		t.Fatal(s, err)
	}
	s := NewStream()
	s.Add(ID{5, 1}, bytesOf([]string{"f", "v"}), 0, 0)
	tx.Event = "xadd"
	tx.SaveStream(key, s)
	s.Add(ID{5, 2}, bytesOf([]string{"f", "v"}), 0, 0)
	tx.SaveStream(key, s)
	if c := tx.Changes(); len(c) != 2 || c[0].Effect != Created || c[1].Effect != Changed || c[1].Event != "xadd" {
		t.Fatalf("changes %+v", c)
	}
	tx.Copy(key, 0, []byte("copy"))
	s.Trim(Trim{})
	tx.SaveStream(key, s)
	copied, err := tx.Stream([]byte("copy"), Read)
	if err != nil || copied.Len() != 2 || s.Len() != 0 || tx.Kind(key, Peek) != KindStream {
		t.Fatal("the copy is not independent, or an empty stream went")
	}
	tx.Set(key, []byte("x"), false)
	if _, err := tx.Stream(key, Read); err != ErrWrongType {
		t.Fatal(err)
	}
}

func TestParseID(t *testing.T) {
	for _, c := range []struct {
		text string
		id   ID
		ok   bool
	}{
		{"5", ID{5, 9}, true}, {"5-3", ID{5, 3}, true}, {"0-0", ID{}, true}, {"+5-007", ID{5, 7}, true}, {" 5", ID{5, 9}, true},
		{"18446744073709551615-18446744073709551615", MaxID, true},
		{"18446744073709551616", ID{}, false}, {"184467440737095516150", ID{}, false}, {"", ID{}, false}, {"-", ID{}, false},
		{"5-", ID{}, false}, {"-5", ID{}, false}, {"5-3-1", ID{}, false}, {"a", ID{}, false}, {"5 ", ID{}, false}, {"5-*", ID{}, false},
		{strings.Repeat("0", 127) + "5", ID{}, false},
	} {
		id, ok := ParseID([]byte(c.text), 9)
		if ok != c.ok || ok && id != c.id {
			t.Errorf("%q: %v, %v", c.text, id, ok)
		}
	}
	if got := (ID{12, 34}).String(); got != "12-34" {
		t.Error(got)
	}
}

func BenchmarkStreamAdd(b *testing.B) {
	s := NewStream()
	pairs := bytesOf([]string{"field", "sixteen byte val"})
	id := ID{1, 0}
	b.ReportAllocs()
	for b.Loop() {
		id, _ = id.Next()
		s.Add(id, pairs, 4096, 100)
		if s.Len() > 100_000 {
			s.Trim(Trim{MaxLen: 1000, Approx: true})
		}
	}
}

func BenchmarkStreamRange10(b *testing.B) {
	s := NewStream()
	pairs := bytesOf([]string{"field", "sixteen byte val"})
	for i := range uint64(100_000) {
		s.Add(ID{i, 0}, pairs, 4096, 100)
	}
	sink := 0
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		s.Range(ID{50_000, 0}, MaxID, func(e Entry) bool {
			e.Each(func(v []byte) { sink += len(v) })
			n++
			return n < 10
		})
	}
}

func BenchmarkStreamLast(b *testing.B) {
	s := NewStream()
	pairs := bytesOf([]string{"field", "sixteen byte val"})
	for i := range uint64(99_999) {
		s.Add(ID{i, 0}, pairs, 4096, 100)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.RangeBack(MaxID, ID{}, func(e Entry) bool { return false })
	}
}

func TestFinderAgainstHas(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	s := NewStream()
	there := map[uint64]bool{}
	for i := range uint64(2000) {
		if id := i*2 + 1; r.IntN(3) > 0 {
			s.Add(ID{id, 0}, bytesOf(randomPairs(r)), 4096, 100)
			there[id] = true
		}
	}
	for id := range there {
		if r.IntN(3) == 0 {
			s.Delete(ID{id, 0})
			delete(there, id)
		}
	}
	f := s.Finder()
	id := uint64(0)
	for range 20000 {
		if id += r.Uint64N(4); r.IntN(50) == 0 {
			id = r.Uint64N(4200)
		}
		e, ok := f.Find(ID{id, 0})
		if ok != there[id] || ok && e.ID.Ms != id || s.Has(ID{id, 0}) != ok {
			t.Fatalf("Find(%d): %v of %v", id, ok, e.ID)
		}
	}
}
