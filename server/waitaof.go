package server

import (
	"sync"

	"synap/command"
	"synap/resp"
)

// WAITAOF (https://redis.io/docs/latest/commands/waitaof). It is a blocked
// command of no key: the log's next sync ends its wait.

// diskWait lists the sessions that wait for a sync of the log.
type diskWait struct {
	mu   sync.Mutex // guards left
	left map[*Session]uint64
}

func (d *diskWait) add(x *Session, seq uint64) {
	d.mu.Lock()
	if d.left == nil {
		d.left = make(map[*Session]uint64)
	}
	d.left[x] = seq
	d.mu.Unlock()
}

func (d *diskWait) remove(x *Session) {
	d.mu.Lock()
	delete(d.left, x)
	d.mu.Unlock()
}

// take removes and returns the sessions whose writes up to synced are on disk.
func (d *diskWait) take(synced uint64) (ready []*Session) {
	d.mu.Lock()
	for x, seq := range d.left {
		if seq <= synced {
			ready = append(ready, x)
			delete(d.left, x)
		}
	}
	d.mu.Unlock()
	return ready
}

// onDisk tells whether the log is on and holds everything up to seq on disk.
func (s *Server) onDisk(seq uint64) bool {
	p := &s.persist
	return p.aof != nil && p.on.Load() && p.aof.Synced() >= seq
}

// waitAOF waits until the session's writes are synced here and on replicas, of
// which there are none.
func waitAOF(x *Session, c *command.Ctx) {
	a := resp.NewArgs(c.Args[1:])
	local := a.Int()
	if local < 0 || local > 1 {
		a.Fail(resp.ErrZeroOrOne)
	}
	replicas := a.Int()
	if replicas < 0 {
		a.Fail(resp.ErrNotPositive)
	}
	timeout := parseMillis(&a)
	s := x.srv
	if local == 1 && !(s.persist.aof != nil && s.persist.on.Load()) {
		a.Fail(resp.ErrWaitAOFOff)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	seq := x.wrote
	answer := func(r *resp.Reply) {
		r.Array(2)
		if s.onDisk(seq) {
			r.Int(1)
		} else {
			r.Int(0)
		}
		r.Int(0)
	}
	if replicas == 0 && (local == 0 || s.onDisk(seq)) {
		answer(c.Reply)
		return
	}
	c.Block(command.Block{Keys: [][]byte{}, Timeout: timeout, TimeOut: answer, Disk: local == 1 && replicas == 0})
}

// awaitDisk lists the session, which has just blocked, for the next sync.
func (x *Session) awaitDisk() {
	s := x.srv
	s.disk.add(x, x.wrote)
	if !s.persist.on.Load() {
		s.logSwitchedOff()
	} else if s.onDisk(x.wrote) { // before the session stood in the list
		s.disk.remove(x)
		x.endBlock(nil)
	}
}

// logSynced ends the waits of whom the log has served.
func (s *Server) logSynced() {
	for _, x := range s.disk.take(s.persist.aof.Synced()) {
		x.endBlock(nil)
	}
}

// logSwitchedOff ends all waits: there will be no sync.
func (s *Server) logSwitchedOff() {
	for _, x := range s.disk.take(^uint64(0)) {
		x.endBlock(func(r *resp.Reply) { r.Error(resp.ErrWaitAOFOff) })
	}
}
