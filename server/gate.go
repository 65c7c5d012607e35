package server

import "sync"

// The gate: a reply may not leave before the log has kept its promise for what
// the reply tells (blueprint: group commit). Nobody waits for it. A session
// whose output is held says so once, and gets a task when the log has moved on.
// Without a log, and with one that is always durable, the gate is open.

// gateState lists the sessions whose output is held.
type gateState struct {
	mu   sync.Mutex // guards held
	held map[*Session]struct{}
}

// Held implements resp.Session.
func (x *Session) Held() bool {
	if x.gate == 0 {
		return false
	}
	settled, lost := x.fate()
	if !settled {
		x.srv.gate.add(x)
		// The log may have moved on before the session stood in the list.
		if settled, lost = x.fate(); !settled {
			return true
		}
		x.srv.gate.remove(x)
	}
	if lost {
		x.conn.Kill() // whether it will be there after a crash is unknown
		return true
	}
	x.gate = 0
	return false
}

// fate tells what has become of the newest record that the output depends on.
func (x *Session) fate() (settled, lost bool) {
	if aof := x.srv.persist.aof; aof != nil {
		return aof.Fate(x.gate)
	}
	return x.srv.journal.Durable() >= x.gate, false
}

func (g *gateState) add(x *Session) {
	g.mu.Lock()
	if g.held == nil {
		g.held = make(map[*Session]struct{})
	}
	g.held[x] = struct{}{}
	g.mu.Unlock()
}

func (g *gateState) remove(x *Session) {
	g.mu.Lock()
	delete(g.held, x)
	g.mu.Unlock()
}

// openGates lets every held session look again; those that still depend on
// later records come back. The log calls it when Durable has risen.
func (s *Server) openGates() {
	if s.persist.aof != nil {
		s.logSynced()
	}
	s.gate.mu.Lock()
	held := s.gate.held
	s.gate.held = nil
	s.gate.mu.Unlock()
	for x := range held {
		x.conn.Post(func() {}) // the door writes Out behind a task
	}
}
