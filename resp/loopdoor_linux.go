package resp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LoopDoor serves plain TCP through event loops of its own.
type LoopDoor struct {
	spec      ListenerSpec
	handler   Handler
	options   *DoorOptions
	listeners []*listener
	loops     []*loop
	next      atomic.Uint32

	panics    atomic.Int64
	timeouts  atomic.Int64
	overQuery atomic.Int64

	mu      sync.Mutex
	serving bool          // guarded by mu
	ended   bool          // Shutdown was called; guarded by mu
	done    chan struct{} // closed when every goroutine of Serve is gone
}

// NewLoopDoor listens on spec, which must be plain TCP, with the given number of loops.
func NewLoopDoor(spec ListenerSpec, h Handler, loops int, o *DoorOptions) (*LoopDoor, error) {
	if spec.Network != "tcp" || spec.TLS != nil {
		return nil, errors.New("the loop door serves plain TCP only")
	}
	d := &LoopDoor{spec: spec, handler: h, options: o, done: make(chan struct{})}
	for i := range max(1, loops) {
		l, err := newLoop(i, d)
		if err != nil {
			d.release()
			return nil, err
		}
		d.loops = append(d.loops, l)
	}
	var err error
	if d.listeners, err = d.spec.listen(); err != nil {
		d.release()
		return nil, err
	}
	for _, l := range d.listeners {
		// A net.Listener gives no way to wait without accepting; a file does.
		if l.file, err = l.Listener.(*net.TCPListener).File(); err != nil {
			d.StopAccepting()
			d.release()
			return nil, err
		}
	}
	return d, nil
}

// release closes what a door that never served holds.
func (d *LoopDoor) release() {
	for _, l := range d.loops {
		unix.Close(l.epfd)
		unix.Close(l.wakefd)
	}
}

// Serve accepts and serves until Shutdown.
func (d *LoopDoor) Serve() error {
	d.mu.Lock()
	if d.ended || d.serving {
		d.mu.Unlock()
		return net.ErrClosed
	}
	d.serving = true
	d.mu.Unlock()
	var acceptors, loops sync.WaitGroup
	for _, l := range d.listeners {
		acceptors.Go(func() { d.acceptAll(l, &acceptors) })
	}
	for _, l := range d.loops {
		loops.Go(l.run)
	}
	loops.Wait()
	acceptors.Wait()
	close(d.done)
	return nil
}

// acceptsPerCycle is how many connections are taken before others get the processor.
const acceptsPerCycle = 64

func (d *LoopDoor) acceptAll(l *listener, wg *sync.WaitGroup) {
	// A net.Listener's raw connection refuses Read; a file of the same socket
	// waits in the runtime's poller.
	raw, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	var pause time.Duration
	for n := 1; !l.stopped(); n++ {
		fd, sa, err := acceptFrom(raw)
		switch {
		case l.stopped():
			if err == nil {
				unix.Close(fd)
			}
			return
		case errors.Is(err, unix.ECONNABORTED) || errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			pause = l.retry(err, pause, func() {
				if fd, _, err := unix.Accept4(listenerFD(raw), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
					unix.Close(fd)
				}
			})
			continue
		}
		pause = 0
		d.admit(l, fd, addrPort(sa), wg)
		if n%acceptsPerCycle == 0 {
			runtime.Gosched()
		}
	}
}

// acceptFrom waits in the runtime's poller; the new socket is not registered there.
func acceptFrom(raw syscall.RawConn) (fd int, sa unix.Sockaddr, err error) {
	waitErr := raw.Read(func(listener uintptr) bool {
		fd, sa, err = unix.Accept4(int(listener), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return !errors.Is(err, unix.EAGAIN)
	})
	if waitErr != nil {
		return -1, nil, waitErr
	}
	return fd, sa, err
}

func listenerFD(raw syscall.RawConn) (fd int) {
	fd = -1
	_ = raw.Control(func(p uintptr) { fd = int(p) })
	return fd
}

// admit gives a connection a slot and sends it to a loop, or turns it away. A
// PROXY header is waited for elsewhere.
func (d *LoopDoor) admit(l *listener, fd int, peer netip.AddrPort, wg *sync.WaitGroup) {
	if err := d.spec.Admission.enter(peer.Addr().IsLoopback()); err != nil {
		turnAway(fd, err)
		return
	}
	if !d.spec.trusts(peer.Addr()) {
		d.place(fd, peer, nil)
		return
	}
	wg.Go(func() {
		peer, rest, fd, err := d.readProxy(l, fd, peer)
		if err != nil {
			d.spec.Admission.reject(RejectedProxy)
			d.spec.Admission.leave()
			return
		}
		d.place(fd, peer, rest)
	})
}

// readProxy waits for the PROXY header with the help of the runtime's poller and
// gives the descriptor back without it.
func (d *LoopDoor) readProxy(l *listener, fd int, peer netip.AddrPort) (netip.AddrPort, []byte, int, error) {
	f := os.NewFile(uintptr(fd), "proxied")
	defer f.Close()
	stop := context.AfterFunc(l.ctx, func() { f.Close() })
	defer stop()
	if err := f.SetReadDeadline(time.Now().Add(d.options.Get().Handshake)); err != nil {
		return peer, nil, -1, err
	}
	src, rest, err := readProxyHeader(f, peer)
	if err != nil {
		return peer, nil, -1, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return peer, nil, -1, err
	}
	dup := -1
	var dupErr error
	err = raw.Control(func(p uintptr) { dup, dupErr = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = dupErr
	}
	return src, rest, dup, err
}

func (d *LoopDoor) place(fd int, peer netip.AddrPort, input []byte) {
	if err := d.spec.Admission.check(peer.Addr()); err != nil {
		turnAway(fd, err)
		d.spec.Admission.leave()
		return
	}
	setSocketOptions(fd, d.options.Get().KeepAlive)
	c := &loopConn{
		spec: &d.spec, id: d.spec.Admission.nextID(), fd: int32(fd), timer: noTimer,
		remote: peer, in: append([]byte(nil), input...),
	}
	if sa, err := unix.Getsockname(fd); err == nil {
		c.local = addrPort(sa)
	}
	c.loop = d.emptiest()
	if !c.loop.join(c) {
		unix.Close(fd)
		d.spec.Admission.leave()
	}
}

// emptiest returns the loop with the fewest connections.
func (d *LoopDoor) emptiest() *loop {
	start := int(d.next.Add(1))
	best := d.loops[start%len(d.loops)]
	for i := range d.loops {
		if l := d.loops[(start+i)%len(d.loops)]; l.count.Load() < best.count.Load() {
			best = l
		}
	}
	return best
}

func turnAway(fd int, err error) {
	_, _ = writeSocket(int32(fd), errorLine(err))
	_ = unix.Shutdown(fd, unix.SHUT_WR)
	var drop [1 << 10]byte
	_, _ = readSocket(int32(fd), drop[:])
	unix.Close(fd)
}

// setSocketOptions turns Nagle's algorithm off and keep-alive probes on, with
// Redis' timing: the first after the interval, then three at a third of it.
// Failures leave the system's defaults.
func setSocketOptions(fd int, keepAlive time.Duration) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	seconds := int(keepAlive / time.Second)
	if seconds <= 0 {
		return
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, max(1, seconds/3))
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3)
}

// Addr returns the first listening address.
func (d *LoopDoor) Addr() net.Addr { return d.listeners[0].Addr() }

// Addrs implements Door.
func (d *LoopDoor) Addrs() []net.Addr { return boundTo(d.listeners) }

// Name returns "loop".
func (d *LoopDoor) Name() string { return "loop" }

// StopAccepting closes the listening sockets.
func (d *LoopDoor) StopAccepting() {
	for _, l := range d.listeners {
		l.stop()
	}
}

// Shutdown stops accepting, closes each connection when its output is sent and
// waits until Serve returns; when ctx ends first, the rest is closed at once.
func (d *LoopDoor) Shutdown(ctx context.Context) error {
	d.StopAccepting()
	d.mu.Lock()
	first := !d.ended
	d.ended = true
	serving := d.serving
	d.mu.Unlock()
	if !serving {
		if first {
			d.release()
		}
		return nil
	}
	for _, l := range d.loops {
		l.order(orderDrain)
	}
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
	}
	for _, l := range d.loops {
		l.order(orderStop)
	}
	<-d.done
	return ctx.Err()
}

func (d *LoopDoor) sum(f func(*loop) *atomic.Int64) (n int64) {
	for _, l := range d.loops {
		n += f(l).Load()
	}
	return n
}

// Conns returns how many connections the door has.
func (d *LoopDoor) Conns() int64 { return d.sum(func(l *loop) *atomic.Int64 { return &l.count }) }

// InputBytes returns the bytes received since the start.
func (d *LoopDoor) InputBytes() int64 {
	return d.sum(func(l *loop) *atomic.Int64 { return &l.inputSum })
}

// OutputBytes returns the bytes sent since the start.
func (d *LoopDoor) OutputBytes() int64 {
	return d.sum(func(l *loop) *atomic.Int64 { return &l.outputSum })
}

// Panics, Timeouts and OverQuery count the connections closed for these reasons.
func (d *LoopDoor) Panics() int64    { return d.panics.Load() }
func (d *LoopDoor) Timeouts() int64  { return d.timeouts.Load() }
func (d *LoopDoor) OverQuery() int64 { return d.overQuery.Load() }
