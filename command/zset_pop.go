package command

import (
	"time"

	"synap/resp"
	"synap/store"
)

func zsetPopRows() []Row {
	pop := func(name, summary string, end store.End) Row {
		return Row{
			Name: name, Usage: "key [count]", Arity: -2,
			Summary: summary,
			Group:   "sorted-set", Since: "5.0.0", Complexity: "O(log(N)*M) where N is the number of members in the sorted set and M the number of those popped",
			Flags: Write | Fast, Keys: oneKey(RW | Access | Delete), Run: func(c *Ctx) { zpop(c, end) },
		}
	}
	wait := func(name, event, summary string, end store.End) Row {
		return Row{
			Name: name, Usage: "key [key ...] timeout:double", Arity: -3, Event: event,
			Summary: summary,
			Group:   "sorted-set", Since: "5.0.0", Complexity: "O(log(N)) where N is the number of members in the sorted set",
			Flags: Write | Fast | Blocking, Run: func(c *Ctx) { bzpop(c, end) },
			Keys: []KeySpec{{Flags: RW | Access | Delete, Begin: 1, Last: -2, Step: 1}},
		}
	}
	const cost = "O(K)+O(M*log(N)) where K is the number of keys, N the number of members in the sorted set and M the number of those popped"
	return []Row{
		pop("zpopmin", "Removes and returns the members with the lowest scores.", store.Front),
		pop("zpopmax", "Removes and returns the members with the highest scores.", store.Back),
		{
			Name: "zmpop", Usage: "numkeys key [key ...] <MIN | MAX> [COUNT count]", Arity: -4,
			Summary: "Removes and returns members with the lowest or highest scores of the first sorted set of several that is not empty.",
			Group:   "sorted-set", Since: "7.0.0", Complexity: cost,
			Flags: Write, Run: zmpop,
			Keys: []KeySpec{{Flags: RW | Access | Delete, Begin: 1, NumKeys: true, First: 1, Step: 1}},
		},
		wait("bzpopmin", "zpopmin", "Removes and returns the member with the lowest score of the first sorted set that is not empty, and waits for one if there is none.", store.Front),
		wait("bzpopmax", "zpopmax", "Removes and returns the member with the highest score of the first sorted set that is not empty, and waits for one if there is none.", store.Back),
		{
			Name: "bzmpop", Usage: "timeout:double numkeys key [key ...] <MIN | MAX> [COUNT count]", Arity: -5,
			Summary: "Removes and returns members with the lowest or highest scores of the first sorted set that is not empty, and waits for one if there is none.",
			Group:   "sorted-set", Since: "7.0.0", Complexity: cost,
			Flags: Write | Blocking, Run: bzmpop,
			Keys: []KeySpec{{Flags: RW | Access | Delete, Begin: 2, NumKeys: true, First: 1, Step: 1}},
		},
	}
}

// zpopWords are the words of journal records, zpopEvents the events of pops at
// either end.
var (
	zpopWords  = [2][]byte{[]byte("ZPOPMIN"), []byte("ZPOPMAX")}
	zpopEvents = [2]string{"zpopmin", "zpopmax"}
)

func zpop(c *Ctx, end store.End) {
	count, single := int64(1), len(c.Args) == 2
	if len(c.Args) > 3 {
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	if !single {
		var ok bool
		if count, ok = resp.ParseInt(c.Args[2]); !ok || count < 0 {
			c.Reply.Error(resp.ErrNotPositive)
			return
		}
	}
	z, ok := zsetAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	n := int(min(count, int64(z.Len())))
	if single && n > 0 { // one member: flat in RESP3 too
		c.Reply.Array(2)
		z.Pop(end == store.Back, 1, func(m []byte, s float64) { c.Reply.Bulk(m); c.Reply.Double(s) })
	} else {
		zpairs(c, n, true)
		z.Pop(end == store.Back, n, func(m []byte, s float64) { zpair(c, m, s, true) })
	}
	z.Done()
}

// firstZSet returns the first sorted set among keys that is not empty and its
// key, as firstList does.
func firstZSet(c *Ctx, keys [][]byte) (z store.ZSet, key []byte, done bool) {
	for _, k := range keys {
		z, err := c.Tx.ZSetOf(k, store.Write)
		if err != nil {
			if c.Retry {
				continue
			}
			c.Fail(err)
			return z, nil, true
		}
		if z.Len() > 0 {
			return z, k, false
		}
	}
	return z, nil, false
}

func parseMinMax(a *resp.Args) store.End {
	switch {
	case a.Is("MIN"):
		return store.Front
	case a.Is("MAX"):
	default:
		a.Fail(resp.ErrSyntax)
	}
	return store.Back
}

func zmpop(c *Ctx) {
	a := resp.NewArgs(c.Args[1:])
	o := parseMpop(&a, parseMinMax)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if !zmpopFirst(c, &o) {
		c.Reply.NullArray()
	}
}

// zmpopFirst pops from the first sorted set that is not empty and replies;
// false, with no reply, if there is none. The journal gets the pop itself.
func zmpopFirst(c *Ctx, o *mpopOptions) bool {
	z, key, done := firstZSet(c, o.keys)
	if key == nil {
		return done
	}
	n := min(o.count, int64(z.Len()))
	c.Tx.Event = zpopEvents[o.end]
	c.LogAs(zpopWords[o.end], key, c.decimal(n))
	c.Reply.Array(2)
	c.Reply.Bulk(key)
	c.Reply.Array(int(n))
	z.Pop(o.end == store.Back, int(n), func(m []byte, s float64) {
		c.Reply.Array(2)
		c.Reply.Bulk(m)
		c.Reply.Double(s)
	})
	z.Done()
	return true
}

func bzpop(c *Ctx, end store.End) {
	last := len(c.Args) - 1
	a := resp.NewArgs(c.Args[last:])
	timeout := parseTimeout(c, &a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	keys := c.Args[1:last]
	z, key, done := firstZSet(c, keys)
	switch {
	case done:
	case key == nil:
		waitForZSet(c, keys, timeout)
	default:
		c.LogAs(zpopWords[end], key)
		c.Reply.Array(3)
		c.Reply.Bulk(key)
		z.Pop(end == store.Back, 1, func(m []byte, s float64) { c.Reply.Bulk(m); c.Reply.Double(s) })
		z.Done()
	}
}

// waitForZSet blocks until one of keys is a sorted set.
func waitForZSet(c *Ctx, keys [][]byte, timeout time.Duration) {
	c.Block(Block{Keys: keys, Timeout: timeout, TimeOut: (*resp.Reply).NullArray, Kind: store.KindZSet})
}

func bzmpop(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	o := parseMpop(&a, parseMinMax)
	err := a.Err()
	first := resp.NewArgs(c.Args[1:2])
	timeout := parseTimeout(c, &first)
	if err == nil { // the timeout is looked at last
		err = first.Err()
	}
	if err != nil {
		c.Fail(err)
		return
	}
	if !zmpopFirst(c, &o) {
		waitForZSet(c, o.keys, timeout)
	}
}
