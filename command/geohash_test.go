package command

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestGeoRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		p := geoPoint{rnd.Float64()*360 - 180, (rnd.Float64()*2 - 1) * geoLatMax}
		q := geoDecode(p.score())
		if math.Abs(p.lon-q.lon) > 360.0/(1<<geoSteps) || math.Abs(p.lat-q.lat) > 171.0/(1<<geoSteps) {
			t.Fatalf("%v comes back as %v", p, q)
		}
		if q.score() != p.score() {
			t.Fatalf("the middle of the cell of %v lies in another", p)
		}
	}
}

// TestGeoCells checks that the cells of a search hold every point of its shape.
func TestGeoCells(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	for range 3000 {
		s := geoShape{centre: geoPoint{rnd.Float64()*300 - 150, rnd.Float64()*120 - 60}, unit: 1000, radius: math.Pow(10, rnd.Float64()*3.2-1)}
		if s.box = rnd.IntN(2) == 0; s.box {
			s.width, s.height = s.radius, math.Pow(10, rnd.Float64()*3-1)
		}
		lon, lat := s.bounds()
		cells := s.cells()
		for range 30 {
			p := geoDecode(geoPoint{lon.min + rnd.Float64()*(lon.max-lon.min), lat.min + rnd.Float64()*(lat.max-lat.min)}.score())
			if _, ok := s.contains(p); !ok || math.Abs(p.lon) > 179 || math.Abs(p.lat) > 84 {
				continue
			}
			score := p.score()
			if !slices.ContainsFunc(cells[:], func(c geoCell) bool {
				from, to := c.scores()
				return c.step > 0 && from <= score && score < to
			}) {
				t.Fatalf("%+v: %v lies in no cell", s, p)
			}
		}
	}
}

func TestScoreBits(t *testing.T) {
	for score, want := range map[float64]uint64{
		0: 0, 1.9: 1, -1: math.MaxUint64, 1 << 52: 1 << 52, 1 << 63: 1 << 63, 1<<64 - 2048: 1<<64 - 2048,
		1 << 64: 0, math.Inf(1): 0, math.Inf(-1): 1 << 63, -1e300: 1 << 63,
	} {
		if got := scoreBits(score); got != want {
			t.Errorf("%g: %d, want %d", score, got, want)
		}
	}
}

func TestPartialSort(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		list := make([]int, rnd.IntN(300))
		for i := range list {
			list[i] = rnd.IntN(1 + rnd.IntN(400))
		}
		want := slices.Clone(list)
		slices.Sort(want)
		n := rnd.IntN(len(list) + 1)
		partialSort(list, n, func(a, b *int) int { return cmp.Compare(*a, *b) })
		if !slices.Equal(list[:n], want[:n]) {
			t.Fatalf("the first %d are %v, want %v", n, list[:n], want[:n])
		}
		slices.Sort(list)
		if !slices.Equal(list, want) {
			t.Fatal("elements were lost")
		}
	}
}

// TestPartialSortAttacked sorts a list that always gives the worst pivot (M.
// McIlroy, A killer adversary for quicksort, 1999).
func TestPartialSortAttacked(t *testing.T) {
	const n = 20000
	value := make([]int, n)
	for i := range value {
		value[i] = n // not decided yet
	}
	decided, candidate, compared := 0, 0, 0
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	partialSort(list, n, func(a, b *int) int {
		compared++
		x, y := *a, *b
		if value[x] == n && value[y] == n {
			if x == candidate {
				value[x] = decided
			} else {
				value[y] = decided
			}
			decided++
		}
		if value[x] == n {
			candidate = x
		} else if value[y] == n {
			candidate = y
		}
		return cmp.Compare(value[x], value[y])
	})
	if compared > 200*n {
		t.Errorf("%d elements took %d comparisons", n, compared)
	}
	if !slices.IsSortedFunc(list, func(a, b int) int { return cmp.Compare(value[a], value[b]) }) {
		t.Error("not sorted")
	}
}

func TestGeoKeys(t *testing.T) {
	args := [][]byte{}
	for _, s := range []string{"GEORADIUS", "k", "1", "2", "3", "m", "STORE", "a", "storedist", "b", "ASC", "STORE"} {
		args = append(args, []byte(s))
	}
	keys, ok := geoKeys(args, nil)
	want := []KeyAt{{1, RO | Access}, {7, OW | Update}, {9, OW | Update}}
	if !ok || !slices.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
}
