//go:build !record

package tests

import (
	"fmt"
	"testing"

	"github.com/gomodule/redigo/redis"
)

// families walks through the collections; redigo's helpers read the replies.
func (r *redigoTour) families(t *testing.T) {
	c := r.conn(t)
	for _, step := range []struct {
		request []any
		want    string
	}{
		{redis.Args{}.Add("HSET", "hash").AddFlat(map[string]int{"a": 1}), "1"},
		{[]any{"HINCRBYFLOAT", "hash", "a", 0.5}, "1.5"},
		{[]any{"HEXPIRE", "hash", 100, "FIELDS", 2, "a", "none"}, "[1 -2]"},
		{[]any{"SADD", "set", "a", "b", "c"}, "3"},
		{[]any{"SINTERCARD", 1, "set", "LIMIT", 2}, "2"},
		{[]any{"ZADD", "zset", 1, "a", 2.5, "b"}, "2"},
		{[]any{"ZRANGE", "zset", 0, -1, "REV", "WITHSCORES"}, "[b 2.5 a 1]"},
		{[]any{"ZPOPMAX", "zset"}, "[b 2.5]"},
		{[]any{"GEOADD", "geo", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"}, "2"},
		{[]any{"GEODIST", "geo", "Palermo", "Catania", "km"}, "166.2742"},
		{[]any{"SETBIT", "bits", 7, 1}, "0"},
		{[]any{"BITFIELD", "bits", "INCRBY", "u8", 0, 1}, "[2]"},
		{[]any{"PFADD", "hll", "a", "b"}, "1"},
		{[]any{"PFCOUNT", "hll"}, "2"},
		{[]any{"XGROUP", "CREATE", "work", "g", "0", "MKSTREAM"}, "OK"},
		{[]any{"XADD", "work", "1-1", "f", "v"}, "1-1"},
		{[]any{"XREADGROUP", "GROUP", "g", "alice", "STREAMS", "work", ">"}, "[[work [[1-1 [f v]]]]]"},
		{[]any{"XPENDING", "work", "g"}, "[1 1-1 1-1 [[alice 1]]]"},
		{[]any{"XCLAIM", "work", "g", "bob", 0, "1-1", "JUSTID"}, "[1-1]"},
		{[]any{"XACK", "work", "g", "1-1"}, "1"},
		{[]any{"RPUSH", "tosort", 3, 1, 2}, "3"},
		{[]any{"SORT", "tosort", "LIMIT", 0, 2}, "[1 2]"},
	} {
		v, err := c.Do(step.request[0].(string), step.request[1:]...)
		is(t, fmt.Sprint(step.request...), err, nil)
		is(t, fmt.Sprint(step.request...), plain(v), step.want)
	}
	fields, err := redis.StringMap(c.Do("HGETALL", "hash"))
	is(t, "HGETALL", fmt.Sprint(fields, err), "map[a:1.5] <nil>")
	positions, err := redis.Positions(c.Do("GEOPOS", "geo", "Palermo", "none"))
	is(t, "GEOPOS", err, nil)
	is(t, "GEOPOS", positions[0] != nil && positions[1] == nil, true)
	for _, key := range []string{"hash", "set", "zset", "geo", "bits", "work", "tosort"} {
		dump, err := redis.Bytes(c.Do("DUMP", key))
		is(t, "DUMP "+key, err, nil)
		_, err = c.Do("RESTORE", "restored", 0, dump, "REPLACE")
		is(t, "RESTORE "+key, err, nil)
		again, err := redis.Bytes(c.Do("DUMP", "restored"))
		is(t, "DUMP of the restored "+key, err, nil)
		is(t, "the bytes are the same", string(again), string(dump))
	}
}

// plain shows a reply as fmt does, bytes as text.
func plain(v any) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case []any:
		var words []string
		for _, item := range v {
			words = append(words, plain(item))
		}
		return fmt.Sprint(words)
	}
	return fmt.Sprint(v)
}
