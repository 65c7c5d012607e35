package journal

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// errPower is what a disk without power answers.
var errPower = errors.New("the power is off")

// crashDisk is a Disk in memory that can lose power. It keeps what is synced, and
// any subset of the rest: of a file each unsynced write whole, in part or not at
// all, and of a directory each unsynced creation, rename and removal or not. A
// sync that fails gives up what it did not bring to disk, as Linux does: a later
// one does not help.
type crashDisk struct {
	mu    sync.Mutex // guards all
	rnd   *rand.Rand
	left  int // operations until the power fails
	done  int // operations that changed something
	off   bool
	fault float64 // how often an operation fails
	full  bool    // no write fits
	dirs  map[string]*crashDir
}

type crashDir struct {
	now, synced map[string]*crashInode
	pending     []dirChange
}

// dirChange is a name that was removed, given, or moved.
type dirChange struct {
	from, to string
	inode    *crashInode
}

func (c dirChange) apply(names map[string]*crashInode) {
	if c.from != "" {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.inode
	}
}

type crashInode struct {
	now, disk []byte
	pending   []fileChange
}

// fileChange is a write at a place, or with no bytes a cut to it.
type fileChange struct {
	at    int
	bytes []byte
}

func (c fileChange) apply(b []byte) []byte {
	if c.bytes == nil {
		if c.at <= len(b) {
			return b[:c.at:c.at]
		}
		return append(b[:len(b):len(b)], make([]byte, c.at-len(b))...)
	}
	if short := c.at + len(c.bytes) - len(b); short > 0 {
		b = append(b[:len(b):len(b)], make([]byte, short)...)
	}
	copy(b[c.at:], c.bytes)
	return b
}

// somewhat is what may become of a change that was not synced: all, nothing, a
// beginning, an end, or pieces.
func (c fileChange) somewhat(rnd *rand.Rand) []fileChange {
	if len(c.bytes) < 2 {
		return []fileChange{c}[:rnd.IntN(2)]
	}
	cut := 1 + rnd.IntN(len(c.bytes)-1)
	begin, end := fileChange{c.at, c.bytes[:cut]}, fileChange{c.at + cut, c.bytes[cut:]}
	switch rnd.IntN(6) {
	case 0:
		return nil
	case 1, 2:
		return []fileChange{c}
	case 3:
		return []fileChange{begin}
	case 4:
		return []fileChange{end}
	}
	return append(begin.somewhat(rnd), end.somewhat(rnd)...)
}

func (n *crashInode) change(c fileChange) {
	c.bytes = slices.Clone(c.bytes)
	n.now = c.apply(n.now)
	n.pending = append(n.pending, c)
}

// settle brings some of what is pending to disk, and forgets the rest.
func (n *crashInode) settle(rnd *rand.Rand) {
	for _, c := range n.pending {
		for _, part := range c.somewhat(rnd) {
			n.disk = part.apply(n.disk)
		}
	}
	n.pending = nil
}

func newCrashDisk(rnd *rand.Rand) *crashDisk {
	d := &crashDisk{rnd: rnd, left: -1, dirs: map[string]*crashDir{}}
	d.dirs["."] = newCrashDir()
	return d
}

func newCrashDir() *crashDir {
	return &crashDir{now: map[string]*crashInode{}, synced: map[string]*crashInode{}}
}

// cut lets the power fail and come back. A killed process loses nothing that the
// system has.
func (d *crashDisk) cut(power bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off, d.left, d.fault, d.full = false, -1, 0, false
	if !power {
		return
	}
	seen := map[*crashInode]bool{}
	for _, dir := range d.dirs {
		for _, c := range dir.pending {
			if d.rnd.IntN(2) == 0 {
				c.apply(dir.synced)
			}
		}
		dir.pending = nil
		for _, n := range dir.synced {
			if !seen[n] {
				seen[n] = true
				n.settle(d.rnd)
				n.now = slices.Clone(n.disk)
			}
		}
		dir.now = make(map[string]*crashInode)
		for name, n := range dir.synced {
			dir.now[name] = n
		}
	}
}

// dead tells whether the power has failed.
func (d *crashDisk) dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.off
}

// step comes before every operation that changes something and tells whether it
// fails. Whoever asks what was promised looks at off afterwards: the operation at
// which the power fails says that all is well.
func (d *crashDisk) step() error {
	if d.off {
		return errPower
	}
	d.done++
	if d.left--; d.left == 0 {
		d.off = true // what is done now may last or not
		return nil
	}
	if d.fault > 0 && d.rnd.Float64() < d.fault {
		return syscall.EIO
	}
	return nil
}

func (d *crashDisk) dir(name string) (*crashDir, string) {
	in, base, ok := strings.Cut(name, "/")
	if !ok {
		in, base = ".", name
	}
	return d.dirs[in], base
}

func (d *crashDisk) find(name string) *crashInode {
	if dir, base := d.dir(name); dir != nil {
		return dir.now[base]
	}
	return nil
}

func (dir *crashDir) change(c dirChange) {
	c.apply(dir.now)
	dir.pending = append(dir.pending, c)
}

// Create implements Disk.
func (d *crashDisk) Create(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	dir, base := d.dir(name)
	if dir == nil {
		return nil, fs.ErrNotExist
	}
	n := dir.now[base]
	if n == nil {
		n = &crashInode{}
		dir.change(dirChange{to: base, inode: n})
	} else {
		n.change(fileChange{})
	}
	return &crashFile{d, n}, nil
}

// Append implements Disk.
func (d *crashDisk) Append(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.find(name); n != nil {
		return &crashFile{d, n}, nil
	}
	return nil, fs.ErrNotExist
}

// Read implements Disk.
func (d *crashDisk) Read(name string) ([]byte, func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.find(name); n != nil {
		return slices.Clone(n.now), func() {}, nil
	}
	return nil, nil, fs.ErrNotExist
}

// Truncate implements Disk.
func (d *crashDisk) Truncate(name string, size int64) error {
	f, err := d.Append(name)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Sync())
	}
	return err
}

// Refresh implements Disk.
func (d *crashDisk) Refresh(name string, from int64) error {
	f, err := d.Append(name)
	if err == nil {
		err = f.(*crashFile).rewrite(int(from))
	}
	if err == nil {
		err = f.Sync()
	}
	return err
}

func (f *crashFile) rewrite(from int) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.step()
	if err == nil && from < len(f.n.now) {
		f.n.change(fileChange{from, f.n.now[from:]})
	}
	if err == nil {
		f.n.change(fileChange{at: len(f.n.now)})
	}
	return err
}

// Rename implements Disk.
func (d *crashDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	dir, base := d.dir(from)
	_, target := d.dir(to)
	n := dir.now[base]
	if n == nil {
		return fs.ErrNotExist
	}
	dir.change(dirChange{base, target, n})
	return nil
}

// Remove implements Disk.
func (d *crashDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	if d.find(name) == nil {
		return fs.ErrNotExist
	}
	dir, base := d.dir(name)
	dir.change(dirChange{from: base})
	return nil
}

// List implements Disk.
func (d *crashDisk) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	if in := d.dirs[dir]; in != nil {
		for name := range in.now {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// MakeDir implements Disk. That the directory itself can be lost is the same as
// that all its names can be.
func (d *crashDisk) MakeDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	if d.dirs[dir] == nil {
		d.dirs[dir] = newCrashDir()
	}
	return nil
}

// SyncDir implements Disk.
func (d *crashDisk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	in := d.dirs[dir]
	if err := d.step(); err != nil || d.off {
		return err
	}
	for _, c := range in.pending {
		c.apply(in.synced)
	}
	in.pending = nil
	return nil
}

// Lock implements Disk.
func (d *crashDisk) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// crashFile implements File.
type crashFile struct {
	d *crashDisk
	n *crashInode
}

func (f *crashFile) Write(b []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.step()
	if err == nil && f.d.full {
		err = syscall.ENOSPC
	}
	n := len(b)
	if err == errPower {
		return 0, err
	}
	if err != nil {
		n = f.d.rnd.IntN(n + 1)
	}
	if n > 0 {
		f.n.change(fileChange{len(f.n.now), b[:n]})
	}
	return n, err
}

func (f *crashFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.step()
	switch {
	case err == errPower, f.d.off: // some of it, when the power is cut
	case err != nil:
		f.n.settle(f.d.rnd)
	default:
		for _, c := range f.n.pending {
			f.n.disk = c.apply(f.n.disk)
		}
		f.n.pending = nil
	}
	return err
}

func (f *crashFile) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.step(); err != nil {
		return err
	}
	f.n.change(fileChange{at: int(size)})
	return nil
}

func (f *crashFile) Close() error { return nil }
