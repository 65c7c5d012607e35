package store

// Finder looks for entries of a stream that does not change meanwhile; it is
// quick if their IDs ascend.
type Finder struct {
	s     *Stream
	block int
	at    int // in the block, 0: not begun
	prior ID  // of the entry before
}

// Finder returns one.
func (s *Stream) Finder() Finder { return Finder{s: s} }

// Find returns the entry of the given ID.
func (f *Finder) Find(id ID) (found Entry, ok bool) {
	if f.at == 0 || !f.prior.Less(id) || (*f.s.blocks.at(f.block)).last.Less(id) {
		if f.block = f.s.seek(id); f.block == f.s.blocks.len() {
			f.at = 0
			return found, false
		}
		b := *f.s.blocks.at(f.block)
		f.at, f.prior = int(b.start), b.before
	}
	b := *f.s.blocks.at(f.block)
	for f.at < len(b.buf) {
		e := b.entryAt(f.at, f.prior)
		if !e.id.Less(id) {
			return Entry{e.id, e.fields, f.s, b, e}, e.id == id && e.flags&entryDead == 0
		}
		f.at, f.prior = e.end, e.id
	}
	return found, false
}
