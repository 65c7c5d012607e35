package command

import (
	"synap/resp"
	"synap/store"
)

// The searches of geospatial indexes.

const geoUnits = "<M | KM | FT | MI>"

const geoShapeUsage = "<FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius " + geoUnits + " | BYBOX width height " + geoUnits + "> [ASC | DESC] [COUNT count [ANY]]"

const geoRadiusUsage = "radius " + geoUnits + " [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]"

const geoCost = "O(N+log(M)) where N is the number of members in the rectangle around the area and M that of all members of the index"

func geoSearchRows() []Row {
	return []Row{
		{
			Name: "geosearch", Usage: "key " + geoShapeUsage + " [WITHCOORD] [WITHDIST] [WITHHASH]", Arity: -7,
			Summary: "Returns the members within a circle or a box.",
			Group:   "geo", Since: "6.2.0", Complexity: geoCost,
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: func(c *Ctx) { geosearch(c, geoSearch) },
		},
		{
			Name: "geosearchstore", Usage: "destination source " + geoShapeUsage + " [STOREDIST]", Arity: -8,
			Summary: "Stores the members within a circle or a box.",
			Group:   "geo", Since: "6.2.0", Complexity: geoCost,
			Flags: Write | DenyOOM, Keys: twoKeys(OW|Update, RO|Access), Run: func(c *Ctx) { geosearch(c, geoSearchStore) },
		},
		{
			Name: "georadius", Usage: "key longitude latitude " + geoRadiusUsage + " [STORE storekey | STOREDIST storedistkey]", Arity: -6,
			Summary: "Returns or stores the members within a circle around a position.",
			Group:   "geo", Since: "3.2.0", Complexity: geoCost,
			Deprecated: "6.2.0|`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
			Flags:      Write | DenyOOM, Keys: geoStoreKeys(6), FindKeys: geoKeys, Run: func(c *Ctx) { geosearch(c, geoRadiusStore) },
		},
		{
			Name: "georadius_ro", Usage: "key longitude latitude " + geoRadiusUsage, Arity: -6,
			Summary: "Returns the members within a circle around a position.",
			Group:   "geo", Since: "3.2.10", Complexity: geoCost,
			Deprecated: "6.2.0|`GEOSEARCH` with the `BYRADIUS` argument",
			Flags:      ReadOnly, Keys: oneKey(RO | Access), Run: func(c *Ctx) { geosearch(c, geoRadiusOnly) },
		},
		{
			Name: "georadiusbymember", Usage: "key member " + geoRadiusUsage + " [STORE storekey | STOREDIST storedistkey]", Arity: -5,
			Summary: "Returns or stores the members within a circle around a member.",
			Group:   "geo", Since: "3.2.0", Complexity: geoCost,
			Deprecated: "6.2.0|`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
			Flags:      Write | DenyOOM, Keys: geoStoreKeys(5), FindKeys: geoKeys, Run: func(c *Ctx) { geosearch(c, geoMemberStore) },
		},
		{
			Name: "georadiusbymember_ro", Usage: "key member " + geoRadiusUsage, Arity: -5,
			Summary: "Returns the members within a circle around a member.",
			Group:   "geo", Since: "3.2.10", Complexity: geoCost,
			Deprecated: "6.2.0|`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
			Flags:      ReadOnly, Keys: oneKey(RO | Access), Run: func(c *Ctx) { geosearch(c, geoMemberOnly) },
		},
	}
}

// geoStoreKeys are the specs of GEORADIUS and GEORADIUSBYMEMBER, whose options
// begin at an argument index.
func geoStoreKeys(options int) []KeySpec {
	return []KeySpec{
		{Flags: RO | Access, Begin: 1},
		{Flags: OW | Update, Keyword: "STORE", From: options},
		{Flags: OW | Update, Keyword: "STOREDIST", From: options},
	}
}

// geoKeys finds the keys of GEORADIUS and GEORADIUSBYMEMBER: those behind every
// STORE and STOREDIST, of which the last one counts.
func geoKeys(args [][]byte, dst []KeyAt) ([]KeyAt, bool) {
	if len(args) < 2 {
		return dst, false
	}
	dst = append(dst, KeyAt{1, RO | Access})
	for i := 5; i < len(args)-1; i++ {
		if resp.EqualFold(args[i], "STORE") || resp.EqualFold(args[i], "STOREDIST") {
			i++
			dst = append(dst, KeyAt{i, OW | Update})
		}
	}
	return dst, true
}

// geoKind tells the searching commands apart.
type geoKind uint8

const (
	geoSearch geoKind = iota
	geoSearchStore
	geoRadiusStore
	geoRadiusOnly
	geoMemberStore
	geoMemberOnly
)

// geoQuery is a search.
type geoQuery struct {
	kind  geoKind
	z     store.ZSet
	shape geoShape

	fromMember, fromPoint, byRadius, byBox bool
	withDist, withHash, withCoord          bool

	any   bool
	count int64 // 0: all
	order int   // 1 ascending, -1 descending, 0 as found

	stores, storeDist bool
	dst               []byte
}

func geosearch(c *Ctx, kind geoKind) {
	source := 1
	if kind == geoSearchStore {
		source = 2
	}
	z, ok := zsetAt(c, c.Args[source], store.Read)
	if !ok {
		return
	}
	q := geoQuery{kind: kind, z: z}
	a := resp.NewArgs(c.Args[source+1:])
	switch kind {
	case geoSearchStore:
		q.stores, q.dst = true, c.Args[1]
	case geoRadiusStore, geoRadiusOnly:
		q.shape.centre = parseGeoPoint(&a)
		q.parseRadius(&a)
	case geoMemberStore, geoMemberOnly:
		q.parseMember(&a)
		if z.Len() == 0 { // then nobody looks what the radius is
			a.Next()
			a.Next()
		} else {
			q.parseRadius(&a)
		}
	}
	for a.Left() > 0 {
		q.parseOption(&a)
	}
	q.check(&a, string(c.Args[0]))
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	q.run(c)
}

func (q *geoQuery) searches() bool { return q.kind == geoSearch || q.kind == geoSearchStore }

// parseMember reads a member, whose position becomes the centre.
func (q *geoQuery) parseMember(a *resp.Args) {
	member := a.Next()
	if a.Err() != nil || q.z.Len() == 0 {
		return
	}
	score, ok := q.z.Score(member)
	if !ok {
		a.Fail(resp.ErrGeoMember)
	}
	q.shape.centre = geoDecode(score)
}

func (q *geoQuery) parseRadius(a *resp.Args) {
	if q.shape.radius = a.FloatOr(resp.ErrGeoRadius); q.shape.radius < 0 {
		a.Fail(resp.ErrGeoRadiusNegative)
	}
	q.shape.box, q.shape.unit = false, parseGeoUnit(a)
}

func (q *geoQuery) parseBox(a *resp.Args) {
	q.shape.width = a.FloatOr(resp.ErrGeoWidth)
	q.shape.height = a.FloatOr(resp.ErrGeoHeight)
	if q.shape.width < 0 || q.shape.height < 0 {
		a.Fail(resp.ErrGeoBoxNegative)
	}
	q.shape.box, q.shape.unit = true, parseGeoUnit(a)
}

// parseOption reads one option, which it knows only if what belongs to it
// follows.
func (q *geoQuery) parseOption(a *resp.Args) {
	behind := a.Left() - 1
	keyed := behind >= 1 && (q.kind == geoRadiusStore || q.kind == geoMemberStore)
	switch {
	case a.Is("WITHDIST"):
		q.withDist = true
	case a.Is("WITHHASH"):
		q.withHash = true
	case a.Is("WITHCOORD"):
		q.withCoord = true
	case a.Is("ANY"):
		q.any = true
	case a.Is("ASC"):
		q.order = 1
	case a.Is("DESC"):
		q.order = -1
	case behind >= 1 && a.Is("COUNT"):
		if q.count = a.Int(); q.count <= 0 {
			a.Fail(resp.ErrGeoCount)
		}
	case keyed && a.Is("STORE"):
		q.stores, q.storeDist, q.dst = true, false, a.Next()
	case keyed && a.Is("STOREDIST"):
		q.stores, q.storeDist, q.dst = true, true, a.Next()
	case q.kind == geoSearchStore && a.Is("STOREDIST"):
		q.storeDist = true
	case q.searches():
		q.parseShape(a, behind)
	default:
		a.Fail(resp.ErrSyntax)
	}
}

func (q *geoQuery) parseShape(a *resp.Args, behind int) {
	switch {
	case behind >= 1 && !q.fromPoint && a.Is("FROMMEMBER"):
		q.parseMember(a)
		q.fromMember = true
	case behind >= 2 && !q.fromMember && a.Is("FROMLONLAT"):
		q.shape.centre = parseGeoPoint(a)
		q.fromPoint = true
	case behind >= 2 && !q.byBox && a.Is("BYRADIUS"):
		q.parseRadius(a)
		q.byRadius = true
	case behind >= 3 && !q.byRadius && a.Is("BYBOX"):
		q.parseBox(a)
		q.byBox = true
	default:
		a.Fail(resp.ErrSyntax)
	}
}

// check looks whether the options agree. name is the command as the client
// wrote it.
func (q *geoQuery) check(a *resp.Args, name string) {
	if q.stores && (q.withDist || q.withHash || q.withCoord) {
		a.Fail(resp.GeoStoreWith(q.searches()))
	}
	if q.searches() && !q.fromMember && !q.fromPoint {
		a.Fail(resp.GeoFrom(name))
	}
	if q.searches() && !q.byRadius && !q.byBox {
		a.Fail(resp.GeoBy(name))
	}
	if q.any && q.count == 0 {
		a.Fail(resp.ErrGeoAny)
	}
	if q.count > 0 && q.order == 0 && !q.any {
		q.order = 1 // the nearest ones are wanted
	}
}

// each visits the members within the shape until visit returns false: cell by
// cell, by score within each.
func (q *geoQuery) each(visit func(member []byte, score, distance float64) bool) {
	cells := q.shape.cells()
	last, going := 0, true
	for i, cell := range cells {
		// Of a huge shape neighbours may be the same cell. As in Redis, only one
		// that equals the one before is passed over.
		if cell.step == 0 || last > 0 && cell == cells[last] {
			continue
		}
		last = i
		min, max := cell.scores()
		from, to := q.z.SpanScore(store.ScoreRange{Min: min, Max: max, MaxOpen: true})
		q.z.ByRank(from, to, false, func(member []byte, score float64) bool {
			if distance, ok := q.shape.contains(geoDecode(score)); ok {
				going = visit(member, score, distance)
			}
			return going
		})
		if !going {
			return
		}
	}
}

func (q *geoQuery) run(c *Ctx) {
	switch {
	case q.z.Len() == 0 && q.stores:
		c.Tx.Delete(q.dst)
		c.Reply.Int(0)
	case q.z.Len() == 0:
		c.Reply.Array(0)
	case q.stores:
		q.store(c)
	case q.order == 0:
		q.reply(c)
	default:
		hits := q.collect()
		list := hits.first(q.wanted(len(hits.list)), q.order)
		c.Reply.Array(len(list))
		for i := range list {
			h := &list[i]
			q.replyHit(c.Reply, hits.names[h.from:h.to], h.score, h.distance)
			if c.Reply.Over() {
				return
			}
		}
	}
}

// wanted returns how many of n hits are asked for.
func (q *geoQuery) wanted(n int) int {
	if q.count > 0 && q.count < int64(n) {
		return int(q.count)
	}
	return n
}

// reply replies with hits in the order of the search, as they are found.
func (q *geoQuery) reply(c *Ctx) {
	mark, n := c.Reply.DeferArray(), int64(0)
	q.each(func(member []byte, score, distance float64) bool {
		q.replyHit(c.Reply, member, score, distance)
		n++
		return n != q.count && !c.Reply.Over()
	})
	c.Reply.SetDeferred(mark, int(n))
}

func (q *geoQuery) collect() *geoHits {
	hits := &geoHits{}
	q.each(func(member []byte, score, distance float64) bool {
		hits.add(member, score, distance)
		return !q.any || int64(len(hits.list)) < q.count
	})
	return hits
}

func (q *geoQuery) replyHit(r *resp.Reply, member []byte, score, distance float64) {
	n := 1
	for _, with := range [...]bool{q.withDist, q.withHash, q.withCoord} {
		if with {
			n++
		}
	}
	if n > 1 {
		r.Array(n)
	}
	r.Bulk(member)
	if q.withDist {
		replyDistance(r, distance/q.shape.unit)
	}
	if q.withHash {
		r.Int(scoreInt(score))
	}
	if q.withCoord {
		replyPosition(r, geoDecode(score))
	}
}

// store makes the hits the sorted set of the destination.
func (q *geoQuery) store(c *Ctx) {
	hits := q.collect()
	list := hits.list
	if n := q.wanted(len(list)); q.order != 0 && n < len(list) {
		list = hits.first(n, q.order)
	}
	b := c.Tx.NewZBuilder()
	for i := range list {
		h := &list[i]
		score := h.score
		if q.storeDist {
			score = h.distance / q.shape.unit
		}
		b.Put(hits.names[h.from:h.to], score)
	}
	c.Tx.Event = "georadiusstore"
	if q.searches() {
		c.Tx.Event = "geosearchstore"
	}
	c.Reply.Int(int64(b.Store(q.dst)))
}
