package server

import (
	"time"

	"synap/command"
	"synap/resp"
	"synap/store"
)

// transaction is what MULTI collects until EXEC.
type transaction struct {
	queued  []queuedCommand
	bytes   int64
	spoiled bool // a command was refused while queueing: EXEC aborts
	writes  bool // some command may write
	grows   bool // some command may grow memory
}

type queuedCommand struct {
	cmd  *command.Command
	args [][]byte
}

// queuedOverhead is what a queued command costs beside its bytes, for the
// query-buffer limit.
const queuedOverhead = 64

func multiRows() []Row {
	return []Row{
		{Row: command.Row{
			Name: "multi", Usage: "", Group: "transactions", Since: "1.2.0", Arity: 1,
			Summary:    "Starts a transaction.",
			Complexity: "O(1)",
			// Commands after a refused MULTI would run one by one.
			Flags: command.NoScript | command.Loading | command.Stale | command.Fast | command.AllowBusy | command.RunsInMulti | command.NeverLimit,
		}, Session: multiBegin},
		{Row: command.Row{
			Name: "exec", Usage: "", Group: "transactions", Since: "1.2.0", Arity: 1,
			Summary:    "Runs every queued command of the transaction.",
			Complexity: "Depends on commands in the transaction",
			Flags:      command.NoScript | command.Loading | command.Stale | command.SkipSlowlog | command.RunsInMulti | command.NeverLimit,
		}, Session: multiExec},
		{Row: command.Row{
			Name: "discard", Usage: "", Group: "transactions", Since: "2.0.0", Arity: 1,
			Summary:    "Forgets the queued commands and ends the transaction.",
			Complexity: "O(N), when N is the number of queued commands",
			Flags:      command.NoScript | command.Loading | command.Stale | command.Fast | command.AllowBusy | command.RunsInMulti | command.NeverLimit,
		}, Session: multiDiscard},
		{Row: command.Row{
			Name: "watch", Usage: "key [key ...]", Group: "transactions", Since: "2.2.0", Arity: -2,
			Summary:    "Lets the next transaction run only if the keys stay untouched.",
			Complexity: "O(1) for every key.",
			Flags:      command.NoScript | command.Loading | command.Stale | command.Fast | command.AllowBusy | command.RunsInMulti,
			Keys:       []command.KeySpec{{Flags: command.RO, Begin: 1, Last: -1, Step: 1}},
		}, Session: multiWatch},
		{Row: command.Row{
			Name: "unwatch", Usage: "", Group: "transactions", Since: "2.2.0", Arity: 1,
			Summary:    "Forgets the watched keys.",
			Complexity: "O(1)",
			Flags:      command.NoScript | command.Loading | command.Stale | command.Fast | command.AllowBusy,
		}, Session: func(x *Session, c *command.Ctx) {
			x.unwatch()
			c.Reply.OK()
		}},
	}
}

func multiBegin(x *Session, c *command.Ctx) {
	if x.multi != nil {
		c.Reply.Error(resp.ErrNestedMulti)
		return
	}
	x.multi = &transaction{}
	x.pub.multi.Store(0)
	c.Reply.OK()
}

// queue keeps a command for EXEC.
func (x *Session) queue(w *worker, cmd *command.Command, args [][]byte) resp.Next {
	kept := copyArgs(args)
	m := x.multi
	m.queued = append(m.queued, queuedCommand{cmd, kept})
	m.bytes += queuedOverhead
	m.writes = m.writes || cmd.HasFlag(command.Write|command.MayReplicate)
	m.grows = m.grows || cmd.HasFlag(command.DenyOOM)
	for _, a := range kept {
		m.bytes += int64(len(a)) + 24
	}
	x.pub.multi.Store(int32(len(m.queued)))
	x.pub.multiMem.Store(m.bytes)
	x.out.Status("QUEUED")
	if int64(x.input)+m.bytes > x.srv.Config().ClientQueryBufferLimit {
		x.srv.counters.queryLimit.Add(1)
		x.closing = true
		return resp.Close
	}
	w.last = w.watch.Now()
	return x.next()
}

// multiBytes is the memory of the queued commands.
func (x *Session) multiBytes() int64 {
	if x.multi == nil {
		return 0
	}
	return x.multi.bytes
}

// endMulti leaves the transaction state and returns what was queued.
func (x *Session) endMulti() *transaction {
	m := x.multi
	x.multi = nil
	x.pub.multi.Store(-1)
	x.pub.multiMem.Store(0)
	return m
}

func multiDiscard(x *Session, c *command.Ctx) {
	if x.multi == nil {
		c.Reply.Error(resp.ErrDiscardNoMulti)
		return
	}
	x.endMulti()
	x.unwatch()
	c.Reply.OK()
}

func multiWatch(x *Session, c *command.Ctx) {
	if x.multi != nil {
		c.Reply.Error(resp.ErrWatchInMulti)
		return
	}
	for _, key := range c.Args[1:] {
		c.Tx.Kind(key, store.Peek) // a key that has expired is gone before it is watched
	}
	x.srv.settleExpired(x.current, x.db)
	if x.watched == nil {
		x.watched = make(map[watchedKey]*store.Watch)
	}
	for _, key := range c.Args[1:] {
		id := watchedKey{x.db, string(key)}
		if x.watched[id] != nil {
			continue
		}
		watch := &store.Watch{Dirty: &x.dirty, DB: x.db, Key: append([]byte(nil), key...)}
		c.Tx.AddWatch(watch)
		x.watched[id] = watch
		x.pub.watchMem.Add(watchBytes + 2*int64(len(key)))
	}
	x.pub.watch.Store(int32(len(x.watched)))
	c.Reply.OK()
}

// watchedKey names a key that a session watches.
type watchedKey struct {
	db  int
	key string
}

// watchBytes is about what a watched key costs beside its name: the watch and
// its places in the maps of session and shard.
const watchBytes = 256

// settleExpired accounts for keys of a database that a look found expired.
func (s *Server) settleExpired(w *worker, db int) {
	if changes := w.tx.Changes(); len(changes) > 0 {
		w.inner.Reset()
		s.commit(w, &w.inner, nil, nil, db, changes)
		w.tx.ResetChanges()
	}
}

// unwatch forgets the watched keys; no shard may be locked. Inside EXEC there
// is nothing left to forget.
func (x *Session) unwatch() {
	if len(x.watched) > 0 {
		w := x.current
		x.srv.store.Begin(&w.tx, x.db, w.now()/int64(time.Millisecond))
		for _, watch := range x.watched {
			w.tx.Want(watch.DB, watch.Key)
		}
		w.tx.Lock()
		x.dropWatches(w)
		w.tx.Unlock()
	}
	x.dirty.Store(false)
}

// dropWatches is unwatch with the watched keys' shards held.
func (x *Session) dropWatches(w *worker) {
	for _, watch := range x.watched {
		w.tx.Use(watch.DB)
		w.tx.RemoveWatch(watch)
	}
	x.watched = nil
	x.pub.watch.Store(0)
	x.pub.watchMem.Store(0)
	x.dirty.Store(false)
}

func multiExec(x *Session, c *command.Ctx) {
	if x.multi == nil {
		c.Reply.Error(resp.ErrExecNoMulti)
		return
	}
	m := x.endMulti()
	if m.spoiled {
		x.unwatch()
		c.Reply.Error(resp.ErrExecAbort)
		return
	}
	w := x.current
	x.lockTransaction(w, m)
	if x.touched(w) {
		x.dropWatches(w)
		c.Reply.NullArray()
		return
	}
	x.dropWatches(w)
	x.runTransaction(w, m, c.Reply)
}

// lockTransaction takes the union of the shards of the queued commands and the
// watched keys.
func (x *Session) lockTransaction(w *worker, m *transaction) {
	x.srv.store.Begin(&w.tx, x.db, w.now()/int64(time.Millisecond))
	db := x.db
	for i := range m.queued {
		q := &m.queued[i]
		if q.cmd.HasFlag(command.AllShards) || q.cmd.HasFlag(command.Walks) {
			w.tx.WantAll()
			continue
		}
		if q.cmd.Name == selectName && len(q.args) == 2 {
			if n, ok := resp.ParseInt(q.args[1]); ok && n >= 0 && int(n) < x.srv.Config().Databases {
				db = int(n)
			}
			continue
		}
		w.want(db, q.cmd, q.args)
	}
	for _, watch := range x.watched {
		w.tx.Want(watch.DB, watch.Key)
	}
	w.tx.Lock()
}

// selectName is the one command that changes the database a queued command
// works on.
const selectName = "select"

// touched tells whether a watched key was changed, or has expired since.
func (x *Session) touched(w *worker) bool {
	for _, watch := range x.watched {
		w.tx.Use(watch.DB)
		w.tx.Kind(watch.Key, store.Peek)
		x.srv.settleExpired(w, watch.DB)
	}
	w.tx.Use(x.db)
	return x.dirty.Load()
}

// runTransaction runs the queued commands under the locks; they are one unit
// of the log. Whom they made ready is served after the last.
func (x *Session) runTransaction(w *worker, m *transaction, reply *resp.Reply) {
	s := x.srv
	w.whole = true
	reply.Array(len(m.queued))
	for i := range m.queued {
		q := &m.queued[i]
		w.tx.Use(x.db)
		errs := reply.Errors()
		s.call(w, &w.inner, x, q.cmd, q.args, reply)
		if b := w.inner.Blocked(); b.Keys != nil {
			b.Refuse(reply)
		}
		s.account(w, &w.inner, x, q.cmd, q.args, reply, errs)
		w.innerErrors += reply.Errors() - errs
	}
	w.whole = false
	if s.journal != nil {
		w.flushUnit(s)
	}
	w.tx.Use(x.db)
}
