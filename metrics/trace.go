package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Span is one finished command. It names neither keys nor values, and no other
// word of a client's.
type Span struct {
	Command string // full name of the row, "config|get"; empty: no known command
	DB      int
	Start   int64 // unix nanoseconds
	Took    time.Duration
	Keys    int
	Door    string // tcp, tls, unix
	Error   string // first word of the error reply; empty: none
	Slow    bool   // as slow as the slow log asks for
	Parent  *TraceParent
}

// TraceParent is the span that a client names as the cause of a command:
// https://www.w3.org/TR/trace-context/#traceparent-header
type TraceParent struct{ span trace.SpanContext }

// ParseTraceParent reads the value of a traceparent header. It reports false if
// the specification says that the value must be ignored.
func ParseTraceParent(value string) (*TraceParent, bool) {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": value})
	p := &TraceParent{trace.SpanContextFromContext(ctx)}
	whole := !strings.HasPrefix(value, "00") || len(value) == traceParentLen // Extract forgives a dash at the end
	return p, whole && p.span.IsValid()
}

// traceParentLen is the length of a value of version 00.
const traceParentLen = 55

// TracerOptions are what NewTracer needs.
type TracerOptions struct {
	Endpoint                   string // http or https; without a path /v1/traces
	Service, Version, Instance string // of the resource that all spans belong to
	Ratio                      float64
	Queue                      int // spans that wait for the exporter
	Log                        *slog.Logger
}

// How spans travel. The queue is drained when a batch is full, or after
// traceInterval. A collector that does not answer is asked again for
// traceRetry; then the batch is given up.
const (
	traceBatch    = 512
	traceInterval = time.Second
	traceTimeout  = 10 * time.Second
	traceRetry    = 3 * time.Second
	traceLogEvery = time.Minute
)

// Tracer sends spans to an OpenTelemetry collector. Sample and Record may be
// called from any goroutine and never block; everything else happens on one
// goroutine of its own.
type Tracer struct {
	queue     chan Span
	threshold atomic.Uint64 // of 2⁵³
	dropped   atomic.Uint64 // for want of room in queue
	failed    atomic.Uint64
	exported  atomic.Uint64

	log      *slog.Logger
	endpoint string
	client   *http.Client
	exporter sdktrace.SpanExporter
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	finished finishedSpans
	warned   time.Time // of the last failure that was logged

	begin, end sync.Once
	stop, done chan struct{}
	cancel     context.CancelFunc
}

// finishedSpans is the processor at the end of the pipeline: it gathers what
// the next export sends. Only the tracer's own goroutine ends spans.
type finishedSpans struct{ batch []sdktrace.ReadOnlySpan }

func (*finishedSpans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (f *finishedSpans) OnEnd(s sdktrace.ReadOnlySpan)                 { f.batch = append(f.batch, s) }
func (*finishedSpans) Shutdown(context.Context) error                  { return nil }
func (*finishedSpans) ForceFlush(context.Context) error                { return nil }

// NewTracer prepares a tracer; Start lets it work.
func NewTracer(o TracerOptions) (*Tracer, error) {
	to, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, err
	}
	if strings.Trim(to.Path, "/") == "" {
		to.Path = "/v1/traces"
	}
	t := &Tracer{
		queue: make(chan Span, o.Queue), log: o.Log, endpoint: to.String(),
		client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), Timeout: traceTimeout},
		stop:   make(chan struct{}), done: make(chan struct{}),
	}
	t.SetRatio(o.Ratio)
	ctx := context.Background()
	collector, err := newOTLPClient(t.client, t.endpoint)
	if err != nil {
		return nil, err
	}
	if t.exporter, err = otlptrace.New(ctx, collector); err != nil {
		return nil, err
	}
	who, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", o.Service), attribute.String("service.version", o.Version),
		attribute.String("service.instance.id", o.Instance)))
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&t.finished), sdktrace.WithResource(who),
		sdktrace.WithSampler(sdktrace.AlwaysSample())) // Sample has chosen already
	t.tracer = t.provider.Tracer("synap")
	return t, nil
}

// SetRatio sets the share of commands without a parent that Sample picks.
func (t *Tracer) SetRatio(ratio float64) { t.threshold.Store(uint64(ratio * (1 << 53))) }

// Sample tells whether a command is to be recorded that is not slow: as its
// parent says, else by the ratio. chance is a random number.
func (t *Tracer) Sample(parent *TraceParent, chance uint64) bool {
	if parent != nil {
		return parent.span.IsSampled()
	}
	return chance>>11 < t.threshold.Load()
}

// Record queues a span. If there is no room it is dropped and counted.
func (t *Tracer) Record(s Span) {
	select {
	case t.queue <- s:
	default:
		t.dropped.Add(1)
	}
}

// TraceStats count spans.
type TraceStats struct {
	Exported uint64
	Dropped  uint64 // the queue was full
	Failed   uint64 // the collector did not take them
}

// Stats returns the counts; a nil Tracer has counted nothing.
func (t *Tracer) Stats() TraceStats {
	if t == nil {
		return TraceStats{}
	}
	return TraceStats{t.exported.Load(), t.dropped.Load(), t.failed.Load()}
}

// Start begins to export.
func (t *Tracer) Start() {
	t.begin.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		t.cancel = cancel
		go func() {
			defer close(t.done)
			t.run(ctx)
		}()
	})
}

// Shutdown exports what is queued, until ctx ends; what is left then is counted
// as failed.
func (t *Tracer) Shutdown(ctx context.Context) {
	t.end.Do(func() {
		close(t.stop)
		if t.cancel != nil {
			select {
			case <-t.done:
			case <-ctx.Done():
			}
			t.cancel()
			<-t.done
		}
		_ = t.provider.Shutdown(ctx) // holds nothing
		_ = t.exporter.Shutdown(ctx) // neither: what it was given has been counted
		t.client.CloseIdleConnections()
	})
}

func (t *Tracer) run(ctx context.Context) {
	tick := time.NewTicker(traceInterval)
	defer tick.Stop()
	for {
		select {
		case s := <-t.queue:
			t.add(&s)
			if len(t.finished.batch) >= traceBatch {
				t.export(ctx)
			}
		case <-tick.C:
			t.export(ctx)
		case <-t.stop:
			t.drain(ctx)
			return
		}
	}
}

// drain exports what is left. After the first failure the rest is given up:
// nobody should wait for a collector that is not there.
func (t *Tracer) drain(ctx context.Context) {
	ok := true
	for {
		select {
		case s := <-t.queue:
			if !ok {
				t.failed.Add(1)
				continue
			}
			t.add(&s)
			if len(t.finished.batch) >= traceBatch {
				ok = t.export(ctx)
			}
		default:
			if ok {
				t.export(ctx)
			}
			return
		}
	}
}

// export sends the gathered spans and reports whether they arrived.
func (t *Tracer) export(ctx context.Context) bool {
	batch := t.finished.batch
	if len(batch) == 0 {
		return true
	}
	err := t.exporter.ExportSpans(ctx, batch)
	if err != nil {
		t.failed.Add(uint64(len(batch)))
		if now := time.Now(); now.Sub(t.warned) >= traceLogEvery {
			t.warned = now
			t.log.Warn("spans were not exported", "endpoint", t.endpoint, "spans", len(batch), "error", err)
		}
	} else {
		t.exported.Add(uint64(len(batch)))
	}
	clear(batch)
	t.finished.batch = batch[:0]
	return err == nil
}

// add makes an OpenTelemetry span of s. Attributes follow
// https://opentelemetry.io/docs/specs/semconv/db/redis/ where it has a word.
func (t *Tracer) add(s *Span) {
	name := "unknown"
	if s.Command != "" {
		name = strings.ToUpper(strings.ReplaceAll(s.Command, "|", " "))
	}
	attributes := make([]attribute.KeyValue, 0, 8)
	attributes = append(attributes,
		attribute.String("db.system.name", "redis"), attribute.String("db.operation.name", name),
		attribute.String("db.namespace", strconv.Itoa(s.DB)), attribute.Int("synap.keys", s.Keys), attribute.String("synap.door", s.Door))
	if s.Error != "" {
		attributes = append(attributes, attribute.String("db.response.status_code", s.Error), attribute.String("error.type", s.Error))
	}
	if s.Slow {
		attributes = append(attributes, attribute.Bool("synap.slow", true))
	}
	ctx := context.Background()
	if s.Parent != nil {
		ctx = trace.ContextWithRemoteSpanContext(ctx, s.Parent.span)
	}
	start := time.Unix(0, s.Start)
	_, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(start), trace.WithAttributes(attributes...))
	if s.Error != "" {
		span.SetStatus(codes.Error, s.Error)
	} else {
		span.SetStatus(codes.Ok, "")
	}
	span.End(trace.WithTimestamp(start.Add(s.Took)))
}
