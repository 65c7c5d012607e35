package server

import (
	"fmt"
	"strings"
	"testing"

	"synap/config"
)

// startLogged starts a server with a log in a directory of its own.
func startLogged(t *testing.T, change func(*config.Config), appendfsync string) *Server {
	return startServer(t, func(c *config.Config) {
		change(c)
		c.Dir, c.AppendOnly, c.AppendFsync = t.TempDir(), true, appendfsync
	})
}

func (d *diskWait) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.left)
}

// However a wait for the disk ends, nothing of it is left.
func TestWaitAOFLeavesNothing(t *testing.T) {
	ends := map[string]func(t *testing.T, s *Server, waiting *client, id string){
		"the client goes": func(t *testing.T, s *Server, waiting *client, _ string) { waiting.Close() },
		"killed":          func(t *testing.T, s *Server, _ *client, id string) { connect(t, s).do("CLIENT", "KILL", "ID", id) },
		"unblocked": func(t *testing.T, s *Server, waiting *client, id string) {
			connect(t, s).do("CLIENT", "UNBLOCK", id)
			if got := waiting.read(); got != "[:0 :0]" {
				t.Error(got)
			}
		},
		"unblocked with an error": func(t *testing.T, s *Server, waiting *client, id string) {
			connect(t, s).do("CLIENT", "UNBLOCK", id, "ERROR")
			if got := waiting.read(); !strings.Contains(got, "UNBLOCKED") {
				t.Error(got)
			}
		},
		"switched off": func(t *testing.T, s *Server, waiting *client, _ string) {
			connect(t, s).do("CONFIG", "SET", "appendonly", "no")
			if got := waiting.read(); !strings.Contains(got, "WAITAOF cannot be used") {
				t.Error(got)
			}
		},
		"synced": func(t *testing.T, s *Server, waiting *client, _ string) {
			connect(t, s).do("CONFIG", "SET", "appendfsync", "everysec")
			if got := waiting.read(); got != "[:1 :0]" {
				t.Error(got)
			}
		},
	}
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startLogged(t, change, "no")
		for name, end := range ends {
			c := connect(t, s)
			c.do("CONFIG", "SET", "appendonly", "yes", "appendfsync", "no")
			eventually(t, "a log", s.persist.on.Load)
			c.do("SET", "k", name)
			id := strings.TrimPrefix(c.do("CLIENT", "ID"), ":")
			c.send("WAITAOF", "1", "0", "0")
			eventually(t, "a wait", func() bool { return s.disk.count() == 1 && s.counters.blocked.Load() == 1 })
			end(t, s, c, id)
			eventually(t, fmt.Sprint(name, ": an empty list"), func() bool { return s.disk.count() == 0 && s.counters.blocked.Load() == 0 })
		}
	})
}

// Many clients that wait at once are all served by the syncs of the log.
func TestWaitAOFOfMany(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startLogged(t, change, "everysec")
		var all []*client
		for i := range 50 {
			c := connect(t, s)
			c.send("SET", fmt.Sprint("k", i), "v")
			c.send("WAITAOF", "1", "0", "0")
			all = append(all, c)
		}
		for _, c := range all {
			if ok, got := c.read(), c.read(); ok != "+OK" || got != "[:1 :0]" {
				t.Fatal(ok, got)
			}
		}
	})
}
