package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"synap/config"
	"synap/resp"
)

// patience bounds how long a test waits for what must happen.
const patience = 20 * time.Second

// startServer starts a server on a free port of the loopback interface; it is
// shut down, and must leave no goroutine behind, at the test's end.
func startServer(t testing.TB, change func(*config.Config)) *Server {
	t.Helper()
	before := goleak.IgnoreCurrent()
	cfg := *config.Default()
	cfg.Port, cfg.HTTPPort, cfg.Bind = 0, 0, []string{"127.0.0.1"}
	cfg.Dir, cfg.AppendOnly, cfg.Save = t.TempDir(), false, nil
	if change != nil {
		change(&cfg)
	}
	s, err := New(Options{Config: &cfg, AnyPort: true, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
		if err := goleak.Find(before); err != nil {
			t.Error(err)
		}
	})
	return s
}

// bothDoors runs a test through the event loop and through redcon.
func bothDoors(t *testing.T, test func(t *testing.T, change func(*config.Config))) {
	for _, door := range []string{"loop", "redcon"} {
		t.Run(door, func(t *testing.T) { test(t, func(c *config.Config) { c.NetworkDoor = door }) })
	}
}

// client is a plain connection to a server under test.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func connect(t testing.TB, s *Server) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr("tcp").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{t, conn, bufio.NewReader(conn)}
}

// send writes one command given as words.
func (c *client) send(words ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(c.Conn, b.String()); err != nil && !errors.Is(err, net.ErrClosed) {
		c.t.Log(err)
	}
}

// read returns one reply: the text of a line, a bulk in quotes, an array in
// brackets; "closed" if there is none.
func (c *client) read() string {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "closed"
	}
	line = strings.TrimSuffix(line, "\r\n")
	n, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '$', '=':
		if n < 0 {
			return "nil"
		}
		b := make([]byte, n+2)
		if _, err := io.ReadFull(c.r, b); err != nil {
			return "closed"
		}
		return strconv.Quote(string(b[:n]))
	case '*', '>', '~', '%':
		if n < 0 {
			return "nil"
		}
		if line[0] == '%' {
			n *= 2
		}
		items := make([]string, n)
		for i := range items {
			items[i] = c.read()
		}
		return "[" + strings.Join(items, " ") + "]"
	}
	return line
}

func (c *client) do(words ...string) string {
	c.send(words...)
	return c.read()
}

func (c *client) want(want string, words ...string) {
	c.t.Helper()
	if got := c.do(words...); got != want {
		c.t.Errorf("%v: got %s, want %s", words, got, want)
	}
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still not: ", what)
		}
	}
}

// A subscriber that does not read is closed at its limit; the publisher and
// the other subscribers never wait for it.
func TestStalledSubscriberIsClosed(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startServer(t, func(c *config.Config) {
			change(c)
			c.OutputLimits[config.ClassPubSub] = config.OutputLimit{Hard: 1 << 20}
		})
		stalled, reading, publisher := connect(t, s), connect(t, s), connect(t, s)
		stalled.want(`["subscribe" "c" :1]`, "SUBSCRIBE", "c")
		reading.want(`["subscribe" "c" :1]`, "SUBSCRIBE", "c")
		message := strings.Repeat("m", 64<<10)
		for i := range 1000 {
			n := publisher.do("PUBLISH", "c", message)
			if got, want := reading.read(), `["message" "c" "`+message+`"]`; got != want {
				t.Fatalf("message %d was lost", i)
			}
			if n == ":1" {
				break
			}
		}
		publisher.want(":1", "PUBLISH", "c", "x")
		if n := s.broker.dropped.Load(); n != 1 {
			t.Errorf("%d subscribers dropped, want 1", n)
		}
		if got := publisher.do("PUBSUB", "NUMSUB", "c"); got != `["c" :1]` {
			t.Errorf("subscribers left: %s", got)
		}
	})
}

// Messages and replies of one connection keep their order.
func TestMessagesFollowTheirSubscription(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startServer(t, change)
		var stop atomic.Bool
		var wg sync.WaitGroup
		publisher := connect(t, s)
		wg.Go(func() {
			for !stop.Load() {
				publisher.do("PUBLISH", "c", "x")
			}
		})
		c := connect(t, s)
		for range 300 {
			c.send("SUBSCRIBE", "c")
			if got := c.read(); got != `["subscribe" "c" :1]` {
				t.Fatalf("first came %s", got)
			}
			c.send("UNSUBSCRIBE", "c")
			got := c.read()
			for got == `["message" "c" "x"]` {
				got = c.read()
			}
			if got != `["unsubscribe" "c" :0]` {
				t.Fatalf("then came %s", got)
			}
			c.want("+PONG", "PING") // no message behind the confirmation
		}
		stop.Store(true)
		wg.Wait()
	})
}

// Blocking pops, pushes, kills, unblocks, pauses, monitors and hang-ups, all at
// once. No element is lost or doubled but to a client that is gone, nobody
// hangs, and nothing is left behind.
func TestStormOnBlockedClients(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startServer(t, change)
		var wg sync.WaitGroup
		var stop atomic.Bool
		var popped, dropped atomic.Int64
		for range 6 {
			wg.Go(func() {
				for !stop.Load() {
					popStorm(t, s, &stop, &popped, &dropped)
				}
			})
		}
		admin := connect(t, s)
		pushed := int64(0)
		for i := range 1500 {
			switch i % 10 {
			case 0:
				for _, line := range strings.Split(admin.do("CLIENT", "LIST"), `\n`) {
					if id, _, ok := strings.Cut(strings.TrimPrefix(line, `"`), " "); ok && rand.IntN(4) == 0 {
						admin.do("CLIENT", "KILL", "ID", strings.TrimPrefix(id, "id="))
					}
				}
			case 3:
				admin.do("CLIENT", "UNBLOCK", strconv.Itoa(rand.IntN(200)), []string{"ERROR", "TIMEOUT"}[i%2])
			case 5:
				admin.do("CLIENT", "PAUSE", "1", []string{"WRITE", "ALL"}[i%2])
			case 6:
				admin.do("CLIENT", "UNPAUSE")
			default:
				if got := admin.do("RPUSH", []string{"p", "q"}[rand.IntN(2)], "v"); got[0] != ':' {
					t.Fatal("RPUSH:", got)
				}
				pushed++
			}
		}
		stop.Store(true)
		go func() {
			for s.sessions.count() > 1 { // let them go
				admin.do("CLIENT", "UNPAUSE")
				admin.do("CLIENT", "KILL", "SKIPME", "YES")
			}
		}()
		wg.Wait()
		eventually(t, "the others gone", func() bool { return s.sessions.count() <= 1 })
		if n := s.counters.blocked.Load(); n != 0 {
			t.Errorf("%d clients still count as blocked", n)
		}
		if n := s.store.BlockedKeys(); n != 0 {
			t.Errorf("%d keys still have waiters", n)
		}
		left := int64(0)
		last := connect(t, s)
		for _, key := range []string{"p", "q"} {
			n, _ := strconv.ParseInt(last.do("LLEN", key)[1:], 10, 64)
			left += n
		}
		if got := popped.Load() + left; got > pushed || got+dropped.Load() < pushed {
			t.Errorf("pushed %d, popped %d, left %d, with %d clients gone", pushed, popped.Load(), left, dropped.Load())
		}
	})
}

// popStorm is one client's life: it blocks, monitors or hangs up.
func popStorm(t *testing.T, s *Server, stop *atomic.Bool, popped, dropped *atomic.Int64) {
	c := connect(t, s)
	defer c.Close()
	if rand.IntN(5) == 0 {
		c.do("MONITOR")
		c.read()
		return
	}
	for !stop.Load() {
		c.send("BLPOP", "p", "q", "0.05")
		if rand.IntN(20) == 0 { // hang up with a request under way
			dropped.Add(1)
			return
		}
		switch got := c.read(); {
		case got == "closed":
			dropped.Add(1)
			return
		case strings.HasPrefix(got, "["):
			popped.Add(1)
		}
	}
}

// A wrong password costs its address nothing at first, then each further try
// waits on its own connection while others are served.
func TestAuthenticationIsSlowedDown(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startServer(t, func(c *config.Config) {
			change(c)
			c.RequirePass = "secret"
			c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize = true, 1e6, 1e6
			c.RateLimit.AuthFailuresPerMinute = 3
			c.RateLimit.Exempt = nil
		})
		c, other := connect(t, s), connect(t, s)
		for range 3 {
			c.want("-WRONGPASS invalid username-password pair or user is disabled.", "AUTH", "x")
		}
		c.send("AUTH", "secret")
		eventually(t, "AUTH told to wait", func() bool {
			for _, d := range s.limiter.Stats(resp.Monotonic()).Decisions {
				if d.Layer == "auth" && d.Count > 0 {
					return true
				}
			}
			return false
		})
		other.want("-NOAUTH Authentication required.", "GET", "k")
		if got := c.read(); got != "+OK" {
			t.Errorf("the right password, late: %s", got)
		}
		c.want("nil", "GET", "k")
	})
}

// The idle timeout spares those who wait for messages.
func TestIdleSubscribersStay(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startServer(t, func(c *config.Config) {
			change(c)
			c.Timeout = 1
		})
		subscriber, monitor := connect(t, s), connect(t, s)
		subscriber.want(`["subscribe" "c" :1]`, "SUBSCRIBE", "c")
		monitor.want("+OK", "MONITOR")
		idle := connect(t, s)
		idle.want("+PONG", "PING")
		if got := idle.read(); got != "closed" { // it is the youngest
			t.Fatalf("an idle client read %s", got)
		}
		last := connect(t, s)
		last.want(":1", "PUBLISH", "c", "x")
		if got := subscriber.read(); got != `["message" "c" "x"]` {
			t.Errorf("the subscriber read %s", got)
		}
		if got := monitor.read(); !strings.HasSuffix(got, ` "PING"`) {
			t.Errorf("the monitor read %s", got)
		}
	})
}
