package store

import "sync"

// owners are the clients at whose end messages go back, and the queues from
// which they hold some. A queue is in it under a client as long as the client
// holds one, whatever becomes of the queue's name.
type owners struct {
	mu sync.Mutex // guards of; taken under the lock of a shard
	of map[uint64]map[*Queue]struct{}
}

// owned is a list of tickets in the order in which they were taken, linked by
// ticket.before and ticket.after.
type owned struct{ first, last uint32 }

// own notes that the message of a ticket goes back at a client's end.
func (q *Queue) own(at uint32, owner uint64) {
	t := q.tickets.at(at)
	t.owner, t.before, t.after = owner, noTicket, noTicket
	l, ok := q.owned[owner]
	if ok {
		t.before = l.last
		q.tickets.at(l.last).after = at
		q.owned[owner] = owned{l.first, at}
		return
	}
	if q.owned == nil {
		q.owned = make(map[uint64]owned)
	}
	q.owned[owner] = owned{at, at}
	o := &q.seen.store.owners
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == nil {
		o.of = make(map[uint64]map[*Queue]struct{})
	}
	if o.of[owner] == nil {
		o.of[owner] = make(map[*Queue]struct{})
	}
	o.of[owner][q] = struct{}{}
}

// disown forgets the client of a ticket.
func (q *Queue) disown(at uint32) {
	t := q.tickets.at(at)
	if t.owner == 0 {
		return
	}
	l := q.owned[t.owner]
	if t.before == noTicket {
		l.first = t.after
	} else {
		q.tickets.at(t.before).after = t.after
	}
	if t.after == noTicket {
		l.last = t.before
	} else {
		q.tickets.at(t.after).before = t.before
	}
	if l.first == noTicket {
		q.leaveOwner(t.owner)
	} else {
		q.owned[t.owner] = l
	}
	t.owner = 0
}

func (q *Queue) leaveOwner(owner uint64) {
	delete(q.owned, owner)
	o := &q.seen.store.owners
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.of[owner], q)
	if len(o.of[owner]) == 0 {
		delete(o.of, owner)
	}
}

// releaseOwners is for the end of the queue.
func (q *Queue) releaseOwners() {
	for owner := range q.owned {
		q.leaveOwner(owner)
	}
}

// ReleaseOwner gives back every message leased for the given client and returns
// how many there were.
func (q *Queue) ReleaseOwner(owner uint64, now int64, log *QueueLog) (n int) {
	for l, ok := q.owned[owner]; ok; l, ok = q.owned[owner] {
		q.fail(l.first, DeadNack, 0, now, log)
		n++
	}
	return n
}

// QueueName is where a queue stands.
type QueueName struct {
	DB  int
	Key string
}

// QueuesOf returns the queues from which a client holds messages that go back
// at its end. No shard may be locked; a queue that is being moved may be missing,
// or have another name soon.
func (s *Store) QueuesOf(owner uint64) (names []QueueName) {
	s.owners.mu.Lock()
	homes := make(map[*contents][]*Queue)
	for q := range s.owners.of[owner] {
		if home := q.home.Load(); home != nil {
			homes[home] = append(homes[home], q)
		}
	}
	s.owners.mu.Unlock()
	for i := 0; i < len(s.locks) && len(homes) > 0; i++ {
		names = s.locks[i].appendNames(names, homes, i/s.shards)
	}
	return names
}

// appendNames appends the names of those queues that the shard holds, and takes
// its contents from homes.
func (sh *shard) appendNames(names []QueueName, homes map[*contents][]*Queue, db int) []QueueName {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.data
	for _, q := range homes[c] {
		if q.home.Load() == c && c.records.at(q.record).object == Object(q) {
			names = append(names, QueueName{db, string(c.key(c.slotOfRecord(q.hash, q.record).entry))})
		}
	}
	delete(homes, c)
	return names
}

// settleIn notes where the queue is: in s. Its lock is held.
func (q *Queue) settleIn(s slot) {
	if q.home.Load() != s.c {
		q.home.Store(s.c)
	}
	q.hash, q.record = s.h, s.record()
}
