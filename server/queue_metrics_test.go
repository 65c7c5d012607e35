package server

import (
	"math"
	"strings"
	"testing"
)

// queueTests are those of reliable queues.
func queueTests() []familyTest {
	gauge := func(family string) string { return "synap_queue_" + family + `{queue="q"}` }
	took := func(op string) string {
		return `synap_queue_operation_duration_seconds_count{operation="` + op + `",queue="q"}`
	}
	return []familyTest{
		{"reliable queues", func(t *testing.T, s *Server, c *client) {
			run("QCREATE q RETRIES 1 BACKOFF 0", "QPUBLISH q 1 ID a", "QPUBLISH q 1 ID a", "QPUBLISHM q 4 2 3 4 5", "QPUBLISH q late DELAY 100000",
				"QCONSUME q w1 COUNT 4", "QCONSUME q w2", "QCONSUME q w2", // the last in vain
				"QACK q 1-1 1-1", "QNACK q 2-1", "QNACK q 3-1 DEAD", "QEXTEND q 4-1 100000", "QEXTEND q 1-1 100000", "QNACK q 1-1",
				"QCONSUME q w1", "QNACK q 2-2", "QPUBLISHM q 3 7 8 9", "QPURGE q", "QPURGE q", "QDLQ q LIST", "QDLQ q REDRIVE COUNT 1")(t, s, c)
			eventually(t, "of some age", func() bool {
				_, age, _ := strings.Cut(c.do("QSTATS", "q"), `"oldest_age_ms" `)
				return !strings.HasPrefix(age, "0")
			})
		}, map[string]float64{
			queueOp("q", "publish", "success"): 10, took("publish"): 7, // two of them QDLQ
			queueOp("q", "consume", "success"): 6, took("consume"): 4,
			queueOp("q", "ack", "success"): 1, took("ack"): 1,
			queueOp("q", "nack", "success"): 3, took("nack"): 4,
			queueOp("q", "extend", "success"): 1, took("extend"): 2,
			queueOp("q", "purge", "success"): 3, took("purge"): 2,
			queueOp("q", "dead_letter", "success"): 2, queueOp("q", "redeliver", "success"): 1, gauge("redelivered_total"): 1,
			gauge("depth"): 1, gauge("unacked"): 2, gauge("delayed"): 1, gauge("dlq_messages"): 1, gauge("consumers"): 2,
			gauge("oldest_message_age_seconds"):                                     math.Inf(1),
			`synap_queue_operation_duration_seconds_sum{operation="ack",queue="q"}`: math.Inf(1),
		}},
		{"errors of reliable queues", run("QCREATE q MAXDEPTH 1", "QPUBLISH q 1", "QPUBLISH q 2", "QPUBLISHM q 2 a b", "QCONSUME q w COUNT 0", "QACK q",
			"SET s x", "QACK s 1-1", "QNACK s 1-1", "QEXTEND s 1-1 5", "QPURGE s", "QCONSUME s w"), map[string]float64{
			queueOp("q", "publish", "success"): 1, queueOp("q", "publish", "error"): 2, queueOp("q", "consume", "error"): 1,
			queueOp("s", "ack", "error"): 1, queueOp("s", "nack", "error"): 1, queueOp("s", "extend", "error"): 1,
			queueOp("s", "purge", "error"): 1, queueOp("s", "consume", "error"): 1,
			`synap_errors_total{prefix="QUEUEFULL"}`: 2, `synap_errors_total{prefix="WRONGTYPE"}`: 5, gauge("depth"): 1,
		}},
		{"deadlines that pass with no traffic", func(t *testing.T, s *Server, c *client) {
			run("QCREATE q RETRIES 0", "QPUBLISHM q 2 a b", "QCONSUME q w COUNT 2 DEADLINE 1")(t, s, c)
			eventually(t, "dead", func() bool { return s.store.QueueTotals().In[3] == 2 })
		}, map[string]float64{
			queueOp("q", "dead_letter", "success"): 2, gauge("dlq_messages"): 2, gauge("unacked"): 0,
		}},
		{"a waiting consumer of a reliable queue", func(t *testing.T, s *Server, c *client) {
			waiting := connect(t, s)
			waiting.send("QCONSUME", "q", "w", "BLOCK", "0")
			eventually(t, "blocked", func() bool { return s.counters.blocked.Load() == 1 })
			c.do("QPUBLISH", "q", "m")
			waiting.read()
		}, map[string]float64{
			queueOp("q", "publish", "success"): 1, queueOp("q", "consume", "success"): 1, took("consume"): 1, gauge("unacked"): 1, gauge("consumers"): 1,
		}},
	}
}

// TestDeletedQueueVanishes looks for a queue on /metrics and in the pages after
// each way to end it.
func TestDeletedQueueVanishes(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	for _, end := range []string{"QDELETE q", "DEL q", "UNLINK q", "SET q x", "FLUSHALL", "FLUSHDB", "RENAME q r", "RENAME other q", "PEXPIRE q 1"} {
		c.do("FLUSHALL")
		run("SET other x", "QCREATE q RETRIES 0", "QPUBLISHM q 5 a b c d e", "QPUBLISH q f DELAY 100000", "QCONSUME q w COUNT 3")(t, s, c)
		c.do("QNACK", "q", "1-1")
		if n := strings.Count(page(t, s, "/metrics", 200), `queue="q"`); n == 0 {
			t.Fatalf("before %s there is no series of the queue", end)
		}
		c.do(strings.Fields(end)...)
		eventually(t, "without the queue after "+end, func() bool {
			return !strings.Contains(page(t, s, "/metrics", 200), `queue="q"`)
		})
		page(t, s, "/queues/q", 404)
	}
}
