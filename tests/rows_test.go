//go:build !record

package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"synap/command"
	"synap/config"
	"synap/server"
)

// commandTable is the table of a whole server: the rows of package command and
// those of package server.
func commandTable(t testing.TB) *command.Table {
	t.Helper()
	cfg := config.Default()
	srv, err := server.New(server.Options{Config: cfg, AnyPort: true, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return srv.Table()
}

// ownCommands exist in Synap alone, or are newer than the published facts.
var ownCommands = map[string]string{
	"ratelimit":          "Synap's own: the limiter seen from a client",
	"client|traceparent": "Synap's own: the cause of the next command",
	"cl.throttle":        "redis-cell's, a module of Redis",
	"client|no-touch":    "Redis 7.2",
	"xackdel":            "Redis 8.2",
	"xdelex":             "Redis 8.2",
	"hexpire":            "Redis 7.4",
	"hpexpire":           "Redis 7.4",
	"hexpireat":          "Redis 7.4",
	"hpexpireat":         "Redis 7.4",
	"httl":               "Redis 7.4",
	"hpttl":              "Redis 7.4",
	"hexpiretime":        "Redis 7.4",
	"hpexpiretime":       "Redis 7.4",
	"hpersist":           "Redis 7.4",
	"hgetdel":            "Redis 8.0",
	"hgetex":             "Redis 8.0",
	"hsetex":             "Redis 8.0",
}

// rowDiffers says why a row's fact is not the published one. A line that no
// longer differs fails the test.
var rowDiffers = map[string]string{
	"multi flags":                    "no_multi is newer than Redis 7.0; MULTI in MULTI has its own error",
	"watch flags":                    "no_multi is newer than Redis 7.0; WATCH in MULTI has its own error",
	"client|kill arguments":          "the alternatives are repeated, not optional one by one; the type \"primary\" is Valkey's own word",
	"client|list arguments":          "tokens are written in capitals",
	"client|setinfo arguments":       "tokens are written in capitals",
	"shutdown arguments":             "what cannot be given together is not said, as in Redis 7.0",
	"bgsave arguments":               "CANCEL is Valkey's own",
	"bitcount arguments":             "an end is optional in Valkey alone",
	"xadd arguments":                 "KEEPREF, DELREF and ACKED are those of Redis 8.2",
	"xtrim arguments":                "as xadd arguments",
	"xreadgroup arguments":           "CLAIM is that of Redis 8.4",
	"bitop arguments":                "DIFF, DIFF1, ANDOR and ONE are those of Redis 8.2",
	"geodist arguments":              "tokens are written in capitals",
	"geosearch arguments":            "tokens are written in capitals",
	"geosearchstore arguments":       "tokens are written in capitals",
	"georadius arguments":            "tokens are written in capitals",
	"georadius_ro arguments":         "tokens are written in capitals",
	"georadiusbymember arguments":    "tokens are written in capitals",
	"georadiusbymember_ro arguments": "tokens are written in capitals",
	"debug arguments":                "Valkey publishes none",
	"migrate flags":                  "a transaction refuses it, as nothing waits inside EXEC",
	"migrate arguments":              "a password and keys are called so, not auth and keys",
	"cluster|keyslot arguments":      "the key's name is not a key that the server would have",
	"cluster|setslot arguments":      "TIMEOUT is Valkey's own",
}

// TestRowsAgreeWithPublishedFacts compares every row with what Valkey publishes.
func TestRowsAgreeWithPublishedFacts(t *testing.T) {
	all := facts(t)
	used := map[string]bool{}
	differ := func(c *command.Command, aspect, got, want string) {
		key := c.FullName + " " + aspect
		_, excused := rowDiffers[key]
		switch {
		case got == want:
		case excused:
			used[key] = true
		default:
			t.Errorf("%s: %s is %q, published %q", c.FullName, aspect, got, want)
		}
	}
	for _, c := range commandTable(t).All() {
		f := all[c.FullName]
		if f == nil {
			if own := ownCommands[c.FullName]; own == "" && !slices.Contains(ownGroups, c.Group) && (c.Parent == nil || ownCommands[c.Parent.Name] == "") {
				t.Errorf("%s is not published and not listed as our own", c.FullName)
			}
			continue
		}
		differ(c, "arity", fmt.Sprint(c.Arity), fmt.Sprint(f.Arity))
		differ(c, "group", c.Group, strings.ReplaceAll(f.Group, "_", "-"))
		differ(c, "since", c.Since, f.Since)
		differ(c, "flags", strings.Join(c.FlagNames(), " "), strings.Join(publishedFlags(c, f), " "))
		differ(c, "categories", sorted(c.AllCategories()), sorted(publishedCategories(f)))
		differ(c, "tips", sorted(c.Tips), sorted(lowered(f.Tips)))
		differ(c, "key specs", ourKeySpecs(c), publishedKeySpecs(f))
		args, err := c.Arguments()
		if err != nil {
			t.Error(err)
		}
		differ(c, "arguments", ourArguments(args), publishedArguments(f.Arguments))
	}
	for key := range rowDiffers {
		if !used[key] {
			t.Errorf("rowDiffers lists %q, which agrees", key)
		}
	}
}

// TestEveryCommandIsThere demands a row for each command of Redis 7.2, or the
// reason why there is none; what is newer is Valkey's alone.
func TestEveryCommandIsThere(t *testing.T) {
	absent := map[string]bool{}
	for _, a := range command.Absent() {
		for _, name := range a.Names {
			absent[strings.ToLower(name)] = true
		}
	}
	rows := map[string]bool{}
	for _, c := range commandTable(t).All() {
		rows[c.FullName] = true
	}
	missing := map[string]bool{}
	for name, f := range facts(t) {
		container, _, _ := strings.Cut(name, "|")
		switch {
		case rows[name] || f.Since >= "8":
		case absent[name] || absent[container]:
			missing[name] = true
		default:
			t.Errorf("%s (group %s, since %s) has no row, and no reason stands in command.Absent", name, f.Group, f.Since)
		}
	}
	for name := range absent {
		if rows[name] || !missing[name] {
			t.Errorf("command.Absent names %s, which is there or is no command", name)
		}
	}
	t.Logf("%d rows; %d commands and subcommands of Redis 7.2 are not there", len(rows), len(missing))
}

func lowered(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, strings.ToLower(w))
	}
	return out
}

func sorted(words []string) string {
	words = slices.Clone(words)
	slices.Sort(words)
	return strings.Join(words, " ")
}

// publishedFlags puts the published flags into the order of COMMAND INFO and
// leaves out those it hides. movablekeys is not published but computed.
func publishedFlags(c *command.Command, f *fact) []string {
	have := map[string]bool{}
	for _, w := range f.Flags {
		have[map[string]string{"NO_ASYNC_LOADING": "no_async_loading"}[w]] = true
		have[strings.ToLower(w)] = true
	}
	have["movablekeys"] = slices.Contains(c.FlagNames(), "movablekeys") && movable(f)
	every := []string{
		"write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale", "skip_monitor",
		"skip_slowlog", "asking", "fast", "no_auth", "may_replicate", "no_mandatory_keys", "no_async_loading", "no_multi", "movablekeys", "allow_busy",
	}
	return slices.DeleteFunc(every, func(w string) bool { return !have[w] })
}

func movable(f *fact) bool {
	for _, k := range f.KeySpecs {
		if k.Begin.Index == nil || k.Find.Range == nil || slices.Contains(k.Flags, "INCOMPLETE") || k.Find.Range.Step > 1 {
			return true
		}
	}
	return false
}

// publishedCategories adds to the published categories what Redis derives from
// the flags (setImplicitACLCategories).
func publishedCategories(f *fact) []string {
	have := map[string]bool{}
	for _, w := range lowered(f.ACL) {
		have[w] = true
	}
	fast := false
	for _, w := range f.Flags {
		switch w {
		case "WRITE", "PUBSUB", "BLOCKING":
			have[strings.ToLower(w)] = true
		case "READONLY":
			have["read"] = !slices.Contains(f.ACL, "SCRIPTING")
		case "ADMIN":
			have["admin"], have["dangerous"] = true, true
		case "FAST":
			fast = true
		}
	}
	have["fast"], have["slow"] = fast, !fast
	var out []string
	for w, yes := range have {
		if yes {
			out = append(out, w)
		}
	}
	return out
}

func ourKeySpecs(c *command.Command) string {
	var out []string
	for i := range c.Row.Keys {
		k := &c.Row.Keys[i]
		begin, find := fmt.Sprintf("index %d", k.Begin), fmt.Sprintf("range %d %d %d", k.Last, max(k.Step, 1), k.Limit)
		if k.Keyword != "" {
			begin = fmt.Sprintf("keyword %s %d", k.Keyword, k.From)
		}
		if k.NumKeys {
			find = fmt.Sprintf("keynum %d %d %d", k.NumIdx, k.First, max(k.Step, 1))
		}
		if k.Unknown {
			begin, find = "unknown", "unknown"
		}
		out = append(out, begin+" "+find+" "+sorted(lowered(k.Flags.Names())))
	}
	return strings.Join(out, "; ")
}

func publishedKeySpecs(f *fact) string {
	var out []string
	for _, k := range f.KeySpecs {
		begin, find := "unknown", "unknown"
		switch {
		case k.Begin.Index != nil:
			begin = fmt.Sprintf("index %d", k.Begin.Index.Pos)
		case k.Begin.Keyword != nil:
			begin = fmt.Sprintf("keyword %s %d", k.Begin.Keyword.Keyword, k.Begin.Keyword.StartFrom)
		}
		switch {
		case k.Find.Range != nil:
			find = fmt.Sprintf("range %d %d %d", k.Find.Range.LastKey, k.Find.Range.Step, k.Find.Range.Limit)
		case k.Find.KeyNum != nil:
			find = fmt.Sprintf("keynum %d %d %d", k.Find.KeyNum.KeyNumIdx, k.Find.KeyNum.FirstKey, k.Find.KeyNum.Step)
		}
		out = append(out, begin+" "+find+" "+sorted(lowered(k.Flags)))
	}
	return strings.Join(out, "; ")
}

// The shape of arguments: types, tokens, what is optional, what repeats. The
// names of choices and blocks are nobody's business but ours.

func ourArguments(args []command.Arg) string {
	var out []string
	for _, a := range args {
		name := a.Name
		if len(a.Args) > 0 || a.Type == command.ArgPureToken {
			name = ""
		}
		out = append(out, shape(name, string(a.Type), a.Token, a.Optional, a.Multiple, a.MultipleToken, ourArguments(a.Args)))
	}
	return strings.Join(out, " ")
}

func publishedArguments(args []factArgument) string {
	var out []string
	for _, a := range args {
		name := strings.ToLower(a.Name)
		if len(a.Arguments) > 0 || a.Type == "pure-token" {
			name = ""
		}
		if a.Type == "block" && len(a.Arguments) == 1 { // a block of one says nothing
			inner := a.Arguments[0]
			inner.Optional, inner.Multiple = inner.Optional || a.Optional, inner.Multiple || a.Multiple
			out = append(out, publishedArguments([]factArgument{inner}))
			continue
		}
		out = append(out, shape(name, a.Type, a.Token, bool(a.Optional), bool(a.Multiple), bool(a.MultipleToken), publishedArguments(a.Arguments)))
	}
	return strings.Join(out, " ")
}

func shape(name, typ, token string, optional, multiple, multipleToken bool, inner string) string {
	s := name + ":" + typ
	if token != "" {
		s = token + "~" + s
	}
	if inner != "" {
		s += "(" + inner + ")"
	}
	if multipleToken {
		s += "+"
	}
	if multiple {
		s += "*"
	}
	if optional {
		s += "?"
	}
	return s
}

// TestUsageAgreesWithArity counts the words that a usage asks for at least.
func TestUsageAgreesWithArity(t *testing.T) {
	for _, c := range commandTable(t).All() {
		args, err := c.Arguments()
		if err != nil {
			t.Error(err)
		}
		if len(c.Subs) > 0 || slices.Contains([]string{"quit", "replconf", "psync"}, c.Name) {
			continue // no usage asks for a subcommand; the three take more than Redis tells of
		}
		least := 1 + strings.Count(c.FullName, "|") + fewest(command.Arg{Type: command.ArgBlock, Args: args})
		if want := max(c.Arity, -c.Arity); least != want {
			t.Errorf("%s: the usage asks for %d words, the arity is %d", c.FullName, least, c.Arity)
		}
		if !slices.ContainsFunc(args, variable) && c.Arity < 0 {
			t.Errorf("%s: the usage is of fixed length, the arity is %d", c.FullName, c.Arity)
		}
	}
}

// fewest is how many words an argument takes at least.
func fewest(a command.Arg) int {
	n := 0
	if a.Token != "" {
		n = 1
	}
	switch a.Type {
	case command.ArgPureToken:
	case command.ArgOneOf:
		least := fewest(a.Args[0])
		for _, other := range a.Args[1:] {
			least = min(least, fewest(other))
		}
		n += least
	case command.ArgBlock:
		for _, inner := range a.Args {
			if !inner.Optional {
				n += fewest(inner)
			}
		}
	default:
		n++
	}
	return n
}

// variable tells whether an argument takes differing numbers of words.
func variable(a command.Arg) bool {
	return a.Optional || a.Multiple || a.Type == command.ArgOneOf || slices.ContainsFunc(a.Args, variable)
}
