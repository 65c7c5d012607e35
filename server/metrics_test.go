package server

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"synap/config"
)

// scrape reads /metrics into a map from name{labels} to value.
func scrape(t testing.TB, s *Server) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, line := range strings.Split(page(t, s, "/metrics", 200), "\n") {
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

// page fetches a page of the side port.
func page(t testing.TB, s *Server, path string, status int) string {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := c.Get("http://" + s.Addr("http").String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status {
		t.Fatalf("%s: status %d, want %d: %s", path, res.StatusCode, status, body)
	}
	return string(body)
}

// familyTest acts over the wire and says by how much series must then differ.
type familyTest struct {
	name  string
	act   func(t *testing.T, s *Server, c *client)
	delta map[string]float64
}

// kv, queue … name a series of a family.
func kv(op, status string) string {
	return fmt.Sprintf(`synap_kv_operations_total{operation="%s",status="%s"}`, op, status)
}

func queueOp(queue, op, status string) string {
	return fmt.Sprintf(`synap_queue_operations_total{operation="%s",queue="%s",status="%s"}`, op, queue, status)
}

func roomOp(room, op, status string) string {
	return fmt.Sprintf(`synap_stream_operations_total{operation="%s",room="%s",status="%s"}`, op, room, status)
}

func pubsubOp(op, status string) string {
	return fmt.Sprintf(`synap_pubsub_operations_total{operation="%s",status="%s"}`, op, status)
}

func run(commands ...string) func(*testing.T, *Server, *client) {
	return func(_ *testing.T, _ *Server, c *client) {
		for _, line := range commands {
			c.do(strings.Fields(line)...)
		}
	}
}

func familyTests() []familyTest {
	return slices.Concat(kvTests(), objectTests(), queueTests(), operatorTests())
}

func kvTests() []familyTest {
	return []familyTest{
		{"kv operations", run("SET a 1", "GET a", "GET missing", "INCR a", "LPUSH notkv x", "GET notkv", "GET", "DEL a", "OBJECT ENCODING missing"), map[string]float64{
			kv("set", "success"): 1, kv("get", "success"): 2, kv("get", "error"): 2, kv("incr", "success"): 1,
			kv("del", "success"): 1, kv("lpush", "success"): 0,
			`synap_kv_operation_duration_seconds_count{operation="get"}`:            3, // one of the four never ran
			`synap_kv_operation_duration_seconds_bucket{operation="get",le="+Inf"}`: 3,
			`synap_commands_total{command="get",status="rejected"}`:                 1,
			`synap_commands_total{command="get",status="error"}`:                    1,
			`synap_command_duration_seconds_count{command="set"}`:                   1,
			`redis_commands_total{cmd="get"}`:                                       3,
			`redis_commands_failed_calls_total{cmd="get"}`:                          1,
			`redis_commands_rejected_calls_total{cmd="get"}`:                        1,
			`redis_commands_processed_total`:                                        8,
			`synap_errors_total{prefix="WRONGTYPE"}`:                                1,
			`synap_errors_total{prefix="ERR"}`:                                      1,
		}},
		{"kv keys and memory", run("SET a 1", "SET b 2", "EXPIRE b 1000", "SELECT 3", "SET c 3", "RPUSH l 1"), map[string]float64{
			`sum:synap_kv_keys_total{`: 4, `synap_kv_keys{db="0"}`: 2, `synap_kv_keys{db="3"}`: 2,
			`redis_db_keys{db="db3"}`: 2, `redis_db_keys_expiring{db="db0"}`: 1,
			`synap_kv_memory_bytes{type="string"}`: math.Inf(1), `synap_kv_memory_bytes{type="list"}`: math.Inf(1),
			`synap_memory_used_bytes`: math.Inf(1),
		}},
		{"hits and misses", run("SET a 1", "GET a", "GET a", "GET missing"), map[string]float64{
			`synap_keyspace_hits_total`: 2, `synap_keyspace_misses_total`: 1,
			`redis_keyspace_hits_total`: 2, `redis_keyspace_misses_total`: 1,
		}},
		{"expired keys", func(t *testing.T, s *Server, c *client) {
			c.do("SET", "a", "1", "PX", "1")
			c.do("SET", "b", "1", "PX", "1")
			eventually(t, "expired", func() bool { return s.store.Expired() == 2 })
		}, map[string]float64{`synap_expired_keys_total`: 2, `redis_expired_keys_total`: 2}},
		{"unknown command", run("NOSUCH a", "CONFIG NOSUCH"), map[string]float64{
			`synap_commands_total{command="unknown",status="rejected"}`: 2, `synap_errors_total{prefix="ERR"}`: 2,
		}},
	}
}

func objectTests() []familyTest {
	return []familyTest{
		{"queues of lists", run("LPUSH q a b", "RPUSH q c", "LPOP q", "RPOP q 5", "LPOP q", "SET s 1", "LPUSH s x", "RPUSH q 1 2 3", "LMOVE q r LEFT LEFT", "LMPOP 2 none q LEFT COUNT 1"), map[string]float64{
			queueOp("q", "publish", "success"): 6, queueOp("q", "consume", "success"): 5,
			queueOp("s", "publish", "error"): 1, queueOp("r", "publish", "success"): 1,
			`synap_queue_depth{queue="q"}`: 1, `synap_queue_depth{queue="r"}`: 1,
			`synap_queue_operation_duration_seconds_count{operation="publish",queue="q"}`: 3,
			`synap_queue_operation_duration_seconds_count{operation="consume",queue="q"}`: 5,
			`synap_queue_operation_duration_seconds_sum{operation="publish",queue="q"}`:   math.Inf(1),
		}},
		{"a blocked consumer", func(t *testing.T, s *Server, c *client) {
			waiting := connect(t, s)
			waiting.send("BLPOP", "other", "jobs", "0")
			eventually(t, "blocked", func() bool { return s.counters.blocked.Load() == 1 })
			c.do("RPUSH", "jobs", "x", "y")
			if got := waiting.read(); got != `["jobs" "x"]` {
				t.Error(got)
			}
		}, map[string]float64{
			queueOp("jobs", "publish", "success"): 2, queueOp("jobs", "consume", "success"): 1,
			queueOp("other", "consume", "success"): 0, `synap_queue_depth{queue="jobs"}`: 1,
		}},
		{"a consumer in vain", run("BLPOP jobs 0.001", "LMOVE nothing jobs LEFT LEFT"), map[string]float64{
			`synap_commands_total{command="blpop",status="success"}`:                         1,
			`synap_queue_operation_duration_seconds_count{operation="consume",queue="jobs"}`: 1,
			`synap_queue_operation_duration_seconds_count{operation="publish",queue="jobs"}`: 0,
			queueOp("jobs", "consume", "success"):                                            0,
		}},
		{"errors inside EXEC", run("SET s x", "MULTI", "LPUSH s 1", "INCR s", "EXEC"), map[string]float64{
			`synap_commands_total{command="exec",status="success"}`: 1, `synap_commands_total{command="exec",status="error"}`: 0,
			`synap_errors_total{prefix="WRONGTYPE"}`: 1, `synap_errors_total{prefix="ERR"}`: 1, queueOp("s", "publish", "error"): 1,
		}},
		{"a reader that an XDEL does not wake", func(t *testing.T, s *Server, c *client) {
			c.do("XADD", "r", "1-1", "a", "b")
			waiting := connect(t, s)
			waiting.send("XREAD", "BLOCK", "0", "STREAMS", "r", "$")
			eventually(t, "blocked", func() bool { return s.counters.blocked.Load() == 1 })
			c.do("XDEL", "r", "1-1")
			c.do("XTRIM", "r", "MAXLEN", "0")
			c.do("XADD", "r", "MAXLEN", "1", "2-1", "a", "b")
			waiting.read()
		}, map[string]float64{`synap_keyspace_hits_total`: 2, roomOp("r", "consume", "success"): 1}},
		{"one name in two databases", run("LPUSH q a", "SELECT 5", "LPUSH q a b"), map[string]float64{
			queueOp("q", "publish", "success"): 3, `synap_queue_depth{queue="q"}`: 3,
		}},
		{"a deleted queue vanishes", run("LPUSH q a b", "DEL q"), map[string]float64{
			queueOp("q", "publish", "success"): 0, `synap_queue_depth{queue="q"}`: 0, queueOp("_other", "publish", "success"): 2,
		}},
		{"streams", run("XADD r 1-1 type joined", "XADD r 1-2 type left who x", "XADD r 1-3 a b", "XRANGE r - +", "XREVRANGE r + - COUNT 1",
			"XREAD COUNT 2 STREAMS r other 0 0", "XDEL r 1-1", "XTRIM r MAXLEN 1", "XADD r 1-1 a b"), map[string]float64{
			roomOp("r", "publish", "success"): 3, roomOp("r", "publish", "error"): 1,
			roomOp("r", "consume", "success"): 6, roomOp("r", "delete", "success"): 1, roomOp("r", "trim", "success"): 1,
			`synap_stream_events_total{event_type="joined",room="r"}`:  1,
			`synap_stream_events_total{event_type="left",room="r"}`:    1,
			`synap_stream_events_total{event_type="message",room="r"}`: 1,
			`synap_stream_buffer_size{room="r"}`:                       1,
			`redis_stream_length{db="db0",stream="r"}`:                 1,
		}},
		{"consumer groups", run("XADD r 1-1 a b", "XADD r 2-1 a b", "XADD r 3-1 a b", "XGROUP CREATE r g 0", "XGROUP CREATE r h $", "XGROUP CREATE r i 2",
			"XREADGROUP GROUP g c COUNT 2 STREAMS r >", "XREADGROUP GROUP g d STREAMS r 0", "XACK r g 1-1 9-9", "XACK nokey g 1-1", "XACK r g x",
			"XCLAIM r g e 0 2-1", "XAUTOCLAIM r g d 0 0", "XREADGROUP GROUP nogroup c STREAMS r >", "XDELEX r IDS 2 3-1 9-1"), map[string]float64{
			roomOp("r", "consume", "success"): 2, roomOp("r", "consume", "error"): 1,
			roomOp("r", "ack", "success"): 1, roomOp("r", "ack", "error"): 1,
			roomOp("r", "claim", "success"): 2, roomOp("r", "delete", "success"): 1,
			`synap_stream_subscribers{room="r"}`:                                           3,
			`synap_stream_group_lag{group="h",room="r"}`:                                   0,
			`redis_stream_group_messages_pending{db="db0",group="g",stream="r"}`:           1,
			`redis_stream_group_messages_pending{db="db0",group="h",stream="r"}`:           0,
			`redis_stream_group_lag{db="db0",group="h",stream="r"}`:                        0,
			`synap_stream_group_lag{group="_other",room="_other"}`:                         0,
			`redis_stream_group_messages_pending{db="db0",group="_other",stream="_other"}`: 0,
		}},
		{"a group behind", run("XADD r 1-1 a b", "XADD r 2-1 a b", "XADD r 3-1 a b", "XGROUP CREATE r g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS r >",
			"SELECT 3", "XADD r 1-1 a b", "XGROUP CREATE r g 0"), map[string]float64{
			`synap_stream_group_lag{group="g",room="r"}`:            3,
			`redis_stream_group_lag{db="db0",group="g",stream="r"}`: 2,
			`redis_stream_group_lag{db="db3",group="g",stream="r"}`: 1,
		}},
		{"stream subscribers", func(t *testing.T, s *Server, c *client) {
			c.do("XADD", "r", "1-1", "a", "b")
			waiting := connect(t, s)
			waiting.send("XREAD", "BLOCK", "0", "STREAMS", "r", "$")
			eventually(t, "blocked", func() bool { return s.counters.blocked.Load() == 1 })
		}, map[string]float64{
			`synap_stream_subscribers{room="r"}`: 1, `synap_blocked_clients`: 1, `redis_blocked_clients`: 1,
			`synap_connections{door="tcp",state="blocked"}`: 1,
		}},
		{"pub/sub", func(t *testing.T, s *Server, c *client) {
			sub := connect(t, s)
			sub.do("SUBSCRIBE", "news")
			sub.do("SUBSCRIBE", "quiet")
			sub.do("PSUBSCRIBE", "n*")
			c.do("PUBLISH", "news", "1")
			c.do("PUBLISH", "news", "2")
			c.do("PUBLISH", "elsewhere", "1")
			c.do("SPUBLISH", "shard", "1")
			c.do("PUBLISH", "news")
		}, map[string]float64{
			pubsubOp("subscribe", "success"): 2, pubsubOp("psubscribe", "success"): 1,
			pubsubOp("publish", "success"): 3, pubsubOp("publish", "error"): 1, pubsubOp("spublish", "success"): 1,
			`synap_pubsub_messages_total{topic="news"}`:        2,
			`synap_pubsub_messages_total{topic="elsewhere"}`:   1,
			`synap_pubsub_messages_total{topic="shard"}`:       1,
			`synap_pubsub_subscriptions{topic="news"}`:         1,
			`synap_pubsub_subscriptions{topic="quiet"}`:        1,
			`synap_connections{door="tcp",state="subscribed"}`: 1,
			`redis_pubsub_channels`:                            2,
			`redis_pubsub_patterns`:                            1,
		}},
	}
}

func operatorTests() []familyTest {
	return []familyTest{
		{"connections", func(t *testing.T, s *Server, _ *client) {
			connect(t, s).do("PING")
			connect(t, s).do("PING")
		}, map[string]float64{
			`synap_connections{door="tcp",state="active"}`: 2, `synap_connections_accepted_total`: 2, `redis_connected_clients`: 2,
			`redis_connections_received_total`: 2,
		}},
		{"rejected connections", func(t *testing.T, s *Server, c *client) {
			c.want("+OK", "CONFIG", "SET", "maxclients", "1")
			if got := connect(t, s).read(); got != "-ERR max number of clients reached" {
				t.Error(got)
			}
		}, map[string]float64{
			`synap_connections_rejected_total{reason="maxclients"}`: 1, `redis_rejected_connections_total`: 1,
			`synap_connections_limit`: -9999, `redis_config_maxclients`: -9999,
		}},
		{"closed for idleness", func(t *testing.T, s *Server, c *client) {
			connect(t, s).do("PING")
			c.want("+OK", "CONFIG", "SET", "timeout", "1")
			eventually(t, "closed", func() bool { return c.do("PING") == "+PONG" && s.admission.Clients() == 1 })
			c.want("+OK", "CONFIG", "SET", "timeout", "0")
		}, map[string]float64{`synap_connections_killed_total{reason="timeout"}`: 1}},
		{"bytes", func(t *testing.T, s *Server, c *client) {
			c.do("PING")
			counted(t, s, 2)
		}, map[string]float64{
			`synap_net_input_bytes_total`: 14, `synap_net_output_bytes_total`: 7,
			`redis_net_input_bytes_total`: 14, `redis_net_output_bytes_total`: 7,
		}},
		{"slow log", run("CONFIG SET slowlog-log-slower-than 0", "PING"), map[string]float64{
			`synap_slowlog_length`: 2, `redis_slowlog_length`: 2, `redis_last_slow_execution_duration_seconds`: math.Inf(1),
		}},
		{"evicted keys", func(t *testing.T, s *Server, c *client) {
			c.want("+OK", "CONFIG", "SET", "maxmemory-policy", "allkeys-random")
			for i := range 200 {
				c.want("+OK", "SET", fmt.Sprint("k", i), strings.Repeat("v", 1000))
			}
			c.want("+OK", "CONFIG", "SET", "maxmemory", "1")
			eventually(t, "evicted", func() bool {
				c.do("SET", "x", "1")
				return s.store.DBSize(0) == 0
			})
		}, map[string]float64{
			`synap_evicted_keys_total{policy="allkeys-random"}`: math.Inf(1), `redis_evicted_keys_total`: math.Inf(1),
			`synap_errors_total{prefix="OOM"}`: math.Inf(1),
		}},
		{"rate limit", func(t *testing.T, s *Server, c *client) {
			c.want("+OK", "CONFIG", "SET", "rate-limit-enabled", "yes", "rate-limit-requests-per-second", "0.01", "rate-limit-burst-size", "3")
			for range 5 {
				c.do("GET", "a")
			}
		}, map[string]float64{
			`synap_ratelimit_decisions_total{action="reject",layer="command"}`: 2, `synap_ratelimit_buckets`: 1,
			`synap_errors_total{prefix="TRYAGAIN"}`: 2, kv("get", "success"): 3, kv("get", "error"): 2,
		}},
		{"side port", func(t *testing.T, s *Server, _ *client) {
			page(t, s, "/healthz", 200)
			page(t, s, "/version", 200)
			page(t, s, "/no/such/page", 404)
		}, map[string]float64{
			`synap_http_requests_total{method="GET",path="/healthz",status="200"}`:    1,
			`synap_http_requests_total{method="GET",path="/version",status="200"}`:    1,
			`synap_http_requests_total{method="GET",path="_other",status="404"}`:      1,
			`synap_http_requests_total{method="GET",path="/metrics",status="200"}`:    1,
			`synap_http_request_duration_seconds_count{method="GET",path="/healthz"}`: 1,
			`synap_http_request_duration_seconds_sum{method="GET",path="/healthz"}`:   math.Inf(1),
		}},
		{"panics", func(_ *testing.T, s *Server, _ *client) { s.counters.panics.Add(1) }, map[string]float64{`synap_panics_total`: 1}},
	}
}

// Each family moves by exactly what was done, through both doors. Infinity
// stands for "rises".
func TestFamiliesMoveExactly(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		for _, test := range familyTests() {
			t.Run(test.name, func(t *testing.T) {
				s := startServer(t, change)
				c := connect(t, s)
				c.do("PING")
				counted(t, s, 1)
				before := scrape(t, s)
				test.act(t, s, c)
				after := scrape(t, s)
				for name, want := range test.delta {
					got := value(after, name) - value(before, name)
					if math.IsInf(want, 1) && got > 0 || got == want {
						continue
					}
					t.Errorf("%s moved by %v, want %v", name, got, want)
				}
			})
		}
	})
}

// counted waits until the door has counted the bytes of n PINGs, which it does
// after it has sent their answers.
func counted(t *testing.T, s *Server, n int64) {
	t.Helper()
	d := s.doors[0].door
	eventually(t, "bytes counted", func() bool { return d.InputBytes() == 14*n && d.OutputBytes() == 7*n })
}

// value reads one series, or the sum of those that begin with what follows
// "sum:".
func value(series map[string]float64, name string) float64 {
	prefix, isSum := strings.CutPrefix(name, "sum:")
	if !isSum {
		return series[name]
	}
	sum := 0.0
	for k, v := range series {
		if strings.HasPrefix(k, prefix) {
			sum += v
		}
	}
	return sum
}

// INFO and /metrics read one snapshot.
func TestInfoEqualsMetrics(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	for i := range 50 {
		c.do("SET", fmt.Sprint("k", i), "v")
	}
	c.do("GET", "k1")
	c.do("GET", "nope")
	c.do("LPUSH", "k1", "x")
	fields := infoFields(c.do("INFO", "everything"))
	got := scrape(t, s)
	for field, name := range map[string]string{
		"connected_clients": "redis_connected_clients", "keyspace_hits": "synap_keyspace_hits_total", "keyspace_misses": "redis_keyspace_misses_total",
		"maxclients": "synap_connections_limit", "maxmemory": "redis_memory_max_bytes", "total_system_memory": "redis_total_system_memory_bytes",
		"total_connections_received": "synap_connections_accepted_total",
		"total_error_replies":        "redis_error_replies_total", "rdb_changes_since_last_save": "redis_rdb_changes_since_last_save",
	} {
		if fields[field] != strconv.FormatFloat(got[name], 'f', -1, 64) {
			t.Errorf("%s:%s in INFO, %s is %v", field, fields[field], name, got[name])
		}
	}
	if fields["db0"] != "keys=50,expires=0,avg_ttl=0" || fields["errorstat_WRONGTYPE"] != "count=1" {
		t.Errorf("db0:%s errorstat_WRONGTYPE:%s", fields["db0"], fields["errorstat_WRONGTYPE"])
	}
	if !regexp.MustCompile(`^calls=50,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=0,failed_calls=0$`).MatchString(fields["cmdstat_set"]) {
		t.Errorf("cmdstat_set:%s", fields["cmdstat_set"])
	}
	if !regexp.MustCompile(`^p50=\d+\.\d{3},p99=\d+\.\d{3},p99.9=\d+\.\d{3}$`).MatchString(fields["latency_percentiles_usec_set"]) {
		t.Errorf("latency_percentiles_usec_set:%s", fields["latency_percentiles_usec_set"])
	}
}

// infoFields reads INFO's reply into its fields; sections go under "# name".
func infoFields(reply string) map[string]string {
	text, _ := strconv.Unquote(reply)
	out := map[string]string{}
	for _, line := range strings.Split(text, "\r\n") {
		if strings.HasPrefix(line, "# ") {
			out[line] = ""
		} else if name, v, ok := strings.Cut(line, ":"); ok {
			out[name] = v
		}
	}
	return out
}

// The fields that the tools of clients.md 1.3 read.
var toolFields = strings.Fields(`redis_version server_name synap_version redis_mode redis_build_id os arch_bits process_id run_id tcp_port
	uptime_in_seconds uptime_in_days hz configured_hz executable config_file
	connected_clients maxclients blocked_clients tracking_clients pubsub_clients watching_clients
	client_recent_max_input_buffer client_recent_max_output_buffer total_blocking_keys
	used_memory used_memory_human used_memory_rss used_memory_peak used_memory_peak_human used_memory_lua used_memory_overhead
	used_memory_dataset used_memory_startup maxmemory maxmemory_human maxmemory_policy total_system_memory mem_fragmentation_ratio
	mem_clients_normal number_of_cached_scripts lazyfree_pending_objects
	loading async_loading rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status rdb_changes_since_last_save
	aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled aof_last_bgrewrite_status aof_last_write_status
	total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes total_net_output_bytes
	instantaneous_input_kbps instantaneous_output_kbps rejected_connections expired_keys evicted_keys keyspace_hits keyspace_misses
	pubsub_channels pubsub_patterns pubsubshard_channels total_error_replies acl_access_denied_auth acl_access_denied_cmd
	role connected_slaves master_replid master_repl_offset repl_backlog_active repl_backlog_size
	used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children cluster_enabled ratelimit_enabled`)

func TestInfoSections(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	c.do("SET", "a", "1")
	all := infoFields(c.do("INFO"))
	for _, field := range toolFields {
		if _, ok := all[field]; !ok {
			t.Errorf("INFO lacks %s", field)
		}
	}
	for _, test := range []struct {
		args     []string
		has, not []string
	}{
		{nil, []string{"# Server", "# Keyspace", "# Errorstats", "# Synap"}, []string{"# Commandstats", "# Latencystats"}},
		{[]string{"default"}, []string{"# Server"}, []string{"# Commandstats"}},
		{[]string{"all"}, []string{"# Commandstats", "# Latencystats", "# Ratelimit"}, nil},
		{[]string{"everything"}, []string{"# Commandstats", "# Server"}, nil},
		{[]string{"SERVER"}, []string{"# Server"}, []string{"# Clients"}},
		{[]string{"cpu", "keyspace", "nosuch"}, []string{"# CPU", "# Keyspace"}, []string{"# Server"}},
		{[]string{"commandstats", "default"}, []string{"# Commandstats", "# Server"}, []string{"# Latencystats"}},
		{[]string{"nosuch"}, nil, []string{"# Server"}},
	} {
		got := infoFields(c.do(append([]string{"INFO"}, test.args...)...))
		for _, h := range test.has {
			if _, ok := got[h]; !ok {
				t.Errorf("INFO %v lacks %s", test.args, h)
			}
		}
		for _, h := range test.not {
			if _, ok := got[h]; ok {
				t.Errorf("INFO %v shows %s", test.args, h)
			}
		}
	}
	c.do("HELLO", "3")
	if got := c.do("INFO", "cluster"); got != `"txt:# Cluster\r\ncluster_enabled:0\r\n"` {
		t.Errorf("RESP3: %s", got)
	}
}

func TestResetStat(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	c.do("GET", "a")
	c.do("LPUSH", "a")
	c.want("+OK", "CONFIG", "RESETSTAT")
	got := infoFields(c.do("INFO", "all"))
	for field, want := range map[string]string{"keyspace_misses": "0", "total_error_replies": "0", "total_commands_processed": "1"} {
		if got[field] != want { // the CONFIG itself is counted after it ran
			t.Errorf("%s:%s, want %s", field, got[field], want)
		}
	}
	if _, ok := got["cmdstat_get"]; ok {
		t.Error("cmdstat_get is still there")
	}
}

// A live scrape of a busy server satisfies promtool but for the asked-for name.
func TestPromtoolOnLiveScrape(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	s := startServer(t, nil)
	c := connect(t, s)
	for _, test := range append(kvTests(), objectTests()...) {
		c.do("FLUSHALL")
		c.do("SELECT", "0")
		if test.name != "expired keys" { // counts from 0
			test.act(t, s, c)
		}
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(page(t, s, "/metrics", 200))
	out, _ := cmd.CombinedOutput() // its status is 3 for the one complaint
	if got, want := strings.TrimSpace(string(out)), `synap_kv_keys_total non-counter metrics should not have "_total" suffix`; got != want {
		t.Errorf("promtool says:\n%s", got)
	}
}

// The limits of names hold over the wire: a hundred thousand lists make a small
// page, and every message is counted once.
func TestManyQueuesOverTheWire(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	const n = 100_000
	go func() {
		for i := range n {
			c.send("LPUSH", "queue:"+strconv.Itoa(i), "x")
		}
	}()
	for range n {
		if got := c.read(); got != ":1" {
			t.Fatal(got)
		}
	}
	body := page(t, s, "/metrics", 200)
	if len(body) > 1<<20 {
		t.Errorf("the page has %d bytes", len(body))
	}
	got := scrape(t, s)
	sum := 0.0
	for name, v := range got {
		if strings.HasPrefix(name, "synap_queue_operations_total{") {
			sum += v
		}
	}
	if sum != n {
		t.Errorf("the queues' messages add up to %v, want %d", sum, n)
	}
	detail := page(t, s, "/metrics/detailed?family=queue&match=queue:9999*", 200)
	if n := strings.Count(detail, "synap_queue_depth{"); n != 11 {
		t.Errorf("%d queues in detail, want 11", n)
	}
}

func TestReadyz(t *testing.T) {
	s := startServer(t, nil)
	page(t, s, "/readyz", 200)
	s.draining.Store(true)
	if got := page(t, s, "/readyz", 503); !strings.Contains(got, "shutting down") {
		t.Error(got)
	}
	page(t, s, "/healthz", 200)
	s.draining.Store(false)
}

// The side port asks the same limiter; /healthz and /metrics never do.
func TestSidePortIsLimited(t *testing.T) {
	s := startServer(t, func(c *config.Config) {
		c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize = true, 0.01, 2
	})
	page(t, s, "/version", 200)
	page(t, s, "/version", 200)
	res, err := http.Get("http://" + s.Addr("http").String() + "/version")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	h := res.Header
	if res.StatusCode != 429 || h.Get("Retry-After") != "100" || h.Get("X-RateLimit-Limit") != "2" || h.Get("X-RateLimit-Remaining") != "0" || h.Get("X-RateLimit-Reset") == "" {
		t.Errorf("status %d, header %v", res.StatusCode, h)
	}
	page(t, s, "/healthz", 200)
	if got := scrape(t, s); got[`synap_ratelimit_decisions_total{action="reject",layer="http"}`] != 1 {
		t.Error("the refusal is not counted")
	}
}

// Two addresses of the loopback network have a bucket each, and a pipeline gets
// exactly one reply a command, in order.
func TestRateLimitByAddress(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startServer(t, func(c *config.Config) {
			change(c)
			c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize = true, 0.01, 10
		})
		for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
			c := connectFrom(t, s, from)
			for i := range 50 {
				c.send("ECHO", strconv.Itoa(i))
			}
			for i := range 50 {
				got := c.read()
				if i < 10 && got != strconv.Quote(strconv.Itoa(i)) || i >= 10 && !regexp.MustCompile(`^-TRYAGAIN rate limit exceeded, retry after \d+ ms$`).MatchString(got) {
					t.Fatalf("%s: reply %d is %s", from, i, got)
				}
			}
		}
	})
}

func connectFrom(t testing.TB, s *Server, from string) *client {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))}
	conn, err := d.Dial("tcp", s.Addr("tcp").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{t, conn, bufio.NewReader(conn)}
}

// With action delay nothing is refused: a pipeline's commands wait for their
// tokens, in order.
func TestDelayedPipelineLosesNothing(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startServer(t, func(c *config.Config) {
			change(c)
			c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize, c.RateLimit.Action = true, 1000, 5, "delay"
		})
		c := connect(t, s)
		for i := range 100 {
			c.send("ECHO", strconv.Itoa(i))
		}
		for i := range 100 {
			if got := c.read(); got != strconv.Quote(strconv.Itoa(i)) {
				t.Fatalf("reply %d is %s", i, got)
			}
		}
		got := scrape(t, s)
		if got[`synap_ratelimit_decisions_total{action="delay",layer="command"}`] == 0 || got[`synap_ratelimit_delay_seconds_count`] == 0 {
			t.Error("the delays are not counted")
		}
	})
}

func TestCloseAnswersOnce(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startServer(t, func(c *config.Config) {
			change(c)
			c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize, c.RateLimit.Action = true, 0.01, 2, "close"
		})
		c := connect(t, s)
		for i := range 10 {
			c.send("ECHO", strconv.Itoa(i))
		}
		for i, want := range []string{`"0"`, `"1"`, "-TRYAGAIN", "closed"} {
			if got := c.read(); !strings.HasPrefix(got, want) {
				t.Errorf("reply %d is %s, want %s", i, got, want)
			}
		}
	})
}

func TestNeverLimitedAndCostBySize(t *testing.T) {
	s := startServer(t, func(c *config.Config) {
		c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize, c.RateLimit.CostBySize = true, 0.01, 10, true
	})
	c := connect(t, s)
	c.do("RPUSH", "l", "x")
	for range 3 {
		c.want("-ERR EXEC without MULTI", "EXEC")
		c.want("+RESET", "RESET")
	}
	c.want("+OK", "SET", "big", strings.Repeat("v", 8*16<<10)) // 1 + 8 tokens
	if got := c.do("GET", "big"); !strings.HasPrefix(got, "-TRYAGAIN") {
		t.Errorf("the eleventh token is there: %.40s", got)
	}
	c.want("-ERR EXEC without MULTI", "EXEC")

	s.limiter.ResetAll()
	for range 3 {
		c.send(append([]string{"RPUSH", "long"}, make([]string, 3000)...)...)
		c.read()
	}
	s.limiter.ResetAll()
	if got := c.do("LRANGE", "long", "0", "-1"); strings.Count(got, `""`) != 9000 { // 1 + 9 tokens
		t.Errorf("LRANGE: %.40s", got)
	}
	if got := c.do("GET", "k"); !strings.HasPrefix(got, "-TRYAGAIN") {
		t.Errorf("the reply's elements were not charged: %.40s", got)
	}
}

func TestConnectionsOfAnAddress(t *testing.T) {
	s := startServer(t, func(c *config.Config) {
		c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize, c.RateLimit.MaxConnections = true, 1000, 1000, 2
	})
	a, b := connectFrom(t, s, "127.0.0.2"), connectFrom(t, s, "127.0.0.2")
	a.want("+PONG", "PING")
	b.want("+PONG", "PING")
	if got := connectFrom(t, s, "127.0.0.2").read(); got != "-ERR max number of connections from your address reached" {
		t.Errorf("the third connection: %s", got)
	}
	connectFrom(t, s, "127.0.0.3").want("+PONG", "PING")
	a.Close()
	eventually(t, "room again", func() bool { return connectFrom(t, s, "127.0.0.2").do("PING") == "+PONG" })
}

// After ten failures in a minute each AUTH of an address waits a second; the
// right password still opens the door.
func TestAuthFailuresSlowDown(t *testing.T) {
	s := startServer(t, func(c *config.Config) {
		c.RequirePass = "secret"
		c.RateLimit.Enabled, c.RateLimit.RequestsPerSecond, c.RateLimit.BurstSize, c.RateLimit.AuthFailuresPerMinute = true, 1000, 1000, 10
	})
	c := connect(t, s)
	for range 10 {
		c.want("-WRONGPASS invalid username-password pair or user is disabled.", "AUTH", "guess")
	}
	start := time.Now()
	c.want("+OK", "AUTH", "secret")
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("AUTH waited %v, want a second", took)
	}
	if got := scrape(t, s); got[`synap_ratelimit_decisions_total{action="delay",layer="auth"}`] != 1 {
		t.Error("the delay is not counted")
	}
}

// A command that serves a blocked client and that client's own are each charged
// their own time: the long push its long one.
func TestServedCommandsAreChargedTheirOwnTime(t *testing.T) {
	s := startServer(t, nil)
	waiting, c := connect(t, s), connect(t, s)
	waiting.send("BLPOP", "jobs", "0")
	eventually(t, "blocked", func() bool { return s.counters.blocked.Load() == 1 })
	push := append([]string{"RPUSH", "jobs"}, slices.Repeat([]string{"job"}, 500_000)...)
	c.want(":500000", push...)
	if got := waiting.read(); got != `["jobs" "job"]` {
		t.Error(got)
	}
	got := scrape(t, s)
	pushed, popped := got[`synap_command_duration_seconds_sum{command="rpush"}`], got[`synap_command_duration_seconds_sum{command="blpop"}`]
	if popped == 0 || pushed < popped {
		t.Errorf("RPUSH is charged %v s, BLPOP %v s", pushed, popped)
	}
}

// BenchmarkAccount is what all metrics cost a command: the clock, the counters,
// the thresholds of slow log and latency monitor and, for LPUSH, the queue's
// row among a hundred thousand.
func BenchmarkAccount(b *testing.B) {
	for _, words := range [][]string{{"GET", "k"}, {"LPUSH", "q", "v"}} {
		for _, names := range []int{1, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", words[0], names), func(b *testing.B) {
				s, x := newQuietSession(b, nil)
				cmd := s.table.Lookup([]byte(words[0]))
				key := []byte("name:00000")
				request := [][]byte{[]byte(words[0]), key, []byte("v")}
				w := x.worker()
				w.begin(s)
				w.ctx.Reset()
				w.ctx.Count(1)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if i%16 == 0 { // a pipeline's worth
						w.tally.Flush()
					}
					for d := len(key) - 1; names > 1 && d >= len("name:"); d-- { // the next of 100,000 names
						if key[d]++; key[d] <= '9' {
							break
						}
						key[d] = '0'
					}
					s.account(w, &w.ctx, x, cmd, request, x.Out(), 0)
				}
			})
		}
	}
}
