package metrics

// Tally is what one goroutine counts until Flush: runs of one command in one
// bucket that follow each other, and successes of one operation on one queue or
// stream, are added up here and share their atomic additions and their look-up.
// It is flushed before replies go, so that no scrape misses what was answered.
type Tally struct {
	commands  *Commands
	objects   *Objects
	loop, row int // of the runs
	bucket    int
	runs      uint64 // 0: loop, row and bucket stand for nothing
	time      uint64 // of the runs, ns
	queue     queueTally
	room      roomTally
}

// roomTally is the part of a Tally about one stream.
type roomTally struct {
	pair  [2*maxLabel + 1]byte // name of the stream, 0, event type
	name  int                  // bytes of the stream's name
	size  int                  // of pair in use; name if no events are counted
	op    StreamOp
	runs  uint32 // 0: pair and op stand for nothing
	moved uint64
}

// queueTally is the part of a Tally about one queue.
type queueTally struct {
	name    [maxLabel]byte
	size    int // of name
	op      QueueOp
	runs    uint32 // 0: name and op stand for nothing
	moved   uint64
	time    uint64
	buckets [len(objectBounds) + 1]uint32
}

// NewTally returns an empty Tally for c and o.
func NewTally(c *Commands, o *Objects) Tally { return Tally{commands: c, objects: o} }

// Record is Commands.Record.
func (t *Tally) Record(loop, row int, dur int64, failed bool) {
	if failed {
		t.commands.Record(loop, row, dur, failed)
		return
	}
	bucket := bucketIndex(dur)
	if t.runs == 0 || t.row != row || t.bucket != bucket || t.loop != loop {
		t.flushRuns()
		t.loop, t.row, t.bucket = loop, row, bucket
	}
	t.runs++
	t.time += uint64(max(dur, 1)) // as Record: never 0
}

// RecordListOp is RecordQueueOp for a list, if lists of that name count.
func (t *Tally) RecordListOp(key []byte, op QueueOp, n int, dur int64, failed bool) {
	if t.objects.counts(key) {
		t.RecordQueueOp(key, op, n, dur, failed)
	}
}

// RecordQueueOp is Objects.RecordQueueOp.
func (t *Tally) RecordQueueOp(key []byte, op QueueOp, n int, dur int64, failed bool) {
	q := &t.queue
	if failed || len(key) > maxLabel {
		t.objects.RecordQueueOp(key, op, n, dur, failed)
		return
	}
	if q.runs == 0 || q.op != op || string(q.name[:q.size]) != string(key) {
		t.flushQueue()
		q.size, q.op = copy(q.name[:], key), op
	}
	q.runs++
	q.moved += uint64(n)
	q.time += uint64(max(dur, 0))
	q.buckets[objectBucket(dur)]++
}

// RecordStreamOp is Objects.RecordStreamOp, and RecordStreamEvent too if event
// is not nil.
func (t *Tally) RecordStreamOp(room []byte, op StreamOp, n int, event []byte, failed bool) {
	r := &t.room
	if failed || len(room) > maxLabel || len(event) > maxLabel {
		t.objects.RecordStreamOp(room, op, n, failed)
		if event != nil {
			t.objects.RecordStreamEvent(room, event)
		}
		return
	}
	if r.runs == 0 || r.op != op || string(r.pair[:r.name]) != string(room) || !r.sameEvent(event) {
		t.flushRoom()
		r.name, r.op = copy(r.pair[:], room), op
		if r.size = r.name; event != nil {
			r.pair[r.name] = 0
			r.size += 1 + copy(r.pair[r.name+1:], event)
		}
	}
	r.runs++
	r.moved += uint64(n)
}

func (r *roomTally) sameEvent(event []byte) bool {
	if event == nil || r.size == r.name {
		return event == nil && r.size == r.name
	}
	return string(r.pair[r.name+1:r.size]) == string(event)
}

// Flush adds what was gathered to the counters that scrapes read.
func (t *Tally) Flush() {
	t.flushRuns()
	t.flushQueue()
	t.flushRoom()
}

func (t *Tally) flushRuns() {
	if t.runs > 0 {
		cells := t.commands.loops[t.loop][t.row*stride:]
		cells[t.bucket].Add(t.runs)
		cells[cellSum].Add(t.time)
		t.runs, t.time = 0, 0
	}
}

func (t *Tally) flushQueue() {
	if q := &t.queue; q.runs > 0 {
		t.objects.add(q)
		q.runs, q.moved, q.time = 0, 0, 0
		clear(q.buckets[:])
	}
}

func (t *Tally) flushRoom() {
	r := &t.room
	if r.runs == 0 {
		return
	}
	t.objects.addCount(Rooms, r.pair[:r.name], int(r.op), r.runs, r.moved)
	if r.size > r.name {
		t.objects.addCount(Events, r.pair[:r.size], 0, r.runs, uint64(r.runs))
	}
	r.runs, r.moved = 0, 0
}

// addCount counts n successes in so many commands.
func (o *Objects) addCount(f Family, name []byte, op int, times uint32, n uint64) {
	t, h := o.table(f, name)
	t.mu.Lock()
	t.words(o, f, name, h, op, times)[wordOK] += n
	t.mu.Unlock()
}

// add counts what was gathered about one queue.
func (o *Objects) add(q *queueTally) {
	name := q.name[:q.size]
	t, h := o.table(Queues, name)
	t.mu.Lock()
	w := t.words(o, Queues, name, h, int(q.op), q.runs)
	w[wordOK] += q.moved
	w[wordSum] += q.time
	for i, n := range q.buckets {
		w[wordBuckets+i] += uint64(n)
	}
	t.mu.Unlock()
}

// objectBucket returns the bucket of objectBounds for a duration.
func objectBucket(dur int64) (i int) {
	for i < len(objectBounds) && dur > objectBounds[i] {
		i++
	}
	return i
}
