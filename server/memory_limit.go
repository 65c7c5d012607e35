package server

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"synap/config"
	"synap/resp"
	"synap/store"
)

// memoryState is the one account of used memory: the arenas and objects of the
// store (kept by increments), the Go heap and the clients' buffers (sampled by
// the cron).
type memoryState struct {
	limit        atomic.Int64 // maxmemory, 0 = none
	other        atomic.Int64 // sampled: live Go heap beyond what the store counts
	clients      atomic.Int64 // sampled: buffers of all clients
	goLimit      atomic.Int64 // the Go runtime's limit as set, in goLimitStep
	output       atomic.Int64 // unsent output of clients that owe more than outputShown
	clientsLimit atomic.Int64 // maxmemory-clients in bytes, 0 = none
	peak         atomic.Int64
	purging      atomic.Bool // MEMORY PURGE runs

	// Of the cron alone, see collectWhenCalm.
	cycles     uint64 // collections seen
	stored     int64  // what the store had on the Go heap at the last of them
	calmSince  int64  // when the last of them was seen, or there was little to collect
	settled    int64  // bytes held after the last calm collection
	collecting bool
	tight      atomic.Bool // used is near or over the limit: commands look closer
}

// usedMemory returns the bytes that count against maxmemory.
func (s *Server) usedMemory() int64 { return s.store.Used() + s.memory.other.Load() }

// Within the larger of limit/tightShare and tightBytes below the limit every
// denyoom command compares exactly; no client fills that between two samples.
const (
	tightShare = 8
	tightBytes = 256 << 20
)

// sampleMemory refreshes what is not kept by increments, and the Go runtime's
// own limit. Garbage does not count as used: no eviction makes it less, and the
// runtime's limit bounds it. Objects of the store may have died since the last
// collection, so what was live then is compared with what the store had then;
// of what was allocated since, only clients' buffers are known to live.
func (s *Server) sampleMemory() {
	sample := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(sample)
	value := func(i int) int64 { return int64(sample[i].Value.Uint64()) }
	objects, stacks, live, cycles, free := value(0), value(1), value(2), sample[3].Value.Uint64(), value(4)
	m := &s.memory
	if cycles != m.cycles {
		m.stored = s.store.HeapBytes()
	}
	other := min(max(live-m.stored, m.clients.Load()), objects-s.store.HeapBytes())
	m.other.Store(max(0, other) + stacks)
	s.tuneCollector(live)
	s.collectWhenCalm(objects+free, live, cycles)
	used := s.usedMemory()
	if used > s.memory.peak.Load() {
		s.memory.peak.Store(used)
	}
	limit := s.memory.limit.Load()
	s.memory.tight.Store(limit > 0 && used > limit-max(limit/tightShare, tightBytes))
	if limit > 0 {
		s.setGoLimit(s.goLimitFor(limit, live))
	}
}

// goHeadroom is what the Go runtime gets for garbage however little maxmemory
// leaves for it: else it would do nothing but collect.
const goHeadroom = 32 << 20

// goLimitFor returns what the Go runtime may take: what maxmemory leaves beside
// the arenas, which it does not see, and an eighth more; never so little that it
// has no room for garbage, never more than the system leaves, less 5 %.
func (s *Server) goLimitFor(limit, live int64) int64 {
	arenas := s.store.Used() - s.store.HeapBytes()
	wanted := max(limit+limit/8-arenas, live+live/4+goHeadroom)
	return min(wanted, max(s.Config().MemoryAllowed-arenas, limit/4)/20*19)
}

// goLimitStep is the change of the Go runtime's limit that is worth setting it
// anew.
const goLimitStep = 16 << 20

func (s *Server) setGoLimit(n int64) {
	if n/goLimitStep != s.memory.goLimit.Swap(n/goLimitStep) {
		debug.SetMemoryLimit(n)
	}
}

// evictionsPerCommand bounds the work that one command does for room.
const evictionsPerCommand = 256

// makeRoom evicts before a denyoom command takes its locks, one shard at a
// time. It reports whether there is room.
func (s *Server) makeRoom(w *worker) bool {
	limit := s.memory.limit.Load()
	if limit == 0 || s.usedMemory() <= limit {
		return true
	}
	start := resp.Monotonic()
	ok := s.evictTo(w, limit)
	s.serveLoose(w)
	s.latency.observe("eviction-cycle", time.Duration(resp.Monotonic()-start), s.clock())
	return ok
}

func (s *Server) evictTo(w *worker, limit int64) bool {
	for range evictionsPerCommand {
		if _, ok := s.store.Evict(&w.tx, w.now()/1e6, s.flushOwn(w)); !ok {
			break
		}
		if s.usedMemory() <= limit {
			return true
		}
	}
	return s.usedMemory() <= limit
}

// flushOwn returns the function that accounts for changes nobody asked for:
// expiry and eviction.
func (s *Server) flushOwn(w *worker) func(*store.Tx) {
	return func(tx *store.Tx) {
		if changes := tx.Changes(); len(changes) > 0 {
			w.inner.Reset()
			s.commit(w, &w.inner, nil, nil, tx.DB(), changes)
			if len(w.broadcasts) > 0 {
				s.tellBroadcasts(w)
			}
		}
	}
}

// applyMemory takes over maxmemory and its policy.
func (s *Server) applyMemory(c *config.Config) error {
	policy, ok := store.ParsePolicy(c.MaxMemoryPolicy)
	if !ok {
		return fmt.Errorf("maxmemory-policy: '%s' is not a policy", c.MaxMemoryPolicy)
	}
	l := &c.Listpack
	s.store.SetPacking(store.Packing{
		HashEntries: l.HashEntries, HashValue: l.HashValue, SetIntset: l.SetIntset, SetEntries: l.SetEntries,
		SetValue: l.SetValue, ZSetEntries: l.ZSetEntries, ZSetValue: l.ZSetValue,
	})
	s.store.SetPolicy(policy, c.MaxMemorySamples, c.LFULogFactor, c.LFUDecayTime)
	s.memory.limit.Store(c.MaxMemory)
	s.memory.clientsLimit.Store(c.ClientsMemory())
	s.memory.tight.Store(c.MaxMemory > 0) // until the next sample
	return nil
}

// collectorSteps: a small heap beside large arenas may grow severalfold before
// it is collected, a large one may only double. Up to below bytes of live heap
// the percentage holds.
var collectorSteps = []struct {
	below   int64
	percent int
}{{32 << 20, 400}, {128 << 20, 200}, {math.MaxInt64, 100}}

// tuneCollector sets how far the heap may grow between two collections. Setting
// it stops the world for a moment, so only a change is set.
func (s *Server) tuneCollector(live int64) {
	for _, step := range collectorSteps {
		if live >= step.below {
			continue
		}
		if s.gcPercent.Swap(int32(step.percent)) != int32(step.percent) {
			debug.SetGCPercent(step.percent)
		}
		return
	}
}

// A collection is due when the heap has grown by this much since the last calm
// one, a sixteenth at least, and none has run for a while: after a burst nothing
// is allocated that would start one, and the memory would stay taken.
const (
	growthWorthIt = 1 << 20
	calmFor       = 2 * time.Second
)

// collectWhenCalm gives the memory of a burst back once it is over. held is what
// the heap keeps from the system: objects, dead or alive, and free space.
func (s *Server) collectWhenCalm(held, live int64, cycles uint64) {
	m := &s.memory
	now := resp.Monotonic()
	m.settled = min(m.settled, live)
	switch {
	case m.collecting: // the collection of the last time has ended, or nearly
		m.collecting = m.purging.Load()
		m.settled = held
	case cycles != m.cycles || held-m.settled < max(growthWorthIt, m.settled/16):
		m.calmSince = now
	case now-m.calmSince > int64(calmFor):
		m.collecting = true
		s.purge()
	}
	m.cycles = cycles
}

// loopCount is the number of event loops: one on small machines, where a second
// loop takes the core that clients or the collector would use
// (docs/benchmarks.md), else half the processors.
func (s *Server) loopCount() int {
	if n := s.opts.Config.Loops; n > 0 {
		return n
	}
	return max(1, runtime.GOMAXPROCS(0)/2)
}
