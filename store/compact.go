package store

import "sync"

// stepMoves and stepBytes bound what is moved under one hold of a shard's lock.
const (
	stepMoves = 64
	stepBytes = 256 << 10
)

// CompactStep gives back memory that deletes left scattered: it moves up to
// 64 entries out of a sparsely used chunk of one shard, or unmaps some of the
// chunks that an asynchronous flush set aside. It reports whether there is
// more to do. It is called between commands, never within one.
func (s *Store) CompactStep() (more bool) {
	if s.graveyard.step() {
		return true
	}
	s.compactMu.Lock()
	defer s.compactMu.Unlock()
	for range s.locks {
		sh := &s.locks[s.compactAt]
		if sh.keys.Load() != 0 || sh.used.Load() != 0 {
			sh.mu.Lock()
			worked := sh.data != nil && sh.data.compact(stepMoves)
			sh.mu.Unlock()
			if worked {
				return true
			}
		}
		s.compactAt = (s.compactAt + 1) % len(s.locks)
	}
	return false
}

// compact moves up to n entries and reports whether it found any work.
func (c *contents) compact(n int) bool {
	ch := c.arena.victim()
	if ch == nil {
		return false
	}
	var buf [stepMoves]ref
	if ch.live == 0 {
		c.arena.drop(c.arena.pages[ch.first].chunk)
		return true
	}
	n = min(n, max(1, stepBytes/int(slotSizes[ch.class])))
	for _, r := range c.arena.sweep(ch, buf[:0], n) {
		c.move(r)
	}
	return true
}

// move gives the entry of r another slot of the same size.
func (c *contents) move(r ref) {
	s := c.slotOf(r)
	old := s.entry
	to := c.arena.alloc(old.slot)
	copy(entry{p: c.arena.at(to)}.bytes(0, old.slot), old.bytes(0, old.slot))
	s.b.refs[s.i] = to
	if old.expires() {
		c.heap.moved(c, old.heapPlace(), to)
	}
	c.relocated(old, to)
	c.arena.release(r)
}

// graveyard keeps the contents of asynchronously flushed databases until
// steps have released them.
type graveyard struct {
	mu   sync.Mutex
	dead []*contents
}

// stepChunks bounds the chunks unmapped by one step.
const stepChunks = 2

func (g *graveyard) add(c *contents) {
	g.mu.Lock()
	g.dead = append(g.dead, c)
	g.mu.Unlock()
}

// step releases a little and reports whether there was anything.
func (g *graveyard) step() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.dead) == 0 {
		return false
	}
	c := g.dead[len(g.dead)-1]
	if c.arena.dropAll(stepChunks) || c.records.dropSome(stepChunks*maxChunk) {
		return true
	}
	c.release()
	g.dead[len(g.dead)-1] = nil
	g.dead = g.dead[:len(g.dead)-1]
	return true
}
