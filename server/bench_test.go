package server

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

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
		"GET":  func(i int) []string { return []string{"GET", key(i)} },
		"SET":  func(i int) []string { return []string{"SET", key(i), value} },
		"PING": func(int) []string { return []string{"PING"} },
		"INCR": func(i int) []string { return []string{"INCR", fmt.Sprint("n", i)} },
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
