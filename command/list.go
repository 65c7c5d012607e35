package command

import (
	"math"

	"synap/resp"
	"synap/store"
)

// Lists (https://redis.io/commands/?group=list); the blocking ones are in
// list_block.go.

func listRows() []Row {
	rows := append(listReadRows(), listPushRows()...)
	rows = append(rows, listEditRows()...)
	rows = append(rows, listMoveRows()...)
	return append(rows, listBlockRows()...)
}

func listReadRows() []Row {
	return []Row{
		{
			Name: "llen", Usage: "key", Arity: 2,
			Summary: "Returns the number of elements of a list.",
			Group:   "list", Since: "1.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: llen,
		},
		{
			Name: "lindex", Usage: "key index", Arity: 3,
			Summary: "Returns the element at an index, negative ones counted from the tail.",
			Group:   "list", Since: "1.0.0", Complexity: "O(N) where N is the number of buffers between the element and the nearer end; O(1) at both ends",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: lindex,
		},
		{
			Name: "lrange", Usage: "key start stop", Arity: 4,
			Summary: "Returns the elements from one index to another, both included.",
			Group:   "list", Since: "1.0.0", Complexity: "O(S+N) where S is the distance of the range from the nearer end and N the number of elements returned",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: lrange,
		},
		{
			Name: "lpos", Usage: "key element [RANK rank] [COUNT num-matches] [MAXLEN len]", Arity: -3,
			Summary: "Returns the index of an element, or the indices of several equal ones.",
			Group:   "list", Since: "6.0.6", Complexity: "O(N) where N is the number of elements compared",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: lpos,
		},
	}
}

func listPushRows() []Row {
	return []Row{
		{
			Name: "lpush", Usage: "key element [element ...]", Arity: -3,
			Summary: "Adds elements at the head of a list, which is created if it does not exist.",
			Group:   "list", Since: "1.0.0", Complexity: "O(1) for each element",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Insert), Run: func(c *Ctx) { push(c, store.Front, false) },
		},
		{
			Name: "rpush", Usage: "key element [element ...]", Arity: -3,
			Summary: "Adds elements at the tail of a list, which is created if it does not exist.",
			Group:   "list", Since: "1.0.0", Complexity: "O(1) for each element",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Insert), Run: func(c *Ctx) { push(c, store.Back, false) },
		},
		{
			Name: "lpushx", Usage: "key element [element ...]", Arity: -3, Event: "lpush",
			Summary: "Adds elements at the head of a list that exists.",
			Group:   "list", Since: "2.2.0", Complexity: "O(1) for each element",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Insert), Run: func(c *Ctx) { push(c, store.Front, true) },
		},
		{
			Name: "rpushx", Usage: "key element [element ...]", Arity: -3, Event: "rpush",
			Summary: "Adds elements at the tail of a list that exists.",
			Group:   "list", Since: "2.2.0", Complexity: "O(1) for each element",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Insert), Run: func(c *Ctx) { push(c, store.Back, true) },
		},
		{
			Name: "lpop", Usage: "key [count]", Arity: -2,
			Summary: "Removes and returns elements at the head of a list.",
			Group:   "list", Since: "1.0.0", Complexity: "O(N) where N is the number of elements returned",
			Flags: Write | Fast, Keys: oneKey(RW | Access | Delete), Run: func(c *Ctx) { pop(c, store.Front) },
		},
		{
			Name: "rpop", Usage: "key [count]", Arity: -2,
			Summary: "Removes and returns elements at the tail of a list.",
			Group:   "list", Since: "1.0.0", Complexity: "O(N) where N is the number of elements returned",
			Flags: Write | Fast, Keys: oneKey(RW | Access | Delete), Run: func(c *Ctx) { pop(c, store.Back) },
		},
	}
}

func listEditRows() []Row {
	return []Row{
		{
			Name: "lset", Usage: "key index element", Arity: 4,
			Summary: "Replaces the element at an index.",
			Group:   "list", Since: "1.0.0", Complexity: "O(N) where N is the distance of the element from the nearer end",
			Flags: Write | DenyOOM, Keys: oneKey(RW | Update), Run: lset,
		},
		{
			Name: "linsert", Usage: "key <BEFORE | AFTER> pivot element", Arity: 5,
			Summary: "Inserts an element before or behind the first one that equals a pivot.",
			Group:   "list", Since: "2.2.0", Complexity: "O(N) where N is the number of elements before the pivot",
			Flags: Write | DenyOOM, Keys: oneKey(RW | Insert), Run: linsert,
		},
		{
			Name: "lrem", Usage: "key count element", Arity: 4,
			Summary: "Removes the first elements equal to a value, or the last ones, or all.",
			Group:   "list", Since: "1.0.0", Complexity: "O(N) where N is the length of the list",
			Flags: Write, Keys: oneKey(RW | Delete), Run: lrem,
		},
		{
			Name: "ltrim", Usage: "key start stop", Arity: 4,
			Summary: "Removes the elements outside a range of indices.",
			Group:   "list", Since: "1.0.0", Complexity: "O(N) where N is the number of elements removed",
			Flags: Write, Keys: oneKey(RW | Delete), Run: ltrim,
		},
	}
}

func listMoveRows() []Row {
	return []Row{
		{
			Name: "lmove", Usage: "source destination <LEFT | RIGHT> <LEFT | RIGHT>", Arity: 5,
			Summary: "Moves an element from an end of a list to an end of another, and returns it.",
			Group:   "list", Since: "6.2.0", Complexity: "O(1)",
			Flags: Write | DenyOOM, Keys: twoKeys(RW|Access|Delete, RW|Insert), Run: lmove,
		},
		{
			Name: "rpoplpush", Usage: "source destination", Arity: 3,
			Summary: "Moves the tail of a list to the head of another, and returns it.",
			Group:   "list", Since: "1.2.0", Complexity: "O(1)",
			Deprecated: "6.2.0|`LMOVE` with the `RIGHT` and `LEFT` arguments",
			Flags:      Write | DenyOOM, Keys: twoKeys(RW|Access|Delete, RW|Insert), Run: rpoplpush,
		},
		{
			Name: "lmpop", Usage: "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]", Arity: -4,
			Summary: "Removes and returns elements at an end of the first list of several that is not empty.",
			Group:   "list", Since: "7.0.0", Complexity: "O(N+M) where N is the number of keys and M the number of elements returned",
			Flags: Write, Run: lmpop,
			Keys: []KeySpec{{Flags: RW | Access | Delete, Begin: 1, NumKeys: true, First: 1, Step: 1}},
		},
	}
}

// listAt returns the list of a key. It returns false when the key holds another
// kind: the error is then replied.
func listAt(c *Ctx, key []byte, a store.Access) (l store.List, ok bool) {
	ok = openList(c, &l, key, a)
	return l, ok
}

// openList is listAt with a handle of the caller's.
func openList(c *Ctx, l *store.List, key []byte, a store.Access) bool {
	if err := c.Tx.OpenList(l, key, a); err != nil {
		c.Fail(err)
		return false
	}
	return true
}

func push(c *Ctx, end store.End, existing bool) {
	var l store.List
	if !openList(c, &l, c.Args[1], store.Write) {
		return
	}
	if existing && l.Len() == 0 {
		c.Count(0)
		c.Reply.Int(0)
		return
	}
	l.Push(end, c.Args[2:]...)
	c.Count(len(c.Args) - 2)
	c.Reply.Int(int64(l.Len()))
}

func pop(c *Ctx, end store.End) {
	if len(c.Args) > 3 {
		c.Reply.Error(resp.WrongArity(c.Row.Name))
		return
	}
	count := int64(-1)
	if len(c.Args) == 3 {
		var ok bool
		if count, ok = resp.ParseInt(c.Args[2]); !ok || count < 0 {
			c.Reply.Error(resp.ErrNotPositive)
			return
		}
	}
	var l store.List
	switch {
	case !openList(c, &l, c.Args[1], store.Write):
	case l.Len() == 0 && count < 0:
		c.Count(0)
		c.Reply.Null()
	case l.Len() == 0:
		c.Count(0)
		c.Reply.NullArray()
	case count < 0:
		c.Count(1)
		l.Pop(end, 1, c.Reply.Bulk)
	default:
		popMany(c, c.Args[1], &l, end, count)
	}
}

// popMany replies with an array of up to count elements that it removes from
// the list at key.
func popMany(c *Ctx, key []byte, l *store.List, end store.End, count int64) {
	n := int(min(count, int64(l.Len())))
	c.CountAt(key, n)
	c.Reply.Array(n)
	l.Pop(end, n, c.Reply.Bulk)
}

func llen(c *Ctx) {
	if l, ok := listAt(c, c.Args[1], store.Read); ok {
		c.Reply.Int(int64(l.Len()))
	}
}

func lindex(c *Ctx) {
	l, ok := listAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	if l.Len() == 0 {
		c.Reply.Null()
		return
	}
	i, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Reply.Error(resp.ErrNotInteger)
		return
	}
	if !l.Index(listIndex(i), c.Reply.Bulk) {
		c.Reply.Null()
	}
}

// listIndex brings an index into a range that sums with lengths cannot leave.
func listIndex(i int64) int {
	return int(min(max(i, math.MinInt32*1024), math.MaxInt32*1024))
}

// indexRange reads start and stop of LRANGE and LTRIM.
func indexRange(c *Ctx) (start, stop int, err error) {
	a := resp.NewArgs(c.Args[2:])
	start, stop = listIndex(a.Int()), listIndex(a.Int())
	return start, stop, a.Err()
}

func lrange(c *Ctx) {
	start, stop, err := indexRange(c)
	if err != nil {
		c.Fail(err)
		return
	}
	l, ok := listAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	c.Reply.Array(l.RangeLen(start, stop))
	l.Range(start, stop, func(v []byte) bool {
		c.Reply.Bulk(v)
		return !c.Reply.Over()
	})
}

func ltrim(c *Ctx) {
	start, stop, err := indexRange(c)
	if err != nil {
		c.Fail(err)
		return
	}
	l, ok := listAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	l.Trim(start, stop)
	c.Reply.OK()
}

// lposOptions are LPOS' options; count is -1 when not given.
type lposOptions struct{ rank, count, most int64 }

func parseLpos(a *resp.Args) lposOptions {
	o := lposOptions{rank: 1, count: -1}
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Left() < 2:
			a.Fail(resp.ErrSyntax)
		case a.Is("RANK"):
			switch o.rank = a.Int(); o.rank {
			case 0:
				a.Fail(resp.ErrRank)
			case math.MinInt64:
				a.Fail(resp.ErrRankRange)
			}
		case a.Is("COUNT"):
			if o.count = a.IntOr(resp.ErrCountNegative); o.count < 0 {
				a.Fail(resp.ErrCountNegative)
			}
		case a.Is("MAXLEN"):
			if o.most = a.IntOr(resp.ErrMaxLenNegative); o.most < 0 {
				a.Fail(resp.ErrMaxLenNegative)
			}
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return o
}

func lpos(c *Ctx) {
	a := resp.NewArgs(c.Args[3:])
	o := parseLpos(&a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	l, ok := listAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	limit, most := o.count, o.most
	if limit < 0 {
		limit = 1
	}
	if most == 0 {
		most = math.MaxInt
	}
	mark := -1
	if o.count >= 0 {
		mark = c.Reply.DeferArray()
	}
	found, pass := 0, max(o.rank, -o.rank)-1
	l.Find(c.Args[2], o.rank < 0, int(most), func(i int) bool {
		if pass > 0 {
			pass--
			return true
		}
		found++
		c.Reply.Int(int64(i))
		return int64(found) != limit && !c.Reply.Over()
	})
	if o.count >= 0 {
		c.Reply.SetDeferred(mark, found)
	} else if found == 0 {
		c.Reply.Null()
	}
}

func lset(c *Ctx) {
	l, ok := listAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	if l.Len() == 0 {
		c.Reply.Error(resp.ErrNoSuchKey)
		return
	}
	i, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Reply.Error(resp.ErrNotInteger)
	case !l.Set(listIndex(i), c.Args[3]):
		c.Reply.Error(resp.ErrIndexRange)
	default:
		c.Reply.OK()
	}
}

func linsert(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	after := a.Is("AFTER")
	if !after && !a.Is("BEFORE") {
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	l, ok := listAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	if l.Len() == 0 {
		c.Reply.Int(0)
		return
	}
	c.Reply.Int(int64(l.Insert(c.Args[3], after, c.Args[4])))
}

func lrem(c *Ctx) {
	count, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Reply.Error(resp.ErrNotInteger)
		return
	}
	l, ok := listAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	n := l.Remove(listIndex(count), c.Args[3])
	c.Count(n)
	c.Reply.Int(int64(n))
}

// parseEnd reads LEFT or RIGHT.
func parseEnd(a *resp.Args) store.End {
	switch {
	case a.Is("LEFT"):
		return store.Front
	case a.Is("RIGHT"):
	default:
		a.Fail(resp.ErrSyntax)
	}
	return store.Back
}

func lmove(c *Ctx) {
	a := resp.NewArgs(c.Args[3:])
	from, to := parseEnd(&a), parseEnd(&a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if !moveElement(c, from, to) {
		c.Count(0)
		c.Reply.Null()
	}
}

func rpoplpush(c *Ctx) {
	if !moveElement(c, store.Back, store.Front) {
		c.Count(0)
		c.Reply.Null()
	}
}

var (
	pushEvents = [2]string{"lpush", "rpush"}
	popEvents  = [2]string{"lpop", "rpop"}
)

// moveElement moves an element between the lists of the first two arguments,
// which may be the same, and replies with it. It returns false, with no reply,
// if there is none. record replaces the request in the journal unless empty.
func moveElement(c *Ctx, from, to store.End, record ...[]byte) bool {
	source, destination := c.Args[1], c.Args[2]
	l, ok := listAt(c, source, store.Write)
	if !ok {
		return true
	}
	if l.Len() == 0 {
		return false
	}
	var room [128]byte
	v := room[:0]
	l.Index(-int(from), func(b []byte) { v = append(v, b...) })
	d, ok := listAt(c, destination, store.Write)
	if !ok {
		return true
	}
	// Pushed before popped, so that a list of one does not vanish in between
	// and events come in Redis' order.
	c.Tx.Event = pushEvents[to]
	d.Push(to, v)
	c.Tx.Event = popEvents[from]
	l, _ = c.Tx.List(source, store.Peek)
	l.Pop(from, 1, func([]byte) {})
	if len(record) > 0 {
		c.LogAs(record...)
	}
	c.Count(1)
	c.Reply.Bulk(v)
	return true
}

// mpopOptions are the arguments of LMPOP and, behind the timeout, of BLMPOP;
// those of ZMPOP and BZMPOP are alike.
type mpopOptions struct {
	keys  [][]byte
	end   store.End
	count int64
}

// parseMpop leaves the word for the end to side.
func parseMpop(a *resp.Args, side func(*resp.Args) store.End) mpopOptions {
	o := mpopOptions{count: -1}
	n := a.IntOr(resp.ErrNumKeys)
	if n <= 0 {
		a.Fail(resp.ErrNumKeys)
	}
	if n >= int64(a.Left()) {
		a.Fail(resp.ErrSyntax)
	}
	for ; n > 0 && a.Err() == nil; n-- {
		o.keys = append(o.keys, a.Next())
	}
	o.end = side(a)
	for a.Left() > 0 && a.Err() == nil {
		if o.count >= 0 || a.Left() < 2 || !a.Is("COUNT") {
			a.Fail(resp.ErrSyntax)
			break
		}
		if o.count = a.IntOr(resp.ErrCountPositive); o.count <= 0 {
			a.Fail(resp.ErrCountPositive)
		}
	}
	o.count = max(o.count, 1)
	return o
}

func lmpop(c *Ctx) {
	a := resp.NewArgs(c.Args[1:])
	o := parseMpop(&a, parseEnd)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if !mpop(c, &o) {
		c.Count(0)
		c.Reply.NullArray()
	}
}

// mpop pops from the first list that is not empty and replies; false, with no
// reply, if there is none. The journal gets the pop itself.
func mpop(c *Ctx, o *mpopOptions) bool {
	l, key, done := firstList(c, o.keys)
	if key == nil {
		return done
	}
	n := min(o.count, int64(l.Len()))
	c.Tx.Event = popEvents[o.end]
	c.LogAs(popWords[o.end], key, c.decimal(n))
	c.Reply.Array(2)
	c.Reply.Bulk(key)
	popMany(c, key, &l, o.end, n)
	return true
}

// firstList returns the first list among keys that is not empty and its key. A
// key of another kind ends the search with an error, except when a blocked
// command looks again: it waits for the keys that are lists. done reports that
// the error has been replied.
func firstList(c *Ctx, keys [][]byte) (l store.List, key []byte, done bool) {
	for _, k := range keys {
		l, err := c.Tx.List(k, store.Write)
		if err != nil {
			if c.Retry {
				continue
			}
			c.Fail(err)
			return l, nil, true
		}
		if l.Len() > 0 {
			return l, k, false
		}
	}
	return l, nil, false
}
