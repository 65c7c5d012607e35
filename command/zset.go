package command

import (
	"synap/resp"
	"synap/store"
)

// Sorted sets (https://redis.io/commands/?group=sorted-set): what adds and
// removes members. Single members are read in zset_read.go, ranges in
// zset_range.go, several sets in zset_combine.go, popped in zset_pop.go.

func zsetRows() []Row {
	rows := append(zsetWriteRows(), zsetReadRows()...)
	rows = append(rows, zsetRangeRows()...)
	rows = append(rows, zsetRemoveRangeRows()...)
	rows = append(rows, zsetCombineRows()...)
	return append(rows, zsetPopRows()...)
}

func zsetWriteRows() []Row {
	return []Row{
		{
			Name: "zadd", Usage: "key [NX | XX] [GT | LT] [CH] [INCR] score:double member [score:double member ...]", Arity: -4,
			Summary: "Adds members to a sorted set, which is created if it does not exist, or changes their scores.",
			Group:   "sorted-set", Since: "1.2.0", Complexity: "O(log(N)) for each member, where N is the number of members in the sorted set",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Update), Run: func(c *Ctx) { zadd(c, 0) },
		},
		{
			Name: "zincrby", Usage: "key increment member", Arity: 4, Event: "zincr",
			Summary: "Adds to the score of a member, which is created with a score of 0 if it does not exist.",
			Group:   "sorted-set", Since: "1.2.0", Complexity: "O(log(N)) where N is the number of members in the sorted set",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Access | Update), Run: func(c *Ctx) { zadd(c, store.ZAddIncr) },
		},
		{
			Name: "zrem", Usage: "key member [member ...]", Arity: -3,
			Summary: "Removes members and returns how many there were.",
			Group:   "sorted-set", Since: "1.2.0", Complexity: "O(M*log(N)) where N is the number of members in the sorted set and M the number of those to remove",
			Flags: Write | Fast, Keys: oneKey(RW | Delete), Run: zrem,
		},
	}
}

// zsetAt returns the sorted set of a key. It returns false when the key holds
// another kind: the error is then replied.
func zsetAt(c *Ctx, key []byte, a store.Access) (z store.ZSet, ok bool) {
	z, err := c.Tx.ZSetOf(key, a)
	if err != nil {
		c.Fail(err)
		return z, false
	}
	return z, true
}

// zaddOptions are the options of ZADD.
type zaddOptions struct {
	mode    store.ZAddMode
	changed bool // CH: the reply counts changed scores too
}

func parseZadd(a *resp.Args, mode store.ZAddMode) zaddOptions {
	o := zaddOptions{mode: mode}
	for {
		switch {
		case a.Is("NX"):
			o.mode |= store.ZAddNX
		case a.Is("XX"):
			o.mode |= store.ZAddXX
		case a.Is("GT"):
			o.mode |= store.ZAddGT
		case a.Is("LT"):
			o.mode |= store.ZAddLT
		case a.Is("INCR"):
			o.mode |= store.ZAddIncr
		case a.Is("CH"):
			o.changed = true
		default:
			o.check(a)
			return o
		}
	}
}

// check looks whether the options and the number of arguments left agree.
func (o *zaddOptions) check(a *resp.Args) {
	nx, gt, lt := o.mode&store.ZAddNX != 0, o.mode&store.ZAddGT != 0, o.mode&store.ZAddLT != 0
	switch left := a.Left(); {
	case left == 0 || left%2 != 0:
		a.Fail(resp.ErrSyntax)
	case nx && o.mode&store.ZAddXX != 0:
		a.Fail(resp.ErrZAddXXNX)
	case nx && (gt || lt) || gt && lt:
		a.Fail(resp.ErrZAddGTLTNX)
	case o.mode&store.ZAddIncr != 0 && left > 2:
		a.Fail(resp.ErrZAddIncr)
	}
}

// zadd is ZADD, and ZINCRBY with the mode ZAddIncr.
func zadd(c *Ctx, mode store.ZAddMode) {
	a := resp.NewArgs(c.Args[2:])
	o := parseZadd(&a, mode)
	pairs := a.Rest()
	size := int64(0)
	for i, b := range pairs { // all of them before anything is changed
		size += int64(len(b))
		if i%2 != 0 {
			continue
		}
		if _, ok := resp.ParseFloat(b); !ok {
			a.Fail(resp.ErrNotFloat)
		}
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	z, ok := zsetAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	if !z.HasRoom(len(pairs)/2, size) {
		c.Reply.Error(resp.ErrZSetFull)
		return
	}
	if o.mode&store.ZAddIncr != 0 {
		zincr(c, &z, o.mode, pairs)
		return
	}
	n := 0
	if o.mode == 0 && len(pairs) > 2 && zcreate(&z, pairs) {
		n, pairs = len(pairs)/2, nil
	}
	for ; len(pairs) > 0; pairs = pairs[2:] {
		score, _ := resp.ParseFloat(pairs[0])
		effect, _ := z.Add(pairs[1], score, o.mode)
		if effect == store.ZAdded || o.changed && effect == store.ZRescored {
			n++
		}
	}
	z.Done()
	c.Reply.Int(int64(n))
}

// zcreate makes a small new set at once, and reports whether it did.
func zcreate(z *store.ZSet, pairs [][]byte) bool {
	var room [128]float64
	if z.Len() > 0 || len(pairs) > 2*len(room) {
		return false
	}
	scores := room[:len(pairs)/2]
	for i := range scores {
		scores[i], _ = resp.ParseFloat(pairs[2*i])
	}
	return z.Create(pairs, scores)
}

// zincr adds to the score of one member and replies with the sum, or with null
// if the mode does not allow it.
func zincr(c *Ctx, z *store.ZSet, mode store.ZAddMode, pair [][]byte) {
	c.Tx.Event = "zincr"
	score, _ := resp.ParseFloat(pair[0])
	effect, score := z.Add(pair[1], score, mode)
	z.Done()
	switch effect {
	case store.ZRefused:
		c.Reply.Null()
	case store.ZNaN:
		c.Reply.Error(resp.ErrScoreNaN)
	default:
		c.Reply.Double(score)
	}
}

func zrem(c *Ctx) {
	z, ok := zsetAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	n := 0
	for _, member := range c.Args[2:] {
		if z.Remove(member) {
			n++
		}
	}
	z.Done()
	c.Reply.Int(int64(n))
}
