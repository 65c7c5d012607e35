//go:build !record

package tests

import (
	"context"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// The tour of go-redis through the collections and what works on all of them.

// got compares what a command returned, as fmt shows it, and demands no error.
func got[T any](t testing.TB, what string, cmd interface{ Result() (T, error) }, want string) {
	t.Helper()
	v, err := cmd.Result()
	is(t, what, err, nil)
	is(t, what, fmt.Sprint(v), want)
}

func (r *goRedisTour) hashes(t *testing.T) {
	ctx, c := r.ctx, r.c
	got(t, "HSET", c.HSet(ctx, "hash", "a", 1, "b", "two"), "2")
	got(t, "HGETALL", c.HGetAll(ctx, "hash"), "map[a:1 b:two]")
	got(t, "HMGET", c.HMGet(ctx, "hash", "a", "none"), "[1 <nil>]")
	got(t, "HINCRBY", c.HIncrBy(ctx, "hash", "a", 4), "5")
	got(t, "HINCRBYFLOAT", c.HIncrByFloat(ctx, "hash", "a", 0.5), "5.5")
	got(t, "HSETNX", c.HSetNX(ctx, "hash", "a", 1), "false")
	got(t, "HRANDFIELD", c.HRandFieldWithValues(ctx, "hash", 0), "[]")
	is(t, "HRANDFIELD WITHVALUES", len(c.HRandFieldWithValues(ctx, "hash", 5).Val()), 2)
	is(t, "HGET of nothing", c.HGet(ctx, "hash", "none").Err(), error(goredis.Nil))
	fields, cursor, err := c.HScan(ctx, "hash", 0, "a*", 10).Result()
	is(t, "HSCAN", fmt.Sprint(fields, cursor, err), "[a 5.5] 0 <nil>")
	got(t, "HDEL", c.HDel(ctx, "hash", "b", "none"), "1")
	var into struct {
		A float64 `redis:"a"`
	}
	is(t, "HGETALL into a struct", c.HGetAll(ctx, "hash").Scan(&into), nil)
	is(t, "HGETALL into a struct", into.A, 5.5)
}

func (r *goRedisTour) fieldExpiry(t *testing.T) {
	ctx, c := r.ctx, r.c
	got(t, "HSET", c.HSet(ctx, "ttl", "a", 1, "b", 2, "c", 3), "3")
	got(t, "HEXPIRE", c.HExpire(ctx, "ttl", time.Hour, "a", "none"), "[1 -2]")
	got(t, "HPEXPIRE NX", c.HPExpireWithArgs(ctx, "ttl", time.Hour, goredis.HExpireArgs{NX: true}, "a", "b"), "[0 1]")
	at := time.Now().Add(time.Hour).Truncate(time.Second)
	got(t, "HEXPIREAT", c.HExpireAt(ctx, "ttl", at, "a"), "[1]")
	got(t, "HEXPIRETIME", c.HExpireTime(ctx, "ttl", "a", "c"), fmt.Sprint([]int64{at.Unix(), -1}))
	is(t, "HTTL", c.HTTL(ctx, "ttl", "a").Val()[0] > 3000, true)
	got(t, "HPERSIST", c.HPersist(ctx, "ttl", "a", "c"), "[1 -1]")
	got(t, "HGETEX", c.HGetEXWithArgs(ctx, "ttl", &goredis.HGetEXOptions{ExpirationType: goredis.HGetEXExpirationEX, ExpirationVal: 100}, "a"), "[1]")
	got(t, "HSETEX", c.HSetEXWithArgs(ctx, "ttl", &goredis.HSetEXOptions{Condition: goredis.HSetEXFXX, ExpirationType: goredis.HSetEXExpirationEX, ExpirationVal: 100}, "a", "9"), "1")
	got(t, "HGETDEL", c.HGetDel(ctx, "ttl", "a", "b"), "[9 2]")
	got(t, "HPEXPIRE", c.HPExpire(ctx, "ttl", time.Millisecond, "c"), "[1]")
	await(t, "the last field and its hash are gone", func() bool { return c.Exists(ctx, "ttl").Val() == 0 })
}

func (r *goRedisTour) sets(t *testing.T) {
	ctx, c := r.ctx, r.c
	got(t, "SADD", c.SAdd(ctx, "s1", "a", "b", "c", "a"), "3")
	got(t, "SADD", c.SAdd(ctx, "s2", "b", "c", "d"), "3")
	got(t, "SMISMEMBER", c.SMIsMember(ctx, "s1", "a", "d"), "[true false]")
	is(t, "SMEMBERS", len(c.SMembersMap(ctx, "s1").Val()), 3)
	is(t, "SINTER", len(c.SInter(ctx, "s1", "s2").Val()), 2)
	got(t, "SINTERCARD LIMIT", c.SInterCard(ctx, 1, "s1", "s2"), "1")
	got(t, "SDIFF", c.SDiff(ctx, "s1", "s2"), "[a]")
	got(t, "SUNIONSTORE", c.SUnionStore(ctx, "s3", "s1", "s2"), "4")
	got(t, "SMOVE", c.SMove(ctx, "s1", "s2", "a"), "true")
	is(t, "SRANDMEMBER", len(c.SRandMemberN(ctx, "s3", -10).Val()), 10)
	is(t, "SPOP", len(c.SPopN(ctx, "s3", 9).Val()), 4)
	is(t, "SPOP of nothing", c.SPop(ctx, "s3").Err(), error(goredis.Nil))
	members, cursor, err := c.SScan(ctx, "s2", 0, "[ab]", 100).Result()
	is(t, "SSCAN", fmt.Sprint(len(members), cursor, err), "2 0 <nil>")
	got(t, "SREM", c.SRem(ctx, "s2", "a", "none"), "1")
}

func (r *goRedisTour) sortedSets(t *testing.T) {
	ctx, c := r.ctx, r.c
	got(t, "ZADD", c.ZAdd(ctx, "z", goredis.Z{Score: 1, Member: "a"}, goredis.Z{Score: 2.5, Member: "b"}, goredis.Z{Score: 3, Member: "c"}), "3")
	got(t, "ZADD GT CH", c.ZAddArgs(ctx, "z", goredis.ZAddArgs{GT: true, Ch: true, Members: []goredis.Z{{Score: 9, Member: "a"}, {Score: 1, Member: "b"}}}), "1")
	got(t, "ZRANGE WITHSCORES", c.ZRangeWithScores(ctx, "z", 0, -1), "[{2.5 b} {3 c} {9 a}]")
	got(t, "ZRANGE BYSCORE REV LIMIT", c.ZRangeArgs(ctx, goredis.ZRangeArgs{Key: "z", Start: "+inf", Stop: "(2.5", ByScore: true, Rev: true, Offset: 0, Count: 1}), "[a]")
	got(t, "ZRANGESTORE", c.ZRangeStore(ctx, "z2", goredis.ZRangeArgs{Key: "z", Start: 0, Stop: 1}), "2")
	got(t, "ZINCRBY", c.ZIncrBy(ctx, "z", 0.5, "c"), "3.5")
	got(t, "ZSCORE", c.ZScore(ctx, "z", "c"), "3.5")
	rank, err := c.ZRankWithScore(ctx, "z", "c").Result()
	is(t, "ZRANK WITHSCORE", fmt.Sprint(rank, err), "{1 3.5} <nil>")
	got(t, "ZUNION", c.ZUnionWithScores(ctx, goredis.ZStore{Keys: []string{"z", "z2"}, Weights: []float64{1, 2}, Aggregate: "MAX"}), "[{5 b} {6 c} {9 a}]")
	got(t, "ZINTERSTORE", c.ZInterStore(ctx, "z3", &goredis.ZStore{Keys: []string{"z", "z2"}}), "2")
	got(t, "ZDIFF", c.ZDiff(ctx, "z", "z2"), "[a]")
	got(t, "ZCOUNT", c.ZCount(ctx, "z", "-inf", "(9"), "2")
	key, popped, err := c.ZMPop(ctx, "min", 1, "none", "z").Result()
	is(t, "ZMPOP", fmt.Sprint(key, popped, err), "z[{2.5 b}] <nil>")
	got(t, "ZPOPMAX", c.ZPopMax(ctx, "z"), "[{9 a}]")
	answer := make(chan string, 1)
	go func() {
		v, err := c.BZPopMin(ctx, 0, "none", "zq").Result()
		answer <- fmt.Sprint(v, err)
	}()
	awaitBlocked(t, r.control, 1)
	got(t, "ZADD", c.ZAdd(ctx, "zq", goredis.Z{Score: 7, Member: "job"}), "1")
	is(t, "BZPOPMIN", <-answer, "&{{7 job} zq} <nil>")
	pairs, cursor, err := c.ZScan(ctx, "z", 0, "", 10).Result()
	is(t, "ZSCAN", fmt.Sprint(pairs, cursor, err), "[c 3.5] 0 <nil>")
}

func (r *goRedisTour) places(t *testing.T) {
	ctx, c := r.ctx, r.c
	got(t, "GEOADD", c.GeoAdd(ctx, "geo", &goredis.GeoLocation{Name: "Palermo", Longitude: 13.361389, Latitude: 38.115556},
		&goredis.GeoLocation{Name: "Catania", Longitude: 15.087269, Latitude: 37.502669}), "2")
	got(t, "GEODIST", c.GeoDist(ctx, "geo", "Palermo", "Catania", "km"), "166.2742")
	got(t, "GEOHASH", c.GeoHash(ctx, "geo", "Palermo"), "[sqc8b49rny0]")
	places, err := c.GeoSearchLocation(ctx, "geo", &goredis.GeoSearchLocationQuery{
		GeoSearchQuery: goredis.GeoSearchQuery{Longitude: 15, Latitude: 37, Radius: 200, RadiusUnit: "km", Sort: "ASC"}, WithDist: true, WithCoord: true,
	}).Result()
	is(t, "GEOSEARCH", err, nil)
	is(t, "GEOSEARCH", fmt.Sprintf("%d %s %.4f", len(places), places[0].Name, places[0].Dist), "2 Catania 56.4413")
	position := c.GeoPos(ctx, "geo", "Palermo", "none").Val()
	is(t, "GEOPOS", fmt.Sprintf("%.4f %v", position[0].Longitude, position[1] == nil), "13.3614 true")
	got(t, "GEOSEARCHSTORE", c.GeoSearchStore(ctx, "geo", "near", &goredis.GeoSearchStoreQuery{
		GeoSearchQuery: goredis.GeoSearchQuery{Member: "Palermo", BoxWidth: 10, BoxHeight: 10, BoxUnit: "km"}}), "1")
}

func (r *goRedisTour) bits(t *testing.T) {
	ctx, c := r.ctx, r.c
	got(t, "SETBIT", c.SetBit(ctx, "bits", 7, 1), "0")
	got(t, "GETBIT", c.GetBit(ctx, "bits", 7), "1")
	got(t, "BITCOUNT", c.BitCount(ctx, "bits", &goredis.BitCount{Start: 0, End: -1, Unit: "BIT"}), "1")
	got(t, "BITPOS", c.BitPos(ctx, "bits", 1), "7")
	got(t, "BITOP NOT", c.BitOpNot(ctx, "inverse", "bits"), "1")
	got(t, "BITFIELD", c.BitField(ctx, "field", "SET", "u8", "#1", 255, "INCRBY", "u8", "#1", 1, "GET", "u4", 0), "[0 0 0]")
	got(t, "BITFIELD_RO", c.BitFieldRO(ctx, "inverse", "u8", 0), "[254]")
	got(t, "PFADD", c.PFAdd(ctx, "hll", "a", "b", "c"), "1")
	got(t, "PFADD", c.PFAdd(ctx, "hll2", "c", "d"), "1")
	got(t, "PFCOUNT", c.PFCount(ctx, "hll", "hll2"), "4")
	got(t, "PFMERGE", c.PFMerge(ctx, "hll3", "hll", "hll2"), "OK")
	raw, err := c.Get(ctx, "hll3").Result()
	is(t, "GET of a HyperLogLog", err, nil)
	got(t, "SET of a HyperLogLog", c.Set(ctx, "hll4", raw, 0), "OK")
	got(t, "PFCOUNT", c.PFCount(ctx, "hll4"), "4")
}

func (r *goRedisTour) groups(t *testing.T) {
	ctx, c := r.ctx, r.c
	got(t, "XGROUP CREATE", c.XGroupCreateMkStream(ctx, "work", "g", "$"), "OK")
	is(t, "XGROUP CREATE again", goredis.HasErrorPrefix(c.XGroupCreate(ctx, "work", "g", "$").Err(), "BUSYGROUP"), true)
	answer := make(chan string, 1)
	read := func(consumer, id string, block time.Duration) (string, error) {
		streams, err := c.XReadGroup(ctx, &goredis.XReadGroupArgs{Group: "g", Consumer: consumer, Streams: []string{"work", id}, Block: block}).Result()
		if err != nil || len(streams) != 1 || len(streams[0].Messages) != 1 {
			return fmt.Sprint(streams), err
		}
		return streams[0].Messages[0].ID, nil
	}
	go func() {
		id, err := read("alice", ">", 0)
		answer <- fmt.Sprint(id, err)
	}()
	awaitBlocked(t, r.control, 1)
	id := c.XAdd(ctx, &goredis.XAddArgs{Stream: "work", Values: []string{"f", "v"}}).Val()
	is(t, "XREADGROUP", <-answer, id+"<nil>")
	history, err := read("alice", "0", -1)
	is(t, "XREADGROUP of the history", fmt.Sprint(history, err), id+"<nil>")
	pending := c.XPending(ctx, "work", "g").Val()
	is(t, "XPENDING", fmt.Sprint(pending.Count, pending.Lower, pending.Consumers), fmt.Sprintf("1%smap[alice:1]", id))
	claimed, err := c.XClaim(ctx, &goredis.XClaimArgs{Stream: "work", Group: "g", Consumer: "bob", Messages: []string{id}}).Result()
	is(t, "XCLAIM", fmt.Sprint(len(claimed), err), "1 <nil>")
	messages, next, err := c.XAutoClaim(ctx, &goredis.XAutoClaimArgs{Stream: "work", Group: "g", Consumer: "carol", Start: "0"}).Result()
	is(t, "XAUTOCLAIM", fmt.Sprint(len(messages), next, err), "10-0<nil>")
	detail := c.XPendingExt(ctx, &goredis.XPendingExtArgs{Stream: "work", Group: "g", Start: "-", End: "+", Count: 10}).Val()
	is(t, "XPENDING in detail", fmt.Sprint(len(detail), detail[0].Consumer, detail[0].RetryCount), "1carol4")
	info := c.XInfoGroups(ctx, "work").Val()
	is(t, "XINFO GROUPS", fmt.Sprint(len(info), info[0].Name, info[0].Pending, info[0].EntriesRead, info[0].Lag), "1g1 1 0")
	full, err := c.XInfoStreamFull(ctx, "work", 0).Result()
	is(t, "XINFO STREAM FULL", err, nil)
	is(t, "XINFO STREAM FULL", len(full.Groups[0].Consumers), 3)
	is(t, "XINFO CONSUMERS", len(c.XInfoConsumers(ctx, "work", "g").Val()), 3)
	got(t, "XACK", c.XAck(ctx, "work", "g", id), "1")
	got(t, "XGROUP DELCONSUMER", c.XGroupDelConsumer(ctx, "work", "g", "carol"), "0")
	got(t, "XGROUP DESTROY", c.XGroupDestroy(ctx, "work", "g"), "1")
	_, err = read("alice", ">", -1)
	is(t, "XREADGROUP without the group", goredis.HasErrorPrefix(err, "NOGROUP"), true)
}

func (r *goRedisTour) generic(t *testing.T) {
	ctx, c := r.ctx, r.c
	got(t, "RPUSH", c.RPush(ctx, "tosort", 3, 1, 2), "3")
	got(t, "SORT", c.Sort(ctx, "tosort", &goredis.Sort{Order: "DESC"}), "[3 2 1]")
	got(t, "SORT_RO", c.SortRO(ctx, "tosort", &goredis.Sort{Offset: 1, Count: 1}), "[2]")
	got(t, "MSET", c.MSet(ctx, "w_1", 30, "w_2", 10, "w_3", 20), "OK")
	got(t, "SORT BY GET STORE", c.SortStore(ctx, "tosort", "sorted", &goredis.Sort{By: "w_*", Get: []string{"#", "w_*"}}), "6")
	got(t, "LRANGE", c.LRange(ctx, "sorted", 0, -1), "[2 10 3 20 1 30]")
	for _, key := range []string{"tosort", "hash", "s2", "z3", "work", "w_1"} {
		dump, err := c.Dump(ctx, key).Result()
		is(t, "DUMP "+key, err, nil)
		got(t, "RESTORE "+key, c.RestoreReplace(ctx, "restored", time.Minute, dump), "OK")
		is(t, "TYPE "+key, c.Type(ctx, "restored").Val(), c.Type(ctx, key).Val())
	}
	is(t, "RESTORE onto a key", goredis.HasErrorPrefix(c.Restore(ctx, "restored", 0, c.Dump(ctx, "hash").Val()).Err(), "BUSYKEY"), true)
	is(t, "DUMP of nothing", c.Dump(ctx, "none").Err(), error(goredis.Nil))
	got(t, "OBJECT ENCODING", c.ObjectEncoding(ctx, "hash"), "listpack")
	is(t, "MEMORY USAGE", c.MemoryUsage(ctx, "hash").Val() > 0, true)
}

// events hears of what happens to keys, expiry among it.
func (r *goRedisTour) events(t *testing.T) {
	ctx, c := r.ctx, r.c
	is(t, "CONFIG SET", c.ConfigSet(ctx, "notify-keyspace-events", "KEA").Err(), nil)
	defer c.ConfigSet(ctx, "notify-keyspace-events", "")
	sub := c.PSubscribe(ctx, "__keyspace@0__:ev*")
	defer sub.Close()
	_, err := sub.Receive(ctx)
	is(t, "PSUBSCRIBE", err, nil)
	is(t, "HSET", c.HSet(ctx, "ev1", "f", "v").Err(), nil)
	is(t, "ZADD", c.ZAdd(ctx, "ev2", goredis.Z{Member: "m"}).Err(), nil)
	is(t, "ZREM", c.ZRem(ctx, "ev2", "m").Err(), nil)
	is(t, "PEXPIRE", c.PExpire(ctx, "ev1", time.Millisecond).Err(), nil)
	for _, want := range []string{"ev1 hset", "ev2 zadd", "ev2 zrem", "ev2 del", "ev1 expire", "ev1 expired"} {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(want, err)
		}
		is(t, "event", m.Channel[len("__keyspace@0__:"):]+" "+m.Payload, want)
	}
}

// tracking has the writes of go-redis tell a client that keeps values; the
// invalidations are redirected to a subscriber.
func (r *goRedisTour) tracking(t *testing.T) {
	ctx, cancel := context.WithTimeout(r.ctx, replyTimeout)
	defer cancel()
	reader := r.p.dial(t, 2)
	listener := r.p.dial(t, 2)
	id := listener.must(t, "CLIENT", "ID").text
	listener.must(t, "SUBSCRIBE", "__redis__:invalidate")
	reader.must(t, "CLIENT", "TRACKING", "ON", "REDIRECT", id)
	is(t, "SET", r.c.Set(ctx, "cached", "1", 0).Err(), nil)
	reader.must(t, "GET", "cached")
	is(t, "SET", r.c.Set(ctx, "cached", "2", 0).Err(), nil)
	v, err := listener.read()
	is(t, "invalidation", err, nil)
	is(t, "invalidation", v.render(), `["message" "__redis__:invalidate" ["cached"]]`)
}
