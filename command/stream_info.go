package command

import (
	"math"

	"synap/resp"
	"synap/store"
)

// XINFO (https://redis.io/commands/?name=xinfo).

func xinfoRow() Row {
	info := func(name, usage, since, summary, complexity string, arity int, run func(*Ctx)) Row {
		return Row{
			Name: name, Usage: usage, Arity: arity, Summary: summary, Group: "stream", Since: since, Complexity: complexity,
			Flags: ReadOnly, Keys: []KeySpec{{Flags: RO | Access, Begin: 2}}, Run: run,
		}
	}
	subs := []Row{
		info("consumers", "key group", "5.0.0", "Lists the consumers of a group.", "O(N) where N is the number of consumers", 4, xinfoConsumers),
		info("groups", "key", "5.0.0", "Lists the consumer groups of a stream.", "O(N) where N is the number of groups", 3, xinfoGroups),
		info("stream", "key [FULL [COUNT count]]", "5.0.0", "Describes a stream; with FULL it shows entries and groups too.",
			"O(1), O(N) with FULL where N is the number of entries, consumers and pending entries shown", -3, xinfoStream),
	}
	subs[0].Tips = []string{"nondeterministic_output"}
	return Row{
		Name: "xinfo", Arity: -2,
		Summary: "Tells about streams.",
		Group:   "stream", Since: "5.0.0", Complexity: "Depends on the subcommand",
		Subs: append(subs, HelpRow("xinfo", Row{Group: "stream", Since: "5.0.0", Flags: Loading | Stale}, subs)),
	}
}

// streamInfo returns the stream of XINFO's key; false when there is none: the
// error is then replied.
func streamInfo(c *Ctx) (*store.Stream, bool) {
	s, ok := streamAt(c, c.Args[2], store.Read)
	if ok && s == nil {
		c.Reply.Error(resp.ErrNoSuchKey)
	}
	return s, s != nil
}

func xinfoConsumers(c *Ctx) {
	s, ok := streamInfo(c)
	if !ok {
		return
	}
	g := s.Group(c.Args[3])
	if g == nil {
		c.Reply.Error(resp.NoGroupOfKey(c.Args[2], c.Args[3]))
		return
	}
	r := c.Reply
	r.Array(len(g.Consumers()))
	for _, consumer := range g.Consumers() {
		r.Map(4)
		r.BulkString("name")
		r.BulkString(consumer.Name())
		r.BulkString("pending")
		r.Int(int64(consumer.Pending()))
		r.BulkString("idle")
		r.Int(max(c.Tx.Now-consumer.Seen, 0))
		r.BulkString("inactive")
		if consumer.Active < 0 {
			r.Int(-1)
		} else {
			r.Int(max(c.Tx.Now-consumer.Active, 0))
		}
		if r.Over() {
			return
		}
	}
}

func xinfoGroups(c *Ctx) {
	s, ok := streamInfo(c)
	if !ok {
		return
	}
	r := c.Reply
	r.Array(len(s.Groups()))
	for _, g := range s.Groups() {
		r.Map(6)
		r.BulkString("name")
		r.BulkString(g.Name())
		r.BulkString("consumers")
		r.Int(int64(len(g.Consumers())))
		r.BulkString("pending")
		r.Int(int64(g.Pending()))
		replyProgress(r, g)
		if r.Over() {
			return
		}
	}
}

// replyProgress replies with three pairs: how far a group has read.
func replyProgress(r *resp.Reply, g *store.Group) {
	r.BulkString("last-delivered-id")
	replyID(r, g.Last())
	r.BulkString("entries-read")
	if g.Read() < 0 {
		r.Null()
	} else {
		r.Int(g.Read())
	}
	r.BulkString("lag")
	if lag, ok := g.Lag(); ok {
		r.Int(lag)
	} else {
		r.Null()
	}
}

// fullCount is how many entries XINFO STREAM … FULL shows unless told.
const fullCount = 10

func xinfoStream(c *Ctx) {
	s, ok := streamInfo(c)
	if !ok {
		return
	}
	a := resp.NewArgs(c.Args[3:])
	if a.Left() == 0 {
		replyInfo(c.Reply, s, 10)
		c.Reply.BulkString("groups")
		c.Reply.Int(int64(len(s.Groups())))
		c.Reply.BulkString("first-entry")
		replyEnd(c.Reply, s, false)
		c.Reply.BulkString("last-entry")
		replyEnd(c.Reply, s, true)
		return
	}
	count := int64(fullCount)
	if !a.Is("FULL") || a.Left() > 0 && (a.Left() != 2 || !a.Is("COUNT")) {
		c.Reply.Error(resp.SubcommandSyntax("xinfo", c.Args[1]))
		return
	}
	if a.Left() > 0 {
		if count = a.Int(); count < 0 {
			count = fullCount
		}
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	replyInfo(c.Reply, s, 9)
	c.Reply.BulkString("entries")
	replyEntries(c.Reply, s, rangeOptions{to: store.MaxID, count: count}, false)
	c.Reply.BulkString("groups")
	c.Reply.Array(len(s.Groups()))
	if count == 0 {
		count = math.MaxInt64
	}
	for _, g := range s.Groups() {
		replyGroup(c.Reply, g, count)
		if c.Reply.Over() {
			return
		}
	}
}

// replyGroup shows a group, its first pending entries and its consumers.
func replyGroup(r *resp.Reply, g *store.Group, count int64) {
	r.Map(7)
	r.BulkString("name")
	r.BulkString(g.Name())
	replyProgress(r, g)
	r.BulkString("pel-count")
	r.Int(int64(g.Pending()))
	r.BulkString("pending")
	replyNacks(r, g, nil, count)
	r.BulkString("consumers")
	r.Array(len(g.Consumers()))
	for _, consumer := range g.Consumers() {
		r.Map(5)
		r.BulkString("name")
		r.BulkString(consumer.Name())
		r.BulkString("seen-time")
		r.Int(consumer.Seen)
		r.BulkString("active-time")
		r.Int(consumer.Active)
		r.BulkString("pel-count")
		r.Int(int64(consumer.Pending()))
		r.BulkString("pending")
		replyNacks(r, g, consumer, count)
		if r.Over() {
			return
		}
	}
}

// replyNacks shows the first count pending entries of a group, or of one of its
// consumers, who then goes without saying.
func replyNacks(r *resp.Reply, g *store.Group, consumer *store.Consumer, count int64) {
	n := int64(g.Pending())
	if consumer != nil {
		n = int64(consumer.Pending())
	}
	n = min(n, count)
	r.Array(int(n))
	g.Nacks(consumer, store.ID{}, store.MaxID, func(p store.Pending) bool {
		if n--; n < 0 || r.Over() {
			return false
		}
		if consumer != nil {
			r.Array(3)
			replyID(r, p.ID)
		} else {
			r.Array(4)
			replyID(r, p.ID)
			r.BulkString(p.Consumer.Name())
		}
		r.Int(p.Time)
		r.Int(p.Count)
		return true
	})
}

// replyInfo begins a map of pairs and replies with the seven that both forms of
// XINFO STREAM have. Blocks are reported as Redis' radix tree of them.
func replyInfo(r *resp.Reply, s *store.Stream, pairs int) {
	r.Map(pairs)
	r.BulkString("length")
	r.Int(int64(s.Len()))
	r.BulkString("radix-tree-keys")
	r.Int(int64(s.Blocks()))
	r.BulkString("radix-tree-nodes")
	r.Int(int64(s.Blocks()) + 1)
	r.BulkString("last-generated-id")
	replyID(r, s.LastID())
	r.BulkString("max-deleted-entry-id")
	replyID(r, s.MaxDeletedID())
	r.BulkString("entries-added")
	r.Int(int64(s.Added()))
	r.BulkString("recorded-first-entry-id")
	replyID(r, s.FirstID())
}

// replyEnd replies with the first entry, or the last, or null.
func replyEnd(r *resp.Reply, s *store.Stream, last bool) {
	visit := func(e store.Entry) bool {
		replyEntry(r, e)
		return false
	}
	switch {
	case s.Len() == 0:
		r.Null()
	case last:
		s.RangeBack(store.MaxID, store.ID{}, visit)
	default:
		s.Range(store.ID{}, store.MaxID, visit)
	}
}
