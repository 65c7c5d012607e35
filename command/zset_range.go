package command

import (
	"synap/resp"
	"synap/store"
)

func zsetRangeRows() []Row {
	const cost = "O(log(N)+M) where N is the number of members in the sorted set and M the number of those returned"
	const limit = " [LIMIT offset count]"
	row := func(name, usage, since, summary string, o zrangeOptions) Row {
		return Row{
			Name: name, Usage: usage, Arity: -4,
			Summary: summary,
			Group:   "sorted-set", Since: since, Complexity: cost,
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: func(c *Ctx) { zrange(c, o) },
		}
	}
	old := func(r Row, replacement string) Row {
		r.Deprecated = "6.2.0|" + replacement
		return r
	}
	return []Row{
		row("zrange", "key start:string stop:string [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]", "1.2.0",
			"Returns the members within a range of ranks, scores or texts.", zrangeOptions{anyBy: true, anyOrder: true}),
		old(row("zrevrange", "key start stop [WITHSCORES]", "1.2.0",
			"Returns the members within a range of ranks, in descending order.", zrangeOptions{back: true}),
			"`ZRANGE` with the `REV` argument"),
		old(row("zrangebyscore", "key min:double max:double [WITHSCORES]"+limit, "1.0.5",
			"Returns the members with scores within a range.", zrangeOptions{by: zbyScore}),
			"`ZRANGE` with the `BYSCORE` argument"),
		old(row("zrevrangebyscore", "key max:double min:double [WITHSCORES]"+limit, "2.2.0",
			"Returns the members with scores within a range, in descending order.", zrangeOptions{by: zbyScore, back: true}),
			"`ZRANGE` with the `REV` and `BYSCORE` arguments"),
		old(row("zrangebylex", "key min:string max:string"+limit, "2.8.9",
			"Returns the members within a range of texts.", zrangeOptions{by: zbyLex}),
			"`ZRANGE` with the `BYLEX` argument"),
		old(row("zrevrangebylex", "key max:string min:string"+limit, "2.8.9",
			"Returns the members within a range of texts, in descending order.", zrangeOptions{by: zbyLex, back: true}),
			"`ZRANGE` with the `REV` and `BYLEX` arguments"),
		{
			Name: "zrangestore", Usage: "dst:key src:key min:string max:string [BYSCORE | BYLEX] [REV] [LIMIT offset count]", Arity: -5,
			Summary: "Stores the members within a range of ranks, scores or texts as another sorted set.",
			Group:   "sorted-set", Since: "6.2.0", Complexity: "O(log(N)+M) where N is the number of members in the sorted set and M the number of those stored",
			Flags: Write | DenyOOM, Keys: twoKeys(OW|Update, RO|Access), Run: zrangestore,
		},
	}
}

func zsetRemoveRangeRows() []Row {
	row := func(name, usage, since, summary string, by zrangeBy) Row {
		return Row{
			Name: name, Usage: usage, Arity: 4,
			Summary: summary,
			Group:   "sorted-set", Since: since, Complexity: "O(log(N)+M) where N is the number of members in the sorted set and M the number of those removed",
			Flags: Write, Keys: oneKey(RW | Delete), Run: func(c *Ctx) { zremrange(c, by) },
		}
	}
	return []Row{
		row("zremrangebyrank", "key start stop", "2.0.0", "Removes the members within a range of ranks.", zbyRank),
		row("zremrangebyscore", "key min:double max:double", "1.2.0", "Removes the members with scores within a range.", zbyScore),
		row("zremrangebylex", "key min:string max:string", "2.8.9", "Removes the members within a range of texts.", zbyLex),
	}
}

// zrangeBy says what a range is about.
type zrangeBy uint8

const (
	zbyRank zrangeBy = iota
	zbyScore
	zbyLex
)

// zrangeOptions are those of ZRANGE and its relatives. anyBy and anyOrder tell
// what an option may still choose.
type zrangeOptions struct {
	by              zrangeBy
	back            bool
	anyBy, anyOrder bool
	scores          bool
	offset, count   int64 // of LIMIT; a count of -1 is none
}

func (o *zrangeOptions) parse(a *resp.Args, store bool) {
	o.count = -1
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case !store && a.Is("WITHSCORES"):
			o.scores = true
		case a.Left() > 2 && a.Is("LIMIT"):
			o.offset, o.count = a.Int(), a.Int()
		case o.anyOrder && a.Is("REV"):
			o.back, o.anyOrder = true, false
		case o.anyBy && a.Is("BYLEX"):
			o.by, o.anyBy = zbyLex, false
		case o.anyBy && a.Is("BYSCORE"):
			o.by, o.anyBy = zbyScore, false
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	switch {
	case o.count != -1 && o.by == zbyRank:
		a.Fail(resp.ErrZRangeLimit)
	case o.by == zbyRank:
		o.offset = 0 // LIMIT with a count of -1 is no error, and does nothing
	case o.scores && o.by == zbyLex:
		a.Fail(resp.ErrZRangeLexScore)
	}
}

// zspan is a range of one of the three sorts.
type zspan struct {
	by          zrangeBy
	start, stop int64
	score       store.ScoreRange
	lex         store.LexRange
}

// parseZSpan reads the two ends of a range; turned means that the greater one
// stands first.
func parseZSpan(a *resp.Args, by zrangeBy, turned bool) zspan {
	s := zspan{by: by}
	switch by {
	case zbyRank:
		s.start, s.stop = a.Int(), a.Int()
	case zbyScore:
		s.score = parseScoreRange(a, turned)
	case zbyLex:
		s.lex = parseLexRange(a, turned)
	}
	return s
}

func parseScoreRange(a *resp.Args, turned bool) (r store.ScoreRange) {
	r.Min, r.MinOpen = parseScoreBound(a)
	r.Max, r.MaxOpen = parseScoreBound(a)
	if turned {
		r.Min, r.MinOpen, r.Max, r.MaxOpen = r.Max, r.MaxOpen, r.Min, r.MinOpen
	}
	return r
}

// parseScoreBound reads 5, (5, inf. Redis uses strtod here without its checks:
// blanks may stand before the number, what is out of range becomes infinite,
// and nothing at all is 0.
func parseScoreBound(a *resp.Args) (score float64, open bool) {
	text := a.Next()
	if len(text) > 0 && text[0] == '(' {
		text, open = text[1:], true
	}
	score, ok := resp.ParseBound(text)
	if !ok {
		a.Fail(resp.ErrScoreRange)
	}
	return score, open
}

func parseLexRange(a *resp.Args, turned bool) (r store.LexRange) {
	r.Min, r.Max = parseLexBound(a), parseLexBound(a)
	if turned {
		r.Min, r.Max = r.Max, r.Min
	}
	return r
}

// parseLexBound reads [text, (text, - or +.
func parseLexBound(a *resp.Args) (b store.LexBound) {
	switch text := a.Next(); {
	case len(text) == 1 && text[0] == '-':
		b.All = -1
	case len(text) == 1 && text[0] == '+':
		b.All = 1
	case len(text) > 0 && (text[0] == '(' || text[0] == '['):
		b.Text, b.Open = text[1:], text[0] == '('
	default:
		a.Fail(resp.ErrLexRange)
	}
	return b
}

// ranks returns the ranks [from, to) of the members in s, those of a reverse
// range counted from the end if s is about ranks.
func (s *zspan) ranks(z *store.ZSet, back bool) (from, to int) {
	switch s.by {
	case zbyScore:
		return z.SpanScore(s.score)
	case zbyLex:
		return z.SpanLex(s.lex, back)
	}
	n := int64(z.Len())
	start, stop := s.start, s.stop
	if start < 0 {
		start = max(start+n, 0)
	}
	if stop < 0 {
		stop += n
	}
	stop = min(stop, n-1)
	if start > stop {
		return 0, 0
	}
	if back {
		return int(n - 1 - stop), int(n - start)
	}
	return int(start), int(stop + 1)
}

// limit cuts the ranks [from, to) to what LIMIT leaves.
func (o *zrangeOptions) limit(from, to int) (int, int) {
	n := int64(to - from)
	if o.offset < 0 || o.offset >= n {
		return from, from
	}
	n -= o.offset
	if o.count >= 0 {
		n = min(n, o.count)
	}
	if o.back {
		to -= int(o.offset)
		return to - int(n), to
	}
	from += int(o.offset)
	return from, from + int(n)
}

// span reads the two ends and the options behind them, whose errors come first.
func (o *zrangeOptions) span(args [][]byte, stored bool) (zspan, error) {
	a, ends := resp.NewArgs(args[2:]), resp.NewArgs(args[:2])
	o.parse(&a, stored)
	s := parseZSpan(&ends, o.by, o.back)
	if err := a.Err(); err != nil {
		return s, err
	}
	return s, ends.Err()
}

func zrange(c *Ctx, o zrangeOptions) {
	s, err := o.span(c.Args[2:], false)
	if err != nil {
		c.Fail(err)
		return
	}
	z, ok := zsetAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	from, to := o.limit(s.ranks(&z, o.back))
	zpairs(c, to-from, o.scores)
	z.ByRank(from, to, o.back, func(member []byte, score float64) bool {
		zpair(c, member, score, o.scores)
		return !c.Reply.Over()
	})
}

func zrangestore(c *Ctx) {
	o := zrangeOptions{anyBy: true, anyOrder: true}
	s, err := o.span(c.Args[3:], true)
	if err != nil {
		c.Fail(err)
		return
	}
	z, ok := zsetAt(c, c.Args[2], store.Read)
	if !ok {
		return
	}
	from, to := o.limit(s.ranks(&z, o.back))
	b := c.Tx.NewZBuilder()
	z.ByRank(from, to, false, func(member []byte, score float64) bool {
		b.Put(member, score)
		return true
	})
	storeZSet(c, b)
}

// zremrange is ZREMRANGEBYRANK, ZREMRANGEBYSCORE and ZREMRANGEBYLEX.
func zremrange(c *Ctx, by zrangeBy) {
	a := resp.NewArgs(c.Args[2:])
	s := parseZSpan(&a, by, false)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	z, ok := zsetAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	from, to := s.ranks(&z, false)
	z.RemoveSpan(from, to)
	z.Done()
	c.Reply.Int(int64(to - from))
}
