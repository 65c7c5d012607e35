package store

import "unsafe"

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
	if r := c.dict.bucket(c.dict.home(h)).first(tagOf(h)); r != 0 {
		prefetch(c.arena.at(r))
	}
}

// PrefetchMembers is Prefetch for what look-ups of members in large sets, or of
// fields in large hashes, will read: members[i] in the value at keys[i], nil
// where there is none. Equal keys that follow each other cost one look-up.
func (s *Store) PrefetchMembers(db int, keys, members [][]byte) {
	for len(members) > 0 {
		n := 1
		for n < min(len(members), prefetchKeys) && string(keys[n]) == string(keys[0]) {
			n++
		}
		h := s.Hash(keys[0])
		if sh := &s.locks[s.number(db, h)]; sh.mu.TryLock() {
			if t := sh.tableAt(h, keys[0]); t != nil {
				t.prefetch(members[:n])
			}
			sh.mu.Unlock()
		}
		keys, members = keys[n:], members[n:]
	}
}

// tableAt returns the table of the large set or hash at key, nil if there is
// none.
func (sh *shard) tableAt(h uint64, key []byte) *table {
	if sh.data == nil {
		return nil
	}
	s, ok := sh.data.lookup(h, key)
	if !ok || s.flags()&flagObject == 0 {
		return nil
	}
	switch o := s.c.records.at(s.record()).object.(type) {
	case *largeSet:
		return o.t
	case *largeHash:
		return o.t
	}
	return nil
}

// prefetch asks for the buckets of up to prefetchKeys keys, then for the first
// element that each has for the key's tag: for two cache lines, as many take.
func (t *table) prefetch(keys [][]byte) {
	var hashes [prefetchKeys]uint64
	for i, key := range keys {
		if key != nil {
			hashes[i] = t.hash(key)
			prefetch(unsafe.Pointer(t.index.bucket(t.index.home(hashes[i]))))
		}
	}
	for i, key := range keys {
		if key == nil {
			continue
		}
		if r := t.index.bucket(t.index.home(hashes[i])).first(tagOf(hashes[i])); r != 0 {
			seg, from := &t.segs[r>>placeBits], int(r&(1<<placeBits-1))*elemUnit
			prefetch(unsafe.Add(seg.p, from))
			if from += cacheLine; from < seg.n {
				prefetch(unsafe.Add(seg.p, from))
			}
		}
	}
}

const cacheLine = 64 // bytes

// first returns the first reference that b may have for a tag, 0 if none.
func (b *bucket) first(tag uint8) ref {
	switch x, y := b.match(tag); {
	case x != 0:
		return b.refs[trailingByte(x)]
	case y != 0:
		return b.refs[8+trailingByte(uint64(y))]
	}
	return 0
}

// Sizable reports whether a database is too large for the processor's inner
// caches, so that Prefetch helps.
func (s *Store) Sizable(db int) bool { return s.DBSize(db) >= sizable }

const sizable = 8192 // keys
