package server

import (
	"sync"
	"time"

	"synap/metrics"
	"synap/store"
)

// leases are the messages that a client took with AUTORELEASE. Another goroutine
// may have served it.
type leases struct {
	mu    sync.Mutex // guards both
	any   bool
	ended bool
}

// leased remembers for the client's end that it holds messages. If it has ended
// already they are given back at once, but not on this goroutine, which holds the
// queue's shard.
func (x *Session) leased() {
	l := &x.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.any = true; l.ended {
		go x.srv.release(uint64(x.conn.ID()))
	}
}

// releaseLeases gives the client's messages back.
func (x *Session) releaseLeases() {
	l := &x.leases
	l.mu.Lock()
	l.ended = true
	any := l.any
	l.mu.Unlock()
	if any {
		x.srv.release(uint64(x.conn.ID()))
	}
}

// release gives back what a client that has ended holds, wherever its queues are
// by now.
func (s *Server) release(client uint64) {
	w := s.spare.Get().(*worker)
	defer s.putBack(w)
	for range releaseRounds {
		queues := s.store.QueuesOf(client)
		for _, name := range queues {
			s.releaseFrom(w, name, client)
		}
		if len(queues) == 0 {
			return
		}
	}
}

// releaseRounds is how often queues are looked for that others rename meanwhile.
// What one in vain leaves behind comes back when its deadline passes.
const releaseRounds = 8

func (s *Server) releaseFrom(w *worker, name store.QueueName, client uint64) {
	w.begin(s)
	key := []byte(name.Key)
	s.store.Begin(&w.tx, name.DB, w.now()/int64(time.Millisecond))
	w.tx.LockKey(key)
	w.tx.Event = "qnack"
	if q, err := w.tx.Queue(key, store.Peek); err == nil && q != nil {
		log := w.tx.QueueLog()
		if q.ReleaseOwner(client, w.tx.Now, log) > 0 {
			w.tx.SaveQueue(key, q, log, true)
			s.flushOwn(w)(&w.tx)
			w.tx.ResetChanges()
		}
	}
	if len(w.ready) > 0 {
		s.serveReady(w)
	}
	w.tx.Unlock()
}

// recordLetters counts what happened to messages of queues beside what the
// command itself counts, or with no command at all.
func (s *Server) recordLetters(changes []store.Change) {
	for i := range changes {
		c := &changes[i]
		if c.DeadLettered > 0 {
			s.objects.RecordQueueOp(c.Key, metrics.QueueDeadLetter, int(c.DeadLettered), 0, false)
		}
		if c.Redelivered > 0 {
			s.objects.RecordQueueOp(c.Key, metrics.QueueRedeliver, int(c.Redelivered), 0, false)
		}
	}
}

// queueGauge adds what the reliable queue at key holds.
func (s *Server) queueGauge(tx *store.Tx, key []byte, g *metrics.Gauge) {
	q, err := tx.Queue(key, store.Peek)
	if err != nil || q == nil {
		return
	}
	if g.Queue == nil {
		g.Queue = &metrics.QueueGauge{}
	}
	now := s.now().UnixMilli()
	g.Size += int64(q.In(store.Ready))
	g.Queue.Unacked += int64(q.In(store.Unacked))
	g.Queue.Delayed += int64(q.In(store.Delayed))
	g.Queue.Dead += int64(q.In(store.Dead))
	g.Queue.Consumers += int64(q.Consumers(now))
	g.Queue.OldestAge = max(g.Queue.OldestAge, q.OldestAge(now))
}

// infoQueues writes the sums over all reliable queues. The counters go on when a
// queue is deleted.
func infoQueues(w *infoWriter, _ *metrics.Stats, s *Server) {
	t := s.store.QueueTotals()
	w.int("queues", t.Queues)
	w.int("queue_messages_ready", t.In[store.Ready])
	w.int("queue_messages_unacked", t.In[store.Unacked])
	w.int("queue_messages_delayed", t.In[store.Delayed])
	w.int("queue_messages_dead", t.In[store.Dead])
	for _, c := range []struct {
		name string
		n    uint64
	}{
		{"published", t.Counters.Published}, {"consumed", t.Counters.Consumed}, {"acked", t.Counters.Acked},
		{"nacked", t.Counters.Nacked}, {"redelivered", t.Counters.Redelivered}, {"dead_lettered", t.Counters.DeadLettered},
		{"expired", t.Counters.Expired}, {"dead_dropped", t.Counters.DeadDropped},
	} {
		w.int("queue_total_"+c.name, int64(c.n))
	}
}
