package command

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown returns docs/commands.md: every command of the table by group, with
// its usage, the version of Redis that brought it, its cost, its ACL categories
// and its summary; then the commands of Redis that are not there.
func (t *Table) Markdown() string {
	groups := map[string][]*Command{}
	var names []string
	for _, c := range t.all {
		if len(c.Subs) > 0 && c.Arity != -1 {
			continue // a container runs nothing itself, but for COMMAND
		}
		if groups[c.Group] == nil {
			names = append(names, c.Group)
		}
		groups[c.Group] = append(groups[c.Group], c)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("# Commands\n\nMade from the command table by `make docs`. What differs from Redis stands in [differences.md](differences.md).\n")
	cell := strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`, "\n", " ")
	for _, g := range names {
		fmt.Fprintf(&b, "\n## %s\n\n| command | since Redis | cost | ACL | |\n|---|---|---|---|---|\n", g)
		list := groups[g]
		slices.SortFunc(list, func(a, b *Command) int { return strings.Compare(a.FullName, b.FullName) })
		for _, c := range list {
			usage := strings.TrimSpace(strings.ToUpper(strings.ReplaceAll(c.FullName, "|", " ")) + " " + plainUsage(c.Usage))
			fmt.Fprintf(&b, "| `%s` | %s | %s | @%s | %s |\n",
				strings.ReplaceAll(usage, "|", `\|`), // a bar ends a cell even in code
				c.sinceRedis(), cell.Replace(c.Complexity), strings.Join(c.AllCategories(), " @"), cell.Replace(c.Summary+c.replacement()))
		}
	}
	writeAbsent(&b)
	return b.String()
}

// sinceRedis is the version of Redis that brought the command.
func (c *Command) sinceRedis() string {
	if c.HasFlag(OwnGrouping) {
		return "Synap's own"
	}
	return c.Since
}

// replacement says what to use in place of a deprecated command.
func (c *Command) replacement() string {
	since, by, ok := strings.Cut(c.Deprecated, "|")
	if !ok {
		return ""
	}
	return " Deprecated since " + since + ": use " + strings.ReplaceAll(by, "`!", "`") + "."
}
