package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchZSet returns a harness whose set has n members of 16 bytes, and their
// names.
func benchZSet(b *testing.B, n int) (*zharness, [][]byte) {
	b.Helper()
	h := newZHarness(1)
	names := make([][]byte, n)
	for i := range names {
		names[i] = fmt.Appendf(nil, "member:%09d", i)
	}
	h.each(func(z *ZSet) {
		for _, m := range names {
			z.Add(m, h.rnd.Float64(), 0)
		}
	})
	return h, names
}

// each runs f on the set without looking at what it recorded.
func (h *zharness) each(f func(z *ZSet)) {
	h.s.Begin(&h.tx, 0, 1000)
	h.tx.LockKey([]byte("z"))
	z, _ := h.tx.ZSetOf([]byte("z"), Write)
	f(&z)
	z.Done()
	h.tx.Unlock()
}

func BenchmarkZSet(b *testing.B) {
	h, names := benchZSet(b, 100_000)
	rnd := rand.New(rand.NewPCG(2, 3))
	run := func(name string, f func(z *ZSet)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.each(f)
			}
		})
	}
	visit := func([]byte, float64) bool { return true }
	run("rescore", func(z *ZSet) { z.Add(names[rnd.IntN(len(names))], rnd.Float64(), 0) })
	run("increment", func(z *ZSet) { z.Add(names[rnd.IntN(len(names))], 1e-7, ZAddIncr) })
	run("score", func(z *ZSet) { z.Score(names[rnd.IntN(len(names))]) })
	run("rank", func(z *ZSet) { z.Rank(names[rnd.IntN(len(names))]) })
	run("ten by rank", func(z *ZSet) { n := rnd.IntN(z.Len() - 10); z.ByRank(n, n+10, false, visit) })
	run("count", func(z *ZSet) { z.SpanScore(ScoreRange{Min: rnd.Float64(), Max: rnd.Float64()}) })
	var name [16]byte
	run("pop and add", func(z *ZSet) {
		z.Pop(false, 1, func(m []byte, _ float64) { copy(name[:], m) })
		z.Add(name[:], rnd.Float64(), 0)
	})
	small, members := benchZSet(b, 100)
	b.Run("rescore of 100", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			small.each(func(z *ZSet) { z.Add(members[rnd.IntN(len(members))], rnd.Float64(), 0) })
		}
	})
}
