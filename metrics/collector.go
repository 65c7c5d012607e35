package metrics

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// other is the label value that sums up what has no series of its own.
const other = "_other"

// collector computes every family from one Stats snapshot.
type collector struct {
	m *Metrics
	f *familyTable
	r *redisNames
}

func newCollector(m *Metrics) *collector {
	return &collector{m: m, f: newFamilies(), r: newRedisNames()}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.f.all() {
		ch <- d.Desc
	}
	for _, d := range c.r.all {
		ch <- d.Desc
	}
	ch <- c.r.quants
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.m.o.Stats()
	e := &emitter{ch}
	c.keyspace(e, &s)
	c.commands(e, &s)
	c.queues(e)
	rooms, gauges, groups := c.streams(e)
	c.pubsub(e, &s)
	c.replication(e)
	c.side(e)
	c.process(e, &s)
	c.clients(e, &s)
	c.totals(e, &s)
	c.durability(e, &s.Persistence)
	c.limits(e, &s)
	c.traces(e, &s.Trace)
	if c.m.o.RedisNames == nil || c.m.o.RedisNames() {
		c.r.collect(e, &s)
		c.r.streams(e, rooms, gauges)
		c.r.groups(e, groups)
	}
}

// emitter writes finished metrics.
type emitter struct{ ch chan<- prometheus.Metric }

func (e *emitter) value(d *desc, v float64, labels ...string) {
	kind := prometheus.GaugeValue
	if d.Type == "counter" {
		kind = prometheus.CounterValue
	}
	e.ch <- prometheus.MustNewConstMetric(d.Desc, kind, v, labels...)
}

func (e *emitter) count(d *desc, v uint64, labels ...string) { e.value(d, float64(v), labels...) }

func (e *emitter) outcome(d *desc, ok, failed uint64, labels ...string) {
	e.count(d, ok, append(labels, "success")...)
	e.count(d, failed, append(labels[:len(labels):len(labels)], "error")...)
}

// histogram shows counts by bucket, one more than there are bounds.
func (e *emitter) histogram(d *desc, bounds []float64, counts []uint64, sum float64) {
	h := &histogram{desc: d.Desc, sum: sum, upper: bounds, cum: make([]uint64, len(bounds))}
	for i, n := range counts {
		h.count += n
		if i < len(h.cum) {
			h.cum[i] = h.count
		}
	}
	e.ch <- h
}

// commandHistogram shows one command's time; index picks the classic bounds.
func (e *emitter) commandHistogram(d *desc, s *CommandStats, upper []float64, index []int, labels ...string) {
	counts := s.Buckets
	if counts == nil {
		counts = noBuckets[:]
	}
	e.ch <- &histogram{
		desc: d.Desc, labels: prometheus.MakeLabelPairs(d.Desc, labels),
		count: s.Calls, sum: float64(s.Sum) / 1e9,
		upper: upper, cum: classic(counts, index), native: counts,
	}
}

var noBuckets [buckets]uint64

// kvGroups are the command groups of the key-value families.
var kvGroups = []string{"string", "generic", "bitmap", "hyperloglog", "hash", "set", "sorted-set", "geo"}

// pubsubOps are the operations shown from the start.
var pubsubOps = []string{"publish", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "spublish"}

func (c *collector) keyspace(e *emitter, s *Stats) {
	for i, n := range s.ShardKeys {
		e.value(c.f.kvKeysTotal, float64(n), strconv.Itoa(i))
	}
	if len(s.Keyspace) == 0 {
		e.value(c.f.kvKeys, 0, "0")
	}
	for _, db := range s.Keyspace {
		e.value(c.f.kvKeys, float64(db.Keys), strconv.Itoa(db.DB))
	}
	for _, kind := range []string{"string", "hash", "list", "set", "zset", "stream", "queue", "overhead"} {
		e.value(c.f.kvMemory, float64(s.KindBytes[kind]), kind)
	}
}

// commands shows the per-command families: GET from the start, the others once
// they were called.
func (c *collector) commands(e *emitter, s *Stats) {
	all := s.Commands
	if !slices.ContainsFunc(all, func(r CommandStats) bool { return r.Name == "get" }) {
		all = append(slices.Clone(all), CommandStats{Name: "get", Group: "string"})
	}
	for i := range all {
		r := &all[i]
		ok := r.Calls - min(r.Failed, r.Calls)
		e.count(c.f.commands, ok, r.Name, "success")
		e.count(c.f.commands, r.Failed, r.Name, "error")
		e.count(c.f.commands, r.Rejected, r.Name, "rejected")
		e.commandHistogram(c.f.commandDuration, r, coarseBounds, coarseIndex, r.Name)
		if slices.Contains(kvGroups, r.Group) {
			e.outcome(c.f.kvOps, ok, r.Failed+r.Rejected, r.Name)
			e.commandHistogram(c.f.kvDuration, r, fineBounds, fineIndex, r.Name)
		}
	}
}

// names turns objects into label values: valid UTF-8, none twice, none _other.
// What cannot be shown is added to rest.
func labelled(shown []Object, rest []uint64) ([]Object, []uint64) {
	seen := make(map[string]bool, len(shown)+1)
	seen[other] = true
	out := shown[:0]
	for _, o := range shown {
		label := o.Name
		if !utf8.ValidString(label) {
			label = strings.Trim(strconv.QuoteToASCII(label), `"`)
		}
		if seen[label] {
			rest = addWords(rest, o.Words)
			continue
		}
		seen[label] = true
		o.Label = label
		out = append(out, o)
	}
	return out, rest
}

// objects are the shown objects of a family, _other among them, and their
// gauges beside them.
func (c *collector) objects(f Family) ([]Object, []Gauge) {
	shown, rest := labelled(c.m.o.Objects.Collect(f))
	gauges := make([]Gauge, len(shown), len(shown)+1)
	if c.m.o.Gauges != nil && len(shown) > 0 {
		names := make([]string, len(shown))
		for i := range shown {
			names[i] = shown[i].Name
		}
		copy(gauges, c.m.o.Gauges(f, names))
	}
	return append(shown, Object{Name: other, Label: other, Words: rest}), append(gauges, Gauge{})
}

// word reads a counter that may never have been touched.
func (o *Object) word(i int) uint64 {
	if i < len(o.Words) {
		return o.Words[i]
	}
	return 0
}

func (c *collector) queues(e *emitter) {
	objects, gauges := c.objects(Queues)
	for i := range objects {
		c.queue(e, &objects[i], gauges[i])
	}
	e.count(c.f.labelsDropped, c.m.o.Objects.Folded(Queues), "queue")
}

// queue shows one queue: its depth, and the operations it has seen.
func (c *collector) queue(e *emitter, o *Object, g Gauge) {
	width := familyWords[Queues]
	e.value(c.f.queueDepth, float64(g.Size), o.Label)
	if q := g.Queue; q != nil || o.Label == other {
		if q == nil {
			q = &QueueGauge{}
		}
		e.value(c.f.queueDLQ, float64(q.Dead), o.Label)
		e.value(c.f.queueUnacked, float64(q.Unacked), o.Label)
		e.value(c.f.queueDelayed, float64(q.Delayed), o.Label)
		e.value(c.f.queueConsumers, float64(q.Consumers), o.Label)
		e.value(c.f.queueOldest, float64(q.OldestAge)/1e3, o.Label)
		e.value(c.f.queueRedelive, float64(o.word(int(QueueRedeliver)*width+wordOK)), o.Label)
	}
	for op, name := range queueOpNames {
		if at := op * width; o.Label == other || at+width <= len(o.Words) && o.used(at, width) {
			e.outcome(c.f.queueOps, o.word(at+wordOK), o.word(at+wordError), o.Label, name)
			c.queueHistogram(e, o, at, name)
		}
	}
}

func (o *Object) used(from, n int) bool {
	return slices.ContainsFunc(o.Words[from:from+n], func(w uint64) bool { return w != 0 })
}

func (c *collector) queueHistogram(e *emitter, o *Object, at int, op string) {
	h := &histogram{
		desc: c.f.queueDuration.Desc, labels: prometheus.MakeLabelPairs(c.f.queueDuration.Desc, []string{o.Label, op}),
		sum: float64(o.word(at+wordSum)) / 1e9, upper: objectUpper, cum: make([]uint64, len(objectUpper)),
	}
	for i := range len(objectUpper) + 1 {
		h.count += o.word(at + wordBuckets + i)
		if i < len(h.cum) {
			h.cum[i] = h.count
		}
	}
	e.ch <- h
}

func (c *collector) streams(e *emitter) (objects []Object, gauges []Gauge, shown []*groupSeries) {
	objects, gauges = c.objects(Rooms)
	for i := range objects {
		c.room(e, &objects[i], gauges[i])
	}
	c.streamEvents(e, objects)
	shown = groups(objects, gauges, int(c.m.o.Objects.limit.Load()))
	c.lags(e, shown)
	e.count(c.f.labelsDropped, c.m.o.Objects.Folded(Rooms), "room")
	e.count(c.f.labelsDropped, c.m.o.Objects.Folded(Events), "event_type")
	return objects, gauges, shown
}

// room shows one stream.
func (c *collector) room(e *emitter, o *Object, g Gauge) {
	width := familyWords[Rooms]
	e.value(c.f.streamBuffer, float64(g.Size), o.Label)
	e.value(c.f.streamSubscribers, float64(g.Subscribers), o.Label)
	for op, name := range streamOpNames {
		if at := op * width; o.Label == other || at+width <= len(o.Words) && o.used(at, width) {
			e.outcome(c.f.streamOps, o.word(at+wordOK), o.word(at+wordError), o.Label, name)
		}
	}
}

// streamEvents shows pairs of room and event type. A room is shown here if it
// is shown above, and each label takes max_label_values values at most.
func (c *collector) streamEvents(e *emitter, rooms []Object) {
	shown, rest := c.m.o.Objects.Collect(Events)
	known := make(map[string]string, len(rooms))
	for _, r := range rooms {
		known[r.Name] = r.Label
	}
	sums := map[[2]string]uint64{{other, other}: 0}
	for _, n := range rest {
		sums[[2]string{other, other}] += n
	}
	for _, o := range shown {
		room, event, _ := strings.Cut(o.Name, "\x00")
		label, ok := known[room]
		if !ok {
			label = other
		}
		if !utf8.ValidString(event) {
			event = strings.Trim(strconv.QuoteToASCII(event), `"`)
		}
		sums[[2]string{label, event}] += o.word(wordOK)
	}
	for pair, n := range sums {
		e.count(c.f.streamEvents, n, pair[0], pair[1])
	}
}

func (c *collector) pubsub(e *emitter, s *Stats) {
	done := map[string]bool{}
	for i := range s.Commands {
		if r := &s.Commands[i]; r.Group == "pubsub" {
			done[r.Name] = true
			e.outcome(c.f.pubsubOps, r.Calls-min(r.Failed, r.Calls), r.Failed+r.Rejected, r.Name)
		}
	}
	for _, op := range pubsubOps {
		if !done[op] {
			e.outcome(c.f.pubsubOps, 0, 0, op)
		}
	}
	objects, gauges := c.objects(Topics)
	left := s.Clients.Subscriptions
	for i := range objects {
		o := &objects[i]
		e.count(c.f.pubsubMessages, o.word(wordOK), o.Label)
		n := gauges[i].Size
		if left -= n; o.Label == other {
			n = max(left, 0)
		}
		e.value(c.f.pubsubSubscriptions, float64(n), o.Label)
	}
	e.count(c.f.labelsDropped, c.m.o.Objects.Folded(Topics), "topic")
}

func (c *collector) replication(e *emitter) {
	e.value(c.f.replLag, 0, other)
	for _, kind := range []string{"full_sync", "partial_sync", "append"} {
		e.outcome(c.f.replOps, 0, 0, kind)
	}
	e.value(c.f.replBytes, 0, "sent")
	e.value(c.f.replBytes, 0, "received")
}

func (c *collector) process(e *emitter, s *Stats) {
	p := &s.Process
	e.value(c.f.processMemory, float64(p.RSS), "used")
	e.value(c.f.processMemory, float64(s.Memory.Allowed), "total")
	e.value(c.f.processCPU, p.CPU1, "1min")
	e.value(c.f.processCPU, p.CPU5, "5min")
	e.value(c.f.hostMemory, float64(p.HostUsed), "used")
	e.value(c.f.hostMemory, float64(p.HostTotal), "total")
	for i, window := range []string{"1min", "5min", "15min"} {
		e.value(c.f.hostLoad, p.Load[i], window)
	}
	e.value(c.f.buildInfo, 1, s.Server.Version, s.Server.Revision, s.Server.GoVersion)
	e.value(c.f.up, s.Server.Now.Sub(s.Server.Started).Seconds())
}

func (c *collector) clients(e *emitter, s *Stats) {
	for _, d := range s.Clients.Doors {
		e.value(c.f.connections, float64(d.Connections), d.Door, d.State)
	}
	e.value(c.f.connectionsTotal, float64(s.Clients.Accepted))
	for reason, n := range s.Clients.Rejected {
		e.value(c.f.rejected, float64(n), reason)
	}
	for reason, n := range s.Clients.Killed {
		e.value(c.f.killed, float64(n), reason)
	}
	e.value(c.f.maxClients, float64(s.Clients.Max))
	e.value(c.f.blocked, float64(s.Clients.Blocked))
	e.value(c.f.netIn, float64(s.Totals.InputBytes))
	e.value(c.f.netOut, float64(s.Totals.OutputBytes))
}

func (c *collector) totals(e *emitter, s *Stats) {
	e.value(c.f.hits, float64(s.Totals.Hits))
	e.value(c.f.misses, float64(s.Totals.Misses))
	e.value(c.f.expired, float64(s.Totals.Expired))
	e.value(c.f.evicted, float64(s.Totals.Evicted), s.Memory.Policy)
	e.count(c.f.errors, s.Errors["ERR"], "ERR")
	for prefix, n := range s.Errors {
		if prefix != "ERR" {
			e.count(c.f.errors, n, label(prefix))
		}
	}
	e.value(c.f.slowlog, float64(s.Slowlog.Length))
	e.value(c.f.panics, float64(s.Totals.Panics))
	e.value(c.f.memory, float64(s.Memory.Used))
	e.value(c.f.maxMemory, float64(s.Memory.Max))
}

func (c *collector) durability(e *emitter, s *PersistenceStats) {
	e.value(c.f.logEnabled, zeroOrOne(s.LogOn))
	e.value(c.f.logHealthy, zeroOrOne(!s.LogFailed))
	e.value(c.f.logSize, float64(s.LogSize))
	e.value(c.f.logBase, float64(s.LogBase))
	e.value(c.f.logWritten, float64(s.LogWritten))
	e.count(c.f.logUnsynced, s.LogUnsynced)
	e.value(c.f.logFailures, float64(s.LogFailures))
	e.histogram(c.f.logSync, s.SyncBounds, s.Syncs, s.SyncSum)
	e.outcome(c.f.logRewrites, uint64(s.Rewrite.OK), uint64(s.Rewrite.Errors))
	e.value(c.f.logRewriting, zeroOrOne(s.Rewrite.Running))
	e.value(c.f.logRewriteTook, float64(s.Rewrite.Took))
	e.outcome(c.f.saves, uint64(s.Save.OK), uint64(s.Save.Errors))
	e.value(c.f.saving, zeroOrOne(s.Save.Running))
	e.value(c.f.saveTook, float64(s.Save.Took))
	e.value(c.f.saveLast, float64(s.Save.Last))
	e.value(c.f.saveChanges, float64(s.Changes))
	e.value(c.f.loading, zeroOrOne(s.Loading))
	e.value(c.f.loadBytes, float64(s.LoadTotal), "total")
	e.value(c.f.loadBytes, float64(s.LoadDone), "read")
}

func zeroOrOne(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

func (c *collector) limits(e *emitter, s *Stats) {
	l := &s.Limiter
	for _, d := range l.Decisions {
		e.count(c.f.limitDecisions, d.Count, d.Layer, d.Action)
	}
	e.histogram(c.f.limitDelay, l.DelayBounds, l.DelayCount, l.DelaySum)
	e.value(c.f.limitBuckets, float64(l.Buckets))
	e.count(c.f.limitOverflow, l.Overflow)
}

func (c *collector) traces(e *emitter, s *TraceStats) {
	e.count(c.f.traceExported, s.Exported)
	e.count(c.f.traceDropped, s.Dropped, "queue_full")
	e.count(c.f.traceDropped, s.Failed, "export_failed")
}

// label makes a word that came from elsewhere a valid label value.
func label(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return fmt.Sprintf("%+q", s)
}
