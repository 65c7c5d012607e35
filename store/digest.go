package store

import (
	"crypto/sha1"
	"encoding/binary"
	"hash"
)

// Digest returns a number that depends on the keys, values and expiries of the
// current database and on nothing else: neither on order nor on how values
// are packed. The whole database must be held. An empty one gives zeros.
func (tx *Tx) Digest() [20]byte {
	var sum [20]byte
	var keys [][]byte
	tx.Walk(func(key []byte, _ Kind) bool {
		keys = append(keys, append([]byte(nil), key...))
		return true
	})
	for _, key := range keys {
		at, _ := tx.ExpireTime(key)
		h := sha1.New()
		part(h, key)
		value := tx.DigestValue(key)
		h.Write(value[:])
		binary.Write(h, binary.LittleEndian, at)
		for i, b := range h.Sum(nil) {
			sum[i] ^= b
		}
	}
	return sum
}

// part hashes a string with its length, so that neighbours do not run together.
func part(h hash.Hash, b []byte) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
	h.Write(n[:])
	h.Write(b)
}

// DigestValue returns a number that depends on the value of key alone; zeros
// if it is absent.
func (tx *Tx) DigestValue(key []byte) (sum [20]byte) {
	s, ok := tx.find(key, Peek)
	if !ok {
		return sum
	}
	h := sha1.New()
	h.Write([]byte{byte(s.kind())})
	switch s.kind() {
	case KindString:
		part(h, tx.text(s))
	case KindList:
		l := List{tx: tx}
		l.open(s)
		l.Range(0, -1, func(v []byte) bool { part(h, v); return true })
	case KindZSet:
		z := ZSet{tx: tx}
		z.open(s)
		z.digest(h)
	case KindHash:
		l := Hash{tx: tx}
		l.open(s)
		l.digest(h)
	case KindSet:
		set := Set{tx: tx}
		set.open(s)
		set.digest(h)
	case KindStream:
		tx.object(s).(*Stream).digest(h)
	case KindQueue:
		tx.object(s).(*Queue).digest(h)
	}
	h.Sum(sum[:0])
	return sum
}
