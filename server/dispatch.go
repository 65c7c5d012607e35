package server

import (
	"math/rand/v2"
	"slices"
	"time"

	"synap/command"
	"synap/journal"
	"synap/metrics"
	"synap/resp"
	"synap/store"
)

// worker is the scratch state of one goroutine that runs commands: a loop's
// own, or one borrowed for a request by a session of the redcon door. Nothing
// in it is shared, so that running a command allocates nothing.
type worker struct {
	loop  int
	ctx   command.Ctx // the request's
	inner command.Ctx // of a command inside EXEC, or of a waiter being served
	tx    store.Tx
	rand  *rand.Rand
	watch resp.Stopwatch
	last  int64 // Monotonic: end of the last command, start of the next
	wall  int64 // unix nanoseconds minus Monotonic, read once a batch

	keys  []command.KeyAt
	ready []readyKey
	unit  []journal.Record // of the open journal unit
	seq   uint64           // of the newest unit of this request, 0 = none
	whole bool             // the unit ends with EXEC, not with this command
	retry bool             // the command being called was blocked before

	serving *blocked // whose command is being called, if not the session's own

	pushed           bool // somebody got a message meanwhile, perhaps the session itself
	channel, payload []byte
	message          message
	broadcasts       []broadcast // changes that clients in broadcast mode are yet to be told of

	tally metrics.Tally // flushed before replies go

	innerErrors int // error replies of commands inside EXEC, which are counted as theirs alone
}

type readyKey struct {
	db  int
	key string
}

func (s *Server) newWorker(loop int) *worker {
	w := &worker{loop: loop, rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	w.tally = metrics.NewTally(s.commands, s.objects)
	w.begin(s)
	return w
}

// begin reads the clocks for the batch to come.
func (w *worker) begin(s *Server) {
	w.last = w.watch.Start()
	w.wall = s.clock().UnixNano() - w.last
}

// reset forgets what a panic may have left behind; the locks are released.
func (w *worker) reset(s *Server) {
	w.tally.Flush()
	*w = worker{loop: w.loop, rand: w.rand, tally: w.tally}
	w.begin(s)
}

// now is the wall clock at the start of the current command, in nanoseconds.
func (w *worker) now() int64 { return w.last + w.wall }

// BatchStart implements resp.Handler.
func (s *Server) BatchStart(loop int, x resp.Session) {
	if loop != resp.NoLoop {
		s.loops[loop].begin(s)
	} else if x, ok := x.(*Session); ok {
		x.own = x.worker()
	}
}

// putBack keeps a borrowed worker for others.
func (s *Server) putBack(w *worker) {
	w.tally.Flush()
	s.spare.Put(w)
}

// BatchEnd implements resp.Handler: the log and the counters get what is theirs
// before replies go.
func (s *Server) BatchEnd(loop int, x resp.Session) {
	if loop != resp.NoLoop {
		s.loops[loop].tally.Flush()
	} else if x, ok := x.(*Session); ok {
		s.putBack(x.own)
		x.own = nil
	}
	if s.journal != nil {
		s.journal.Flush()
	}
}

// execute locks what the request touches and runs it.
func (x *Session) execute(w *worker, cmd *command.Command, args [][]byte) resp.Next {
	s := x.srv
	errs, elements := x.out.Errors(), x.out.Elements()
	s.lock(w, x.db, cmd, args)
	s.call(w, &w.ctx, x, cmd, args, &x.out)
	if b := w.ctx.Blocked(); b.Keys != nil && x.parked == nil {
		return x.block(w, cmd, args, b)
	}
	return x.finish(w, cmd, args, errs, elements)
}

// finish counts what has run, serves whom it made ready and lets the locks go.
// The session's output had errs errors and so many elements before it.
func (x *Session) finish(w *worker, cmd *command.Command, args [][]byte, errs, elements int) resp.Next {
	s := x.srv
	if x.migration == nil || x.parked == nil { // else it goes on
		s.account(w, &w.ctx, x, cmd, args, &x.out, errs+w.innerErrors)
		w.innerErrors = 0
	}
	if len(w.ready) > 0 { // behind the account: whom it serves is charged its own time
		s.serveReady(w)
	}
	w.tx.Unlock()
	if len(w.broadcasts) > 0 {
		s.tellBroadcasts(w)
	}
	if w.pushed {
		x.readPushed(w)
	}
	if x.bucket != nil && s.limiter.CostsBySize() {
		x.bucket.ChargeElements(w.last, x.out.Elements()-elements)
	}
	if w.seq != 0 {
		x.gate, x.wrote, w.seq = w.seq, w.seq, 0
	}
	if x.parked != nil {
		return resp.Parked
	}
	return x.next()
}

// account counts a finished command; the shards are still locked, as the
// object tables need. reply had counted errs errors before it.
func (s *Server) account(w *worker, ctx *command.Ctx, x *Session, cmd *command.Command, args [][]byte, reply *resp.Reply, errs int) {
	failed := reply.Errors() != errs
	end := w.watch.Now()
	took := end - w.last
	w.last = end
	w.tally.Record(w.loop, cmd.ID, took, failed)
	if failed {
		s.countError(reply.LastError())
	}
	if s.objectOps[cmd.ID] {
		s.recordObjects(w, ctx, cmd, args, took, failed)
	}
	if s.tracer != nil {
		s.trace(w, x, cmd, args, took, failure(reply, errs))
	}
	if took >= s.slow.threshold.Load() || took >= s.latency.threshold.Load() {
		s.noteSlow(x, cmd, args, took, end+w.wall)
	}
}

// lock takes the shards of a request's keys, ascending.
func (s *Server) lock(w *worker, db int, cmd *command.Command, args [][]byte) {
	s.store.Begin(&w.tx, db, w.now()/int64(time.Millisecond))
	if i := cmd.OneKey(); i > 0 && cmd.Elsewhere == nil {
		w.tx.LockKey(args[i])
		return
	}
	if cmd.HasFlag(command.AllShards) {
		w.tx.WantAll()
		w.tx.Lock()
		return
	}
	if !cmd.HasKeys() && cmd.Elsewhere == nil {
		return
	}
	w.want(db, cmd, args)
	w.tx.Lock()
}

// want adds the shards of a request's keys to the set to be locked.
func (w *worker) want(db int, cmd *command.Command, args [][]byte) {
	w.keys, _ = cmd.Keys(args, w.keys[:0])
	for _, k := range w.keys {
		w.tx.Want(db, args[k.Index])
	}
	if cmd.Elsewhere != nil {
		cmd.Elsewhere(args, w.tx.Want)
	}
}

// call is the one function that runs commands: for clients, EXEC, waiters and
// replay. The shards are locked; x is nil at replay.
func (s *Server) call(w *worker, ctx *command.Ctx, x *Session, cmd *command.Command, args [][]byte, reply *resp.Reply) {
	ctx.Reset()
	ctx.Row, ctx.ID, ctx.Args, ctx.Reply = cmd.Row, cmd.ID, args, reply
	ctx.Tx, ctx.Rand, ctx.Conf = &w.tx, w.rand, s.conf.Load()
	ctx.Now = time.Unix(0, w.now())
	ctx.Retry = w.retry
	if ctx.Client = 0; x != nil {
		ctx.Client = uint64(x.conn.ID())
	}
	w.tx.Event = cmd.Event
	if w.tx.Event == "" {
		w.tx.Event = cmd.Name
	}
	w.tx.Still = x != nil && x.still(cmd)
	w.tx.Misses = s.events.Load()&uint32(missEvents) != 0
	if cmd.Flags&command.FreshTime != 0 { // its batch may be old, and it may have waited for the locks
		w.tx.Now = max(w.tx.Now, s.clock().UnixMilli())
	}
	db := w.tx.DB()
	if h := s.handlers[cmd.ID]; h != nil {
		w.tally.Flush() // INFO tells what went before it
		h(x, ctx)
	} else {
		cmd.Run(ctx)
	}
	if x != nil && !w.retry && cmd.Flags&command.ReadOnly != 0 {
		if tr := x.tracker.Load(); tr != nil {
			x.rememberKeys(w, tr, cmd, args)
		}
	}
	if s.broker.monitoring() && x != nil && !w.retry {
		s.feedMonitors(x, cmd, args, w.now())
	}
	if ctx.Leased() && x != nil {
		x.leased()
	}
	if changes := w.tx.Changes(); len(changes) > 0 {
		s.commit(w, ctx, x, args, db, changes)
		w.tx.ResetChanges()
	}
	w.tx.Use(db)
}

// readPushed moves messages that the command made for its own session behind
// its reply.
func (x *Session) readPushed(w *worker) {
	w.pushed = false
	if x.sub != nil {
		x.sub.drain(&x.out, x.muted())
	}
}

// commit turns the changes of one command into keyspace events, invalidations,
// journal records, WATCH marks and keys made ready, under the locks. x is nil if
// no client asked for the changes.
func (s *Server) commit(w *worker, ctx *command.Ctx, x *Session, args [][]byte, db int, changes []store.Change) {
	if s.persist.loading.Load() { // what is loaded is no news
		return
	}
	if on := s.events.Load(); on != 0 {
		s.notify(w, eventClass(on), changes)
		if changes = withoutMisses(changes); len(changes) == 0 {
			return
		}
	}
	if s.tracking.used() {
		s.invalidate(w, x, changes)
	}
	s.counters.dirty.Add(int64(len(changes)))
	if w.tx.Logged {
		s.record(w, ctx, args, db, changes)
	}
	s.forgetObjects(w, changes)
	s.recordLetters(changes)
	if !s.store.Waited() {
		return
	}
	for i := range changes {
		c := &changes[i]
		if c.Effect >= store.Flushed { // the store has marked the watches
			s.readyAfterSwap(w, c.DB)
			continue
		}
		w.tx.Use(c.DB)
		w.tx.TouchWatches(c.Key)
		if c.Effect != store.Reduced && c.Effect < store.FieldsExpired && len(w.tx.Waiters(c.Key)) > 0 {
			w.ready = append(w.ready, readyKey{c.DB, string(c.Key)})
		}
	}
	w.tx.Use(db)
}

// withoutMisses takes out what only notify needs to know.
func withoutMisses(changes []store.Change) []store.Change {
	return slices.DeleteFunc(changes, func(c store.Change) bool { return c.Effect == store.Missed })
}

// readyAfterSwap looks at the waiters of a database whose contents were
// exchanged: keys they wait for may have appeared.
func (s *Server) readyAfterSwap(w *worker, db int) {
	w.tx.Use(db)
	w.tx.EachWaited(func(key string) {
		w.ready = append(w.ready, readyKey{db, key})
	})
}

var delName, hdelName = []byte("DEL"), []byte("HDEL")

// record appends a command's effect to the open journal unit, and the unit to
// the log unless a transaction goes on. A key that only expired or was evicted
// is logged as DEL, fields that expired as HDEL; the command itself if it
// changed anything else.
func (s *Server) record(w *worker, ctx *command.Ctx, args [][]byte, db int, changes []store.Change) {
	own := false
	for i := range changes {
		switch c := &changes[i]; c.Effect {
		case store.Expired, store.Evicted:
			w.unit = append(w.unit, journal.Record{DB: c.DB, Args: copyArgs([][]byte{delName, c.Key})})
		case store.FieldsExpired:
			w.unit = append(w.unit, journal.Record{DB: c.DB, Args: copyArgs(append([][]byte{hdelName, c.Key}, c.Fields...))})
		case store.Reduced, store.Changed, store.Created:
			if c.Log == nil {
				own = true
				continue
			}
			w.unit = s.addRecord(w.unit, &w.tx, c.DB, w.kept(c.Log), nil)
		case store.Emptied:
			own = own || i == 0 || changes[i-1].Effect != store.FieldsExpired // whose HDEL takes the last field
		default:
			own = true
		}
	}
	records, typed := ctx.Records()
	if own && typed {
		records = [][][]byte{args}
	}
	for _, r := range records {
		w.unit = s.addRecord(w.unit, &w.tx, db, w.kept(r), changes)
	}
	if !w.whole {
		w.flushUnit(s)
	}
}

// kept returns a record for the open unit, which may outlive the request.
func (w *worker) kept(r [][]byte) [][]byte {
	if w.whole {
		return copyArgs(r)
	}
	return r
}

// flushUnit hands the open unit to the log.
func (w *worker) flushUnit(s *Server) {
	if len(w.unit) > 0 {
		w.seq = s.journal.Append(w.unit)
		clear(w.unit)
		w.unit = w.unit[:0]
	}
}

// copyArgs returns a copy that outlives the door's buffer, in two allocations.
func copyArgs(args [][]byte) [][]byte {
	n := 0
	for _, a := range args {
		n += len(a)
	}
	flat, out := make([]byte, 0, n), make([][]byte, len(args))
	for i, a := range args {
		from := len(flat)
		flat = append(flat, a...)
		out[i] = flat[from:len(flat):len(flat)]
	}
	return out
}
