package server

import (
	"cmp"
	"slices"
	"time"

	"synap/config"
)

// cron does what no request asks for: expiry when it is due, the rest hz times
// a second. What costs time for each client must not follow each expiry.
func (s *Server) cron() {
	w := s.newWorker(0)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var next time.Time
	var sooner <-chan struct{}
	for tick := 0; ; {
		select {
		case <-s.stopCron:
			return
		case <-timer.C:
		case <-sooner:
		}
		w.begin(s)
		s.expireCycle(w)
		s.journal.Flush()
		hz := s.Config().Hz
		if now := time.Now(); !now.Before(next) {
			next = now.Add(time.Second / time.Duration(hz))
			s.housekeep(w, tick%hz == 0)
			tick++
		}
		wait := s.untilExpiry(time.Until(next))
		sooner = s.store.Await(s.clock().Add(wait).UnixMilli())
		timer.Reset(wait)
	}
}

// housekeep does one tick's compaction, samples and limits on clients; everySecond
// also what is done once a second.
func (s *Server) housekeep(w *worker, everySecond bool) {
	for n := 0; n < compactSteps && s.store.CompactStep(); n++ {
	}
	s.sampleMemory()
	s.sampleRates(w.now())
	s.unpauseWhenDue()
	s.evictClients()
	s.trimTracking(w, trimPerTick)
	if everySecond {
		s.background()
		s.tracking.sweep()
		s.checkClients()
	}
}

// compactSteps bounds the compaction of one tick: about 2 ms of work, of which
// no shard's lock is held longer than a step.
const compactSteps = 50

// untilExpiry returns how long the next key has to live, at most most, so that
// it goes, and its event fires, soon after its time.
func (s *Server) untilExpiry(most time.Duration) time.Duration {
	at := s.store.NextExpiry()
	if at == 0 || s.activeOff.Load() {
		return most
	}
	left := at - s.clock().UnixMilli()
	if left > int64(most/time.Millisecond) { // also what no Duration holds
		return most
	}
	return max(time.Duration(left)*time.Millisecond, time.Millisecond)
}

// expireBudget is the number of keys removed before the locks are looked at
// anew; a cycle takes at most a quarter of its period.
const expireBudget = 200

func (s *Server) expireCycle(w *worker) {
	if s.activeOff.Load() {
		return
	}
	start := time.Now()
	most := time.Second / time.Duration(s.Config().Hz) / 4
	flush := s.flushOwn(w)
	for s.store.ExpireSome(&w.tx, w.now()/int64(time.Millisecond), expireBudget, flush) {
		if time.Since(start) > most {
			break
		}
	}
	s.serveLoose(w)
	s.latency.observe("expire-cycle", time.Since(start), s.clock())
}

// checkClients applies the soft output limit.
func (s *Server) checkClients() {
	limits := s.Config().OutputLimits
	now := time.Now().Unix()
	for _, x := range s.sessions.list() {
		if x.pub.obuf.Load() == 0 {
			continue
		}
		class := config.ClassNormal
		if x.kind() == pubsubClient {
			class = config.ClassPubSub
		}
		s.checkSoftLimit(x, limits[class], now)
		x.conn.Post(x.publishOutput) // what was sent meanwhile shows at the next look
	}
}

// evictClients closes the largest clients until all buffers together are under
// maxmemory-clients.
func (s *Server) evictClients() {
	if !s.evicting.TryLock() {
		return
	}
	defer s.evicting.Unlock()
	var total int64
	all := s.sessions.list()
	for _, x := range all {
		if !x.pub.evicted.Load() { // its memory is as good as free
			total += x.memory()
		}
	}
	s.memory.clients.Store(total)
	limit := s.memory.clientsLimit.Load()
	if limit == 0 || total <= limit {
		return
	}
	sizes := make(map[*Session]int64, len(all)) // sizes change while they are sorted
	for _, x := range all {
		sizes[x] = x.memory()
	}
	slices.SortFunc(all, func(a, b *Session) int { return cmp.Compare(sizes[b], sizes[a]) })
	for _, x := range all {
		if total <= limit {
			return
		}
		if x.protected() || x.pub.evicted.Swap(true) {
			continue
		}
		total -= sizes[x]
		s.counters.memoryClients.Add(1)
		s.log.Warn("closing a client: over maxmemory-clients", "client", x.id, "bytes", sizes[x])
		x.conn.Kill()
	}
}

// checkSoftLimit closes a client whose output stayed over the soft limit.
func (s *Server) checkSoftLimit(x *Session, l config.OutputLimit, now int64) {
	if l.Soft <= 0 || x.pub.obuf.Load() <= l.Soft {
		x.pub.softFrom.Store(0)
		return
	}
	from := x.pub.softFrom.Load()
	if from == 0 {
		x.pub.softFrom.Store(now)
	} else if now-from >= int64(l.Seconds) {
		s.counters.outputLimit.Add(1)
		x.conn.Kill()
	}
}

// sessionBytes is what an idle connection costs.
const sessionBytes = 1024

// memory estimates the bytes a client holds; any goroutine may ask.
func (x *Session) memory() int64 {
	n := sessionBytes + x.pub.qbuf.Load() + x.pub.obuf.Load() + x.pub.multiMem.Load() + x.pub.watchMem.Load() + x.pub.sentMem.Load()
	if b := x.blocked.Load(); b != nil {
		n += b.bytes
	}
	if tr := x.tracker.Load(); tr != nil {
		n += tr.bytes.Load()
	}
	if sub := x.subscription.Load(); sub != nil {
		n += sub.bytes.Load() + int64(sub.pending())
	}
	return n
}

// protected tells whether CLIENT NO-EVICT keeps the client.
func (x *Session) protected() bool { return x.pub.noEvict.Load() }
