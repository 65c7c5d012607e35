package resp

import (
	"math"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// loopConn is one connection of a loop. It owns no buffer while it is idle.
// Fields are the loop goroutine's, unless they are atomic or never change.
type loopConn struct {
	loop    *loop
	spec    *ListenerSpec
	session Session
	out     *Reply // session.Out()
	in      []byte // received and not consumed
	frame   frame
	unread  int // bytes behind the request that runs
	id      int64
	remote  netip.AddrPort
	local   netip.AddrPort
	opened  int64 // Monotonic, as active and stuck
	active  int64 // last input
	stuck   int64 // since when output waits without progress; 0 = it does not
	unsent  int   // what the kernel held for the peer at the last look
	fd      int32
	timer   int32 // index in loop.timers
	told    int   // what Session.Buffered heard last
	events  uint32
	state   state
	posted  atomic.Int32 // tasks in the mailbox
	closed  atomic.Bool
}

func (c *loopConn) ID() int64                  { return c.id }
func (c *loopConn) RemoteAddr() netip.AddrPort { return c.remote }
func (c *loopConn) Remote() string             { return c.remote.String() }
func (c *loopConn) Local() string              { return c.local.String() }
func (c *loopConn) Door() string               { return "loop" }
func (c *loopConn) FD() int                    { return int(c.fd) }
func (c *loopConn) Loop() int                  { return c.loop.index }
func (c *loopConn) Unix() bool                 { return false }
func (c *loopConn) TLS() bool                  { return false }

func (c *loopConn) Post(task func()) bool {
	if c.closed.Load() {
		return false
	}
	if c.posted.Add(1) > maxPosted {
		c.posted.Add(-1)
		c.Kill()
		return false
	}
	c.loop.post(c, task)
	return true
}

func (c *loopConn) Kill() {
	if !c.closed.Load() {
		c.loop.post(c, nil)
	}
}

func (c *loopConn) CloseAfterReply() {
	if c.state&stateClosing == 0 {
		c.state |= stateClosing
		c.state &^= stateParked
		c.touch()
	}
}

func (c *loopConn) Resume() {
	if c.state&stateParked == 0 {
		return
	}
	c.state &^= stateParked | stateMuffled
	c.active = c.loop.now
	c.interest()
	c.enqueue()
}

func (c *loopConn) InputPending() bool { return c.unread > 0 || len(c.in) > 0 }

// touch has the loop write the connection's output at the end of the turn.
func (c *loopConn) touch() {
	if c.state&stateDirty == 0 {
		c.state |= stateDirty
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// enqueue has the loop go on with c.in although no event comes for it.
func (c *loopConn) enqueue() {
	if c.state&stateQueued == 0 {
		c.state |= stateQueued
		c.loop.backlog = append(c.loop.backlog, c)
	}
}

// interest tells epoll what c waits for now.
func (c *loopConn) interest() {
	want := uint32(unix.EPOLLRDHUP)
	switch {
	case c.state&stateClosing != 0:
		want = 0
	case c.state&stateMuffled == 0:
		want |= unix.EPOLLIN
	}
	if c.stuck != 0 {
		want |= unix.EPOLLOUT
	}
	if want != c.events && !c.closed.Load() {
		c.events = want
		epollControl(c.loop.epfd, unix.EPOLL_CTL_MOD, c.fd, want)
	}
}

// receive reads and runs requests; other sessions get their turn after
// readsPerTurn full reads.
func (c *loopConn) receive() {
	l := c.loop
	for range readsPerTurn {
		buf := l.in[:copy(l.in, c.in)]
		own := len(c.in) > smallTail
		if own {
			c.in = grown(c.in, c.frame.missing(len(c.in)))
			buf = c.in
		}
		space := buf[len(buf):min(cap(buf), len(buf)+readMax)]
		if !own {
			space = space[:readSize]
		}
		n, errno := readSocket(c.fd, space)
		if errno == unix.EAGAIN || errno == unix.EINTR {
			return
		}
		if n <= 0 {
			c.state |= statePeerEOF
			if errno != 0 || c.out.Len() == 0 {
				l.close(c)
				return
			}
			c.CloseAfterReply()
			c.interest()
			return
		}
		l.input += int64(n)
		c.active = l.now
		if !c.run(buf[:len(buf)+n], own) || n < len(space) {
			return
		}
	}
}

// run takes the requests of buf, keeps what is left, and tells whether c may
// take more input at once. own: buf is c.in.
func (c *loopConn) run(buf []byte, own bool) bool {
	l := c.loop
	l.lend(c.out)
	used := c.process(buf)
	if c.closed.Load() {
		return false
	}
	if c.out.Len() > 0 || c.state&stateClosing != 0 {
		c.touch()
	}
	rest := buf[used:]
	switch {
	case len(rest) == 0 || c.state&stateClosing != 0:
		c.in = nil
	case own && used == 0:
		c.in = buf
	case own && cap(c.in) <= 4*len(rest)+readSize:
		c.in = c.in[:copy(c.in[:len(rest)], rest)]
	case own:
		c.in = append([]byte(nil), rest...)
	default:
		c.in = append(c.in[:0], rest...)
	}
	if held := len(c.in); held != c.told {
		c.told = held
		c.session.Buffered(held)
		if held > c.session.Limits().Query {
			l.door.overQuery.Add(1)
			l.close(c)
			return false
		}
	}
	return c.state&(stateParked|stateClosing|stateQueued) == 0
}

// process runs the requests of buf until it is empty, the last is unfinished, or
// the session takes no more; it returns the bytes used.
func (c *loopConn) process(buf []byte) (used int) {
	l := c.loop
	turn, before := 0, c.out.Len()
	ahead := 0
	if c.frame.pos != 0 { // an unfinished request is not begun again
		ahead = len(buf)
	}
	for used < len(buf) && c.state&(stateParked|stateClosing) == 0 {
		if used >= ahead {
			ahead = used + l.scout.look(c.session, buf[used:])
		}
		args, n, err := c.frame.next(buf[used:], c.session.Limits(), l.args)
		if err != nil {
			c.session.Fault(err.(*ProtocolError))
			c.CloseAfterReply()
			return len(buf)
		}
		if n == 0 {
			return used
		}
		used += n
		if len(args) == 0 {
			continue
		}
		l.keepArgs(args)
		if c.state&stateServed == 0 && !c.first(args) {
			return len(buf)
		}
		c.unread = len(buf) - used
		switch c.session.Do(args) {
		case Parked:
			c.park()
		case Close:
			c.CloseAfterReply()
		}
		if fresh := c.out.Len() - before; fresh > l.config.FlushAt && c.state&stateClosing == 0 {
			turn += fresh
			if c.stuck == 0 {
				l.interlude(c)
				if c.closed.Load() {
					return len(buf)
				}
			}
			before = c.out.Len()
			if turn > turnOutput && used < len(buf) {
				c.enqueue()
				break
			}
		}
	}
	c.unread = 0
	return used
}

// first looks at a connection's first request.
func (c *loopConn) first(args [][]byte) bool {
	c.state |= stateServed
	if len(c.spec.ProxyFrom) > 0 && isProxyLine(args) && !c.spec.trusts(c.remote.Addr()) {
		c.spec.Admission.reject(RejectedProxy)
		c.CloseAfterReply()
		return false
	}
	return true
}

// park stops taking requests. The input interest goes off only when input comes,
// which for most blocked clients is never: two system calls saved.
func (c *loopConn) park() {
	if c.state&stateClosing != 0 {
		return
	}
	c.state |= stateParked
	c.schedule()
}

// step handles what a posted task or a deadline told about the session.
func (c *loopConn) step(next Next) {
	switch next {
	case Continue:
		c.Resume()
	case Close:
		c.CloseAfterReply()
	}
	c.settle()
}

// settle writes output and sets the timer after code of the session ran
// outside a request.
func (c *loopConn) settle() {
	if c.closed.Load() {
		return
	}
	if c.out.Len() > 0 || c.state&stateClosing != 0 {
		c.touch()
	}
	c.schedule()
}

// flush writes what is owed; a socket that is full is waited for.
func (c *loopConn) flush() {
	l := c.loop
	if c.out.Len() > 0 && c.session.Held() {
		// What is not waited for now would be announced again and again.
		c.stuck = 0
		c.interest()
		c.schedule()
		return
	}
	for c.out.Len() > 0 {
		owed := c.out.Bytes()
		n, errno := writeSocket(c.fd, owed)
		if errno == unix.EINTR {
			continue
		}
		if errno == unix.EAGAIN || n > 0 && n < len(owed) {
			c.consume(max(n, 0))
			c.wait(n > 0)
			return
		}
		if errno != 0 {
			l.close(c)
			return
		}
		c.consume(n)
	}
	l.reclaim(c.out)
	if c.state&stateClosing != 0 {
		l.close(c)
		return
	}
	if c.stuck != 0 {
		c.stuck = 0
		c.interest()
		c.schedule()
	}
}

func (c *loopConn) consume(n int) {
	c.loop.output += int64(n)
	c.out.sent(n)
}

// wait asks for EPOLLOUT and starts the write deadline anew if bytes went out.
func (c *loopConn) wait(progress bool) {
	if progress || c.stuck == 0 {
		c.stuck, c.unsent = c.loop.now, math.MaxInt
	}
	c.interest()
	c.schedule()
}

// schedule sets the connection's timer to the earliest deadline that applies.
func (c *loopConn) schedule() { c.loop.timers.set(c, c.deadline()) }

func (c *loopConn) deadline() (when int64) {
	conf := c.loop.config
	earliest := func(t int64) {
		if when == 0 || t < when {
			when = t
		}
	}
	if c.stuck != 0 && conf.WriteProgress > 0 {
		earliest(c.stuck + int64(conf.WriteProgress))
	}
	if c.state&stateClosing != 0 {
		return when
	}
	if c.state&stateParked != 0 {
		if t := c.session.Deadline(); t != 0 {
			earliest(max(t, c.loop.now+minPark))
		}
		return when
	}
	if c.state&stateServed == 0 && conf.FirstRequest > 0 && !c.session.Authenticated() {
		earliest(c.opened + int64(conf.FirstRequest))
	}
	if conf.IdleTimeout > 0 {
		earliest(c.active + int64(conf.IdleTimeout))
	}
	return when
}

// expire acts on the deadline that has passed. Idle deadlines are checked here
// against the last input: requests do not touch the timer.
func (c *loopConn) expire() {
	l := c.loop
	conf := l.config
	passed := func(since int64, d int64) bool { return d > 0 && l.now >= since+d }
	switch {
	case c.stuck != 0 && passed(c.stuck, int64(conf.WriteProgress)):
		// A slow reader takes bytes long before the socket is writable again.
		if left := unsentBytes(int(c.fd)); left < c.unsent {
			c.unsent, c.stuck = left, l.now
			c.schedule()
			return
		}
		l.door.timeouts.Add(1)
		l.close(c)
	case c.state&stateClosing != 0:
		c.schedule()
	case c.state&stateParked != 0:
		if t := c.session.Deadline(); t != 0 && l.now >= t {
			l.lend(c.out)
			c.step(c.session.Wake())
			return
		}
		c.schedule()
	case c.state&stateServed == 0 && passed(c.opened, int64(conf.FirstRequest)) && !c.session.Authenticated(),
		passed(c.active, int64(conf.IdleTimeout)) && !idleExempt(c.session):
		l.door.timeouts.Add(1)
		l.close(c)
	default:
		if conf.IdleTimeout > 0 && passed(c.active, int64(conf.IdleTimeout)) {
			c.active = l.now // an exempt session: look again later
		}
		c.schedule()
	}
}
