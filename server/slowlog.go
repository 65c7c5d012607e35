package server

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"synap/command"
	"synap/config"
	"synap/resp"
)

// An entry keeps so much of a request, as in Redis.
const (
	slowArgs     = 32
	slowArgBytes = 128
)

// slowlog holds the newest commands that took at least threshold.
type slowlog struct {
	threshold atomic.Int64 // nanoseconds; MaxInt64 = off

	mu      sync.Mutex // guards what follows
	max     int
	nextID  int64
	entries []slowEntry // oldest first
}

type slowEntry struct {
	id     int64
	unix   int64 // seconds
	took   time.Duration
	args   []string
	client string // address
	name   string
}

func newSlowlog() *slowlog {
	l := &slowlog{}
	l.threshold.Store(math.MaxInt64)
	return l
}

// configure takes over slowlog-log-slower-than and slowlog-max-len.
func (l *slowlog) configure(c *config.Config) {
	threshold := int64(math.MaxInt64)
	if us := c.SlowlogLogSlowerThan; us >= 0 && us < math.MaxInt64/1000 {
		threshold = us * 1000
	}
	l.threshold.Store(threshold)
	l.mu.Lock()
	l.max = c.SlowlogMaxLen
	l.mu.Unlock()
}

// add appends an entry and drops the oldest ones over the limit. A lower limit
// shows with the next entry, as in Redis.
func (l *slowlog) add(e slowEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.id = l.nextID
	l.nextID++
	l.entries = append(l.entries, e)
	if n := len(l.entries) - l.max; n > 0 {
		clear(l.entries[:n])
		l.entries = l.entries[n:]
	}
}

// newest returns up to n entries, newest first; n < 0 returns all.
func (l *slowlog) newest(n int64) []slowEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n > int64(len(l.entries)) {
		n = int64(len(l.entries))
	}
	out := slices.Clone(l.entries[len(l.entries)-int(n):])
	slices.Reverse(out)
	return out
}

func (l *slowlog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

func (l *slowlog) reset() {
	l.mu.Lock()
	l.entries = nil
	l.mu.Unlock()
}

// noteSlow enters a command into the slow log and the latency monitor if it was
// slow enough for them. took is in nanoseconds, now the wall clock likewise.
func (s *Server) noteSlow(x *Session, cmd *command.Command, args [][]byte, took, now int64) {
	if took >= s.latency.threshold.Load() {
		event := "command"
		if cmd.Flags&command.Fast != 0 {
			event = "fast-command"
		}
		s.latency.observe(event, time.Duration(took), time.Unix(0, now))
	}
	if took < s.slow.threshold.Load() || cmd.Flags&command.SkipSlowlog != 0 {
		return
	}
	e := slowEntry{unix: now / int64(time.Second), took: time.Duration(took), args: slowCopy(shownArgs(cmd, args))}
	if x != nil {
		e.client, e.name = x.conn.Remote(), x.pub.names.Load().name
	}
	s.slow.add(e)
}

// slowCopy copies a request, cutting what is long: the last argument kept of
// too many, and the end of a long one, say how much is missing.
func slowCopy(args [][]byte) []string {
	out := make([]string, 0, min(len(args), slowArgs))
	for i, a := range args {
		if i == slowArgs-1 && len(args) > slowArgs {
			return append(out, fmt.Sprintf("... (%d more arguments)", len(args)-i))
		}
		if len(a) > slowArgBytes {
			out = append(out, fmt.Sprintf("%s... (%d more bytes)", a[:slowArgBytes], len(a)-slowArgBytes))
		} else {
			out = append(out, string(a))
		}
	}
	return out
}

func slowlogRows() []Row {
	sub := func(name, usage, summary, complexity string, arity int, tips []string, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Summary: summary, Group: "server", Since: "2.2.12",
			Complexity: complexity, Arity: arity, Tips: tips,
			Flags: command.Admin | command.Loading | command.Stale,
		}, Session: run}
	}
	return []Row{container(
		command.Row{
			Name: "slowlog", Group: "server", Since: "2.2.12", Arity: -2,
			Summary: "A container for slow log commands.", Complexity: "Depends on subcommand.",
		}, "6.2.0",
		sub("get", "[count]", "Returns the newest entries of the slow log: 10, or count; -1 means all.",
			"O(N) where N is the number of entries returned", -2,
			[]string{"request_policy:all_nodes", "nondeterministic_output"}, slowlogGet),
		sub("len", "", "Returns the number of entries of the slow log.", "O(1)", 2,
			[]string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"},
			func(x *Session, c *command.Ctx) { c.Reply.Int(int64(x.srv.slow.len())) }),
		sub("reset", "", "Empties the slow log.", "O(N) where N is the number of entries in the slowlog", 2,
			[]string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			func(x *Session, c *command.Ctx) {
				x.srv.slow.reset()
				c.Reply.OK()
			}),
	)}
}

// slowlogGet answers entries of id, unix seconds, microseconds, arguments,
// client address and client name.
func slowlogGet(x *Session, c *command.Ctx) {
	n := int64(10)
	if len(c.Args) > 3 {
		c.Reply.Error(resp.SubcommandSyntax("slowlog", c.Args[1]))
		return
	}
	if len(c.Args) == 3 {
		var ok bool
		if n, ok = resp.ParseInt(c.Args[2]); !ok || n < -1 {
			c.Reply.Error(resp.ErrSlowlogCount)
			return
		}
	}
	entries := x.srv.slow.newest(n)
	c.Reply.Array(len(entries))
	for _, e := range entries {
		c.Reply.Array(6)
		c.Reply.Int(e.id)
		c.Reply.Int(e.unix)
		c.Reply.Int(e.took.Microseconds())
		c.Reply.Array(len(e.args))
		for _, a := range e.args {
			c.Reply.BulkString(a)
		}
		c.Reply.BulkString(e.client)
		c.Reply.BulkString(e.name)
	}
}
