package store

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"hash"
	"maps"
	"strconv"
)

// Fields of hashes that expire. A packed hash keeps the times beside the values,
// and every shard has a heap of such hashes by the time of the earliest field,
// or of one that was earlier: a field that loses its time leaves the heap as it
// is. A large hash has a heap of its fields, and an alarm for the first.

// Deadline returns when a field expires in unix milliseconds, -1 if it does
// not; ok is false if there is no such field.
func (h *Hash) Deadline(field []byte) (at int64, ok bool) {
	if h.big != nil {
		e := h.big.find(field, h.tx.Now)
		if e == 0 {
			return 0, false
		}
		at = h.big.times.at(e)
	} else {
		p := h.pairs()
		i := p.find(field)
		if i < 0 {
			return 0, false
		}
		if p.timed {
			_, at = p.time(i + span(p.b[i:]))
		}
	}
	return orNever(at), true
}

// ExpireAt makes a field expire at the given time in unix milliseconds, 0 for
// never, and reports whether there is such a field. It removes nothing: a time
// gone by is the caller's affair.
func (h *Hash) ExpireAt(field []byte, at int64) bool {
	if h.big == nil {
		p := h.pairs()
		i := p.find(field)
		if i < 0 {
			return false
		}
		h.wrote = true
		if !p.timed {
			if at == 0 {
				return true
			}
			h.makeTimed()
			if h.big == nil {
				i = h.pairs().find(field)
			}
		}
		if h.big == nil && h.setTime(i+span(h.pairs().b[i:]), at) {
			h.schedule(at)
			return true
		}
	}
	e := h.big.find(field, h.tx.Now)
	if e == 0 {
		return false
	}
	h.wrote = true
	if at != 0 {
		h.big.state |= hashTimed
	}
	h.big.times.set(e, at)
	return true
}

// EachTimed is Each with the unix milliseconds at which the fields expire, -1 for
// those that do not.
func (h *Hash) EachTimed(visit func(field, value []byte, at int64) bool) {
	if h.big != nil {
		l := h.big
		due := l.due(h.tx.Now)
		l.t.each(func(e elem) bool {
			return l.overdue(e, due, h.tx.Now) || visit(l.t.key(e), l.t.value(e), orNever(l.times.at(e)))
		})
		return
	}
	p := h.pairs()
	for at := 0; at < len(p.b); {
		value, when := at+span(p.b[at:]), int64(0)
		if p.timed {
			_, when = p.time(value)
		}
		if !visit(unpack(p.b[at:], &h.tx.field), unpack(p.b[value:], &h.tx.number), orNever(when)) {
			return
		}
		at = p.behind(value)
	}
}

// orNever turns the stored form of no time into that of ExpireTime.
func orNever(at int64) int64 {
	if at == 0 {
		return -1
	}
	return at
}

// digest adds fields, values and times, in any order.
func (h *Hash) digest(sum hash.Hash) {
	var all [sha1.Size]byte
	h.EachTimed(func(field, value []byte, at int64) bool {
		one := sha1.New()
		part(one, field)
		part(one, value)
		part(one, strconv.AppendInt(nil, at, 10))
		for i, b := range one.Sum(nil) {
			all[i] ^= b
		}
		return true
	})
	sum.Write(all[:])
}

// timeElement is the packed form of a time; 0 is none.
func timeElement(at int64) element { return element{num: at, size: intSize(at), number: true} }

// setTime sets the time of the pair of a packed hash whose value is at an
// offset. It reports false if the hash is large then, and nothing set.
func (h *Hash) setTime(value int, at int64) bool {
	p := h.pairs()
	from, old := p.time(value)
	return old == at || h.replace(from, from+span(p.b[from:]), timeElement(at))
}

// makeTimed makes room for times in a packed hash, which may become large.
func (h *Hash) makeTimed() {
	blob := h.tx.blob(h.at)
	p := pairsOf(blob)
	if len(p.b)+h.n*noTime.total() > packedMax {
		h.unpackAll()
		return
	}
	b := make([]byte, hashTimedHead, hashTimedHead+len(p.b)+h.n*noTime.total())
	b[0], b[1] = blob[0]|hashTimed, blob[1]
	binary.LittleEndian.PutUint32(b[hashHead:], noPlace)
	for at := 0; at < len(p.b); {
		end := p.behind(at + span(p.b[at:]))
		b = appendPacked(append(b, p.b[at:end]...), noTime)
		at = end
	}
	h.at, blob = h.tx.growBlob(h.at, len(b))
	copy(blob, b)
}

// schedule lets the shard look at a packed hash at the given time, 0 for never,
// or before.
func (h *Hash) schedule(at int64) {
	if at == 0 {
		return
	}
	c := h.at.c
	c.dirty = true
	place, ok := c.fieldPlace(h.at.entry)
	switch {
	case !ok:
		c.hashes.push((*hashesOf)(c), at, h.at.ref())
	case at < c.hashes.at(place).when():
		c.hashes.change((*hashesOf)(c), place, at)
	}
}

// hashesOf says where the packed hashes in a shard's heap keep their places.
type hashesOf contents

func (c *hashesOf) setPlace(r ref, i uint32) { (*contents)(c).entry(r).setFieldPlace(i) }

// placeAt is where a packed hash with times keeps its place in the heap.
func (e entry) placeAt() []byte { return e.bytes(e.valueAt()+hashHead, 4) }

func (e entry) setFieldPlace(i uint32) { binary.LittleEndian.PutUint32(e.placeAt(), i) }

// noPlace stands for a hash that is not in the heap.
const noPlace = 1<<32 - 1

// isTimed reports whether e is a packed hash with times.
func (e entry) isTimed() bool {
	return e.flags()&(kindMask|flagObject) == byte(KindHash) && e.bytes(e.valueAt(), 1)[0]&hashTimed != 0
}

// fieldPlace returns the place of a packed hash in the heap of its shard; false
// if it is not there.
func (c *contents) fieldPlace(e entry) (uint32, bool) {
	if c.hashes.n == 0 || !e.isTimed() {
		return 0, false
	}
	place := binary.LittleEndian.Uint32(e.placeAt())
	return place, place != noPlace
}

// enroll takes a value that was just stored into the heap if it is a packed hash
// with fields that expire.
func (c *contents) enroll(r ref) {
	e := c.entry(r)
	if !e.isTimed() {
		return
	}
	e.setFieldPlace(noPlace)
	if at := e.firstDeadline(); at != 0 {
		c.hashes.push((*hashesOf)(c), at, r)
		c.dirty = true
	}
}

// dismiss takes a value that is about to go out of the heap.
func (c *contents) dismiss(e entry) {
	if place, ok := c.fieldPlace(e); ok {
		e.setFieldPlace(noPlace)
		c.hashes.remove((*hashesOf)(c), place)
		c.dirty = true
	}
}

// relocated tells the heap that a value is now at r.
func (c *contents) relocated(e entry, r ref) {
	if place, ok := c.fieldPlace(e); ok {
		c.hashes.at(place).ref = r
	}
}

// firstDeadline returns the earliest time of a packed hash with times, 0 if
// there is none.
func (e entry) firstDeadline() (first int64) {
	p := pairsOf(e.value())
	for at := 0; at < len(p.b); {
		value := at + span(p.b[at:])
		if _, when := p.time(value); when != 0 && (first == 0 || when < first) {
			first = when
		}
		at = p.behind(value)
	}
	return first
}

// largeHashOf returns the value of e if it is a large hash, else nil.
func (c *contents) largeHashOf(e entry) *largeHash {
	if e.flags()&(kindMask|flagObject) != byte(KindHash)|flagObject {
		return nil
	}
	l, _ := c.records.at(e.record()).object.(*largeHash)
	return l
}

// fieldsDue reports whether the time of a field of e may have come.
func (c *contents) fieldsDue(e entry, now int64) bool {
	if l := c.largeHashOf(e); l != nil {
		return l.due(now)
	}
	place, ok := c.fieldPlace(e)
	return ok && c.hashes.at(place).when() <= now
}

// allFieldsDue reports whether e is a hash with no fields left but those whose
// time has come.
func (c *contents) allFieldsDue(e entry, now int64) bool {
	if e.kind() != KindHash || !c.fieldsDue(e, now) {
		return false
	}
	if l := c.largeHashOf(e); l != nil {
		return l.dueCount(now) == l.t.len()
	}
	p := pairsOf(e.value())
	for at := 0; at < len(p.b); {
		value := at + span(p.b[at:])
		if _, when := p.time(value); when == 0 || when > now {
			return false
		}
		at = p.behind(value)
	}
	return true
}

// lazyFields is how many fields of a large hash a look-up removes; the others
// whose time has come are passed over until active expiry has removed them.
const lazyFields = 200

// expireFields removes up to most fields of the hash at s whose time has come,
// all of a packed one, and the key with its last field. It returns how many,
// and where the hash is then; false if it is gone.
func (tx *Tx) expireFields(s slot, most int) (slot, int, bool) {
	s.c.preserve(s)
	h := Hash{tx: tx, key: bytes.Clone(s.c.key(s.entry))}
	h.open(s)
	var fields [][]byte
	var flat []byte
	gather := func(field []byte) {
		from := len(flat)
		flat = append(flat, field...)
		fields = append(fields, flat[from:len(flat):len(flat)])
	}
	if h.big != nil {
		h.big.expire(tx.Now, most, gather)
		h.n = h.big.t.len()
		tx.settle(&h.at)
	} else {
		h.expirePacked(gather)
	}
	if len(fields) > 0 {
		tx.store.expiredFields.Add(int64(len(fields)))
		tx.changedAs(h.key, KindHash, FieldsExpired, "hexpired")
		tx.changes[len(tx.changes)-1].Fields = fields
	}
	if h.n > 0 {
		return h.at, len(fields), true
	}
	tx.changedAs(h.key, KindHash, Emptied, "del")
	s.c.delete(h.at)
	return slot{}, len(fields), false
}

// expireHashes removes up to budget fields of packed hashes whose time has come
// and returns what is left of the budget.
func (tx *Tx) expireHashes(c *contents, budget int) int {
	for budget > 0 && c.hashes.n > 0 && c.hashes.first() <= tx.Now {
		_, n, _ := tx.expireFields(c.slotOf(c.hashes.at(0).ref), budget)
		budget -= max(1, n)
	}
	return budget
}

// expirePacked removes the fields of a packed hash whose time has come.
func (h *Hash) expirePacked(gone func(field []byte)) {
	p := h.pairs()
	w, n := 0, h.n
	for at := 0; at < len(p.b); {
		value := at + span(p.b[at:])
		end := p.behind(value)
		if _, when := p.time(value); when != 0 && when <= h.tx.Now {
			gone(unpack(p.b[at:], &h.tx.field))
			n--
		} else {
			w += copy(p.b[w:], p.b[at:end])
		}
		at = end
	}
	if n < h.n {
		h.at, _ = h.tx.growBlob(h.at, hashTimedHead+w)
		h.count(n)
	}
	c := h.at.c
	c.dirty = true
	place, _ := c.fieldPlace(h.at.entry)
	if at := h.at.firstDeadline(); at != 0 {
		c.hashes.change((*hashesOf)(c), place, at)
	} else {
		c.dismiss(h.at.entry)
	}
}

// Due returns when a field expires next, 0 for never.
func (l *largeHash) Due() int64 { return l.times.heap.first() }

// fire removes up to budget fields whose time has come.
func (l *largeHash) fire(tx *Tx, key []byte, budget int) int {
	sh, hash := tx.shardOf(key)
	s, _ := sh.data.lookup(hash, key)
	_, n, _ := tx.expireFields(s, budget)
	return n
}

// expire removes up to most fields whose time has come.
func (l *largeHash) expire(now int64, most int, gone func(field []byte)) {
	for ; most > 0 && l.due(now); most-- {
		e := elem(l.times.heap.at(0).ref)
		gone(l.t.key(e))
		l.times.set(e, 0)
		l.t.removeElem(e)
	}
}

// fieldTimes is when fields of a large hash expire: a heap of elements, and the
// places of the elements there.
type fieldTimes struct {
	heap   deadlines
	places map[elem]uint32
	from   blocks
}

func (f *fieldTimes) setPlace(r ref, i uint32) { f.places[elem(r)] = i }

// at returns when e expires, 0 if it does not.
func (f *fieldTimes) at(e elem) int64 {
	if f.heap.n == 0 {
		return 0
	}
	i, ok := f.places[e]
	if !ok {
		return 0
	}
	return f.heap.at(i).when()
}

// set makes e expire at the given time, 0 for never.
func (f *fieldTimes) set(e elem, at int64) {
	i, ok := f.places[e]
	switch {
	case ok && at != 0:
		f.heap.change(f, i, at)
	case ok:
		if delete(f.places, e); len(f.places) == 0 {
			f.release()
			return
		}
		f.heap.remove(f, i)
	case at != 0:
		if f.places == nil {
			f.places = make(map[elem]uint32)
			f.heap.items = array{item: uintptr(deadlineBytes), first: fieldItems, from: f.from}
		}
		f.heap.push(f, at, ref(e))
	}
}

// fieldItems is log2 of the times in the first segment of a heap.
const fieldItems = 4

// moved is told that an element has another reference.
func (f *fieldTimes) moved(from, to elem) {
	if i, ok := f.places[from]; ok {
		delete(f.places, from)
		f.places[to] = i
		f.heap.at(i).ref = ref(to)
	}
}

// release gives all memory back; no element expires then.
func (f *fieldTimes) release() {
	f.heap.items.release()
	f.heap.n, f.places = 0, nil
}

func (f *fieldTimes) clone() fieldTimes {
	c := *f
	c.places = maps.Clone(f.places)
	c.heap.items = f.heap.items.clone()
	return c
}

func (f *fieldTimes) bytes() int64 { return f.heap.items.held + f.mapBytes() }

// mapBytes estimates the memory of the map: groups of eight 4-byte keys and
// values with 8 bytes of control, at most 7/8 full.
func (f *fieldTimes) mapBytes() int64 { return int64(len(f.places)) * 14 }
