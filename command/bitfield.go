package command

import (
	"encoding/binary"

	"synap/resp"
	"synap/store"
)

// BITFIELD: integers of 1 to 64 bits anywhere in a string value, the highest
// bit first (https://redis.io/commands/bitfield).

func bitfieldRows() []Row {
	return []Row{
		{
			Name: "bitfield", Arity: -2, Event: "setbit",
			Usage: "key [<GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value:integer | INCRBY encoding offset increment>> " +
				"[<GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value:integer | INCRBY encoding offset increment>> ...]]",
			Summary: "Reads, sets and increments integers of any width within a string value.",
			Group:   "bitmap", Since: "3.2.0", Complexity: "O(1) for each integer",
			Flags: Write | DenyOOM, Run: func(c *Ctx) { bitfield(c, false) },
			Keys: []KeySpec{{Flags: RW | Access | Update | VariableFlags, Begin: 1, Notes: "This command allows both access and modification of the key"}},
			FindKeys: func(args [][]byte, dst []KeyAt) ([]KeyAt, bool) {
				return append(dst, KeyAt{1, bitfieldFlags(args)}), len(args) > 1
			},
		},
		{
			Name: "bitfield_ro", Usage: "key [GET encoding offset [GET encoding offset ...]]", Arity: -2,
			Summary: "Reads integers of any width within a string value.",
			Group:   "bitmap", Since: "6.0.0", Complexity: "O(1) for each integer",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: func(c *Ctx) { bitfield(c, true) },
		},
	}
}

// bitfieldFlags are the flags of BITFIELD's key: without SET and INCRBY it is
// only read.
func bitfieldFlags(args [][]byte) KeyFlags {
	for i := 2; i < len(args); i++ {
		switch {
		case resp.EqualFold(args[i], "GET"):
			i += 2
		case resp.EqualFold(args[i], "OVERFLOW"):
			i++
		default:
			return RW | Access | Update
		}
	}
	return RO | Access
}

// overflow says what becomes of a value that its field cannot hold.
type overflow uint8

const (
	overflowWrap overflow = iota // the high bits are cut
	overflowSat                  // the limit nearest to it
	overflowFail                 // nothing, and null is replied
)

// bitfieldOp is one operation of BITFIELD.
type bitfieldOp struct {
	offset   uint64 // bits
	value    int64  // of SET and INCRBY
	width    uint8
	signed   bool
	incr     bool
	write    bool // SET or INCRBY
	overflow overflow
}

// end returns the length in bytes of the shortest string that holds the field.
func (o *bitfieldOp) end() int { return int((o.offset+uint64(o.width)-1)>>3) + 1 }

func bitfield(c *Ctx, readOnly bool) {
	var space [16]bitfieldOp
	ops, err := parseBitfield(c, space[:0])
	if err != nil {
		c.Fail(err)
		return
	}
	length := 0
	for i := range ops {
		if ops[i].write {
			length = max(length, ops[i].end())
		}
	}
	var b []byte
	grown := false
	switch {
	case length == 0:
		b, err = c.Tx.Get(c.Args[1], store.Read)
	case readOnly:
		err = resp.ErrBitfieldReadOnly
	default:
		b, grown, err = c.Tx.Extend(c.Args[1], length)
	}
	if err != nil {
		c.Fail(err)
		return
	}
	changed := false
	c.Reply.Array(len(ops))
	for i := range ops {
		changed = ops[i].run(b, c.Reply) || changed
	}
	if changed && !grown {
		c.Tx.Edited(c.Args[1])
	}
}

func parseBitfield(c *Ctx, ops []bitfieldOp) ([]bitfieldOp, error) {
	a := resp.NewArgs(c.Args[2:])
	mode := overflowWrap
	for a.Left() > 0 {
		o := bitfieldOp{overflow: mode}
		switch n := a.Left(); {
		case n >= 3 && a.Is("GET"):
		case n >= 4 && a.Is("SET"):
			o.write = true
		case n >= 4 && a.Is("INCRBY"):
			o.write, o.incr = true, true
		case n >= 2 && a.Is("OVERFLOW"):
			mode = parseOverflow(&a)
			continue
		default:
			return nil, resp.ErrSyntax
		}
		if !o.parseType(a.Next()) {
			return nil, resp.ErrBitfieldType
		}
		offset, err := bitOffset(c, a.Next(), int64(o.width))
		if err != nil {
			return nil, err
		}
		o.offset = uint64(offset)
		if o.write {
			o.value = a.Int()
		}
		ops = append(ops, o)
	}
	return ops, a.Err()
}

func parseOverflow(a *resp.Args) overflow {
	switch {
	case a.Is("WRAP"):
	case a.Is("SAT"):
		return overflowSat
	case a.Is("FAIL"):
		return overflowFail
	default:
		a.Fail(resp.ErrBitfieldOverflow)
	}
	return overflowWrap
}

// parseType reads i1 … i64 or u1 … u63: a u64 may be no integer of the protocol.
func (o *bitfieldOp) parseType(text []byte) bool {
	if len(text) == 0 || text[0] != 'i' && text[0] != 'u' {
		return false
	}
	o.signed = text[0] == 'i'
	most := int64(63)
	if o.signed {
		most = 64
	}
	n, ok := resp.ParseInt(text[1:])
	o.width = uint8(n)
	return ok && 1 <= n && n <= most
}

// run executes the operation on b, which is long enough for writes, replies,
// and reports whether b changed.
func (o *bitfieldOp) run(b []byte, reply *resp.Reply) (changed bool) {
	raw := readBits(b, o.offset, uint(o.width))
	if o.signed { // extend the sign
		raw = uint64(int64(raw<<(64-o.width)) >> (64 - o.width))
	}
	old := int64(raw)
	if !o.write {
		reply.Int(old)
		return false
	}
	base, add := o.value, int64(0)
	if o.incr {
		base, add = old, o.value
	}
	fit := fitUnsigned
	if o.signed {
		fit = fitSigned
	}
	v, fits := fit(base, add, uint(o.width), o.overflow == overflowSat)
	switch {
	case !fits && o.overflow == overflowFail:
		reply.Null()
		return false
	case o.incr:
		reply.Int(v)
	default:
		reply.Int(old)
	}
	writeBits(b, o.offset, uint(o.width), uint64(v))
	return v != old
}

// fitUnsigned returns v+add as an unsigned integer of width < 64 bits. If it
// does not fit, it is wrapped or, with sat, replaced by the limit passed. A
// negative v counts as 2^64 more.
func fitUnsigned(v, add int64, width uint, sat bool) (n int64, fits bool) {
	most := int64(1)<<width - 1
	switch {
	case v < 0 || v > most || add > most-v:
		if sat {
			return most, false
		}
	case add < -v:
		if sat {
			return 0, false
		}
	default:
		return v + add, true
	}
	return (v + add) & most, false
}

// fitSigned is fitUnsigned for two's complement. The limits are compared as
// Redis compares them: 2^63 below a narrow field passes its upper limit.
func fitSigned(v, add int64, width uint, sat bool) (n int64, fits bool) {
	most := int64(1)<<(width-1) - 1
	least := -most - 1
	above, below := most-v, least-v // may wrap around
	switch {
	case v > most || width < 64 && add > above || v >= 0 && add > 0 && add > above:
		if sat {
			return most, false
		}
	case v < least || width < 64 && add < below || v < 0 && add < 0 && add < below:
		if sat {
			return least, false
		}
	default:
		return v + add, true
	}
	return (v + add) << (64 - width) >> (64 - width), false
}

// readBits returns the width ≤ 64 bits of b from a bit offset on. Bits past the
// end of b are zero.
func readBits(b []byte, offset uint64, width uint) uint64 {
	var near [9]byte
	if at := offset >> 3; at < uint64(len(b)) {
		copy(near[:], b[at:])
	}
	shift := offset & 7
	v := binary.BigEndian.Uint64(near[:8])<<shift | uint64(near[8])>>(8-shift)
	return v >> (64 - width)
}

// writeBits stores the low width bits of v at a bit offset of b, which must be
// long enough.
func writeBits(b []byte, offset uint64, width uint, v uint64) {
	var near [9]byte
	b = b[offset>>3:]
	copy(near[:], b)
	shift := offset & 7
	mask := ^uint64(0) << (64 - width)
	v <<= 64 - width
	binary.BigEndian.PutUint64(near[:8], binary.BigEndian.Uint64(near[:8])&^(mask>>shift)|v>>shift)
	near[8] = near[8]&^byte(mask<<(8-shift)) | byte(v<<(8-shift))
	copy(b, near[:])
}
