package config

import (
	"flag"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated documents")

// redisNames are the options whose name is a directive of redis-server, so
// that their place in a YAML file is free.
var redisNames = strings.Fields(`port bind unixsocket unixsocketperm tcp-backlog protected-mode requirepass tls-port
	tls-cert-file tls-key-file tls-ca-cert-file tls-auth-clients maxclients timeout tcp-keepalive client-query-buffer-limit
	client-output-buffer-limit maxmemory-clients proto-max-bulk-len databases maxmemory maxmemory-policy maxmemory-samples
	lfu-log-factor lfu-decay-time lazyfree-lazy-user-flush list-max-listpack-size
	stream-node-max-bytes stream-node-max-entries appendonly save dir hz shutdown-timeout enable-debug-command
	enable-protected-configs loglevel logfile slowlog-log-slower-than slowlog-max-len latency-monitor-threshold
	latency-tracking latency-tracking-info-percentiles hll-sparse-max-bytes notify-keyspace-events tracking-table-max-keys
	appendfsync appenddirname appendfilename aof-load-truncated dbfilename aof-use-rdb-preamble auto-aof-rewrite-percentage
	auto-aof-rewrite-min-size no-appendfsync-on-rewrite aof-rewrite-incremental-fsync stop-writes-on-bgsave-error
	rdbcompression rdbchecksum rdb-save-incremental-fsync`)

func TestRows(t *testing.T) {
	redis := map[string]bool{}
	for _, n := range redisNames {
		redis[n] = true
	}
	if len(byName) != len(options) || len(byPath) != len(options) || len(byEnv) != len(options) {
		t.Errorf("%d rows, but %d names, %d paths, %d variables: something stands twice", len(options), len(byName), len(byPath), len(byEnv))
	}
	for _, o := range options {
		if o.Name != strings.ToLower(o.Name) || o.Path != strings.ToLower(o.Path) || strings.Count(o.Path, ".") > 1 {
			t.Errorf("%s: name and path (%s) must be lower case, the path of one or two parts", o.Name, o.Path)
		}
		if dashed := strings.NewReplacer(".", "-", "_", "-").Replace(o.Path); dashed != o.Name && !redis[o.Name] {
			t.Errorf("%s is not a directive of Redis, so its name must be %s", o.Name, dashed)
		}
		if o.Help == "" || o.Allowed() == "" {
			t.Errorf("%s: help and allowed values must be told", o.Name)
		}
		if strings.HasSuffix(o.Help, ".") {
			t.Errorf("%s: help is a phrase, without a full stop", o.Name)
		}
	}
	for n := range redis {
		if _, ok := byName[n]; !ok {
			t.Errorf("redisNames lists %s, which is no option", n)
		}
	}
}

// What get and file write, set must read back to the same.
func TestValuesReadBack(t *testing.T) {
	c := busy(t)
	for _, o := range options {
		for _, form := range []func(*Config) string{o.value.get, o.value.file} {
			next := *Default()
			if err := o.value.set(&next, form(c)); err != nil {
				t.Errorf("%s does not take its own %q: %v", o.Name, form(c), err)
			} else if got, want := o.value.get(&next), o.value.get(c); got != want {
				t.Errorf("%s: %q reads back as %q", o.Name, want, got)
			}
		}
	}
}

// busy returns a Config in which no option has its default, but for those that
// take nothing else.
func busy(t *testing.T) *Config {
	t.Helper()
	c, _, err := Load(busyArgs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var busyArgs = []string{
	"--port", "7000", "--bind", "10.0.0.1 -::1", "--unixsocket", "/tmp/a b.sock", "--unixsocketperm", "700", "--tcp-backlog", "128",
	"--protected-mode", "no", "--requirepass", `p"a's\s wörd # no`, "--tls-port", "7001", "--tls-cert-file", "c.pem", "--tls-key-file", "k.pem",
	"--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "optional", "--network-door", "redcon", "--loops", "3", "--proxy-protocol-trusted", "10.0.0.0/8 ::1",
	"--maxclients", "50", "--maxclients-reserved", "3", "--timeout", "60", "--tcp-keepalive", "0", "--client-first-byte-timeout", "1", "--client-write-timeout", "2",
	"--client-query-buffer-limit", "3mb", "--client-output-buffer-limit", "normal 1 2 3 slave 4 5 6 pubsub 7 8 9", "--maxmemory-clients", "5mb", "--client-migrate-max-clients", "6",
	"--proto-max-bulk-len", "2mb", "--proto-max-args", "17", "--proto-inline-max", "2000", "--proto-header-max", "40",
	"--unauthenticated-max-args", "5", "--unauthenticated-max-bulk-len", "1k", "--unauthenticated-query-buffer-limit", "100kb", "--unauthenticated-output-buffer-limit", "5kb",
	"--databases", "2", "--shards", "8", "--maxmemory", "1g", "--maxmemory-policy", "ALLKEYS-LRU", "--maxmemory-samples", "6", "--lfu-log-factor", "1", "--lfu-decay-time", "2",
	"--hash-max-listpack-entries", "11", "--hash-max-listpack-value", "12", "--set-max-intset-entries", "13", "--set-max-listpack-entries", "14",
	"--set-max-listpack-value", "15", "--zset-max-listpack-entries", "16", "--zset-max-listpack-value", "17", "--hll-sparse-max-bytes", "18",
	"--notify-keyspace-events", "mKEn$l", "--tracking-table-max-keys", "19",
	"--queue-max-depth", "20", "--queue-ack-deadline", "21ms", "--queue-retries", "22", "--queue-priority", "3", "--queue-prefetch", "24",
	"--queue-dedup-window", "25s", "--queue-dlq-max", "26", "--queue-max-consumers", "27",
	"--lazyfree-lazy-user-flush", "yes", "--list-max-listpack-size", "-1", "--stream-node-max-bytes", "0", "--stream-node-max-entries", "7",
	"--stream-event-type-field", "kind", "--dir", "/tmp", "--hz", "20", "--shutdown-timeout", "1", "--enable-debug-command", "local", "--enable-protected-configs", "yes",
	"--loglevel", "debug", "--logfile", "x.log", "--log-format", "json", "--slowlog-log-slower-than", "-1", "--slowlog-max-len", "5", "--latency-monitor-threshold", "6",
	"--latency-tracking", "no", "--latency-tracking-info-percentiles", "50 99.999", "--http-port", "0", "--http-bind", "::1", "--http-pprof", "yes", "--http-admin", "yes",
	"--http-max-connections", "7", "--http-timeout", "8", "--metrics-redis-names", "no", "--metrics-max-label-values", "9", "--metrics-list-queues", "q:*",
	"--metrics-system-interval", "5", "--metrics-allow-queues", "a* b?", "--metrics-allow-rooms", "r", "--metrics-allow-topics", "t", "--metrics-allow-event-types", "e",
	"--tracing-endpoint", "https://collector:4318/traces", "--tracing-sample-ratio", "0.25", "--tracing-service-name", "cache", "--tracing-queue-size", "10",
	"--rate-limit-enabled", "yes", "--rate-limit-requests-per-second", "0.5", "--rate-limit-burst-size", "3", "--rate-limit-action", "close", "--rate-limit-dry-run", "yes",
	"--rate-limit-exempt", "127.0.0.0/8", "--rate-limit-ipv6-prefix", "48", "--rate-limit-connections-per-second", "4", "--rate-limit-max-connections", "5",
	"--appendonly", "no", "--appendfsync", "always", "--appenddirname", "log", "--appendfilename", "writes", "--aof-load-truncated", "no",
	"--dbfilename", "all.rdb", "--save", "900 1 60 100", "--aof-use-rdb-preamble", "no", "--auto-aof-rewrite-percentage", "50",
	"--auto-aof-rewrite-min-size", "1mb", "--no-appendfsync-on-rewrite", "yes", "--aof-rewrite-incremental-fsync", "no",
	"--stop-writes-on-bgsave-error", "no", "--rdbcompression", "no", "--rdbchecksum", "no", "--rdb-save-incremental-fsync", "no",
	"--rate-limit-auth-failures-per-minute", "6", "--rate-limit-error-prefix", "BUSY", "--rate-limit-cost-by-size", "yes",
}

func TestBusyIsBusy(t *testing.T) {
	c, d := busy(t), Default()
	for _, o := range options {
		if o.value.get(c) == o.value.get(d) {
			t.Errorf("busyArgs leaves %s at its default: add it", o.Name)
		}
	}
	cv, dv := reflect.ValueOf(*c), reflect.ValueOf(*d)
	for i := range cv.NumField() {
		f := cv.Type().Field(i)
		if f.IsExported() && f.Name != "MemoryAllowed" && reflect.DeepEqual(cv.Field(i).Interface(), dv.Field(i).Interface()) {
			t.Errorf("no option sets Config.%s", f.Name)
		}
	}
}

func TestKeyspaceEventLetters(t *testing.T) {
	for given, want := range map[string]string{
		"": "", "KEA": "AKE", "Ex": "xE", "mEnKA": "AnKEm", "dtexzhsl$gK": "AK", "EKgg": "gKE", "tzl": "lzt",
	} {
		c := Default()
		if err := (keyspaceEvents{}).set(c, given); err != nil || c.NotifyKeyspaceEvents != want {
			t.Errorf("%q is kept as %q, %v; want %q", given, c.NotifyKeyspaceEvents, err, want)
		}
	}
	for _, bad := range []string{"KEAq", "a", "K E", "AKé"} {
		if err := (keyspaceEvents{}).set(Default(), bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestHelpIsOneScreen(t *testing.T) {
	lines := strings.Split(Help(), "\n")
	if len(lines) > 60 {
		t.Errorf("--help has %d lines", len(lines))
	}
	for _, l := range lines {
		if len(l) > 100 {
			t.Errorf("too wide: %s", l)
		}
	}
	for _, o := range options {
		if !regexp.MustCompile(` ` + regexp.QuoteMeta(o.Name) + `\b`).MatchString(Help()) {
			t.Errorf("--help does not name %s", o.Name)
		}
	}
}

// TestDocsFresh compares README's tables and synap.example.yml with the rows.
func TestDocsFresh(t *testing.T) {
	const begin, end = "<!-- options: generated by make docs -->\n", "<!-- /options -->"
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(readme), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("README.md has no place for the options: %s … %s", begin, end)
	}
	fresh(t, "../README.md", string(readme), head+begin+Markdown()+end+tail)
	example, err := os.ReadFile("../synap.example.yml")
	if err != nil && !*update {
		t.Fatal(err)
	}
	fresh(t, "../synap.example.yml", string(example), Example())
}

func fresh(t *testing.T, path, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Errorf("%s is stale from line %d on; run: make docs\n have %s\n want %s", path, i+1, strings.Join(g[i:min(i+1, len(g))], ""), strings.Join(w[i:min(i+1, len(w))], ""))
			return
		}
	}
}
