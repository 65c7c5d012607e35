package resp

import (
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is one event loop: a goroutine, an epoll instance and the connections
// that belong to it. Other goroutines reach it through its mailbox only.
type loop struct {
	index  int
	door   *LoopDoor
	epfd   int
	wakefd int

	conns    []*loopConn // by descriptor
	count    atomic.Int64
	config   *DoorConfig
	now      int64 // Monotonic, read once a turn
	in       []byte
	args     [][]byte
	scout    scout
	timers   timers
	dirty    []*loopConn // have output or close
	backlog  []*loopConn // have input that no event announces
	resumed  []*loopConn // the backlog being worked off
	spare    [][]byte    // output buffers lent to sessions while they have output
	spareSum int         // bytes of spare
	events   []unix.EpollEvent
	batch    bool // between BatchStart and BatchEnd
	draining bool

	input, output int64 // bytes, published once a turn

	mu     sync.Mutex
	asleep bool        // in a blocking poll: posting must wake it; guarded by mu
	mail   []mail      // guarded by mu
	joined []*loopConn // accepted, not yet seen by the loop; guarded by mu
	orders orders      // guarded by mu
	ended  bool        // run has returned; guarded by mu
	box    []mail      // the loop's side of mail

	_         [64]byte // the counters below are read by others
	inputSum  atomic.Int64
	outputSum atomic.Int64
}

// mail is a task for a connection; a nil task closes it.
type mail struct {
	conn *loopConn
	task func()
}

// orders is what Shutdown asks of a loop.
type orders uint8

const (
	orderDrain orders = 1 << iota // close every connection once its output is sent
	orderStop                     // close every connection now
)

const (
	maxEvents    = 512
	maxJoins     = 64 // new connections a turn
	spareBuffers = 128
	spareBudget  = 16 << 20 // bytes of all spare buffers: 50 clients that read long lists
)

func newLoop(index int, door *LoopDoor) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = epollControl(epfd, unix.EPOLL_CTL_ADD, int32(wakefd), unix.EPOLLIN)
	}
	if err != nil {
		unix.Close(epfd)
		return nil, err
	}
	return &loop{
		index: index, door: door, epfd: epfd, wakefd: wakefd,
		config: door.options.Get(),
		in:     make([]byte, smallTail+readSize),
		events: make([]unix.EpollEvent, maxEvents),
	}, nil
}

// run serves until Shutdown has closed the last connection.
func (l *loop) run() {
	defer unix.Close(l.epfd)
	defer unix.Close(l.wakefd)
	for !l.finished() {
		n := l.poll()
		l.now = Monotonic()
		l.turn(l.events[:n])
	}
}

// finished ends a draining loop that has lost its last connection.
func (l *loop) finished() bool {
	if !l.draining || l.count.Load() > 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = l.count.Load() == 0 // join counts under mu
	return l.ended
}

// turn serves one poll's worth of events; replies are written behind BatchEnd.
func (l *loop) turn(events []unix.EpollEvent) {
	if config := l.door.options.Get(); config != l.config {
		l.reconfigure(config)
	}
	l.startBatch()
	for i := range events {
		l.event(&events[i])
	}
	l.deliver()
	for c := l.timers.due(l.now); c != nil; c = l.timers.due(l.now) {
		l.guarded(c, (*loopConn).expire)
	}
	l.resumeBacklog()
	l.endBatch()
	// The last first: whom a command has woken comes after it, and has waited.
	for n := len(l.dirty); n > 0; n = len(l.dirty) { // closing may post to others' Out and lengthen it
		c := l.dirty[n-1]
		l.dirty[n-1] = nil
		l.dirty = l.dirty[:n-1]
		c.state &^= stateDirty
		if !c.closed.Load() {
			c.flush()
		}
	}
	l.adopt()
	l.inputSum.Store(l.input)
	l.outputSum.Store(l.output)
}

func (l *loop) startBatch() {
	l.batch = true
	l.door.handler.BatchStart(l.index, nil)
}

func (l *loop) endBatch() {
	l.batch = false
	l.door.handler.BatchEnd(l.index, nil)
}

// interlude writes c's output in the middle of a batch.
func (l *loop) interlude(c *loopConn) {
	l.endBatch()
	c.flush()
	l.lend(c.out)
	l.startBatch()
}

func (l *loop) reconfigure(config *DoorConfig) {
	l.config = config
	for _, c := range l.conns {
		if c != nil {
			c.schedule()
		}
	}
}

// poll returns events: those that are there already, else it sleeps. The first
// look costs no hand-over to the scheduler, and under load finds something.
func (l *loop) poll() int {
	if n := pollNow(l.epfd, l.events); n > 0 || len(l.backlog) > 0 {
		return n
	}
	timeout := -1
	if when := l.timers.next(); when != 0 {
		left := when - Monotonic()
		if left <= 0 {
			return 0
		}
		timeout = int(min((left+999_999)/1_000_000, 1<<30))
	}
	l.mu.Lock()
	if len(l.mail) > 0 || len(l.joined) > 0 || l.orders != 0 {
		l.mu.Unlock()
		return 0
	}
	l.asleep = true
	l.mu.Unlock()
	n, err := unix.EpollWait(l.epfd, l.events, timeout)
	l.mu.Lock()
	l.asleep = false
	l.mu.Unlock()
	if err != nil {
		return 0 // EINTR
	}
	return n
}

// post appends to the mailbox and wakes a sleeping loop; a busy one looks there
// before it sleeps.
func (l *loop) post(c *loopConn, task func()) {
	l.mu.Lock()
	l.mail = append(l.mail, mail{c, task})
	l.wake()
	l.mu.Unlock()
}

// wake is called with mu held.
func (l *loop) wake() {
	if l.asleep {
		l.asleep = false
		one := [8]byte{1}
		_, _ = unix.Write(l.wakefd, one[:]) // fails only if it is signalled already
	}
}

// join hands over an accepted connection; false means the loop has ended.
func (l *loop) join(c *loopConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.count.Add(1)
	l.joined = append(l.joined, c)
	l.wake()
	return true
}

func (l *loop) order(o orders) {
	l.mu.Lock()
	l.orders |= o
	l.wake()
	l.mu.Unlock()
}

// deliver runs the posted tasks and Shutdown's orders.
func (l *loop) deliver() {
	l.mu.Lock()
	l.box, l.mail = l.mail, l.box[:0]
	orders := l.orders
	l.orders = 0
	l.mu.Unlock()
	for i := range l.box {
		m := l.box[i]
		l.box[i] = mail{}
		switch c := m.conn; {
		case c.closed.Load():
		case m.task == nil:
			l.close(c)
		default:
			c.posted.Add(-1)
			l.lend(c.out)
			l.guarded(c, func(c *loopConn) {
				m.task()
				c.settle()
			})
		}
	}
	if cap(l.box) > 1<<16 {
		l.box = nil
	}
	if orders != 0 {
		l.obey(orders)
	}
}

func (l *loop) obey(o orders) {
	first := !l.draining
	l.draining = true
	if !first && o&orderStop == 0 {
		return
	}
	for _, c := range l.conns {
		switch {
		case c == nil:
		case o&orderStop != 0:
			l.close(c)
		default:
			c.CloseAfterReply()
		}
	}
}

// resumeBacklog goes on with connections that were interrupted or unparked; what
// they queue again waits for the next turn.
func (l *loop) resumeBacklog() {
	l.backlog, l.resumed = l.resumed[:0], l.backlog
	for i, c := range l.resumed {
		l.resumed[i] = nil
		c.state &^= stateQueued
		if c.closed.Load() || c.state&(stateParked|stateClosing) != 0 {
			continue
		}
		l.guarded(c, func(c *loopConn) {
			if len(c.in) > 0 {
				c.run(c.in, true)
			}
			c.settle()
		})
	}
}

func (l *loop) event(ev *unix.EpollEvent) {
	if int(ev.Fd) == l.wakefd {
		var drop [8]byte
		_, _ = readSocket(ev.Fd, drop[:])
		return
	}
	c := l.conns[ev.Fd]
	if c == nil {
		return
	}
	switch {
	case ev.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0,
		ev.Events&unix.EPOLLRDHUP != 0 && c.state&stateParked != 0:
		l.close(c)
		return
	case ev.Events&unix.EPOLLOUT != 0:
		c.touch()
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP) == 0 || c.state&(stateClosing|stateQueued) != 0 {
		return
	}
	if c.state&stateParked != 0 {
		c.state |= stateMuffled
		c.interest()
		return
	}
	l.guarded(c, (*loopConn).receive)
}

// guarded runs code of a session. A panic that came through closes that
// connection only; in a journal it must not be swallowed, so BatchStart and
// BatchEnd are called outside.
func (l *loop) guarded(c *loopConn, f func(*loopConn)) {
	defer func() {
		if p := recover(); p != nil {
			l.survive(c, p)
		}
	}()
	f(c)
}

func (l *loop) survive(c *loopConn, p any) {
	if !l.batch { // it came from BatchStart or BatchEnd of an interlude
		panic(p)
	}
	l.door.panics.Add(1)
	c.state |= stateClosing
	l.close(c)
}

// adopt opens the sessions of new connections.
func (l *loop) adopt() {
	l.mu.Lock()
	n := min(len(l.joined), maxJoins)
	if n == 0 {
		l.mu.Unlock()
		return
	}
	fresh := append([]*loopConn(nil), l.joined[:n]...)
	l.joined = append(l.joined[:0], l.joined[n:]...)
	if len(l.joined) == 0 {
		l.joined = nil
	}
	l.mu.Unlock()
	for _, c := range fresh {
		l.open(c)
	}
}

func (l *loop) open(c *loopConn) {
	session, err := l.newSession(c)
	if err == nil {
		err = epollControl(l.epfd, unix.EPOLL_CTL_ADD, c.fd, unix.EPOLLIN|unix.EPOLLRDHUP)
	}
	c.session = session
	if err != nil || l.draining {
		if err != nil {
			_, _ = writeSocket(c.fd, errorLine(err))
		}
		l.drop(c)
		return
	}
	c.out = session.Out()
	c.events = unix.EPOLLIN | unix.EPOLLRDHUP
	c.opened, c.active = l.now, l.now
	for int(c.fd) >= len(l.conns) {
		l.conns = append(l.conns, make([]*loopConn, max(64, len(l.conns)))...)
	}
	l.conns[c.fd] = c
	c.schedule()
	if len(c.in) > 0 {
		c.enqueue()
	}
}

func (l *loop) newSession(c *loopConn) (s Session, err error) {
	defer func() {
		if p := recover(); p != nil {
			l.door.panics.Add(1)
			s, err = nil, ErrInternal
		}
	}()
	return l.door.handler.Open(c)
}

// close ends a connection at once.
func (l *loop) close(c *loopConn) {
	if c.closed.Load() {
		return
	}
	l.conns[c.fd] = nil
	l.timers.set(c, 0)
	if c.state&stateClosing != 0 && c.state&statePeerEOF == 0 {
		l.linger(c)
	}
	l.drop(c)
}

// drop frees what a connection holds.
func (l *loop) drop(c *loopConn) {
	c.closed.Store(true)
	unix.Close(int(c.fd))
	l.count.Add(-1)
	c.spec.Admission.leave()
	c.in = nil
	if c.session == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			l.door.panics.Add(1)
		}
	}()
	c.session.Closed()
}

// linger takes input that is there already off the socket: closing with unread
// input resets the connection, and the peer might lose our last reply.
func (l *loop) linger(c *loopConn) {
	_ = unix.Shutdown(int(c.fd), unix.SHUT_WR)
	for range readsPerTurn {
		if n, _ := readSocket(c.fd, l.in[:readSize]); n < readSize {
			return
		}
	}
}

// lend gives an empty Reply a buffer of the loop's; reclaim takes it back, so
// that idle sessions hold none.
func (l *loop) lend(r *Reply) {
	if cap(r.buf) > 0 {
		return
	}
	if n := len(l.spare); n > 0 {
		r.buf = l.spare[n-1]
		l.spare = l.spare[:n-1]
		l.spareSum -= cap(r.buf)
		return
	}
	r.buf = make([]byte, 0, lentSize)
}

func (l *loop) reclaim(r *Reply) {
	if cap(r.buf) == 0 {
		return
	}
	n := cap(r.buf)
	if n >= lentSize && n <= largestSpare && len(l.spare) < spareBuffers && l.spareSum+n <= spareBudget {
		l.spare = append(l.spare, r.buf[:0])
		l.spareSum += n
	}
	r.buf = nil
}

func (l *loop) keepArgs(args [][]byte) {
	if cap(args) > keptArgs {
		l.args = nil
		return
	}
	l.args = args[:0]
}

// The calls below do not block, so the scheduler is not told about them
// (entering and leaving a system call costs as much as a small one itself).

func pollNow(epfd int, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

func readSocket(fd int32, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	runtime.KeepAlive(b)
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}

func writeSocket(fd int32, b []byte) (int, unix.Errno) {
	if len(b) == 0 {
		return 0, 0
	}
	call := unix.RawSyscall6
	if len(b) > readSize { // copying much takes time: let the scheduler know
		call = unix.Syscall6
	}
	n, _, errno := call(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	runtime.KeepAlive(b)
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}

func epollControl(epfd, op int, fd int32, events uint32) error {
	return unix.EpollCtl(epfd, op, int(fd), &unix.EpollEvent{Events: events, Fd: fd})
}

// unsentBytes returns how much the kernel still holds for a socket's peer.
func unsentBytes(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// addrPort turns a peer's socket address into a netip one.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
