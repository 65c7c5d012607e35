package store

import (
	"bytes"
	"testing"
)

// TestExtend writes bytes in place: in a slot, past its end, in a region and
// past that, always behind zeros.
func TestExtend(t *testing.T) {
	s := New(Options{Shards: 2, MaxString: 8 * maxSlot})
	k := []byte("k")
	with(s, 0, 1000, func(tx *Tx) {
		if b, grown, err := tx.Extend(k, 0); b != nil || grown || err != nil {
			t.Errorf("an absent string of no bytes: %q %v %v", b, grown, err)
		}
		want := []byte{}
		for _, n := range []int{3, 3, 1, 40, 3000, 100_000, 2 * maxSlot, 2*maxSlot + 10, 5 * maxSlot, 7} {
			longer := n > len(want)
			want = append(want, make([]byte, max(0, n-len(want)))...)
			tx.ResetChanges()
			b, grown, err := tx.Extend(k, n)
			if err != nil || grown != longer || !bytes.Equal(b, want) {
				t.Fatalf("to %d: %d bytes, grown %v, %v", n, len(b), grown, err)
			}
			if recorded := len(tx.Changes()) == 1; recorded != longer {
				t.Errorf("to %d: %d changes", n, len(tx.Changes()))
			}
			b[len(b)-1], want[len(want)-1] = 'x', 'x'
			if got, _ := tx.Get(k, Peek); !bytes.Equal(got, want) {
				t.Fatalf("to %d: what was written is not there", n)
			}
		}
		if _, _, err := tx.Extend(k, 8*maxSlot+1); err != ErrTooLarge {
			t.Errorf("too long: %v", err)
		}
	})
	s.checkInvariants(t)
}

// TestExtendClears lengthens strings over memory that was written before.
func TestExtendClears(t *testing.T) {
	s := New(Options{Shards: 2})
	k := []byte("k")
	for _, n := range []int{60, 5000, 3 * maxSlot} {
		with(s, 0, 1000, func(tx *Tx) {
			tx.Set(k, bytes.Repeat([]byte{0xff}, n), false)
			tx.Set(k, bytes.Repeat([]byte{0xff}, n-n/8), false)
			b, grown, err := tx.Extend(k, n)
			if err != nil || !grown || bytes.Count(b, []byte{0xff}) != n-n/8 || bytes.Count(b[n-n/8:], []byte{0}) != n/8 {
				t.Errorf("%d bytes: grown %v, %v, or the end is not zero", n, grown, err)
			}
		})
	}
}

// TestSetBuilt overwrites a string by one computed from itself.
func TestSetBuilt(t *testing.T) {
	s := New(Options{Shards: 2})
	k := []byte("k")
	for _, n := range []int{5, 3 * maxSlot} {
		with(s, 0, 1000, func(tx *Tx) {
			old := pattern(n, 9)
			tx.Set(k, old, false)
			tx.SetExpire(k, 5000)
			tx.SetBuilt(k, 2*n, func(b []byte) {
				v, _ := tx.Get(k, Peek)
				copy(b[n:], v)
			})
			got, _ := tx.Get(k, Peek)
			if len(got) != 2*n || !bytes.Equal(got[n:], old) || bytes.Count(got[:n], []byte{0}) != n {
				t.Errorf("%d bytes: another value", n)
			}
			if at, _ := tx.ExpireTime(k); at != -1 {
				t.Errorf("the expiry %d stayed", at)
			}
		})
	}
	s.checkInvariants(t)
}
