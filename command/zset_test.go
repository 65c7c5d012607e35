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

func TestZSetJournalAndEvents(t *testing.T) {
	r := newRunner(t)
	for _, c := range []struct{ request, journal, events string }{
		{"ZADD z 1 a 2 b 3 c 4 d", "ZADD z 1 a 2 b 3 c 4 d", "zadd:z"},
		{"ZADD z 1 a", "", ""},
		{"ZADD z XX 5 nosuch", "", ""},
		{"ZADD z 1 a 3 b 9 e", "ZADD z 1 a 3 b 9 e", "zadd:z"},
		{"ZADD z INCR 1 a", "ZADD z INCR 1 a", "zincr:z"},
		{"ZINCRBY z 1 a", "ZINCRBY z 1 a", "zincr:z"},
		{"ZINCRBY z 0 a", "", ""},
		{"ZREM z nosuch", "", ""},
		{"ZREM z a e", "ZREM z a e", "zrem:z"},
		{"ZREMRANGEBYRANK z 0 0", "ZREMRANGEBYRANK z 0 0", "zremrangebyrank:z"},
		{"ZREMRANGEBYSCORE z 100 200", "", ""},
		{"ZMPOP 2 y z MAX", "ZPOPMAX z 1", "zpopmax:z"},
		{"BZPOPMIN y z 0", "ZPOPMIN z", "zpopmin:z del:z"},
		{"BZMPOP 0 1 z MIN", "", ""},
		{"ZADD x 1 a 2 b", "ZADD x 1 a 2 b", "zadd:x"},
		{"ZUNIONSTORE z 1 x", "ZUNIONSTORE z 1 x", "zunionstore:z"},
		{"ZINTERSTORE z 2 x z", "ZINTERSTORE z 2 x z", "zinterstore:z"},
		{"ZRANGESTORE z x 0 0", "ZRANGESTORE z x 0 0", "zrangestore:z"},
		{"ZDIFFSTORE z 2 x x", "ZDIFFSTORE z 2 x x", "del:z"},
		{"ZDIFFSTORE z 2 x x", "", ""},
		{"ZPOPMIN x 5", "ZPOPMIN x 5", "zpopmin:x del:x"},
	} {
		r.do(c.request)
		if got := r.journal(); got != c.journal {
			t.Errorf("%s: journal %q, want %q", c.request, got, c.journal)
		}
		if got := r.events(); got != c.events {
			t.Errorf("%s: events %q, want %q", c.request, got, c.events)
		}
	}
}
