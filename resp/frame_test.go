package resp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// feeder gives a Parser bytes as a door does: behind the unfinished request, in
// a buffer that moves between two calls.
type feeder struct {
	parser Parser
	limits Limits
	buf    []byte
	got    []string
	fault  string
}

func newFeeder(limit func(Limits) Limits) *feeder {
	f := &feeder{limits: DefaultLimits()}
	if limit != nil {
		f.limits = limit(f.limits)
	}
	return f
}

func (f *feeder) feed(in string) {
	f.buf = append(bytes.Clone(f.buf), in...)
	for f.fault == "" {
		args, n, err := f.parser.Next(f.buf, &f.limits)
		if err != nil {
			f.fault = err.Error()
			return
		}
		if n == 0 {
			return
		}
		f.buf = f.buf[n:]
		if len(args) > 0 {
			f.got = append(f.got, string(bytes.Join(args, []byte("|"))))
		}
		if f.parser.frame != (frame{}) {
			f.fault = fmt.Sprintf("state left behind: %+v", f.parser.frame)
		}
	}
}

func (f *feeder) check(t *testing.T, r *row, how string) {
	t.Helper()
	fault := r.fault
	if fault != "" {
		fault = "Protocol error: " + fault
	}
	if f.fault != fault || !slices.Equal(f.got, r.want) {
		t.Fatalf("%s: got %.200q, fault %q; want %.200q, fault %q", how, f.got, f.fault, r.want, fault)
	}
}

func TestParserRows(t *testing.T) {
	for i := range rows {
		checkParser(t, &rows[i])
	}
	for i := range waiting {
		checkParser(t, &waiting[i])
	}
}

func checkParser(t *testing.T, r *row) {
	t.Run(r.name, func(t *testing.T) {
		f := newFeeder(r.limit)
		f.feed(r.in)
		f.check(t, r, "whole")
		step := 1 + len(r.in)/2000 // longest rows in larger drips: the feeder copies
		f = newFeeder(r.limit)
		for i := 0; i < len(r.in); i += step {
			f.feed(r.in[i:min(i+step, len(r.in))])
		}
		f.check(t, r, "dripped")
		for i := 0; i <= len(r.in); i += step {
			f = newFeeder(r.limit)
			f.feed(r.in[:i])
			f.feed(r.in[i:])
			f.check(t, r, fmt.Sprintf("split at %d", i))
		}
	})
}

// A blank line or an empty array between any two commands changes nothing
// (valkey 9.0.0 kept parser state there).
func TestParserSkipsLeaveNoState(t *testing.T) {
	for _, skip := range []string{"*0\r\n", "*-1\r\n", "\r\n", "\n", "   \r\n"} {
		f := newFeeder(nil)
		f.feed(strings.Join([]string{ping, ping, "PING\r\n", arr("ECHO", "x"), ""}, skip))
		f.check(t, &row{want: []string{"PING", "PING", "PING", "ECHO|x"}}, fmt.Sprintf("%q", skip))
	}
}

func TestParserManyArguments(t *testing.T) {
	words := make([]string, 200_000)
	for i := range words {
		words[i] = strings.Repeat("x", i%12)
	}
	in, want := arr(words...), strings.Join(words, "|")
	f := newFeeder(nil)
	f.feed(in + ping)
	for i := 0; i < len(in); i += 64 << 10 {
		f.feed(in[i:min(i+64<<10, len(in))])
	}
	if len(f.got) != 3 || f.got[0] != want || f.got[2] != want {
		t.Fatalf("got %d requests, fault %q", len(f.got), f.fault)
	}
	f.feed(ping)
	if cap(f.parser.args) > keptArgs {
		t.Fatalf("the argument list of %d stays allocated", cap(f.parser.args))
	}
}

// A request in n pieces costs n looks at its head, not n passes over its body.
func TestParserIsIncremental(t *testing.T) {
	var p Parser
	lim := DefaultLimits()
	in := []byte(arr("SET", "k", strings.Repeat("v", 1<<20)))
	for i := 1; i < len(in); i++ {
		if _, n, err := p.Next(in[:i], &lim); n != 0 || err != nil {
			t.Fatalf("at %d: n=%d err=%v", i, n, err)
		}
		if i > 100 && p.missing(i) != len(in)-i {
			t.Fatalf("at %d: missing %d", i, p.missing(i))
		}
	}
	args, n, err := p.Next(in, &lim)
	if err != nil || n != len(in) || len(args) != 3 || len(args[2]) != 1<<20 {
		t.Fatalf("n=%d err=%v", n, err)
	}
}

func TestParserAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var p Parser
	lim := DefaultLimits()
	whole := []byte(arr("SET", "key:000000000001", "value"))
	line := []byte("SET key value\r\n")
	allocs := testing.AllocsPerRun(100, func() {
		for i := range whole {
			_, _, _ = p.Next(whole[:i+1], &lim)
		}
		_, _, _ = p.Next(line, &lim)
		_, _, _ = p.Next(whole, &lim)
	})
	if allocs != 0 {
		t.Fatalf("%v allocations", allocs)
	}
}

func FuzzParser(f *testing.F) {
	for _, set := range [][]row{rows, waiting} {
		for _, r := range set {
			if len(r.in) < 1000 {
				f.Add([]byte(r.in), uint64(1))
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		small := func(l Limits) Limits { l.Inline, l.Bulk, l.Args = 64, 128, 32; return l }
		whole := newFeeder(small)
		whole.feed(string(in))
		r := &row{want: whole.got, fault: strings.TrimPrefix(whole.fault, "Protocol error: ")}
		if strings.Contains(whole.fault, "state left") {
			t.Fatal(whole.fault)
		}
		drip := newFeeder(small)
		for i := range in {
			drip.feed(string(in[i : i+1]))
		}
		drip.check(t, r, "dripped")
		cut := rand.New(rand.NewPCG(seed, 0))
		pieces := newFeeder(small)
		for rest := in; len(rest) > 0; {
			n := 1 + cut.IntN(len(rest))
			pieces.feed(string(rest[:n]))
			rest = rest[n:]
		}
		pieces.check(t, r, "in pieces")
	})
}

func BenchmarkParsePipeline(b *testing.B) {
	for _, c := range []struct {
		name    string
		request string
	}{
		{"GET", arr("GET", "key:000000000001")},
		{"SET64", arr("SET", "key:000000000001", strings.Repeat("v", 64))},
		{"inline", "GET key:000000000001\r\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			buf := []byte(strings.Repeat(c.request, 16))
			lim := DefaultLimits()
			var p Parser
			b.ReportAllocs()
			for b.Loop() {
				for off := 0; off < len(buf); {
					_, n, _ := p.Next(buf[off:], &lim)
					off += n
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/16, "ns/request")
		})
	}
}
