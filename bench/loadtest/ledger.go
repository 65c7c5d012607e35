package main

import (
	"slices"
	"strconv"
	"strings"
)

// ledger is what the load generator knows of the metrics: values by series, as
// the text format writes them, labels in alphabetical order.
type ledger map[string]float64

// add adds n to a series; labels are pairs of name and value in alphabetical
// order.
func (l ledger) add(n float64, family string, labels ...string) {
	l[series(family, labels...)] += n
}

func series(family string, labels ...string) string {
	if len(labels) == 0 {
		return family
	}
	var b strings.Builder
	b.WriteString(family)
	for i := 0; i < len(labels); i += 2 {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(labels[i] + "=" + strconv.Quote(labels[i+1]))
	}
	b.WriteByte('}')
	return b.String()
}

func (l ledger) merge(other ledger) {
	for k, v := range other {
		l[k] += v
	}
}

// rule says what a command counts beside its call.
type rule struct {
	kv     bool // as a key-value operation
	pubsub bool
	// error is entered when the command ran and failed: the object's family,
	// key and operation are those of its first argument.
	object, op string
	moved      func(l ledger, r request, got *reply)
}

// rules of every command that the load sends, but for those of reliable queues
// (queueRules). A command without one counts as a call only.
var rules = map[string]rule{
	"set": {kv: true, moved: func(l ledger, r request, _ *reply) {
		if len(r) == 5 && r[3] == "PX" { // the load sets short times only to let keys expire
			l.add(1, "synap_expired_keys_total")
		}
	}},
	"get":         {kv: true, moved: lookedUp},
	"strlen":      {kv: true, moved: lookedUp},
	"mget":        {kv: true, moved: lookedUp},
	"exists":      {kv: true, moved: lookedUp},
	"append":      {kv: true},
	"incr":        {kv: true},
	"del":         {kv: true},
	"cl.throttle": {kv: true},

	"lpush":  {object: "queue", op: "publish", moved: pushed},
	"rpush":  {object: "queue", op: "publish", moved: pushed},
	"lpop":   {object: "queue", op: "consume", moved: popped},
	"rpop":   {object: "queue", op: "consume", moved: popped},
	"blpop":  {object: "queue", op: "consume", moved: poppedFromAny},
	"lmove":  {object: "queue", op: "consume", moved: listMoved},
	"blmove": {object: "queue", op: "consume", moved: listMoved},
	"llen":   {moved: lookedUp},
	"lrange": {moved: lookedUp},

	"xadd":      {object: "room", op: "publish", moved: entryAdded},
	"xdel":      {object: "room", op: "delete", moved: entriesChanged("delete")},
	"xtrim":     {object: "room", op: "trim", moved: entriesChanged("trim")},
	"xrange":    {object: "room", op: "consume", moved: entriesRead},
	"xrevrange": {object: "room", op: "consume", moved: entriesRead},
	"xread":     {moved: roomsRead},
	"xlen":      {moved: lookedUp},

	"publish":      {pubsub: true, moved: published},
	"spublish":     {pubsub: true, moved: published},
	"subscribe":    {pubsub: true},
	"psubscribe":   {pubsub: true},
	"ssubscribe":   {pubsub: true},
	"unsubscribe":  {pubsub: true},
	"punsubscribe": {pubsub: true},
	"sunsubscribe": {pubsub: true},
}

// enter judges a request by its reply.
func (l ledger) enter(r request, got *reply) {
	name, status := strings.ToLower(r[0]), "success"
	if got.failed() {
		status = "error"
		prefix, _, _ := strings.Cut(got.text, " ")
		l.add(1, "synap_errors_total", "prefix", prefix)
		if refused(got.text) {
			status = "rejected"
		}
		if strings.HasPrefix(got.text, "TRYAGAIN ") {
			l.add(1, "synap_ratelimit_decisions_total", "action", "reject", "layer", "command")
		}
	}
	rule, ok := rules[name]
	if !ok {
		rule = queueRules[name]
	}
	if strings.HasPrefix(got.text, "ERR unknown command") {
		name = "unknown"
	}
	l.called(name, status, &rule)
	switch {
	case status == "rejected":
	case status == "error":
		if rule.object != "" {
			l.failed(&rule, r[1])
		}
		if rule.moved != nil && rule.object == "" && !rule.pubsub {
			rule.moved(l, r, got)
		}
	case rule.moved != nil:
		rule.moved(l, r, got)
	}
}

// refused tells whether an error means that the command did not run.
func refused(text string) bool {
	return slices.ContainsFunc([]string{"TRYAGAIN ", "ERR unknown command", "ERR wrong number of arguments"}, func(p string) bool {
		return strings.HasPrefix(text, p)
	})
}

// called counts a call by command and, if it is one, as a key-value or pub/sub
// operation.
func (l ledger) called(name, status string, rule *rule) {
	l.add(1, "synap_commands_total", "command", name, "status", status)
	outcome := status
	if status == "rejected" {
		outcome = "error"
	} else {
		l.add(1, "redis_commands_processed_total")
		l.add(1, "synap_command_duration_seconds_count", "command", name)
	}
	if rule.kv {
		l.add(1, "synap_kv_operations_total", "operation", name, "status", outcome)
		if status != "rejected" {
			l.add(1, "synap_kv_operation_duration_seconds_count", "operation", name)
		}
	}
	if rule.pubsub {
		l.add(1, "synap_pubsub_operations_total", "operation", name, "status", outcome)
	}
}

// failed counts an error on a list or stream.
func (l ledger) failed(rule *rule, key string) {
	if rule.object == "room" {
		l.add(1, "synap_stream_operations_total", "operation", rule.op, "room", key, "status", "error")
		return
	}
	l.add(1, "synap_queue_operations_total", "operation", rule.op, "queue", key, "status", "error")
	l.add(1, "synap_queue_operation_duration_seconds_count", "operation", rule.op, "queue", key)
}

// lookedUp counts the keys that a command read: found or not.
func lookedUp(l ledger, r request, got *reply) {
	keys, hits := 1, 1
	switch strings.ToLower(r[0]) {
	case "mget":
		keys, hits = len(r)-1, 0
		for i := range got.items {
			if !got.items[i].null || r[i+1] == "list" { // found, though no string
				hits++
			}
		}
	case "exists":
		keys, hits = len(r)-1, int(got.n)
	case "lrange":
		hits = min(len(got.items), 1) // the load asks for the head: an empty list is none
	case "strlen", "llen":
		hits = int(min(got.n, 1)) // the load stores nothing empty
	default:
		if got.null {
			hits = 0
		}
	}
	l.hits(hits, keys-hits)
}

func (l ledger) hits(hits, misses int) {
	l.add(float64(hits), "synap_keyspace_hits_total")
	l.add(float64(misses), "synap_keyspace_misses_total")
}

// queue counts n messages that one command moved.
func (l ledger) queue(key, op string, n int) {
	l.add(float64(n), "synap_queue_operations_total", "operation", op, "queue", key, "status", "success")
	l.add(1, "synap_queue_operation_duration_seconds_count", "operation", op, "queue", key)
	if op == "consume" {
		n = -n
	}
	l.add(float64(n), "synap_queue_depth", "queue", key)
}

func pushed(l ledger, r request, _ *reply) { l.queue(r[1], "publish", len(r)-2) }

func popped(l ledger, r request, got *reply) {
	n := len(got.items)
	if len(r) == 2 && !got.null {
		n = 1
	}
	l.queue(r[1], "consume", n)
}

func poppedFromAny(l ledger, r request, got *reply) {
	if got.null {
		l.queue(r[1], "consume", 0)
		return
	}
	l.queue(got.first(), "consume", 1)
}

func listMoved(l ledger, r request, got *reply) {
	n := 1
	if got.null {
		n = 0
	}
	l.queue(r[1], "consume", n)
	if n > 0 {
		l.queue(r[2], "publish", n)
	}
}

// room counts n entries that a command moved.
func (l ledger) room(key, op string, n int) {
	l.add(float64(n), "synap_stream_operations_total", "operation", op, "room", key, "status", "success")
}

func entryAdded(l ledger, r request, _ *reply) {
	l.room(r[1], "publish", 1)
	event := "message"
	if i := slices.Index(r, "type"); i > 0 {
		event = r[i+1]
	}
	l.add(1, "synap_stream_events_total", "event_type", event, "room", r[1])
	l.add(1, "synap_stream_buffer_size", "room", r[1])
}

// entriesChanged counts entries that went.
func entriesChanged(op string) func(ledger, request, *reply) {
	return func(l ledger, r request, got *reply) {
		l.room(r[1], op, int(got.n))
		l.add(float64(-got.n), "synap_stream_buffer_size", "room", r[1])
	}
}

func entriesRead(l ledger, r request, got *reply) {
	l.room(r[1], "consume", len(got.items))
	l.hits(1, 0) // the load makes its streams at first and never deletes them
}

// roomsRead counts the streams of XREAD, which have IDs behind them. One that
// waited was looked up twice if it was served, once by its request and once by
// the entry that ended its wait.
func roomsRead(l ledger, r request, got *reply) {
	from := slices.Index(r, "STREAMS") + 1
	rooms := r[from : from+(len(r)-from)/2]
	times := 1
	if slices.Contains(rooms, waitedRoom) && !got.null {
		times = 2
	}
	l.hits(times*len(rooms), 0)
	for i := range got.items {
		l.room(got.items[i].first(), "consume", len(got.items[i].items[1].items))
	}
	if got.null {
		l.room(rooms[0], "consume", 0)
	}
}

func published(l ledger, r request, got *reply) {
	l.add(1, "synap_pubsub_messages_total", "topic", r[1])
	l.add(float64(got.n), delivered)
}

// No metrics: the messages that PUBLISH said it delivered, and those that the
// subscribers got.
const (
	delivered = "messages delivered"
	received  = "messages received"
)

// waitedRoom is the stream whose readers always wait.
const waitedRoom = "room:waited"
