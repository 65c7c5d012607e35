package command

import (
	"encoding/binary"
	"unsafe"

	"synap/resp"
	"synap/store"
)

// bitOperation is what BITOP does.
type bitOperation uint8

const (
	opAND bitOperation = iota
	opOR
	opXOR
	opNOT
	opDIFF  // in the first and in no other
	opDIFF1 // in any other and not in the first
	opANDOR // in the first and in any other
	opONE   // in exactly one
)

var bitOperations = [...]string{"AND", "OR", "XOR", "NOT", "DIFF", "DIFF1", "ANDOR", "ONE"}

// parseBitOperation reads the operation's name for a number of source keys.
func parseBitOperation(name []byte, sources int) (bitOperation, error) {
	for i, word := range bitOperations {
		if !resp.EqualFold(name, word) {
			continue
		}
		op := bitOperation(i)
		switch {
		case op == opNOT && sources != 1:
			return op, resp.ErrBitopNot
		case (op == opDIFF || op == opDIFF1 || op == opANDOR) && sources < 2:
			return op, resp.BitopSources(word)
		}
		return op, nil
	}
	return 0, resp.ErrSyntax
}

func bitop(c *Ctx) {
	keys := c.Args[3:]
	op, err := parseBitOperation(c.Args[1], len(keys))
	if err != nil {
		c.Fail(err)
		return
	}
	n := 0
	for _, key := range keys {
		v, err := c.Tx.Get(key, store.Read)
		if err != nil {
			c.Fail(err)
			return
		}
		n = max(n, len(v))
	}
	dst := c.Args[2]
	if n == 0 {
		c.Tx.Delete(dst)
		c.Reply.Int(0)
		return
	}
	sources := make([][]byte, len(keys))
	for i, key := range keys { // only now that the look-ups have expired what had to
		sources[i], _ = c.Tx.Get(key, store.Peek)
	}
	if len(sources) > 2 {
		sources = withoutRepeats(op, sources)
	}
	c.Tx.SetBuilt(dst, n, func(b []byte) { combine(op, b, sources) })
	c.Reply.Int(int64(n))
}

// withoutRepeats leaves out sources behind the first that come again without
// changing the result: the work is bounded by what is stored, however often it is
// named.
func withoutRepeats(op bitOperation, sources [][]byte) [][]byte {
	type place struct {
		p *byte
		n int
	}
	placeOf := func(src []byte) place { return place{unsafe.SliceData(src), len(src)} }
	seen := make(map[place]int)
	for _, src := range sources[1:] {
		seen[placeOf(src)]++
	}
	if len(seen) == len(sources)-1 {
		return sources
	}
	kept := append(make([][]byte, 0, len(sources)), sources[0])
	for _, src := range sources[1:] {
		times := seen[placeOf(src)]
		if times == 0 {
			continue
		}
		seen[placeOf(src)] = 0
		kept = append(kept, src)
		if op == opXOR && times%2 == 0 || op == opONE && times > 1 {
			kept = append(kept, src)
		}
	}
	return kept
}

// combineBlock is the part of the result worked on at once: it and its sources
// stay in the first-level cache.
const combineBlock = 4096

// combine writes the result of op, which is as long as the longest source, into
// dst, which is zero.
func combine(op bitOperation, dst []byte, sources [][]byte) {
	var twice [combineBlock]byte
	for from := 0; from < len(dst); from += combineBlock {
		block := dst[from:min(from+combineBlock, len(dst))]
		part := func(i int) []byte {
			return sources[i][min(from, len(sources[i])):min(from+len(block), len(sources[i]))]
		}
		if op != opDIFF && op != opDIFF1 && op != opANDOR {
			copy(block, part(0))
		}
		if op == opONE {
			clear(twice[:])
		}
		for i := 1; i < len(sources); i++ {
			switch src := part(i); op {
			case opAND:
				andBytes(block, src)
			case opXOR:
				xorBytes(block, src)
			case opONE:
				onceBytes(block, twice[:], src)
			default:
				orBytes(block, src)
			}
		}
		switch op {
		case opNOT:
			notBytes(block)
		case opDIFF:
			notBytes(block)
			andBytes(block, part(0))
		case opDIFF1:
			andNotBytes(block, part(0))
		case opANDOR:
			andBytes(block, part(0))
		case opONE:
			andNotBytes(block, twice[:len(block)])
		}
	}
}

// The loops below take 32 bytes at a time; what src lacks counts as zero.

func andBytes(dst, src []byte) {
	clear(dst[len(src):])
	for len(src) >= 32 && len(dst) >= 32 {
		d, s := (*[32]byte)(dst), (*[32]byte)(src)
		binary.LittleEndian.PutUint64(d[0:], binary.LittleEndian.Uint64(d[0:])&binary.LittleEndian.Uint64(s[0:]))
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(d[8:])&binary.LittleEndian.Uint64(s[8:]))
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(d[16:])&binary.LittleEndian.Uint64(s[16:]))
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(d[24:])&binary.LittleEndian.Uint64(s[24:]))
		dst, src = dst[32:], src[32:]
	}
	for i, b := range src {
		dst[i] &= b
	}
}

func andNotBytes(dst, src []byte) {
	for len(src) >= 32 && len(dst) >= 32 {
		d, s := (*[32]byte)(dst), (*[32]byte)(src)
		binary.LittleEndian.PutUint64(d[0:], binary.LittleEndian.Uint64(d[0:])&^binary.LittleEndian.Uint64(s[0:]))
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(d[8:])&^binary.LittleEndian.Uint64(s[8:]))
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(d[16:])&^binary.LittleEndian.Uint64(s[16:]))
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(d[24:])&^binary.LittleEndian.Uint64(s[24:]))
		dst, src = dst[32:], src[32:]
	}
	for i, b := range src {
		dst[i] &^= b
	}
}

func orBytes(dst, src []byte) {
	for len(src) >= 32 && len(dst) >= 32 {
		d, s := (*[32]byte)(dst), (*[32]byte)(src)
		binary.LittleEndian.PutUint64(d[0:], binary.LittleEndian.Uint64(d[0:])|binary.LittleEndian.Uint64(s[0:]))
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(d[8:])|binary.LittleEndian.Uint64(s[8:]))
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(d[16:])|binary.LittleEndian.Uint64(s[16:]))
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(d[24:])|binary.LittleEndian.Uint64(s[24:]))
		dst, src = dst[32:], src[32:]
	}
	for i, b := range src {
		dst[i] |= b
	}
}

func xorBytes(dst, src []byte) {
	for len(src) >= 32 && len(dst) >= 32 {
		d, s := (*[32]byte)(dst), (*[32]byte)(src)
		binary.LittleEndian.PutUint64(d[0:], binary.LittleEndian.Uint64(d[0:])^binary.LittleEndian.Uint64(s[0:]))
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(d[8:])^binary.LittleEndian.Uint64(s[8:]))
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(d[16:])^binary.LittleEndian.Uint64(s[16:]))
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(d[24:])^binary.LittleEndian.Uint64(s[24:]))
		dst, src = dst[32:], src[32:]
	}
	for i, b := range src {
		dst[i] ^= b
	}
}

func notBytes(dst []byte) {
	for len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, ^binary.LittleEndian.Uint64(dst))
		dst = dst[8:]
	}
	for i := range dst {
		dst[i] = ^dst[i]
	}
}

// onceBytes adds src to the bits seen in dst; twice collects those seen before.
func onceBytes(dst, twice, src []byte) {
	for len(src) >= 8 && len(dst) >= 8 && len(twice) >= 8 {
		seen, more := binary.LittleEndian.Uint64(dst), binary.LittleEndian.Uint64(src)
		binary.LittleEndian.PutUint64(twice, binary.LittleEndian.Uint64(twice)|seen&more)
		binary.LittleEndian.PutUint64(dst, seen|more)
		dst, twice, src = dst[8:], twice[8:], src[8:]
	}
	for i, b := range src {
		twice[i] |= dst[i] & b
		dst[i] |= b
	}
}
