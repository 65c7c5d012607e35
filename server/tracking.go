package server

import (
	"bytes"
	"cmp"
	"slices"
	"sync/atomic"

	"synap/command"
	"synap/resp"
	"synap/store"
)

// Server-assisted client-side caching:
// https://redis.io/docs/latest/develop/reference/client-side-caching/. A session
// in tracking mode is told of changes of the keys that it read, or of all keys
// with certain prefixes.

// trackingMode is the state of CLIENT TRACKING.
type trackingMode uint32

const (
	trackingOn trackingMode = 1 << iota
	trackingBroadcast
	trackingOptIn
	trackingOptOut
	trackingNoLoop
	trackingBroken // its redirection led nowhere
)

// tracker is a session as the tracking table sees it. It is made by the first
// CLIENT TRACKING and stays for the life of the session.
type tracker struct {
	sub      *subscriber
	mode     atomic.Uint32
	redirect atomic.Int64 // client that is told instead, 0 = none
	items    atomic.Int64 // its places in the table
	gone     atomic.Bool  // the client left
	bytes    atomic.Int64 // memory of prefixes, estimated

	// Of the session's loop.
	prefixes []string // ascending
	caching  bool     // CLIENT CACHING was given for the next command or transaction
}

// prefixBytes is about what a prefix costs beside its name, as subscriptionBytes.
const prefixBytes = 160

func (t *tracker) is(m trackingMode) bool { return trackingMode(t.mode.Load())&m != 0 }

// track is CLIENT TRACKING ON, whose options are checked.
func (t *trackingTable) track(tr *tracker, mode trackingMode, redirect int64, prefixes []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !tr.is(trackingOn) {
		t.clients.Add(1)
		t.trackers[tr] = struct{}{}
	}
	if mode&trackingBroadcast != 0 && len(prefixes) == 0 && !slices.Contains(tr.prefixes, "") {
		prefixes = []string{""}
	}
	for _, p := range prefixes {
		t.prefixes.add(p, tr)
		tr.prefixes = append(tr.prefixes, p)
		tr.bytes.Add(prefixBytes + 2*int64(len(p)))
	}
	slices.Sort(tr.prefixes)
	tr.redirect.Store(redirect)
	tr.mode.Store(uint32(mode | trackingOn))
}

// untrack is CLIENT TRACKING OFF. What the client read stays in the table until
// it is changed.
func (t *trackingTable) untrack(tr *tracker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !tr.is(trackingOn) {
		return
	}
	t.clients.Add(-1)
	for _, p := range tr.prefixes {
		t.prefixes.remove(p, tr)
	}
	tr.prefixes, tr.caching = nil, false
	tr.bytes.Store(0)
	tr.mode.Store(0)
}

// leave is untrack for a client that is no more.
func (t *trackingTable) leave(tr *tracker) {
	t.untrack(tr)
	tr.gone.Store(true)
}

// rememberKeys notes the keys of a command that only reads, while their shards
// are held.
func (x *Session) rememberKeys(w *worker, tr *tracker, cmd *command.Command, args [][]byte) {
	switch mode := trackingMode(tr.mode.Load()); {
	case mode&trackingOn == 0, mode&trackingBroadcast != 0:
		return
	case mode&trackingOptIn != 0 && !tr.caching, mode&trackingOptOut != 0 && tr.caching:
		return
	}
	t := x.srv.tracking
	if i := cmd.OneKey(); i > 0 {
		t.remember(tr, args[i])
	} else {
		w.keys, _ = cmd.Keys(args, w.keys[:0])
		for _, k := range w.keys {
			t.remember(tr, args[k.Index])
		}
	}
	if t.over() {
		x.srv.trimTracking(w, trimPerCommand)
	}
}

// trimPerCommand bounds the keys that a command makes the table forget,
// trimPerTick those that the cron does.
const (
	trimPerCommand = 100
	trimPerTick    = 10_000
)

// trimTracking forgets keys until the table is within its limit: their holders
// are told as if the keys had changed.
func (s *Server) trimTracking(w *worker, most int) {
	for n := 0; n < most && s.tracking.over(); n++ {
		key, held, ok := s.tracking.evict()
		if !ok {
			return
		}
		s.tellHolders(w, nil, []byte(key), held)
	}
}

// invalidate tells of the keys that a command changed; their shards are held.
// x is the session that changed them, nil if none did.
func (s *Server) invalidate(w *worker, x *Session, changes []store.Change) {
	t := s.tracking
	var by *tracker
	if x != nil {
		by = x.tracker.Load()
	}
	flushed := false
	for i := range changes {
		c := &changes[i]
		if c.Effect == store.Flushed {
			if !flushed {
				s.invalidateAll(w)
				flushed = true
			}
			continue
		}
		if held := t.forget(c.Key); held.one != nil {
			s.tellHolders(w, by, c.Key, held)
		}
		if t.prefixes.n.Load() > 0 {
			w.noteBroadcast(t, by, c.Key)
		}
	}
}

// tellHolders tells those who read key that it changed. by is who changed it.
func (s *Server) tellHolders(w *worker, by *tracker, key []byte, held holders) {
	w.message.setInvalid([][]byte{key})
	held.each(func(tr *tracker) {
		mode := trackingMode(tr.mode.Load())
		if mode&trackingOn == 0 || mode&trackingBroadcast != 0 || mode&trackingNoLoop != 0 && tr == by {
			return
		}
		s.tell(w, tr, &w.message)
	})
	w.message.forget()
}

// invalidateAll tells every client in tracking mode that all keys changed.
// Every shard is held.
func (s *Server) invalidateAll(w *worker) {
	t := s.tracking
	t.clear()
	w.message.setInvalid(nil)
	t.mu.RLock()
	for tr := range t.trackers {
		if tr.is(trackingOn) {
			s.tell(w, tr, &w.message)
		}
	}
	t.mu.RUnlock()
	w.message.forget()
}

// tell sends m to the client, or where its messages go. Who speaks RESP2 gets it
// only as a subscriber to whom another redirects.
func (s *Server) tell(w *worker, tr *tracker, m *message) {
	w.pushed = true
	id := tr.redirect.Load()
	if id == 0 {
		tr.sub.invalidate(m, false)
		return
	}
	if other := s.sessions.get(id); other != nil {
		other.reachable().invalidate(m, true)
		return
	}
	tr.mode.Or(uint32(trackingBroken))
	var broken message
	broken.setBroken(id)
	tr.sub.invalidate(&broken, false)
}

// broadcast is a change to be told to the clients of a prefix.
type broadcast struct {
	prefix *broadcastPrefix
	key    []byte
	by     *tracker // who changed the key last
}

// noteBroadcast keeps a change for tellBroadcasts: the changes of a command or
// transaction are one message.
func (w *worker) noteBroadcast(t *trackingTable, by *tracker, key []byte) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var kept []byte
	t.prefixes.each(key, func(p *broadcastPrefix) {
		if kept == nil {
			kept = bytes.Clone(key)
		}
		w.broadcasts = append(w.broadcasts, broadcast{p, kept, by})
	})
}

// tellBroadcasts sends what noteBroadcast kept, the keys of each prefix sorted.
func (s *Server) tellBroadcasts(w *worker) {
	all := w.broadcasts
	slices.SortStableFunc(all, func(a, b broadcast) int {
		return cmp.Or(cmp.Compare(a.prefix.name, b.prefix.name), bytes.Compare(a.key, b.key))
	})
	s.tracking.mu.RLock()
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].prefix.name == all[0].prefix.name {
			n++
		}
		s.tellPrefix(w, lastOfEach(all[:n]))
		all = all[n:]
	}
	s.tracking.mu.RUnlock()
	if cap(w.broadcasts) > scratchKept {
		w.broadcasts = nil
		return
	}
	clear(w.broadcasts)
	w.broadcasts = w.broadcasts[:0]
}

// scratchKept is the largest space, in elements, that a worker keeps for what is
// to be told.
const scratchKept = 64 << 10

// lastOfEach keeps the last change of each key; changes are sorted by key.
func lastOfEach(changes []broadcast) []broadcast {
	kept := changes[:0]
	for i, c := range changes {
		if i+1 == len(changes) || !bytes.Equal(c.key, changes[i+1].key) {
			kept = append(kept, c)
		}
	}
	return kept
}

// tellPrefix sends the changes of one prefix. trackingTable.mu is held.
func (s *Server) tellPrefix(w *worker, changes []broadcast) {
	keys := func(but *tracker) [][]byte {
		list := make([][]byte, 0, len(changes))
		for _, c := range changes {
			if but == nil || c.by != but {
				list = append(list, c.key)
			}
		}
		return list
	}
	var own message
	w.message.setInvalid(keys(nil))
	for tr := range changes[0].prefix.clients {
		if !tr.is(trackingNoLoop) {
			s.tell(w, tr, &w.message)
		} else if list := keys(tr); len(list) > 0 {
			own.setInvalid(list)
			s.tell(w, tr, &own)
		}
	}
	w.message.forget()
}

// endCaching lets CLIENT CACHING hold for one command or transaction.
func (x *Session) endCaching(tr *tracker, args [][]byte) {
	if x.multi == nil && !resp.EqualFold(args[0], "CLIENT") {
		tr.caching = false
	}
}

// reachable returns the session as the broker knows it; any goroutine may ask.
func (x *Session) reachable() *subscriber {
	if sub := x.subscription.Load(); sub != nil {
		return sub
	}
	sub := x.srv.broker.newSubscriber(x.conn, x.takeMessages)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if !x.subscription.CompareAndSwap(nil, sub) {
		return x.subscription.Load()
	}
	sub.proto = int(x.pub.resp.Load()) // setProto stores it before it looks for a subscriber
	return sub
}
