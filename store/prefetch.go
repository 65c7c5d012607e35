package store

// prefetchKeys is the most keys of one call that Prefetch looks at.
const prefetchKeys = 32

// Prefetch asks the processor to bring what look-ups of keys will read into
// its cache, all at once, so that a pipeline of commands waits for memory once
// and not at each command. It changes nothing and may be wrong without harm;
// shards whose lock is taken are passed over. The caller holds no locks.
func (s *Store) Prefetch(db int, keys [][]byte) {
	var hashes [prefetchKeys]uint64
	keys = keys[:min(len(keys), prefetchKeys)]
	for i, key := range keys {
		h := s.Hash(key)
		hashes[i] = h
		if sh := &s.locks[s.number(db, h)]; sh.mu.TryLock() {
			if c := sh.data; c != nil {
				prefetch(c.dict.buckets.at(c.dict.home(h)))
			}
			sh.mu.Unlock()
		}
	}
	for _, h := range hashes[:len(keys)] {
		if sh := &s.locks[s.number(db, h)]; sh.mu.TryLock() {
			if c := sh.data; c != nil {
				c.prefetchEntry(h)
			}
			sh.mu.Unlock()
		}
	}
}

// prefetchEntry fetches the first entry that h's bucket has for h's tag.
func (c *contents) prefetchEntry(h uint64) {
	b := c.dict.bucket(c.dict.home(h))
	x, y := b.match(tagOf(h))
	i := 0
	switch {
	case x != 0:
		i = trailingByte(x)
	case y != 0:
		i = 8 + trailingByte(uint64(y))
	default:
		return
	}
	if r := b.refs[i]; r != 0 {
		prefetch(c.arena.at(r))
	}
}

// Sizable reports whether a database is too large for the processor's inner
// caches, so that Prefetch helps.
func (s *Store) Sizable(db int) bool { return s.DBSize(db) >= sizable }

const sizable = 8192 // keys
