package metrics

import "github.com/prometheus/client_golang/prometheus"

// FamilyInfo describes one family, for docs and tests.
type FamilyInfo struct {
	Name, Help string
	Type       string // counter, gauge, histogram
	Labels     []string
	// Waiting names the subject that will move the family, if that is still to come.
	Waiting string
}

// desc is a registered family.
type desc struct {
	*prometheus.Desc
	FamilyInfo
}

func counterDesc(name, help string, labels ...string) *desc {
	return newDesc(name, help, "counter", labels)
}

func gaugeDesc(name, help string, labels ...string) *desc {
	return newDesc(name, help, "gauge", labels)
}

func histogramDesc(name, help string, labels ...string) *desc {
	return newDesc(name, help, "histogram", labels)
}

func newDesc(name, help, kind string, labels []string) *desc {
	return &desc{prometheus.NewDesc(name, help, labels, nil), FamilyInfo{Name: name, Help: help, Type: kind, Labels: labels}}
}

// waiting marks a family whose subject is still to come: it stands at zero.
func (d *desc) waiting(subject string) *desc {
	d.Waiting = subject
	return d
}

// families are Synap's own, in the order of the documentation.
type familyTable struct {
	kvOps, kvDuration, kvKeysTotal, kvKeys, kvMemory *desc

	queueOps, queueDepth, queueDuration, queueDLQ                          *desc
	queueUnacked, queueDelayed, queueConsumers, queueOldest, queueRedelive *desc

	streamOps, streamEvents, streamSubscribers, streamBuffer, streamLag *desc

	pubsubOps, pubsubMessages, pubsubSubscriptions *desc

	replLag, replOps, replBytes *desc

	httpRequests, httpDuration, httpConnections *desc

	processMemory, processCPU, hostMemory, hostLoad *desc

	buildInfo, up, commands, commandDuration *desc

	connections, connectionsTotal, rejected, killed, maxClients *desc
	netIn, netOut, hits, misses, expired, evicted, blocked      *desc
	errors, slowlog, panics, labelsDropped, memory, maxMemory   *desc

	logEnabled, logHealthy, logSize, logBase, logWritten, logUnsynced, logFailures, logSync *desc
	logRewrites, logRewriting, logRewriteTook                                               *desc
	saves, saving, saveTook, saveLast, saveChanges                                          *desc
	loading, loadBytes                                                                      *desc

	limitDecisions, limitDelay, limitBuckets, limitOverflow *desc

	traceExported, traceDropped *desc
}

func newFamilies() *familyTable {
	f := &familyTable{}
	f.objects()
	f.side()
	f.operators()
	f.durability()
	return f
}

func (f *familyTable) objects() {
	f.kvOps = counterDesc("synap_kv_operations_total", "Key-value commands by outcome; a miss is a success.", "operation", "status")
	f.kvDuration = histogramDesc("synap_kv_operation_duration_seconds", "Time of a key-value command from parsed to replied.", "operation")
	f.kvKeysTotal = gaugeDesc("synap_kv_keys_total", "Live keys by shard index, all databases together.", "shard")
	f.kvKeys = gaugeDesc("synap_kv_keys", "Live keys by database.", "db")
	f.kvMemory = gaugeDesc("synap_kv_memory_bytes", "Memory held by values of a type, or by what stands around them.", "type")

	f.queueOps = counterDesc("synap_queue_operations_total", "Messages by queue and operation on success, commands on error.", "queue", "operation", "status")
	f.queueDepth = gaugeDesc("synap_queue_depth", "Messages ready in a queue, or elements of a list.", "queue")
	f.queueDuration = histogramDesc("synap_queue_operation_duration_seconds", "Time of a queue command.", "queue", "operation")
	f.queueDLQ = gaugeDesc("synap_queue_dlq_messages", "Messages now in the dead-letter list.", "queue")
	f.queueUnacked = gaugeDesc("synap_queue_unacked", "Messages delivered and not acknowledged.", "queue")
	f.queueDelayed = gaugeDesc("synap_queue_delayed", "Messages whose time has not come.", "queue")
	f.queueConsumers = gaugeDesc("synap_queue_consumers", "Consumers of a queue.", "queue")
	f.queueOldest = gaugeDesc("synap_queue_oldest_message_age_seconds", "Age of the oldest message ready.", "queue")
	f.queueRedelive = counterDesc("synap_queue_redelivered_total", "Messages delivered again.", "queue")

	f.streamOps = counterDesc("synap_stream_operations_total", "Entries by stream and operation on success, commands on error.", "room", "operation", "status")
	f.streamEvents = counterDesc("synap_stream_events_total", "Entries added, by stream and type of event.", "room", "event_type")
	f.streamSubscribers = gaugeDesc("synap_stream_subscribers", "Clients waiting for a stream and its consumers.", "room")
	f.streamBuffer = gaugeDesc("synap_stream_buffer_size", "Entries held by a stream.", "room")
	f.streamLag = gaugeDesc("synap_stream_group_lag", "Entries a consumer group has not yet been given.", "room", "group")

	f.pubsubOps = counterDesc("synap_pubsub_operations_total", "Pub/sub commands by outcome.", "operation", "status")
	f.pubsubMessages = counterDesc("synap_pubsub_messages_total", "Messages published to a topic.", "topic")
	f.pubsubSubscriptions = gaugeDesc("synap_pubsub_subscriptions", "Live subscriptions of a topic.", "topic")

	f.replLag = gaugeDesc("synap_replication_lag_operations", "Journal operations a replica is behind.", "replica_id").waiting("replication")
	f.replOps = counterDesc("synap_replication_operations_total", "Replication operations by outcome.", "type", "status").waiting("replication")
	f.replBytes = counterDesc("synap_replication_bytes_total", "Bytes of the replication stream.", "direction").waiting("replication")
}

func (f *familyTable) side() {
	f.httpRequests = counterDesc("synap_http_requests_total", "Requests to the side port.", "method", "path", "status")
	f.httpDuration = histogramDesc("synap_http_request_duration_seconds", "Time of a request to the side port.", "method", "path")
	f.httpConnections = gaugeDesc("synap_http_connections", "Connections of the side port.", "type")
	f.processMemory = gaugeDesc("synap_process_memory_bytes", "Resident memory of this process, and the memory it may use.", "type")
	f.processCPU = gaugeDesc("synap_process_cpu_usage_percent", "CPU of this process over a window; 100 is one core.", "window")
	f.hostMemory = gaugeDesc("synap_host_memory_bytes", "Memory of the host.", "type")
	f.hostLoad = gaugeDesc("synap_host_load_average", "Load average of the host.", "window")
}

func (f *familyTable) operators() {
	f.buildInfo = gaugeDesc("synap_build_info", "Always 1; the labels say what is running.", "version", "revision", "goversion")
	f.up = gaugeDesc("synap_uptime_seconds", "Time since the server started.")
	f.commands = counterDesc("synap_commands_total", "Commands by outcome; rejected ones never ran.", "command", "status")
	f.commandDuration = histogramDesc("synap_command_duration_seconds", "Time of a command from parsed to replied.", "command")
	f.connections = gaugeDesc("synap_connections", "Client connections by door and state.", "door", "state")
	f.connectionsTotal = counterDesc("synap_connections_accepted_total", "Client connections accepted.")
	f.rejected = counterDesc("synap_connections_rejected_total", "Client connections refused at the door.", "reason")
	f.killed = counterDesc("synap_connections_killed_total", "Client connections closed by a limit.", "reason")
	f.maxClients = gaugeDesc("synap_connections_limit", "Option maxclients.")
	f.netIn = counterDesc("synap_net_input_bytes_total", "Bytes read from clients.")
	f.netOut = counterDesc("synap_net_output_bytes_total", "Bytes written to clients.")
	f.hits = counterDesc("synap_keyspace_hits_total", "Reads that found their key.")
	f.misses = counterDesc("synap_keyspace_misses_total", "Reads that found no key.")
	f.expired = counterDesc("synap_expired_keys_total", "Keys removed because their time had come.")
	f.evicted = counterDesc("synap_evicted_keys_total", "Keys removed to free memory.", "policy")
	f.blocked = gaugeDesc("synap_blocked_clients", "Clients blocked by a command.")
	f.errors = counterDesc("synap_errors_total", "Error replies by first word.", "prefix")
	f.slowlog = gaugeDesc("synap_slowlog_length", "Entries of the slow log.")
	f.panics = counterDesc("synap_panics_total", "Commands that panicked; each closed its client.")
	f.labelsDropped = counterDesc("synap_metrics_labels_dropped_total", "Times a name was put under _other for lack of room.", "label")
	f.memory = gaugeDesc("synap_memory_used_bytes", "Memory counted against maxmemory.")
	f.maxMemory = gaugeDesc("synap_memory_limit_bytes", "Option maxmemory; 0 is no limit.")
	f.limitDecisions = counterDesc("synap_ratelimit_decisions_total", "Refusals of the rate limiter by layer and what was done.", "layer", "action")
	f.limitDelay = histogramDesc("synap_ratelimit_delay_seconds", "Time that clients were held back by action delay.")
	f.limitBuckets = gaugeDesc("synap_ratelimit_buckets", "Addresses connected or seen within five minutes.")
	f.limitOverflow = counterDesc("synap_ratelimit_overflow_total", "Times an address found the table full and shared the overflow bucket.")
	f.traceExported = counterDesc("synap_trace_spans_exported_total", "Spans that the collector took.")
	f.traceDropped = counterDesc("synap_trace_spans_dropped_total", "Spans lost: the queue was full, or the collector did not take them.", "reason")
}

func (f *familyTable) durability() {
	f.logEnabled = gaugeDesc("synap_aof_enabled", "The log is on.")
	f.logHealthy = gaugeDesc("synap_aof_healthy", "The log takes writes; 0 while the disk refuses them.")
	f.logSize = gaugeDesc("synap_aof_size_bytes", "Bytes of the log's files.")
	f.logBase = gaugeDesc("synap_aof_base_size_bytes", "Bytes of the log's base alone.")
	f.logWritten = counterDesc("synap_aof_written_bytes_total", "Bytes written to the log.")
	f.logUnsynced = gaugeDesc("synap_aof_unsynced_writes", "Writes that a power cut would lose now.")
	f.logFailures = counterDesc("synap_aof_failures_total", "Writes and syncs of the log that failed.")
	f.logSync = histogramDesc("synap_aof_fsync_duration_seconds", "Time of the log's syncs.")
	f.logRewrites = counterDesc("synap_aof_rewrites_total", "Rewrites of the log by outcome.", "status")
	f.logRewriting = gaugeDesc("synap_aof_rewrite_in_progress", "The log is being rewritten.")
	f.logRewriteTook = gaugeDesc("synap_aof_last_rewrite_duration_seconds", "Time of the last rewrite; -1 is none yet.")
	f.saves = counterDesc("synap_snapshot_saves_total", "Snapshots by outcome.", "status")
	f.saving = gaugeDesc("synap_snapshot_in_progress", "A snapshot is being written.")
	f.saveTook = gaugeDesc("synap_snapshot_last_duration_seconds", "Time of the last snapshot; -1 is none yet.")
	f.saveLast = gaugeDesc("synap_snapshot_last_success_timestamp_seconds", "When the last snapshot was written, or the server started, Unix time.")
	f.saveChanges = gaugeDesc("synap_snapshot_changes_since_last", "Changes that are in no snapshot.")
	f.loading = gaugeDesc("synap_loading", "Data is being loaded.")
	f.loadBytes = gaugeDesc("synap_loading_bytes", "Bytes of what was loaded last: all of it, and those read.", "kind")
}

// all lists the families in order.
func (f *familyTable) all() []*desc {
	return []*desc{
		f.kvOps, f.kvDuration, f.kvKeysTotal, f.kvKeys, f.kvMemory,
		f.queueOps, f.queueDepth, f.queueDuration, f.queueDLQ, f.queueUnacked, f.queueDelayed,
		f.queueConsumers, f.queueOldest, f.queueRedelive,
		f.streamOps, f.streamEvents, f.streamSubscribers, f.streamBuffer, f.streamLag,
		f.pubsubOps, f.pubsubMessages, f.pubsubSubscriptions,
		f.replLag, f.replOps, f.replBytes,
		f.httpRequests, f.httpDuration, f.httpConnections,
		f.processMemory, f.processCPU, f.hostMemory, f.hostLoad,
		f.buildInfo, f.up, f.commands, f.commandDuration,
		f.connections, f.connectionsTotal, f.rejected, f.killed, f.maxClients,
		f.netIn, f.netOut, f.hits, f.misses, f.expired, f.evicted, f.blocked,
		f.errors, f.slowlog, f.panics, f.labelsDropped, f.memory, f.maxMemory,
		f.logEnabled, f.logHealthy, f.logSize, f.logBase, f.logWritten, f.logUnsynced, f.logFailures, f.logSync,
		f.logRewrites, f.logRewriting, f.logRewriteTook,
		f.saves, f.saving, f.saveTook, f.saveLast, f.saveChanges, f.loading, f.loadBytes,
		f.limitDecisions, f.limitDelay, f.limitBuckets, f.limitOverflow,
		f.traceExported, f.traceDropped,
	}
}

// Families lists Synap's own families.
func Families() []FamilyInfo {
	var out []FamilyInfo
	for _, d := range newFamilies().all() {
		out = append(out, d.FamilyInfo)
	}
	return out
}
