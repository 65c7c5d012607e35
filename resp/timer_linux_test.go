package resp

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The heap gives deadlines in order through any mixture of changes.
func TestTimers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	conns := make([]*loopConn, 300)
	for i := range conns {
		conns[i] = &loopConn{timer: noTimer}
	}
	var timers timers
	want := map[*loopConn]int64{}
	for range 20_000 {
		c := conns[r.IntN(len(conns))]
		when := int64(r.IntN(1000))
		timers.set(c, when)
		delete(want, c)
		if when != 0 {
			want[c] = when
		}
		if len(timers.heap) != len(want) {
			t.Fatalf("%d timers, want %d", len(timers.heap), len(want))
		}
	}
	for i, e := range timers.heap {
		if int(e.conn.timer) != i {
			t.Fatalf("entry %d thinks it is %d", i, e.conn.timer)
		}
	}
	var got, all []int64
	for _, when := range want {
		all = append(all, when)
	}
	slices.Sort(all)
	if timers.next() != all[0] || timers.due(all[0]-1) != nil {
		t.Fatalf("next %d, want %d", timers.next(), all[0])
	}
	for c := timers.due(1000); c != nil; c = timers.due(1000) {
		got = append(got, want[c])
		if c.timer != noTimer {
			t.Fatal("a fired timer keeps its place")
		}
	}
	if !slices.Equal(got, all) || timers.next() != 0 {
		t.Fatalf("fired %v, want %v", got, all)
	}
}
