package store

import (
	"slices"
	"unsafe"
)

// Tx is a transaction: the locks of some shards and what was changed under
// them. It is reused: Begin makes it new, and in the steady state nothing is
// allocated. It belongs to one goroutine.
type Tx struct {
	Now    int64  // unix milliseconds
	Event  string // name of the keyspace event that the changes carry
	Still  bool   // look-ups leave the keys' access clocks alone
	Logged bool   // somebody reads the records that changes carry; set by whatever locks
	Misses bool   // look-ups that count a miss enter the change list
	Wide   bool   // a set or hash was found that PrefetchMembers is good for

	store *Store
	db    int
	begun int64  // Now at Begin, also while Now is 0 so that nothing expires
	clock uint32 // what touch writes, under LRU; minutes under LFU
	lfu   bool
	rnd   uint64 // state of the generator behind the LFU counters

	one  *shard   // the only lock held, by LockKey
	want []uint32 // shards to lock
	held []uint32 // shards locked by Lock and TryAlso, ascending at first

	// The hashes of the keys that dispatch named, in order: handlers look keys
	// up in about the same order, so nothing is hashed twice. Only those keys
	// are remembered by address, because only they cannot change meanwhile.
	known []knownKey
	turn  int

	changes []Change
	keys    []byte      // backs Change.Key
	dropped []*contents // flushed, released after Unlock
	due     int64       // the earliest expiry or alarm that is news, 0 = none
	logs    []*QueueLog // those of changes not reset yet first
	logTurn int
	number  numberText // a packed number's text while it is visited
	field   numberText // likewise, of a field beside its value
	scratch []byte     // where a packed value is made
}

type knownKey struct {
	p    *byte
	n    int
	hash uint64
}

// Begin makes tx a transaction on database db at the given time, in unix
// milliseconds. It allocates nothing once tx has been used.
func (s *Store) Begin(tx *Tx, db int, now int64) {
	tx.store, tx.db, tx.Now, tx.Event, tx.Misses, tx.Wide = s, db, now, "", false, false
	tx.begun = now
	tx.lfu = Policy(s.policy.Load()).lfu()
	tx.clock = uint32(now/1000) & clockMask
	tx.want, tx.held = emptied(tx.want), tx.held[:0]
	tx.known, tx.turn = emptied(tx.known), 0
	tx.ResetChanges()
}

// hash returns key's hash.
func (tx *Tx) hash(key []byte) uint64 {
	for i := tx.turn; i < len(tx.known) && i < tx.turn+2; i++ {
		if k := &tx.known[i]; k.n == len(key) && k.p == unsafe.SliceData(key) {
			tx.turn = i
			return k.hash
		}
	}
	return tx.hashAgain(key)
}

func (tx *Tx) hashAgain(key []byte) uint64 {
	if tx.turn > 0 {
		tx.turn = 0
		return tx.hash(key)
	}
	return tx.store.Hash(key)
}

// remember hashes key and keeps the hash.
func (tx *Tx) remember(key []byte) uint64 {
	h := tx.store.Hash(key)
	tx.known = append(tx.known, knownKey{unsafe.SliceData(key), len(key), h})
	return h
}

// shardOf returns the shard of key in the current database, which tx must
// hold, and key's hash.
func (tx *Tx) shardOf(key []byte) (*shard, uint64) {
	h := tx.hash(key)
	sh := &tx.store.locks[tx.store.number(tx.db, h)]
	if checked && !tx.holds(sh) {
		panic("store: the transaction does not hold the key's shard")
	}
	return sh, h
}

func (s *Store) number(db int, h uint64) int { return db*s.shards + int(h>>s.shift) }

func (tx *Tx) holds(sh *shard) bool {
	return tx.one == sh || slices.Contains(tx.held, sh.number)
}

// LockKey locks the shard of the one key that the transaction works on. key
// must not change before Unlock.
func (tx *Tx) LockKey(key []byte) {
	tx.lockShard(&tx.store.locks[tx.store.number(tx.db, tx.remember(key))])
}

func (tx *Tx) lockShard(sh *shard) {
	sh.mu.Lock()
	tx.one = sh
	tx.Logged = tx.store.logged.Load()
}

// Want names a key whose shard Lock is to lock. key must not change before
// Unlock. Databases that do not exist are passed over.
func (tx *Tx) Want(db int, key []byte) {
	if uint(db) >= uint(tx.store.databases) {
		return
	}
	tx.want = append(tx.want, uint32(tx.store.number(db, tx.remember(key))))
}

// WantDB names all shards of a database.
func (tx *Tx) WantDB(db int) {
	for i := range tx.store.shards {
		tx.want = append(tx.want, uint32(db*tx.store.shards+i))
	}
}

// WantAll names all shards of all databases.
func (tx *Tx) WantAll() {
	for db := range tx.store.databases {
		tx.WantDB(db)
	}
}

// Lock locks the shards named, in ascending order. Shards that are held
// already (a second Lock) must be unlocked first.
func (tx *Tx) Lock() {
	slices.Sort(tx.want)
	tx.held = append(tx.held, slices.Compact(tx.want)...)
	tx.want = tx.want[:0]
	for _, n := range tx.held {
		tx.store.locks[n].mu.Lock()
	}
	tx.Logged = tx.store.logged.Load()
}

// Unlock publishes the numbers of the shards held and unlocks them.
func (tx *Tx) Unlock() {
	if sh := tx.one; sh != nil {
		tx.one = nil
		tx.noteDue(sh.publish())
		sh.mu.Unlock()
	}
	for _, n := range tx.held {
		sh := &tx.store.locks[n]
		tx.noteDue(sh.publish())
		sh.mu.Unlock()
	}
	tx.held = tx.held[:0]
	if tx.due != 0 {
		tx.store.due(tx.due)
		tx.due = 0
	}
	for i, c := range tx.dropped {
		c.release()
		tx.dropped[i] = nil
	}
	tx.dropped = tx.dropped[:0]
}

// TryAlso tries to lock the shard of another key, without waiting and in
// whatever order. It reports whether the transaction holds the shard now.
func (tx *Tx) TryAlso(db int, key []byte) bool {
	sh := &tx.store.locks[tx.store.number(db, tx.store.Hash(key))]
	if tx.holds(sh) {
		return true
	}
	if !sh.mu.TryLock() {
		return false
	}
	tx.held = append(tx.held, sh.number)
	return true
}

// Holds reports whether the transaction holds the key's shard.
func (tx *Tx) Holds(db int, key []byte) bool {
	return tx.holds(&tx.store.locks[tx.store.number(db, tx.store.Hash(key))])
}

func (tx *Tx) waitsOf(key []byte) *waitTable {
	sh, _ := tx.shardOf(key)
	return &sh.waits
}

// Changes returns what was changed since Begin or ResetChanges, in order.
func (tx *Tx) Changes() []Change { return tx.changes }

// ResetChanges empties the change list.
func (tx *Tx) ResetChanges() {
	clear(tx.changes)
	tx.changes = emptied(tx.changes)
	tx.keys = emptied(tx.keys)
	tx.logTurn = 0
}

// emptied returns s for reuse, unless it has grown so large that keeping it for
// good would be a waste.
func emptied[T any](s []T) []T {
	if cap(s) > 64<<10 {
		return nil
	}
	return s[:0]
}

// changed appends to the change list. The event is tx.Event, but removals
// have events of their own.
func (tx *Tx) changed(key []byte, k Kind, e Effect) {
	event := tx.Event
	switch e {
	case Emptied, Deleted:
		event = "del"
	case Expired:
		event = "expired"
	case Evicted:
		event = "evicted"
	}
	tx.changedAs(key, k, e, event)
}

func (tx *Tx) changedAs(key []byte, k Kind, e Effect, event string) {
	from := len(tx.keys)
	tx.keys = append(tx.keys, key...)
	if n := len(tx.changes); n < cap(tx.changes) { // ResetChanges has left zeros there
		tx.changes = tx.changes[:n+1]
	} else {
		tx.changes = append(tx.changes, Change{})
	}
	c := &tx.changes[len(tx.changes)-1]
	c.DB, c.Key, c.Kind, c.Effect, c.Event = tx.db, tx.keys[from:len(tx.keys):len(tx.keys)], k, e, event
}

// DB returns the number of the current database.
func (tx *Tx) DB() int { return tx.db }

// Use makes db the current database; its shards must be among those held.
func (tx *Tx) Use(db int) { tx.db = db }

// Databases returns how many databases there are.
func (tx *Tx) Databases() int { return tx.store.databases }

// Size returns the number of keys of the current database, the transaction's
// own changes included.
func (tx *Tx) Size() int {
	if tx.one != nil {
		tx.noteDue(tx.one.publish())
	}
	for _, n := range tx.held {
		tx.noteDue(tx.store.locks[n].publish())
	}
	return tx.store.DBSize(tx.db)
}

// find returns where the live entry of key is, unless its time has come: then
// it is removed.
func (tx *Tx) find(key []byte, a Access) (slot, bool) {
	sh, h := tx.shardOf(key)
	s, ok := slot{}, false
	if sh.data != nil {
		s, ok = sh.data.lookup(h, key)
		if ok && s.expires() && s.c.heap.at(s.heapPlace()).when() <= tx.Now {
			tx.expire(s)
			ok = false
		}
		if ok && s.kind() == KindHash && s.c.fieldsDue(s.entry, tx.Now) {
			s, _, ok = tx.expireFields(s, lazyFields)
		}
		if ok && a == Write && s.c.cut != nil {
			s.c.preserve(s)
		}
	}
	switch {
	case a == Peek:
	case ok:
		if a != Note {
			tx.touch(s.entry)
		}
		if a != Write {
			sh.hits++
		}
	case a != Write:
		sh.misses++
		if tx.Misses {
			tx.changedAs(key, KindNone, Missed, "keymiss")
		}
	}
	return s, ok
}

// expire removes an entry whose time has come.
func (tx *Tx) expire(s slot) {
	tx.store.expired.Add(1)
	tx.changed(s.c.key(s.entry), s.kind(), Expired)
	s.c.delete(s)
}

func (tx *Tx) kindOf(s slot) Kind { return s.kind() }

// blob returns the packed value, aliasing the arena.
func (tx *Tx) blob(s slot) []byte { return s.value() }

// object returns the value if it is an object, else nil.
func (tx *Tx) object(s slot) Object {
	return s.object()
}

func (s *slot) object() Object {
	if s.flags()&flagObject == 0 {
		return nil
	}
	return s.c.records.at(s.record()).object
}

// contents returns the data of key's shard, made if absent.
func (tx *Tx) contents(key []byte) (*contents, uint64) {
	sh, h := tx.shardOf(key)
	if sh.data == nil {
		tx.store.furnish(sh, tx.db)
	}
	return sh.data, h
}

// put stores v under key, whatever was there. at is the new expiry, 0 for
// none, keepExpiry for the present one.
func (tx *Tx) put(key []byte, v value, at int64) {
	s, ok := tx.find(key, Peek)
	if !ok {
		c, h := tx.contents(key)
		c.add(h, key, v, max(at, 0), tx.newClock())
		tx.changed(key, v.kind, Created)
		return
	}
	effect := Changed
	if s.kind() != v.kind {
		effect = Overwritten
	}
	s.c.replace(&s, key, v, tx.accessed(s.clock()))
	if at != keepExpiry && (at != 0 || s.expires()) {
		s.c.setExpiry(&s, at)
	}
	tx.changed(key, v.kind, effect)
}

// keepExpiry tells put to leave the expiry as it is.
const keepExpiry = -1

// putBlob stores a packed value; an existing entry keeps its expiry.
func (tx *Tx) putBlob(key []byte, k Kind, v []byte) {
	tx.put(key, value{kind: k, bytes: v}, keepExpiry)
}

// putObject stores o; an existing entry keeps its expiry.
func (tx *Tx) putObject(key []byte, o Object) {
	tx.put(key, value{kind: o.Kind(), object: o}, keepExpiry)
}

// growBlob makes the packed value n bytes long, in place where the slot suits.
// What was there is kept as far as it goes; the rest is undefined. Header, key
// and value must fit a slot: with 8 KiB they do whatever the key. It records
// no change.
func (tx *Tx) growBlob(s slot, n int) (slot, []byte) {
	at := s.valueAt()
	s.c.dirty = true
	if suits(at+n, s.slot) {
		s.setUsed(at + n)
		return s, s.bytes(at, n)
	}
	old, r := s.entry, s.ref()
	keep := min(at+n, old.slot-old.slack())
	to := s.c.arena.alloc(at + n)
	s.b.refs[s.i] = to
	s.entry = entry{s.c.arena.at(to), int(s.c.arena.pages[to>>pageBits].slot)}
	copy(s.bytes(0, keep), old.bytes(0, keep))
	s.setUsed(at + n)
	s.c.kinds[old.kind()] += int64(s.slot - old.slot)
	if old.expires() {
		s.c.heap.moved(s.c, old.heapPlace(), to)
	}
	s.c.relocated(s.entry, to)
	s.c.arena.release(r)
	return s, s.bytes(at, n)
}

// settle takes the size of a mutated object into the accounts.
func (tx *Tx) settle(s *slot) {
	k := s.kind()
	s.c.weigh(s.c.records.at(s.record()), k)
	s.c.dirty = true
	if k == KindHash || k == KindQueue {
		s.c.wind(*s)
	}
}

// remove removes key with the given effect; nothing happens if it is absent.
func (tx *Tx) remove(key []byte, e Effect) {
	if s, ok := tx.find(key, Peek); ok {
		tx.changed(key, s.kind(), e)
		s.c.delete(s)
	}
}
