package store

import (
	"math"
	"strconv"
)

// Texts of scores begin with their length, or are one of these.
const (
	rdbNaN         = 253
	rdbInfinity    = 254
	rdbMinInfinity = 255
)

func (w *rdbWriter) zsetOf(s slot) *ZSet {
	z := &ZSet{tx: w.tx}
	z.open(s)
	return z
}

// zset appends a sorted set: as the listpack that it is while small, else from
// the greatest score down, as it is quickest to load.
func (w *rdbWriter) zset(kind byte, s slot) {
	z := w.zsetOf(s)
	if kind == rdbZSet2 {
		w.length(uint64(z.Len()))
		z.ByRank(0, z.Len(), true, func(member []byte, score float64) bool {
			w.text(member)
			w.double(score)
			return true
		})
		return
	}
	w.beginListpack()
	if z.big == nil {
		w.node = append(w.node, z.pairs()...)
	} else {
		z.ByRank(0, z.Len(), false, func(member []byte, score float64) bool {
			var room scoreText
			w.add(pack(member))
			w.add(packScore(score, &room))
			return true
		})
	}
	w.endListpack(2 * z.Len())
}

// zset reads a sorted set; an empty one, a member that comes twice and a score
// that is no number are bad.
func (r *rdbReader) zset(kind byte) value {
	p := zsetParser{set: r.tx.NewZBuilder()}
	switch kind {
	case rdbZSet, rdbZSet2:
		for n := r.count(2); n > 0 && !r.bad; n-- {
			member := pack(r.text()) // a number, which r.number held, is none of its bytes
			score := 0.0
			if kind == rdbZSet2 {
				score = r.double()
			} else {
				score = r.scoreText()
			}
			r.need(!r.bad && p.put(member.value(&p.room), score))
		}
	case rdbZSetZiplist:
		r.need(eachZiplist(r.text(), p.element))
	default:
		r.need(eachListpack(r.text(), p.element))
	}
	r.need(p.set.Len() > 0 && !p.odd)
	return p.set.value()
}

// scoreText reads a score written as a text.
func (r *rdbReader) scoreText() float64 {
	switch n := r.byte(); n {
	case rdbNaN:
		r.bad = true
	case rdbInfinity:
		return math.Inf(1)
	case rdbMinInfinity:
		return math.Inf(-1)
	default:
		f, ok := parseScore(r.take(uint64(n)))
		r.need(ok)
		return f
	}
	return 0
}

func parseScore(b []byte) (float64, bool) {
	f, err := strconv.ParseFloat(string(b), 64)
	return f, err == nil && !math.IsNaN(f)
}

// zsetParser takes members and scores by turns.
type zsetParser struct {
	set    *ZBuilder
	odd    bool   // the next element is a score
	member []byte // of it
	room   numberText
}

func (p *zsetParser) element(e element) bool {
	if p.odd = !p.odd; p.odd {
		p.member = append(p.member[:0], e.value(&p.room)...)
		return true
	}
	score, ok := float64(e.num), true
	if !e.number {
		score, ok = parseScore(e.text)
	}
	return ok && p.put(p.member, score)
}

// put adds a member and reports whether it is new.
func (p *zsetParser) put(member []byte, score float64) bool {
	n := p.set.Len()
	p.set.Put(member, score)
	return p.set.Len() > n
}
