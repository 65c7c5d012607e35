package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A write that empties a segment must not move the element that it returns.
func TestTableKeepsWhatItReturns(t *testing.T) {
	s := New(Options{})
	tab := newTable(s)
	defer tab.release()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 20000 {
		key := fmt.Appendf(nil, "%d:%s", rnd.IntN(60), strings.Repeat("x", 6000))
		switch rnd.IntN(3) {
		case 0:
			tab.remove(key)
		case 1:
			if e, _ := tab.put(key, make([]byte, rnd.IntN(4)*50)); e != tab.find(key) {
				t.Fatalf("write %d: put returned %d, find %d", i, e, tab.find(key))
			}
		default:
			if e := tab.find(key); e != 0 {
				if e, _ = tab.put(key, make([]byte, rnd.IntN(4)*50)); e != tab.find(key) {
					t.Fatalf("write %d: put over it returned %d, find %d", i, e, tab.find(key))
				}
			}
		}
	}
}
