package tests

import (
	"sort"
	"strings"
	"testing"
)

// startSynap starts our server in process, on a clock that stands still.
func startSynap(t testing.TB, door string, options [][2]string) *server {
	t.Skip("the server is not there yet")
	return nil
}

func startSynapRealTime(t testing.TB, door string, options [][2]string) *server {
	return startRedis(t, [][2]string{{"hz", "500"}})
}

func fromFacts(list []factArgument) []argument {
	var out []argument
	for _, a := range list {
		out = append(out, argument{a.Name, a.Type, a.Token, bool(a.Optional), bool(a.Multiple), bool(a.MultipleToken), fromFacts(a.Arguments)})
	}
	return out
}

func differentialSubjects(t testing.TB) []subject {
	var all []subject
	want := map[string]bool{"string": true, "list": true, "generic": true, "stream": true, "pubsub": true, "transactions": true, "connection": true, "server": true}
	srv := startRedis(t, nil)
	c, _ := dial("tcp", srv.addr, 2)
	for name, f := range facts(t) {
		if !want[f.Group] || f.Since > "7.0.15" {
			continue
		}
		if v, _ := c.do("COMMAND", "INFO", name); v.items[0].null {
			continue
		}
		words := strings.Split(name, "|")
		bad := false
		for _, p := range []string{"xgroup", "xreadgroup", "xclaim", "xautoclaim", "xack", "xpending", "xinfo|c", "xinfo|g", "acl", "module|", "failover", "psync", "sync", "replconf", "save", "bgsave", "bgrew", "migrate", "restore", "dump", "sort", "object", "tracking", "caching", "getredir", "trackinginfo", "readonly", "readwrite", "asking", "waitaof", "debug", "monitor", "shutdown", "slaveof", "replicaof", "memory|malloc", "client|no-touch"} {
			if strings.Contains(name, p) {
				bad = true
			}
		}
		if bad || (f.Container == "" && len(f.Arguments) == 0 && len(words) == 1 && f.Arity == -2) {
			continue
		}
		tips := map[string]bool{}
		for _, tip := range f.Tips {
			tips[strings.ToLower(tip)] = true
		}
		all = append(all, subject{words: words, full: name, args: fromFacts(f.Arguments), arity: f.Arity, tips: tips})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].full < all[j].full })
	return all
}
