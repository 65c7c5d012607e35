//go:build !record

package tests

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A ledger subject is one key of one writer. Step j of it is always the same
// command, so what the key must hold after any number of steps can be computed.
type ledgerSubject struct {
	name string
	step func(key string, j int) [][]string
	// holds reads the key and compares it with the state after n steps.
	holds func(c *client, key string, n int) error
}

func one(args ...string) [][]string { return [][]string{args} }

// window is how many elements collections keep, so that long runs stay small.
const window = 40

// farFuture is an expiry that no test lives to see, in Unix milliseconds.
const farFuture = 4_000_000_000_000

// ledgerSubjects are all types.
func ledgerSubjects() []ledgerSubject {
	return append(ledgerStrings(), ledgerCollections()...)
}

func ledgerStrings() []ledgerSubject {
	return []ledgerSubject{
		{"string", func(k string, j int) [][]string {
			return one("SET", k, strconv.Itoa(j), "PXAT", strconv.Itoa(farFuture+j))
		}, func(c *client, k string, n int) error {
			if n == 0 {
				return expect(c, "$-1", "GET", k)
			}
			return first(expect(c, strconv.Itoa(n-1), "GET", k), expect(c, strconv.Itoa(farFuture+n-1), "PEXPIRETIME", k))
		}},
		{"counter", func(k string, j int) [][]string { return one("INCRBY", k, strconv.Itoa(j%7)) }, func(c *client, k string, n int) error {
			sum := 0
			for j := range n {
				sum += j % 7
			}
			return orMissing(c, n, strconv.Itoa(sum), "GET", k)
		}},
		{"append", func(k string, j int) [][]string {
			if j%window == 0 {
				return one("SET", k, "|")
			}
			return one("APPEND", k, strconv.Itoa(j)+"|")
		}, func(c *client, k string, n int) error {
			want := "|"
			for j := n - 1; j > 0 && j%window != 0; j-- {
				want = "|" + strconv.Itoa(j) + want
			}
			return orMissing(c, n, want, "GET", k)
		}},
		{"bitmap", func(k string, j int) [][]string {
			return one("SETBIT", k, strconv.Itoa(j*5%1000), strconv.Itoa(1-j/1000%2))
		}, func(c *client, k string, n int) error {
			bits := map[int]int{}
			for j := range n {
				bits[j*5%1000] = 1 - j/1000%2
			}
			sum := 0
			for _, b := range bits {
				sum += b
			}
			return expect(c, strconv.Itoa(sum), "BITCOUNT", k)
		}},
		{"hyperloglog", func(k string, j int) [][]string { return one("PFADD", k, strconv.Itoa(j%500)) }, func(c *client, k string, n int) error {
			if n == 0 {
				return expect(c, "0", "EXISTS", k)
			}
			args := []string{"PFADD", "again:" + k}
			for j := range min(n, 500) {
				args = append(args, strconv.Itoa(j))
			}
			if v, err := c.do(args...); err != nil || v.isError() {
				return fmt.Errorf("PFADD: %v %s", err, v.render())
			}
			v, err := c.do("PFCOUNT", "again:"+k)
			if err != nil {
				return err
			}
			return first(expect(c, v.text, "PFCOUNT", k), expect(c, "1", "DEL", "again:"+k))
		}},
		{"transaction", func(k string, j int) [][]string {
			return [][]string{{"MULTI"}, {"INCR", k}, {"SADD", k + ":a", strconv.Itoa(j % 300)}, {"HINCRBY", k + ":b", "n", "1"}, {"EXEC"}}
		}, func(c *client, k string, n int) error {
			return first(orMissing(c, n, strconv.Itoa(n), "GET", k), orMissing(c, n, strconv.Itoa(n), "HGET", k+":b", "n"),
				expect(c, strconv.Itoa(min(n, 300)), "SCARD", k+":a"))
		}},
	}
}

func ledgerCollections() []ledgerSubject {
	return []ledgerSubject{
		{"list", func(k string, j int) [][]string {
			if j%window == window-1 {
				return one("LTRIM", k, "1", "-1")
			}
			return one([]string{"RPUSH", "LPUSH"}[j%2], k, strconv.Itoa(j))
		}, holdsList},
		{"hash", func(k string, j int) [][]string {
			if j%10 == 9 {
				return one("HDEL", k, strconv.Itoa((j-5)%window))
			}
			return one("HSET", k, strconv.Itoa(j%window), strconv.Itoa(j))
		}, holdsHash},
		{"hash with expiries", func(k string, j int) [][]string {
			at := strconv.Itoa(farFuture + j)
			return one("HSETEX", k, "PXAT", at, "FIELDS", "1", strconv.Itoa(j%window), at)
		}, func(c *client, k string, n int) error {
			for j := max(0, n-window); j < n; j++ {
				at, field := strconv.Itoa(farFuture+j), strconv.Itoa(j%window)
				if err := first(expect(c, at, "HGET", k, field), expect(c, at, "HPEXPIRETIME", k, "FIELDS", "1", field)); err != nil {
					return err
				}
			}
			return expect(c, strconv.Itoa(min(n, window)), "HLEN", k)
		}},
		{"set", func(k string, j int) [][]string {
			if j%3 == 2 {
				return one("SREM", k, "m"+strconv.Itoa(j-window))
			}
			return one("SADD", k, "m"+strconv.Itoa(j))
		}, holdsSet},
		{"sorted set", func(k string, j int) [][]string {
			return one("ZADD", k, strconv.Itoa(j), "m"+strconv.Itoa(j%window))
		}, func(c *client, k string, n int) error {
			var want []string
			for j := max(0, n-window); j < n; j++ {
				want = append(want, "m"+strconv.Itoa(j%window), strconv.Itoa(j))
			}
			return expect(c, strings.Join(want, " "), "ZRANGE", k, "0", "-1", "WITHSCORES")
		}},
		{"geo", func(k string, j int) [][]string {
			return one("GEOADD", k, strconv.Itoa(j%170), strconv.Itoa(j%80), "p"+strconv.Itoa(j%window))
		}, func(c *client, k string, n int) error {
			return expect(c, strconv.Itoa(min(n, window)), "ZCARD", k)
		}},
		{"stream", stepStream, holdsStream},
	}
}

func holdsList(c *client, k string, n int) error {
	var want []string
	for j := range n {
		switch {
		case j%window == window-1:
			want = slices.Clone(want[1:])
		case j%2 == 0:
			want = append(want, strconv.Itoa(j))
		default:
			want = append([]string{strconv.Itoa(j)}, want...)
		}
	}
	return expect(c, strings.Join(want, " "), "LRANGE", k, "0", "-1")
}

func holdsHash(c *client, k string, n int) error {
	fields := map[string]string{}
	for j := range n {
		if j%10 == 9 {
			delete(fields, strconv.Itoa((j-5)%window))
		} else {
			fields[strconv.Itoa(j%window)] = strconv.Itoa(j)
		}
	}
	for f, v := range fields {
		if err := expect(c, v, "HGET", k, f); err != nil {
			return err
		}
	}
	return expect(c, strconv.Itoa(len(fields)), "HLEN", k)
}

func holdsSet(c *client, k string, n int) error {
	members := map[int]bool{}
	for j := range n {
		if j%3 == 2 {
			delete(members, j-window)
		} else {
			members[j] = true
		}
	}
	args := []string{"SMISMEMBER", k, "nobody"}
	want := []string{"0"}
	for m := range members {
		args, want = append(args, "m"+strconv.Itoa(m)), append(want, "1")
	}
	return first(expect(c, strings.Join(want, " "), args...), expect(c, strconv.Itoa(len(members)), "SCARD", k))
}

// stepStream adds three entries, reads two of them for a group, and acknowledges
// one.
func stepStream(k string, j int) [][]string {
	id := func(n int) string { return strconv.Itoa(n+1) + "-1" }
	switch {
	case j == 0:
		return one("XGROUP", "CREATE", k, "g", "0", "MKSTREAM")
	case j%6 < 3:
		return one("XADD", k, "MAXLEN", "100", id(j), "n", strconv.Itoa(j))
	case j%6 < 5:
		return one("XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", k, ">")
	}
	return one("XACK", k, "g", id(j/6*3))
}

func holdsStream(c *client, k string, n int) error {
	if n == 0 {
		return expect(c, "0", "EXISTS", k)
	}
	added, read, acked, last := 0, 0, map[int]bool{}, 0
	var ids []int
	for j := 1; j < n; j++ {
		switch {
		case j%6 < 3:
			added, last = added+1, j+1
			ids = append(ids, j+1)
		case j%6 < 5:
			read = min(read+1, added)
		default:
			if id := j/6*3 + 1; slices.Contains(ids[:read], id) {
				acked[id] = true
			}
		}
	}
	if err := expect(c, strconv.Itoa(min(added, 100)), "XLEN", k); err != nil {
		return err
	}
	v, err := c.do("XINFO", "STREAM", k)
	if err != nil || v.isError() {
		return fmt.Errorf("XINFO: %v %s", err, v.render())
	}
	for i := 0; i+1 < len(v.items); i += 2 {
		if v.items[i].text == "last-generated-id" && added > 0 && v.items[i+1].text != strconv.Itoa(last)+"-1" {
			return fmt.Errorf("the last ID is %s in place of %d-1", v.items[i+1].text, last)
		}
	}
	v, err = c.do("XPENDING", k, "g")
	if err != nil || v.isError() {
		return fmt.Errorf("XPENDING: %v %s", err, v.render())
	}
	if v.items[0].text != strconv.Itoa(read-len(acked)) {
		return fmt.Errorf("%s entries are pending in place of %d", v.items[0].text, read-len(acked))
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// expect compares the texts of a reply, joined by spaces.
func expect(c *client, want string, args ...string) error {
	v, err := c.do(args...)
	if err != nil {
		return err
	}
	got := v.text
	if v.null {
		got = "$-1"
	}
	if v.aggregate() {
		var texts []string
		for _, item := range v.items {
			texts = append(texts, item.text)
		}
		got = strings.Join(texts, " ")
	}
	if v.kind == 'x' || v.isError() || got != want {
		return fmt.Errorf("%q is %s in place of %s", args, shortened(v.render(), 300), shortened(want, 300))
	}
	return nil
}

// orMissing expects null before the first step.
func orMissing(c *client, n int, want string, args ...string) error {
	if n == 0 {
		want = "$-1"
	}
	return expect(c, want, args...)
}
