package server

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"synap/config"
	"synap/journal"
	"synap/resp"
	"synap/store"
)

// load reads the log if there is one and it is on, else the snapshot. It reports
// whether anything was there.
func (s *Server) load(c *config.Config) (found bool, err error) {
	p := &s.persist
	t := s.newLoadTarget(nil)
	if p.aof != nil && c.AppendOnly {
		if err := s.logFiles().Adopt(p.disk); err != nil {
			return false, err
		}
		l, err := journal.Load(p.disk, s.logFiles(), c.AOFLoadTruncated, t)
		if err != nil {
			return false, explain(err)
		}
		if l.Found {
			if l.Cut > 0 {
				s.log.Warn("the log ends in an unfinished write, which was cut off", "file", l.CutFrom, "bytes", l.Cut)
			}
			if err := p.aof.Resume(l); err != nil {
				return false, err
			}
			s.store.SetLogged(true)
			p.on.Store(true)
			p.aof.Start()
			return true, nil
		}
	}
	return s.loadSnapshot(c, t)
}

// explain says what to do about damage.
func explain(err error) error {
	var damage *journal.DamageError
	if errors.As(err, &damage) {
		return fmt.Errorf("%w; nothing was loaded or changed: restore the file from a copy, or see what is damaged with synap --check-aof", err)
	}
	return err
}

// loadSnapshot reads the file that SAVE writes.
func (s *Server) loadSnapshot(c *config.Config, t *loadTarget) (bool, error) {
	data, release, err := journal.Dir(c.Dir).Read(c.DBFileName)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer release()
	t.Begin(int64(len(data)))
	t.now = s.now().UnixMilli()
	if n, err := t.Snapshot(data); err != nil {
		return false, fmt.Errorf("%s is damaged at offset %d: %w; restore it from a copy, or move it away to start empty", c.DBFileName, n, err)
	}
	return true, nil
}

// loadTarget is what a log or a snapshot is loaded into: the one function that
// runs commands, with expiry off.
type loadTarget struct {
	s     *Server
	w     *worker
	held  *store.Tx // w's, if it holds all shards; nil: locks are taken for each step
	reply resp.Reply
	now   int64 // keys of a snapshot that expire until then are dropped
	said  time.Time
}

// newLoadTarget returns a target for the worker that holds all shards, or for
// one of its own.
func (s *Server) newLoadTarget(holder *worker) *loadTarget {
	t := &loadTarget{s: s, w: holder, said: time.Now()}
	if holder == nil {
		t.w = s.newWorker(0)
	} else {
		t.held = &holder.tx
	}
	t.reply.SetProto(2)
	return t
}

// loadStep is how many keys of a snapshot are loaded under one hold of the locks.
const loadStep = 1000

// Snapshot implements journal.Target.
func (t *loadTarget) Snapshot(data []byte) (int, error) {
	r := store.NewSnapshotReader(data, t.now)
	r.Unsure = !t.s.Config().RDBChecksum
	for more := true; more; {
		if t.ended() {
			return r.Offset(), ErrLoadEnded
		}
		tx := t.held
		if tx == nil {
			tx = t.s.lockAll()
		}
		saved := tx.Now
		tx.Now = 0
		var err error
		before := r.Offset()
		more, err = r.Load(tx, loadStep)
		tx.Now = saved
		if t.held == nil {
			tx.Unlock()
		}
		if err != nil {
			return r.Offset(), err
		}
		t.Progress(r.Offset() - before)
	}
	t.s.persist.loaded.Store(int64(r.Keys))
	t.s.persist.expired.Store(int64(r.Expired))
	if r.Skipped > 0 {
		t.s.log.Warn("the snapshot holds functions, which are not supported: they were left out", "libraries", r.Skipped)
	}
	return r.Offset(), nil
}

// Run implements journal.Target.
func (t *loadTarget) Run(db int, args [][]byte) error {
	s, w := t.s, t.w
	cmd, unknown := s.table.Resolve(args)
	switch {
	case unknown != "":
		return errors.New(string(unknown))
	case !cmd.ArityOK(len(args)), cmd.Run == nil, db >= s.store.Databases():
		return errors.New("it cannot be repeated")
	}
	if t.ended() {
		return ErrLoadEnded
	}
	if t.held == nil {
		s.lock(w, db, cmd, args)
		defer w.tx.Unlock()
	}
	now, here := w.tx.Now, w.tx.DB()
	w.tx.Now = 0 // nothing expires: a later record may still speak of it
	w.tx.Use(db)
	t.reply.Reset()
	errs := t.reply.Errors()
	s.call(w, &w.inner, nil, cmd, args, &t.reply)
	w.tx.Now = now
	w.tx.Use(here)
	if t.reply.Errors() != errs {
		return errors.New(strings.TrimSpace(strings.TrimPrefix(string(t.reply.Bytes()), "-")))
	}
	return nil
}

// ErrLoadEnded is returned by Start when the server was told to end while it
// loaded its data.
var ErrLoadEnded = errors.New("the load was ended")

// ended tells whether a load at start is to go no further.
func (t *loadTarget) ended() bool { return t.held == nil && t.s.draining.Load() }

// Begin implements journal.Target.
func (t *loadTarget) Begin(total int64) {
	t.s.persist.loadTotal.Store(total)
	t.s.persist.loadDone.Store(0)
}

// Progress implements journal.Target.
func (t *loadTarget) Progress(n int) {
	p := &t.s.persist
	p.loadDone.Add(int64(n))
	if now := time.Now(); now.Sub(t.said) >= 2*time.Second {
		t.said = now
		t.s.log.Info("loading", "percent", fmt.Sprintf("%.1f", p.loadedPercent()), "remaining_seconds", p.loadETA(now))
	}
}

func (p *persistence) loadedPercent() float64 {
	total := p.loadTotal.Load()
	if total == 0 {
		return 0
	}
	return min(100, 100*float64(p.loadDone.Load())/float64(total))
}

// loadETA returns the seconds that loading will take yet, 1 while nobody knows.
func (p *persistence) loadETA(now time.Time) int64 {
	done, total := p.loadDone.Load(), p.loadTotal.Load()
	if done == 0 || done >= total {
		return 1
	}
	took := float64(now.Unix() - p.loadStarted.Load())
	return int64(took * float64(total-done) / float64(done))
}
