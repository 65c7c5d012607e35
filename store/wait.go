package store

import "sync/atomic"

// Waiters (blocked clients) and watches (WATCH) hang on a key of a database,
// not on data: the key need not exist. They live in the key's shard and are
// guarded by its lock. SWAPDB exchanges data and leaves them where they are.

// Waiter states: Waiting → Claimed (somebody serves it) → Gone, or Waiting →
// Gone (time-out, UNBLOCK, KILL, disconnect). Whoever wins the compare-and-swap
// owns the outcome.
const (
	Waiting uint32 = iota
	Claimed
	Gone
)

// Waiter is one blocked client, in the queue of each of its keys.
type Waiter struct {
	State atomic.Uint32
	Owner any // the server's own
}

// Claim reports whether the caller won the waiter in order to serve it.
func (w *Waiter) Claim() bool { return w.State.CompareAndSwap(Waiting, Claimed) }

// Leave reports whether the caller won the waiter in order to end its wait.
func (w *Waiter) Leave() bool { return w.State.CompareAndSwap(Waiting, Gone) }

// Watch is one key watched by one session.
type Watch struct {
	Dirty *atomic.Bool // set when the key is touched
	DB    int
	Key   []byte
}

type waitTable struct {
	watches map[string][]*Watch
	queues  map[string][]*Waiter // in order of arrival
}

// AddWaiter queues w on key, whose shard must be held, with those of all of w's
// keys, until w is queued on every one.
func (tx *Tx) AddWaiter(key []byte, w *Waiter) {
	t := tx.waitsOf(key)
	if t.queues == nil {
		t.queues = make(map[string][]*Waiter)
	}
	q := t.queues[string(key)]
	if len(q) > 0 && q[len(q)-1] == w { // a key named twice, under the same lock
		return
	}
	if len(q) == 0 {
		tx.store.blockedKeys.Add(1)
	}
	t.queues[string(key)] = append(q, w)
	tx.store.waits.Add(1)
}

// RemoveWaiter takes w out of key's queue, whose shard must be held.
func (tx *Tx) RemoveWaiter(key []byte, w *Waiter) {
	t := tx.waitsOf(key)
	q := t.queues[string(key)]
	for i, other := range q {
		if other != w {
			continue
		}
		tx.store.waits.Add(-1)
		if len(q) == 1 {
			delete(t.queues, string(key))
			tx.store.blockedKeys.Add(-1)
			return
		}
		if i == 0 {
			q[0] = nil
			t.queues[string(key)] = q[1:]
			return
		}
		t.queues[string(key)] = append(q[:i:i], q[i+1:]...)
		return
	}
}

// Waiters returns key's queue in order of arrival; the caller holds the shard
// and must not keep the slice past a change of the queue.
func (tx *Tx) Waiters(key []byte) []*Waiter { return tx.waitsOf(key).queues[string(key)] }

// AddWatch registers w, whose key's shard must be held.
func (tx *Tx) AddWatch(w *Watch) {
	t := tx.waitsOf(w.Key)
	if t.watches == nil {
		t.watches = make(map[string][]*Watch)
	}
	t.watches[string(w.Key)] = append(t.watches[string(w.Key)], w)
	tx.store.waits.Add(1)
}

// RemoveWatch undoes AddWatch.
func (tx *Tx) RemoveWatch(w *Watch) {
	t := tx.waitsOf(w.Key)
	list := t.watches[string(w.Key)]
	for i, other := range list {
		if other != w {
			continue
		}
		tx.store.waits.Add(-1)
		if len(list) == 1 {
			delete(t.watches, string(w.Key))
		} else {
			t.watches[string(w.Key)] = append(list[:i:i], list[i+1:]...)
		}
		return
	}
}

// TouchWatches marks every watch of key in the current database.
func (tx *Tx) TouchWatches(key []byte) {
	for _, w := range tx.waitsOf(key).watches[string(key)] {
		w.Dirty.Store(true)
	}
}

// Waited reports whether any key of the store has a waiter or a watch: one
// atomic load that lets dispatch skip the look-ups.
func (s *Store) Waited() bool { return s.waits.Load() > 0 }

// BlockedKeys returns the number of keys with at least one blocked client.
func (s *Store) BlockedKeys() int64 { return s.blockedKeys.Load() }

// touchLive marks the watches of a database whose keys exist: FLUSH* is about
// to remove them, or SWAPDB takes them away or has brought them. Its shards
// must be held.
func (tx *Tx) touchLive(db int) {
	if !tx.store.Waited() {
		return
	}
	was := tx.db
	tx.db = db
	for i := range tx.store.shardsOf(db) {
		for key, list := range tx.store.shardsOf(db)[i].waits.watches {
			if tx.Kind([]byte(key), Peek) == KindNone {
				continue
			}
			for _, w := range list {
				w.Dirty.Store(true)
			}
		}
	}
	tx.db = was
}

// readyKeys calls visit for each key with waiters in the shard.
func (t *waitTable) readyKeys(visit func(key string)) {
	for key := range t.queues {
		visit(key)
	}
}

// EachWaited calls visit for each key of the current database that has
// waiters. Every shard of the database must be held.
func (tx *Tx) EachWaited(visit func(key string)) {
	shards := tx.store.shardsOf(tx.db)
	for i := range shards {
		shards[i].waits.readyKeys(visit)
	}
}
