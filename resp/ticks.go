package resp

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Reading the system's monotonic clock takes longer than everything else that
// is counted about a command. Where the kernel itself keeps time by the
// processor's time stamp counter, and so vouches that it is steady and equal on
// all processors, durations within a batch are read from that counter.

// tickScale is nanoseconds a tick as a fixed-point number of 32 fractional
// bits; 0 means that the counter is not used.
var tickScale atomic.Uint64

// calibration is how long the counter is compared with the clock.
const calibration = 5 * time.Millisecond

// pair reads the clock and the counter at the same moment: of several attempts
// the one in which least time passed between the readings.
func pair() (clock int64, ticks uint64) {
	shortest := uint64(1 << 63)
	for range 32 {
		before := readTicks()
		at := Monotonic()
		after := readTicks()
		if after-before < shortest {
			shortest, clock, ticks = after-before, at, before+(after-before)/2
		}
	}
	return clock, ticks
}

// UseTicks measures the counter against the clock, once, if it can be trusted.
// It takes a few milliseconds; Stopwatches work before and without it.
func UseTicks() {
	if tickScale.Load() != 0 || !ticksTrusted() {
		return
	}
	at, ticks := pair()
	time.Sleep(calibration)
	end, endTicks := pair()
	passed, counted := end-at, endTicks-ticks
	if passed <= 0 || counted == 0 || counted > 1<<40 {
		return // it stands still, or went back
	}
	scale, _ := bits.Div64(uint64(passed)>>32, uint64(passed)<<32, counted)
	tickScale.Store(scale)
}

// Stopwatch reads Monotonic once and then follows it cheaply. It belongs to one
// goroutine. Its error, some parts in 100,000 of what it measured, is forgotten
// at each Start.
type Stopwatch struct {
	last  int64
	ticks uint64
	scale uint64 // 0: no counter
}

// Start reads the clock.
func (w *Stopwatch) Start() int64 {
	if w.scale = tickScale.Load(); w.scale != 0 {
		w.ticks = readTicks()
	}
	w.last = Monotonic()
	return w.last
}

// Now returns the time as Monotonic does. It never goes back.
func (w *Stopwatch) Now() int64 {
	if w.scale == 0 {
		w.last = max(w.last, Monotonic())
		return w.last
	}
	ticks := readTicks()
	if passed := int64(ticks - w.ticks); passed > 0 {
		hi, lo := bits.Mul64(uint64(passed), w.scale)
		w.last += int64(hi<<32 | lo>>32)
		w.ticks = ticks
	}
	return w.last
}
