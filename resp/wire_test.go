package resp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// numbered is a pipeline of n ECHOs of distinct words of about 100 bytes.
func numbered(n int) string {
	in := new(strings.Builder)
	in.Grow(n * 140)
	for i := range n {
		fmt.Fprintf(in, "*2\r\n$4\r\nECHO\r\n$100\r\n%0100d\r\n", i)
	}
	return in.String()
}

// readNumbered reads the replies of numbered(n), in order.
func (c *client) readNumbered(n int) {
	c.t.Helper()
	in := bufio.NewReaderSize(c, 64<<10)
	got := make([]byte, len("$100\r\n")+100+2)
	for i := range n {
		_, err := io.ReadFull(in, got)
		if want := fmt.Sprintf("$100\r\n%0100d\r\n", i); string(got) != want {
			c.t.Fatalf("reply %d is %q (%v)", i, got, err)
		}
	}
	if rest, err := in.Peek(1); in.Buffered() > 0 || err == nil && len(rest) > 0 {
		c.t.Fatalf("%q follows the last reply", rest)
	}
}

// drains counts the goroutines that write for a stalled peer.
func drains() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "resp.(*wire).drain(")
}

// A client may send a pipeline of any length before it reads a reply: the door
// reads and runs on. The end of the connection waits for the replies.
func TestDoorUnreadPipeline(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		n := 1_000_000
		if raceEnabled {
			n /= 10
		}
		c := h.dial()
		other := h.dial()
		other.ping()
		c.send(numbered(n) + arr("QUIT") + ping)
		if h.kind != "loop" && drains() != 1 {
			h.t.Errorf("%d goroutines write", drains())
		}
		other.ping()
		_ = c.SetDeadline(time.Now().Add(patience))
		in := &client{&upTo{Conn: c.Conn, left: n * 108}, h.t}
		in.readNumbered(n)
		c.expectClosed("+OK\r\n")
		h.until("nobody writes", func() bool { return drains() == 0 })
	})
}

// upTo is a connection that ends after so many bytes.
type upTo struct {
	net.Conn
	left int
}

func (u *upTo) Read(b []byte) (int, error) {
	if u.left == 0 {
		return 0, io.EOF
	}
	n, err := u.Conn.Read(b[:min(len(b), u.left)])
	u.left -= n
	return n, err
}

// A peer that ends its side before it reads still gets everything.
func TestDoorUnreadPipelineOfAHalfClosedPeer(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		const n = 100_000
		c := h.dial()
		c.send(numbered(n))
		if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			h.t.Fatal(err)
		}
		c.readNumbered(n)
	})
}

// While replies wait for their peer, what others send it queues behind them, and
// a killed or dead peer leaves nothing.
func TestDoorStalledPeerEnds(t *testing.T) {
	ends := map[string]func(h *harness, c *client, e *echoSession){
		"killed":     func(_ *harness, _ *client, e *echoSession) { e.conn.Kill() },
		"dead":       func(_ *harness, c *client, _ *echoSession) { c.Close() },
		"panicked":   func(_ *harness, c *client, e *echoSession) { e.conn.Post(func() { panic("asked for") }); c.Close() },
		"shut down":  func(h *harness, c *client, _ *echoSession) { go c.Close(); h.stop() },
		"cut midway": func(_ *harness, c *client, _ *echoSession) { c.expect("$100\r\n000"); c.Close() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachDoor(t, nil, func(h *harness) {
				c := h.dial()
				before := h.door.InputBytes()
				in := numbered(100_000)
				c.send(in)
				h.until("all is read", func() bool { return h.door.InputBytes() == before+int64(len(in)) })
				e := h.server.latest()
				end(h, c, e)
				h.until("the session is closed", func() bool { return e.closed.Load() == 1 })
				h.until("nobody writes", func() bool { return drains() == 0 })
			})
		})
	}
}

// Parking, posting and holding go on while the peer stalls, in order.
func TestDoorStalledPeerGoesOn(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		const n = 200_000
		c := h.dial()
		c.send(numbered(n) + arr("PARK", "0") + ping + arr("HOLD") + ping)
		h.until("it is parked", func() bool { return h.server.countParked() == 1 })
		e := h.server.latest()
		owed := make(chan int)
		e.conn.Post(func() { e.out.Status("POSTED"); owed <- e.out.Len() })
		if got := <-owed; got > n*108+len("+POSTED\r\n") || got < n*108/4 {
			h.t.Errorf("%d bytes are owed of %d", got, n*108)
		}
		e.conn.Post(e.conn.Resume)
		h.until("it holds", e.held.Load)
		e.release()
		(&client{&upTo{Conn: c.Conn, left: n * 108}, h.t}).readNumbered(n)
		c.expect("+POSTED\r\n+PONG\r\n+OK\r\n+PONG\r\n")
		c.ping()
		e.conn.Post(func() { owed <- e.out.Len() })
		if got := <-owed; got != 0 {
			h.t.Errorf("%d bytes are owed in the end", got)
		}
		if got, want := h.door.OutputBytes(), int64(n*108+len("+POSTED\r\n+PONG\r\n+OK\r\n+PONG\r\n+PONG\r\n")); got != want {
			h.t.Errorf("%d bytes sent, want %d", got, want)
		}
	})
}
