//go:build !record

package tests

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// rueidisTour is one server and a client in default settings: RESP3, every
// command of any goroutine pipelined over one connection, and values kept on
// the client's side until the server says that they changed.
type rueidisTour struct {
	rueidis.Client
	control *client
}

func TestRueidis(t *testing.T) {
	onBothDoors(t, func(t *testing.T, p *program, control *client) {
		c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{p.addr}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		tour := &rueidisTour{c, control}
		t.Run("values", tour.values)
		t.Run("cache", tour.cache)
		t.Run("cache of collections", tour.cacheOfCollections)
		t.Run("pipeline", tour.pipeline)
		t.Run("blocking", tour.blocking)
		t.Run("pubsub", tour.pubSub)
		t.Run("watch", tour.watch)
		t.Run("families", tour.families)
	})
}

// words builds a command of any words.
func (r *rueidisTour) words(words ...string) rueidis.Completed {
	return r.B().Arbitrary(words...).Build()
}

func (r *rueidisTour) do(words ...string) rueidis.RedisResult {
	return r.Do(context.Background(), r.words(words...))
}

func (r *rueidisTour) values(t *testing.T) {
	is(t, "SET", r.do("SET", "k", "v").Error(), nil)
	v, err := r.do("GET", "k").ToString()
	is(t, "GET", v, "v")
	is(t, "GET", err, nil)
	is(t, "GET of nothing", rueidis.IsRedisNil(r.do("GET", "nothing").Error()), true)
	is(t, "WRONGTYPE", r.do("LPUSH", "k", "x").Error().Error(), "WRONGTYPE Operation against a key holding the wrong kind of value")
	is(t, "SET of bytes", r.do("SET", "bytes", everyByte()).Error(), nil)
	v, err = r.do("GET", "bytes").ToString()
	is(t, "the bytes are the same", v == everyByte() && err == nil, true)
	line := r.control.must(t, "CLIENT", "LIST").text
	for _, field := range []string{" resp=3 ", " lib-name=rueidis ", " flags=t "} {
		is(t, "CLIENT LIST shows"+field, globMatch("*"+field+"*", line), true)
	}
}

// cached reads a string through the client's cache.
func (r *rueidisTour) cached(t *testing.T, key string) (v string, hit bool) {
	t.Helper()
	got := r.DoCache(context.Background(), r.B().Get().Key(key).Cache(), time.Hour)
	v, err := got.ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		t.Fatal(err)
	}
	return v, got.IsCacheHit()
}

// awaitCached waits until the cache gives a value, as a change is on its way.
func (r *rueidisTour) awaitCached(t *testing.T, key, want string) {
	t.Helper()
	await(t, fmt.Sprintf("%s is %q to the cache", key, want), func() bool {
		v, _ := r.cached(t, key)
		return v == want
	})
	v, hit := r.cached(t, key)
	is(t, "the value stays", v, want)
	is(t, "the value is cached again", hit, true)
}

func (r *rueidisTour) cache(t *testing.T) {
	r.control.must(t, "SET", "cached", "1")
	v, hit := r.cached(t, "cached")
	is(t, "the first read", v, "1")
	is(t, "the first read is a hit", hit, false)
	for range 10 {
		v, hit = r.cached(t, "cached")
		is(t, "the next read", v, "1")
		is(t, "the next read is a hit", hit, true)
	}
	for i := range 20 { // by another client, by the client itself, and gone
		next := strconv.Itoa(i)
		r.control.must(t, "SET", "cached", next)
		r.awaitCached(t, "cached", next)
	}
	is(t, "SET", r.do("SET", "cached", "own").Error(), nil)
	r.awaitCached(t, "cached", "own")
	r.control.must(t, "DEL", "cached")
	r.awaitCached(t, "cached", "")
	r.control.must(t, "MULTI")
	r.control.must(t, "SET", "cached", "half")
	r.control.must(t, "SET", "cached", "whole")
	r.control.must(t, "EXEC")
	r.awaitCached(t, "cached", "whole")
	r.control.must(t, "PEXPIRE", "cached", "40")
	r.awaitCached(t, "cached", "")
	r.control.must(t, "SET", "cached", "again")
	r.awaitCached(t, "cached", "again")
	r.control.must(t, "FLUSHALL")
	r.awaitCached(t, "cached", "")
}

func (r *rueidisTour) cacheOfCollections(t *testing.T) {
	ctx := context.Background()
	r.control.must(t, "RPUSH", "list", "a", "b")
	r.control.must(t, "HSET", "hash", "f", "v")
	read := func() string {
		list := r.DoCache(ctx, r.B().Lrange().Key("list").Start(0).Stop(-1).Cache(), time.Hour)
		hash := r.DoCache(ctx, r.B().Hgetall().Key("hash").Cache(), time.Hour)
		l, err1 := list.AsStrSlice()
		h, err2 := hash.AsStrMap()
		return fmt.Sprint(l, h, err1, err2)
	}
	is(t, "LRANGE, HGETALL", read(), "[a b] map[f:v] <nil> <nil>")
	r.control.must(t, "LPOP", "list")
	r.control.must(t, "HINCRBY", "hash", "n", "2")
	await(t, "the change shows", func() bool { return read() == "[b] map[f:v n:2] <nil> <nil>" })

	r.control.must(t, "MSET", "m1", "1", "m2", "2", "m3", "3")
	many := func() string {
		got, err := rueidis.MGetCache(r.Client, ctx, time.Hour, []string{"m1", "m2", "m3"})
		texts := make(map[string]string, len(got))
		for k, m := range got {
			texts[k], _ = m.ToString()
		}
		return fmt.Sprint(texts, err)
	}
	is(t, "MGET", many(), "map[m1:1 m2:2 m3:3] <nil>")
	r.control.must(t, "SET", "m2", "two")
	await(t, "one of three changed", func() bool { return many() == "map[m1:1 m2:two m3:3] <nil>" })
}

func (r *rueidisTour) pipeline(t *testing.T) {
	var all []rueidis.Completed
	for i := range 1000 {
		all = append(all, r.words("RPUSH", "pipe", strconv.Itoa(i)))
	}
	for i, got := range r.DoMulti(context.Background(), all...) {
		n, err := got.ToInt64()
		is(t, "RPUSH", err, nil)
		is(t, "RPUSH", n, int64(i+1))
	}
}

func (r *rueidisTour) blocking(t *testing.T) {
	got := make(chan string, 1)
	go func() {
		popped, err := r.Do(context.Background(), r.B().Blpop().Key("none", "jobs").Timeout(0).Build()).AsStrSlice()
		got <- fmt.Sprint(popped, err)
	}()
	awaitBlocked(t, r.control, 1)
	is(t, "RPUSH", r.do("RPUSH", "jobs", "job").Error(), nil)
	is(t, "BLPOP", <-got, "[jobs job] <nil>")
	err := r.Do(context.Background(), r.B().Blpop().Key("none").Timeout(0.01).Build()).Error()
	is(t, "BLPOP of nothing", rueidis.IsRedisNil(err), true)
}

func (r *rueidisTour) pubSub(t *testing.T) {
	r.control.must(t, "CONFIG", "SET", "notify-keyspace-events", "E$")
	ctx, stop := context.WithCancel(context.Background())
	got, done := make(chan string, 10), make(chan error, 2)
	note := func(m rueidis.PubSubMessage) { got <- m.Pattern + " " + m.Channel + " " + m.Message }
	go func() { done <- r.Receive(ctx, r.B().Subscribe().Channel("news").Build(), note) }()
	go func() { done <- r.Receive(ctx, r.B().Psubscribe().Pattern("__keyevent@0__:*").Build(), note) }()
	await(t, "both are subscribed", func() bool {
		return r.control.must(t, "PUBSUB", "NUMPAT").text == "1" && len(r.control.must(t, "PUBSUB", "CHANNELS").items) == 1
	})
	n, err := r.do("PUBLISH", "news", "hello").ToInt64()
	is(t, "PUBLISH", err, nil)
	is(t, "PUBLISH", n, 1)
	is(t, "the message", <-got, " news hello")
	is(t, "SET", r.do("SET", "noted", "1").Error(), nil)
	is(t, "the event", <-got, "__keyevent@0__:* __keyevent@0__:set noted")
	stop()
	for range 2 {
		is(t, "Receive ends", <-done, context.Canceled)
	}
	r.control.must(t, "CONFIG", "SET", "notify-keyspace-events", "")
}

func (r *rueidisTour) watch(t *testing.T) {
	ctx := context.Background()
	err := r.Dedicated(func(c rueidis.DedicatedClient) error {
		for _, want := range []bool{true, false} {
			is(t, "WATCH", c.Do(ctx, c.B().Watch().Key("watched").Build()).Error(), nil)
			if !want {
				r.control.must(t, "SET", "watched", "touched")
			}
			got := c.DoMulti(ctx, c.B().Multi().Build(), c.B().Incr().Key("watched").Build(), c.B().Exec().Build())
			is(t, "EXEC runs", !rueidis.IsRedisNil(got[2].Error()), want)
		}
		return nil
	})
	is(t, "Dedicated", err, nil)
}

// families has a command of every family with a reply of its own form.
func (r *rueidisTour) families(t *testing.T) {
	ctx := context.Background()
	add := func(words ...string) {
		t.Helper()
		is(t, words[0], r.do(words...).Error(), nil)
	}
	add("HSET", "f:hash", "a", "1", "b", "2")
	hash, err := r.do("HGETALL", "f:hash").AsStrMap()
	is(t, "HGETALL", fmt.Sprint(hash, err), "map[a:1 b:2] <nil>")
	add("SADD", "f:set", "only")
	set, err := r.do("SMEMBERS", "f:set").AsStrSlice()
	is(t, "SMEMBERS", fmt.Sprint(set, err), "[only] <nil>")
	add("ZADD", "f:zset", "1.5", "a", "2", "b")
	zset, err := r.do("ZRANGE", "f:zset", "0", "-1", "WITHSCORES").AsZScores()
	is(t, "ZRANGE", fmt.Sprint(zset, err), "[{a 1.5} {b 2}] <nil>")
	add("XADD", "f:stream", "1-1", "k", "v")
	stream, err := r.do("XREAD", "STREAMS", "f:stream", "0").AsXRead()
	is(t, "XREAD", fmt.Sprint(stream["f:stream"][0].FieldValues, err), "map[k:v] <nil>")
	add("XGROUP", "CREATE", "f:stream", "g", "0")
	stream, err = r.Do(ctx, r.B().Xreadgroup().Group("g", "me").Streams().Key("f:stream").Id(">").Build()).AsXRead()
	is(t, "XREADGROUP", fmt.Sprint(stream["f:stream"][0].FieldValues, err), "map[k:v] <nil>")
	add("GEOADD", "f:geo", "13.361389", "38.115556", "Palermo")
	geo, err := r.do("GEOSEARCH", "f:geo", "FROMMEMBER", "Palermo", "BYRADIUS", "1", "km").AsStrSlice()
	is(t, "GEOSEARCH", fmt.Sprint(geo, err), "[Palermo] <nil>")
	add("PFADD", "f:hll", "a", "b", "c")
	add("SETBIT", "f:bits", "7", "1")
	add("SORT", "f:zset", "ALPHA", "DESC", "STORE", "f:sorted")
	for _, count := range [][2]string{{"PFCOUNT", "f:hll"}, {"BITCOUNT", "f:bits"}, {"LLEN", "f:sorted"}} {
		n, err := r.do(count[0], count[1]).ToInt64()
		is(t, count[0], fmt.Sprint(n, err), map[string]string{"PFCOUNT": "3 <nil>", "BITCOUNT": "1 <nil>", "LLEN": "2 <nil>"}[count[0]])
	}
	dump, err := r.do("DUMP", "f:zset").ToString()
	is(t, "DUMP", err, nil)
	add("RESTORE", "f:copy", "0", dump)
	score, err := r.do("ZSCORE", "f:copy", "a").ToFloat64()
	is(t, "ZSCORE", fmt.Sprint(score, err), "1.5 <nil>")
}
