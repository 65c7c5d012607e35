//go:build !record

package tests

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestMigrateTravels moves values of every type and encoding between a
// redis-server and ours, both ways, and between two of ours: Redis' digest of
// what arrives is that of what was sent.
func TestMigrateTravels(t *testing.T) {
	redis, ours, other := startRedis(t, nil), startProgram(t), startProgram(t, "--network-door", "redcon")
	_, redisPort, _ := net.SplitHostPort(redis.addr)
	there, err := dial("tcp", redis.addr, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(there.close)
	here, second := ours.dial(t, 2), other.dial(t, 2)
	for name, fill := range dumpValues() {
		t.Run(name, func(t *testing.T) {
			for _, args := range fill {
				demand(t, there, args...)
			}
			demand(t, there, "SET", "beside", "v", "EX", "1000")
			want := demand(t, there, "DEBUG", "DIGEST-VALUE", "k").items[0].text
			for _, leg := range []struct {
				from *client
				port string
			}{{there, ours.port}, {here, other.port}, {second, ours.port}, {here, redisPort}} {
				is(t, "MIGRATE to "+leg.port, demand(t, leg.from, "MIGRATE", "127.0.0.1", leg.port, "", "0", "5000", "KEYS", "k", "beside").text, "OK")
				is(t, "keys left", demand(t, leg.from, "DBSIZE").text, "0")
			}
			is(t, "digest", demand(t, there, "DEBUG", "DIGEST-VALUE", "k").items[0].text, want)
			if ttl := demand(t, there, "TTL", "beside").text; len(ttl) < 3 {
				t.Errorf("TTL beside is %s", ttl)
			}
			demand(t, there, "FLUSHALL")
		})
	}
}

// TestMigrateInBatches moves more than one batch holds, by bytes and by keys.
func TestMigrateInBatches(t *testing.T) {
	onBothDoors(t, func(t *testing.T, p *program, control *client) {
		for i, size := range []int{4 << 20, 3000, 10} {
			args := []string{"MIGRATE", "127.0.0.1", p.port, "", fmt.Sprint(i + 1), "5000", "KEYS"}
			n := min(3000, 10<<20/size)
			for k := range n {
				key := fmt.Sprint("key:", k)
				control.must(t, "SET", key, strings.Repeat("x", size))
				args = append(args, key, fmt.Sprint("absent:", k))
			}
			is(t, "MIGRATE", control.must(t, args...).text, "OK")
			is(t, "keys left", control.must(t, "DBSIZE").text, "0")
			control.must(t, "SELECT", fmt.Sprint(i+1))
			is(t, "keys arrived", control.must(t, "DBSIZE").text, fmt.Sprint(n))
			is(t, "length", control.must(t, "STRLEN", "key:1").text, fmt.Sprint(size))
			control.must(t, "SELECT", "0")
		}
	})
}

// scriptedTarget is a target that answers what a test tells it to.
type scriptedTarget struct {
	listener net.Listener
	port     string
	conns    chan net.Conn
}

func startScriptedTarget(t *testing.T) *scriptedTarget {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	s := &scriptedTarget{listener: listener, conns: make(chan net.Conn, 16)}
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				close(s.conns)
				return
			}
			s.conns <- conn
		}
	}()
	return s
}

// restoring takes a connection, answers SELECT and returns once RESTORE is there.
func (s *scriptedTarget) restoring(t *testing.T) net.Conn {
	t.Helper()
	conn := <-s.conns
	in := bufio.NewReader(conn)
	for _, want := range []string{"SELECT", "RESTORE"} {
		v, err := readValue(in)
		if err != nil || len(v.items) == 0 || v.items[0].text != want {
			t.Fatalf("the target got %s (%v), want %s", v.render(), err, want)
		}
		if want == "SELECT" {
			fmt.Fprint(conn, "+OK\r\n")
		}
	}
	return conn
}

// TestMigrateWaitsAlone holds a target back while others use the server.
func TestMigrateWaitsAlone(t *testing.T) {
	onBothDoors(t, func(t *testing.T, p *program, control *client) {
		target, c := startScriptedTarget(t), p.dial(t, 2)
		migrate := []string{"MIGRATE", "127.0.0.1", target.port, "k", "0", "20000"}
		for _, change := range [][]string{nil, {"INCR", "k"}, {"PEXPIRE", "k", "100000"}, {"DEL", "k"}, {"FLUSHALL"}, {"SWAPDB", "0", "1"}} {
			control.must(t, "FLUSHALL")
			control.must(t, "SET", "k", "1")
			if err := c.send(migrate...); err != nil {
				t.Fatal(err)
			}
			conn := target.restoring(t)
			is(t, "GET of another", control.must(t, "GET", "k").text, "1")
			left := "0"
			if len(change) > 0 {
				control.must(t, change...)
				left = control.must(t, "EXISTS", "k").text
			}
			fmt.Fprint(conn, "+OK\r\n")
			v, err := c.read()
			want := "OK"
			if left == "1" {
				want = "ERR a key was changed while it was sent: it stays here too, MIGRATE it again with REPLACE"
			}
			if err != nil || v.text != want {
				t.Errorf("%q meanwhile: %s (%v), want %s", change, v.render(), err, want)
			}
			is(t, "keys left", control.must(t, "EXISTS", "k").text, left)
			conn.Close()
		}
	})
}

// TestMigrateToNoRedis meets targets that do not answer as a Redis does: the
// key stays.
func TestMigrateToNoRedis(t *testing.T) {
	const reading = "IOERR error or timeout reading from target instance"
	onBothDoors(t, func(t *testing.T, p *program, control *client) {
		target, c := startScriptedTarget(t), p.dial(t, 2)
		for _, answer := range []struct{ selected, restored, want string }{
			{"HTTP/1.1 400 Bad Request\r\n\r\n", "", "ERR Target instance replied with error: HTTP/1.1 400 Bad Request"},
			{"-NOAUTH first\r\n", "", "ERR Target instance replied with error: NOAUTH first"},
			{"+OK\r\n", ":1\r\n", "ERR Target instance replied with error: :1"},
			{"+OK\r\n", "-OOM no\r\n", "ERR Target instance replied with error: OOM no"},
			{"+OK\r\n", strings.Repeat("x", 1<<20), reading},
			{"+OK\r\n", "", reading},
			{"", "", reading},
		} {
			control.must(t, "SET", "k", "v")
			if err := c.send("MIGRATE", "127.0.0.1", target.port, "k", "0", "20000"); err != nil {
				t.Fatal(err)
			}
			conn := <-target.conns
			in := bufio.NewReader(conn)
			for _, text := range []string{answer.selected, answer.restored} {
				if text == "" {
					break
				}
				if _, err := readValue(in); err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(conn, text)
			}
			if answer.want == reading {
				conn.Close()
			}
			v, err := c.read()
			if err != nil || v.text != answer.want {
				t.Errorf("%.50q: %s (%v), want %s", answer, v.render(), err, answer.want)
			}
			conn.Close()
			is(t, "the key", control.must(t, "GET", "k").text, "v")
		}
		v, err := c.do("MIGRATE", "127.0.0.1", target.port, "k", "0", "30") // which never answers
		if err != nil || v.text != reading {
			t.Errorf("a silent target: %s (%v)", v.render(), err)
		}
		is(t, "the key", control.must(t, "GET", "k").text, "v")
	})
}

// TestMigrateEndsWithItsClient frees what a MIGRATE holds when its client goes,
// and when the server does.
func TestMigrateEndsWithItsClient(t *testing.T) {
	onBothDoors(t, func(t *testing.T, p *program, control *client) {
		target := startScriptedTarget(t)
		migrate := []string{"MIGRATE", "127.0.0.1", target.port, "k", "0", "1000000"}
		control.must(t, "CONFIG", "SET", "client-migrate-max-clients", "1")
		control.must(t, "SET", "k", "v")
		first := p.dial(t, 2)
		if err := first.send(migrate...); err != nil {
			t.Fatal(err)
		}
		conn := target.restoring(t)
		v, err := control.do(migrate...)
		if err != nil || v.text != "ERR as many MIGRATE commands run as client-migrate-max-clients allows" {
			t.Errorf("a second one: %s (%v)", v.render(), err)
		}
		first.close()
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the target's connection is not closed with the client's")
		}
		next := p.dial(t, 2)
		await(t, "there is room for another", func() bool {
			if err := next.send(migrate...); err != nil {
				t.Fatal(err)
			}
			if !pending(next, 100*time.Millisecond) { // it waits for the target
				return true
			}
			_, err := next.read()
			return err != nil
		})
		conn = target.restoring(t)
		if err := control.send("SHUTDOWN", "NOSAVE"); err != nil {
			t.Fatal(err)
		}
		v, err = next.read()
		if err != nil || v.text != "IOERR error or timeout reading from target instance" {
			t.Errorf("at the server's end: %s (%v)", v.render(), err)
		}
		conn.Close()
	})
}
