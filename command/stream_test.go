package command

import (
	"strings"
	"testing"
	"time"
)

func TestStreamIDsNeverGoBack(t *testing.T) {
	r := newRunner(t)
	first := r.do("XADD s * f v")
	r.now = r.now.Add(-time.Hour)
	second := r.do("XADD s * f v")
	r.now = r.now.Add(2 * time.Hour)
	third := r.do("XADD s * f v")
	for i, want := range []string{"1700000000000-0", "1700000000000-1", "1700003600000-0"} {
		if got := []string{first, second, third}[i]; !strings.Contains(got, want) {
			t.Errorf("entry %d: %q, want %s", i, got, want)
		}
	}
}

// A client that waits for what is newer than $ must not miss what comes before
// it looks again.
func TestXreadSettlesDollarBeforeItWaits(t *testing.T) {
	r := newRunner(t)
	r.do("XADD s 5-3 f v")
	r.do("XREAD BLOCK 0 STREAMS s none t $ $ 7")
	got := []string{}
	for _, arg := range r.ctx.Blocked().Args[7:] {
		got = append(got, string(arg))
	}
	if strings.Join(got, " ") != "5-3 0-0 7-0" {
		t.Errorf("waits for %q", got)
	}
}

func TestStreamCommandsAllocateLittle(t *testing.T) {
	r := newRunner(t)
	for range 500 {
		r.do("XADD s * field value")
	}
	for request, most := range map[string]float64{
		"XADD s * field value": 0, "XLEN s": 0, "XRANGE s - + COUNT 10": 0, "XREVRANGE s + - COUNT 1": 0, "XREAD COUNT 10 STREAMS s 0": 0,
	} {
		args := words(request)
		allocs := testing.AllocsPerRun(100, func() {
			r.reply.Reset()
			r.run(args)
		})
		if allocs > most {
			t.Errorf("%s: %v allocations, want %v", request, allocs, most)
		}
	}
}

func BenchmarkStreams(b *testing.B) {
	for _, request := range []string{"XADD s * field sixteen-byte-val", "XRANGE s - + COUNT 10", "XREVRANGE s + - COUNT 1", "XREAD COUNT 10 STREAMS s 0"} {
		b.Run(request, func(b *testing.B) {
			r := newRunner(b)
			for range 1000 {
				r.do("XADD s * field sixteen-byte-val")
			}
			args := words(request)
			b.ReportAllocs()
			for b.Loop() {
				r.reply.Reset()
				r.run(args)
			}
		})
	}
}
