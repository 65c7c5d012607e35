package metrics

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// CommandInfo names one command row; its place in the list is the row's id.
type CommandInfo struct {
	Name  string // "get", "config|get"
	Group string // "string", "list", …
}

// Latency buckets are those of a Prometheus native histogram of schema 3:
// eight a power of two, bucket i ends at 2^(i/8) seconds. Ours run from
// 2^-20 s (0.95 µs: all faster ones share the first) to 2^(27/8) s (10.4 s:
// all slower ones share the last).
const (
	schema      = 3
	firstIndex  = -20 << schema
	lastIndex   = 27
	bounds      = lastIndex - firstIndex + 1 // 188
	buckets     = bounds + 1                 // the last has no bound
	cellSum     = buckets                    // nanoseconds
	cellFailed  = buckets + 1
	cellReject  = buckets + 2
	stride      = buckets + 3 // 192 words a row: no two rows share a cache line
	subBits     = 4           // cells of boundTable for each power of two
	tableOctave = 64
)

// bucketBound is each bucket's upper bound in nanoseconds, rounded down: a
// whole number of nanoseconds is within the bound if and only if it is within
// this. bucketOf is the bucket in which a cell of equal leading bits begins;
// cells are narrower than buckets, so at most one bound lies within.
var (
	bucketBound = makeBounds()
	bucketOf    = makeCells()
)

func makeBounds() (b [buckets]int64) {
	for i := range bounds {
		b[i] = int64(1e9 * math.Exp2(float64(firstIndex+i)/(1<<schema)))
	}
	b[bounds] = math.MaxInt64
	return b
}

func makeCells() (cells [tableOctave << subBits]uint8) {
	bounds := makeBounds()
	for octave := subBits; octave < tableOctave-1; octave++ {
		for sub := range int64(1 << subBits) {
			low := (1<<subBits + sub) << (octave - subBits)
			i := 0
			for bounds[i] < low {
				i++
			}
			cells[octave<<subBits|int(sub)] = uint8(i)
		}
	}
	return cells
}

// bucketIndex returns the bucket of a duration in nanoseconds.
func bucketIndex(ns int64) int {
	if ns < 1<<subBits {
		return 0
	}
	octave := bits.Len64(uint64(ns)) - 1
	i := int(bucketOf[octave<<subBits|int(uint64(ns)>>(octave-subBits))&(1<<subBits-1)])
	if ns > bucketBound[i] {
		i++
	}
	return i
}

// Commands counts what commands did and how long it took. Each loop has its
// own cells, in one allocation, so that loops share no cache line; reading
// adds them up. Cells are atomic because sessions of the redcon door share a
// loop's index.
type Commands struct {
	infos []CommandInfo
	loops [][]atomic.Uint64 // [loop][row*stride+cell]
}

// UnknownCommand names the row of what is no command.
const UnknownCommand = "unknown"

// NewCommands returns counters for rows 0 … len(infos)-1, and one more row for
// names that are no command.
func NewCommands(infos []CommandInfo, loops int) *Commands {
	c := &Commands{infos: append(append([]CommandInfo(nil), infos...), CommandInfo{Name: UnknownCommand})}
	c.loops = make([][]atomic.Uint64, max(loops, 1))
	for i := range c.loops {
		c.loops[i] = make([]atomic.Uint64, len(c.infos)*stride)
	}
	return c
}

// Unknown is the row of names that are no command.
func (c *Commands) Unknown() int { return len(c.infos) - 1 }

// Record counts one run of a row that took dur nanoseconds.
func (c *Commands) Record(loop, row int, dur int64, failed bool) {
	cells := c.loops[loop][row*stride : row*stride+stride : row*stride+stride]
	cells[bucketIndex(dur)].Add(1)
	cells[cellSum].Add(uint64(max(dur, 1))) // never 0: see Calls
	if failed {
		cells[cellFailed].Add(1)
	}
}

// Reject counts a command that was refused before it ran; row < 0 means a name
// that is no command.
func (c *Commands) Reject(loop, row int) {
	if row < 0 {
		row = c.Unknown()
	}
	c.loops[loop][row*stride+cellReject].Add(1)
}

// CommandStats is what one row did so far.
type CommandStats struct {
	ID       int
	Name     string
	Group    string
	Calls    uint64 // runs
	Failed   uint64 // runs that answered an error
	Rejected uint64 // refused before they ran
	Sum      uint64 // nanoseconds of all runs
	Buckets  []uint64
}

// Row adds up one row over all loops; Buckets is nil if it never ran.
func (c *Commands) Row(row int) CommandStats {
	s := CommandStats{ID: row, Name: c.infos[row].Name, Group: c.infos[row].Group}
	var sum [stride]uint64
	for _, cells := range c.loops {
		if cells[row*stride+cellSum].Load()|cells[row*stride+cellReject].Load() == 0 {
			continue
		}
		for i := range sum {
			sum[i] += cells[row*stride+i].Load()
		}
	}
	for _, n := range sum[:buckets] {
		s.Calls += n
	}
	s.Sum, s.Failed, s.Rejected = sum[cellSum], sum[cellFailed], sum[cellReject]
	if s.Calls > 0 {
		s.Buckets = sum[:buckets:buckets]
	}
	return s
}

// Snapshot returns the rows that were called or refused at least once, in
// order of id.
func (c *Commands) Snapshot() []CommandStats {
	all := make([]CommandStats, 0, 64)
	for row := range c.infos {
		if s := c.Row(row); s.Calls+s.Rejected > 0 {
			all = append(all, s)
		}
	}
	return all
}

// Calls returns the number of runs of all commands.
func (c *Commands) Calls() (n uint64) {
	for _, cells := range c.loops {
		for row := range c.infos {
			if cells[row*stride+cellSum].Load() == 0 {
				continue // never ran: the other words need not be read
			}
			for i := range cells[row*stride : row*stride+buckets] {
				n += cells[row*stride+i].Load()
			}
		}
	}
	return n
}

// Reset sets everything to zero (CONFIG RESETSTAT).
func (c *Commands) Reset() {
	for _, cells := range c.loops {
		for i := range cells {
			cells[i].Store(0)
		}
	}
}

// Quantile returns the upper bound, in nanoseconds, of the bucket in which the
// q-quantile lies (0 ≤ q ≤ 1).
func (s *CommandStats) Quantile(q float64) int64 {
	rank := uint64(math.Ceil(q * float64(s.Calls)))
	var seen uint64
	for i, n := range s.Buckets {
		seen += n
		if seen >= max(rank, 1) {
			return bucketBound[min(i, bounds-1)]
		}
	}
	return 0
}

// Cumulative calls f for each power of two of microseconds up to the slowest
// run, with the number of runs within it (LATENCY HISTOGRAM).
func (s *CommandStats) Cumulative(f func(usec int64, n uint64)) {
	var seen uint64
	i := 0
	for usec := int64(1); seen < s.Calls; usec *= 2 {
		before := seen
		for ; i < len(s.Buckets) && (bucketBound[i] <= usec*1000 || usec > 1<<24); i++ {
			seen += s.Buckets[i]
		}
		if seen > before {
			f(usec, seen)
		}
	}
}
