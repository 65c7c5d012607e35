package server

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"synap/command"
	"synap/config"
	"synap/metrics"
	"synap/resp"
)

// latencySamples is how many samples an event keeps; there is one a second at
// most.
const latencySamples = 160

// latencyMonitor remembers when the server was slow, by kind of event
// (https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency-monitor/).
type latencyMonitor struct {
	threshold atomic.Int64 // nanoseconds; MaxInt64 = off

	mu     sync.Mutex // guards events
	events map[string]*latencyEvent
}

type latencyEvent struct {
	samples []latencySample // oldest first
	worst   int64           // milliseconds, ever
}

type latencySample struct{ unix, ms int64 }

func newLatencyMonitor() *latencyMonitor {
	m := &latencyMonitor{events: map[string]*latencyEvent{}}
	m.threshold.Store(math.MaxInt64)
	return m
}

// configure takes over latency-monitor-threshold.
func (m *latencyMonitor) configure(c *config.Config) {
	threshold := int64(math.MaxInt64)
	if ms := c.LatencyMonitorThreshold; ms > 0 && ms < math.MaxInt64/int64(time.Millisecond) {
		threshold = ms * int64(time.Millisecond)
	}
	m.threshold.Store(threshold)
}

// observe keeps what took at least the threshold. Samples of one second become
// one, the slowest.
func (m *latencyMonitor) observe(event string, took time.Duration, now time.Time) {
	if int64(took) < m.threshold.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.events[event]
	if e == nil {
		e = &latencyEvent{}
		m.events[event] = e
	}
	s := latencySample{now.Unix(), took.Milliseconds()}
	e.worst = max(e.worst, s.ms)
	if n := len(e.samples); n > 0 && e.samples[n-1].unix == s.unix {
		e.samples[n-1].ms = max(e.samples[n-1].ms, s.ms)
		return
	}
	if len(e.samples) == latencySamples {
		e.samples = slices.Delete(e.samples, 0, 1)
	}
	e.samples = append(e.samples, s)
}

// event returns a copy of what is known of an event.
func (m *latencyMonitor) event(name string) (latencyEvent, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.events[name]
	if !ok {
		return latencyEvent{}, false
	}
	return latencyEvent{slices.Clone(e.samples), e.worst}, true
}

// names lists the events in order.
func (m *latencyMonitor) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]string, 0, len(m.events))
	for name := range m.events {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// reset forgets the named events, or all, and returns how many there were.
func (m *latencyMonitor) reset(names []string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.events)
	if len(names) == 0 {
		clear(m.events)
	}
	for _, name := range names {
		delete(m.events, name)
	}
	return before - len(m.events)
}

func latencyRows() []Row {
	nodes := []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}
	sub := func(name, usage, summary, complexity string, arity int, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Summary: summary, Group: "server", Since: "2.8.13",
			Complexity: complexity, Arity: arity, Tips: nodes,
			Flags: command.Admin | command.NoScript | command.Loading | command.Stale,
		}, Session: run}
	}
	histogram := sub("histogram", "[command [command ...]]", "Returns how many runs of commands were how fast, cumulatively.",
		"O(N) where N is the number of commands with latency information being retrieved.", -2, latencyHistogram)
	histogram.Since = "7.0.0"
	reset := sub("reset", "[event [event ...]]", "Forgets the samples of events, or of all.", "O(1)", -2, latencyReset)
	reset.Tips = []string{"request_policy:all_nodes", "response_policy:agg_sum"}
	return []Row{container(
		command.Row{
			Name: "latency", Group: "server", Since: "2.8.13", Arity: -2,
			Summary: "A container for latency diagnostics commands.", Complexity: "Depends on subcommand.",
		}, "2.8.13",
		sub("doctor", "", "Tells in words what was slow.", "O(1)", 2, latencyDoctor),
		sub("graph", "event", "Draws the samples of an event.", "O(1)", 3, latencyGraph),
		sub("history", "event", "Returns the samples of an event.", "O(1)", 3, latencyHistory),
		sub("latest", "", "Returns the latest sample of every event.", "O(1)", 2, latencyLatest),
		reset, histogram,
	)}
}

// latencyLatest answers name, unix seconds and milliseconds of the latest
// sample, and the worst ever, of each event.
func latencyLatest(x *Session, c *command.Ctx) {
	mark, n := c.Reply.DeferArray(), 0
	for _, name := range x.srv.latency.names() {
		e, ok := x.srv.latency.event(name)
		if !ok {
			continue
		}
		last := e.samples[len(e.samples)-1]
		c.Reply.Array(4)
		c.Reply.BulkString(name)
		c.Reply.Int(last.unix)
		c.Reply.Int(last.ms)
		c.Reply.Int(e.worst)
		n++
	}
	c.Reply.SetDeferred(mark, n)
}

func latencyHistory(x *Session, c *command.Ctx) {
	e, _ := x.srv.latency.event(string(c.Args[2]))
	c.Reply.Array(len(e.samples))
	for _, s := range e.samples {
		c.Reply.Array(2)
		c.Reply.Int(s.unix)
		c.Reply.Int(s.ms)
	}
}

func latencyReset(x *Session, c *command.Ctx) {
	names := make([]string, 0, len(c.Args)-2)
	for _, a := range c.Args[2:] {
		names = append(names, string(a))
	}
	c.Reply.Int(int64(x.srv.latency.reset(names)))
}

// latencyGraph draws a column a sample, as high as its share of the worst.
func latencyGraph(x *Session, c *command.Ctx) {
	const columns, rows = 80, 4
	e, ok := x.srv.latency.event(string(c.Args[2]))
	if !ok {
		c.Reply.Error(resp.NoLatencySamples(c.Args[2]))
		return
	}
	samples := e.samples[max(0, len(e.samples)-columns):]
	high, low := samples[0].ms, samples[0].ms
	for _, s := range samples {
		high, low = max(high, s.ms), min(low, s.ms)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms, low %d ms (all time high %d ms)\n%s\n",
		c.Args[2], high, low, e.worst, strings.Repeat("-", columns))
	for row := rows; row > 0; row-- {
		for _, s := range samples {
			switch level := 2 * rows * s.ms / max(high, 1); {
			case level >= int64(2*row):
				b.WriteByte('#')
			case level == int64(2*row-1):
				b.WriteByte('_')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	first, last := samples[0].unix, samples[len(samples)-1].unix
	fmt.Fprintf(&b, "from %s ago to %s ago\n", ago(c.Now, first), ago(c.Now, last))
	c.Reply.Verbatim(b.String())
}

func ago(now time.Time, unix int64) string {
	return (time.Duration(now.Unix()-unix) * time.Second).String()
}

// latencyHints say what helps against a kind of event.
var latencyHints = map[string]string{
	"command":        "SLOWLOG GET shows which commands were slow; prefer SCAN to KEYS, and UNLINK to DEL of what is large.",
	"fast-command":   "Commands of constant time were slow: look for other load on this machine, or swapping.",
	"expire-cycle":   "Many keys expire at the same moment: spread their times to live.",
	"eviction-cycle": "Memory is short: raise maxmemory or store less.",
}

func latencyDoctor(x *Session, c *command.Ctx) {
	m := x.srv.latency
	if m.threshold.Load() == math.MaxInt64 {
		c.Reply.Verbatim("Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> turns it on: what takes so long or longer is then remembered.\n")
		return
	}
	names := m.names()
	if len(names) == 0 {
		c.Reply.Verbatim(fmt.Sprintf("Nothing took %d ms or longer since monitoring began.\n", m.threshold.Load()/int64(time.Millisecond)))
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d kinds of events took %d ms or longer.\n", len(names), m.threshold.Load()/int64(time.Millisecond))
	for i, name := range names {
		e, ok := m.event(name)
		if !ok {
			continue
		}
		var sum int64
		for _, s := range e.samples {
			sum += s.ms
		}
		n := int64(len(e.samples))
		fmt.Fprintf(&b, "\n%d. %s: %d samples, average %d ms, worst %d ms, last %s ago.\n",
			i+1, name, n, sum/n, e.worst, ago(c.Now, e.samples[n-1].unix))
		if hint := latencyHints[name]; hint != "" {
			fmt.Fprintf(&b, "   %s\n", hint)
		}
	}
	c.Reply.Verbatim(b.String())
}

// latencyHistogram answers for each command its calls and a map from
// microseconds to the number of runs that took at most so long.
func latencyHistogram(x *Session, c *command.Ctx) {
	var rows []metrics.CommandStats
	if len(c.Args) == 2 {
		rows = x.srv.commands.Snapshot()
	}
	for _, name := range c.Args[2:] {
		for _, cmd := range x.srv.commandsNamed(string(name)) {
			rows = append(rows, x.srv.commands.Row(cmd.ID))
		}
	}
	rows = slices.DeleteFunc(rows, func(r metrics.CommandStats) bool { return r.Calls == 0 })
	c.Reply.Map(len(rows))
	for i := range rows {
		var usec, runs []int64
		rows[i].Cumulative(func(u int64, n uint64) {
			usec, runs = append(usec, u), append(runs, int64(n))
		})
		c.Reply.BulkString(rows[i].Name)
		c.Reply.Map(2)
		c.Reply.BulkString("calls")
		c.Reply.Int(int64(rows[i].Calls))
		c.Reply.BulkString("histogram_usec")
		c.Reply.Map(len(usec))
		for j := range usec {
			c.Reply.Int(usec[j])
			c.Reply.Int(runs[j])
		}
	}
}

// commandsNamed finds a command by full name; a container stands for all its
// subcommands. Unknown names give none.
func (s *Server) commandsNamed(name string) []*command.Command {
	head, sub, isSub := strings.Cut(name, "|")
	c := s.table.Lookup([]byte(head))
	switch {
	case c == nil:
		return nil
	case isSub:
		if found := c.Sub([]byte(sub)); found != nil {
			return []*command.Command{found}
		}
		return nil
	case len(c.Subs) > 0:
		return c.Subs
	}
	return []*command.Command{c}
}
