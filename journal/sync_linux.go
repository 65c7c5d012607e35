package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes the bytes of a file and its length last.
func syncData(f *os.File) error {
	for {
		switch err := unix.Fdatasync(int(f.Fd())); err {
		case nil:
			return nil
		case unix.EINTR:
		default:
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}
