package metrics

import (
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// detailedFamilies are the words of /metrics/detailed?family=.
var detailedFamilies = map[string]Family{"queue": Queues, "room": Rooms, "topic": Topics}

// detailed shows every object of a family whose name matches a pattern, not
// only those that /metrics has room for. Counters are those since the object
// got its row; what it did before is known under _other only.
func (m *Metrics) detailed(w http.ResponseWriter, r *http.Request) {
	f, ok := detailedFamilies[r.URL.Query().Get("family")]
	if !ok {
		http.Error(w, "family must be one of: queue, room, topic", http.StatusBadRequest)
		return
	}
	pattern := r.URL.Query().Get("match")
	if pattern == "" {
		pattern = "*"
	}
	c := &detailCollector{m: m, f: newFamilies(), family: f, pattern: pattern}
	registry := prometheus.NewRegistry()
	if err := registry.Register(c); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	m.scrapeHandler(registry).ServeHTTP(w, r)
}

// detailCollector is the collector of one request.
type detailCollector struct {
	m       *Metrics
	f       *familyTable
	family  Family
	pattern string
}

// Describe implements prometheus.Collector: which metrics come is not known.
func (c *detailCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *detailCollector) Collect(ch chan<- prometheus.Metric) {
	objects, gauges := c.objects()
	full := &collector{m: c.m, f: c.f}
	e := &emitter{ch}
	if c.family == Rooms {
		full.lags(e, groups(objects, gauges, math.MaxInt))
	}
	for i := range objects {
		switch c.family {
		case Queues:
			full.queue(e, &objects[i], gauges[i])
		case Rooms:
			full.room(e, &objects[i], gauges[i])
		case Topics:
			e.count(c.f.pubsubMessages, objects[i].word(wordOK), objects[i].Label)
			e.value(c.f.pubsubSubscriptions, float64(gauges[i].Size), objects[i].Label)
		}
	}
}

// objects joins what exists with what has counters.
func (c *detailCollector) objects() ([]Object, []Gauge) {
	sizes := map[string]Gauge{}
	if c.m.o.Walk != nil {
		c.m.o.Walk(c.family, func(name string, g Gauge) {
			if c.matches(name) {
				old := sizes[name]
				sizes[name] = Gauge{
					Size: old.Size + g.Size, Subscribers: old.Subscribers + g.Subscribers, Groups: append(old.Groups, g.Groups...),
					Queue: old.Queue.plus(g.Queue),
				}
			}
		})
	}
	var all []Object
	for _, o := range c.m.o.Objects.rows(c.family) {
		if c.matches(o.Name) {
			all = append(all, o)
		}
	}
	known := make(map[string]bool, len(all))
	for _, o := range all {
		known[o.Name] = true
	}
	for name := range sizes {
		if !known[name] {
			all = append(all, Object{Name: name})
		}
	}
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	all, _ = labelled(all, nil)
	gauges := make([]Gauge, len(all))
	for i := range all {
		gauges[i] = sizes[all[i].Name]
	}
	return all, gauges
}

func (c *detailCollector) matches(name string) bool {
	return c.m.o.Match == nil || c.m.o.Match(c.pattern, name)
}

// rows returns every row of a family with all it counted.
func (o *Objects) rows(f Family) (all []Object) {
	for i := range o.tables[f] {
		t := &o.tables[f][i]
		t.mu.Lock()
		for r := range t.rows {
			all = append(all, Object{Name: t.rows[r].name, Words: slices.Clone(t.rows[r].words)})
		}
		t.mu.Unlock()
	}
	return all
}
