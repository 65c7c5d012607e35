package store

import (
	"encoding/binary"
	"fmt"
	"io"
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
	snapshotChunk  = 64 << 10
)

// SnapshotOptions say how a snapshot is written.
type SnapshotOptions struct {
	Aux    []string // fields of the head, name and value by turn
	Plain  bool     // strings are not compressed
	Unsure bool     // no checksum
	Pause  func()   // called now and then, with no lock held; nil: the snapshot takes a processor for itself
	// Record, if it is set, makes the snapshot a list of commands that make the
	// data anew: it appends one to dst, own if Redis 7.0 does not know it.
	Record func(dst []byte, own bool, args ...[]byte) []byte
}

// WriteSnapshot writes everything stored to w. The transaction holds all
// shards. Nothing changes, not even what has expired.
func (tx *Tx) WriteSnapshot(o SnapshotOptions, w io.Writer) error {
	file := &snapshotFile{o: o, to: w}
	file.write(tx.snapshotHead(o))
	out := snapshotWriter{o: &o, emit: func(b []byte) []byte { file.write(b); return b[:0] }}
	out.prepare(tx)
	for db := range tx.store.databases {
		shards := tx.store.shardsOf(db)
		out.db = db
		for i := range shards {
			c := shards[i].data
			for b := uint32(0); c != nil && b < c.dict.n && file.err == nil; b++ {
				c.dict.visit(b, func(r ref) { out.key(slot{entry: c.entry(r), c: c}) })
			}
		}
		out.flush(0)
	}
	return file.end()
}

// snapshotHead returns what stands before the keys: magic, fields, and how
// many keys there are.
func (tx *Tx) snapshotHead(o SnapshotOptions) []byte {
	if o.Record != nil {
		return nil
	}
	w := rdbWriter{out: fmt.Appendf(nil, "REDIS%04d", rdbVersionWritten), plain: true}
	for i := 0; i+1 < len(o.Aux); i += 2 {
		w.aux([]byte(o.Aux[i]), []byte(o.Aux[i+1]))
	}
	for db := range tx.store.databases {
		keys, expires := 0, 0
		shards := tx.store.shardsOf(db)
		for i := range shards {
			if c := shards[i].data; c != nil {
				keys += c.dict.count
				expires += int(c.heap.n)
			}
		}
		if keys > 0 {
			w.byte(rdbOpSelectDB)
			w.length(uint64(db))
			w.byte(rdbOpResizeDB)
			w.length(uint64(keys))
			w.length(uint64(expires))
		}
	}
	return w.out
}

// snapshotFile is where the pieces of a snapshot go.
type snapshotFile struct {
	o   SnapshotOptions
	to  io.Writer
	sum uint64
	err error
}

func (f *snapshotFile) write(b []byte) {
	if f.err != nil || len(b) == 0 {
		return
	}
	if !f.o.Unsure && f.o.Record == nil {
		f.sum = crc64Jones(f.sum, b)
	}
	_, f.err = f.to.Write(b)
}

// end writes the end mark and the checksum, 0 if there shall be none.
func (f *snapshotFile) end() error {
	if f.o.Record == nil {
		f.write([]byte{rdbOpEOF})
		f.write(binary.LittleEndian.AppendUint64(nil, f.sum))
	}
	return f.err
}

// snapshotWriter writes keys in pieces that begin with their database.
type snapshotWriter struct {
	rdbWriter
	o    *SnapshotOptions
	emit func(piece []byte) (spare []byte)

	written int64  // bytes emitted
	dump    []byte // where a payload is made

	db  int
	lfu bool // access clocks are written as counters
	lru bool // … as idle times
	own Tx   // for handles on values; at time 0, when nothing has expired
}

// prepare takes over what tx knows.
func (w *snapshotWriter) prepare(tx *Tx) {
	w.own = Tx{store: tx.store, begun: tx.begun, clock: tx.clock, lfu: tx.lfu}
	w.tx, w.plain = &w.own, w.o.Plain
	w.lfu, w.lru = tx.lfu, Policy(tx.store.policy.Load()).lru()
}

// size returns how many bytes were written.
func (w *snapshotWriter) size() int64 { return w.written + int64(len(w.out)) }

// flush emits what is written once that is at least so many bytes.
func (w *snapshotWriter) flush(least int) {
	if len(w.out) >= least && len(w.out) > 0 {
		w.written += int64(len(w.out))
		w.out = w.emit(w.out)
	}
}

func (w *rdbWriter) aux(name, value []byte) {
	w.byte(rdbOpAux)
	w.text(name)
	w.text(value)
}

// key writes one key and its value.
func (w *snapshotWriter) key(s slot) {
	if w.o.Record != nil {
		w.commands(s)
		w.flush(snapshotChunk)
		return
	}
	if len(w.out) == 0 {
		w.byte(rdbOpSelectDB)
		w.length(uint64(w.db))
	}
	key, at := s.c.key(s.entry), s.expiry()
	kind := w.typeOf(s)
	if kind == rdbQueue {
		w.queue(key, max(at, 0), s)
		w.flush(snapshotChunk)
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
	w.access(s)
	w.byte(kind)
	w.text(key)
	w.value(kind, s)
	if timed {
		w.aux(auxName(auxHashExpiry, w.db, key), w.fieldTimes(s))
	}
	w.flush(snapshotChunk)
}

// access writes the access clock if the policy in force goes by it.
func (w *snapshotWriter) access(s slot) {
	switch {
	case w.lfu:
		w.byte(rdbOpFreq)
		w.byte(byte(w.own.decayed(s.clock())))
	case w.lru:
		idle := (w.own.clock - s.clock()) & clockMask
		if idle > clockMask-clockAhead { // it was read after the cut
			idle = 0
		}
		w.byte(rdbOpIdle)
		w.length(uint64(idle))
	}
}

// clockAhead is how many seconds after the cut an access clock may stand.
const clockAhead = 24 * 3600

func auxName(prefix string, db int, key []byte) []byte {
	name := append(strconv.AppendInt([]byte(prefix), int64(db), 10), ':')
	return append(name, key...)
}

func (w *snapshotWriter) queue(key []byte, at int64, s slot) {
	dump := binary.LittleEndian.AppendUint64(nil, uint64(at))
	dump = w.tx.object(s).(*Queue).appendTo(dump)
	for part := (len(dump) - 1) / queuePartBytes; part >= 0; part-- {
		n := min(len(dump), queuePartBytes)
		w.aux(strconv.AppendInt(append(auxName(auxQueue, w.db, key), ':'), int64(part), 10), dump[:n])
		dump = dump[n:]
	}
}

// fieldTimes returns the fields of a hash that expire, with their times.
func (w *snapshotWriter) fieldTimes(s slot) (times []byte) {
	w.hashOf(s).EachTimed(func(field, _ []byte, at int64) bool {
		if at >= 0 {
			times = append(binary.AppendUvarint(times, uint64(len(field))), field...)
			times = binary.LittleEndian.AppendUint64(times, uint64(at))
		}
		return true
	})
	return times
}
