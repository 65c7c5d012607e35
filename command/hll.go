package command

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// hll is a HyperLogLog in the bytes of Redis, so that values may be exchanged:
// a header of 16 bytes ("HYLL", encoding, three unused, cached cardinality),
// then 2^14 registers.
//
// Dense: registers of 6 bits, the first in the low bits of the first byte.
// Sparse: runs of registers, one opcode each:
//
//	00xxxxxx           ZERO, x+1 registers of 0
//	01xxxxxx yyyyyyyy  XZERO, xy+1 registers of 0
//	1vvvvvxx           VAL, x+1 registers of v+1
//
// (P. Flajolet et al., HyperLogLog: the analysis of a near-optimal cardinality
// estimation algorithm, 2007; the estimator: O. Ertl, New cardinality
// estimation algorithms for HyperLogLog sketches, arXiv:1702.01284, 2017.)
type hll []byte

const (
	hllBits      = 14           // of the hash, that choose the register
	hllRank      = 64 - hllBits // bits whose leading zeros are counted
	hllRegisters = 1 << hllBits //
	hllHeader    = 16           // bytes
	hllDenseLen  = hllHeader + hllRegisters*6/8
	hllSeed      = 0xadc83b19

	hllEncodingDense, hllEncodingSparse = 0, 1

	sparseZeroMax  = 64 // registers of a ZERO
	sparseValueMax = 32 // value of a VAL
	sparseRunMax   = 4  // registers of a VAL
	sparseVal      = 0x80
	sparseXZero    = 0x40
)

// hllRegs holds the registers one a byte, to merge in.
type hllRegs [hllRegisters]byte

// newHLL appends an empty HyperLogLog, which is sparse, to b.
func newHLL(b []byte) hll {
	b = append(b, "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	return appendZeros(b, hllRegisters)
}

// isHLL tells whether v can be a HyperLogLog. Whether the runs of a sparse one
// are whole shows when they are read.
func isHLL(v []byte) bool {
	if len(v) < hllHeader || string(v[:4]) != "HYLL" || v[4] > hllEncodingSparse {
		return false
	}
	return v[4] == hllEncodingSparse || len(v) == hllDenseLen
}

func (h hll) dense() bool { return h[4] == hllEncodingDense }

// cached returns the cardinality of the header; ok is false if registers have
// changed since it was computed.
func (h hll) cached() (n uint64, ok bool) {
	n = binary.LittleEndian.Uint64(h[8:])
	return n, n>>63 == 0
}

func (h hll) cache(n uint64) { binary.LittleEndian.PutUint64(h[8:], n) }

// invalidate marks the cached cardinality as out of date.
func (h hll) invalidate() { h[15] |= 0x80 }

// hllPlace returns the register of an element and the value it asks for.
func hllPlace(element []byte) (register int, value byte) {
	hash := murmur64A(element, hllSeed)
	rank := bits.TrailingZeros64(hash>>hllBits | 1<<hllRank)
	return int(hash & (hllRegisters - 1)), byte(rank + 1)
}

// murmur64A is MurmurHash64A of Austin Appleby, which is in the public domain.
func murmur64A(b []byte, seed uint64) uint64 {
	const m, r = 0xc6a4a7935bd1e995, 47
	h := seed ^ uint64(len(b))*m
	for len(b) >= 8 {
		k := binary.LittleEndian.Uint64(b) * m
		h = (h ^ (k^k>>r)*m) * m
		b = b[8:]
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		h = (h ^ binary.LittleEndian.Uint64(tail[:])) * m
	}
	h = (h ^ h>>r) * m
	return h ^ h>>r
}

// register returns a register of a dense HyperLogLog.
func (h hll) register(i int) byte {
	at, shift := hllHeader+i*6/8, uint(i*6)&7
	v := h[at] >> shift
	if shift > 2 {
		v |= h[at+1] << (8 - shift)
	}
	return v & 63
}

// raiseDense makes a register of a dense HyperLogLog at least v and reports
// whether it was less.
func (h hll) raiseDense(i int, v byte) bool {
	if h.register(i) >= v {
		return false
	}
	at, shift := hllHeader+i*6/8, uint(i*6)&7
	h[at] = h[at]&^(63<<shift) | v<<shift
	if shift > 2 {
		h[at+1] = h[at+1]&^(63>>(8-shift)) | v>>(8-shift)
	}
	return true
}

// sparseRun decodes the opcode at the beginning of p: n registers of value, in
// size bytes. n is 0 if p ends within the opcode.
func sparseRun(p []byte) (value byte, n, size int) {
	switch op := p[0]; {
	case op >= sparseVal:
		return op>>2&31 + 1, int(op&3) + 1, 1
	case op < sparseXZero:
		return 0, int(op) + 1, 1
	case len(p) < 2:
		return 0, 0, 0
	default:
		return 0, (int(op&63)<<8 | int(p[1])) + 1, 2
	}
}

func appendZeros(b []byte, n int) []byte {
	if n > sparseZeroMax {
		return append(b, sparseXZero|byte((n-1)>>8), byte(n-1))
	}
	return append(b, byte(n-1))
}

func appendVal(b []byte, value byte, n int) []byte {
	return append(b, sparseVal|(value-1)<<2|byte(n-1))
}

// appendRun appends n registers of value, if there are any.
func appendRun(b []byte, value byte, n int) []byte {
	switch {
	case n == 0:
		return b
	case value == 0:
		return appendZeros(b, n)
	}
	return appendVal(b, value, n)
}

// eachRun calls visit for every run of a sparse HyperLogLog and reports whether
// the runs make up all registers and no more.
func (h hll) eachRun(visit func(first, n int, value byte)) bool {
	first := 0
	for p := h[hllHeader:]; len(p) > 0; {
		value, n, size := sparseRun(p)
		if n == 0 || first+n > hllRegisters {
			return false
		}
		visit(first, n, value)
		first += n
		p = p[size:]
	}
	return first == hllRegisters
}

// toDense returns h as a dense HyperLogLog, in new memory unless it is one; ok
// is false if h is corrupt.
func (h hll) toDense() (d hll, ok bool) {
	if h.dense() {
		return h, true
	}
	d = make(hll, hllDenseLen)
	copy(d, h[:hllHeader])
	d[4] = hllEncodingDense
	ok = h.eachRun(func(first, n int, value byte) {
		for i := first; i < first+n && value > 0; i++ {
			d.raiseDense(i, value)
		}
	})
	return d, ok
}

// mergeInto raises regs to the registers of h; ok is false if h is corrupt.
func (h hll) mergeInto(regs *hllRegs) (ok bool) {
	if !h.dense() {
		return h.eachRun(func(first, n int, value byte) {
			for i := first; i < first+n; i++ {
				regs[i] = max(regs[i], value)
			}
		})
	}
	h.eachFour(func(i int, a, b, c, d byte) {
		regs[i], regs[i+1] = max(regs[i], a), max(regs[i+1], b)
		regs[i+2], regs[i+3] = max(regs[i+2], c), max(regs[i+3], d)
	})
	return true
}

// eachFour visits the registers of a dense HyperLogLog by fours, which fill
// three bytes.
func (h hll) eachFour(visit func(i int, a, b, c, d byte)) {
	p := h[hllHeader:hllDenseLen]
	for i := 0; i < hllRegisters; i += 4 {
		x := uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16
		visit(i, byte(x&63), byte(x>>6&63), byte(x>>12&63), byte(x>>18))
		p = p[3:]
	}
}

// add adds an element and returns h, which may have grown. changed tells
// whether a register rose, ok is false if h is corrupt. limit is
// hll-sparse-max-bytes.
func (h hll) add(element []byte, limit int) (grown hll, changed, ok bool) {
	register, value := hllPlace(element)
	return h.raise(register, value, limit)
}

// raise makes a register at least value, which is not 0.
func (h hll) raise(register int, value byte, limit int) (grown hll, changed, ok bool) {
	if h.dense() {
		return h, h.raiseDense(register, value), true
	}
	if value > sparseValueMax {
		return h.promote(register, value)
	}
	c := sparseCursor{at: hllHeader}
	return h.raiseSparse(&c, register, value, limit)
}

// sparseCursor is a place among the runs of a sparse HyperLogLog from which
// registers are raised in ascending order, without reading all runs each time.
type sparseCursor struct {
	at, first int // byte and register where a run begins
}

// behind is how many runs a cursor stays behind the run that is changed: runs
// are joined from the one before it on, and changes nearby may move that.
const behind = 8

// raiseSparse is raise for a sparse HyperLogLog and a value it can hold. c must
// be at the first run, or where the last call for a lower register left it.
func (h hll) raiseSparse(c *sparseCursor, register int, value byte, limit int) (grown hll, changed, ok bool) {
	old, n, size := byte(0), 0, 0
	at, first, before := c.at, c.first, c.at
	next := *c // becomes c's place once it is far enough behind
	for passed := 0; at < len(h); passed++ {
		if old, n, size = sparseRun(h[at:]); n == 0 {
			return h, false, false
		}
		if register < first+n {
			break
		}
		if passed%behind == behind-1 {
			*c, next = next, sparseCursor{at, first}
		}
		before = at
		at += size
		first += n
	}
	switch {
	case at >= len(h):
		return h, false, false
	case old >= value:
		return h, false, true
	}
	var space [5]byte // XZERO VAL XZERO
	runs := appendRun(space[:0], old, register-first)
	runs = appendVal(runs, value, 1)
	runs = appendRun(runs, old, first+n-1-register)
	if len(runs) > size && len(h)+len(runs)-size > limit {
		return h.promote(register, value)
	}
	h = slices.Replace(h, at, at+size, runs...)
	h = h.joinValues(before)
	h.invalidate()
	return h, true, true
}

// raiseAll raises all registers to those of regs. A sparse h must be whole.
func (h hll) raiseAll(regs *hllRegs, limit int) hll {
	c := sparseCursor{at: hllHeader}
	for i, v := range regs {
		switch {
		case v == 0:
		case h.dense():
			h.raiseDense(i, v)
		case v > sparseValueMax:
			h, _, _ = h.promote(i, v)
		default:
			h, _, _ = h.raiseSparse(&c, i, v, limit)
		}
	}
	return h
}

// decode writes the runs of a sparse HyperLogLog as PFDEBUG DECODE shows them.
// The byte that a broken one lacks counts as 0: Redis reads the NUL behind it.
func (h hll) decode() []byte {
	var text []byte
	runs := append(h[hllHeader:len(h):len(h)], 0)
	for p := runs; len(p) > 1; {
		value, n, size := sparseRun(p)
		switch {
		case value > 0:
			text = fmt.Appendf(text, "v:%d,%d ", value, n)
		case size == 2:
			text = fmt.Appendf(text, "Z:%d ", n)
		default:
			text = fmt.Appendf(text, "z:%d ", n)
		}
		p = p[min(size, len(p)):]
	}
	return bytes.TrimRight(text, " ")
}

// joinValues joins VALs of the same value among the five opcodes from at on,
// where a change can have brought them together.
func (h hll) joinValues(at int) hll {
	for range 5 {
		if at >= len(h) {
			break
		}
		value, n, size := sparseRun(h[at:])
		if size == 0 {
			break
		}
		if value > 0 && at+1 < len(h) && h[at+1] >= sparseVal {
			next, m, _ := sparseRun(h[at+1:])
			if next == value && n+m <= sparseRunMax {
				appendVal(h[:at], value, n+m)
				h = slices.Delete(h, at+1, at+2)
				continue
			}
		}
		at += size
	}
	return h
}

// promote makes h dense and raises a register.
func (h hll) promote(register int, value byte) (dense hll, changed, ok bool) {
	d, ok := h.toDense()
	if !ok {
		return h, false, false
	}
	return d, d.raiseDense(register, value), true
}

// histogram counts registers by value.
type histogram [64]int

// count estimates how many different elements were added; ok is false if h is
// corrupt.
func (h hll) count() (n uint64, ok bool) {
	var g histogram
	if h.dense() {
		h.eachFour(func(_ int, a, b, c, d byte) {
			g[a]++
			g[b]++
			g[c]++
			g[d]++
		})
		return g.estimate(), true
	}
	ok = h.eachRun(func(_, n int, value byte) { g[value] += n })
	return g.estimate(), ok
}

func (r *hllRegs) count() uint64 {
	var g histogram
	for _, v := range r {
		g[v&63]++
	}
	return g.estimate()
}

// estimate is Ertl's improved raw estimator (algorithm 6). The conversions keep
// the compiler from fusing: the same registers count the same everywhere.
func (g *histogram) estimate() uint64 {
	const m = float64(hllRegisters)
	const alpha = 0.721347520444481703680 // 1 / (2 ln 2)
	z := m * hllTau((m-float64(g[hllRank+1]))/m)
	for k := hllRank; k >= 1; k-- {
		z = (z + float64(g[k])) * 0.5
	}
	z += float64(m * hllSigma(float64(g[0])/m))
	if z == 0 { // no register below the highest value there can be
		return 1 << 63
	}
	return uint64(math.Round(alpha * m * m / z))
}

func hllTau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for last := math.Inf(1); z != last; {
		x = math.Sqrt(x)
		last = z
		y *= 0.5
		z -= float64((1 - x) * (1 - x) * y)
	}
	return z / 3
}

func hllSigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for last := -1.0; z != last; {
		x *= x
		last = z
		z += float64(x * y)
		y += y
	}
	return z
}
