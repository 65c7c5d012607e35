package journal

import (
	"sync"
	"time"
)

// gathering decides when the next sync under Always begins.
//
// Writers who wait for a sync send the next command when they are answered. A
// sync that began with the first of them would make all others wait for the one
// after it: twice as many syncs, each for half of the writers. So the sync waits
// until there are as many units as the last one served and met, at most for as
// long as it took. When they do not come in time, the next syncs begin at once:
// after each such failure twice as many, since a timer may be late by a multiple
// of a sync.
type gathering struct {
	a *AOF

	mu       sync.Mutex  // guards what follows; held over a sync, taken before all locks of the log
	late     *time.Timer // when not to wait any longer
	failures int         // in a row
	hurry    int         // syncs that are yet to begin at once
}

const (
	patienceMost = 10 * time.Millisecond
	failuresMost = 6
)

// begin returns the channel that says when to give up.
func (g *gathering) begin() <-chan time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late = time.NewTimer(time.Hour)
	g.late.Stop()
	g.a.enough.Store(0)
	return g.late.C
}

func (g *gathering) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late.Stop()
	g.a.enough.Store(0)
}

// commit writes and syncs what there is.
func (g *gathering) commit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sync()
}

// sync needs mu. It says how many units to wait for next.
func (g *gathering) sync() {
	a := g.a
	if enough := a.enough.Load(); enough > 0 && a.appended.Load() >= enough {
		g.failures = 0
	}
	g.late.Stop()
	before, start := a.synced.Load(), time.Now()
	a.write()
	a.sync()
	took := time.Since(start)
	synced := a.synced.Load()
	writers := a.appended.Load() - before // those it served, and those who came meanwhile
	if g.hurry == 0 && writers > 1 && a.broken.Load() == nil {
		a.enough.Store(synced + writers)
		g.late.Reset(min(took, patienceMost))
		return
	}
	g.hurry = max(g.hurry-1, 0)
	a.enough.Store(0)
	if a.appended.Load() > synced && a.broken.Load() == nil { // they may have seen what was enough before
		a.poke()
	}
}

// giveUp syncs what came in time.
func (g *gathering) giveUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.a
	a.enough.Store(0)
	if Policy(a.policy.Load()) != Always || a.appended.Load() == a.synced.Load() {
		return
	}
	g.failures = min(g.failures+1, failuresMost)
	g.hurry = 1<<g.failures - 1
	g.sync()
}
