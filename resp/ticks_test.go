package resp

import (
	"testing"
	"time"
)

// A stopwatch goes as the clock goes, with the counter and without it, and
// never back.
func TestStopwatchFollowsTheClock(t *testing.T) {
	UseTicks()
	for _, scale := range []uint64{tickScale.Load(), 0} {
		var w Stopwatch
		w.Start()
		w.scale = scale
		last := w.last
		for range 200 {
			time.Sleep(100 * time.Microsecond)
			before := Monotonic()
			now := w.Now()
			after := Monotonic()
			if now < last {
				t.Fatalf("scale %d: it went back from %d to %d", scale, last, now)
			}
			last = now
			const slack = int64(time.Millisecond) // 1 in 1000 of 20 ms, and being descheduled at Start
			if now < before-slack || now > after+slack {
				t.Fatalf("scale %d: %d is not between %d and %d", scale, now, before, after)
			}
		}
	}
}

func BenchmarkClock(b *testing.B) {
	UseTicks()
	b.Run("Monotonic", func(b *testing.B) {
		for b.Loop() {
			Monotonic()
		}
	})
	b.Run("Stopwatch", func(b *testing.B) {
		var w Stopwatch
		w.Start()
		for b.Loop() {
			w.Now()
		}
	})
}
