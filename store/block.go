package store

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// piece is memory outside the Go heap that holds no Go pointers: a slot of a
// pool, or a region of its own. The zero piece is none.
type piece struct {
	region
	ref ref // in the pool; 0: a region
}

// bytes returns the memory of the piece.
func (p piece) bytes() []byte { return unsafe.Slice((*byte)(p.p), p.n) }

// blocks hands out the pieces that a large value consists of. It may be used
// under any shard's lock, and pieces freed under another. The zero blocks gives
// each piece a region of its own.
type blocks struct{ pool *pool }

// pool is an arena under a mutex of its own, because values move between
// shards. Its slots never move.
type pool struct {
	mu    sync.Mutex
	arena arena
	live  map[ref]struct{} // in checked builds: the slots in use

	_ [64]byte // two pools shall not share a cache line
}

// pools are the pools of a store; values take them in turn.
type pools struct {
	all  [poolCount]pool
	turn atomic.Uint32
}

const (
	poolCount  = 4
	poolMax    = 24 << 30 // bytes mapped, above which pieces are regions
	pieceUnits = 64       // bytes, the least
)

// newBlocks returns the source of memory for one large value.
func (s *Store) newBlocks() blocks {
	return blocks{&s.pools.all[s.pools.turn.Add(1)%poolCount]}
}

// alloc returns a piece of at least n bytes, whose contents are undefined.
func (b blocks) alloc(n int) piece {
	if b.pool == nil || n > maxSlot {
		return piece{region: newRegion(n)}
	}
	b.pool.mu.Lock()
	defer b.pool.mu.Unlock()
	a := &b.pool.arena
	if a.mapped > poolMax {
		return piece{region: newRegion(n)}
	}
	r := a.alloc(max(n, pieceUnits))
	if checked {
		if b.pool.live == nil {
			b.pool.live = make(map[ref]struct{})
		}
		b.pool.live[r] = struct{}{}
	}
	return piece{region{p: a.at(r), n: int(a.pages[r>>pageBits].slot)}, r}
}

// free gives p back. It must come from b or from a blocks of the same pool.
func (b blocks) free(p piece) {
	if p.ref == 0 {
		p.release()
		return
	}
	b.pool.mu.Lock()
	defer b.pool.mu.Unlock()
	if checked {
		if _, ok := b.pool.live[p.ref]; !ok {
			panic("store: piece freed twice")
		}
		delete(b.pool.live, p.ref)
	}
	*(*byte)(p.p) = kindMask // the live mark of entries, which release looks for
	b.pool.arena.release(p.ref)
}

// sizes returns the bytes mapped, in use and idle of all pools.
func (ps *pools) sizes() (mapped, live, idle int64) {
	for i := range ps.all {
		p := &ps.all[i]
		p.mu.Lock()
		mapped += p.arena.mapped
		live += p.arena.live
		idle += p.arena.idle
		p.mu.Unlock()
	}
	return mapped, live, idle
}
