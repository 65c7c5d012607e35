package command

import (
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "a", true}, {"*", "", false}, {"", "", true}, {"", "a", false}, {"**", "", false},
		{"a*", "a", true}, {"a*", "abc", true}, {"*c", "abc", true}, {"*b*", "abc", true}, {"a*d", "abc", false},
		{"?", "a", true}, {"?", "ab", false}, {"a?c", "abc", true}, {"*?", "a", true}, {"??*", "a", false},
		{"[abc]", "b", true}, {"[abc]", "d", false}, {"[^abc]", "d", true}, {"[^abc]", "b", false},
		{"[a-c]x", "bx", true}, {"[c-a]x", "bx", true}, {"[a-c]", "d", false}, {"[a-]", "-", false}, {"[a-]x", "_", true},
		{"[]", "a", false}, {"[^]", "a", true}, {"[", "a", false}, {"[^", "a", true}, {"[a", "a", true}, {"[a", "b", false},
		{`[\]]`, "]", true}, {`[\a-c]`, "-", true}, {`[\a-c]`, "b", false}, {`[a\`, `\`, true}, {"[-]", "-", true}, {"[a-c-e]", "-", true},
		{`\*`, "*", true}, {`\*`, "a", false}, {`\a`, "a", true}, {`\`, `\`, true}, {`a\`, `a\`, true}, {`\\`, `\`, true},
		{"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-b-b-d", false}, {"*a*a*b", "aaaaaab", true}, {"[*]", "*", true},
		{"h[^e]llo", "hallo", true}, {"h[^e]llo", "hello", false}, {"[!a]", "!", true}, {"A", "a", false},
		{"[\x80-\xff]", "\xc0", true}, {"[a-\xff]", "\x01", true}, {"[a-\xff]", "z", false}, {"user:*:name", "user:1:name", true},
		{"*\x00*", "a\x00b", true}, {"a]", "a]", true}, {"[[]", "[", true}, {"[]a]", "a]", false}, {"*[ab]", "xb", true}, {"**a**", "a", true},
	} {
		if got := Glob([]byte(c.pattern), []byte(c.s)); got != c.want {
			t.Errorf("Glob(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"MAX*", "maxmemory", true}, {"[A-C]", "b", true}, {"[Z-a]", "q", false}, {"[ABC]x", "cX", true}, {`\A`, "a", true}, {`[\A]`, "a", false},
		{"[@-Z]", "_", true}, {"max*Y", "MAXMEMORY", true}, {"x*", "maxmemory", false},
	} {
		if got := GlobFold([]byte(c.pattern), []byte(c.s)); got != c.want {
			t.Errorf("GlobFold(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// The matchers of old doubled their work at every star.
func TestGlobStepsAreBounded(t *testing.T) {
	for _, c := range []struct{ pattern, s string }{
		{strings.Repeat("*a", 1000) + "b", strings.Repeat("a", 5000)},
		{strings.Repeat("*", 1000) + "b", strings.Repeat("a", 5000)},
		{strings.Repeat("*?", 1000) + "b", strings.Repeat("a", 5000)},
		{strings.Repeat("*[a-c]", 1000) + "b", strings.Repeat("a", 5000)},
		{strings.Repeat("a*", 50) + strings.Repeat("a", 100) + "b", strings.Repeat("a", 20000)},
		{"*" + strings.Repeat("a", 2500) + "b", strings.Repeat("a", 5000)},
	} {
		ok, steps := globMatch([]byte(c.pattern), []byte(c.s), false)
		if ok || steps > len(c.pattern)*len(c.s) {
			t.Errorf("%.20q: %v after %d steps", c.pattern, ok, steps)
		}
	}
}

// globSlow is the definition, one element at a time, for short inputs.
func globSlow(p, s []byte, fold bool) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '*':
		return globSlow(p[1:], s, fold) || len(s) > 0 && globSlow(p, s[1:], fold)
	case len(s) == 0:
		return false
	}
	n, hit := globOne(p, s[0], fold)
	return hit && globSlow(p[n:], s[1:], fold)
}

func FuzzGlob(f *testing.F) {
	f.Add([]byte("h[a-z]*?\\*"), []byte("hello*"), false)
	f.Add([]byte("*a*b["), []byte("aab"), true)
	f.Fuzz(func(t *testing.T, p, s []byte, fold bool) {
		ok, steps := globMatch(p, s, fold)
		if steps > (len(p)+1)*(len(s)+1) {
			t.Errorf("%q on %q: %d steps", p, s, steps)
		}
		if len(p) > 12 || len(s) > 12 {
			return
		}
		want := globSlow(p, s, fold)
		if len(s) == 0 {
			want = len(p) == 0
		}
		if ok != want {
			t.Errorf("%q on %q: %v, want %v", p, s, ok, want)
		}
	})
}

func BenchmarkGlob(b *testing.B) {
	p, s := []byte("user:*:profile"), []byte("user:0000012345:profile")
	for range b.N {
		if !Glob(p, s) {
			b.Fatal()
		}
	}
}
