package store

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Elements of collections are kept one behind the other in the element format
// of Redis' listpack (https://github.com/antirez/listpack), so that a dump of
// a value is a copy: a header with type and length, the data, and the length
// of both once more, to be read backwards. A text that is exactly what
// formatting an int64 gives is kept as the number.
//
//	0xxxxxxx                   0…127
//	10xxxxxx text              up to 63 bytes
//	110xxxxx x                 13 bits, signed
//	1110xxxx x text            up to 4095 bytes
//	11110000 length(4) text    longer ones
//	1111000t number            16, 24, 32, 64 bits for t = 1…4
const (
	tagText32 = 0xf0
	tagInt16  = 0xf1
	tagInt24  = 0xf2
	tagInt32  = 0xf3
	tagInt64  = 0xf4
)

// element is a value that is about to be packed.
type element struct {
	text   []byte
	num    int64
	size   int // header and data
	number bool
}

// pack looks at v, which element aliases.
func pack(v []byte) element {
	if n, ok := canonicalInt(v); ok {
		return element{num: n, size: intSize(n), number: true}
	}
	size := len(v) + 1
	if len(v) > 4095 {
		size = len(v) + 5
	} else if len(v) > 63 {
		size = len(v) + 2
	}
	return element{text: v, size: size}
}

// intSize returns the bytes of a packed number, back length not counted.
func intSize(n int64) int {
	switch {
	case n >= 0 && n <= 127:
		return 1
	case n >= -4096 && n <= 4095:
		return 2
	case n >= math.MinInt16 && n <= math.MaxInt16:
		return 3
	case n >= -1<<23 && n < 1<<23:
		return 4
	case n >= math.MinInt32 && n <= math.MaxInt32:
		return 5
	}
	return 9
}

// total returns the bytes that the element takes, back length included.
func (e element) total() int { return e.size + backSize(e.size) }

// put writes the element with its back length and returns its total.
func (e element) put(to []byte) int {
	e.putHead(to)
	return e.size + putBack(to[e.size:], e.size)
}

// putHead writes header and data.
func (e element) putHead(to []byte) {
	if e.number {
		putInt(to, e.num)
		return
	}
	n := len(e.text)
	at := 1
	switch {
	case n <= 63:
		to[0] = 0x80 | byte(n)
	case n <= 4095:
		to[0], to[1] = 0xe0|byte(n>>8), byte(n)
		at = 2
	default:
		to[0] = tagText32
		binary.LittleEndian.PutUint32(to[1:], uint32(n))
		at = 5
	}
	copy(to[at:], e.text)
}

func putInt(to []byte, n int64) {
	switch intSize(n) {
	case 1:
		to[0] = byte(n)
	case 2:
		to[0], to[1] = 0xc0|byte(n>>8)&0x1f, byte(n)
	case 3:
		to[0] = tagInt16
		binary.LittleEndian.PutUint16(to[1:], uint16(n))
	case 4:
		to[0], to[1], to[2], to[3] = tagInt24, byte(n), byte(n>>8), byte(n>>16)
	case 5:
		to[0] = tagInt32
		binary.LittleEndian.PutUint32(to[1:], uint32(n))
	default:
		to[0] = tagInt64
		binary.LittleEndian.PutUint64(to[1:], uint64(n))
	}
}

// headSize returns the bytes of header and data of the element that b begins
// with.
func headSize(b []byte) int {
	switch c := b[0]; {
	case c < 0x80:
		return 1
	case c < 0xc0:
		return 1 + int(c&0x3f)
	case c < 0xe0:
		return 2
	case c < 0xf0:
		return 2 + int(c&0x0f)<<8 + int(b[1])
	case c == tagText32:
		return 5 + int(binary.LittleEndian.Uint32(b[1:]))
	case c == tagInt64:
		return 9
	default:
		return 2 + int(c&0x0f)
	}
}

// isText reports whether a header that begins with c is that of a text.
func isText(c byte) bool { return c >= 0x80 && c < 0xc0 || c >= 0xe0 && c <= tagText32 }

// span returns the bytes that the element at the beginning of b takes.
func span(b []byte) int {
	n := headSize(b)
	return n + backSize(n)
}

// numberText holds the text of a number while it is looked at.
type numberText [20]byte

// unpack returns the value of the element that b begins with: a part of b, or
// a number's text written into num.
func unpack(b []byte, num *numberText) []byte {
	switch c := b[0]; {
	case c >= 0x80 && c < 0xc0:
		return b[1 : 1+int(c&0x3f)]
	case c >= 0xe0 && c < 0xf0:
		return b[2 : 2+int(c&0x0f)<<8+int(b[1])]
	case c == tagText32:
		return b[5 : 5+int(binary.LittleEndian.Uint32(b[1:]))]
	}
	return strconv.AppendInt(num[:0], unpackInt(b), 10)
}

// unpackInt returns the number that b begins with.
func unpackInt(b []byte) int64 {
	switch c := b[0]; {
	case c < 0x80:
		return int64(c)
	case c < 0xe0:
		return int64(uint64(c&0x1f)<<8|uint64(b[1])) << 51 >> 51
	case c == tagInt16:
		return int64(int16(binary.LittleEndian.Uint16(b[1:])))
	case c == tagInt24:
		return int64(int32(uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24) >> 8)
	case c == tagInt32:
		return int64(int32(binary.LittleEndian.Uint32(b[1:])))
	}
	return int64(binary.LittleEndian.Uint64(b[1:]))
}

// backSize returns the bytes of the back length of an element of n bytes.
func backSize(n int) int {
	switch {
	case n <= 127:
		return 1
	case n < 16383:
		return 2
	case n < 2097151:
		return 3
	case n < 268435455:
		return 4
	}
	return 5
}

// putBack writes n so that it can be read from its last byte backwards: seven
// bits a byte, the high bit says that there is one more to the left.
func putBack(to []byte, n int) int {
	size := backSize(n)
	for i := size - 1; i >= 0; i-- {
		to[i] = byte(n & 127)
		if i > 0 {
			to[i] |= 128
		}
		n >>= 7
	}
	return size
}

// backSpan returns the bytes that the last element of b takes.
func backSpan(b []byte) int {
	n, shift := 0, 0
	for i := len(b) - 1; ; i-- {
		n |= int(b[i]&127) << shift
		shift += 7
		if b[i]&128 == 0 {
			return n + len(b) - i
		}
	}
}

// skip returns the offset of element i of b, which has n of them, walking from
// the nearer end.
func skip(b []byte, n, i int) int {
	if i <= n/2 {
		at := 0
		for range i {
			at += span(b[at:])
		}
		return at
	}
	at := len(b)
	for range n - i {
		at -= backSpan(b[:at])
	}
	return at
}

// canonicalInt reads the text of an int64, provided that formatting it gives
// the same text.
func canonicalInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	digits := b
	if b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, len(b) == 1
	}
	var n uint64 // 19 digits cannot overflow it
	for _, c := range digits {
		c -= '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	if len(digits) < len(b) {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}
