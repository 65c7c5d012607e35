package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The reliable queues of the load. Those of work are shared by all; their leases
// are longer than the load. Messages of late are left to their deadlines, those of
// quit to the end of the connection that took them.
const (
	works       = 3
	workRetries = 2
	lateQueue   = "late" // one redelivery, then a dead letter
	quitQueue   = "quit"
	sameID      = "same" // published once in each queue of work; again in vain
)

var queueRules = map[string]rule{
	"qpublish":  {object: "queue", op: "publish", moved: messagesPublished},
	"qpublishm": {object: "queue", op: "publish", moved: messagesPublished},
	"qconsume":  {object: "queue", op: "consume", moved: messagesConsumed},
	"qack":      {object: "queue", op: "ack", moved: messagesAcked},
	"qnack":     {object: "queue", op: "nack", moved: messageRefused},
	"qextend": {object: "queue", op: "extend", moved: func(l ledger, r request, got *reply) {
		l.messages(r[1], "extend", int(got.n))
	}},
	"qpurge": {object: "queue", op: "purge", moved: messagesPurged},
	"qdlq":   {object: "queue", op: "publish", moved: lettersMoved},
	"qpeek":  {moved: queueSeen},
	"qstats": {moved: queueSeen},
}

// messages counts n messages that an operation touched.
func (l ledger) messages(queue, op string, n int) {
	l.add(float64(n), "synap_queue_operations_total", "operation", op, "queue", queue, "status", "success")
	l.add(1, "synap_queue_operation_duration_seconds_count", "operation", op, "queue", queue)
}

// holds changes how many messages of a queue are in a state: depth, unacked or
// dlq_messages.
func (l ledger) holds(queue, state string, n int) {
	l.add(float64(n), "synap_queue_"+state, "queue", queue)
}

// died counts one that became a dead letter.
func (l ledger) died(queue string) {
	l.messages(queue, "dead_letter", 1)
	l.holds(queue, "dlq_messages", 1)
}

// A delayed message counts as ready: it is by the end.
func messagesPublished(l ledger, r request, got *reply) {
	n := max(len(got.items), 1)
	if slices.Contains(r, sameID) && r[2] != "first" {
		n = 0
	}
	l.messages(r[1], "publish", n)
	l.holds(r[1], "depth", n)
}

func messagesConsumed(l ledger, r request, got *reply) {
	queue, again := r[1], 0
	l.messages(queue, "consume", len(got.items))
	l.holds(queue, "depth", -len(got.items))
	for i := range got.items {
		first := got.items[i].items[4].n == 1
		if !first {
			again++
		}
		switch {
		case slices.Contains(r, "AUTORELEASE"), queue == lateQueue && first: // it comes back
			l.holds(queue, "depth", 1)
		case queue == lateQueue:
			l.died(queue)
		default:
			l.holds(queue, "unacked", 1)
		}
	}
	if again > 0 {
		l.messages(queue, "redeliver", again)
		l.add(float64(again), "synap_queue_redelivered_total", "queue", queue)
	}
}

func messagesAcked(l ledger, r request, got *reply) {
	l.messages(r[1], "ack", int(got.n))
	l.holds(r[1], "unacked", -int(got.n))
}

func messageRefused(l ledger, r request, got *reply) {
	l.messages(r[1], "nack", int(got.n))
	if got.n == 0 {
		return
	}
	l.holds(r[1], "unacked", -1)
	_, hex, _ := strings.Cut(r[2], "-")
	deliveries, _ := strconv.ParseUint(hex, 16, 32)
	if slices.Contains(r, "DEAD") || deliveries > workRetries {
		l.died(r[1])
		return
	}
	l.holds(r[1], "depth", 1)
}

func messagesPurged(l ledger, r request, got *reply) {
	l.messages(r[1], "purge", int(got.n))
	state := "depth"
	if slices.Contains(r, "DEAD") {
		state = "dlq_messages"
	}
	l.holds(r[1], state, -int(got.n))
}

func lettersMoved(l ledger, r request, got *reply) {
	to, n := r[1], 0
	switch r[2] {
	case "LIST":
		l.hits(1, 0)
	case "PURGE":
		l.holds(to, "dlq_messages", -int(got.n))
	default:
		if i := slices.Index(r, "TO"); i > 0 {
			to = r[i+1]
		}
		n = int(got.n)
		l.holds(r[1], "dlq_messages", -n)
		l.holds(to, "depth", n)
	}
	l.messages(to, "publish", n)
}

func queueSeen(l ledger, _ request, got *reply) {
	if got.failed() {
		l.hits(0, 1)
		return
	}
	l.hits(1, 0)
}

func (w *worker) work() string { return fmt.Sprint("work:", w.rnd.IntN(works)) }

// makeQueues makes those of the load.
func makeQueues() []request {
	all := []request{
		line("QCREATE %s RETRIES 1", lateQueue), line("QCREATE %s RETRIES 4294967294", quitQueue), line("QPUBLISH %s x", quitQueue),
		line("QCREATE full MAXDEPTH 1"), line("QPUBLISH full x"),
	}
	for i := range works {
		all = append(all, line("QCREATE work:%d MAXDEPTH 0 ACKDEADLINE 86400000 RETRIES %d", i, workRetries), line("QPUBLISH work:%d first ID %s", i, sameID))
	}
	return all
}

// heldMessage is one that a worker has taken and not yet decided about.
type heldMessage struct{ queue, receipt string }

// labour publishes messages, takes some, and does with them what can be done.
func labour(w *worker) error {
	var held []heldMessage
	for w.running() {
		var batch []request
		for _, m := range held {
			batch = append(batch, w.decide(m)...)
		}
		for range 1 + w.rnd.IntN(16) {
			batch = append(batch, queueRequest(w))
		}
		got, err := w.do(batch...)
		if err != nil {
			return err
		}
		held = held[:0]
		for i, r := range batch {
			if r[0] != "QCONSUME" {
				continue
			}
			for j := range got[i].items {
				held = append(held, heldMessage{r[1], got[i].items[j].items[1].text})
			}
		}
	}
	return nil
}

// decide makes the requests that end the lease of a message.
func (w *worker) decide(m heldMessage) []request {
	switch w.rnd.IntN(8) {
	case 0:
		return []request{line("QNACK %s %s", m.queue, m.receipt), line("QACK %s %s", m.queue, m.receipt)} // too late
	case 1:
		return []request{line("QNACK %s %s DELAY %d", m.queue, m.receipt, w.rnd.IntN(20))}
	case 2:
		return []request{line("QNACK %s %s DEAD", m.queue, m.receipt)}
	case 3:
		return []request{line("QEXTEND %s %s 86400000", m.queue, m.receipt), line("QACK %s %s %s", m.queue, m.receipt, m.receipt)}
	}
	return []request{line("QACK %s %s", m.queue, m.receipt)}
}

func queueRequest(w *worker) request {
	switch w.rnd.IntN(18) {
	case 0, 1:
		return line("QPUBLISH %s message PRIORITY %d HEADERS 1 a b", w.work(), w.rnd.IntN(10))
	case 2:
		return line("QPUBLISH %s message DELAY %d", w.work(), 1+w.rnd.IntN(30))
	case 3:
		return line("QPUBLISHM %s 3 a b c", w.work())
	case 4:
		return line("QPUBLISH %s again ID %s", w.work(), sameID)
	case 5, 6, 7:
		return line("QCONSUME %s w COUNT %d", w.work(), 1+w.rnd.IntN(9))
	case 8:
		return line("QCONSUME %s w BLOCK 3", w.work())
	case 9:
		return line("QPEEK %s DELAYED", w.work())
	case 10:
		return line("QSTATS %s", w.work())
	case 11:
		return line("QDLQ %s LIST COUNT 3", w.work())
	case 12:
		return line("QDLQ %s REDRIVE COUNT 2 TO %s", w.work(), w.work())
	case 13:
		return line("QDLQ %s REDRIVE COUNT 1", w.work())
	case 14:
		return line("QDLQ %s PURGE", w.work())
	case 15:
		return line("QPURGE %s %s", w.work(), []string{"READY", "DEAD"}[w.rnd.IntN(2)])
	}
	return []request{
		{"QPUBLISH", "text", "x"}, {"QPUBLISH", "full", "x"}, {"QSTATS", "none"}, {"QCONSUME", "text", "w"}, {"QCONSUME", "work:0", ""},
		{"QACK", "work:0", "ffffff-1"}, {"QNACK", "work:0", "none"}, {"QEXTEND", "work:0", "0-0", "5"},
	}[w.rnd.IntN(8)]
}

// latecomer lets the deadline of each message pass twice.
func latecomer(w *worker) error {
	take := line("QCONSUME %s w DEADLINE 5 BLOCK 0", lateQueue)
	for w.running() {
		if _, err := w.do(line("QPUBLISH %s x", lateQueue), take, take); err != nil {
			return err
		}
	}
	return nil
}

// leaver hangs up with a message.
func leaver(w *worker) error {
	for w.running() {
		c, err := dial(w.load.addr, w.from, w.did)
		if err != nil {
			return err
		}
		if _, err := c.do(line("QCONSUME %s w AUTORELEASE", quitQueue), line("QUIT")); err != nil {
			return err
		}
		if err := c.awaitEnd(); err != nil {
			return err
		}
		time.Sleep(time.Duration(w.rnd.IntN(10)) * time.Millisecond)
	}
	return nil
}
