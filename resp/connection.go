package resp

import "time"

// What the connections of both doors have in common.

// state bits of a connection.
type state uint16

const (
	stateParked  state = 1 << iota // takes no requests
	stateMuffled                   // loop: parked, and its input interest is off
	stateClosing                   // sends what is owed, then closes
	stateDirty                     // loop: stands in dirty
	stateQueued                    // loop: stands in backlog
	stateServed                    // has sent a request
	statePeerEOF                   // the peer has closed its side
)

// maxPosted bounds the tasks that may wait for one connection. Posters coalesce
// theirs, so a connection that reaches it is lost: it is closed.
const maxPosted = 4096

// Sizes of input. A tail up to smallTail is copied in front of the loop's buffer
// at the next read; a longer one is received into its own buffer.
const (
	readSize     = 64 << 10
	readMax      = 1 << 20 // into a long argument's own buffer
	smallTail    = 4 << 10
	readsPerTurn = 4
	lentSize     = 8 << 10 // output buffers lent to sessions
	largestSpare = 1 << 20 // the largest output buffer that is kept to be lent again
	turnOutput   = 1 << 20 // bytes written for one session before others get their turn
)

// minPark keeps a session that parks again and again until a past deadline from
// holding its loop.
const minPark = int64(100 * time.Microsecond)

// grown makes room behind in, which holds part of a long argument that lacks
// missing bytes (0: unknown): at most double, and no more than it needs.
func grown(in []byte, missing int) []byte {
	if room := cap(in) - len(in); room >= readSize || missing > 0 && room >= missing {
		return in
	}
	size := 2*len(in) + readSize
	if missing > 0 {
		size = min(size, len(in)+missing+smallTail)
	}
	return append(make([]byte, 0, size), in...)
}

// IdleExempter is implemented by sessions that the idle timeout spares at times
// (subscribers, replicas).
type IdleExempter interface{ IdleExempt() bool }

func idleExempt(s Session) bool {
	e, ok := s.(IdleExempter)
	return ok && e.IdleExempt()
}
