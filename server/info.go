package server

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"synap/command"
	"synap/metrics"
	"synap/store"
)

// infoSection is one section of INFO. Some are shown only on request.
type infoSection struct {
	name   string // as in the heading
	byName bool   // not one of the default sections
	write  func(*infoWriter, *metrics.Stats, *Server)
}

// infoSections is a function because rows refer to it.
func infoSections() []infoSection {
	return []infoSection{
		{name: "Server", write: infoServer},
		{name: "Clients", write: infoClients},
		{name: "Memory", write: infoMemory},
		{name: "Persistence", write: infoPersistence},
		{name: "Stats", write: infoStats},
		{name: "Replication", write: infoReplication},
		{name: "CPU", write: infoCPU},
		{name: "Modules", write: func(*infoWriter, *metrics.Stats, *Server) {}},
		{name: "Commandstats", byName: true, write: infoCommandstats},
		{name: "Errorstats", write: infoErrorstats},
		{name: "Latencystats", byName: true, write: infoLatencystats},
		{name: "Cluster", write: func(w *infoWriter, _ *metrics.Stats, _ *Server) { w.int("cluster_enabled", 0) }},
		{name: "Keyspace", write: infoKeyspace},
		{name: "Synap", write: infoSynap},
		{name: "Queues", write: infoQueues},
		{name: "Ratelimit", write: infoRatelimit},
	}
}

func infoRows() []Row {
	return []Row{{Row: command.Row{
		Name: "info", Usage: "[section [section ...]]", Group: "server", Since: "1.0.0", Complexity: "O(1)", Arity: -1,
		Summary:    "Returns figures about the server, by section.",
		Flags:      command.Loading | command.Stale | command.Walks,
		Categories: []string{"dangerous"},
		Tips:       []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
	}, Session: func(x *Session, c *command.Ctx) { c.Reply.Verbatim(x.srv.info(c.Tx, c.Args[1:])) }}}
}

// info writes the asked-for sections: none asked for means the default ones.
// Names that are no section are passed over.
func (s *Server) info(tx *store.Tx, words [][]byte) string {
	wanted := map[string]bool{}
	all, standard := false, len(words) == 0
	for _, word := range words {
		switch name := strings.ToLower(string(word)); name {
		case "all", "everything":
			all = true
		case "default":
			standard = true
		default:
			wanted[name] = true
		}
	}
	stats := s.statsIn(tx)
	w := &infoWriter{}
	for _, sec := range infoSections() {
		if !all && !(standard && !sec.byName) && !wanted[strings.ToLower(sec.name)] {
			continue
		}
		if len(w.b) > 0 {
			w.b = append(w.b, "\r\n"...)
		}
		w.b = append(append(append(w.b, "# "...), sec.name...), "\r\n"...)
		sec.write(w, &stats, s)
	}
	return string(w.b)
}

// infoWriter appends lines of name:value.
type infoWriter struct{ b []byte }

func (w *infoWriter) text(name, value string) {
	w.b = append(append(append(append(w.b, name...), ':'), value...), "\r\n"...)
}

func (w *infoWriter) int(name string, v int64) { w.text(name, strconv.FormatInt(v, 10)) }

func (w *infoWriter) float(name string, v float64, decimals int) {
	w.text(name, strconv.FormatFloat(v, 'f', decimals, 64))
}

// bytes writes a size twice, the second time for people.
func (w *infoWriter) bytes(name string, v int64) {
	w.int(name, v)
	w.text(name+"_human", humanBytes(v))
}

func (w *infoWriter) percent(name string, part, whole int64) {
	w.text(name, fmt.Sprintf("%.2f%%", percent(part, whole)))
}

// zeros writes fields whose subject does not exist here but which readers of
// INFO look for.
func (w *infoWriter) zeros(names ...string) {
	for _, name := range names {
		w.int(name, 0)
	}
}

// humanBytes writes a size with one letter, as Redis' bytesToHuman.
func humanBytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + "B"
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < 4 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%.2f%c", f, "KMGTP"[unit])
}

func infoServer(w *infoWriter, st *metrics.Stats, s *Server) {
	v := &st.Server
	w.text("redis_version", v.RedisVersion)
	w.text("server_name", "synap")
	w.text("synap_version", v.Version)
	w.text("redis_git_sha1", gitSHA(v.Revision))
	w.text("redis_git_dirty", "0")
	w.text("redis_build_id", buildID(v.Version, v.Revision))
	w.text("redis_mode", "standalone")
	w.text("os", v.OS)
	w.int("arch_bits", strconv.IntSize)
	w.text("monotonic_clock", "Go runtime")
	w.text("multiplexing_api", s.multiplexing())
	w.text("go_version", v.GoVersion)
	w.int("process_id", int64(v.PID))
	w.text("process_supervised", "no")
	w.text("run_id", v.RunID)
	w.int("tcp_port", int64(v.TCPPort))
	w.int("server_time_usec", v.Now.UnixMicro())
	w.int("uptime_in_seconds", v.Uptime())
	w.int("uptime_in_days", v.Uptime()/86400)
	w.int("hz", int64(v.Hz))
	w.int("configured_hz", int64(v.Hz))
	w.int("lru_clock", v.Now.Unix()&(1<<24-1))
	w.text("executable", v.Executable)
	w.text("config_file", v.ConfigFile)
	w.int("io_threads_active", 0)
	for i, d := range s.doors {
		w.text("listener"+strconv.Itoa(i), "name="+d.kind+",bind="+d.addr+",door="+d.door.Name())
	}
}

func gitSHA(revision string) string {
	if len(revision) < 8 {
		return "00000000"
	}
	return revision[:8]
}

// buildID is a hexadecimal number that differs between builds.
func buildID(version, revision string) string {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(version + revision) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return strconv.FormatUint(h, 16)
}

func (s *Server) multiplexing() string {
	if len(s.doors) > 0 && s.doors[0].door.Name() == "loop" {
		return "epoll"
	}
	return "goroutines"
}

func infoClients(w *infoWriter, st *metrics.Stats, s *Server) {
	c := &st.Clients
	w.int("connected_clients", c.Connected)
	w.int("cluster_connections", 0)
	w.int("maxclients", c.Max)
	w.int("client_recent_max_input_buffer", c.RecentMaxInput)
	w.int("client_recent_max_output_buffer", c.RecentMaxOutput)
	w.int("blocked_clients", c.Blocked)
	w.int("tracking_clients", s.tracking.clients.Load())
	w.int("pubsub_clients", c.PubSub)
	w.int("watching_clients", c.Watching)
	w.int("clients_in_timeout_table", c.Blocked)
	w.int("total_watched_keys", c.WatchedKeys)
	w.int("total_blocking_keys", c.BlockingKeys)
	w.int("total_blocking_keys_on_nokey", 0)
}

func infoMemory(w *infoWriter, st *metrics.Stats, _ *Server) {
	m := &st.Memory
	w.bytes("used_memory", m.Used)
	w.bytes("used_memory_rss", m.RSS)
	w.bytes("used_memory_peak", m.Peak)
	w.percent("used_memory_peak_perc", m.Used, m.Peak)
	w.int("used_memory_overhead", m.Overhead)
	w.int("used_memory_startup", m.Startup)
	w.int("used_memory_dataset", m.Dataset)
	w.percent("used_memory_dataset_perc", m.Dataset, max(m.Used-m.Startup, 1))
	w.int("allocator_allocated", m.Used)
	w.int("allocator_active", m.RSS)
	w.int("allocator_resident", m.RSS)
	w.bytes("total_system_memory", m.Total)
	w.bytes("used_memory_lua", 0)
	w.zeros("used_memory_vm_eval", "used_memory_scripts_eval", "number_of_cached_scripts", "number_of_functions",
		"number_of_libraries", "used_memory_vm_functions", "used_memory_vm_total", "used_memory_functions")
	w.bytes("used_memory_scripts", 0)
	w.bytes("maxmemory", m.Max)
	w.text("maxmemory_policy", m.Policy)
	w.float("mem_fragmentation_ratio", ratio(m.RSS, m.Used), 2)
	w.int("mem_fragmentation_bytes", m.RSS-m.Used)
	w.int("mem_not_counted_for_evict", 0)
	w.zeros("mem_replication_backlog", "mem_total_replication_buffers", "mem_clients_slaves")
	w.int("mem_clients_normal", st.Clients.Memory)
	w.zeros("mem_cluster_links", "mem_aof_buffer")
	w.text("mem_allocator", "go")
	w.int("active_defrag_running", 0)
	w.zeros("lazyfree_pending_objects", "lazyfreed_objects")
}

func infoPersistence(w *infoWriter, st *metrics.Stats, s *Server) {
	p, now := &s.persist, s.now()
	flag := func(on bool) int64 {
		if on {
			return 1
		}
		return 0
	}
	status := func(failed bool) string {
		if failed {
			return "err"
		}
		return "ok"
	}
	running := func(r *saveState) int64 {
		if !r.running.Load() {
			return -1
		}
		return now.Unix() - r.started.Load()
	}
	loading := p.loading.Load()
	w.int("loading", flag(loading))
	w.int("async_loading", 0)
	if loading {
		w.int("loading_start_time", p.loadStarted.Load())
		w.int("loading_total_bytes", p.loadTotal.Load())
		w.zeros("loading_rdb_used_mem")
		w.int("loading_loaded_bytes", p.loadDone.Load())
		w.float("loading_loaded_perc", p.loadedPercent(), 2)
		w.int("loading_eta_seconds", p.loadETA(now))
	}
	var keys, total, early int64
	if snapshot := p.current.Load(); snapshot != nil {
		keys, total, early = snapshot.Progress()
	}
	w.int("current_cow_peak", early)
	w.int("current_cow_size", early)
	w.zeros("current_cow_size_age")
	w.float("current_fork_perc", 100*float64(keys)/float64(max(total, 1)), 2)
	w.int("current_save_keys_processed", keys)
	w.int("current_save_keys_total", total)
	w.int("rdb_changes_since_last_save", st.Persistence.Changes)
	w.int("rdb_bgsave_in_progress", flag(p.save.running.Load()))
	w.int("rdb_last_save_time", p.save.last.Load())
	w.text("rdb_last_bgsave_status", status(p.save.failed.Load()))
	w.int("rdb_last_bgsave_time_sec", p.save.took.Load())
	w.int("rdb_current_bgsave_time_sec", running(&p.save))
	w.int("rdb_saves", p.save.count.Load())
	w.int("rdb_last_cow_size", p.save.early.Load())
	w.int("rdb_last_load_keys_expired", p.expired.Load())
	w.int("rdb_last_load_keys_loaded", p.loaded.Load())
	w.int("aof_enabled", flag(p.on.Load()))
	w.int("aof_rewrite_in_progress", flag(p.rewrite.running.Load()))
	w.int("aof_rewrite_scheduled", flag(p.rewrite.due.Load()))
	w.int("aof_last_rewrite_time_sec", p.rewrite.took.Load())
	w.int("aof_current_rewrite_time_sec", running(&p.rewrite))
	w.text("aof_last_bgrewrite_status", status(p.rewrite.failed.Load()))
	w.int("aof_rewrites", p.rewrite.count.Load())
	w.int("aof_rewrites_consecutive_failures", p.rewrite.inARow.Load())
	w.text("aof_last_write_status", status(p.failed.Load()))
	w.int("aof_last_cow_size", p.rewrite.early.Load())
	w.zeros("module_fork_in_progress", "module_fork_last_cow_size")
	if p.on.Load() && p.aof != nil {
		all, base := p.aof.Size()
		w.int("aof_current_size", all)
		w.int("aof_base_size", base)
	}
}

func infoStats(w *infoWriter, st *metrics.Stats, s *Server) {
	t, c := &st.Totals, &st.Clients
	w.int("total_connections_received", c.Accepted)
	w.int("total_commands_processed", int64(t.Commands))
	w.float("instantaneous_ops_per_sec", t.OpsPerSecond, 0)
	w.int("total_net_input_bytes", t.InputBytes)
	w.int("total_net_output_bytes", t.OutputBytes)
	w.zeros("total_net_repl_input_bytes", "total_net_repl_output_bytes")
	w.float("instantaneous_input_kbps", t.InputKbps, 2)
	w.float("instantaneous_output_kbps", t.OutputKbps, 2)
	w.text("instantaneous_input_repl_kbps", "0.00")
	w.text("instantaneous_output_repl_kbps", "0.00")
	w.int("rejected_connections", c.Refused())
	w.int("sync_full", s.persist.dumped.count.Load())
	w.zeros("sync_partial_ok", "sync_partial_err")
	w.int("expired_keys", t.Expired)
	w.int("expired_subkeys", t.ExpiredFields)
	w.text("expired_stale_perc", "0.00")
	w.zeros("expired_time_cap_reached_count", "expire_cycle_cpu_milliseconds")
	w.int("evicted_keys", t.Evicted)
	w.int("evicted_clients", c.Killed["maxmemory_clients"])
	w.zeros("total_eviction_exceeded_time", "current_eviction_exceeded_time")
	w.int("keyspace_hits", t.Hits)
	w.int("keyspace_misses", t.Misses)
	w.int("pubsub_channels", c.Channels)
	w.int("pubsub_patterns", c.Patterns)
	w.int("pubsubshard_channels", c.Shards)
	w.zeros("latest_fork_usec", "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys",
		"active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits", "active_defrag_key_misses",
		"total_active_defrag_time", "current_active_defrag_time",
		"unexpected_error_replies")
	w.int("tracking_total_keys", s.tracking.keys.Load())
	w.int("tracking_total_items", s.tracking.items.Load())
	w.int("tracking_total_prefixes", s.tracking.prefixes.n.Load())
	w.int("total_error_replies", t.ErrorReplies)
	w.int("dump_payload_sanitizations", 0)
	w.int("client_query_buffer_limit_disconnections", c.Killed["query_buffer"])
	w.int("client_output_buffer_limit_disconnections", c.Killed["output_buffer"])
	w.int("acl_access_denied_auth", t.DeniedAuth)
	w.zeros("acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel")
}

func infoReplication(w *infoWriter, st *metrics.Stats, _ *Server) {
	w.text("role", "master")
	w.int("connected_slaves", 0)
	w.text("master_failover_state", "no-failover")
	w.text("master_replid", st.Server.RunID)
	w.text("master_replid2", strings.Repeat("0", 40))
	w.int("master_repl_offset", 0)
	w.int("second_repl_offset", -1)
	w.zeros("repl_backlog_active", "repl_backlog_size", "repl_backlog_first_byte_offset", "repl_backlog_histlen")
}

func infoCPU(w *infoWriter, st *metrics.Stats, _ *Server) {
	w.float("used_cpu_sys", st.Process.Sys, 6)
	w.float("used_cpu_user", st.Process.User, 6)
	w.float("used_cpu_sys_children", 0, 6)
	w.float("used_cpu_user_children", 0, 6)
}

func infoCommandstats(w *infoWriter, st *metrics.Stats, _ *Server) {
	for i := range st.Commands {
		r := &st.Commands[i]
		if r.Name == metrics.UnknownCommand {
			continue // Redis has no line for what is no command
		}
		usec, each := r.Sum/1000, 0.0
		if r.Calls > 0 {
			each = float64(r.Sum) / 1000 / float64(r.Calls)
		}
		w.text("cmdstat_"+r.Name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			r.Calls, usec, each, r.Rejected, r.Failed))
	}
}

func infoErrorstats(w *infoWriter, st *metrics.Stats, _ *Server) {
	prefixes := make([]string, 0, len(st.Errors))
	for p := range st.Errors {
		prefixes = append(prefixes, p)
	}
	slices.Sort(prefixes)
	for _, p := range prefixes {
		w.text("errorstat_"+p, "count="+strconv.FormatUint(st.Errors[p], 10))
	}
}

func infoLatencystats(w *infoWriter, st *metrics.Stats, s *Server) {
	cfg := s.Config()
	if !cfg.LatencyTracking {
		return
	}
	for i := range st.Commands {
		r := &st.Commands[i]
		if r.Calls == 0 || r.Name == metrics.UnknownCommand {
			continue
		}
		var b strings.Builder
		for j, p := range cfg.LatencyTrackingInfoPercentiles {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "p%s=%.3f", strconv.FormatFloat(p, 'f', -1, 64), float64(r.Quantile(p/100))/1000)
		}
		w.text("latency_percentiles_usec_"+r.Name, b.String())
	}
}

func infoKeyspace(w *infoWriter, st *metrics.Stats, _ *Server) {
	for _, db := range st.Keyspace {
		w.text("db"+strconv.Itoa(db.DB), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", db.Keys, db.Expires, db.AvgTTL))
	}
}

func infoSynap(w *infoWriter, st *metrics.Stats, s *Server) {
	w.text("version", st.Server.Version)
	w.text("revision", st.Server.Revision)
	w.int("databases", int64(st.Server.Databases))
	w.int("shards", int64(len(st.ShardKeys)))
	w.int("loops", int64(st.Server.Loops))
	w.int("panics", st.Totals.Panics)
	w.int("memory_allowed", st.Memory.Allowed)
	w.int("slowlog_length", int64(st.Slowlog.Length))
	if a := s.Addr("http"); a != nil {
		w.text("http_address", a.String())
	}
}

func infoRatelimit(w *infoWriter, st *metrics.Stats, _ *Server) {
	l := &st.Limiter
	enabled := int64(0)
	if l.Enabled {
		enabled = 1
	}
	w.int("ratelimit_enabled", enabled)
	w.text("ratelimit_action", l.Action)
	w.int("ratelimit_buckets", int64(l.Buckets))
	w.int("ratelimit_slots", int64(l.Slots))
	w.int("ratelimit_overflow", int64(l.Overflow))
	w.int("ratelimit_refused", int64(l.Refused))
	for _, d := range l.Decisions {
		w.text("ratelimit_"+d.Layer+"_"+d.Action, strconv.FormatUint(d.Count, 10))
	}
}
