package command

import (
	"strconv"

	"synap/resp"
)

// memberScan is an HSCAN, SSCAN or ZSCAN under way. What it finds waits until
// the cursor is known, which stands before it.
type memberScan struct {
	match []byte
	count int64
	bare  bool // without values or scores

	found resp.Reply
	n     int
}

// parse reads the options; bare is the word that leaves values or scores out,
// "" if there are none.
func (s *memberScan) parse(args [][]byte, bare string) error {
	a := resp.NewArgs(args)
	s.count, s.bare = 10, bare == ""
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case bare != "" && a.Is(bare):
			s.bare = true
		case a.Left() < 2:
			a.Fail(resp.ErrSyntax)
		case a.Is("COUNT"):
			if s.count = a.Int(); s.count < 1 {
				a.Fail(resp.ErrSyntax)
			}
		case a.Is("MATCH"):
			if s.match = a.Next(); string(s.match) == "*" {
				s.match = nil
			}
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return a.Err()
}

// add takes a field or member that matches, and tells whether its value or
// score must follow.
func (s *memberScan) add(member []byte) bool {
	if s.match != nil && !Glob(s.match, member) {
		return false
	}
	s.found.Bulk(member)
	s.n++
	if s.bare {
		return false
	}
	s.n++
	return true
}

// scanMembers scans a collection of so many elements. step visits about count
// of them from a cursor on and returns the next one.
func scanMembers(c *Ctx, cursor uint64, elements int, bare string, step func(s *memberScan, cursor uint64, count int) uint64) {
	if elements == 0 { // the options are not looked at then
		c.Reply.Array(2)
		c.Reply.BulkString("0")
		c.Reply.Array(0)
		return
	}
	var s memberScan
	if err := s.parse(c.Args[3:], bare); err != nil {
		c.Fail(err)
		return
	}
	for left := s.count; left > 0; left -= scanStep {
		cursor = step(&s, cursor, int(min(left, scanStep)))
		if cursor == 0 || s.found.Len() > scanReply {
			break
		}
	}
	c.Reply.Array(2)
	c.Reply.BulkString(strconv.FormatUint(cursor, 10))
	c.Reply.Array(s.n)
	c.Reply.Raw(s.found.Bytes())
}
