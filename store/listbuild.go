package store

import "encoding/binary"

// PutList makes key the list of the values that each visits, whatever it was;
// its expiry goes. Without values it is left alone. It records one change. It
// fails, and changes nothing, if the values are longer than eight times the
// longest string: a few small keys could be named over and over.
func (tx *Tx) PutList(key []byte, each func(visit func(v []byte) bool)) error {
	b := listBuilder{store: tx.store}
	left := manyTimes * tx.store.maxString
	each(func(v []byte) bool {
		left -= len(v)
		return left >= 0 && b.add(pack(v))
	})
	switch {
	case left < 0:
		if b.big != nil {
			b.big.release()
		}
		return ErrTooLarge
	case b.count() > 0:
		tx.put(key, b.value(), 0)
	}
	return nil
}

// listBuilder makes a list of elements in the form that its size asks for.
type listBuilder struct {
	store *Store
	node  []byte // packed elements while the list is small
	n     int
	big   *quicklist
}

// add appends an element and returns true.
func (b *listBuilder) add(e element) bool {
	if b.big == nil && len(b.node)+e.total() > packedMax {
		b.big = newQuicklist(b.store)
		if b.n > 0 {
			b.big.adopt(0, shaped(b.node, b.n))
			b.big.count = b.n
		}
		b.node = nil
	}
	if b.big != nil {
		b.big.push(Back, e)
		return true
	}
	at := len(b.node)
	b.node = extend(b.node, e.total())
	e.put(b.node[at:])
	b.n++
	return true
}

func (b *listBuilder) count() int {
	if b.big != nil {
		return b.big.count
	}
	return b.n
}

func (b *listBuilder) value() value {
	if b.big == nil {
		blob := binary.LittleEndian.AppendUint16(make([]byte, 0, countBytes+len(b.node)), uint16(b.n))
		return value{kind: KindList, bytes: append(blob, b.node...)}
	}
	b.big.seal(b.big.nodes.at(b.big.nodes.len() - 1))
	return value{kind: KindList, object: b.big}
}
