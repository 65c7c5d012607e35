package store

import (
	"math"
	"slices"
)

func (w *rdbWriter) hashOf(s slot) *Hash {
	h := &Hash{tx: w.tx}
	h.open(s)
	return h
}

// hashType returns the type as which a hash is written: one that Redis 7.4
// brought only for a hash with fields that expire.
func (w *rdbWriter) hashType(s slot) byte {
	h := w.hashOf(s)
	named := h.state()&hashNamed != 0
	timed := false
	if h.state()&hashTimed != 0 {
		h.EachTimed(func(_, _ []byte, at int64) bool {
			timed = at >= 0
			return !timed
		})
	}
	switch {
	case timed && named:
		return rdbHashMetadata
	case timed:
		return rdbHashListpackEx
	case named:
		return rdbHash
	}
	return rdbHashListpack
}

func (w *rdbWriter) hash(kind byte, s slot) {
	h := w.hashOf(s)
	switch kind {
	case rdbHash:
		w.length(uint64(h.Len()))
		h.Each(func(field, value []byte) bool {
			w.text(field)
			w.text(value)
			return true
		})
	case rdbHashListpack:
		w.beginListpack()
		h.Each(func(field, value []byte) bool {
			w.add(pack(field))
			w.add(pack(value))
			return true
		})
		w.endListpack(2 * h.Len())
	case rdbHashMetadata:
		w.hashMetadata(h)
	default:
		w.hashListpackEx(h)
	}
}

// firstDeadline returns the earliest time of a field; some field must have one.
func (h *Hash) firstDeadline() int64 {
	first := int64(math.MaxInt64)
	h.EachTimed(func(_, _ []byte, at int64) bool {
		if at >= 0 {
			first = min(first, at)
		}
		return true
	})
	return first
}

// hashMetadata appends the earliest time, and with each field its time, counted
// from one before that, or 0 for none.
func (w *rdbWriter) hashMetadata(h *Hash) {
	first := h.firstDeadline()
	w.time(first)
	w.length(uint64(h.Len()))
	h.EachTimed(func(field, value []byte, at int64) bool {
		if at < 0 {
			w.length(0)
		} else {
			w.length(uint64(at - first + 1))
		}
		w.text(field)
		w.text(value)
		return true
	})
}

// hashListpackEx appends the earliest time and a listpack of fields, values and
// times: those that expire first first, those that never do, with time 0, last.
func (w *rdbWriter) hashListpackEx(h *Hash) {
	type timed struct {
		at           uint64 // greatest for never
		field, value []byte
	}
	all := make([]timed, 0, h.Len())
	h.EachTimed(func(field, value []byte, at int64) bool {
		all = append(all, timed{uint64(at), slices.Clone(field), slices.Clone(value)})
		return true
	})
	slices.SortStableFunc(all, func(x, y timed) int {
		if x.at < y.at {
			return -1
		}
		return min(1, int(min(x.at-y.at, 1)))
	})
	w.time(int64(all[0].at))
	w.beginListpack()
	for _, f := range all {
		w.add(pack(f.field))
		w.add(pack(f.value))
		w.add(timeElement(max(int64(f.at), 0)))
	}
	w.endListpack(3 * len(all))
}

// hash reads a hash; an empty one and a field that comes twice are bad.
func (r *rdbReader) hash(kind byte) value {
	b := hashBuilder{tx: r.tx, timed: kind == rdbHashMetadata || kind == rdbHashListpackEx}
	p := hashParser{to: &b}
	switch kind {
	case rdbHash:
		for n := r.count(2); n > 0 && !r.bad; n-- {
			r.hashField(&b, 0)
		}
	case rdbHashMetadata:
		first := r.time()
		r.need(first >= 0)
		for n := r.count(3); n > 0 && !r.bad; n-- {
			after := r.length()
			r.need(after <= math.MaxInt64-uint64(first))
			if after > 0 {
				after += uint64(first) - 1
			}
			r.hashField(&b, int64(after))
		}
	case rdbHashZipmap:
		r.need(eachZipmap(r.text(), p.element))
	case rdbHashZiplist:
		r.need(eachZiplist(r.text(), p.element))
	case rdbHashListpackEx:
		r.time()
		fallthrough
	default:
		r.need(eachListpack(r.text(), p.element))
	}
	r.need(b.n > 0 && p.have == 0)
	return b.value()
}

// hashField reads a field and its value.
func (r *rdbReader) hashField(b *hashBuilder, at int64) {
	field := pack(r.text()) // a number, which r.number held, is none of its bytes
	v := pack(r.text())
	r.need(!r.bad && b.add(field, v, at))
}

// hashParser takes fields, values and, where they are timed, times by turns.
type hashParser struct {
	to    *hashBuilder
	parts [2]element
	have  int
}

func (p *hashParser) element(e element) bool {
	at := int64(0)
	switch {
	case p.have < 2:
		p.parts[p.have] = e
		p.have++
		if p.have < 2 || p.to.timed {
			return true
		}
	case !e.number || e.num < 0:
		return false
	default:
		at = e.num
	}
	p.have = 0
	return p.to.add(p.parts[0], p.parts[1], at)
}

// hashBuilder makes a hash of fields and values in the form that its size asks
// for.
type hashBuilder struct {
	tx           *Tx
	timed        bool
	n            int
	longest      int
	packed       []byte // while big is nil
	big          *largeHash
	field, other numberText
}

// add adds a field with its time, 0 for none, and reports whether it is new.
func (b *hashBuilder) add(field, v element, at int64) bool {
	name, text := field.value(&b.field), v.value(&b.other)
	b.longest = max(b.longest, len(name), len(text))
	size := field.total() + v.total()
	if b.timed {
		size += timeElement(at).total()
	}
	b.n++
	if b.big == nil && b.n <= hashPackedMax && len(b.packed)+size <= packedMax {
		if (hashPairs{b.packed, b.timed}).find(name) >= 0 {
			return false
		}
		b.packed = appendPacked(appendPacked(b.packed, field), v)
		if b.timed {
			b.packed = appendPacked(b.packed, timeElement(at))
		}
		return true
	}
	if b.big == nil {
		b.enlarge()
	}
	e, created := b.big.t.put(name, text)
	if at != 0 && created {
		b.big.times.set(e, at)
	}
	return created
}

func (b *hashBuilder) enlarge() {
	b.big = newLargeHash(b.tx.store)
	p := hashPairs{b.packed, b.timed}
	var name, text numberText
	for at := 0; at < len(p.b); {
		v := at + span(p.b[at:])
		e, _ := b.big.t.put(unpack(p.b[at:], &name), unpack(p.b[v:], &text))
		if p.timed {
			_, when := p.time(v)
			b.big.times.set(e, when)
		}
		at = p.behind(v)
	}
}

func (b *hashBuilder) value() value {
	state := byte(0)
	if limit := b.tx.packing(); b.n > limit.HashEntries || b.longest > limit.HashValue {
		state = hashNamed
	}
	if b.timed {
		state |= hashTimed
	}
	if b.big != nil {
		b.big.state = state
		return value{kind: KindHash, object: b.big}
	}
	head := hashHead
	if b.timed {
		head = hashTimedHead
	}
	blob := append(make([]byte, 0, head+len(b.packed)), state, byte(b.n))
	return value{kind: KindHash, bytes: append(blob[:head], b.packed...)}
}
