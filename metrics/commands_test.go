package metrics

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The table look-up must agree with the definition for every bound and for
// random durations.
func TestBucketIndex(t *testing.T) {
	want := func(ns int64) int {
		for i := range bounds {
			if float64(ns)*1e-9 <= math.Exp2(float64(firstIndex+i)/8)*(1+1e-15) {
				return i
			}
		}
		return bounds
	}
	check := func(ns int64) {
		if got := bucketIndex(ns); got != want(ns) {
			t.Fatalf("bucketIndex(%d) = %d, want %d", ns, got, want(ns))
		}
	}
	for _, b := range bucketBound[:bounds] {
		check(b - 1)
		check(b)
		check(b + 1)
	}
	for range 200_000 {
		check(int64(math.Exp2(rand.Float64() * 40)))
	}
	for _, ns := range []int64{-5, 0, 1, 15, 16, 17} {
		if got := bucketIndex(ns); got != 0 {
			t.Errorf("bucketIndex(%d) = %d, want 0", ns, got)
		}
	}
	if got := bucketIndex(math.MaxInt64); got != bounds {
		t.Errorf("bucketIndex(MaxInt64) = %d, want %d", got, bounds)
	}
}

func TestCommandsAddUpOverLoops(t *testing.T) {
	c := NewCommands([]CommandInfo{{"get", "string"}, {"set", "string"}}, 3)
	c.Record(0, 1, 500, false)
	c.Record(2, 1, 3_000_000, true)
	c.Reject(1, 1)
	c.Reject(1, -1)
	all := c.Snapshot()
	if len(all) != 2 || all[0].Name != "set" || all[1].Name != "unknown" {
		t.Fatalf("snapshot %+v", all)
	}
	s := all[0]
	if s.Calls != 2 || s.Failed != 1 || s.Rejected != 1 || s.Sum != 3_000_500 || c.Calls() != 2 {
		t.Fatalf("set: %+v", s)
	}
	var got []int64
	s.Cumulative(func(usec int64, n uint64) { got = append(got, usec, int64(n)) })
	if len(got) != 4 || got[0] != 1 || got[1] != 1 || got[2] != 4096 || got[3] != 2 {
		t.Fatalf("cumulative %v", got)
	}
	if q := s.Quantile(1); q < 3_000_000 || q > 3_300_000 {
		t.Fatalf("p100 = %d", q)
	}
	c.Reset()
	if c.Calls() != 0 || len(c.Snapshot()) != 0 {
		t.Fatal("reset left something")
	}
}

func BenchmarkRecord(b *testing.B) {
	c := NewCommands(make([]CommandInfo, 300), 2)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Record(0, i&7, int64(300+i&4095), false)
	}
}
