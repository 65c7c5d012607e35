package store

// Trim says which entries to remove from the front: those beyond the last
// MaxLen, or those before MinID if ByID. Approx removes whole blocks only, and
// Limit, unless 0, is the most entries to remove.
type Trim struct {
	ByID   bool
	Approx bool
	MaxLen int64
	MinID  ID
	Limit  int64
	Refs   Refs
}

// Refs says what happens to the groups that an entry is pending in when it is
// removed from the stream.
type Refs uint8

const (
	KeepRefs   Refs = iota // it stays pending
	DeleteRefs             // it is pending no more
	AckedOnly              // it is removed only if every group has read and acknowledged it
)

// Trim removes entries and returns how many.
func (s *Stream) Trim(t Trim) (removed int) {
	if t.Refs != KeepRefs && s.groups.len() > 0 {
		return s.trimRefs(t)
	}
	enough := func(left int) bool { return !t.ByID && int64(left) <= t.MaxLen }
	for s.blocks.len() > 0 && !enough(s.length) {
		b := *s.blocks.at(0)
		if t.Limit > 0 && int64(removed)+int64(b.live) > t.Limit {
			break
		}
		whole := b.last.Less(t.MinID)
		if !t.ByID {
			whole = int64(s.length)-int64(b.live) >= t.MaxLen
		}
		if whole {
			removed += int(b.live)
			s.length -= int(b.live)
			s.discard(0)
			continue
		}
		if !t.Approx {
			n := b.trim(func(id ID, gone int) bool {
				if t.ByID {
					return id.Less(t.MinID)
				}
				return !enough(s.length - gone)
			})
			removed += n
			s.length -= n
		}
		break
	}
	return removed
}

// trimBatch is how many entries trimRefs looks at before it removes some.
const trimBatch = 256

// trimRefs trims entry by entry, as groups have a say in it.
func (s *Stream) trimRefs(t Trim) (removed int) {
	last, max := s.trimEnd(t)
	deleted := s.maxDeleted
	kept := false
	for from, more := (ID{}), true; more && removed < max; {
		var batch []ID
		more = false
		s.Range(from, last, func(e Entry) bool {
			if more = len(batch) == trimBatch; !more {
				batch = append(batch, e.ID)
			}
			return !more
		})
		for _, id := range batch {
			if removed == max {
				break
			}
			if t.Refs == AckedOnly && s.Referenced(id) {
				kept = true
				continue
			}
			s.Delete(id)
			removed++
			if t.Refs == DeleteRefs {
				s.Unreference(id)
			}
		}
		if more {
			from, more = batch[trimBatch-1].Next()
		}
	}
	if !kept { // trimming from the front leaves no hole
		s.maxDeleted = deleted
	}
	return removed
}

// trimEnd returns the last entry that a trim may remove and how many at most.
func (s *Stream) trimEnd(t Trim) (last ID, max int) {
	max = s.length
	if last = MaxID; t.ByID {
		last, _ = t.MinID.Prev()
		if t.MinID == (ID{}) {
			max = 0
		}
	} else {
		max -= int(min(t.MaxLen, int64(s.length)))
	}
	if !t.Approx {
		return last, max
	}
	left := s.length
	whole := ID{}
	for _, b := range s.blocks.all() {
		if t.ByID && !b.last.Less(t.MinID) || !t.ByID && int64(left-int(b.live)) < t.MaxLen {
			break
		}
		left -= int(b.live)
		whole = b.last
	}
	if t.Limit > 0 {
		max = int(min(int64(max), t.Limit))
	}
	return whole, min(max, s.length-left)
}
