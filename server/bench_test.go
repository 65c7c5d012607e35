package server

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"synap/command"
	"synap/config"
	"synap/resp"
)

// quietConn is a connection without a socket: what a session needs to run
// commands in process.
type quietConn struct{ closed bool }

func (*quietConn) ID() int64                  { return 1 }
func (*quietConn) RemoteAddr() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:1000") }
func (*quietConn) Remote() string             { return "127.0.0.1:1000" }
func (*quietConn) Local() string              { return "127.0.0.1:6379" }
func (*quietConn) Door() string               { return "loop" }
func (*quietConn) FD() int                    { return -1 }
func (*quietConn) Loop() int                  { return 0 }
func (*quietConn) Unix() bool                 { return false }
func (*quietConn) TLS() bool                  { return false }
func (*quietConn) Post(task func()) bool      { task(); return true }
func (c *quietConn) Kill()                    { c.closed = true }
func (c *quietConn) CloseAfterReply()         { c.closed = true }
func (*quietConn) Resume()                    {}
func (*quietConn) InputPending() bool         { return false }

func newQuietSession(tb testing.TB, change func(*config.Config)) (*Server, *Session) {
	tb.Helper()
	cfg := *config.Default()
	if change != nil {
		change(&cfg)
	}
	s, err := New(Options{Config: &cfg})
	if err != nil {
		tb.Fatal(err)
	}
	s.sampleMemory() // as the cron does: until then each write looks at the memory used
	x, err := s.Open(&quietConn{})
	if err != nil {
		tb.Fatal(err)
	}
	return s, x.(*Session)
}

// pipeline encodes n requests of the given words.
func pipeline(n int, words func(i int) []string) []byte {
	var b bytes.Buffer
	for i := range n {
		w := words(i)
		fmt.Fprintf(&b, "*%d\r\n", len(w))
		for _, s := range w {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(s), s)
		}
	}
	return b.Bytes()
}

// runPipeline parses and runs a batch as a door does, and drops the replies.
func runPipeline(tb testing.TB, s *Server, x *Session, p *resp.Parser, in []byte) {
	s.BatchStart(0, nil)
	for len(in) > 0 {
		args, n, err := p.Next(in, x.Limits())
		if err != nil || n == 0 {
			tb.Fatal(n, err)
		}
		x.Do(args)
		in = in[n:]
	}
	s.BatchEnd(0, nil)
	x.Out().Reset()
}

// BenchmarkPipeline16 is a pipeline of sixteen commands without sockets: the
// cost of parsing, dispatch, store and reply.
func BenchmarkPipeline16(b *testing.B) {
	value := string(bytes.Repeat([]byte("v"), 64))
	key := func(i int) string { return fmt.Sprintf("key:%012d", i) }
	kinds := map[string]func(i int) []string{
		"GET":   func(i int) []string { return []string{"GET", key(i)} },
		"SET":   func(i int) []string { return []string{"SET", key(i), value} },
		"PING":  func(int) []string { return []string{"PING"} },
		"INCR":  func(i int) []string { return []string{"INCR", fmt.Sprint("n", i)} },
		"LPUSH": func(int) []string { return []string{"LPUSH", "list", value} },
		"SADD":  func(i int) []string { return []string{"SADD", "set", key(i)} },
		"HSET":  func(i int) []string { return []string{"HSET", "hash", key(i), value} },
		"ZADD":  func(i int) []string { return []string{"ZADD", "zset", fmt.Sprint(i), key(i)} },
		"XADD":  func(int) []string { return []string{"XADD", "stream", "*", "field", value} },
	}
	configs := map[string]func(*config.Config){
		"plain": nil,
		"limited": func(c *config.Config) {
			c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize = true, 1e9, 1<<30
		},
	}
	for cname, change := range configs {
		for kname, words := range kinds {
			b.Run(kname+"/"+cname, func(b *testing.B) {
				s, x := newQuietSession(b, change)
				var p resp.Parser
				runPipeline(b, s, x, &p, pipeline(16, func(i int) []string { return []string{"SET", key(i), value} }))
				in := pipeline(16, words)
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					runPipeline(b, s, x, &p, in)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/16, "ns/command")
			})
		}
	}
}

// turns is in how many parts each run of BenchmarkCost is timed. The shortest
// counts: the others were interrupted.
const turns = 20

// BenchmarkCost compares, in ten alternating runs of a pipeline of sixteen
// commands, a command that is counted twice with one that is counted once, and
// the limiter on with it off; it reports medians and extremes of the
// differences. -benchtime 1x is one such comparison.
func BenchmarkCost(b *testing.B) {
	limited := func(c *config.Config) {
		c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize = true, 1e9, 1<<30
	}
	unlimited := func(c *config.Config) { c.RateLimit.Enabled = false }
	for _, words := range [][]string{{"GET", "k"}, {"SET", "k", "v"}, {"LPUSH", "q", "v"}} {
		b.Run(words[0], func(b *testing.B) {
			plain, twice, limit := newCostRun(b, words, unlimited), newCostRun(b, words, unlimited), newCostRun(b, words, limited)
			twice.twice = true
			for b.Loop() {
				var once, metrics, limiter []float64
				for range 10 {
					least := [...]float64{math.Inf(1), math.Inf(1), math.Inf(1)}
					for range turns {
						for i, r := range []*costRun{plain, twice, limit} {
							least[i] = min(least[i], r.time(b))
						}
					}
					once = append(once, least[0])
					metrics = append(metrics, least[1]-least[0])
					limiter = append(limiter, least[2]-least[0])
				}
				for name, v := range map[string][]float64{"metrics": metrics, "limiter": limiter} {
					slices.Sort(v)
					b.ReportMetric((v[4]+v[5])/2, name+"-ns")
					b.ReportMetric(v[0], name+"-min")
					b.ReportMetric(v[9], name+"-max")
				}
				slices.Sort(once)
				b.ReportMetric(once[5], "ns/command")
			}
			b.ReportMetric(testing.AllocsPerRun(1000, func() { plain.round(b) }), "allocs/pipeline")
		})
	}
}

// costRun is a session that runs the same pipeline again and again.
type costRun struct {
	s     *Server
	x     *Session
	p     resp.Parser
	in    []byte
	cmd   *command.Command
	twice bool // each command is counted a second time
	trim  []byte
}

func newCostRun(tb testing.TB, words []string, change func(*config.Config)) *costRun {
	r := &costRun{in: pipeline(16, func(int) []string { return words }), trim: pipeline(1, func(int) []string { return []string{"LTRIM", "q", "0", "99"} })}
	r.s, r.x = newQuietSession(tb, change)
	r.cmd = r.s.table.Lookup([]byte(words[0]))
	runPipeline(tb, r.s, r.x, &r.p, pipeline(1, func(int) []string { return []string{"SET", "k", "v"} }))
	return r
}

// time returns the nanoseconds a command of five hundred pipelines.
func (r *costRun) time(tb testing.TB) float64 {
	runPipeline(tb, r.s, r.x, &r.p, r.trim)
	const rounds = 500
	begin := time.Now()
	for range rounds {
		r.round(tb)
	}
	return float64(time.Since(begin).Nanoseconds()) / rounds / 16
}

func (r *costRun) round(tb testing.TB) {
	if !r.twice {
		runPipeline(tb, r.s, r.x, &r.p, r.in)
		return
	}
	r.s.BatchStart(0, nil)
	for in := r.in; len(in) > 0; {
		args, n, err := r.p.Next(in, r.x.Limits())
		if err != nil || n == 0 {
			tb.Fatal(n, err)
		}
		r.x.Do(args)
		w := r.x.current
		r.s.account(w, &w.ctx, r.x, r.cmd, args, r.x.Out(), r.x.Out().Errors())
		in = in[n:]
	}
	r.s.BatchEnd(0, nil)
	r.x.Out().Reset()
}
