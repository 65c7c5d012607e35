package store

import "strconv"

// Get returns the string of key, nil if it is absent. The bytes alias the
// store and are valid until the next write in the shard or the end of the
// lock. An empty string is not nil.
func (tx *Tx) Get(key []byte, a Access) ([]byte, error) {
	s, ok := tx.find(key, a)
	if !ok {
		return nil, nil
	}
	if s.kind() != KindString {
		return nil, ErrWrongType
	}
	return tx.text(s), nil
}

// text returns the bytes of a string, wherever they are.
func (tx *Tx) text(s slot) []byte {
	if s.flags()&flagObject != 0 {
		return s.c.records.at(s.record()).object.(*bigString).b
	}
	return s.value()
}

// Set makes key a string, whatever it was. Its expiry goes, unless keepTTL.
func (tx *Tx) Set(key, v []byte, keepTTL bool) {
	at := int64(0)
	if keepTTL {
		at = keepExpiry
	}
	tx.put(key, value{kind: KindString, bytes: v}, at)
}

// Rewrite makes key a string of what f returns, which may not alias the store.
// f gets the present bytes, nil if there are none. The expiry stays. An error of
// f changes nothing and is returned.
func (tx *Tx) Rewrite(key []byte, f func(old []byte) ([]byte, error)) error {
	s, ok, err := tx.stringOf(key)
	if err != nil {
		return err
	}
	var old []byte
	if ok {
		old = tx.text(s)
	}
	v, err := f(old)
	if err != nil {
		return err
	}
	if !ok {
		tx.put(key, value{kind: KindString, bytes: v}, keepExpiry)
		return nil
	}
	s.c.replace(&s, key, value{kind: KindString, bytes: v}, s.clock())
	tx.changed(key, KindString, Changed)
	return nil
}

// SetUntil is Set and SetExpire in one.
func (tx *Tx) SetUntil(key, v []byte, at int64) {
	tx.put(key, value{kind: KindString, bytes: v}, max(at, 1))
	tx.changedAs(key, KindString, Changed, "expire")
}

// Append adds tail to the string of key, made if absent, and returns the new
// length in bytes.
func (tx *Tx) Append(key, tail []byte) (int, error) {
	s, ok, err := tx.stringOf(key)
	if err != nil {
		return 0, err
	}
	n := len(tail)
	if ok {
		n += len(tx.text(s))
	}
	if n > tx.store.maxString {
		return 0, ErrTooLarge
	}
	if !ok {
		tx.put(key, value{kind: KindString, bytes: tail}, keepExpiry)
		return n, nil
	}
	copy(tx.stretch(s, key, n)[n-len(tail):], tail)
	tx.changed(key, KindString, Changed)
	return n, nil
}

// SetRange overwrites part of the string of key, which is padded with zero
// bytes to off first, and returns the new length in bytes. An empty v changes
// nothing.
func (tx *Tx) SetRange(key []byte, off int, v []byte) (int, error) {
	s, ok, err := tx.stringOf(key)
	if err != nil {
		return 0, err
	}
	length := 0
	if ok {
		length = len(tx.text(s))
	}
	if len(v) == 0 {
		return length, nil
	}
	if off > tx.store.maxString-len(v) {
		return 0, ErrTooLarge
	}
	n := max(length, off+len(v))
	if !ok {
		tx.putPadded(key, off, v)
		return n, nil
	}
	copy(tx.lengthen(s, key, length, n)[off:], v)
	tx.changed(key, KindString, Changed)
	return n, nil
}

// Extend returns the bytes of key's string for writing in place, made at least
// n long by zero bytes; they are valid until the next write in the shard. grown
// tells that the string was made or lengthened: that change is recorded. What
// the caller then writes is not until it calls Edited.
func (tx *Tx) Extend(key []byte, n int) (b []byte, grown bool, err error) {
	s, ok, err := tx.stringOf(key)
	switch {
	case err != nil:
		return nil, false, err
	case n > tx.store.maxString:
		return nil, false, ErrTooLarge
	case !ok && n <= 0:
		return nil, false, nil
	case !ok:
		tx.putPadded(key, n, nil)
		s, _ = tx.find(key, Peek)
		return tx.text(s), true, nil
	}
	b = tx.text(s)
	if n <= len(b) {
		s.setFlags(s.flags() | flagRaw)
		return b, false, nil
	}
	b = tx.lengthen(s, key, len(b), n)
	tx.changed(key, KindString, Changed)
	return b, true, nil
}

// Edited records that bytes of Extend were written.
func (tx *Tx) Edited(key []byte) { tx.changed(key, KindString, Changed) }

// SetRaw is Set for a value that OBJECT ENCODING calls raw, as it does what was
// computed and not sent; the expiry stays.
func (tx *Tx) SetRaw(key, v []byte) {
	tx.put(key, value{kind: KindString, bytes: v, raw: true}, keepExpiry)
}

// SetBuilt makes key a string of n bytes, whatever it was, without expiry. fill
// writes them into memory of zeros; it may read the store, old value included.
func (tx *Tx) SetBuilt(key []byte, n int, fill func(b []byte)) {
	to := value{kind: KindString, raw: true}
	if n > maxSlot {
		big := newBigString(n, 0)
		fill(big.b)
		to.object = big
	} else {
		to.bytes = make([]byte, n)
		fill(to.bytes)
	}
	tx.put(key, to, 0)
}

// lengthen makes a present string of length bytes n long, no shorter, zero
// bytes at the end. It records no change. Fresh memory is not cleared: its
// pages cost nothing until they are written.
func (tx *Tx) lengthen(s slot, key []byte, length, n int) []byte {
	fresh := s.valueAt()+n > maxSlot
	if s.flags()&flagObject != 0 {
		fresh = !s.c.records.at(s.record()).object.(*bigString).suits(n)
	}
	b := tx.stretch(s, key, n)
	if !fresh {
		clear(b[length:])
	}
	return b
}

// putPadded stores a new string: v behind off zero bytes. Those of a large one
// are the region's own, which cost nothing until they are read.
func (tx *Tx) putPadded(key []byte, off int, v []byte) {
	to := value{kind: KindString, raw: true}
	if n := off + len(v); n > maxSlot {
		big := newBigString(n, 0)
		copy(big.b[off:], v)
		to.object = big
	} else {
		to.bytes = make([]byte, n)
		copy(to.bytes[off:], v)
	}
	tx.put(key, to, keepExpiry)
}

// stringOf finds the string of key for writing.
func (tx *Tx) stringOf(key []byte) (s slot, ok bool, err error) {
	s, ok = tx.find(key, Write)
	if ok && s.kind() != KindString {
		return s, true, ErrWrongType
	}
	return s, ok, nil
}

// stretch makes a present string n bytes long, no shorter than it is, and
// returns its bytes. It records no change.
func (tx *Tx) stretch(s slot, key []byte, n int) []byte {
	s.setFlags(s.flags() | flagRaw)
	if s.flags()&flagObject == 0 && s.valueAt()+n <= maxSlot {
		_, b := tx.growBlob(s, n)
		return b
	}
	if s.flags()&flagObject == 0 {
		big := newBigString(n, n/4)
		copy(big.b, s.value())
		s.c.replace(&s, key, value{kind: KindString, raw: true, object: big}, s.clock())
		return big.b
	}
	big := s.c.records.at(s.record()).object.(*bigString)
	big.resize(n)
	tx.settle(&s)
	return big.b
}

const embeddedMax = 44 // bytes of the longest string that OBJECT ENCODING calls embstr

// encoding returns the name that OBJECT ENCODING gives and the length of the
// value.
func (tx *Tx) encoding(s slot, objectLen int) (name string, n int) {
	switch s.kind() {
	case KindString:
		b := tx.text(s)
		switch {
		case s.flags()&flagRaw != 0 || len(b) > embeddedMax:
			return "raw", len(b)
		case isInteger(b):
			return "int", len(b)
		}
		return "embstr", len(b)
	case KindList:
		l := List{tx: tx}
		l.open(s)
		return l.Encoding(defaultListLimit), l.Len()
	case KindSet:
		set := Set{tx: tx}
		set.open(s)
		return set.Encoding(), set.Len()
	case KindHash:
		h := Hash{tx: tx}
		h.open(s)
		return h.Encoding(), h.Len()
	case KindZSet:
		z := ZSet{tx: tx}
		z.open(s)
		return z.Encoding(), z.Len()
	}
	return s.kind().String(), objectLen
}

// defaultListLimit is list-max-listpack-size as Redis sets it: 8 KiB.
const defaultListLimit = -2

// isInteger reports whether b is the canonical text of an int64.
func isInteger(b []byte) bool {
	if len(b) == 0 || len(b) > 20 {
		return false
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return false
	}
	var buf [20]byte
	return string(strconv.AppendInt(buf[:0], n, 10)) == string(b)
}
