package store

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// Snapshot writes the data of one moment, the cut, while others go on changing
// it. It walks the shards and holds one at a time, for about walkKeys keys or
// walkBytes bytes, but for one large value in one go. Whoever is about to change
// a key that the walk has not come to writes the key's bucket first, as it was.
//
// What is written is known by bucket, numbered as at the cut: a bucket is the
// keys with certain low bits in their hashes, however the index has grown and
// shrunk since (dict.go). So a key needs no mark, and a new one is told from an
// old one, because it cannot come before its bucket is written. Values above
// largeValue are left for later when their bucket is written for the sake of
// another key; their records say so.
type Snapshot struct {
	store  *Store
	o      SnapshotOptions
	number uint32 // of the snapshot
	head   []byte
	cuts   []*cut
	queue  outlet
	keys   atomic.Int64 // written
	total  int64        // to be written
	early  atomic.Int64 // bytes written by those who were about to change them
}

const (
	walkKeys  = 64
	walkBytes = 16 << 10

	walkRun = 40 // steps between two pauses, about 1 ms

	largeValue = 64 << 10

	// The walk waits while more than outletWalk bytes wait for the file; who
	// changes data waits at outletMost.
	outletWalk = 4 << 20
	outletMost = 64 << 20
)

// cut is the state of a snapshot in one contents, guarded by the lock of the
// shard that holds these.
type cut struct {
	to      *Snapshot
	c       *contents
	home    atomic.Pointer[shard] // that holds c; nil: none any more, c is the snapshot's alone
	n, low  uint32                // of the index at the cut
	written []uint64              // a bit for each bucket
	next    uint32                // bucket where the walk is
	later   []laterKey            // large values that were passed over
	w       snapshotWriter
}

type laterKey struct {
	hash uint64
	key  []byte
}

// Cut begins a snapshot of the data as it is now, to be written by Save. The
// transaction holds all shards. One snapshot is written at a time.
func (tx *Tx) Cut(o SnapshotOptions) *Snapshot {
	st := tx.store
	st.cuts++
	s := &Snapshot{store: st, o: o, number: st.cuts, head: tx.snapshotHead(o)}
	s.queue.wake.L = &s.queue.mu
	for i := range st.locks {
		sh := &st.locks[i]
		c := sh.data
		if c == nil || c.dict.count == 0 {
			continue
		}
		s.total += int64(c.dict.count)
		t := &cut{to: s, c: c, n: c.dict.n, low: c.dict.low}
		t.home.Store(sh)
		t.written = make([]uint64, (t.n+63)/64)
		t.w = snapshotWriter{o: &s.o, db: i / st.shards, emit: s.queue.put}
		t.w.prepare(tx)
		c.cut = t
		s.cuts = append(s.cuts, t)
	}
	return s
}

// Save writes the snapshot. It returns when all of it is written, or when
// w fails: then nothing is left of the snapshot either.
func (s *Snapshot) Save(w io.Writer) error {
	var walked sync.WaitGroup
	walked.Add(1)
	go func() {
		defer walked.Done()
		s.walk()
	}()
	file := &snapshotFile{o: s.o, to: w}
	file.write(s.head)
	for b := s.queue.take(); b != nil; b = s.queue.take() {
		if file.write(b); file.err != nil {
			s.queue.close()
		}
		s.queue.giveBack(b)
		runtime.Gosched()
	}
	walked.Wait()
	s.cuts = nil
	return file.end()
}

// Close gives a snapshot up that was not written.
func (s *Snapshot) Close() {
	s.queue.close()
	s.walk()
	s.cuts = nil
}

// Progress returns how many keys are written, of how many, and how many bytes
// were written early because they were about to change.
func (s *Snapshot) Progress() (keys, total, early int64) {
	return s.keys.Load(), s.total, s.early.Load()
}

func (s *Snapshot) walk() {
	steps := 0
	for _, t := range s.cuts {
		for more := true; more; {
			s.queue.wait()
			more = t.step()
			runtime.Gosched() // who answers clients goes first
			if steps++; steps%walkRun == 0 && s.o.Pause != nil && !s.queue.closed() {
				s.o.Pause()
			}
		}
	}
	s.queue.close()
}

// step writes a little and reports whether there is more.
func (t *cut) step() (more bool) {
	sh := t.home.Load()
	if sh != nil {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if t.home.Load() != sh {
			return true
		}
	}
	if t.to.queue.closed() {
		t.end(sh)
		return false
	}
	keys, bytes := walkKeys, int64(walkBytes)
	for keys > 0 && bytes > 0 && t.next < t.n {
		n, before := t.bucket(t.next, false), t.w.size()
		keys -= n + 1 // empty buckets take time, too
		bytes -= t.w.size() - before
		t.next++
	}
	for keys > 0 && bytes > 0 && t.next == t.n && len(t.later) > 0 {
		last := t.later[len(t.later)-1]
		t.later = t.later[:len(t.later)-1]
		if s, ok := t.c.lookup(last.hash, last.key); ok {
			bytes -= t.large(s)
		}
	}
	if t.next < t.n || len(t.later) > 0 {
		return true
	}
	t.end(sh)
	return false
}

// end takes the cut out of the contents.
func (t *cut) end(home *shard) {
	t.w.flush(0)
	t.c.cut, t.later, t.written = nil, nil, nil
	if home == nil {
		t.to.store.graveyard.add(t.c)
	}
}

// bucket writes the keys of bucket b unless that was done, and returns how many
// there were. early says that somebody waits: large values are left for later.
func (t *cut) bucket(b uint32, early bool) (n int) {
	if t.written[b/64]&(1<<(b%64)) != 0 {
		return 0
	}
	t.written[b/64] |= 1 << (b % 64)
	d := &t.c.dict
	visit := func(r ref) {
		e := t.c.entry(r)
		n++
		if e.flags()&flagObject != 0 && early {
			if rec := t.c.records.at(e.record()); rec.bytes > largeValue {
				rec.owed = t.to.number
				key := append([]byte(nil), t.c.key(e)...)
				t.later = append(t.later, laterKey{t.to.store.Hash(key), key})
				return
			}
		}
		t.w.key(slot{entry: e, c: t.c})
	}
	if d.n >= t.n { // the bucket was split, if anything
		for i, bits := b, homeBits(b, t.n, t.low); i < d.n; i += bits + 1 {
			d.visit(i, visit)
		}
	} else { // it may have been merged with others
		d.visit(d.home(uint64(b)), func(r ref) {
			if homeOf(t.c.hashOf(r), t.n, t.low) == b {
				visit(r)
			}
		})
	}
	t.to.keys.Add(int64(n))
	return n
}

// large writes a value that was left for later, and returns its size in bytes.
func (t *cut) large(s slot) int64 {
	if s.flags()&flagObject == 0 {
		return 0
	}
	rec := t.c.records.at(s.record())
	if rec.owed != t.to.number {
		return 0
	}
	rec.owed = 0
	before := t.w.size()
	t.w.key(s)
	return t.w.size() - before
}

// preserve is called before the key of s changes, comes or goes; the entry is
// empty if there is none yet.
func (c *contents) preserve(s slot) {
	if c.cut != nil {
		c.cut.preserve(s)
	}
}

func (t *cut) preserve(s slot) {
	before := t.w.size()
	t.bucket(homeOf(s.h, t.n, t.low), true)
	if s.p != nil {
		t.large(s)
	}
	if n := t.w.size() - before; n > 0 {
		t.to.early.Add(n)
	}
}

// handOver leaves contents that are about to be dropped to the snapshot, and
// reports whether there is one.
func (t *cut) handOver() bool {
	if t == nil {
		return false
	}
	t.home.Store(nil)
	return true
}

// moveTo says that another shard holds the contents now.
func (t *cut) moveTo(sh *shard) {
	if t != nil {
		t.home.Store(sh)
	}
}

// homeOf returns the bucket of hash h in an index of n buckets.
func homeOf(h uint64, n, low uint32) uint32 {
	d := dict{n: n, low: low}
	return d.home(h)
}

// homeBits returns which bits of their hashes the keys of a bucket share.
func homeBits(b, n, low uint32) uint32 {
	if b > low || b < n-(low+1) { // split already
		return low<<1 | 1
	}
	return low
}

// outlet is what waits for the file, in order.
type outlet struct {
	mu    sync.Mutex // guards what follows; taken inside shard locks
	wake  sync.Cond
	full  [][]byte
	spare [][]byte
	bytes int
	ended bool // nothing more comes, or nothing more is wanted
}

// spareMost bounds the buffers kept for reuse.
const spareMost = 2 * outletWalk / snapshotChunk

// put hands b over, and returns an empty buffer.
func (o *outlet) put(b []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytes > outletMost && !o.ended {
		o.wake.Wait()
	}
	if o.ended {
		return b[:0]
	}
	o.full = append(o.full, b)
	o.bytes += len(b)
	o.wake.Broadcast()
	if n := len(o.spare); n > 0 {
		b, o.spare = o.spare[n-1], o.spare[:n-1]
		return b
	}
	return make([]byte, 0, snapshotChunk+snapshotChunk/8)
}

// wait returns once the walk may go on.
func (o *outlet) wait() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytes > outletWalk && !o.ended {
		o.wake.Wait()
	}
}

// take returns the next piece, nil at the end.
func (o *outlet) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.full) == 0 {
		if o.ended {
			return nil
		}
		o.wake.Wait()
	}
	b := o.full[0]
	o.full[0] = nil
	o.full = o.full[1:]
	return b
}

// giveBack says that b, which take returned, is written.
func (o *outlet) giveBack(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= len(b)
	if cap(b) < 2*snapshotChunk && len(o.spare) < spareMost {
		o.spare = append(o.spare, b[:0])
	}
	o.wake.Broadcast()
}

// close ends the queue: what is put from now on is dropped.
func (o *outlet) close() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.wake.Broadcast()
}

func (o *outlet) closed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}
