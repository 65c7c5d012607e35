package server

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"strings"

	"synap/command"
	"synap/resp"
)

// MEMORY: https://redis.io/docs/latest/commands/?name=MEMORY.

func memoryContainer() Row {
	row := func(name, usage, summary, complexity string, arity int, tips []string, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Summary: summary, Complexity: complexity, Arity: arity, Tips: tips,
			Group: "server", Since: "4.0.0", Flags: command.Walks,
		}, Session: run}
	}
	special := []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}
	usage := row("usage", "key [SAMPLES count]", "Tells how many bytes a key and its value take.",
		"O(1): the account is kept with the value.", -3, nil, nil)
	usage.Session, usage.Run = nil, memoryUsage
	usage.Flags = command.ReadOnly
	usage.Keys = []command.KeySpec{{Flags: command.RO, Begin: 2}}
	return container(command.Row{
		Name: "memory", Group: "server", Since: "4.0.0", Arity: -2,
		Summary: "Container of the commands about memory.", Complexity: "Depends on subcommand.",
	}, "4.0.0",
		row("doctor", "", "Looks for problems with memory.", "O(1)", 2, special, memoryDoctor),
		row("malloc-stats", "", "Shows the statistics of the allocator.", "O(1)", 2, special,
			func(x *Session, c *command.Ctx) { c.Reply.Verbatim(x.srv.allocatorReport()) }),
		row("purge", "", "Gives free memory back to the operating system.", "O(N) where N is the memory in use; it runs aside.", 2,
			[]string{"request_policy:all_shards", "response_policy:all_succeeded"}, memoryPurge),
		row("stats", "", "Shows where memory goes.", "O(1)", 2, special, memoryStats),
		usage,
	)
}

// memoryUsage needs no samples: every value carries its own account.
func memoryUsage(c *command.Ctx) {
	a := resp.NewArgs(c.Args[3:])
	for a.Left() > 0 && a.Err() == nil {
		if a.Left() < 2 || !a.Is("SAMPLES") {
			a.Fail(resp.ErrSyntax)
		} else if a.Int() < 0 {
			a.Fail(resp.ErrSyntax)
		}
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	meta, ok := c.Tx.Meta(c.Args[2])
	if !ok {
		c.Reply.Null()
		return
	}
	c.Reply.Int(meta.Bytes)
}

func memoryPurge(x *Session, c *command.Ctx) {
	x.srv.purge()
	c.Reply.OK()
}

// purge lets the collector run aside and give free memory back to the system:
// one run at a time is enough.
func (s *Server) purge() {
	if p := &s.memory.purging; p.CompareAndSwap(false, true) {
		go func() {
			defer p.Store(false)
			debug.FreeOSMemory()
		}()
	}
}

// heapSample is what of the Go runtime's memory the reports tell.
type heapSample struct{ live, free, released, stacks, other int64 }

func readHeap() heapSample {
	sample := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(sample)
	v := func(i int) int64 { return int64(sample[i].Value.Uint64()) }
	h := heapSample{live: v(0), free: v(1) + v(2), released: v(3), stacks: v(4)}
	h.other = v(5) - h.live - h.free - h.released - h.stacks
	return h
}

// allocatorReport shows the arenas of the store and the Go heap.
func (s *Server) allocatorReport() string {
	h := readHeap()
	var b strings.Builder
	fmt.Fprintf(&b, "Allocators: mapped arenas for small values, the Go heap for the rest\n")
	fmt.Fprintf(&b, "store: %d bytes in arenas, %d bytes in large values on the heap\n", s.store.Used()-s.store.HeapBytes(), s.store.HeapBytes())
	fmt.Fprintf(&b, "heap: %d bytes in objects, %d bytes free, %d bytes given back\n", h.live, h.free, h.released)
	fmt.Fprintf(&b, "stacks: %d bytes\nruntime: %d bytes\n", h.stacks, h.other)
	return b.String()
}

// memoryStats writes the fields of Redis' reply in its order; those of parts
// that do not exist here are 0.
func memoryStats(x *Session, c *command.Ctx) {
	s := x.srv
	m := s.statsIn(c.Tx).Memory
	h := readHeap()
	held := s.store.Used() - s.store.HeapBytes() + h.live + h.free
	var keys int64
	type db struct{ number, keys, expires int }
	var dbs []db
	for i := range s.store.Databases() {
		if n := s.store.DBSize(i); n > 0 {
			dbs = append(dbs, db{i, n, s.store.Expires(i)})
			keys += int64(n)
		}
	}
	r := c.Reply
	r.Map(27 + len(dbs))
	integer := func(name string, n int64) { r.BulkString(name); r.Int(n) }
	double := func(name string, f float64) { r.BulkString(name); r.Double(f) }
	integer("peak.allocated", m.Peak)
	integer("total.allocated", m.Used)
	integer("startup.allocated", m.Startup)
	integer("replication.backlog", 0)
	integer("clients.slaves", 0)
	integer("clients.normal", s.memory.clients.Load())
	integer("cluster.links", 0)
	integer("aof.buffer", 0)
	integer("lua.caches", 0)
	integer("functions.caches", 0)
	for _, d := range dbs {
		r.BulkString(fmt.Sprint("db.", d.number))
		r.Map(2)
		integer("overhead.hashtable.main", int64(d.keys)*indexBytes)
		integer("overhead.hashtable.expires", int64(d.expires)*expiryBytes)
	}
	integer("overhead.total", m.Overhead)
	integer("keys.count", keys)
	integer("keys.bytes-per-key", m.Dataset/max(keys, 1))
	integer("dataset.bytes", m.Dataset)
	double("dataset.percentage", percent(m.Dataset, m.Used-m.Startup))
	double("peak.percentage", percent(m.Used, m.Peak))
	integer("allocator.allocated", m.Used)
	integer("allocator.active", held)
	integer("allocator.resident", m.RSS)
	double("allocator-fragmentation.ratio", ratio(held, m.Used))
	integer("allocator-fragmentation.bytes", held-m.Used)
	double("allocator-rss.ratio", ratio(m.RSS, held))
	integer("allocator-rss.bytes", m.RSS-held)
	double("rss-overhead.ratio", 1) // all that is resident belongs to the allocators
	integer("rss-overhead.bytes", 0)
	double("fragmentation", ratio(m.RSS, m.Used))
	integer("fragmentation.bytes", m.RSS-m.Used)
}

// What the index and the expiry structure take for one key, about.
const (
	indexBytes  = 8
	expiryBytes = 12
)

func ratio(a, b int64) float64 { return float64(a) / float64(max(b, 1)) }

func percent(a, b int64) float64 { return 100 * ratio(a, b) }

// memoryDoctor reports what an operator should look at, worst first.
func memoryDoctor(x *Session, c *command.Ctx) {
	m := x.srv.statsIn(c.Tx).Memory
	var found []string
	note := func(bad bool, format string, args ...any) {
		if bad {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	note(m.Max > 0 && m.Used > m.Max, "used memory (%d bytes) is over maxmemory (%d): %s decides what happens to writes; raise maxmemory or let keys expire.", m.Used, m.Max, m.Policy)
	note(m.RSS > m.Used/2*3, "the process holds %d bytes for %d in use: memory was freed in small pieces; MEMORY PURGE gives back what it can.", m.RSS, m.Used)
	note(m.Peak > m.Used/2*3, "the peak was %d bytes, much more than the %d in use now: a client or a key was very large.", m.Peak, m.Used)
	note(x.srv.memory.clients.Load() > m.Used/4, "the buffers of clients hold %d bytes: look for large omem and qbuf in CLIENT LIST.", x.srv.memory.clients.Load())
	switch {
	case m.Used < doctorSmall:
		c.Reply.Verbatim("There is too little data to find problems with memory: ask again when more than 5 MB are in use.\n")
	case len(found) == 0:
		c.Reply.Verbatim("No problems with memory.\n")
	default:
		c.Reply.Verbatim("Problems with memory:\n * " + strings.Join(found, "\n * ") + "\n")
	}
}

// doctorSmall: below so many bytes ratios mean nothing.
const doctorSmall = 5 << 20
