package command

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// bitopByByte is what BITOP means, byte by byte.
func bitopByByte(op bitOperation, n int, sources [][]byte) []byte {
	out := make([]byte, n)
	for i := range out {
		at := func(k int) byte {
			if i < len(sources[k]) {
				return sources[k][i]
			}
			return 0
		}
		first, all, any, odd, once, twice, others := at(0), at(0), at(0), at(0), at(0), byte(0), byte(0)
		for k := 1; k < len(sources); k++ {
			b := at(k)
			all, any, odd, others = all&b, any|b, odd^b, others|b
			twice |= once & b
			once |= b
		}
		out[i] = map[bitOperation]byte{opAND: all, opOR: any, opXOR: odd, opNOT: ^first, opDIFF: first &^ others,
			opDIFF1: others &^ first, opANDOR: first & others, opONE: once &^ twice}[op]
	}
	return out
}

// TestBitopOfRepeatedSources combines some sources of all lengths, each named
// any number of times.
func TestBitopOfRepeatedSources(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		op := bitOperation(r.IntN(len(bitOperations)))
		distinct := make([][]byte, 1+r.IntN(4))
		for i := range distinct {
			distinct[i] = make([]byte, r.IntN(100))
			if r.IntN(20) == 0 {
				distinct[i] = make([]byte, r.IntN(2*combineBlock))
			}
			for k := range distinct[i] {
				distinct[i][k] = byte(r.Uint32())
			}
		}
		sources := make([][]byte, 2+r.IntN(6))
		if op == opNOT {
			sources = sources[:1]
		}
		n := 0
		for i := range sources {
			sources[i] = distinct[r.IntN(len(distinct))]
			n = max(n, len(sources[i]))
		}
		want, got := bitopByByte(op, n, sources), make([]byte, n)
		combine(op, got, withoutRepeats(op, sources))
		if !bytes.Equal(got, want) {
			t.Fatalf("%s of %d sources: %.50x, want %.50x", bitOperations[op], len(sources), got, want)
		}
	}
}
