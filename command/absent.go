package command

import (
	"fmt"
	"strings"
)

// Absence names commands of Redis 7.2 that are not there, and says why. A
// container stands for all of its subcommands.
type Absence struct {
	Names  []string
	Reason string
}

// Absent returns every command of Redis 7.2 that has no row. A test compares it
// with the published list, so that none is forgotten.
func Absent() []Absence {
	return []Absence{
		{[]string{"ACL"}, "There is one user, `default`; its password is `requirepass`."},
		{[]string{"EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "FCALL", "FCALL_RO", "FUNCTION", "SCRIPT"},
			"There is no scripting. Transactions with WATCH, and commands with conditions, do without."},
		{[]string{"FAILOVER"}, "There is no replication yet."},
		{[]string{"SENTINEL"}, "A command of Redis Sentinel, which is another program."},
	}
}

// writeAbsent lists what is not there below the commands that are.
func writeAbsent(b *strings.Builder) {
	b.WriteString("\n## Not there\n\nThe other commands of Redis 7.2. COMMAND does not list them, and they are unknown.\n\n| commands | why |\n|---|---|\n")
	for _, a := range Absent() {
		fmt.Fprintf(b, "| `%s` | %s |\n", strings.Join(a.Names, "` `"), a.Reason)
	}
}
