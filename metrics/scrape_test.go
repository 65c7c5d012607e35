package metrics

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// fixture is a Metrics over a snapshot that tests fill in.
type fixture struct {
	*Metrics
	stats    Stats
	commands *Commands
	objects  *Objects
	ready    error
	gauges   map[string]Gauge
}

func newFixture(t testing.TB, change func(*Options)) *fixture {
	f := &fixture{gauges: map[string]Gauge{}}
	f.commands = NewCommands([]CommandInfo{{"get", "string"}, {"set", "string"}, {"publish", "pubsub"}, {"lpush", "list"}}, 2)
	f.objects = NewObjects(200)
	f.stats = Stats{
		Server:    ServerStats{Version: "1.2.3", Revision: "abc", GoVersion: "go1", RedisVersion: "7.2.4", Databases: 2, Started: time.Unix(1000, 0), Now: time.Unix(1010, 0)},
		Memory:    MemoryStats{Policy: "noeviction"},
		ShardKeys: []int64{3, 4},
		KindBytes: map[string]int64{"string": 700},
		Limiter:   LimiterStats{Decisions: []Decision{{"command", "reject", 5}}, DelayBounds: []float64{1, 2}, DelayCount: []uint64{1, 0, 2}},
		Errors:    map[string]uint64{},
	}
	o := Options{
		Stats: func() Stats {
			s := f.stats
			s.Commands = f.commands.Snapshot()
			return s
		},
		Commands: f.commands, Objects: f.objects,
		Gauges: func(_ Family, names []string) []Gauge {
			out := make([]Gauge, len(names))
			for i, n := range names {
				out[i] = f.gauges[n]
			}
			return out
		},
		Ready: func() error { return f.ready },
		Match: func(pattern, name string) bool {
			ok, _ := regexp.MatchString("^"+strings.ReplaceAll(pattern, "*", ".*")+"$", name)
			return ok
		},
		Timeout: 5 * time.Second,
	}
	if change != nil {
		change(&o)
	}
	f.Metrics = New(o)
	return f
}

// get asks the handler and returns status and body.
func (f *fixture) get(t testing.TB, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.server.Handler.ServeHTTP(w, r)
	return w.Result(), w.Body.String()
}

// series parses a text scrape into a map from name{labels} to value.
func series(t testing.TB, text string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out[line[:i]] = v
	}
	return out
}

func (f *fixture) scrape(t testing.TB) map[string]float64 {
	t.Helper()
	res, body := f.get(t, "/metrics")
	if res.StatusCode != 200 {
		t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	return series(t, body)
}

// The first scrape shows every family, with the series that stand at zero.
func TestFirstScrapeShowsEveryFamily(t *testing.T) {
	f := newFixture(t, nil)
	_, body := f.get(t, "/metrics")
	got := series(t, body)
	for _, info := range append(Families(), redisFamilies()...) {
		if !strings.Contains(body, "# TYPE "+info.Name+" "+info.Type+"\n") {
			if !optionalAtFirst[info.Name] {
				t.Errorf("family %s (%s) is not shown", info.Name, info.Type)
			}
			continue
		}
		for _, l := range info.Labels {
			switch l {
			case "queue", "room", "topic", "event_type", "replica_id":
				if !strings.Contains(body, l+`="_other"`) {
					t.Errorf("%s has no %s=_other", info.Name, l)
				}
			}
		}
	}
	for _, want := range []string{
		`synap_kv_operations_total{operation="get",status="success"}`,
		`synap_kv_operations_total{operation="get",status="error"}`,
		`synap_kv_operation_duration_seconds_count{operation="get"}`,
		`synap_queue_operations_total{operation="dead_letter",queue="_other",status="error"}`,
		`synap_stream_events_total{event_type="_other",room="_other"}`,
		`synap_replication_operations_total{status="success",type="partial_sync"}`,
		`synap_replication_bytes_total{direction="sent"}`,
		`synap_pubsub_operations_total{operation="sunsubscribe",status="success"}`,
		`synap_http_requests_total{method="GET",path="/metrics",status="200"}`,
	} {
		if v, ok := got[want]; !ok || v != 0 {
			t.Errorf("%s is %v, present %v; want 0", want, v, ok)
		}
	}
	if got[`synap_kv_keys_total{shard="1"}`] != 4 || got[`synap_kv_memory_bytes{type="string"}`] != 700 {
		t.Error("gauges of the snapshot are missing")
	}
}

// optionalAtFirst are families with no series in a fixture without doors and
// other parts of a server.
var optionalAtFirst = map[string]bool{
	"synap_connections": true, "synap_connections_rejected_total": true, "synap_connections_killed_total": true,
	"redis_db_avg_ttl_seconds": true, // no key expires
}

func redisFamilies() (out []FamilyInfo) {
	for _, d := range newRedisNames().all {
		out = append(out, d.FamilyInfo)
	}
	return out
}

// waiting are the families whose subject is still to come. One that begins to
// move leaves this table.
var waiting = map[string]string{
	"synap_replication_lag_operations":   "replication",
	"synap_replication_operations_total": "replication",
	"synap_replication_bytes_total":      "replication",
	"redis_connected_slaves":             "replication",
}

func TestWaitingFamiliesAreListed(t *testing.T) {
	left := map[string]string{}
	for k, v := range waiting {
		left[k] = v
	}
	for _, info := range append(Families(), redisFamilies()...) {
		if left[info.Name] != info.Waiting {
			t.Errorf("%s waits for %q, the table says %q", info.Name, info.Waiting, left[info.Name])
		}
		delete(left, info.Name)
	}
	for name := range left {
		t.Errorf("%s is in the table but is no family", name)
	}
}

// busy makes every kind of series appear.
func (f *fixture) busy() {
	f.stats.Clients.Doors = []DoorStats{{"tcp", "active", 3}}
	f.stats.Clients.Rejected = map[string]int64{"maxclients": 1}
	f.stats.Clients.Killed = map[string]int64{"output_buffer": 1}
	f.stats.Errors = map[string]uint64{"ERR": 3, "WRONGTYPE": 1}
	f.stats.Keyspace = []DBStats{{DB: 1, Keys: 5, Expires: 2, AvgTTL: 1500}}
	for row := range 4 {
		f.commands.Record(0, row, 1500, row == 1)
		f.commands.Reject(1, row)
	}
	f.commands.Reject(0, -1)
	f.objects.RecordQueueOp([]byte("jobs"), QueuePublish, 2, 3000, false)
	f.objects.RecordQueueOp([]byte("jobs"), QueueConsume, 1, 20_000_000_000, true)
	f.objects.RecordStreamOp([]byte("room"), StreamPublish, 1, false)
	f.objects.RecordStreamEvent([]byte("room"), []byte("joined"))
	f.objects.RecordMessage([]byte("news"), 3)
	f.gauges["jobs"] = Gauge{Size: 7}
	f.gauges["room"] = Gauge{Size: 9, Subscribers: 2, DBs: []DBSize{{0, 9}}}
	f.gauges["news"] = Gauge{Size: 4}
	f.stats.Clients.Subscriptions = 6
}

func TestObjectFamilies(t *testing.T) {
	f := newFixture(t, nil)
	f.busy()
	got := f.scrape(t)
	for name, want := range map[string]float64{
		`synap_queue_operations_total{operation="publish",queue="jobs",status="success"}`:           2,
		`synap_queue_operations_total{operation="consume",queue="jobs",status="error"}`:             1,
		`synap_queue_depth{queue="jobs"}`:                                                           7,
		`synap_queue_operation_duration_seconds_count{operation="publish",queue="jobs"}`:            1,
		`synap_queue_operation_duration_seconds_sum{operation="publish",queue="jobs"}`:              3e-6,
		`synap_queue_operation_duration_seconds_bucket{operation="consume",queue="jobs",le="2"}`:    0,
		`synap_queue_operation_duration_seconds_bucket{operation="consume",queue="jobs",le="+Inf"}`: 1,
		`synap_stream_operations_total{operation="publish",room="room",status="success"}`:           1,
		`synap_stream_events_total{event_type="joined",room="room"}`:                                1,
		`synap_stream_subscribers{room="room"}`:                                                     2,
		`synap_stream_buffer_size{room="room"}`:                                                     9,
		`redis_stream_length{db="db0",stream="room"}`:                                               9,
		`synap_pubsub_messages_total{topic="news"}`:                                                 3,
		`synap_pubsub_subscriptions{topic="news"}`:                                                  4,
		`synap_pubsub_subscriptions{topic="_other"}`:                                                2,
		`synap_pubsub_operations_total{operation="publish",status="success"}`:                       1,
		`synap_pubsub_operations_total{operation="publish",status="error"}`:                         1,
		`synap_kv_operations_total{operation="set",status="error"}`:                                 2,
		`synap_commands_total{command="unknown",status="rejected"}`:                                 1,
		`synap_commands_total{command="set",status="rejected"}`:                                     1,
		`synap_errors_total{prefix="WRONGTYPE"}`:                                                    1,
		`redis_db_avg_ttl_seconds{db="db1"}`:                                                        1.5,
		`redis_commands_total{cmd="lpush"}`:                                                         1,
		`synap_ratelimit_decisions_total{action="reject",layer="command"}`:                          5,
		`synap_ratelimit_delay_seconds_count`:                                                       3,
		`synap_kv_operation_duration_seconds_bucket{operation="get",le="9.5367431640625e-07"}`:      0,
		`synap_kv_operation_duration_seconds_bucket{operation="get",le="1.9073486328125e-06"}`:      1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v (present %v), want %v", name, v, ok, want)
		}
	}
	if _, ok := got[`synap_kv_operations_total{operation="lpush",status="success"}`]; ok {
		t.Error("a list command counts as key-value operation")
	}
}

// promlint and promtool may object to the one name that was asked for, and to
// nothing else.
func TestLint(t *testing.T) {
	f := newFixture(t, nil)
	f.busy()
	_, body := f.get(t, "/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Metric != "synap_kv_keys_total" {
			t.Errorf("promlint: %s: %s", p.Metric, p.Text)
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(body)
	out, _ := cmd.CombinedOutput() // its status is 3 for the one complaint
	if got, want := strings.TrimSpace(string(out)), `synap_kv_keys_total non-counter metrics should not have "_total" suffix`; got != want {
		t.Errorf("promtool says:\n%s\nwant:\n%s", got, want)
	}
}

func TestFormats(t *testing.T) {
	f := newFixture(t, nil)
	f.busy()
	res, body := f.get(t, "/metrics", "Accept", "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("OpenMetrics: %s", res.Header.Get("Content-Type"))
	}
	res, body = f.get(t, "/metrics", "Accept-Encoding", "gzip")
	if res.Header.Get("Content-Encoding") != "gzip" {
		t.Error("no gzip")
	} else if z, err := gzip.NewReader(strings.NewReader(body)); err != nil {
		t.Error(err)
	} else if plain, err := io.ReadAll(z); err != nil || !bytes.Contains(plain, []byte("synap_kv_keys_total")) {
		t.Error("gzip does not unpack", err)
	}
}

// Protobuf carries the native histogram beside the classic one.
func TestNativeHistograms(t *testing.T) {
	f := newFixture(t, nil)
	durations := []int64{500, 1000, 1000, 5_000_000, 5_100_000, 12_000_000_000}
	var sum int64
	for _, d := range durations {
		f.commands.Record(0, 0, d, false)
		sum += d
	}
	res, body := f.get(t, "/metrics", "Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	dec := expfmt.NewDecoder(strings.NewReader(body), expfmt.ResponseFormat(res.Header))
	for {
		var mf dto.MetricFamily
		if err := dec.Decode(&mf); err != nil {
			t.Fatal("synap_kv_operation_duration_seconds not found: ", err)
		}
		if mf.GetName() != "synap_kv_operation_duration_seconds" {
			continue
		}
		h := mf.GetMetric()[0].GetHistogram()
		if h.GetSchema() != 3 || h.GetZeroCount() != 1 || h.GetSampleCount() != 6 || len(h.GetBucket()) == 0 {
			t.Fatalf("histogram %v", h)
		}
		if got := h.GetSampleSum(); got < float64(sum)/1e9*0.999999 || got > float64(sum)/1e9*1.000001 {
			t.Errorf("sum %v", got)
		}
		var total, count int64
		spans := uint32(0)
		for _, d := range h.GetPositiveDelta() {
			count += d
			total += count
		}
		for _, s := range h.GetPositiveSpan() {
			spans += s.GetLength()
		}
		if total != 5 || int(spans) != len(h.GetPositiveDelta()) {
			t.Errorf("spans %v, deltas %v", h.GetPositiveSpan(), h.GetPositiveDelta())
		}
		// 5 ms lies in bucket ceil(8 × log2(0.005)) = -61.
		index, found := int32(0), false
		for _, s := range h.GetPositiveSpan() {
			index += s.GetOffset()
			found = found || index <= -61 && -61 < index+int32(s.GetLength())
			index += int32(s.GetLength())
		}
		if !found {
			t.Errorf("no bucket holds 5 ms: %v", h.GetPositiveSpan())
		}
		return
	}
}

func TestRedisNamesCanBeTurnedOff(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.RedisNames = func() bool { return false } })
	if _, body := f.get(t, "/metrics"); strings.Contains(body, "redis_up") {
		t.Error("redis_up is shown")
	}
}

// Names are bytes that clients choose: they must neither break a scrape nor
// hide behind one another.
func TestHostileNames(t *testing.T) {
	f := newFixture(t, nil)
	names := []string{"_other", "\xff\xfe", `\xff\xfe`, "a\nb", `q"{}`, "", strings.Repeat("x", 200), "é"}
	for _, n := range names {
		f.objects.RecordQueueOp([]byte(n), QueuePublish, 1, 1000, false)
		f.objects.RecordStreamOp([]byte(n), StreamPublish, 1, false)
		f.objects.RecordStreamEvent([]byte(n), []byte(n))
		f.objects.RecordMessage([]byte(n), 1)
	}
	got := f.scrape(t)
	sums := map[string]float64{}
	for name, v := range got {
		for _, family := range []string{"synap_queue_operations_total", "synap_stream_operations_total", "synap_stream_events_total", "synap_pubsub_messages_total"} {
			if strings.HasPrefix(name, family+"{") {
				sums[family] += v
			}
		}
	}
	for family, v := range sums {
		if v != float64(len(names)) {
			t.Errorf("%s adds up to %v, want %d", family, v, len(names))
		}
	}
}

// A hundred thousand names give the chosen number of series, small and quick.
func TestCardinality(t *testing.T) {
	f := newFixture(t, nil)
	busy := []byte("busy")
	for i := range 100_000 {
		name := []byte("queue-" + strconv.Itoa(i))
		f.objects.RecordQueueOp(name, QueuePublish, 1, 1000, false)
		f.objects.RecordStreamOp(name, StreamPublish, 1, false)
		f.objects.RecordStreamEvent(name, name)
		f.objects.RecordMessage(name, 1)
		if i%100 == 0 {
			f.objects.RecordQueueOp(busy, QueueConsume, 1, 1000, false)
		}
	}
	_, body := f.get(t, "/metrics")
	if len(body) > 1<<20 {
		t.Errorf("a scrape has %d bytes", len(body))
	}
	got := series(t, body)
	labels, total := map[string]bool{}, 0.0
	for name, v := range got {
		if strings.HasPrefix(name, "synap_queue_operations_total{") {
			labels[regexp.MustCompile(`queue="([^"]*)"`).FindStringSubmatch(name)[1]] = true
			if strings.Contains(name, `operation="publish"`) {
				total += v
			}
		}
	}
	if len(labels) != 201 {
		t.Errorf("%d queues are shown, want 200 and _other", len(labels))
	}
	if total != 100_000 {
		t.Errorf("published messages add up to %v", total)
	}
	if !labels["busy"] {
		t.Error("the busiest queue is not shown")
	}
	if got[`synap_metrics_labels_dropped_total{label="queue"}`] < 99_000 {
		t.Error("the names left out are not counted")
	}
}

// _other never falls and no series of a name falls while it is shown, whatever
// comes, goes, and is deleted.
func TestOtherNeverFalls(t *testing.T) {
	f := newFixture(t, nil)
	f.objects.SetLimit(5)
	before := map[string]float64{}
	for round := range 60 {
		for i := range 2000 {
			f.objects.RecordMessage([]byte("topic-"+strconv.Itoa((i*i+round*31)%(50+10*round))), 1)
		}
		if round%7 == 0 {
			f.objects.Forget(Topics, []byte("topic-"+strconv.Itoa(round)))
		}
		if round == 30 {
			f.objects.ForgetAll(Topics)
		}
		now, total := map[string]float64{}, 0.0
		for name, v := range f.scrape(t) {
			if strings.HasPrefix(name, "synap_pubsub_messages_total{") {
				now[name] = v
				total += v
				if old, ok := before[name]; ok && v < old && round != 30 && round%7 != 0 {
					t.Fatalf("round %d: %s fell from %v to %v", round, name, old, v)
				}
			}
		}
		if rest := `synap_pubsub_messages_total{topic="_other"}`; now[rest] < before[rest] {
			t.Fatalf("round %d: _other fell from %v to %v", round, before[rest], now[rest])
		}
		if want := float64(2000 * (round + 1)); total != want {
			t.Fatalf("round %d: all series add up to %v, want %v", round, total, want)
		}
		before = now
	}
}

func TestAllowListComesFirst(t *testing.T) {
	f := newFixture(t, nil)
	f.objects.SetLimit(3)
	f.objects.SetAllowed(Queues, func(name []byte) bool { return bytes.HasPrefix(name, []byte("vip-")) })
	for i := range 50_000 {
		f.objects.RecordQueueOp([]byte("q"+strconv.Itoa(i%5000)), QueuePublish, 1, 10, false)
	}
	f.objects.RecordQueueOp([]byte("vip-1"), QueuePublish, 1, 10, false)
	got := f.scrape(t)
	if got[`synap_queue_operations_total{operation="publish",queue="vip-1",status="success"}`] != 1 {
		t.Error("the allow-listed queue is not shown")
	}
}

func TestDeletedObjectsVanish(t *testing.T) {
	f := newFixture(t, nil)
	f.busy()
	f.scrape(t)
	f.objects.Forget(Queues, []byte("jobs"))
	got := f.scrape(t)
	for name := range got {
		if strings.Contains(name, `queue="jobs"`) {
			t.Errorf("%s is still shown", name)
		}
	}
	if got[`synap_queue_operations_total{operation="publish",queue="_other",status="success"}`] != 2 {
		t.Error("what it did is not counted under _other")
	}
}

func TestPages(t *testing.T) {
	f := newFixture(t, nil)
	for _, c := range []struct {
		path   string
		status int
		has    string
	}{
		{"/", 200, "/metrics"}, {"/healthz", 200, "ok"}, {"/readyz", 200, "ready"},
		{"/version", 200, `"version":"1.2.3"`}, {"/nothing", 404, "not found"}, {"/debug/pprof/", 404, "not found"},
		{"/metrics/detailed", 400, "queue, room, topic"},
	} {
		res, body := f.get(t, c.path)
		if res.StatusCode != c.status || !strings.Contains(body, c.has) {
			t.Errorf("%s: %d %q", c.path, res.StatusCode, body)
		}
	}
	f.ready = fmt.Errorf("loading the data")
	if res, body := f.get(t, "/readyz"); res.StatusCode != 503 || !strings.Contains(body, "loading the data") {
		t.Errorf("/readyz: %d %q", res.StatusCode, body)
	}
	got := f.scrape(t)
	for name, want := range map[string]float64{
		`synap_http_requests_total{method="GET",path="/readyz",status="503"}`:                1,
		`synap_http_requests_total{method="GET",path="_other",status="404"}`:                 2,
		`synap_http_request_duration_seconds_count{method="GET",path="/version"}`:            1,
		`synap_http_request_duration_seconds_bucket{method="GET",path="/version",le="+Inf"}`: 1,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
}

func TestDetailed(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Walk = func(_ Family, visit func(string, Gauge)) {
			for i := range 1000 {
				visit(fmt.Sprintf("orders-%d", i), Gauge{Size: int64(i)})
			}
			visit("orders-7", Gauge{Size: 100}) // in another database
			visit("mail", Gauge{Size: 5})
		}
	})
	f.objects.RecordQueueOp([]byte("orders-7"), QueuePublish, 3, 1000, false)
	f.objects.RecordQueueOp([]byte("mail"), QueuePublish, 3, 1000, false)
	res, body := f.get(t, "/metrics/detailed?family=queue&match=orders-*")
	if res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	got := series(t, body)
	if got[`synap_queue_depth{queue="orders-7"}`] != 107 || got[`synap_queue_depth{queue="orders-999"}`] != 999 {
		t.Error("depths are wrong")
	}
	if got[`synap_queue_operations_total{operation="publish",queue="orders-7",status="success"}`] != 3 {
		t.Error("counters are missing")
	}
	if strings.Contains(body, "mail") || strings.Contains(body, "synap_kv") {
		t.Error("more is shown than was asked for")
	}
}

func TestPprofOnlyOnRequestAndLoopback(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Pprof = true })
	if res, _ := f.get(t, "/debug/pprof/"); res.StatusCode != 403 { // httptest's peer is 192.0.2.1
		t.Errorf("from elsewhere: %d", res.StatusCode)
	}
	r := httptest.NewRequest("GET", "/debug/pprof/goroutine?debug=1", nil)
	r.RemoteAddr = "127.0.0.1:1234"
	w := httptest.NewRecorder()
	f.server.Handler.ServeHTTP(w, r)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "goroutine profile") {
		t.Errorf("from loopback: %d", w.Code)
	}
}

// The connection limit and the gauges of connections, over a real listener.
func TestSidePortConnections(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.MaxConnections = 2 })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- f.Serve(ln) }()
	ask := func() (net.Conn, error) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = c.Read(make([]byte, 1))
		return c, err
	}
	a, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	c, err := ask()
	if err == nil {
		t.Error("a third connection was served")
	}
	c.Close()
	a.Close()
	b.Close()
	for deadline := time.Now().Add(5 * time.Second); f.http.open.Load() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections still count", f.http.open.Load())
		}
		time.Sleep(time.Millisecond)
	}
	if f.http.idle.Load() != 0 || f.http.active.Load() != 0 {
		t.Errorf("idle %d, active %d", f.http.idle.Load(), f.http.active.Load())
	}
	if d, err := ask(); err != nil {
		t.Error("no connection after the others closed:", err)
	} else {
		d.Close()
	}
	ctx := t.Context()
	if err := f.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHostSamples(t *testing.T) {
	start := time.Now()
	h := NewHost(time.Minute, start)
	s := h.Stats(start)
	if s.RSS <= 0 || s.HostTotal <= 0 || s.HostUsed <= 0 {
		t.Fatalf("sample %+v", s)
	}
	if again := h.Stats(start.Add(30 * time.Second)); again.SampledFrom != start {
		t.Error("a sample of half the interval's age was replaced")
	}
	if again := h.Stats(start.Add(61 * time.Second)); again.SampledFrom == start {
		t.Error("a sample older than the interval was kept")
	}
	h.history = []cpuSample{{start, 0}, {start.Add(4 * time.Minute), 60}, {start.Add(5 * time.Minute), 90}}
	if one, five := h.over(time.Minute), h.over(5*time.Minute); one != 50 || five != 30 {
		t.Errorf("CPU over a minute %v, over five %v; want 50 and 30", one, five)
	}
}

func BenchmarkScrape(b *testing.B) {
	f := newFixture(b, nil)
	for i := range 100_000 {
		name := []byte("queue-" + strconv.Itoa(i))
		f.objects.RecordQueueOp(name, QueuePublish, 1, 1000, false)
		f.objects.RecordStreamOp(name, StreamPublish, 1, false)
		f.objects.RecordMessage(name, 1)
	}
	for b.Loop() {
		_, body := f.get(b, "/metrics")
		b.ReportMetric(float64(len(body)), "bytes")
	}
}

func BenchmarkRecordObject(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			o := NewObjects(200)
			names := make([][]byte, n)
			for i := range names {
				names[i] = []byte("queue-" + strconv.Itoa(i))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				o.RecordQueueOp(names[i%n], QueuePublish, 1, 300, false)
			}
		})
	}
}
