package command

import (
	"math"
	"slices"
	"strings"
)

// What is computed from rows: the words of COMMAND INFO, ACL categories, help.

type flagName struct {
	flag Flags
	name string
}

// flagNames are the flags that COMMAND INFO shows, in Redis' order.
func flagNames() []flagName {
	return []flagName{
		{Write, "write"}, {ReadOnly, "readonly"}, {DenyOOM, "denyoom"}, {Admin, "admin"}, {PubSub, "pubsub"},
		{NoScript, "noscript"}, {Blocking, "blocking"}, {Loading, "loading"}, {Stale, "stale"},
		{SkipMonitor, "skip_monitor"}, {SkipSlowlog, "skip_slowlog"}, {Asking, "asking"}, {Fast, "fast"},
		{NoAuth, "no_auth"}, {MayReplicate, "may_replicate"}, {NoMandatoryKeys, "no_mandatory_keys"},
		{NoAsyncLoad, "no_async_loading"}, {NoMulti, "no_multi"}, {MovableKeys, "movablekeys"}, {AllowBusy, "allow_busy"},
	}
}

// FlagNames returns the command's flags as COMMAND INFO shows them. movablekeys
// follows from the key specs.
func (c *Command) FlagNames() []string {
	flags := c.Flags
	if _, movable := c.legacyKeys(); movable {
		flags |= MovableKeys
	}
	var names []string
	for _, f := range flagNames() {
		if flags&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

// Names returns the words of the key flags, as COMMAND INFO shows them.
func (k KeyFlags) Names() []string {
	var names []string
	for i, name := range [...]string{"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags"} {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// CategoryNames returns every ACL category, in Redis' order, then our own.
func CategoryNames() []string {
	return []string{
		"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream",
		"pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
		"queue",
	}
}

// groupCategory returns the category that a group of commands implies.
func groupCategory(group string) string {
	switch group {
	case "generic":
		return "keyspace"
	case "sorted-set":
		return "sortedset"
	case "transactions":
		return "transaction"
	case "string", "list", "set", "hash", "bitmap", "hyperloglog", "geo", "stream", "connection", "scripting", "queue":
		return group
	}
	return ""
}

// AllCategories returns the command's ACL categories, without the @, in Redis'
// order: those of its flags and group and those its row adds. A row's "-name"
// takes away what the group implies; containers imply nothing.
func (c *Command) AllCategories() []string {
	have := map[string]bool{
		"write":     c.HasFlag(Write),
		"admin":     c.HasFlag(Admin),
		"dangerous": c.HasFlag(Admin),
		"pubsub":    c.HasFlag(PubSub),
		"fast":      c.HasFlag(Fast),
		"slow":      !c.HasFlag(Fast),
		"blocking":  c.HasFlag(Blocking),
	}
	if len(c.Row.Subs) == 0 {
		have[groupCategory(c.Group)] = true
	}
	for _, name := range c.Row.Categories {
		bare, minus := strings.CutPrefix(name, "-")
		have[bare] = !minus
	}
	have["read"] = c.HasFlag(ReadOnly) && !have["scripting"]
	return slices.DeleteFunc(CategoryNames(), func(name string) bool { return !have[name] })
}

// LegacyKeys returns first key, last key and step as COMMAND INFO shows them,
// for clients older than key specs. The last key may be negative: from the end.
func (c *Command) LegacyKeys() (first, last, step int) {
	l, _ := c.legacyKeys()
	if l.step == 0 {
		return 0, 0, 0
	}
	return l.first, l.last, l.step
}

type legacyRange struct{ first, last, step int }

// legacyKeys joins the specs into one range where they follow one another. The
// rest is movable: it can only be found by the specs.
func (c *Command) legacyKeys() (l legacyRange, movable bool) {
	specs := c.Row.Keys
	if len(specs) == 1 && specs[0].isRange() {
		k := &specs[0]
		return legacyRange{k.Begin, k.lastIndex(), max(k.Step, 1)}, k.Flags&Incomplete != 0
	}
	l.first = math.MaxInt
	previous := 0
	for i := range specs {
		k := &specs[i]
		if !k.isRange() || max(k.Step, 1) != 1 || previous != 0 && previous != k.Begin-1 {
			movable = true
			continue
		}
		movable = movable || k.Flags&Incomplete != 0
		l.first, l.step = min(l.first, k.Begin), 1
		if uint(k.lastIndex()) > uint(l.last) { // a negative one is the greatest
			l.last = k.lastIndex()
		}
		previous = l.last
	}
	return l, movable
}

func (k *KeySpec) isRange() bool { return k.Begin > 0 && !k.NumKeys && !k.Unknown }

// lastIndex is the argument index of the last key, negative from the end.
func (k *KeySpec) lastIndex() int {
	if k.Last >= 0 {
		return k.Begin + k.Last
	}
	return k.Last
}

// HelpRow returns the HELP subcommand of a container, which lists subs. Of like
// it takes group, since, flags and categories.
func HelpRow(container string, like Row, subs []Row) Row {
	like.Name, like.Arity, like.Complexity = "help", 2, "O(1)"
	like.Summary = "Lists the subcommands."
	lines := helpLines(container, append(subs[:len(subs):len(subs)], like))
	like.Run = func(c *Ctx) {
		c.Reply.Array(len(lines))
		for _, line := range lines {
			c.Reply.Status(line)
		}
	}
	return like
}

func helpLines(container string, subs []Row) []string {
	lines := []string{strings.ToUpper(container) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for i := range subs {
		head := strings.TrimSpace(strings.ToUpper(subs[i].Name) + " " + plainUsage(subs[i].Usage))
		lines = append(lines, head, "    "+subs[i].Summary)
	}
	return lines
}
