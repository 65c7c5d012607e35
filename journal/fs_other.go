//go:build !linux && !darwin && !freebsd

package journal

import (
	"io"
	"os"
)

func readWhole(path string) ([]byte, func(), error) {
	b, err := os.ReadFile(path)
	return b, func() {}, err
}

// lockFile keeps the file open; these systems have no lock that ends with the
// process.
func lockFile(path string) (io.Closer, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644) }
