//go:build !record

package tests

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// eachDoor runs f against a server with two loops behind each door.
func eachDoor(t *testing.T, f func(t *testing.T, connect func() *client), options ...[2]string) {
	for _, door := range []string{"loop", "redcon"} {
		t.Run(door, func(t *testing.T) {
			s := startSynapRealTime(t, door, append([][2]string{{"loops", "2"}}, options...))
			f(t, func() *client {
				c, err := dial(s.network, s.addr, 2)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(c.close)
				return c
			})
		})
	}
}

// repeat sends a command n times and reports a reply that is an error.
func (c *client) repeat(n int, args ...string) error {
	for i := range n {
		if v, err := c.do(args...); err != nil || v.isError() {
			return fmt.Errorf("%q, time %d: %v %s", args, i, err, v.render())
		}
	}
	return nil
}

// TestNoWakeUpIsLost has clients wait for good on keys that others fill over
// three ways, while clients of another kind stand in the same queues: every
// element must reach exactly one of those who wait.
func TestNoWakeUpIsLost(t *testing.T) {
	eachDoor(t, func(t *testing.T, connect func() *client) {
		const consumers, pops, movers = 8, 150, 2
		errs := make(chan error, 64)
		var group sync.WaitGroup
		run := func(n int, args ...string) {
			c := connect()
			group.Go(func() { errs <- c.repeat(n, args...) })
		}
		for range consumers {
			run(pops, "BLPOP", "b", "a", "b", "0")
		}
		for range movers {
			run(pops, "BLMOVE", "from", "a", "LEFT", "RIGHT", "0")
		}
		bystander := connect()
		group.Go(func() {
			for range 100 { // an error whenever it finds a list, else it waits for a stream
				if _, err := bystander.do("XREAD", "BLOCK", "1", "STREAMS", "a", "b", "$", "$"); err != nil {
					errs <- err
				}
			}
		})
		run(pops*movers, "RPUSH", "from", "x")
		run(pops*(consumers-movers)/2, "RPUSH", "a", "x")
		run(pops*(consumers-movers)/4, "RPUSH", "b", "x", "y")
		group.Wait()
		for len(errs) > 0 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		c := connect()
		if n, err := blockedClients(c); err != nil || n != 0 {
			t.Errorf("%d clients are left blocked (%v)", n, err)
		}
		if v := c.must(t, "DBSIZE"); v.text != "0" {
			t.Errorf("%s keys are left", v.text)
		}
	})
}

// TestPauseKeepsNobody pauses all clients for good and ends the pause at once,
// over and over: nobody may be left behind.
func TestPauseKeepsNobody(t *testing.T) {
	eachDoor(t, func(t *testing.T, connect func() *client) {
		const writers, rounds = 6, 300
		errs := make(chan error, writers)
		for range writers {
			c := connect()
			go func() { errs <- c.repeat(rounds, "INCR", "n") }()
		}
		c := connect()
		for left := writers; left > 0; {
			c.must(t, "CLIENT", "PAUSE", "100000000", "WRITE")
			c.must(t, "CLIENT", "UNPAUSE")
			select {
			case err := <-errs:
				if left--; err != nil {
					t.Fatal(err)
				}
			default:
			}
		}
		if v := c.must(t, "GET", "n"); v.text != fmt.Sprint(writers*rounds) {
			t.Errorf("counted to %s", v.text)
		}
	})
}

// TestManyKeysInOneCommand names each of very many keys once, and one key very
// often; a quadratic loop over them would not end in time.
func TestManyKeysInOneCommand(t *testing.T) {
	many, same := []string{}, []string{}
	for i := range 50_000 {
		many, same = append(many, fmt.Sprint("key:", i)), append(same, "key:7")
	}
	eachDoor(t, func(t *testing.T, connect func() *client) {
		c, other := connect(), connect()
		before := bytesHeld(t, c)
		c.must(t, append([]string{"WATCH"}, many...)...)
		if held := bytesHeld(t, c) - before; held < 2<<20 {
			t.Errorf("the watched keys count as %d bytes", held)
		}
		other.must(t, "SET", "key:49999", "v")
		c.must(t, "MULTI")
		if v := c.must(t, "EXEC"); v.kind != '*' || !v.null {
			t.Errorf("EXEC answered %s", v.render())
		}
		other.must(t, "FLUSHALL")
		for _, keys := range [][]string{many, same} {
			c.send(append(append([]string{"BLPOP"}, keys...), "0")...)
			await(t, "the client is blocked", func() bool {
				n, err := blockedClients(other)
				return err == nil && n == 1
			})
			other.must(t, "RPUSH", "key:7", "x")
			if v, err := c.read(); err != nil || v.render() == "nil-array" {
				t.Errorf("BLPOP answered %s (%v)", v.render(), err)
			}
		}
	})
}

// bytesHeld returns what CLIENT LIST says of c's memory.
func bytesHeld(t *testing.T, c *client) (n int) {
	for _, word := range strings.Fields(c.must(t, "CLIENT", "INFO").text) {
		if text, ok := strings.CutPrefix(word, "tot-mem="); ok {
			fmt.Sscan(text, &n)
		}
	}
	return n
}

// TestMonitorShowsLargeRequestsInPart has a monitor look at requests whose
// lines would be four times as large.
func TestMonitorShowsLargeRequestsInPart(t *testing.T) {
	eachDoor(t, func(t *testing.T, connect func() *client) {
		monitor, c := connect(), connect()
		monitor.must(t, "MONITOR")
		c.must(t, "SET", "k", strings.Repeat("\x00", 3<<20))
		c.must(t, "DEL", strings.Repeat("\x01", 1<<20), strings.Repeat("\x02", 1<<20), "a", "b")
		for _, want := range []string{`\x00... (2097152 more bytes)"`, ` "... (3 more arguments)"`} {
			if v, err := monitor.read(); err != nil || !strings.HasSuffix(v.text, want) {
				t.Errorf("%v: a line of %d bytes ends in %q", err, len(v.text), v.text[max(0, len(v.text)-50):])
			}
		}
	})
}

// TestReplyOverClientsMemory asks for one reply larger than what all clients
// together may be owed: only a protected client gets it.
func TestReplyOverClientsMemory(t *testing.T) {
	eachDoor(t, func(t *testing.T, connect func() *client) {
		c, protected := connect(), connect()
		protected.must(t, "SET", "big", strings.Repeat("b", 1<<20))
		mget := append([]string{"MGET"}, strings.Fields(strings.Repeat("big ", 20))...)
		if v, err := c.do(mget...); len(v.items) == 20 {
			t.Errorf("got all values (%v)", err)
		}
		protected.must(t, "CLIENT", "NO-EVICT", "ON")
		if v := protected.must(t, mget...); len(v.items) != 20 {
			t.Errorf("the protected client got %d values", len(v.items))
		}
	}, [2]string{"maxmemory-clients", "4mb"})
}
