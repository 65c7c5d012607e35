package resp

import (
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fetch waits for input and appends it to g.in. A plain connection takes a
// buffer only when there is something to read.
func (g *guard) fetch() (n int, err error) {
	if g.TLS() || g.fd == nil {
		return g.fetchStream()
	}
	var errno unix.Errno
	waitErr := g.fd.Read(func(fd uintptr) bool {
		n, errno = readSocket(int32(fd), g.room())
		if errno == unix.EAGAIN || errno == unix.EINTR {
			g.unroom()
			return errno == unix.EINTR
		}
		return true
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case errno == unix.EINTR:
		return 0, nil
	case errno != 0:
		return 0, errno
	case n == 0:
		g.unroom()
		g.state |= statePeerEOF
		return 0, io.EOF
	}
	g.in = g.in[:len(g.in)+n]
	return n, nil
}

// watch waits until the peer closes, or until the deadline set by arm or Post.
func (g *guard) watch(time.Time) error {
	gone := false
	err := g.fd.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		_, _ = unix.Poll(p, 0)
		gone = p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
		return gone
	})
	if gone {
		return io.EOF
	}
	return err
}

// rest waits until Post or Kill.
func (g *guard) rest() error { return g.fd.Read(func(uintptr) bool { return false }) }

// unsent returns the bytes that the kernel still holds for the peer: a slow
// reader takes some long before the socket is writable again.
func (g *guard) unsent() int {
	n := 0
	_ = g.fd.Control(func(fd uintptr) { n = unsentBytes(int(fd)) })
	return n
}

// attempt writes without waiting. Its closure is made once a connection.
type attempt struct {
	bytes []byte
	n     int
	errno unix.Errno
	call  func(fd uintptr) bool
}

// write returns how many of b's bytes the socket took.
func (a *attempt) write(fd syscall.RawConn, b []byte) (int, error) {
	if a.call == nil {
		a.call = func(fd uintptr) bool {
			for {
				if a.n, a.errno = writeSocket(int32(fd), a.bytes); a.errno != unix.EINTR {
					return true
				}
			}
		}
	}
	a.bytes = b
	err := fd.Write(a.call)
	a.bytes = nil
	switch {
	case err != nil:
		return 0, err
	case a.errno == unix.EAGAIN:
		return 0, nil
	case a.errno != 0:
		return 0, a.errno
	}
	return a.n, nil
}

// grace is needed elsewhere: see guard_other.go.
func (a *attempt) grace(<-chan struct{}) {}
