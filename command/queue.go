package command

import (
	"errors"
	"math"
	"time"

	"synap/resp"
	"synap/store"
)

// Reliable queues: a data type of our own. A message is held under a receipt
// until it is acknowledged; see store.Queue.

func queueRows() []Row {
	return append(queueMessageRows(), queueManageRows()...)
}

func queueMessageRows() []Row {
	return []Row{
		{
			Name: "qpublish", Arity: -3,
			Usage: "queue payload [PRIORITY priority:integer] [DELAY milliseconds:integer | AT unix-time-milliseconds:integer] " +
				"[TTL milliseconds:integer] [RETRIES retries:integer] [ID id] [HEADERS numfields:integer field value [field value ...]]",
			Summary: "Adds a message to a queue, which is created if it does not exist, and returns the message's id.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(1), O(log N) with a delay or a time-to-live",
			Flags: Write | DenyOOM | Fast | OwnGrouping, Keys: oneKey(RW | Insert), Run: qpublish,
		},
		{
			Name: "qpublishm", Usage: "queue count:integer payload [payload ...]", Arity: -4, Event: "qpublish",
			Summary: "Adds several messages to a queue, all or none, and returns their ids.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(N) where N is the number of messages",
			Flags: Write | DenyOOM | Fast | OwnGrouping, Keys: oneKey(RW | Insert), Run: qpublishm,
		},
		{
			Name: "qconsume", Usage: "queue consumer [COUNT count:integer] [BLOCK milliseconds:integer] [DEADLINE milliseconds:integer] [AUTORELEASE]", Arity: -3,
			Summary: "Takes messages from a queue under receipts, and waits for one if there is none and BLOCK is given.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(N log M) where N is the number of messages returned and M that of messages held",
			Flags: Write | Blocking | OwnGrouping | FreshTime, Keys: oneKey(RW | Access | Update), Run: qconsume,
		},
		{
			Name: "qack", Usage: "queue receipt [receipt ...]", Arity: -3,
			Summary: "Acknowledges messages: they are done and leave the queue. Returns how many were still held.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(log N) for each receipt, where N is the number of messages held",
			Flags: Write | Fast | OwnGrouping, Keys: oneKey(RW | Delete), Run: qack,
		},
		{
			Name: "qnack", Usage: "queue receipt [DELAY milliseconds:integer | DEAD]", Arity: -3,
			Summary: "Gives a message back to its queue, after a delay, or to the dead letters.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(log N) where N is the number of messages held",
			Flags: Write | Fast | OwnGrouping | FreshTime, Keys: oneKey(RW | Update), Run: qnack,
		},
		{
			Name: "qextend", Usage: "queue receipt milliseconds:integer", Arity: 4,
			Summary: "Moves the deadline of a message that is held to a time from now.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(log N) where N is the number of messages held",
			Flags: Write | Fast | OwnGrouping | FreshTime, Keys: oneKey(RW | Update), Run: qextend,
		},
		{
			Name: "qpeek", Usage: "queue [COUNT count:integer] [READY | UNACKED | DELAYED | DEAD]", Arity: -2,
			Summary: "Shows messages of a queue without taking them.",
			Group:   "queue", Since: "1.0.0", Complexity: "O(N) where N is the number of messages returned",
			Flags: ReadOnly | OwnGrouping, Keys: oneKey(RO | Access), Run: qpeek,
		},
	}
}

// once latches a syntax error if an option comes a second time.
func once(a *resp.Args, seen *uint32, bit uint32) bool {
	if *seen&(1<<bit) != 0 {
		a.Fail(resp.ErrSyntax)
		return false
	}
	*seen |= 1 << bit
	return true
}

// atLeast reads an integer that must not be less than least.
func atLeast(a *resp.Args, least int64, e resp.Error) int64 {
	n := a.Int()
	if a.Err() == nil && n < least {
		a.Fail(e)
	}
	return n
}

// queueAt returns the queue of the first key, nil if absent. It returns false
// when the key holds another kind: the error is then replied.
func queueAt(c *Ctx, a store.Access) (*store.Queue, bool) {
	q, err := c.Tx.Queue(c.Args[1], a)
	if err != nil {
		c.Fail(err)
		return nil, false
	}
	return q, true
}

func parsePublication(a *resp.Args, now int64) store.Publication {
	p := store.Publication{Priority: -1, Retries: -1}
	var seen uint32
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("PRIORITY") && once(a, &seen, 0):
			if n := a.IntOr(resp.ErrPriority); n < 0 || n > 9 {
				a.Fail(resp.ErrPriority)
			} else {
				p.Priority = int(n)
			}
		case a.Is("DELAY") && once(a, &seen, 1):
			if n := atLeast(a, 0, resp.ErrNotPositive); n > math.MaxInt64-now {
				a.Fail(resp.ErrNotInteger)
			} else {
				p.Due = now + n
			}
		case a.Is("AT") && once(a, &seen, 1):
			p.Due = atLeast(a, 0, resp.ErrNotPositive)
		case a.Is("TTL") && once(a, &seen, 2):
			if p.TTL = atLeast(a, 0, resp.ErrNotPositive); p.TTL == 0 {
				p.TTL = -1
			}
		case a.Is("RETRIES") && once(a, &seen, 3):
			if p.Retries = atLeast(a, 0, resp.ErrNotPositive); p.Retries > store.MaxRetries {
				a.Fail(resp.ErrNotInteger)
			}
		case a.Is("ID") && once(a, &seen, 4):
			if p.ID = a.Next(); a.Err() == nil && (len(p.ID) == 0 || len(p.ID) > store.MaxMessageID) {
				a.Fail(resp.ErrMessageID)
			}
		case a.Is("HEADERS") && once(a, &seen, 5):
			p.Headers = parseHeaders(a)
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return p
}

func parseHeaders(a *resp.Args) [][]byte {
	n := atLeast(a, 1, resp.ErrNotPositive)
	if a.Err() == nil && n > int64(a.Left()/2) {
		a.Fail(resp.ErrSyntax)
	}
	if a.Err() != nil {
		return nil
	}
	headers := make([][]byte, 0, 2*n)
	for range 2 * n {
		headers = append(headers, a.Next())
	}
	return headers
}

// openQueue returns the queue of a key, a new one if it is absent.
func openQueue(c *Ctx, key []byte, log *store.QueueLog) (q *store.Queue, ok bool) {
	q, err := c.Tx.Queue(key, store.Write)
	if err != nil {
		c.Fail(err)
		return nil, false
	}
	if q == nil {
		q = c.Tx.NewQueue()
		q.SetSettings(c.Conf.Queue.Settings, log)
	}
	return q, true
}

func qpublish(c *Ctx) {
	a := resp.NewArgs(c.Args[3:])
	p := parsePublication(&a, c.Tx.Now)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	p.Payload = c.Args[2]
	if p.Priority < 0 {
		p.Priority = c.Conf.Queue.Priority
	}
	log := c.Tx.QueueLog()
	q, ok := openQueue(c, c.Args[1], log)
	if !ok {
		return
	}
	var room [64]byte
	id, added, err := q.Publish(&p, c.Tx.Now, c.Conf.Queue.DedupWindow, log, room[:0])
	if err != nil {
		failQueue(c, c.Args[1], q, err)
		return
	}
	if !added {
		c.Count(0)
		c.Reply.Bulk(id)
		return
	}
	c.Tx.SaveQueue(c.Args[1], q, log, p.Due <= c.Tx.Now)
	c.Count(1)
	c.Reply.Bulk(id)
}

// failQueue replies why nothing could be added to a queue, which openQueue has
// returned.
func failQueue(c *Ctx, key []byte, q *store.Queue, err error) {
	if errors.Is(err, store.ErrQueueFull) {
		err = resp.QueueFull(key, q.Settings().MaxDepth)
	}
	c.Tx.DropQueue(key, q)
	c.Fail(err)
}

func qpublishm(c *Ctx) {
	n, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Reply.Error(resp.ErrNotInteger)
		return
	case n < 1:
		c.Reply.Error(resp.ErrNotPositive)
		return
	case n != int64(len(c.Args)-3):
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	log := c.Tx.QueueLog()
	q, ok := openQueue(c, c.Args[1], log)
	if !ok {
		return
	}
	size := int64(0)
	for _, payload := range c.Args[3:] {
		size += int64(len(payload))
	}
	if most := q.Settings().MaxDepth; most > 0 && int64(q.Len())+n > most {
		failQueue(c, c.Args[1], q, store.ErrQueueFull)
		return
	}
	if !q.HasRoom(int(n), size) {
		failQueue(c, c.Args[1], q, store.ErrQueueRoom)
		return
	}
	c.Count(int(n))
	c.Reply.Array(int(n))
	var room [64]byte
	p := store.Publication{Priority: c.Conf.Queue.Priority, Retries: -1}
	for _, payload := range c.Args[3:] {
		p.Payload = payload
		id, _, err := q.Publish(&p, c.Tx.Now, 0, log, room[:0])
		if err != nil { // there was room for all
			c.Fail(err)
			return
		}
		c.Reply.Bulk(id)
	}
	c.Tx.SaveQueue(c.Args[1], q, log, true)
}

type consumeOptions struct {
	count, block, deadline int64 // block: -1 = does not wait
	release                bool
}

func parseConsume(a *resp.Args) consumeOptions {
	o := consumeOptions{count: 1, block: -1}
	var seen uint32
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("COUNT") && once(a, &seen, 0):
			o.count = atLeast(a, 1, resp.ErrNotPositive)
		case a.Is("BLOCK") && once(a, &seen, 1):
			o.block = a.IntOr(resp.ErrTimeoutInteger)
			if a.Err() == nil && o.block < 0 {
				a.Fail(resp.ErrTimeoutNegative)
			}
		case a.Is("DEADLINE") && once(a, &seen, 2):
			o.deadline = atLeast(a, 1, resp.ErrNotPositive)
		case a.Is("AUTORELEASE") && once(a, &seen, 3):
			o.release = true
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	if a.Err() == nil && o.block > maxTimeout/int64(time.Millisecond) {
		a.Fail(resp.ErrTimeoutRange)
	}
	return o
}

func qconsume(c *Ctx) {
	a := resp.NewArgs(c.Args[3:])
	o := parseConsume(&a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if n := len(c.Args[2]); n == 0 || n > store.MaxConsumerName {
		c.Reply.Error(resp.ErrConsumerName)
		return
	}
	q, ok := queueAt(c, store.Write)
	if !ok {
		return
	}
	if q == nil || !consume(c, q, &o) {
		c.Count(0)
		if o.block < 0 {
			c.Reply.NullArray()
			return
		}
		waitForMessage(c, o.block)
	}
}

// consume replies with messages and reports whether it replied.
func consume(c *Ctx, q *store.Queue, o *consumeOptions) bool {
	log := c.Tx.QueueLog()
	who := store.QueueConsumer{Name: c.Args[2], Deadline: o.deadline, Most: c.Conf.Queue.MaxConsumers}
	if o.release {
		who.Owner = c.Client
	}
	mark, taken := -1, 0
	taken, err := q.Consume(&who, int(min(o.count, math.MaxInt32)), c.Tx.Now, log, func(m store.Message) bool {
		if mark < 0 {
			mark = c.Reply.DeferArray()
		}
		replyMessage(c.Reply, m)
		return !c.Reply.Over()
	})
	if err != nil {
		c.Fail(err)
		return true
	}
	if taken == 0 {
		c.Tx.SettleQueue(c.Args[1])
		return false
	}
	c.Reply.SetDeferred(mark, taken)
	c.Count(taken)
	c.Tx.SaveQueue(c.Args[1], q, log, false)
	if o.release {
		c.ReleaseAtEnd()
	}
	return true
}

func waitForMessage(c *Ctx, block int64) {
	c.Block(Block{Keys: c.Args[1:2], Timeout: time.Duration(block) * time.Millisecond, TimeOut: (*resp.Reply).NullArray, Kind: store.KindQueue})
}

// replyMessage writes [id, receipt, payload, priority, deliveries, headers]; the
// receipt is empty unless the message was just delivered.
func replyMessage(r *resp.Reply, m store.Message) {
	var room [64]byte
	r.Array(6)
	r.Bulk(m.AppendID(room[:0]))
	if m.State == store.Unacked {
		r.Bulk(m.AppendReceipt(room[:0]))
	} else {
		r.BulkString("")
	}
	r.Bulk(m.Payload())
	r.Int(int64(m.Priority()))
	r.Int(int64(m.Deliveries()))
	r.Map(m.Fields())
	m.Headers(r.Bulk)
}

// changeQueue replies how many messages of the first key's queue change has
// touched, none if there is no queue. change also says whether somebody who waits
// may be helped by it.
func changeQueue(c *Ctx, change func(q *store.Queue, log *store.QueueLog) (n int, wakes bool)) {
	q, ok := queueAt(c, store.Write)
	if !ok {
		return
	}
	n, wakes := 0, false
	if q != nil {
		log := c.Tx.QueueLog()
		if n, wakes = change(q, log); n > 0 {
			c.Tx.SaveQueue(c.Args[1], q, log, wakes)
		}
	}
	c.Count(n)
	c.Reply.Int(int64(n))
}

func qack(c *Ctx) {
	changeQueue(c, func(q *store.Queue, log *store.QueueLog) (n int, wakes bool) {
		for _, receipt := range c.Args[2:] {
			if q.Ack(receipt, c.Tx.Now, log) {
				n++
			}
		}
		return n, q.Settings().Prefetch > 0 // one who holds as many as it may can go on
	})
}

func qnack(c *Ctx) {
	a := resp.NewArgs(c.Args[3:])
	delay, dead := int64(-1), false
	switch {
	case a.Is("DELAY"):
		delay = atLeast(&a, 0, resp.ErrNotPositive)
	case a.Is("DEAD"):
		dead = true
	}
	if a.End(); a.Err() != nil {
		c.Fail(a.Err())
		return
	}
	changeQueue(c, func(q *store.Queue, log *store.QueueLog) (n int, wakes bool) {
		if q.Nack(c.Args[2], delay, dead, c.Tx.Now, log) {
			n = 1
		}
		return n, true
	})
}

func qextend(c *Ctx) {
	a := resp.NewArgs(c.Args[3:])
	ms := atLeast(&a, 1, resp.ErrNotPositive)
	if a.Err() == nil && ms > math.MaxInt64-c.Tx.Now {
		a.Fail(resp.ErrNotInteger)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	changeQueue(c, func(q *store.Queue, log *store.QueueLog) (n int, wakes bool) {
		if q.Extend(c.Args[2], c.Tx.Now+ms, c.Tx.Now, log) {
			n = 1
		}
		return n, false
	})
}

// parseState reads the name of a state; false if the next argument is none.
func parseState(a *resp.Args) (store.QueueState, bool) {
	switch {
	case a.Is("READY"):
		return store.Ready, true
	case a.Is("UNACKED"):
		return store.Unacked, true
	case a.Is("DELAYED"):
		return store.Delayed, true
	case a.Is("DEAD"):
		return store.Dead, true
	}
	return 0, false
}

// peekCount is how many messages QPEEK and QDLQ LIST show unless told.
const peekCount = 10

func qpeek(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	count, state := int64(peekCount), store.Ready
	var seen uint32
	for a.Left() > 0 && a.Err() == nil {
		if a.Is("COUNT") && once(&a, &seen, 0) {
			count = atLeast(&a, 1, resp.ErrNotPositive)
			continue
		}
		if s, ok := parseState(&a); ok && once(&a, &seen, 1) {
			state = s
			continue
		}
		a.Fail(resp.ErrSyntax)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	q, ok := queueAt(c, store.Read)
	if !ok {
		return
	}
	if q == nil {
		c.Reply.Array(0)
		return
	}
	mark, n := c.Reply.DeferArray(), 0
	q.Peek(state, func(m store.Message) bool {
		m.State = store.Ready // receipts are for those who hold the message
		replyMessage(c.Reply, m)
		n++
		return int64(n) < count && !c.Reply.Over()
	})
	c.Reply.SetDeferred(mark, n)
}
