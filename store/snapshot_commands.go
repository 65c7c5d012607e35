package store

import "strconv"

// commands writes a key as commands: RESTORE, which takes any value, and for
// fields of a hash that expire HPEXPIREAT, which Redis 7.0 does not know.
func (w *snapshotWriter) commands(s slot) {
	if len(w.out) == 0 {
		w.out = w.o.Record(w.out, false, []byte("SELECT"), strconv.AppendInt(nil, int64(w.db), 10))
	}
	key, kind := s.c.key(s.entry), w.typeOf(s)
	timed := true
	switch kind {
	case rdbHashMetadata:
		kind = rdbHash
	case rdbHashListpackEx:
		kind = rdbHashListpack
	default:
		timed = false
	}
	value := rdbWriter{tx: w.tx, plain: w.plain, out: w.dump[:0]}
	value.payload(kind, s)
	w.dump = value.out
	at := strconv.AppendInt(nil, max(s.expiry(), 0), 10)
	w.out = w.o.Record(w.out, kind == rdbQueue, []byte("RESTORE"), key, at, value.out, []byte("ABSTTL"))
	if timed {
		w.hashOf(s).EachTimed(func(field, _ []byte, at int64) bool {
			if at >= 0 {
				when := strconv.AppendInt(nil, at, 10)
				w.out = w.o.Record(w.out, true, []byte("HPEXPIREAT"), key, when, []byte("FIELDS"), []byte("1"), field)
			}
			return true
		})
	}
}
