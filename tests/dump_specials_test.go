package tests

import (
	"slices"
	"strings"
	"sync"

	"synap/store"
)

// dumpSpecials is the special handling of DUMP, RESTORE and SORT.
func dumpSpecials() map[string]special {
	return map[string]special{
		"dump":           {why: "bytes are compared by RESTORE: in the scripts and below", compare: byKind},
		"restore":        {why: "needs payloads with a checksum", args: payloadArgs},
		"restore-asking": {why: "as restore", args: payloadArgs},
		"sort":           {why: "patterns that find something; ties keep another order", args: sortArgs, compare: compareSort},
		"sort_ro":        {why: "as sort", args: sortArgs, compare: compareSort},
	}
}

// payloads are what DUMP makes of values of every kind, and broken ones.
var payloads = sync.OnceValue(func() []string {
	s := store.New(store.Options{Shards: 1})
	var tx store.Tx
	s.Begin(&tx, 0, 1000)
	tx.WantAll()
	tx.Lock()
	defer tx.Unlock()
	var out []string
	keep := func() {
		b, _ := tx.Dump([]byte("k"), nil)
		out = append(out, string(b))
		tx.Delete([]byte("k"))
	}
	for _, text := range []string{"", "x", "10", "-7", strings.Repeat("long ", 100)} {
		tx.Set([]byte("k"), []byte(text), false)
		keep()
	}
	texts := [][]byte{[]byte(""), []byte("x"), []byte("10"), []byte("hello"), []byte("3.14"), []byte(strings.Repeat("y", 70))}
	for n := 1; n <= len(texts); n++ {
		list, _ := tx.List([]byte("k"), store.Write)
		list.Push(store.Back, texts[:n]...)
		keep()
		set, _ := tx.SetOf([]byte("k"), store.Write)
		hash, _ := tx.HashOf([]byte("k"), store.Write)
		for _, v := range texts[:n] {
			set.Add(v)
		}
		set.Done()
		keep()
		for _, v := range texts[:n] {
			hash.Set(v, []byte("v"))
		}
		hash.Done()
		keep()
		sorted, _ := tx.ZSetOf([]byte("k"), store.Write)
		for i, v := range texts[:n] {
			sorted.Add(v, float64(i)*1.5, 0)
		}
		sorted.Done()
		keep()
		stream := tx.NewStream()
		for i := range texts[:n] {
			stream.Add(store.ID{Ms: uint64(i + 1)}, [][]byte{[]byte("f"), texts[i]}, 0, 0)
		}
		stream.Delete(store.ID{Ms: 2})
		tx.SaveStream([]byte("k"), stream)
		keep()
	}
	return append(out, "", "x", out[0][1:], out[3]+"x")
})

func payloadArgs(g *generator, s *subject, _ []string) []string {
	args := append(slices.Clone(s.words), pick(g, keyPool), pick(g, []string{"0", "0", "0", "100000000", "-1", "abc"}), pick(g, payloads()))
	for g.chance(50) {
		args = append(args, strings.Fields(pick(g, []string{"REPLACE", "REPLACE", "replace", "IDLETIME 5", "FREQ 3", "ABSTTL", "FOO", "IDLETIME -1", "FREQ 256"}))...)
	}
	return args
}

// sortArgs uses patterns that find something: the element "" makes a* the key a.
func sortArgs(g *generator, s *subject, _ []string) []string {
	patterns := []string{"*", "a*", "*b", "c*", "a*->f1", "b*->type", "*->f1", "nosort", "#", "{t}*f", "a*->", "->*"}
	args := append(slices.Clone(s.words), pick(g, keyPool))
	ties := false
	for g.chance(75) {
		switch g.rnd.IntN(12) {
		case 0, 1:
			args = append(args, "BY", pick(g, patterns))
			ties = true
		case 2, 3:
			args = append(args, "GET", pick(g, patterns))
		case 4, 5:
			args = append(args, "LIMIT", g.number(), g.number())
		case 6:
			args = append(args, pick(g, []string{"ASC", "DESC"}))
		case 7, 8, 9:
			args = append(args, "ALPHA")
		case 10:
			args = append(args, pick(g, []string{"FOO", "LIMIT 1", "STORE", "GET", "BY"}))
		default:
			if !ties {
				return append(args, "STORE", pick(g, keyPool))
			}
		}
	}
	return args
}

// compareSort compares only the kinds where the order is not determined: by BY
// under ALPHA, in a set that is not sorted, and of texts with NUL bytes.
func compareSort(args []string, ours, theirs value) string {
	loose := slices.ContainsFunc(args, func(a string) bool { return strings.EqualFold(a, "BY") })
	if slices.ContainsFunc(args, func(a string) bool { return strings.EqualFold(a, "ALPHA") }) {
		for _, v := range append(slices.Clone(ours.items), theirs.items...) {
			loose = loose || v.text == "" || strings.Contains(v.text, "\x00")
		}
	}
	if loose {
		return byKind(args, ours, theirs)
	}
	return exact(args, ours, theirs)
}
