package command

import "strings"

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
		name := strings.ToUpper(subs[i].Name)
		lines = append(lines, strings.TrimSpace(name+" "+plainUsage(subs[i].Usage)), "    "+subs[i].Summary)
	}
	return lines
}
