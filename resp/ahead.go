package resp

// Ahead is a Session that gains from knowing the requests to come: it can have
// memory fetched for all of them at once instead of waiting for it at each.
type Ahead interface {
	// Ahead reports whether Prefetch would help now.
	Ahead() bool
	// Prefetch hears the first argument of each of the next requests, which is
	// the key of most, and the second, which may be a member or a field: nil
	// where there is none, or members is nil. It must not change anything: the
	// requests may never run.
	Prefetch(keys, members [][]byte)
}

// aheadRequests is how many requests of a pipeline are looked at together.
const aheadRequests = 16

// scout looks ahead for a loop. Its slices are kept for reuse.
type scout struct {
	args    [][]byte
	keys    [][]byte
	members [][]byte
}

// look parses up to aheadRequests whole requests of buf without touching it,
// tells s their keys and members, and returns the length of what it saw: until there the
// door need not look again. Anything out of the ordinary ends the look.
func (sc *scout) look(s Session, buf []byte) (seen int) {
	if len(buf) == 0 || buf[0] != '*' {
		return len(buf)
	}
	a, ok := s.(Ahead)
	if !ok || !a.Ahead() {
		return len(buf)
	}
	keys, members := sc.keys[:0], sc.members[:0]
	lim := s.Limits()
	for range aheadRequests {
		if seen == len(buf) || buf[seen] != '*' { // an inline request is changed by parsing
			break
		}
		var f frame
		args, n, err := f.next(buf[seen:], lim, sc.args[:0])
		if err != nil || n == 0 {
			seen = len(buf)
			break
		}
		seen += n
		if cap(args) <= keptArgs {
			sc.args = args
		}
		if len(args) > 1 {
			keys = append(keys, args[1])
			var member []byte
			if len(args) > 2 {
				member = args[2]
			}
			members = append(members, member)
		}
	}
	if len(keys) > 1 {
		a.Prefetch(keys, members)
	}
	sc.keys, sc.members = keys, members
	return max(seen, 1)
}
