package store

import "sync/atomic"

type Options struct {
	Databases int
	Shards    int
	MaxString int
}

type Store struct {
	opts        Options
	waits       atomic.Int64
	blockedKeys atomic.Int64
}

func New(o Options) *Store              { return &Store{opts: o} }
func (s *Store) Hash(key []byte) uint64 { panic("todo") }
func (s *Store) Databases() int         { return s.opts.Databases }
func (s *Store) Shards() int            { panic("todo") }
func (s *Store) DBSize(db int) int      { panic("todo") }
func (s *Store) Expires(db int) int     { panic("todo") }
func (s *Store) Used() int64            { panic("todo") }
func (s *Store) CompactStep() bool      { panic("todo") }
func (s *Store) NextExpiry() int64      { panic("todo") }

// ExpireSome removes up to budget keys whose time has come, shard by shard.
// flush runs with the shard's lock held, after each shard, so that the
// caller can journal and announce the changes. More reports that due keys
// are left.
func (s *Store) ExpireSome(tx *Tx, now int64, budget int, flush func(*Tx)) (more bool) { panic("todo") }

// Evict removes one key chosen by the policy. flush runs under the lock of
// the key's shard.
func (s *Store) Evict(tx *Tx, now int64, flush func(*Tx)) (freed int64, ok bool) { panic("todo") }
