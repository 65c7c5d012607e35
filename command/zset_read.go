package command

import (
	"math"
	"synap/resp"
	"synap/store"
)

func zsetReadRows() []Row {
	rank := func(name, since, summary string, back bool) Row {
		return Row{
			Name: name, Usage: "key member [WITHSCORE]", Arity: -3,
			Summary: summary,
			Group:   "sorted-set", Since: since, Complexity: "O(log(N)) where N is the number of members in the sorted set",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: func(c *Ctx) { zrank(c, back) },
		}
	}
	return []Row{
		{
			Name: "zcard", Usage: "key", Arity: 2,
			Summary: "Returns the number of members of a sorted set.",
			Group:   "sorted-set", Since: "1.2.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: zcard,
		},
		{
			Name: "zscore", Usage: "key member", Arity: 3,
			Summary: "Returns the score of a member.",
			Group:   "sorted-set", Since: "1.2.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: zscore,
		},
		{
			Name: "zmscore", Usage: "key member [member ...]", Arity: -3,
			Summary: "Returns the scores of several members, null for those that do not exist.",
			Group:   "sorted-set", Since: "6.2.0", Complexity: "O(N) where N is the number of members asked for",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: zmscore,
		},
		rank("zrank", "2.0.0", "Returns how many members stand before one, in ascending order of score.", false),
		rank("zrevrank", "2.0.0", "Returns how many members stand before one, in descending order of score.", true),
		{
			Name: "zcount", Usage: "key min:double max:double", Arity: 4,
			Summary: "Returns how many members have scores within a range.",
			Group:   "sorted-set", Since: "2.0.0", Complexity: "O(log(N)) where N is the number of members in the sorted set",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: zcount,
		},
		{
			Name: "zlexcount", Usage: "key min:string max:string", Arity: 4,
			Summary: "Returns how many members are within a range of texts.",
			Group:   "sorted-set", Since: "2.8.9", Complexity: "O(log(N)) where N is the number of members in the sorted set",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: zlexcount,
		},
		{
			Name: "zrandmember", Usage: "key [count [WITHSCORES]]", Arity: -2,
			Summary: "Returns random members: different ones, or with a negative count any.",
			Group:   "sorted-set", Since: "6.2.0", Complexity: "O(N*log(M)) where N is the number of members returned and M that of the sorted set",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: zrandmember,
			Tips: []string{"nondeterministic_output"},
		},
		{
			Name: "zscan", Usage: "key cursor [MATCH pattern] [COUNT count] [NOSCORES]", Arity: -3,
			Summary: "Returns some members with their scores and where to go on.",
			Group:   "sorted-set", Since: "2.8.0", Complexity: "O(1) for each call, O(N) for a whole walk, where N is the number of members",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: zscan,
			Tips: []string{"nondeterministic_output"},
		},
	}
}

func zcard(c *Ctx) {
	if z, ok := zsetAt(c, c.Args[1], store.Read); ok {
		c.Reply.Int(int64(z.Len()))
	}
}

func zscore(c *Ctx) {
	if z, ok := zsetAt(c, c.Args[1], store.Read); ok {
		replyScore(c, &z, c.Args[2])
	}
}

func replyScore(c *Ctx, z *store.ZSet, member []byte) {
	if score, ok := z.Score(member); ok {
		c.Reply.Double(score)
	} else {
		c.Reply.Null()
	}
}

func zmscore(c *Ctx) {
	z, ok := zsetAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		replyScore(c, &z, member)
	}
}

func zrank(c *Ctx, back bool) {
	a := resp.NewArgs(c.Args[3:])
	withScore := false
	if a.Left() > 1 {
		a.Fail(resp.WrongArity(c.Row.Name))
	} else if a.Left() == 1 {
		if withScore = a.Is("WITHSCORE"); !withScore {
			a.Fail(resp.ErrSyntax)
		}
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	z, ok := zsetAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	rank, score, found := z.Rank(c.Args[2])
	if back {
		rank = z.Len() - 1 - rank
	}
	switch {
	case found && withScore:
		c.Reply.Array(2)
		c.Reply.Int(int64(rank))
		c.Reply.Double(score)
	case found:
		c.Reply.Int(int64(rank))
	case withScore:
		c.Reply.NullArray()
	default:
		c.Reply.Null()
	}
}

func zcount(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	r := parseScoreRange(&a, false)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if z, ok := zsetAt(c, c.Args[1], store.Read); ok {
		from, to := z.SpanScore(r)
		c.Reply.Int(int64(to - from))
	}
}

func zlexcount(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	r := parseLexRange(&a, false)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if z, ok := zsetAt(c, c.Args[1], store.Read); ok {
		from, to := z.SpanLex(r, false)
		c.Reply.Int(int64(to - from))
	}
}

// zpair replies with a member, and with its score if that is wanted: in RESP3
// the two are an array of their own.
func zpair(c *Ctx, member []byte, score float64, withScore bool) {
	if withScore && c.Reply.Proto() == 3 {
		c.Reply.Array(2)
	}
	c.Reply.Bulk(member)
	if withScore {
		c.Reply.Double(score)
	}
}

// zpairs begins the array of n members that zpair fills.
func zpairs(c *Ctx, n int, withScores bool) {
	if withScores && c.Reply.Proto() == 2 {
		n *= 2
	}
	c.Reply.Array(n)
}

// zrandomOptions are the arguments of ZRANDMEMBER.
type zrandomOptions struct {
	count  int64
	many   bool // a count was given
	scores bool
}

func parseZrandmember(a *resp.Args) (o zrandomOptions) {
	if a.Left() == 0 {
		return zrandomOptions{count: 1}
	}
	o.many = true
	if o.count = a.Int(); o.count == math.MinInt64 {
		a.Fail(resp.ErrRankRange)
	}
	if a.Left() > 0 {
		if o.scores = a.Is("WITHSCORES"); !o.scores || a.Left() > 0 {
			a.Fail(resp.ErrSyntax)
		}
		if o.count < -math.MaxInt64/2 || o.count > math.MaxInt64/2 {
			a.Fail(resp.ErrRange)
		}
	}
	return o
}

func zrandmember(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	o := parseZrandmember(&a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	z, ok := zsetAt(c, c.Args[1], store.Read)
	switch {
	case !ok:
	case !o.many && z.Len() == 0:
		c.Reply.Null()
	case !o.many:
		zvisitRank(&z, c.Rand.IntN(z.Len()), func(m []byte, _ float64) { c.Reply.Bulk(m) })
	case z.Len() == 0 || o.count == 0:
		c.Reply.Array(0)
	case o.count < 0:
		zrandomRepeated(c, &z, o)
	default:
		zrandomDifferent(c, &z, o)
	}
}

// zvisitRank visits the member of one rank.
func zvisitRank(z *store.ZSet, rank int, visit func(member []byte, score float64)) {
	z.ByRank(rank, rank+1, false, func(m []byte, s float64) bool { visit(m, s); return true })
}

// zrandomRepeated replies with -count random members, each chosen from all. It
// stops when nothing is appended any more: the client is muted or over its limit.
func zrandomRepeated(c *Ctx, z *store.ZSet, o zrandomOptions) {
	if !expectBulks(c, -o.count) {
		return
	}
	zpairs(c, int(-o.count), o.scores)
	for range -o.count {
		mark := c.Reply.Mark()
		zvisitRank(z, c.Rand.IntN(z.Len()), func(m []byte, s float64) { zpair(c, m, s, o.scores) })
		if c.Reply.Mark() == mark {
			return
		}
	}
}

// zrandomDifferent replies with count random members, all different: every
// member is taken with the chance that leaves the number right.
func zrandomDifferent(c *Ctx, z *store.ZSet, o zrandomOptions) {
	n := int(min(o.count, int64(z.Len())))
	zpairs(c, n, o.scores)
	if n*4 < z.Len() { // few: chosen one by one
		for _, rank := range zdifferentRanks(c, n, z.Len()) {
			zvisitRank(z, rank, func(m []byte, s float64) { zpair(c, m, s, o.scores) })
			if c.Reply.Over() {
				return
			}
		}
		return
	}
	left := z.Len()
	z.ByRank(0, left, false, func(m []byte, s float64) bool {
		if c.Rand.IntN(left) < n {
			zpair(c, m, s, o.scores)
			n--
		}
		left--
		return n > 0 && !c.Reply.Over()
	})
}

// zdifferentRanks returns n different numbers below total, which is larger.
func zdifferentRanks(c *Ctx, n, total int) []int {
	taken := make(map[int]bool, n)
	ranks := make([]int, 0, n)
	for len(ranks) < n {
		if r := c.Rand.IntN(total); !taken[r] {
			taken[r] = true
			ranks = append(ranks, r)
		}
	}
	return ranks
}

func zscan(c *Ctx) {
	cursor, ok := parseCursor(c.Args[2])
	if !ok {
		c.Reply.Error(resp.ErrInvalidCursor)
		return
	}
	z, ok := zsetAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	scanMembers(c, cursor, z.Len(), "NOSCORES", func(s *memberScan, cursor uint64, count int) uint64 {
		return z.Scan(cursor, count, func(member []byte, score float64) {
			if s.add(member) {
				s.found.BulkDouble(score)
			}
		})
	})
}
