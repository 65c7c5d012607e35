package store

import (
	"fmt"
	"testing"
)

// put stores key → value at the given time, expiring at at unless that is 0.
func put(s *Store, key string, now, at int64) {
	var tx Tx
	s.Begin(&tx, 0, now)
	tx.LockKey([]byte(key))
	if at == 0 {
		tx.Set([]byte(key), []byte("value"), false)
	} else {
		tx.SetUntil([]byte(key), []byte("value"), at)
	}
	tx.Unlock()
}

func read(s *Store, key string, now int64) bool {
	var tx Tx
	s.Begin(&tx, 0, now)
	tx.LockKey([]byte(key))
	v, _ := tx.Get([]byte(key), Read)
	tx.Unlock()
	return v != nil
}

// evicted removes n keys and returns their names.
func evicted(t *testing.T, s *Store, n int, now int64) []string {
	t.Helper()
	var names []string
	var tx Tx
	for range n {
		before := s.Used()
		freed, ok := s.Evict(&tx, now, func(tx *Tx) {
			for _, c := range tx.Changes() {
				if c.Effect != Evicted || c.Event != "evicted" {
					t.Errorf("change %+v", c)
				}
				names = append(names, string(c.Key))
			}
		})
		if !ok {
			t.Fatalf("nothing evicted after %d", len(names))
		}
		if freed <= 0 || s.Used() != before-freed {
			t.Errorf("freed %d, used %d before and %d after", freed, before, s.Used())
		}
	}
	return names
}

func TestPolicyNames(t *testing.T) {
	for p := NoEviction; p <= VolatileTTL; p++ {
		if got, ok := ParsePolicy(p.String()); got != p || !ok {
			t.Errorf("%s parses as %v, %v", p, got, ok)
		}
	}
	if _, ok := ParsePolicy("allkeys"); ok {
		t.Error("a policy that does not exist was parsed")
	}
}

func TestNoEviction(t *testing.T) {
	s := New(Options{Shards: 1})
	put(s, "a", 1000, 0)
	var tx Tx
	if _, ok := s.Evict(&tx, 1000, func(*Tx) {}); ok {
		t.Error("noeviction evicted")
	}
}

// TestEvictLRU reads half of the keys late and expects the others to go.
func TestEvictLRU(t *testing.T) {
	for _, p := range []Policy{AllKeysLRU, VolatileLRU} {
		s := New(Options{Shards: 2})
		s.SetPolicy(p, 10, 10, 1)
		for i := range 100 {
			put(s, fmt.Sprint("key:", i), 1_000_000, 900_000_000)
		}
		put(s, "for good", 1_000, 0)
		for i := range 50 {
			read(s, fmt.Sprint("key:", i), 500_000_000)
		}
		wrong := 0
		for _, name := range evicted(t, s, 30, 500_001_000) {
			var i int
			fmt.Sscanf(name, "key:%d", &i)
			if i < 50 && name != "for good" {
				wrong++
			}
			if name == "for good" && p == VolatileLRU {
				t.Errorf("%v evicted a key that does not expire", p)
			}
		}
		if wrong > 3 {
			t.Errorf("%v evicted %d of 30 keys just read", p, wrong)
		}
	}
}

func TestEvictLFU(t *testing.T) {
	for _, p := range []Policy{AllKeysLFU, VolatileLFU} {
		s := New(Options{Shards: 1})
		s.SetPolicy(p, 10, 10, 1)
		for i := range 60 {
			put(s, fmt.Sprint("key:", i), 1_000_000, 900_000_000)
		}
		for range 300 {
			for i := range 30 {
				read(s, fmt.Sprint("key:", i), 1_000_000)
			}
		}
		for _, name := range evicted(t, s, 20, 1_000_000) {
			var i int
			if fmt.Sscanf(name, "key:%d", &i); i < 30 {
				t.Errorf("%v evicted %s, read 300 times", p, name)
			}
		}
	}
}

// The counter falls with the minutes and a new key starts at five.
func TestLFUCounter(t *testing.T) {
	s := New(Options{Shards: 1})
	s.SetPolicy(AllKeysLFU, 5, 10, 1)
	freq := func(now int64) int {
		var tx Tx
		s.Begin(&tx, 0, now)
		tx.LockKey([]byte("k"))
		defer tx.Unlock()
		m, _ := tx.Meta([]byte("k"))
		return m.Freq
	}
	put(s, "k", 60_000, 0)
	if got := freq(60_000); got != lfuInitial {
		t.Errorf("new key counts %d", got)
	}
	for range 1000 {
		read(s, "k", 60_000)
	}
	high := freq(60_000)
	if high <= lfuInitial || high > 40 {
		t.Errorf("1000 reads count as %d", high)
	}
	if got := freq(60_000 * 4); got != high-3 {
		t.Errorf("after three minutes %d, want %d", got, high-3)
	}
	if got := freq(60_000 * 500); got != 0 {
		t.Errorf("after hours %d, want 0", got)
	}
}

func TestEvictTTL(t *testing.T) {
	s := New(Options{Shards: 1})
	s.SetPolicy(VolatileTTL, 20, 10, 1)
	for i := range 40 {
		put(s, fmt.Sprint("key:", i), 1000, int64(10_000+i))
	}
	put(s, "for good", 1000, 0)
	sum := 0
	for _, name := range evicted(t, s, 10, 1000) {
		var i int
		fmt.Sscanf(name, "key:%d", &i)
		sum += i
	}
	if sum > 10*12 {
		t.Errorf("the ten evicted have a mean place of %d in the order of expiry", sum/10)
	}
	evicted(t, s, 30, 1000)
	var tx Tx
	if _, ok := s.Evict(&tx, 1000, func(*Tx) {}); ok {
		t.Error("evicted a key that does not expire")
	}
}

func TestEvictRandomEmpties(t *testing.T) {
	for _, p := range []Policy{AllKeysRandom, VolatileRandom} {
		s := New(Options{})
		s.SetPolicy(p, 5, 10, 1)
		for i := range 50 {
			put(s, fmt.Sprint("key:", i), 1000, 900_000)
		}
		evicted(t, s, 50, 1000)
		var tx Tx
		if _, ok := s.Evict(&tx, 1000, func(*Tx) {}); ok {
			t.Errorf("%v evicted from an empty store", p)
		}
		if s.Evicted() != 50 {
			t.Errorf("%v counted %d", p, s.Evicted())
		}
	}
}

// TestEvictionLeavesNoHoles fills the store to a limit with values of one
// size, then of another: what is mapped must stay near what is used.
func TestEvictionLeavesNoHoles(t *testing.T) {
	const limit = 2 << 20
	s := New(Options{Shards: 1})
	s.SetPolicy(AllKeysRandom, 5, 10, 1)
	var tx Tx
	for round, size := range []int{30, 500, 90, 2000, 60} {
		value := make([]byte, size)
		for i := range 3 * limit / (size + 40) {
			for s.Used() > limit {
				if _, ok := s.Evict(&tx, 1000, func(*Tx) {}); !ok {
					t.Fatal("nothing to evict")
				}
			}
			key := fmt.Append(nil, round, ":", i)
			s.Begin(&tx, 0, 1000)
			tx.LockKey(key)
			tx.Set(key, value, false)
			tx.Unlock()
		}
		st := s.Stats(1000)
		if st.Idle > st.Live/2 {
			t.Errorf("round %d: %d bytes lie idle beside %d in use", round, st.Idle, st.Live)
		}
	}
	s.checkInvariants(t)
}
