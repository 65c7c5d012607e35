//go:build !record

package tests

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryRowHasAScript demands a line of a script for every command and
// subcommand, so that each was compared with redis-server at least once.
func TestEveryRowHasAScript(t *testing.T) {
	paths, err := filepath.Glob("../command/testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := commandTable(t)
	seen := map[string]bool{}
	for _, path := range paths {
		s, err := readScript(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, sec := range s.sections {
			for _, st := range sec.steps {
				args, err := splitArgs(st.text)
				if err != nil || len(args) == 0 || strings.HasPrefix(st.verb, "raw") {
					continue
				}
				if cmd := table.Lookup([]byte(args[0])); cmd != nil {
					seen[cmd.FullName] = true
					if len(args) > 1 {
						if sub := cmd.Sub([]byte(args[1])); sub != nil {
							seen[sub.FullName] = true
						}
					}
				}
			}
		}
	}
	for _, cmd := range table.All() {
		if !seen[cmd.FullName] {
			t.Errorf("%s stands in no script of command/testdata", cmd.FullName)
		}
	}
}
