package store

import (
	"bytes"
	"encoding/binary"
	"hash"
	"math"
)

// ZSet is a handle on the sorted set of a key: members with scores, ordered by
// score and, among equal ones, by their bytes. It is valid until the next write
// in the key's shard that does not go through it.
//
// Add, Remove and RemoveSpan may be called several times; Done then records
// them as one change and removes a set that has become empty.
type ZSet struct {
	tx    *Tx
	key   []byte
	at    slot
	n     int
	live  bool // the key exists
	wrote bool // Done has something to record
	told  bool // the change that Done would record is in the list: the creation
	big   *sortedSet
}

// A packed sorted set is a blob of the shard's arena:
//
//	2 bytes    members
//	1 byte     1 if OBJECT ENCODING calls it a skip list
//	members and scores by turns, in order, as elements of Redis' listpack
const (
	zsetHead      = 3
	zsetPackedMax = 128 // members: more would make looking for one slow
)

// ZSetOf returns a handle on key's sorted set. Its Len is 0 if key is absent:
// adding then creates it.
func (tx *Tx) ZSetOf(key []byte, a Access) (ZSet, error) {
	z := ZSet{tx: tx, key: key}
	s, ok := tx.find(key, a)
	if !ok {
		return z, nil
	}
	if tx.kindOf(s) != KindZSet {
		return z, ErrWrongType
	}
	z.open(s)
	return z, nil
}

func (z *ZSet) open(s slot) {
	z.at, z.live = s, true
	if o := z.tx.object(s); o != nil {
		z.big = o.(*sortedSet)
		z.n = z.big.Len()
		return
	}
	z.big = nil
	z.n = int(binary.LittleEndian.Uint16(z.tx.blob(s)))
}

// Len returns the number of members, 0 if the key is absent.
func (z *ZSet) Len() int { return z.n }

// Encoding returns the name that OBJECT ENCODING of Redis 7.2 gives the set.
func (z *ZSet) Encoding() string {
	if z.named() {
		return "skiplist"
	}
	return "listpack"
}

func (z *ZSet) named() bool {
	if z.big != nil {
		return z.big.named
	}
	return z.live && z.tx.blob(z.at)[2] != 0
}

// pairs returns the packed members and scores.
func (z *ZSet) pairs() zpairs {
	if !z.live {
		return nil
	}
	return zpairs(z.tx.blob(z.at)[zsetHead:])
}

// Score returns the score of a member; false if there is no such member.
func (z *ZSet) Score(member []byte) (float64, bool) {
	if z.big != nil {
		return z.big.score(member)
	}
	b := z.pairs()
	at, _ := b.find(member)
	if at < 0 {
		return 0, false
	}
	return b.score(at), true
}

// Rank returns how many members stand before one, and its score; false if there
// is no such member.
func (z *ZSet) Rank(member []byte) (rank int, score float64, ok bool) {
	if z.big != nil {
		return z.big.rank(member)
	}
	b := z.pairs()
	at, rank := b.find(member)
	if at < 0 {
		return 0, 0, false
	}
	return rank, b.score(at), true
}

// ByRank visits the members of ranks from up to, not including, to until visit
// returns false: the last first if back is true. The ranks must exist. The
// bytes are valid during the visit.
func (z *ZSet) ByRank(from, to int, back bool, visit func(member []byte, score float64) bool) {
	switch {
	case from >= to:
	case z.big != nil:
		z.big.byRank(from, to, back, visit)
	default:
		z.pairs().byRank(z.n, from, to, back, &z.tx.number, visit)
	}
}

// ScoreRange is an interval of scores; an open end is not part of it.
type ScoreRange struct {
	Min, Max         float64
	MinOpen, MaxOpen bool
}

// before reports whether a score lies before the range, behind whether it lies
// behind it.
func (r *ScoreRange) before(score float64) bool {
	return score < r.Min || r.MinOpen && score == r.Min
}

func (r *ScoreRange) behind(score float64) bool {
	return score > r.Max || r.MaxOpen && score == r.Max
}

// LexBound is an end of a LexRange: a text, open or not, or beyond all texts.
type LexBound struct {
	Text []byte
	Open bool
	All  int8 // -1: before every text, 1: behind every one
}

// LexRange is an interval of members, compared by their bytes.
type LexRange struct{ Min, Max LexBound }

func (r *LexRange) before(member []byte) bool { return r.Min.compare(member, -1) < 0 }
func (r *LexRange) behind(member []byte) bool { return r.Max.compare(member, 1) > 0 }

// compare tells where member stands to the bound; open is the side that a
// member equal to an open bound is counted to.
func (b *LexBound) compare(member []byte, open int) int {
	if b.All != 0 {
		return -int(b.All)
	}
	c := bytes.Compare(member, b.Text)
	if c == 0 && b.Open {
		return open
	}
	return c
}

// SpanScore returns the ranks [from, to) of the members with scores in r.
func (z *ZSet) SpanScore(r ScoreRange) (from, to int) {
	if z.big != nil {
		from, to = z.big.spanScore(&r)
	} else {
		from, to = z.pairs().spanScore(&r)
	}
	return from, max(from, to)
}

// SpanLex returns the ranks [from, to) of the members in r. It is meant for
// sets whose scores are all equal. Where they are not, a packed set gives the
// ranks that Redis would: looking from the end if back is true.
func (z *ZSet) SpanLex(r LexRange, back bool) (from, to int) {
	if z.big != nil {
		from, to = z.big.spanLex(&r)
	} else {
		from, to = z.pairs().spanLex(&r, z.n, back, &z.tx.number)
	}
	return from, max(from, to)
}

// ZAddMode holds the options of ZADD.
type ZAddMode uint8

// The options of ZADD.
const (
	ZAddNX   ZAddMode = 1 << iota // only new members
	ZAddXX                        // only members that are there
	ZAddGT                        // only scores greater than the present one
	ZAddLT                        // only scores less than the present one
	ZAddIncr                      // the score is added to the present one
)

// ZAddEffect is what Add did.
type ZAddEffect uint8

// The effects of Add.
const (
	ZRefused ZAddEffect = iota // the mode does not allow it
	ZKept                      // the score was the same
	ZAdded
	ZRescored
	ZNaN // the sum is not a number: nothing was done
)

// Add adds a member or changes its score, which is no NaN. It returns the
// member's new score.
func (z *ZSet) Add(member []byte, score float64, mode ZAddMode) (ZAddEffect, float64) {
	if z.big != nil {
		return z.addLarge(member, score, mode)
	}
	b := z.pairs()
	at, _ := b.find(member)
	if at < 0 {
		if mode&ZAddXX != 0 {
			return ZRefused, 0
		}
		z.insert(member, score)
		return ZAdded, score
	}
	old := b.score(at)
	effect, score := mode.rescore(old, score)
	if effect == ZRescored {
		z.rescore(at, member, score)
	}
	return effect, score
}

// rescore decides about a member that is there.
func (mode ZAddMode) rescore(old, score float64) (ZAddEffect, float64) {
	if mode&ZAddNX != 0 {
		return ZRefused, 0
	}
	if mode&ZAddIncr != 0 {
		if score += old; math.IsNaN(score) {
			return ZNaN, 0
		}
	}
	switch {
	case mode&ZAddGT != 0 && score <= old, mode&ZAddLT != 0 && score >= old:
		return ZRefused, 0
	case score == old:
		return ZKept, old
	}
	return ZRescored, score
}

// HasRoom reports whether n more members of so many bytes in all surely fit.
func (z *ZSet) HasRoom(n int, size int64) bool {
	return z.big == nil || z.big.members.hasRoom(n, size+int64(n)*scoreBytes)
}

func (z *ZSet) addLarge(member []byte, score float64, mode ZAddMode) (ZAddEffect, float64) {
	e, old := z.big.find(member)
	if e == 0 {
		if mode&ZAddXX != 0 {
			return ZRefused, 0
		}
		z.big.named = z.big.named || z.names(member)
		z.big.insert(member, kept(score, z.big.named))
		z.n++
		z.wrote = true
		return ZAdded, score
	}
	effect, score := mode.rescore(old, score)
	if effect == ZRescored {
		z.big.rescore(e, old, kept(score, z.big.named))
		z.wrote = true
	}
	return effect, score
}

// names reports whether Redis would make a skip list of the set when member
// comes in.
func (z *ZSet) names(member []byte) bool {
	p := z.tx.packing()
	return z.n >= p.ZSetEntries || len(member) > p.ZSetValue
}

// kept returns the score that is stored: Redis' listpack has no negative zero.
func kept(score float64, named bool) float64 {
	if !named && score == 0 {
		return 0
	}
	return score
}

// insert adds a new member to a packed or absent set.
func (z *ZSet) insert(member []byte, score float64) {
	named := z.named() || z.names(member)
	score = kept(score, named)
	var text scoreText
	m, s := pack(member), packScore(score, &text)
	if z.n >= zsetPackedMax || len(z.pairs())+m.total()+s.total() > packedMax {
		z.enlarge(named)
		z.big.insert(member, score)
		z.n++
		return
	}
	if !z.live {
		z.create(m, s, named)
		return
	}
	z.edit(0, 0, z.pairs().place(score, member), m, s, z.n+1)
	if named {
		z.tx.blob(z.at)[2] = 1
	}
}

// create stores a set of one member under the absent key.
func (z *ZSet) create(m, s element, named bool) {
	var room [128]byte
	b := room[:]
	n := zsetHead + m.total() + s.total()
	if n > len(b) {
		b = make([]byte, n)
	}
	b = b[:n]
	binary.LittleEndian.PutUint16(b, 1)
	if named {
		b[2] = 1
	}
	at := zsetHead + m.put(b[zsetHead:])
	s.put(b[at:])
	z.tx.putBlob(z.key, KindZSet, b)
	z.told = true
	z.reopen()
}

// reopen finds the value again after it was stored anew.
func (z *ZSet) reopen() {
	if s, ok := z.tx.find(z.key, Peek); ok {
		z.open(s)
	}
	z.wrote = true
}

// rescore gives the packed member at an offset another score.
func (z *ZSet) rescore(at int, member []byte, score float64) {
	b := z.pairs()
	to := b.end(at)
	score = kept(score, z.named())
	var text scoreText
	m, s := pack(member), packScore(score, &text)
	if len(b)-(to-at)+m.total()+s.total() > packedMax {
		old := b.score(at)
		z.enlarge(z.named())
		e, _ := z.big.find(member)
		z.big.rescore(e, old, score)
		return
	}
	place := b.placeWithout(score, member, at, to)
	if place > at {
		place -= to - at
	}
	z.edit(at, to, place, m, s, z.n)
}

// edit removes the pair at [from, to), unless that is empty, and puts another
// in at place, an offset as it is then. The set then has count members.
func (z *ZSet) edit(from, to, place int, m, s element, count int) {
	old := len(z.pairs())
	left := old - (to - from)
	size := left + m.total() + s.total()
	if size > old {
		z.at, _ = z.tx.growBlob(z.at, zsetHead+size)
	}
	b := z.tx.blob(z.at)
	p := b[zsetHead:]
	copy(p[from:], p[to:old])
	n := size - left
	copy(p[place+n:], p[place:left])
	s.put(p[place+m.put(p[place:]):])
	binary.LittleEndian.PutUint16(b, uint16(count))
	if size < old {
		z.at, _ = z.tx.growBlob(z.at, zsetHead+size)
	}
	z.n = count
	z.wrote = true
}

// cut removes n packed pairs at [from, to).
func (z *ZSet) cut(from, to, n int) {
	b := z.tx.blob(z.at)
	copy(b[zsetHead+from:], b[zsetHead+to:])
	z.n -= n
	binary.LittleEndian.PutUint16(b, uint16(z.n))
	z.at, _ = z.tx.growBlob(z.at, len(b)-(to-from))
	z.wrote = true
}

// enlarge turns a packed or absent set into a sortedSet.
func (z *ZSet) enlarge(named bool) {
	big := newSortedSet(z.tx.store)
	big.named = named
	z.pairs().byRank(z.n, 0, z.n, false, &z.tx.number, func(member []byte, score float64) bool {
		big.insert(member, score)
		return true
	})
	if z.live {
		z.at.c.replace(&z.at, z.key, value{kind: KindZSet, object: big}, z.at.clock())
	} else {
		z.tx.putObject(z.key, big)
		z.told = true
	}
	z.reopen()
}

// Remove removes a member and reports whether it was there.
func (z *ZSet) Remove(member []byte) bool {
	if z.big != nil {
		if !z.big.remove(member) {
			return false
		}
		z.n--
		z.wrote = true
		return true
	}
	b := z.pairs()
	at, _ := b.find(member)
	if at < 0 {
		return false
	}
	z.cut(at, b.end(at), 1)
	return true
}

// RemoveSpan removes the members of ranks [from, to), which must exist.
func (z *ZSet) RemoveSpan(from, to int) {
	switch {
	case from >= to:
	case z.big != nil:
		z.big.removeSpan(from, to)
		z.n -= to - from
		z.wrote = true
	default:
		b := z.pairs()
		first := skip(b, 2*z.n, 2*from)
		z.cut(first, skip(b, 2*z.n, 2*to), to-from)
	}
}

// Pop removes up to n members, the first ones or, if back is true, the last
// ones, and visits each before it goes. The bytes are valid during the visit.
func (z *ZSet) Pop(back bool, n int, visit func(member []byte, score float64)) {
	from, to := 0, min(n, z.n)
	if back {
		from, to = z.n-to, z.n
	}
	z.ByRank(from, to, back, func(m []byte, s float64) bool { visit(m, s); return true })
	z.RemoveSpan(from, to)
	if z.big != nil {
		z.big.fetchNext(back)
	}
}

// Done records what was changed since the handle was made, and removes a set
// without members. A large set that has got small is packed again.
func (z *ZSet) Done() {
	if !z.wrote {
		return
	}
	z.wrote = false
	if z.big != nil {
		if z.n > 0 && z.big.packs() {
			z.packAll()
		} else {
			z.tx.settle(&z.at)
		}
	}
	if !z.told {
		z.tx.changed(z.key, KindZSet, Changed)
	}
	z.told = false
	if z.n == 0 {
		z.tx.remove(z.key, Emptied)
		z.live, z.big = false, nil
	}
}

func (z *ZSet) packAll() {
	b := z.big.packed()
	z.at.c.replace(&z.at, z.key, value{kind: KindZSet, bytes: b}, z.at.clock())
	z.open(z.at)
}

// Scan visits some members from cursor on, at least count if there are as many,
// and returns the next cursor, 0 at the end, with the guarantees of Tx.Scan. A
// packed set is visited whole.
func (z *ZSet) Scan(cursor uint64, count int, visit func(member []byte, score float64)) uint64 {
	if z.big != nil {
		return z.big.scan(cursor, count, visit)
	}
	z.ByRank(0, z.n, false, func(m []byte, s float64) bool { visit(m, s); return true })
	return 0
}

// digest adds members and scores in order.
func (z *ZSet) digest(h hash.Hash) {
	var bits [8]byte
	z.ByRank(0, z.n, false, func(member []byte, score float64) bool {
		part(h, member)
		binary.LittleEndian.PutUint64(bits[:], math.Float64bits(score))
		h.Write(bits[:])
		return true
	})
}
