// Package deploy holds what runs around Synap: Prometheus, its alert rules and
// the Grafana dashboards. The dashboards are written from the table in this
// file: go test ./deploy -run TestDashboardsAreFresh -update
package deploy

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the dashboards anew")

// panel is one graph: PromQL expressions with their legends.
type panel struct {
	title, unit string
	queries     []query
}

type query struct{ expr, legend string }

type dashboard struct {
	file, title string
	panels      []panel
}

// one is a panel with a single query.
func one(title, unit, expr, legend string) panel {
	return panel{title, unit, []query{{expr, legend}}}
}

const i = `{job="$job", instance="$instance"}`

// with adds label matchers to the common ones.
func with(matchers string) string {
	return `{job="$job", instance="$instance", ` + matchers + `}`
}

// quantiles are the p50, p99 and p99.9 of a histogram by a label: of its classic
// buckets, or of the native ones where Prometheus takes those instead.
func quantiles(title, metric, by string) panel {
	p := panel{title: title, unit: "s"}
	for _, q := range []string{"0.5", "0.99", "0.999"} {
		p.queries = append(p.queries, query{
			fmt.Sprintf("histogram_quantile(%[1]s, sum by (%[2]s, le) (rate(%[3]s_bucket%[4]s[$__rate_interval]))) or histogram_quantile(%[1]s, sum by (%[2]s) (rate(%[3]s%[4]s[$__rate_interval])))",
				q, by, metric, i),
			"{{" + by + "}} p" + q[2:],
		})
	}
	return p
}

func rate(metric string) string { return "rate(" + metric + i + "[$__rate_interval])" }

func sumRate(by, metric string) string { return "sum by (" + by + ") (" + rate(metric) + ")" }

func dashboards() []dashboard {
	return append([]dashboard{overview(), kv(), queues(), streams()}, pubsub(), limits(), durability(), replication(), process())
}

func overview() dashboard {
	return dashboard{"overview", "Synap / Overview", []panel{
		one("Up", "none", "up"+i, "up"),
		one("Uptime", "s", "synap_uptime_seconds"+i, "uptime"),
		one("Version", "none", "synap_build_info"+i, "{{version}} {{revision}} {{goversion}}"),
		one("Commands", "ops", "sum("+rate("synap_commands_total")+")", "commands"),
		one("Commands by outcome", "ops", sumRate("status", "synap_commands_total"), "{{status}}"),
		one("Busiest commands", "ops", "topk(10, "+sumRate("command", "synap_commands_total")+")", "{{command}}"),
		quantiles("Time of commands", "synap_command_duration_seconds", "command"),
		one("Connections", "short", "sum by (door, state) (synap_connections"+i+")", "{{door}} {{state}}"),
		{"Network", "Bps", []query{{rate("synap_net_input_bytes_total"), "in"}, {rate("synap_net_output_bytes_total"), "out"}}},
		{"Memory", "bytes", []query{
			{"synap_memory_used_bytes" + i, "used"}, {"synap_memory_limit_bytes" + i, "limit"},
			{"synap_process_memory_bytes" + with(`type="used"`), "resident"},
		}},
		one("Errors", "ops", sumRate("prefix", "synap_errors_total"), "{{prefix}}"),
		one("Connections rejected", "ops", sumRate("reason", "synap_connections_rejected_total"), "{{reason}}"),
	}}
}

func kv() dashboard {
	hits := rate("synap_keyspace_hits_total")
	return dashboard{"kv", "Synap / Keys and values", []panel{
		one("Operations", "ops", sumRate("operation", "synap_kv_operations_total"), "{{operation}}"),
		one("Failed operations", "ops", "sum by (operation) (rate(synap_kv_operations_total"+with(`status="error"`)+"[$__rate_interval]))", "{{operation}}"),
		quantiles("Time of operations", "synap_kv_operation_duration_seconds", "operation"),
		one("Keys by database", "short", "synap_kv_keys"+i, "db{{db}}"),
		{"Keys by shard", "short", []query{
			{"max(synap_kv_keys_total" + i + ")", "fullest"}, {"avg(synap_kv_keys_total" + i + ")", "mean"}, {"min(synap_kv_keys_total" + i + ")", "emptiest"},
		}},
		one("Memory by type", "bytes", "synap_kv_memory_bytes"+i, "{{type}}"),
		one("Share of hits", "percentunit", hits+" / ("+hits+" + "+rate("synap_keyspace_misses_total")+" > 0)", "hits"),
		{"Keys removed", "ops", []query{
			{rate("synap_expired_keys_total"), "expired"}, {rate("synap_evicted_keys_total"), "evicted ({{policy}})"},
		}},
	}}
}

func queues() dashboard {
	return dashboard{"queues", "Synap / Queues", []panel{
		one("Messages published", "ops", "sum by (queue) (rate(synap_queue_operations_total"+with(`operation="publish", status="success"`)+"[$__rate_interval]))", "{{queue}}"),
		one("Messages consumed", "ops", "sum by (queue) (rate(synap_queue_operations_total"+with(`operation="consume", status="success"`)+"[$__rate_interval]))", "{{queue}}"),
		one("Operations", "ops", sumRate("operation, status", "synap_queue_operations_total"), "{{operation}} {{status}}"),
		one("Depth", "short", "topk(20, synap_queue_depth"+i+")", "{{queue}}"),
		quantiles("Time of operations", "synap_queue_operation_duration_seconds", "operation"),
		one("Unacknowledged", "short", "synap_queue_unacked"+i, "{{queue}}"),
		one("Delayed", "short", "synap_queue_delayed"+i, "{{queue}}"),
		one("Age of the oldest message", "s", "synap_queue_oldest_message_age_seconds"+i, "{{queue}}"),
		one("Dead letters", "short", "synap_queue_dlq_messages"+i, "{{queue}}"),
		one("Redelivered", "ops", rate("synap_queue_redelivered_total"), "{{queue}}"),
		one("Consumers", "short", "synap_queue_consumers"+i, "{{queue}}"),
		one("Names left out", "ops", sumRate("label", "synap_metrics_labels_dropped_total"), "{{label}}"),
	}}
}

func streams() dashboard {
	return dashboard{"streams", "Synap / Streams", []panel{
		one("Events", "ops", sumRate("room", "synap_stream_events_total"), "{{room}}"),
		one("Events by type", "ops", sumRate("event_type", "synap_stream_events_total"), "{{event_type}}"),
		one("Operations", "ops", sumRate("operation, status", "synap_stream_operations_total"), "{{operation}} {{status}}"),
		one("Entries held", "short", "topk(20, synap_stream_buffer_size"+i+")", "{{room}}"),
		one("Subscribers", "short", "topk(20, synap_stream_subscribers"+i+")", "{{room}}"),
		one("Lag of groups", "short", "synap_stream_group_lag"+i, "{{room}} {{group}}"),
	}}
}

func pubsub() dashboard {
	return dashboard{"pubsub", "Synap / Pub/sub", []panel{
		one("Messages", "ops", "topk(20, "+sumRate("topic", "synap_pubsub_messages_total")+")", "{{topic}}"),
		one("Operations", "ops", sumRate("operation, status", "synap_pubsub_operations_total"), "{{operation}} {{status}}"),
		one("Subscriptions", "short", "topk(20, synap_pubsub_subscriptions"+i+")", "{{topic}}"),
		one("Channels and patterns", "short", "redis_pubsub_channels"+i+" + redis_pubsub_patterns"+i, "names"),
		one("Subscribers closed", "ops", "rate(synap_connections_killed_total"+with(`reason="output_buffer"`)+"[$__rate_interval])", "{{reason}}"),
	}}
}

func limits() dashboard {
	return dashboard{"limits", "Synap / Limits", []panel{
		one("Decisions of the rate limiter", "ops", sumRate("layer, action", "synap_ratelimit_decisions_total"), "{{layer}} {{action}}"),
		one("Delays, mean", "s", rate("synap_ratelimit_delay_seconds_sum")+" / clamp_min("+rate("synap_ratelimit_delay_seconds_count")+", 1e-9)", "delay"),
		{"Addresses", "short", []query{{"synap_ratelimit_buckets" + i, "buckets"}, {"synap_ratelimit_overflow_total" + i, "overflow"}}},
		one("Connections rejected", "ops", sumRate("reason", "synap_connections_rejected_total"), "{{reason}}"),
		one("Connections closed by a limit", "ops", sumRate("reason", "synap_connections_killed_total"), "{{reason}}"),
		{"Connections", "short", []query{{"sum(synap_connections" + i + ")", "open"}, {"synap_connections_limit" + i, "maxclients"}}},
		one("Blocked clients", "short", "synap_blocked_clients"+i, "blocked"),
	}}
}

func replication() dashboard {
	return dashboard{"replication", "Synap / Replication", []panel{
		one("Lag", "short", "synap_replication_lag_operations"+i, "{{replica_id}}"),
		one("Operations", "ops", sumRate("type, status", "synap_replication_operations_total"), "{{type}} {{status}}"),
		one("Bytes", "Bps", sumRate("direction", "synap_replication_bytes_total"), "{{direction}}"),
		one("Replicas", "short", "redis_connected_slaves"+i, "replicas"),
	}}
}

func durability() dashboard {
	sync := panel{title: "Time of a sync", unit: "s"}
	for _, q := range []string{"0.5", "0.99", "0.999"} {
		sync.queries = append(sync.queries, query{
			"histogram_quantile(" + q + ", sum by (le) (rate(synap_aof_fsync_duration_seconds_bucket" + i + "[$__rate_interval])))", "p" + q[2:],
		})
	}
	return dashboard{"durability", "Synap / Durability", []panel{
		{"Log", "short", []query{{"synap_aof_enabled" + i, "on"}, {"synap_aof_healthy" + i, "takes writes"}}},
		one("Failures", "short", "increase(synap_aof_failures_total"+i+"[$__rate_interval])", "failures"),
		one("Written", "Bps", rate("synap_aof_written_bytes_total"), "written"),
		{"Size of the log", "bytes", []query{{"synap_aof_size_bytes" + i, "all"}, {"synap_aof_base_size_bytes" + i, "base"}}},
		sync,
		one("Syncs", "ops", rate("synap_aof_fsync_duration_seconds_count"), "syncs"),
		one("Writes not yet synced", "short", "synap_aof_unsynced_writes"+i, "writes"),
		one("Rewrites", "short", "synap_aof_rewrites_total"+i, "{{status}}"),
		{"Running", "short", []query{
			{"synap_aof_rewrite_in_progress" + i, "rewrite"}, {"synap_snapshot_in_progress" + i, "snapshot"}, {"synap_loading" + i, "loading"},
		}},
		one("Age of the last snapshot", "s", "time() - synap_snapshot_last_success_timestamp_seconds"+i, "age"),
		one("Changes since the last snapshot", "short", "synap_snapshot_changes_since_last"+i, "changes"),
		one("Snapshots", "short", "synap_snapshot_saves_total"+i, "{{status}}"),
		{"Time of the last", "s", []query{{"synap_snapshot_last_duration_seconds" + i, "snapshot"}, {"synap_aof_last_rewrite_duration_seconds" + i, "rewrite"}}},
		one("Loaded last", "bytes", "synap_loading_bytes"+i, "{{kind}}"),
	}}
}

func process() dashboard {
	return dashboard{"process", "Synap / Process and host", []panel{
		one("CPU", "percent", "synap_process_cpu_usage_percent"+i, "{{window}}"),
		one("Memory of the process", "bytes", "synap_process_memory_bytes"+i, "{{type}}"),
		one("Memory of the host", "bytes", "synap_host_memory_bytes"+i, "{{type}}"),
		one("Load of the host", "short", "synap_host_load_average"+i, "{{window}}"),
		one("Goroutines", "short", "go_goroutines"+i, "goroutines"),
		one("Go heap", "bytes", "go_memstats_heap_inuse_bytes"+i, "in use"),
		one("Collections", "s", rate("go_gc_duration_seconds_sum"), "pause"),
		one("Open files", "short", "process_open_fds"+i, "open"),
		one("Side port, requests", "ops", sumRate("path, status", "synap_http_requests_total"), "{{path}} {{status}}"),
		quantiles("Side port, time", "synap_http_request_duration_seconds", "path"),
		one("Side port, connections", "short", "synap_http_connections"+i, "{{type}}"),
		one("Slow log", "short", "synap_slowlog_length"+i, "entries"),
		one("Panics", "ops", rate("synap_panics_total"), "panics"),
	}}
}

// variable is a choice at the head of a dashboard.
func variable(name, expr string) map[string]any {
	return map[string]any{
		"name": name, "type": "query", "query": expr, "refresh": 2,
		"datasource": map[string]string{"type": "prometheus", "uid": "${datasource}"},
	}
}

// render makes Grafana's JSON: two panels a row.
func (d dashboard) render() ([]byte, error) {
	const width, height = 12, 8
	panels := []any{}
	for n, p := range d.panels {
		targets := []any{}
		for k, q := range p.queries {
			targets = append(targets, map[string]any{"refId": string(rune('A' + k)), "expr": q.expr, "legendFormat": q.legend})
		}
		panels = append(panels, map[string]any{
			"id": n + 1, "title": p.title, "type": "timeseries", "targets": targets,
			"datasource":  map[string]string{"type": "prometheus", "uid": "${datasource}"},
			"gridPos":     map[string]int{"x": n % 2 * width, "y": n / 2 * height, "w": width, "h": height},
			"fieldConfig": map[string]any{"defaults": map[string]any{"unit": p.unit, "min": 0}, "overrides": []any{}},
		})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(map[string]any{
		"uid": "synap-" + d.file, "title": d.title, "tags": []string{"synap"}, "schemaVersion": 39, "version": 1,
		"time": map[string]string{"from": "now-1h", "to": "now"}, "refresh": "15s", "panels": panels,
		"templating": map[string]any{"list": []any{
			map[string]any{"name": "datasource", "type": "datasource", "query": "prometheus"},
			variable("job", "label_values(synap_build_info, job)"),
			variable("instance", `label_values(synap_build_info{job="$job"}, instance)`),
		}},
	})
	return b.Bytes(), err
}

func TestDashboardsAreFresh(t *testing.T) {
	for _, d := range dashboards() {
		want, err := d.render()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("grafana", "dashboards", d.file+".json")
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the table says (%v): go test ./deploy -run TestDashboardsAreFresh -update", path, err)
		}
	}
}
