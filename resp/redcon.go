package resp

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/redcon"
)

// RedconDoor serves TLS, unix sockets and every system through redcon. redcon
// never meets the network: each connection it gets is a guard (guard.go).
type RedconDoor struct {
	spec      ListenerSpec
	handler   Handler
	options   *DoorOptions
	loops     int
	listeners []*listener
	servers   []*redcon.Server

	input     atomic.Int64
	output    atomic.Int64
	panics    atomic.Int64
	timeouts  atomic.Int64
	overQuery atomic.Int64

	buffers sync.Pool // of *[]byte: input of connections that have some
	outputs sync.Pool // of *[]byte: output likewise

	mu      sync.Mutex
	guards  map[*guard]struct{} // guarded by mu
	empty   chan struct{}       // closed when draining and guards is empty; guarded by mu
	serving bool                // guarded by mu
	ending  bool                // Shutdown was called; guarded by mu
	drained chan struct{}       // closed by Shutdown: redcon may stop
	once    sync.Once
	done    chan struct{} // closed when Serve returns
}

// NewRedconDoor listens on spec. loops is the modulus of Conn.Loop.
func NewRedconDoor(spec ListenerSpec, h Handler, loops int, o *DoorOptions) (*RedconDoor, error) {
	d := &RedconDoor{
		spec: spec, handler: h, options: o, loops: max(1, loops),
		guards: make(map[*guard]struct{}), drained: make(chan struct{}), done: make(chan struct{}),
	}
	d.buffers.New = func() any { b := make([]byte, smallTail+readSize); return &b }
	d.outputs.New = func() any { b := make([]byte, 0, lentSize); return &b }
	var err error
	if d.listeners, err = d.spec.listen(); err != nil {
		return nil, err
	}
	for range d.listeners {
		s := redcon.NewServerNetwork(spec.Network, "", d.handle, nil, nil)
		s.AcceptError = func(error) { time.Sleep(lastPause) } // guardListener returns none; never spin
		d.servers = append(d.servers, s)
	}
	return d, nil
}

// handle is redcon's callback: one request of one connection.
func (d *RedconDoor) handle(c redcon.Conn, cmd redcon.Command) {
	g := c.NetConn().(guardConn).guard
	if !g.request(cmd.Args, len(c.PeekPipeline())) {
		c.ReadPipeline() // nothing behind a close runs
	}
}

// Serve accepts and serves until Shutdown.
func (d *RedconDoor) Serve() error {
	d.mu.Lock()
	if d.serving || d.ending {
		d.mu.Unlock()
		return net.ErrClosed
	}
	d.serving = true
	d.mu.Unlock()
	var wg sync.WaitGroup
	errs := make([]error, len(d.servers))
	for i, s := range d.servers {
		wg.Go(func() { errs[i] = s.Serve(&guardListener{listener: d.listeners[i], door: d}) })
	}
	wg.Wait()
	d.wait(context.Background())
	close(d.done)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// guardListener is what redcon accepts from: admitted connections in guards. It
// reports no accept error but the end, for redcon would spin on others.
type guardListener struct {
	*listener
	door *RedconDoor
}

func (l *guardListener) Accept() (net.Conn, error) {
	var pause time.Duration
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if l.stopped() {
				<-l.door.drained // redcon closes its connections once Accept fails
				return nil, net.ErrClosed
			}
			pause = l.retry(err, pause, func() { l.shed() })
			continue
		}
		pause = 0
		if g := l.door.admit(conn); g != nil {
			return guardConn{g}, nil
		}
	}
}

// shed takes one waiting connection and closes it.
func (l *guardListener) shed() {
	type deadliner interface{ SetDeadline(time.Time) error }
	ln, ok := l.Listener.(deadliner)
	if !ok {
		return
	}
	_ = ln.SetDeadline(time.Now().Add(firstPause))
	if c, err := l.Listener.Accept(); err == nil {
		c.Close()
	}
	_ = ln.SetDeadline(time.Time{})
}

// Close is called by redcon when its Accept loop ends.
func (l *guardListener) Close() error {
	l.stop()
	return nil
}

// admit gives a connection a slot on its raw socket, before any handshake. What
// may wait for the peer is done by the guard in the connection's goroutine.
func (d *RedconDoor) admit(conn net.Conn) *guard {
	peer := peerOf(conn)
	if err := d.spec.Admission.enter(!peer.IsValid() || peer.Addr().IsLoopback()); err != nil {
		if d.spec.TLS == nil {
			refuse(conn, err)
		}
		conn.Close()
		return nil
	}
	g := newGuard(d, conn, peer)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ending {
		d.spec.Admission.leave()
		conn.Close()
		return nil
	}
	d.guards[g] = struct{}{}
	return g
}

// refuse sends an error without waiting for the peer.
func refuse(conn net.Conn, err error) {
	_ = conn.SetWriteDeadline(time.Now().Add(firstPause))
	_, _ = conn.Write(errorLine(err))
}

func (d *RedconDoor) forget(g *guard) {
	d.spec.Admission.leave()
	d.mu.Lock()
	delete(d.guards, g)
	if len(d.guards) == 0 && d.empty != nil {
		close(d.empty)
		d.empty = nil
	}
	d.mu.Unlock()
}

// wait blocks until no connection is left or ctx ends.
func (d *RedconDoor) wait(ctx context.Context) error {
	d.mu.Lock()
	if len(d.guards) == 0 {
		d.mu.Unlock()
		return nil
	}
	if d.empty == nil {
		d.empty = make(chan struct{})
	}
	empty := d.empty
	d.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Addr returns the first listening address.
func (d *RedconDoor) Addr() net.Addr { return d.listeners[0].Addr() }

// Addrs implements Door.
func (d *RedconDoor) Addrs() []net.Addr { return boundTo(d.listeners) }

func boundTo(listeners []*listener) []net.Addr {
	var all []net.Addr
	for _, l := range listeners {
		all = append(all, l.Addr())
	}
	return all
}

// Name returns "redcon".
func (d *RedconDoor) Name() string { return "redcon" }

// StopAccepting closes the listening sockets.
func (d *RedconDoor) StopAccepting() {
	for _, l := range d.listeners {
		l.stop()
	}
}

// Shutdown stops accepting, closes each connection when its output is sent and
// waits until Serve returns; when ctx ends first, the rest is closed at once.
func (d *RedconDoor) Shutdown(ctx context.Context) error {
	d.StopAccepting()
	d.mu.Lock()
	d.ending = true
	serving := d.serving
	d.mu.Unlock()
	for _, g := range d.all() {
		if !g.up.Load() || !g.Post(g.CloseAfterReply) {
			g.Kill()
		}
	}
	err := d.wait(ctx)
	if err != nil {
		for _, g := range d.all() {
			g.Kill()
		}
		_ = d.wait(context.Background())
	}
	d.mu.Lock()
	d.once.Do(func() { close(d.drained) })
	d.mu.Unlock()
	if serving {
		<-d.done
	}
	return err
}

func (d *RedconDoor) all() []*guard {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*guard, 0, len(d.guards))
	for g := range d.guards {
		list = append(list, g)
	}
	return list
}

// Conns returns how many connections the door has.
func (d *RedconDoor) Conns() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(len(d.guards))
}

// InputBytes returns the bytes received since the start, after decryption.
func (d *RedconDoor) InputBytes() int64 { return d.input.Load() }

// OutputBytes returns the bytes sent since the start, before encryption.
func (d *RedconDoor) OutputBytes() int64 { return d.output.Load() }

// Panics, Timeouts and OverQuery count the connections closed for these reasons.
func (d *RedconDoor) Panics() int64    { return d.panics.Load() }
func (d *RedconDoor) Timeouts() int64  { return d.timeouts.Load() }
func (d *RedconDoor) OverQuery() int64 { return d.overQuery.Load() }
