package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// crowd adds and removes numbered keys of database 0.
type crowd struct {
	s    *Store
	tx   Tx
	next int
	keys [][]byte
}

func (c *crowd) grow(n int) {
	for range n {
		key := []byte(fmt.Sprint("crowd:", c.next))
		c.next++
		c.s.Begin(&c.tx, 0, 1)
		c.tx.LockKey(key)
		c.tx.Set(key, key, false)
		c.tx.Unlock()
		c.keys = append(c.keys, key)
	}
}

func (c *crowd) shrink(n int) {
	for ; n > 0 && len(c.keys) > 0; n-- {
		key := c.keys[len(c.keys)-1]
		c.keys = c.keys[:len(c.keys)-1]
		c.s.Begin(&c.tx, 0, 1)
		c.tx.LockKey(key)
		c.tx.Delete(key)
		c.tx.Unlock()
	}
}

// TestScanMissesNothing grows and shrinks the table between every two calls
// and asks for every key that was there throughout.
func TestScanMissesNothing(t *testing.T) {
	for _, shards := range []int{1, 4} {
		for seed := range uint64(12) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			s := New(Options{Shards: shards})
			fixed := crowd{s: s, next: 1 << 30}
			fixed.grow(500)
			moving := crowd{s: s}
			seen := map[string]bool{}
			var tx Tx
			for cursor, calls := uint64(0), 0; ; calls++ {
				s.Begin(&tx, 0, 1)
				cursor = tx.Scan(cursor, 1+rnd.IntN(10), func(key []byte, _ Kind) { seen[string(key)] = true })
				if cursor == 0 {
					break
				}
				if rnd.IntN(2) == 0 {
					moving.grow(rnd.IntN(600))
				} else {
					moving.shrink(rnd.IntN(1200))
				}
				if calls > 100_000 {
					t.Fatal("the scan does not end")
				}
			}
			for _, key := range fixed.keys {
				if !seen[string(key)] {
					t.Fatalf("shards %d, seed %d: %q was there throughout and was not visited", shards, seed, key)
				}
			}
		}
	}
}

// A table at rest gives each key once.
func TestScanTableAtRest(t *testing.T) {
	s := New(Options{})
	c := crowd{s: s}
	c.grow(5000)
	seen := map[string]int{}
	var tx Tx
	for cursor := uint64(0); ; {
		s.Begin(&tx, 0, 1)
		cursor = tx.Scan(cursor, 10, func(key []byte, _ Kind) { seen[string(key)]++ })
		if cursor == 0 {
			break
		}
	}
	if len(seen) != 5000 {
		t.Fatalf("visited %d keys, want 5000", len(seen))
	}
	for key, n := range seen {
		if n != 1 {
			t.Fatalf("%q visited %d times", key, n)
		}
	}
}

func TestScanTakesAnyCursor(t *testing.T) {
	s := New(Options{})
	c := crowd{s: s}
	c.grow(300)
	var tx Tx
	for _, db := range []int{0, 9} { // 9 was never written to
		for _, cursor := range []uint64{1, 15, 16, 1 << 31, 1<<32 - 1, 1 << 63, 1<<64 - 1} {
			for calls := 0; cursor != 0; calls++ {
				s.Begin(&tx, db, 1)
				cursor = tx.Scan(cursor, 1, func([]byte, Kind) {
					if db != 0 {
						t.Error("a key in an empty database")
					}
				})
				if calls > 1000 {
					t.Fatal("the scan does not end")
				}
			}
		}
	}
}

// TestDictFollowsItsLoad checks that buckets and overflow buckets come and go
// with the entries.
func TestDictFollowsItsLoad(t *testing.T) {
	s := New(Options{Shards: 1})
	c := crowd{s: s}
	c.grow(100_000)
	d := &s.locks[0].data.dict
	if perKey := float64(d.bytes()) / 100_000; perKey > 9 {
		t.Errorf("index takes %.1f bytes a key", perKey)
	}
	s.checkInvariants(t)
	c.shrink(99_990)
	if d.n > 8 || d.chained > 4 {
		t.Errorf("%d buckets and %d overflow buckets left for 10 keys", d.n, d.chained)
	}
	s.checkInvariants(t)
	c.grow(1000)
	s.checkInvariants(t)
}

func TestSegments(t *testing.T) {
	a := array{item: 4, first: keyBuckets}
	item := func(i uint32) []byte { return (*[4]byte)(a.at(i))[:] }
	for i := range uint32(10_000) {
		a.reserve(i)
		binary.LittleEndian.PutUint32(item(i), i)
	}
	for i := range uint32(10_000) {
		if got := binary.LittleEndian.Uint32(item(i)); got != i {
			t.Fatalf("item %d holds %d", i, got)
		}
	}
	a.trim(100)
	if k, _ := a.locate(9_999); k < len(a.segments) {
		t.Error("trim left the last segment")
	}
	if got := binary.LittleEndian.Uint32(item(99)); got != 99 {
		t.Errorf("item 99 holds %d after trim", got)
	}
	a.release()
}
