package command

import (
	"bytes"
	"math"

	"synap/resp"
	"synap/store"
)

func setRandomRows() []Row {
	return []Row{
		{
			Name: "spop", Usage: "key [count]", Arity: -2,
			Summary: "Removes and returns random members of a set.",
			Group:   "set", Since: "1.0.0", Complexity: "O(N) where N is the number of members returned",
			Flags: Write | Fast, Keys: oneKey(RW | Access | Delete), Run: spop,
			Tips: []string{"nondeterministic_output"},
		},
		{
			Name: "srandmember", Usage: "key [count]", Arity: -2,
			Summary: "Returns random members of a set: different ones, or with a negative count any.",
			Group:   "set", Since: "1.0.0", Complexity: "O(N) where N is the number of members returned, or that of all members if many are",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: srandmember,
			Tips: []string{"nondeterministic_output"},
		},
	}
}

func spop(c *Ctx) {
	count, many := int64(1), len(c.Args) > 2
	if len(c.Args) > 3 {
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	if many {
		var ok bool
		if count, ok = resp.ParseInt(c.Args[2]); !ok || count < 0 {
			c.Reply.Error(resp.ErrNotPositive)
			return
		}
	}
	s, ok := setAt(c, c.Args[1], store.Write)
	switch {
	case !ok:
	case !many && s.Len() == 0:
		c.Reply.Null()
	case !many:
		popMembers(c, &s, 1)
	case s.Len() == 0 || count == 0:
		c.Reply.Set(0)
	case count >= int64(s.Len()):
		c.Reply.Set(s.Len())
		replyMembers(c, &s)
		s.Clear()
		c.LogAs([]byte("DEL"), c.Args[1])
	default:
		c.Reply.Set(int(count))
		popMembers(c, &s, int(count))
	}
}

// popMembers replies with n members that it removes, fewer than there are, or
// with as many as the client may be sent. The log names them.
func popMembers(c *Ctx, s *store.Set, n int) {
	rnd := c.Rand.Uint64()
	record := append(make([][]byte, 0, 2+min(n, 64)), []byte("SREM"), c.Args[1])
	for ; n > 0 && !c.Reply.Over(); n-- {
		s.Pop(&rnd, func(m []byte) {
			c.Reply.Bulk(m)
			record = append(record, bytes.Clone(m))
		})
	}
	s.Done()
	c.LogAs(record...)
}

func srandmember(c *Ctx) {
	if len(c.Args) == 2 {
		s, ok := setAt(c, c.Args[1], store.Read)
		switch {
		case !ok:
		case s.Len() == 0:
			c.Reply.Null()
		default:
			rnd := c.Rand.Uint64()
			c.Reply.Bulk(s.Random(&rnd))
		}
		return
	}
	count, ok := resp.ParseInt(c.Args[2])
	switch {
	case len(c.Args) > 3:
		c.Reply.Error(resp.ErrSyntax)
		return
	case !ok:
		c.Reply.Error(resp.ErrNotInteger)
		return
	case count == math.MinInt64:
		c.Reply.Error(resp.ErrRankRange)
		return
	}
	if s, ok := setAt(c, c.Args[1], store.Read); ok {
		randomMembers(c, &s, count)
	}
}

// randomMembers replies with count different members, or with -count that may
// be equal.
func randomMembers(c *Ctx, s *store.Set, count int64) {
	total := int64(s.Len())
	switch {
	case total == 0 || count == 0:
		c.Reply.Array(0)
	case count < 0:
		if !expectBulks(c, -count) { // never to end for a muted client
			return
		}
		c.Reply.Array(int(-count))
		rnd := c.Rand.Uint64()
		for ; count < 0 && !c.Reply.Over(); count++ {
			c.Reply.Bulk(s.Random(&rnd))
		}
	case count >= total:
		c.Reply.Array(s.Len())
		replyMembers(c, s)
	default:
		c.Reply.Array(int(count))
		rnd := c.Rand.Uint64()
		s.Sample(int(count), &rnd, func(m []byte) bool {
			c.Reply.Bulk(m)
			return !c.Reply.Over()
		})
	}
}
