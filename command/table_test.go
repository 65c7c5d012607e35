package command

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func words(s string) [][]byte {
	var args [][]byte
	for _, w := range strings.Fields(s) {
		args = append(args, []byte(w))
	}
	return args
}

func TestTableFindsEveryNameInAnyCase(t *testing.T) {
	table := NewTable(Rows())
	for _, c := range table.Top() {
		for _, name := range []string{c.Name, strings.ToUpper(c.Name), strings.ToUpper(c.Name[:1]) + c.Name[1:]} {
			if got := table.Lookup([]byte(name)); got != c {
				t.Errorf("Lookup(%q) = %v", name, got)
			}
		}
		for _, near := range []string{c.Name + "x", c.Name[1:], c.Name[:len(c.Name)-1], "x" + c.Name, c.Name + "\x00", strings.Replace(c.Name, "e", "E\xcc", 1) + "\xa0"} {
			if got := table.Lookup([]byte(near)); got != nil && got.Name != near {
				t.Errorf("Lookup(%q) found %q", near, got.Name)
			}
		}
	}
	for i, c := range table.All() {
		if c.ID != i {
			t.Errorf("%s has ID %d at %d", c.FullName, c.ID, i)
		}
		if table.Find([]byte(strings.ToUpper(c.FullName))) != c {
			t.Errorf("Find does not find %s", c.FullName)
		}
	}
	for _, name := range []string{"", strings.Repeat("g", 25), "g\x45t\x00", "GE\x54\x80", "@et", "`et", "[et", "{et", "object|", "object|x", "get|x"} {
		if got := table.Find([]byte(name)); got != nil {
			t.Errorf("Find(%q) found %q", name, got.FullName)
		}
	}
}

// Two names that differ in any one byte, or in length, must never be the same.
func TestNamesAreComparedExactly(t *testing.T) {
	for n := 1; n <= maxName; n++ {
		name := []byte("abcdefghijklmnopqrstuvwx")[:n]
		x := newIndex([]*Command{{Row: &Row{Name: string(name)}}})
		for i := range name {
			saved := name[i]
			for b := range 256 {
				name[i] = byte(b)
				if same := x.find(name) != nil; same != (byte(b) == saved || byte(b) == saved-'a'+'A') {
					t.Fatalf("%d bytes, byte %d = %#x: same %v", n, i, b, same)
				}
			}
			name[i] = saved
		}
		for b := range 256 {
			if x.find(append(name[:n:n], byte(b))) != nil {
				t.Fatalf("%d bytes and %#x: the same", n, b)
			}
		}
		if x.find(name[:n-1]) != nil {
			t.Fatalf("%d bytes but one: the same", n)
		}
	}
}

func TestTableRefusesBadNames(t *testing.T) {
	for _, rows := range [][]Row{
		{{Name: "a"}, {Name: "a"}},
		{{Name: ""}},
		{{Name: strings.Repeat("a", maxName+1)}},
		{{Name: "a", Subs: []Row{{Name: "b"}, {Name: "b"}}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was taken", rows)
				}
			}()
			NewTable(rows)
		}()
	}
}

func TestResolve(t *testing.T) {
	table := NewTable(Rows())
	for _, c := range []struct{ request, want string }{
		{"get k", "get"},
		{"OBJECT ENCODING k", "object|encoding"},
		{"object", "object"},
		{"object foo\r\nbar", "ERR unknown subcommand 'foo'. Try OBJECT HELP."},
		{"nosuch a b", "ERR unknown command 'nosuch', with args beginning with: 'a' 'b' "},
	} {
		cmd, err := table.Resolve(words(c.request))
		got := string(err)
		if cmd != nil {
			got = cmd.FullName
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.request, got, c.want)
		}
	}
	if _, err := table.Resolve([][]byte{[]byte("object"), []byte("a\r\nb")}); string(err) != "ERR unknown subcommand 'a  b'. Try OBJECT HELP." {
		t.Error(err)
	}
}

func TestArity(t *testing.T) {
	exact, atLeast := &Command{Row: &Row{Arity: 2}}, &Command{Row: &Row{Arity: -2}}
	for n, want := range [][2]bool{{false, false}, {false, false}, {true, true}, {false, true}} {
		if exact.ArityOK(n) != want[0] || atLeast.ArityOK(n) != want[1] {
			t.Errorf("%d arguments", n)
		}
	}
}

func keyNames(c *Command, request string) string {
	args := words(request)
	keys, ok := c.Keys(args, nil)
	var names []string
	for _, k := range keys {
		names = append(names, string(args[k.Index])+":"+strings.Join(k.Flags.Names(), "+"))
	}
	if !ok {
		names = append(names, "?")
	}
	return strings.Join(names, " ")
}

func TestKeys(t *testing.T) {
	table := NewTable(append(Rows(),
		Row{Name: "numkeys", Arity: -1, Keys: []KeySpec{{Flags: RO, Begin: 1, NumKeys: true, First: 1, Step: 1}}},
		Row{Name: "store", Arity: -1, Keys: []KeySpec{{Flags: OW, Begin: 1}, {Flags: RO, Begin: 2, NumKeys: true, First: 1}}},
		Row{Name: "half", Arity: -1, Keys: []KeySpec{{Flags: RO, Keyword: "STREAMS", From: 1, Last: -1, Limit: 2}}},
		Row{Name: "behind", Arity: -1, Keys: []KeySpec{{Flags: RO, Keyword: "KEYS", From: -2, Last: -1}}},
		Row{Name: "unknown", Arity: -1, Keys: []KeySpec{{Flags: RO, Unknown: true}}},
		Row{Name: "channel", Arity: -1, Keys: []KeySpec{{Flags: NotKey, Begin: 1, Last: -1}}},
		Row{Name: "allbutlast", Arity: -1, Keys: []KeySpec{{Flags: RW, Begin: 1, Last: -2}}},
	))
	for _, c := range []struct{ request, want string }{
		{"get k", "k:RO+access"},
		{"get", "?"},
		{"set k v", "k:OW+update"},
		{"set k v nx GET", "k:RW+access+update"},
		{"mset a 1 b 2", "a:OW+update b:OW+update"},
		{"mset a 1 b", "a:OW+update b:OW+update"},
		{"del a b c", "a:RM+delete b:RM+delete c:RM+delete"},
		{"rename a b", "a:RW+access+delete b:OW+update"},
		{"lcs a b len", "a:RO+access b:RO+access"},
		{"object encoding k", "k:RO"},
		{"numkeys 2 a b c", "a:RO b:RO"},
		{"numkeys 0 a", "?"},
		{"numkeys 3 a b", "?"},
		{"numkeys -1 a", "?"},
		{"numkeys 9223372036854775807 a", "?"},
		{"numkeys x a", "?"},
		{"numkeys", "?"},
		{"store d 1 a", "d:OW a:RO"},
		{"store d x", "d:OW ?"},
		{"half count 1 streams a b 0 0", "a:RO b:RO"},
		{"half streams a b 0", "a:RO"},
		{"half streams a", "?"},
		{"half a b", "?"},
		{"behind x KEYS a b", "a:RO b:RO"},
		{"behind x y", "?"},
		{"unknown a", "?"},
		{"channel a b", ""},
		{"allbutlast a b 0", "a:RW b:RW"},
		{"allbutlast a", "?"},
	} {
		args := words(c.request)
		cmd, err := table.Resolve(args)
		if err != "" {
			t.Fatal(err)
		}
		if got := keyNames(cmd, c.request); got != c.want {
			t.Errorf("%q: %q, want %q", c.request, got, c.want)
		}
	}
}

// No request, however odd, yields an index outside of it.
func FuzzKeys(f *testing.F) {
	f.Add("mset a 1 b")
	f.Add("xreadgroup group g c streams a b > >")
	table := NewTable(Rows())
	f.Fuzz(func(t *testing.T, request string) {
		args := words(request)
		if len(args) == 0 {
			return
		}
		cmd, _ := table.Resolve(args)
		if cmd == nil || !cmd.ArityOK(len(args)) {
			return
		}
		keys, _ := cmd.Keys(args, nil)
		for _, k := range keys {
			if k.Index < 1 || k.Index >= len(args) {
				t.Errorf("%q: key at %d", request, k.Index)
			}
		}
	})
}

func TestLookupDoesNotAllocate(t *testing.T) {
	table := NewTable(Rows())
	args := words("GET k")
	var keys []KeyAt
	if n := testing.AllocsPerRun(100, func() {
		c, _ := table.Resolve(args)
		keys, _ = c.Keys(args, keys[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c := table.Lookup([]byte("set")); c.OneKey() != 1 {
		t.Error("SET does not take the short way to its key")
	}
}

func TestDerivedWords(t *testing.T) {
	table := NewTable(append(Rows(),
		Row{Name: "fakeread", Arity: -4, Group: "stream", Flags: ReadOnly | Blocking, Keys: []KeySpec{{Keyword: "STREAMS", From: 1, Last: -1, Limit: 2}}},
		Row{Name: "fakesort", Arity: -2, Group: "generic", Categories: []string{"-keyspace", "list", "dangerous"}, Flags: Write | DenyOOM,
			Keys: []KeySpec{{Begin: 1}, {Unknown: true}, {Unknown: true}}},
	))
	for name, want := range map[string]string{
		"get":             "readonly,fast 1,1,1 read,string,fast",
		"mset":            "write,denyoom 1,-1,2 write,string,slow",
		"rename":          "write 1,2,1 keyspace,write,slow",
		"object":          " 0,0,0 slow",
		"object|encoding": "readonly 2,2,1 keyspace,read,slow",
		"fakeread":        "readonly,blocking,movablekeys 0,0,0 read,stream,slow,blocking",
		"fakesort":        "write,denyoom,movablekeys 1,1,1 write,list,slow,dangerous",
		"keys":            "readonly 0,0,0 keyspace,read,slow,dangerous",
	} {
		c := table.Find([]byte(name))
		first, last, step := c.LegacyKeys()
		got := fmt.Sprintf("%s %d,%d,%d %s", strings.Join(c.FlagNames(), ","), first, last, step, strings.Join(c.AllCategories(), ","))
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestRowsAreComplete(t *testing.T) {
	for _, c := range NewTable(Rows()).All() {
		if c.Summary == "" || c.Since == "" || c.Group == "" || c.Arity == 0 {
			t.Errorf("%s lacks a fact", c.FullName)
		}
		if c.Name != strings.ToLower(c.Name) {
			t.Errorf("%s is not lower case", c.FullName)
		}
		if (c.Run == nil) != (len(c.Subs) > 0) {
			t.Errorf("%s: a command runs, a container does not", c.FullName)
		}
		if c.HasFlag(Write) && c.HasFlag(ReadOnly) {
			t.Errorf("%s both writes and does not", c.FullName)
		}
		for _, name := range c.Row.Categories {
			if !slices.Contains(CategoryNames(), strings.TrimPrefix(name, "-")) {
				t.Errorf("%s: no category %q", c.FullName, name)
			}
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	table := NewTable(Rows())
	names := words("GET SET lpush expire incrbyfloat PEXPIREAT incr ttl")
	for i := range b.N {
		if table.Lookup(names[i&7]) == nil {
			b.Fatal()
		}
	}
}
