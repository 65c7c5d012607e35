package tests

import (
	"fmt"
	"strconv"
	"strings"
)

// golden is an expected reply: a value, or a matcher in a value's place.
type golden struct {
	value     value
	match     string // "" (exactly value), "kind", "range", "glob", "rest", "unordered"
	kind      string // of match "kind": any, integer …
	low, high int64
	glob      string
	as        string // name under which a matched value is kept
	items     []golden
}

// parseGolden reads the notation of command/testdata/README.md. expand replaces
// {now+10} and the like, which stand for integers.
func parseGolden(text string, expand func(string) string) (golden, error) {
	p := &goldenParser{rest: text, expand: expand}
	g, err := p.value()
	if err == nil && p.skip() != "" {
		err = fmt.Errorf("unexpected %q after the reply", p.rest)
	}
	return g, err
}

type goldenParser struct {
	rest   string
	expand func(string) string
}

func (p *goldenParser) skip() string {
	p.rest = strings.TrimLeft(p.rest, " \t\n")
	return p.rest
}

func (p *goldenParser) take(prefix string) bool {
	if strings.HasPrefix(p.skip(), prefix) {
		p.rest = p.rest[len(prefix):]
		return true
	}
	return false
}

func (p *goldenParser) line() string {
	line, rest, _ := strings.Cut(p.rest, "\n")
	p.rest = rest
	return strings.TrimSpace(line)
}

func (p *goldenParser) value() (golden, error) {
	switch {
	case strings.HasPrefix(p.skip(), "{now"):
		return p.word()
	case p.take("unordered"):
		g, err := p.value()
		g.match = "unordered"
		return g, err
	case p.take("(closed)"):
		return exactly(value{kind: 'x'}), nil
	case p.take("(error)"):
		return p.text('-')
	case p.take("(status)"):
		return p.text('+')
	case p.take("..."):
		return golden{match: "rest"}, nil
	case p.take("["):
		return p.aggregate('*', "]")
	case p.take("set["):
		return p.aggregate('~', "]")
	case p.take("push["):
		return p.aggregate('>', "]")
	case p.take("{"):
		return p.aggregate('%', "}")
	case p.take("<"):
		return p.matcher()
	case p.take("~"):
		s, err := p.quoted()
		return golden{match: "glob", glob: s}, err
	case strings.HasPrefix(p.skip(), `"`):
		s, err := p.quoted()
		return exactly(value{kind: '$', text: s}), err
	}
	return p.word()
}

func exactly(v value) golden { return golden{value: v} }

func (p *goldenParser) text(kind byte) (golden, error) {
	line := p.line()
	if strings.HasPrefix(line, "~") {
		q := goldenParser{rest: line[1:]}
		s, err := q.quoted()
		return golden{match: "glob", glob: s, kind: string(kind)}, err
	}
	if strings.HasPrefix(line, `"`) {
		q := goldenParser{rest: line}
		s, err := q.quoted()
		return exactly(value{kind: kind, text: s}), err
	}
	return exactly(value{kind: kind, text: line}), nil
}

func (p *goldenParser) aggregate(kind byte, end string) (golden, error) {
	g := golden{value: value{kind: kind}}
	for !p.take(end) {
		if p.rest == "" {
			return g, fmt.Errorf("%q is missing", end)
		}
		item, err := p.value()
		if err != nil {
			return g, err
		}
		g.items = append(g.items, item)
		if kind == '%' && len(g.items)%2 == 1 && item.match != "rest" && !p.take(":") {
			return g, fmt.Errorf("':' is missing before %q", p.rest)
		}
	}
	return g, nil
}

func (p *goldenParser) matcher() (golden, error) {
	body, rest, ok := strings.Cut(p.rest, ">")
	if !ok {
		return golden{}, fmt.Errorf("'>' is missing in %q", p.rest)
	}
	p.rest = rest
	var g golden
	body, g.as, _ = strings.Cut(body, " as ")
	if low, high, ok := strings.Cut(p.expand(body), ".."); ok {
		g.match = "range"
		var err1, err2 error
		g.low, err1 = strconv.ParseInt(low, 10, 64)
		g.high, err2 = strconv.ParseInt(high, 10, 64)
		if err1 != nil || err2 != nil {
			return g, fmt.Errorf("bad range <%s>", body)
		}
		return g, nil
	}
	g.match, g.kind = "kind", body
	if _, ok := kindsNamed[body]; !ok {
		return g, fmt.Errorf("unknown matcher <%s>", body)
	}
	return g, nil
}

var kindsNamed = map[string]string{
	"any": "+-:$*_~>%,#(=!", "integer": ":", "bulk": "$", "array": "*", "map": "%", "double": ",", "error": "-",
}

func (p *goldenParser) quoted() (string, error) {
	s, rest, err := unquote(p.skip())
	p.rest = rest
	return s, err
}

func (p *goldenParser) word() (golden, error) {
	end := strings.IndexAny(p.rest, " \t\n:]}")
	if end < 0 {
		end = len(p.rest)
	}
	if strings.HasPrefix(p.rest, "{now") {
		end = strings.IndexByte(p.rest, '}') + 1
	}
	if end == 0 {
		return golden{}, fmt.Errorf("a reply is missing at %q", p.rest)
	}
	w := p.rest[:end]
	p.rest = p.rest[end:]
	next := func() string {
		p.skip()
		n := strings.IndexAny(p.rest+" ", " \t\n]}")
		s := p.rest[:n]
		p.rest = p.rest[n:]
		return s
	}
	switch w {
	case "nil":
		return golden{value: value{kind: '_'}}, nil
	case "nil-array":
		return exactly(value{kind: '*', null: true}), nil
	case "true", "false":
		return exactly(value{kind: '#', text: w[:1]}), nil
	case "double":
		return exactly(value{kind: ',', text: next()}), nil
	case "bignum":
		return exactly(value{kind: '(', text: next()}), nil
	case "verbatim":
		kind := next()
		if p.take("~") {
			s, err := p.quoted()
			return golden{match: "glob", glob: s, kind: "="}, err
		}
		s, err := p.quoted()
		return exactly(value{kind: '=', text: kind + ":" + s}), err
	}
	if w = p.expand(w); isInteger(w) {
		return exactly(value{kind: ':', text: w}), nil
	}
	if bareStatus(w) {
		return exactly(value{kind: '+', text: w}), nil
	}
	return golden{}, fmt.Errorf("not a reply: %q", w)
}

func isInteger(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil && s != "-0" && s[0] != '+'
}

// unquote reads one "…" text at the start of s and returns what follows it.
func unquote(s string) (text, rest string, err error) {
	if s == "" || s[0] != '"' {
		return "", s, fmt.Errorf("a quoted text is missing at %q", s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], nil
		case c == '\\' && i+3 < len(s) && s[i+1] == 'x':
			n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
			if err != nil {
				return "", s, fmt.Errorf("bad escape in %q", s)
			}
			b.WriteByte(byte(n))
			i += 3
		case c == '\\' && i+1 < len(s):
			i++
			if j := strings.IndexByte("nrtab", s[i]); j >= 0 {
				b.WriteByte("\n\r\t\a\b"[j])
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", s, fmt.Errorf("the quote is not closed in %q", s)
}

// matches compares a reply with what is expected; kept receives the values of
// `<… as name>`.
func (g golden) matches(v value, kept map[string]string) bool {
	switch g.match {
	case "kind":
		if v.kind == 'x' || v.null || !strings.ContainsRune(kindsNamed[g.kind], rune(v.kind)) && g.kind != "any" {
			return false
		}
		if g.as != "" {
			kept[g.as] = v.text
		}
		return true
	case "range":
		n, err := strconv.ParseInt(v.text, 10, 64)
		return (v.kind == ':' || v.kind == '$' || v.kind == '+') && err == nil && n >= g.low && n <= g.high
	case "glob":
		if g.kind != "" && g.kind != string(v.kind) {
			return false
		}
		text := v.text
		if v.kind == '=' {
			_, text, _ = strings.Cut(text, ":")
		}
		return strings.IndexByte("+-$=!", v.kind) >= 0 && !v.null && globMatch(g.glob, text)
	}
	if g.value.kind == '_' {
		return v.kind == '_' || v.kind == '$' && v.null
	}
	if !g.value.aggregate() {
		return g.value.kind == v.kind && g.value.null == v.null && g.value.text == v.text
	}
	if g.value.kind != v.kind || v.null {
		return false
	}
	if g.match == "unordered" || v.kind == '~' || v.kind == '%' {
		return g.matchesUnordered(v, kept)
	}
	return matchSequence(g.items, v.items, kept)
}

func matchSequence(gs []golden, vs []value, kept map[string]string) bool {
	for i, g := range gs {
		if g.match == "rest" {
			for j := len(vs); j >= i; j-- {
				if matchSequence(gs[i+1:], vs[j:], kept) {
					return true
				}
			}
			return false
		}
		if i >= len(vs) || !g.matches(vs[i], kept) {
			return false
		}
	}
	return len(gs) == len(vs)
}

// matchesUnordered pairs each expected element with one of the reply's, greedily.
func (g golden) matchesUnordered(v value, kept map[string]string) bool {
	step := 1
	if v.kind == '%' {
		step = 2
	}
	used := make([]bool, len(v.items))
	count, open := 0, false
	for i := 0; i < len(g.items); i += step {
		if g.items[i].match == "rest" {
			open = true
			i -= step - 1
			continue
		}
		found := false
		for j := 0; j+step <= len(v.items) && !found; j += step {
			if !used[j] && i+step <= len(g.items) && matchSequence(g.items[i:i+step], v.items[j:j+step], kept) {
				used[j], found = true, true
				count += step
			}
		}
		if !found {
			return false
		}
	}
	return open || count == len(v.items)
}

// globMatch knows * and ?; everything else is literal.
func globMatch(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// determined says whether g holds no matcher, so that -record may replace it.
func (g golden) determined() bool {
	if g.match != "" {
		return false
	}
	for _, item := range g.items {
		if !item.determined() {
			return false
		}
	}
	return true
}
