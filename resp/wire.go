package resp

import (
	"bytes"
	"errors"
	"math"
	"net"
	"os"
	"time"
)

// wire is the raw connection as the guard and TLS use it. Write takes every byte
// and never waits for the peer: what the socket does not take at once is left to
// a goroutine that ends when it is written, so that the session reads and runs
// on. The connection's goroutine alone calls Read and Write.
type wire struct {
	net.Conn
	guard *guard
	head  []byte // is read before what comes from the connection
	try   attempt
	done  chan struct{} // closed when the last drain has ended; nil before the first

	busy bool   // drain runs; guarded by guard.mu
	left []byte // for drain, behind what it writes now; guarded by guard.mu
	lost error  // why nothing can be written any more; guarded by guard.mu
}

// Bytes given to a wire at once. Under TLS what is left over is a copy.
const (
	writeChunk = 256 << 10
	tlsChunk   = 64 << 10
)

func (w *wire) Read(b []byte) (int, error) {
	if len(w.head) > 0 {
		n := copy(b, w.head)
		w.head = w.head[n:]
		return n, nil
	}
	return w.Conn.Read(b)
}

// Write of a plain connection keeps b until pending is false; b is not to be
// changed before.
func (w *wire) Write(b []byte) (int, error) {
	busy, err := w.pending()
	if err != nil {
		return 0, err
	}
	n := 0
	if !busy {
		if n, err = w.try.write(w.guard.fd, b); n == len(b) || err != nil {
			return n, err
		}
	}
	w.leave(b[n:])
	return len(b), nil
}

// pending tells whether taken bytes are not written yet, and what ended writing.
func (w *wire) pending() (bool, error) {
	w.guard.mu.Lock()
	defer w.guard.mu.Unlock()
	return w.busy, w.lost
}

// leave has rest written behind what is pending.
func (w *wire) leave(rest []byte) {
	g := w.guard
	if g.TLS() {
		rest = bytes.Clone(rest) // TLS fills its buffer again
	}
	g.mu.Lock()
	began := !w.busy
	w.busy = true
	if len(w.left) > 0 {
		rest = append(w.left, rest...)
	}
	w.left = rest
	g.mu.Unlock()
	if began {
		w.done = make(chan struct{})
		go w.drain(w.done)
		w.try.grace(w.done)
	}
}

// drain writes what is left, then has the guard look.
func (w *wire) drain(done chan<- struct{}) {
	defer close(done)
	g := w.guard
	var err error
	for {
		g.mu.Lock()
		b := w.left
		w.left = nil
		if len(b) == 0 || err != nil {
			w.busy, w.lost = false, err
			g.interrupt()
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		err = w.push(b)
	}
}

// push writes b and gives up only when no byte went out for
// DoorConfig.WriteProgress.
func (w *wire) push(b []byte) error {
	queued := math.MaxInt
	for len(b) > 0 {
		if limit := w.guard.door.options.Get().WriteProgress; limit > 0 {
			_ = w.Conn.SetWriteDeadline(time.Now().Add(limit))
		}
		n, err := w.Conn.Write(b)
		b = b[n:]
		if err == nil {
			continue
		}
		left := w.guard.unsent()
		if !errors.Is(err, os.ErrDeadlineExceeded) || w.guard.closed.Load() || n == 0 && left >= queued {
			return err
		}
		queued = left
	}
	_ = w.Conn.SetWriteDeadline(time.Time{}) // one that passes later would fail the next write
	return nil
}
