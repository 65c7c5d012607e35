package journal

import "bytes"

// LoadFile reads one file of commands, which an RDB may precede, as Load does the
// last of a log.
func LoadFile(d Disk, name string, truncate bool, t Target) (*Loaded, error) {
	data, release, err := d.Read(name)
	if err != nil {
		return nil, err
	}
	defer release()
	t.Begin(int64(len(data)))
	l := &loader{disk: d, to: t, truncate: truncate, out: Loaded{Found: true}}
	at := 0
	var key []byte
	switch {
	case bytes.HasPrefix(data, []byte("REDIS")):
		if at, err = t.Snapshot(data); err != nil {
			return nil, &DamageError{name, int64(at), err}
		}
	case len(data) >= fileHead && bytes.HasPrefix(data, []byte(fileLine)):
		key, at = bytes.Clone(data[len(fileLine):fileHead-2]), fileHead
	}
	if err := l.tail(name, data, at, key, true); err != nil {
		return nil, err
	}
	return &l.out, nil
}

// followed tells whether whole commands stand behind the unfinished one near the
// front of b, which no interrupted write leaves: then its length was damaged.
func followed(b []byte) bool {
	var args [][]byte
	for { // a transaction may be what is unfinished
		var n int
		var err error
		if args, n, err = parseCommand(b, args[:0]); err != nil {
			break
		}
		b = b[n:]
	}
	for {
		i := bytes.Index(b, []byte("\r\n*"))
		if i < 0 {
			return false
		}
		b = b[i+2:]
		var err error
		if args, _, err = parseCommand(b, args[:0]); err == nil {
			return true
		}
	}
}
