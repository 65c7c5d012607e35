package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Rewrite replaces the files of a log by a base that holds the state of one
// moment, the cut, and an increment of what came after it.
type Rewrite struct {
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
	if a.file == nil { // the log was off: what its files hold is out of date
		a.manifest.incrementNo = max(a.manifest.incrementNo, a.leftover())
	}
	next, err := a.newIncrement()
	if err == nil && a.broken.Load() == nil && a.file != nil {
		err = a.manifest.write(a.disk, a.files.manifest())
	}
	if err != nil {
		return nil, err
	}
	return &Rewrite{a: a, next: next}, nil
}

// leftover returns the number of the newest increment that the manifest on disk
// knows.
func (a *AOF) leftover() int {
	m, _, err := a.files.read(a.disk)
	if err != nil {
		return a.manifest.incrementNo
	}
	a.manifest.baseSeq = max(a.manifest.baseSeq, m.baseSeq)
	return m.incrementNo
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
	m := Manifest{baseSeq: a.manifest.baseSeq + 1, incrementNo: a.manifest.incrementNo}
	a.io.Unlock()
	m.Base = fmt.Sprintf("%s.%d.base.rdb", a.files.Name, m.baseSeq)
	var size counter
	err := WriteFile(a.disk, a.files.path(m.Base), func(w io.Writer) error {
		return write(io.MultiWriter(w, &size))
	})
	if err != nil {
		return err
	}
	a.syncing.Lock() // what the manifest names must be on disk
	err = r.next.f.Sync()
	a.syncing.Unlock()
	a.mu.Lock()
	again := a.fails != r.fails
	a.mu.Unlock()
	if err != nil || again {
		return errors.Join(err, errors.New("the log failed again"), a.disk.Remove(a.files.path(m.Base)))
	}
	a.io.Lock()
	old := a.manifest
	m.Increments = []string{old.Increments[len(old.Increments)-1]}
	if err := m.write(a.disk, a.files.manifest()); err != nil {
		a.io.Unlock()
		return err
	}
	a.manifest = m
	a.io.Unlock()
	if a.broken.Swap(nil) != nil {
		a.synced.Store(max(r.seq, a.synced.Load()))
	}
	a.baseSize.Store(int64(size))
	a.size.Store(int64(size) + r.next.size)
	a.poke()
	a.notify()
	return r.removeOld(&m)
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

// owns tells whether a file is a base or an increment of this log.
func (f Files) owns(name string) bool {
	var n int
	var kind string
	rest, ok := strings.CutPrefix(name, f.Name+".")
	if !ok {
		return false
	}
	if _, err := fmt.Sscanf(rest, "%d.%s", &n, &kind); err != nil {
		return false
	}
	return slices.Contains([]string{"base.rdb", "base.aof", "incr.aof"}, kind)
}

// counter counts what is written.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
