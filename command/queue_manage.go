package command

import (
	"math"

	"synap/resp"
	"synap/store"
)

func queueManageRows() []Row {
	return []Row{
		{
			Name: "qcreate", Arity: -2,
			Usage: "queue [MAXDEPTH depth:integer] [ACKDEADLINE milliseconds:integer] [RETRIES retries:integer] " +
				"[BACKOFF milliseconds:integer [MAX milliseconds:integer]] [DLQMAX length:integer] [TTL milliseconds:integer] [PREFETCH count:integer] [UPDATE]",
			Summary: "Creates a queue, or with UPDATE changes the settings that are given.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast | OwnGrouping, Keys: oneKey(OW | Update), Run: qcreate,
		},
		{
			Name: "qdlq", Arity: -3,
			Usage:   "queue <LIST [COUNT count:integer] [OFFSET offset:integer] | REDRIVE [id [id ...]] [COUNT count:integer] [TO destination:key] | PURGE [id [id ...]]>",
			Summary: "Lists dead letters, publishes them anew or removes them.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(N) where N is the number of messages touched; LIST also counts OFFSET",
			Flags: Write | OwnGrouping, Run: qdlq,
			Keys: []KeySpec{
				{Flags: RW | Access | Update, Begin: 1},
				{Flags: RW | Insert, Keyword: "TO", From: 3},
			},
		},
		{
			Name: "qstats", Usage: "queue", Arity: 2,
			Summary: "Returns the counts of a queue.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(N) where N is the number of consumers",
			Flags: ReadOnly | Fast | OwnGrouping, Keys: oneKey(RO | Access), Run: qstats,
		},
		{
			Name: "qlist", Usage: "[MATCH pattern]", Arity: -1,
			Summary: "Returns the names of the queues.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(N) where N is the number of keys",
			Flags: ReadOnly | Walks | OwnGrouping, Tips: []string{"nondeterministic_output_order"}, Run: qlist,
		},
		{
			Name: "qpurge", Usage: "queue [READY | UNACKED | DELAYED | DEAD | ALL]", Arity: -2,
			Summary: "Drops the messages of a queue that are in a state.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(N) where N is the number of messages dropped",
			Flags: Write | OwnGrouping, Keys: oneKey(RW | Delete), Run: qpurge,
		},
		{
			Name: "qdelete", Usage: "queue", Arity: 2,
			Summary: "Removes a queue and all its messages.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(N) where N is the number of messages",
			Flags: Write | OwnGrouping, Keys: oneKey(RM | Delete), Run: qdelete,
		},
		{
			Name: "qapply", Usage: "queue operations", Arity: 3,
			Summary: "Repeats on a queue what the write log says was done to it.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(N+M) where N is the number of operations and M that of messages",
			Flags: Write | DenyOOM | Admin | NoScript | OwnGrouping, Keys: oneKey(RW | Update), Run: qapply,
		},
	}
}

// queueOptions are the options of QCREATE: set overwrites those that were given.
type queueOptions struct {
	given  uint32
	set    store.QueueSettings
	update bool
}

func parseQueueOptions(a *resp.Args) (o queueOptions) {
	for a.Left() > 0 && a.Err() == nil {
		switch s := &o.set; {
		case a.Is("MAXDEPTH") && once(a, &o.given, 0):
			s.MaxDepth = atLeast(a, 0, resp.ErrNotPositive)
		case a.Is("ACKDEADLINE") && once(a, &o.given, 1):
			s.AckDeadline = atLeast(a, 1, resp.ErrNotPositive)
		case a.Is("RETRIES") && once(a, &o.given, 2):
			if s.Retries = atLeast(a, 0, resp.ErrNotPositive); s.Retries > store.MaxRetries {
				a.Fail(resp.ErrNotInteger)
			}
		case a.Is("BACKOFF") && once(a, &o.given, 3):
			s.Backoff = atLeast(a, 0, resp.ErrNotPositive)
			if a.Err() == nil && a.Is("MAX") {
				s.BackoffMax = atLeast(a, 0, resp.ErrNotPositive)
			}
		case a.Is("DLQMAX") && once(a, &o.given, 4):
			s.DeadMax = atLeast(a, 0, resp.ErrNotPositive)
		case a.Is("TTL") && once(a, &o.given, 5):
			s.TTL = atLeast(a, 0, resp.ErrNotPositive)
		case a.Is("PREFETCH") && once(a, &o.given, 6):
			s.Prefetch = atLeast(a, 0, resp.ErrNotPositive)
		case a.Is("UPDATE") && once(a, &o.given, 31):
			o.update = true
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return o
}

// over returns s with what was given.
func (o *queueOptions) over(s store.QueueSettings) store.QueueSettings {
	for bit, to := range [...]struct{ to, from *int64 }{
		{&s.MaxDepth, &o.set.MaxDepth}, {&s.AckDeadline, &o.set.AckDeadline}, {&s.Retries, &o.set.Retries},
		{&s.Backoff, &o.set.Backoff}, {&s.DeadMax, &o.set.DeadMax}, {&s.TTL, &o.set.TTL}, {&s.Prefetch, &o.set.Prefetch},
	} {
		if o.given&(1<<bit) != 0 {
			*to.to = *to.from
		}
	}
	if o.given&(1<<3) != 0 {
		s.BackoffMax = o.set.BackoffMax
	}
	return s
}

func qcreate(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	o := parseQueueOptions(&a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	q, ok := queueAt(c, store.Write)
	if !ok {
		return
	}
	log := c.Tx.QueueLog()
	old, fresh := c.Conf.Queue.Settings, q == nil
	if fresh {
		q = c.Tx.NewQueue()
	} else {
		old = q.Settings()
	}
	set := o.over(old)
	switch {
	case !fresh && set == old:
	case !fresh && !o.update:
		c.Reply.Error(resp.ErrQueueExists)
		return
	default:
		q.SetSettings(set, log)
		c.Tx.SaveQueue(c.Args[1], q, log, !fresh)
	}
	c.Reply.OK()
}

func qdlq(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	switch {
	case a.Is("LIST"):
		qdlqList(c, &a)
	case a.Is("REDRIVE"):
		qdlqRedrive(c, &a)
	case a.Is("PURGE"):
		qdlqPurge(c, a.Rest())
	default:
		c.Reply.Error(resp.ErrSyntax)
	}
}

// existingQueue returns the queue of the first key; it replies with an error
// and returns nil if there is none.
func existingQueue(c *Ctx, a store.Access) *store.Queue {
	q, ok := queueAt(c, a)
	if ok && q == nil {
		c.Reply.Error(resp.NoQueue(c.Args[1]))
	}
	return q
}

func qdlqList(c *Ctx, a *resp.Args) {
	count, offset := int64(peekCount), int64(0)
	var seen uint32
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("COUNT") && once(a, &seen, 0):
			count = atLeast(a, 1, resp.ErrNotPositive)
		case a.Is("OFFSET") && once(a, &seen, 1):
			offset = atLeast(a, 0, resp.ErrNotPositive)
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	q := existingQueue(c, store.Read)
	if q == nil {
		return
	}
	mark, n := c.Reply.DeferArray(), 0
	q.DeadLetters(int(min(offset, math.MaxInt32)), func(m store.Message) bool {
		replyDeadLetter(c.Reply, m)
		n++
		return int64(n) < count && !c.Reply.Over()
	})
	c.Reply.SetDeferred(mark, n)
	c.Count(0)
}

func replyDeadLetter(r *resp.Reply, m store.Message) {
	var room [64]byte
	r.Array(8)
	r.Bulk(m.AppendID(room[:0]))
	r.Bulk(m.Payload())
	r.Int(int64(m.Priority()))
	r.Int(int64(m.Deliveries()))
	r.Map(m.Fields())
	m.Headers(r.Bulk)
	r.BulkString(m.Reason.String())
	r.Int(m.First())
	r.Int(m.Last)
}

type redriveOptions struct {
	ids   [][]byte
	count int64 // negative = all
	to    []byte
}

func parseRedrive(a *resp.Args) redriveOptions {
	o := redriveOptions{count: -1}
	var seen uint32
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("COUNT") && once(a, &seen, 0):
			o.count = atLeast(a, 1, resp.ErrNotPositive)
		case a.Is("TO") && once(a, &seen, 1):
			o.to = a.Next()
		case seen != 0:
			a.Fail(resp.ErrSyntax)
		default:
			o.ids = append(o.ids, a.Next())
		}
	}
	if len(o.ids) > 0 && o.count >= 0 {
		a.Fail(resp.ErrSyntax)
	}
	return o
}

func qdlqRedrive(c *Ctx, a *resp.Args) {
	o := parseRedrive(a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	q := existingQueue(c, store.Write)
	if q == nil {
		return
	}
	key, target, to := c.Args[1], c.Args[1], q
	log := c.Tx.QueueLog()
	toLog := log
	if o.to != nil && string(o.to) != string(key) {
		target, toLog = o.to, c.Tx.QueueLog()
		var ok bool
		if to, ok = openQueue(c, target, toLog); !ok {
			return
		}
	}
	n := q.In(store.Dead)
	if o.count >= 0 {
		n = int(min(o.count, int64(n)))
	}
	letters := q.FindDead(o.ids, n)
	if err := q.Redrive(to, letters, c.Tx.Now, log, toLog); err != nil {
		failQueue(c, target, to, err)
		return
	}
	moved := len(letters)
	if moved == 0 {
		c.Tx.DropQueue(target, to)
	} else {
		c.Tx.SaveQueue(key, q, log, to == q)
		if to != q {
			c.Tx.SaveQueue(target, to, toLog, true)
		}
	}
	c.CountAt(target, moved)
	c.Reply.Int(int64(moved))
}

func qdlqPurge(c *Ctx, ids [][]byte) {
	q := existingQueue(c, store.Write)
	if q == nil {
		return
	}
	log, n := c.Tx.QueueLog(), 0
	if len(ids) == 0 {
		n = q.Purge(store.Dead, log)
	}
	for _, id := range ids {
		if q.DropDead(id, log) {
			n++
		}
	}
	if n > 0 {
		c.Tx.SaveQueue(c.Args[1], q, log, false)
	}
	c.Count(0)
	c.Reply.Int(int64(n))
}

func qstats(c *Ctx) {
	q := existingQueue(c, store.Read)
	if q == nil {
		return
	}
	s := q.Counters()
	for i, row := range [...]struct {
		name string
		n    int64
	}{
		{"ready", int64(q.In(store.Ready))}, {"unacked", int64(q.In(store.Unacked))},
		{"delayed", int64(q.In(store.Delayed))}, {"dead", int64(q.In(store.Dead))},
		{"consumers", int64(q.Consumers(c.Tx.Now))},
		{"published", int64(s.Published)}, {"consumed", int64(s.Consumed)}, {"acked", int64(s.Acked)},
		{"nacked", int64(s.Nacked)}, {"redelivered", int64(s.Redelivered)}, {"dead_lettered", int64(s.DeadLettered)},
		{"expired", int64(s.Expired)}, {"oldest_age_ms", q.OldestAge(c.Tx.Now)},
	} {
		if i == 0 {
			c.Reply.Map(13)
		}
		c.Reply.BulkString(row.name)
		c.Reply.Int(row.n)
	}
}

func qlist(c *Ctx) {
	a := resp.NewArgs(c.Args[1:])
	pattern := []byte("*")
	if a.Left() > 0 {
		if !a.Is("MATCH") {
			a.Fail(resp.ErrSyntax)
		}
		pattern = a.Next()
	}
	if a.End(); a.Err() != nil {
		c.Fail(a.Err())
		return
	}
	mark, n := c.Reply.DeferArray(), 0
	c.Tx.Walk(func(key []byte, k store.Kind) bool {
		if k == store.KindQueue && Glob(pattern, key) {
			c.Reply.Bulk(key)
			n++
		}
		return !c.Reply.Over()
	})
	c.Reply.SetDeferred(mark, n)
}

func qpurge(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	states := []store.QueueState{store.Ready}
	if s, ok := parseState(&a); ok {
		states[0] = s
	} else if a.Is("ALL") {
		states = []store.QueueState{store.Ready, store.Unacked, store.Delayed, store.Dead}
	}
	if a.End(); a.Err() != nil {
		c.Fail(a.Err())
		return
	}
	changeQueue(c, func(q *store.Queue, log *store.QueueLog) (n int, wakes bool) {
		for _, s := range states {
			n += q.Purge(s, log)
		}
		return n, q.Settings().Prefetch > 0
	})
}

func qdelete(c *Ctx) {
	q, ok := queueAt(c, store.Write)
	if !ok {
		return
	}
	c.Count(0)
	if q == nil {
		c.Reply.Int(0)
		return
	}
	c.Tx.Delete(c.Args[1])
	c.Reply.Int(1)
}

func qapply(c *Ctx) {
	if err := c.Tx.ApplyQueue(c.Args[1], c.Args[2]); err != nil {
		c.Fail(err)
		return
	}
	c.Reply.OK()
}
