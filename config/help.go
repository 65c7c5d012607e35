package config

import (
	"fmt"
	"strings"
)

// Help returns the text of --help, one screen.
func Help() string {
	var b strings.Builder
	b.WriteString(`Usage: synap [file] [--name value | --name=value ...]

  file              synap.yml, or a redis.conf (any other ending)
  --name value      one option; the value is always given: --appendonly no, --save ""
  SYNAP_NAME        the same from the environment: SYNAP_MAXMEMORY=1gb
                    flags win over the environment, that over the file

  --print-config    print every option with its value and its meaning, as a synap.yml
  --check-config    check file, environment and flags, then end
  --health-check    ask the running server of this configuration whether it is alive
  --check-aof PATH  say whether a log is whole; --fix cuts off an unfinished write at its end
  --check-rdb FILE  say whether a snapshot is whole
  --print-commands  print every command as a Markdown table
  --version, --help

`)
	for _, g := range groups {
		line := g.Title + ":"
		for _, o := range g.Options {
			if len(line)+1+len(o.Name) > 96 {
				b.WriteString(line + "\n")
				line = " "
			}
			line += " " + o.Name
		}
		b.WriteString(line + "\n")
	}
	b.WriteString(`
Examples:  synap --port 6380 --maxmemory 1gb --maxmemory-policy allkeys-lru
           synap /etc/redis/redis.conf --requirepass secret
Live:      redis-cli CONFIG SET maxclients 20000, or edit the file and send SIGHUP
Exit:      0 stopped, or checked and good, 1 cannot start or damaged, 2 bad command line
`)
	return b.String()
}

// Markdown returns the tables of all options that stand in README.
func Markdown() string {
	var b strings.Builder
	cell := strings.NewReplacer("|", `\|`, "*", `\*`)
	for _, g := range groups {
		fmt.Fprintf(&b, "### %s\n\n| option | in synap.yml | default | takes | changes | |\n|---|---|---|---|---|---|\n", g.Title)
		for _, o := range g.Options {
			def := "none"
			if o.Default != "" {
				def = "`" + o.Default + "`"
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s |\n", o.Name, o.Path, def, cell.Replace(o.Allowed()), o.Mode, cell.Replace(o.Help))
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// Example returns synap.example.yml: every option with its default.
func Example() string {
	return "# Every option of Synap with its default. Keep what you change: synap synap.yml\n" +
		writeYAML(func(o *Option) string { return o.Default })
}
