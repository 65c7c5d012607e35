package command

import (
	"cmp"
	"math"
	"slices"

	"synap/resp"
	"synap/store"
)

func zsetCombineRows() []Row {
	const (
		inputs   = "numkeys key [key ...]"
		weighted = inputs + " [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]"
		sorting  = "O(N)+O(M*log(M)) where N is the sum of the sizes of all sets and M the number of members in the result"
		meeting  = "O(N*K)+O(M*log(M)) where N is the size of the smallest set, K the number of sets and M the number of members in the result"
		leaving  = "O(L+M*log(M)) where L is the sum of the sizes of all sets and M the number of members in the result"
	)
	read := func(name, usage, summary, cost string, o zcombineOptions) Row {
		return Row{
			Name: name, Usage: usage, Arity: -3,
			Summary: summary,
			Group:   "sorted-set", Since: "6.2.0", Complexity: cost,
			Flags: ReadOnly, Run: func(c *Ctx) { zcombine(c, o) },
			Keys: []KeySpec{{Flags: RO | Access, Begin: 1, NumKeys: true, First: 1, Step: 1}},
		}
	}
	save := func(name, usage, since, summary, cost string, o zcombineOptions) Row {
		o.save = true
		return Row{
			Name: name, Usage: "destination " + usage, Arity: -4,
			Summary: summary,
			Group:   "sorted-set", Since: since, Complexity: cost,
			Flags: Write | DenyOOM, Run: func(c *Ctx) { zcombine(c, o) },
			Keys: []KeySpec{{Flags: OW | Update, Begin: 1}, {Flags: RO | Access, Begin: 2, NumKeys: true, First: 1, Step: 1}},
		}
	}
	card := read("zintercard", inputs+" [LIMIT limit]", "Returns how many members all of several sorted sets have, counting up to a limit.",
		"O(N*K) where N is the size of the smallest set and K the number of sets", zcombineOptions{op: zintersection, count: true})
	card.Since = "7.0.0"
	return []Row{
		read("zunion", weighted+" [WITHSCORES]", "Returns the members of any of several sorted sets.", sorting, zcombineOptions{op: zunion}),
		read("zinter", weighted+" [WITHSCORES]", "Returns the members that all of several sorted sets have.", meeting, zcombineOptions{op: zintersection}),
		read("zdiff", inputs+" [WITHSCORES]", "Returns the members of the first sorted set that none of the others has.", leaving, zcombineOptions{op: zdifference}),
		card,
		save("zunionstore", weighted, "2.0.0", "Stores the members of any of several sorted sets.", sorting, zcombineOptions{op: zunion}),
		save("zinterstore", weighted, "2.0.0", "Stores the members that all of several sorted sets have.", meeting, zcombineOptions{op: zintersection}),
		save("zdiffstore", inputs, "6.2.0", "Stores the members of the first sorted set that none of the others has.", leaving, zcombineOptions{op: zdifference}),
	}
}

type zcombination uint8

const (
	zunion zcombination = iota
	zintersection
	zdifference
)

// zcombineOptions are those of ZUNION and its relatives; save and count tell the
// commands apart that store the result or only count it.
type zcombineOptions struct {
	op          zcombination
	save, count bool
	scores      bool
	limit       int64 // of ZINTERCARD; 0 is none
	join        func(a, b float64) float64
}

// zsource is an input: a sorted set, or a set, whose members have score 1. Its
// scores are multiplied by weight.
type zsource struct {
	key    []byte
	zset   store.ZSet
	set    store.Set // if not empty, the input
	weight float64
}

func (s *zsource) len() int { return s.zset.Len() + s.set.Len() }

func (s *zsource) open(c *Ctx) (err error) {
	if s.zset, err = c.Tx.ZSetOf(s.key, store.Read); err != nil {
		s.set, err = c.Tx.SetOf(s.key, store.Peek)
	}
	return err
}

// each visits the members with their weighted scores.
func (s *zsource) each(visit func(member []byte, score float64) bool) {
	if s.set.Len() > 0 {
		s.set.Each(func(member []byte) bool { return visit(member, s.weight) })
		return
	}
	s.zset.ByRank(0, s.zset.Len(), false, func(member []byte, score float64) bool {
		return visit(member, znumber(score*s.weight))
	})
}

// score returns the weighted score of a member, which may be no number.
func (s *zsource) score(member []byte) (float64, bool) {
	if s.set.Len() > 0 {
		return s.weight, s.set.Has(member)
	}
	score, ok := s.zset.Score(member)
	return score * s.weight, ok
}

// znumber makes 0 of what is no number: 0 times infinity, infinity less
// infinity.
func znumber(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}

func zjoinSum(a, b float64) float64 { return znumber(a + b) }

func zjoinMin(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

func zjoinMax(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

// zcombine is ZUNION, ZINTER and ZDIFF, the commands that store their results,
// and ZINTERCARD.
func zcombine(c *Ctx, o zcombineOptions) {
	at := 1
	if o.save {
		at = 2
	}
	sources, err := parseZSources(c, at)
	if err == nil {
		a := resp.NewArgs(c.Args[at+1+len(sources):])
		o.parse(&a, sources)
		err = a.Err()
	}
	if err != nil {
		c.Fail(err)
		return
	}
	if o.op != zdifference {
		slices.SortStableFunc(sources, func(a, b zsource) int { return cmp.Compare(a.len(), b.len()) })
	}
	if o.count {
		n := int64(0)
		zintersect(sources, o.join, func([]byte, float64) bool { n++; return n != o.limit })
		c.Reply.Int(n)
		return
	}
	b := zcombineSources(c, sources, &o)
	if o.save {
		storeZSet(c, b)
		return
	}
	defer b.Release()
	zpairs(c, b.Len(), o.scores)
	b.Each(func(member []byte, score float64) bool {
		zpair(c, member, score, o.scores)
		return !c.Reply.Over()
	})
}

// storeZSet makes what was collected the value of the first argument.
func storeZSet(c *Ctx, b *store.ZBuilder) {
	if b.Full() {
		b.Release()
		c.Reply.Error(resp.ErrZSetFull)
		return
	}
	c.Reply.Int(int64(b.Store(c.Args[1])))
}

// parseZSources reads a number of keys and opens their sets: keys of other kinds
// are an error before the options are looked at, as in Redis.
func parseZSources(c *Ctx, at int) ([]zsource, error) {
	n, ok := resp.ParseInt(c.Args[at])
	switch {
	case !ok:
		return nil, resp.ErrNotInteger
	case n < 1:
		return nil, resp.NoInputKeys(c.Row.Name)
	case n > int64(len(c.Args)-at-1):
		return nil, resp.ErrSyntax
	}
	sources := make([]zsource, n)
	for i := range sources {
		s := &sources[i]
		s.key, s.weight = c.Args[at+1+i], 1
		if err := s.open(c); err != nil {
			return nil, err
		}
	}
	return sources, nil
}

func (o *zcombineOptions) parse(a *resp.Args, sources []zsource) {
	o.join = zjoinSum
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case o.op != zdifference && !o.count && a.Left() > len(sources) && a.Is("WEIGHTS"):
			for i := range sources {
				sources[i].weight = a.FloatOr(resp.ErrWeight)
			}
		case o.op != zdifference && !o.count && a.Left() > 1 && a.Is("AGGREGATE"):
			o.join = parseAggregate(a)
		case !o.save && !o.count && a.Is("WITHSCORES"):
			o.scores = true
		case o.count && a.Left() > 1 && a.Is("LIMIT"):
			if o.limit = a.IntOr(resp.ErrLimitNegative); o.limit < 0 {
				a.Fail(resp.ErrLimitNegative)
			}
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
}

func parseAggregate(a *resp.Args) func(a, b float64) float64 {
	switch {
	case a.Is("SUM"):
	case a.Is("MIN"):
		return zjoinMin
	case a.Is("MAX"):
		return zjoinMax
	default:
		a.Fail(resp.ErrSyntax)
	}
	return zjoinSum
}

// zcombineSources builds the result, in no particular order.
func zcombineSources(c *Ctx, sources []zsource, o *zcombineOptions) *store.ZBuilder {
	b := c.Tx.NewZBuilder()
	switch o.op {
	case zunion:
		for i := range sources {
			sources[i].each(func(member []byte, score float64) bool {
				if old, ok := b.Score(member); ok {
					score = o.join(old, score)
				}
				b.Put(member, score)
				return true
			})
		}
	case zintersection:
		zintersect(sources, o.join, func(member []byte, score float64) bool {
			b.Put(member, score)
			return true
		})
	case zdifference:
		zsubtract(sources, b)
	}
	return b
}

// zintersect visits the members that all sources have; the first is the smallest.
func zintersect(sources []zsource, join func(a, b float64) float64, visit func(member []byte, score float64) bool) {
	sources[0].each(func(member []byte, score float64) bool {
		for i := range sources[1:] {
			other, ok := sources[1+i].score(member)
			if !ok {
				return true
			}
			score = join(score, other)
		}
		return visit(member, score)
	})
}

// zsubtract puts the members of the first source that no other has into b:
// looking for each in the others, or for theirs in it, whichever is less work.
func zsubtract(sources []zsource, b *store.ZBuilder) {
	first, others := &sources[0], sources[1:]
	look, walk := first.len()*len(others)/2, first.len()
	for i := range others {
		if string(others[i].key) == string(first.key) {
			return
		}
		walk += others[i].len()
	}
	if look <= walk {
		first.each(func(member []byte, score float64) bool {
			for i := range others {
				if _, ok := others[i].score(member); ok {
					return true
				}
			}
			b.Put(member, score)
			return true
		})
		return
	}
	first.each(func(member []byte, score float64) bool { b.Put(member, score); return true })
	for i := range others {
		others[i].each(func(member []byte, _ float64) bool { b.Remove(member); return b.Len() > 0 })
	}
}
