package command

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown returns docs/commands.md: every command of the table by group, with
// its usage, the version of Redis that brought it, its cost and its summary.
func (t *Table) Markdown() string {
	groups := map[string][]*Command{}
	var names []string
	for _, c := range t.all {
		if len(c.Subs) > 0 {
			continue // a container runs nothing itself
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
		fmt.Fprintf(&b, "\n## %s\n\n| command | since Redis | cost | |\n|---|---|---|---|\n", g)
		list := groups[g]
		slices.SortFunc(list, func(a, b *Command) int { return strings.Compare(a.FullName, b.FullName) })
		for _, c := range list {
			usage := strings.ToUpper(strings.ReplaceAll(c.FullName, "|", " "))
			if c.Usage != "" {
				usage += " " + strings.ReplaceAll(c.Usage, "|", `\|`) // a bar ends a cell even in code
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", usage, c.Since, cell.Replace(c.Complexity), cell.Replace(c.Summary))
		}
	}
	return b.String()
}
