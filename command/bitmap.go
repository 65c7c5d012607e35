package command

import (
	"encoding/binary"
	"math/bits"

	"synap/resp"
	"synap/store"
)

// Bitmaps (https://redis.io/commands/?group=bitmap): strings seen as bits, the
// first one the highest of the first byte. Integers of any width are in
// bitfield.go.

func bitmapRows() []Row {
	return append(bitRows(), bitfieldRows()...)
}

func bitRows() []Row {
	return []Row{
		{
			Name: "setbit", Usage: "key offset value:integer", Arity: 4,
			Summary: "Sets or clears one bit of a string value and returns what it was.",
			Group:   "bitmap", Since: "2.2.0", Complexity: "O(1)",
			Flags: Write | DenyOOM, Keys: oneKey(RW | Access | Update), Run: setbit,
		},
		{
			Name: "getbit", Usage: "key offset", Arity: 3,
			Summary: "Returns one bit of a string value.",
			Group:   "bitmap", Since: "2.2.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: getbit,
		},
		{
			Name: "bitcount", Usage: "key [start:integer end:integer [BYTE | BIT]]", Arity: -2,
			Summary: "Counts the bits that are set in a string value or a part of it.",
			Group:   "bitmap", Since: "2.6.0", Complexity: "O(N) where N is the number of bytes looked at",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: bitcount,
		},
		{
			Name: "bitpos", Usage: "key bit:integer [start:integer [end:integer [BYTE | BIT]]]", Arity: -3,
			Summary: "Finds the first bit of a string value that is set, or clear.",
			Group:   "bitmap", Since: "2.8.7", Complexity: "O(N) where N is the number of bytes looked at",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: bitpos,
		},
		{
			Name: "bitop", Usage: "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]", Arity: -4, Event: "set",
			Summary: "Combines string values bit by bit and stores the result.",
			Group:   "bitmap", Since: "2.6.0", Complexity: "O(N) where N is the number of bytes of all the values",
			Flags: Write | DenyOOM, Keys: []KeySpec{{Flags: OW | Update, Begin: 2}, {Flags: RO | Access, Begin: 3, Last: -1}}, Run: bitop,
		},
	}
}

// bitOffset reads the offset of a bit. With width > 0 the form "#n" counts in
// integers of that many bits.
func bitOffset(c *Ctx, text []byte, width int64) (int64, error) {
	unit := int64(1)
	if width > 0 && len(text) > 0 && text[0] == '#' {
		text, unit = text[1:], width
	}
	n, ok := resp.ParseInt(text)
	if !ok || n < 0 || n>>3 >= c.Conf.ProtoMaxBulkLen || n*unit>>3 >= c.Conf.ProtoMaxBulkLen {
		return 0, resp.ErrBitOffset
	}
	return n * unit, nil
}

func setbit(c *Ctx) {
	offset, err := bitOffset(c, c.Args[2], 0)
	if err != nil {
		c.Fail(err)
		return
	}
	on, ok := resp.ParseInt(c.Args[3])
	if !ok || on&^1 != 0 {
		c.Fail(resp.ErrBit)
		return
	}
	b, grown, err := c.Tx.Extend(c.Args[1], int(offset>>3)+1)
	if err != nil {
		c.Fail(err)
		return
	}
	at, shift := &b[offset>>3], 7-uint(offset&7)
	was := *at >> shift & 1
	*at = *at&^(1<<shift) | byte(on)<<shift
	if !grown && was != byte(on) {
		c.Tx.Edited(c.Args[1])
	}
	c.Reply.Int(int64(was))
}

func getbit(c *Ctx) {
	offset, err := bitOffset(c, c.Args[2], 0)
	if err != nil {
		c.Fail(err)
		return
	}
	v, err := c.Tx.Get(c.Args[1], store.Read)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Reply.Int(int64(readBits(v, uint64(offset), 1)))
}

// bitRange is the range of BITCOUNT and BITPOS.
type bitRange struct {
	start, end int64
	given      bool // an end was
	inBits     bool
}

// parseBitRange reads [start [end [BYTE | BIT]]] up to the end of a.
func parseBitRange(a *resp.Args) bitRange {
	r := bitRange{end: -1}
	if a.Left() == 0 {
		return r
	}
	if a.Left() > 3 {
		a.Fail(resp.ErrSyntax)
	}
	r.start = a.Int()
	if a.Left() == 0 {
		return r
	}
	end := a.Next()
	if a.Left() > 0 { // a wrong unit is told before a wrong end
		switch {
		case a.Is("BIT"):
			r.inBits = true
		case !a.Is("BYTE"):
			a.Fail(resp.ErrSyntax)
		}
	}
	var ok bool
	if r.end, ok = resp.ParseInt(end); !ok {
		a.Fail(resp.ErrNotInteger)
	}
	r.given = true
	return r
}

// bits returns the range as offsets of bits in a string of n bytes, both
// included; first > last if it is empty.
func (r bitRange) bits(n int) (first, last int64) {
	unit, total := int64(8), int64(n)
	if r.inBits {
		unit, total = 1, total*8
	}
	first, last = r.start, r.end
	if first < 0 {
		first = max(first+total, 0)
	}
	if last < 0 {
		last = max(last+total, 0)
	}
	last = min(last, total-1)
	if first > last { // also keeps the products below from overflowing
		return 0, -1
	}
	return first * unit, last*unit + unit - 1
}

func bitcount(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	if a.Left() == 1 {
		c.Fail(resp.ErrSyntax)
		return
	}
	r, err := countRange(&a)
	if err != nil {
		c.Fail(err)
		return
	}
	v, err := c.Tx.Get(c.Args[1], store.Read)
	if err != nil {
		c.Fail(err)
		return
	}
	if r.start < 0 && r.end < 0 && r.start > r.end {
		c.Reply.Int(0)
		return
	}
	c.Reply.Int(countBits(v, r))
}

// countRange reads BITCOUNT's range, which tells a wrong end before a wrong unit.
func countRange(a *resp.Args) (bitRange, error) {
	r := bitRange{end: -1}
	if a.Left() > 3 {
		return r, resp.ErrSyntax
	}
	if a.Left() > 0 {
		r.start, r.end = a.Int(), a.Int()
	}
	if a.Left() > 0 {
		r.inBits = a.Is("BIT")
		if !r.inBits && !a.Is("BYTE") {
			a.Fail(resp.ErrSyntax)
		}
	}
	return r, a.Err()
}

// countBits returns how many bits of v in the range are set.
func countBits(v []byte, r bitRange) int64 {
	first, last := r.bits(len(v))
	if first > last {
		return 0
	}
	n := onesCount(v[first>>3 : last>>3+1])
	n -= bits.OnesCount8(v[first>>3] &^ (0xff >> (first & 7)))
	n -= bits.OnesCount8(v[last>>3] & (0x7f >> (last & 7)))
	return int64(n)
}

func onesCount(v []byte) (n int) {
	for len(v) >= 32 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(v)) + bits.OnesCount64(binary.LittleEndian.Uint64(v[8:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(v[16:])) + bits.OnesCount64(binary.LittleEndian.Uint64(v[24:]))
		v = v[32:]
	}
	for len(v) >= 8 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(v))
		v = v[8:]
	}
	for _, b := range v {
		n += bits.OnesCount8(b)
	}
	return n
}

func bitpos(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	bit := a.Int()
	if a.Err() == nil && bit&^1 != 0 {
		a.Fail(resp.ErrBitArgument)
	}
	r := parseBitRange(&a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	v, err := c.Tx.Get(c.Args[1], store.Read)
	switch {
	case err != nil:
		c.Fail(err)
	case v == nil: // endless zeros
		c.Reply.Int(-bit)
	default:
		c.Reply.Int(findBit(v, byte(bit), r))
	}
}

// findBit returns the offset of the first bit of v in the range that equals
// bit, -1 if there is none. Zeros follow a string for ever: where no end was
// given, the first clear bit is there at the latest.
func findBit(v []byte, bit byte, r bitRange) int64 {
	first, last := r.bits(len(v))
	if first > last {
		return -1
	}
	skip := -bit ^ 0xff // a byte without the bit wanted
	at := first >> 3
	x := (v[at] ^ skip) & (0xff >> (first & 7))
	if x == 0 {
		at++
		at += int64(skipBytes(v[at:last>>3+1], skip))
		if at > last>>3 {
			x, at = 0x80, last>>3+1
		} else {
			x = v[at] ^ skip
		}
	}
	pos := at<<3 + int64(bits.LeadingZeros8(x))
	switch {
	case pos <= last:
		return pos
	case bit == 0 && !r.given:
		return last + 1
	}
	return -1
}

// skipBytes returns how many bytes at the beginning of v equal b.
func skipBytes(v []byte, b byte) (n int) {
	word := uint64(b) * 0x0101010101010101
	for len(v)-n >= 8 && binary.LittleEndian.Uint64(v[n:]) == word {
		n += 8
	}
	for n < len(v) && v[n] == b {
		n++
	}
	return n
}
