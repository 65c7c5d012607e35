package metrics

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

const parentText = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// The cases are those of the specification:
// https://www.w3.org/TR/trace-context/#traceparent-header-field-values
func TestParseTraceParent(t *testing.T) {
	for value, want := range map[string]bool{
		parentText: true,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00":       true,
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later": true, // a newer version may go on
		"":  false,
		"x": false,
		"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01":     false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331":        false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-":    false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x":   false,
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":     false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":     false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01":     false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g":     false,
		" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":    false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n": false,
		strings.Repeat("0", 1<<20):                                    false,
	} {
		if _, ok := ParseTraceParent(value); ok != want {
			t.Errorf("%.80q: %v, want %v", value, ok, want)
		}
	}
}

func newTestTracer(t *testing.T, endpoint string, queue int) *Tracer {
	t.Helper()
	tr, err := NewTracer(TracerOptions{Endpoint: endpoint, Service: "test", Queue: queue, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Shutdown(t.Context()) })
	return tr
}

func TestSample(t *testing.T) {
	tr := newTestTracer(t, "http://127.0.0.1:1", 1)
	parent, _ := ParseTraceParent(parentText)
	silent, _ := ParseTraceParent(parentText[:len(parentText)-1] + "0")
	const most = 1<<64 - 1
	for _, c := range []struct {
		ratio  float64
		parent *TraceParent
		chance uint64
		want   bool
	}{
		{0, nil, 0, false}, {1, nil, most, true}, {0.5, nil, most / 2, true}, {0.5, nil, most/2 + 1, false},
		{1e-9, nil, 0, true}, {1e-9, nil, 1 << 40, false},
		{0, parent, most, true}, {1, silent, 0, false},
	} {
		tr.SetRatio(c.ratio)
		if got := tr.Sample(c.parent, c.chance); got != c.want {
			t.Errorf("ratio %v, parent %v, chance %d: %v, want %v", c.ratio, c.parent != nil, c.chance, got, c.want)
		}
	}
}

// collect starts a collector that hands every request to take, and answers with
// the status that take returns.
func collect(t *testing.T, take func(path string, r *collectorpb.ExportTraceServiceRequest) int) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var got collectorpb.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(take(r.URL.Path, &got))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func spansOf(r *collectorpb.ExportTraceServiceRequest) (names []string) {
	for _, rs := range r.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// What is queued at the end is flushed, in batches; the path is OTLP's unless
// the endpoint has one.
func TestShutdownFlushes(t *testing.T) {
	for suffix, want := range map[string]string{"": "/v1/traces", "/": "/v1/traces", "/tenant/spans": "/tenant/spans"} {
		spans, requests := 0, 0
		url := collect(t, func(path string, r *collectorpb.ExportTraceServiceRequest) int {
			if path != want {
				t.Errorf("endpoint%s: posted to %s, want %s", suffix, path, want)
			}
			if n := len(spansOf(r)); n > traceBatch {
				t.Errorf("%d spans in one request", n)
			}
			spans += len(spansOf(r))
			requests++
			return 200
		})
		tr := newTestTracer(t, url+suffix, 2*traceBatch+1)
		for range 2*traceBatch + 1 {
			tr.Record(Span{Command: "get"})
		}
		tr.Start()
		tr.Shutdown(t.Context())
		if spans != 2*traceBatch+1 || requests != 3 {
			t.Errorf("%d spans in %d requests", spans, requests)
		}
		if got := tr.Stats(); got != (TraceStats{Exported: 2*traceBatch + 1}) {
			t.Errorf("%+v", got)
		}
	}
}

// Record never waits: what has no room is dropped and counted.
func TestFullQueueDrops(t *testing.T) {
	tr := newTestTracer(t, "http://127.0.0.1:1", 3)
	for range 10 { // not started: nobody takes them
		tr.Record(Span{Command: "get"})
	}
	if got := tr.Stats(); got != (TraceStats{Dropped: 7}) {
		t.Errorf("%+v", got)
	}
	if n := testing.AllocsPerRun(100, func() { tr.Record(Span{Command: "get", Error: "ERR", Door: "tcp"}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRefusedSpansAreCounted(t *testing.T) {
	url := collect(t, func(string, *collectorpb.ExportTraceServiceRequest) int { return 400 })
	var log strings.Builder
	tr := newTestTracer(t, url, 2000)
	tr.log = slog.New(slog.NewTextHandler(&log, nil))
	for range 1000 {
		tr.Record(Span{Command: "get"})
	}
	tr.Start()
	tr.Shutdown(t.Context())
	if got := tr.Stats(); got != (TraceStats{Failed: 1000}) {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(log.String(), "spans were not exported"); n != 1 {
		t.Errorf("%d warnings: %s", n, log.String())
	}
}

// A collector that accepts and never answers does not hold up the end longer
// than the deadline.
func TestShutdownKeepsItsDeadline(t *testing.T) {
	asked, release := make(chan struct{}, 1), make(chan struct{})
	url := collect(t, func(string, *collectorpb.ExportTraceServiceRequest) int {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-release
		return 200
	})
	defer close(release)
	tr := newTestTracer(t, url, 5)
	for range 5 {
		tr.Record(Span{Command: "get"})
	}
	tr.Start()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	done := make(chan struct{})
	go func() {
		tr.Shutdown(ctx)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(traceTimeout - time.Second):
		t.Fatal("Shutdown waits for the collector")
	}
	if got := tr.Stats(); got != (TraceStats{Failed: 5}) {
		t.Errorf("%+v", got)
	}
}
