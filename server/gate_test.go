package server

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"synap/config"
	"synap/journal"
)

// slowLog is a log whose records become durable when the test says so.
type slowLog struct {
	mu      sync.Mutex
	seq     uint64
	durable atomic.Uint64
	notify  func()
}

func (l *slowLog) Append([]journal.Record) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	return l.seq
}
func (l *slowLog) Durable() uint64 { return l.durable.Load() }
func (l *slowLog) Notify(f func()) { l.notify = f }
func (l *slowLog) Flush()          {}

func (l *slowLog) appended() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq
}

func (l *slowLog) sync() {
	l.durable.Store(l.appended())
	l.notify()
}

func TestGateHoldsRepliesUntilTheLogIsDurable(t *testing.T) {
	for _, door := range []string{"loop", "redcon"} {
		t.Run(door, func(t *testing.T) {
			log := &slowLog{}
			cfg := *config.Default()
			cfg.Port, cfg.HTTPPort, cfg.NetworkDoor, cfg.Bind = 0, 0, door, []string{"127.0.0.1"}
			cfg.AppendOnly, cfg.Save = false, nil
			s, err := New(Options{Config: &cfg, Journal: log, AnyPort: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(); err != nil {
				t.Skip(door, "door:", err)
			}
			defer func() {
				if err := s.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			conn, err := net.Dial("tcp", s.Addr("tcp").String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			say := func(line string) { _, _ = conn.Write([]byte(line + "\r\n")) }
			hear := func(want string) {
				t.Helper()
				_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
				if got, err := in.ReadString('\n'); err != nil || got != want+"\r\n" {
					t.Fatalf("heard %q, %v, want %q", got, err, want)
				}
			}
			say("PING")
			hear("+PONG") // nothing logged: the gate is open
			say("SET k v")
			for log.appended() < 1 {
				time.Sleep(time.Millisecond)
			}
			_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if got, err := in.ReadString('\n'); err == nil {
				t.Fatalf("the reply %q left before its record was durable", got)
			}
			log.sync()
			hear("+OK")
			say("GET k")
			hear("$1")
		})
	}
}
