package command

import (
	"synap/resp"
	"synap/store"
)

// Sets (https://redis.io/commands/?group=set); what draws members by chance is
// in set_random.go, what reads several sets in set_combine.go.

func setRows() []Row {
	rows := append(setWriteRows(), setReadRows()...)
	rows = append(rows, setRandomRows()...)
	return append(rows, setCombineRows()...)
}

func setWriteRows() []Row {
	return []Row{
		{
			Name: "sadd", Usage: "key member [member ...]", Arity: -3,
			Summary: "Adds members to a set, which is created if it does not exist.",
			Group:   "set", Since: "1.0.0", Complexity: "O(1) for each member",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Insert), Run: sadd,
		},
		{
			Name: "srem", Usage: "key member [member ...]", Arity: -3,
			Summary: "Removes members and returns how many there were.",
			Group:   "set", Since: "1.0.0", Complexity: "O(1) for each member",
			Flags: Write | Fast, Keys: oneKey(RW | Delete), Run: srem,
		},
		{
			Name: "smove", Usage: "source destination member", Arity: 4,
			Summary: "Moves a member from one set to another.",
			Group:   "set", Since: "1.0.0", Complexity: "O(1)",
			Flags: Write | Fast, Keys: twoKeys(RW|Access|Delete, RW|Insert), Run: smove,
		},
	}
}

func setReadRows() []Row {
	return []Row{
		{
			Name: "sismember", Usage: "key member", Arity: 3,
			Summary: "Tells whether a member is in a set.",
			Group:   "set", Since: "1.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: sismember,
		},
		{
			Name: "smismember", Usage: "key member [member ...]", Arity: -3,
			Summary: "Tells of each of several members whether it is in a set.",
			Group:   "set", Since: "6.2.0", Complexity: "O(N) where N is the number of members asked for",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: smismember,
		},
		{
			Name: "scard", Usage: "key", Arity: 2,
			Summary: "Returns the number of members of a set.",
			Group:   "set", Since: "1.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: scard,
		},
		{
			Name: "smembers", Usage: "key", Arity: 2,
			Summary: "Returns all members of a set.",
			Group:   "set", Since: "1.0.0", Complexity: "O(N) where N is the number of members",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: smembers,
			Tips: []string{"nondeterministic_output_order"},
		},
		{
			Name: "sscan", Usage: "key cursor [MATCH pattern] [COUNT count]", Arity: -3,
			Summary: "Returns some members of a set, and a cursor to go on from.",
			Group:   "set", Since: "2.8.0", Complexity: "O(1) for each call, O(N) for all members",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: sscan,
			Tips: []string{"nondeterministic_output"},
		},
	}
}

// setAt returns the set of a key. It returns false when the key holds another
// kind: the error is then replied.
func setAt(c *Ctx, key []byte, a store.Access) (s store.Set, ok bool) {
	s, err := c.Tx.SetOf(key, a)
	if err != nil {
		c.Fail(err)
		return s, false
	}
	return s, true
}

func sadd(c *Ctx) {
	var s store.Set
	if err := c.Tx.OpenSet(&s, c.Args[1], store.Write); err != nil {
		c.Fail(err)
		return
	}
	members := c.Args[2:]
	size := int64(0)
	for _, m := range members {
		size += int64(len(m))
	}
	if !s.HasRoom(len(members), size) {
		c.Reply.Error(resp.ErrSetFull)
		return
	}
	s.Expect(members[0], len(members))
	added := 0
	for _, m := range members {
		if s.Add(m) {
			added++
		}
	}
	s.Done()
	c.Reply.Int(int64(added))
}

func srem(c *Ctx) {
	s, ok := setAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	removed := 0
	for _, m := range c.Args[2:] {
		if s.Remove(m) {
			removed++
		}
	}
	s.Done()
	c.Reply.Int(int64(removed))
}

func smove(c *Ctx) {
	from, ok := setAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	if from.Len() == 0 {
		c.Reply.Int(0)
		return
	}
	to, ok := setAt(c, c.Args[2], store.Write)
	member := c.Args[3]
	switch {
	case !ok:
	case string(c.Args[1]) == string(c.Args[2]):
		c.Reply.Int(truth(from.Has(member)))
	case !to.HasRoom(1, int64(len(member))):
		c.Reply.Error(resp.ErrSetFull)
	case !from.Remove(member):
		c.Reply.Int(0)
	default:
		c.Tx.Event = "srem"
		from.Done()
		c.Tx.Event = "sadd"
		to, _ = c.Tx.SetOf(c.Args[2], store.Peek) // it may have moved
		to.Add(member)
		to.Done()
		c.Reply.Int(1)
	}
}

// truth is how Redis replies whether something is so.
func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func sismember(c *Ctx) {
	if s, ok := setAt(c, c.Args[1], store.Read); ok {
		c.Reply.Int(truth(s.Has(c.Args[2])))
	}
}

func smismember(c *Ctx) {
	s, ok := setAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, m := range c.Args[2:] {
		c.Reply.Int(truth(s.Has(m)))
	}
}

func scard(c *Ctx) {
	if s, ok := setAt(c, c.Args[1], store.Read); ok {
		c.Reply.Int(int64(s.Len()))
	}
}

func smembers(c *Ctx) {
	if s, ok := setAt(c, c.Args[1], store.Read); ok {
		c.Reply.Set(s.Len())
		replyMembers(c, &s)
	}
}

// replyMembers replies with all members of s, but for the head.
func replyMembers(c *Ctx, s *store.Set) {
	s.Each(func(m []byte) bool {
		c.Reply.Bulk(m)
		return !c.Reply.Over()
	})
}

func sscan(c *Ctx) {
	cursor, ok := parseCursor(c.Args[2])
	if !ok {
		c.Reply.Error(resp.ErrInvalidCursor)
		return
	}
	set, ok := setAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	scanMembers(c, cursor, set.Len(), "", func(s *memberScan, cursor uint64, count int) uint64 {
		return set.Scan(cursor, count, func(member []byte) { s.add(member) })
	})
}
