// Package store holds the data: databases of sharded key spaces, their values,
// expiry and eviction. It knows neither protocol, network, log nor clock; time
// comes in with each transaction.
//
// A key's shard is given by a seeded hash. Keys and small values are entries
// (entry.go) in the slots of an arena (arena.go) outside the Go heap, found
// through a linear hash table (dict.go). Large values are Go objects. All
// access goes through a transaction, Tx, which holds the locks of the shards
// it works on.
package store

import (
	"hash/maphash"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

// Options are the fixed properties of a Store; zero values mean the default.
type Options struct {
	Databases int // 16
	Shards    int // of each database, a power of two; default by the number of CPUs, at least 16
	MaxString int // bytes of the longest string; 512 MiB
}

// Store is a set of numbered databases.
type Store struct {
	databases int
	shards    int // of each database
	shift     uint
	maxString int
	seed      maphash.Seed
	locks     []shard // by database, then index; the order of locking

	policy   atomic.Uint32 // Policy, see SetPolicy
	samples  atomic.Int32
	lfuLog   atomic.Int32
	lfuDecay atomic.Int32 // minutes
	packing  atomic.Pointer[Packing]
	logged   atomic.Bool   // changes under all locks, see SetLogged
	written  []atomic.Bool // by database: it has held something since the start

	_ [64]byte // every transaction reads what is above; what is below is written often

	queues        queueTotals
	owners        owners
	awaited       atomic.Int64 // see Await
	sooner        chan struct{}
	expireAt      atomic.Uint32 // shard where active expiry goes on
	expired       atomic.Int64
	expiredFields atomic.Int64
	evicted       atomic.Int64
	waits         atomic.Int64
	blockedKeys   atomic.Int64

	pools     pools
	pool      evictionPool
	graveyard graveyard
	cuts      uint32     // numbers snapshots; changes under all locks
	compactMu sync.Mutex // guards compactAt
	compactAt int        // shard where the next step looks first
}

// New returns an empty store.
func New(o Options) *Store {
	if o.Databases <= 0 {
		o.Databases = 16
	}
	if o.Shards <= 0 {
		o.Shards = max(16, 4*runtime.GOMAXPROCS(0))
	}
	if o.MaxString <= 0 {
		o.MaxString = 512 << 20
	}
	bitsOf := bits.Len(uint(o.Shards - 1))
	s := &Store{
		databases: o.Databases,
		shards:    1 << bitsOf,
		shift:     uint(64 - bitsOf),
		maxString: o.MaxString,
		seed:      maphash.MakeSeed(),
		sooner:    make(chan struct{}, 1),
	}
	s.locks, s.written = make([]shard, s.databases*s.shards), make([]atomic.Bool, s.databases)
	for i := range s.locks {
		s.locks[i].number = uint32(i)
	}
	s.SetPolicy(NoEviction, 5, 10, 1)
	s.SetPacking(DefaultPacking)
	return s
}

// SetLogged says whether somebody reads the records that changes carry. Callers
// hold all shards, unless nobody uses the store yet.
func (s *Store) SetLogged(on bool) { s.logged.Store(on) }

// Hash returns the seeded hash that places key.
func (s *Store) Hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

// Databases returns the number of databases.
func (s *Store) Databases() int { return s.databases }

// Shards returns the number of shards of each database.
func (s *Store) Shards() int { return s.shards }

// shardsOf returns the shards of a database.
func (s *Store) shardsOf(db int) []shard { return s.locks[db*s.shards : (db+1)*s.shards] }

// DBSize returns the number of keys of a database, without locks. A running
// transaction's own changes show in Tx.Size.
func (s *Store) DBSize(db int) int {
	n := int64(0)
	for i := range s.shardsOf(db) {
		n += s.locks[db*s.shards+i].keys.Load()
	}
	return int(n)
}

// Expires returns the number of keys of a database that expire, without locks.
func (s *Store) Expires(db int) int {
	n := int64(0)
	for i := range s.shardsOf(db) {
		n += s.locks[db*s.shards+i].expires.Load()
	}
	return int(n)
}

// Used returns the bytes of everything stored, without locks: slots, objects,
// index, expiry heap.
func (s *Store) Used() int64 {
	n := int64(0)
	for db := range s.databases {
		if !s.written[db].Load() {
			continue
		}
		shards := s.shardsOf(db)
		for i := range shards {
			n += shards[i].used.Load()
		}
	}
	return n
}

// HeapBytes returns the part of Used that is on the Go heap: large collections,
// and the arenas where they are not mapped.
func (s *Store) HeapBytes() int64 {
	if arenaOnHeap {
		return s.Used()
	}
	n := int64(0)
	for i := range s.locks {
		n += s.locks[i].onHeap.Load()
	}
	return n
}

// Expired returns how many keys were removed so far.
func (s *Store) Expired() int64 { return s.expired.Load() }

// Evicted returns how many keys were removed to free memory.
func (s *Store) Evicted() int64 { return s.evicted.Load() }

// DBStats describes one database.
type DBStats struct {
	Keys    int
	Expires int
	AvgTTL  int64 // milliseconds, estimated from a sample
}

// Stats describes the store.
type Stats struct {
	Databases     []DBStats
	ShardKeys     []int    // keys by shard index, all databases together
	Bytes         [8]int64 // by Kind: slots and objects
	Index         int64    // bytes of hash tables and expiry heaps
	Mapped        int64    // bytes of arena chunks, free slots included
	Live          int64    // bytes of slots in use
	Idle          int64    // bytes of slots freed and not used again: fragmentation
	Objects       int64    // bytes of large values
	Hits          int64
	Misses        int64
	Expired       int64
	ExpiredFields int64 // of hashes
	Evicted       int64
}

// Stats is Tx.Stats outside of a transaction.
func (s *Store) Stats(now int64) Stats {
	var tx Tx
	s.Begin(&tx, 0, now)
	return tx.Stats()
}

// Stats locks each shard for microseconds, unless the transaction holds it; one
// that holds some must hold all.
func (tx *Tx) Stats() Stats {
	s := tx.store
	st := Stats{
		Databases:     make([]DBStats, s.databases),
		ShardKeys:     make([]int, s.shards),
		Expired:       s.Expired(),
		ExpiredFields: s.expiredFields.Load(),
		Evicted:       s.Evicted(),
	}
	st.Mapped, st.Live, st.Idle = s.pools.sizes()
	for db := range s.databases {
		sum, sampled := int64(0), int64(0)
		for i := range s.shardsOf(db) {
			sh := &s.locks[db*s.shards+i]
			tx.inShard(sh, func() {
				st.Hits += sh.hits
				st.Misses += sh.misses
				c := sh.data
				if c == nil {
					return
				}
				st.addContents(c, db, i)
				for k := uint32(0); k < min(c.heap.n, 16); k++ {
					sum += max(0, c.heap.at(uint32(uint64(k)*uint64(c.heap.n)/uint64(min(c.heap.n, 16)))).when()-tx.Now)
					sampled++
				}
			})
		}
		if sampled > 0 {
			st.Databases[db].AvgTTL = sum / sampled
		}
	}
	return st
}

func (st *Stats) addContents(c *contents, db, index int) {
	st.Databases[db].Keys += c.dict.count
	st.Databases[db].Expires += int(c.heap.n)
	st.ShardKeys[index] += c.dict.count
	for k, n := range c.kinds {
		st.Bytes[k] += n
	}
	st.Index += c.dict.bytes() + c.heap.bytes() + c.hashes.bytes()
	st.Mapped += c.arena.mapped
	st.Live += c.arena.live
	st.Idle += c.arena.idle
	st.Objects += c.objects
}

// ResetStats zeroes hits, misses, expired and evicted (CONFIG RESETSTAT). It
// locks as Stats does.
func (tx *Tx) ResetStats() {
	s := tx.store
	for i := range s.locks {
		sh := &s.locks[i]
		tx.inShard(sh, func() { sh.hits, sh.misses = 0, 0 })
	}
	s.expired.Store(0)
	s.expiredFields.Store(0)
	s.evicted.Store(0)
}
