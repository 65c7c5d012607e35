package resp

import "golang.org/x/sys/unix"

// HungUp tells whether the peer of c has closed the connection, also when its
// door has not noticed yet. Any goroutine may call it.
func HungUp(c Conn) bool {
	p := []unix.PollFd{{Fd: int32(c.FD()), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}
