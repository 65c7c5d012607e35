//go:build !record

package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
)

var (
	refusal  = regexp.MustCompile(`^TRYAGAIN rate limit exceeded, retry after [0-9]+ ms$`)
	rejected = regexp.MustCompile(`(?m)^synap_ratelimit_decisions_total\{action="reject",layer="command"\} ([0-9]+)$`)
)

// TestLimitedClients shows what the Go clients make of a command over the limit.
func TestLimitedClients(t *testing.T) {
	onBothDoors(t, func(t *testing.T, p *program, control *client) {
		t.Run("go-redis gives up", func(t *testing.T) { goRedisGivesUp(t, p, control) })
		t.Run("go-redis waits", func(t *testing.T) { goRedisWaits(t, p, control) })
		t.Run("go-redis repeats pipelines", func(t *testing.T) { goRedisRepeats(t, p, control) })
		t.Run("redigo", func(t *testing.T) { redigoIsTold(t, p, control) })
	})
}

// limit turns limiting on for the rest of the test.
func limit(t *testing.T, control *client, rate, burst int) {
	t.Helper()
	control.must(t, "CONFIG", "SET", "rate-limit-requests-per-second", fmt.Sprint(rate),
		"rate-limit-burst-size", fmt.Sprint(burst), "rate-limit-enabled", "yes")
	t.Cleanup(func() { control.must(t, "CONFIG", "SET", "rate-limit-enabled", "no") })
}

// rejections reads how many commands were refused from /metrics.
func (p *program) rejections(t *testing.T) (n int) {
	t.Helper()
	resp, err := http.Get("http://" + p.side + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := rejected.FindSubmatch(page)
	if found == nil {
		t.Fatal("/metrics does not count rejected commands")
	}
	fmt.Sscan(string(found[1]), &n)
	return n
}

// goRedisGivesUp has far fewer tokens than go-redis has patience: it tries four
// times in all before the application sees the error. A transaction runs whole
// or not at all.
func goRedisGivesUp(t *testing.T, p *program, control *client) {
	ctx := context.Background()
	c := goredis.NewClient(&goredis.Options{Addr: p.addr})
	defer c.Close()
	is(t, "PING", c.Ping(ctx).Err(), nil)
	limit(t, control, 1, 5)
	await(t, "go-redis gives up", func() bool {
		before := p.rejections(t)
		err := c.Ping(ctx).Err()
		refused := p.rejections(t) - before
		if err == nil {
			is(t, "at most three retries helped", refused <= 3, true)
			return false
		}
		is(t, "refusals of one command", refused, 4)
		is(t, "the error is known", goredis.IsTryAgainError(err), true)
		is(t, "its text is ours", refusal.MatchString(err.Error()), true)
		return true
	})
	push := func(pipe goredis.Pipeliner) error {
		for range 200 {
			pipe.RPush(ctx, "pushed", "x")
		}
		return nil
	}
	_, err := c.TxPipelined(ctx, push)
	is(t, "a transaction over the limit", goredis.IsExecAbortError(err), true)
	is(t, "what it did", control.must(t, "LLEN", "pushed").text, "0")
}

// goRedisWaits has a token every 20 ms, less than go-redis waits in all (10 ms
// and more before each of three retries): no error reaches the application.
func goRedisWaits(t *testing.T, p *program, control *client) {
	ctx := context.Background()
	c := goredis.NewClient(&goredis.Options{Addr: p.addr})
	defer c.Close()
	is(t, "PING", c.Ping(ctx).Err(), nil)
	limit(t, control, 50, 1)
	before := p.rejections(t)
	for n := 0; n < 20 || p.rejections(t) == before; n++ {
		is(t, "PING", c.Ping(ctx).Err(), nil)
		if n == 1000 {
			t.Fatal("nothing was refused")
		}
	}
}

// goRedisRepeats refuses the first command of a pipeline, which is too large
// for what is left in the bucket, and accepts the second: each try runs it again.
// Another prefix than TRYAGAIN keeps go-redis from it.
func goRedisRepeats(t *testing.T, p *program, control *client) {
	ctx := context.Background()
	c := goredis.NewClient(&goredis.Options{Addr: p.addr})
	defer c.Close()
	is(t, "PING", c.Ping(ctx).Err(), nil)
	control.must(t, "CONFIG", "SET", "rate-limit-cost-by-size", "yes")
	t.Cleanup(func() {
		control.must(t, "CONFIG", "SET", "rate-limit-cost-by-size", "no", "rate-limit-error-prefix", "TRYAGAIN")
	})
	limit(t, control, 1, 60)
	control.must(t, "RATELIMIT", "RESET", "ALL")
	for range 30 {
		is(t, "PING", c.Ping(ctx).Err(), nil)
	}
	large := make([]byte, 60*16<<10)
	for _, v := range []struct {
		prefix string
		ran    string
	}{{"TRYAGAIN", "4"}, {"RATELIMITED", "1"}} {
		control.must(t, "CONFIG", "SET", "rate-limit-error-prefix", v.prefix)
		control.must(t, "DEL", "repeated")
		_, err := c.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			pipe.Set(ctx, "large", large, 0)
			pipe.RPush(ctx, "repeated", "x")
			return nil
		})
		is(t, "the first command is refused", goredis.HasErrorPrefix(err, v.prefix+" "), true)
		is(t, "runs of the second", control.must(t, "LLEN", "repeated").text, v.ran)
	}
}

// redigoIsTold has each refusal come back as an error, once.
func redigoIsTold(t *testing.T, p *program, control *client) {
	c, err := redis.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	limit(t, control, 1, 5)
	await(t, "a refusal", func() bool {
		before := p.rejections(t)
		_, err := c.Do("PING")
		if err == nil {
			return false
		}
		var reply redis.Error
		is(t, "a reply of the server", errors.As(err, &reply), true)
		is(t, "its text", refusal.MatchString(err.Error()), true)
		is(t, "refusals of one command", p.rejections(t)-before, 1)
		return true
	})
	is(t, "the connection is still good", c.Err(), nil)
}
