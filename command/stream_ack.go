package command

import (
	"synap/resp"
	"synap/store"
)

// Consumer groups: XACK, and XACKDEL and XDELEX of Redis 8.2, which also say
// what becomes of the groups that an entry is pending in.

func streamAckRows() []Row {
	return []Row{
		{
			Name: "xack", Usage: "key group id [id ...]", Arity: -4,
			Summary: "Acknowledges entries: they are pending no more.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(log(N)) for each ID where N is the number of pending entries",
			Flags: Write | Fast, Keys: oneKey(RW | Update), Run: xack,
		},
		{
			Name: "xackdel", Usage: "key group " + refsUsage + " IDS <numids id [id ...]>", Arity: -6,
			Summary: "Acknowledges entries and removes them from the stream.",
			Group:   "stream", Since: "8.2.0", Complexity: "O(G*log(N)) for each ID where G is the number of groups and N of their pending entries",
			Flags: Write | Fast, Keys: oneKey(RW | Delete), Run: xackdel,
		},
		{
			Name: "xdelex", Usage: "key " + refsUsage + " IDS <numids id [id ...]>", Arity: -5,
			Summary: "Removes entries from a stream, and from the groups they are pending in.",
			Group:   "stream", Since: "8.2.0", Complexity: "O(G*log(N)) for each ID where G is the number of groups and N of their pending entries",
			Flags: Write | Fast, Keys: oneKey(RW | Delete), Run: xdelex,
		},
	}
}

const refsUsage = "[KEEPREF | DELREF | ACKED]"

func xack(c *Ctx) {
	s, ok := streamAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	var g *store.Group
	if s != nil {
		g = s.Group(c.Args[2])
	}
	if g == nil {
		c.Count(0)
		c.Reply.Int(0)
		return
	}
	a := resp.NewArgs(c.Args[3:]) // all are read before the first is acknowledged
	for a.Left() > 0 {
		parseID(&a)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	n := 0
	for a = resp.NewArgs(c.Args[3:]); a.Left() > 0; {
		if g.Ack(parseID(&a)) {
			n++
		}
	}
	if n > 0 {
		c.Tx.Event = ""
		c.Tx.SaveStreamQuietly(c.Args[1], s)
	}
	c.Count(n)
	c.Reply.Int(int64(n))
}

// parseRefs reads one of KEEPREF, DELREF and ACKED if it is next.
func parseRefs(a *resp.Args) (r store.Refs, ok bool) {
	switch {
	case a.Is("KEEPREF"):
		return store.KeepRefs, true
	case a.Is("DELREF"):
		return store.DeleteRefs, true
	case a.Is("ACKED"):
		return store.AckedOnly, true
	}
	return 0, false
}

func parseIDs(args [][]byte) (refs store.Refs, ids [][]byte, err error) {
	a := resp.NewArgs(args)
	for given := false; a.Left() > 0; {
		if r, ok := parseRefs(&a); ok {
			if given {
				a.Fail(resp.ErrSyntax)
			}
			refs, given = r, true
			continue
		}
		if a.Left() < 2 || !a.Is("IDS") {
			a.Fail(resp.ErrSyntax)
			break
		}
		n := a.IntOr(resp.ErrIDsNumber)
		switch {
		case a.Err() != nil:
		case n < 1:
			a.Fail(resp.ErrIDsNumber)
		case n > int64(a.Left()):
			a.Fail(resp.ErrIDsMismatch)
		default:
			ids = nil
			for range n {
				ids = append(ids, a.Next())
			}
		}
	}
	if ids == nil {
		a.Fail(resp.ErrIDsMissing)
	}
	check := resp.NewArgs(ids)
	for a.Err() == nil && check.Left() > 0 {
		parseID(&check)
	}
	if err = a.Err(); err == nil {
		err = check.Err()
	}
	return refs, ids, err
}

// What XACKDEL and XDELEX reply with for each ID.
const (
	idNotThere = -1
	idDeleted  = 1
	idKept     = 2 // groups have yet to read or acknowledge it
)

func xackdel(c *Ctx) { deleteIDs(c, c.Args[3:], c.Args[2]) }
func xdelex(c *Ctx)  { deleteIDs(c, c.Args[2:], nil) }

// deleteIDs removes entries; with a group it acknowledges them there before,
// and looks at no others.
func deleteIDs(c *Ctx, args [][]byte, group []byte) {
	refs, ids, err := parseIDs(args)
	if err != nil {
		c.Fail(err)
		return
	}
	s, ok := streamAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	var g *store.Group
	if s != nil && group != nil {
		g = s.Group(group)
	}
	nothing := s == nil || group != nil && g == nil
	c.Reply.Array(len(ids))
	changed, n := false, 0
	for a := resp.NewArgs(ids); a.Left() > 0; {
		id := parseID(&a)
		result := int64(idNotThere)
		if acked := !nothing && g != nil && g.Ack(id); acked || !nothing && g == nil {
			var touched bool
			result, touched = deleteID(s, id, refs, acked)
			changed = changed || touched || acked
		}
		if result == idDeleted {
			n++
		}
		c.Reply.Int(result)
	}
	if changed {
		if c.Tx.Event = ""; n > 0 {
			c.Tx.Event = "xdel"
		}
		c.Tx.SaveStreamQuietly(c.Args[1], s)
	}
	c.Count(n)
}

// deleteID removes one entry as refs says. An acknowledged one that is there no
// more counts as deleted.
func deleteID(s *store.Stream, id store.ID, refs store.Refs, acked bool) (result int64, changed bool) {
	there := s.Has(id)
	switch {
	case refs == store.AckedOnly && there && s.Referenced(id):
		return idKept, false
	case refs == store.DeleteRefs:
		changed = s.Unreference(id)
	}
	if there {
		s.Delete(id)
	}
	if there || acked {
		return idDeleted, changed || there
	}
	return idNotThere, changed
}
