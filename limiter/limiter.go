// Package limiter is rate limiting by client address: one token bucket for
// each address, in constant memory, checked by one compare-and-swap.
//
// A bucket is the generic cell rate algorithm (ITU-T I.371): one word holds
// the theoretical arrival time (TAT), the moment at which the bucket will be
// full again. A request of cost c is let through if TAT + c×interval lies at
// most burst×interval ahead of now. That admits exactly what a bucket of
// `burst` tokens refilled `rate` times a second admits, without drift, and the
// distance to that line is the time to wait.
//
// Three layers use it: commands (through a Handle, one for each connection),
// accepted connections (Admit) and failed authentications (AuthFailed).
package limiter

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Layer says which of the buckets decided.
type Layer uint8

const (
	Commands Layer = iota
	Connections
	Auth
	HTTP
	layers
)

var layerNames = [...]string{Commands: "command", Connections: "connection", Auth: "auth", HTTP: "http"}

func (l Layer) String() string { return layerNames[l] }

// AuthWait is how long each AUTH of an address waits after too many failures.
const AuthWait = time.Second

var (
	ErrConnectionRate = errors.New("too many new connections from your address, try again later")
	ErrConnections    = errors.New("max number of connections from your address reached")
)

// outcome indexes the decision counters.
type outcome uint8

const (
	rejected outcome = iota
	delayed
	closed
	dryRun
	outcomes
)

var outcomeNames = [...]string{rejected: "reject", delayed: "delay", closed: "close", dryRun: "dry_run"}

// live is what a decision reads. It is replaced as a whole, never changed.
type live struct {
	Config
	gen      uint64 // rises with each Update, so that handles look again
	commands gcra
	connect  gcra
	auth     gcra
}

// Limiter is safe for use by many goroutines.
type Limiter struct {
	live atomic.Pointer[live] // nil: off

	mu     sync.Mutex // guards config, gen and rates
	config Config
	gen    uint64
	rates  [3]gcra // last in force, indexed like tables

	tables    [3]table // indexed by Layer; HTTP shares the command layer's
	decisions [layers][outcomes]atomic.Uint64
	delays    delays
	log       atomic.Pointer[slog.Logger]
}

// New returns a limiter, or panics if c is invalid: Validate first.
func New(c Config) *Limiter {
	l := &Limiter{}
	if err := l.Update(c, 0); err != nil {
		panic(err)
	}
	return l
}

// LogTo sends at most one line a minute for each offending address to log.
func (l *Limiter) LogTo(log *slog.Logger) { l.log.Store(log) }

// Update replaces the configuration for all connections, at once; on an error
// nothing changes. A bucket goes on to lack as many tokens as before, but not
// more than the new burst.
func (l *Limiter) Update(c Config, now int64) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if c.IPv6Prefix == 0 {
		c.IPv6Prefix = 64
	}
	if c.ErrorPrefix == "" {
		c.ErrorPrefix = "TRYAGAIN"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gen++
	l.config = c
	if !c.Enabled {
		l.live.Store(nil)
		return nil
	}
	rates := [...]gcra{
		Commands:    newGCRA(c.Rate, c.Burst),
		Connections: newGCRA(float64(c.ConnectionsPerSecond), c.ConnectionsPerSecond),
		Auth:        newGCRA(float64(c.AuthFailuresPerMinute)/60, c.AuthFailuresPerMinute),
	}
	for i, rate := range rates {
		l.tables[i].allocate()
		if rate.interval > 0 {
			l.tables[i].rescale(l.rates[i], rate, now)
			l.rates[i] = rate
		}
	}
	l.live.Store(&live{Config: c, gen: l.gen, commands: rates[Commands], connect: rates[Connections], auth: rates[Auth]})
	return nil
}

// Config returns the configuration in force.
func (l *Limiter) Config() Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config
}

// Enabled tells whether anything is limited at all.
func (l *Limiter) Enabled() bool { return l.live.Load() != nil }

// Action returns what to do with a refused command.
func (l *Limiter) Action() Action {
	if p := l.live.Load(); p != nil {
		return p.Action
	}
	return Reject
}

// CostsBySize tells whether cost_by_size is on: a command then costs more than
// one token.
func (l *Limiter) CostsBySize() bool {
	p := l.live.Load()
	return p != nil && p.CostBySize
}

// Cost returns what a request of n bytes costs by its size: 1, and one more for
// every 16 KiB.
func (l *Limiter) Cost(n int) int { return 1 + n>>14 }

// Message is the error of a refused command: the option's prefix and the time
// to wait, in milliseconds rounded up.
func (l *Limiter) Message(retry time.Duration) string {
	prefix := "TRYAGAIN"
	if p := l.live.Load(); p != nil {
		prefix = p.ErrorPrefix
	}
	ms := (retry + time.Millisecond - 1) / time.Millisecond
	return fmt.Sprintf("%s rate limit exceeded, retry after %d ms", prefix, max(ms, 1))
}

// exempt tells whether addr is never limited. Unix sockets have no address.
func (p *live) exempt(addr netip.Addr) bool {
	if !addr.IsValid() {
		return true
	}
	for _, e := range p.Exempt {
		if e.Contains(addr) {
			return true
		}
	}
	return false
}

// Handle is one connection's view of its address' bucket. It belongs to one
// goroutine at a time.
type Handle struct {
	l    *Limiter
	addr netip.Addr
	gen  uint64
	b    *bucket // nil: exempt, or nothing was limited when last looked
	over bool
}

// Attach gives a connection its handle; call Detach when it closes. now is in
// nanoseconds of a monotonic clock, as everywhere in this package.
func (l *Limiter) Attach(addr netip.Addr, now int64) *Handle {
	h := &Handle{l: l, addr: addr.Unmap().WithZone("")}
	if p := l.live.Load(); p != nil {
		h.look(p, now)
		if h.b != nil && p.MaxConnections > 0 && h.b.refs() > uint64(p.MaxConnections) {
			h.over = !p.DryRun
			l.refuse(p, Connections, h.b, h.addr, now)
		}
	}
	return h
}

// Refused is ErrConnections if the connection is one too many for its address.
func (h *Handle) Refused() error {
	if h.over {
		return ErrConnections
	}
	return nil
}

// Detach ends a connection's use of its handle, which may be nil.
func (l *Limiter) Detach(h *Handle) {
	if h != nil {
		h.release()
	}
}

func (h *Handle) release() {
	if h.b != nil {
		h.b.release()
		h.b = nil
	}
}

// look finds the bucket anew after a change of the configuration.
func (h *Handle) look(p *live, now int64) {
	h.release()
	h.gen = p.gen
	if !p.exempt(h.addr) {
		h.b = h.l.tables[Commands].pin(keyOf(h.addr, p.IPv6Prefix), now)
	}
}

// Allow takes cost tokens. If they are not there it takes none and tells when
// they will be; in a dry run it counts that and lets the command through.
func (h *Handle) Allow(now int64, cost int) (ok bool, retryAfter time.Duration) {
	if p := h.l.live.Load(); p != nil {
		return h.take(p, now, cost)
	}
	return true, 0
}

func (h *Handle) take(p *live, now int64, cost int) (bool, time.Duration) {
	if h.gen != p.gen {
		h.look(p, now)
	}
	if h.b == nil {
		return true, 0
	}
	wait := p.commands.take(&h.b.tat, now, cost)
	if wait == 0 {
		return true, 0
	}
	h.l.refuse(p, Commands, h.b, h.addr, now)
	return p.DryRun, wait
}

// ChargeElements charges a reply of n elements, one token for each thousand,
// without asking: the next Allow waits for them.
func (h *Handle) ChargeElements(now int64, n int) {
	p := h.l.live.Load()
	if p == nil || h.b == nil || h.gen != p.gen || n < 1000 || p.DryRun {
		return
	}
	p.commands.charge(&h.b.tat, now, n/1000)
}

// Verdict is the decision on a request to the side port.
type Verdict struct {
	OK               bool
	Limit, Remaining int           // tokens; Limit 0: not limited
	RetryAfter       time.Duration // until a token is there
	Reset            time.Duration // until the bucket is full
}

// Check takes one token of addr.
func (l *Limiter) Check(addr netip.Addr, now int64) Verdict {
	p := l.live.Load()
	addr = addr.Unmap().WithZone("")
	if p == nil || p.exempt(addr) {
		return Verdict{OK: true}
	}
	b := l.tables[Commands].pin(keyOf(addr, p.IPv6Prefix), now)
	defer b.release()
	v := Verdict{Limit: p.Burst, RetryAfter: p.commands.take(&b.tat, now, 1)}
	if v.OK = v.RetryAfter == 0; !v.OK {
		l.refuse(p, HTTP, b, addr, now)
		v.OK = p.DryRun
	}
	tat := b.tat.Load()
	v.Remaining = p.commands.tokens(tat, now)
	v.Reset = time.Duration(max(tat-now<<tickBits, 0) >> tickBits)
	return v
}

// Admit decides on a new connection before anything is spent on it: accept
// rate and, as far as known yet, the number of connections of its address.
func (l *Limiter) Admit(addr netip.Addr, now int64) error {
	p := l.live.Load()
	if p == nil || (p.ConnectionsPerSecond == 0 && p.MaxConnections == 0) {
		return nil
	}
	addr = addr.Unmap().WithZone("")
	if p.exempt(addr) {
		return nil
	}
	key := keyOf(addr, p.IPv6Prefix)
	if p.ConnectionsPerSecond > 0 {
		t := &l.tables[Connections]
		b := t.pin(key, now)
		wait := p.connect.take(&b.tat, now, 1)
		if wait > 0 {
			l.refuse(p, Connections, b, addr, now)
		}
		b.release()
		if wait > 0 && !p.DryRun {
			return ErrConnectionRate
		}
	}
	if p.MaxConnections > 0 && l.tables[Commands].refsOf(key) >= uint64(p.MaxConnections) {
		l.decisions[Connections][p.outcome(Connections)].Add(1)
		if !p.DryRun {
			return ErrConnections
		}
	}
	return nil
}

// AuthFailed counts a wrong password from addr.
func (l *Limiter) AuthFailed(addr netip.Addr, now int64) {
	l.auth(addr, func(p *live, b *bucket) { p.auth.charge(&b.tat, now, 1) }, now)
}

// AuthDelay returns how long the next AUTH or HELLO AUTH of addr must wait: 0,
// or AuthWait after too many failures.
func (l *Limiter) AuthDelay(addr netip.Addr, now int64) (wait time.Duration) {
	l.auth(addr, func(p *live, b *bucket) {
		if p.auth.wait(b.tat.Load(), now, 1) > 0 {
			l.refuse(p, Auth, b, addr, now)
			if !p.DryRun {
				wait = AuthWait
			}
		}
	}, now)
	return wait
}

func (l *Limiter) auth(addr netip.Addr, f func(*live, *bucket), now int64) {
	p := l.live.Load()
	addr = addr.Unmap().WithZone("")
	if p == nil || p.AuthFailuresPerMinute == 0 || p.exempt(addr) {
		return
	}
	b := l.tables[Auth].pin(keyOf(addr, p.IPv6Prefix), now)
	f(p, b)
	b.release()
}

// outcome is what will be done about a refusal, for the counters.
func (p *live) outcome(layer Layer) outcome {
	switch {
	case p.DryRun:
		return dryRun
	case layer == Auth:
		return delayed
	case layer != Commands || p.Action == Reject:
		return rejected
	case p.Action == Delay:
		return delayed
	}
	return closed
}

// refuse counts a refusal and logs the first of each minute and address.
func (l *Limiter) refuse(p *live, layer Layer, b *bucket, addr netip.Addr, now int64) {
	l.decisions[layer][p.outcome(layer)].Add(1)
	if !b.refused(now) {
		return
	}
	if log := l.log.Load(); log != nil {
		log.Warn("rate limit exceeded", "address", addr.String(), "layer", layer.String(),
			"action", outcomeNames[p.outcome(layer)], "refused", b.refusals())
	}
}
