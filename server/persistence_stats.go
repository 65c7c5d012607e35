package server

import (
	"sync/atomic"
	"time"

	"synap/journal"
	"synap/metrics"
)

// syncBounds are the upper bounds of the buckets of syncs, in seconds.
var syncBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// diskWork counts what the log asked of the disk.
type diskWork struct {
	bytes    atomic.Int64 // written
	failures atomic.Int64
	syncs    [17]atomic.Uint64 // by syncBounds, the last for all above
	syncTime atomic.Int64      // nanoseconds
}

// watchDisk is told by the log of each write and each sync.
func (s *Server) watchDisk(op journal.Op, bytes int, took time.Duration) {
	d := &s.persist.disked
	if op == journal.Wrote {
		d.bytes.Add(int64(bytes))
		s.latency.observe("aof-write", took, s.now())
		return
	}
	i := 0
	for i < len(syncBounds) && took.Seconds() > syncBounds[i] {
		i++
	}
	d.syncs[i].Add(1)
	d.syncTime.Add(int64(took))
	if s.Config().AppendFsync == "always" {
		s.latency.observe("aof-fsync-always", took, s.now())
	}
}

// persistenceStats reads what durability has to tell.
func (s *Server) persistenceStats() metrics.PersistenceStats {
	p := &s.persist
	d := &p.disked
	st := metrics.PersistenceStats{
		Loading: p.loading.Load(), LoadTotal: p.loadTotal.Load(), LoadDone: p.loadDone.Load(),
		Changes: s.counters.dirty.Load() - p.atSave.Load(),
		Save:    p.save.stats(), Rewrite: p.rewrite.stats(),
		LogOn: p.on.Load(), LogFailed: p.failed.Load(),
		LogWritten: d.bytes.Load(), LogFailures: d.failures.Load(),
		SyncBounds: syncBounds, SyncSum: time.Duration(d.syncTime.Load()).Seconds(),
	}
	for i := range d.syncs {
		st.Syncs = append(st.Syncs, d.syncs[i].Load())
	}
	if p.aof != nil && st.LogOn {
		st.LogSize, st.LogBase = p.aof.Size()
		st.LogUnsynced = p.aof.Unsynced()
	}
	return st
}

func (st *saveState) stats() metrics.SaveStats {
	return metrics.SaveStats{
		Running: st.running.Load(), Failed: st.failed.Load(), OK: st.count.Load(), Errors: st.errors.Load(),
		Last: st.last.Load(), Took: st.took.Load(),
	}
}
