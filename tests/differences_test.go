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
	{"An unbalanced XTRIM", func(args []string, ours, theirs value) bool { return false }},
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

// newerThanReference recognizes what the reference, 7.0.15, does not have.
func newerThanReference(args []string, ours, theirs value) bool {
	if !theirs.isError() || ours.isError() {
		return false
	}
	return strings.HasPrefix(theirs.text, "ERR unknown command") || strings.HasPrefix(theirs.text, "ERR unknown subcommand")
}
