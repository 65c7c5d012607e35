package command

import (
	"fmt"
	"testing"
)

// TestZSetCommandsAllocate holds what commands on a large and on a small sorted
// set allocate at most.
func TestZSetCommandsAllocate(t *testing.T) {
	for _, size := range []int{50, 5000} {
		r := newRunner(t)
		for i := range size {
			r.run(words(fmt.Sprintf("ZADD z %d member:%d", i, i)))
		}
		for _, c := range []struct {
			request string
			most    float64
		}{
			{"ZADD z 7.5 member:7", 0}, {"ZADD z GT CH 7 member:8", 0}, {"ZINCRBY z 0.25 member:40", 0},
			{"ZSCORE z member:17", 0}, {"ZRANK z member:17", 0}, {"ZCARD z", 0}, {"ZCOUNT z 10 (20", 0}, {"ZREM z nosuch", 0},
			{"ZRANGE z 10 20", 1}, {"ZRANGEBYSCORE z 10 20 WITHSCORES", 1},
		} {
			args := words(c.request)
			once := func() {
				r.reply.Reset()
				r.run(args)
			}
			once()
			if n := testing.AllocsPerRun(200, once); n > c.most {
				t.Errorf("%d members: %s: %v allocations", size, c.request, n)
			}
		}
	}
}
