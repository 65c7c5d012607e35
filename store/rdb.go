package store

import (
	"encoding/binary"
	"math"
)

// Values in the format of Redis' RDB files, which DUMP payloads and snapshots
// share (https://rdb.fnordig.de/file_format.html; rdb.h names the types). What
// is written is what Redis 7.0 writes and reads; what is read is every type up
// to Redis 7.4.
const (
	rdbString           = 0
	rdbList             = 1
	rdbSet              = 2
	rdbZSet             = 3 // scores as texts
	rdbHash             = 4
	rdbZSet2            = 5 // scores as doubles
	rdbHashZipmap       = 9
	rdbListZiplist      = 10
	rdbSetIntset        = 11
	rdbZSetZiplist      = 12
	rdbHashZiplist      = 13
	rdbListQuicklist    = 14 // of ziplists
	rdbStream           = 15
	rdbHashListpack     = 16
	rdbZSetListpack     = 17
	rdbListQuicklist2   = 18 // of listpacks and single elements
	rdbStream2          = 19 // with counts and tombstones
	rdbSetListpack      = 20
	rdbStream3          = 21 // with consumers' times of activity
	rdbHashMetadata     = 24 // with times of expiry
	rdbHashListpackEx   = 25
	rdbQueue            = 200 // ours, see docs/differences.md
	rdbVersionWritten   = 10  // Redis 7.0
	rdbVersionWrittenEx = 12  // Redis 7.4, for what only it knows
	rdbVersionRead      = 12
)

// A length is 6, 14, 32 or 64 bits, most significant byte first; the two top
// bits of the first byte tell, or that a string in another form follows.
const (
	rdbLen14 = 0x40
	rdbLen32 = 0x80
	rdbLen64 = 0x81
	rdbInt8  = 0xc0
	rdbInt16 = 0xc1
	rdbInt32 = 0xc2
	rdbLZF   = 0xc3
)

// A node of a list is one element as it is, or a listpack.
const (
	rdbNodePlain  = 1
	rdbNodePacked = 2
)

const (
	footerBytes   = 10      // of a payload: version and checksum
	lzfMin        = 21      // bytes of the shortest string worth compressing
	listpackMax   = 1 << 30 // bytes of a listpack, by Redis' own limit
	listpackUnset = 1<<16 - 1
)

// Dump appends the payload of DUMP for key to dst: type, value, version and
// checksum. It returns false if key is absent.
func (tx *Tx) Dump(key, dst []byte) ([]byte, bool) {
	s, ok := tx.find(key, Read)
	if !ok {
		return dst, false
	}
	w := rdbWriter{tx: tx, out: dst}
	w.payload(w.typeOf(s), s)
	return w.out, true
}

// DumpPlain appends the payload of a value as Redis 7.0 reads it, without the
// times of a hash's fields, and returns when the key expires, 0 for never.
func (tx *Tx) DumpPlain(key, dst []byte) (payload []byte, at int64, ok bool) {
	s, ok := tx.find(key, Peek)
	if !ok {
		return dst, 0, false
	}
	w := rdbWriter{tx: tx, out: dst}
	kind := w.typeOf(s)
	switch kind {
	case rdbHashMetadata:
		kind = rdbHash
	case rdbHashListpackEx:
		kind = rdbHashListpack
	}
	w.payload(kind, s)
	return w.out, max(s.expiry(), 0), true
}

// payload appends what DUMP replies.
func (w *rdbWriter) payload(kind byte, s slot) {
	start := len(w.out)
	version := uint16(rdbVersionWritten)
	if kind == rdbHashMetadata || kind == rdbHashListpackEx {
		version = rdbVersionWrittenEx
	}
	w.byte(kind)
	w.value(kind, s)
	w.out = binary.LittleEndian.AppendUint16(w.out, version)
	w.out = binary.LittleEndian.AppendUint64(w.out, crc64Jones(0, w.out[start:]))
}

// rdbWriter appends values to out.
type rdbWriter struct {
	tx    *Tx
	out   []byte
	plain bool // nothing is compressed
	lzf   lzf
	node  []byte // a listpack while it is put together
}

// typeOf returns the type as which a value is written.
func (w *rdbWriter) typeOf(s slot) byte {
	switch s.kind() {
	case KindList:
		return rdbListQuicklist2
	case KindSet:
		if w.setOf(s).IsInts() {
			return rdbSetIntset
		}
		return rdbSet
	case KindHash:
		return w.hashType(s)
	case KindZSet:
		if w.zsetOf(s).named() {
			return rdbZSet2
		}
		return rdbZSetListpack
	case KindStream:
		return rdbStream2
	case KindQueue:
		return rdbQueue
	}
	return rdbString
}

// value appends the value of s, without its type.
func (w *rdbWriter) value(kind byte, s slot) {
	switch kind {
	case rdbString:
		w.text(w.tx.text(s))
	case rdbListQuicklist2:
		w.list(s)
	case rdbSet, rdbSetIntset:
		w.set(kind, s)
	case rdbHash, rdbHashListpack, rdbHashMetadata, rdbHashListpackEx:
		w.hash(kind, s)
	case rdbZSetListpack, rdbZSet2:
		w.zset(kind, s)
	case rdbStream2:
		w.stream(w.tx.object(s).(*Stream))
	case rdbQueue:
		w.text(w.tx.object(s).(*Queue).appendTo(nil))
	}
}

func (w *rdbWriter) byte(c byte) { w.out = append(w.out, c) }

// length appends a length or any other unsigned number.
func (w *rdbWriter) length(n uint64) {
	switch {
	case n < 1<<6:
		w.byte(byte(n))
	case n < 1<<14:
		w.out = append(w.out, rdbLen14|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		w.out = binary.BigEndian.AppendUint32(append(w.out, rdbLen32), uint32(n))
	default:
		w.out = binary.BigEndian.AppendUint64(append(w.out, rdbLen64), n)
	}
}

func (w *rdbWriter) id(id ID) {
	w.length(id.Ms)
	w.length(id.Seq)
}

// time appends unix milliseconds.
func (w *rdbWriter) time(ms int64) { w.out = binary.LittleEndian.AppendUint64(w.out, uint64(ms)) }

// double appends a score.
func (w *rdbWriter) double(f float64) {
	w.out = binary.LittleEndian.AppendUint64(w.out, math.Float64bits(f))
}

// text appends a string: as a number if it is one of 32 bits, compressed if
// that saves four bytes, else as it is.
func (w *rdbWriter) text(b []byte) {
	if n, ok := canonicalInt(b); ok && len(b) <= 11 && n == int64(int32(n)) {
		w.int(int32(n))
		return
	}
	if len(b) >= lzfMin && !w.plain && w.compressed(b) {
		return
	}
	w.length(uint64(len(b)))
	w.out = append(w.out, b...)
}

func (w *rdbWriter) int(n int32) {
	switch {
	case n == int32(int8(n)):
		w.out = append(w.out, rdbInt8, byte(n))
	case n == int32(int16(n)):
		w.out = binary.LittleEndian.AppendUint16(append(w.out, rdbInt16), uint16(n))
	default:
		w.out = binary.LittleEndian.AppendUint32(append(w.out, rdbInt32), uint32(n))
	}
}

// compressed appends b compressed, unless that is not worth it. The lengths
// stand in front of the data, but that of the data is known only then.
func (w *rdbWriter) compressed(b []byte) bool {
	start := len(w.out)
	w.byte(rdbLZF)
	w.length(uint64(len(b))) // takes at least as many bytes as the shorter length
	room := len(w.out)
	w.length(uint64(len(b)))
	data := len(w.out)
	out, ok := w.lzf.compress(w.out, b, len(b)-4)
	if !ok {
		w.out = w.out[:start]
		return false
	}
	packed := out[data:]
	w.out = out[:start+1]
	w.length(uint64(len(packed)))
	if len(w.out) < room { // the length was shorter than the room left for it
		w.length(uint64(len(b)))
		w.out = append(w.out, packed...)
		return true
	}
	w.out = out
	return true
}

// beginListpack starts a listpack in w.node.
func (w *rdbWriter) beginListpack() { w.node = append(w.node[:0], make([]byte, listpackHead)...) }

// add appends an element, with its back length, to the listpack.
func (w *rdbWriter) add(e element) {
	n := len(w.node)
	w.node = extend(w.node, e.total())
	e.put(w.node[n:])
}

// endListpack completes the listpack of n elements and appends it as a string.
func (w *rdbWriter) endListpack(n int) {
	w.node = append(w.node, listpackEnd)
	binary.LittleEndian.PutUint32(w.node, uint32(len(w.node)))
	binary.LittleEndian.PutUint16(w.node[4:], uint16(min(n, listpackUnset)))
	w.text(w.node)
}

// list appends a list node by node: our elements are those of a listpack.
func (w *rdbWriter) list(s slot) {
	l := List{tx: w.tx}
	l.open(s)
	w.length(uint64(l.parts()))
	for i := range l.parts() {
		r := l.part(i)
		if len(r.b) > listpackMax-listpackHead-1 { // one element alone can be as long
			w.length(rdbNodePlain)
			w.text(r.value(0, &w.tx.number))
			continue
		}
		w.length(rdbNodePacked)
		w.beginListpack()
		w.node = r.appendPacked(w.node)
		w.endListpack(r.n)
	}
}
