package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Disk is a directory and what the log asks of it. Names may hold slashes; they
// are relative to the directory. What a Disk promises is what POSIX promises:
// written bytes survive the process, synced ones a power cut, and a name
// survives a power cut once its directory is synced.
type Disk interface {
	// Create makes an empty file for writing; what has the name is cut to nothing.
	Create(name string) (File, error)
	// Append opens a file for writing at its end.
	Append(name string) (File, error)
	// Read returns the whole content, for the caller to give back with release.
	Read(name string) (data []byte, release func(), err error)
	// Truncate cuts a file to size bytes and syncs it.
	Truncate(name string, size int64) error
	// Refresh writes what a file holds from a place on, and its size, once more and
	// syncs it: after a sync that failed, in a process that is gone, the system may
	// show what the disk does not have and that it will not write again.
	Refresh(name string, from int64) error
	Rename(from, to string) error
	Remove(name string) error
	// List returns the names of the files in a directory; none if it is missing.
	List(dir string) ([]string, error)
	MakeDir(dir string) error
	// SyncDir makes creations, renames and removals in a directory last.
	SyncDir(dir string) error
	// Lock takes a file for this process alone until it is closed; it fails with
	// ErrLocked if another process has it.
	Lock(name string) (io.Closer, error)
}

// File is a file open for writing at its end.
type File interface {
	io.Writer
	Sync() error
	// Truncate cuts the file to size bytes; the next write goes there.
	Truncate(size int64) error
	Close() error
}

// ErrLocked is returned by Disk.Lock when another process has the file.
var ErrLocked = errors.New("another process uses it")

// osDisk is a directory of the system.
type osDisk struct{ dir string }

// Dir returns the Disk of a directory of the system.
func Dir(dir string) Disk { return osDisk{dir} }

func (d osDisk) path(name string) string { return filepath.Join(d.dir, filepath.FromSlash(name)) }

func (d osDisk) Create(name string) (File, error) {
	return d.open(name, os.O_CREATE|os.O_TRUNC)
}

func (d osDisk) Append(name string) (File, error) { return d.open(name, 0) }

func (d osDisk) open(name string, how int) (File, error) {
	f, err := os.OpenFile(d.path(name), how|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// osFile is a file whose Sync leaves out what nobody needs to read the data, as
// the time of the last change.
type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncData(f.File) }

func (d osDisk) Read(name string) ([]byte, func(), error) { return readWhole(d.path(name)) }

func (d osDisk) Truncate(name string, size int64) error {
	f, err := os.OpenFile(d.path(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err = f.Truncate(size); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// refreshStep is how much of a file is written once more at a time.
const refreshStep = 1 << 20

func (d osDisk) Refresh(name string, from int64) error {
	f, err := os.OpenFile(d.path(name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	piece := make([]byte, refreshStep)
	for n := 0; err == nil; from += int64(n) {
		n, err = f.ReadAt(piece, from)
		if n == 0 {
			break
		}
		if _, failed := f.WriteAt(piece[:n], from); failed != nil {
			err = failed
		}
	}
	if errors.Is(err, io.EOF) {
		err = f.Truncate(from) // the size too may be in memory alone
	}
	return errors.Join(err, f.Sync(), f.Close())
}

func (d osDisk) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d osDisk) Remove(name string) error { return os.Remove(d.path(name)) }

func (d osDisk) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(d.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (d osDisk) MakeDir(dir string) error {
	if err := os.MkdirAll(d.path(dir), 0o755); err != nil {
		return err
	}
	return d.SyncDir(parent(dir))
}

func (d osDisk) SyncDir(dir string) error {
	f, err := os.Open(d.path(dir))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d osDisk) Lock(name string) (io.Closer, error) { return lockFile(d.path(name)) }

// parent returns the directory that holds name, "." at the top.
func parent(name string) string {
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		return name[:i]
	}
	return "."
}

const temporarySuffix = ".tmp"

// WriteFile writes a file so that after a crash either all of it has the name,
// or what had the name before: into a temporary file that is synced and renamed.
func WriteFile(d Disk, name string, write func(io.Writer) error) error {
	temporary := name + temporarySuffix
	f, err := d.Create(temporary)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.Rename(temporary, name)
	}
	if err != nil {
		_ = d.Remove(temporary) // the first error is the one to tell
		return err
	}
	return d.SyncDir(parent(name))
}
