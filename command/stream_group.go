package command

import (
	"time"

	"synap/resp"
	"synap/store"
)

// Consumer groups: XGROUP and XREADGROUP.

func streamGroupRows() []Row { return []Row{xgroupRow(), xreadgroupRow()} }

func xgroupRow() Row {
	sub := func(name, usage, since, summary string, arity int, flags Flags, key KeyFlags, run func(*Ctx)) Row {
		return Row{
			Name: name, Usage: usage, Arity: arity, Summary: summary, Group: "stream", Since: since, Complexity: "O(1)",
			Flags: Write | flags, Keys: []KeySpec{{Flags: RW | key, Begin: 2}}, Run: run, Event: "xgroup-" + name,
		}
	}
	subs := []Row{
		sub("create", "key group <id | $> [MKSTREAM] [ENTRIESREAD entriesread]", "5.0.0",
			"Creates a consumer group that has read up to an ID.", -5, DenyOOM, Insert, xgroupCreate),
		sub("createconsumer", "key group consumer", "6.2.0", "Creates a consumer in a group.", 5, DenyOOM, Insert, xgroupCreateConsumer),
		sub("delconsumer", "key group consumer", "5.0.0", "Deletes a consumer and what is pending for it.", 5, 0, Delete, xgroupDelConsumer),
		sub("destroy", "key group", "5.0.0", "Deletes a consumer group.", 4, 0, Delete, xgroupDestroy),
		sub("setid", "key group <id | $> [ENTRIESREAD entriesread]", "5.0.0", "Sets the ID up to which a group has read.", -5, 0, Update, xgroupSetID),
	}
	subs[2].Complexity = "O(N*log(M)) where N is the number of entries pending for the consumer and M of those of the group"
	subs[3].Complexity = "O(N) where N is the number of pending entries and consumers"
	return Row{
		Name: "xgroup", Arity: -2,
		Summary: "Manages consumer groups.",
		Group:   "stream", Since: "5.0.0", Complexity: "Depends on the subcommand",
		Subs: append(subs, HelpRow("xgroup", Row{Group: "stream", Since: "5.0.0", Flags: Loading | Stale}, subs)),
	}
}

func xreadgroupRow() Row {
	return Row{
		Name: "xreadgroup", Arity: -7,
		Usage:   "GROUP <group consumer> [COUNT count] [BLOCK milliseconds] [CLAIM min-idle-time:integer] [NOACK] STREAMS <key [key ...] id [id ...]>",
		Summary: "Returns entries of several streams that a consumer group has not read, or those pending for a consumer; it may wait for them.",
		Group:   "stream", Since: "5.0.0", Complexity: "For each stream O(M) where M is the number of entries returned",
		Flags: Write | Blocking | MovableKeys, Run: xreadgroup, FindKeys: xreadgroupKeys,
		Keys: []KeySpec{{Flags: RO | Access, Keyword: "STREAMS", From: 4, Last: -1, Step: 1, Limit: 2}},
	}
}

// xreadgroupKeys passes over the arguments of options, any of which may be the
// word STREAMS.
func xreadgroupKeys(args [][]byte, dst []KeyAt) ([]KeyAt, bool) {
	for i := 1; i < len(args); i++ {
		switch {
		case resp.EqualFold(args[i], "BLOCK"), resp.EqualFold(args[i], "COUNT"), resp.EqualFold(args[i], "CLAIM"):
			i++
		case resp.EqualFold(args[i], "GROUP"):
			i += 2
		case resp.EqualFold(args[i], "NOACK"):
		case resp.EqualFold(args[i], "STREAMS"):
			n := (len(args) - i - 1) / 2
			for k := range n {
				dst = append(dst, KeyAt{i + 1 + k, RO | Access})
			}
			return dst, n > 0
		default:
			return dst, false
		}
	}
	return dst, false
}

// groupOptions are the options of XGROUP CREATE and SETID.
type groupOptions struct {
	mkstream bool
	read     int64 // ENTRIESREAD; -1: not known
}

// parseGroup reads the options; it replies with the error itself.
func parseGroup(c *Ctx, create bool) (o groupOptions, ok bool) {
	o.read = -1
	a := resp.NewArgs(c.Args[5:])
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case create && a.Is("MKSTREAM"):
			o.mkstream = true
		case a.Left() >= 2 && a.Is("ENTRIESREAD"):
			if o.read = a.Int(); o.read < -1 {
				a.Fail(resp.ErrEntriesRead)
			}
		default:
			a.Fail(resp.SubcommandSyntax("xgroup", c.Args[1]))
		}
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return o, false
	}
	return o, true
}

// parseGroupID reads the ID that a group starts behind; $ is the last one.
func parseGroupID(c *Ctx, s *store.Stream, short bool) (id store.ID, ok bool) {
	text := c.Args[4]
	switch {
	case string(text) == "$":
		return s.LastID(), true
	case short && string(text) == "-":
		return store.ID{}, true
	case short && string(text) == "+":
		return store.MaxID, true
	}
	if id, ok = store.ParseID(text, 0); !ok {
		c.Reply.Error(resp.ErrStreamID)
	}
	return id, ok
}

// groupToChange returns the stream of XGROUP's key and the group, nil if there
// is none and need not be one. It replies with the error itself.
func groupToChange(c *Ctx, needed bool) (s *store.Stream, g *store.Group, ok bool) {
	s, ok = streamAt(c, c.Args[2], store.Write)
	if !ok {
		return nil, nil, false
	}
	if s == nil {
		c.Reply.Error(resp.ErrXGroupNoKey)
		return nil, nil, false
	}
	if g = s.Group(c.Args[3]); g == nil && needed {
		c.Reply.Error(resp.NoGroupOfKey(c.Args[2], c.Args[3]))
		return nil, nil, false
	}
	return s, g, true
}

func xgroupCreate(c *Ctx) {
	o, ok := parseGroup(c, true)
	if !ok {
		return
	}
	s, ok := streamAt(c, c.Args[2], store.Write)
	if !ok {
		return
	}
	created := s == nil
	if created && !o.mkstream {
		c.Reply.Error(resp.ErrXGroupNoKey)
		return
	}
	if len(c.Args) > 8 {
		c.Reply.Error(resp.SubcommandSyntax("xgroup", c.Args[1]))
		return
	}
	if created {
		s = c.Tx.NewStream()
	}
	id, ok := parseGroupID(c, s, false)
	if !ok {
		return
	}
	if s.CreateGroup(c.Args[3], id, o.read) == nil {
		c.Reply.Error(resp.ErrBusyGroup)
		return
	}
	c.Tx.SaveStreamQuietly(c.Args[2], s)
	c.Reply.OK()
}

func xgroupSetID(c *Ctx) {
	o, ok := parseGroup(c, false)
	if !ok {
		return
	}
	s, g, ok := groupToChange(c, true)
	if !ok {
		return
	}
	if n := len(c.Args); n != 5 && n != 7 {
		c.Reply.Error(resp.SubcommandSyntax("xgroup", c.Args[1]))
		return
	}
	id, ok := parseGroupID(c, s, true)
	if !ok {
		return
	}
	g.SetLast(id, o.read)
	c.Tx.SaveStreamQuietly(c.Args[2], s)
	c.Reply.OK()
}

func xgroupDestroy(c *Ctx) {
	s, g, ok := groupToChange(c, false)
	if !ok {
		return
	}
	if g == nil {
		c.Reply.Int(0)
		return
	}
	s.DropGroup(c.Args[3])
	c.Tx.SaveStream(c.Args[2], s) // who waits for the group is told
	c.Reply.Int(1)
}

func xgroupCreateConsumer(c *Ctx) {
	s, g, ok := groupToChange(c, true)
	if !ok {
		return
	}
	if g.CreateConsumer(c.Args[4], c.Tx.Now) == nil {
		c.Reply.Int(0)
		return
	}
	c.Tx.SaveStreamQuietly(c.Args[2], s)
	c.Reply.Int(1)
}

func xgroupDelConsumer(c *Ctx) {
	s, g, ok := groupToChange(c, true)
	if !ok {
		return
	}
	n, ok := g.DropConsumer(c.Args[4])
	if ok {
		c.Tx.SaveStreamQuietly(c.Args[2], s)
	}
	c.Reply.Int(int64(n))
}

// groupSource is one stream of XREADGROUP.
type groupSource struct {
	key     []byte
	stream  *store.Stream
	group   *store.Group
	history bool     // the consumer's own pending entries are asked for
	after   store.ID // … those behind it
}

// parseSources looks up streams and groups, and reads IDs.
func parseSources(c *Ctx, o *xreadOptions) ([]groupSource, error) {
	sources := make([]groupSource, 0, 8)
	for i, key := range o.keys {
		s, err := c.Tx.Stream(key, store.Read)
		if err != nil {
			return nil, err
		}
		src := groupSource{key: key, stream: s}
		if s != nil {
			src.group = s.Group(o.group)
		}
		if src.group == nil {
			return nil, resp.NoGroupToRead(key, o.group)
		}
		switch text := o.ids[i]; string(text) {
		case "$":
			return nil, resp.ErrXReadGroupDollar
		case ">":
		default:
			var ok bool
			if src.after, ok = store.ParseID(text, 0); !ok {
				return nil, resp.ErrStreamID
			}
			src.history = src.after != store.MaxID // which Redis takes for >
		}
		sources = append(sources, src)
	}
	return sources, nil
}

func xreadgroup(c *Ctx) {
	o, err := parseXread(c, true)
	var sources []groupSource
	if err == nil {
		sources, err = parseSources(c, &o)
	}
	if err != nil {
		c.Fail(err)
		return
	}
	c.NoLog() // but for what each stream logs
	before, mark, ready := c.Reply.Mark(), 0, 0
	if c.Reply.Proto() == 3 {
		mark = c.Reply.DeferMap()
	} else {
		mark = c.Reply.DeferArray()
	}
	for i := range sources {
		if readSource(c, &o, &sources[i]) {
			ready++
		}
	}
	if ready > 0 {
		c.Reply.SetDeferred(mark, ready)
		return
	}
	c.Reply.Rollback(before)
	c.Count(0)
	if !o.block {
		c.Reply.NullArray()
		return
	}
	c.Block(Block{
		Keys: o.keys, Timeout: o.timeout, TimeOut: (*resp.Reply).NullArray, Kind: store.KindStream,
		Gone: true, Again: nextClaim(c, &o, sources),
	})
}

// nextClaim returns after how long an entry may be claimed that cannot be now,
// 0 if no claim is asked for.
func nextClaim(c *Ctx, o *xreadOptions, sources []groupSource) time.Duration {
	if !o.claim {
		return 0
	}
	wait := o.minIdle // of an entry that another consumer will get
	for _, src := range sources {
		if at, ok := src.group.Earliest(); ok {
			wait = min(wait, o.minIdle-(c.Tx.Now-at))
		}
	}
	return time.Duration(min(max(wait, minClaimWait), maxTimeout/int64(time.Millisecond))) * time.Millisecond
}

// minClaimWait keeps XREADGROUP … BLOCK 0 CLAIM 0 from running all the time, in
// milliseconds.
const minClaimWait = 10

// readSource replies with the entries of one stream; it reports false, and
// writes nothing, if there are none to reply with.
func readSource(c *Ctx, o *xreadOptions, src *groupSource) bool {
	g := src.group
	consumer := g.Consumer(o.consumer)
	d := delivery{c: c, o: o, groupSource: src, log: claimLog{c: c, key: src.key, group: g}, read: g.Read(), last: g.Last()}
	if d.created = consumer == nil; d.created {
		consumer = g.CreateConsumer(o.consumer, c.Tx.Now)
	}
	consumer.Seen = c.Tx.Now
	d.consumer = consumer
	served := true
	switch {
	case src.history:
		d.begin()
		d.history()
	default:
		var claimed []store.Pending
		if o.claim {
			claimed = d.claimable()
		}
		fresh := g.Last().Less(src.stream.TopID())
		if served = len(claimed) > 0 || fresh; served {
			d.begin()
			d.redeliver(claimed)
			if fresh && (o.count == 0 || d.n < o.count) {
				d.deliver()
			}
		}
	}
	d.finish(served)
	return served
}

// delivery is what one stream of XREADGROUP gives to the consumer.
type delivery struct {
	*groupSource
	c        *Ctx
	o        *xreadOptions
	consumer *store.Consumer
	created  bool
	read     int64    // the group's count before
	last     store.ID // … its last ID
	took     bool     // the consumer has got something that is logged
	changed  bool
	log      claimLog
	mark     int
	n        int64 // entries replied with
}

// begin replies with the stream's name and begins the array of its entries.
func (d *delivery) begin() {
	if d.c.Reply.Proto() == 2 {
		d.c.Reply.Array(2)
	}
	d.c.Reply.Bulk(d.key)
	d.mark = d.c.Reply.DeferArray()
}

// more reports whether another entry is wanted.
func (d *delivery) more() bool { return d.n != d.o.count && !d.c.Reply.Over() }

// history replies with entries that are pending for the consumer. Those that
// are there no more are shown as null.
func (d *delivery) history() {
	from, _ := d.after.Next()
	d.group.Nacks(d.consumer, from, store.MaxID, func(p store.Pending) bool {
		if d.n++; !replyEntryAt(d.c.Reply, d.stream, p.ID) {
			d.c.Reply.Array(2)
			replyID(d.c.Reply, p.ID)
			d.c.Reply.NullArray()
		} else {
			p.Time = d.c.Tx.Now
			p.Count++
			d.group.Assign(p)
		}
		return d.more()
	})
}

// replyEntryAt replies with the entry of the given ID; it reports false if
// there is none.
func replyEntryAt(r *resp.Reply, s *store.Stream, id store.ID) (found bool) {
	s.Range(id, id, func(e store.Entry) bool {
		replyEntry(r, e)
		found = true
		return false
	})
	return found
}

// claimable returns the entries that have been pending for long enough, and
// takes out of the group those that the stream has lost.
func (d *delivery) claimable() []store.Pending {
	until := d.c.Tx.Now - d.o.minIdle
	for {
		found, lost := d.group.Oldest(until, int(min(d.o.count, 1<<30))), 0
		for i, p := range found {
			if d.stream.Has(p.ID) {
				found[i-lost] = p
				continue
			}
			lost++
			d.log.add(p)
			d.group.Ack(p.ID)
			d.changed = true
		}
		if lost == 0 || lost < len(found) || d.o.count == 0 {
			return found[:len(found)-lost]
		}
	}
}

// redeliver replies with claimed entries: how long each was idle, and how often
// it had been delivered, follow it.
func (d *delivery) redeliver(claimed []store.Pending) {
	for _, p := range claimed {
		idle, count := d.c.Tx.Now-p.Time, p.Count
		p.Consumer, p.Time = d.consumer, d.c.Tx.Now
		p.Count++
		d.group.Assign(p)
		d.log.add(p)
		d.stream.Range(p.ID, p.ID, func(e store.Entry) bool {
			replyClaimed(d.c.Reply, e, idle, count)
			return false
		})
		d.n++
		d.changed, d.took = true, true
		d.consumer.Active = d.c.Tx.Now
		if d.c.Reply.Over() {
			return
		}
	}
}

func replyClaimed(r *resp.Reply, e store.Entry, idle, count int64) {
	r.Array(4)
	replyID(r, e.ID)
	r.Array(2 * e.Fields)
	e.Each(r.Bulk)
	r.Int(idle)
	r.Int(count)
}

// deliver replies with entries that the group has not read.
func (d *delivery) deliver() {
	from, _ := d.group.Last().Next()
	now := d.c.Tx.Now
	d.stream.Range(from, store.MaxID, func(e store.Entry) bool {
		d.group.Advance(e.ID)
		d.changed = true
		if d.o.claim {
			replyClaimed(d.c.Reply, e, 0, 0)
		} else {
			replyEntry(d.c.Reply, e)
		}
		if !d.o.noAck {
			p := store.Pending{ID: e.ID, Consumer: d.consumer, Time: now, Count: 1}
			d.group.Assign(p)
			d.log.add(p)
			d.took, d.consumer.Active = true, now
		}
		d.n++
		return d.more()
	})
}

// finish ends the array of entries and records what was changed.
func (d *delivery) finish(served bool) {
	c, g := d.c, d.group
	if served {
		c.Reply.SetDeferred(d.mark, int(d.n))
		c.CountAt(d.key, int(d.n))
	}
	if !d.created && !d.changed {
		return
	}
	c.Tx.Event = ""
	if d.created {
		c.Tx.Event = "xgroup-createconsumer"
		if !d.took {
			c.LogAs(wordXGROUP, wordCREATECONSUMER, d.key, d.o.group, d.o.consumer)
		}
	}
	d.log.flush()
	if g.Read() != d.read || d.o.noAck && g.Last() != d.last { // XCLAIM does not tell them
		logGroupID(c, d.key, g)
	}
	c.Tx.SaveStreamQuietly(d.key, d.stream)
}
