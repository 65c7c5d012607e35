package store

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// A snapshot is all data in the format of Redis' RDB files, version 10, so that
// Redis 7.0 and later load it. What these do not know travels in auxiliary
// fields, which they pass over:
//
//	synap-queue:<db>:<key>:<part>      a queue in parts, numbered down to 0;
//	                                   the first begins with the time of expiry
//	synap-hash-expiry:<db>:<key>       fields of the hash before, with their times
const (
	rdbOpAux       = 250
	rdbOpResizeDB  = 251
	rdbOpExpireMs  = 252
	rdbOpExpire    = 253
	rdbOpSelectDB  = 254
	rdbOpEOF       = 255
	rdbOpIdle      = 248
	rdbOpFreq      = 249
	rdbOpFunction2 = 245
	rdbOpSlotInfo  = 244

	auxQueue      = "synap-queue:"
	auxHashExpiry = "synap-hash-expiry:"

	queuePartBytes = 16 << 20
	snapshotChunk  = 1 << 20
)

// Snapshot writes everything stored, as one RDB file, to emit, which keeps the
// pieces. The transaction holds all shards. aux are the fields of the head,
// name and value by turn. Nothing changes, not even what has expired.
func (tx *Tx) Snapshot(aux []string, emit func(piece []byte) error) error {
	w := snapshotWriter{rdbWriter: rdbWriter{tx: tx}, emit: emit}
	w.out = fmt.Appendf(nil, "REDIS%04d", rdbVersionWritten)
	for i := 0; i+1 < len(aux); i += 2 {
		w.aux([]byte(aux[i]), []byte(aux[i+1]))
	}
	here := tx.db
	defer func() { tx.db = here }()
	for db := range tx.store.databases {
		tx.db = db
		w.database(db)
	}
	w.byte(rdbOpEOF)
	w.flush(0)
	w.out = binary.LittleEndian.AppendUint64(w.out, w.sum)
	if w.err == nil {
		w.err = w.emit(w.out)
	}
	return w.err
}

type snapshotWriter struct {
	rdbWriter
	emit func([]byte) error
	sum  uint64
	err  error
}

// flush emits what is written once that is at least so many bytes.
func (w *snapshotWriter) flush(least int) {
	if len(w.out) < least || len(w.out) == 0 {
		return
	}
	w.sum = crc64Jones(w.sum, w.out)
	if w.err == nil {
		w.err = w.emit(w.out)
	}
	w.out = make([]byte, 0, snapshotChunk+snapshotChunk/8)
}

func (w *snapshotWriter) aux(name, value []byte) {
	w.byte(rdbOpAux)
	w.text(name)
	w.text(value)
}

func (w *snapshotWriter) database(db int) {
	keys, expires := 0, 0
	shards := w.tx.store.shardsOf(db)
	for i := range shards {
		if c := shards[i].data; c != nil {
			keys += c.dict.count
			expires += int(c.heap.n)
		}
	}
	if keys == 0 {
		return
	}
	w.byte(rdbOpSelectDB)
	w.length(uint64(db))
	w.byte(rdbOpResizeDB)
	w.length(uint64(keys))
	w.length(uint64(expires))
	for i := range shards {
		c := shards[i].data
		for b := uint32(0); c != nil && b < c.dict.n && w.err == nil; b++ {
			c.dict.visit(b, func(r ref) {
				w.key(db, slot{entry: c.entry(r), c: c})
				w.flush(snapshotChunk)
			})
		}
	}
}

// key writes one key and its value.
func (w *snapshotWriter) key(db int, s slot) {
	key, at := s.c.key(s.entry), s.expiry()
	kind := w.typeOf(s)
	if kind == rdbQueue {
		w.queue(db, key, max(at, 0), s)
		return
	}
	timed := false
	switch kind {
	case rdbHashMetadata:
		kind, timed = rdbHash, true
	case rdbHashListpackEx:
		kind, timed = rdbHashListpack, true
	}
	if at > 0 {
		w.byte(rdbOpExpireMs)
		w.time(at)
	}
	w.byte(kind)
	w.text(key)
	w.value(kind, s)
	if timed {
		w.hashExpiry(db, key, s)
	}
}

func auxName(prefix string, db int, key []byte) []byte {
	name := append(strconv.AppendInt([]byte(prefix), int64(db), 10), ':')
	return append(name, key...)
}

func (w *snapshotWriter) queue(db int, key []byte, at int64, s slot) {
	dump := binary.LittleEndian.AppendUint64(nil, uint64(at))
	dump = w.tx.object(s).(*Queue).appendTo(dump)
	for part := (len(dump) - 1) / queuePartBytes; part >= 0; part-- {
		n := min(len(dump), queuePartBytes)
		w.aux(strconv.AppendInt(append(auxName(auxQueue, db, key), ':'), int64(part), 10), dump[:n])
		dump = dump[n:]
	}
}

func (w *snapshotWriter) hashExpiry(db int, key []byte, s slot) {
	var times []byte
	w.hashOf(s).EachTimed(func(field, _ []byte, at int64) bool {
		if at >= 0 {
			times = append(binary.AppendUvarint(times, uint64(len(field))), field...)
			times = binary.LittleEndian.AppendUint64(times, uint64(at))
		}
		return true
	})
	w.aux(auxName(auxHashExpiry, db, key), times)
}
