// Package metrics counts what the server does and shows it: on the side port
// for Prometheus, and to the server itself for INFO, through one Stats
// snapshot. Counting costs a few nanoseconds and never looks up a label; all
// the rest happens when somebody scrapes.
package metrics

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Gauge is the present state of one named object.
type Gauge struct {
	Size        int64 // messages ready, elements, entries; subscriptions of a topic
	Subscribers int64 // of a stream: clients blocked in it and its consumers
	DBs         []DBSize
	Groups      []GroupGauge // of a stream, by database and name
	Queue       *QueueGauge  // of a reliable queue; nil: it is a list
}

// QueueGauge is what a reliable queue holds beside the messages ready.
type QueueGauge struct {
	Unacked, Delayed, Dead, Consumers int64
	OldestAge                         int64 // ms since the first message next in line was published
}

// plus returns the sum of two, of which nil is nothing.
func (q *QueueGauge) plus(o *QueueGauge) *QueueGauge {
	if q == nil || o == nil {
		return cmp.Or(q, o)
	}
	return &QueueGauge{
		Unacked: q.Unacked + o.Unacked, Delayed: q.Delayed + o.Delayed, Dead: q.Dead + o.Dead,
		Consumers: q.Consumers + o.Consumers, OldestAge: max(q.OldestAge, o.OldestAge),
	}
}

// DBSize is the part of an object's Size in one database.
type DBSize struct {
	DB   int
	Size int64
}

// Options are what the server gives; all but Stats, Commands and Objects may
// be left out.
type Options struct {
	Stats    func() Stats
	Commands *Commands
	Objects  *Objects

	// Gauges looks up objects by name, without a walk, in the order given.
	Gauges func(f Family, names []string) []Gauge
	// Walk calls visit for every object of a family, for /metrics/detailed.
	Walk func(f Family, visit func(name string, g Gauge))
	// Match tells whether a name matches a glob pattern.
	Match func(pattern, name string) bool

	Routes         []Route      // of the side port, beside its own; all within the rate limit
	Ready          func() error // why the server should get no traffic now
	Limit          func(http.Handler) http.Handler
	RedisNames     func() bool
	Pprof          bool
	MaxConnections int           // of the side port
	Timeout        time.Duration // for one request and its answer
	Log            *slog.Logger
}

// Route is a page of the side port: one method of one path template, as
// http.ServeMux reads it.
type Route struct {
	Method, Path string
	Handler      http.HandlerFunc
}

// Metrics is the registry and the side port.
type Metrics struct {
	o        Options
	registry *prometheus.Registry
	http     httpStats
	server   *http.Server
}

// New registers every family.
func New(o Options) *Metrics {
	m := &Metrics{o: o, registry: prometheus.NewRegistry()}
	if m.o.Log == nil {
		m.o.Log = slog.New(slog.DiscardHandler)
	}
	m.http.init(o.Routes)
	m.registry.MustRegister(
		newCollector(m),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.server = m.newServer()
	return m
}

// Serve answers on ln until Shutdown.
func (m *Metrics) Serve(ln net.Listener) error {
	err := m.server.Serve(&limitedListener{Listener: ln, stats: &m.http, max: int64(m.o.MaxConnections)})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown finishes the requests that are being answered, until ctx ends.
func (m *Metrics) Shutdown(ctx context.Context) error { return m.server.Shutdown(ctx) }
