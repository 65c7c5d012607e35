package command

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// The cases of the limiter's table, which says more exactly what CL.THROTTLE
// rounds to seconds.
func TestThrottleCasesOfTheAlgorithm(t *testing.T) {
	text, err := os.ReadFile("../limiter/testdata/gcra.txt")
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(t)
	start := r.now
	var burst, count, period, buckets int
	for i, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0] == "#":
			continue
		case f[0] == "bucket":
			if _, err := fmt.Sscan(strings.Join(f[1:], " "), &burst, &count, &period); err != nil {
				t.Fatal(err)
			}
			buckets++
			continue
		}
		r.now = start.Add(duration(t, f[0]))
		wait, full := duration(t, f[2]), duration(t, f[4])
		limited, retry := 0, -1
		if wait > 0 {
			limited, retry = 1, seconds(wait)
		}
		want := fmt.Sprintf("*5\r\n:%d\r\n:%d\r\n:%s\r\n:%d\r\n:%d\r\n", limited, burst, f[3], retry, seconds(full))
		got := r.do(fmt.Sprintf("CL.THROTTLE bucket%d %d %d %d %s", buckets, burst-1, count, period, f[1]))
		if got != want {
			t.Errorf("line %d: %s: %q, want %q", i+1, line, got, want)
		}
		if taken := wait == 0 && f[1] != "0"; strings.Contains(r.events(), "set:") != taken {
			t.Errorf("line %d: %s: events %q", i+1, line, r.events())
		}
	}
	if buckets == 0 {
		t.Error("no case")
	}
}

// seconds rounds up; the table holds whole milliseconds.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestThrottleJournalAndEvents(t *testing.T) {
	r := newRunner(t)
	for _, c := range []struct{ request, journal, events string }{
		{"CL.THROTTLE k 0 2 1 0", "", ""},
		{"CL.THROTTLE k 0 2 1", "SET k 1700000000500000 PXAT 1700000000500", "set:k expire:k"},
		{"CL.THROTTLE k 0 2 1", "", ""},
		{"CL.THROTTLE odd 5 3 1", "SET odd 1700000000333334 PXAT 1700000000334", "set:odd expire:odd"},
	} {
		r.do(c.request)
		if got := r.journal(); got != c.journal {
			t.Errorf("%s journals %q, want %q", c.request, got, c.journal)
		}
		if got := r.events(); got != c.events {
			t.Errorf("%s has the events %q, want %q", c.request, got, c.events)
		}
	}
}

// Redis-cell rounds seconds up only if a millisecond is left over.
func TestThrottleRoundsMillisecondsUp(t *testing.T) {
	for us, want := range map[int64]int64{0: 0, 1: 0, 999: 0, 1000: 1, 999_999: 1, 1_000_000: 1, 1_000_999: 1, 1_001_000: 2, 1_999_999: 2} {
		if got := wholeSeconds(us); got != want {
			t.Errorf("%d µs are %d s, want %d", us, got, want)
		}
	}
}

// However odd the rate, never more than burst + rate × time is let through.
func TestThrottleNeverExceedsTheRate(t *testing.T) {
	r := newRunner(t)
	start := r.now
	for _, c := range []struct{ burst, count, period int }{{1, 3, 1}, {4, 7, 1}, {7, 999_999, 1}, {2, 700_000, 1}, {3, 1_000_000, 1}, {2, 11, 7}} {
		key := fmt.Sprintf("k%d", c.count)
		interval := time.Duration(c.period) * time.Second / time.Duration(c.count)
		r.now = start
		taken := 0
		for range 2000 {
			if strings.HasPrefix(r.do(fmt.Sprintf("CL.THROTTLE %s %d %d %d", key, c.burst-1, c.count, c.period)), "*5\r\n:0\r\n") {
				taken++
			}
			passed := r.now.Sub(start).Nanoseconds()
			if allowed := int64(c.burst) + passed*int64(c.count)/int64(c.period)/1e9; int64(taken) > allowed {
				t.Fatalf("%+v: %d taken after %d ns, %d allowed", c, taken, passed, allowed)
			}
			r.now = r.now.Add(max(interval/3, time.Microsecond))
		}
		if taken < 300 {
			t.Errorf("%+v: only %d of 2000 taken", c, taken)
		}
	}
}
