package limiter

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The cases of testdata/gcra.txt, which CL.THROTTLE is tested with too.
func TestCasesOfTheAlgorithm(t *testing.T) {
	text, err := os.ReadFile("testdata/gcra.txt")
	if err != nil {
		t.Fatal(err)
	}
	var g gcra
	var tat *atomic.Int64
	cases := 0
	for i, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0] == "#":
			continue
		case f[0] == "bucket":
			g = newGCRA(float64(integer(t, f[2]))/float64(integer(t, f[3])), integer(t, f[1]))
			tat = new(atomic.Int64)
			continue
		}
		now := int64(duration(t, f[0]))
		wait := g.take(tat, now, integer(t, f[1]))
		left := g.tokens(tat.Load(), now)
		full := time.Duration(max(tat.Load()-now<<tickBits, 0) >> tickBits)
		if wait != duration(t, f[2]) || left != integer(t, f[3]) || full != duration(t, f[4]) {
			t.Errorf("line %d: %s: waits %v, %d left, full in %v", i+1, line, wait, left, full)
		}
		cases++
	}
	if cases == 0 {
		t.Error("no case")
	}
}

func integer(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
