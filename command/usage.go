package command

import (
	"fmt"
	"slices"
	"strings"
)

// ArgType is the type of an argument in COMMAND DOCS.
type ArgType string

// The types of arguments (https://redis.io/docs/reference/command-arguments).
const (
	ArgKey       ArgType = "key"
	ArgString    ArgType = "string"
	ArgInteger   ArgType = "integer"
	ArgDouble    ArgType = "double"
	ArgPattern   ArgType = "pattern"
	ArgUnixTime  ArgType = "unix-time"
	ArgPureToken ArgType = "pure-token" // the word Token alone
	ArgOneOf     ArgType = "oneof"      // exactly one of Args
	ArgBlock     ArgType = "block"      // all of Args
)

// Arg is a node of the argument tree of a command.
type Arg struct {
	Name          string
	Type          ArgType
	Token         string // fixed word before the value, or empty
	Optional      bool
	Multiple      bool // may be repeated
	MultipleToken bool // Token is repeated with it
	KeySpecIndex  int  // of a key: which of the row's Keys; -1 of others
	Args          []Arg
}

// Arguments parses the command's usage and connects keys to key specs.
func (c *Command) Arguments() ([]Arg, error) {
	args, err := ParseUsage(c.Usage)
	if err != nil {
		return nil, fmt.Errorf("usage of %s: %w", c.FullName, err)
	}
	next := 0
	connectKeys(args, len(c.Row.Keys), &next)
	return args, nil
}

// connectKeys numbers keys in order; the last spec takes those left over, as
// in LCS key1 key2.
func connectKeys(args []Arg, specs int, next *int) {
	for i := range args {
		if args[i].Type == ArgKey && specs > 0 {
			args[i].KeySpecIndex = min(*next, specs-1)
			*next++
		}
		connectKeys(args[i].Args, specs, next)
	}
}

// ParseUsage parses the grammar of Row.Usage:
//
//	word            a value; its type follows from the name, or is said: increment:double
//	WORD * $ = ~    a token; it takes the values behind it
//	[a b]           optional
//	<a | b>         one of
//	a [a ...]       once or more; so is <a | b> ...
//
// It fails on unbalanced brackets and on a repetition of what did not stand
// before it.
func ParseUsage(usage string) ([]Arg, error) {
	p := usageParser{words: splitUsage(usage)}
	alts, err := p.alternatives("")
	if err != nil {
		return nil, err
	}
	if len(alts) == 1 {
		return sequence(alts[0])
	}
	one, err := choice(alts)
	return []Arg{one}, err
}

// splitUsage cuts at blanks and around brackets and bars.
func splitUsage(s string) []string {
	r := strings.NewReplacer("[", " [ ", "]", " ] ", "<", " < ", ">", " > ", "|", " | ")
	return strings.Fields(r.Replace(s))
}

// usageItem is a word, or a bracket with its alternatives.
type usageItem struct {
	word string // "[" and "<" for brackets
	alts [][]usageItem
}

func (i usageItem) isToken() bool { return !i.isValue() && i.alts == nil && i.word != "..." }
func (i usageItem) isValue() bool { return i.alts == nil && 'a' <= i.word[0] && i.word[0] <= 'z' }

// repeats returns what stands inside [… ...], nil if it is no repetition.
func (i usageItem) repeats() []usageItem {
	if i.word != "[" || len(i.alts) != 1 {
		return nil
	}
	items := i.alts[0]
	if n := len(items); n > 1 && items[n-1].word == "..." && items[n-1].alts == nil {
		return items[:n-1]
	}
	return nil
}

func sameItems(a, b []usageItem) bool {
	return slices.EqualFunc(a, b, func(x, y usageItem) bool {
		return x.word == y.word && slices.EqualFunc(x.alts, y.alts, sameItems)
	})
}

type usageParser struct {
	words []string
	next  int
}

// alternatives reads up to the bracket end, or to the end of the usage if end
// is empty.
func (p *usageParser) alternatives(end string) ([][]usageItem, error) {
	alts := [][]usageItem{nil}
	last := &alts[0]
	for p.next < len(p.words) {
		word := p.words[p.next]
		p.next++
		switch word {
		case end:
			return alts, nil
		case "|":
			alts = append(alts, nil)
			last = &alts[len(alts)-1]
		case "[", "<":
			inner, err := p.alternatives(map[string]string{"[": "]", "<": ">"}[word])
			if err != nil {
				return nil, err
			}
			*last = append(*last, usageItem{word, inner})
		case "]", ">":
			return nil, fmt.Errorf("%q without its opening bracket", word)
		default:
			*last = append(*last, usageItem{word: word})
		}
	}
	if end != "" {
		return nil, fmt.Errorf("%q is missing", end)
	}
	return alts, nil
}

// sequence builds the arguments of items that follow one another.
func sequence(items []usageItem) ([]Arg, error) {
	var args []Arg
	var starts []int // the item each argument began at
	for i := 0; i < len(items); {
		arg, used, err := argument(items[i:])
		if err != nil {
			return nil, err
		}
		args, starts = append(args, arg), append(starts, i)
		i += used
		if i == len(items) {
			break
		}
		again := items[i].repeats()
		switch {
		case again != nil && len(again) <= i && sameItems(items[i-len(again):i], again):
			from, _ := slices.BinarySearch(starts, i-len(again))
			args = append(args[:from], repeated(args[from:], again[0].isToken()))
			starts = starts[:from+1]
			i++
		case items[i].word == "...":
			args[len(args)-1].Multiple = true
			i++
		}
	}
	return args, nil
}

// repeated is one argument that stands for args, once or more.
func repeated(args []Arg, token bool) Arg {
	a := Arg{Name: groupName(args), Type: ArgBlock, KeySpecIndex: -1, Args: slices.Clone(args)}
	if len(args) == 1 {
		a = args[0]
	}
	a.Multiple, a.MultipleToken = true, token
	return a
}

// argument builds the first argument of items and tells how many items it took.
func argument(items []usageItem) (Arg, int, error) {
	item := items[0]
	switch {
	case item.word == "...":
		return Arg{}, 0, fmt.Errorf("nothing stands before %q", "...")
	case item.repeats() != nil:
		return Arg{}, 0, fmt.Errorf("the repetition of %q does not follow it", item.repeats()[0].word)
	case item.alts != nil:
		a, err := choice(item.alts)
		a.Optional = item.word == "["
		return a, 1, err
	case item.isValue():
		return valueArg(item.word), 1, nil
	}
	used := 1
	for used < len(items) && taken(items, used) {
		used++
	}
	inner, err := sequence(items[1:used])
	if err != nil {
		return Arg{}, 0, err
	}
	switch len(inner) {
	case 0:
		return Arg{Name: tokenName(item.word), Type: ArgPureToken, Token: item.word, KeySpecIndex: -1}, 1, nil
	case 1:
		inner[0].Token = item.word
		return inner[0], used, nil
	}
	return Arg{Name: tokenName(item.word), Type: ArgBlock, Token: item.word, KeySpecIndex: -1, Args: inner}, used, nil
}

// taken tells whether the token items[0] takes items[i] along: values, choices
// and repetitions of these, but no option and no repetition of the token itself.
func taken(items []usageItem, i int) bool {
	if again := items[i].repeats(); again != nil {
		return len(again) < i && sameItems(items[i-len(again):i], again)
	}
	return items[i].isValue() || items[i].word == "<"
}

// choice builds one argument out of a bracket.
func choice(alts [][]usageItem) (Arg, error) {
	var args []Arg
	for _, items := range alts {
		if len(items) == 0 {
			return Arg{}, fmt.Errorf("an alternative is empty")
		}
		inner, err := sequence(items)
		if err != nil {
			return Arg{}, err
		}
		if len(inner) > 1 {
			inner = []Arg{{Name: groupName(inner), Type: ArgBlock, KeySpecIndex: -1, Args: inner}}
		}
		args = append(args, inner[0])
	}
	if len(args) == 1 {
		return args[0], nil
	}
	return Arg{Name: groupName(args), Type: ArgOneOf, KeySpecIndex: -1, Args: args}, nil
}

// valueArg reads "name" or "name:type".
func valueArg(word string) Arg {
	a := Arg{Name: word, KeySpecIndex: -1}
	name, typ, said := strings.Cut(word, ":")
	switch t := ArgType(typ); {
	case !said:
		a.Type = typeOfName(word)
	case t == ArgKey, t == ArgString, t == ArgInteger, t == ArgDouble, t == ArgPattern, t == ArgUnixTime:
		a.Name, a.Type = name, t
	default: // a name with a colon, as ip:port
		a.Type = ArgString
	}
	return a
}

// typeOfName gives the type that a value's name has in most commands.
func typeOfName(name string) ArgType {
	switch name {
	case "key", "key1", "key2", "newkey", "source", "destination", "destkey", "sourcekey", "src", "dst", "keys", "storekey", "storedistkey":
		return ArgKey
	case "pattern", "by-pattern", "get-pattern":
		return ArgPattern
	case "unix-time-seconds", "unix-time-milliseconds":
		return ArgUnixTime
	case "latitude", "longitude", "radius", "width", "height", "score":
		return ArgDouble
	case "bit", "bits", "client-id", "cluster-bus-port", "config-epoch", "count", "cursor", "db", "decrement", "destination-db",
		"end", "end-slot", "entries-added", "entriesread", "frequency", "increment", "index", "index1", "index2", "len", "limit",
		"maxage", "milliseconds", "min-match-len", "ms", "num-matches", "numkeys", "numlocal", "numreplicas", "offset", "port",
		"protover", "rank", "seconds", "slot", "start", "start-slot", "stop", "timeout", "ttl", "version", "weight":
		return ArgInteger
	}
	return ArgString
}

// tokenName is the name of a token in the argument tree.
func tokenName(token string) string {
	switch token {
	case "*":
		return "auto-id"
	case "$":
		return "new-id"
	case "=":
		return "equal"
	case "~":
		return "approximately"
	case "CH":
		return "change"
	case "ALPHA":
		return "sorting"
	case `""`:
		return "empty-string"
	}
	return strings.ToLower(token)
}

// groupName names a choice or a block after what it begins with: for people,
// clients go by tokens and types.
func groupName(args []Arg) string {
	first := args[0]
	switch first.Token {
	case "NX", "XX":
		return "condition"
	case "GT", "LT":
		return "comparison"
	case "EX":
		return "expiration"
	case "LEFT", "RIGHT", "BEFORE":
		return "where"
	case "ASC":
		return "order"
	case "ASYNC":
		return "flush-type"
	case "MAXLEN":
		return "strategy"
	case "=":
		return "operator"
	case "BYSCORE":
		return "sortby"
	case "MODULE":
		return "filterby"
	case "*", "$":
		return "id-selector"
	case "M":
		return "unit"
	case "FROMMEMBER":
		return "from"
	case "BYRADIUS":
		return "by"
	}
	if first.Type == ArgKey || first.Type == ArgString {
		return "data"
	}
	return first.Name
}

// plainUsage is a usage as people read it: without the types.
func plainUsage(usage string) string {
	return strings.NewReplacer(":key", "", ":string", "", ":integer", "", ":double", "", ":pattern", "", ":unix-time", "").Replace(usage)
}
