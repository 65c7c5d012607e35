package command

import "math"

// Geohashes: positions interleaved into integers of 52 bits, the bits of the
// longitude above those of the latitude, so that points with a common prefix
// share a rectangle (https://en.wikipedia.org/wiki/Geohash). Ranges, rounding
// and the order of the areas are those of Redis, and with them what is found
// and in what order. Sums of products are converted step by step: fused, they
// would round otherwise on other machines.

const (
	geoSteps   = 26 // bits of each coordinate
	geoLonMax  = 180.0
	geoLatMax  = 85.05112878    // of the Mercator projection, EPSG:3857
	geoRadius  = 6372797.560856 // metres, the quadratic mean of the Earth's
	geoMapHalf = 20037726.37    // metres from the projection's middle to its edge
	geoDegree  = float64(math.Pi) / 180
)

// geoPoint is a position in degrees.
type geoPoint struct{ lon, lat float64 }

// geoRange is an interval of degrees.
type geoRange struct{ min, max float64 }

var (
	geoLons = geoRange{-geoLonMax, geoLonMax}
	geoLats = geoRange{-geoLatMax, geoLatMax}
)

// geoCell is a rectangle: the first bits of the geohashes in it, two for each
// step. No steps, no cell.
type geoCell struct {
	bits uint64
	step uint
}

// geoEncode returns the cell of p in the given ranges.
func geoEncode(lons, lats geoRange, p geoPoint, step uint) geoCell {
	lat := (p.lat - lats.min) / (lats.max - lats.min)
	lon := (p.lon - lons.min) / (lons.max - lons.min)
	scale := float64(uint64(1) << step)
	return geoCell{spread(uint32(lat*scale)) | spread(uint32(lon*scale))<<1, step}
}

// score returns the sorted set's score of a position.
func (p geoPoint) score() float64 {
	return float64(geoEncode(geoLons, geoLats, p, geoSteps).bits)
}

// spread puts the bits of x at the even places.
func spread(x uint32) uint64 {
	v := uint64(x)
	v = (v | v<<16) & 0x0000FFFF0000FFFF
	v = (v | v<<8) & 0x00FF00FF00FF00FF
	v = (v | v<<4) & 0x0F0F0F0F0F0F0F0F
	v = (v | v<<2) & 0x3333333333333333
	return (v | v<<1) & 0x5555555555555555
}

// gather is the inverse of spread.
func gather(v uint64) uint32 {
	v &= 0x5555555555555555
	v = (v | v>>1) & 0x3333333333333333
	v = (v | v>>2) & 0x0F0F0F0F0F0F0F0F
	v = (v | v>>4) & 0x00FF00FF00FF00FF
	v = (v | v>>8) & 0x0000FFFF0000FFFF
	return uint32(v | v>>16)
}

// area returns the ranges of longitude and latitude that a cell covers.
func (c geoCell) area() (lon, lat geoRange) {
	part := func(r geoRange, i uint32) geoRange {
		size, scale := r.max-r.min, float64(uint64(1)<<c.step)
		return geoRange{r.min + float64(float64(i)/scale*size), r.min + float64(float64(i+1)/scale*size)}
	}
	return part(geoLons, gather(c.bits>>1)), part(geoLats, gather(c.bits))
}

// geoDecode returns the middle of the cell that a score names.
func geoDecode(score float64) geoPoint {
	lon, lat := geoCell{scoreBits(score), geoSteps}.area()
	return geoPoint{
		min(max((lon.min+lon.max)/2, -geoLonMax), geoLonMax),
		min(max((lat.min+lat.max)/2, -geoLatMax), geoLatMax),
	}
}

// scoreBits converts a score, which ZADD may have set to anything, as x86-64
// does.
func scoreBits(score float64) uint64 {
	switch {
	case score >= 1<<64:
		return 0
	case score >= 1<<63:
		return uint64(int64(score-1<<63)) | 1<<63
	}
	return uint64(scoreInt(score))
}

// scoreInt is scoreBits for a signed integer.
func scoreInt(score float64) int64 {
	if score >= 1<<63 || score < -1<<63 {
		return math.MinInt64
	}
	return int64(score)
}

// scores returns the scores of the points in a cell: from included, to not.
func (c geoCell) scores() (from, to float64) {
	shift := 2 * (geoSteps - c.step)
	return float64(c.bits << shift), float64((c.bits + 1) << shift)
}

// move returns the cell some cells to the east and to the north, each -1, 0 or
// 1; the map's edges are joined.
func (c geoCell) move(east, north int) geoCell {
	mask := uint32(1)<<c.step - 1
	lon, lat := gather(c.bits>>1), gather(c.bits)
	if east != 0 { // else a point on the edge keeps the bit that passes the mask
		lon = (lon + uint32(east)) & mask
	}
	if north != 0 {
		lat = (lat + uint32(north)) & mask
	}
	return geoCell{spread(lat) | spread(lon)<<1, c.step}
}

// geoAlphabet are the digits of the text form.
const geoAlphabet = "0123456789bcdefghjkmnpqrstuvwxyz"

// text writes the standard geohash of 11 digits, whose latitudes reach the
// poles. The last one is 0: there are only 52 bits.
func (p geoPoint) text(b []byte) []byte {
	hash := geoEncode(geoLons, geoRange{-90, 90}, p, geoSteps).bits
	for shift := 52 - 5; shift > 0; shift -= 5 {
		b = append(b, geoAlphabet[hash>>shift&31])
	}
	return append(b, geoAlphabet[0])
}

// geoDistance returns the distance of two points in metres on a sphere, by the
// haversine formula.
func geoDistance(p, q geoPoint) float64 {
	v := math.Sin((float64(q.lon*geoDegree) - float64(p.lon*geoDegree)) / 2)
	if v == 0 {
		return latDistance(p.lat, q.lat)
	}
	lat1, lat2 := float64(p.lat*geoDegree), float64(q.lat*geoDegree)
	u := math.Sin((lat2 - lat1) / 2)
	a := float64(u*u) + float64(math.Cos(lat1)*math.Cos(lat2)*v*v)
	return 2 * geoRadius * math.Asin(math.Sqrt(min(a, 1)))
}

// latDistance is geoDistance on one meridian.
func latDistance(lat1, lat2 float64) float64 {
	return geoRadius * math.Abs(float64(lat2*geoDegree)-float64(lat1*geoDegree))
}

// geoShape is what a search covers: a circle, or a box if box is set, around a
// centre.
type geoShape struct {
	centre        geoPoint
	box           bool
	radius        float64
	width, height float64
	unit          float64 // metres
}

// contains tells whether p lies in the shape, and how many metres from the
// centre.
func (s *geoShape) contains(p geoPoint) (distance float64, ok bool) {
	if s.box {
		if latDistance(p.lat, s.centre.lat) > s.height*s.unit/2 ||
			geoDistance(p, geoPoint{s.centre.lon, p.lat}) > s.width*s.unit/2 {
			return 0, false
		}
		return geoDistance(s.centre, p), true
	}
	distance = geoDistance(s.centre, p)
	return distance, distance <= s.radius*s.unit
}

// bounds returns the ranges that the shape reaches to.
func (s *geoShape) bounds() (lon, lat geoRange) {
	width, height := s.radius, s.radius
	if s.box {
		width, height = s.width/2, s.height/2
	}
	width, height = width*s.unit, height*s.unit
	up := height / geoRadius / geoDegree
	side := up // the parallel nearer to the pole is the shorter one
	if s.centre.lat < 0 {
		side = -up
	}
	across := width / geoRadius / math.Cos((s.centre.lat+side)*geoDegree) / geoDegree
	return geoRange{s.centre.lon - across, s.centre.lon + across}, geoRange{s.centre.lat - up, s.centre.lat + up}
}

// step estimates how small cells may be so that nine of them cover the shape.
func (s *geoShape) step() uint {
	reach := s.radius
	if s.box {
		reach = math.Sqrt(float64(s.width/2*(s.width/2)) + float64(s.height/2*(s.height/2)))
	}
	reach *= s.unit
	if reach == 0 {
		return geoSteps
	}
	step := -1
	for ; reach < geoMapHalf; reach *= 2 {
		step++
	}
	lat := math.Abs(s.centre.lat)
	if lat > 66 {
		step--
	}
	if lat > 80 {
		step--
	}
	return uint(min(max(step, 1), geoSteps))
}

// geoCells are nine cells: the centre, its neighbours in the north, south, east
// and west, then those at the corners.
type geoCells [9]geoCell

func cellsAround(p geoPoint, step uint) (c geoCells) {
	c[0] = geoEncode(geoLons, geoLats, p, step)
	for i, to := range [...][2]int{{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}} {
		c[i] = c[0].move(to[0], to[1])
	}
	return c
}

// cells returns the cells that a search for the shape has to look at.
func (s *geoShape) cells() geoCells {
	lon, lat := s.bounds()
	step := s.step()
	c := cellsAround(s.centre, step)
	_, north := c[1].area()
	_, south := c[2].area()
	east, _ := c[3].area()
	west, _ := c[4].area()
	if step > 1 && (north.max < lat.max || south.min > lat.min || east.max < lon.max || west.min > lon.min) {
		step-- // near an edge of the cell its neighbour may end too early
		c = cellsAround(s.centre, step)
	}
	if step < 2 {
		return c
	}
	width, height := c[0].area()
	if height.min < lat.min {
		c[2], c[7], c[8] = geoCell{}, geoCell{}, geoCell{}
	}
	if height.max > lat.max {
		c[1], c[5], c[6] = geoCell{}, geoCell{}, geoCell{}
	}
	if width.min < lon.min {
		c[4], c[6], c[8] = geoCell{}, geoCell{}, geoCell{}
	}
	if width.max > lon.max {
		c[3], c[5], c[7] = geoCell{}, geoCell{}, geoCell{}
	}
	return c
}
