package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"synap/config"
	"synap/journal"
	"synap/store"
)

// persistence is the server's part in durability: it opens and closes the log,
// takes snapshots, and answers for failures.
type persistence struct {
	disk journal.Disk // the directory of the log, fixed at start
	aof  *journal.AOF // nil with Options.Journal
	lock io.Closer    // nil: nobody else need be kept out

	logging sync.Mutex // held while the log is switched or rewritten
	saving  sync.Mutex // held while a snapshot is written
	cutting sync.Mutex // held while data is written as of a cut; the last of the three

	loading     atomic.Bool
	loadStarted atomic.Int64 // unix seconds
	loadTotal   atomic.Int64 // bytes
	loadDone    atomic.Int64

	failed     atomic.Bool // the log takes no writes: MISCONF
	recovering atomic.Bool
	on         atomic.Bool // appendonly is in force; changes under logging
	wanted     atomic.Bool // … is to be
	opened     atomic.Bool // the data is loaded: wanted is followed at once
	work       sync.WaitGroup

	save    saveState
	rewrite saveState
	dumped  saveState                      // snapshots for SYNC
	current atomic.Pointer[store.Snapshot] // being written; nil: none
	unsaved atomic.Bool                    // no writes until a snapshot succeeds: MISCONF
	policy  atomic.Uint32                  // journal.Policy that appendfsync asks for
	lenient atomic.Bool                    // no-appendfsync-on-rewrite
	loaded  atomic.Int64                   // keys of the snapshot loaded last
	expired atomic.Int64                   // … that were dropped
	disked  diskWork
	atSave  atomic.Int64 // counters.dirty at the last snapshot
	noSave  atomic.Bool  // SHUTDOWN NOSAVE
	forced  atomic.Bool  // SHUTDOWN SAVE
}

// lockName is a file that keeps other processes from using the data directory.
const lockName = "synap.lock"

// saveState is what INFO tells of snapshots or rewrites.
type saveState struct {
	running atomic.Bool
	started atomic.Int64 // unix seconds
	took    atomic.Int64 // seconds, -1 = never
	failed  atomic.Bool
	last    atomic.Int64 // unix seconds of the last success
	tried   atomic.Int64 // … of the last end
	count   atomic.Int64 // successes
	errors  atomic.Int64
	inARow  atomic.Int64 // failures since the last success
	early   atomic.Int64 // bytes the last one wrote because they were about to change
	due     atomic.Bool  // asked for while another was running
}

func (st *saveState) begin(now time.Time) bool {
	if !st.running.CompareAndSwap(false, true) {
		return false
	}
	st.started.Store(now.Unix())
	return true
}

func (st *saveState) end(now time.Time, err error) {
	st.took.Store(now.Unix() - st.started.Load())
	st.failed.Store(err != nil)
	st.tried.Store(now.Unix())
	if err == nil {
		st.last.Store(now.Unix())
		st.count.Add(1)
		st.inARow.Store(0)
	} else {
		st.errors.Add(1)
		st.inARow.Add(1)
	}
	st.running.Store(false)
}

func (s *Server) newPersistence(c *config.Config) {
	p := &s.persist
	p.disk = journal.Dir(c.Dir)
	p.save.last.Store(s.started.Unix())
	p.save.took.Store(-1)
	p.rewrite.took.Store(-1)
	if s.journal != nil {
		s.store.SetLogged(true)
	} else {
		p.aof = journal.NewAOF(p.disk, s.logFiles(), s.logFailed)
		p.aof.Watch(s.watchDisk)
		s.journal = p.aof
	}
	s.journal.Notify(s.openGates)
}

func (s *Server) logFiles() journal.Files {
	c := s.opts.Config
	return journal.Files{Dir: c.AppendDirName, Name: c.AppendFileName}
}

// openData loads what is on disk and begins the log. Clients are told LOADING
// meanwhile.
func (s *Server) openData() error {
	p, c := &s.persist, s.Config()
	if c.AppendOnly || len(c.Save) > 0 {
		lock, err := p.disk.Lock(lockName)
		if err != nil {
			return fmt.Errorf("the data directory %s cannot be used: %w; --dir names another", c.Dir, err)
		}
		p.lock = lock
	}
	start := time.Now()
	found, err := s.load(c)
	if err != nil {
		return err
	}
	if found {
		keys := 0
		for db := range s.store.Databases() {
			keys += s.store.DBSize(db)
		}
		s.log.Info("data loaded from disk", "keys", keys, "seconds", time.Since(start).Seconds())
	}
	s.counters.dirty.Store(0)
	if p.aof != nil && c.AppendOnly && !p.on.Load() {
		if err := s.rewriteLog(); err != nil {
			return fmt.Errorf("the log cannot be begun: %w", err)
		}
	}
	return nil
}

// closeData writes what is still to be written. It is called when nothing runs
// any more.
func (s *Server) closeData() error {
	p := &s.persist
	p.work.Wait()
	var errs []error
	if p.loading.Load() { // what is there is not the data
		p.forced.Store(false)
		p.noSave.Store(true)
	}
	if p.forced.Load() || len(s.Config().Save) > 0 && !p.noSave.Load() {
		p.save.begin(s.now())
		tx := s.lockAll()
		err := s.saveNow(tx)
		tx.Unlock()
		s.endSave(err)
		if err != nil {
			errs = append(errs, fmt.Errorf("the last snapshot: %w", err))
		} else {
			s.log.Info("shutting down: snapshot written")
		}
	}
	if p.aof != nil && p.on.Load() {
		if err := p.aof.Close(); err != nil {
			errs = append(errs, fmt.Errorf("the log: %w", err))
		} else {
			s.log.Info("shutting down: log synced")
		}
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	return errors.Join(errs...)
}

// applyPersistence takes over the live options.
func (s *Server) applyPersistence(c *config.Config) {
	p := &s.persist
	s.refuseUnsaved(c)
	if p.aof == nil {
		return
	}
	p.policy.Store(uint32(map[string]journal.Policy{"always": journal.Always, "everysec": journal.EverySecond, "no": journal.Never}[c.AppendFsync]))
	p.lenient.Store(c.NoAppendFsyncOnRewrite)
	p.setPolicy()
	if p.wanted.Swap(c.AppendOnly) != c.AppendOnly && p.opened.Load() {
		s.followOption()
	}
}

// followOption switches the log on or off, whichever was asked for last.
func (s *Server) followOption() {
	p := &s.persist
	p.work.Add(1)
	go func() {
		defer p.work.Done()
		p.logging.Lock()
		defer p.logging.Unlock()
		switch on := p.wanted.Load(); {
		case !on:
			s.endLog()
		case !p.on.Load():
			s.beginLog()
		}
	}()
}

// beginLog begins the log of a server that runs. It needs logging.
func (s *Server) beginLog() {
	err := s.Config().MakeDir()
	if err == nil {
		s.persist.rewrite.begin(s.now())
		err = s.rewriteLogging()
	}
	if err != nil {
		s.log.Error("the log cannot be begun", "error", err)
		s.logFailed(err)
	}
}

// endLog switches the log off. It needs logging.
func (s *Server) endLog() {
	p := &s.persist
	if !p.on.Load() {
		p.failed.Store(false) // what could not be begun is wanted no more
		return
	}
	tx := s.lockAll()
	s.store.SetLogged(false)
	p.on.Store(false)
	tx.Unlock()
	s.logSwitchedOff()
	if err := p.aof.Close(); err != nil {
		s.log.Error("the log was not closed well", "error", err)
	}
	p.failed.Store(false)
	s.log.Info("appendonly is off: nothing is logged any more")
}

// lockAll holds all data still.
func (s *Server) lockAll() *store.Tx {
	tx := new(store.Tx)
	s.store.Begin(tx, 0, s.now().UnixMilli())
	tx.WantAll()
	tx.Lock()
	return tx
}

// rewriteLog makes a new base of all data and logs what comes after it, whether
// or not anything was logged before. No shard may be locked.
func (s *Server) rewriteLog() error {
	p := &s.persist
	p.logging.Lock()
	defer p.logging.Unlock()
	if !p.wanted.Load() { // switched off since
		return nil
	}
	p.rewrite.begin(s.now())
	return s.rewriteLogging()
}

// rewriteLogging ends a rewrite that has begun. It needs logging.
func (s *Server) rewriteLogging() error {
	err := s.rewriteLocked()
	s.persist.rewrite.end(s.now(), err)
	return err
}

func (s *Server) rewriteLocked() error {
	p := &s.persist
	rewrite, err := p.aof.BeginRewrite()
	if err != nil {
		return err
	}
	first := !p.on.Load()
	p.cutting.Lock()
	defer p.cutting.Unlock()
	tx := s.lockAll()
	rewrite.Cut()
	s.store.SetLogged(true)
	p.on.Store(true)
	o := s.snapshotOptions(true)
	if p.loading.Load() { // nobody is served yet
		o.Pause = nil
	}
	snapshot := tx.Cut(o)
	tx.Unlock()
	defer snapshot.Close()
	if first {
		p.aof.Start()
	}
	rewrite.Commands = o.Record != nil
	err = rewrite.Commit(func(w io.Writer) error {
		return s.writeCut(&p.rewrite, snapshot, syncSome(w, s.Config().AOFRewriteIncrementalFsync))
	})
	if err != nil {
		return err
	}
	p.failed.Store(false)
	if p.aof.Err() != nil { // it has failed again by now
		p.failed.Store(true)
	}
	return nil
}

// logFailed takes note that the log takes no more writes, and tries to begin it
// anew until that succeeds.
func (s *Server) logFailed(err error) {
	p := &s.persist
	p.failed.Store(true)
	p.disked.failures.Add(1)
	s.log.Error("the log cannot be written: writes are refused until a new base is on disk", "error", err)
	if p.recovering.Swap(true) {
		return
	}
	p.work.Add(1)
	go func() {
		defer p.work.Done()
		for again := true; again; {
			again = s.recoverLog()
			p.recovering.Store(false)
			again = again && p.failed.Load() && !p.recovering.Swap(true) // it may have failed since
		}
	}()
}

// recoverLog tries to begin the log anew, ever more seldom, until that succeeds
// or the server ends; then it returns false.
func (s *Server) recoverLog() bool {
	p := &s.persist
	for wait := 50 * time.Millisecond; p.failed.Load(); wait = min(2*wait, time.Second) {
		select {
		case <-s.stopCron:
			return false
		case <-time.After(wait):
		}
		if err := s.rewriteLog(); err != nil {
			s.log.Error("the log cannot be begun anew", "error", err)
			continue
		}
		if p.on.Load() {
			s.log.Info("the log was begun anew: writes are accepted again")
		}
	}
	return true
}

// missing tells whether err says that there is no such file.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrNotExist) }
