//go:build !record

package tests

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ceiling is how many megabytes the program may hold under attack.
const ceiling = 64

// attacks are inputs that stop or swell careless servers. Each gets a fresh
// connection; the limits answer it or close it.
var attacks = []struct {
	name string
	run  func(t *testing.T, p *program)
}{
	{"bulk length that overflows", sends("*1\r\n$9223372036854775807\r\nx")},
	{"argument count without data", sends("*9223372036854775807\r\n")},
	{"argument count within an int", sends("*2147483647\r\n" + strings.Repeat("$1\r\na\r\n", 1000))},
	{"negative lengths", sends("*1\r\n$-2\r\n", "*-5\r\n*0\r\n", "*1\r\n$-99\r\n")},
	{"huge announced value", sends("*2\r\n$4\r\nECHO\r\n$536870912\r\n" + strings.Repeat("x", 100_000))},
	{"inline of single letters", sends(strings.Repeat("a ", 32_000) + "\r\n")},
	{"inline without an end", sends(strings.Repeat("x", 3<<20))},
	{"header without an end", sends("*"+strings.Repeat("1", 200_000), "*1\r\n$"+strings.Repeat("1", 200_000))},
	{"binary noise", sends(strings.Repeat("\x00\xff\x16\x03\x01", 50_000))},
	{"dripped value", drip},
	{"pipeline that never ends on a boundary", misaligned},
	{"replies that nobody reads", unread},
	{"subscriber that reads nothing", stalledSubscriber},
	{"blocked clients that leave", leavingWaiters},
	{"a transaction that grows", growingTransaction},
}

// sends writes each text over a connection of its own and waits until the
// server has closed it or shows that it waits for more.
func sends(texts ...string) func(*testing.T, *program) {
	return func(t *testing.T, p *program) {
		for _, text := range texts {
			c := p.dial(t, 2)
			c.conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
			c.conn.Write([]byte(text))
			io.Copy(io.Discard, c.conn)
			c.close()
		}
	}
}

// drip sends an announced value in a great many one-byte writes.
func drip(t *testing.T, p *program) {
	c := p.dial(t, 2)
	c.conn.(*net.TCPConn).SetNoDelay(true)
	const size = 50_000
	c.sendRaw(fmt.Appendf(nil, "*2\r\n$4\r\nECHO\r\n$%d\r\n", size))
	for range size {
		if _, err := c.conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	c.sendRaw([]byte("\r\n"))
	if v, err := c.read(); err != nil || len(v.text) != size {
		t.Errorf("the dripped value came back with %d bytes (%v)", len(v.text), err)
	}
}

// misaligned sends 64 MB of requests cut at odd places.
func misaligned(t *testing.T, p *program) {
	c := p.dial(t, 2)
	request := appendCommand(nil, []string{"ECHO", strings.Repeat("m", 1021)})
	go io.Copy(io.Discard, c.conn)
	stream := bytes.Repeat(request, 64)
	for range 64 << 20 / len(stream) {
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), 4099)
			if err := c.sendRaw(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
	}
}

// unread asks for far more than it reads.
func unread(t *testing.T, p *program) {
	p.dial(t, 2).must(t, "CONFIG", "SET", "client-output-buffer-limit", "normal 8mb 4mb 5")
	c := p.dial(t, 2)
	c.must(t, "SET", "big", strings.Repeat("b", 100_000))
	raw := bytes.Repeat(appendCommand(nil, []string{"GET", "big"}), 2000)
	c.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	c.conn.Write(raw) // 200 MB of replies
}

func stalledSubscriber(t *testing.T, p *program) {
	p.dial(t, 2).must(t, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 8mb 4mb 5")
	sub := p.dial(t, 2)
	sub.must(t, "SUBSCRIBE", "flood")
	c := p.dial(t, 2)
	text := strings.Repeat("f", 100_000)
	for i := range 1000 {
		if v := c.must(t, "PUBLISH", "flood", text); v.text == "0" {
			return // dropped at its limit
		} else if i == 999 {
			t.Errorf("after 100 MB the subscriber still counts: %s", v.render())
		}
	}
}

func leavingWaiters(t *testing.T, p *program) {
	for range 300 {
		c := p.dial(t, 2)
		c.send("BLPOP", "never", "0")
		c.close()
	}
	c := p.dial(t, 2)
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); {
		if n, err := blockedClients(c); err == nil && n == 0 {
			break
		}
	}
	c.must(t, "RPUSH", "never", "kept")
	if v := c.must(t, "LPOP", "never"); v.text != "kept" {
		t.Errorf("a client that had left took the element: %s", v.render())
	}
}

func growingTransaction(t *testing.T, p *program) {
	p.dial(t, 2).must(t, "CONFIG", "SET", "client-query-buffer-limit", "4mb")
	c := p.dial(t, 2)
	c.must(t, "MULTI")
	go io.Copy(io.Discard, c.conn)
	raw := appendCommand(nil, []string{"SET", "k", strings.Repeat("v", 100_000)})
	for range 1000 {
		if c.sendRaw(raw) != nil {
			return // closed at its limit
		}
	}
	t.Error("100 MB were queued")
}

// TestHostileInput attacks the program through both doors while a second
// client must get every reply and the memory must stay below a ceiling.
func TestHostileInput(t *testing.T) {
	for _, door := range []string{"loop", "redcon"} {
		t.Run(door, func(t *testing.T) {
			p := startProgram(t, "--network-door", door)
			var served atomic.Int64
			stop, ended := make(chan struct{}), make(chan error, 1)
			witness := p.dial(t, 2)
			go func() { ended <- witness.keepAsking(stop, &served) }()
			for _, a := range attacks {
				t.Run(a.name, func(t *testing.T) {
					before := served.Load()
					a.run(t, p)
					await(t, "the second client is served", func() bool { return served.Load() > before })
					await(t, "memory is back below the ceiling", func() bool { return p.resident(t) < ceiling })
				})
			}
			close(stop)
			if err := <-ended; err != nil {
				t.Errorf("the second client after %d replies: %v", served.Load(), err)
			}
			if strings.Contains(p.log.String(), "panic") {
				t.Error("the server panicked")
			}
		})
	}
}

func (c *client) keepAsking(stop chan struct{}, served *atomic.Int64) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		n := fmt.Sprint(served.Load())
		v, err := c.do("ECHO", n)
		if err != nil || v.text != n {
			return fmt.Errorf("%w %s", err, v.render())
		}
		served.Add(1)
	}
}

// await polls for what happens on the server's side of a connection.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("not in time: %s", what)
}

// TestManyIdleConnections holds thousands of connections; others are served.
func TestManyIdleConnections(t *testing.T) {
	const clients = 2000
	for _, door := range []string{"loop", "redcon"} {
		p := startProgram(t, "--network-door", door, "--maxclients", "2001")
		var conns []net.Conn
		for range clients {
			conn, err := net.Dial("tcp", p.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conns = append(conns, conn)
		}
		c := p.dial(t, 2)
		await(t, "all are counted", func() bool {
			return strings.Contains(c.must(t, "INFO", "clients").text, fmt.Sprintf("connected_clients:%d\r\n", clients+1))
		})
		over, err := dial("tcp", p.addr, 2)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := over.read(); v.text != "ERR max number of clients reached" {
			t.Errorf("one too many got %s (%v)", v.render(), err)
		}
		over.close()
		conns[0].Close()
		await(t, "a place is free again", func() bool {
			again, err := dial("tcp", p.addr, 2)
			if err != nil {
				return false
			}
			defer again.close()
			v, err := again.do("PING")
			return err == nil && v.text == "PONG"
		})
	}
}
