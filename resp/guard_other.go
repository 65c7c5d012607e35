//go:build !linux

package resp

import (
	"os"
	"syscall"
	"time"
)

func (g *guard) fetch() (int, error) { return g.fetchStream() }

// watch waits until the peer closes, Post interrupts it, or until, which arm has
// set as the read deadline too. Only reading shows a closed peer here, so input is read ahead, up to a bound;
// beyond it a peer's close is seen when the session goes on.
func (g *guard) watch(until time.Time) error {
	for len(g.in) < readSize {
		n, err := g.fetchStream()
		g.door.input.Add(int64(n))
		g.keep()
		if err != nil {
			return err
		}
	}
	var timeout <-chan time.Time
	if !until.IsZero() {
		timeout = time.After(time.Until(until))
	}
	select {
	case <-g.wake:
	case <-timeout:
	}
	return os.ErrDeadlineExceeded
}

// rest waits until Post or Kill.
func (g *guard) rest() error {
	<-g.wake
	return os.ErrDeadlineExceeded // of a killed connection, the write tells
}

// unsent returns nothing of use here: progress is what Write reports.
func (g *guard) unsent() int { return 0 }

// attempt takes nothing here, where Go offers no write that does not wait: the
// wire's goroutine writes, and has a moment in which the session waits for it.
type attempt struct{}

func (attempt) write(syscall.RawConn, []byte) (int, error) { return 0, nil }

func (attempt) grace(done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(time.Millisecond):
	}
}
