package store

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// dict is the index of a shard, and of a large hash, set or sorted set: a linear hash table (W. Litwin, 1980) of
// 64-byte buckets. A key's bucket is given by the low bits of its hash and
// entries never stray into a neighbour, so growing splits one bucket at a time
// and SCAN can walk the buckets without any state. What does not fit a bucket
// goes to overflow buckets linked to it.
type dict struct {
	buckets  array  // of bucket
	overflow array  // of bucket, numbered from 1
	n        uint32 // buckets in use
	low      uint32 // 1<<k - 1 with 1<<k ≤ n < 1<<(k+1)
	chained  uint32 // overflow buckets
	count    int    // entries
}

const (
	bucketSlots = 12
	keyBuckets  = 6 // log2 of the buckets in the first segment of a shard's index: 4 KiB
	splitAt     = 9 // mean entries a bucket above which one is split
	mergeAt     = 4 // … below which two are merged
)

// bucket is one cache line: a byte of each entry's hash, the references, the
// number of the next overflow bucket. Tag 0 is a free place.
type bucket struct {
	tags [bucketSlots]uint8
	refs [bucketSlots]ref
	next uint32
}

const bucketBytes = int64(unsafe.Sizeof(bucket{}))

const (
	everyByte = 0x0101010101010101
	highBits  = 0x8080808080808080
)

// tagOf takes a byte of the hash that neither shard nor bucket depend on.
func tagOf(h uint64) uint8 {
	if t := uint8(h >> 40); t != 0 {
		return t
	}
	return 1
}

// init makes d an empty table whose buckets come from b, the first of them in
// a segment of 1<<first.
func (d *dict) init(b blocks, first uint8) {
	*d = dict{n: 1}
	d.buckets = array{item: uintptr(bucketBytes), first: first, from: b}
	d.overflow = d.buckets
	d.buckets.reserve(0)
	*d.bucket(0) = bucket{}
}

// presize makes an empty table as large as n entries need.
func (d *dict) presize(n int) {
	buckets := uint32(min(n/splitAt+1, 1<<31))
	for i := uint32(1); i < buckets; i++ {
		d.buckets.reserve(i)
		*d.bucket(i) = bucket{}
	}
	d.n, d.low = buckets, 1<<(bits.Len32(buckets)-1)-1
}

// clone returns a copy that refers to the same entries.
func (d *dict) clone() dict {
	c := *d
	c.buckets, c.overflow = d.buckets.clone(), d.overflow.clone()
	return c
}

func (d *dict) release() {
	d.buckets.release()
	d.overflow.release()
}

// bytes returns the memory of the buckets in use.
func (d *dict) bytes() int64 { return int64(d.n+d.chained) * bucketBytes }

func (d *dict) bucket(i uint32) *bucket { return (*bucket)(d.buckets.at(i)) }

// following returns the next bucket of b's chain, nil at its end.
func (d *dict) following(b *bucket) *bucket {
	if b.next == 0 {
		return nil
	}
	return (*bucket)(d.overflow.at(b.next))
}

// home returns the number of the bucket for hash h.
func (d *dict) home(h uint64) uint32 {
	i := uint32(h) & (d.low<<1 | 1)
	if i >= d.n {
		i &= d.low
	}
	return i
}

// match returns the places of b whose tag is t as the high bits of the bytes
// of two words; a place above a true match may be there in error.
func (b *bucket) match(t uint8) (first uint64, rest uint32) {
	pattern := uint64(t) * everyByte
	x := binary.LittleEndian.Uint64(b.tags[0:8]) ^ pattern
	y := binary.LittleEndian.Uint32(b.tags[8:12]) ^ uint32(pattern)
	return (x - everyByte) & ^x & highBits, (y - everyByte&0xffffffff) & ^y & (highBits & 0xffffffff)
}

// trailingByte returns the number of the lowest byte whose high bit is set.
func trailingByte(x uint64) int { return bits.TrailingZeros64(x) >> 3 }

// vacant returns a free place of b.
func (b *bucket) vacant() (place int, ok bool) {
	x, y := b.match(0)
	if x != 0 {
		return trailingByte(x), true
	}
	if y != 0 {
		return 8 + trailingByte(uint64(y)), true
	}
	return 0, false
}

// insert adds an entry whose key is known to be absent.
func (d *dict) insert(h uint64, r ref) {
	d.put(d.home(h), tagOf(h), r)
	d.count++
}

func (d *dict) put(i uint32, tag uint8, r ref) {
	b := d.bucket(i)
	for {
		if place, ok := b.vacant(); ok {
			b.tags[place], b.refs[place] = tag, r
			return
		}
		if b.next == 0 {
			b.next = d.newOverflow()
		}
		b = d.following(b)
	}
}

func (d *dict) newOverflow() uint32 {
	d.chained++
	d.overflow.reserve(d.chained)
	*(*bucket)(d.overflow.at(d.chained)) = bucket{}
	return d.chained
}

// freeOverflow takes the overflow bucket after prev out of its chain. The one
// with the highest number gets its place, so that none is ever idle. Every
// other overflow bucket must be in the chain of its entries' home.
func (d *dict) freeOverflow(prev *bucket, c hasher) {
	i, last := prev.next, d.chained
	free := (*bucket)(d.overflow.at(i))
	prev.next = free.next
	if i != last {
		moved := (*bucket)(d.overflow.at(last))
		*free = *moved
		b := d.bucket(d.home(c.hashOf(moved.some())))
		for b.next != last {
			b = d.following(b)
		}
		b.next = i
	}
	d.chained--
	d.overflow.trim(d.chained)
}

// some returns an entry of b, which has one.
func (b *bucket) some() ref {
	i := 0
	for b.tags[i] == 0 {
		i++
	}
	return b.refs[i]
}

// place is where the index holds an entry, until the index next changes.
type place struct {
	b *bucket
	i int
}

// remove deletes the entry of hash h at p. The chain's last entry takes its
// place, so that chains stay short.
func (d *dict) remove(h uint64, p place, c hasher) {
	d.count--
	p.b.tags[p.i], p.b.refs[p.i] = 0, 0
	var prev *bucket
	last := d.bucket(d.home(h))
	if last.next == 0 {
		return
	}
	for last.next != 0 {
		prev, last = last, d.following(last)
	}
	for i := range bucketSlots {
		if last.tags[i] == 0 {
			continue
		}
		if last != p.b {
			p.b.tags[p.i], p.b.refs[p.i] = last.tags[i], last.refs[i]
			last.tags[i], last.refs[i] = 0, 0
		}
		break
	}
	if last.tags == [bucketSlots]uint8{} {
		d.freeOverflow(prev, c)
	}
}

// hasher gives the hash of an entry, as insert was told it.
type hasher interface{ hashOf(r ref) uint64 }

// grow splits a bucket if the load asks for it, shrink merges two. One step for
// each insertion, or removal, is enough to follow it.
func (d *dict) grow(c hasher) {
	if d.count > int(d.n)*splitAt {
		d.split(c)
	}
}

func (d *dict) shrink(c hasher) {
	if d.n > 1 && d.count < int(d.n)*mergeAt {
		d.merge(c)
	}
}

// split shares the entries of the next bucket in turn with a new one.
func (d *dict) split(c hasher) {
	d.buckets.reserve(d.n)
	from, to := d.n-(d.low+1), d.n
	var room [3]bucket
	all := d.drain(from, room[:0], c)
	*d.bucket(to) = bucket{}
	bit := uint64(d.low + 1)
	d.n++
	if d.n == 2*(d.low+1) {
		d.low = d.low<<1 | 1
	}
	for k := range all {
		for i, tag := range all[k].tags {
			switch {
			case tag == 0:
			case c.hashOf(all[k].refs[i])&bit != 0:
				d.put(to, tag, all[k].refs[i])
			default:
				d.put(from, tag, all[k].refs[i])
			}
		}
	}
}

// merge undoes the last split.
func (d *dict) merge(c hasher) {
	var room [3]bucket
	all := d.drain(d.n-1, room[:0], c)
	d.n--
	if d.n <= d.low {
		d.low >>= 1
	}
	for k := range all {
		for i, tag := range all[k].tags {
			if tag != 0 {
				d.put(d.n&d.low, tag, all[k].refs[i])
			}
		}
	}
	d.buckets.trim(d.n)
}

// drain appends the buckets of bucket i's chain to all, and empties it.
func (d *dict) drain(i uint32, all []bucket, c hasher) []bucket {
	b := d.bucket(i)
	all = append(all, *b)
	for b.next != 0 {
		all = append(all, *d.following(b))
		d.freeOverflow(b, c)
	}
	*b = bucket{}
	return all
}

// visit calls f for each entry of bucket i.
func (d *dict) visit(i uint32, f func(ref)) {
	for b := d.bucket(i); b != nil; b = d.following(b) {
		for j, tag := range b.tags {
			if tag != 0 {
				f(b.refs[j])
			}
		}
	}
}

// scan visits the bucket that cursor v stands for and returns the next
// cursor, 0 after the last. It increments the reversed bits of v (P. Noordhuis'
// way of Redis' SCAN), here with the mask of the very bucket: a bucket covers
// one interval of reversed hashes whether it was split yet or not, so no
// entry present throughout is missed however the table grows and shrinks.
func (d *dict) scan(v uint64, f func(ref)) uint64 {
	mask := uint64(d.low)
	if v&mask < uint64(d.n-(d.low+1)) { // split already: one more bit
		mask = mask<<1 | 1
	}
	d.visit(uint32(v&mask), f)
	return bits.Reverse64(bits.Reverse64(v|^mask) + 1)
}

// random returns a random entry, each with the same probability; there must be
// one. It draws a place of any bucket, overflow buckets included, until it
// finds one taken.
func (d *dict) random(rnd *uint64) ref {
	for {
		x := mix(rnd)
		i := uint32(uint64(uint32(x)) * uint64(d.n+d.chained) >> 32)
		var b *bucket
		if i < d.n {
			b = d.bucket(i)
		} else {
			b = (*bucket)(d.overflow.at(i - d.n + 1))
		}
		if k := x >> 32 % bucketSlots; b.tags[k] != 0 {
			return b.refs[k]
		}
	}
}
