package store

import (
	"bytes"
	"testing"
)

// pattern returns n bytes that differ from place to place.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7) ^ byte(i>>8) ^ seed
	}
	return b
}

// TestBigStrings takes a large string through everything that moves,
// resizes, copies or frees its region.
func TestBigStrings(t *testing.T) {
	s := New(Options{Shards: 2})
	a, b := []byte("a"), []byte("b")
	const n = 3 * maxSlot
	check := func(tx *Tx, key, want []byte) {
		t.Helper()
		got, err := tx.Get(key, Peek)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s holds %d bytes, want %d (%v)", key, len(got), len(want), err)
		}
	}
	with(s, 0, 1000, func(tx *Tx) {
		tx.Set(a, pattern(n, 1), false)
		check(tx, a, pattern(n, 1))
		region := &tx.bigOf(t, a).b[0]
		tx.Set(a, pattern(n-5000, 2), false)
		check(tx, a, pattern(n-5000, 2))
		if &tx.bigOf(t, a).b[0] != region {
			t.Error("a string of about the same size was not written in place")
		}
		tx.SetExpire(a, 5000)
		want := append(pattern(n-5000, 2), pattern(n, 3)...)
		tx.Append(a, pattern(n, 3))
		check(tx, a, want)
		tx.Rename(a, b)
		check(tx, b, want)
		tx.Copy(b, 1, a)
		tx.SetRange(b, 10, []byte("ten"))
		tx.Use(1)
		check(tx, a, want)
		tx.Use(0)
		copy(want[10:], "ten")
		check(tx, b, want)
		if at, _ := tx.ExpireTime(b); at != 5000 {
			t.Errorf("expires at %d", at)
		}
		if m, _ := tx.Meta(b); m.Bytes < int64(len(want)) || m.Encoding != "raw" || m.Len != len(want) {
			t.Errorf("%+v", m)
		}
	})
	s.checkInvariants(t)
	if used := s.Used(); used < 4*n-20_000 || used > 5*n {
		t.Errorf("Used = %d for strings of %d and %d", used, 2*n-5000, 2*n-5000)
	}
	with(s, 0, 1000, func(tx *Tx) {
		tx.Set(b, []byte("small"), true)
		check(tx, b, []byte("small"))
		tx.SetRange(b, n, []byte("far"))
		want := append([]byte("small"), make([]byte, n-5)...)
		check(tx, b, append(want, "far"...))
		tx.Now = 5000
		if v, _ := tx.Get(b, Read); v != nil {
			t.Error("not expired")
		}
		tx.FlushAsync(-1)
	})
	for s.CompactStep() {
	}
	if used := s.Used(); used != 0 {
		t.Errorf("Used = %d after a flush", used)
	}
}

func (tx *Tx) bigOf(t *testing.T, key []byte) *bigString {
	t.Helper()
	s, ok := tx.find(key, Peek)
	if !ok {
		t.Fatalf("%s is absent", key)
	}
	big, ok := tx.object(s).(*bigString)
	if !ok {
		t.Fatalf("%s is no big string", key)
	}
	return big
}

// TestSlotEdges stores values just within and beyond the largest slot, with a
// key short, long and far, with and without an expiry.
func TestSlotEdges(t *testing.T) {
	s := New(Options{Shards: 1})
	for _, keyLen := range []int{0, 1, 255, 256, maxKey, maxKey + 1} {
		key := pattern(keyLen, 9)
		for d := -12; d <= 3; d++ {
			want := pattern(maxSlot-entryBytes(keyLen, false)+d, byte(d))
			with(s, 0, 1000, func(tx *Tx) {
				tx.Set(key, want, false)
				for _, at := range []int64{9000, 0, 8000} {
					if at == 0 {
						tx.Persist(key)
					} else {
						tx.SetExpire(key, at)
					}
					if got, _ := tx.Get(key, Peek); !bytes.Equal(got, want) {
						t.Fatalf("key of %d, value of %d bytes came back as %d", keyLen, len(want), len(got))
					}
				}
				s.checkInvariants(t)
				if d%2 == 0 {
					tx.Delete(key)
				}
			})
		}
	}
}
