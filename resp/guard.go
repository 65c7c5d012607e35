package resp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// guard stands between redcon and one connection. redcon reads whole, validated
// requests from it and writes nothing to it: the guard owns the session and
// writes its output itself whenever redcon asks for more, that is, when nothing
// is left to run. (Bare, redcon v1.6.4 is killed or pinned by five different
// packets before AUTH.)
//
// Fields belong to the connection's goroutine, unless they are atomic, never
// change, or are marked.
type guard struct {
	door    *RedconDoor
	raw     net.Conn // as accepted; closing it from any goroutine ends the rest
	wire    *wire    // over raw
	conn    net.Conn // wire, or TLS over it
	fd      syscall.RawConn
	session Session
	out     *Reply
	id      int64
	peer    netip.AddrPort

	in     []byte   // received; from off on not handed to redcon
	lease  *[]byte  // the pooled buffer that in lies in, if any
	small  []byte   // for reads that wait, where buffers cannot be taken later
	lent   *[]byte  // the pooled buffer that out uses, if any
	whole  [][]byte // a request too long for redcon, which gets standIn for it
	frame  frame
	args   [][]byte
	ahead  [][]byte // keys of requests handed over, for prefetch
	fault  error    // bad framing behind requests that redcon still holds
	off    int
	given  int // bytes of out that the wire has taken and may still be writing
	behind int // requests that redcon holds behind the one that runs
	told   int // what Session.Buffered heard last
	opened int64
	active int64
	filled bool // the last read filled its buffer
	batch  bool
	state  state

	up     atomic.Bool // the session is open
	closed atomic.Bool

	mu      sync.Mutex
	tasks   []func()      // guarded by mu
	waiting bool          // in a read that posting must interrupt; guarded by mu
	armed   time.Time     // the read deadline that is set; guarded by mu
	wake    chan struct{} // where reads cannot be interrupted: see guard_other.go
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// standIn is what redcon parses in place of a request longer than its buffer.
const standIn = "*1\r\n$1\r\n?\r\n"

// errClosing ends redcon's goroutine of a connection.
var errClosing = io.EOF

func newGuard(d *RedconDoor, conn net.Conn, peer netip.AddrPort) *guard {
	g := &guard{
		door: d, raw: conn, peer: peer, id: d.spec.Admission.nextID(),
		opened: Monotonic(), wake: make(chan struct{}, 1),
	}
	g.wire = &wire{Conn: conn, guard: g}
	g.conn = g.wire
	if sc, ok := conn.(syscall.Conn); ok {
		g.fd, _ = sc.SyscallConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		keep := d.options.Get().KeepAlive
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: keep > 0, Idle: keep, Interval: max(time.Second, keep/3), Count: 3})
	}
	return g
}

// peerOf returns a TCP peer's address, zero for unix sockets.
func peerOf(conn net.Conn) netip.AddrPort {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return unmapped(a.AddrPort())
	}
	return netip.AddrPort{}
}

func (g *guard) ID() int64                  { return g.id }
func (g *guard) RemoteAddr() netip.AddrPort { return g.peer }
func (g *guard) Door() string               { return "redcon" }
func (g *guard) Loop() int                  { return int(g.id % int64(g.door.loops)) }
func (g *guard) Unix() bool                 { return g.door.spec.Network == "unix" }
func (g *guard) TLS() bool                  { return g.door.spec.TLS != nil }

func (g *guard) Remote() string {
	if g.Unix() {
		return g.door.spec.Path + ":0"
	}
	return g.peer.String()
}

func (g *guard) Local() string {
	if g.Unix() {
		return g.door.spec.Path + ":0"
	}
	return g.raw.LocalAddr().String()
}

func (g *guard) FD() int {
	fd := -1
	if g.fd != nil {
		_ = g.fd.Control(func(p uintptr) { fd = int(p) })
	}
	return fd
}

func (g *guard) Post(task func()) bool {
	if g.closed.Load() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.tasks) >= maxPosted {
		g.Kill()
		return false
	}
	g.tasks = append(g.tasks, task)
	g.interrupt()
	return true
}

// interrupt ends a read that waits. It is called with mu held.
func (g *guard) interrupt() {
	if g.waiting {
		g.armed = past
		_ = g.raw.SetReadDeadline(past)
		select {
		case g.wake <- struct{}{}:
		default:
		}
	}
}

func (g *guard) Kill() {
	g.raw.Close()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *guard) CloseAfterReply() {
	g.state |= stateClosing
	g.state &^= stateParked
}

func (g *guard) Resume() {
	g.state &^= stateParked
	g.active = Monotonic()
}

func (g *guard) InputPending() bool { return g.behind > 0 || g.off < len(g.in) }

// open does what may wait for the peer: PROXY header, handshake, session.
func (g *guard) open() error {
	spec := &g.door.spec
	limit := g.door.options.Get().Handshake
	if g.peer.IsValid() && spec.trusts(g.peer.Addr()) {
		_ = g.raw.SetReadDeadline(time.Now().Add(limit))
		peer, rest, err := readProxyHeader(g.raw, g.peer)
		if err != nil {
			spec.Admission.reject(RejectedProxy)
			return err
		}
		_ = g.raw.SetReadDeadline(time.Time{})
		g.peer = peer
		if spec.TLS != nil {
			g.wire.head = bytes.Clone(rest)
		} else {
			g.in = bytes.Clone(rest)
		}
	}
	if spec.TLS != nil {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		secure := tls.Server(g.wire, spec.TLS())
		if err := secure.HandshakeContext(ctx); err != nil {
			spec.Admission.reject(RejectedTLS)
			return err
		}
		g.conn = secure
	}
	err := spec.Admission.check(g.peer.Addr())
	if err == nil {
		err = g.newSession()
	}
	if err != nil {
		refuse(g.conn, err)
		g.state |= stateClosing
		return err
	}
	g.out = g.session.Out()
	g.opened = Monotonic()
	g.active = g.opened
	g.up.Store(true)
	return nil
}

func (g *guard) newSession() (err error) {
	defer func() {
		if p := recover(); p != nil {
			g.door.panics.Add(1)
			err = ErrInternal
		}
	}()
	g.session, err = g.door.handler.Open(g)
	return err
}

// read gives redcon the next requests, waiting for them if need be.
func (g *guard) read(p []byte) (int, error) {
	if g.session == nil {
		if err := g.open(); err != nil {
			return 0, err
		}
	}
	for {
		if n := g.hand(p); n > 0 {
			g.prefetch()
			return n, nil
		}
		if err := g.receive(); err != nil {
			return 0, err
		}
	}
}

// hand copies whole requests to p: as many as fit, or one if the session is not
// authenticated, for AUTH changes the limits of what follows it.
func (g *guard) hand(p []byte) (n int) {
	for g.state&stateClosing == 0 && g.off < len(g.in) && g.fault == nil {
		rest := g.in[g.off:]
		if n > 0 && (rest[0] != '*' || !g.session.Authenticated()) {
			return n // inline requests go alone: they are unescaped in place
		}
		args, used, err := g.frame.next(rest, g.session.Limits(), g.args[:0])
		if err != nil {
			g.fault = err
			break
		}
		if used == 0 {
			break
		}
		if len(args) == 0 {
			g.off += used
			continue
		}
		if cap(args) <= keptArgs {
			g.args = args
		}
		if g.state&stateServed == 0 && !g.first(args) {
			return 0
		}
		request := rest[:used]
		if rest[0] != '*' {
			request = encode(args)
		}
		if len(request) > len(p)-n {
			if n > 0 {
				return n
			}
			g.whole = args // in g.args, so nothing may be parsed before it has run
			g.off += used
			return copy(p, standIn)
		}
		n += copy(p[n:], request)
		g.off += used
		if len(args) > 1 && len(g.ahead) < aheadRequests {
			g.ahead = append(g.ahead, args[1])
		}
	}
	if n == 0 && g.fault != nil {
		g.session.Fault(g.fault.(*ProtocolError))
		g.CloseAfterReply()
	}
	return n
}

// prefetch tells the session the keys of the requests just handed to redcon.
func (g *guard) prefetch() {
	if len(g.ahead) > 1 {
		if a, ok := g.session.(Ahead); ok && a.Ahead() {
			a.Prefetch(g.ahead, nil)
		}
	}
	g.ahead = g.ahead[:0]
}

// first looks at a connection's first request.
func (g *guard) first(args [][]byte) bool {
	g.state |= stateServed
	spec := &g.door.spec
	if len(spec.ProxyFrom) > 0 && isProxyLine(args) && !spec.trusts(g.peer.Addr()) {
		spec.Admission.reject(RejectedProxy)
		g.CloseAfterReply()
		return false
	}
	return true
}

// encode writes an inline request as an array.
func encode(args [][]byte) []byte {
	size := headRoom
	for _, a := range args {
		size += len(a) + headRoom
	}
	return AppendRequest(make([]byte, 0, size), args...)
}

// AppendRequest appends a request as clients send it.
func AppendRequest(dst []byte, args ...[]byte) []byte {
	dst = appendHead(dst, '*', int64(len(args)))
	for _, a := range args {
		dst = append(append(appendHead(dst, '$', int64(len(a))), a...), '\r', '\n')
	}
	return dst
}

// request runs one request; false means that nothing behind it may run.
func (g *guard) request(args [][]byte, behind int) bool {
	if g.whole != nil {
		args, g.whole = g.whole, nil
	}
	if g.state&stateClosing != 0 {
		return false
	}
	g.behind = behind
	g.startBatch()
	g.lend()
	next := g.guarded(func() Next { return g.session.Do(args) })
	switch next {
	case Close:
		g.CloseAfterReply()
	case Parked:
		if g.state&stateClosing == 0 {
			g.park()
		}
	}
	if g.out.Len()-g.given > g.door.options.Get().FlushAt && !g.stalled() && !g.session.Held() {
		g.endBatch()
		g.flush()
	}
	return g.state&stateClosing == 0
}

// guarded runs code of the session; a panic closes this connection only.
func (g *guard) guarded(f func() Next) (next Next) {
	defer func() {
		if p := recover(); p != nil {
			g.door.panics.Add(1)
			next = Close
		}
	}()
	return f()
}

func (g *guard) startBatch() {
	if !g.batch {
		g.batch = true
		g.door.handler.BatchStart(NoLoop, g.session)
	}
}

func (g *guard) endBatch() {
	if g.batch {
		g.batch = false
		g.door.handler.BatchEnd(NoLoop, g.session)
	}
}

// receive writes what is owed, runs posted tasks and waits for input. What the
// peer does not take yet holds up nothing but the end of the connection.
func (g *guard) receive() error {
	g.keep()
	if !g.tell() {
		return errClosing
	}
	for {
		g.runTasks()
		g.endBatch()
		if !g.flush() {
			return errClosing
		}
		if g.state&stateClosing != 0 {
			if g.out.Len() == 0 || !g.awaitRelease() {
				return errClosing
			}
			continue
		}
		if !g.arm(g.idleDeadline()) {
			continue
		}
		n, err := g.fetch()
		g.disarm()
		if n > 0 {
			g.door.input.Add(int64(n))
			g.active = Monotonic()
			return nil
		}
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			if g.idledOut() {
				g.door.timeouts.Add(1)
				return errClosing
			}
			continue
		}
		if g.out.Len() == 0 || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		g.state |= statePeerEOF
		g.CloseAfterReply()
	}
}

// awaitRelease waits, with replies owed and the connection to be closed behind
// them, for the task that comes with their release or until they are written. A
// peer that has closed its side may still read. false means the connection was
// killed.
func (g *guard) awaitRelease() bool {
	if !g.arm(time.Time{}) {
		return true
	}
	err := g.rest()
	g.disarm()
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// tell reports the input held to the session and enforces its limit.
func (g *guard) tell() bool {
	held := len(g.in)
	if held == g.told {
		return true
	}
	g.told = held
	g.session.Buffered(held)
	if held > g.session.Limits().Query {
		g.door.overQuery.Add(1)
		return false
	}
	return true
}

// keep moves input that is not handed over out of the pooled buffer, and to the
// front, so that an idle connection holds none.
func (g *guard) keep() {
	rest := g.in[g.off:]
	switch {
	case len(rest) == 0:
		g.in = nil
	case g.lease != nil:
		g.in = append([]byte(nil), rest...)
	case g.off == 0:
	case cap(g.in) <= 4*len(rest)+readSize:
		g.in = g.in[:copy(g.in, rest)]
	default:
		g.in = append([]byte(nil), rest...)
	}
	g.off = 0
	if g.lease != nil {
		g.door.buffers.Put(g.lease)
		g.lease = nil
	}
}

// room returns where to read to, behind what g.in holds: a pooled buffer, or its
// own when it holds part of a long argument.
func (g *guard) room() []byte {
	if len(g.in) <= smallTail {
		if g.lease == nil {
			g.lease = g.door.buffers.Get().(*[]byte)
			g.in = (*g.lease)[:copy(*g.lease, g.in)]
		}
		return g.in[len(g.in):cap(g.in)]
	}
	g.in = grown(g.in, g.frame.missing(len(g.in)))
	return g.in[len(g.in):min(cap(g.in), len(g.in)+readMax)]
}

// unroom gives the pooled buffer back when nothing was read.
func (g *guard) unroom() {
	if g.lease != nil {
		g.keep()
	}
}

// fetchStream waits for input where only Read can tell that there is some: it
// takes a pooled buffer only if more than a little is there.
func (g *guard) fetchStream() (int, error) {
	if g.filled || len(g.in) > smallTail {
		space := g.room()
		n, err := g.conn.Read(space)
		g.filled = n == len(space)
		g.in = g.in[:len(g.in)+n]
		if n == 0 {
			g.unroom()
		}
		return n, err
	}
	if g.small == nil {
		g.small = make([]byte, 1<<10)
	}
	n, err := g.conn.Read(g.small)
	if n > 0 {
		g.filled = n == len(g.small)
		space := g.room()
		g.in = g.in[:len(g.in)+copy(space, g.small[:n])]
	}
	return n, err
}

// arm sets the read deadline (zero: none) unless tasks wait to be run or output
// to be written.
func (g *guard) arm(t time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.tasks) > 0 || g.given > 0 && !g.wire.busy {
		return false
	}
	if !t.Equal(g.armed) {
		g.armed = t
		_ = g.raw.SetReadDeadline(t)
	}
	g.waiting = true
	return true
}

func (g *guard) disarm() {
	g.mu.Lock()
	g.waiting = false
	g.mu.Unlock()
}

func (g *guard) runTasks() {
	for {
		g.mu.Lock()
		tasks := g.tasks
		g.tasks = nil
		g.mu.Unlock()
		if len(tasks) == 0 {
			return
		}
		g.startBatch()
		g.lend()
		for _, task := range tasks {
			if g.state&stateClosing != 0 {
				return
			}
			if g.guarded(func() Next { task(); return Continue }) == Close {
				g.CloseAfterReply()
			}
		}
	}
}

// idleDeadline is coarse: it moves on only when it would fire.
func (g *guard) idleDeadline() time.Time {
	conf := g.door.options.Get()
	var when int64
	if conf.IdleTimeout > 0 {
		when = g.active + int64(conf.IdleTimeout)
	}
	if g.state&stateServed == 0 && conf.FirstRequest > 0 && !g.session.Authenticated() {
		if first := g.opened + int64(conf.FirstRequest); when == 0 || first < when {
			when = first
		}
	}
	if when == 0 {
		return time.Time{}
	}
	return base.Add(time.Duration(when))
}

// idledOut tells whether the deadline that fired still holds.
func (g *guard) idledOut() bool {
	conf := g.door.options.Get()
	now := Monotonic()
	if g.state&stateServed == 0 && conf.FirstRequest > 0 && !g.session.Authenticated() && now >= g.opened+int64(conf.FirstRequest) {
		return true
	}
	if conf.IdleTimeout == 0 || now < g.active+int64(conf.IdleTimeout) {
		return false
	}
	if idleExempt(g.session) {
		g.active = now
		return false
	}
	return true
}

// park blocks redcon's goroutine until the session goes on. Its input stays in
// the kernel; a closed peer ends it.
func (g *guard) park() {
	g.state |= stateParked
	g.keep()
	for {
		g.runTasks()
		g.endBatch()
		if !g.flush() || g.state&(stateParked|stateClosing) != stateParked {
			return
		}
		var until time.Time
		if t := g.session.Deadline(); t != 0 {
			if Monotonic() >= t {
				g.wakeUp()
				continue
			}
			until = base.Add(time.Duration(t))
		}
		if !g.arm(until) {
			continue
		}
		err := g.watch(until)
		g.disarm()
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			g.state |= statePeerEOF
			g.CloseAfterReply()
		}
	}
}

func (g *guard) wakeUp() {
	g.startBatch()
	g.lend()
	switch g.guarded(g.session.Wake) {
	case Continue:
		g.Resume()
	case Close:
		g.CloseAfterReply()
	case Parked:
		if t := g.session.Deadline(); t != 0 && Monotonic() >= t {
			time.Sleep(time.Duration(minPark)) // this goroutine serves nobody else
		}
	}
}

// flush writes what is owed, as far as the peer takes it; when the wire has
// written the rest, arm tells. false means the connection is of no more use.
func (g *guard) flush() bool {
	most := writeChunk
	if g.TLS() {
		most = tlsChunk
	}
	for {
		if g.given > 0 {
			busy, err := g.wire.pending()
			if err != nil {
				return g.fail(err)
			}
			if busy {
				return true
			}
			g.out.sent(g.given)
			g.door.output.Add(int64(g.given))
			g.given = 0
		}
		if g.out.Len() == 0 {
			g.reclaim()
			return true
		}
		if g.session.Held() {
			return true
		}
		owed := g.out.Bytes()
		n, err := g.conn.Write(owed[:min(len(owed), most)])
		if err != nil {
			return g.fail(err)
		}
		g.given = n // owed until it is written: it must not move, and limits count it
	}
}

// fail gives up what is owed to a peer that err has cut off.
func (g *guard) fail(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		g.door.timeouts.Add(1)
	}
	g.given = 0
	g.out.Reset()
	g.state |= statePeerEOF
	g.CloseAfterReply()
	return false
}

// stalled tells whether the wire still writes what it was given.
func (g *guard) stalled() bool {
	if g.given == 0 {
		return false
	}
	busy, _ := g.wire.pending()
	return busy
}

// lend gives an empty output a pooled buffer; reclaim takes it back.
func (g *guard) lend() {
	if cap(g.out.buf) == 0 && g.lent == nil {
		g.lent = g.door.outputs.Get().(*[]byte)
		g.out.buf = (*g.lent)[:0]
	}
}

func (g *guard) reclaim() {
	if g.lent != nil {
		if n := cap(g.out.buf); n >= lentSize && n <= largestSpare {
			*g.lent = g.out.buf[:0]
			g.door.outputs.Put(g.lent)
		}
		g.lent = nil
	}
	g.out.buf = nil
}

// finish ends the connection, once.
func (g *guard) finish() {
	if g.closed.Swap(true) {
		return
	}
	g.endBatch()
	if g.state&(stateClosing|statePeerEOF) == stateClosing {
		g.linger()
	}
	g.conn.Close()
	if g.wire.done != nil {
		<-g.wire.done
	}
	if g.session != nil {
		g.guarded(func() Next { g.session.Closed(); return Close })
	}
	g.in = nil
	if g.lease != nil {
		g.door.buffers.Put(g.lease)
		g.lease = nil
	}
	g.door.forget(g)
}

// linger takes input off the socket that is there already: closing with unread
// input resets the connection, and the peer might lose our last reply.
func (g *guard) linger() {
	type halfCloser interface{ CloseWrite() error }
	if h, ok := g.conn.(halfCloser); ok {
		_ = h.CloseWrite()
	}
	_ = g.raw.SetReadDeadline(time.Now().Add(time.Millisecond))
	var drop [4 << 10]byte
	for range readSize / len(drop) {
		if n, err := g.raw.Read(drop[:]); n < len(drop) || err != nil {
			return
		}
	}
}

// guardConn shows a guard to redcon as a net.Conn.
type guardConn struct{ *guard }

func (c guardConn) Read(p []byte) (int, error)       { return c.read(p) }
func (c guardConn) Write(p []byte) (int, error)      { return len(p), nil } // redcon's own writer stays empty
func (c guardConn) Close() error                     { c.finish(); return nil }
func (c guardConn) LocalAddr() net.Addr              { return c.raw.LocalAddr() }
func (c guardConn) RemoteAddr() net.Addr             { return c.raw.RemoteAddr() }
func (c guardConn) SetDeadline(time.Time) error      { return nil }
func (c guardConn) SetReadDeadline(time.Time) error  { return nil }
func (c guardConn) SetWriteDeadline(time.Time) error { return nil }
