package server

import (
	"sync"
	"sync/atomic"

	"synap/command"
	"synap/resp"
)

// pauseState is CLIENT PAUSE's. The longer of two pauses wins, as in Redis.
type pauseState struct {
	active atomic.Bool
	mu     sync.Mutex // guards the fields below
	until  int64      // Monotonic
	all    bool       // every command, not only writes
	parked map[*Session]struct{}
}

// pauseClients lets clients wait until the Monotonic time until: all their
// commands, or only those that may write.
func (s *Server) pauseClients(until int64, all bool) {
	p := &s.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.active.Load() || resp.Monotonic() >= p.until { // none, or one gone by
		p.until, p.all = until, all
	} else {
		p.until, p.all = max(p.until, until), p.all || all
	}
	if p.parked == nil {
		p.parked = make(map[*Session]struct{})
	}
	p.active.Store(true)
}

// unpauseClients ends the pause; the parked requests run.
func (s *Server) unpauseClients() {
	p := &s.pause
	p.mu.Lock()
	p.active.Store(false)
	parked := p.parked
	p.parked = nil
	p.mu.Unlock()
	for x := range parked {
		x.unpark(parkPause)
	}
}

// unpauseWhenDue ends a pause whose time has passed.
func (s *Server) unpauseWhenDue() {
	if !s.pause.active.Load() {
		return
	}
	s.pause.mu.Lock()
	due := resp.Monotonic() >= s.pause.until
	s.pause.mu.Unlock()
	if due {
		s.unpauseClients()
	}
}

// mustPause tells whether cmd has to wait for the pause's end. CLIENT itself
// passes, or nobody could end the pause.
func (s *Server) mustPause(x *Session, cmd *command.Command) bool {
	s.pause.mu.Lock()
	defer s.pause.mu.Unlock()
	if !s.pause.active.Load() || resp.Monotonic() >= s.pause.until || cmd.Parent != nil && cmd.Parent.Name == clientName {
		return false
	}
	if s.pause.all {
		return true
	}
	if cmd.HasFlag(command.Write | command.MayReplicate) {
		return true
	}
	return cmd.Name == execName && x.multi != nil && x.multi.writes
}

// clientName and execName are the rows that a pause treats in their own way.
const (
	clientName = "client"
	execName   = "exec"
)

// pauseFor parks the session with its request until the pause ends. It reports
// false if the pause has ended meanwhile: nobody would wake the session.
func (x *Session) pauseFor(args [][]byte) bool {
	p := &x.srv.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.active.Load() {
		return false
	}
	p.parked[x] = struct{}{}
	x.parkRequest(parkPause, p.until, args)
	return true
}

// unpaused forgets a session that waits no longer.
func (s *Server) unpaused(x *Session) {
	s.pause.mu.Lock()
	delete(s.pause.parked, x)
	s.pause.mu.Unlock()
}
