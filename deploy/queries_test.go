package deploy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"synap/config"
	"synap/server"
)

// tool returns the path of a program, or skips the test by name.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed: make test-deps", name)
		}
		t.Skipf("%s is not installed: make test-deps", name)
	}
	return path
}

func TestRules(t *testing.T) {
	promtool := tool(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "alerts.yml"},
		{"check", "config", "--lint=all", "prometheus.yml"},
		{"test", "rules", "alerts_test.yml"},
	} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Every rule has a test in which it fires and one in which it stays silent.
func TestEveryRuleIsTested(t *testing.T) {
	rules, tests := read(t, "alerts.yml"), read(t, "alerts_test.yml")
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		for _, what := range []string{"fires", "stays silent"} {
			if !strings.Contains(tests, "name: "+m[1]+" "+what) {
				t.Errorf("no test in which %s %s", m[1], what)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// start starts a server on free ports.
func start(t *testing.T) *server.Server {
	t.Helper()
	cfg := *config.Default()
	cfg.Port, cfg.HTTPPort, cfg.Bind = 0, 0, []string{"127.0.0.1"}
	cfg.Dir, cfg.AppendOnly, cfg.Save = t.TempDir(), true, nil
	s, err := server.New(server.Options{Config: &cfg, AnyPort: true, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// load sends commands of every kind.
func load(t *testing.T, s *server.Server) {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr("tcp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	lines := []string{
		"SET a 1", "GET a", "GET missing", "LPUSH q 1 2 3", "RPOP q", "XADD room * type joined", "XRANGE room - +",
		"PUBLISH news hello", "SET t 1 PX 1", "LPUSH a x", "NOSUCH", "PING",
	}
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "+PONG\r\n" {
			return
		}
	}
}

// prometheus starts a Prometheus that scrapes s twice a second, under both jobs,
// and returns its address.
func prometheus(t *testing.T, s *server.Server, flags ...string) string {
	t.Helper()
	program := tool(t, "prometheus")
	dir := t.TempDir()
	conf := strings.ReplaceAll(read(t, "prometheus.yml"), "127.0.0.1:15500", s.Addr("http").String())
	conf = strings.NewReplacer("scrape_interval: 15s", "scrape_interval: 500ms", "evaluation_interval: 15s", "evaluation_interval: 500ms",
		"- alerts.yml", "- "+absolute(t, "alerts.yml")).Replace(conf)
	path := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	flags = append(flags, "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--log.level=warn")
	cmd := exec.Command(program, flags...)
	log := &strings.Builder{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(log)
		}
	})
	return addr
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// results asks Prometheus and returns how many series or values came back.
func results(addr, expr string) (int, error) {
	res, err := http.Get("http://" + addr + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("%s", answer.Error)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(answer.Data.Result, &list); err != nil {
		return 0, err
	}
	return len(list), nil
}

// Every query of every panel and rule returns data from a loaded server, and so
// do the queries of the stock dashboard for Redis and of redis-mixin. Classic
// and native histograms serve alike.
func TestQueriesReturnData(t *testing.T) {
	t.Run("classic", func(t *testing.T) { queriesReturnData(t) })
	t.Run("native", func(t *testing.T) {
		s, addr := queriesReturnData(t, "--enable-feature=native-histograms")
		check(t, addr, "native histogram", `histogram_count(synap_kv_operation_duration_seconds{operation="get",job="synap",instance="`+s.Addr("http").String()+`"})`)
	})
}

func queriesReturnData(t *testing.T, flags ...string) (*server.Server, string) {
	s := start(t)
	addr := prometheus(t, s, flags...)
	instance := s.Addr("http").String()
	loadUntil := func(expr string) {
		for end := time.Now().Add(60 * time.Second); ; time.Sleep(200 * time.Millisecond) {
			load(t, s)
			if n, err := results(addr, expr); err == nil && n > 0 {
				return
			} else if time.Now().After(end) {
				t.Fatalf("no data from Prometheus: %s: %v", expr, err)
			}
		}
	}
	loadUntil(`count_over_time(synap_commands_total{command="get",status="success"}[1m]) >= 4`)
	fill := strings.NewReplacer("$job", "synap", "$instance", instance, "$__rate_interval", "1m")
	for _, d := range dashboards() {
		for _, p := range d.panels {
			for _, q := range p.queries {
				check(t, addr, d.title+", "+p.title, fill.Replace(q.expr))
			}
		}
	}
	for name, expr := range ruleSides(t) {
		check(t, addr, name, expr)
	}
	for _, expr := range stockQueries {
		check(t, addr, "stock", strings.NewReplacer("$instance", instance, "$__rate_interval", "1m").Replace(expr))
	}
	if n, err := results(addr, `ALERTS{alertname=~"SynapDown|SynapLogRefused|SynapDiskErrors|SynapSnapshotOld|SynapMemoryNearLimit",alertstate="firing"}`); err != nil || n > 0 {
		t.Errorf("%d alerts fire on a healthy server (%v)", n, err)
	}
	return s, addr
}

func check(t *testing.T, addr, what, expr string) {
	t.Helper()
	if n, err := results(addr, expr); err != nil {
		t.Errorf("%s: %s: %v", what, expr, err)
	} else if n == 0 {
		t.Errorf("%s: %s returns nothing", what, expr)
	}
}

// ruleSides are the rules' expressions without the last comparison, which a
// healthy server does not satisfy.
func ruleSides(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	text := read(t, "alerts.yml")
	block := regexp.MustCompile(`(?m)- alert: (\w+)\n +expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)`)
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		expr := strings.TrimSpace(m[2] + m[3])
		out[m[1]] = regexp.MustCompile(` (>|<|==) [0-9.]+$`).ReplaceAllString(expr, "")
	}
	if want := strings.Count(text, "- alert:"); len(out) != want {
		t.Fatalf("found the expressions of %d rules of %d", len(out), want)
	}
	return out
}

// stockQueries are in the manner of the dashboard 763 and redis-mixin: what
// they select, by the names and labels of redis_exporter.
var stockQueries = []string{
	`max(max_over_time(redis_uptime_in_seconds{instance=~"$instance"}[1m]))`,
	`sum(redis_connected_clients{instance=~"$instance"})`,
	`sum(100 * (redis_memory_used_bytes{instance=~"$instance"} / redis_memory_max_bytes{instance=~"$instance"}))`,
	`sum(rate(redis_commands_processed_total{instance=~"$instance"}[1m])) by (instance)`,
	`irate(redis_keyspace_hits_total{instance=~"$instance"}[1m])`,
	`irate(redis_keyspace_misses_total{instance=~"$instance"}[1m])`,
	`redis_memory_used_bytes{instance=~"$instance"}`,
	`redis_memory_max_bytes{instance=~"$instance"}`,
	`sum(rate(redis_net_input_bytes_total{instance=~"$instance"}[1m]))`,
	`sum(rate(redis_net_output_bytes_total{instance=~"$instance"}[1m]))`,
	`sum(redis_db_keys{instance=~"$instance"}) by (db, instance)`,
	`sum(redis_db_keys{instance=~"$instance"}) by (instance) - sum(redis_db_keys_expiring{instance=~"$instance"}) by (instance)`,
	`sum(redis_db_keys_expiring{instance=~"$instance"}) by (instance)`,
	`sum(rate(redis_expired_keys_total{instance=~"$instance"}[1m])) by (instance)`,
	`sum(rate(redis_evicted_keys_total{instance=~"$instance"}[1m])) by (instance)`,
	`sum(redis_blocked_clients{instance=~"$instance"})`,
	`topk(5, irate(redis_commands_total{instance=~"$instance"}[1m]))`,
	`sum(irate(redis_commands_duration_seconds_total{instance=~"$instance"}[1m])) by (cmd) / sum(irate(redis_commands_total{instance=~"$instance"}[1m])) by (cmd)`,
	`redis_up{job="redis"}`,
	`redis_instance_info{job="redis", role="master"}`,
	`redis_connected_slaves{job="redis"}`,
	`rate(redis_rejected_connections_total{job="redis"}[1m])`,
	`redis_config_maxclients{job="redis"}`,
	`redis_mem_fragmentation_ratio{job="redis"}`,
	`redis_total_system_memory_bytes{job="redis"}`,
	`redis_memory_used_rss_bytes{job="redis"}`,
	`redis_slowlog_length{job="redis"}`,
	`redis_last_slow_execution_duration_seconds{job="redis"}`,
	`redis_errors_total{job="redis", err="WRONGTYPE"}`,
	`redis_latency_percentiles_usec{job="redis", cmd="get", quantile=~"99|99.0"}`,
	`redis_stream_length{job="redis", db="db0", stream="room"}`,
	`redis_start_time_seconds{job="redis"}`,
	`redis_cpu_sys_seconds_total{job="redis"}`,
	`redis_cpu_user_seconds_total{job="redis"}`,
	`redis_rdb_changes_since_last_save{job="redis"}`,
	`redis_aof_enabled{job="redis"}`,
}
