package command

import (
	"math"
	"strconv"

	"synap/resp"
	"synap/store"
)

// Consumer groups: XPENDING, XCLAIM and XAUTOCLAIM.

func streamClaimRows() []Row {
	return []Row{
		{
			Name: "xpending", Usage: "key group [[IDLE min-idle-time:integer] start:string end:string count [consumer]]", Arity: -3,
			Summary: "Tells which entries of a consumer group wait for an acknowledgement.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(log(N)+M) where N is the number of pending entries and M the number looked at; O(C) for the summary where C is the number of consumers",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: xpending, Tips: []string{"nondeterministic_output"},
		},
		{
			Name: "xclaim", Arity: -6,
			Usage:   "key group consumer min-idle-time:string id [id ...] [IDLE ms] [TIME unix-time-milliseconds:unix-time] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
			Summary: "Makes pending entries those of another consumer.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(log(N)) for each ID where N is the number of pending entries",
			Flags: Write | Fast, Keys: oneKey(RW | Update), Run: xclaim, Tips: []string{"nondeterministic_output"},
		},
		{
			Name: "xautoclaim", Usage: "key group consumer min-idle-time:string start:string [COUNT count] [JUSTID]", Arity: -6,
			Summary: "Makes those pending entries another consumer's that have been pending for long.",
			Group:   "stream", Since: "6.2.0", Complexity: "O(log(N)) for each entry looked at where N is the number of pending entries; at most ten times COUNT",
			Flags: Write | Fast, Keys: oneKey(RW | Delete), Run: xautoclaim, Tips: []string{"nondeterministic_output"},
		},
	}
}

// Words of journal records.
var (
	wordXCLAIM         = []byte("XCLAIM")
	wordZero           = []byte("0")
	wordTIME           = []byte("TIME")
	wordRETRYCOUNT     = []byte("RETRYCOUNT")
	wordFORCE          = []byte("FORCE")
	wordJUSTID         = []byte("JUSTID")
	wordLASTID         = []byte("LASTID")
	wordXGROUP         = []byte("XGROUP")
	wordSETID          = []byte("SETID")
	wordCREATECONSUMER = []byte("CREATECONSUMER")
	wordENTRIESREAD    = []byte("ENTRIESREAD")
)

// claimRun is the most IDs of one record.
const claimRun = 1024

// claimLog gathers what became pending into records that restore it,
//
//	XCLAIM key group consumer 0 id … TIME ms RETRYCOUNT n FORCE JUSTID LASTID id
//
// one for each run of entries that differ in nothing but the ID. Such a record
// takes an entry that the stream has lost out of the group.
type claimLog struct {
	c     *Ctx
	key   []byte
	group *store.Group
	like  store.Pending // the run's
	ids   [][]byte
	text  []byte // of the IDs
	used  bool
}

func (l *claimLog) empty() bool { return !l.used }

func (l *claimLog) add(p store.Pending) {
	if len(l.ids) == claimRun || len(l.ids) > 0 &&
		(p.Consumer != l.like.Consumer || p.Time != l.like.Time || p.Count != l.like.Count) {
		l.flush()
	}
	l.used, l.like = true, p
	from := len(l.text)
	l.text = p.ID.Append(l.text)
	l.ids = append(l.ids, l.text[from:len(l.text):len(l.text)])
}

// flush ends the run.
func (l *claimLog) flush() {
	if len(l.ids) == 0 {
		return
	}
	record := make([][]byte, 0, len(l.ids)+13)
	record = append(record, wordXCLAIM, l.key, []byte(l.group.Name()), []byte(l.like.Consumer.Name()), wordZero)
	record = append(record, l.ids...)
	record = append(record, wordTIME, strconv.AppendInt(nil, l.like.Time, 10), wordRETRYCOUNT, strconv.AppendInt(nil, l.like.Count, 10),
		wordFORCE, wordJUSTID, wordLASTID, l.group.Last().Append(nil))
	l.c.LogAs(record...)
	l.ids, l.text = l.ids[:0], nil
}

// logGroupID records how far a group has read.
func logGroupID(c *Ctx, key []byte, g *store.Group) {
	c.LogAs(wordXGROUP, wordSETID, key, []byte(g.Name()), g.Last().Append(nil), wordENTRIESREAD, strconv.AppendInt(nil, g.Read(), 10))
}

// groupAt returns the stream and the group of a command whose first arguments
// name them. It replies with the error if one is missing.
func groupAt(c *Ctx, a store.Access) (s *store.Stream, g *store.Group, ok bool) {
	if s, ok = streamAt(c, c.Args[1], a); !ok {
		return nil, nil, false
	}
	if s != nil {
		g = s.Group(c.Args[2])
	}
	if g == nil {
		c.Reply.Error(resp.NoGroup(c.Args[1], c.Args[2]))
		return nil, nil, false
	}
	return s, g, true
}

// pendingOptions are the arguments of XPENDING behind the group.
type pendingOptions struct {
	rangeOptions
	minIdle  int64
	consumer []byte
}

func parsePending(args [][]byte) (o pendingOptions, err error) {
	a := resp.NewArgs(args)
	if len(args) < 3 || len(args) > 6 {
		return o, resp.ErrSyntax
	}
	if a.Is("IDLE") {
		if o.minIdle = a.Int(); a.Left() < 3 {
			a.Fail(resp.ErrSyntax)
			return o, a.Err()
		}
		args = args[2:]
	}
	count := resp.NewArgs(args[2:])
	o.count = max(count.Int(), 0)
	if err = count.Err(); err != nil {
		return o, err
	}
	ids := resp.NewArgs(args[:2])
	var excluded, ok bool
	if o.from, excluded = parseBound(&ids, 0); excluded {
		if o.from, ok = o.from.Next(); !ok {
			ids.Fail(resp.ErrInvalidStart)
		}
	}
	if o.to, excluded = parseBound(&ids, math.MaxUint64); excluded {
		if o.to, ok = o.to.Prev(); !ok {
			ids.Fail(resp.ErrInvalidEnd)
		}
	}
	if len(args) > 3 {
		o.consumer = args[3]
	}
	return o, ids.Err()
}

func xpending(c *Ctx) {
	var o pendingOptions
	var err error
	summary := len(c.Args) == 3
	if !summary {
		o, err = parsePending(c.Args[3:])
	}
	if err != nil {
		c.Fail(err)
		return
	}
	_, g, ok := groupAt(c, store.Read)
	switch {
	case !ok:
	case summary:
		replyPending(c.Reply, g)
	default:
		listPending(c, g, &o)
	}
}

// replyPending replies with the summary: how many entries are pending, the
// first and the last of them, and how many by consumer.
func replyPending(r *resp.Reply, g *store.Group) {
	r.Array(4)
	r.Int(int64(g.Pending()))
	if g.Pending() == 0 {
		r.Null()
		r.Null()
		r.NullArray()
		return
	}
	first, last := g.PendingRange()
	replyID(r, first)
	replyID(r, last)
	mark, n := r.DeferArray(), 0
	for _, consumer := range g.Consumers() {
		if consumer.Pending() == 0 {
			continue
		}
		r.Array(2)
		r.BulkString(consumer.Name())
		r.BulkInt(int64(consumer.Pending()))
		n++
	}
	r.SetDeferred(mark, n)
}

func listPending(c *Ctx, g *store.Group, o *pendingOptions) {
	var consumer *store.Consumer
	if o.consumer != nil {
		if consumer = g.Consumer(o.consumer); consumer == nil {
			c.Reply.Array(0)
			return
		}
	}
	mark, n := c.Reply.DeferArray(), 0
	if o.count > 0 {
		g.Nacks(consumer, o.from, o.to, func(p store.Pending) bool {
			idle := c.Tx.Now - p.Time
			if o.minIdle != 0 && idle < o.minIdle {
				return true
			}
			c.Reply.Array(4)
			replyID(c.Reply, p.ID)
			c.Reply.BulkString(p.Consumer.Name())
			c.Reply.Int(max(idle, 0))
			c.Reply.Int(p.Count)
			n++
			return int64(n) != o.count && !c.Reply.Over()
		})
	}
	c.Reply.SetDeferred(mark, n)
}

// claimOptions are the arguments of XCLAIM and XAUTOCLAIM behind the consumer.
type claimOptions struct {
	minIdle    int64
	ids        []store.ID // of XCLAIM
	time       int64
	retryCount int64 // -1: not given
	force      bool
	justID     bool
	last       store.ID
	start      store.ID // of XAUTOCLAIM
	count      int64
}

func parseClaim(c *Ctx) (o claimOptions, err error) {
	a := resp.NewArgs(c.Args[4:])
	o = claimOptions{time: c.Tx.Now, retryCount: -1, minIdle: a.IntOr(resp.ErrXClaimMinIdle)}
	for a.Left() > 0 {
		id, ok := store.ParseID(a.Peek(), 0)
		if !ok {
			break // the options begin
		}
		o.ids = append(o.ids, id)
		a.Next()
	}
	given := int64(-1)
	for a.Left() > 0 {
		switch {
		case a.Is("FORCE"):
			o.force = true
		case a.Is("JUSTID"):
			o.justID = true
		case a.Left() >= 2 && a.Is("IDLE"):
			given = c.Tx.Now - a.IntOr(resp.ErrXClaimIdle)
		case a.Left() >= 2 && a.Is("TIME"):
			given = a.IntOr(resp.ErrXClaimTime)
		case a.Left() >= 2 && a.Is("RETRYCOUNT"):
			o.retryCount = a.IntOr(resp.ErrXClaimRetryCount)
		case a.Left() >= 2 && a.Is("LASTID"):
			o.last = parseID(&a)
		default:
			a.Fail(resp.UnrecognizedClaim(a.Peek()))
		}
	}
	if given >= 0 && given < o.time { // a clock that is wrong is no reason to fail
		o.time = given
	}
	return o, a.Err()
}

// claim is one run of XCLAIM or XAUTOCLAIM.
type claim struct {
	c        *Ctx
	o        *claimOptions
	stream   *store.Stream
	group    *store.Group
	consumer *store.Consumer
	created  bool
	took     bool // the consumer has got something
	changed  bool
	find     store.Finder
	log      claimLog
}

// newClaim creates the consumer if need be.
func newClaim(c *Ctx, o *claimOptions, s *store.Stream, g *store.Group) *claim {
	cl := &claim{c: c, o: o, stream: s, group: g, consumer: g.Consumer(c.Args[3]), find: s.Finder(), log: claimLog{c: c, key: c.Args[1], group: g}}
	if cl.consumer == nil {
		cl.consumer, cl.created = g.CreateConsumer(c.Args[3], c.Tx.Now), true
	}
	cl.consumer.Seen = c.Tx.Now
	return cl
}

// take makes p the consumer's, if it has been pending for long enough or is
// newly made pending.
func (cl *claim) take(p store.Pending) bool {
	if p.Consumer != nil && cl.o.minIdle > 0 && cl.c.Tx.Now-p.Time < cl.o.minIdle {
		return false
	}
	p.Consumer, p.Time = cl.consumer, cl.o.time
	if cl.o.retryCount >= 0 {
		p.Count = cl.o.retryCount
	} else if !cl.o.justID {
		p.Count++
	}
	cl.group.Assign(p)
	cl.consumer.Active = cl.c.Tx.Now
	cl.changed, cl.took = true, true
	cl.log.add(p)
	return true
}

// reply replies with an entry taken, or with its ID.
func (cl *claim) reply(id store.ID) {
	if cl.o.justID {
		replyID(cl.c.Reply, id)
	} else if e, ok := cl.find.Find(id); ok {
		replyEntry(cl.c.Reply, e)
	}
}

func (cl *claim) has(id store.ID) bool {
	_, ok := cl.find.Find(id)
	return ok
}

// lose takes an entry that the stream has lost out of the group.
func (cl *claim) lose(p store.Pending) {
	cl.log.add(p)
	cl.group.Ack(p.ID)
	cl.changed = true
}

// finish records what was changed; last says that the group's last ID was.
func (cl *claim) finish(last bool, n int) {
	c := cl.c
	c.NoLog()
	c.Count(n)
	if !cl.created && !cl.changed && !last {
		return
	}
	c.Tx.Event = ""
	if cl.created {
		c.Tx.Event = "xgroup-createconsumer"
	}
	if cl.created && !cl.took {
		c.LogAs(wordXGROUP, wordCREATECONSUMER, c.Args[1], c.Args[2], c.Args[3])
	}
	if last && cl.log.empty() {
		logGroupID(c, c.Args[1], cl.group)
	}
	cl.log.flush()
	c.Tx.SaveStreamQuietly(c.Args[1], cl.stream)
}

func xclaim(c *Ctx) {
	s, g, ok := groupAt(c, store.Read)
	if !ok {
		return
	}
	o, err := parseClaim(c)
	if err != nil {
		c.Fail(err)
		return
	}
	last := g.Last().Less(o.last)
	if last {
		g.SetLast(o.last, g.Read())
	}
	cl := newClaim(c, &o, s, g)
	mark, n := c.Reply.DeferArray(), 0
	for _, id := range o.ids {
		p, pending := g.Nack(id)
		switch {
		case !cl.has(id):
			if pending {
				cl.lose(p)
			}
		case pending || o.force:
			if !pending {
				p = store.Pending{ID: id, Count: 1}
			}
			if cl.take(p) {
				cl.reply(id)
				n++
			}
		}
	}
	c.Reply.SetDeferred(mark, n)
	cl.finish(last, n)
}

// Limits of XAUTOCLAIM.
const (
	autoClaimCount    = 100       // entries unless told
	autoClaimAttempts = 10        // entries looked at for each asked for
	maxAutoClaim      = 1<<59 - 1 // most that may be asked for
	autoClaimMemory   = 1 << 43   // Redis has no room for the IDs of so many
)

func parseAutoClaim(c *Ctx) (o claimOptions, err error) {
	a := resp.NewArgs(c.Args[4:])
	o = claimOptions{time: c.Tx.Now, retryCount: -1, count: autoClaimCount, minIdle: a.IntOr(resp.ErrXAutoClaimMinIdle)}
	id, excluded := parseBound(&a, 0)
	if o.start = id; excluded {
		var ok bool
		if o.start, ok = id.Next(); !ok {
			a.Fail(resp.ErrInvalidStart)
		}
	}
	for a.Left() > 0 {
		switch {
		case a.Left() >= 2 && a.Is("COUNT"):
			if o.count = a.IntOr(resp.ErrXAutoClaimCount); o.count < 1 || o.count > maxAutoClaim {
				a.Fail(resp.ErrXAutoClaimCount)
			}
		case a.Is("JUSTID"):
			o.justID = true
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return o, a.Err()
}

func xautoclaim(c *Ctx) {
	o, err := parseAutoClaim(c)
	if err != nil {
		c.Fail(err)
		return
	}
	s, g, ok := groupAt(c, store.Read)
	if !ok {
		return
	}
	if o.count > autoClaimMemory {
		c.Reply.Error(resp.ErrXAutoClaimMemory)
		return
	}
	cl := newClaim(c, &o, s, g)
	taken, lost, next := cl.auto()
	c.Reply.Array(3)
	replyID(c.Reply, next)
	c.Reply.Array(len(taken))
	for _, id := range taken {
		cl.reply(id)
	}
	c.Reply.Array(len(lost))
	for _, id := range lost {
		replyID(c.Reply, id)
	}
	cl.finish(false, len(taken))
}

// auto goes through the pending entries from start on. It returns those taken
// and those that the stream has lost, and where to go on: 0-0 is the end.
func (cl *claim) auto() (taken, lost []store.ID, next store.ID) {
	next = cl.o.start
	more := true
	for left := cl.o.count * autoClaimAttempts; more && left > 0 && int64(len(taken)+len(lost)) < cl.o.count; left-- {
		p, ok := cl.group.NextNack(next)
		if !ok {
			return taken, lost, store.ID{}
		}
		if !cl.has(p.ID) {
			cl.lose(p)
			lost = append(lost, p.ID)
		} else if cl.take(p) {
			taken = append(taken, p.ID)
		}
		next, more = p.ID.Next()
	}
	if p, ok := cl.group.NextNack(next); more && ok {
		return taken, lost, p.ID
	}
	return taken, lost, store.ID{}
}
