package metrics

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// redisNames shows the same snapshot under the names of redis_exporter, so that
// the stock dashboards and alert rules work without an exporter.
type redisNames struct {
	all    []*desc
	plain  []redisPlain
	quants *prometheus.Desc

	commands, duration, failed, rejected, errors *desc
	keys, expiring, avgTTL, info                 *desc
	streamLength, groupPending, groupLag         *desc
}

// redisPlain is a family without labels.
type redisPlain struct {
	d     *desc
	value func(*Stats) float64
}

func newRedisNames() *redisNames {
	r := &redisNames{}
	labelled := func(kind, name, help string, labels ...string) *desc {
		d := newDesc("redis_"+name, help, kind, labels)
		r.all = append(r.all, d)
		return d
	}
	r.commands = labelled("counter", "commands_total", "Calls by command.", "cmd")
	r.duration = labelled("counter", "commands_duration_seconds_total", "Time of all calls by command.", "cmd")
	r.failed = labelled("counter", "commands_failed_calls_total", "Calls that answered an error, by command.", "cmd")
	r.rejected = labelled("counter", "commands_rejected_calls_total", "Calls refused before they ran, by command.", "cmd")
	r.errors = labelled("counter", "errors_total", "Error replies by first word.", "err")
	r.keys = labelled("gauge", "db_keys", "Keys by database.", "db")
	r.expiring = labelled("gauge", "db_keys_expiring", "Keys that expire, by database.", "db")
	r.avgTTL = labelled("gauge", "db_avg_ttl_seconds", "Mean time to live of the keys that expire, by database.", "db")
	r.info = labelled("gauge", "instance_info", "Always 1; the labels say what is running.",
		"role", "redis_version", "redis_build_id", "redis_mode", "os", "maxmemory_policy", "tcp_port", "run_id", "process_id")
	r.streamLength = labelled("gauge", "stream_length", "Entries of a stream.", "db", "stream")
	r.groupPending = labelled("gauge", "stream_group_messages_pending", "Entries delivered and not acknowledged.", "db", "stream", "group")
	r.groupLag = labelled("gauge", "stream_group_lag", "Entries a group has not yet been given.", "db", "stream", "group")
	r.quants = prometheus.NewDesc("redis_latency_percentiles_usec", "Time of a command in microseconds, by quantile.", []string{"cmd"}, nil)
	r.plain = append(redisGauges(), redisCounters()...)
	for _, p := range r.plain {
		r.all = append(r.all, p.d)
	}
	return r
}

func redisGauges() []redisPlain {
	gauge := func(name, help string, value func(*Stats) float64) redisPlain {
		return redisPlain{gaugeDesc("redis_"+name, help), value}
	}
	return []redisPlain{
		gauge("up", "Always 1: who answers is up.", func(*Stats) float64 { return 1 }),
		gauge("uptime_in_seconds", "Time since the server started.", func(s *Stats) float64 { return float64(s.Server.Uptime()) }),
		gauge("start_time_seconds", "When the server started, Unix time.", func(s *Stats) float64 { return float64(s.Server.Started.Unix()) }),
		gauge("connected_clients", "Client connections.", func(s *Stats) float64 { return float64(s.Clients.Connected) }),
		gauge("blocked_clients", "Clients blocked by a command.", func(s *Stats) float64 { return float64(s.Clients.Blocked) }),
		gauge("connected_slaves", "Replicas connected.", func(*Stats) float64 { return 0 }).waiting("replication"),
		gauge("config_maxclients", "Option maxclients.", func(s *Stats) float64 { return float64(s.Clients.Max) }),
		gauge("memory_used_bytes", "Memory counted against maxmemory.", func(s *Stats) float64 { return float64(s.Memory.Used) }),
		gauge("memory_used_peak_bytes", "The most memory used so far.", func(s *Stats) float64 { return float64(s.Memory.Peak) }),
		gauge("memory_used_rss_bytes", "Resident memory.", func(s *Stats) float64 { return float64(s.Memory.RSS) }),
		gauge("memory_max_bytes", "Option maxmemory.", func(s *Stats) float64 { return float64(s.Memory.Max) }),
		gauge("mem_fragmentation_ratio", "Resident memory by memory used.", fragmentation),
		gauge("total_system_memory_bytes", "Memory of the host.", func(s *Stats) float64 { return float64(s.Memory.Total) }),
		gauge("slowlog_length", "Entries of the slow log.", func(s *Stats) float64 { return float64(s.Slowlog.Length) }),
		gauge("slowlog_last_id", "Id of the newest entry of the slow log.", func(s *Stats) float64 { return float64(s.Slowlog.LastID) }),
		gauge("last_slow_execution_duration_seconds", "Time of the newest entry of the slow log.", func(s *Stats) float64 { return s.Slowlog.Last.Seconds() }),
		gauge("pubsub_channels", "Channels with a subscriber.", func(s *Stats) float64 { return float64(s.Clients.Channels) }),
		gauge("pubsub_patterns", "Patterns with a subscriber.", func(s *Stats) float64 { return float64(s.Clients.Patterns) }),
		gauge("rdb_changes_since_last_save", "Changes since the last snapshot.", func(s *Stats) float64 { return float64(s.Persistence.Changes) }),
		gauge("rdb_bgsave_in_progress", "A snapshot is being written.", func(s *Stats) float64 { return zeroOrOne(s.Persistence.Save.Running) }),
		gauge("rdb_last_bgsave_status", "The last snapshot succeeded.", func(s *Stats) float64 { return zeroOrOne(!s.Persistence.Save.Failed) }),
		gauge("rdb_last_save_timestamp_seconds", "When the last snapshot was written, or the server started, Unix time.", func(s *Stats) float64 { return float64(s.Persistence.Save.Last) }),
		gauge("aof_enabled", "The log is on.", func(s *Stats) float64 { return zeroOrOne(s.Persistence.LogOn) }),
		gauge("aof_rewrite_in_progress", "The log is being rewritten.", func(s *Stats) float64 { return zeroOrOne(s.Persistence.Rewrite.Running) }),
		gauge("aof_last_bgrewrite_status", "The last rewrite of the log succeeded.", func(s *Stats) float64 { return zeroOrOne(!s.Persistence.Rewrite.Failed) }),
		gauge("aof_last_write_status", "The log takes writes.", func(s *Stats) float64 { return zeroOrOne(!s.Persistence.LogFailed) }),
		gauge("aof_current_size_bytes", "Bytes of the log's files.", func(s *Stats) float64 { return float64(s.Persistence.LogSize) }),
		gauge("aof_base_size_bytes", "Bytes of the log's base alone.", func(s *Stats) float64 { return float64(s.Persistence.LogBase) }),
		gauge("loading_dump_file", "Data is being loaded.", func(s *Stats) float64 { return zeroOrOne(s.Persistence.Loading) }),
	}
}

// waiting marks the family as waiting for a subject still to come.
func (p redisPlain) waiting(subject string) redisPlain {
	p.d.waiting(subject)
	return p
}

func fragmentation(s *Stats) float64 {
	return float64(s.Memory.RSS) / float64(max(s.Memory.Used, 1))
}

func redisCounters() []redisPlain {
	counter := func(name, help string, value func(*Stats) float64) redisPlain {
		return redisPlain{counterDesc("redis_"+name, help), value}
	}
	return []redisPlain{
		counter("rdb_saves_total", "Snapshots written.", func(s *Stats) float64 { return float64(s.Persistence.Save.OK) }),
		counter("connections_received_total", "Client connections accepted.", func(s *Stats) float64 { return float64(s.Clients.Accepted) }),
		counter("rejected_connections_total", "Client connections refused.", func(s *Stats) float64 { return float64(s.Clients.Refused()) }),
		counter("commands_processed_total", "Commands run.", func(s *Stats) float64 { return float64(s.Totals.Commands) }),
		counter("keyspace_hits_total", "Reads that found their key.", func(s *Stats) float64 { return float64(s.Totals.Hits) }),
		counter("keyspace_misses_total", "Reads that found no key.", func(s *Stats) float64 { return float64(s.Totals.Misses) }),
		counter("expired_keys_total", "Keys removed because their time had come.", func(s *Stats) float64 { return float64(s.Totals.Expired) }),
		counter("evicted_keys_total", "Keys removed to free memory.", func(s *Stats) float64 { return float64(s.Totals.Evicted) }),
		counter("net_input_bytes_total", "Bytes read from clients.", func(s *Stats) float64 { return float64(s.Totals.InputBytes) }),
		counter("net_output_bytes_total", "Bytes written to clients.", func(s *Stats) float64 { return float64(s.Totals.OutputBytes) }),
		counter("cpu_sys_seconds_total", "CPU time in the kernel.", func(s *Stats) float64 { return s.Process.Sys }),
		counter("cpu_user_seconds_total", "CPU time in the process.", func(s *Stats) float64 { return s.Process.User }),
		counter("error_replies_total", "Error replies.", func(s *Stats) float64 { return float64(s.Totals.ErrorReplies) }),
	}
}

func (r *redisNames) collect(e *emitter, s *Stats) {
	for _, p := range r.plain {
		e.value(p.d, p.value(s))
	}
	for i := range s.Commands {
		r.command(e, &s.Commands[i])
	}
	if len(s.Commands) == 0 {
		r.command(e, &CommandStats{Name: "get"})
	}
	for prefix, n := range s.Errors {
		e.count(r.errors, n, label(prefix))
	}
	e.count(r.errors, 0, other)
	r.databases(e, s)
	v := &s.Server
	e.value(r.info, 1, "master", v.RedisVersion, strings.TrimSpace(v.Version+" "+v.Revision), "standalone", v.OS,
		s.Memory.Policy, strconv.Itoa(v.TCPPort), v.RunID, strconv.Itoa(v.PID))
}

// databases shows every database, as empty ones are told from missing ones.
func (r *redisNames) databases(e *emitter, s *Stats) {
	held := map[int]DBStats{}
	for _, db := range s.Keyspace {
		held[db.DB] = db
	}
	for i := range s.Server.Databases {
		name, db := "db"+strconv.Itoa(i), held[i]
		e.value(r.keys, float64(db.Keys), name)
		e.value(r.expiring, float64(db.Expires), name)
		if db.Expires > 0 {
			e.value(r.avgTTL, float64(db.AvgTTL)/1000, name)
		}
	}
}

// percentiles are the quantiles shown under the redis_exporter's name.
var percentiles = []float64{50, 99, 99.9}

func (r *redisNames) command(e *emitter, c *CommandStats) {
	e.count(r.commands, c.Calls, c.Name)
	e.value(r.duration, float64(c.Sum)/1e9, c.Name)
	e.count(r.failed, c.Failed, c.Name)
	e.count(r.rejected, c.Rejected, c.Name)
	if c.Calls == 0 {
		return
	}
	q := make(map[float64]float64, len(percentiles))
	for _, p := range percentiles {
		q[p] = float64(c.Quantile(p/100)) / 1000
	}
	e.ch <- prometheus.MustNewConstSummary(r.quants, c.Calls, float64(c.Sum)/1000, q, c.Name)
}

// streams shows the lengths of the streams that have series of their own.
func (r *redisNames) streams(e *emitter, rooms []Object, gauges []Gauge) {
	for i := range rooms {
		for _, d := range gauges[i].DBs {
			e.value(r.streamLength, float64(d.Size), "db"+strconv.Itoa(d.DB), rooms[i].Label)
		}
	}
	e.value(r.streamLength, 0, "db0", other)
}
