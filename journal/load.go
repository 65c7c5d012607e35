package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"synap/resp"
)

// Target is what a log is loaded into.
type Target interface {
	// Snapshot loads the RDB at the front of data and returns its length. Keys
	// that have expired are kept: what follows may still speak of them.
	Snapshot(data []byte) (int, error)
	// Run repeats a command.
	Run(db int, args [][]byte) error
	// Begin is told how many bytes there are to read.
	Begin(total int64)
	// Progress is told how many bytes more were read.
	Progress(n int)
}

// DamageError tells where a file of the log cannot be read.
type DamageError struct {
	File   string
	Offset int64
	Err    error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at offset %d: %v", e.File, e.Offset, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// ErrUnfinished is wrapped by a DamageError of an interrupted last write, which
// may be cut off.
var ErrUnfinished = errors.New("the last write was interrupted, and aof-load-truncated is no")

// Loaded is what a log was found to be.
type Loaded struct {
	manifest Manifest
	last     string // the increment that can be written on, if it is ours
	size     int64  // its size
	key      []byte
	seq      uint64
	tails    []tail
	Found    bool   // there was a log
	Cut      int64  // bytes of an unfinished write that were cut off …
	CutFrom  string // … from this file
}

// tail is the part of a file that no later byte proves to be on disk.
type tail struct {
	name string
	from int64
}

// Files names the log's place: the directory and the first part of the names.
type Files struct{ Dir, Name string }

func (f Files) manifest() string        { return f.path(f.Name + ".manifest") }
func (f Files) path(name string) string { return f.Dir + "/" + name }

// read returns the manifest, if there is one.
func (f Files) read(d Disk) (m Manifest, found bool, err error) {
	text, release, err := d.Read(f.manifest())
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, f.strays(d)
	}
	if err != nil {
		return m, false, err
	}
	defer release()
	if m, err = parseManifest(text); err != nil {
		err = fmt.Errorf("%s is damaged: %w", f.manifest(), err)
	}
	return m, m.begun == "", err
}

// strays refuses a directory that holds the files of a log without its
// manifest: starting empty would hide them.
func (f Files) strays(d Disk) error {
	names, err := d.List(f.Dir)
	for _, name := range names {
		if strings.HasSuffix(name, ".aof") || strings.HasSuffix(name, ".rdb") {
			return fmt.Errorf("%s is missing, but %s is there: restore the manifest, or move the directory away to start empty", f.manifest(), f.path(name))
		}
	}
	return err
}

// Load reads the log into t. What an interrupted write left at the end of the
// last file is cut off if truncate is set; all other damage is a *DamageError.
func Load(d Disk, f Files, truncate bool, t Target) (*Loaded, error) {
	m, found, err := f.read(d)
	if err != nil || !found {
		return &Loaded{}, err
	}
	total, _ := m.sizes(d, f)
	t.Begin(total)
	l := &loader{disk: d, files: f, to: t, truncate: truncate, out: Loaded{manifest: m, Found: true}}
	if m.Base != "" {
		last, err := l.allEmpty(m.Increments)
		if err == nil {
			err = l.base(f.path(m.Base), last)
		}
		if err != nil {
			return nil, err
		}
	}
	for i, name := range m.Increments {
		last, err := l.allEmpty(m.Increments[i+1:])
		if err == nil {
			err = l.increment(f.path(name), last)
		}
		if err != nil {
			return nil, err
		}
	}
	return &l.out, nil
}

// allEmpty tells whether no increment of these holds a command.
func (l *loader) allEmpty(increments []string) (bool, error) {
	for _, name := range increments {
		if empty, err := l.empty(l.files.path(name)); err != nil || !empty {
			return false, err
		}
	}
	return true, nil
}

type loader struct {
	disk     Disk
	files    Files
	to       Target
	truncate bool
	out      Loaded
	db       int
	skip     int   // records that only a Redis executes
	synced   int64 // bytes of the present file that are known to be on disk
	args     [][]byte
}

// empty tells whether an increment holds no command.
func (l *loader) empty(name string) (bool, error) {
	data, release, err := l.disk.Read(name)
	if err != nil {
		return false, err
	}
	defer release()
	return len(data) == 0 || len(data) <= fileHead && bytes.HasPrefix(data, []byte(fileLine)[:min(len(data), len(fileLine))]), nil
}

// base reads an RDB, which commands may follow, or commands alone; last says that
// nothing follows it.
func (l *loader) base(name string, last bool) error {
	data, release, err := l.disk.Read(name)
	if err != nil {
		return err
	}
	defer release()
	n := 0
	if bytes.HasPrefix(data, []byte("REDIS")) {
		if n, err = l.to.Snapshot(data); err != nil {
			return &DamageError{name, int64(n), err}
		}
		l.to.Progress(n)
	}
	return l.tail(name, data, n, nil, last)
}

// increment reads one increment; last says that nothing follows it.
func (l *loader) increment(name string, last bool) error {
	data, release, err := l.disk.Read(name)
	if err != nil {
		return err
	}
	defer release()
	l.db, l.synced = 0, 0
	var key []byte
	at := 0
	if bytes.HasPrefix(data, []byte(fileLine)) && len(data) >= fileHead {
		key, at = bytes.Clone(data[len(fileLine):fileHead-2]), fileHead
	}
	return l.tail(name, data, at, key, last)
}

// tail reads the commands of a file from at to its end.
func (l *loader) tail(name string, data []byte, at int, key []byte, last bool) error {
	at, err := l.commands(data, at, key)
	if err != nil {
		var failed *runError
		torn := last && !errors.As(err, &failed)
		if key == nil {
			torn = torn && errors.Is(err, errShort) && !followed(data[at:])
		} else {
			torn = torn && !proven(data, at, key)
		}
		switch {
		case torn && l.truncate:
			l.out.Cut, l.out.CutFrom = int64(len(data)-at), name
			if err := l.disk.Truncate(name, int64(at)); err != nil {
				return err
			}
		case torn:
			return &DamageError{name, int64(at), fmt.Errorf("%w: %w", err, ErrUnfinished)}
		default:
			return &DamageError{name, int64(at), err}
		}
	}
	l.out.last, l.out.size, l.out.key = name, int64(at), key
	if key == nil { // a Redis has written it
		l.synced = int64(at)
	}
	if last { // else it was synced before the next file was begun
		l.out.tails = append(l.out.tails, tail{name, l.synced})
	}
	return nil
}

// proven tells whether a batch behind at was written when the file was synced
// beyond at: then what stands there was damaged, not cut off.
func proven(data []byte, at int, key []byte) bool {
	for p := at + 1; p < len(data); p++ {
		i := bytes.Index(data[p:], []byte(batchLine))
		if i < 0 {
			return false
		}
		p += i
		if b, err := parseBatch(data[p:], key); err == nil && b.synced > int64(at) {
			return true
		}
	}
	return false
}

// runError is a command that the server refused.
type runError struct {
	command string
	err     error
}

// refused copies the name: the file is let go before anybody reads the error.
func refused(name []byte, err error) error {
	return &runError{string(name[:min(len(name), 64)]), err}
}

func (e *runError) Error() string {
	return fmt.Sprintf("the command %q was refused: %v", e.command, e.err)
}
func (e *runError) Unwrap() error { return e.err }

// commands reads a file from at to its end, and returns where it stopped.
func (l *loader) commands(data []byte, at int, key []byte) (int, error) {
	for at < len(data) {
		n, err := l.step(data[at:], key)
		if err != nil {
			return at, err
		}
		l.to.Progress(n)
		at += n
	}
	return at, nil
}

// step reads one batch of ours, or one command, transaction or line that a
// Redis wrote.
func (l *loader) step(b, key []byte) (int, error) {
	if key != nil && bytes.HasPrefix(b, []byte(batchLine)[:min(len(b), len(batchLine))]) {
		part, err := parseBatch(b, key)
		if err != nil {
			return 0, err
		}
		l.out.seq, l.synced = part.seq, part.synced
		return part.size, l.run(part.body)
	}
	if b[0] == '#' {
		return comment(b, key != nil)
	}
	n, err := l.unit(b)
	if err != nil {
		return 0, err
	}
	return n, l.run(b[:n])
}

// timeLine begins the only lines that a Redis itself puts between commands.
const timeLine = "#TS:"

// comment returns the length of the line at the front of b. In a file of ours it
// must be one that a Redis wrote: else a batch whose first bytes were lost could
// be taken for a line and commands.
func comment(b []byte, own bool) (int, error) {
	i := bytes.IndexByte(b[:min(len(b), lineMax)], '\n')
	switch {
	case own && !bytes.HasPrefix(b, []byte(timeLine)[:min(len(b), len(timeLine))]):
		return 0, errBytes
	case i < 0 && len(b) < lineMax:
		return 0, errShort
	case i < 0:
		return 0, errBytes
	case own && len(bytes.Trim(b[len(timeLine):i], "0123456789\r")) > 0:
		return 0, errBytes
	}
	return i + 1, nil
}

// unit returns the length of the command or the transaction at the front of b.
func (l *loader) unit(b []byte) (int, error) {
	at, depth := 0, 0
	for {
		args, n, err := parseCommand(b[at:], l.args[:0])
		if err != nil {
			return 0, err
		}
		l.args = args
		at += n
		switch {
		case resp.EqualFold(args[0], "MULTI"):
			depth = 1
		case resp.EqualFold(args[0], "EXEC"):
			depth = 0
		}
		if depth == 0 {
			return at, nil
		}
	}
}

// run repeats commands that are known to be whole.
func (l *loader) run(b []byte) error {
	for len(b) > 0 {
		args, n, err := parseCommand(b, l.args[:0])
		if err != nil {
			return refused(b[:min(len(b), 16)], err)
		}
		l.args, b = args, b[n:]
		if l.skip > 0 {
			l.skip--
			continue
		}
		if err := l.one(args); err != nil {
			return refused(args[0], err)
		}
	}
	return nil
}

func (l *loader) one(args [][]byte) error {
	switch name := args[0]; {
	case len(args) == 2 && resp.EqualFold(name, "SELECT"):
		n, ok := resp.ParseInt(args[1])
		if !ok || n < 0 || n > 1<<20 {
			return errBytes
		}
		l.db = int(n)
		return nil
	case len(args) == 1 && (resp.EqualFold(name, "MULTI") || resp.EqualFold(name, "EXEC")):
		return nil
	case len(args) == 3 && resp.EqualFold(name, "PUBLISH"):
		if string(args[1]) != ownChannel {
			return nil
		}
		own, covers, ok := parseOwn(args[2])
		if !ok {
			return errors.New("it is of a newer version")
		}
		l.skip = covers
		return l.to.Run(l.db, own)
	}
	return l.to.Run(l.db, args)
}
