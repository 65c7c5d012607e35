package limiter

import (
	"hash/maphash"
	"math"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Times inside are in ticks of 1/16 ns since the clock's origin: an interval
// that is no whole number of nanoseconds is rounded up by less than a tick, so
// a bucket is never faster than asked and slower by less than rate/1.6e10. A
// signed word of ticks lasts for 18 years.
const tickBits = 4

// gcra is a rate: interval ticks between two tokens, capacity = burst×interval.
type gcra struct {
	interval, capacity int64
	burst              int
}

func newGCRA(rate float64, burst int) gcra {
	if rate <= 0 || burst <= 0 {
		return gcra{}
	}
	interval := int64(math.Ceil(float64(int64(1e9)<<tickBits) / rate))
	return gcra{interval: interval, capacity: interval * int64(burst), burst: burst}
}

// take advances tat by cost tokens and returns 0, or leaves it and returns the
// time to wait. A cost above the capacity is let through by a full bucket and
// paid back afterwards.
func (g *gcra) take(tat *atomic.Int64, now int64, cost int) time.Duration {
	t := now << tickBits
	need, full := g.interval*int64(cost), min(cost, g.burst)
	line := t + g.capacity - g.interval*int64(full)
	for {
		old := tat.Load()
		if old > line {
			return time.Duration((old - line + 1<<tickBits - 1) >> tickBits)
		}
		if tat.CompareAndSwap(old, max(old, t)+need) {
			return 0
		}
	}
}

// wait returns how long take would refuse.
func (g *gcra) wait(tat, now int64, cost int) time.Duration {
	line := now<<tickBits + g.capacity - g.interval*int64(min(cost, g.burst))
	return time.Duration((max(tat-line, 0) + 1<<tickBits - 1) >> tickBits)
}

// charge advances tat whatever it is, to at most one capacity beyond the line.
func (g *gcra) charge(tat *atomic.Int64, now int64, cost int) {
	t := now << tickBits
	for {
		old := tat.Load()
		next := min(max(old, t)+g.interval*int64(cost), max(old, t+2*g.capacity))
		if tat.CompareAndSwap(old, next) {
			return
		}
	}
}

// tokens returns how many are there now.
func (g *gcra) tokens(tat, now int64) int {
	if g.interval == 0 {
		return 0
	}
	return int(max(g.capacity-max(tat-now<<tickBits, 0), 0) / g.interval)
}

// key is a client: an IPv4 address or the leading bits of an IPv6 one, as 128
// bits. The zero key marks a slot never used; as an address it is ::, which only
// a forged PROXY header can bring, and which shares the overflow bucket.
type key struct{ hi, lo uint64 }

func keyOf(addr netip.Addr, prefix6 int) key {
	if addr.Is6() && prefix6 < 128 {
		if p, err := addr.Prefix(prefix6); err == nil {
			addr = p.Addr()
		}
	}
	b := addr.As16()
	var k key
	for i := range 8 {
		k.hi = k.hi<<8 | uint64(b[i])
		k.lo = k.lo<<8 | uint64(b[8+i])
	}
	return k
}

func (k key) addr() netip.Addr {
	var b [16]byte
	for i := range 8 {
		b[7-i] = byte(k.hi >> (8 * i))
		b[15-i] = byte(k.lo >> (8 * i))
	}
	return netip.AddrFrom16(b).Unmap()
}

// bucket is one slot of a table, 32 bytes. tat and meta are atomic; k changes
// only under the table's mutex and only while no handle refers to the bucket.
type bucket struct {
	tat  atomic.Int64
	k    key
	meta atomic.Uint64 // connections (20 bits), refusals (32), minute last logged (12)
}

const (
	refBits     = 20
	maxRefs     = 1<<refBits - 1
	refusalUnit = 1 << refBits
	minuteShift = 52
)

func (b *bucket) refs() uint64     { return b.meta.Load() & maxRefs }
func (b *bucket) refusals() uint64 { return b.meta.Load() >> refBits & math.MaxUint32 }

// retain fails when the count is at its end: the caller uses the overflow bucket.
func (b *bucket) retain() bool {
	for {
		old := b.meta.Load()
		if old&maxRefs == maxRefs {
			return false
		}
		if b.meta.CompareAndSwap(old, old+1) {
			return true
		}
	}
}

func (b *bucket) release() { b.meta.Add(^uint64(0)) }

// refused counts one more (the count stops at its end) and tells whether it is
// the first of this minute.
func (b *bucket) refused(now int64) bool {
	minute := (uint64(now)/uint64(time.Minute) + 1) & 0xfff
	for {
		old := b.meta.Load()
		next := old
		if old>>refBits&math.MaxUint32 < math.MaxUint32 {
			next += refusalUnit
		}
		next = next&(1<<minuteShift-1) | minute<<minuteShift
		if b.meta.CompareAndSwap(old, next) {
			return old>>minuteShift != minute
		}
	}
}

const (
	slots  = 1 << 16
	window = 16 // slots looked at for one key, 512 bytes side by side
)

// table is a fixed array of buckets. A key may stand in any slot of its
// window; a slot may be taken over when no connection refers to it and its
// time has passed, for it then says nothing that a new one would not say. At a
// rate of r tokens a second and R requests a second from all addresses at most
// R/r buckets are unexpired, however many addresses there are.
type table struct {
	mu       sync.Mutex // guards slot, keys and high; not the atomics in a bucket
	slot     []bucket
	seed     maphash.Seed
	high     int64 // latest time seen: a clock that steps back finds no fresh bucket
	overflow bucket
	spilled  atomic.Uint64
}

// allocate makes the array; a limiter that was never on has none.
func (t *table) allocate() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slot == nil {
		t.slot = make([]bucket, slots)
		t.seed = maphash.MakeSeed()
	}
}

func (t *table) start(k key) uint64 {
	h := maphash.Comparable(t.seed, k)
	return h ^ bits.RotateLeft64(h, 32)
}

// rescale turns the time for which each bucket lacks tokens into that of
// another rate, so that who was slowed down under a low one is not locked out
// under a high one.
func (t *table) rescale(from, to gcra, now int64) {
	if from == to {
		return
	}
	at, scale := now<<tickBits, 1.0
	if from.interval > 0 {
		scale = float64(to.interval) / float64(from.interval)
	}
	change := func(b *bucket) {
		for {
			old := b.tat.Load()
			if old <= at {
				return
			}
			lacking := min(float64(old-at)*scale, float64(to.capacity))
			if b.tat.CompareAndSwap(old, at+int64(lacking)) {
				return
			}
		}
	}
	t.each(change)
	change(&t.overflow)
}

// pin finds or makes the bucket of k and holds it; with no slot left it is the
// bucket that all such addresses share.
func (t *table) pin(k key, now int64) *bucket {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.high = max(t.high, now<<tickBits)
	var b *bucket
	if k != (key{}) {
		if b = t.find(k); b == nil {
			b = t.claim(k)
		}
	}
	if b == nil || !b.retain() {
		t.spilled.Add(1)
		b = &t.overflow
		b.retain()
	}
	return b
}

func (t *table) find(k key) *bucket {
	start := t.start(k)
	for i := range uint64(window) {
		if b := &t.slot[(start+i)&(slots-1)]; b.k == k {
			return b
		}
	}
	return nil
}

// claim takes the slot that has been idle longest, so that RATELIMIT TOP keeps
// its history while there is room.
func (t *table) claim(k key) *bucket {
	var free *bucket
	oldest := t.high
	start := t.start(k)
	for i := range uint64(window) {
		b := &t.slot[(start+i)&(slots-1)]
		if b.refs() > 0 {
			continue
		}
		if b.k == (key{}) {
			free = b
			break
		}
		if tat := b.tat.Load(); tat <= oldest {
			free, oldest = b, tat
		}
	}
	if free != nil {
		free.k = k
		free.tat.Store(t.high)
		free.meta.Store(0)
	}
	return free
}

func (t *table) refsOf(k key) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.find(k); b != nil {
		return b.refs()
	}
	return 0
}
