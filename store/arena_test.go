package store

import (
	"fmt"
	"strings"
	"testing"
)

func TestSizeClasses(t *testing.T) {
	if last := slotSizes[classes-1]; last != maxSlot {
		t.Fatalf("largest slot %d, want %d", last, maxSlot)
	}
	for n := 1; n <= maxSlot; n++ {
		c := classOf[(n+unitBytes-1)/unitBytes]
		if int(slotSizes[c]) < n || c > 0 && int(slotSizes[c-1]) >= n {
			t.Fatalf("%d bytes go to slots of %d", n, slotSizes[c])
		}
	}
	if n := entryBytes(11, false) + 64; slotSizes[classOf[(n+7)/8]] != 80 {
		t.Errorf("11 + 64 bytes take a slot of %d, want 80", slotSizes[classOf[(n+7)/8]])
	}
}

// TestSlack stores every length around the edges of the ways to write down
// the unused bytes.
func TestSlack(t *testing.T) {
	s := New(Options{Shards: 1})
	var tx Tx
	for n := range 4000 {
		key, value := []byte("k"), []byte(strings.Repeat("v", n))
		s.Begin(&tx, 0, 1)
		tx.LockKey(key)
		tx.Delete(key)
		tx.Set(key, value, false)
		got, _ := tx.Get(key, Peek)
		if string(got) != string(value) {
			t.Fatalf("%d bytes came back as %d", n, len(got))
		}
		tx.Unlock()
	}
}

// TestCompaction deletes nine keys of ten and asks for the memory back.
func TestCompaction(t *testing.T) {
	const n = 60_000
	s := New(Options{Shards: 1})
	var tx Tx
	key := func(i int) []byte { return []byte(fmt.Sprintf("key:%07d", i)) }
	for i := range n {
		s.Begin(&tx, 0, 1)
		tx.LockKey(key(i))
		tx.Set(key(i), key(i), false)
		if i%3 == 0 {
			tx.SetExpire(key(i), int64(1000+i))
		}
		tx.Unlock()
	}
	before := s.Stats(1).Mapped
	for i := range n {
		if i%10 == 0 {
			continue
		}
		s.Begin(&tx, 0, 1)
		tx.LockKey(key(i))
		tx.Delete(key(i))
		tx.Unlock()
	}
	for steps := 0; s.CompactStep(); steps++ {
		if steps > n {
			t.Fatal("compaction does not end")
		}
	}
	s.checkInvariants(t)
	after := s.Stats(1)
	if after.Mapped > before/4 {
		t.Errorf("%d of %d bytes still mapped for a tenth of the keys", after.Mapped, before)
	}
	for i := 0; i < n; i += 10 {
		s.Begin(&tx, 0, 1)
		tx.LockKey(key(i))
		if got, _ := tx.Get(key(i), Peek); string(got) != string(key(i)) {
			t.Fatalf("%s holds %q after compaction", key(i), got)
		}
		tx.Unlock()
	}
}

// TestEmptyChunksGoBack deletes everything, without compaction.
func TestEmptyChunksGoBack(t *testing.T) {
	s := New(Options{Shards: 1})
	c := crowd{s: s}
	c.grow(50_000)
	c.shrink(50_000)
	if mapped := s.Stats(1).Mapped; mapped > 4*pageBytes {
		t.Errorf("%d bytes mapped for no keys", mapped)
	}
	c.grow(1000)
	s.checkInvariants(t)
}

func TestFlushReleases(t *testing.T) {
	s := New(Options{})
	c := crowd{s: s}
	c.grow(20_000)
	var tx Tx
	s.Begin(&tx, 0, 1)
	tx.WantAll()
	tx.Lock()
	if n := tx.Flush(-1); n != 20_000 {
		t.Errorf("Flush = %d, want 20000", n)
	}
	tx.Unlock()
	if st := s.Stats(1); st.Mapped != 0 || st.Index != 0 || s.Used() != 0 || s.DBSize(0) != 0 {
		t.Errorf("left after a flush: %+v", st)
	}
	c.grow(20_000)
	s.Begin(&tx, 0, 1)
	tx.WantDB(0)
	tx.Lock()
	if n := tx.FlushAsync(0); n != 20_000 {
		t.Errorf("FlushAsync = %d, want 20000", n)
	}
	tx.Unlock()
	for s.CompactStep() {
	}
	if len(s.graveyard.dead) != 0 {
		t.Error("flushed contents were not released")
	}
}
