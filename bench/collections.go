package main

import (
	"errors"
	"fmt"
	"strings"
)

// members is how many members or fields the large values of the loads have.
const members = 100_000

// after lets a load begin, at every run, with what a step makes anew.
func (l load) after(step func(p *process) error) load {
	l.prepare = step
	return l
}

// collectionLoads are the commands that every change must keep, at pipeline 16.
func collectionLoads(scale int, bar float64) []load {
	return []load{
		test("HSET, pipeline 16", "hset", 50, 16, 150_000*scale, bar, 0),
		test("SADD, pipeline 16", "sadd", 50, 16, 150_000*scale, bar, 0),
		test("ZADD, pipeline 16", "zadd", 50, 16, 150_000*scale, bar, 0),
		custom("XADD, pipeline 16", "xadd", 16, 100_000*scale, bar, "xadd", "mystream", "*", "field", strings.Repeat("x", 64)).after(remove("mystream")),
		test("LPUSH, pipeline 16", "lpush", 50, 16, 150_000*scale, bar, 0).after(remove("mylist")),
		test("MSET (10), pipeline 16", "mset", 50, 16, 30_000*scale, bar, 0),
		test("LRANGE_100, pipeline 16", "lrange_100", 50, 16, 20_000*scale, bar, 0).after(remove("mylist")),
		test("ZPOPMIN, pipeline 16", "zpopmin", 50, 16, members*scale, bar, 0).after(sortedSet("myzset", members*scale)),
	}
}

// moreCollectionLoads are the others of the whole table.
func moreCollectionLoads(bar float64) []load {
	const (
		hash = "hash:__rand_int__"
		one  = "element:__rand_int__"
	)
	return []load{
		custom("HSET in hashes of 10 fields, pipeline 16", "hset", 16, 400_000, bar, "hset", hash, "field:05", strings.Repeat("x", 16)).after(hashes),
		custom("HGET in hashes of 10 fields, pipeline 16", "hget", 16, 400_000, bar, "hget", hash, "field:05").after(hashes),
		custom("HGET, pipeline 16", "hget", 16, 400_000, bar, "hget", "myhash", one).after(largeHash),
		custom("SISMEMBER, pipeline 16", "sismember", 16, 400_000, bar, "sismember", "myset", one).after(set("myset", members)),
		test("SPOP, pipeline 16", "spop", 50, 16, 3*members, bar, 0).after(set("myset", 3*members)),
		custom("ZRANGE 0 9, pipeline 16", "zrange", 16, 200_000, bar, "zrange", "myzset", "0", "9").after(sortedSet("myzset", members)),
		custom("ZRANGEBYSCORE … LIMIT 0 10, pipeline 16", "zrangebyscore", 16, 200_000, bar,
			"zrangebyscore", "myzset", "__rand_int__", "+inf", "limit", "0", "10").after(sortedSet("myzset", members)),
		custom("ZINCRBY, pipeline 16", "zincrby", 16, 200_000, bar, "zincrby", "myzset", "__rand_int__", one).after(sortedSet("myzset", members)),
		custom("ZRANK, pipeline 16", "zrank", 16, 200_000, bar, "zrank", "myzset", one).after(sortedSet("myzset", members)),
		custom("LPUSH to 100 k lists, pipeline 16", "lpush", 16, 400_000, bar, "lpush", "list:__rand_int__", strings.Repeat("x", 16)),
		custom("XADD to 100 k streams, pipeline 16", "xadd", 16, 200_000, bar, "xadd", "stream:__rand_int__", "*", "field", strings.Repeat("x", 64)),
		custom("XREADGROUP of one entry, pipeline 16", "xreadgroup", 16, 2*members, bar,
			"xreadgroup", "group", "group", "consumer", "count", "1", "streams", "entries", ">").after(group(false)),
		custom("XACK, pipeline 16", "xack", 16, members, bar, "xack", "entries", "group", "__rand_int__-1").after(group(true)),
		custom("PFADD, pipeline 16", "pfadd", 16, 300_000, bar, "pfadd", "hyperloglog", one),
		custom("SETBIT, pipeline 16", "setbit", 16, 400_000, bar, "setbit", "bitmap:__rand_int__", "1000", "1"),
		custom("GEOADD, pipeline 16", "geoadd", 16, 200_000, bar, "geoadd", "places", "13.__rand_int__", "38.__rand_int__", one),
	}
}

func remove(key string) func(p *process) error {
	return func(p *process) error { return p.do("DEL", key) }
}

// batch is how many members one filling command carries.
const batch = 50

// refill removes key and sends n members by commands that each carry a batch:
// the command, the key, more words, then what each member gives.
func refill(key string, n int, member func(args []string, i int) []string, verb string, more ...string) func(p *process) error {
	return func(p *process) error {
		return errors.Join(p.do("DEL", key), p.fill(n/batch, func(b []byte, i int) []byte {
			args := append([]string{verb, key}, more...)
			for j := range batch {
				args = member(args, i*batch+j)
			}
			return command(b, args...)
		}))
	}
}

func list(key string, n int) func(p *process) error {
	return refill(key, n, func(args []string, i int) []string { return append(args, fmt.Sprintf("element:%012d", i)) }, "RPUSH")
}

func set(key string, n int) func(p *process) error {
	return refill(key, n, func(args []string, i int) []string { return append(args, fmt.Sprintf("element:%012d", i)) }, "SADD")
}

// largeHash makes the hash that HSET of redis-benchmark writes to.
func largeHash(p *process) error {
	return refill("myhash", members, func(args []string, i int) []string {
		return append(args, fmt.Sprintf("element:%012d", i), strings.Repeat("x", 64))
	}, "HSET")(p)
}

func sortedSet(key string, n int) func(p *process) error {
	return refill(key, n, func(args []string, i int) []string {
		return append(args, fmt.Sprint(i*7919%n), fmt.Sprintf("element:%012d", i))
	}, "ZADD")
}

// hashes makes the keys that __rand_int__ may name hashes of ten fields.
func hashes(p *process) error {
	return p.fill(members, func(b []byte, i int) []byte {
		args := []string{"HSET", fmt.Sprintf("hash:%012d", i)}
		for j := range 10 {
			args = append(args, fmt.Sprintf("field:%02d", j), fmt.Sprintf("%08d%08d", i, j))
		}
		return command(b, args...)
	})
}

// group makes a stream with entries enough for a consumer group to read one at
// a request, or all of them read and pending.
func group(pending bool) func(p *process) error {
	return func(p *process) error {
		n := 2 * members
		if pending {
			n = members
		}
		err := errors.Join(p.do("DEL", "entries"), p.fill(n, func(b []byte, i int) []byte {
			return command(b, "XADD", "entries", fmt.Sprintf("%d-1", i+1), "field", fmt.Sprintf("%016d", i))
		}), p.do("XGROUP", "CREATE", "entries", "group", "0"))
		if err != nil || !pending {
			return err
		}
		return p.fill(n/100, func(b []byte, _ int) []byte {
			return command(b, "XREADGROUP", "GROUP", "group", "consumer", "COUNT", "100", "STREAMS", "entries", ">")
		})
	}
}
