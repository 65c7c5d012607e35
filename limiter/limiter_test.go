package limiter

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
)

func on(rate float64, burst int) Config {
	return Config{Enabled: true, Rate: rate, Burst: burst, AuthFailuresPerMinute: 10}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// model is a token bucket in integers: tokens in units of 1/(unit) so that a
// nanosecond adds a whole number of them.
type model struct {
	perNano, unit, capacity, tokens, last int64
}

func newModel(tokensPerSecond, burst int64) *model {
	m := &model{perNano: tokensPerSecond, unit: sec, capacity: burst * sec}
	m.tokens = m.capacity
	return m
}

func (m *model) take(now int64, cost int64) bool {
	m.tokens = min(m.capacity, m.tokens+(now-m.last)*m.perNano)
	m.last = now
	if m.tokens < cost*m.unit {
		return false
	}
	m.tokens -= cost * m.unit
	return true
}

// The limiter must agree with the model on every one of 10^7 arrivals: neither
// more nor less is let through. The rates divide a tick into whole parts, so
// that both are exact.
func TestExactOverTenMillionArrivals(t *testing.T) {
	arrivals := 10_000_000
	if raceEnabled || testing.Short() {
		arrivals = 500_000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, c := range []struct{ rate, burst int64 }{{1000, 100}, {250, 1}, {1_000_000, 64}, {64, 1000}, {1, 7}} {
		l := New(on(float64(c.rate), int(c.burst)))
		h := l.Attach(addr("192.0.2.1"), 0)
		m := newModel(c.rate, c.burst)
		interval := sec / c.rate
		now, admitted := int64(0), int64(0)
		for i := range arrivals / 5 {
			switch r.IntN(16) {
			case 0: // a pause that fills any part of the bucket
				now += r.Int64N(interval * c.burst * 2)
			case 1, 2, 3, 4, 5: // within a token's time
				now += r.Int64N(2*interval + 1)
			case 6: // to the nanosecond at which a token is there
				now += max((m.unit-m.tokens%m.unit)/m.perNano-r.Int64N(3)+1, 0)
			}
			cost := int64(1)
			if r.IntN(32) == 0 {
				cost = 1 + r.Int64N(c.burst)
			}
			want := m.take(now, cost)
			ok, retry := h.Allow(now, int(cost))
			if ok != want {
				t.Fatalf("rate %d burst %d, arrival %d at %d ns, cost %d: %v, the model says %v", c.rate, c.burst, i, now, cost, ok, want)
			}
			if ok {
				admitted += cost
			} else if again := *m; !again.take(now+int64(retry), cost) {
				t.Fatalf("rate %d burst %d: retry after %v is too soon", c.rate, c.burst, retry)
			} else if again := *m; again.take(now+int64(retry)-1, cost) {
				t.Fatalf("rate %d burst %d: retry after %v is later than need be", c.rate, c.burst, retry)
			}
		}
		if most := c.burst + c.rate*now/sec; admitted > most {
			t.Fatalf("rate %d burst %d: %d admitted in %d ns, at most %d allowed", c.rate, c.burst, admitted, now, most)
		}
	}
}

// A rate whose interval is no whole number of ticks is rounded down, never up,
// and by less than rate/1.6e10.
func TestOddRatesNeverExceed(t *testing.T) {
	for _, rate := range []float64{3, 7, 999, 123_457, 999_999, 0.7} {
		const burst = 10
		l := New(on(rate, burst))
		h := l.Attach(addr("192.0.2.1"), 0)
		now, admitted := int64(0), int64(0)
		for range 200_000 {
			ok, retry := h.Allow(now, 1)
			if ok {
				admitted++
			} else {
				now += int64(retry)
			}
		}
		rat := new(big.Rat).SetFloat64(rate)
		most := new(big.Rat).Mul(rat, big.NewRat(now, sec))
		most.Add(most, big.NewRat(burst, 1))
		if most.Cmp(big.NewRat(admitted, 1)) < 0 {
			t.Errorf("rate %v: %d admitted in %d ns", rate, admitted, now)
		}
		f, _ := most.Float64()
		if low := (f-1)*(1-rate/1.6e10) - 1; float64(admitted) < low {
			t.Errorf("rate %v: %d admitted in %d ns, expected at least %.1f", rate, admitted, now, low)
		}
	}
}

func TestManyGoroutinesOnOneBucket(t *testing.T) {
	const burst, goroutines, each = 1000, 1000, 200
	l := New(on(1000, burst))
	var clock, admitted atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			h := l.Attach(addr("192.0.2.1"), clock.Load())
			defer l.Detach(h)
			for range each {
				if ok, _ := h.Allow(clock.Add(1000), 1); ok {
					admitted.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	passed := clock.Load()
	most := int64(burst) + passed*1000/sec
	if n := admitted.Load(); n > most || n < most-1 {
		t.Fatalf("%d admitted in %d ns, want %d", n, passed, most)
	}
	if e, ok := l.Get(addr("192.0.2.1"), passed); !ok || e.Connections != 0 {
		t.Fatalf("entry %+v, %v", e, ok)
	}
}

// Whatever the clock does, no more is admitted than burst + rate × the farthest
// it has come, though buckets are taken over by others in between.
func TestClockSteppingBack(t *testing.T) {
	const burst, rate = 10, 1000
	l := New(on(rate, burst))
	r := rand.New(rand.NewPCG(1, 2))
	now, farthest, admitted := int64(0), int64(0), int64(0)
	for i := range 200_000 {
		now = max(now+r.Int64N(5*ms)-2*ms, 0)
		if r.IntN(1000) == 0 {
			now /= 2
		}
		farthest = max(farthest, now)
		h := l.Attach(addr("192.0.2.1"), now)
		if ok, _ := h.Allow(now, 1); ok {
			admitted++
		}
		l.Detach(h)
		other := l.Attach(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
		other.Allow(now, 1)
		l.Detach(other)
	}
	if most := burst + rate*farthest/sec; admitted > most {
		t.Fatalf("%d admitted while the clock came to %d ns, at most %d allowed", admitted, farthest, most)
	}
}

// 10^7 distinct IPv6 networks: memory stays, and an honest client is served.
func TestAddressSpray(t *testing.T) {
	sprayed := 10_000_000
	if raceEnabled || testing.Short() {
		sprayed = 300_000
	}
	for _, reconnects := range []bool{false, true} {
		l := New(on(1000, 100))
		honest := addr("2001:db8::1")
		h := l.Attach(honest, 0)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		now, asked, served := int64(0), 0, 0
		for i := range sprayed {
			now += 1000 // a million new networks a second
			var b [16]byte
			b[0], b[1] = 0x24, 1
			for j := range 6 {
				b[7-j] = byte(uint64(i) >> (8 * j))
			}
			a := l.Attach(netip.AddrFrom16(b), now)
			a.Allow(now, 1)
			l.Detach(a)
			if i%2000 == 0 { // the honest one sends 500 a second
				if reconnects {
					l.Detach(h)
					h = l.Attach(honest, now)
				}
				asked++
				if ok, _ := h.Allow(now, 1); ok {
					served++
				}
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<10 {
			t.Errorf("the heap grew by %d bytes", grown)
		}
		if float64(served) < 0.99*float64(asked) {
			t.Errorf("reconnecting %v: the honest client got %d of %d", reconnects, served, asked)
		}
	}
}

// With every slot of a window in use a new address shares the strict overflow
// bucket, and a counter rises.
func TestFullTableIsStrict(t *testing.T) {
	l := New(on(1, 5))
	var held []*Handle
	for i := range slots + 10 {
		h := l.Attach(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 0)
		held = append(held, h)
	}
	spilled := l.Stats(0).Overflow
	if spilled == 0 {
		t.Fatal("no address overflowed")
	}
	admitted := 0
	for _, h := range held {
		if h.b == &l.tables[Commands].overflow {
			if ok, _ := h.Allow(0, 1); ok {
				admitted++
			}
		}
	}
	if admitted != 5 {
		t.Errorf("%d admitted through the overflow bucket, want its burst of 5", admitted)
	}
	for _, h := range held {
		l.Detach(h)
	}
	if h := l.Attach(addr("198.51.100.1"), 10*sec); h.b == &l.tables[Commands].overflow {
		t.Error("free slots are not used again")
	}
}

// A bucket that a connection refers to is not taken over by another address.
func TestSlotOfAConnectionIsNotReused(t *testing.T) {
	l := New(on(1000, 2))
	h := l.Attach(addr("192.0.2.1"), 0)
	h.Allow(0, 2)
	now := 10 * sec
	for i := range 100_000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		l.Detach(l.Attach(a, now))
		now += ms
	}
	if h.b.k != keyOf(addr("192.0.2.1"), 64) {
		t.Fatal("the bucket belongs to another address now")
	}
	if h.b.refs() != 1 {
		t.Fatalf("%d references", h.b.refs())
	}
}

func TestKeys(t *testing.T) {
	same := func(prefix int, a, b string) bool {
		return keyOf(addr(a).Unmap(), prefix) == keyOf(addr(b).Unmap(), prefix)
	}
	for _, c := range []struct {
		prefix int
		a, b   string
		want   bool
	}{
		{64, "192.0.2.1", "::ffff:192.0.2.1", true},
		{64, "192.0.2.1", "192.0.2.2", false},
		{64, "2001:db8::1", "2001:db8::ffff", true},
		{64, "2001:db8::1", "2001:db8:0:1::1", false},
		{48, "2001:db8::1", "2001:db8:0:1::1", true},
		{128, "2001:db8::1", "2001:db8::2", false},
	} {
		if got := same(c.prefix, c.a, c.b); got != c.want {
			t.Errorf("%s and %s with /%d: same = %v", c.a, c.b, c.prefix, got)
		}
	}
	for _, a := range []string{"192.0.2.1", "2001:db8::"} {
		if got := keyOf(addr(a), 64).addr(); got != addr(a) {
			t.Errorf("%s comes back as %s", a, got)
		}
	}
}

func TestZonedAndMappedPeersShareABucket(t *testing.T) {
	l := New(on(1, 1))
	a := l.Attach(addr("fe80::1%eth0"), 0)
	b := l.Attach(addr("fe80::1%eth1"), 0)
	c := l.Attach(addr("::ffff:192.0.2.1"), 0)
	d := l.Attach(addr("192.0.2.1"), 0)
	if a.b != b.b || c.b != d.b || a.b == c.b {
		t.Error("wrong sharing of buckets")
	}
}

func TestExemptAndUnix(t *testing.T) {
	c := on(1, 1)
	for _, p := range []string{"127.0.0.0/8", "2001:db8::/32", "192.0.2.7/32", "198.51.100.0/24"} {
		c.Exempt = append(c.Exempt, netip.MustParsePrefix(p))
	}
	l := New(c)
	for _, a := range []string{"127.0.0.1", "::ffff:127.0.0.9", "2001:db8:1::1", "192.0.2.7", "198.51.100.200"} {
		h := l.Attach(addr(a), 0)
		for range 100 {
			if ok, _ := h.Allow(0, 1); !ok {
				t.Fatalf("%s is limited", a)
			}
		}
	}
	h := l.Attach(netip.Addr{}, 0) // a unix socket
	for range 100 {
		if ok, _ := h.Allow(0, 1); !ok {
			t.Fatal("a unix socket is limited")
		}
	}
	h = l.Attach(addr("192.0.2.8"), 0)
	h.Allow(0, 1)
	if ok, _ := h.Allow(0, 1); ok {
		t.Fatal("an address that is not exempt passes")
	}
}

func TestLiveUpdate(t *testing.T) {
	l := New(Config{})
	h := l.Attach(addr("192.0.2.1"), 0)
	for range 1000 {
		if ok, _ := h.Allow(0, 1); !ok {
			t.Fatal("limited while off")
		}
	}
	must := func(c Config) {
		t.Helper()
		if err := l.Update(c, 0); err != nil {
			t.Fatal(err)
		}
	}
	must(on(10, 5))
	admitted := func(now int64) (n int) {
		for range 100 {
			if ok, _ := h.Allow(now, 1); ok {
				n++
			}
		}
		return n
	}
	if n := admitted(0); n != 5 {
		t.Fatalf("%d admitted after turning on, want 5", n)
	}
	if err := l.Update(on(0, 5), 0); err == nil || l.Config().Rate != 10 {
		t.Fatalf("a rate of 0 was taken: %v, %+v", err, l.Config())
	}
	must(on(10, 20))
	if n := admitted(0); n != 15 {
		t.Fatalf("%d admitted after raising the burst, want 15", n)
	}
	c := on(10, 20)
	c.Exempt = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	must(c)
	if n := admitted(0); n != 100 {
		t.Fatalf("%d admitted when exempt", n)
	}
	must(on(1, 1000))
	if n := admitted(0); n != 100 {
		t.Fatalf("%d admitted of a thousand", n)
	}
	for range 880 {
		h.Allow(0, 1)
	}
	must(Config{})
	must(on(1000, 50))
	if ok, wait := h.Allow(0, 1); ok || wait != time.Millisecond {
		t.Fatalf("raising the rate a thousandfold leaves %v to wait, want 1 ms", wait)
	}
	must(on(10, 50))
	if ok, wait := h.Allow(0, 1); ok || wait != 100*time.Millisecond {
		t.Fatalf("lowering the rate leaves %v to wait, want 100 ms", wait)
	}
	must(Config{})
	if n := admitted(0); n != 100 {
		t.Fatalf("%d admitted when off", n)
	}
	must(on(10, 5))
	l.Detach(h)
	if s := l.Stats(0); s.Decisions[0].Count == 0 {
		t.Fatalf("no refusal was counted: %+v", s)
	}
}

func TestDryRunCountsAndLetsThrough(t *testing.T) {
	c := on(1, 1)
	c.DryRun, c.ConnectionsPerSecond, c.MaxConnections = true, 1, 1
	l := New(c)
	h := l.Attach(addr("192.0.2.1"), 0)
	for range 10 {
		if ok, _ := h.Allow(0, 1); !ok {
			t.Fatal("refused in a dry run")
		}
	}
	if h2 := l.Attach(addr("192.0.2.1"), 0); h2.Refused() != nil {
		t.Fatal("a connection was refused in a dry run")
	}
	for range 3 {
		if err := l.Admit(addr("192.0.2.1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]uint64{}
	for _, d := range l.Stats(0).Decisions {
		got[d.Layer+" "+d.Action] = d.Count
	}
	if got["command dry_run"] != 9 || got["command reject"] != 0 || got["connection dry_run"] == 0 {
		t.Fatalf("decisions %v", got)
	}
}

func TestConnections(t *testing.T) {
	c := on(1000, 100)
	c.ConnectionsPerSecond, c.MaxConnections = 10, 3
	l := New(c)
	a := addr("192.0.2.1")
	var held []*Handle
	for range 3 {
		if err := l.Admit(a, 0); err != nil {
			t.Fatal(err)
		}
		h := l.Attach(a, 0)
		if h.Refused() != nil {
			t.Fatal(h.Refused())
		}
		held = append(held, h)
	}
	if err := l.Admit(a, 0); err != ErrConnections {
		t.Fatalf("the fourth connection: %v", err)
	}
	h := l.Attach(a, 0) // one that was admitted at the same moment
	if h.Refused() != ErrConnections {
		t.Fatal("the fourth connection was attached")
	}
	l.Detach(h)
	if err := l.Admit(addr("192.0.2.2"), 0); err != nil {
		t.Fatal(err)
	}
	l.Detach(held[0])
	if err := l.Admit(a, 0); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		l.Admit(a, 0)
	}
	if err := l.Admit(a, 0); err != ErrConnectionRate {
		t.Fatalf("the rate of connections: %v", err)
	}
	if err := l.Admit(a, sec); err != nil {
		t.Fatalf("a second later: %v", err)
	}
}

func TestAuthFailures(t *testing.T) {
	l := New(on(1000, 100))
	a := addr("192.0.2.1")
	for i := range 10 {
		if d := l.AuthDelay(a, 0); d != 0 {
			t.Fatalf("attempt %d waits %v", i, d)
		}
		l.AuthFailed(a, 0)
	}
	if d := l.AuthDelay(a, 0); d != AuthWait {
		t.Fatalf("attempt 11 waits %v", d)
	}
	if d := l.AuthDelay(addr("192.0.2.2"), 0); d != 0 {
		t.Fatalf("another address waits %v", d)
	}
	if d := l.AuthDelay(a, 6*sec); d != 0 {
		t.Fatalf("a tenth of a minute later it waits %v", d)
	}
	for range 1000 { // a flood of failures is paid back within two minutes
		l.AuthFailed(a, 0)
	}
	if d := l.AuthDelay(a, 130*sec); d != 0 {
		t.Fatalf("after two minutes it waits %v", d)
	}
}

func TestCost(t *testing.T) {
	c := on(1000, 10)
	l := New(c)
	if l.CostsBySize() {
		t.Fatal("costs by size without the option")
	}
	c.CostBySize = true
	if l.Update(c, 0); !l.CostsBySize() {
		t.Fatal("the option has no effect")
	}
	for _, v := range []struct{ bytes, want int }{{0, 1}, {16383, 1}, {16384, 2}, {1 << 20, 65}} {
		if n := l.Cost(v.bytes); n != v.want {
			t.Errorf("Cost(%d) = %d, want %d", v.bytes, n, v.want)
		}
	}
	h := l.Attach(addr("192.0.2.1"), 0)
	if ok, _ := h.Allow(0, 65); !ok {
		t.Fatal("a full bucket refuses a request above its capacity")
	}
	if ok, retry := h.Allow(0, 1); ok || retry != 56*time.Millisecond {
		t.Fatalf("then: %v, retry after %v, want 56 ms", ok, retry)
	}
	h2 := l.Attach(addr("192.0.2.2"), 0)
	h2.ChargeElements(0, 12_500)
	if ok, retry := h2.Allow(0, 1); ok || retry != 3*time.Millisecond {
		t.Fatalf("after 12,500 elements: %v, retry after %v, want 3 ms", ok, retry)
	}
}

func TestTopGetReset(t *testing.T) {
	l := New(on(10, 5))
	for i, n := range []int{3, 50, 10} {
		h := l.Attach(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 0)
		for range n {
			h.Allow(0, 1)
		}
	}
	top := l.Top(2, 0)
	if len(top) != 2 || top[0].Address != addr("192.0.2.1") || top[0].Refused != 45 || top[1].Refused != 5 {
		t.Fatalf("top %+v", top)
	}
	e, ok := l.Get(addr("::ffff:192.0.2.1"), 0)
	if !ok || e.Connections != 1 || e.Tokens != 0 || e.RetryAfter != 100*time.Millisecond {
		t.Fatalf("get %+v %v", e, ok)
	}
	if !l.Reset(addr("192.0.2.1")) || l.Reset(addr("203.0.113.1")) {
		t.Fatal("reset")
	}
	if e, _ := l.Get(addr("192.0.2.1"), 0); e.Refused != 0 || e.Tokens != 5 || e.Connections != 1 {
		t.Fatalf("after reset %+v", e)
	}
	if n := l.ResetAll(); n != 3 {
		t.Fatalf("reset all: %d", n)
	}
	if s := l.Stats(0); s.Buckets != 3 {
		t.Fatalf("%d buckets", s.Buckets)
	}
}

func TestIdleBucketsLeaveTheGauge(t *testing.T) {
	l := New(on(10, 5))
	l.Detach(l.Attach(addr("192.0.2.1"), 0))
	kept := l.Attach(addr("192.0.2.2"), 0)
	if n := l.Stats(4 * 60 * sec).Buckets; n != 2 {
		t.Fatalf("%d buckets after four minutes", n)
	}
	if n := l.Stats(6 * 60 * sec).Buckets; n != 1 {
		t.Fatalf("%d buckets after six minutes, want the connected one", n)
	}
	l.Detach(kept)
}

func TestOneLogLineAMinuteForEachAddress(t *testing.T) {
	l := New(on(1, 1))
	var out bytes.Buffer
	l.LogTo(slog.New(slog.NewTextHandler(&out, nil)))
	a, b := l.Attach(addr("192.0.2.1"), 0), l.Attach(addr("192.0.2.2"), 0)
	for i := range 1000 {
		a.Allow(int64(i)*ms, 1)
		b.Allow(int64(i)*ms, 1)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Fatalf("%d lines in the first minute:\n%s", n, out.String())
	}
	for range 3 {
		a.Allow(61*sec, 1)
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Fatalf("%d lines in two minutes:\n%s", n, out.String())
	}
}

func TestMessage(t *testing.T) {
	c := on(1000, 1)
	l := New(c)
	for _, v := range []struct {
		retry time.Duration
		want  string
	}{
		{37 * time.Millisecond, "TRYAGAIN rate limit exceeded, retry after 37 ms"},
		{time.Microsecond, "TRYAGAIN rate limit exceeded, retry after 1 ms"},
		{36*time.Millisecond + 1, "TRYAGAIN rate limit exceeded, retry after 37 ms"},
	} {
		if got := l.Message(v.retry); got != v.want {
			t.Errorf("%v: %q", v.retry, got)
		}
	}
	c.ErrorPrefix = "RATELIMITED"
	l.Update(c, 0)
	if got := l.Message(time.Second); got != "RATELIMITED rate limit exceeded, retry after 1000 ms" {
		t.Error(got)
	}
}

func TestValidateNamesOptionAndBounds(t *testing.T) {
	good := on(1000, 100)
	for _, c := range []struct {
		change func(*Config)
		words  []string
	}{
		{func(c *Config) { c.Rate = 0 }, []string{"rate-limit-requests-per-second", "above 0"}},
		{func(c *Config) { c.Rate = -1; c.Enabled = false }, []string{"rate-limit-requests-per-second", "between 0"}},
		{func(c *Config) { c.Burst = 0 }, []string{"rate-limit-burst-size", "between 1"}},
		{func(c *Config) { c.Burst = -5; c.Enabled = false }, []string{"rate-limit-burst-size", "between 0"}},
		{func(c *Config) { c.Rate = 1e-6 }, []string{"rate-limit-burst-size", "a year"}},
		{func(c *Config) { c.IPv6Prefix = 129 }, []string{"rate-limit-ipv6-prefix", "128"}},
		{func(c *Config) { c.MaxConnections = -1 }, []string{"rate-limit-max-connections", "between 0"}},
		{func(c *Config) { c.ErrorPrefix = "TRY AGAIN" }, []string{"rate-limit-error-prefix", "one word"}},
		{func(c *Config) { c.Action = 9 }, []string{"rate-limit-action", "reject, delay, close"}},
		{func(c *Config) { c.Exempt = []netip.Prefix{{}} }, []string{"rate-limit-exempt", "10.0.0.0/8"}},
	} {
		bad := good
		c.change(&bad)
		err := bad.Validate()
		for _, word := range c.words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%+v: error %v lacks %q", bad, err, word)
			}
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := ParseAction("drop"); err == nil || !strings.Contains(err.Error(), "reject, delay, close") {
		t.Error(err)
	}
}

// Handles of thousands of connections come and go while others are limited:
// references must come out even.
func TestReferencesComeOutEven(t *testing.T) {
	l := New(on(1000, 10))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(g), 7))
			for i := range 5000 {
				now := int64(i) * ms
				h := l.Attach(netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(4)), byte(r.IntN(256))}), now)
				h.Allow(now, 1)
				if r.IntN(500) == 0 {
					l.Update(on(float64(1+r.IntN(1000)), 10), now)
				}
				h.Allow(now, 1)
				l.Detach(h)
			}
		}()
	}
	wg.Wait()
	for _, e := range l.Top(slots, 0) {
		if e.Connections != 0 {
			t.Fatalf("%+v", e)
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	for _, c := range []struct {
		name string
		conf Config
	}{{"off", Config{}}, {"on", on(1e9, 1000)}, {"refused", on(0.001, 1)}} {
		b.Run(c.name, func(b *testing.B) {
			l := New(c.conf)
			h := l.Attach(addr("192.0.2.1"), 0)
			b.ReportAllocs()
			now := int64(0)
			for b.Loop() {
				now += 100
				h.Allow(now, 1)
			}
		})
	}
}

func BenchmarkAttach(b *testing.B) {
	l := New(on(1000, 100))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Detach(l.Attach(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), int64(i)*1000))
	}
}

func ExampleLimiter() {
	l := New(Config{Enabled: true, Rate: 1000, Burst: 2})
	h := l.Attach(netip.MustParseAddr("192.0.2.1"), 0)
	defer l.Detach(h)
	for range 3 {
		fmt.Println(h.Allow(0, 1))
	}
	// Output:
	// true 0s
	// true 0s
	// false 1ms
}
