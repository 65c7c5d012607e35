package server

import (
	"fmt"
	"io"
	"time"

	"synap/config"
	"synap/journal"
	"synap/resp"
	"synap/store"
)

// snapshotOptions says how snapshots are written; base: as the log's base.
func (s *Server) snapshotOptions(base bool) store.SnapshotOptions {
	c := s.Config()
	isBase := "0"
	if base {
		isBase = "1"
	}
	o := store.SnapshotOptions{Plain: !c.RDBCompression, Unsure: !c.RDBChecksum, Aux: []string{
		"redis-ver", RedisVersion, "redis-bits", "64", "ctime", fmt.Sprint(s.now().Unix()),
		"used-mem", fmt.Sprint(s.usedMemory()), "aof-base", isBase, "synap-ver", s.opts.Version,
	}}
	o.Pause = func() { time.Sleep(savePause) }
	if base && !c.AOFUseRDBPreamble {
		o.Record = journal.AppendRecord
	}
	return o
}

// savePause is how long a snapshot leaves the processor to others after each
// millisecond of work.
const savePause = 500 * time.Microsecond

// saveNow writes a snapshot; tx holds all shards, or is nil.
func (s *Server) saveNow(tx *store.Tx) error {
	p := &s.persist
	p.saving.Lock()
	defer p.saving.Unlock()
	c, o := s.Config(), s.snapshotOptions(false)
	write := func(w io.Writer) error { return tx.WriteSnapshot(o, syncSome(w, c.RDBSaveIncrementalFsync)) }
	dirty := s.counters.dirty.Load()
	if tx == nil {
		p.cutting.Lock()
		defer p.cutting.Unlock()
		tx := s.lockAll()
		dirty = s.counters.dirty.Load()
		snapshot := tx.Cut(o)
		tx.Unlock()
		defer snapshot.Close()
		write = func(w io.Writer) error {
			return s.writeCut(&p.save, snapshot, syncSome(w, c.RDBSaveIncrementalFsync))
		}
	}
	err := c.MakeDir()
	if err == nil {
		err = journal.WriteFile(journal.Dir(c.Dir), c.DBFileName, write)
	}
	if err != nil {
		s.log.Error("no snapshot was written", "file", c.DBFileName, "error", err)
		return err
	}
	p.atSave.Store(dirty)
	return nil
}

// saveInTurn writes a snapshot after the one that may be running. It is taken
// note of like others, so that nobody who holds all data waits for it.
func (s *Server) saveInTurn() error {
	for !s.persist.save.begin(s.now()) {
		time.Sleep(time.Millisecond)
	}
	err := s.saveNow(nil)
	s.endSave(err)
	return err
}

// writeCut writes a snapshot while others go on, and shows how far it is. The
// caller holds cutting.
func (s *Server) writeCut(st *saveState, snapshot *store.Snapshot, w io.Writer) error {
	p := &s.persist
	p.current.Store(snapshot)
	p.setPolicy()
	err := snapshot.Save(w)
	p.current.Store(nil)
	p.setPolicy()
	_, _, early := snapshot.Progress()
	st.early.Store(early)
	return err
}

// setPolicy tells the log when to sync: not while a snapshot is written, if
// no-appendfsync-on-rewrite says so.
func (p *persistence) setPolicy() {
	if p.aof == nil {
		return
	}
	policy := journal.Policy(p.policy.Load())
	if p.lenient.Load() && p.current.Load() != nil {
		policy = journal.Never
	}
	p.aof.SetPolicy(policy)
}

// syncEvery is how many bytes of a snapshot are synced at a time, so that its
// end does not wait for all of them.
const syncEvery = 32 << 20

// syncSome returns w, syncing as it is written if on.
func syncSome(w io.Writer, on bool) io.Writer {
	f, ok := w.(interface{ Sync() error })
	if !on || !ok {
		return w
	}
	return &steadyWriter{w: w, sync: f.Sync}
}

type steadyWriter struct {
	w    io.Writer
	sync func() error
	n    int // bytes since the last sync
}

func (w *steadyWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	if w.n += n; err == nil && w.n >= syncEvery {
		w.n = 0
		err = w.sync()
	}
	return n, err
}

// endSave takes note of how a snapshot ended.
func (s *Server) endSave(err error) {
	s.persist.save.end(s.now(), err)
	s.refuseUnsaved(s.Config())
}

// refuseUnsaved refuses writes while snapshots fail that are asked for.
func (s *Server) refuseUnsaved(c *config.Config) {
	p := &s.persist
	p.unsaved.Store(c.StopWritesOnBgsaveError && len(c.Save) > 0 && p.save.failed.Load())
}

// refused returns what writes are told while the disk does not take them, ""
// while it does.
func (s *Server) refused() resp.Error {
	p := &s.persist
	switch {
	case p.failed.Load():
		return s.misconf()
	case p.unsaved.Load():
		return resp.ErrUnsaved
	}
	return ""
}

// saveInBackground starts a snapshot and reports whether none was running.
func (s *Server) saveInBackground() bool {
	p := &s.persist
	if !p.save.begin(s.now()) {
		return false
	}
	p.work.Add(1)
	go func() {
		defer p.work.Done()
		s.endSave(s.saveNow(nil))
	}()
	return true
}

// rewriteLogInBackground starts a rewrite of the log and reports whether none was
// running.
func (s *Server) rewriteLogInBackground() bool {
	p := &s.persist
	if !p.logging.TryLock() {
		return false
	}
	if !p.on.Load() { // switched off since the caller looked
		p.logging.Unlock()
		return false
	}
	p.rewrite.begin(s.now())
	p.work.Add(1)
	go func() {
		defer p.work.Done()
		defer p.logging.Unlock()
		if err := s.rewriteLogging(); err != nil {
			s.log.Error("the log was not rewritten", "error", err)
		}
	}()
	return true
}

// saveRetry is how long after a failed snapshot the next is due at the earliest.
const saveRetry = 5

// background starts what is due: what was asked for while something else was
// running, snapshots by option save, rewrites by the log's growth.
func (s *Server) background() {
	p, now := &s.persist, s.now().Unix()
	if p.save.running.Load() || p.rewrite.running.Load() {
		return
	}
	switch {
	case p.rewrite.due.Swap(false):
		if p.on.Load() {
			s.rewriteLogInBackground()
		}
	case p.save.due.Swap(false):
		s.saveInBackground()
	case s.savePoint(now):
		s.saveInBackground()
	case s.overgrown(now):
		s.rewriteLogInBackground()
	}
}

// savePoint tells whether option save asks for a snapshot.
func (s *Server) savePoint(now int64) bool {
	p := &s.persist
	changes := s.counters.dirty.Load() - p.atSave.Load()
	if changes <= 0 || p.save.failed.Load() && now-p.save.tried.Load() <= saveRetry {
		return false
	}
	for _, point := range s.Config().Save {
		if changes >= point.Changes && now-p.save.last.Load() > point.Seconds {
			s.log.Info("saving: enough has changed", "changes", changes, "seconds", point.Seconds)
			return true
		}
	}
	return false
}

// Rewrites by growth that fail are tried again at once rewriteTries times, then
// after a minute, and each time after twice as long, up to an hour.
const (
	rewriteTries    = 3
	rewriteDelay    = time.Minute
	rewriteDelayMax = time.Hour
)

// overgrown tells whether the log has grown so much that it is to be rewritten.
func (s *Server) overgrown(now int64) bool {
	p, c := &s.persist, s.Config()
	if c.AutoAOFRewritePercentage == 0 || p.aof == nil || !p.on.Load() || p.failed.Load() {
		return false
	}
	all, base := p.aof.Size()
	base = max(base, 1)
	if all < c.AutoAOFRewriteMinSize || all*100/base-100 < int64(c.AutoAOFRewritePercentage) {
		return false
	}
	if n := p.rewrite.inARow.Load(); n >= rewriteTries {
		wait := min(rewriteDelay<<min(n-rewriteTries, 10), rewriteDelayMax)
		if now-p.rewrite.tried.Load() < int64(wait/time.Second) {
			return false
		}
	}
	s.log.Info("rewriting the log: it has grown enough", "bytes", all, "base", base)
	return true
}
