package tests

import "strings"

// deliberateDifferences are the entries of docs/differences.md that the
// differential run can meet.
var deliberateDifferences = []struct {
	entry string // heading in docs/differences.md
	is    func(args []string, ours, theirs value) bool
}{
	{"A timeout of 1e300 is out of range", func(_ []string, ours, theirs value) bool {
		return theirs.text == "ERR timeout is negative" && ours.text == "ERR timeout is out of range"
	}},
}

// deliberate says whether a difference is an entry of docs/differences.md.
func deliberate(args []string, ours, theirs value) bool {
	for _, d := range deliberateDifferences {
		if d.is(args, ours, theirs) {
			return true
		}
	}
	return newerThanReference(args, ours, theirs)
}

// newerThanReference recognizes what the reference, 7.0.15, does not have, or
// says otherwise than 7.2.
func newerThanReference(args []string, ours, theirs value) bool {
	if !theirs.isError() {
		return false
	}
	switch {
	case strings.HasPrefix(theirs.text, "ERR unknown command"), strings.HasPrefix(theirs.text, "ERR unknown subcommand"):
		return !strings.HasPrefix(ours.text, "ERR unknown") // the row is there, so its name is known
	case strings.EqualFold(args[0], "COMMAND"):
		return theirs.text == "ERR Invalid command specified" // of a command within GETKEYS
	case strings.HasPrefix(theirs.text, "ERR Unbalanced"):
		return strings.HasPrefix(ours.text, "ERR Unbalanced '")
	}
	return false
}
