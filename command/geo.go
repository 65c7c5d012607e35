package command

import (
	"cmp"
	"slices"
	"strconv"

	"synap/resp"
	"synap/store"
)

// Geospatial indexes (https://redis.io/commands/?group=geo): sorted sets whose
// scores are the geohashes of geohash.go. The searches are in geo_search.go.

func geoRows() []Row { return append(geoMemberRows(), geoSearchRows()...) }

func geoMemberRows() []Row {
	return []Row{
		{
			Name: "geoadd", Usage: "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]", Arity: -5, Event: "zadd",
			Summary: "Adds members with their positions to a geospatial index, which is created if it does not exist.",
			Group:   "geo", Since: "3.2.0", Complexity: "O(log(N)) for each member, where N is the number of members in the index",
			Flags: Write | DenyOOM, Keys: oneKey(RW | Update), Run: geoadd,
		},
		{
			Name: "geopos", Usage: "key [member [member ...]]", Arity: -2,
			Summary: "Returns the positions of members.",
			Group:   "geo", Since: "3.2.0", Complexity: "O(1) for each member",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: geopos,
		},
		{
			Name: "geohash", Usage: "key [member [member ...]]", Arity: -2,
			Summary: "Returns the positions of members as geohash texts.",
			Group:   "geo", Since: "3.2.0", Complexity: "O(1) for each member",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: geohash,
		},
		{
			Name: "geodist", Usage: "key member1 member2 [M | KM | FT | MI]", Arity: -4,
			Summary: "Returns the distance of two members.",
			Group:   "geo", Since: "3.2.0", Complexity: "O(1)",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: geodist,
		},
	}
}

// parseGeoPoint reads a longitude and a latitude in degrees.
func parseGeoPoint(a *resp.Args) geoPoint {
	p := geoPoint{a.Float(), a.Float()}
	if p.lon < -geoLonMax || p.lon > geoLonMax || p.lat < -geoLatMax || p.lat > geoLatMax {
		a.Fail(resp.GeoPosition(p.lon, p.lat))
	}
	return p
}

// parseGeoUnit reads a unit of length and returns it in metres.
func parseGeoUnit(a *resp.Args) float64 {
	switch {
	case a.Is("M"):
		return 1
	case a.Is("KM"):
		return 1000
	case a.Is("FT"):
		return 0.3048
	case a.Is("MI"):
		return 1609.34
	}
	a.Fail(resp.ErrGeoUnit)
	return 0
}

func geoadd(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	var mode store.ZAddMode
	changed := false
options:
	for {
		switch {
		case a.Is("NX"):
			mode |= store.ZAddNX
		case a.Is("XX"):
			mode |= store.ZAddXX
		case a.Is("CH"):
			changed = true
		default:
			break options
		}
	}
	if n := a.Left(); n == 0 || n%3 != 0 || mode == store.ZAddNX|store.ZAddXX {
		a.Fail(resp.ErrSyntax)
	}
	points := a.Rest()
	for check := resp.NewArgs(points); a.Err() == nil && check.Left() > 0; check.Next() {
		parseGeoPoint(&check)
		if err := check.Err(); err != nil {
			c.Fail(err)
			return
		}
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	z, ok := zsetAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	n := 0
	for p := resp.NewArgs(points); p.Left() > 0; {
		score := parseGeoPoint(&p).score()
		effect, _ := z.Add(p.Next(), score, mode)
		if effect == store.ZAdded || changed && effect == store.ZRescored {
			n++
		}
	}
	z.Done()
	c.Reply.Int(int64(n))
}

func geopos(c *Ctx) {
	z, ok := zsetAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		score, ok := z.Score(member)
		if !ok {
			c.Reply.NullArray()
			continue
		}
		replyPosition(c.Reply, geoDecode(score))
	}
}

func replyPosition(r *resp.Reply, p geoPoint) {
	r.Array(2)
	r.Decimal(p.lon)
	r.Decimal(p.lat)
}

func geohash(c *Ctx) {
	z, ok := zsetAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		score, ok := z.Score(member)
		if !ok {
			c.Reply.Null()
			continue
		}
		var space [11]byte
		c.Reply.Bulk(geoDecode(score).text(space[:0]))
	}
}

func geodist(c *Ctx) {
	a := resp.NewArgs(c.Args[4:])
	unit := 1.0
	switch {
	case a.Left() > 1:
		a.Fail(resp.ErrSyntax)
	case a.Left() == 1:
		unit = parseGeoUnit(&a)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	z, ok := zsetAt(c, c.Args[1], store.Read)
	if !ok {
		return
	}
	from, ok1 := z.Score(c.Args[2])
	to, ok2 := z.Score(c.Args[3])
	if !ok1 || !ok2 {
		c.Reply.Null()
		return
	}
	replyDistance(c.Reply, geoDistance(geoDecode(from), geoDecode(to))/unit)
}

// replyDistance appends a distance with four decimals: a bulk string in both
// protocols.
func replyDistance(r *resp.Reply, d float64) {
	var space [40]byte
	r.Bulk(strconv.AppendFloat(space[:0], d, 'f', 4, 64))
}

// geoHit is a member that a search found.
type geoHit struct {
	distance, score float64
	from, to        int // place of the member in geoHits.names
}

// geoHits are found members in the order of the search, to be sorted.
type geoHits struct {
	list  []geoHit
	names []byte
}

func (h *geoHits) add(member []byte, score, distance float64) {
	from := len(h.names)
	h.names = append(h.names, member...)
	h.list = append(h.list, geoHit{distance, score, from, len(h.names)})
}

// first sorts by distance, times order, so far as the first n need it. Where
// distances are equal the order is that of Redis: of the search if all are
// wanted, else what its partial sort leaves.
func (h *geoHits) first(n, order int) []geoHit {
	if n < len(h.list) {
		partialSort(h.list, n, func(a, b *geoHit) int { return order * cmp.Compare(a.distance, b.distance) })
		return h.list[:n]
	}
	slices.SortFunc(h.list, func(a, b geoHit) int {
		return cmp.Or(order*cmp.Compare(a.distance, b.distance), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return h.list
}
