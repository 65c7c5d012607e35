package store

import (
	"encoding/binary"
	"math"
	"slices"
)

// intset is a row of ascending integers of one width, 2, 4 or 8 bytes, that
// the largest of them asks for (Redis' intset).
type intset struct {
	b     []byte
	width int
}

// intsetOf returns the intset that b is, n members long.
func intsetOf(b []byte, n int) intset {
	if n == 0 {
		return intset{b, 2}
	}
	return intset{b, len(b) / n}
}

func intWidth(v int64) int {
	switch {
	case v >= math.MinInt16 && v <= math.MaxInt16:
		return 2
	case v >= math.MinInt32 && v <= math.MaxInt32:
		return 4
	}
	return 8
}

func (s intset) len() int { return len(s.b) / s.width }

func (s intset) at(i int) int64 {
	switch b := s.b[i*s.width:]; s.width {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	default:
		return int64(binary.LittleEndian.Uint64(b))
	}
}

func (s intset) set(i int, v int64) {
	switch b := s.b[i*s.width:]; s.width {
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, uint64(v))
	}
}

// find returns the place of v, or where it belongs. What is added in ascending
// order is found at once.
func (s intset) find(v int64) (i int, ok bool) {
	from, to := 0, s.len()
	if to > 0 && v > s.at(to-1) {
		return to, false
	}
	for from < to {
		mid := int(uint(from+to) / 2)
		switch at := s.at(mid); {
		case at == v:
			return mid, true
		case at < v:
			from = mid + 1
		default:
			to = mid
		}
	}
	return from, false
}

// widened returns a copy of the members, each of the given width, behind head
// bytes.
func (s intset) widened(head, width int) []byte {
	b := make([]byte, head+s.len()*width)
	w := intset{b[head:], width}
	for i := range s.len() {
		w.set(i, s.at(i))
	}
	return b
}

// packedInts returns integers as an intset behind head bytes; it sorts them.
func packedInts(head int, all []int64) []byte {
	slices.Sort(all)
	width := 2
	if n := len(all); n > 0 {
		width = max(intWidth(all[0]), intWidth(all[n-1]))
	}
	b := make([]byte, head+len(all)*width)
	s := intset{b[head:], width}
	for i, v := range all {
		s.set(i, v)
	}
	return b
}
