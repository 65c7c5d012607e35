package server

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"synap/config"
)

// traceCollector is an OTLP/HTTP receiver that keeps what it gets.
type traceCollector struct {
	*httptest.Server
	mu       sync.Mutex // guards what follows
	raw      bytes.Buffer
	spans    []*tracepb.Span
	resource string
}

func newTraceCollector(t *testing.T) *traceCollector {
	t.Helper()
	c := &traceCollector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var got collectorpb.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, rs := range got.ResourceSpans {
			c.resource = rs.Resource.String()
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// traceServer starts a server that traces into the collector.
func (c *traceCollector) traceServer(t *testing.T, change func(*config.Config)) *Server {
	return startServer(t, func(cfg *config.Config) {
		cfg.Tracing.Endpoint, cfg.Tracing.SampleRatio, cfg.SlowlogLogSlowerThan = c.URL, 1, -1
		if change != nil {
			change(cfg)
		}
	})
}

// wait returns the spans once there are n of them.
func (c *traceCollector) wait(t *testing.T, n int) []*tracepb.Span {
	t.Helper()
	var spans []*tracepb.Span
	eventually(t, fmt.Sprint(n, " spans"), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		spans = c.spans
		return len(spans) >= n
	})
	return spans
}

// describe shows a span as: name, attributes, status, sorted as they came.
func describe(s *tracepb.Span) string {
	var b strings.Builder
	b.WriteString(s.Name)
	for _, a := range s.Attributes {
		switch v := a.Value; {
		case v.GetStringValue() != "":
			fmt.Fprintf(&b, " %s=%s", a.Key, v.GetStringValue())
		case a.Key == "synap.slow":
			fmt.Fprintf(&b, " slow=%v", v.GetBoolValue())
		default:
			fmt.Fprintf(&b, " %s=%d", a.Key, v.GetIntValue())
		}
	}
	return fmt.Sprintf("%s %s %s", strings.ReplaceAll(b.String(), "db.operation.name="+s.Name+" ", ""), s.Status.GetCode(), s.Status.GetMessage())
}

const (
	traceID    = "0af7651916cd43dd8448eb211c80319c"
	parentSpan = "b7ad6b7169203331"
	sampled    = "00-" + traceID + "-" + parentSpan + "-01"
	unsampled  = "00-" + traceID + "-" + parentSpan + "-00"
)

// parentOf names a span's trace and parent; "" for a trace of its own.
func parentOf(s *tracepb.Span) string {
	if len(s.ParentSpanId) == 0 {
		return ""
	}
	return hex.EncodeToString(s.TraceId) + "-" + hex.EncodeToString(s.ParentSpanId)
}

// Every command makes a span; none of them shows a word of a client's.
func TestSpansOfCommands(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		col := newTraceCollector(t)
		s := col.traceServer(t, func(c *config.Config) {
			change(c)
			c.RequirePass, c.Tracing.ServiceName = "hushpass", "shop-cache"
		})
		start := time.Now()
		c := connect(t, s)
		for _, words := range [][]string{
			{"GET", "hushkey"}, // not before AUTH
			{"AUTH", "hushpass"},
			{"SELECT", "3"},
			{"SET", "hushkey", "hushvalue"},
			{"MSET", "hushkey", "a", "hushother", "b", "hushthird", "hushvalue"},
			{"LPUSH", "hushkey", "hushvalue"},
			{"CLIENT", "SETNAME", "hushname"},
			{"HUSHCOMMAND", "hushkey"},
			{"SET", "hushkey"},
			{"CONFIG", "GET", "requirepass"},
			{"MULTI"}, {"INCR", "hushcount"}, {"LPUSH", "hushkey", "hushvalue"}, {"EXEC"},
		} {
			c.do(words...)
		}
		const rest = " db.system.name=redis db.namespace=%d synap.keys=%d synap.door=tcp "
		line := func(name string, db, keys int) string {
			return fmt.Sprintf(name+rest+"STATUS_CODE_OK ", db, keys)
		}
		failed := func(name string, db, keys int, prefix string) string {
			return fmt.Sprintf(name+rest+"db.response.status_code=%s error.type=%s STATUS_CODE_ERROR %s", db, keys, prefix, prefix, prefix)
		}
		want := []string{
			failed("GET", 0, 0, "NOAUTH"), line("AUTH", 0, 0), line("SELECT", 0, 0), line("SET", 3, 1), line("MSET", 3, 3),
			failed("LPUSH", 3, 1, "WRONGTYPE"), line("CLIENT SETNAME", 3, 0), failed("unknown", 3, 0, "ERR"), failed("SET", 3, 0, "ERR"),
			line("CONFIG GET", 3, 0), line("MULTI", 3, 0), line("INCR", 3, 1),
			failed("LPUSH", 3, 1, "WRONGTYPE"), line("EXEC", 3, 0),
		}
		spans := col.wait(t, len(want))
		if len(spans) != len(want) {
			t.Fatalf("%d spans, want %d", len(spans), len(want))
		}
		for i, span := range spans {
			if got := describe(span); got != want[i] {
				t.Errorf("span %d\n got %s\nwant %s", i, got, want[i])
			}
			from, to := time.Unix(0, int64(span.StartTimeUnixNano)), time.Unix(0, int64(span.EndTimeUnixNano))
			if from.Before(start.Add(-time.Second)) || to.Before(from) || to.After(time.Now().Add(time.Second)) {
				t.Errorf("%s lasted from %v to %v", span.Name, from, to)
			}
			if span.Kind != tracepb.Span_SPAN_KIND_SERVER || parentOf(span) != "" || len(span.TraceId) != 16 {
				t.Errorf("%s: kind %v, parent %q", span.Name, span.Kind, parentOf(span))
			}
		}
		col.mu.Lock()
		defer col.mu.Unlock()
		if i := bytes.Index(bytes.ToLower(col.raw.Bytes()), []byte("hush")); i >= 0 {
			t.Errorf("a client's word was sent: %q", col.raw.Bytes()[i:i+8])
		}
		for _, word := range []string{`"shop-cache"`, `"` + s.runID + `"`, `"service.version"`} {
			if !strings.Contains(col.resource, word) {
				t.Errorf("the resource lacks %s: %s", word, col.resource)
			}
		}
		eventually(t, "exported", func() bool {
			return scrape(t, s)["synap_trace_spans_exported_total"] == float64(len(want))
		})
	})
}

// A traceparent holds for the next command, whatever becomes of it, and for no
// other.
func TestTraceparent(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		col := newTraceCollector(t)
		s := col.traceServer(t, func(c *config.Config) {
			change(c)
			c.Tracing.SampleRatio = 0
		})
		c := connect(t, s)
		set := func(value string) { c.want("+OK", "CLIENT", "TRACEPARENT", value) }
		c.do("GET", "k") // the ratio is 0
		set(sampled)
		c.do("GET", "k")
		c.do("SET", "k", "v")
		set(sampled)
		set("")
		c.do("SET", "k", "v") // cleared
		set(sampled)
		if got := c.do("CLIENT", "TRACEPARENT", sampled+"x"); !strings.HasPrefix(got, "-ERR traceparent must be ") {
			t.Error(got)
		}
		c.do("SET", "k", "v") // a bad value clears, too
		set(unsampled)
		c.do("SET", "k", "v") // as the parent wants
		set(sampled)
		c.do("LPUSH", "k", "x")
		set(sampled)
		c.do("NOSUCH")
		set(sampled)
		c.do("GET")
		c.do("SET", "k", "v")
		connect(t, s).do("SET", "k", "v") // another session
		c.do("MULTI")
		c.want("+QUEUED", "CLIENT", "TRACEPARENT", sampled)
		c.do("INCR", "n")
		c.do("PING")
		c.want("+QUEUED", "CLIENT", "TRACEPARENT", sampled)
		c.do("EXEC")
		set(sampled)
		c.do("ECHO", "last")

		want := []string{"GET", "LPUSH", "unknown", "GET", "INCR", "EXEC", "ECHO"}
		spans := col.wait(t, len(want))
		var names []string
		for _, span := range spans {
			names = append(names, span.Name)
			if got := parentOf(span); got != traceID+"-"+parentSpan {
				t.Errorf("the parent of %s is %q", span.Name, got)
			}
		}
		if got := strings.Join(names, " "); got != strings.Join(want, " ") {
			t.Errorf("spans %s, want %s", got, strings.Join(want, " "))
		}
	})
}

// A blocked command's span covers its wait and has its own traceparent, not
// that of the client who ends the wait.
func TestSpansOfBlockedCommands(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		col := newTraceCollector(t)
		s := col.traceServer(t, func(c *config.Config) {
			change(c)
			c.Tracing.SampleRatio = 0
		})
		c := connect(t, s)
		blocked := func(words ...string) *client {
			waiting := connect(t, s)
			waiting.want("+OK", "CLIENT", "TRACEPARENT", sampled)
			waiting.send(words...)
			eventually(t, "blocked", func() bool { return s.counters.blocked.Load() == 1 })
			return waiting
		}
		waiting := blocked("BLPOP", "q", "other", "0")
		c.do("RPUSH", "q", "x")
		if got := waiting.read(); got != `["q" "x"]` {
			t.Error(got)
		}
		waiting.do("SET", "k", "v") // nothing is left of the parent
		timedOut := connect(t, s)
		timedOut.want("+OK", "CLIENT", "TRACEPARENT", sampled)
		timedOut.want("nil", "BLPOP", "q", "0.001")
		timedOut.do("SET", "k", "v")
		unblocked := blocked("BRPOP", "q", "0")
		c.want(":1", "CLIENT", "UNBLOCK", fmt.Sprint(sessionID(s, "brpop")), "ERROR")
		if got := unblocked.read(); got != "-UNBLOCKED client unblocked via CLIENT UNBLOCK" {
			t.Error(got)
		}

		spans := col.wait(t, 3)
		for i, want := range []string{"BLPOP 2 ", "BLPOP 1 ", "BRPOP 1 UNBLOCKED"} {
			got := fmt.Sprintf("%s %d %s", spans[i].Name, spans[i].Attributes[3].Value.GetIntValue(), spans[i].Status.GetMessage())
			if got != want || parentOf(spans[i]) != traceID+"-"+parentSpan {
				t.Errorf("span %d: %s, parent %s; want %s", i, got, parentOf(spans[i]), want)
			}
		}
		if took := time.Duration(spans[1].EndTimeUnixNano - spans[1].StartTimeUnixNano); took < time.Millisecond {
			t.Errorf("the wait of a millisecond took %v", took)
		}
		if len(spans) != 3 {
			t.Errorf("%d spans", len(spans))
		}
	})
}

// sessionID finds the session whose last command has the name.
func sessionID(s *Server, name string) int64 {
	for _, x := range s.sessions.list() {
		if id := x.pub.command.Load(); id >= 0 && s.table.All()[id].FullName == name {
			return x.id
		}
	}
	return 0
}

// What enters the slow log becomes a span at any ratio, even if the parent is
// not sampled.
func TestSlowCommandsAreAlwaysTraced(t *testing.T) {
	col := newTraceCollector(t)
	s := col.traceServer(t, func(c *config.Config) { c.Tracing.SampleRatio, c.EnableDebugCommand = 0, "yes" })
	c := connect(t, s)
	c.do("GET", "k")
	c.want("+OK", "CONFIG", "SET", "slowlog-log-slower-than", "0") // from now on, this one too
	c.do("SET", "k", "v")
	c.do("CLIENT", "TRACEPARENT", unsampled)
	c.do("GET", "k")
	c.want("+OK", "CONFIG", "SET", "slowlog-log-slower-than", "100000")
	c.do("DEBUG", "SLEEP", "0.1")
	c.want("+OK", "CONFIG", "SET", "slowlog-log-slower-than", "-1")
	c.do("DEBUG", "SLEEP", "0.1")
	c.do("GET", "k")

	spans := col.wait(t, 4)
	var names []string
	for _, span := range spans {
		if !strings.Contains(describe(span), " slow=true ") {
			t.Errorf("%s is not marked", describe(span))
		}
		names = append(names, span.Name)
	}
	if got := strings.Join(names, ", "); got != "CONFIG SET, SET, GET, DEBUG" {
		t.Errorf("spans %s", got)
	}
	if parentOf(spans[2]) != traceID+"-"+parentSpan {
		t.Errorf("the parent of GET is %q", parentOf(spans[2]))
	}
	if took := time.Duration(spans[3].EndTimeUnixNano - spans[3].StartTimeUnixNano); took < 100*time.Millisecond {
		t.Errorf("DEBUG SLEEP 0.1 took %v", took)
	}
}

func TestSampleRatioChangesLive(t *testing.T) {
	col := newTraceCollector(t)
	s := col.traceServer(t, func(c *config.Config) { c.Tracing.SampleRatio = 0 })
	c := connect(t, s)
	c.do("ECHO", "1")
	c.want("+OK", "CONFIG", "SET", "tracing-sample-ratio", "1")
	c.do("PING")
	c.want("+OK", "CONFIG", "SET", "tracing-sample-ratio", "0.5")
	for range 1000 {
		c.do("TIME")
	}
	c.want("+OK", "CONFIG", "SET", "tracing-sample-ratio", "1")
	c.do("DBSIZE")
	counts := map[string]int{}
	eventually(t, "the last span", func() bool {
		clear(counts)
		for _, span := range col.wait(t, 1) {
			counts[span.Name]++
		}
		return counts["DBSIZE"] == 1
	})
	if n := counts["TIME"]; n < 400 || n > 600 { // 6 standard deviations
		t.Errorf("%d of 1000 commands were sampled at 0.5", n)
	}
	if counts["ECHO"] != 0 || counts["PING"] != 1 {
		t.Error(counts)
	}
}

// A collector that hangs costs spans, not commands: they are dropped and
// counted.
func TestHangingCollector(t *testing.T) {
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { hang.Close() })
	s := startServer(t, func(c *config.Config) {
		c.Tracing.Endpoint, c.Tracing.SampleRatio, c.Tracing.QueueSize = hang.URL, 1, 10
	})
	t.Cleanup(func() { close(release) })
	c := connect(t, s)
	const dropped = `synap_trace_spans_dropped_total{reason="queue_full"}`
	if v, shown := scrape(t, s)[dropped]; v != 0 || !shown {
		t.Errorf("%s is %v, shown %v", dropped, v, shown)
	}
	sent := 0
	eventually(t, "drops", func() bool {
		for range 100 {
			c.send("PING")
		}
		for range 100 {
			if got := c.read(); got != "+PONG" {
				t.Error(got)
			}
		}
		sent += 100
		return scrape(t, s)[dropped] > 0
	})
	if v := scrape(t, s)[dropped]; v > float64(sent) {
		t.Errorf("%v of %d spans were dropped", v, sent)
	}
}

// A collector that refuses costs spans, too; they are counted apart.
func TestRefusingCollector(t *testing.T) {
	refuse := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(refuse.Close)
	s := startServer(t, func(c *config.Config) { c.Tracing.Endpoint, c.Tracing.SampleRatio = refuse.URL, 1 })
	c := connect(t, s)
	for range 3 {
		c.want("+PONG", "PING")
	}
	eventually(t, "failures", func() bool {
		got := scrape(t, s)
		return got[`synap_trace_spans_dropped_total{reason="export_failed"}`] == 3 &&
			got[`synap_trace_spans_dropped_total{reason="queue_full"}`] == 0 && got["synap_trace_spans_exported_total"] == 0
	})
}

// Without an endpoint there is no tracer; CLIENT TRACEPARENT checks its value
// and keeps nothing.
func TestTracingIsOffByDefault(t *testing.T) {
	s, x := newQuietSession(t, nil)
	if s.tracer != nil {
		t.Fatal("there is a tracer")
	}
	x.Do([][]byte{[]byte("CLIENT"), []byte("TRACEPARENT"), []byte(sampled)})
	if got := string(x.Out().Bytes()); got != "+OK\r\n" || x.traceparent != nil {
		t.Errorf("%q, kept %v", got, x.traceparent)
	}
	cfg := *config.Default()
	cfg.Tracing.Endpoint = "http://a b"
	if _, err := New(Options{Config: &cfg}); err == nil || !strings.HasPrefix(err.Error(), "tracing: ") {
		t.Errorf("a bad endpoint: %v", err)
	}
}

// BenchmarkTraced is the price of a span for the loop that runs the command;
// nobody empties the queue here.
func BenchmarkTraced(b *testing.B) {
	for _, ratio := range []float64{0, 1} {
		b.Run(fmt.Sprint(ratio), func(b *testing.B) {
			s, x := newQuietSession(b, func(c *config.Config) { c.Tracing.Endpoint, c.Tracing.SampleRatio = "http://127.0.0.1:1", ratio })
			request := [][]byte{[]byte("GET"), []byte("k")}
			s.BatchStart(0, nil)
			b.ReportAllocs()
			for b.Loop() {
				x.Do(request)
				x.Out().Reset()
			}
		})
	}
}
