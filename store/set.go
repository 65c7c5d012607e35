package store

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"hash"
	"strconv"
	"unsafe"
)

// Set is a handle on the set of a key. It is valid until the next write in the
// key's shard that does not go through it.
//
// The methods that change the set may be called several times; Done then
// records them as one change and removes a set that has become empty.
type Set struct {
	tx    *Tx
	key   []byte
	at    slot
	n     int
	form  setForm
	live  bool // the key exists
	wrote bool // Done has something to record
	told  bool // the change that Done would record is in the list: the creation
	big   *largeSet
}

// A packed set is a blob of the shard's arena:
//
//	2 bytes    members
//	1 byte     setForm
//	members    as an intset if the form is that, else as elements of Redis'
//	           listpack in the order in which they came
const (
	setHead      = 3
	setPackedMax = 128  // members: more would make looking for one slow
	setIntsMax   = 1024 // members of an intset: more would make adding one slow
	setRepack    = 32   // members below which a large set is packed again
)

// setForm is the form that OBJECT ENCODING names. It only ever grows.
type setForm byte

const (
	setInts setForm = iota // all members are integers
	setPacked
	setHashed
)

var setForms = [...]string{setInts: "intset", setPacked: "listpack", setHashed: "hashtable"}

// SetOf returns a handle on key's set. Its Len is 0 if key is absent: adding
// then creates it.
func (tx *Tx) SetOf(key []byte, a Access) (Set, error) {
	var s Set
	err := tx.OpenSet(&s, key, a)
	return s, err
}

// OpenSet is SetOf with a handle of the caller's, as OpenList.
func (tx *Tx) OpenSet(s *Set, key []byte, a Access) error {
	s.tx, s.key = tx, key
	if s.at, s.live = tx.find(key, a); !s.live {
		return nil
	}
	if s.at.kind() != KindSet {
		s.live = false
		return ErrWrongType
	}
	s.load()
	return nil
}

func (s *Set) open(at slot) {
	s.at, s.live = at, true
	s.load()
}

// load reads what stands at s.at.
func (s *Set) load() {
	if o := s.at.object(); o != nil {
		s.big = o.(*largeSet)
		s.n, s.form = s.big.t.len(), s.big.form
		s.tx.Wide = s.n >= sizable
		return
	}
	b := s.at.value()
	s.big = nil
	s.n, s.form = int(binary.LittleEndian.Uint16(b)), setForm(b[2])
}

// reopen finds the value again after it was stored anew.
func (s *Set) reopen() {
	if at, ok := s.tx.find(s.key, Peek); ok {
		s.open(at)
	}
	s.wrote = true
}

// Len returns the number of members, 0 if the key is absent.
func (s *Set) Len() int { return s.n }

// Encoding returns the name that OBJECT ENCODING of Redis 7.2 gives the set.
func (s *Set) Encoding() string { return setForms[s.form] }

// IsInts reports whether the set is an intset, all of its members integers.
func (s *Set) IsInts() bool { return s.form == setInts }

// packed returns the members of a set that is a blob.
func (s *Set) packed() []byte {
	if !s.live {
		return nil
	}
	return s.tx.blob(s.at)[setHead:]
}

func (s *Set) ints() intset { return intsetOf(s.packed(), s.n) }

// Has reports whether a member is in the set.
func (s *Set) Has(member []byte) bool {
	switch {
	case s.n == 0:
		return false
	case s.big != nil:
		return s.big.t.find(member) != 0
	case s.form == setInts:
		v, ok := canonicalInt(member)
		if ok {
			_, ok = s.ints().find(v)
		}
		return ok
	}
	return findPacked(s.packed(), member) >= 0
}

// findPacked returns the offset of the element of b that is v, -1 if there is
// none.
func findPacked(b, v []byte) int {
	var room [96]byte
	e := pack(v)
	enc := room[:]
	if e.size > len(enc) {
		enc = make([]byte, e.size)
	}
	enc = enc[:e.size]
	e.putHead(enc)
	for at := 0; at < len(b); at += span(b[at:]) {
		if bytes.HasPrefix(b[at:], enc) {
			return at
		}
	}
	return -1
}

// Each visits the members until visit returns false, those of an intset in
// ascending order. The bytes are valid during the visit; visit must not change
// the set.
func (s *Set) Each(visit func(member []byte) bool) {
	switch {
	case s.n == 0:
	case s.big != nil:
		s.big.t.each(func(e elem) bool { return visit(s.big.t.key(e)) })
	case s.form == setInts:
		ints := s.ints()
		for i := range s.n {
			if !visit(strconv.AppendInt(s.tx.number[:0], ints.at(i), 10)) {
				return
			}
		}
	default:
		for b := s.packed(); len(b) > 0; b = b[span(b):] {
			if !visit(unpack(b, &s.tx.number)) {
				return
			}
		}
	}
}

// Scan visits some members from cursor on as table.scan does, or all of a
// packed set, and returns the next cursor, 0 at the end.
func (s *Set) Scan(cursor uint64, count int, visit func(member []byte)) uint64 {
	if s.big != nil {
		return s.big.t.scan(cursor, count, func(key, _ []byte) { visit(key) })
	}
	s.Each(func(m []byte) bool { visit(m); return true })
	return 0
}

// Random visits a random member, each with the same probability; there must be
// one. The bytes are valid until the next write.
func (s *Set) Random(rnd *uint64) []byte {
	if s.big != nil {
		return s.big.t.key(s.big.t.random(rnd))
	}
	return s.nth(int(mix(rnd) % uint64(s.n)))
}

// nth returns member i of a packed set.
func (s *Set) nth(i int) []byte {
	if s.form == setInts {
		return strconv.AppendInt(s.tx.number[:0], s.ints().at(i), 10)
	}
	b := s.packed()
	return unpack(b[skip(b, s.n, i):], &s.tx.number)
}

// Pop removes a random member, there must be one, and visits it before it goes.
func (s *Set) Pop(rnd *uint64, visit func(member []byte)) {
	s.wrote = true
	if s.big != nil {
		e := s.big.t.random(rnd)
		visit(s.big.t.key(e))
		s.big.t.removeElem(e)
		s.n--
		return
	}
	i := int(mix(rnd) % uint64(s.n))
	visit(s.nth(i))
	if s.form == setInts {
		w := s.ints().width
		s.cut(i*w, (i+1)*w)
		return
	}
	b := s.packed()
	at := skip(b, s.n, i)
	s.cut(at, at+span(b[at:]))
}

// Remove removes a member and reports whether it was there.
func (s *Set) Remove(member []byte) bool {
	switch {
	case s.n == 0:
		return false
	case s.big != nil:
		if !s.big.t.remove(member) {
			return false
		}
		s.n--
		s.wrote = true
		return true
	case s.form == setInts:
		v, ok := canonicalInt(member)
		if !ok {
			return false
		}
		ints := s.ints()
		i, ok := ints.find(v)
		if ok {
			s.cut(i*ints.width, (i+1)*ints.width)
		}
		return ok
	}
	b := s.packed()
	at := findPacked(b, member)
	if at < 0 {
		return false
	}
	s.cut(at, at+span(b[at:]))
	return true
}

// cut removes the one packed member that stands at [from, to).
func (s *Set) cut(from, to int) {
	b := s.tx.blob(s.at)
	copy(b[setHead+from:], b[setHead+to:])
	s.n--
	binary.LittleEndian.PutUint16(b, uint16(s.n))
	s.at, _ = s.tx.growBlob(s.at, len(b)-(to-from))
	s.wrote = true
}

// Done records what was done to the set as one change, and removes a set
// without members. A large set that has got small is packed again.
func (s *Set) Done() {
	if !s.wrote {
		return
	}
	s.wrote = false
	if s.big != nil {
		if b := s.big.repacked(); b != nil {
			s.rewrite(b)
		} else {
			s.tx.settle(&s.at)
		}
	}
	if !s.told {
		s.tx.changed(s.key, KindSet, Changed)
	}
	s.told = false
	if s.n == 0 {
		s.tx.remove(s.key, Emptied)
		s.live, s.big = false, nil
	}
}

// rewrite makes b, with its head, the value. It records no change.
func (s *Set) rewrite(b []byte) {
	s.at.c.replace(&s.at, s.key, value{kind: KindSet, bytes: b}, s.at.clock())
	s.open(s.at)
	s.wrote = true
}

// largeSet is a set too large to be packed. It is guarded by the lock of its
// key's shard; whoever changes it settles the accounts.
type largeSet struct {
	t    *table
	form setForm
}

// Kind returns KindSet.
func (l *largeSet) Kind() Kind { return KindSet }

// Len returns the number of members.
func (l *largeSet) Len() int { return l.t.len() }

// Bytes returns the memory held.
func (l *largeSet) Bytes() int64 { return int64(unsafe.Sizeof(*l)) + l.t.bytes() }

func (l *largeSet) heapBytes() int64 { return int64(unsafe.Sizeof(*l)) + l.t.heapBytes() }

// Clone returns a copy.
func (l *largeSet) Clone() Object { return &largeSet{t: l.t.clone(), form: l.form} }

func (l *largeSet) release() { l.t.release() }

func (l *largeSet) releaseSome(n int64) bool { return l.t.releaseSome(n) }

// repacked returns the set as a blob if it is small enough, else nil.
func (l *largeSet) repacked() []byte {
	if n := l.t.len(); n == 0 || n > setRepack {
		return nil
	}
	return l.pack()
}

// pack returns the set as a blob, nil if it may not be one.
func (l *largeSet) pack() (b []byte) {
	if l.form == setInts {
		if l.t.len() > setIntsMax {
			return nil
		}
		all := make([]int64, 0, l.t.len())
		l.t.each(func(e elem) bool {
			v, _ := canonicalInt(l.t.key(e))
			all = append(all, v)
			return true
		})
		b = packedInts(setHead, all)
	} else {
		if l.t.len() > setPackedMax {
			return nil
		}
		b = make([]byte, setHead, 256)
		fits := true
		l.t.each(func(e elem) bool {
			v := pack(l.t.key(e))
			if fits = len(b)+v.total() <= setHead+packedMax; fits {
				b = v.appendTo(b)
			}
			return fits
		})
		if !fits {
			return nil
		}
	}
	binary.LittleEndian.PutUint16(b, uint16(l.t.len()))
	b[2] = byte(l.form)
	return b
}

// Clear removes all members, and so the key.
func (s *Set) Clear() {
	s.tx.changed(s.key, KindSet, Changed)
	s.tx.remove(s.key, Emptied)
	s.n, s.live, s.big = 0, false, nil
}

// drawnMax is up to how many members Sample remembers which ones it has drawn:
// about 3 MiB.
const drawnMax = 1 << 16

// Sample visits n different members, n ≤ Len, each choice of them with the same
// probability, until visit returns false.
func (s *Set) Sample(n int, rnd *uint64, visit func(member []byte) bool) {
	if s.big != nil && n <= drawnMax && n <= s.n/3 {
		drawn := make(map[elem]struct{}, n)
		for len(drawn) < n {
			e := s.big.t.random(rnd)
			if _, ok := drawn[e]; ok {
				continue
			}
			drawn[e] = struct{}{}
			if !visit(s.big.t.key(e)) {
				return
			}
		}
		return
	}
	left := s.n // D. Knuth, TAOCP 3.4.2, algorithm S
	s.Each(func(m []byte) bool {
		if mix(rnd)%uint64(left) < uint64(n) {
			n--
			if !visit(m) {
				return false
			}
		}
		left--
		return n > 0
	})
}

// digest adds the members to h, in any order.
func (s *Set) digest(h hash.Hash) {
	var sum [sha1.Size]byte
	s.Each(func(m []byte) bool {
		for i, b := range sha1.Sum(m) {
			sum[i] ^= b
		}
		return true
	})
	h.Write(sum[:])
}
