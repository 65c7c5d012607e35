package server

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// trackingTable remembers which clients may hold a copy of which keys
// (https://redis.io/docs/latest/develop/reference/client-side-caching/), by name
// alone as in Redis: databases are not told apart. A key is entered while its
// shard is held for the read, and taken out while it is held for the change, so
// that no change falls between a reply and its being remembered.
//
// Locks, in this order: trackingTable.mu, trackingPart.mu by rising index.
// Shard locks may be held around them; inside mu sessions are looked up and
// messages are pushed, inside a part nothing is.
type trackingTable struct {
	seed    maphash.Seed
	parts   [trackingParts]trackingPart
	keys    atomic.Int64
	items   atomic.Int64 // pairs of a key and a client
	names   atomic.Int64 // bytes of the keys
	maxKeys atomic.Int64 // tracking-table-max-keys, 0 = no limit
	next    atomic.Uint32
	clients atomic.Int64 // in tracking mode

	mu       sync.RWMutex // guards what follows, and the clients of every prefix
	trackers map[*tracker]struct{}
	prefixes prefixIndex
}

// trackingParts is the number of locks of the table; a power of two.
const trackingParts = 128

// trackedName is how many bytes a key's name may have on average before keys
// are forgotten although there are fewer than tracking-table-max-keys.
const trackedName = 1 << 10

type trackingPart struct {
	mu   sync.Mutex // guards keys and their holders
	keys map[string]holders
	_    [40]byte // keeps neighbouring locks off one cache line
}

// holders are the clients that were told a key's value: mostly one.
type holders struct {
	one  *tracker
	more *crowd
}

// crowd is a set of trackers; index is made when searching all would take long.
type crowd struct {
	all   []*tracker
	index map[*tracker]struct{}
}

const crowdSearched = 16

// has reports whether t is among the holders.
func (h *holders) has(t *tracker) bool {
	switch {
	case h.one == t:
		return true
	case h.more == nil:
		return false
	case h.more.index != nil:
		_, ok := h.more.index[t]
		return ok
	}
	return slices.Contains(h.more.all, t)
}

func (h *holders) add(t *tracker) {
	if h.one == nil {
		h.one = t
		return
	}
	if h.more == nil {
		h.more = &crowd{}
	}
	c := h.more
	c.all = append(c.all, t)
	if c.index != nil {
		c.index[t] = struct{}{}
	} else if len(c.all) > crowdSearched {
		c.index = make(map[*tracker]struct{}, 2*len(c.all))
		for _, o := range c.all {
			c.index[o] = struct{}{}
		}
	}
}

func (h *holders) each(visit func(t *tracker)) {
	visit(h.one)
	if h.more != nil {
		for _, t := range h.more.all {
			visit(t)
		}
	}
}

func newTrackingTable() *trackingTable {
	t := &trackingTable{seed: maphash.MakeSeed(), trackers: make(map[*tracker]struct{}), prefixes: newPrefixIndex()}
	for i := range t.parts {
		t.parts[i].keys = make(map[string]holders)
	}
	return t
}

// used reports whether changes of keys concern anybody; two atomic loads.
func (t *trackingTable) used() bool { return t.clients.Load() > 0 || t.keys.Load() > 0 }

func (t *trackingTable) part(key []byte) *trackingPart {
	return &t.parts[maphash.Bytes(t.seed, key)&(trackingParts-1)]
}

// remember notes that the client was told the value of key. The caller holds
// the key's shard.
func (t *trackingTable) remember(tr *tracker, key []byte) {
	p := t.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.keys[string(key)]
	if h.one != nil && h.has(tr) {
		return
	}
	if h.one == nil {
		t.keys.Add(1)
		t.names.Add(int64(len(key)))
	}
	t.items.Add(1)
	tr.items.Add(1)
	h.add(tr)
	p.keys[string(key)] = h
}

// forget takes key out and returns who held it. Where there is nobody, one is
// nil.
func (t *trackingTable) forget(key []byte) holders {
	p := t.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.keys[string(key)]
	if ok {
		delete(p.keys, string(key))
		t.uncount(len(key), &h)
	}
	return h
}

func (t *trackingTable) uncount(name int, h *holders) {
	n := int64(0)
	h.each(func(tr *tracker) {
		tr.items.Add(-1)
		n++
	})
	t.items.Add(-n)
	t.keys.Add(-1)
	t.names.Add(-int64(name))
}

// over reports whether the table holds more than it may.
func (t *trackingTable) over() bool {
	most := t.maxKeys.Load()
	return most > 0 && (t.keys.Load() > most || t.names.Load()/trackedName > most)
}

// evict takes out some key; ok is false if there is none.
func (t *trackingTable) evict() (key string, h holders, ok bool) {
	for range trackingParts {
		p := &t.parts[t.next.Add(1)&(trackingParts-1)]
		p.mu.Lock()
		for key, h = range p.keys { // a map begins anywhere
			delete(p.keys, key)
			t.uncount(len(key), &h)
			p.mu.Unlock()
			return key, h, true
		}
		p.mu.Unlock()
	}
	return "", holders{}, false
}

// clear forgets every key. The caller holds all shards.
func (t *trackingTable) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.parts {
		t.parts[i].mu.Lock()
	}
	for i := range t.parts {
		t.parts[i].keys = make(map[string]holders)
	}
	t.keys.Store(0)
	t.items.Store(0)
	t.names.Store(0)
	for tr := range t.trackers {
		tr.items.Store(0)
	}
	for i := range t.parts {
		t.parts[i].mu.Unlock()
	}
}

// sweepShare: once the clients that left hold more than a quarter of the table,
// their places are worth a walk.
const sweepShare = 4

// sweep takes out clients that are no more; a part is locked at a time.
func (t *trackingTable) sweep() {
	t.mu.Lock()
	left := int64(0)
	for tr := range t.trackers {
		if n := tr.items.Load(); tr.gone.Load() {
			if left += n; n == 0 {
				delete(t.trackers, tr)
			}
		}
	}
	t.mu.Unlock()
	if left == 0 || left < t.items.Load()/sweepShare {
		return
	}
	for i := range t.parts {
		t.sweepPart(&t.parts[i])
	}
}

func (t *trackingTable) sweepPart(p *trackingPart) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, h := range p.keys {
		var kept holders
		gone := false
		h.each(func(tr *tracker) { gone = gone || tr.gone.Load() })
		if !gone {
			continue
		}
		t.uncount(len(key), &h)
		n := int64(0)
		h.each(func(tr *tracker) {
			if !tr.gone.Load() {
				kept.add(tr)
				tr.items.Add(1)
				n++
			}
		})
		if n == 0 {
			delete(p.keys, key)
			continue
		}
		t.keys.Add(1)
		t.names.Add(int64(len(key)))
		t.items.Add(n)
		p.keys[key] = kept
	}
}

// prefixIndex finds the prefixes that a key begins with.
type prefixIndex struct {
	byName  map[string]*broadcastPrefix
	lengths []prefixLength // those in use, ascending
	n       atomic.Int64
}

// broadcastPrefix is a prefix whose changes some clients want to hear of.
type broadcastPrefix struct {
	name    string
	clients map[*tracker]struct{}
}

func newPrefixIndex() prefixIndex {
	return prefixIndex{byName: make(map[string]*broadcastPrefix)}
}

func (x *prefixIndex) add(name string, tr *tracker) {
	p := x.byName[name]
	if p == nil {
		p = &broadcastPrefix{name: name, clients: make(map[*tracker]struct{})}
		x.byName[name] = p
		x.lengths = countLength(x.lengths, len(name), +1)
		x.n.Add(1)
	}
	p.clients[tr] = struct{}{}
}

func (x *prefixIndex) remove(name string, tr *tracker) {
	p := x.byName[name]
	if delete(p.clients, tr); len(p.clients) == 0 {
		delete(x.byName, name)
		x.lengths = countLength(x.lengths, len(name), -1)
		x.n.Add(-1)
	}
}

// each visits the prefixes of key.
func (x *prefixIndex) each(key []byte, visit func(p *broadcastPrefix)) {
	for _, l := range x.lengths {
		if l.n > len(key) {
			return
		}
		if p := x.byName[string(key[:l.n])]; p != nil {
			visit(p)
		}
	}
}
