package server

import (
	"runtime/debug"
	"sync/atomic"

	"synap/command"
	"synap/limiter"
	"synap/metrics"
	"synap/resp"
	"synap/store"
)

// replyMode is CLIENT REPLY's state.
type replyMode uint8

const (
	replyOn replyMode = iota
	replyOff
	replySkipNext // CLIENT REPLY SKIP was answered by nothing; the next command is muted
	replySkipping
)

// Session is one connection's state. It belongs to its loop: only fields of
// types from sync/atomic may be touched by others, who otherwise post a task.
type Session struct {
	srv     *Server
	conn    resp.Conn
	out     resp.Reply
	own     *worker // the loop's; on the redcon door one borrowed for a batch, else nil
	current *worker // runs the present request

	leases leases

	id    int64
	db    int
	user  string
	authd bool

	name, libName, libVer string

	reply      replyMode
	closing    bool // no further request runs
	authWaited bool // the present AUTH has served its wait
	again      bool // the present request was parked before it ran
	multi      *transaction
	watched    map[watchedKey]*store.Watch
	dirty      atomic.Bool // a watched key was touched
	sub        *subscriber // nil until the first SUBSCRIBE or MONITOR
	parked     *parked
	migration  *migration // the MIGRATE that runs
	bucket     *limiter.Handle
	input      int // bytes the door holds for us
	limits     *resp.Limits
	birth      int64 // Monotonic at open

	traceparent *metrics.TraceParent // cause of the next command; nil: none

	blocked      atomic.Pointer[blocked]
	gate         uint64                     // sequence of the newest log unit that the output depends on
	wrote        uint64                     // … that the session wrote
	subscription atomic.Pointer[subscriber] // sub, for other goroutines, who may also make it
	dump         *dumpReader                // SYNC waits for a snapshot, or sends one
	dumpOnly     bool                       // REPLCONF rdb-only
	replica      bool                       // it says that it is a server
	tracker      atomic.Pointer[tracker]    // set by the session's loop; nil until CLIENT TRACKING
	pub          published
}

// published is what CLIENT LIST, INFO and the cron read of a session.
type published struct {
	last     atomic.Int64 // Monotonic>>lastShift of the last request
	command  atomic.Int32 // ID of the last command, -1 none
	db       atomic.Int32
	flags    atomic.Uint32 // session flags, see clientFlags
	multi    atomic.Int32  // queued commands, -1 outside MULTI
	watch    atomic.Int32
	qbuf     atomic.Int64
	obuf     atomic.Int64
	multiMem atomic.Int64
	watchMem atomic.Int64
	sentMem  atomic.Int64 // bytes on their way by MIGRATE
	resp     atomic.Int32
	softFrom atomic.Int64 // Monotonic when the output passed the soft limit, 0 = not
	names    atomic.Pointer[clientNames]
	noEvict  atomic.Bool
	evicted  atomic.Bool // chosen to go for maxmemory-clients
}

// clientNames are the words a client gave itself.
type clientNames struct{ name, libName, libVer, user string }

// lastShift turns Monotonic nanoseconds into steps of about 67 ms: idle times
// are shown in seconds, and a step that rarely changes rarely costs a store.
const lastShift = 26

// Open implements resp.Handler.
func (s *Server) Open(c resp.Conn) (resp.Session, error) {
	cfg := s.Config()
	x := &Session{srv: s, conn: c, id: c.ID(), user: "default", authd: cfg.RequirePass == "", birth: resp.Monotonic()}
	if c.Door() == "loop" {
		x.own = s.loops[c.Loop()]
	}
	x.out.SetProto(2)
	if !c.Unix() {
		x.bucket = s.limiter.Attach(c.RemoteAddr().Addr(), x.birth)
		if err := x.bucket.Refused(); err != nil {
			s.limiter.Detach(x.bucket)
			return nil, err
		}
	}
	x.pub.command.Store(-1)
	x.pub.multi.Store(-1)
	x.pub.resp.Store(2)
	x.pub.names.Store(&clientNames{user: x.user})
	x.pub.last.Store(x.birth >> lastShift)
	s.counters.connections.Add(1)
	s.sessions.add(x)
	x.setLimits() // once it is in the list that applyConfig tells of others
	return x, nil
}

// setLimits takes over the limits of the moment: small ones before
// authentication.
func (x *Session) setLimits() {
	l := x.srv.limits.Load()
	if x.authd {
		x.limits = &l.frame
		x.out.SetLimit(int(l.outputOf(x.protected())))
	} else {
		x.limits = &l.unauthenticated
		x.out.SetLimit(int(l.unauthOutput))
	}
}

// Out implements resp.Session.
func (x *Session) Out() *resp.Reply { return &x.out }

// Limits implements resp.Session.
func (x *Session) Limits() *resp.Limits { return x.limits }

// Authenticated implements resp.Session.
func (x *Session) Authenticated() bool { return x.authd }

// Buffered implements resp.Session.
func (x *Session) Buffered(in int) {
	x.input = in
	if x.pub.qbuf.Load() != int64(in) {
		x.pub.qbuf.Store(int64(in))
	}
	limit := x.srv.Config().ClientQueryBufferLimit
	if !x.authd {
		limit = min(limit, unauthenticatedQuery)
	}
	if int64(in)+x.multiBytes() > limit {
		x.srv.counters.queryLimit.Add(1)
		x.conn.Kill()
	}
}

// unauthenticatedQuery is the most input kept of a client that has not
// authenticated (Redis' fixed 1 MB).
const unauthenticatedQuery = 1 << 20

// Fault implements resp.Session.
func (x *Session) Fault(err *resp.ProtocolError) {
	x.out.Mute(false)
	x.out.ErrorText("ERR " + err.Text)
	x.srv.countError(x.out.LastError())
	x.closing = true
}

// Deadline implements resp.Session.
func (x *Session) Deadline() int64 {
	if x.parked == nil {
		return 0
	}
	return x.parked.deadline
}

// Wake implements resp.Session.
func (x *Session) Wake() resp.Next {
	p := x.parked
	if p == nil {
		return resp.Continue
	}
	if p.deadline == 0 || resp.Monotonic() < p.deadline {
		return resp.Parked
	}
	return p.wake()
}

// Closed implements resp.Session.
func (x *Session) Closed() {
	x.closing = true
	x.srv.sessions.remove(x)
	if b := x.blocked.Load(); b != nil {
		b.waiter.Leave()
		x.unregister(b)
	}
	w := x.worker()
	x.unwatch()
	x.abandonMigration(w)
	x.giveBack(w)
	if tr := x.tracker.Load(); tr != nil {
		x.srv.tracking.leave(tr)
	}
	if sub := x.subscription.Load(); sub != nil {
		sub.close()
	}
	if x.dump != nil {
		close(x.dump.ended)
	}
	x.releaseLeases()
	x.srv.unpaused(x)
	if x.bucket != nil {
		x.srv.limiter.Detach(x.bucket)
	}
	x.multi = nil
	x.out.Reset()
	x.publishOutput()
	if x.gate != 0 {
		x.srv.gate.remove(x)
	}
}

// worker returns the scratch state for the calling goroutine.
func (x *Session) worker() *worker {
	if x.own != nil {
		x.current = x.own
		return x.own
	}
	w := x.srv.spare.Get().(*worker)
	w.loop = x.conn.Loop()
	w.begin(x.srv)
	x.current = w
	return w
}

func (x *Session) giveBack(w *worker) {
	if x.own == nil {
		x.srv.putBack(w)
	}
}

// Do implements resp.Session. A panic of a handler costs its client, not the
// process.
func (x *Session) Do(args [][]byte) (next resp.Next) {
	if x.closing {
		return resp.Close
	}
	w := x.worker()
	defer func() {
		if p := recover(); p != nil {
			next = x.panicked(w, args, p)
		}
		x.giveBack(w)
	}()
	next = x.request(w, args)
	if tr := x.tracker.Load(); tr != nil && tr.caching {
		x.endCaching(tr, args)
	}
	return next
}

func (x *Session) panicked(w *worker, args [][]byte, p any) resp.Next {
	w.tx.Unlock()
	if w.serving != nil { // nobody else would end its wait
		w.serving.session.conn.Kill()
	}
	x.srv.counters.panics.Add(1)
	x.srv.log.Error("panic while running a command", "command", string(args[0]), "panic", p, "stack", string(debug.Stack()))
	w.reset(x.srv)
	x.out.Mute(false)
	x.out.Error(resp.ErrInternal)
	x.closing = true
	return resp.Close
}

// request takes one request through every check to its execution, its place in
// a transaction, or its refusal.
func (x *Session) request(w *worker, args [][]byte) resp.Next {
	if step := w.last >> lastShift; x.pub.last.Load() != step {
		x.pub.last.Store(step)
	}
	if x.reply != replyOn && !x.again {
		x.muteNext()
	}
	x.again = false
	cmd, unknown := x.srv.table.Resolve(args)
	if unknown != "" {
		return x.refuseUnknown(w, args, unknown)
	}
	if x.pub.command.Load() != int32(cmd.ID) {
		x.pub.command.Store(int32(cmd.ID))
	}
	if x.bucket != nil && x.srv.limiter.Enabled() && cmd.Flags&command.NeverLimit == 0 {
		if next, refused := x.limit(w, cmd, args); refused {
			return next
		}
	}
	if !cmd.ArityOK(len(args)) || cmd.Run == nil && x.srv.handlers[cmd.ID] == nil {
		return x.refuse(w, cmd, resp.WrongArity(cmd.FullName))
	}
	if !x.authd && cmd.Flags&command.NoAuth == 0 {
		return x.refuse(w, cmd, resp.ErrNoAuth)
	}
	if next, refused := x.admit(w, cmd, args); refused {
		return next
	}
	if x.multi != nil && !cmd.HasFlag(command.RunsInMulti) {
		return x.queue(w, cmd, args)
	}
	return x.execute(w, cmd, args)
}

// muteNext moves CLIENT REPLY SKIP on by one command.
func (x *Session) muteNext() {
	switch x.reply {
	case replySkipNext:
		x.reply = replySkipping
		x.out.Mute(true)
	case replySkipping:
		x.reply = replyOn
		x.out.Mute(false)
	}
}

// refuseUnknown answers a name that is no command. POST and Host: are how a
// browser tricked into talking to us begins: no answer, closed.
func (x *Session) refuseUnknown(w *worker, args [][]byte, e resp.Error) resp.Next {
	if resp.EqualFold(args[0], "POST") || resp.EqualFold(args[0], "HOST:") {
		x.srv.warnCrossProtocol(x)
		x.closing = true
		return resp.Close
	}
	x.srv.counters.unknown.Add(1)
	if x.bucket != nil && x.srv.limiter.Enabled() {
		if next, refused := x.limit(w, nil, args); refused {
			return next
		}
	}
	return x.refuse(w, nil, e)
}

// refuse answers a command that was not run with e; inside MULTI that spoils
// the transaction.
func (x *Session) refuse(w *worker, cmd *command.Command, e resp.Error) resp.Next {
	if cmd != nil && cmd.Name == execName { // a refused EXEC ends its transaction
		x.current = w
		x.endMulti()
		x.unwatch()
		e = resp.ExecAborted(e)
	}
	if x.multi != nil {
		x.multi.spoiled = true
	}
	x.out.Error(e)
	x.srv.countError(e.Prefix())
	row := x.srv.commands.Unknown()
	if cmd != nil {
		row = cmd.ID
	}
	x.srv.commands.Reject(w.loop, row)
	if x.srv.tracer != nil {
		x.srv.traceRefused(w, x, cmd, e.Prefix())
	}
	return x.next()
}

// admit applies the states of server and session that may refuse a command.
func (x *Session) admit(w *worker, cmd *command.Command, args [][]byte) (resp.Next, bool) {
	f := cmd.Flags
	if f&command.Protected != 0 {
		if denied := x.srv.protectedDenied(cmd, x); denied != "" {
			return x.refuse(w, cmd, denied), true
		}
	}
	if x.multi != nil && f&command.NoMulti != 0 {
		return x.refuse(w, cmd, resp.ErrNotInTransaction), true
	}
	if x.srv.persist.loading.Load() && f&command.Loading == 0 {
		return x.refuse(w, cmd, resp.ErrLoading), true
	}
	if f&command.Write != 0 || cmd.Name == execName && x.multi != nil && x.multi.writes {
		if e := x.srv.refused(); e != "" {
			return x.refuse(w, cmd, e), true
		}
	}
	if x.srv.memory.tight.Load() && x.mayGrow(cmd) && !x.srv.makeRoom(w) {
		return x.refuse(w, cmd, resp.ErrOOM), true
	}
	if x.inSubscribeMode() && f&command.Subscribed == 0 {
		return x.refuse(w, cmd, resp.SubscribeContext(cmd.FullName)), true
	}
	if f&command.NoAuth != 0 {
		if wait := x.authWait(cmd, args); wait > 0 {
			return x.parkRequest(parkAuth, w.last+int64(wait), args), true
		}
	}
	if x.sub != nil && x.monitoring() && f&(command.ReadOnly|command.Write|command.MayReplicate) != 0 {
		return x.refuse(w, cmd, resp.ErrMonitorKeys), true
	}
	if x.srv.pause.active.Load() && x.srv.mustPause(x, cmd) && x.pauseFor(args) {
		return resp.Parked, true
	}
	return resp.Continue, false
}

// mayGrow tells whether cmd may grow memory: by itself, by being queued, or as
// the EXEC of commands that may.
func (x *Session) mayGrow(cmd *command.Command) bool {
	return cmd.HasFlag(command.DenyOOM) ||
		x.multi != nil && (!cmd.HasFlag(command.RunsInMulti) || cmd.Name == execName && x.multi.grows)
}

// next is what the door should do after a command that did not park.
func (x *Session) next() resp.Next {
	if x.out.Len() > outputShown || x.pub.obuf.Load() != 0 {
		x.publishOutput()
	}
	if x.out.Over() {
		x.srv.counters.outputLimit.Add(1)
		x.closing = true
	}
	if x.pub.evicted.Load() { // the rest of its pipeline would only add to what is owed
		x.closing = true
	}
	if x.closing {
		return resp.Close
	}
	return resp.Continue
}

// outputShown is the output from which on others are told of it.
const outputShown = 16 << 10

// publishOutput tells others how much output is owed. When all clients together
// owe more than maxmemory-clients, the largest are closed before it grows on.
func (x *Session) publishOutput() {
	n := int64(x.out.Len())
	if n <= outputShown {
		n = 0
	}
	all := x.srv.memory.output.Add(n - x.pub.obuf.Swap(n))
	if n == 0 {
		return
	}
	if limit := x.srv.memory.clientsLimit.Load(); limit > 0 && all > limit {
		x.srv.evictClients()
	}
}
