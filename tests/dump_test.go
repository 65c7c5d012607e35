package tests

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// TestDumpsTravel takes values of every type and encoding from a redis-server
// to ours and back, and from ours to Redis: what is read and Redis' own digest
// must be the same.
func TestDumpsTravel(t *testing.T) {
	redis, synap := dumpTargets(t)
	for name, fill := range dumpValues() {
		t.Run(name, func(t *testing.T) {
			for _, c := range []*client{redis, synap} {
				demand(t, c, "FLUSHALL")
				for _, args := range fill {
					demand(t, c, args...)
				}
			}
			kind := demand(t, redis, "TYPE", "k").text
			there, here := demand(t, redis, "DUMP", "k").text, demand(t, synap, "DUMP", "k").text
			want := readWhole(t, redis, kind, "k")

			demand(t, redis, "RESTORE", "ours", "0", here)
			demand(t, synap, "RESTORE", "theirs", "0", there)
			demand(t, redis, "RESTORE", "back", "0", demand(t, synap, "DUMP", "theirs").text)
			if got := readWhole(t, synap, kind, "theirs"); got != want {
				t.Errorf("from Redis: %.300s, want %.300s", got, want)
			}
			if got := readWhole(t, redis, kind, "ours"); got != want {
				t.Errorf("from Synap: %.300s, want %.300s", got, want)
			}
			digests := demand(t, redis, "DEBUG", "DIGEST-VALUE", "k", "ours", "back")
			for i, key := range []string{"ours", "back"} {
				if digests.items[i+1].text != digests.items[0].text {
					t.Errorf("Redis' digest of %s differs", key)
				}
			}
		})
	}
}

func dumpTargets(t *testing.T) (redis, synap *client) {
	t.Helper()
	var both [2]*client
	for i, s := range []*target{startRedis(t, nil), startSynapRealTime(t, *flagDoor, nil)} {
		c, err := dial(s.network, s.addr, 2)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		both[i] = c
	}
	return both[0], both[1]
}

func demand(t *testing.T, c *client, args ...string) value {
	t.Helper()
	v, err := c.do(args...)
	if err != nil || v.isError() {
		t.Fatalf("%.60q: %.200s %v", args, v.render(), err)
	}
	return v
}

// readWhole reads a value; scores as numbers, as their texts changed with 7.2.
func readWhole(t *testing.T, c *client, kind, key string) string {
	t.Helper()
	switch kind {
	case "string":
		return demand(t, c, "GET", key).render()
	case "list":
		return demand(t, c, "LRANGE", key, "0", "-1").render()
	case "set":
		v := demand(t, c, "SMEMBERS", key)
		sortValues(v.items)
		return v.render()
	case "stream":
		groups := ""
		for _, v := range demand(t, c, "XINFO", "GROUPS", key).items {
			name := v.items[1].text
			groups += demand(t, c, "XPENDING", key, name).render() + v.items[7].render()
			for _, p := range demand(t, c, "XPENDING", key, name, "-", "+", "10000").items {
				groups += p.items[0].text + p.items[1].text + p.items[3].text
			}
		}
		return demand(t, c, "XRANGE", key, "-", "+").render() + demand(t, c, "XLEN", key).render() + groups
	case "hash":
		v := demand(t, c, "HGETALL", key)
		return value{kind: '%', items: v.items}.sorted().render()
	}
	v := demand(t, c, "ZRANGE", key, "0", "-1", "WITHSCORES")
	for i := 1; i < len(v.items); i += 2 {
		f, err := strconv.ParseFloat(v.items[i].text, 64)
		if err != nil {
			t.Fatal(err)
		}
		v.items[i].text = fmt.Sprint(f)
	}
	return v.render()
}

// dumpValues returns the commands that make values of every form under k.
func dumpValues() map[string][][]string {
	rnd := rand.New(rand.NewPCG(7, 8))
	random := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return string(b)
	}
	all := map[string][][]string{}
	for i, text := range []string{
		"", "0", "-129", "32768", "-2147483649", "9223372036854775807", "01", strings.Repeat("x", 20), strings.Repeat("x", 21),
		strings.Repeat("abc", 9000), random(300), random(9) + strings.Repeat("\x00", 300),
	} {
		all[fmt.Sprint("string ", i)] = [][]string{{"SET", "k", text}}
		all[fmt.Sprint("list of one ", i)] = [][]string{{"RPUSH", "k", text}}
		all[fmt.Sprint("set of one ", i)] = [][]string{{"SADD", "k", text}}
		all[fmt.Sprint("hash of one ", i)] = [][]string{{"HSET", "k", text, text}}
		all[fmt.Sprint("sorted set of one ", i)] = [][]string{{"ZADD", "k", "1.5", text}}
	}
	fill := func(command string, n, each int, arg func(i int) []string) (out [][]string) {
		for i := 0; i < n; i += each {
			args := []string{command, "k"}
			for j := i; j < min(n, i+each); j++ {
				args = append(args, arg(j)...)
			}
			out = append(out, args)
		}
		return out
	}
	for _, n := range []int{3, 128, 129, 512, 513, 5000} {
		name := fmt.Sprint(" of ", n)
		all["list"+name] = fill("RPUSH", n, 500, func(i int) []string { return []string{random(rnd.IntN(40)), strconv.Itoa(i - 50)} })
		all["integers"+name] = fill("SADD", n, 500, func(i int) []string { return []string{strconv.FormatInt(rnd.Int64()>>rnd.IntN(64), 10)} })
		all["set"+name] = fill("SADD", n, 500, func(i int) []string { return []string{random(rnd.IntN(20)), strconv.Itoa(i)} })
		all["hash"+name] = fill("HSET", n, 500, func(i int) []string { return []string{fmt.Sprint("f", i), random(rnd.IntN(30))} })
		all["sorted set"+name] = fill("ZADD", n, 500, func(i int) []string {
			return []string{[]string{fmt.Sprint(rnd.NormFloat64()), strconv.Itoa(i), "inf", "-inf", "1e300", "-0"}[i%6], random(8)}
		})
		all["stream"+name] = streamOf(rnd, n)
	}
	return all
}

// streamOf makes a stream with tombstones and two groups.
func streamOf(rnd *rand.Rand, n int) (out [][]string) {
	for i := range n {
		args := []string{"XADD", "k", fmt.Sprintf("%d-%d", 1+i/3, i%3+1), "temperature", strconv.Itoa(i)}
		if rnd.IntN(3) == 0 {
			args = append(args, fmt.Sprint("field", i%5), strings.Repeat("v", i%50))
		}
		out = append(out, args)
	}
	out = append(out, []string{"XGROUP", "CREATE", "k", "g", "0"}, []string{"XGROUP", "CREATE", "k", "h", "1-2", "ENTRIESREAD", "2"})
	for c := range 3 {
		out = append(out, []string{"XREADGROUP", "GROUP", "g", fmt.Sprint("c", c), "COUNT", strconv.Itoa(n / 4), "STREAMS", "k", ">"})
	}
	for i := 0; i < n; i += 7 {
		id := fmt.Sprintf("%d-%d", 1+i/3, i%3+1)
		out = append(out, []string{"XACK", "k", "g", id}, []string{"XDEL", "k", id})
	}
	return out
}
