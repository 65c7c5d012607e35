package store

import (
	"cmp"
	"math"
	"strconv"
)

// ID is the identifier of a stream entry: unix milliseconds and a number
// within them.
type ID struct{ Ms, Seq uint64 }

// MaxID is the greatest ID.
var MaxID = ID{math.MaxUint64, math.MaxUint64}

// Compare returns -1, 0 or 1 as a is before, equal to or behind b.
func (a ID) Compare(b ID) int {
	if c := cmp.Compare(a.Ms, b.Ms); c != 0 {
		return c
	}
	return cmp.Compare(a.Seq, b.Seq)
}

// Less reports whether a comes before b.
func (a ID) Less(b ID) bool { return a.Ms < b.Ms || a.Ms == b.Ms && a.Seq < b.Seq }

// Next returns the ID behind a; ok is false if a is the greatest.
func (a ID) Next() (id ID, ok bool) {
	if a.Seq++; a.Seq == 0 {
		a.Ms++
		return a, a.Ms != 0
	}
	return a, true
}

// Prev returns the ID before a; ok is false if a is 0-0.
func (a ID) Prev() (id ID, ok bool) {
	if a.Seq == 0 {
		if a.Ms == 0 {
			return a, false
		}
		a.Ms--
	}
	a.Seq--
	return a, true
}

// Append appends the text of a: milliseconds, dash, number.
func (a ID) Append(b []byte) []byte {
	b = strconv.AppendUint(b, a.Ms, 10)
	b = append(b, '-')
	return strconv.AppendUint(b, a.Seq, 10)
}

func (a ID) String() string { return string(a.Append(nil)) }

// maxIDText is the longest text that ParseID looks at, as in Redis.
const maxIDText = 127

// ParseID reads "ms-seq", or "ms" alone: the number then is missing.
func ParseID(text []byte, missing uint64) (id ID, ok bool) {
	if len(text) > maxIDText {
		return ID{}, false
	}
	seq := []byte(nil)
	for i, c := range text {
		if c == '-' {
			text, seq = text[:i], text[i+1:]
			if id.Seq, ok = parseUint(seq); !ok {
				return ID{}, false
			}
			id.Ms, ok = parseUint(text)
			return id, ok
		}
	}
	id.Seq = missing
	id.Ms, ok = parseUint(text)
	return id, ok
}

// parseUint reads what Redis' string2ull reads: a decimal number of 64 bits,
// which may begin with blanks, a plus sign and zeros.
func parseUint(b []byte) (n uint64, ok bool) {
	for len(b) > 0 && (b[0] == ' ' || b[0] >= '\t' && b[0] <= '\r') {
		b = b[1:]
	}
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		c -= '0'
		if c > 9 || n > math.MaxUint64/10 {
			return 0, false
		}
		n *= 10
		if n+uint64(c) < n {
			return 0, false
		}
		n += uint64(c)
	}
	return n, true
}
