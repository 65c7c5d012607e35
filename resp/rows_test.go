package resp

import "strings"

// row is one line of hostile-input.md section 1: bytes in, requests out.
type row struct {
	name  string
	in    string
	want  []string // requests, words joined by '|'
	fault string   // the protocol error that ends it, without its prefix
	limit func(Limits) Limits

	differs string // why Redis answers otherwise; each is in docs/differences.md
}

func arr(words ...string) string {
	r := new(Reply)
	r.Array(len(words))
	for _, w := range words {
		r.BulkString(w)
	}
	return string(r.Bytes())
}

var (
	ping      = arr("PING")
	invalidMB = "invalid multibulk length"
	invalidB  = "invalid bulk length"
)

// rows are sections 1.1 to 1.18 that concern framing, and their neighbours.
var rows = []row{
	{name: "1 blank lines", in: "\r\n\n\r\n" + ping + "\n\n" + ping, want: []string{"PING", "PING"}},
	{name: "2 empty arrays", in: "*0\r\n*-1\r\n*-10\r\n" + ping + "*0\r\n" + ping, want: []string{"PING", "PING"}},
	{name: "3 no count", in: "*\r\n" + ping, fault: invalidMB},
	{name: "3 letters", in: "*abc\r\n", fault: invalidMB},
	{name: "3 plus", in: "*+1\r\n", fault: invalidMB},
	{name: "3 leading zero", in: "*01\r\n", fault: invalidMB},
	{name: "3 space", in: "* 1\r\n", fault: invalidMB},
	{name: "3 minus zero", in: "*-0\r\n", fault: invalidMB},
	{name: "4 count over int", in: "*3000000000\r\n", fault: invalidMB},
	{name: "4 count over int64", in: "*99999999999999999999\r\n", fault: invalidMB},
	{name: "4 count over the limit", in: "*1048577\r\n", fault: invalidMB, differs: "it takes up to 2^31-1 arguments"},
	{name: "5 endless count", in: "*" + strings.Repeat("1", 64<<10), fault: "too big mbulk count string"},
	{name: "6 endless length", in: "*1\r\n$" + strings.Repeat("1", 64<<10), fault: "too big bulk count string"},
	{name: "7 -1", in: "*1\r\n$-1\r\n", fault: invalidB},
	{name: "7 -10", in: "*1\r\n$-10\r\n", fault: invalidB},
	{name: "7 letters", in: "*1\r\n$blabla\r\n", fault: invalidB},
	{name: "7 nothing", in: "*1\r\n$\r\n", fault: invalidB},
	{name: "7 plus", in: "*1\r\n$+4\r\nPING\r\n", fault: invalidB},
	{name: "7 leading zero", in: "*1\r\n$04\r\nPING\r\n", fault: invalidB},
	{name: "7 over the limit", in: "*1\r\n$2000000000\r\n", fault: invalidB},
	{name: "7 max int64", in: "*1\r\n$9223372036854775807\r\nx", fault: invalidB},
	{name: "7 over int64", in: "*1\r\n$9223372036854775808\r\n", fault: invalidB},
	{name: "8 inline word", in: "*1\r\nfoo\r\n", fault: "expected '$', got 'f'"},
	{name: "8 integer", in: "*1\r\n:4\r\n", fault: "expected '$', got ':'"},
	{name: "8 nested", in: "*1\r\n*1\r\n", fault: "expected '$', got '*'"},
	{name: "8 raw byte", in: "*1\r\n\xff1\r\n", fault: "expected '$', got '\xff'"},
	{name: "8 line end", in: "*1\r\n\r\n", fault: "expected '$', got ' '"},
	{name: "9 wrong trailer", in: "*1\r\n$4\r\nPINGxx", fault: invalidB, differs: "it does not look at what follows an argument"},
	{name: "10 LF only", in: "*1\n$4\nPING\n", fault: invalidMB, differs: "it waits for a CR"},
	{name: "10 LF only in a length", in: "*1\r\n$4\nPING\n", fault: invalidB, differs: "it waits for a CR"},
	{name: "10 CR only", in: "*1\rx$4\r\nPING\r\n", fault: invalidMB, differs: "it skips whatever follows the CR"},
	{name: "11 endless line", in: strings.Repeat("a", 64<<10+1), fault: "too big inline request"},
	{name: "11 longest line", in: "ECHO " + strings.Repeat("a", 64<<10-5) + "\n", want: []string{"ECHO|" + strings.Repeat("a", 64<<10-5)}},
	{name: "12 quotes in a row", in: `set """k""" v` + "\r\n", fault: "unbalanced quotes in request"},
	{name: "12 open quote", in: `set "abc` + "\r\n", fault: "unbalanced quotes in request"},
	{name: "12 open single quote", in: `set 'abc\'` + "\r\n", fault: "unbalanced quotes in request"},
	{name: "12 text behind a quote", in: `set "a"b` + "\r\n", fault: "unbalanced quotes in request"},
	{name: "13 quote inside a word", in: `ECHO foo"bar"` + "\r\n", want: []string{"ECHO|foobar"}},
	{name: "13 hexadecimal", in: `ECHO "\x41\x4a\x4B\xg0\x4"` + "\n", want: []string{"ECHO|AJKxg0x4"}},
	{name: "13 escapes", in: `ECHO "\n\r\t\b\a\\\"\q"` + "\n", want: []string{"ECHO|\n\r\t\b\a\\\"q"}},
	{name: "13 single quotes", in: `ECHO 'a\nb\'c'` + "\n", want: []string{`ECHO|a\nb'c`}},
	{name: "13 tabs", in: "\tECHO\t\x0b a\t\r\n", want: []string{"ECHO|a"}},
	{name: "13 empty words", in: `ECHO ""` + "\n" + `SET '' ""` + "\n", want: []string{"ECHO|", "SET||"}},
	{name: "13 CR inside a line", in: "ECHO\ra\n", want: []string{"ECHO|a"}},
	{name: "14 good, good, bad", in: ping + arr("ECHO", "x") + "*1\r\n$-5\r\n" + ping, want: []string{"PING", "ECHO|x"}, fault: invalidB},
	{name: "16 length first", in: "$4\r\nPING\r\n", want: []string{"$4", "PING"}},
	{name: "16 status first", in: "+OK\r\n%1\r\n", want: []string{"+OK", "%1"}},
	{name: "18 eleven arguments", in: "*11\r\n", fault: "unauthenticated multibulk length", limit: Limits.BeforeAuth},
	{name: "18 long argument", in: "*1\r\n$16385\r\n", fault: "unauthenticated bulk length", limit: Limits.BeforeAuth},
	{name: "18 count over int", in: "*3000000000\r\n", fault: invalidMB, limit: Limits.BeforeAuth},
	{name: "18 ten arguments", in: arr("ECHO", "1", "2", "3", "4", "5", "6", "7", "8", "9"), want: []string{"ECHO|1|2|3|4|5|6|7|8|9"}, limit: Limits.BeforeAuth},
	{name: "lengths of every size", in: arr("ECHO", strings.Repeat("a", 9)) + arr("ECHO", strings.Repeat("b", 10)) + arr("ECHO", strings.Repeat("c", 99)) +
		arr("ECHO", strings.Repeat("d", 100)) + arr("ECHO", strings.Repeat("e", 999)) + arr("ECHO", strings.Repeat("f", 1000)) + arr("ECHO", "") + ping,
		want: []string{"ECHO|" + strings.Repeat("a", 9), "ECHO|" + strings.Repeat("b", 10), "ECHO|" + strings.Repeat("c", 99),
			"ECHO|" + strings.Repeat("d", 100), "ECHO|" + strings.Repeat("e", 999), "ECHO|" + strings.Repeat("f", 1000), "ECHO|", "PING"}},
	{name: "line ends inside an argument", in: arr("ECHO", "\r\n*1\r\n$4\r\nPING\r\n\x00"), want: []string{"ECHO|\r\n*1\r\n$4\r\nPING\r\n\x00"}},
	{name: "array, inline, array", in: ping + "PING\r\n" + arr("ECHO", "a b") + "ECHO 'a b'\n", want: []string{"PING", "PING", "ECHO|a b", "ECHO|a b"}},
}

// waiting are inputs that are no whole request yet and no fault either.
var waiting = []row{
	{name: "17 TLS ClientHello", in: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\r\nPING\r\n"},
	{name: "unfinished count", in: "*1"},
	{name: "count without LF", in: "*1\r"},
	{name: "unfinished argument", in: "*1\r\n$4\r\nPIN"},
	{name: "argument without its line end", in: "*1\r\n$4\r\nPING\r"},
	{name: "a long argument begins", in: "*2\r\n$4\r\nECHO\r\n$536870912\r\n"},
	{name: "a million arguments begin", in: "*1048576\r\n$1\r\na\r\n"},
	{name: "an inline request begins", in: "PING"},
	{name: "PROXY v2 signature", in: "\r\n\r\n\x00\r\nQUIT\n"},
}
