package store

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
)

var (
	// ErrPayload is returned for a payload of another version or with a wrong
	// checksum.
	ErrPayload = errors.New("store: payload version or checksum")
	// ErrBadData is returned for a value that is not well formed.
	ErrBadData = errors.New("store: bad data format")
)

// Restored says how Restore stores a value.
type Restored struct {
	ExpireAt int64 // unix milliseconds, 0 for never
	Idle     int64 // seconds since the last access, negative if not known
	Freq     int   // logarithmic access counter, negative if not known
}

// CheckPayload reports whether payload, as Dump makes it, has a version that
// can be read and the right checksum.
func CheckPayload(payload []byte) error {
	n := len(payload) - footerBytes
	if n < 0 || binary.LittleEndian.Uint16(payload[n:]) > rdbVersionRead {
		return ErrPayload
	}
	if binary.LittleEndian.Uint64(payload[n+2:]) != crc64Jones(0, payload[:n+2]) {
		return ErrPayload
	}
	return nil
}

// Restore stores the value of a payload that CheckPayload has accepted under
// key, whatever was there, or removes the key if the time of expiry has come.
// Nothing changes if it returns an error.
func (tx *Tx) Restore(key, payload []byte, how Restored) error {
	v, err := tx.loadPayload(payload)
	if err != nil {
		return err
	}
	if how.ExpireAt != 0 && how.ExpireAt <= tx.Now {
		v.discard()
		tx.Delete(key)
		return nil
	}
	tx.put(key, v, how.ExpireAt)
	tx.access(key, how)
	return nil
}

// access sets the access clock of key, as far as the policy in force goes by
// what is known.
func (tx *Tx) access(key []byte, how Restored) {
	s, _ := tx.find(key, Peek)
	switch {
	case tx.lfu && how.Freq >= 0:
		s.setClock(tx.minutes()<<8 | uint32(how.Freq)&0xff)
	case !tx.lfu && how.Idle >= 0:
		s.setClock((tx.clock - uint32(min(how.Idle, clockMask-1))) & clockMask)
	}
}

func (tx *Tx) loadPayload(payload []byte) (value, error) {
	if len(payload) <= footerBytes {
		return value{}, ErrBadData
	}
	r := rdbReader{tx: tx, rest: payload[1 : len(payload)-footerBytes], room: manyTimes * tx.store.maxString}
	v := r.value(payload[0])
	if r.bad {
		v.discard()
		return value{}, ErrBadData
	}
	return v, nil
}

// discard gives back what a value that is not stored holds.
func (v *value) discard() {
	if v.object != nil {
		(&record{object: v.object}).release()
	}
}

// manyTimes bounds what one request makes of little, in multiples of the longest
// string: compressed strings unfold to 88 times their length.
const manyTimes = 8

// rdbReader takes values from the front of rest. When it meets what cannot be,
// it becomes bad for good, and everything it returns is zero.
type rdbReader struct {
	tx     *Tx
	rest   []byte
	room   int // bytes that strings may unfold to yet
	bad    bool
	short  bool   // bad for want of bytes
	reuse  bool   // the next text may stand in spare
	spare  []byte // valid until the next such text
	number numberText
}

// value reads a value of the type. It aliases the input where it can: store it
// before that changes. It must be discarded if the reader is bad.
func (r *rdbReader) value(kind byte) value {
	switch kind {
	case rdbString:
		r.reuse = true
		b := r.text()
		r.reuse = false
		if len(b) > r.tx.store.maxString {
			r.bad = true
		}
		return value{kind: KindString, bytes: b}
	case rdbList, rdbListZiplist, rdbListQuicklist, rdbListQuicklist2:
		return r.list(kind)
	case rdbSet, rdbSetIntset, rdbSetListpack:
		return r.set(kind)
	case rdbHash, rdbHashZipmap, rdbHashZiplist, rdbHashListpack, rdbHashMetadata, rdbHashListpackEx:
		return r.hash(kind)
	case rdbZSet, rdbZSet2, rdbZSetZiplist, rdbZSetListpack:
		return r.zset(kind)
	case rdbStream, rdbStream2, rdbStream3:
		return value{kind: KindStream, object: r.stream(kind)}
	case rdbQueue:
		if q, err := loadQueue(r.tx.store, r.text()); err == nil {
			return value{kind: KindQueue, object: q}
		}
	}
	r.bad = true
	return value{}
}

// take returns the next n bytes.
func (r *rdbReader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.short = r.short || !r.bad
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *rdbReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// length reads a length or any other unsigned number.
func (r *rdbReader) length() uint64 {
	n, special := r.lengthOrForm()
	if special {
		r.bad = true
		return 0
	}
	return n
}

// lengthOrForm reads a length, or the form of the string that follows.
func (r *rdbReader) lengthOrForm() (n uint64, special bool) {
	switch c := r.byte(); {
	case c < rdbLen14:
		return uint64(c), false
	case c < rdbLen32:
		return uint64(c&0x3f)<<8 | uint64(r.byte()), false
	case c == rdbLen32:
		if b := r.take(4); b != nil {
			return uint64(binary.BigEndian.Uint32(b)), false
		}
	case c == rdbLen64:
		if b := r.take(8); b != nil {
			return binary.BigEndian.Uint64(b), false
		}
	case c >= rdbInt8:
		return uint64(c), true
	}
	r.bad = true
	return 0, false
}

// count reads how many items follow, each of at least so many bytes: more than
// there can be is bad.
func (r *rdbReader) count(bytesEach int) int {
	n := r.length()
	if n > uint64(len(r.rest)/bytesEach) {
		r.bad = true
		return 0
	}
	return int(n)
}

// text reads a string in any form. It aliases the input, the reader's number
// until the next text, or memory of its own. It is not nil unless the reader
// is bad.
func (r *rdbReader) text() []byte {
	n, special := r.lengthOrForm()
	if !special {
		return r.take(n)
	}
	width := 0
	switch n {
	case rdbInt8:
		width = 1
	case rdbInt16:
		width = 2
	case rdbInt32:
		width = 4
	case rdbLZF:
		return r.expanded()
	default:
		r.bad = true
		return nil
	}
	if b := r.take(uint64(width)); b != nil {
		return strconv.AppendInt(r.number[:0], littleInt(b), 10)
	}
	return nil
}

// expanded reads a compressed string.
func (r *rdbReader) expanded() []byte {
	packed, n := r.length(), r.length()
	src := r.take(packed)
	if r.bad || n == 0 || n > lzfRatio*packed || n > uint64(r.room) {
		r.bad = true
		return nil
	}
	var b []byte
	if r.reuse && n <= maxSlot {
		r.spare = slices.Grow(r.spare[:0], int(n))[:n]
		b = r.spare
	} else {
		b = make([]byte, n)
	}
	if !lzfExpand(b, src) {
		r.bad = true
		return nil
	}
	r.room -= len(b)
	return b
}

// id reads an ID written as two numbers; rawID one of 16 bytes.
func (r *rdbReader) id() ID { return ID{r.length(), r.length()} }

func (r *rdbReader) rawID() ID { return rawID(r.take(16)) }

// rawID reads an ID of 16 bytes, 0-0 from fewer.
func rawID(b []byte) ID {
	if len(b) < 16 {
		return ID{}
	}
	return ID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// time reads unix milliseconds.
func (r *rdbReader) time() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.LittleEndian.Uint64(b))
	}
	return 0
}

// double reads a score; nan is bad.
func (r *rdbReader) double() float64 {
	f := math.Float64frombits(uint64(r.time()))
	if math.IsNaN(f) {
		r.bad = true
	}
	return f
}

// list reads a list; an empty one is bad.
func (r *rdbReader) list(kind byte) value {
	b := listBuilder{store: r.tx.store}
	if kind == rdbListZiplist {
		r.need(eachZiplist(r.text(), b.add))
	} else {
		for n := r.count(1); n > 0 && !r.bad; n-- {
			r.listPart(kind, &b)
		}
	}
	r.need(b.count() > 0)
	return b.value()
}

// need makes the reader bad unless ok.
func (r *rdbReader) need(ok bool) { r.bad = r.bad || !ok }

// listPart reads an element or a node.
func (r *rdbReader) listPart(kind byte, b *listBuilder) {
	plain := kind == rdbList
	if kind == rdbListQuicklist2 {
		form := r.length()
		r.need(form == rdbNodePlain || form == rdbNodePacked)
		plain = form == rdbNodePlain
	}
	v := r.text()
	switch {
	case r.bad:
	case plain:
		b.add(pack(v))
	case kind == rdbListQuicklist:
		r.need(eachZiplist(v, b.add))
	default:
		r.need(eachListpack(v, b.add))
	}
}
