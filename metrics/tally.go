package metrics

// Tally is what one goroutine counts until Flush: runs of one command in one
// bucket that follow each other, and successes of one operation on one queue,
// are added up here and share their atomic additions and their look-up. It is
// flushed before replies go, so that no scrape misses what was answered.
type Tally struct {
	commands  *Commands
	objects   *Objects
	loop, row int // of the runs
	bucket    int
	runs      uint64 // 0: loop, row and bucket stand for nothing
	time      uint64 // of the runs, ns
	queue     queueTally
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

// RecordListOp is Objects.RecordListOp.
func (t *Tally) RecordListOp(key []byte, op QueueOp, n int, dur int64, failed bool) {
	q := &t.queue
	if failed {
		t.objects.RecordListOp(key, op, n, dur, failed)
		return
	}
	if q.runs == 0 || q.op != op || string(q.name[:q.size]) != string(key) {
		if len(key) > maxLabel || !t.objects.counts(key) {
			t.objects.RecordListOp(key, op, n, dur, failed)
			return
		}
		t.flushQueue()
		q.size, q.op = copy(q.name[:], key), op
	}
	q.runs++
	q.moved += uint64(n)
	q.time += uint64(max(dur, 0))
	q.buckets[objectBucket(dur)]++
}

// Flush adds what was gathered to the counters that scrapes read.
func (t *Tally) Flush() {
	t.flushRuns()
	t.flushQueue()
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
