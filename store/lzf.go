package store

import (
	"encoding/binary"
	"math/bits"
)

// The format of liblzf (http://oldhome.schmorp.de/marc/liblzf.html), in which
// Redis compresses strings: runs of literals and copies of what came before.
//
//	000xxxxx text                    x+1 literals
//	xxxyyyyy yyyyyyyy                x+2 bytes (x < 7) from y+1 bytes before
//	111yyyyy xxxxxxxx yyyyyyyy       x+9 bytes from y+1 bytes before
const (
	lzfLiterals = 32      // most in a run
	lzfMatch    = 264     // most bytes of a copy
	lzfWindow   = 1 << 13 // farthest distance of a copy
	lzfRatio    = 88      // a copy of three bytes makes at most lzfMatch
)

// lzf compresses. Its table, kept from one text to the next, holds where each
// hash of three bytes was seen last, plus one.
type lzf struct{ table []uint32 }

// compress appends src to dst, or returns ok false and dst as it was if that
// would take more than most bytes.
func (z *lzf) compress(dst, src []byte, most int) (out []byte, ok bool) {
	if len(src) < 4 {
		return dst, false
	}
	width := min(max(bits.Len(uint(len(src))), 8), 14)
	if len(z.table) < 1<<width {
		z.table = make([]uint32, 1<<width)
	}
	table, shift := z.table[:1<<width], 32-width
	clear(table)
	start, from := len(dst), 0 // from: of the literals not written yet
	at := 0
	for at+3 < len(src) {
		word := binary.LittleEndian.Uint32(src[at:]) & 0xffffff
		h := word * 0x9e3779b1 >> shift
		seen := int(table[h]) - 1
		table[h] = uint32(at + 1)
		if seen < 0 || at-seen > lzfWindow || binary.LittleEndian.Uint32(src[seen:])&0xffffff != word {
			if at++; at-from == lzfLiterals {
				dst, from = appendLiterals(dst, src[from:at]), at
			}
			continue
		}
		n := 3
		for n < lzfMatch && at+n < len(src) && src[seen+n] == src[at+n] {
			n++
		}
		dst = appendCopy(appendLiterals(dst, src[from:at]), n, at-seen)
		if len(dst)-start > most {
			return dst[:start], false
		}
		at += n
		from = at
	}
	for from < len(src) {
		n := min(lzfLiterals, len(src)-from)
		dst, from = appendLiterals(dst, src[from:from+n]), from+n
	}
	if len(dst)-start > most {
		return dst[:start], false
	}
	return dst, true
}

func appendLiterals(dst, text []byte) []byte {
	if len(text) == 0 {
		return dst
	}
	return append(append(dst, byte(len(text)-1)), text...)
}

func appendCopy(dst []byte, n, distance int) []byte {
	n -= 2
	distance--
	if n < 7 {
		return append(dst, byte(n<<5|distance>>8), byte(distance))
	}
	return append(dst, byte(7<<5|distance>>8), byte(n-7), byte(distance))
}

// lzfExpand fills dst with what src unfolds to, and reports whether that is
// well formed and exactly as long as dst.
func lzfExpand(dst, src []byte) bool {
	at := 0
	for len(src) > 0 {
		c := int(src[0])
		src = src[1:]
		if n := c + 1; n <= lzfLiterals {
			if n > len(src) || n > len(dst)-at {
				return false
			}
			copy(dst[at:], src[:n])
			at, src = at+n, src[n:]
			continue
		}
		n := c>>5 + 2
		if n == 9 {
			if len(src) == 0 {
				return false
			}
			n += int(src[0])
			src = src[1:]
		}
		if len(src) == 0 {
			return false
		}
		distance := c&0x1f<<8 + int(src[0]) + 1
		src = src[1:]
		if distance > at || n > len(dst)-at {
			return false
		}
		for end := at + n; at < end; { // a copy may overlap what it makes
			at += copy(dst[at:end], dst[at-distance:at])
		}
	}
	return at == len(dst)
}
