package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	maxBody      = 64 << 10
	maxHeader    = 16 << 10
	defaultLimit = 10 * time.Second
	otherPath    = "_other" // the template of every path that is no route
)

// routes are the path templates, as labels show them.
var routes = []string{"/", "/metrics", "/metrics/detailed", "/healthz", "/readyz", "/version"}

type requestKey struct{ method, path, status string }

// httpStats counts requests to the side port. It is no hot path: a mutex.
type httpStats struct {
	mu       sync.Mutex // guards what follows
	requests map[requestKey]uint64
	times    map[requestKey]*httpTime // status empty

	active, idle atomic.Int64
	open         atomic.Int64
}

type httpTime struct {
	sum    time.Duration
	counts [buckets]uint64
}

// init makes the series that stand at zero from the start.
func (h *httpStats) init(more []Route) {
	h.requests = map[requestKey]uint64{}
	h.times = map[requestKey]*httpTime{}
	for _, path := range routes {
		h.requests[requestKey{"GET", path, "200"}] = 0
		h.times[requestKey{method: "GET", path: path}] = &httpTime{}
	}
	for _, r := range more {
		h.requests[requestKey{r.Method, r.Path, "200"}] = 0
		h.times[requestKey{method: r.Method, path: r.Path}] = &httpTime{}
	}
}

// RecordHTTPRequest counts one request by its route's template.
func (m *Metrics) RecordHTTPRequest(method, path string, status int, took time.Duration) {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH":
	default:
		method = otherPath
	}
	m.http.mu.Lock()
	defer m.http.mu.Unlock()
	m.http.requests[requestKey{method, path, strconv.Itoa(status)}]++
	k := requestKey{method: method, path: path}
	t := m.http.times[k]
	if t == nil {
		t = &httpTime{}
		m.http.times[k] = t
	}
	t.sum += took
	t.counts[bucketIndex(int64(took))]++
}

func (c *collector) side(e *emitter) {
	h := &c.m.http
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, n := range h.requests {
		e.count(c.f.httpRequests, n, k.method, k.path, k.status)
	}
	for k, t := range h.times {
		s := CommandStats{Sum: uint64(t.sum), Buckets: append([]uint64(nil), t.counts[:]...)}
		for _, n := range s.Buckets {
			s.Calls += n
		}
		e.commandHistogram(c.f.httpDuration, &s, coarseBounds, coarseIndex, k.method, k.path)
	}
	e.value(c.f.httpConnections, float64(h.active.Load()), "active")
	e.value(c.f.httpConnections, float64(h.idle.Load()), "idle")
}

// limitedListener closes connections beyond its limit at once.
type limitedListener struct {
	net.Listener
	stats *httpStats
	max   int64
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if n := l.stats.open.Add(1); l.max > 0 && n > l.max {
			l.stats.open.Add(-1)
			c.Close()
			continue
		}
		return &countedConn{Conn: c, stats: l.stats}, nil
	}
}

type countedConn struct {
	net.Conn
	stats *httpStats
	once  sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.stats.open.Add(-1) })
	return c.Conn.Close()
}

func (m *Metrics) newServer() *http.Server {
	limit := m.o.Timeout
	if limit <= 0 {
		limit = defaultLimit
	}
	return &http.Server{
		Handler:           m.handler(),
		ReadHeaderTimeout: limit,
		ReadTimeout:       limit,
		WriteTimeout:      limit,
		IdleTimeout:       6 * limit,
		MaxHeaderBytes:    maxHeader,
		ConnState:         m.http.connState(),
	}
}

// connState follows connections between active and idle.
func (h *httpStats) connState() func(net.Conn, http.ConnState) {
	var states sync.Map // net.Conn → *atomic.Int64 counted in
	return func(c net.Conn, s http.ConnState) {
		if old, ok := states.LoadAndDelete(c); ok {
			old.(*atomic.Int64).Add(-1)
		}
		in := &h.active
		switch s {
		case http.StateIdle:
			in = &h.idle
		case http.StateClosed, http.StateHijacked:
			return
		}
		in.Add(1)
		states.Store(c, in)
	}
}

// handler joins the routes. /metrics, /healthz and /readyz are outside the rate limit.
func (m *Metrics) handler() http.Handler {
	limit := m.o.Limit
	if limit == nil {
		limit = func(h http.Handler) http.Handler { return h }
	}
	mux := http.NewServeMux()
	add := func(path string, limited bool, h http.Handler) {
		if limited {
			h = limit(h)
		}
		mux.Handle(path, m.measured(path, h))
	}
	add("/metrics", false, m.scrapeHandler(m.registry))
	add("/healthz", false, http.HandlerFunc(m.healthz))
	add("/readyz", false, http.HandlerFunc(m.readyz))
	add("/version", true, http.HandlerFunc(m.version))
	add("/metrics/detailed", true, http.HandlerFunc(m.detailed))
	for _, r := range m.o.Routes {
		add(r.Path, true, only(r.Method, r.Handler))
	}
	if m.o.Pprof {
		add("/debug/pprof/", true, loopbackOnly(http.HandlerFunc(m.profile)))
	}
	mux.Handle("/", m.measuredIndex(limit(http.HandlerFunc(m.index))))
	return http.MaxBytesHandler(mux, maxBody)
}

// only answers 405 to other methods.
func only(method string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			http.Error(w, "only "+method, http.StatusMethodNotAllowed)
			return
		}
		h(w, r)
	})
}

func (m *Metrics) scrapeHandler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            errorLog{m},
		MaxRequestsInFlight: 8,
	})
}

type errorLog struct{ m *Metrics }

func (l errorLog) Println(v ...any) { l.m.o.Log.Error("metrics", "error", fmt.Sprint(v...)) }

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (m *Metrics) measured(path string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{w, http.StatusOK}
		start := time.Now()
		h.ServeHTTP(sw, r)
		m.RecordHTTPRequest(r.Method, path, sw.status, time.Since(start))
	})
}

// measuredIndex serves the index, and 404 for every path that is no route.
func (m *Metrics) measuredIndex(h http.Handler) http.Handler {
	index, missing := m.measured("/", h), m.measured(otherPath, http.NotFoundHandler())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			index.ServeHTTP(w, r)
		} else {
			missing.ServeHTTP(w, r)
		}
	})
}

func (m *Metrics) healthz(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, "ok\n")
}

func (m *Metrics) readyz(w http.ResponseWriter, _ *http.Request) {
	if m.o.Ready != nil {
		if err := m.o.Ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	io.WriteString(w, "ready\n")
}

func (m *Metrics) version(w http.ResponseWriter, _ *http.Request) {
	s := m.o.Stats().Server
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{
		"version": s.Version, "revision": s.Revision, "go": s.GoVersion, "redis_version": s.RedisVersion,
	})
}

const indexPage = `<!doctype html>
<title>Synap</title>
<h1>Synap</h1>
<ul>
<li><a href="/metrics">/metrics</a> for Prometheus
<li><a href="/metrics/detailed?family=queue&amp;match=*">/metrics/detailed?family=queue&amp;match=*</a> every queue, room or topic
<li><a href="/queues">/queues</a> the reliable queues; /queues/{name} and /queues/{name}/dead show one
<li><a href="/healthz">/healthz</a> alive
<li><a href="/readyz">/readyz</a> may get traffic
<li><a href="/version">/version</a>
</ul>
`

func (m *Metrics) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, indexPage)
}

// loopbackOnly refuses every other peer.
func loopbackOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !a.Addr().Unmap().IsLoopback() {
			http.Error(w, "only from this host", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// profile serves net/http/pprof; a profile may take longer than other answers.
func (m *Metrics) profile(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(5 * time.Minute))
	switch r.URL.Path {
	case "/debug/pprof/cmdline":
		pprof.Cmdline(w, r)
	case "/debug/pprof/profile":
		pprof.Profile(w, r)
	case "/debug/pprof/symbol":
		pprof.Symbol(w, r)
	case "/debug/pprof/trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
}
