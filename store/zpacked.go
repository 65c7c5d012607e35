package store

import (
	"bytes"
	"math"
	"strconv"
)

// zpairs are packed members and scores by turns, in the order of a sorted set.
type zpairs []byte

// scoreText is room for the text of a score.
type scoreText [32]byte

// packScore returns the element that holds a score: a number where it is
// integral, else the shortest text that reads back to the same score.
func packScore(score float64, room *scoreText) element {
	const exact = 1 << 52
	if n := int64(score); score > -exact && score < exact && float64(n) == score && (n != 0 || !math.Signbit(score)) {
		return element{num: n, size: intSize(n), number: true}
	}
	format := byte('f')
	if abs := math.Abs(score); abs != 0 && abs < 1e-5 || abs >= 1e17 {
		format = 'e'
	}
	switch {
	case math.IsInf(score, 1):
		return pack([]byte("inf"))
	case math.IsInf(score, -1):
		return pack([]byte("-inf"))
	}
	return pack(strconv.AppendFloat(room[:0], score, format, -1, 64))
}

// unpackScore returns the score that b begins with.
func unpackScore(b []byte) float64 {
	if !isText(b[0]) {
		return float64(unpackInt(b))
	}
	var num numberText
	f, _ := strconv.ParseFloat(string(unpack(b, &num)), 64) // the string does not escape
	return f
}

// score returns the score of the pair at an offset.
func (b zpairs) score(at int) float64 { return unpackScore(b[at+span(b[at:]):]) }

// end returns where the pair at an offset ends.
func (b zpairs) end(at int) int {
	at += span(b[at:])
	return at + span(b[at:])
}

// find returns the offset and the rank of a member, -1 if there is none.
func (b zpairs) find(member []byte) (at, rank int) {
	var room [96]byte
	e := pack(member)
	enc := room[:]
	if e.size > len(enc) {
		enc = make([]byte, e.size)
	}
	enc = enc[:e.size]
	e.putHead(enc)
	for at < len(b) {
		if bytes.HasPrefix(b[at:], enc) {
			return at, rank
		}
		at = b.end(at)
		rank++
	}
	return -1, 0
}

// place returns the offset at which a new member belongs. Ascending scores are
// what most sets are filled with, so it looks from the end.
func (b zpairs) place(score float64, member []byte) int {
	return b.placeWithout(score, member, len(b), len(b))
}

// placeWithout is place, as if the pair at [from, to) were not there.
func (b zpairs) placeWithout(score float64, member []byte, from, to int) int {
	var num numberText
	end := len(b)
	for end > 0 {
		if end == to && from < to {
			end = from
			continue
		}
		scoreAt := end - backSpan(b[:end])
		at := scoreAt - backSpan(b[:scoreAt])
		s := unpackScore(b[scoreAt:])
		if s < score || s == score && bytes.Compare(unpack(b[at:], &num), member) < 0 {
			break
		}
		end = at
	}
	return end
}

// byRank visits the pairs of ranks [from, to) of n; members may stand in num.
func (b zpairs) byRank(n, from, to int, back bool, num *numberText, visit func(member []byte, score float64) bool) {
	if !back {
		at := skip(b, 2*n, 2*from)
		for ; from < to; from++ {
			scoreAt := at + span(b[at:])
			if !visit(unpack(b[at:], num), unpackScore(b[scoreAt:])) {
				return
			}
			at = scoreAt + span(b[scoreAt:])
		}
		return
	}
	end := skip(b, 2*n, 2*to)
	for ; from < to; to-- {
		scoreAt := end - backSpan(b[:end])
		at := scoreAt - backSpan(b[:scoreAt])
		if !visit(unpack(b[at:], num), unpackScore(b[scoreAt:])) {
			return
		}
		end = at
	}
}

func (b zpairs) spanScore(r *ScoreRange) (from, to int) {
	for at, rank := 0, 0; at < len(b); rank++ {
		at += span(b[at:])
		s := unpackScore(b[at:])
		at += span(b[at:])
		if r.behind(s) {
			break
		}
		if r.before(s) {
			from = rank + 1
		}
		to = rank + 1
	}
	return from, to
}

// spanLex walks as Redis does: forwards from the first member that is not
// before the range, or backwards from the last one that is not behind it, and
// not at all if the ends of the set say that there is none.
func (b zpairs) spanLex(r *LexRange, n int, back bool, num *numberText) (from, to int) {
	if n == 0 || r.empty() {
		return 0, 0
	}
	end := len(b) - backSpan(b)
	if r.before(unpack(b[end-backSpan(b[:end]):], num)) || r.behind(unpack(b, num)) {
		return 0, 0
	}
	found := false
	b.byRank(n, 0, n, back, num, func(member []byte, _ float64) bool {
		out, stop := r.before(member), r.behind(member)
		if back {
			out, stop = stop, out
		}
		switch {
		case !found && out:
			from++
		case stop:
			found = true
			return false
		default:
			found = true
			to++
		}
		return true
	})
	if back {
		from = n - from - to
	}
	return from, from + to
}

// empty reports whether no text can be in the range.
func (r *LexRange) empty() bool {
	if r.Min.All != 0 || r.Max.All != 0 {
		return r.Min.All > r.Max.All
	}
	c := bytes.Compare(r.Min.Text, r.Max.Text)
	return c > 0 || c == 0 && (r.Min.Open || r.Max.Open)
}

// Create makes an absent set of members, each behind what scores[i] was read
// from in pairs, at once. It reports false, with nothing done, unless the set is
// absent, is called a listpack and has no member twice: then Add must do it.
func (z *ZSet) Create(pairs [][]byte, scores []float64) bool {
	n := len(scores)
	if z.live || n > min(zsetPackedMax, z.tx.packing().ZSetEntries) {
		return false
	}
	var order [zsetPackedMax]uint8
	for i := range n {
		member := pairs[2*i+1]
		if scores[i] == 0 && math.Signbit(scores[i]) || len(member) > z.tx.packing().ZSetValue {
			return false
		}
		at := i
		for j := i - 1; j >= 0; j-- {
			if k := order[j]; scores[k] < scores[i] || scores[k] == scores[i] && bytes.Compare(pairs[2*int(k)+1], member) < 0 {
				break
			}
			at = j
		}
		copy(order[at+1:i+1], order[at:i])
		order[at] = uint8(i)
		for j := range i {
			if string(pairs[2*j+1]) == string(member) {
				return false
			}
		}
	}
	b := append(z.tx.scratch[:0], byte(n), 0, 0)
	var text scoreText
	for _, i := range order[:n] {
		m, s := pack(pairs[2*int(i)+1]), packScore(scores[i], &text)
		if len(b)+m.total()+s.total() > zsetHead+packedMax {
			return false
		}
		b = appendPacked(appendPacked(b, m), s)
	}
	z.tx.scratch = b
	z.tx.putBlob(z.key, KindZSet, b)
	z.told = true
	z.reopen()
	return true
}
