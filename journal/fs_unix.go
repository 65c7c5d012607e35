//go:build linux || darwin || freebsd

package journal

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

var errNoFile = errors.New("it is not a regular file")

// readWhole maps a file, so that its bytes are the system's page cache and no
// copy.
func readWhole(path string) ([]byte, func(), error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe would not even open
		return nil, nil, &os.PathError{Op: "read", Path: path, Err: errNoFile}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Size() == 0 {
		return nil, func() {}, nil
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, &os.PathError{Op: "mmap", Path: path, Err: err}
	}
	// Only speed hangs on it, and unmapping what was mapped cannot fail.
	_ = unix.Madvise(b, unix.MADV_SEQUENTIAL)
	return b, func() { _ = unix.Munmap(b) }, nil
}

// lockFile holds flock(2) on a file, which ends with the process, however it
// ends.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
