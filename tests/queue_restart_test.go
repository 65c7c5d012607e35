//go:build !record

package tests

import (
	"strconv"
	"strings"
	"testing"
)

// queueState is all that a restart must keep of a queue, in words. The age of
// the oldest message grows, and consumers are counted by what they last did.
func queueState(t *testing.T, c *client, queue string) string {
	t.Helper()
	var b strings.Builder
	stats := c.must(t, "QSTATS", queue).items
	for i := 0; i+1 < len(stats); i += 2 {
		if name := stats[i].text; name != "oldest_age_ms" && name != "consumers" {
			b.WriteString(name + " " + stats[i+1].text + "\n")
		}
	}
	for _, state := range []string{"READY", "UNACKED", "DELAYED"} {
		b.WriteString(state + " " + c.must(t, "QPEEK", queue, state, "COUNT", "100").render() + "\n")
	}
	b.WriteString(c.must(t, "QDLQ", queue, "LIST", "COUNT", "100").render())
	return b.String()
}

// TestQueueAfterKill kills the program in the middle of everything that can
// happen to a message and starts it again: nothing acknowledged is lost or comes
// back, and receipts, deadlines, delays and ids go on.
func TestQueueAfterKill(t *testing.T) {
	dir := t.TempDir()
	start := func() (*program, *client) {
		p := startProgram(t, "--dir", dir, "--appendonly", "yes", "--appendfsync", "always")
		p.awaitLoaded(t)
		return p, p.dial(t, 2)
	}
	kill := func(p *program) {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
	p, c := start()
	for _, line := range []string{
		"QCREATE q ACKDEADLINE 3600000 RETRIES 1 BACKOFF 0", "QPUBLISH q a ID a PRIORITY 9 HEADERS 1 field value", "QPUBLISH q b ID b PRIORITY 8",
		"QPUBLISH q c ID c PRIORITY 7 TTL 3600000", "QPUBLISH q d ID d", "QPUBLISH q e PRIORITY 0", "QPUBLISH q f RETRIES 0", "QPUBLISH q later ID later DELAY 3600000",
		"QPUBLISH soon s DELAY 1000 PRIORITY 9", "QCREATE short RETRIES 5 BACKOFF 1", "QPUBLISH short s ID s",
	} {
		c.must(t, strings.Fields(line)...)
	}
	receipts := map[string]string{}
	take := func(queue string, more ...string) {
		t.Helper()
		v := c.must(t, append([]string{"QCONSUME", queue, "worker"}, more...)...)
		for _, m := range v.items {
			receipts[m.items[2].text+m.items[4].text] = m.items[1].text
		}
	}
	take("q", "COUNT", "3") // a, b, c
	is(t, "a acknowledged", c.must(t, "QACK", "q", receipts["a1"]).text, "1")
	is(t, "b refused", c.must(t, "QNACK", "q", receipts["b1"]).text, "1")
	is(t, "c refused for good", c.must(t, "QNACK", "q", receipts["c1"], "DEAD").text, "1")
	take("q") // b again
	is(t, "b extended", c.must(t, "QEXTEND", "q", receipts["b2"], "7200000").text, "1")
	is(t, "delayed ones purged", c.must(t, "QPURGE", "q", "DELAYED").text, "1")
	c.must(t, "QPUBLISH", "q", "later", "ID", "later2", "DELAY", "3600000")
	take("q") // d
	is(t, "d delayed", c.must(t, "QNACK", "q", receipts["d1"], "DELAY", "3600000").text, "1")
	take("short", "DEADLINE", "1000")
	before := queueState(t, c, "q")
	kill(p)
	p, c = start()
	if after := queueState(t, c, "q"); after != before {
		t.Errorf("after the restart:\n%s\nbefore:\n%s", after, before)
	}
	is(t, "an old receipt", c.must(t, "QACK", "q", receipts["a1"], receipts["b1"], receipts["c1"], receipts["d1"]).text, "0")
	is(t, "a's id again", c.must(t, "QPUBLISH", "q", "again", "ID", "a").text, "a")
	is(t, "later's id again", c.must(t, "QPUBLISH", "q", "again", "ID", "later").text, "later")
	is(t, "b acknowledged", c.must(t, "QACK", "q", receipts["b2"]).text, "1")
	is(t, "redriven", c.must(t, "QDLQ", "q", "REDRIVE", "c").text, "1")
	fresh := c.must(t, "QPUBLISH", "q", "fresh", "PRIORITY", "0").text
	kill(p)

	p, c = start()
	is(t, "b acknowledged twice", c.must(t, "QACK", "q", receipts["b2"]).text, "0")
	is(t, "the order", delivered(c.must(t, "QCONSUME", "q", "last", "COUNT", "100")), "c f e fresh")
	is(t, "a delay that went on", delivered(c.must(t, "QCONSUME", "soon", "last", "BLOCK", "10000")), "s")
	_, number, _ := strings.Cut(fresh, "-")
	if n, err := strconv.Atoi(number); err != nil || n != 10 {
		t.Errorf("the tenth message has the id %q", fresh)
	}
	again := c.must(t, "QCONSUME", "short", "worker", "BLOCK", "10000").items // its deadline and its backoff have passed
	if len(again) != 1 || again[0].items[4].text != "2" || c.must(t, "QACK", "short", receipts["s1"]).text != "0" {
		t.Errorf("after its deadline %v", again)
	}
	kill(p)
	_, c = start()
	is(t, "the last acknowledgement", c.must(t, "QACK", "short", again[0].items[1].text).text, "1")
}

// delivered are those of the messages of a reply to QCONSUME.
func delivered(v value) string {
	var all []string
	for _, m := range v.items {
		all = append(all, m.items[2].text)
	}
	return strings.Join(all, " ")
}
