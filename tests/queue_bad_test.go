package tests

import (
	"slices"
	"strings"
	"testing"
)

// queueGrammar is a command of queues with all it can be told.
type queueGrammar struct {
	words   []string   // name and what must follow; the second is the key
	numbers [][]string // options with a number at the end
	texts   [][]string // options with a text at the end
	flags   []string
}

// queueGrammars has receipts of a message that is held, so that all of it would
// be done if it were not for what is wrong.
func queueGrammars(receipt string) []queueGrammar {
	return []queueGrammar{
		{words: []string{"QCREATE", "q", "UPDATE", "TTL", "7"}, flags: []string{"UPDATE"}, numbers: [][]string{
			{"MAXDEPTH"}, {"ACKDEADLINE"}, {"RETRIES"}, {"BACKOFF"}, {"BACKOFF", "5", "MAX"}, {"DLQMAX"}, {"PREFETCH"}, {"TTL"},
		}},
		{words: []string{"QPUBLISH", "q", "payload"}, texts: [][]string{{"ID"}, {"HEADERS", "1", "field"}}, numbers: [][]string{
			{"PRIORITY"}, {"DELAY"}, {"AT"}, {"TTL"}, {"RETRIES"},
		}},
		{words: []string{"QCONSUME", "q", "worker"}, flags: []string{"AUTORELEASE"}, numbers: [][]string{{"COUNT"}, {"BLOCK"}, {"DEADLINE"}}},
		{words: []string{"QNACK", "q", receipt}, flags: []string{"DEAD"}, numbers: [][]string{{"DELAY"}}},
		{words: []string{"QPEEK", "q"}, flags: []string{"READY", "UNACKED", "DELAYED", "DEAD"}, numbers: [][]string{{"COUNT"}}},
		{words: []string{"QDLQ", "q", "LIST"}, numbers: [][]string{{"COUNT"}, {"OFFSET"}}},
		{words: []string{"QDLQ", "q", "REDRIVE"}, texts: [][]string{{"TO"}}, numbers: [][]string{{"COUNT"}}},
		{words: []string{"QPURGE", "q", "ALL"}},
		{words: []string{"QLIST"}, texts: [][]string{{"MATCH"}}},
	}
}

// noNumbers are refused wherever a number is due.
var noNumbers = []string{"-1", "9223372036854775808", "-9223372036854775809", "99999999999999999999999", "", "x", "1.5", "0x1", " 1", "+1"}

// wrong returns every way to get g wrong by its options.
func (g *queueGrammar) wrong() (all [][]string) {
	add := func(more ...string) { all = append(all, slices.Concat(g.words, more)) }
	if g.words[len(g.words)-1] != "REDRIVE" { // it takes ids
		add("NOSUCH")
		add("")
	}
	for _, o := range g.numbers {
		add(o...)
		for _, n := range noNumbers {
			add(append(slices.Clone(o), n)...)
		}
		add(slices.Concat(o, []string{"5"}, o, []string{"5"})...)
	}
	for _, o := range g.texts {
		add(o...)
		add(slices.Concat(o, []string{"v"}, o, []string{"v"})...)
	}
	for _, f := range g.flags {
		add(f, f)
		add(f, "NOSUCH")
	}
	return all
}

// wrongQueueRequests are those that no grammar makes.
func wrongQueueRequests(receipt string) [][]string {
	var all [][]string
	for _, line := range []string{
		"QCREATE q MAXDEPTH 6", "QCREATE q ACKDEADLINE 0 UPDATE", "QCREATE q MAX 5 UPDATE", "QCREATE q RETRIES 4294967295 UPDATE",
		"QPUBLISH q p PRIORITY 10", "QPUBLISH q p DELAY 9223372036854775807", "QPUBLISH q p DELAY 5 AT 5", "QPUBLISH q p RETRIES 4294967295",
		"QPUBLISH q p HEADERS", "QPUBLISH q p HEADERS 0", "QPUBLISH q p HEADERS 2 a b", "QPUBLISH q p HEADERS -1 a b", "QPUBLISH q p HEADERS 1 a b c",
		"QPUBLISH q p HEADERS 4611686018427387904 a b", "QPUBLISH q p HEADERS 9223372036854775807 a b",
		"QPUBLISHM q 0 a", "QPUBLISHM q 2 a", "QPUBLISHM q 1 a b", "QPUBLISHM q -1 a", "QPUBLISHM q x a", "QPUBLISHM q 9223372036854775808 a",
		"QCONSUME q w COUNT 0", "QCONSUME q w DEADLINE 0", "QCONSUME q w BLOCK 9223372036854775807",
		"QNACK q " + receipt + " DELAY 5 DEAD", "QNACK q " + receipt + " DEAD DELAY 5", "QNACK q " + receipt + " DELAY 5 5",
		"QEXTEND q " + receipt + " 0", "QEXTEND q " + receipt + " -1", "QEXTEND q " + receipt + " x", "QEXTEND q " + receipt + " 9223372036854775807",
		"QEXTEND q " + receipt + " 9223372036854775808", "QPEEK q READY DEAD", "QPEEK q COUNT 0", "QDLQ q", "QDLQ q NOSUCH", "QDLQ q LIST COUNT 0",
		"QDLQ q REDRIVE COUNT 0", "QDLQ q REDRIVE dead COUNT 1", "QDLQ q REDRIVE COUNT 1 dead", "QDLQ q REDRIVE TO text", "QDLQ q REDRIVE TO full",
		"QDLQ none LIST", "QDLQ none REDRIVE", "QDLQ none REDRIVE TO other", "QDLQ none PURGE", "QSTATS none", "QSTATS q x", "QDELETE q x",
		"QPUBLISH full p", "QPUBLISHM full 1 p", "QPURGE q ALL ALL", "QPURGE q NOSUCH", "QLIST x", "QLIST MATCH a b", "QAPPLY q x", "QAPPLY q",
	} {
		all = append(all, strings.Fields(line))
	}
	long := strings.Repeat("x", 1<<16)
	all = append(all, []string{"QCONSUME", "q", ""}, []string{"QCONSUME", "q", long}, []string{"QPUBLISH", "q", "p", "ID", ""}, []string{"QPUBLISH", "q", "p", "ID", long})
	for _, name := range []string{"QCREATE", "QPUBLISH", "QPUBLISHM", "QCONSUME", "QACK", "QNACK", "QEXTEND", "QPEEK", "QDLQ", "QSTATS", "QPURGE", "QDELETE"} {
		all = append(all, []string{name})
	}
	for _, name := range []string{"QPUBLISH", "QCONSUME", "QACK", "QNACK", "QEXTEND", "QPUBLISHM"} {
		all = append(all, []string{name, "q"})
	}
	for _, line := range []string{
		"QCREATE k", "QCREATE k UPDATE", "QPUBLISH k p", "QPUBLISHM k 1 p", "QCONSUME k w", "QCONSUME k w BLOCK 0", "QACK k 1-1", "QNACK k 1-1", "QEXTEND k 1-1 5",
		"QPEEK k", "QDLQ k LIST", "QDLQ k REDRIVE", "QDLQ k PURGE", "QSTATS k", "QPURGE k", "QDELETE k",
	} {
		for _, key := range []string{"text", "list", "stream"} {
			all = append(all, strings.Fields(strings.Replace(line, " k", " "+key, 1)))
		}
	}
	return all
}

// TestQueueBadInput sends everything that is wrong to queues: each gets one error
// and changes nothing, nor do receipts that nobody holds.
func TestQueueBadInput(t *testing.T) {
	s := startSynap(t, "loop", [][2]string{{"appendonly", "no"}})
	c, err := dial(s.network, s.addr, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, line := range []string{
		"SET text x", "RPUSH list x", "XADD stream * a b", "QCREATE full MAXDEPTH 1", "QPUBLISH full x", "QCREATE q RETRIES 1 MAXDEPTH 100",
		"QPUBLISH q held ID held", "QPUBLISH q dead ID dead", "QPUBLISH q ready ID ready TTL 100000", "QPUBLISH q later ID later DELAY 100000",
	} {
		c.must(t, strings.Fields(line)...)
	}
	held := c.must(t, "QCONSUME", "q", "worker").items[0].items[1].text
	c.must(t, "QNACK", "q", c.must(t, "QCONSUME", "q", "worker").items[0].items[1].text, "DEAD")
	requests := wrongQueueRequests(held)
	for _, g := range queueGrammars(held) {
		requests = append(requests, g.wrong()...)
	}
	before := digest(s)
	for _, args := range requests {
		for _, key := range []string{"", "absent"} {
			if key != "" { // that a queue is made, and then not filled, would show too
				if len(args) < 2 || args[1] != "q" {
					continue
				}
				args = slices.Concat(args[:1], []string{key}, args[2:])
			}
			v, err := c.do(args...)
			if err != nil {
				t.Fatalf("%.100q: %v", args, err)
			}
			word, _, _ := strings.Cut(v.text, " ")
			if key == "" && (!v.isError() || !slices.Contains([]string{"ERR", "WRONGTYPE", "NOQUEUE", "QUEUEFULL"}, word)) {
				t.Errorf("%.100q: %s", args, v.render())
			}
			if v.isError() && digest(s) != before {
				t.Fatalf("%.100q has changed something", args)
			}
			if !v.isError() && c.must(t, "EXISTS", "absent").text == "1" && args[0] != "QCREATE" {
				t.Fatalf("%.100q has made a queue: %s", args, v.render())
			}
			c.must(t, "DEL", "absent")
		}
	}
	seq, _, _ := strings.Cut(held, "-")
	for _, receipt := range []string{"", "-", "x", "0-0", "0-1", seq, seq + "-", seq + "-0", seq + "-2", seq + "-1-1", "-1", strings.Repeat("f", 16) + "-1", strings.Repeat("f", 17) + "-1", seq + "-100000001", "held"} {
		for _, args := range [][]string{{"QACK", "q", receipt}, {"QACK", "q", receipt, receipt}, {"QNACK", "q", receipt}, {"QNACK", "q", receipt, "DEAD"}, {"QEXTEND", "q", receipt, "5"}} {
			if v := c.must(t, args...); v.text != "0" || digest(s) != before {
				t.Errorf("%q: %s", args, v.render())
			}
		}
	}
	if v := c.must(t, "QACK", "q", held); v.text != "1" {
		t.Errorf("the message is no longer held: %s", v.render())
	}
	t.Logf("%d requests", len(requests))
}
