package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Rewrite replaces the files of a log by a base that holds the state of one
// moment, the cut, and an increment of what came after it.
type Rewrite struct {
	Commands bool // the base is a list of commands, not a snapshot

	a     *AOF
	next  *increment
	fails int
	seq   uint64
}

// BeginRewrite makes the next increment. Until Commit the old files and it hold
// everything.
func (a *AOF) BeginRewrite() (*Rewrite, error) {
	a.io.Lock()
	defer a.io.Unlock()
	switch {
	case a.file == nil: // the log was off: what its files hold is out of date
		if err := a.announce(); err != nil {
			return nil, err
		}
	case a.broken.Load() != nil:
		if err := a.dropUnnamed(); err != nil {
			return nil, err
		}
	}
	next, err := a.newIncrement()
	if err != nil {
		return nil, err
	}
	if a.broken.Load() == nil && a.file != nil {
		if err := a.writeManifest(&a.manifest); err != nil {
			return nil, errors.Join(err, next.f.Close())
		}
	}
	return &Rewrite{a: a, next: next}, nil
}

// announce makes sure that there is a manifest before the first file: files
// without one are taken for a log whose manifest was lost. It needs io.
func (a *AOF) announce() error {
	if err := a.disk.MakeDir(a.files.Dir); err != nil {
		return err
	}
	m, found, err := a.files.read(a.disk)
	names, listErr := a.disk.List(a.files.Dir)
	if listErr != nil {
		return listErr
	}
	a.bases = max(a.bases, m.baseSeq)
	a.manifest.incrementNo = max(a.manifest.incrementNo, m.incrementNo)
	for _, name := range names { // so that none of them is written over
		switch n, kind := a.files.parse(name); kind {
		case increments:
			a.manifest.incrementNo = max(a.manifest.incrementNo, n)
		case bases:
			a.bases = max(a.bases, n)
		}
	}
	if found || err != nil {
		return nil
	}
	m.begun = fmt.Sprintf("%s.%d.incr.aof", a.files.Name, a.manifest.incrementNo+1)
	return m.write(a.disk, a.files.manifest())
}

// dropUnnamed removes the increments of rewrites that failed while the log was
// broken. It needs io.
func (a *AOF) dropUnnamed() error {
	for _, name := range a.manifest.Increments[a.named:] {
		if err := a.disk.Remove(a.files.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	a.manifest.Increments = a.manifest.Increments[:a.named:a.named]
	return nil
}

// Cut sends what is appended from now on to the new increment. Callers hold all
// shard locks.
func (r *Rewrite) Cut() {
	a := r.a
	a.mu.Lock()
	defer a.mu.Unlock()
	r.seq = a.appended.Load()
	a.parts = append(a.parts, part{a.pending, r.seq, r.next})
	a.pending, a.db, a.discard = nil, -1, false
	r.fails = a.fails
}

// Commit writes the state of the cut as the new base and removes the old files.
func (r *Rewrite) Commit(write func(io.Writer) error) error {
	a := r.a
	a.write() // into the old file what belongs there
	a.io.Lock()
	a.bases++ // never again: a manifest that could not be written may name it
	m := Manifest{baseSeq: a.bases}
	a.io.Unlock()
	form := "rdb"
	if r.Commands {
		form = "aof"
	}
	m.Base = fmt.Sprintf("%s.%d.base.%s", a.files.Name, m.baseSeq, form)
	var size counter
	err := WriteFile(a.disk, a.files.path(m.Base), func(w io.Writer) error {
		size.w = w
		return write(&size)
	})
	if err == nil {
		err = r.syncNext()
	}
	if err == nil {
		err = r.replace(&m)
	}
	if err != nil {
		return errors.Join(err, r.abandon())
	}
	a.baseSize.Store(size.n)
	a.io.Lock()
	a.size.Store(size.n + r.next.size)
	a.io.Unlock()
	a.poke()
	a.notify()
	return r.removeOld(&m)
}

// errAgain is returned when the log has failed since the cut.
var errAgain = errors.New("the log failed again")

// syncNext brings what the manifest is to name to disk.
func (r *Rewrite) syncNext() error {
	a := r.a
	a.syncing.Lock()
	defer a.syncing.Unlock()
	a.io.Lock()
	current := a.file == r.next
	a.io.Unlock()
	if !current {
		return errAgain
	}
	err := r.next.f.Sync()
	if err != nil { // nor would another sync bring to disk what this one did not
		a.breakOff(err)
		a.tell(err)
	}
	return err
}

// replace puts the new manifest in the place of the old one and ends a failure.
func (r *Rewrite) replace(m *Manifest) error {
	a := r.a
	a.io.Lock()
	defer a.io.Unlock()
	if r.failedAgain() {
		return errAgain
	}
	m.incrementNo = a.manifest.incrementNo
	m.Increments = a.manifest.Increments[len(a.manifest.Increments)-1:]
	if err := a.writeManifest(m); err != nil {
		a.named = len(a.manifest.Increments) // either manifest may be found: both stay true
		return err
	}
	a.manifest = *m
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fails != r.fails {
		return errAgain
	}
	if a.broken.Swap(nil) != nil {
		a.synced.Store(max(r.seq, a.synced.Load()))
		a.kept.Store(a.lost.Load()) // the base holds it
	}
	return nil
}

func (r *Rewrite) failedAgain() bool {
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	return r.a.fails != r.fails
}

// abandon closes the increment if the log has failed before it came to it.
func (r *Rewrite) abandon() error {
	a := r.a
	a.io.Lock()
	defer a.io.Unlock()
	if a.file == r.next {
		return nil
	}
	return r.next.f.Close()
}

// removeOld removes what belongs to the log's name and is not in the manifest.
func (r *Rewrite) removeOld(m *Manifest) error {
	a := r.a
	names, err := a.disk.List(a.files.Dir)
	for _, name := range names {
		if name == m.Base || slices.Contains(m.Increments, name) || !a.files.owns(name) {
			continue
		}
		if e := a.disk.Remove(a.files.path(name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// The kinds of files that belong to a log.
const (
	increments = "incr.aof"
	bases      = "base.rdb"
	plainBases = "base.aof"
)

// parse reads the number and the kind of a file of this log; "" if it is none.
func (f Files) parse(name string) (n int, kind string) {
	rest, ok := strings.CutPrefix(name, f.Name+".")
	number, kind, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || !slices.Contains([]string{increments, bases, plainBases}, kind) {
		return 0, ""
	}
	return n, kind
}

// owns tells whether a file is one of this log's, or what an interrupted rewrite
// left of one.
func (f Files) owns(name string) bool {
	_, kind := f.parse(strings.TrimSuffix(name, temporarySuffix))
	return kind != "" || name == f.Name // the base that Adopt made
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Sync syncs what is written so far, if that can be.
func (c *counter) Sync() error {
	if f, ok := c.w.(interface{ Sync() error }); ok {
		return f.Sync()
	}
	return nil
}
