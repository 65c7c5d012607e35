package resp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"
)

// Reason says why a connection was turned away.
type Reason uint8

const (
	RejectedMaxClients Reason = iota // no slot left
	RejectedProtected                // protected mode
	RejectedAddress                  // the Admit hook said no
	RejectedProxy                    // PROXY header missing, malformed, late or from an untrusted peer
	RejectedTLS                      // handshake failed or late
	RejectedFiles                    // out of file descriptors
	Reasons            int    = iota
)

// String is the reason as a metric label.
func (r Reason) String() string {
	return [...]string{"maxclients", "protected_mode", "address_limit", "proxy_header", "tls_handshake", "file_limit"}[r]
}

// AdmissionConfig says who may connect.
type AdmissionConfig struct {
	MaxClients int  // slots for everyone
	Reserved   int  // further slots for peers on the loopback interface or a unix socket
	Protected  bool // protected mode is on and no password is set: only those peers may connect
	// Admit, if set, may refuse an address; the error's text is sent as an
	// error reply. It is called from several goroutines.
	Admit func(netip.Addr) error
}

// Admission counts the clients of all doors of a server and decides who may
// connect.
type Admission struct {
	config   atomic.Pointer[AdmissionConfig]
	clients  atomic.Int64
	accepted atomic.Int64
	lastID   atomic.Int64
	rejected [Reasons]atomic.Int64
}

// NewAdmission makes an Admission with c.
func NewAdmission(c AdmissionConfig) *Admission {
	a := new(Admission)
	a.Set(c)
	return a
}

// Set replaces the configuration; connections that stand are not touched.
func (a *Admission) Set(c AdmissionConfig) { a.config.Store(&c) }

// Clients returns how many connections hold a slot.
func (a *Admission) Clients() int64 { return a.clients.Load() }

// Accepted returns how many connections were given a slot since the start.
func (a *Admission) Accepted() int64 { return a.accepted.Load() }

// Rejected returns how many connections were turned away for r.
func (a *Admission) Rejected(r Reason) int64 { return a.rejected[r].Load() }

// enter takes a slot; leave gives it back.
func (a *Admission) enter(local bool) error {
	c := a.config.Load()
	slots := int64(c.MaxClients)
	if local {
		slots += int64(c.Reserved)
	}
	if a.clients.Add(1) > slots {
		a.clients.Add(-1)
		a.reject(RejectedMaxClients)
		return ErrMaxClients
	}
	a.accepted.Add(1)
	return nil
}

func (a *Admission) leave() { a.clients.Add(-1) }

func (a *Admission) reject(r Reason) { a.rejected[r].Add(1) }

// check decides about a peer by its address; for unix sockets it is zero.
func (a *Admission) check(addr netip.Addr) error {
	c := a.config.Load()
	if c.Protected && addr.IsValid() && !addr.IsLoopback() {
		a.reject(RejectedProtected)
		return Denied
	}
	if c.Admit != nil && addr.IsValid() {
		if err := c.Admit(addr); err != nil {
			a.reject(RejectedAddress)
			return err
		}
	}
	return nil
}

func (a *Admission) nextID() int64 { return a.lastID.Add(1) }

// ListenerSpec describes where a door listens.
type ListenerSpec struct {
	Network string   // "tcp" or "unix"
	Hosts   []string // tcp: addresses; "*" and "::*" are all; a leading '-' makes one optional
	Port    int      // tcp: 0 = any free port, the same for all hosts
	Path    string   // unix
	Perm    fs.FileMode
	Backlog int // tcp-backlog; 0 = the system's

	TLS       func() *tls.Config // redcon door only: asked at each handshake; nil = plain
	ProxyFrom []netip.Prefix     // peers that must, and alone may, send a PROXY header
	Admission *Admission
}

// DoorConfig holds what a door reads at run time.
type DoorConfig struct {
	IdleTimeout   time.Duration // closes a client without requests; 0 = never
	FirstRequest  time.Duration // closes a client that has not authenticated nor sent a request by then
	WriteProgress time.Duration // closes a client that takes no bytes for so long
	Handshake     time.Duration // for TLS and the PROXY header
	KeepAlive     time.Duration // tcp-keepalive; 0 = off
	FlushAt       int           // output bytes at which a pipeline is interrupted to write
}

// DefaultDoorConfig has no idle timeout, as Redis.
func DefaultDoorConfig() DoorConfig {
	return DoorConfig{
		FirstRequest:  10 * time.Second,
		WriteProgress: 60 * time.Second,
		Handshake:     10 * time.Second,
		KeepAlive:     300 * time.Second,
		FlushAt:       64 << 10,
	}
}

// DoorOptions is a DoorConfig that may change while doors run.
type DoorOptions struct{ p atomic.Pointer[DoorConfig] }

// NewDoorOptions starts with c.
func NewDoorOptions(c DoorConfig) *DoorOptions {
	o := new(DoorOptions)
	o.Set(c)
	return o
}

// Set replaces the options; a running timer keeps its old duration.
func (o *DoorOptions) Set(c DoorConfig) { o.p.Store(&c) }

// Get returns the present options, not to be changed.
func (o *DoorOptions) Get() *DoorConfig { return o.p.Load() }

// listener is one listening socket with its back-off and its spare descriptor.
type listener struct {
	net.Listener
	spec  *ListenerSpec
	file  *os.File // loop door: the same socket
	mu    sync.Mutex
	spare *os.File        // given up to turn a peer away when descriptors run out; guarded by mu
	done  <-chan struct{} // closed by stop
	end   context.CancelFunc
	ctx   context.Context // ends with stop
	once  sync.Once
}

// listen opens every address of s.
func (s *ListenerSpec) listen() ([]*listener, error) {
	if s.Network == "unix" {
		ln, err := listenUnix(s.Path, s.Perm)
		if err != nil {
			return nil, err
		}
		return []*listener{newListener(ln, s)}, nil
	}
	var all []*listener
	port := s.Port
	for _, host := range s.Hosts {
		host, optional := strings.CutPrefix(host, "-")
		network, host := tcpHost(host)
		ln, err := listenTCP(network, net.JoinHostPort(host, strconv.Itoa(port)), s.Backlog)
		if err != nil {
			if optional && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)) {
				continue
			}
			for _, l := range all {
				l.stop()
			}
			return nil, fmt.Errorf("cannot listen on %s port %d: %w", host, port, err)
		}
		port = ln.Addr().(*net.TCPAddr).Port
		all = append(all, newListener(ln, s))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("cannot listen on port %d: no address is available", port)
	}
	return all, nil
}

// tcpHost turns Redis' notation of an address into Go's.
func tcpHost(host string) (network, address string) {
	switch {
	case host == "*" || host == "":
		return "tcp4", "0.0.0.0"
	case host == "::*":
		return "tcp6", "::"
	case strings.Contains(host, ":"):
		return "tcp6", host
	}
	return "tcp", host
}

func listenTCP(network, address string, backlog int) (net.Listener, error) {
	config := net.ListenConfig{KeepAlive: -1}
	ln, err := config.Listen(context.Background(), network, address)
	if err == nil && backlog > 0 {
		err = setBacklog(ln.(*net.TCPListener), backlog)
	}
	return ln, err
}

func newListener(ln net.Listener, s *ListenerSpec) *listener {
	l := &listener{Listener: ln, spec: s}
	l.ctx, l.end = context.WithCancel(context.Background())
	l.done = l.ctx.Done()
	l.spare, _ = os.Open(os.DevNull)
	return l
}

// stop closes the socket; those waiting in accept return.
func (l *listener) stop() {
	l.once.Do(func() {
		l.end()
		l.Listener.Close()
		if l.file != nil {
			l.file.Close()
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.spare != nil {
			l.spare.Close()
			l.spare = nil
		}
	})
}

func (l *listener) stopped() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// Accept errors are answered with a pause that doubles from the first to the last.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// retry is called after an accept error: it sheds one waiting peer if
// descriptors ran out, sleeps, and returns the next pause. accept takes one
// connection and closes it.
func (l *listener) retry(err error, pause time.Duration, accept func()) time.Duration {
	if outOfFiles(err) {
		l.spec.Admission.reject(RejectedFiles)
		l.mu.Lock()
		if l.spare != nil {
			l.spare.Close()
			accept()
		}
		if !l.stopped() {
			l.spare, _ = os.Open(os.DevNull)
		}
		l.mu.Unlock()
	}
	pause = min(max(pause*2, firstPause), lastPause)
	select {
	case <-l.done:
	case <-time.After(pause):
	}
	return pause
}

func outOfFiles(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// trusts tells whether a peer must send a PROXY header.
func (s *ListenerSpec) trusts(addr netip.Addr) bool {
	for _, p := range s.ProxyFrom {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// readProxyHeader reads a PROXY header of version 1 or 2 and returns the client's
// address, or peer if the proxy speaks for itself (health checks), and the bytes
// read beyond the header.
func readProxyHeader(r io.Reader, peer netip.AddrPort) (netip.AddrPort, []byte, error) {
	head, err := readProxyLine(r)
	if err != nil {
		return peer, nil, err
	}
	br := bufio.NewReader(io.MultiReader(bytes.NewReader(head), r))
	h, err := proxyproto.Read(br)
	if err != nil {
		return peer, nil, err
	}
	rest, _ := br.Peek(br.Buffered())
	if h.Command.IsLocal() {
		return peer, rest, nil
	}
	src, _, ok := h.TCPAddrs()
	if !ok {
		return peer, rest, errors.New("PROXY header without a TCP address")
	}
	return unmapped(src.AddrPort()), rest, nil
}

// maxProxyLine is the longest PROXY header of version 1.
const maxProxyLine = 107

// readProxyLine reads until a header of version 1 is whole, for the library
// takes those only in one read; of other input it reads some.
func readProxyLine(r io.Reader) ([]byte, error) {
	b := make([]byte, 0, 4*maxProxyLine)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			return nil, err
		}
		if len(b) > 0 && b[0] != 'P' || len(b) >= maxProxyLine || bytes.IndexByte(b, '\n') >= 0 {
			return b, nil
		}
	}
}

// unmapped turns an IPv4 address in IPv6 form into plain IPv4.
func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// errorLine is an error reply as bytes, for peers that have no session.
func errorLine(err error) []byte {
	r := new(Reply)
	text := err.Error()
	if _, ok := err.(Error); !ok {
		text = "ERR " + text
	}
	r.ErrorText(text)
	return r.Bytes()
}

// isProxyLine tells whether a first request is a PROXY header of version 1; one
// of version 2 never becomes a request, as it holds a NUL.
func isProxyLine(args [][]byte) bool { return len(args) > 0 && string(args[0]) == "PROXY" }
