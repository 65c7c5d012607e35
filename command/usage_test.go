package command

import (
	"strings"
	"testing"
)

// show writes an argument tree as one line: ?optional, *repeated.
func show(args []Arg) string {
	var out []string
	for _, a := range args {
		s := a.Name
		switch a.Type {
		case ArgOneOf:
			s = a.Name + "<" + strings.ReplaceAll(show(a.Args), " ", "|") + ">"
		case ArgBlock:
			s = a.Name + "(" + strings.ReplaceAll(show(a.Args), " ", ",") + ")"
		case ArgPureToken:
			s = a.Name + "!"
		default:
			s += "=" + string(a.Type)
		}
		if a.Token != "" {
			s = a.Token + "~" + s
		}
		if a.Optional {
			s = "?" + s
		}
		if a.Multiple {
			s = "*" + s
		}
		if a.MultipleToken {
			s = "*" + s
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestParseUsage(t *testing.T) {
	for _, c := range []struct{ usage, want string }{
		{"", ""},
		{"key value", "key=key value=string"},
		{"key increment:double", "key=key increment=double"},
		{"ip:port", "ip:port=string"},
		{"key [key ...]", "*key=key"},
		{"[key [key ...]]", "*?key=key"},
		{"key value [key value ...]", "*data(key=key,value=string)"},
		{"numkeys key [key ...] <LEFT | RIGHT> [COUNT count]", "numkeys=integer *key=key where<LEFT~left!|RIGHT~right!> ?COUNT~count=integer"},
		{"key [NX | XX] [GET] [EX seconds | KEEPTTL]", "key=key ?condition<NX~nx!|XX~xx!> ?GET~get! ?expiration<EX~seconds=integer|KEEPTTL~keepttl!>"},
		{"[LIMIT offset count]", "?LIMIT~limit(offset=integer,count=integer)"},
		{"key [GET get-pattern [GET get-pattern ...]]", "key=key **?GET~get-pattern=pattern"},
		{"[COUNT count] STREAMS key [key ...] id [id ...]", "?COUNT~count=integer STREAMS~streams(*key=key,*id=string)"},
		{"[KEYS key [key ...]]", "*?KEYS~key=key"},
		{"[<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id>",
			"?strategy(strategy<MAXLEN~maxlen!|MINID~minid!>,?operator<=~equal!|~~approximately!>,threshold=string,?LIMIT~count=integer) id-selector<*~auto-id!|id=string>"},
		{"[FILTERBY <MODULE module-name | ACLCAT category>]", "?FILTERBY~filterby<MODULE~module-name=string|ACLCAT~category=string>"},
		{"[FULL [COUNT count]]", "?full(FULL~full!,?COUNT~count=integer)"},
		{"<ID client-id | ADDR addr> ...", "*client-id<ID~client-id=integer|ADDR~addr=string>"},
		{"<BYRADIUS radius <M | KM> | BYBOX width height <M | KM>>",
			"by<BYRADIUS~byradius(radius=double,unit<M~m!|KM~km!>)|BYBOX~bybox(width=double,height=double,unit<M~m!|KM~km!>)>"},
		{"[protover:integer [AUTH username password] [SETNAME clientname]]",
			"?protover(protover=integer,?AUTH~auth(username=string,password=string),?SETNAME~clientname=string)"},
		{"AND | OR", "and<AND~and!|OR~or!>"},
	} {
		args, err := ParseUsage(c.usage)
		if err != nil {
			t.Errorf("%q: %v", c.usage, err)
		} else if got := show(args); got != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.usage, got, c.want)
		}
	}
	for _, usage := range []string{"[key", "key]", "<a | b", "a>", "[a | ]", "[]", "...", "[field ...]", "key [value ...]", "<a | b]", "[...]"} {
		if args, err := ParseUsage(usage); err == nil {
			t.Errorf("%q was taken: %s", usage, show(args))
		}
	}
}

func TestKeysOfUsageHaveSpecs(t *testing.T) {
	table := NewTable(Rows())
	for name, want := range map[string][]int{"rename": {0, 1}, "lcs": {0, 0}, "get": {0}, "copy": {0, 1}, "mset": {0}} {
		args, _ := table.Find([]byte(name)).Arguments()
		var got []int
		var visit func([]Arg)
		visit = func(args []Arg) {
			for _, a := range args {
				if a.KeySpecIndex >= 0 {
					got = append(got, a.KeySpecIndex)
				}
				visit(a.Args)
			}
		}
		visit(args)
		if len(got) != len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestPlainUsage(t *testing.T) {
	const usage = "key increment:double [ip:port] [count:integer ...]"
	if got := plainUsage(usage); got != "key increment [ip:port] [count ...]" {
		t.Error(got)
	}
}
