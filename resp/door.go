// Package resp is the wire: request parsing, replies, error texts, and the two
// doors through which connections enter (an epoll loop of our own, and redcon
// behind a frame guard). It knows no command.
package resp

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Next tells the door what to do with a session after a request.
type Next uint8

const (
	Continue Next = iota // take the next request
	Parked               // take no input until Conn.Resume, Session.Deadline or the peer's close
	Close                // send what is owed, then close
)

// Session is one client as a door sees it. A door calls it only on the
// session's own loop (redcon door: on the connection's own goroutine).
type Session interface {
	// Do runs one request. args alias the door's buffer and die on return;
	// replies are appended to Out.
	Do(args [][]byte) Next
	// Fault appends the answer to bad framing; the door then closes.
	Fault(err *ProtocolError)
	// Out holds the bytes owed; the door writes and consumes them.
	Out() *Reply
	// Limits are the parse limits of this moment.
	Limits() *Limits
	// Authenticated is false until the session may run any command; a door
	// then takes one frame at a time and watches the first-byte deadline.
	Authenticated() bool
	// Deadline is the Monotonic time, in ns, at which a parked session wants
	// Wake; 0 = none.
	Deadline() int64
	// Wake says that the parked deadline has passed.
	Wake() Next
	// Buffered tells how many input bytes the door holds for the session.
	Buffered(in int)
	// Held tells the door to keep Out for now: it depends on log records that
	// have not kept their promise yet. The session posts a task when they have.
	Held() bool
	// Closed is called exactly once, at the end.
	Closed()
}

// Conn is one connection as a session sees it.
type Conn interface {
	ID() int64
	RemoteAddr() netip.AddrPort // zero for unix sockets
	Remote() string             // "ip:port", or "/path:0" for unix sockets
	Local() string
	Door() string // "loop" or "redcon"
	FD() int
	Loop() int // index of the loop; redcon: ID modulo loops
	Unix() bool
	TLS() bool

	// Post runs task on the session's loop soon and then writes Out. Any
	// goroutine may call it; false means the connection is closed. A task
	// whose connection closes first is dropped.
	Post(task func()) bool
	// Kill closes the connection as soon as its loop sees it, from any goroutine.
	Kill()
	// CloseAfterReply closes once Out is written. Own loop only.
	CloseAfterReply()
	// Resume ends Parked; buffered input is processed then. Own loop only,
	// from a posted task or from Wake.
	Resume()
	// InputPending tells whether unread requests wait in the door. Own loop only.
	InputPending() bool
}

// Handler makes sessions.
type Handler interface {
	// Open makes the session of an accepted connection. An error's text is
	// sent as an error reply and the connection closed.
	Open(c Conn) (Session, error)
	// BatchStart and BatchEnd stand around each poll's worth of requests of a
	// loop; replies are written after BatchEnd. On the redcon door they stand
	// around each read's worth of one session, with NoLoop and that session, on
	// many goroutines at once; on a loop s is nil.
	BatchStart(loop int, s Session)
	BatchEnd(loop int, s Session)
}

// NoLoop stands for a loop's index where there is none.
const NoLoop = -1

// Door accepts connections and serves their sessions.
type Door interface {
	Serve() error      // blocks until shut down
	Addr() net.Addr    // the first address
	Addrs() []net.Addr // every address bound
	Name() string      // "loop" or "redcon"
	StopAccepting()
	// Shutdown stops accepting, sends what is owed, closes every connection
	// and waits until its goroutines are gone or ctx ends.
	Shutdown(ctx context.Context) error
	Conns() int64
	InputBytes() int64
	OutputBytes() int64
	Timeouts() int64 // connections closed for a passed deadline: idle, first request, write
	Panics() int64   // connections closed for a panic outside of a request
}

// base anchors Monotonic.
var base = time.Now()

// Monotonic returns nanoseconds since process start on the monotonic clock.
func Monotonic() int64 { return int64(time.Since(base)) }
