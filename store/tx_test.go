package store

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// with runs f in a transaction that holds everything.
func with(s *Store, db int, now int64, f func(*Tx)) {
	var tx Tx
	s.Begin(&tx, db, now)
	tx.Event = "test"
	tx.WantAll()
	tx.Lock()
	f(&tx)
	tx.Unlock()
}

// line writes a change as one line.
func line(c Change) string {
	return fmt.Sprintf("%d %s %s %d %s", c.DB, c.Key, c.Kind, c.Effect, c.Event)
}

func lines(tx *Tx) []string {
	var out []string
	for _, c := range tx.Changes() {
		out = append(out, line(c))
	}
	tx.ResetChanges()
	return out
}

func expect(t *testing.T, tx *Tx, want ...Change) {
	t.Helper()
	var w []string
	for _, c := range want {
		w = append(w, line(c))
	}
	if got := lines(tx); !slices.Equal(got, w) {
		t.Errorf("changes\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(w, "\n\t"))
	}
}

func TestChanges(t *testing.T) {
	s := New(Options{})
	k, d := []byte("k"), []byte("d")
	with(s, 0, 1000, func(tx *Tx) {
		tx.Set(k, []byte("v"), false)
		tx.Set(k, []byte("w"), false)
		expect(t, tx, Change{DB: 0, Key: k, Kind: KindString, Effect: Created, Event: "test"}, Change{DB: 0, Key: k, Kind: KindString, Effect: Changed, Event: "test"})
		tx.SetExpire(k, 5000)
		tx.Persist(k)
		tx.Persist(k)
		expect(t, tx, Change{DB: 0, Key: k, Kind: KindString, Effect: Changed, Event: "expire"}, Change{DB: 0, Key: k, Kind: KindString, Effect: Changed, Event: "persist"})
		tx.putBlob(k, KindList, []byte("\x01\x00x"))
		expect(t, tx, Change{DB: 0, Key: k, Kind: KindList, Effect: Overwritten, Event: "test"})
		tx.Set(k, []byte("v"), false)
		tx.ResetChanges()
		tx.Rename(k, d)
		expect(t, tx, Change{DB: 0, Key: k, Kind: KindString, Effect: Deleted, Event: "rename_from"}, Change{DB: 0, Key: d, Kind: KindString, Effect: Created, Event: "rename_to"})
		tx.Rename(d, d)
		tx.Rename(k, d)
		expect(t, tx)
		tx.Move(d, 3)
		expect(t, tx, Change{DB: 0, Key: d, Kind: KindString, Effect: Deleted, Event: "move_from"}, Change{DB: 3, Key: d, Kind: KindString, Effect: Created, Event: "move_to"})
		tx.Use(3)
		tx.Copy(d, 0, k)
		expect(t, tx, Change{DB: 0, Key: k, Kind: KindString, Effect: Created, Event: "copy_to"})
		tx.SetUntil(k, []byte("v"), 2000)
		expect(t, tx, Change{DB: 3, Key: k, Kind: KindString, Effect: Created, Event: "test"}, Change{DB: 3, Key: k, Kind: KindString, Effect: Changed, Event: "expire"})
		tx.Now = 2000
		tx.Get(k, Read)
		expect(t, tx, Change{DB: 3, Key: k, Kind: KindString, Effect: Expired, Event: "expired"})
		tx.Delete(d)
		tx.Delete(d)
		expect(t, tx, Change{DB: 3, Key: d, Kind: KindString, Effect: Deleted, Event: "del"})
		tx.Get(k, Read)
		tx.Append(k, nil)
		expect(t, tx, Change{DB: 3, Key: k, Kind: KindString, Effect: Created, Event: "test"})
		tx.SetRange(d, 5, nil)
		expect(t, tx)
		tx.Flush(3)
		expect(t, tx, Change{DB: 3, Key: nil, Kind: KindNone, Effect: Flushed, Event: ""})
	})
}

func TestStrings(t *testing.T) {
	s := New(Options{MaxString: 100_000})
	k := []byte("k")
	with(s, 0, 1000, func(tx *Tx) {
		if v, err := tx.Get(k, Read); v != nil || err != nil {
			t.Errorf("absent key: %q, %v", v, err)
		}
		tx.Set(k, nil, false)
		if v, _ := tx.Get(k, Read); v == nil || len(v) != 0 {
			t.Errorf("empty string: %v", v)
		}
		if _, err := tx.SetRange(k, 99_999, []byte("ab")); !errors.Is(err, ErrTooLarge) {
			t.Errorf("SetRange past the limit: %v", err)
		}
		if n, err := tx.SetRange(k, 99_998, []byte("ab")); n != 100_000 || err != nil {
			t.Errorf("SetRange to the limit: %d, %v", n, err)
		}
		if _, err := tx.Append(k, []byte("x")); !errors.Is(err, ErrTooLarge) {
			t.Errorf("Append past the limit: %v", err)
		}
		tx.putBlob(k, KindList, []byte("\x01\x00x"))
		if _, err := tx.Get(k, Read); !errors.Is(err, ErrWrongType) {
			t.Errorf("Get of a list: %v", err)
		}
		if _, err := tx.Append(k, k); !errors.Is(err, ErrWrongType) {
			t.Errorf("Append to a list: %v", err)
		}
		if _, err := tx.SetRange(k, 0, nil); !errors.Is(err, ErrWrongType) {
			t.Errorf("SetRange of a list: %v", err)
		}
	})
}

// A value may alias the entry that it replaces, or another of the shard.
func TestSetFromTheStore(t *testing.T) {
	s := New(Options{Shards: 1})
	a, b := []byte("a"), []byte("b")
	with(s, 0, 1000, func(tx *Tx) {
		for n := range 300 {
			text := strings.Repeat("0123456789", n/10+1)
			tx.SetUntil(a, []byte(text), 5000)
			v, _ := tx.Get(a, Peek)
			tx.Set(b, v, false)
			v, _ = tx.Get(a, Peek)
			tx.Set(a, v[n/3:], false)
			gotA, _ := tx.Get(a, Peek)
			gotB, _ := tx.Get(b, Peek)
			if string(gotA) != text[n/3:] || string(gotB) != text {
				t.Fatalf("%d: %q and %q", n, gotA, gotB)
			}
		}
	})
}

func TestEncodings(t *testing.T) {
	s := New(Options{})
	k := []byte("k")
	with(s, 0, 1000, func(tx *Tx) {
		for value, want := range map[string]string{
			"":                      "embstr",
			"0":                     "int",
			"-1":                    "int",
			"-0":                    "embstr",
			"+1":                    "embstr",
			"007":                   "embstr",
			" 1":                    "embstr",
			"9223372036854775807":   "int",
			"-9223372036854775808":  "int",
			"9223372036854775808":   "embstr",
			strings.Repeat("x", 44): "embstr",
			strings.Repeat("x", 45): "raw",
		} {
			tx.Set(k, []byte(value), false)
			if m, _ := tx.Meta(k); m.Encoding != want || m.Len != len(value) {
				t.Errorf("%q is %s of %d, want %s", value, m.Encoding, m.Len, want)
			}
		}
		tx.Set(k, []byte("1"), false)
		tx.Append(k, []byte("2"))
		if m, _ := tx.Meta(k); m.Encoding != "raw" {
			t.Errorf("appended string is %s", m.Encoding)
		}
		tx.Rename(k, []byte("other"))
		if m, _ := tx.Meta([]byte("other")); m.Encoding != "raw" {
			t.Errorf("renamed string is %s", m.Encoding)
		}
	})
}

func TestIdleTime(t *testing.T) {
	s := New(Options{})
	put(s, "k", 10_000, 0)
	idle := func(now int64) (n int64) {
		with(s, 0, now, func(tx *Tx) {
			m, _ := tx.Meta([]byte("k"))
			n = m.Idle
		})
		return n
	}
	if got := idle(75_999); got != 65 {
		t.Errorf("idle %d s, want 65", got)
	}
	read(s, "k", 70_000)
	if got := idle(75_000); got != 5 {
		t.Errorf("idle %d s after a read, want 5", got)
	}
	with(s, 0, 80_000, func(tx *Tx) { tx.Kind([]byte("k"), Peek) })
	if got := idle(80_000); got != 10 {
		t.Errorf("idle %d s after a peek, want 10", got)
	}
}

func TestHitsAndMisses(t *testing.T) {
	s := New(Options{})
	with(s, 0, 1, func(tx *Tx) {
		tx.Get([]byte("k"), Read)
		tx.Set([]byte("k"), nil, false)
		tx.Get([]byte("k"), Read)
		tx.Get([]byte("k"), Read)
		tx.Get([]byte("k"), Peek)
		tx.Get([]byte("k"), Write)
		tx.Get([]byte("x"), Write)
	})
	if st := s.Stats(1); st.Hits != 2 || st.Misses != 1 {
		t.Errorf("%d hits, %d misses; want 2 and 1", st.Hits, st.Misses)
	}
	with(s, 0, 1, func(tx *Tx) { tx.Get([]byte("x"), Read); tx.ResetStats() })
	if st := s.Stats(1); st.Hits != 0 || st.Misses != 0 {
		t.Error("ResetStats left some")
	}
}

func TestRandomKey(t *testing.T) {
	s := New(Options{Shards: 4})
	var tx Tx
	s.Begin(&tx, 0, 1)
	if _, ok := tx.RandomKey(1); ok {
		t.Error("a key in an empty database")
	}
	const keys, draws = 50, 20_000
	for i := range keys {
		put(s, fmt.Sprint("key:", i), 1, 0)
	}
	seen := map[string]int{}
	for i := range draws {
		s.Begin(&tx, 0, 1)
		key, ok := tx.RandomKey(uint64(i) * 0x123456789abcdef)
		if !ok {
			t.Fatal("no key")
		}
		seen[string(key)]++
	}
	for i := range keys {
		// 400 are expected, with a standard deviation of 20
		if n := seen[fmt.Sprint("key:", i)]; n < 280 || n > 520 {
			t.Errorf("key:%d drawn %d times of %d", i, n, draws)
		}
	}
	for i := range keys {
		put(s, fmt.Sprint("key:", i), 1, 100)
	}
	s.Begin(&tx, 0, 200)
	if key, ok := tx.RandomKey(5); ok {
		t.Errorf("%q has expired", key)
	}
}

func TestLocks(t *testing.T) {
	s := New(Options{})
	a, b := []byte("a"), []byte("b")
	for s.number(0, s.Hash(a)) == s.number(0, s.Hash(b)) {
		b = append(b, 'b')
	}
	var one, two Tx
	s.Begin(&one, 0, 1)
	one.Want(0, b)
	one.Want(0, a)
	one.Want(0, a)
	one.Lock()
	if !one.Holds(0, a) || !one.Holds(0, b) || one.Holds(1, a) {
		t.Error("Holds is wrong about Want and Lock")
	}
	s.Begin(&two, 0, 1)
	if two.TryAlso(0, a) {
		t.Error("TryAlso took a lock that was held")
	}
	one.Unlock()
	two.LockKey(b)
	if !two.TryAlso(0, a) || !two.TryAlso(0, b) || !two.Holds(0, a) || !two.Holds(0, b) {
		t.Error("TryAlso did not get a free lock")
	}
	two.Set(a, a, false)
	two.Set(b, b, false)
	two.Unlock()
	if n := s.DBSize(0); n != 2 {
		t.Errorf("DBSize = %d, want 2", n)
	}
}

// TestConcurrency has transactions of all sorts at once; the race detector
// and the invariants judge.
func TestConcurrency(t *testing.T) {
	s := New(Options{Databases: 2, Shards: 4})
	s.SetPolicy(AllKeysLRU, 5, 10, 1)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var tx Tx
			rnd := uint64(g)
			for i := range 4000 {
				a := fmt.Append(nil, "key:", mix(&rnd)%200)
				b := fmt.Append(nil, "key:", mix(&rnd)%200)
				s.Begin(&tx, g%2, int64(1000+i))
				switch i % 10 {
				case 0:
					tx.Want(0, a)
					tx.Want(1, b)
					tx.Lock()
					tx.Use(0)
					tx.Copy(a, 1, b)
				case 1:
					tx.Scan(mix(&rnd), 20, func([]byte, Kind) {})
				case 2:
					tx.RandomKey(mix(&rnd))
				case 3:
					s.Evict(&tx, int64(1000+i), func(*Tx) {})
				case 4:
					s.ExpireSome(&tx, int64(1000+i), 10, func(*Tx) {})
				case 5:
					tx.WantAll()
					tx.Lock()
					switch mix(&rnd) % 20 {
					case 0:
						tx.Flush(0)
					case 1:
						tx.FlushAsync(1)
					default:
						tx.SwapDB(0, 1)
					}
				case 6:
					s.CompactStep()
					s.Used()
					s.Stats(1)
				default:
					tx.LockKey(a)
					tx.SetUntil(a, b, int64(1000+i+int(mix(&rnd)%100)))
					tx.Append(a, b)
				}
				tx.Unlock()
			}
		})
	}
	wg.Wait()
	s.checkInvariants(t)
}

func TestDigest(t *testing.T) {
	digest := func(s *Store) (sum [20]byte) {
		with(s, 0, 1, func(tx *Tx) { sum = tx.Digest() })
		return sum
	}
	x, y := New(Options{Shards: 1}), New(Options{Shards: 8})
	if digest(x) != [20]byte{} {
		t.Error("the digest of an empty database is not zero")
	}
	for i := range 100 {
		put(x, fmt.Sprint(i), 1, int64(i%2)*10_000)
		put(y, fmt.Sprint(99-i), 1, int64((99-i)%2)*10_000)
	}
	if digest(x) != digest(y) {
		t.Error("equal databases, different digests")
	}
	with(x, 0, 1, func(tx *Tx) { tx.Persist([]byte("7")) })
	if digest(x) == digest(y) {
		t.Error("an expiry does not show in the digest")
	}
	with(x, 0, 1, func(tx *Tx) { tx.SetExpire([]byte("7"), 10_000) })
	if digest(x) != digest(y) {
		t.Error("equal databases, different digests")
	}
	with(x, 0, 1, func(tx *Tx) { tx.Append([]byte("7"), []byte("!")) })
	if digest(x) == digest(y) {
		t.Error("a value does not show in the digest")
	}
}

// The steady state allocates nothing.
func TestNoAllocations(t *testing.T) {
	s := New(Options{})
	c := crowd{s: s}
	c.grow(1000)
	key, value := []byte("crowd:7"), []byte("some value of another length")
	var tx Tx
	run := func(name string, f func()) {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	one := func(f func()) func() {
		return func() {
			s.Begin(&tx, 0, 1000)
			tx.LockKey(key)
			f()
			tx.Unlock()
		}
	}
	run("Get", one(func() { tx.Get(key, Read) }))
	run("Set", one(func() { tx.Set(key, value, false) }))
	run("SetUntil", one(func() { tx.SetUntil(key, value, 5000) }))
	run("Set and Delete", one(func() { tx.Set(key, value, false); tx.Delete(key) }))
	run("Expire and Persist", one(func() { tx.Set(key, value, false); tx.SetExpire(key, 2000); tx.Persist(key) }))
	run("Append", one(func() { tx.Set(key, value, false); tx.Append(key, value) }))
	run("Meta", one(func() { tx.Meta(key) }))
	many := [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d")}
	run("MSET", func() {
		s.Begin(&tx, 0, 1000)
		for _, k := range many {
			tx.Want(0, k)
		}
		tx.Lock()
		for _, k := range many {
			tx.Set(k, value, false)
		}
		tx.Unlock()
	})
}

// Prefetch is a hint: it must stand any state of the store and change nothing.
func TestPrefetch(t *testing.T) {
	s := New(Options{Shards: 2})
	keys := [][]byte{nil, []byte("absent"), []byte("crowd:1"), make([]byte, maxKey+1)}
	s.Prefetch(3, keys)
	c := crowd{s: s}
	c.grow(10_000)
	if !s.Sizable(0) || s.Sizable(1) {
		t.Error("Sizable is wrong about 10000 keys or none")
	}
	before := s.Stats(1)
	s.Prefetch(0, keys)
	s.Prefetch(0, c.keys[:100])
	if after := s.Stats(1); after.Hits != before.Hits || after.Misses != before.Misses {
		t.Error("a prefetch counts as a look-up")
	}
	var tx Tx
	s.Begin(&tx, 0, 1)
	tx.LockKey(keys[2])
	s.Prefetch(0, keys)
	tx.Unlock()
}

// PrefetchMembers likewise, whatever stands at the keys.
func TestPrefetchMembers(t *testing.T) {
	s := New(Options{Shards: 2})
	var tx Tx
	with := func(key string, f func(key []byte)) {
		s.Begin(&tx, 0, 1)
		tx.LockKey([]byte(key))
		f([]byte(key))
		tx.Unlock()
	}
	member := func(i int) []byte { return []byte("member:" + strconv.Itoa(i)) }
	with("set", func(key []byte) {
		set, _ := tx.SetOf(key, Write)
		for i := range 10_000 {
			set.Add(member(i))
		}
		set.Done()
	})
	with("hash", func(key []byte) {
		h, _ := tx.HashOf(key, Write)
		for i := range 10_000 {
			h.Set(member(i), member(i))
		}
		h.Done()
	})
	with("small", func(key []byte) {
		set, _ := tx.SetOf(key, Write)
		set.Add(member(1))
		set.Done()
		if tx.Wide {
			t.Error("a small set counts as large")
		}
	})
	for _, key := range []string{"set", "hash"} {
		with(key, func(key []byte) {
			_, _ = tx.SetOf(key, Read)
			_, _ = tx.HashOf(key, Read)
			if !tx.Wide {
				t.Errorf("the large %s counts as small", key)
			}
		})
	}
	before := s.Stats(1)
	var keys, members [][]byte
	for i, key := range []string{"set", "set", "hash", "absent", "small", "hash"} {
		for range 10 * (i + 1) {
			keys, members = append(keys, []byte(key)), append(members, member(len(keys)*371))
		}
		keys, members = append(keys, []byte(key)), append(members, nil)
	}
	s.PrefetchMembers(0, keys, members)
	s.PrefetchMembers(3, keys, members)
	s.PrefetchMembers(0, keys, nil)
	if after := s.Stats(1); !reflect.DeepEqual(after, before) {
		t.Errorf("prefetching changed the store: %+v before, %+v after", before, after)
	}
}

// What the store holds is counted wherever it was moved to.
func TestUsedFollowsSwaps(t *testing.T) {
	s := New(Options{})
	var tx Tx
	s.Begin(&tx, 3, 1)
	tx.WantAll()
	tx.Lock()
	tx.Set([]byte("k"), []byte("v"), false)
	tx.Unlock()
	before := s.Used()
	if before <= 0 {
		t.Fatalf("used %d with a key", before)
	}
	s.Begin(&tx, 0, 1)
	tx.WantAll()
	tx.Lock()
	tx.SwapDB(3, 9)
	tx.Unlock()
	if used := s.Used(); used != before {
		t.Errorf("used %d before a swap and %d after", before, used)
	}
}
