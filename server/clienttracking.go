package server

import (
	"cmp"
	"slices"
	"strings"

	"synap/command"
	"synap/resp"
)

// CLIENT TRACKING and its relatives:
// https://redis.io/docs/latest/commands/client-tracking/.

// trackingRequest is what CLIENT TRACKING asks for.
type trackingRequest struct {
	on       bool
	mode     trackingMode
	redirect int64
	prefixes []string
}

func (x *Session) parseTracking(args [][]byte) (q trackingRequest, err error) {
	a := resp.NewArgs(args[1:])
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Left() > 1 && a.Is("REDIRECT"):
			if q.redirect != 0 {
				return q, resp.ErrTwoRedirects
			}
			if q.redirect = a.Int(); a.Err() == nil && x.srv.sessions.get(q.redirect) == nil {
				return q, resp.ErrRedirectMissing
			}
		case a.Is("BCAST"):
			q.mode |= trackingBroadcast
		case a.Is("OPTIN"):
			q.mode |= trackingOptIn
		case a.Is("OPTOUT"):
			q.mode |= trackingOptOut
		case a.Is("NOLOOP"):
			q.mode |= trackingNoLoop
		case a.Left() > 1 && a.Is("PREFIX"):
			q.prefixes = append(q.prefixes, string(a.Next()))
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	switch {
	case a.Err() != nil:
		return q, a.Err()
	case resp.EqualFold(args[0], "ON"):
		q.on = true
	case !resp.EqualFold(args[0], "OFF"):
		return q, resp.ErrSyntax
	}
	return q, nil
}

// check tells what of the request contradicts itself or the session's mode, ""
// if nothing does.
func (q *trackingRequest) check(tr *tracker) resp.Error {
	const opt = trackingOptIn | trackingOptOut
	old := trackingMode(tr.mode.Load())
	switch {
	case q.mode&trackingBroadcast == 0 && len(q.prefixes) > 0:
		return resp.ErrPrefixWithoutBcast
	case old&trackingOn != 0 && (old^q.mode)&trackingBroadcast != 0:
		return resp.ErrTrackingSwitchBcast
	case q.mode&trackingBroadcast != 0 && q.mode&opt != 0:
		return resp.ErrOptWithBcast
	case q.mode&opt == opt:
		return resp.ErrOptInAndOut
	case q.mode&trackingOptIn != 0 && old&trackingOptOut != 0, q.mode&trackingOptOut != 0 && old&trackingOptIn != 0:
		return resp.ErrTrackingSwitchOpt
	}
	if i, with, existing := overlap(tr.prefixes, q.prefixes); i >= 0 {
		return resp.PrefixOverlap(q.prefixes[i], with, existing)
	}
	return ""
}

// overlap finds the first of the given prefixes that begins another or that
// another begins with, be it one of those in use, which are ascending, or a
// later given one. i is -1 if there is none.
func overlap(used, given []string) (i int, with string, existing bool) {
	clash := clashes(given)
	for i, p := range given {
		at, _ := slices.BinarySearch(used, p)
		if at > 0 && strings.HasPrefix(p, used[at-1]) {
			return i, used[at-1], true
		}
		if at < len(used) && strings.HasPrefix(used[at], p) {
			return i, used[at], true
		}
		if !clash[i] {
			continue
		}
		for _, q := range given[i+1:] {
			if strings.HasPrefix(p, q) || strings.HasPrefix(q, p) {
				return i, q, false
			}
		}
	}
	return -1, "", false
}

// clashes marks the prefixes that overlap with others of the list, in the time
// that sorting takes.
func clashes(given []string) []bool {
	order := make([]int, len(given))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(given[a], given[b]), cmp.Compare(a, b)) })
	marks := make([]bool, len(given))
	var open []int // each begins with the one before it
	for _, i := range order {
		for len(open) > 0 && !strings.HasPrefix(given[i], given[open[len(open)-1]]) {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			marks[i], marks[open[len(open)-1]] = true, true
		}
		open = append(open, i)
	}
	return marks
}

func clientTracking(x *Session, c *command.Ctx) {
	q, err := x.parseTracking(c.Args[2:])
	if err != nil {
		c.Fail(err)
		return
	}
	tr := x.tracker.Load()
	if !q.on {
		if tr != nil {
			x.srv.tracking.untrack(tr)
		}
		c.Reply.OK()
		return
	}
	if tr == nil {
		tr = &tracker{sub: x.subscriber()}
	}
	if e := q.check(tr); e != "" {
		c.Reply.Error(e)
		return
	}
	x.srv.tracking.track(tr, q.mode, q.redirect, q.prefixes)
	x.tracker.Store(tr)
	c.Reply.OK()
}

func clientCaching(x *Session, c *command.Ctx) {
	tr := x.tracker.Load()
	if tr == nil || !tr.is(trackingOn) {
		c.Reply.Error(resp.ErrCachingWithoutOpt)
		return
	}
	switch word := c.Args[2]; {
	case resp.EqualFold(word, "YES"):
		if !tr.is(trackingOptIn) {
			c.Reply.Error(resp.ErrCachingYes)
			return
		}
	case resp.EqualFold(word, "NO"):
		if !tr.is(trackingOptOut) {
			c.Reply.Error(resp.ErrCachingNo)
			return
		}
	default:
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	tr.caching = true
	c.Reply.OK()
}

// redirection is what CLIENT GETREDIR answers: -1 outside tracking mode, 0
// without redirection; any goroutine may ask.
func (x *Session) redirection() int64 {
	if tr := x.tracker.Load(); tr != nil && tr.is(trackingOn) {
		return tr.redirect.Load()
	}
	return -1
}

func clientGetRedir(x *Session, c *command.Ctx) { c.Reply.Int(x.redirection()) }

func clientTrackingInfo(x *Session, c *command.Ctx) {
	tr := x.tracker.Load()
	if tr == nil {
		tr = &tracker{}
	}
	flags := tr.flagNames()
	c.Reply.Map(3)
	c.Reply.BulkString("flags")
	c.Reply.Set(len(flags))
	for _, f := range flags {
		c.Reply.BulkString(f)
	}
	c.Reply.BulkString("redirect")
	c.Reply.Int(x.redirection())
	c.Reply.BulkString("prefixes")
	c.Reply.Array(len(tr.prefixes))
	for _, p := range tr.prefixes {
		c.Reply.BulkString(p)
	}
}

// flagNames are the flags of CLIENT TRACKINGINFO, in Redis' order.
func (t *tracker) flagNames() []string {
	names := []string{"off"}
	if t.is(trackingOn) {
		names[0] = "on"
	}
	flag := func(on bool, name string) {
		if on {
			names = append(names, name)
		}
	}
	flag(t.is(trackingBroadcast), "bcast")
	flag(t.is(trackingOptIn), "optin")
	flag(t.is(trackingOptIn) && t.caching, "caching-yes")
	flag(t.is(trackingOptOut), "optout")
	flag(t.is(trackingOptOut) && t.caching, "caching-no")
	flag(t.is(trackingNoLoop), "noloop")
	flag(t.is(trackingBroken), "broken_redirect")
	return names
}
