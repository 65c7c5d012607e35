package store

import "slices"

// Kind returns the kind of key's value, KindNone if it is absent.
func (tx *Tx) Kind(key []byte, a Access) Kind {
	s, ok := tx.find(key, a)
	if !ok {
		return KindNone
	}
	return s.kind()
}

// Delete removes key and reports whether it existed.
func (tx *Tx) Delete(key []byte) bool {
	s, ok := tx.find(key, Peek)
	if !ok {
		return false
	}
	tx.changed(key, s.kind(), Deleted)
	s.c.delete(s)
	return true
}

// ExpireTime returns when key expires in unix milliseconds, -1 if it does not;
// ok is false if it is absent.
func (tx *Tx) ExpireTime(key []byte) (at int64, ok bool) {
	s, ok := tx.find(key, Peek)
	if !ok {
		return 0, false
	}
	return s.expiry(), true
}

// expiry returns when the entry expires, -1 if it does not.
func (s slot) expiry() int64 {
	if !s.expires() {
		return -1
	}
	return s.c.heap.at(s.heapPlace()).when()
}

// SetExpire makes key expire at the given time in unix milliseconds and
// reports whether key exists. It never removes key: a time gone by is the
// caller's affair.
func (tx *Tx) SetExpire(key []byte, at int64) bool {
	s, ok := tx.find(key, Write)
	if !ok {
		return false
	}
	s.c.setExpiry(&s, max(at, 1))
	tx.changedAs(key, s.kind(), Changed, "expire")
	return true
}

// Persist takes key's expiry away and reports whether it had one.
func (tx *Tx) Persist(key []byte) bool {
	s, ok := tx.find(key, Write)
	if !ok || !s.expires() {
		return false
	}
	s.c.setExpiry(&s, 0)
	tx.changedAs(key, s.kind(), Changed, "persist")
	return true
}

// taken returns the value of s, for storing it elsewhere; bytes alias the
// arena.
func (tx *Tx) taken(s slot) value {
	v := value{kind: s.kind(), raw: s.flags()&flagRaw != 0, object: tx.object(s)}
	if v.object == nil {
		v.bytes = s.value()
	}
	return v
}

// putAs puts v under key, present or not, with the given expiry, -1 for none.
func (tx *Tx) putAs(key []byte, v value, at int64, event string) {
	saved := tx.Event
	tx.Event = event
	tx.put(key, v, max(at, 0))
	tx.Event = saved
}

// Rename gives the value of src, with its expiry, the name dst, whatever dst
// was. It reports whether src exists.
func (tx *Tx) Rename(src, dst []byte) bool {
	s, ok := tx.find(src, Peek)
	if !ok {
		return false
	}
	if string(src) == string(dst) {
		return true
	}
	tx.transfer(s, src, tx.db, dst, "rename_from", "rename_to")
	return true
}

// Move moves key to another database. It reports false if key is absent here
// or present there.
func (tx *Tx) Move(key []byte, db int) bool {
	if tx.kindIn(db, key) != KindNone {
		return false
	}
	s, ok := tx.find(key, Peek)
	if !ok {
		return false
	}
	tx.transfer(s, key, db, key, "move_from", "move_to")
	return true
}

func (tx *Tx) kindIn(db int, key []byte) Kind {
	here := tx.db
	tx.db = db
	k := tx.Kind(key, Peek)
	tx.db = here
	return k
}

// transfer stores the value of s under dst, with its access clock, and removes
// it from src.
func (tx *Tx) transfer(s slot, src []byte, db int, dst []byte, from, to string) {
	s.c.preserve(s)
	v, at, clock := tx.taken(s), s.expiry(), s.clock()
	if v.object == nil {
		v.bytes = slices.Clone(v.bytes) // dst may get the slot
	} else {
		s.c.takeObject(s)
	}
	here := tx.db
	tx.changedAs(src, v.kind, Deleted, from)
	s.c.delete(s)
	tx.db = db
	tx.putAs(dst, v, at, to)
	if d, ok := tx.find(dst, Peek); ok {
		d.setClock(clock)
	}
	tx.db = here
}

// Copy stores a copy of src's value, with its expiry, under dst in database
// db, whatever dst was. It reports whether src exists.
func (tx *Tx) Copy(src []byte, db int, dst []byte) bool {
	s, ok := tx.find(src, Read)
	if !ok {
		return false
	}
	v, at := tx.taken(s), s.expiry()
	if v.object != nil {
		v.object = v.object.Clone()
	} else {
		v.bytes = slices.Clone(v.bytes)
	}
	here := tx.db
	tx.db = db
	tx.putAs(dst, v, at, "copy_to")
	tx.db = here
	return true
}

// Meta describes a value.
type Meta struct {
	Kind     Kind
	Encoding string // as OBJECT ENCODING names it
	Refs     int
	Idle     int64 // seconds since the last access; 0 under an LFU policy
	Freq     int   // logarithmic access counter; 0 unless under an LFU policy
	Bytes    int64 // memory of key, value and index
	Len      int   // elements; bytes of a string
}

// Meta describes key's value without touching it.
func (tx *Tx) Meta(key []byte) (Meta, bool) {
	s, ok := tx.find(key, Peek)
	if !ok {
		return Meta{}, false
	}
	m := Meta{Kind: s.kind(), Refs: 1, Bytes: int64(s.slot) + bucketBytes/splitAt}
	if s.expires() {
		m.Bytes += deadlineBytes
	}
	if _, ok := s.c.fieldPlace(s.entry); ok {
		m.Bytes += deadlineBytes
	}
	if o := tx.object(s); o != nil {
		m.Len = o.Len()
		m.Bytes += o.Bytes() + recordBytes
	}
	if s.isFar() {
		m.Bytes += int64(len(key)) + recordBytes
	}
	if tx.lfu {
		m.Freq = int(tx.decayed(s.clock()))
	} else {
		m.Idle = int64((tx.clock - s.clock()) & clockMask)
	}
	m.Encoding, m.Len = tx.encoding(s, m.Len)
	return m, true
}

// RandomKey returns a copy of a random key of the current database, whose
// shards must be held or free; equal rnd finds equal keys. It may miss when
// nearly all keys have expired.
func (tx *Tx) RandomKey(rnd uint64) (key []byte, ok bool) {
	shards := tx.store.shardsOf(tx.db)
	for range 100 {
		n := tx.Size()
		if n == 0 {
			return nil, false
		}
		nth := int64(mix(&rnd) % uint64(n))
		for i := range shards {
			sh := &shards[i]
			if nth -= sh.keys.Load(); nth >= 0 {
				continue
			}
			tx.inShard(sh, func() {
				if r := sh.randomRef(&rnd); r != 0 {
					if e := sh.data.entry(r); !sh.data.overdue(e, tx.Now) {
						key, ok = slices.Clone(sh.data.key(e)), true
					}
				}
			})
			break
		}
		if ok {
			return key, true
		}
	}
	return nil, false
}

// overdue reports whether e's time has come.
func (c *contents) overdue(e entry, now int64) bool {
	return e.expires() && c.heap.at(e.heapPlace()).when() <= now || c.allFieldsDue(e, now)
}

// randomRef returns a random entry, each with the same probability; 0 if the
// shard is empty.
func (sh *shard) randomRef(rnd *uint64) ref {
	c := sh.data
	if c == nil || c.dict.count == 0 {
		return 0
	}
	return c.dict.random(rnd)
}

// mix advances a splitmix64 generator (S. Vigna) and returns its output.
func mix(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// inShard runs f with sh locked: by tx already, or for the time of f. A
// transaction that holds other shards must hold this one too.
func (tx *Tx) inShard(sh *shard, f func()) {
	if tx.holds(sh) {
		f()
		return
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	f()
}

// Scan visits some keys of the current database from cursor on, at least count
// if there are as many, and returns the next cursor, 0 at the end. Any cursor
// is legal. Keys present throughout a whole scan are visited at least once.
// It locks one shard at a time unless they are held; visit must neither write
// nor keep key.
func (tx *Tx) Scan(cursor uint64, count int, visit func(key []byte, k Kind)) uint64 {
	shards := tx.store.shardsOf(tx.db)
	i := cursor % uint64(len(shards))
	v := cursor / uint64(len(shards))
	count = min(max(count, 1), 1<<24)
	steps := count * 10 // empty buckets do not make a call endless
	seen := 0
	for i < uint64(len(shards)) {
		sh := &shards[i]
		tx.inShard(sh, func() {
			for c := sh.data; c != nil && seen < count && steps > 0; steps-- {
				v = c.dict.scan(v, func(r ref) {
					if e := c.entry(r); !c.overdue(e, tx.Now) {
						visit(c.key(e), e.kind())
						seen++
					}
				})
				if v == 0 {
					break
				}
			}
			if sh.data == nil {
				v = 0
			}
		})
		if v != 0 {
			break
		}
		if i++; seen >= count || steps <= 0 {
			break
		}
	}
	if i == uint64(len(shards)) {
		return 0
	}
	return v*uint64(len(shards)) + i
}

// Walk visits every key of the current database until visit returns false,
// one shard at a time; visit must neither write nor keep key.
func (tx *Tx) Walk(visit func(key []byte, k Kind) bool) {
	shards := tx.store.shardsOf(tx.db)
	for i, more := 0, true; i < len(shards) && more; i++ {
		sh := &shards[i]
		tx.inShard(sh, func() {
			c := sh.data
			for b := uint32(0); c != nil && b < c.dict.n && more; b++ {
				c.dict.visit(b, func(r ref) {
					if e := c.entry(r); more && !c.overdue(e, tx.Now) {
						more = visit(c.key(e), e.kind())
					}
				})
			}
		})
	}
}

// Flush removes all keys of database db, or of all for -1, whose shards must
// be held. It returns how many there were. The memory goes back to the system
// at Unlock.
func (tx *Tx) Flush(db int) int {
	return tx.flush(db, func(c *contents) { tx.dropped = append(tx.dropped, c) })
}

// FlushAsync is Flush, but CompactStep gives the memory back little by little.
func (tx *Tx) FlushAsync(db int) int { return tx.flush(db, tx.store.graveyard.add) }

func (tx *Tx) flush(db int, bury func(*contents)) int {
	from, to := db, db+1
	if db < 0 {
		from, to = 0, tx.store.databases
	}
	total := 0
	for db := from; db < to; db++ {
		n := 0
		tx.touchLive(db)
		shards := tx.store.shardsOf(db)
		for i := range shards {
			if c := shards[i].data; c != nil {
				n += c.dict.count
				if !c.cut.handOver() {
					bury(c)
				}
				shards[i].data = nil
				shards[i].vacate()
			}
		}
		tx.changes = append(tx.changes, Change{DB: db, Effect: Flushed})
		total += n
	}
	return total
}

// SwapDB exchanges the contents of two databases, whose shards must be held.
// Locks, waiters and watches stay where they are.
func (tx *Tx) SwapDB(a, b int) {
	tx.touchLive(a)
	tx.touchLive(b)
	tx.store.written[a].Store(true)
	tx.store.written[b].Store(true)
	x, y := tx.store.shardsOf(a), tx.store.shardsOf(b)
	for i := range x {
		x[i].data, y[i].data = y[i].data, x[i].data
		for _, sh := range [2]*shard{&x[i], &y[i]} {
			if sh.data == nil {
				sh.vacate()
				continue
			}
			sh.data.dirty = true
			sh.data.cut.moveTo(sh)
		}
	}
	tx.touchLive(a)
	tx.touchLive(b)
	tx.changes = append(tx.changes, Change{DB: a, Effect: Flushed}, Change{DB: b, Effect: Flushed})
}
