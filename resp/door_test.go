package resp

import (
	"sync/atomic"
)

// echoSession answers ECHO, PING, QUIT, PARK, BIG and AUTH; enough of a server
// to drive the doors.
type echoSession struct {
	conn   Conn
	server *echoServer
	out    Reply
	limits Limits
	authed bool
	parked int64
	closed atomic.Int32
}

type echoServer struct {
	sessions atomic.Int64
	opened   atomic.Int64
	password string
}

func (s *echoServer) Open(c Conn) (Session, error) {
	s.sessions.Add(1)
	s.opened.Add(1)
	e := &echoSession{conn: c, server: s, limits: DefaultLimits(), authed: s.password == ""}
	if !e.authed {
		e.limits = DefaultLimits().BeforeAuth()
	}
	return e, nil
}
func (s *echoServer) BatchStart(int) {}
func (s *echoServer) BatchEnd(int)   {}

func (e *echoSession) Do(args [][]byte) Next {
	name := args[0]
	switch {
	case EqualFold(name, "PING"):
		e.out.Status("PONG")
	case EqualFold(name, "SET"):
		e.out.OK()
	case EqualFold(name, "ECHO") && len(args) == 2:
		e.out.Bulk(args[1])
	case EqualFold(name, "QUIT"):
		e.out.OK()
		return Close
	default:
		e.out.Error(UnknownCommand(args))
	}
	return Continue
}
func (e *echoSession) Fault(err *ProtocolError) { e.out.ErrorText("ERR " + err.Text) }
func (e *echoSession) Out() *Reply              { return &e.out }
func (e *echoSession) Limits() *Limits          { return &e.limits }
func (e *echoSession) Authenticated() bool      { return e.authed }
func (e *echoSession) Deadline() int64          { return e.parked }
func (e *echoSession) Wake() Next               { return Continue }
func (e *echoSession) Buffered(int)             {}
func (e *echoSession) Closed() {
	if e.closed.Add(1) != 1 {
		panic("Closed called twice")
	}
	e.server.sessions.Add(-1)
}
