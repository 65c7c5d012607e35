package resp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds what a test waits for; nothing is timed against it.
const patience = 20 * time.Second

// echoServer makes sessions that answer a few commands: enough of a server to
// drive the doors.
type echoServer struct {
	password string
	limits   Limits // zero: the defaults
	outLimit int
	refuse   error // from Open
	exempt   atomic.Bool

	open   atomic.Int64
	batch  [4]atomic.Int64 // BatchStart minus BatchEnd, by loop+1
	mu     sync.Mutex
	parked []*echoSession // guarded by mu
	last   *echoSession   // guarded by mu
}

type echoSession struct {
	conn     Conn
	server   *echoServer
	out      Reply
	limits   Limits
	authed   bool
	deadline int64
	buffered atomic.Int64
	held     atomic.Bool
	closed   atomic.Int32
}

func (s *echoServer) Open(c Conn) (Session, error) {
	if s.refuse != nil {
		return nil, s.refuse
	}
	s.open.Add(1)
	e := &echoSession{conn: c, server: s, limits: s.limits, authed: s.password == ""}
	if e.limits.Args == 0 {
		e.limits = DefaultLimits()
	}
	if !e.authed {
		e.limits = e.limits.BeforeAuth()
	}
	e.out.SetLimit(s.outLimit)
	s.mu.Lock()
	s.last = e
	s.mu.Unlock()
	return e, nil
}

func (s *echoServer) BatchStart(loop int, _ Session) { s.batch[loop+1].Add(1) }
func (s *echoServer) BatchEnd(loop int, _ Session)   { s.batch[loop+1].Add(-1) }

// takeParked returns the sessions that parked since the last call.
func (s *echoServer) takeParked() []*echoSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.parked
	s.parked = nil
	return list
}

func (s *echoServer) latest() *echoSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// answer is what the session says to words; the tests use it to say what they expect.
func answer(r *Reply, args [][]byte) {
	switch name := string(bytes.ToUpper(args[0])); {
	case name == "PING":
		r.Status("PONG")
	case name == "SET", name == "QUIT":
		r.OK()
	case name == "ECHO" && len(args) == 2:
		r.Bulk(args[1])
	case name == "ECHO":
		r.Error(WrongArity("echo"))
	default:
		r.Error(UnknownCommand(args))
	}
}

func (e *echoSession) Do(args [][]byte) Next {
	next := e.do(args)
	if e.out.Over() {
		return Close
	}
	return next
}

func (e *echoSession) do(args [][]byte) Next {
	switch name := string(bytes.ToUpper(args[0])); {
	case name == "AUTH" && len(args) == 2 && string(args[1]) == e.server.password:
		e.authed, e.limits = true, DefaultLimits()
		e.out.OK()
	case name == "QUIT":
		e.out.OK()
		return Close
	case name == "HOLD": // this reply and those behind it wait for release
		e.held.Store(true)
		e.out.OK()
	case name == "PANIC":
		panic("asked for")
	case name == "BIG" && len(args) == 2: // a reply of so many bytes
		n, _ := ParseInt(args[1])
		e.out.Bulk(make([]byte, n))
	case name == "PARK" && len(args) == 2: // for so many µs, 0 = for ever
		e.deadline = 0
		if n, _ := ParseInt(args[1]); n > 0 {
			e.deadline = Monotonic() + n*1000
		}
		e.server.mu.Lock()
		e.server.parked = append(e.server.parked, e)
		e.server.mu.Unlock()
		return Parked
	default:
		answer(&e.out, args)
	}
	return Continue
}

func (e *echoSession) Fault(err *ProtocolError) { e.out.ErrorText("ERR " + err.Text) }
func (e *echoSession) Out() *Reply              { return &e.out }
func (e *echoSession) Limits() *Limits          { return &e.limits }
func (e *echoSession) Authenticated() bool      { return e.authed }
func (e *echoSession) Deadline() int64          { return e.deadline }
func (e *echoSession) Held() bool               { return e.held.Load() }
func (e *echoSession) Buffered(in int)          { e.buffered.Store(int64(in)) }
func (e *echoSession) IdleExempt() bool         { return e.server.exempt.Load() }

func (e *echoSession) Wake() Next {
	e.deadline = 0
	e.out.Status("WOKE")
	return Continue
}

func (e *echoSession) Closed() {
	if e.closed.Add(1) == 1 {
		e.server.open.Add(-1)
	}
}

// harness is a running door.
type harness struct {
	t         testing.TB
	kind      string
	server    *echoServer
	admission *Admission
	options   *DoorOptions
	door      Door
	dialer    func() (net.Conn, error)
	stopped   bool
}

// setup changes what start makes before it listens.
type setup func(h *harness, spec *ListenerSpec, conf *DoorConfig)

func doorKinds() []string {
	if runtime.GOOS == "linux" {
		return []string{"loop", "redcon", "unix", "tls"}
	}
	return []string{"redcon", "tls"}
}

// eachDoor runs f against each kind of door.
func eachDoor(t *testing.T, change setup, f func(h *harness)) {
	for _, kind := range doorKinds() {
		t.Run(kind, func(t *testing.T) { f(start(t, kind, change)) })
	}
}

func start(t testing.TB, kind string, change setup) *harness {
	t.Helper()
	h := &harness{t: t, kind: kind, server: &echoServer{}, admission: NewAdmission(AdmissionConfig{MaxClients: 10_000})}
	spec := ListenerSpec{Network: "tcp", Hosts: []string{"127.0.0.1"}, Admission: h.admission}
	switch kind {
	case "unix":
		spec.Network, spec.Path, spec.Perm = "unix", filepath.Join(t.TempDir(), "s"), 0o600
	case "tls":
		config := &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
		spec.TLS = func() *tls.Config { return config }
	}
	conf := DefaultDoorConfig()
	if change != nil {
		change(h, &spec, &conf)
	}
	h.options = NewDoorOptions(conf)
	var err error
	if kind == "loop" {
		h.door, err = NewLoopDoor(spec, h.server, 2, h.options)
	} else {
		h.door, err = NewRedconDoor(spec, h.server, 2, h.options)
	}
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.door.Serve() }()
	h.dialer = func() (net.Conn, error) {
		addr := h.door.Addr()
		if kind == "tls" {
			return tls.Dial("tcp", addr.String(), &tls.Config{InsecureSkipVerify: true})
		}
		return net.Dial(addr.Network(), addr.String())
	}
	t.Cleanup(func() {
		h.stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		for i := range h.server.batch {
			if n := h.server.batch[i].Load(); n != 0 {
				t.Errorf("loop %d: %d batches not ended", i, n)
			}
		}
	})
	return h
}

// stop shuts the door down and checks that nothing is left.
func (h *harness) stop() {
	h.t.Helper()
	if h.stopped {
		return
	}
	h.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.door.Shutdown(ctx); err != nil {
		h.t.Errorf("Shutdown: %v", err)
	}
	if n, m, k := h.door.Conns(), h.server.open.Load(), h.admission.Clients(); n != 0 || m != 0 || k != 0 {
		h.t.Errorf("after Shutdown: %d connections, %d sessions, %d slots", n, m, k)
	}
}

// until waits for a condition that must come true.
func (h *harness) until(what string, ok func() bool) {
	h.t.Helper()
	until(h.t, what, ok)
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

// client is a connection of a test.
type client struct {
	net.Conn
	t testing.TB
}

func (h *harness) dial() *client {
	h.t.Helper()
	conn, err := h.dialer()
	if err != nil {
		h.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	h.t.Cleanup(func() { conn.Close() })
	return &client{conn, h.t}
}

func (c *client) send(in string) {
	c.t.Helper()
	if _, err := c.Write([]byte(in)); err != nil {
		c.t.Fatalf("send %.60q: %v", in, err)
	}
}

// offer sends to a server that may close in the middle.
func (c *client) offer(in string) { _, _ = c.Write([]byte(in)) }

// expect reads exactly want.
func (c *client) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if string(got[:n]) != want {
		c.t.Fatalf("got %.300q (%v), want %.300q", got[:n], err, want)
	}
}

// expectClosed reads want and then the end.
func (c *client) expectClosed(want string) {
	c.t.Helper()
	got, err := io.ReadAll(c)
	if string(got) != want || isTimeout(err) {
		c.t.Fatalf("got %.300q (%v), want %.300q and the end", got, err, want)
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

func (c *client) ping() {
	c.t.Helper()
	c.send(ping)
	c.expect("+PONG\r\n")
}

func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// wire is what a row's requests and fault look like to the client.
func (r *row) wire() string {
	out := new(Reply)
	for _, w := range r.want {
		answer(out, bytes.Split([]byte(w), []byte("|")))
	}
	if r.fault != "" {
		out.ErrorText("ERR Protocol error: " + r.fault)
	}
	return string(out.Bytes())
}

func TestDoorRows(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		auth := start(h.t, h.kind, func(h *harness, _ *ListenerSpec, _ *DoorConfig) { h.server.password = "pw" })
		for i := range rows {
			r := &rows[i]
			h.t.(*testing.T).Run(r.name, func(t *testing.T) {
				door := h
				if r.limit != nil {
					door = auth
				}
				pieces := [][]string{{r.in}, strings.Split(r.in, "")}
				if len(r.in) > 500 {
					pieces[1] = []string{r.in[:len(r.in)/3], r.in[len(r.in)/3 : len(r.in)/2], r.in[len(r.in)/2:]}
				}
				for i := 0; i <= len(r.in) && len(r.in) <= 60; i++ {
					pieces = append(pieces, []string{r.in[:i], r.in[i:]})
				}
				for _, p := range pieces {
					door.exchange(t, r, p)
				}
			})
		}
	})
}

// exchange sends a row in pieces and checks the replies.
func (h *harness) exchange(t *testing.T, r *row, pieces []string) {
	t.Helper()
	conn, err := h.dialer()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := &client{conn, t}
	before := h.door.InputBytes()
	sent := int64(0)
	for i, p := range pieces {
		c.offer(p)
		sent += int64(len(p))
		if len(pieces) == 2 && i == 0 && len(p) > 0 && r.fault == "" { // the second piece comes after the first was read
			until(t, "the first piece is read", func() bool { return h.door.InputBytes() >= before+sent })
		}
	}
	if r.fault != "" {
		c.expectClosed(r.wire())
		return
	}
	c.expect(r.wire())
	c.ping()
}

func TestDoorWaitsForTheRest(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		for _, r := range waiting {
			before := h.door.InputBytes()
			c := h.dial()
			c.send(r.in)
			h.until(r.name+" is read", func() bool { return h.door.InputBytes() >= before+int64(len(r.in)) })
			h.dial().ping() // the door has gone through a turn
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if n, err := c.Read(make([]byte, 1)); n > 0 || !isTimeout(err) {
				h.t.Fatalf("%s: %d bytes, %v", r.name, n, err)
			}
		}
		h.until("all are held", func() bool { return h.server.open.Load() >= int64(len(waiting)) })
	})
}

// AUTH counts for the request behind it in the same packet.
func TestDoorAuthLiftsLimitsAtOnce(t *testing.T) {
	eachDoor(t, func(h *harness, _ *ListenerSpec, _ *DoorConfig) { h.server.password = "pw" }, func(h *harness) {
		c := h.dial()
		big := strings.Repeat("x", 20<<10)
		c.send(arr("AUTH", "pw") + arr("ECHO", big) + ping)
		c.expect("+OK\r\n$20480\r\n" + big + "\r\n+PONG\r\n")
	})
}

// Nothing behind QUIT runs (redcon W19), and its reply arrives.
func TestDoorQuitDiscardsThePipeline(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		c := h.dial()
		c.send(ping + arr("QUIT") + ping + ping)
		c.expectClosed("+PONG\r\n+OK\r\n")
	})
}

func TestDoorSurvivesPanics(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		other := h.dial()
		other.ping()
		for range 10 {
			c := h.dial()
			c.offer(arr("PANIC") + ping)
			c.expectClosed("")
			other.ping()
		}
	})
}

func TestDoorPipelines(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		c := h.dial()
		in, out := new(strings.Builder), new(strings.Builder)
		for i := range 20_000 {
			word := strings.Repeat("x", i%300)
			in.WriteString(arr("ECHO", word))
			fmt.Fprintf(out, "$%d\r\n%s\r\n", len(word), word)
		}
		go c.offer(in.String())
		c.expect(out.String())
		c.ping()
	})
}

func TestDoorLargeValues(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		c := h.dial()
		for _, n := range []int{4095, 4096, 4097, 65535, 65536, 1 << 20, 24 << 20} {
			v := strings.Repeat("v", n)
			go c.offer(ping + arr("ECHO", v) + ping)
			c.expect("+PONG\r\n$" + strconv.Itoa(n) + "\r\n" + v + "\r\n+PONG\r\n")
		}
	})
}

func TestDoorPark(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		c := h.dial()
		c.send(ping + arr("PARK", "1000") + ping + "ECHO x\r\n")
		c.expect("+PONG\r\n+WOKE\r\n+PONG\r\n$1\r\nx\r\n")

		c.send(ping + arr("PARK", "0") + ping)
		c.expect("+PONG\r\n") // replies owed before the park are sent
		c.send(ping)          // arrives while parked
		h.until("it is parked twice", func() bool { return h.server.countParked() == 2 })
		e := h.server.takeParked()
		last := e[len(e)-1]
		if !last.conn.Post(func() { last.out.Status("PUSHED") }) {
			h.t.Fatal("Post refused")
		}
		c.expect("+PUSHED\r\n")
		last.conn.Post(func() { last.out.Status("DONE"); last.conn.Resume() })
		c.expect("+DONE\r\n+PONG\r\n+PONG\r\n")
	})
}

func (s *echoServer) countParked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.parked)
}

// A dead client behind a parked session is noticed, also with input that nobody reads.
func TestDoorParkedPeerCloses(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		for _, more := range []string{"", ping, strings.Repeat(ping, 1000)} {
			c := h.dial()
			c.send(arr("PARK", "0"))
			h.until("it is parked", func() bool { return h.server.countParked() > 0 })
			h.server.takeParked()
			c.send(more)
			c.Close()
			h.until("the session is closed", func() bool { return h.server.open.Load() == 0 })
		}
	})
}

func TestDoorPost(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		const posters, posts = 8, 200
		c := h.dial()
		c.ping()
		e := h.server.latest()
		var wg sync.WaitGroup
		for range posters {
			wg.Go(func() {
				for range posts {
					if !e.conn.Post(func() { e.out.Int(1) }) {
						t.Error("Post refused")
					}
				}
			})
		}
		got := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(c, make([]byte, posters*posts*len(":1\r\n")))
			got <- err
		}()
		wg.Wait()
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		e.conn.Post(func() { e.out.Status("bye"); e.conn.CloseAfterReply() })
		c.expectClosed("+bye\r\n")
		h.until("Post is refused", func() bool { return !e.conn.Post(func() { t.Error("ran after the close") }) })
	})
}

// release lets held replies go.
func (e *echoSession) release() {
	e.held.Store(false)
	e.conn.Post(func() {})
}

// Held replies wait, whatever comes behind them, and nobody else does.
func TestDoorHeldReplies(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		for _, behind := range []string{ping, arr("QUIT"), arr("BIG", "3000000") + ping, "*1\r\n$-1\r\n"} {
			before := h.door.InputBytes()
			c := h.dial()
			c.send(arr("HOLD") + behind)
			h.until("it is read", func() bool { return h.door.InputBytes() > before })
			e := h.server.latest()
			h.dial().ping()
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			if n, err := c.Read(make([]byte, 1)); n > 0 || !isTimeout(err) {
				h.t.Fatalf("%d bytes while held, %v", n, err)
			}
			_ = c.SetReadDeadline(time.Now().Add(patience))
			e.release()
			c.expect("+OK\r\n")
			switch behind {
			case ping:
				c.expect("+PONG\r\n")
			case arr("QUIT"):
				c.expectClosed("+OK\r\n")
			case "*1\r\n$-1\r\n":
				c.expectClosed("-ERR Protocol error: invalid bulk length\r\n")
			default:
				c.expect("$3000000\r\n" + strings.Repeat("\x00", 3000000) + "\r\n+PONG\r\n")
			}
		}
		gone := h.dial()
		gone.send(arr("HOLD", "x") + arr("QUIT"))
		h.until("it waits", func() bool { return h.server.latest().held.Load() })
		gone.Close()
		h.server.latest().release()
		h.until("a dead peer's session is closed", func() bool { return h.server.latest().closed.Load() == 1 })
		killed := h.dial()
		killed.send(arr("HOLD", "x") + arr("QUIT"))
		h.until("it waits", func() bool { return h.server.latest().held.Load() })
		h.server.latest().conn.Kill()
		killed.expectClosed("")
	})
}

func TestDoorKill(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		for _, in := range []string{ping, ping + arr("PARK", "0"), ping + "*1\r\n$100\r\nabc"} {
			c := h.dial()
			c.send(in)
			c.expect("+PONG\r\n")
			e := h.server.latest()
			e.conn.Kill()
			c.expectClosed("")
			h.until("the session is closed", func() bool { return e.closed.Load() == 1 })
			e.conn.Kill()
		}
	})
}

func TestDoorShutdownSendsWhatIsOwed(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		c, idle, parked := h.dial(), h.dial(), h.dial()
		idle.ping()
		parked.send(arr("PARK", "0"))
		h.until("it is parked", func() bool { return h.server.countParked() > 0 })
		c.send(arr("BIG", "8000000"))
		c.expect("$8000000\r\n")
		done := make(chan struct{})
		go func() { h.stop(); close(done) }()
		got, err := io.ReadAll(c)
		if len(got) != 8000002 || err != nil {
			h.t.Errorf("%d bytes, %v", len(got), err)
		}
		idle.expectClosed("")
		parked.expectClosed("")
		<-done
		if _, err := h.dialer(); err == nil {
			h.t.Error("still accepting")
		}
	})
}

func TestDoorConn(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		c := h.dial()
		c.ping()
		conn := h.server.latest().conn
		local := c.LocalAddr().String()
		if h.kind == "unix" {
			local = h.door.Addr().String() + ":0"
		}
		if conn.Remote() != local {
			h.t.Errorf("Remote %q, want %q", conn.Remote(), local)
		}
		if h.kind != "unix" && conn.RemoteAddr().String() != local {
			h.t.Errorf("RemoteAddr %v", conn.RemoteAddr())
		}
		if h.kind != "unix" && conn.Local() != h.door.Addr().String() {
			h.t.Errorf("Local %q", conn.Local())
		}
		if conn.ID() <= 0 || conn.FD() < 0 || conn.Loop() < 0 || conn.Loop() > 1 || conn.TLS() != (h.kind == "tls") || conn.Unix() != (h.kind == "unix") {
			h.t.Errorf("%d %d %d %v %v", conn.ID(), conn.FD(), conn.Loop(), conn.TLS(), conn.Unix())
		}
		if want := h.door.Name(); conn.Door() != want {
			h.t.Errorf("Door %q, want %q", conn.Door(), want)
		}
	})
}
