package command

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"testing"
)

// bitAt is the plain definition of a bit's place.
func bitAt(v []byte, i int64) byte { return v[i>>3] >> (7 - i&7) & 1 }

func randomBytes(rnd *rand.Rand, n int) []byte {
	v := make([]byte, n)
	fill := byte(rnd.IntN(3)) // zeros, ones or anything
	for i := range v {
		switch fill {
		case 1:
			v[i] = 0xff
		case 2:
			v[i] = byte(rnd.Uint32())
		}
	}
	for range rnd.IntN(3) {
		if n > 0 {
			v[rnd.IntN(n)] ^= 1 << rnd.IntN(8)
		}
	}
	return v
}

func TestCountAndFindBits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		v := randomBytes(rnd, rnd.IntN(90))
		total := int64(len(v)) * 8
		r := bitRange{start: rnd.Int64N(2*total+3) - total - 1, end: rnd.Int64N(2*total+3) - total - 1, given: true, inBits: rnd.IntN(2) == 0}
		if rnd.IntN(4) == 0 {
			r.end, r.given, r.inBits = -1, false, false
		}
		first, last := r.bits(len(v))
		bit, count, found := byte(rnd.IntN(2)), int64(0), int64(-1)
		for i := first; i <= last; i++ {
			count += int64(bitAt(v, i))
			if found < 0 && bitAt(v, i) == bit {
				found = i
			}
		}
		if found < 0 && bit == 0 && !r.given && first <= last {
			found = total
		}
		if got := countBits(v, r); got != count {
			t.Fatalf("%x %+v: %d bits, want %d", v, r, got, count)
		}
		if got := findBit(v, bit, r); got != found {
			t.Fatalf("%x %+v: %d at %d, want %d", v, r, bit, got, found)
		}
	}
}

func TestReadAndWriteBits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		b := randomBytes(rnd, 20)
		offset, width := rnd.Int64N(96), int64(1+rnd.IntN(64))
		want := uint64(0)
		for i := range width {
			want = want<<1 | uint64(bitAt(b, offset+i))
		}
		if got := readBits(b, uint64(offset), uint(width)); got != want {
			t.Fatalf("%x: %d bits at %d are %x, want %x", b, width, offset, got, want)
		}
		before, v := bytes.Clone(b), rnd.Uint64()
		writeBits(b, uint64(offset), uint(width), v)
		for i := range int64(len(b) * 8) {
			bit := bitAt(before, i)
			if i >= offset && i < offset+width {
				bit = byte(v >> (width - 1 - (i - offset)) & 1)
			}
			if bitAt(b, i) != bit {
				t.Fatalf("%x: bit %d is wrong after %d bits were written at %d", before, i, width, offset)
			}
		}
	}
	if got := readBits([]byte{0xff}, 4, 8); got != 0xf0 {
		t.Errorf("bits past the end: %x", got)
	}
}

// TestFit compares with arithmetic without limits.
func TestFit(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 50000 {
		width := uint(1 + rnd.IntN(64))
		signed := width == 64 || rnd.IntN(2) == 0
		low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), width)
		if signed {
			high.Rsh(high, 1)
			low.Neg(high)
		}
		v := int64(rnd.Uint64()) >> (64 - width)
		if !signed {
			v = int64(rnd.Uint64() >> (64 - width))
		}
		add := int64(rnd.Uint64()) >> rnd.IntN(64)
		fit := fitUnsigned
		if signed {
			fit = fitSigned
		}
		sum := new(big.Int).Add(big.NewInt(v), big.NewInt(add))
		want, fits := new(big.Int).Set(sum), true
		if sum.Cmp(low) < 0 {
			want, fits = low, false
		} else if sum.Cmp(high) >= 0 {
			want, fits = new(big.Int).Sub(high, big.NewInt(1)), false
		}
		if got, ok := fit(v, add, width, true); ok != fits || want.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("width %d signed %v: %d + %d saturates at %d %v, want %v %v", width, signed, v, add, got, ok, want, fits)
		}
		size := new(big.Int).Lsh(big.NewInt(1), width)
		want = new(big.Int).Mod(sum, size)
		if want.Cmp(high) >= 0 {
			want.Sub(want, size)
		}
		if got, ok := fit(v, add, width, false); ok != fits || want.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("width %d signed %v: %d + %d wraps to %d, want %v", width, signed, v, add, got, want)
		}
	}
}

func TestCombine(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		sources := make([][]byte, 1+rnd.IntN(4))
		n := 0
		for i := range sources {
			sources[i] = randomBytes(rnd, rnd.IntN(2*combineBlock+50)>>rnd.IntN(12))
			n = max(n, len(sources[i]))
		}
		for op := opAND; op <= opONE; op++ {
			from, length := sources, n
			if op == opNOT {
				from, length = sources[:1], len(sources[0])
			}
			got := make([]byte, length)
			combine(op, got, from)
			for i := range got {
				if want := combineByte(op, i, from); got[i] != want {
					t.Fatalf("%s: byte %d is %02x, want %02x", bitOperations[op], i, got[i], want)
				}
			}
		}
	}
}

// combineByte is the plain definition of the operations.
func combineByte(op bitOperation, i int, sources [][]byte) byte {
	at := func(v []byte) byte {
		if i < len(v) {
			return v[i]
		}
		return 0
	}
	first := at(sources[0])
	and, or, xor, twice, others := first, first, first, byte(0), byte(0)
	for _, v := range sources[1:] {
		b := at(v)
		and &= b
		twice |= or & b
		or |= b
		xor ^= b
		others |= b
	}
	return [...]byte{and, or, xor, ^first, first &^ others, others &^ first, first & others, or &^ twice}[op]
}
