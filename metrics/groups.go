package metrics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// GroupGauge is the present state of a consumer group.
type GroupGauge struct {
	DB      int
	Name    string
	Pending int64
	Lag     int64 // entries yet to be read; -1: not known
}

// groupSeries is a group with series of its own: one name of one stream, in all
// databases together.
type groupSeries struct {
	room, name string // labels
	parts      []GroupGauge
	pending    int64
	lag        int64
	unknown    bool // the lag of a part is not known
}

func (g *groupSeries) add(p GroupGauge) {
	g.parts = append(g.parts, p)
	g.pending += p.Pending
	g.lag += max(p.Lag, 0)
	g.unknown = g.unknown || p.Lag < 0
}

// groups chooses the groups to show, most behind first, at most limit. The last
// series stands for the rest.
func groups(rooms []Object, gauges []Gauge, limit int) []*groupSeries {
	var all []*groupSeries
	rest := &groupSeries{room: other, name: other}
	for i := range rooms {
		known := map[string]*groupSeries{}
		for _, p := range gauges[i].Groups {
			name := label(p.Name)
			g := known[name]
			if g == nil {
				g = &groupSeries{room: rooms[i].Label, name: name}
				known[name] = g
				all = append(all, g)
			}
			g.add(p)
		}
	}
	if len(all) > limit {
		slices.SortFunc(all, func(a, b *groupSeries) int {
			return cmp.Or(cmp.Compare(b.pending+b.lag, a.pending+a.lag), strings.Compare(a.room, b.room), strings.Compare(a.name, b.name))
		})
		for _, g := range all[limit:] {
			for _, p := range g.parts {
				rest.add(p)
			}
		}
		all = all[:limit]
	}
	return append(all, rest)
}

// lags shows how far groups are behind; a lag that is not known has no series.
func (c *collector) lags(e *emitter, all []*groupSeries) {
	for _, g := range all {
		if !g.unknown || g.name == other {
			e.value(c.f.streamLag, float64(g.lag), g.room, g.name)
		}
	}
}

// groups shows the groups of each database.
func (r *redisNames) groups(e *emitter, all []*groupSeries) {
	for _, g := range all {
		if g.name == other {
			e.value(r.groupPending, float64(g.pending), "db0", other, other)
			e.value(r.groupLag, float64(g.lag), "db0", other, other)
			continue
		}
		for _, p := range g.parts {
			db := "db" + strconv.Itoa(p.DB)
			e.value(r.groupPending, float64(p.Pending), db, g.room, g.name)
			if p.Lag >= 0 {
				e.value(r.groupLag, float64(p.Lag), db, g.room, g.name)
			}
		}
	}
}
