package server

import (
	"slices"
	"strings"

	"synap/command"
	"synap/resp"
)

// COMMAND and its subcommands (https://redis.io/commands/command/). Everything
// they tell is computed from the rows.

func introspectRows() []Row {
	const flags = command.Loading | command.Stale
	sub := func(name, usage, since string, arity int, complexity, summary string, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Group: "server", Since: since, Arity: arity,
			Summary: summary, Complexity: complexity,
			Flags: flags, Categories: []string{"connection"},
		}, Session: run}
	}
	unordered := func(r Row) Row {
		r.Tips = []string{"nondeterministic_output_order"}
		return r
	}
	top := command.Row{
		Name: "command", Group: "server", Since: "2.8.13", Arity: -1,
		Summary: "Returns what clients need to know about every command.", Complexity: "O(N) where N is the number of commands",
		Flags: flags, Categories: []string{"connection"}, Tips: []string{"nondeterministic_output_order"},
	}
	const byCommands = "O(N) where N is the number of commands"
	const byArgs = "O(N) where N is the number of arguments of the command"
	all := container(top, "5.0.0",
		sub("count", "", "2.8.13", 2, "O(1)", "Returns the number of commands.", commandCount),
		unordered(sub("docs", "[command-name [command-name ...]]", "7.0.0", -2, byCommands,
			"Returns the documentation of commands, of all if none is named.", commandDocs)),
		sub("getkeys", "command [arg [arg ...]]", "2.8.13", -3, byArgs,
			"Returns the keys of a whole command.", func(x *Session, c *command.Ctx) { commandKeys(x, c, false) }),
		sub("getkeysandflags", "command [arg [arg ...]]", "7.0.0", -3, byArgs,
			"Returns the keys of a whole command and what it does with them.", func(x *Session, c *command.Ctx) { commandKeys(x, c, true) }),
		unordered(sub("info", "[command-name [command-name ...]]", "2.8.13", -2, byCommands,
			"Returns arity, flags and keys of commands, of all if none is named.", commandInfo)),
		unordered(sub("list", "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]", "7.0.0", -2, byCommands,
			"Returns the names of commands.", commandList)),
	)
	all.Session = commandInfo
	return []Row{all}
}

func commandCount(x *Session, c *command.Ctx) { c.Reply.Int(int64(len(x.srv.table.Top()))) }

// commandInfo is COMMAND and COMMAND INFO.
func commandInfo(x *Session, c *command.Ctx) {
	if len(c.Args) <= 2 {
		top := x.srv.table.Top()
		c.Reply.Array(len(top))
		for _, cmd := range top {
			replyInfo(c.Reply, cmd)
		}
		return
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		if cmd := x.srv.table.Find(name); cmd != nil {
			replyInfo(c.Reply, cmd)
		} else {
			c.Reply.Null()
		}
	}
}

func replyInfo(r *resp.Reply, cmd *command.Command) {
	r.Array(10)
	r.BulkString(cmd.FullName)
	r.Int(int64(cmd.Arity))
	replyWords(r, "", cmd.FlagNames())
	first, last, step := cmd.LegacyKeys()
	r.Int(int64(first))
	r.Int(int64(last))
	r.Int(int64(step))
	replyWords(r, "@", cmd.AllCategories())
	r.Set(len(cmd.Tips))
	for _, tip := range cmd.Tips {
		r.BulkString(tip)
	}
	r.Set(len(cmd.Row.Keys))
	for i := range cmd.Row.Keys {
		replyKeySpec(r, &cmd.Row.Keys[i])
	}
	if len(cmd.Subs) == 0 {
		r.Set(0) // Redis says so, and an array where there are some
		return
	}
	r.Array(len(cmd.Subs))
	for _, sub := range cmd.Subs {
		replyInfo(r, sub)
	}
}

// replyWords appends a set of status replies.
func replyWords(r *resp.Reply, prefix string, words []string) {
	r.Set(len(words))
	for _, word := range words {
		r.Status(prefix + word)
	}
}

// replyKeySpec appends a key spec (https://redis.io/docs/reference/key-specs).
func replyKeySpec(r *resp.Reply, k *command.KeySpec) {
	pairs := 3
	if k.Notes != "" {
		pairs = 4
	}
	r.Map(pairs)
	if k.Notes != "" {
		r.BulkString("notes")
		r.BulkString(k.Notes)
	}
	r.BulkString("flags")
	replyWords(r, "", k.Flags.Names())
	r.BulkString("begin_search")
	switch {
	case k.Unknown:
		replySpec(r, "unknown")
	case k.Keyword != "":
		replySpec(r, "keyword", field{"keyword", k.Keyword}, field{"startfrom", k.From})
	default:
		replySpec(r, "index", field{"index", k.Begin})
	}
	r.BulkString("find_keys")
	switch step := max(k.Step, 1); {
	case k.Unknown:
		replySpec(r, "unknown")
	case k.NumKeys:
		replySpec(r, "keynum", field{"keynumidx", k.NumIdx}, field{"firstkey", k.First}, field{"keystep", step})
	default:
		replySpec(r, "range", field{"lastkey", k.Last}, field{"keystep", step}, field{"limit", k.Limit})
	}
}

// field is a name and a string or int.
type field struct {
	name  string
	value any
}

func replySpec(r *resp.Reply, kind string, fields ...field) {
	r.Map(2)
	r.BulkString("type")
	r.BulkString(kind)
	r.BulkString("spec")
	replyFields(r, fields)
}

// replyFields appends a map of names to strings, integers, argument lists or
// commands.
func replyFields(r *resp.Reply, fields []field) {
	r.Map(len(fields))
	for _, f := range fields {
		r.BulkString(f.name)
		switch v := f.value.(type) {
		case string:
			r.BulkString(v)
		case int:
			r.Int(int64(v))
		case []string:
			replyWords(r, "", v)
		case []command.Arg:
			r.Array(len(v))
			for i := range v {
				replyFields(r, argFields(&v[i]))
			}
		case []*command.Command:
			replyDocs(r, v)
		}
	}
}

func commandDocs(x *Session, c *command.Ctx) {
	if len(c.Args) == 2 {
		replyDocs(c.Reply, x.srv.table.Top())
		return
	}
	var found []*command.Command
	for _, name := range c.Args[2:] {
		if cmd := x.srv.table.Find(name); cmd != nil {
			found = append(found, cmd)
		}
	}
	replyDocs(c.Reply, found)
}

func replyDocs(r *resp.Reply, cmds []*command.Command) {
	r.Map(len(cmds))
	for _, cmd := range cmds {
		r.BulkString(cmd.FullName)
		replyFields(r, docFields(cmd))
		if r.Over() {
			return
		}
	}
}

func docFields(cmd *command.Command) []field {
	fields := []field{{"summary", cmd.Summary}, {"since", cmd.Since}, {"group", cmd.Group}}
	if cmd.Complexity != "" {
		fields = append(fields, field{"complexity", cmd.Complexity})
	}
	if since, by, ok := strings.Cut(cmd.Deprecated, "|"); ok {
		fields = append(fields, field{"doc_flags", []string{"deprecated"}}, field{"deprecated_since", since}, field{"replaced_by", by})
	}
	if args, err := cmd.Arguments(); err == nil && len(args) > 0 { // a test parses every row
		fields = append(fields, field{"arguments", args})
	}
	if len(cmd.Subs) > 0 {
		fields = append(fields, field{"subcommands", cmd.Subs})
	}
	return fields
}

func argFields(a *command.Arg) []field {
	fields := []field{{"name", a.Name}, {"type", string(a.Type)}}
	if a.Type != command.ArgOneOf && a.Type != command.ArgBlock {
		shown := a.Name
		if a.Type == command.ArgPattern { // by-pattern, get-pattern
			shown = "pattern"
		}
		fields = append(fields, field{"display_text", shown})
	}
	if a.KeySpecIndex >= 0 {
		fields = append(fields, field{"key_spec_index", a.KeySpecIndex})
	}
	if a.Token != "" {
		fields = append(fields, field{"token", a.Token})
	}
	var flags []string
	if a.Optional {
		flags = append(flags, "optional")
	}
	if a.Multiple {
		flags = append(flags, "multiple")
	}
	if a.MultipleToken {
		flags = append(flags, "multiple_token")
	}
	if flags != nil {
		fields = append(fields, field{"flags", flags})
	}
	if len(a.Args) > 0 {
		fields = append(fields, field{"arguments", a.Args})
	}
	return fields
}

// commandKeys is COMMAND GETKEYS, and with flags GETKEYSANDFLAGS.
func commandKeys(x *Session, c *command.Ctx, flags bool) {
	args := c.Args[2:]
	cmd, unknown := x.srv.table.Resolve(args)
	switch {
	case unknown != "":
		c.Fail(resp.ErrInvalidCommandName)
		return
	case !cmd.HasKeys():
		c.Fail(resp.ErrNoKeyArguments)
		return
	case !cmd.ArityOK(len(args)):
		c.Fail(resp.ErrInvalidArgCount)
		return
	}
	keys, ok := cmd.Keys(args, nil)
	if !ok || len(keys) == 0 {
		if cmd.HasFlag(command.NoMandatoryKeys) {
			c.Reply.Array(0)
		} else {
			c.Fail(resp.ErrInvalidArguments)
		}
		return
	}
	c.Reply.Array(len(keys))
	for _, k := range keys {
		if flags {
			c.Reply.Array(2)
		}
		c.Reply.Bulk(args[k.Index])
		if flags {
			replyWords(c.Reply, "", k.Flags.Names())
		}
	}
}

func commandList(x *Session, c *command.Ctx) {
	keep, err := listFilter(c.Args[2:])
	if err != nil {
		c.Fail(err)
		return
	}
	mark, n := c.Reply.DeferArray(), 0
	for _, cmd := range x.srv.table.All() {
		if keep(cmd) {
			c.Reply.BulkString(cmd.FullName)
			n++
		}
	}
	c.Reply.SetDeferred(mark, n)
}

// listFilter reads COMMAND LIST's FILTERBY.
func listFilter(args [][]byte) (func(*command.Command) bool, error) {
	a := resp.NewArgs(args)
	if a.Left() == 0 {
		return func(*command.Command) bool { return true }, nil
	}
	if !a.Is("FILTERBY") {
		a.Fail(resp.ErrSyntax)
	}
	var keep func(*command.Command) bool
	switch {
	case a.Is("MODULE"):
		a.Next()
		keep = func(*command.Command) bool { return false } // there are no modules
	case a.Is("ACLCAT"):
		category := strings.ToLower(string(a.Next()))
		keep = func(c *command.Command) bool { return slices.Contains(c.AllCategories(), category) }
	case a.Is("PATTERN"):
		pattern := a.Next()
		keep = func(c *command.Command) bool { return command.GlobFold(pattern, []byte(c.FullName)) }
	default:
		a.Fail(resp.ErrSyntax)
	}
	a.End()
	return keep, a.Err()
}
