package metrics

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Family is a group of objects that clients name.
type Family uint8

const (
	Queues Family = iota
	Rooms         // streams
	Events        // pairs of room and event type
	Topics        // pub/sub channels
	families
)

// QueueOp indexes a queue's operations.
type QueueOp uint8

const (
	QueuePublish QueueOp = iota
	QueueConsume
	QueueAck
	QueueNack
	QueueExtend
	QueuePurge
	QueueDeadLetter
	QueueRedeliver
	queueOps
)

// StreamOp indexes a stream's operations.
type StreamOp uint8

const (
	StreamPublish StreamOp = iota
	StreamConsume
	StreamAck
	StreamClaim
	StreamDelete
	StreamTrim
	streamOps
)

var (
	queueOpNames  = [...]string{"publish", "consume", "ack", "nack", "extend", "purge", "dead_letter", "redeliver"}
	streamOpNames = [...]string{"publish", "consume", "ack", "claim", "delete", "trim"}
)

// Words of one operation in a row. Queues also keep the time: its sum and a
// count for each of objectBounds and above.
const (
	wordOK = iota
	wordError
	wordSum
	wordBuckets
)

// objectBounds are the buckets of queue durations, in ns: powers of eight from
// 2^-20 s, which are bucket bounds of Commands too.
var objectBounds = makeObjectBounds()

func makeObjectBounds() (b [8]int64) {
	for i := range b {
		b[i] = bucketBound[i*3<<schema]
	}
	return b
}

var familyWords = [families]int{
	Queues: wordBuckets + len(objectBounds) + 1,
	Rooms:  wordError + 1,
	Events: 1,
	Topics: 1,
}

const (
	trackers     = 16  // tables of a family, by hash
	maxLabel     = 128 // longer names are only counted under _other
	rowsPerLabel = 4   // rows of a table for each label value shown
	sampled      = 12  // rows looked at to find one to give up
)

// Objects counts by names that clients choose, in bounded memory. Each family
// is split by hash into tables of 4 × max_label_values rows. A name gets a row
// when one is free; in a full table it takes a little-used row with a
// probability that falls with that row's use (Ben Basat et al., Randomized
// Admission Policy, 2017), so that a flood of names costs next to nothing and a
// busy name gets in soon. What has no row counts under _other.
//
// A table has its own mutex: the same key is under a different shard lock in
// each database.
type Objects struct {
	tables [families][trackers]table
	seed   maphash.Seed
	limit  atomic.Int64 // max_label_values
	listed atomic.Pointer[func(key []byte) bool]
	allow  [families]atomic.Pointer[func(name []byte) bool] // nil: no allow-list

	scrape sync.Mutex  // one Collect at a time; guards spare
	spare  []candidate // of the last Collect, to be used again
}

// NewObjects returns empty tables; limit is max_label_values.
func NewObjects(limit int) *Objects {
	o := &Objects{seed: maphash.MakeSeed()}
	o.SetLimit(limit)
	return o
}

// SetLimit changes max_label_values.
func (o *Objects) SetLimit(n int) { o.limit.Store(int64(max(n, 1))) }

// SetAllowed sets the patterns of names that come first; nil: none.
func (o *Objects) SetAllowed(f Family, match func(name []byte) bool) {
	if match == nil {
		o.allow[f].Store(nil)
		return
	}
	o.allow[f].Store(&match)
}

// SetListQueues says which lists count as queues; nil: all.
func (o *Objects) SetListQueues(match func(key []byte) bool) {
	if match == nil {
		o.listed.Store(nil)
		return
	}
	o.listed.Store(&match)
}

// counts tells whether a list of that name counts as a queue.
func (o *Objects) counts(key []byte) bool {
	match := o.listed.Load()
	return match == nil || (*match)(key)
}

// RecordQueueOp counts a command that moved n messages in dur nanoseconds, or
// one failure.
func (o *Objects) RecordQueueOp(key []byte, op QueueOp, n int, dur int64, failed bool) {
	t, h := o.table(Queues, key)
	t.mu.Lock()
	w := t.words(o, Queues, key, h, int(op), 1)
	if failed {
		w[wordError]++
	} else {
		w[wordOK] += uint64(n)
	}
	w[wordSum] += uint64(max(dur, 0))
	w[wordBuckets+objectBucket(dur)]++
	t.mu.Unlock()
}

// RecordStreamOp counts a command that moved n entries, or one failure.
func (o *Objects) RecordStreamOp(room []byte, op StreamOp, n int, failed bool) {
	t, h := o.table(Rooms, room)
	t.mu.Lock()
	w := t.words(o, Rooms, room, h, int(op), 1)
	if failed {
		w[wordError]++
	} else {
		w[wordOK] += uint64(n)
	}
	t.mu.Unlock()
}

// RecordStreamEvent counts one entry of the given event type.
func (o *Objects) RecordStreamEvent(room, event []byte) {
	var buf [2*maxLabel + 1]byte
	name := append(append(append(buf[:0], room...), 0), event...)
	t, h := o.table(Events, name)
	t.mu.Lock()
	t.words(o, Events, name, h, 0, 1)[wordOK]++
	t.mu.Unlock()
}

// RecordMessage counts n messages published to a topic; 0 says only that the
// topic is in use, as a subscription does.
func (o *Objects) RecordMessage(topic []byte, n int) {
	t, h := o.table(Topics, topic)
	t.mu.Lock()
	t.words(o, Topics, topic, h, 0, 1)[wordOK] += uint64(n)
	t.mu.Unlock()
}

// Forget drops the series of an object that was deleted; what it did goes on
// counting under _other.
func (o *Objects) Forget(f Family, name []byte) {
	t, h := o.table(f, name)
	t.mu.Lock()
	if r := t.find(name, h); r >= 0 {
		t.drop(f, r)
	}
	t.mu.Unlock()
}

// ForgetAll drops every series of a family (FLUSHALL).
func (o *Objects) ForgetAll(f Family) {
	for i := range o.tables[f] {
		t := &o.tables[f][i]
		t.mu.Lock()
		for len(t.rows) > 0 {
			t.drop(f, len(t.rows)-1)
		}
		t.mu.Unlock()
	}
}

func (o *Objects) table(f Family, name []byte) (*table, uint64) {
	h := maphash.Bytes(o.seed, name)
	return &o.tables[f][h>>60], h
}

// table is one part of a family.
type table struct {
	mu    sync.Mutex // guards everything here
	tags  []uint8    // open addressing: tagOf each row's hash; 0 = free. Small, to stay in the processor's cache
	at    []uint32   // beside tags: the row
	rows  []row
	ranks []uint32 // beside rows, close together: what a search for the least used reads
	other []uint64 // words of the names without a row
	rnd   uint64

	folded uint64 // how often a name was put under _other
	_      [64]byte
}

type row struct {
	name  string
	hash  uint64
	words []uint64 // familyWords for each operation up to the last used

	chosen bool     // by the scrape going on
	shown  bool     // has its own series since the last scrape
	aged   bool     // was there at an earlier scrape
	floor  []uint64 // of a shown row: what stays under _other; nil = nothing
}

// words returns the counters to add to for one operation of a name, used so many
// times: its row's or those of _other.
func (t *table) words(o *Objects, f Family, name []byte, h uint64, op int, times uint32) []uint64 {
	r := t.find(name, h)
	if r < 0 {
		if r = t.enter(o, f, name, h); r < 0 {
			t.folded += uint64(times)
			return cells(&t.other, f, op)
		}
	}
	if rank := &t.ranks[r]; *rank <= math.MaxUint32-times {
		*rank += times
	}
	return cells(&t.rows[r].words, f, op)
}

// cells returns the words of one operation, which grow when it is first used.
func cells(all *[]uint64, f Family, op int) []uint64 {
	width := familyWords[f]
	from, to := op*width, (op+1)*width
	if to > len(*all) {
		grown := make([]uint64, to)
		copy(grown, *all)
		*all = grown
	}
	return (*all)[from:to:to]
}

func (t *table) find(name []byte, h uint64) int {
	if len(t.tags) == 0 {
		return -1
	}
	mask, tag := uint64(len(t.tags)-1), tagOf(h)
	for i := h & mask; t.tags[i] != 0; i = (i + 1) & mask {
		if t.tags[i] != tag {
			continue
		}
		if r := int(t.at[i]); t.rows[r].hash == h && t.rows[r].name == string(name) {
			return r
		}
	}
	return -1
}

// tagOf takes a byte of the hash that neither table nor place depend on.
func tagOf(h uint64) uint8 { return max(1, uint8(h>>40)) }

// enter gives name a row if one is free or can be won; -1 if not.
func (t *table) enter(o *Objects, f Family, name []byte, h uint64) int {
	if len(name) > maxLabel {
		return -1
	}
	if len(t.rows) >= int(o.limit.Load())*rowsPerLabel {
		allowed := o.allow[f].Load()
		first := allowed != nil && (*allowed)(name)
		if !first && !t.lucky() || !t.win(f, allowed, first) {
			return -1
		}
	}
	if 2*(len(t.rows)+1) > len(t.tags) {
		t.grow()
	}
	t.rows = append(t.rows, row{name: string(name), hash: h})
	t.ranks = append(t.ranks, 0)
	t.place(len(t.rows) - 1)
	return len(t.rows) - 1
}

// lucky is true one time in 16: a name that comes once costs no more than this.
func (t *table) lucky() bool {
	t.rnd = t.rnd*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator: its upper bits are good
	return t.rnd>>60 == 0
}

// win gives up the least used of a few rows, for a name on the allow-list
// always, else with probability 1/(that row's use + 1).
func (t *table) win(f Family, allowed *func([]byte) bool, first bool) bool {
	least, rank := -1, uint32(math.MaxUint32)
	x := t.random()
	for range sampled {
		x = x*6364136223846793005 + 1442695040888963407
		r := int(x >> 33 % uint64(len(t.rows)))
		if t.ranks[r] < rank && (allowed == nil || !(*allowed)([]byte(t.rows[r].name))) {
			least, rank = r, t.ranks[r]
		}
	}
	if least < 0 || !first && t.random()%(uint64(rank)+1) != 0 {
		return false
	}
	t.folded++
	t.drop(f, least)
	return true
}

func (t *table) random() uint64 {
	t.lucky()
	return t.rnd ^ t.rnd>>32
}

// grow doubles the index; rows keep their places.
func (t *table) grow() {
	n := max(16, 2*len(t.tags))
	t.tags, t.at = make([]uint8, n), make([]uint32, n)
	for r := range t.rows {
		t.place(r)
	}
}

func (t *table) place(r int) {
	mask := uint64(len(t.tags) - 1)
	i := t.rows[r].hash & mask
	for t.tags[i] != 0 {
		i = (i + 1) & mask
	}
	t.tags[i], t.at[i] = tagOf(t.rows[r].hash), uint32(r)
}

// drop adds a row's words to _other and frees it; the last row takes its place.
func (t *table) drop(f Family, r int) {
	row := &t.rows[r]
	t.other = addWords(t.other, row.words)
	t.unplace(r)
	end := len(t.rows) - 1
	if r != end {
		t.unplace(end)
		t.rows[r], t.ranks[r] = t.rows[end], t.ranks[end]
		t.place(r)
	}
	t.rows[end] = row0
	t.rows, t.ranks = t.rows[:end], t.ranks[:end]
}

var row0 row

// unplace takes a row out of the index, closing the gap behind it.
func (t *table) unplace(r int) {
	mask := uint64(len(t.tags) - 1)
	i := t.rows[r].hash & mask
	for t.tags[i] == 0 || t.at[i] != uint32(r) {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t.tags[j] != 0; j = (j + 1) & mask {
		home := t.rows[t.at[j]].hash & mask
		if (j-home)&mask >= (j-i)&mask {
			t.tags[i], t.at[i] = t.tags[j], t.at[j]
			i = j
		}
	}
	t.tags[i] = 0
}

// Object is one series to show: a name and its counters.
type Object struct {
	Label string // as shown
	Name  string
	Words []uint64
}

// candidate is a row and its claim to be shown: allow-listed names come first,
// then the most used; the hash decides between equals.
type candidate struct {
	claim uint64
	table int
	name  string
	hash  uint64
}

// Collect chooses the names to show and returns their counters and those of
// _other. Counters of a name never fall while it is shown, and _other never
// falls at all. A table is locked for microseconds at a time.
func (o *Objects) Collect(f Family) (shown []Object, other []uint64) {
	o.scrape.Lock()
	defer o.scrape.Unlock()
	all := o.candidates(f)
	if limit := int(o.limit.Load()); len(all) > limit {
		selectFirst(all, limit)
		all = all[:limit]
	}
	var chosen [trackers][]candidate
	for _, c := range all {
		chosen[c.table] = append(chosen[c.table], c)
	}
	for i := range o.tables[f] {
		shown, other = o.tables[f][i].collect(chosen[i], shown, other)
	}
	slices.SortFunc(shown, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return shown, other
}

// candidates lists the rows of a family. A row that is shown stands its ground
// against one that is a little busier, so that series do not flap.
func (o *Objects) candidates(f Family) []candidate {
	all := o.spare[:0]
	allowed := o.allow[f].Load()
	for i := range o.tables[f] {
		t := &o.tables[f][i]
		t.mu.Lock()
		for r := range t.rows {
			row, rank := &t.rows[r], uint64(t.ranks[r])
			if row.shown {
				rank += rank / 4
			}
			claim := min(rank, math.MaxUint32)<<31 | row.hash>>33
			all = append(all, candidate{claim, i, row.name, row.hash})
		}
		t.mu.Unlock()
	}
	if allowed != nil {
		for i := range all {
			if (*allowed)([]byte(all[i].name)) {
				all[i].claim |= 1 << 63
			}
		}
	}
	o.spare = all
	return all
}

// selectFirst moves the n largest claims to the front (Hoare's selection).
func selectFirst(all []candidate, n int) {
	for lo, hi := 0, len(all)-1; lo < hi; {
		pivot := all[lo+(hi-lo)/2].claim
		i, j := lo, hi
		for i <= j {
			for all[i].claim > pivot {
				i++
			}
			for all[j].claim < pivot {
				j--
			}
			if i <= j {
				all[i], all[j] = all[j], all[i]
				i++
				j--
			}
		}
		switch {
		case n-1 <= j:
			hi = j
		case n-1 >= i:
			lo = i
		default:
			return
		}
	}
}

// collect adds the table's part: a series for each chosen row, everything else
// to other.
func (t *table) collect(chosen []candidate, shown []Object, other []uint64) ([]Object, []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.rows {
		t.rows[i].chosen = false
	}
	for _, c := range chosen {
		if r := t.find([]byte(c.name), c.hash); r >= 0 {
			t.rows[r].chosen = true
		}
	}
	other = addWords(other, t.other)
	for i := range t.rows {
		r := &t.rows[i]
		if !r.chosen {
			if !r.aged || r.shown {
				t.folded++
			}
			r.shown, r.floor, r.aged = false, nil, true
			other = addWords(other, r.words)
			continue
		}
		if !r.shown && r.aged {
			r.floor = slices.Clone(r.words)
		}
		r.shown, r.aged = true, true
		other = addWords(other, r.floor)
		words := slices.Clone(r.words)
		for i, w := range r.floor {
			words[i] -= w
		}
		shown = append(shown, Object{Name: r.name, Words: words})
	}
	return shown, other
}

// addWords adds src to dst, which grows as needed.
func addWords(dst, src []uint64) []uint64 {
	if len(dst) < len(src) {
		dst = append(dst, make([]uint64, len(src)-len(dst))...)
	}
	for i, w := range src {
		dst[i] += w
	}
	return dst
}

// Folded returns how often a name of the family was put under _other for lack
// of room.
func (o *Objects) Folded(f Family) (n uint64) {
	for i := range o.tables[f] {
		t := &o.tables[f][i]
		t.mu.Lock()
		n += t.folded
		t.mu.Unlock()
	}
	return n
}
