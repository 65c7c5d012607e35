package command

import (
	"math"
	"time"

	"synap/resp"
	"synap/store"
)

func streamReadRows() []Row {
	return []Row{
		{
			Name: "xlen", Usage: "key", Arity: 2,
			Summary: "Returns the number of entries of a stream.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: xlen,
		},
		{
			Name: "xrange", Usage: "key start:string end:string [COUNT count]", Arity: -4,
			Summary: "Returns the entries of a stream from one ID to another.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(log(N)+M) where N is the length of the stream and M the number of entries returned",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: func(c *Ctx) { xrange(c, false) },
		},
		{
			Name: "xrevrange", Usage: "key end:string start:string [COUNT count]", Arity: -4,
			Summary: "Returns the entries of a stream from one ID to another, the last ones first.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(log(N)+M) where N is the length of the stream and M the number of entries returned",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: func(c *Ctx) { xrange(c, true) },
		},
		{
			Name: "xread", Usage: "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]", Arity: -4,
			Summary: "Returns the entries of several streams that are newer than given IDs, and may wait for them.",
			Group:   "stream", Since: "5.0.0",
			Flags: ReadOnly | Blocking | MovableKeys, Run: xread,
			Keys: []KeySpec{{Flags: RO | Access, Keyword: "STREAMS", From: 1, Last: -1, Step: 1, Limit: 2}},
		},
	}
}

func xlen(c *Ctx) {
	s, ok := streamAt(c, c.Args[1], store.Read)
	switch {
	case !ok:
	case s == nil:
		c.Reply.Int(0)
	default:
		c.Reply.Int(int64(s.Len()))
	}
}

// parseBound reads an end of an interval: an ID, one excluded by a leading (,
// or - and +. missing is the number of an ID that is milliseconds only.
func parseBound(a *resp.Args, missing uint64) (id store.ID, excluded bool) {
	text := a.Next()
	switch {
	case string(text) == "-":
		return store.ID{}, false
	case string(text) == "+":
		return store.MaxID, false
	case len(text) > 1 && text[0] == '(':
		text, excluded = text[1:], true
	}
	id, ok := store.ParseID(text, missing)
	if !ok {
		a.Fail(resp.ErrStreamID)
	}
	return id, excluded
}

// rangeOptions are the arguments of XRANGE; count is -1 when not given.
type rangeOptions struct {
	from, to store.ID
	count    int64
}

func parseRange(a *resp.Args, back bool) rangeOptions {
	var o rangeOptions
	var noFrom, noTo bool
	ok := true
	if back { // the end comes first, and its error too
		o.to, noTo = parseBound(a, math.MaxUint64)
	}
	if o.from, noFrom = parseBound(a, 0); !back {
		o.to, noTo = parseBound(a, math.MaxUint64)
	}
	if noFrom {
		if o.from, ok = o.from.Next(); !ok {
			a.Fail(resp.ErrInvalidStart)
		}
	}
	if noTo {
		if o.to, ok = o.to.Prev(); !ok {
			a.Fail(resp.ErrInvalidEnd)
		}
	}
	o.count = -1
	for a.Left() > 0 && a.Err() == nil {
		if a.Left() < 2 || !a.Is("COUNT") {
			a.Fail(resp.ErrSyntax)
		}
		o.count = max(a.Int(), 0)
	}
	return o
}

func xrange(c *Ctx, back bool) {
	a := resp.NewArgs(c.Args[2:])
	o := parseRange(&a, back)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	s, ok := streamAt(c, c.Args[1], store.Read)
	switch {
	case !ok:
	case s == nil:
		c.Count(0)
		c.Reply.Array(0)
	case o.count == 0:
		c.Count(0)
		c.Reply.NullArray()
	default:
		c.Count(replyEntries(c.Reply, s, o, back))
	}
}

// replyEntries replies with an array of the first count entries of a range, all
// if count is not positive, and returns how many.
func replyEntries(r *resp.Reply, s *store.Stream, o rangeOptions, back bool) int {
	mark := r.DeferArray()
	n := 0
	visit := func(e store.Entry) bool {
		replyEntry(r, e)
		n++
		return int64(n) != o.count && !r.Over()
	}
	if back {
		s.RangeBack(o.to, o.from, visit)
	} else {
		s.Range(o.from, o.to, visit)
	}
	r.SetDeferred(mark, n)
	return n
}

func replyEntry(r *resp.Reply, e store.Entry) {
	r.Array(2)
	replyID(r, e.ID)
	r.Array(2 * e.Fields)
	e.Each(r.Bulk)
}

// xreadOptions are the arguments of XREAD and XREADGROUP.
type xreadOptions struct {
	count   int64
	block   bool
	timeout time.Duration
	keys    [][]byte
	ids     [][]byte

	group, consumer []byte // of XREADGROUP alone, as what follows
	noAck           bool
	claim           bool
	minIdle         int64
}

func parseXread(c *Ctx, ofGroup bool) (xreadOptions, error) {
	var o xreadOptions
	a := resp.NewArgs(c.Args[1:])
	for a.Err() == nil && o.keys == nil {
		switch {
		case a.Is("NOACK"):
			if o.noAck = true; !ofGroup {
				a.Fail(resp.ErrXReadNoAckOnly)
			}
		case a.Left() < 2:
			a.Fail(resp.ErrSyntax)
		case a.Is("BLOCK"):
			o.block, o.timeout = true, parseTimeoutMs(c, &a)
		case a.Is("COUNT"):
			o.count = max(a.Int(), 0)
		case a.Is("STREAMS"):
			o.parseStreams(&a, ofGroup)
		case a.Left() >= 3 && a.Is("GROUP"):
			if o.group, o.consumer = a.Next(), a.Next(); !ofGroup {
				a.Fail(resp.ErrXReadGroupOnly)
			}
		case a.Is("CLAIM"):
			if !ofGroup {
				a.Fail(resp.ErrXReadClaimOnly)
			}
			o.claim, o.minIdle = true, a.IntOr(resp.ErrMinIdleInteger)
			if o.minIdle < 0 {
				a.Fail(resp.ErrMinIdlePositive)
			}
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	if ofGroup && o.group == nil {
		a.Fail(resp.ErrXReadGroupMissing)
	}
	return o, a.Err()
}

func (o *xreadOptions) parseStreams(a *resp.Args, ofGroup bool) {
	rest := a.Rest()
	n := len(rest) / 2
	switch {
	case len(rest)%2 == 0:
	case ofGroup:
		a.Fail(resp.ErrXReadGroupUnbalanced)
	default:
		a.Fail(resp.ErrXReadUnbalanced)
	}
	o.keys, o.ids = rest[:n], rest[n:]
}

// parseTimeoutMs reads a timeout in milliseconds; 0 means for ever.
func parseTimeoutMs(c *Ctx, a *resp.Args) time.Duration {
	ms := a.IntOr(resp.ErrTimeoutInteger)
	if ms < 0 {
		a.Fail(resp.ErrTimeoutNegative)
	} else if ms > math.MaxInt64-c.Tx.Now {
		a.Fail(resp.ErrTimeoutRange)
	}
	return time.Duration(min(max(ms, 0), maxTimeout/int64(time.Millisecond))) * time.Millisecond
}

// readFrom resolves an ID of XREAD: entries behind it are new. It returns an
// error for one that is none.
func readFrom(s *store.Stream, text []byte) (store.ID, error) {
	switch string(text) {
	case "$":
		if s == nil {
			return store.ID{}, nil
		}
		return s.LastID(), nil
	case "+": // the last entry (Redis 7.4)
		if s == nil {
			return store.ID{}, nil
		}
		id, ok := s.TopID().Prev()
		if !ok {
			id = s.LastID() // no entry: as $
		}
		return id, nil
	case ">":
		return store.ID{}, resp.ErrXReadGreater
	}
	id, ok := store.ParseID(text, 0)
	if !ok {
		return id, resp.ErrStreamID
	}
	return id, nil
}

// source is one stream of XREAD and the ID that its entries must be behind.
type source struct {
	stream *store.Stream
	after  store.ID
}

func (s source) fresh() bool { return s.stream != nil && s.after.Less(s.stream.TopID()) }

func xread(c *Ctx) {
	o, err := parseXread(c, false)
	if err != nil {
		c.Fail(err)
		return
	}
	var room [8]source
	sources, ready := room[:0], 0
	for i, key := range o.keys {
		s, err := c.Tx.Stream(key, store.Read)
		if err != nil && c.Retry {
			err = nil // it waits for the keys that are streams
		}
		src := source{stream: s}
		if err == nil {
			src.after, err = readFrom(s, o.ids[i])
		}
		if err != nil {
			c.Fail(err)
			return
		}
		if src.fresh() {
			ready++
		}
		sources = append(sources, src)
	}
	switch {
	case ready > 0:
		replySources(c, &o, sources, ready)
	case o.block:
		waitForEntries(c, &o, sources)
	default:
		c.Count(0)
		c.Reply.NullArray()
	}
}

// replySources replies with the new entries by key: a map, in RESP2 an array
// of pairs.
func replySources(c *Ctx, o *xreadOptions, sources []source, ready int) {
	if c.Reply.Proto() == 3 {
		c.Reply.Map(ready)
	} else {
		c.Reply.Array(ready)
	}
	for i, src := range sources {
		if !src.fresh() {
			continue
		}
		if c.Reply.Proto() == 2 {
			c.Reply.Array(2)
		}
		c.Reply.Bulk(o.keys[i])
		from, _ := src.after.Next()
		c.CountAt(o.keys[i], replyEntries(c.Reply, src.stream, rangeOptions{from, store.MaxID, o.count}, false))
	}
}

// waitForEntries blocks; what $ and + mean is settled now.
func waitForEntries(c *Ctx, o *xreadOptions, sources []source) {
	c.Count(0)
	args := append([][]byte(nil), c.Args...)
	ids := args[len(args)-len(sources):]
	for i, src := range sources {
		ids[i] = src.after.Append(nil)
	}
	c.Block(Block{Keys: o.keys, Timeout: o.timeout, TimeOut: (*resp.Reply).NullArray, Kind: store.KindStream, Args: args})
}
