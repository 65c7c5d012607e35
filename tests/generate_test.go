package tests

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// argument is one element of a command's grammar, as COMMAND DOCS has it.
type argument struct {
	name, kind, token string
	optional          bool
	multiple          bool
	multipleToken     bool
	parts             []argument // of a oneof or a block
}

// subject is a command under the differential run.
type subject struct {
	words []string // name, or container and subcommand
	full  string   // "config|get"
	args  []argument
	tips  map[string]bool

	writes  bool
	special special
}

// generator makes random requests from grammars. The same seed gives the same
// requests.
type generator struct {
	rnd      *rand.Rand
	subjects []subject
	weighted []int // indexes of subjects, the frequent ones repeated
}

func pick[T any](g *generator, from []T) T { return from[g.rnd.IntN(len(from))] }

func (g *generator) chance(percent int) bool { return g.rnd.IntN(100) < percent }

// Few keys, so that commands meet each other's values.
var (
	keyPool    = []string{"a", "b", "c", "d", "e", "{t}f", "k\r\n$1", "g"}
	valuePool  = []string{"", "x", "hello", "v\r\n+OK\r\n", "\x00\xff", "10", "-7", "007", "3.14", "9223372036854775807", "-9223372036854775808", "foobar", "ohmytext", "mynewtext", " 11", "1e3"}
	numberPool = []string{"0", "1", "-1", "2", "3", "-2", "5", "-100", "100"}
	hugePool   = []string{"9223372036854775807", "-9223372036854775808", "9223372036854775806", "9223372036854775808", "18446744073709551615", "2147483647", "2147483648", "2147483649", "-2147483649", "4294967296",
		"-9223372036854775807", "18446744073709551616", "99999999999999999999"}
	brokenPool  = []string{"abc", "", " 1", "1 ", "+1", "01", "1.5", "0x10", "-", "-0", "1e2", "1e3", "\r\n", "nan", "inf"}
	floatPool   = []string{"0", "1", "-1", "3.5", "-2.25", "0.1", "1e3", "1e300", "-1e308", "1.7976931348623157e308", "5e-324", "inf", "-inf", "nan", "+1", "1.", ".5", "0x10", "3.0000000000000000001"}
	patternPool = []string{"*", "a*", "?", "[a-c]", "[^a]", "*\\r*", "{t}*", "nothing*", "**", "[", "\\", "a[b-"}
	idPool      = []string{"0-1", "1-1", "1-2", "2-0", "5-3", "5", "7", "5-*", "9-*", "0-0", "0", "18446744073709551615-18446744073709551615", "18446744073709551615-*", "100-1", "1000", "abc", "1-", "-1", "1-1-1", "01-1"}
	rangePool   = []string{"-", "+", "(1-1", "(5", "(-", "(+", "0", "5-3", "18446744073709551615"}
	fieldPool   = []string{"f1", "f2", "type", ""}
	degreePool  = []string{"0", "13.361389", "38.115556", "15.087269", "37.502669", "-85.05112878", "85.05112878", "-179.9", "180", "89", "-60.5", "1e-9", "-0", "abc", "66.6", "80.5"}
	lengthPool  = []string{"0", "1", "100", "250.5", "5000", "20000", "1e9", "1e300", "inf", "-1", "abc", "5e-324", "30", "800"}
	channelPool = []string{"ch1", "ch2", "news.a", ""}
	// Expiry far away, long past, or refused: a near one would fire at different moments.
	expirePool = []string{"100000", "200000000", "0", "-1", "-100000", "9223372036854775807", "-9223372036854775808", "9223372036854775", "9223370000000000", "99999999999999999999"}
	stampPool  = []string{"4102444800", "1", "0", "-5", "9223372036854775807", "4102444800000", "9223372036854775"}
)

func (g *generator) number() string {
	switch n := g.rnd.IntN(20); {
	case n < 14:
		return pick(g, numberPool)
	case n < 17:
		return pick(g, hugePool)
	case n < 19:
		return strconv.Itoa(g.rnd.IntN(40) - 20)
	}
	return pick(g, brokenPool)
}

// command returns a random request of the subject's grammar, sometimes bent.
func (g *generator) command(s *subject) []string {
	args := append([]string(nil), s.words...)
	args = g.sequence(args, s.args)
	if s.special.args != nil {
		return s.special.args(g, s, args)
	}
	n := len(s.words)
	switch g.rnd.IntN(60) {
	case 0:
		args = args[:n+g.rnd.IntN(len(args)-n+1)]
	case 1:
		args = append(args, pick(g, valuePool))
	case 2, 3:
		if len(args) > n && !risky(s, args) {
			args[n+g.rnd.IntN(len(args)-n)] = pick(g, brokenPool)
		}
	case 4:
		if len(args) > n && !risky(s, args) {
			args[n+g.rnd.IntN(len(args)-n)] = pick(g, hugePool)
		}
	}
	return args
}

// risky commands have an argument that must not become just any number: a
// timeout that would hang the run, an offset that would fill the memory, an
// expiry that would fire meanwhile.
func risky(s *subject, args []string) bool {
	switch s.full {
	case "setrange", "wait", "xadd", "blmpop", "setbit", "bitfield":
		return true
	}
	return s.args != nil && (hasArgument(s.args, "timeout") || hasArgument(s.args, "seconds") || hasArgument(s.args, "milliseconds"))
}

func hasArgument(list []argument, name string) bool {
	for _, a := range list {
		if a.name == name || hasArgument(a.parts, name) {
			return true
		}
	}
	return false
}

func (g *generator) sequence(out []string, list []argument) []string {
	numkeys := -1
	for _, a := range list {
		if a.optional && g.chance(60) {
			continue
		}
		before := len(out)
		out = g.argument(out, a)
		switch {
		case a.name == "numkeys":
			numkeys = before
		case numkeys >= 0 && a.multiple:
			if g.chance(85) {
				out[numkeys] = strconv.Itoa(len(out) - before)
			}
			numkeys = -1
		}
	}
	return out
}

func (g *generator) argument(out []string, a argument) []string {
	times := 1
	if a.multiple {
		times = 1 + g.rnd.IntN(3)
	}
	for i := range times {
		if a.token != "" && (i == 0 || a.multipleToken) {
			out = append(out, g.word(a.token))
		}
		switch a.kind {
		case "pure-token":
		case "oneof":
			out = g.argument(out, pick(g, a.parts))
		case "block":
			out = g.sequence(out, a.parts)
		default:
			out = append(out, g.leaf(a))
		}
	}
	return out
}

func (g *generator) word(token string) string {
	if g.chance(25) {
		return strings.ToLower(token)
	}
	return token
}

func (g *generator) leaf(a argument) string {
	switch a.name {
	case "seconds", "milliseconds":
		return pick(g, expirePool)
	case "timeout":
		return pick(g, []string{"0.001", "0.002", "0.003", "-1", "abc", "nan"})
	case "id", "ID", "threshold", "last-id", "entries-added", "max-deleted-id", "lastid":
		return pick(g, idPool)
	case "start", "end", "stop":
		if a.kind != "integer" {
			return pick(g, append(rangePool, idPool...))
		}
	case "offset":
		return pick(g, []string{"0", "1", "5", "20", "300", "-1", "536870912", "9223372036854775807", "abc", "-9223372036854775808"})
	case "longitude", "latitude":
		return pick(g, degreePool)
	case "radius", "width", "height":
		return pick(g, lengthPool)
	case "encoding":
		return pick(g, []string{"u8", "i8", "u1", "i1", "u63", "i64", "i5", "u13", "u64", "i65", "u0", "x8", ""})
	case "field":
		return pick(g, fieldPool)
	case "group", "consumer":
		return pick(g, []string{"g", "g", "g", "h"})
	case "channel", "shardchannel":
		return pick(g, channelPool)
	case "index", "db", "index1", "index2", "destination-db":
		if a.name != "index" || g.chance(50) {
			return pick(g, []string{"0", "1", "2", "15", "16", "-1", "abc", "99999999999"})
		}
	case "cursor":
		return pick(g, []string{"0", "0", "0", "1", "abc", "18446744073709551616", "9223372036854775808", "-1"})
	case "type":
		return pick(g, []string{"string", "list", "stream", "hash", "nothing", "STRING"})
	}
	return g.byKind(a)
}

func (g *generator) byKind(a argument) string {
	switch a.kind {
	case "key":
		return pick(g, keyPool)
	case "integer":
		return g.number()
	case "unix-time":
		return pick(g, stampPool)
	case "double":
		return pick(g, floatPool)
	case "pattern":
		return pick(g, patternPool)
	}
	if g.chance(3) {
		return strings.Repeat("0123456789abcdef", 1+g.rnd.IntN(200))
	}
	if g.chance(15) {
		return g.number()
	}
	return pick(g, valuePool)
}

// encode writes a request as a client might: as an array, now and then as an
// inline line, with blank lines and empty arrays in between.
func (g *generator) encode(b []byte, args []string) []byte {
	if g.chance(2) {
		b = append(b, pick(g, []string{"\r\n", "\n", "*0\r\n", "*-1\r\n"})...)
	}
	if !g.chance(3) {
		return appendCommand(b, args)
	}
	for i, a := range args {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, quote(a)...)
	}
	return append(b, "\r\n"...)
}

// next returns a random request and its subject, nil for unknown commands.
func (g *generator) next() ([]string, *subject) {
	if g.chance(1) {
		name := pick(g, []string{"FOO", "foo\r\nbar", "", strings.Repeat("x", 200), "GET ", "CONFIGX", "\xff"})
		return append([]string{name}, pick(g, [][]string{nil, {"a"}, {"a", "b\r\nc"}, {strings.Repeat("y", 300), "z"}})...), nil
	}
	s := &g.subjects[pick(g, g.weighted)]
	return g.command(s), s
}
