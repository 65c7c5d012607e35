package config

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Mode says whether an option can change while the server runs.
type Mode uint8

// Live options follow CONFIG SET and SIGHUP at once. Fixed ones are read at
// start only. Protected ones are Live, but CONFIG SET needs
// enable-protected-configs.
const (
	Live Mode = iota
	Fixed
	Protected
)

func (m Mode) String() string { return [...]string{"live", "at start", "protected"}[m] }

// Option is the whole truth of one option.
type Option struct {
	Name    string // Redis' directive, else Path with dashes; also the flag
	Path    string // place in a YAML file
	Default string // as it would be written in a file
	Mode    Mode
	Help    string
	value   value
}

// Env returns the environment variable that sets the option.
func (o *Option) Env() string {
	return "SYNAP_" + strings.ToUpper(strings.ReplaceAll(o.Name, "-", "_"))
}

// Allowed describes the values that the option takes.
func (o *Option) Allowed() string { return o.value.allowed() }

// Group is a set of options that belong together, for people.
type Group struct {
	Title   string
	Options []*Option
}

// groups is fixed at compile time and never changed.
var groups = []Group{
	{"Network", networkOptions()},
	{"Clients", clientOptions()},
	{"Memory and data", dataOptions()},
	{"Durability", persistenceOptions()},
	{"Queues", queueOptions()},
	{"Server", serverOptions()},
	{"Watching", watchOptions()},
	{"Side port and metrics", sideOptions()},
	{"Tracing", tracingOptions()},
	{"Rate limit by address", rateLimitOptions()},
}

var (
	options = flatten(groups)
	byName  = index(func(o *Option) string { return o.Name })
	byPath  = index(func(o *Option) string { return o.Path })
	byEnv   = index((*Option).Env)
)

// Groups returns every option, in reading order.
func Groups() []Group { return groups }

// Lookup finds an option by its name, in any case.
func Lookup(name string) (*Option, bool) {
	o, ok := byName[strings.ToLower(name)]
	return o, ok
}

func flatten(groups []Group) (all []*Option) {
	for _, g := range groups {
		all = append(all, g.Options...)
	}
	return all
}

func index(key func(*Option) string) map[string]*Option {
	m := make(map[string]*Option, len(options))
	for _, o := range options {
		m[key(o)] = o
	}
	return m
}

const maxInt32 = math.MaxInt32

func networkOptions() []*Option {
	return []*Option{
		{"port", "server.port", "6379", Fixed, "TCP port; 0 = none",
			number[int]{at: func(c *Config) *int { return &c.Port }, max: 65535}},
		{"bind", "server.bind", "127.0.0.1 -::1", Fixed, "addresses to listen on; * = all IPv4, ::* = all IPv6, a leading - forgives a missing one",
			list{at: func(c *Config) *[]string { return &c.Bind }, what: "addresses or host names"}},
		{"unixsocket", "server.unixsocket", "", Fixed, "path of a unix socket",
			text{at: func(c *Config) *string { return &c.UnixSocket }, what: "path"}},
		{"unixsocketperm", "server.unixsocketperm", "0", Fixed, "its file mode; 0 = by the umask",
			fileMode{at: func(c *Config) *uint32 { return &c.UnixSocketPerm }}},
		{"tcp-backlog", "server.tcp_backlog", "511", Fixed, "connections the kernel may keep waiting",
			number[int]{at: func(c *Config) *int { return &c.TCPBacklog }, max: maxInt32}},
		{"protected-mode", "server.protected_mode", "yes", Live, "refuse remote peers while there is no password",
			yesNo{at: func(c *Config) *bool { return &c.ProtectedMode }}},
		{"requirepass", "server.requirepass", "", Live, "password of the default user",
			text{at: func(c *Config) *string { return &c.RequirePass }, what: "text"}},
		{"tls-port", "tls.port", "0", Fixed, "port for TLS; 0 = none",
			number[int]{at: func(c *Config) *int { return &c.TLSPort }, max: 65535}},
		{"tls-cert-file", "tls.cert_file", "", Live, "certificate, PEM",
			text{at: func(c *Config) *string { return &c.TLSCertFile }, what: "path"}},
		{"tls-key-file", "tls.key_file", "", Live, "its private key, PEM",
			text{at: func(c *Config) *string { return &c.TLSKeyFile }, what: "path"}},
		{"tls-ca-cert-file", "tls.ca_cert_file", "", Live, "authorities that client certificates are checked against",
			text{at: func(c *Config) *string { return &c.TLSCACertFile }, what: "path"}},
		{"tls-auth-clients", "tls.auth_clients", "yes", Live, "ask clients for a certificate",
			oneOf{at: func(c *Config) *string { return &c.TLSAuthClients }, list: []string{"yes", "no", "optional"}}},
		{"network-door", "network.door", "auto", Fixed, "who serves plain TCP: the event loops or redcon; auto = loop on Linux",
			oneOf{at: func(c *Config) *string { return &c.NetworkDoor }, list: []string{"auto", "loop", "redcon"}}},
		{"loops", "loops", "0", Fixed, "event loops; 0 = chosen for the machine",
			number[int]{at: func(c *Config) *int { return &c.Loops }, max: 1024}},
		{"proxy-protocol-trusted", "proxy_protocol.trusted", "", Fixed, "proxies: they must send a PROXY header, nobody else may",
			networks{at: func(c *Config) *[]netip.Prefix { return &c.ProxyTrusted }}},
	}
}

func clientOptions() []*Option {
	return []*Option{
		{"maxclients", "server.maxclients", "10000", Live, "connections at once",
			number[int]{at: func(c *Config) *int { return &c.MaxClients }, min: 1, max: maxInt32}},
		{"maxclients-reserved", "maxclients_reserved", "0", Live, "more of them for loopback peers only",
			number[int]{at: func(c *Config) *int { return &c.MaxClientsReserved }, max: maxInt32}},
		{"timeout", "server.timeout", "0", Live, "seconds after which an idle client is closed; 0 = never",
			number[int]{at: func(c *Config) *int { return &c.Timeout }, max: maxInt32}},
		{"tcp-keepalive", "server.tcp_keepalive", "300", Live, "seconds between TCP keep-alive probes; 0 = off",
			number[int]{at: func(c *Config) *int { return &c.TCPKeepAlive }, max: maxInt32}},
		{"client-first-byte-timeout", "client.first_byte_timeout", "10", Live, "seconds in which an unauthenticated client must say something; 0 = for ever",
			number[int]{at: func(c *Config) *int { return &c.ClientFirstByteTimeout }, max: maxInt32}},
		{"client-write-timeout", "client.write_timeout", "60", Live, "seconds after which a client that reads nothing of its reply is closed; 0 = never",
			number[int]{at: func(c *Config) *int { return &c.ClientWriteTimeout }, max: maxInt32}},
		{"client-query-buffer-limit", "client.query_buffer_limit", "1gb", Live, "unprocessed input of one client, its MULTI queue included",
			size[int64]{at: func(c *Config) *int64 { return &c.ClientQueryBufferLimit }, min: 1 << 20, max: math.MaxInt64}},
		{"client-output-buffer-limit", "client.output_buffer_limit", "normal 1gb 256mb 60 replica 256mb 64mb 60 pubsub 32mb 8mb 60", Live, "unread replies of one client; 0 = no limit",
			outputLimits{}},
		{"client-migrate-max-clients", "client.migrate_max_clients", "64", Live, "MIGRATE commands at once",
			number[int]{at: func(c *Config) *int { return &c.MigrateMaxClients }, min: 1, max: maxInt32}},
		{"maxmemory-clients", "memory.maxmemory_clients", "25%", Live, "buffers of all clients together; over it the largest client is closed",
			clientsMemory{}},
		{"proto-max-bulk-len", "proto.max_bulk_len", "512mb", Live, "one argument, and one string value",
			size[int64]{at: func(c *Config) *int64 { return &c.ProtoMaxBulkLen }, min: 1 << 20, max: math.MaxInt32}},
		{"proto-max-args", "proto.max_args", "1048576", Live, "arguments of one request",
			number[int]{at: func(c *Config) *int { return &c.ProtoMaxArgs }, min: 16, max: maxInt32}},
		{"proto-inline-max", "proto.inline_max", "64kb", Live, "one inline request line",
			size[int]{at: func(c *Config) *int { return &c.ProtoInlineMax }, min: 1 << 10, max: 1 << 30}},
		{"proto-header-max", "proto.header_max", "32", Live, "digits in a length line",
			number[int]{at: func(c *Config) *int { return &c.ProtoHeaderMax }, min: 24, max: 64 << 10}},
		{"unauthenticated-max-args", "unauthenticated.max_args", "10", Live, "before AUTH: arguments of one request",
			number[int]{at: func(c *Config) *int { return &c.UnauthenticatedMaxArgs }, min: 4, max: maxInt32}},
		{"unauthenticated-max-bulk-len", "unauthenticated.max_bulk_len", "16kb", Live, "before AUTH: one argument",
			size[int64]{at: func(c *Config) *int64 { return &c.UnauthenticatedMaxBulkLen }, min: 512, max: math.MaxInt32}},
		{"unauthenticated-query-buffer-limit", "unauthenticated.query_buffer_limit", "1mb", Live, "before AUTH: unprocessed input",
			size[int64]{at: func(c *Config) *int64 { return &c.UnauthenticatedQueryBufferMax }, min: 64 << 10, max: math.MaxInt64}},
		{"unauthenticated-output-buffer-limit", "unauthenticated.output_buffer_limit", "64kb", Live, "before AUTH: unread replies",
			size[int64]{at: func(c *Config) *int64 { return &c.UnauthenticatedOutputBufferMax }, min: 4 << 10, max: math.MaxInt64}},
	}
}

func dataOptions() []*Option {
	return []*Option{
		{"databases", "server.databases", "16", Fixed, "numbered databases",
			number[int]{at: func(c *Config) *int { return &c.Databases }, min: 1, max: 4096}},
		{"shards", "shards", "0", Fixed, "lock shards of a database, a power of two; 0 = chosen for the machine",
			shards{number[int]{at: func(c *Config) *int { return &c.Shards }, max: 4096}}},
		{"maxmemory", "memory.maxmemory", "80%", Live, "memory for data and buffers, % = of what the process may use; 0 = no limit",
			size[int64]{at: func(c *Config) *int64 { return &c.MaxMemory }, max: math.MaxInt64, percent: true}},
		{"maxmemory-policy", "memory.maxmemory_policy", "noeviction", Live, "what gives way when it is full",
			oneOf{at: func(c *Config) *string { return &c.MaxMemoryPolicy }, list: []string{"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"}}},
		{"maxmemory-samples", "memory.maxmemory_samples", "5", Live, "keys looked at to evict one",
			number[int]{at: func(c *Config) *int { return &c.MaxMemorySamples }, min: 1, max: 64}},
		{"lfu-log-factor", "memory.lfu_log_factor", "10", Live, "how slowly the LFU counter saturates",
			number[int]{at: func(c *Config) *int { return &c.LFULogFactor }, max: maxInt32}},
		{"lfu-decay-time", "memory.lfu_decay_time", "1", Live, "minutes in which it falls by one; 0 = never",
			number[int]{at: func(c *Config) *int { return &c.LFUDecayTime }, max: maxInt32}},
		{"lazyfree-lazy-user-flush", "memory.lazyfree_lazy_user_flush", "no", Live, "FLUSHDB and FLUSHALL free in the background without ASYNC",
			yesNo{at: func(c *Config) *bool { return &c.LazyfreeLazyUserFlush }}},
		{"notify-keyspace-events", "server.notify_keyspace_events", "", Live, "changes of keys that are published: K by key, E by event, A all classes",
			keyspaceEvents{}},
		{"tracking-table-max-keys", "server.tracking_table_max_keys", "1000000", Live, "keys remembered for CLIENT TRACKING; 0 = no limit",
			number[int64]{at: func(c *Config) *int64 { return &c.TrackingTableMaxKeys }, max: math.MaxInt64}},
		{"list-max-listpack-size", "list.max_listpack_size", "-2", Live, "size of a list node: elements, or -1 to -5 = 4 to 64 KiB",
			number[int]{at: func(c *Config) *int { return &c.ListMaxListpackSize }, min: -5, max: maxInt32}},
		{"hash-max-listpack-entries", "hash.max_listpack_entries", "512", Live, "fields of a hash that is called a listpack",
			number[int]{at: func(c *Config) *int { return &c.Listpack.HashEntries }, max: math.MaxInt}},
		{"hash-max-listpack-value", "hash.max_listpack_value", "64", Live, "bytes of its longest field or value",
			size[int]{at: func(c *Config) *int { return &c.Listpack.HashValue }, max: math.MaxInt}},
		{"set-max-intset-entries", "set.max_intset_entries", "512", Live, "members of a set of integers that is called an intset",
			number[int]{at: func(c *Config) *int { return &c.Listpack.SetIntset }, max: math.MaxInt}},
		{"set-max-listpack-entries", "set.max_listpack_entries", "128", Live, "members of another set that is called a listpack",
			number[int]{at: func(c *Config) *int { return &c.Listpack.SetEntries }, max: math.MaxInt}},
		{"set-max-listpack-value", "set.max_listpack_value", "64", Live, "bytes of its longest member",
			size[int]{at: func(c *Config) *int { return &c.Listpack.SetValue }, max: math.MaxInt}},
		{"zset-max-listpack-entries", "zset.max_listpack_entries", "128", Live, "members of a sorted set that is called a listpack",
			number[int]{at: func(c *Config) *int { return &c.Listpack.ZSetEntries }, max: math.MaxInt}},
		{"zset-max-listpack-value", "zset.max_listpack_value", "64", Live, "bytes of its longest member",
			size[int]{at: func(c *Config) *int { return &c.Listpack.ZSetValue }, max: math.MaxInt}},
		{"hll-sparse-max-bytes", "hyperloglog.sparse_max_bytes", "3000", Live, "size at which a HyperLogLog becomes dense",
			size[int]{at: func(c *Config) *int { return &c.HLLSparseMaxBytes }, max: math.MaxInt}},
		{"stream-node-max-bytes", "stream.node_max_bytes", "4kb", Live, "size of a stream node; 0 = no limit",
			size[int64]{at: func(c *Config) *int64 { return &c.StreamNodeMaxBytes }, max: math.MaxInt32}},
		{"stream-node-max-entries", "stream.node_max_entries", "100", Live, "entries of a stream node; 0 = no limit",
			number[int64]{at: func(c *Config) *int64 { return &c.StreamNodeMaxEntries }, max: math.MaxInt64}},
		{"stream-event-type-field", "stream.event_type_field", "type", Live, "field of an entry that names its event type in the metrics",
			text{at: func(c *Config) *string { return &c.StreamEventTypeField }, what: "text"}},
	}
}

func persistenceOptions() []*Option {
	return []*Option{
		{"appendonly", "persistence.appendonly", "yes", Live, "keep a log of every write",
			yesNo{at: func(c *Config) *bool { return &c.AppendOnly }}},
		{"appendfsync", "persistence.appendfsync", "everysec", Live, "when the log is synced to disk: before each reply, once a second, or as the system likes",
			oneOf{at: func(c *Config) *string { return &c.AppendFsync }, list: []string{"always", "everysec", "no"}}},
		{"appenddirname", "persistence.appenddirname", "appendonlydir", Fixed, "directory of the log's files, within dir",
			text{at: func(c *Config) *string { return &c.AppendDirName }, what: "a name without /", check: fileName}},
		{"appendfilename", "persistence.appendfilename", "appendonly.aof", Fixed, "first part of the names of the log's files",
			text{at: func(c *Config) *string { return &c.AppendFileName }, what: "a name without /", check: fileName}},
		{"aof-load-truncated", "persistence.aof_load_truncated", "yes", Live, "start although the end of the log is cut off, as after a power cut",
			yesNo{at: func(c *Config) *bool { return &c.AOFLoadTruncated }}},
		{"aof-use-rdb-preamble", "persistence.aof_use_rdb_preamble", "yes", Live, "a rewritten log begins with a snapshot; no = with commands, which load more slowly",
			yesNo{at: func(c *Config) *bool { return &c.AOFUseRDBPreamble }}},
		{"auto-aof-rewrite-percentage", "persistence.auto_aof_rewrite_percentage", "100", Live, "rewrite the log when it has grown by so many percent since the last time; 0 = never",
			number[int]{at: func(c *Config) *int { return &c.AutoAOFRewritePercentage }, max: math.MaxInt32}},
		{"auto-aof-rewrite-min-size", "persistence.auto_aof_rewrite_min_size", "64mb", Live, "but not while it is smaller than this",
			size[int64]{at: func(c *Config) *int64 { return &c.AutoAOFRewriteMinSize }, max: math.MaxInt64}},
		{"no-appendfsync-on-rewrite", "persistence.no_appendfsync_on_rewrite", "no", Live, "do not sync the log while a snapshot is written: a power cut may then lose more",
			yesNo{at: func(c *Config) *bool { return &c.NoAppendFsyncOnRewrite }}},
		{"aof-rewrite-incremental-fsync", "persistence.aof_rewrite_incremental_fsync", "yes", Live, "sync a rewritten log every 32 MB, and not all of it at its end",
			yesNo{at: func(c *Config) *bool { return &c.AOFRewriteIncrementalFsync }}},
		{"dbfilename", "persistence.dbfilename", "dump.rdb", Protected, "file of the snapshots, in dir",
			text{at: func(c *Config) *string { return &c.DBFileName }, what: "a name without /", check: fileName}},
		{"save", "persistence.save", "", Live, `write a snapshot after so many seconds if so many keys changed, in pairs; "" = never`,
			saveParams{}},
		{"stop-writes-on-bgsave-error", "persistence.stop_writes_on_bgsave_error", "yes", Live, "refuse writes while snapshots that save asks for fail",
			yesNo{at: func(c *Config) *bool { return &c.StopWritesOnBgsaveError }}},
		{"rdbcompression", "persistence.rdbcompression", "yes", Live, "compress strings in snapshots",
			yesNo{at: func(c *Config) *bool { return &c.RDBCompression }}},
		{"rdbchecksum", "persistence.rdbchecksum", "yes", Fixed, "write and check a checksum of snapshots",
			yesNo{at: func(c *Config) *bool { return &c.RDBChecksum }}},
		{"rdb-save-incremental-fsync", "persistence.rdb_save_incremental_fsync", "yes", Live, "sync a snapshot every 32 MB, and not all of it at its end",
			yesNo{at: func(c *Config) *bool { return &c.RDBSaveIncrementalFsync }}},
	}
}

// fileName refuses what is not the name of a file in its directory.
func fileName(s string) error {
	if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/\x00\n") {
		return reason("argument must be a file name without a path")
	}
	return nil
}

func queueOptions() []*Option {
	return []*Option{
		{"queue-max-depth", "queue.max_depth", "100000", Live, "messages ready, delayed and unacked; 0 = no limit",
			number[int64]{at: func(c *Config) *int64 { return &c.Queue.MaxDepth }, max: math.MaxInt64}},
		{"queue-ack-deadline", "queue.ack_deadline", "30s", Live, "time to acknowledge a message",
			duration{at: func(c *Config) *time.Duration { return &c.Queue.AckDeadline }, min: time.Millisecond}},
		{"queue-retries", "queue.retries", "3", Live, "redeliveries after the first delivery, then a dead letter",
			number[int64]{at: func(c *Config) *int64 { return &c.Queue.Retries }, max: maxInt32}},
		{"queue-priority", "queue.priority", "5", Live, "priority of a message that says none",
			number[int]{at: func(c *Config) *int { return &c.Queue.Priority }, max: 9}},
		{"queue-prefetch", "queue.prefetch", "0", Live, "unacknowledged messages one consumer may hold; 0 = no limit",
			number[int64]{at: func(c *Config) *int64 { return &c.Queue.Prefetch }, max: math.MaxInt64}},
		{"queue-dedup-window", "queue.dedup_window", "5m", Live, "time in which a message with an id seen before is not added again",
			duration{at: func(c *Config) *time.Duration { return &c.Queue.DedupWindow }}},
		{"queue-dlq-max", "queue.dlq_max", "100000", Live, "dead letters kept, the newest; 0 = no limit",
			number[int64]{at: func(c *Config) *int64 { return &c.Queue.DLQMax }, max: math.MaxInt64}},
		{"queue-max-consumers", "queue.max_consumers", "10000", Live, "names of consumers one queue remembers",
			number[int]{at: func(c *Config) *int { return &c.Queue.MaxConsumers }, min: 1, max: maxInt32}},
	}
}

// defaultDir is beside where the server was started.
const defaultDir = "./data"

func serverOptions() []*Option {
	return []*Option{
		{"dir", "server.dir", defaultDir, Protected, "where data is kept; the default is made if it is missing, any other is what relative paths of files refer to",
			directory{}},
		{"hz", "server.hz", "10", Live, "background rounds a second: expiry, timeouts, statistics",
			hz{number[int]{at: func(c *Config) *int { return &c.Hz }, min: 1, max: 500}}},
		{"shutdown-timeout", "server.shutdown_timeout", "10", Live, "seconds that commands in flight get at shutdown",
			number[int]{at: func(c *Config) *int { return &c.ShutdownTimeout }, max: maxInt32}},
		{"enable-debug-command", "server.enable_debug_command", "no", Fixed, "allow DEBUG; local = from loopback only",
			oneOf{at: func(c *Config) *string { return &c.EnableDebugCommand }, list: []string{"no", "yes", "local"}}},
		{"enable-protected-configs", "server.enable_protected_configs", "no", Fixed, "allow CONFIG SET of protected options",
			oneOf{at: func(c *Config) *string { return &c.EnableProtectedConfigs }, list: []string{"no", "yes", "local"}}},
		{"loglevel", "log.level", "notice", Live, "least important message to log",
			oneOf{at: func(c *Config) *string { return &c.LogLevel }, list: []string{"debug", "verbose", "notice", "warning"}}},
		{"logfile", "log.file", "", Fixed, "log file; empty = standard output",
			text{at: func(c *Config) *string { return &c.LogFile }, what: "path"}},
		{"log-format", "log.format", "auto", Fixed, "auto = text on a terminal, else JSON",
			oneOf{at: func(c *Config) *string { return &c.LogFormat }, list: []string{"auto", "text", "json"}}},
	}
}

func watchOptions() []*Option {
	return []*Option{
		{"slowlog-log-slower-than", "slowlog.log_slower_than", "10000", Live, "µs from which a command enters the slow log; -1 = off",
			number[int64]{at: func(c *Config) *int64 { return &c.SlowlogLogSlowerThan }, min: -1, max: math.MaxInt64}},
		{"slowlog-max-len", "slowlog.max_len", "128", Live, "entries kept",
			number[int]{at: func(c *Config) *int { return &c.SlowlogMaxLen }, max: maxInt32}},
		{"latency-monitor-threshold", "latency.monitor_threshold", "0", Live, "ms from which LATENCY keeps an event; 0 = off",
			number[int64]{at: func(c *Config) *int64 { return &c.LatencyMonitorThreshold }, max: math.MaxInt64}},
		{"latency-tracking", "latency.tracking", "yes", Live, "keep a latency histogram of each command",
			yesNo{at: func(c *Config) *bool { return &c.LatencyTracking }}},
		{"latency-tracking-info-percentiles", "latency.tracking_info_percentiles", "50 99 99.9", Live, "percentiles that INFO shows",
			percentiles{}},
	}
}

func sideOptions() []*Option {
	allow := func(what, name string, at func(*Config) *[]string) *Option {
		return &Option{"metrics-allow-" + name, "metrics.allow_" + strings.ReplaceAll(name, "-", "_"), "", Live, what + " that always keep a series of their own",
			list{at: at, what: "glob patterns"}}
	}
	return []*Option{
		{"http-port", "http.port", "15500", Fixed, "side port: /metrics, /healthz, /readyz, /version, /queues; 0 = none",
			number[int]{at: func(c *Config) *int { return &c.HTTPPort }, max: 65535}},
		{"http-bind", "http.bind", "127.0.0.1", Fixed, "its addresses",
			list{at: func(c *Config) *[]string { return &c.HTTPBind }, what: "addresses or host names"}},
		{"http-pprof", "http.pprof", "no", Fixed, "serve /debug/pprof to loopback peers",
			yesNo{at: func(c *Config) *bool { return &c.HTTPPprof }}},
		{"http-admin", "http.admin", "no", Fixed, "let the side port change queues: redrive and purge",
			yesNo{at: func(c *Config) *bool { return &c.HTTPAdmin }}},
		{"http-max-connections", "http.max_connections", "100", Fixed, "connections at once",
			number[int]{at: func(c *Config) *int { return &c.HTTPMaxConnections }, min: 1, max: 65535}},
		{"http-timeout", "http.timeout", "10", Fixed, "seconds for a request and its answer",
			number[int]{at: func(c *Config) *int { return &c.HTTPTimeout }, min: 1, max: 3600}},
		{"metrics-redis-names", "metrics.redis_names", "yes", Live, "also show redis_exporter's names",
			yesNo{at: func(c *Config) *bool { return &c.Metrics.RedisNames }}},
		{"metrics-max-label-values", "metrics.max_label_values", "200", Live, "queues, rooms, topics and event types with a series of their own, each",
			number[int]{at: func(c *Config) *int { return &c.Metrics.MaxLabelValues }, min: 1, max: 100000}},
		{"metrics-list-queues", "metrics.list_queues", "*", Live, "lists that count as queues; empty = none",
			text{at: func(c *Config) *string { return &c.Metrics.ListQueues }, what: "glob pattern"}},
		{"metrics-system-interval", "metrics.system_interval", "60", Live, "seconds between two looks at the process and the host",
			seconds{at: func(c *Config) *time.Duration { return &c.Metrics.SystemInterval }, min: 1, max: 3600}},
		allow("queues", "queues", func(c *Config) *[]string { return &c.Metrics.AllowQueues }),
		allow("rooms", "rooms", func(c *Config) *[]string { return &c.Metrics.AllowRooms }),
		allow("topics", "topics", func(c *Config) *[]string { return &c.Metrics.AllowTopics }),
		allow("event types", "event-types", func(c *Config) *[]string { return &c.Metrics.AllowEvents }),
	}
}

func tracingOptions() []*Option {
	return []*Option{
		{"tracing-endpoint", "tracing.endpoint", "", Fixed, "OpenTelemetry collector that gets the spans, by OTLP over HTTP; empty = no tracing",
			text{at: func(c *Config) *string { return &c.Tracing.Endpoint }, what: "URL such as http://127.0.0.1:4318", check: collectorURL}},
		{"tracing-sample-ratio", "tracing.sample_ratio", "0.01", Live, "share of the commands that become spans; those of the slow log always do",
			real{at: func(c *Config) *float64 { return &c.Tracing.SampleRatio }, max: 1}},
		{"tracing-service-name", "tracing.service_name", "synap", Fixed, "service that the spans belong to",
			text{at: func(c *Config) *string { return &c.Tracing.ServiceName }, what: "text", check: notEmpty}},
		{"tracing-queue-size", "tracing.queue_size", "4096", Fixed, "spans that may wait for the collector; more are dropped and counted",
			number[int]{at: func(c *Config) *int { return &c.Tracing.QueueSize }, min: 1, max: 1 << 20}},
	}
}

// collectorURL refuses what no span could be sent to. A password has no place
// in it: CONFIG GET shows the option.
func collectorURL(s string) error {
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		return reason("argument must be empty or an http or https URL of host, port and path")
	}
	return nil
}

func notEmpty(s string) error {
	if s == "" {
		return reason("argument must not be empty")
	}
	return nil
}

func rateLimitOptions() []*Option {
	return []*Option{
		{"rate-limit-enabled", "rate_limit.enabled", "no", Live, "limit the commands of each client address",
			yesNo{at: func(c *Config) *bool { return &c.RateLimit.Enabled }}},
		{"rate-limit-requests-per-second", "rate_limit.requests_per_second", "1000", Live, "refill, per address",
			real{at: func(c *Config) *float64 { return &c.RateLimit.RequestsPerSecond }, max: 1e9}},
		{"rate-limit-burst-size", "rate_limit.burst_size", "100", Live, "commands that may come at once",
			number[int]{at: func(c *Config) *int { return &c.RateLimit.BurstSize }, max: maxInt32}},
		{"rate-limit-action", "rate_limit.action", "reject", Live, "what happens to a command over the limit",
			oneOf{at: func(c *Config) *string { return &c.RateLimit.Action }, list: []string{"reject", "delay", "close"}}},
		{"rate-limit-dry-run", "rate_limit.dry_run", "no", Live, "count, never act",
			yesNo{at: func(c *Config) *bool { return &c.RateLimit.DryRun }}},
		{"rate-limit-exempt", "rate_limit.exempt", "", Live, "addresses without a limit; unix sockets never have one",
			networks{at: func(c *Config) *[]netip.Prefix { return &c.RateLimit.Exempt }}},
		{"rate-limit-ipv6-prefix", "rate_limit.ipv6_prefix", "64", Live, "bits of an IPv6 address that make one client",
			number[int]{at: func(c *Config) *int { return &c.RateLimit.IPv6Prefix }, min: 1, max: 128}},
		{"rate-limit-connections-per-second", "rate_limit.connections_per_second", "0", Live, "new connections, per address; 0 = no limit",
			number[int]{at: func(c *Config) *int { return &c.RateLimit.ConnectionsPerSecond }, max: 1e6}},
		{"rate-limit-max-connections", "rate_limit.max_connections", "0", Live, "connections at once, per address; 0 = no limit",
			number[int]{at: func(c *Config) *int { return &c.RateLimit.MaxConnections }, max: maxInt32}},
		{"rate-limit-auth-failures-per-minute", "rate_limit.auth_failures_per_minute", "10", Live, "wrong passwords, per address; then each AUTH waits a second; 0 = no limit",
			number[int]{at: func(c *Config) *int { return &c.RateLimit.AuthFailuresPerMinute }, max: 1e6}},
		{"rate-limit-error-prefix", "rate_limit.error_prefix", "TRYAGAIN", Live, "first word of the error reply",
			text{at: func(c *Config) *string { return &c.RateLimit.ErrorPrefix }, what: "one word in capitals", check: errorPrefix}},
		{"rate-limit-cost-by-size", "rate_limit.cost_by_size", "no", Live, "charge large requests and replies for more than one command",
			yesNo{at: func(c *Config) *bool { return &c.RateLimit.CostBySize }}},
	}
}

var capitals = regexp.MustCompile(`^[A-Z]{1,32}$`)

func errorPrefix(s string) error {
	if !capitals.MatchString(s) {
		return reason("argument must be one word of up to 32 capital letters")
	}
	return nil
}

// shards is a number that must be a power of two, or 0.
type shards struct{ number[int] }

func (v shards) set(c *Config, text string) error {
	var t Config
	if err := v.number.set(&t, text); err != nil {
		return err
	}
	n := *v.at(&t)
	if n&(n-1) != 0 {
		return fmt.Errorf("argument must be 0 or a power of two up to %d", v.max)
	}
	*v.at(c) = n
	return nil
}

// hz is clamped into its bounds, as redis-server does.
type hz struct{ number[int] }

func (v hz) set(c *Config, text string) error {
	wide := v.number
	wide.min, wide.max = 0, maxInt32
	if err := wide.set(c, text); err != nil {
		return err
	}
	*v.at(c) = min(max(*v.at(c), v.min), v.max)
	return nil
}

// Names returns the name of every option, sorted.
func Names() []string {
	var names []string
	for _, o := range options {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	return names
}
