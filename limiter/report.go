package limiter

import (
	"net/netip"
	"sort"
	"sync/atomic"
	"time"
)

// idleAfter is when an address without connections leaves the gauges.
const idleAfter = 5 * time.Minute

// Entry is what is known of one address.
type Entry struct {
	Address     netip.Addr // the first address of an IPv6 range
	Connections int
	Tokens      int // there now
	Refused     uint64
	RetryAfter  time.Duration // 0: the next command passes
}

// Decision is one counter of synap_ratelimit_decisions_total.
type Decision struct {
	Layer, Action string
	Count         uint64
}

// DelayBounds are the upper bounds, in seconds, of the delay histogram.
var DelayBounds = [...]float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}

// Stats are the limiter's figures at one moment.
type Stats struct {
	Enabled    bool
	Buckets    int // addresses seen within five minutes or connected
	Slots      int // places in the table
	Overflow   uint64
	Decisions  []Decision
	Refused    uint64 // commands, dry runs not counted
	DelayCount [len(DelayBounds) + 1]uint64
	DelaySum   time.Duration
}

type delays struct {
	count [len(DelayBounds) + 1]atomic.Uint64
	sum   atomic.Int64
}

// Delayed records how long a session was really parked by action delay.
func (l *Limiter) Delayed(d time.Duration) {
	l.delays.count[sort.SearchFloat64s(DelayBounds[:], d.Seconds())].Add(1)
	l.delays.sum.Add(int64(d))
}

// Stats reads the counters and looks at every slot of the command layer once.
func (l *Limiter) Stats(now int64) Stats {
	s := Stats{Enabled: l.Enabled(), Slots: slots, DelaySum: time.Duration(l.delays.sum.Load())}
	for i := range l.delays.count {
		s.DelayCount[i] = l.delays.count[i].Load()
	}
	for layer := range l.decisions {
		for o := range l.decisions[layer] {
			n := l.decisions[layer][o].Load()
			if o != int(dryRun) && layer == int(Commands) {
				s.Refused += n
			}
			s.Decisions = append(s.Decisions, Decision{Layer(layer).String(), outcomeNames[o], n})
		}
	}
	for i := range l.tables {
		s.Overflow += l.tables[i].spilled.Load()
	}
	l.tables[Commands].each(func(b *bucket) {
		if b.refs() > 0 || b.tat.Load() > (now-int64(idleAfter))<<tickBits {
			s.Buckets++
		}
	})
	return s
}

// each visits the used slots; the mutex is dropped between blocks, so that an
// accept never waits for a whole walk.
func (t *table) each(visit func(*bucket)) {
	for from := 0; from < slots; from += 1024 {
		t.mu.Lock()
		if t.slot == nil {
			t.mu.Unlock()
			return
		}
		for i := range t.slot[from : from+1024] {
			if b := &t.slot[from+i]; b.k != (key{}) {
				visit(b)
			}
		}
		t.mu.Unlock()
	}
}

func (l *Limiter) entry(b *bucket, now int64) Entry {
	e := Entry{Address: b.k.addr(), Connections: int(b.refs()), Refused: b.refusals()}
	if p := l.live.Load(); p != nil {
		tat := b.tat.Load()
		e.Tokens, e.RetryAfter = p.commands.tokens(tat, now), p.commands.wait(tat, now, 1)
	}
	return e
}

// Top returns the n addresses with most refusals, then with fewest tokens.
func (l *Limiter) Top(n int, now int64) []Entry {
	var all []Entry
	l.tables[Commands].each(func(b *bucket) {
		if b.refs() > 0 || b.refusals() > 0 || b.tat.Load() > now<<tickBits {
			all = append(all, l.entry(b, now))
		}
	})
	sort.Slice(all, func(i, j int) bool {
		if all[i].Refused != all[j].Refused {
			return all[i].Refused > all[j].Refused
		}
		if all[i].Tokens != all[j].Tokens {
			return all[i].Tokens < all[j].Tokens
		}
		return all[i].Address.Less(all[j].Address)
	})
	return all[:min(max(n, 0), len(all))]
}

// Get returns the entry of addr; false if nothing is known of it.
func (l *Limiter) Get(addr netip.Addr, now int64) (e Entry, ok bool) {
	l.with(addr, func(b *bucket) { e, ok = l.entry(b, now), true })
	return e, ok
}

// Reset fills the buckets of addr in all layers and forgets its refusals.
func (l *Limiter) Reset(addr netip.Addr) (found bool) {
	c := l.Config()
	k := keyOf(addr.Unmap().WithZone(""), c.IPv6Prefix)
	for i := range l.tables {
		t := &l.tables[i]
		t.mu.Lock()
		if t.slot != nil {
			if b := t.find(k); b != nil {
				b.reset()
				found = true
			}
		}
		t.mu.Unlock()
	}
	return found
}

// ResetAll fills every bucket and returns how many there were.
func (l *Limiter) ResetAll() (n int) {
	for i := range l.tables {
		l.tables[i].each(func(b *bucket) {
			b.reset()
			n++
		})
		l.tables[i].overflow.reset()
	}
	return n
}

func (b *bucket) reset() {
	b.tat.Store(0)
	for {
		old := b.meta.Load()
		if b.meta.CompareAndSwap(old, old&maxRefs) {
			return
		}
	}
}

func (l *Limiter) with(addr netip.Addr, f func(*bucket)) {
	c := l.Config()
	t := &l.tables[Commands]
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slot == nil {
		return
	}
	if b := t.find(keyOf(addr.Unmap().WithZone(""), c.IPv6Prefix)); b != nil {
		f(b)
	}
}
