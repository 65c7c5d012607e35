package server

import (
	"sync/atomic"
	"time"

	"synap/command"
	"synap/resp"
	"synap/store"
)

// Parked is one state of a session with a reason: it is not read, its door
// wakes it at the deadline, and others end it by posting a task. No code
// sleeps on a loop.
//
//	reason   set by                         ended by
//	block    a family's Block               a change of its keys, time-out, UNBLOCK, close
//	pause    CLIENT PAUSE                   UNPAUSE, its deadline
//	delay    the rate limiter               its deadline
//	auth     too many failed AUTHs          its deadline
//	sleep    DEBUG SLEEP                    its deadline
//	dump     SYNC                           the end of the snapshot
//	migrate  MIGRATE                        the target's answer or its time-out
type parked struct {
	reason   parkReason
	deadline int64            // Monotonic nanoseconds, 0 = none
	wake     func() resp.Next // on the session's loop, at the deadline or by unpark
}

type parkReason uint8

const (
	parkBlock parkReason = iota + 1
	parkPause
	parkDelay
	parkAuth
	parkSleep
	parkDump
	parkMigrate
)

// park stops the session until deadline or unpark; wake then says how to go on.
func (x *Session) park(reason parkReason, deadline int64, wake func() resp.Next) {
	x.parked = &parked{reason, deadline, func() resp.Next {
		x.parked = nil
		return wake()
	}}
}

// parkRequest stops the session and runs args anew when it wakes.
func (x *Session) parkRequest(reason parkReason, deadline int64, args [][]byte) resp.Next {
	kept := copyArgs(args)
	x.park(reason, deadline, func() resp.Next {
		x.again = true
		return x.Do(kept)
	})
	return resp.Parked
}

// unpark ends a park of the given reason from any goroutine.
func (x *Session) unpark(reason parkReason) {
	x.conn.Post(func() {
		if p := x.parked; p != nil && p.reason == reason {
			x.goOn(p.wake())
		}
	})
}

// goOn tells the door what a wake inside a posted task decided.
func (x *Session) goOn(next resp.Next) {
	switch next {
	case resp.Continue:
		x.conn.Resume()
	case resp.Close:
		x.conn.Resume()
		x.conn.CloseAfterReply()
	}
}

// blocked is a client waiting for keys (BLPOP, XREAD BLOCK …). It is written
// before it is published in Session.blocked and immutable afterwards.
type blocked struct {
	session  *Session
	waiter   store.Waiter
	cmd      *command.Command
	args     [][]byte
	keys     [][]byte
	db       int
	proto    int
	kind     store.Kind
	timeOut  func(*resp.Reply)
	deadline int64
	since    int64
	bytes    int64        // of args and keys, estimated
	disk     bool         // it waits for the log's sync
	gone     bool         // the command runs again when a key goes, too
	again    atomic.Int64 // … and at this time (Monotonic), which is looked at when its timer fires; 0: no
	missed   atomic.Bool  // somebody found it claimed and went on; see claim
}

// claim wins the waiter for serving. When another has claimed it, it leaves a
// mark: should that one give the waiter back, it looks again for both.
func (b *blocked) claim() bool {
	for {
		if b.waiter.Claim() {
			return true
		}
		if b.waiter.State.Load() == store.Gone {
			return false
		}
		b.missed.Store(true)
		if b.waiter.State.Load() != store.Waiting {
			return false
		}
	}
}

// leave wins the waiter for ending its wait, or leaves a mark as claim does.
func (b *blocked) leave() bool {
	for {
		if b.waiter.Leave() {
			return true
		}
		if b.waiter.State.Load() == store.Gone {
			return false
		}
		b.missed.Store(true)
		if b.waiter.State.Load() != store.Waiting {
			return false
		}
	}
}

// unclaim gives a claimed waiter back.
func (b *blocked) unclaim() {
	b.waiter.State.Store(store.Waiting)
	if b.missed.Swap(false) {
		b.session.conn.Post(func() { b.session.recheck(b) })
	}
}

// block registers the session as a waiter of its keys, whose shards are held,
// and parks it.
func (x *Session) block(w *worker, cmd *command.Command, args [][]byte, ask *command.Block) resp.Next {
	if ask.Args != nil {
		args = ask.Args
	}
	b := &blocked{
		session: x, cmd: cmd, args: copyArgs(args), keys: copyArgs(ask.Keys), db: x.db,
		proto: x.out.Proto(), kind: ask.Kind, timeOut: ask.TimeOut, gone: ask.Gone, disk: ask.Disk, since: w.last,
	}
	if ask.Again > 0 {
		b.again.Store(w.last + int64(ask.Again))
	}
	if ask.Timeout > 0 {
		b.deadline = w.last + int64(ask.Timeout)
	}
	for _, key := range b.keys {
		b.bytes += waitBytes + 3*int64(len(key)) // in args, keys and the shard's table
	}
	b.waiter.Owner = b
	x.blocked.Store(b)
	x.srv.counters.blocked.Add(1)
	for _, key := range b.keys {
		w.tx.AddWaiter(key, &b.waiter)
	}
	w.tx.Unlock()
	w.last = w.watch.Now()
	x.parkBlocked(b)
	if b.disk {
		x.awaitDisk()
	}
	return resp.Parked
}

// parkBlocked parks the session until its time-out, or until the command is to
// run again.
func (x *Session) parkBlocked(b *blocked) {
	again := b.again.Load()
	early := again != 0 && (b.deadline == 0 || again < b.deadline)
	if !early {
		again = b.deadline
	}
	x.park(parkBlock, again, func() resp.Next {
		if early {
			b.again.Store(resp.Monotonic() + int64(minAgain)) // unless it says better
			x.recheck(b)
			x.parkBlocked(b)
			return resp.Parked
		}
		if !b.leave() { // being served: its task is on the way
			x.park(parkBlock, 0, func() resp.Next { return resp.Parked })
			return resp.Parked
		}
		return x.gaveUp(b, b.timeOut)
	})
}

// minAgain is the least time between two runs of a blocked command that nothing
// but time has given rise to.
const minAgain = 10 * time.Millisecond

// waitBytes is about what a key waited for costs beside its name.
const waitBytes = 128

// endBlock wins the waiter and ends its wait with answer (nil: the time-out's
// reply), from any goroutine. It reports false if the client was not blocked
// or is being served.
func (x *Session) endBlock(answer func(*resp.Reply)) bool {
	b := x.blocked.Load()
	if b == nil || !b.waiter.Leave() {
		return false
	}
	if answer == nil {
		answer = b.timeOut
	}
	x.conn.Post(func() { x.goOn(x.gaveUp(b, answer)) })
	return true
}

// blockEnded is the single end of a wait: on the session's loop, once.
func (x *Session) blockEnded(b *blocked, answer func(*resp.Reply)) resp.Next {
	if x.blocked.Load() != b {
		return resp.Parked
	}
	x.unregister(b)
	x.parked = nil
	answer(&x.out)
	return x.next()
}

// gaveUp ends a wait that nobody served, and counts the command.
func (x *Session) gaveUp(b *blocked, answer func(*resp.Reply)) resp.Next {
	if x.blocked.Load() != b {
		return resp.Parked
	}
	s := x.srv
	w := s.spare.Get().(*worker) // the loop's own may be in the middle of a command
	defer s.putBack(w)
	w.begin(s)
	errs := x.out.Errors()
	next := x.blockEnded(b, answer)
	failed, took := x.out.Errors() != errs, w.watch.Now()-w.last
	s.commands.Record(x.conn.Loop(), b.cmd.ID, took, failed)
	if failed {
		s.countError(x.out.LastError())
	}
	if s.objectOps[b.cmd.ID] {
		w.inner.Reset()
		w.inner.Count(0)
		s.recordObjects(w, &w.inner, b.cmd, b.args, took, failed)
	}
	if s.tracer != nil {
		s.traceUnserved(w, x, b, failure(&x.out, errs))
	}
	return next
}

// unregister takes a waiter that was left or served out of its keys' queues.
func (x *Session) unregister(b *blocked) {
	x.blocked.Store(nil)
	x.srv.counters.blocked.Add(-1)
	if b.disk {
		x.srv.disk.remove(x)
	}
	w := x.srv.spare.Get().(*worker)
	defer x.srv.spare.Put(w)
	x.srv.store.Begin(&w.tx, b.db, w.now()/int64(time.Millisecond))
	for _, key := range b.keys {
		w.tx.Want(b.db, key)
	}
	w.tx.Lock()
	for _, key := range b.keys {
		w.tx.RemoveWaiter(key, &b.waiter)
	}
	w.tx.Unlock()
}

// serveReady runs the waiting commands of the keys that were made ready, in
// order of arrival. What they change may make more keys ready.
func (s *Server) serveReady(w *worker) {
	db := w.tx.DB()
	for i := 0; i < len(w.ready); i++ {
		s.serveKey(w, w.ready[i])
	}
	w.ready = w.ready[:0]
	w.tx.Use(db)
	w.last = w.watch.Now()
}

// serveLoose serves whom expiry or eviction has made ready, which hold no locks
// any more.
func (s *Server) serveLoose(w *worker) {
	if len(w.ready) == 0 {
		return
	}
	s.store.Begin(&w.tx, w.ready[0].db, w.now()/int64(time.Millisecond))
	for _, r := range w.ready {
		w.tx.Want(r.db, []byte(r.key))
	}
	w.tx.Lock()
	s.serveReady(w)
	w.tx.Unlock()
}

func (s *Server) serveKey(w *worker, r readyKey) {
	key := []byte(r.key)
	w.tx.Use(r.db)
	skip := 0
	for {
		queue := w.tx.Waiters(key)
		if skip >= len(queue) {
			return
		}
		waiter := queue[skip]
		b := waiter.Owner.(*blocked)
		if !b.gone && w.tx.Kind(key, store.Peek) != b.kind || b.kind == store.KindQueue && w.tx.Drained(key) {
			skip++
			continue
		}
		if !s.holdAll(w, b) {
			skip = 0 // the locks were let go meanwhile: look again at all
			continue
		}
		if resp.HungUp(b.session.conn) || !b.claim() {
			skip++ // leaving, or served by another: it unregisters itself
			continue
		}
		if !s.serve(w, b) {
			skip++
		} else {
			w.tx.Use(r.db)
			w.tx.RemoveWaiter(key, waiter)
		}
		w.tx.Use(r.db)
	}
}

// holdAll makes sure that the shards of every key of b are locked. If one
// cannot be had at once, all are released and the union is taken in order;
// then it returns false, as anything may have changed.
func (s *Server) holdAll(w *worker, b *blocked) bool {
	w.keys, _ = b.cmd.Keys(b.args, w.keys[:0])
	for _, k := range w.keys {
		if w.tx.Holds(b.db, b.args[k.Index]) || w.tx.TryAlso(b.db, b.args[k.Index]) {
			continue
		}
		db := w.tx.DB()
		w.tx.Unlock()
		for _, r := range w.ready {
			w.tx.Want(r.db, []byte(r.key))
		}
		for _, k := range w.keys {
			w.tx.Want(b.db, b.args[k.Index])
		}
		w.tx.Lock()
		w.tx.Use(db)
		return false
	}
	return true
}

// serve runs the command of a claimed waiter and sends the reply to its loop.
// It reports false if the command would go on waiting.
func (s *Server) serve(w *worker, b *blocked) bool {
	x := b.session
	var reply resp.Reply
	reply.SetProto(b.proto)
	w.tx.Use(b.db)
	w.serving = b
	s.callRetry(w, x, b, &reply)
	w.serving = nil
	if ask := w.inner.Blocked(); ask.Keys != nil {
		if ask.Again > 0 {
			b.again.Store(resp.Monotonic() + int64(ask.Again))
		}
		b.unclaim()
		return false
	}
	s.account(w, &w.inner, x, b.cmd, b.args, &reply, 0)
	w.tally.Flush() // its loop sends the reply, perhaps before this batch ends
	seq := w.seq
	x.conn.Post(func() {
		x.gate = max(x.gate, seq)
		x.wrote = max(x.wrote, seq)
		x.goOn(x.blockEnded(b, func(r *resp.Reply) { r.Raw(reply.Bytes()) }))
	})
	return true
}

func (s *Server) callRetry(w *worker, x *Session, b *blocked, reply *resp.Reply) {
	w.retry = true
	s.call(w, &w.inner, x, b.cmd, b.args, reply)
	w.retry = false
}

// recheck runs after a waiter was claimed in vain: meanwhile its time may have
// passed, or another of its keys may have become ready unseen.
func (x *Session) recheck(b *blocked) {
	if x.blocked.Load() != b {
		return
	}
	if b.deadline != 0 && resp.Monotonic() >= b.deadline && b.leave() {
		x.goOn(x.gaveUp(b, b.timeOut))
		return
	}
	w := x.worker()
	defer x.giveBack(w)
	x.srv.store.Begin(&w.tx, b.db, w.now()/int64(time.Millisecond))
	for _, key := range b.keys {
		w.tx.Want(b.db, key)
	}
	w.tx.Lock()
	defer w.tx.Unlock()
	for _, key := range b.keys {
		if b.gone || w.tx.Kind(key, store.Peek) == b.kind {
			w.ready = append(w.ready, readyKey{b.db, string(key)})
		}
	}
	x.srv.serveReady(w)
	if len(w.broadcasts) > 0 {
		x.srv.tellBroadcasts(w)
	}
}
