package tests

import "strings"

// deliberateDifferences are the entries of docs/differences.md that the
// differential run can meet.
var deliberateDifferences = []struct {
	entry string // heading in docs/differences.md
	is    func(args []string, ours, theirs value) bool
}{
	{"NUL bytes in error texts", func(_ []string, ours, theirs value) bool {
		cut, _, found := strings.Cut(ours.text, "\x00")
		return found && ours.isError() && theirs.isError() && strings.HasPrefix(theirs.text, cut)
	}},
	{"COMMAND GETKEYS reads counts strictly", func(args []string, ours, theirs value) bool {
		return strings.EqualFold(args[0], "COMMAND") && ours.text == "ERR Invalid arguments specified for command" && !theirs.isError()
	}},
	{"timeouts-out-of-range", func(_ []string, ours, theirs value) bool {
		return theirs.text == "ERR timeout is negative" && (ours.text == "ERR timeout is out of range" || ours.text == "ERR timeout is not a float or out of range")
	}},
	{"BITFIELD offsets in integers", func(args []string, ours, theirs value) bool {
		return strings.HasPrefix(strings.ToUpper(args[0]), "BITFIELD") && ours.text == "ERR bit offset is not an integer or out of range" && !theirs.isError()
	}},
	{"SORT looks at its own numbers alone", func(args []string, ours, theirs value) bool {
		return strings.HasPrefix(strings.ToUpper(args[0]), "SORT") && theirs.text == "ERR One or more scores can't be converted into double" && !ours.isError()
	}},
	{"SORT leaves a sorted set as it is", func(args []string, ours, theirs value) bool {
		return strings.EqualFold(args[0], "OBJECT") && theirs.text == "skiplist" && ours.text == "listpack"
	}},
	{"RESTORE of a time that does not fit", func(args []string, ours, theirs value) bool {
		return strings.HasPrefix(ours.text, "ERR invalid expire time in 'restore") && theirs.text == "OK"
	}},
	{"OBJECT ENCODING of a sum is int", func(args []string, ours, theirs value) bool { // INCRBYFLOAT k 1
		return strings.EqualFold(args[0], "OBJECT") && theirs.text == "embstr" && ours.text == "int"
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
	if strings.EqualFold(args[0], "LPOS") && strings.HasPrefix(ours.text, "ERR value is out of range, value must between") {
		return true // 7.2 refuses a RANK of -2^63
	}
	if strings.EqualFold(args[0], "XSETID") && strings.HasSuffix(ours.text, "smaller than current max_deleted_entry_id") {
		return true // 7.2 looks at what was deleted
	}
	if name := strings.ToUpper(args[0]); (name == "BITCOUNT" || name == "BITPOS") && ours.isError() && (theirs.kind == ':' || strings.HasPrefix(theirs.text, "WRONGTYPE")) {
		return true // 7.2 reads the arguments before it looks at the key
	}
	if strings.HasPrefix(strings.ToUpper(args[0]), "XREAD") && ours.text == "ERR timeout is out of range" {
		return true // 7.2 adds a BLOCK to the time
	}
	if !theirs.isError() {
		return false
	}
	switch {
	case strings.HasPrefix(theirs.text, "ERR unknown command"), strings.HasPrefix(theirs.text, "ERR unknown subcommand"):
		return !strings.HasPrefix(ours.text, "ERR unknown command") // the row is there, so its name is known
	case strings.EqualFold(args[0], "COMMAND"):
		return theirs.text == "ERR Invalid command specified" || // of a command within GETKEYS
			strings.HasPrefix(theirs.text, "ERR wrong number of arguments for 'command|getkeys") // 7.2 takes commands of one word
	case strings.HasPrefix(theirs.text, "ERR Unbalanced"):
		return strings.HasPrefix(ours.text, "ERR Unbalanced '")
	}
	return false
}
