package command

import (
	"cmp"
	"slices"

	"synap/resp"
	"synap/store"
)

func setCombineRows() []Row {
	const (
		meeting = "O(N*M) where N is the size of the smallest set and M the number of sets"
		all     = "O(N) where N is the number of members of all sets"
	)
	read := func(name, summary, cost string, o setOperation) Row {
		return Row{
			Name: name, Usage: "key [key ...]", Arity: -2,
			Summary: summary,
			Group:   "set", Since: "1.0.0", Complexity: cost,
			Flags: ReadOnly, Run: func(c *Ctx) { combineSets(c, o) },
			Keys: []KeySpec{{Flags: RO | Access, Begin: 1, Last: -1, Step: 1}},
			Tips: []string{"nondeterministic_output_order"},
		}
	}
	save := func(name, summary, cost string, o setOperation) Row {
		return Row{
			Name: name, Usage: "destination key [key ...]", Arity: -3,
			Summary: summary,
			Group:   "set", Since: "1.0.0", Complexity: cost,
			Flags: Write | DenyOOM, Run: func(c *Ctx) { combineSetsStore(c, o) },
			Keys: []KeySpec{{Flags: OW | Update, Begin: 1}, {Flags: RO | Access, Begin: 2, Last: -1, Step: 1}},
		}
	}
	return []Row{
		read("sinter", "Returns the members that all of several sets have.", meeting, intersect),
		read("sunion", "Returns the members of any of several sets.", all, unite),
		read("sdiff", "Returns the members of the first set that none of the others has.", all, subtract),
		save("sinterstore", "Stores the members that all of several sets have.", meeting, intersect),
		save("sunionstore", "Stores the members of any of several sets.", all, unite),
		save("sdiffstore", "Stores the members of the first set that none of the others has.", all, subtract),
		{
			Name: "sintercard", Usage: "numkeys key [key ...] [LIMIT limit]", Arity: -3,
			Summary: "Returns how many members all of several sets have, counting up to a limit.",
			Group:   "set", Since: "7.0.0", Complexity: meeting,
			Flags: ReadOnly, Run: sintercard,
			Keys: []KeySpec{{Flags: RO | Access, Begin: 1, NumKeys: true, First: 1, Step: 1}},
		},
	}
}

// setOperation visits the members that several sets, one at least, give together,
// each once, until visit returns false.
type setOperation func(tx *store.Tx, sets []store.Set, visit func(m []byte) bool)

// setsAt returns the sets of several keys. It returns false when one holds
// another kind: the error is then replied.
func setsAt(c *Ctx, keys [][]byte) ([]store.Set, bool) {
	sets := make([]store.Set, len(keys))
	for i, key := range keys {
		var ok bool
		if sets[i], ok = setAt(c, key, store.Read); !ok {
			return nil, false
		}
	}
	return sets, true
}

func combineSets(c *Ctx, f setOperation) {
	sets, ok := setsAt(c, c.Args[1:])
	if !ok {
		return
	}
	mark, n := c.Reply.DeferSet(), 0
	f(c.Tx, sets, func(m []byte) bool {
		c.Reply.Bulk(m)
		n++
		return !c.Reply.Over()
	})
	c.Reply.SetDeferred(mark, n)
}

func combineSetsStore(c *Ctx, f setOperation) {
	sets, ok := setsAt(c, c.Args[2:])
	if !ok {
		return
	}
	b := c.Tx.NewSetBuilder()
	fits := true
	f(c.Tx, sets, func(m []byte) bool {
		if fits = b.HasRoom(1, int64(len(m))); fits {
			b.Add(m)
		}
		return fits
	})
	if !fits {
		b.Discard()
		c.Reply.Error(resp.ErrSetFull)
		return
	}
	c.Reply.Int(int64(b.Store(c.Args[1])))
}

func sintercard(c *Ctx) {
	n, ok := resp.ParseInt(c.Args[1])
	switch {
	case !ok || n < 1:
		c.Reply.Error(resp.ErrNumKeys)
		return
	case n > int64(len(c.Args)-2):
		c.Reply.Error(resp.ErrNumKeysArgs)
		return
	}
	a, limit := resp.NewArgs(c.Args[2+n:]), int64(0)
	for a.Left() > 0 && a.Err() == nil {
		if a.Left() < 2 || !a.Is("LIMIT") {
			a.Fail(resp.ErrSyntax)
		} else if limit = a.IntOr(resp.ErrLimitNegative); limit < 0 {
			a.Fail(resp.ErrLimitNegative)
		}
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	sets, ok := setsAt(c, c.Args[2:2+n])
	if !ok {
		return
	}
	found := int64(0)
	intersect(c.Tx, sets, func([]byte) bool {
		found++
		return found != limit
	})
	c.Reply.Int(found)
}

// intersect looks for the members of the smallest set in the others, the smaller
// ones first.
func intersect(_ *store.Tx, sets []store.Set, visit func(m []byte) bool) {
	slices.SortStableFunc(sets, func(a, b store.Set) int { return cmp.Compare(a.Len(), b.Len()) })
	sets[0].Each(func(m []byte) bool {
		for i := range sets[1:] {
			if !sets[1+i].Has(m) {
				return true
			}
		}
		return visit(m)
	})
}

// fewSets is up to how many sets looking a member up in the earlier ones is
// cheaper than to remember all members visited.
const fewSets = 4

func unite(tx *store.Tx, sets []store.Set, visit func(m []byte) bool) {
	seen := func(i int, m []byte) bool {
		for j := range sets[:i] {
			if sets[j].Has(m) {
				return true
			}
		}
		return false
	}
	if len(sets) > fewSets {
		b := tx.NewSetBuilder()
		defer b.Discard()
		seen = func(_ int, m []byte) bool { return !b.HasRoom(1, int64(len(m))) || !b.Add(m) }
	}
	more := true
	for i := range sets {
		sets[i].Each(func(m []byte) bool {
			if more && !seen(i, m) {
				more = visit(m)
			}
			return more
		})
	}
}

// subtract looks for the members of the first set in the others, or first for
// the members of the others in it, whichever is less work.
func subtract(tx *store.Tx, sets []store.Set, visit func(m []byte) bool) {
	first, others := &sets[0], sets[1:]
	looks, members := first.Len()*len(sets)/2, 0
	for i := range sets {
		members += sets[i].Len()
	}
	without := func(m []byte) bool {
		for i := range others {
			if others[i].Has(m) {
				return false
			}
		}
		return true
	}
	if looks > members {
		gone := tx.NewSetBuilder()
		defer gone.Discard()
		for i := range others {
			others[i].Each(func(m []byte) bool {
				if first.Has(m) {
					gone.Add(m)
				}
				return true
			})
		}
		without = func(m []byte) bool { return !gone.Has(m) }
	} else {
		slices.SortStableFunc(others, func(a, b store.Set) int { return cmp.Compare(b.Len(), a.Len()) })
	}
	first.Each(func(m []byte) bool { return !without(m) || visit(m) })
}
