package store

import (
	"encoding/binary"
	"strconv"
)

// joined returns the form that Redis would give a set of n members and the form
// f, whose longest member has so many bytes, when another comes in.
func (p *Packing) joined(f setForm, n, longest int, member []byte) setForm {
	if f == setInts {
		if _, ok := canonicalInt(member); ok {
			if n >= p.SetIntset {
				return setHashed
			}
			return setInts
		}
		if longest > p.SetValue {
			return setHashed
		}
		f = setPacked
	}
	if n >= p.SetEntries || len(member) > p.SetValue {
		return setHashed
	}
	return f
}

// expected returns the form of a set of form f that n members are about to be
// added to.
func (p *Packing) expected(f setForm, n int) setForm {
	if f == setInts && n > p.SetIntset || f == setPacked && n > p.SetEntries {
		return setHashed
	}
	return f
}

// first returns the form of a new set that member is the first of n for.
func (p *Packing) first(member []byte, n int) setForm {
	if _, ok := canonicalInt(member); ok && n <= p.SetIntset {
		return setInts
	}
	return p.expected(setPacked, n)
}

// Expect says that so many members are about to be added, the given one first.
// As in Redis it decides the form.
func (s *Set) Expect(first []byte, n int) {
	p := s.tx.packing()
	if s.n == 0 {
		s.form = p.first(first, n)
		return
	}
	s.reform(p.expected(s.form, n))
}

// reform gives a stored set another form. It is no change of the set.
func (s *Set) reform(f setForm) {
	switch {
	case f == s.form:
	case s.big != nil:
		s.big.form = f
	case s.form == setInts:
		s.unpackInts(f)
	default:
		s.tx.blob(s.at)[2] = byte(f)
	}
	s.form = f
}

// unpackInts turns an intset into another form.
func (s *Set) unpackInts(f setForm) {
	wrote := s.wrote
	ints, size := s.ints(), setHead
	for i := range s.n {
		size += (element{size: intSize(ints.at(i))}).total()
	}
	if s.n > setPackedMax || size > setHead+packedMax {
		s.form = f
		s.enlarge()
		s.wrote = wrote
		return
	}
	b := make([]byte, setHead, size)
	binary.LittleEndian.PutUint16(b, uint16(s.n))
	b[2] = byte(f)
	for i := range s.n {
		v := ints.at(i)
		b = element{num: v, size: intSize(v), number: true}.appendTo(b)
	}
	s.rewrite(b)
	s.wrote = wrote
}

// appendTo appends the packed element.
func (e element) appendTo(b []byte) []byte {
	n := len(b)
	b = append(b, make([]byte, e.total())...)
	e.put(b[n:])
	return b
}

// longest returns the most bytes of a member of an intset; members of other
// forms have been looked at when they came.
func (s *Set) longest() int {
	if s.form != setInts || s.big != nil || s.n == 0 {
		return 0
	}
	ints := s.ints()
	var room numberText
	return max(len(strconv.AppendInt(room[:0], ints.at(0), 10)), len(strconv.AppendInt(room[:0], ints.at(s.n-1), 10)))
}

// Add adds a member and reports whether it is new.
func (s *Set) Add(member []byte) bool {
	p := s.tx.packing()
	if s.big != nil {
		if _, created := s.big.t.put(member, nil); !created {
			return false
		}
		s.reform(p.joined(s.form, s.n, 0, member))
		s.n++
		s.wrote = true
		return true
	}
	if s.Has(member) {
		return false
	}
	if s.n == 0 {
		if s.form == setInts {
			s.form = p.first(member, 1)
		}
	}
	f := p.joined(s.form, s.n, s.longest(), member)
	if s.live {
		s.reform(f)
	}
	s.form = f
	if s.big != nil || !s.addPacked(member) {
		if s.big == nil {
			s.enlarge()
		}
		s.big.t.put(member, nil)
		s.n++
	}
	s.wrote = true
	return true
}

// addPacked adds a new member to a blob, or makes one, and reports false if it
// would be too long.
func (s *Set) addPacked(member []byte) bool {
	if s.form == setInts {
		return s.addInt(member)
	}
	e := pack(member)
	old := len(s.packed())
	if s.n >= setPackedMax || old+e.total() > packedMax {
		return false
	}
	b := s.stretch(e.total())
	e.put(b[setHead+old:])
	return true
}

// stretch makes room for n more bytes of a member behind those of a blob, which
// it makes if there is none, and counts the member.
func (s *Set) stretch(n int) []byte {
	if !s.live {
		var room [128]byte
		b := room[:]
		if setHead+n > len(b) {
			b = make([]byte, setHead+n)
		}
		s.n = 1
		binary.LittleEndian.PutUint16(b, 1)
		b[2] = byte(s.form)
		s.tx.putBlob(s.key, KindSet, b[:setHead+n])
		s.told = true
		s.reopen()
		return s.tx.blob(s.at)
	}
	s.n++
	at, b := s.tx.growBlob(s.at, len(s.tx.blob(s.at))+n)
	s.at = at
	binary.LittleEndian.PutUint16(b, uint16(s.n))
	return b
}

func (s *Set) addInt(member []byte) bool {
	if s.n >= setIntsMax {
		return false
	}
	v, _ := canonicalInt(member)
	ints := s.ints()
	if w := intWidth(v); w > ints.width || s.n == 0 {
		if s.n > 0 {
			s.rewrite(append(append([]byte(nil), s.tx.blob(s.at)[:setHead]...), ints.widened(0, w)...))
		}
		ints.width = w
	}
	w := ints.width
	i, _ := intset{s.packed(), w}.find(v)
	old := len(s.packed())
	b := s.stretch(w)[setHead:]
	copy(b[(i+1)*w:], b[i*w:old])
	intset{b, w}.set(i, v)
	return true
}

// enlarge turns a packed or absent set into a largeSet.
func (s *Set) enlarge() {
	big := &largeSet{t: newTable(s.tx.store), form: s.form}
	stored := *s
	if s.live {
		stored.form = setForm(s.tx.blob(s.at)[2])
	}
	stored.Each(func(m []byte) bool {
		big.t.put(m, nil)
		return true
	})
	if s.live {
		s.at.c.replace(&s.at, s.key, value{kind: KindSet, object: big}, s.at.clock())
	} else {
		s.tx.putObject(s.key, big)
		s.told = true
	}
	s.reopen()
}

// HasRoom reports whether n more members of so many bytes in all surely fit.
func (s *Set) HasRoom(n int, size int64) bool { return s.big == nil || s.big.t.hasRoom(n, size) }

// SetBuilder collects members for a set that is stored whole or only read once.
// Store or Discard ends it.
type SetBuilder struct {
	tx  *Tx
	set *largeSet
}

// NewSetBuilder returns an empty builder.
func (tx *Tx) NewSetBuilder() *SetBuilder {
	return &SetBuilder{tx, &largeSet{t: newTable(tx.store)}}
}

// Len returns the number of members.
func (b *SetBuilder) Len() int { return b.set.t.len() }

// Has reports whether a member was added.
func (b *SetBuilder) Has(member []byte) bool { return b.set.t.find(member) != 0 }

// Add adds a member and reports whether it is new.
func (b *SetBuilder) Add(member []byte) bool {
	n := b.Len()
	if _, created := b.set.t.put(member, nil); !created {
		return false
	}
	p := b.tx.packing()
	if n == 0 {
		b.set.form = p.first(member, 1)
	}
	b.set.form = p.joined(b.set.form, n, 0, member)
	return true
}

// HasRoom reports whether n more members of so many bytes in all surely fit.
func (b *SetBuilder) HasRoom(n int, size int64) bool { return b.set.t.hasRoom(n, size) }

// Discard gives back the memory.
func (b *SetBuilder) Discard() { b.set.release() }

// Store makes the members the value of key, whatever it was, without an expiry,
// and returns how many there are. If there are none, key is removed.
func (b *SetBuilder) Store(key []byte) int {
	n := b.Len()
	if n == 0 {
		b.tx.Delete(key)
	} else {
		b.tx.put(key, b.value(), 0)
	}
	return n
}

// value returns the set in the form that its size asks for.
func (b *SetBuilder) value() value {
	if packed := b.set.pack(); packed != nil {
		b.set.release()
		return value{kind: KindSet, bytes: packed}
	}
	return value{kind: KindSet, object: b.set}
}
