//go:build !record

package tests

import (
	"slices"
	"strings"
	"testing"
)

// boundaryValues are what every numeric argument of every command meets.
var boundaryValues = []string{
	"-9223372036854775809", "-9223372036854775808", "-9223372036854775807", "-2147483649", "-2147483648", "-1", "0",
	"2147483647", "2147483648", "4294967295", "4294967296", "9007199254740993",
	"9223372036854775806", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
	"", " 1", "1 ", "+1", "01", "1.5", "1e3", "0x10", "nan", "inf", "-inf", "1e400", "-",
}

// boundarySetup is the data before each request; a set of one member leaves
// nothing to chance.
var boundarySetup = [][]string{
	{"RESET"}, {"FLUSHALL"}, {"SET", "s", "12"}, {"RPUSH", "l", "5", "6", "7"}, {"SADD", "set", "m"}, {"ZADD", "z", "1", "m", "2", "n", "3", "o"},
	{"HSET", "h", "f", "5"}, {"XADD", "x", "1-1", "f", "v"}, {"XADD", "x", "2-1", "f", "v"}, {"XGROUP", "CREATE", "x", "g", "0"},
	{"XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "x", ">"}, {"GEOADD", "geo", "13", "38", "m", "14", "39", "n"}, {"PFADD", "hll", "a", "b"},
}

// boundaryKeys are the keys of the set-up by a command's group.
var boundaryKeys = map[string]string{
	"list": "l", "set": "set", "sorted-set": "z", "hash": "h", "stream": "x", "geo": "geo", "hyperloglog": "hll",
}

// boundaryPlain are sensible values of arguments by name; what is not listed
// is 1.
var boundaryPlain = map[string]string{
	"destination": "d", "newkey": "d", "field": "f", "member": "m", "member1": "m", "member2": "m", "group": "g", "consumer": "c", "pattern": "*",
	"cursor": "0", "index": "0", "start": "0", "stop": "-1", "end": "-1", "min": "0", "max": "5", "id": "3-1", "encoding": "u8", "longitude": "13", "latitude": "38",
	"seconds": "100000", "milliseconds": "100000000", "unix-time-seconds": "4102444800", "unix-time-milliseconds": "4102444800000", "pivot": "6",
	"numreplicas": "0", "threshold": "1", "host": "127.0.0.1", "password": "", "ttl": "0", "version": "5", "protover": "2", "bit": "1", "lastid": "2-1",
	"destination-db": "1", "db": "1", "min-idle-time": "0", "client-id": "999999999",
	// Of one command alone.
	"sort key": "l", "sort_ro key": "l", "migrate key": "none", "restore key": "d", "restore-asking key": "d", "xgroup|create group": "new", "xsetid last-id": "2-1",
	"zlexcount min": "-", "zlexcount max": "+", "zrangebylex min": "-", "zrangebylex max": "+", "zremrangebylex min": "-", "zremrangebylex max": "+",
	"zrevrangebylex min": "-", "zrevrangebylex max": "+", "xsetid entries-added": "5",
}

// boundaryApart are commands and arguments ("lpos count") that cannot be swept.
var boundaryApart = map[string]string{
	"replicaof": "would follow another server", "slaveof": "as replicaof", "psync": "would make the connection a replica's",
	"client|kill maxage": "newer than the reference", "xreadgroup min-idle-time": "as client|kill maxage",
}

// boundaryRefused are commands that refuse a plain value, too.
var boundaryRefused = map[string]string{
	"client|tracking": "there is no such client",
}

// boundaryWith are words that an argument's request needs beside the grammar's:
// in place of what is named, or at the end.
var boundaryWith = map[string][]string{
	"zrange offset": {"BYSCORE"}, "zrange count": {"BYSCORE"}, "zrangestore offset": {"BYSCORE"}, "zrangestore count": {"BYSCORE"},
}

// boundaryAvoided tells that a value would not harm but stop the run.
func boundaryAvoided(full, name, value string) bool {
	switch full {
	case "hrandfield", "srandmember", "zrandmember": // a negative count repeats elements so often
		return strings.HasPrefix(value, "-2147") || value == "-9223372036854775807"
	case "client|pause":
		return len(value) > 8 && value[0] != '-' // all that is positive and no error
	}
	return false
}

// probe is one numeric argument of a command.
type probe struct {
	subject *subject
	path    []int // into the grammar
	arg     argument
}

func (p *probe) name() string { return p.subject.full + " " + p.arg.name }

// numeric tells whether an argument is a number; some are published as strings.
func (a *argument) numeric() bool {
	switch a.kind {
	case "integer", "double", "unix-time":
		return true
	case "string":
		return slices.Contains([]string{"start", "stop", "end", "min", "max", "threshold", "numkeys", "increment", "score"}, a.name)
	}
	return false
}

// probes finds the numeric arguments below list.
func (s *subject) probes(list []argument, path []int) (all []probe) {
	for i, a := range list {
		here := append(slices.Clone(path), i)
		if len(a.parts) > 0 {
			all = append(all, s.probes(a.parts, here)...)
		} else if a.numeric() {
			all = append(all, probe{s, here, a})
		}
	}
	return all
}

// request returns the shortest request that has the argument, with value in its
// place.
func (p *probe) request(group, value string) []string {
	var out []string
	var emit func(list []argument, path []int, whole bool)
	var put func(a argument, path []int, on bool)
	put = func(a argument, path []int, on bool) {
		if a.token != "" {
			out = append(out, a.token)
		}
		switch {
		case a.kind == "pure-token":
		case a.kind == "block":
			emit(a.parts, path, true)
		case a.kind == "oneof" && len(path) == 0 && a.parts[0].token == "*": // an ID of the server's clock
			put(a.parts[1], nil, false)
		case a.kind == "oneof":
			emit(a.parts, path, false)
		case on:
			out = append(out, value)
		default:
			out = append(out, plainValue(p.subject.full, group, a))
		}
	}
	emit = func(list []argument, path []int, whole bool) {
		for i, a := range list {
			switch {
			case a.name == "operator" && p.arg.name == "count" && len(path) > 0: // LIMIT needs it
				out = append(out, "~")
			case len(path) > 0 && path[0] == i:
				put(a, path[1:], true)
			case whole && !a.optional, !whole && len(path) == 0 && i == 0:
				put(a, nil, false)
			}
		}
	}
	emit(p.subject.args, p.path, true)
	return append(append(slices.Clone(p.subject.words), out...), boundaryWith[p.name()]...)
}

func plainValue(full, group string, a argument) string {
	if v, ok := boundaryPlain[full+" "+a.name]; ok {
		return v
	}
	switch {
	case a.kind == "key" && a.name != "destination" && a.name != "newkey":
		if key := boundaryKeys[group]; key != "" {
			return key
		}
		return "s"
	case a.name == "serialized-value":
		return payloads()[0]
	case group == "stream" && (a.name == "start" || a.name == "id" && full != "xadd"):
		return "1-1"
	case group == "stream" && a.name == "end":
		return "+"
	}
	if v, ok := boundaryPlain[a.name]; ok {
		return v
	}
	return "1"
}

// TestBoundaryValues gives every numeric argument of every command each boundary
// value, and compares reply and data with those of redis-server.
func TestBoundaryValues(t *testing.T) {
	needProgram(t, "redis-server")
	ours := startSynapRealTime(t, *flagDoor, [][2]string{{"proto-max-bulk-len", "1mb"}})
	theirs := startRedis(t, [][2]string{{"proto-max-bulk-len", "1mb"}})
	subjects := differentialSubjects(t, ours.inside)
	markNewer(t, theirs, subjects)
	var both [2]*client
	for i, s := range []*target{ours, theirs} {
		c, err := dial(s.network, s.addr, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		both[i] = c
	}
	handling := specialHandling()
	swept, compared, apart := 0, 0, map[string]bool{}
	for i := range subjects {
		s := &subjects[i]
		newer := s.special.alone // than the reference
		s.special = handling[s.full]
		group := ours.inside.server.Table().Lookup([]byte(s.words[0])).Group
		for _, p := range s.probes(s.args, nil) {
			if boundaryApart[s.full] != "" || boundaryApart[p.name()] != "" {
				apart[s.full], apart[p.name()] = true, true
				continue
			}
			if newer {
				continue
			}
			swept++
			compared += p.sweep(t, both, group)
		}
	}
	for name := range boundaryApart {
		if !apart[name] {
			t.Errorf("boundaryApart lists %q, which is no numeric argument", name)
		}
	}
	t.Logf("%d requests for %d arguments compared", compared, swept)
}

// sweep compares the replies to one argument's values. A request with a plain
// value must succeed, else the others may have failed for another reason.
func (p *probe) sweep(t *testing.T, both [2]*client, group string) int {
	values := append([]string{plainValue(p.subject.full, group, p.arg)}, boundaryValues...)
	values = slices.DeleteFunc(values, func(v string) bool { return boundaryAvoided(p.subject.full, p.arg.name, v) })
	per := len(boundarySetup) + 4
	var replies [2][]value
	for i, c := range both {
		var raw []byte
		for _, v := range values {
			for _, args := range boundarySetup {
				raw = appendCommand(raw, args)
			}
			raw = appendCommand(raw, p.request(group, v))
			raw = appendCommand(raw, []string{"SELECT", "0"})
			raw = appendCommand(raw, []string{"EXISTS", "s", "d", "l", "h", "z", "set", "geo", "x", "hll"}) // what has expired goes
			raw = appendCommand(raw, []string{"DEBUG", "DIGEST"})
		}
		sent := make(chan error, 1)
		go func() { sent <- c.sendRaw(raw) }()
		for range per * len(values) {
			v, err := c.read()
			if err != nil {
				t.Fatalf("%s: %v behind %d replies", p.name(), err, len(replies[i]))
			}
			replies[i] = append(replies[i], v)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	for i, v := range values {
		at := i*per + len(boundarySetup)
		args, a, b := p.request(group, v), replies[0][at], replies[1][at]
		if why := comparisonFor(p.subject)(args, a, b); why != "" && !deliberate(args, a, b) {
			t.Errorf("%q %s:\n  ours   %s\n  theirs %s", args, why, a.render(), b.render())
		} else if replies[0][at+3].text != replies[1][at+3].text && !deliberate(args, a, b) {
			t.Errorf("%q: the data differ afterwards; both replied %s", args, a.render())
		}
		if i == 0 && a.isError() && group != "cluster" && boundaryRefused[p.subject.full] == "" {
			t.Errorf("%q fails with a plain value, so that nothing is tried: %s", args, a.render())
		}
	}
	return len(values)
}
