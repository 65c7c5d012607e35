package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Errors of SnapshotReader.Load.
var (
	ErrNotSnapshot   = errors.New("it is no RDB file")
	ErrSnapshotSum   = errors.New("the checksum is wrong")
	ErrSnapshotShort = errors.New("the file ends before its end mark")
)

// SnapshotReader loads an RDB file, step by step, into a store that nobody else
// writes to.
type SnapshotReader struct {
	r        rdbReader
	data     []byte
	now      int64 // keys that expire until then are dropped; 0: none
	version  int
	db       int
	expireAt int64
	idle     int64 // of the next key, in seconds; negative: not known
	freq     int   // its access counter, negative: not known
	summed   int
	sum      uint64
	queue    []byte // parts read so far
	copy     []byte // of a key
	end      int    // 0 until the end mark was read
	started  bool

	Unsure  bool // the checksum is not looked at
	Keys    int  // loaded
	Expired int  // dropped
	Skipped int  // functions, which there are none of
}

// NewSnapshotReader returns a reader of the RDB file at the front of data.
func NewSnapshotReader(data []byte, now int64) *SnapshotReader {
	return &SnapshotReader{data: data, now: now, idle: -1, freq: -1, r: rdbReader{rest: data}}
}

// Offset returns how many bytes were read: at the end the length of the file,
// after an error where it is.
func (l *SnapshotReader) Offset() int {
	if l.end > 0 {
		return l.end
	}
	return len(l.data) - len(l.r.rest)
}

// Load loads up to about n keys and reports whether there is more. tx holds all
// shards; its time must be 0, so that nothing expires meanwhile.
func (l *SnapshotReader) Load(tx *Tx, n int) (more bool, err error) {
	l.r.tx = tx
	if !l.started {
		if err := l.head(); err != nil {
			return false, err
		}
		l.started = true
	}
	for to := l.Keys + l.Expired + n; l.Keys+l.Expired < to; {
		at := l.Offset()
		done, err := l.item(tx)
		if err == nil && l.r.bad {
			if err = ErrBadData; l.r.short {
				err = ErrSnapshotShort
			}
		}
		if err != nil {
			l.r.rest = l.data[at:]
			return false, err
		}
		if done {
			return false, l.finish()
		}
	}
	l.checkSoFar()
	return true, nil
}

func (l *SnapshotReader) checkSoFar() {
	if l.Unsure {
		return
	}
	at := len(l.data) - len(l.r.rest)
	l.sum = crc64Jones(l.sum, l.data[l.summed:at])
	l.summed = at
}

func (l *SnapshotReader) head() error {
	const magic = "REDIS"
	b := l.r.take(uint64(len(magic) + 4))
	if b == nil || string(b[:len(magic)]) != magic {
		return ErrNotSnapshot
	}
	version, err := strconv.Atoi(string(b[len(magic):]))
	if err != nil || version < 1 {
		return ErrNotSnapshot
	}
	if version > rdbVersionRead {
		return fmt.Errorf("it has RDB version %d, and the newest that can be read is %d", version, rdbVersionRead)
	}
	l.version = version
	return nil
}

// finish checks the checksum behind the end mark; 0 means there is none.
func (l *SnapshotReader) finish() error {
	if l.version >= 5 {
		l.checkSoFar()
		b := l.r.take(8)
		if b == nil {
			return ErrSnapshotShort
		}
		if want := binary.LittleEndian.Uint64(b); want != 0 && want != l.sum && !l.Unsure {
			return ErrSnapshotSum
		}
	}
	l.end = len(l.data) - len(l.r.rest)
	if l.queue != nil {
		return ErrBadData
	}
	return nil
}

// item reads one opcode, or one key with its value.
func (l *SnapshotReader) item(tx *Tx) (done bool, err error) {
	r := &l.r
	switch op := r.byte(); op {
	case rdbOpEOF:
		return !r.bad, nil
	case rdbOpSelectDB:
		n := r.length()
		if n >= uint64(tx.store.databases) {
			return false, fmt.Errorf("it has a database %d, but option databases is %d", n, tx.store.databases)
		}
		l.db = int(n)
	case rdbOpResizeDB:
		n := r.length()
		r.length()
		l.expect(tx, n)
	case rdbOpSlotInfo:
		r.length()
		r.length()
		r.length()
	case rdbOpExpireMs:
		l.expireAt = r.time()
	case rdbOpExpire:
		if b := r.take(4); b != nil {
			l.expireAt = int64(int32(binary.LittleEndian.Uint32(b))) * 1000
		}
	case rdbOpIdle:
		l.idle = int64(min(r.length(), clockMask-1))
	case rdbOpFreq:
		l.freq = int(r.byte())
	case rdbOpFunction2:
		r.text()
		l.Skipped++
	case rdbOpAux:
		return false, l.aux(tx)
	default:
		return false, l.key(tx, op)
	}
	return false, nil
}

func (l *SnapshotReader) key(tx *Tx, kind byte) error {
	r := &l.r
	if r.bad {
		return nil
	}
	r.room = manyTimes * tx.store.maxString
	key := r.text()
	if kind != rdbString || len(r.rest) > 0 && r.rest[0] >= rdbInt8 {
		key = l.copied(key)
	}
	v := r.value(kind)
	if r.bad {
		v.discard()
		return unreadable(kind)
	}
	l.store(tx, key, v)
	return nil
}

// unreadable says why no value of a kind can be read, nil if others can.
func unreadable(kind byte) error {
	const module, module2, moduleAux = 6, 7, 247
	switch {
	case kind == module || kind == module2 || kind == moduleAux:
		return errors.New("it holds data of a module, and there are no modules")
	case kind > rdbStream3 && kind != rdbHashMetadata && kind != rdbHashListpackEx:
		return fmt.Errorf("it holds a value of type %d, which is not known", kind)
	}
	return nil
}

// store stores a value, unless its time has come.
func (l *SnapshotReader) store(tx *Tx, key []byte, v value) {
	how := Restored{ExpireAt: l.expireAt, Idle: l.idle, Freq: l.freq}
	l.expireAt, l.idle, l.freq = 0, -1, -1
	if at := how.ExpireAt; at != 0 && at <= l.now {
		v.discard()
		l.Expired++
		return
	}
	tx.Use(l.db)
	c, h := tx.contents(key)
	if _, ok := c.lookup(h, key); ok { // no Redis writes a key twice, but it is loaded
		tx.put(key, v, how.ExpireAt)
		tx.ResetChanges()
	} else {
		c.add(h, key, v, how.ExpireAt, tx.newClock())
	}
	if how.Idle >= 0 || how.Freq >= 0 {
		tx.access(key, how)
	}
	l.Keys++
}

// copied returns a copy of b that is valid until the next.
func (l *SnapshotReader) copied(b []byte) []byte {
	l.copy = append(l.copy[:0], b...)
	return l.copy
}

// expect makes room for n keys, or for as many as the rest of the file can hold.
func (l *SnapshotReader) expect(tx *Tx, n uint64) {
	const keyBytes = 3 // the least that a key takes
	n = min(n, uint64(len(l.r.rest)/keyBytes)) / uint64(tx.store.shards)
	if n == 0 {
		return
	}
	shards := tx.store.shardsOf(l.db)
	for i := range shards {
		if shards[i].data == nil {
			tx.store.furnish(&shards[i], l.db)
			shards[i].data.dict.presize(int(n))
		}
	}
}

// aux reads an auxiliary field; those of others are passed over.
func (l *SnapshotReader) aux(tx *Tx) error {
	l.r.room = manyTimes * tx.store.maxString
	name := bytes.Clone(l.r.text())
	value := l.r.text()
	if l.r.bad {
		return nil
	}
	if rest, ok := bytes.CutPrefix(name, []byte(auxQueue)); ok {
		i := bytes.LastIndexByte(rest, ':')
		if i < 0 {
			return ErrBadData
		}
		part, err := strconv.Atoi(string(rest[i+1:]))
		db, key, ok := cutDatabase(rest[:i])
		if err != nil || !ok {
			return ErrBadData
		}
		return l.queuePart(tx, db, key, part, value)
	}
	if rest, ok := bytes.CutPrefix(name, []byte(auxHashExpiry)); ok {
		db, key, ok := cutDatabase(rest)
		if !ok || db != l.db {
			return ErrBadData
		}
		return l.hashExpiry(tx, key, value)
	}
	return nil
}

// cutDatabase reads "<db>:<key>".
func cutDatabase(b []byte) (db int, key []byte, ok bool) {
	number, key, ok := bytes.Cut(b, []byte{':'})
	db, err := strconv.Atoi(string(number))
	return db, key, ok && err == nil && db >= 0
}

func (l *SnapshotReader) queuePart(tx *Tx, db int, key []byte, part int, b []byte) error {
	if db >= tx.store.databases {
		return fmt.Errorf("it has a database %d, but option databases is %d", db, tx.store.databases)
	}
	l.queue = append(l.queue, b...)
	if part > 0 {
		return nil
	}
	dump := l.queue
	l.queue = nil
	if len(dump) < 8 {
		return ErrBadData
	}
	q, err := loadQueue(tx.store, dump[8:])
	if err != nil {
		return err
	}
	here := l.db
	l.db, l.expireAt = db, int64(binary.LittleEndian.Uint64(dump))
	l.store(tx, key, value{kind: KindQueue, object: q})
	l.db = here
	return nil
}

func (l *SnapshotReader) hashExpiry(tx *Tx, key, times []byte) error {
	tx.Use(l.db)
	h, err := tx.HashOf(key, Peek)
	if err != nil || h.Len() == 0 {
		return nil // its time had come
	}
	r := queueReader{b: times}
	for r.more() {
		field := r.text(len(times))
		if r.bad || len(r.b) < 8 {
			return ErrBadData
		}
		h.ExpireAt(field, int64(binary.LittleEndian.Uint64(r.b)))
		r.b = r.b[8:]
	}
	h.Done()
	tx.ResetChanges()
	if r.bad {
		return ErrBadData
	}
	return nil
}
