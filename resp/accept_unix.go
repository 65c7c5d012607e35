//go:build unix

package resp

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// reservedFiles are descriptors kept for files, listeners and loops.
const reservedFiles = 64

// FitMaxClients raises the process's limit of open files as far as want clients
// need and the system allows, and returns how many clients fit.
func FitMaxClients(want int) int {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return want
	}
	if need := uint64(want) + reservedFiles; uint64(lim.Cur) < need {
		raised := lim
		raised.Cur = min(need, raised.Max)
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			lim = raised
		}
	}
	if uint64(lim.Cur) < uint64(want)+reservedFiles {
		return max(1, int(lim.Cur)-reservedFiles)
	}
	return want
}

// umaskLock keeps two sockets from being made at once: the umask is the process's.
var umaskLock sync.Mutex

// listenUnix makes the socket file with perm from the start: nobody can connect
// between bind and chmod (CVE-2023-45145). perm 0 leaves the umask alone.
func listenUnix(path string, perm fs.FileMode) (net.Listener, error) {
	if err := removeDeadSocket(path); err != nil {
		return nil, err
	}
	umaskLock.Lock()
	defer umaskLock.Unlock()
	if perm != 0 {
		old := unix.Umask(int(^perm & 0o777))
		defer unix.Umask(old)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	return ln, nil
}

// removeDeadSocket unlinks a socket that nobody listens on any more.
func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // nothing there; a real error shows at bind
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("cannot listen on %s: the file exists and is not a socket", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return fmt.Errorf("cannot listen on %s: %w", path, syscall.EADDRINUSE)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return nil
}

// setBacklog repeats listen(2), which adjusts the queue of a listening socket.
func setBacklog(ln *net.TCPListener, n int) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = unix.Listen(int(fd), n) }); err != nil {
		return err
	}
	return inner
}
