package server

import (
	"synap/command"
	"synap/journal"
	"synap/resp"
)

// Commands of https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/.

func persistenceRows() []Row {
	const admin = command.NoAsyncLoad | command.Admin | command.NoScript
	row := func(name, usage, since, summary string, arity int, flags command.Flags, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Group: "server", Since: since, Summary: summary, Arity: arity, Flags: flags, Complexity: "O(1)",
		}, Session: run}
	}
	save := row("save", "", "1.0.0", "Writes a snapshot to disk, and lets everybody wait for it.", 1, admin|command.NoMulti|command.AllShards, save)
	save.Complexity = "O(N) where N is the number of keys of all databases"
	last := row("lastsave", "", "1.0.0", "Tells when the last snapshot was written, in Unix time.", 1, command.Loading|command.Stale|command.Fast, lastSave)
	last.Tips, last.Categories = []string{"nondeterministic_output"}, []string{"admin", "dangerous"}
	return []Row{
		save, last,
		row("bgsave", "[SCHEDULE]", "1.0.0", "Writes a snapshot to disk in the background.", -1, admin, saveInBackground),
		row("bgrewriteaof", "", "1.0.0", "Begins the log anew with the present data.", 1, admin, rewriteInBackground),
	}
}

func save(x *Session, c *command.Ctx) {
	s := x.srv
	st := &s.persist.save
	if !st.begin(s.now()) {
		c.Reply.Error(resp.ErrSaving)
		return
	}
	err := s.saveNow(c.Tx)
	s.endSave(err)
	if err != nil {
		c.Reply.ErrorText("ERR")
		return
	}
	c.Reply.OK()
}

func saveInBackground(x *Session, c *command.Ctx) {
	if len(c.Args) > 2 || len(c.Args) == 2 && !resp.EqualFold(c.Args[1], "SCHEDULE") {
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	p := &x.srv.persist
	switch inExec := c == &x.current.inner; {
	case p.save.running.Load():
		c.Reply.Error(resp.ErrSaving)
	case inExec || p.rewrite.running.Load() && len(c.Args) == 2:
		p.save.due.Store(true)
		c.Reply.Status("Background saving scheduled")
	case p.rewrite.running.Load():
		c.Reply.Error(resp.ErrRewritingNow)
	case x.srv.saveInBackground():
		c.Reply.Status("Background saving started")
	default:
		c.Reply.Error(resp.ErrSaving)
	}
}

func lastSave(x *Session, c *command.Ctx) { c.Reply.Int(x.srv.persist.save.last.Load()) }

func rewriteInBackground(x *Session, c *command.Ctx) {
	s, p := x.srv, &x.srv.persist
	switch {
	case !p.on.Load() || p.aof == nil:
		c.Reply.Error(resp.ErrLogOff)
	case p.rewrite.running.Load():
		c.Reply.Error(resp.ErrRewriting)
	case c == &x.current.inner || p.save.running.Load():
		p.rewrite.due.Store(true)
		c.Reply.Status("Background append only file rewriting scheduled")
	case s.rewriteLogInBackground():
		c.Reply.Status("Background append only file rewriting started")
	default:
		c.Reply.Error(resp.ErrRewriting)
	}
}

// misconf is what a write is told while the log cannot be written.
func (s *Server) misconf() resp.Error {
	return resp.Misconf(s.persist.failure())
}

// failure says why the log takes no writes.
func (p *persistence) failure() string {
	if err := p.aof.Err(); err != nil {
		return err.Error()
	}
	return "the log was interrupted"
}

// debugReload is DEBUG RELOAD: a snapshot is written, everything forgotten, and
// the snapshot loaded.
func debugReload(x *Session, c *command.Ctx, _ [][]byte) {
	s, w := x.srv, x.current
	if !s.persist.save.begin(s.now()) { // who saves may be waiting for our locks
		c.Reply.Error(resp.ErrSaving)
		return
	}
	err := s.saveNow(c.Tx)
	s.endSave(err)
	if err != nil {
		c.Reply.ErrorText("ERR " + err.Error())
		return
	}
	s.reloadUnder(w, c, func(t *loadTarget) error {
		_, err := s.loadSnapshot(s.Config(), t)
		return err
	})
}

// debugLoadAOF is DEBUG LOADAOF: everything is forgotten and the log loaded.
func debugLoadAOF(x *Session, c *command.Ctx, _ [][]byte) {
	s, w := x.srv, x.current
	p := &s.persist
	if p.aof == nil || !p.on.Load() {
		c.Reply.Error(resp.ErrLoadLogOff)
		return
	}
	if !p.logging.TryLock() { // who rewrites may be waiting for our locks
		c.Reply.Error(resp.ErrRewriting)
		return
	}
	defer p.logging.Unlock()
	p.aof.WriteAll()
	s.reloadUnder(w, c, func(t *loadTarget) error {
		_, err := journal.Load(p.disk, s.logFiles(), false, t)
		return err
	})
}

// reloadUnder replaces all data, which the worker holds, by what load loads.
func (s *Server) reloadUnder(w *worker, c *command.Ctx, load func(*loadTarget) error) {
	logged := w.tx.Logged
	s.persist.loadStarted.Store(s.now().Unix())
	s.persist.loading.Store(true)
	w.tx.Logged = false
	w.tx.Flush(-1)
	w.tx.ResetChanges()
	err := load(s.newLoadTarget(w))
	w.tx.ResetChanges()
	w.tx.Logged = logged
	s.persist.loading.Store(false)
	if err != nil {
		s.log.Error("the data was not reloaded", "error", err)
		c.Reply.ErrorText("ERR Error trying to load the data: " + err.Error())
		return
	}
	c.Reply.OK()
}
