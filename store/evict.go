package store

import (
	"math"
	"slices"
	"sync"
)

// Policy chooses what goes when memory is full (maxmemory-policy).
type Policy uint32

// The policies of Redis. Volatile ones take only keys that expire.
const (
	NoEviction Policy = iota
	AllKeysLRU
	AllKeysLFU
	AllKeysRandom
	VolatileLRU
	VolatileLFU
	VolatileRandom
	VolatileTTL
)

var policyNames = [...]string{
	"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random",
	"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
}

// ParsePolicy returns the policy of that name.
func ParsePolicy(name string) (Policy, bool) {
	i := slices.Index(policyNames[:], name)
	return Policy(max(i, 0)), i >= 0
}

// String returns the name of the policy.
func (p Policy) String() string { return policyNames[p] }

func (p Policy) lfu() bool      { return p == AllKeysLFU || p == VolatileLFU }
func (p Policy) lru() bool      { return p == AllKeysLRU || p == VolatileLRU }
func (p Policy) volatile() bool { return p >= VolatileLRU }
func (p Policy) random() bool   { return p == AllKeysRandom || p == VolatileRandom }

// SetPolicy sets how keys are chosen: the policy, how many keys of each
// database it compares, and for the LFU ones the factor of the logarithmic
// counter and the minutes after which it loses one. The access clocks of
// entries are not converted.
func (s *Store) SetPolicy(p Policy, samples, logFactor, decayMinutes int) {
	s.policy.Store(uint32(p))
	s.samples.Store(int32(samples))
	s.lfuLog.Store(int32(logFactor))
	s.lfuDecay.Store(int32(decayMinutes))
}

const (
	clockMask  = 1<<24 - 1
	lfuInitial = 5 // a new key gets time to gather accesses
)

// An LFU clock is 16 bits of minutes and 8 bits of counter, as in Redis.

func (tx *Tx) minutes() uint32 { return uint32(tx.begun/60000) & 0xffff }

// newClock returns the access clock of a new entry.
func (tx *Tx) newClock() uint32 {
	if tx.lfu {
		return tx.minutes()<<8 | lfuInitial
	}
	return tx.clock
}

// accessed returns the access clock after an access.
func (tx *Tx) accessed(clock uint32) uint32 {
	if tx.lfu {
		return tx.minutes()<<8 | tx.counted(tx.decayed(clock))
	}
	return tx.clock
}

func (tx *Tx) touch(s entry) {
	if tx.Still {
		return
	}
	if tx.lfu {
		s.setClock(tx.accessed(s.clock()))
		return
	}
	if s.clock() != tx.clock { // a write would cost the cache line its peace
		s.setClock(tx.clock)
	}
}

// decayed returns the counter, less one for each decay time since the last
// access.
func (tx *Tx) decayed(clock uint32) uint32 {
	n := clock & 0xff
	if every := uint32(tx.store.lfuDecay.Load()); every > 0 {
		n -= min(n, (tx.minutes()-clock>>8)&0xffff/every)
	}
	return n
}

// counted raises the counter with a probability that falls as it grows.
func (tx *Tx) counted(n uint32) uint32 {
	if n == 255 {
		return n
	}
	over := float64(n) - lfuInitial
	p := 1 / (max(over, 0)*float64(tx.store.lfuLog.Load()) + 1)
	if float64(mix(&tx.rnd)>>11)/(1<<53) < p {
		n++
	}
	return n
}

// evictionPool keeps the best candidates seen, by rising score, from one
// eviction to the next.
type evictionPool struct {
	mu   sync.Mutex // held over a whole eviction; taken before any shard's lock
	best []candidate
	rnd  uint64
	db   int // where random eviction goes on
}

type candidate struct {
	score uint64 // the higher, the better to do without
	db    int
	key   []byte
}

const (
	poolSize   = 16
	evictMoves = 16 // entries that compaction moves for each key evicted
)

// Evict removes one key, chosen as SetPolicy says, and returns the bytes that freed; ok is false if there is none to
// remove. flush is called with the change under the lock of the key's shard.
// The caller holds no locks.
func (s *Store) Evict(tx *Tx, now int64, flush func(*Tx)) (freed int64, ok bool) {
	p := Policy(s.policy.Load())
	if p == NoEviction {
		return 0, false
	}
	pool := &s.pool
	pool.mu.Lock()
	defer pool.mu.Unlock()
	for range 16 { // the candidates may be gone again when their turn comes
		if p.random() {
			s.sampleRandom(tx, p, now)
		} else {
			s.sample(tx, p, int(s.samples.Load()), now)
		}
		for len(pool.best) > 0 {
			last := len(pool.best) - 1
			c := pool.best[last]
			pool.best = pool.best[:last]
			if freed, ok = s.evict(tx, c, p, now, flush); ok {
				return freed, true
			}
		}
		if !s.anyToEvict(p) {
			return 0, false
		}
	}
	return 0, false
}

func (s *Store) anyToEvict(p Policy) bool {
	for db := range s.databases {
		if p.volatile() && s.Expires(db) > 0 || !p.volatile() && s.DBSize(db) > 0 {
			return true
		}
	}
	return false
}

// evict removes the candidate if it is still there and still eligible.
func (s *Store) evict(tx *Tx, cand candidate, p Policy, now int64, flush func(*Tx)) (freed int64, ok bool) {
	s.Begin(tx, cand.db, now)
	tx.LockKey(cand.key)
	defer tx.Unlock()
	sh := tx.one
	if sh.data == nil {
		return 0, false
	}
	before := sh.data.used()
	e, ok := sh.data.lookup(tx.hash(cand.key), cand.key)
	if !ok || p.volatile() && !e.expires() {
		return 0, false
	}
	tx.changed(cand.key, e.kind(), Evicted)
	sh.data.delete(e)
	s.evicted.Add(1)
	freed = before - sh.data.used()
	flush(tx)
	sh.data.compact(evictMoves) // freed slots are of no use to other sizes until their chunk goes
	return freed, true
}

// shardWith returns a random shard of the database that has eligible keys.
func (s *Store) shardWith(db int, p Policy) *shard {
	shards := s.shardsOf(db)
	from := int(mix(&s.pool.rnd) >> 1 % uint64(len(shards)))
	for i := range shards {
		sh := &shards[(from+i)%len(shards)]
		if p.volatile() && sh.expires.Load() > 0 || !p.volatile() && sh.keys.Load() > 0 {
			return sh
		}
	}
	return nil
}

// pick returns a random eligible entry of the shard, 0 if there is none.
func (sh *shard) pick(p Policy, rnd *uint64) ref {
	if !p.volatile() {
		return sh.randomRef(rnd)
	}
	if sh.data == nil || sh.data.heap.n == 0 {
		return 0
	}
	return sh.data.heap.at(uint32(mix(rnd) >> 1 % uint64(sh.data.heap.n))).ref
}

// sampleRandom puts one random key of the next database in turn into the pool.
func (s *Store) sampleRandom(tx *Tx, p Policy, now int64) {
	for range s.databases {
		s.pool.db = (s.pool.db + 1) % s.databases
		sh := s.shardWith(s.pool.db, p)
		if sh == nil {
			continue
		}
		s.Begin(tx, s.pool.db, now)
		tx.lockShard(sh)
		if r := sh.pick(p, &s.pool.rnd); r != 0 {
			s.pool.offer(candidate{db: s.pool.db}, sh.data.key(sh.data.entry(r)))
		}
		tx.Unlock()
		return
	}
}

// sample offers some keys of one shard of each database to the pool.
func (s *Store) sample(tx *Tx, p Policy, samples int, now int64) {
	for db := range s.databases {
		sh := s.shardWith(db, p)
		if sh == nil {
			continue
		}
		s.Begin(tx, db, now)
		tx.lockShard(sh)
		for range samples {
			r := sh.pick(p, &s.pool.rnd)
			if r == 0 {
				break
			}
			e := sh.data.entry(r)
			s.pool.offer(candidate{score: tx.score(sh.data, e, p), db: db}, sh.data.key(e))
		}
		tx.Unlock()
	}
}

// score says how well e can be done without.
func (tx *Tx) score(c *contents, e entry, p Policy) uint64 {
	switch {
	case p == VolatileTTL:
		return math.MaxUint64 - uint64(c.heap.at(e.heapPlace()).when())
	case p.lfu():
		return uint64(255 - tx.decayed(e.clock()))
	}
	return uint64((tx.clock - e.clock()) & clockMask)
}

// offer takes c into the pool if it is among the best, with a copy of key.
func (pool *evictionPool) offer(c candidate, key []byte) {
	at, _ := slices.BinarySearchFunc(pool.best, c.score, func(x candidate, score uint64) int {
		if x.score < score {
			return -1
		}
		return 1
	})
	for _, x := range pool.best {
		if x.db == c.db && string(x.key) == string(key) {
			return
		}
	}
	if len(pool.best) == poolSize {
		if at == 0 {
			return
		}
		copy(pool.best, pool.best[1:at])
		at--
		c.key = append([]byte(nil), key...)
		pool.best[at] = c
		return
	}
	c.key = append([]byte(nil), key...)
	pool.best = slices.Insert(pool.best, at, c)
}
