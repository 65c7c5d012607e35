package command

import (
	"fmt"
	"testing"
)

// queueRunner returns a runner whose key q is a list of n elements.
func queueRunner(t testing.TB, n int) *runner {
	t.Helper()
	r := newRunner(t)
	for range n {
		r.do("RPUSH q sixteen-byte-val")
	}
	return r
}

func TestListCommandsAllocateNothing(t *testing.T) {
	for _, n := range []int{20, 5000} {
		for _, request := range []string{"LPUSH q sixteen-byte-val", "RPUSH q 12345", "LPOP q", "RPOP q", "LMOVE q q LEFT RIGHT", "LINDEX q 7", "LRANGE q 0 9", "LLEN q", "LSET q 3 x"} {
			r := queueRunner(t, n)
			args := words(request)
			allocs := testing.AllocsPerRun(100, func() {
				r.reply.Reset()
				r.run(args)
			})
			// A push may need a new node now and then, and AllocsPerRun rounds down.
			if allocs > 0 && n == 5000 || allocs > 1 {
				t.Errorf("%s on %d elements: %v allocations", request, n, allocs)
			}
		}
	}
}

func TestBlockingCommandsAskForTheirKeys(t *testing.T) {
	r := newRunner(t)
	for request, want := range map[string]string{
		"BLPOP a b 0":                   "a b 0s",
		"BRPOP a 0.0005":                "a 500µs",
		"BLPOP a 1e-9":                  "a 1ns",
		"BLMOVE a b LEFT LEFT 2":        "a 2s",
		"BRPOPLPUSH a b 0.25":           "a 250ms",
		"BLMPOP 1.5 2 a b LEFT":         "a b 1.5s",
		"BLPOP a 9000000000000":         "a 1281023h53m38.427387904s",
		"XREAD BLOCK 5 STREAMS a b 0 0": "a b 5ms",
	} {
		r.do(request)
		b := r.ctx.Blocked()
		got := ""
		for _, key := range b.Keys {
			got += string(key) + " "
		}
		if got += fmt.Sprint(b.Timeout); got != want {
			t.Errorf("%s blocks on %q, want %q", request, got, want)
		}
	}
}

func BenchmarkLists(b *testing.B) {
	for _, request := range []string{"LPUSH q sixteen-byte-val", "LMOVE q q LEFT RIGHT", "LRANGE q 0 99"} {
		b.Run(request, func(b *testing.B) {
			r := queueRunner(b, 1000)
			args := words(request)
			b.ReportAllocs()
			for b.Loop() {
				r.reply.Reset()
				r.run(args)
			}
		})
	}
}
