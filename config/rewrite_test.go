package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestRewrite(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		set        [][2]string
		want       string
	}{
		{"nothing to do", "a.conf|# mine\nport 7000\n", nil, "# mine\nport 7000\n"},
		{"changed in place, rest kept", "a.conf|# mine\nPORT 7000\n\ntimeout 1\n# end\nunknown x\n", [][2]string{{"timeout", "9"}},
			"# mine\nPORT 7000\n\ntimeout 9\n# end\nunknown x\n"},
		{"added at the end, once marked", "a.conf|port 7000", [][2]string{{"timeout", "9"}, {"requirepass", "a \"b\"\n"}, {"maxmemory", "1gb"}},
			"port 7000\n\n" + rewriteMark + "\nrequirepass \"a \\\"b\\\"\\x0a\"\ntimeout 9\nmaxmemory 1gb\n"},
		{"twice", "a.conf|port 1\n" + rewriteMark + "\nhz 20\n", [][2]string{{"timeout", "9"}}, "port 1\n" + rewriteMark + "\nhz 20\ntimeout 9\n"},
		{"several lines become one", "a.conf|client-output-buffer-limit normal 0 0 0\ntimeout 1\nclient-output-buffer-limit pubsub 0 0 0\n",
			[][2]string{{"client-output-buffer-limit", "normal 1mb 0 0"}},
			"client-output-buffer-limit normal 1mb 0 0 replica 256mb 64mb 60 pubsub 0 0 0\ntimeout 1\n"},
		{"back to the default", "a.conf|requirepass x\n", [][2]string{{"requirepass", ""}}, "requirepass \"\"\n"},
		{"empty file", "a.conf|", [][2]string{{"hz", "20"}}, "\n" + rewriteMark + "\nhz 20\n"},

		{"yaml in place, comments kept", "a.yml|# mine\nserver:\n  timeout: 1   # one\n  # two\n  port: 7000\n", [][2]string{{"timeout", "9"}},
			"# mine\nserver:\n  timeout: 9   # one\n  # two\n  port: 7000\n"},
		{"yaml new key in its section, its indent", "a.yml|server:\n    port: 7000\n    # after\n\nlog:\n    level: debug\n", [][2]string{{"timeout", "9"}},
			"server:\n    port: 7000\n    timeout: 9\n    # after\n\nlog:\n    level: debug\n"},
		{"yaml new section", "a.yml|server:\n  port: 7000\n", [][2]string{{"slowlog-max-len", "9"}}, "server:\n  port: 7000\nslowlog:\n  max_len: 9\n"},
		{"yaml new top key", "a.yml|server:\n  port: 7000\n", [][2]string{{"maxclients-reserved", "9"}}, "server:\n  port: 7000\nmaxclients_reserved: 9\n"},
		{"yaml block list becomes a flow list", "a.yml|rate_limit:\n  exempt: # who\n    - 10.0.0.0/8\n    - ::1\n  burst_size: 5\n", [][2]string{{"rate-limit-exempt", "10.0.0.0/9"}},
			"rate_limit:\n  exempt: [\"10.0.0.0/9\"]\n  burst_size: 5\n"},
		{"yaml list at the key's own indent", "a.yml|rate_limit:\n  exempt:\n  - 10.0.0.0/8\n  burst_size: 5\n", [][2]string{{"rate-limit-exempt", ""}},
			"rate_limit:\n  exempt: []\n  burst_size: 5\n"},
		{"yaml quotes with #", "a.yml|server:\n  requirepass: \"a # \\\" b\" # secret\n", [][2]string{{"requirepass", "# c"}}, "server:\n  requirepass: \"# c\" # secret\n"},
		{"yaml quoted key and CRLF", "a.yml|server:\r\n  \"timeout\": 1\r\n", [][2]string{{"timeout", "2"}}, "server:\r\n  \"timeout\": 2\n"},
		{"yaml block text", "a.yml|server:\n  requirepass: |-\n    timeout: 3\n  timeout: 4\n", [][2]string{{"timeout", "5"}, {"requirepass", "x"}},
			"server:\n  requirepass: \"x\"\n  timeout: 5\n"},
		{"yaml empty section", "a.yml|server:\n", [][2]string{{"timeout", "5"}}, "server:\n  timeout: 5\n"},
		{"yaml empty file", "a.yml|", [][2]string{{"timeout", "5"}}, "server:\n  timeout: 5\n"},
		{"yaml dotted key", "a.yml|server.timeout: 4\n", [][2]string{{"timeout", "5"}}, "server.timeout: 5\n"},
	} {
		file, text, _ := strings.Cut(tc.file, "|")
		path := write(t, file, text)
		c, src, err := Load([]string{path}, nil)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if c, err = c.With(tc.set, true); err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if err := src.Rewrite(c); err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %v\n got %q\nwant %q", tc.name, err, got, tc.want)
		}
		back, _, err := Load([]string{path}, nil)
		if err != nil || !reflect.DeepEqual(back, c) {
			t.Errorf("%s: reads back differently: %v", tc.name, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v, %v", tc.name, info.Mode(), err)
		}
		left, err := filepath.Glob(filepath.Dir(path) + "/*")
		if err != nil || len(left) != 1 {
			t.Errorf("%s: files left behind: %v", tc.name, left)
		}
	}
}

// Flags and the environment are written, too: the file then starts the same
// server without them, as with redis-server.
func TestRewriteTakesEverySource(t *testing.T) {
	path := write(t, "a.conf", "port 7000\n")
	c, src, err := Load([]string{path, "--hz", "30"}, []string{"SYNAP_TIMEOUT=4"})
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Rewrite(c); err != nil {
		t.Fatal(err)
	}
	back, _, err := Load([]string{path}, nil)
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Error(back, err)
	}
}

// What an included file says later must not win over the rewritten value.
func TestRewriteWinsOverIncludes(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"a.conf": "timeout 1\ninclude b.conf\n", "b.conf": "timeout 2\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, src, err := Load([]string{"a.conf"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.With([][2]string{{"timeout", "9"}}, false); err != nil {
		t.Fatal(err)
	}
	if err := src.Rewrite(c); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("a.conf")
	if want := "timeout 9\ninclude b.conf\n\n" + rewriteMark + "\ntimeout 9\n"; err != nil || string(got) != want {
		t.Errorf("%q, want %q (%v)", got, want, err)
	}
}

func TestRewriteRefuses(t *testing.T) {
	_, src, err := Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Rewrite(Default()); !errors.Is(err, ErrNoFile) {
		t.Error(err)
	}
	const text = "server: {port: 7000}\n"
	path := write(t, "a.yml", text)
	c, src, err := Load([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.With([][2]string{{"timeout", "9"}}, false); err != nil {
		t.Fatal(err)
	}
	if err := src.Rewrite(c); err == nil {
		t.Error("a section in braces was rewritten")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("the file has changed: %q %v", got, err)
	}
}

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]string{
		"": nil, "  \t ": nil, "a b": {"a", "b"}, `a "b c" 'd e'`: {"a", "b c", "d e"}, `a"b c"`: {"ab c"}, `""`: {""},
		`"\x41\n\q"`: {"A\nq"}, `'\n\''`: {`\n'`}, `"\x4"`: {"x4"}, `a\ b`: {`a\`, "b"},
	} {
		if got, ok := splitWords(line); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q %v", line, got, ok)
		}
	}
	for _, line := range []string{`"`, `"a`, `'a`, `"a"b`, `'a'"b"`, `"\"`, `"\x4`} {
		if got, ok := splitWords(line); ok {
			t.Errorf("%q: %q", line, got)
		}
	}
}

// FuzzConfig feeds both file formats to the readers: they may refuse, not
// crash, and what they accept must survive printing and rewriting.
func FuzzConfig(f *testing.F) {
	f.Add("port 7000\nrequirepass \"a\\x00b\"\nclient-output-buffer-limit normal 0 0 0\n", false)
	f.Add("# x\r\nbind * -::*\nmaxmemory 10%\ntimeout 'x'\n", false)
	f.Add("server:\n  port: 7000 # x\n  bind: [a, b]\nrate_limit:\n  exempt:\n  - 10.0.0.0/8\n", true)
	f.Add("server: {port: 1}\nlog.level: debug\nlatency:\n  tracking_info_percentiles: [1, 2.5]\n", true)
	f.Add("a: &a [*a]\n", true)
	f.Add("? server\n: ? port\n  : 1\n---\nb: 1\n", true)
	base := Default()
	base.launched = "/nowhere" // includes must not find files
	f.Fuzz(func(t *testing.T, text string, yaml bool) {
		name := "fuzz.conf"
		if yaml {
			name = "fuzz.yml"
		} else if strings.Contains(strings.ToLower(text), "include") {
			return // would read the machine's files
		}
		file, err := parseFile(name, []byte(text), base.launched)
		if err != nil {
			return
		}
		c, err := build(base, file.settings)
		if err != nil {
			return
		}
		printed, err := readYAML("printed.yml", []byte(c.YAML()))
		if err != nil {
			t.Fatalf("%v\n%s", err, c.YAML())
		}
		back, err := build(base, printed.settings)
		if err != nil || !reflect.DeepEqual(normal(back), normal(c)) {
			t.Fatalf("printed differently: %v\n%s", err, c.YAML())
		}
		next, err := c.With([][2]string{{"timeout", "77"}, {"requirepass", "x # y"}, {"metrics-redis-names", "no"}}, true)
		if err != nil {
			t.Fatal(err)
		}
		data, err := rewrite(base, name, []byte(text), next)
		if err != nil {
			return // refused, nothing written
		}
		again, err := parseFile(name, data, base.launched)
		if err != nil {
			t.Fatal(err)
		}
		if back, err = build(base, again.settings); err != nil || !reflect.DeepEqual(normal(back), normal(next)) {
			t.Fatalf("rewritten differently: %v\n%s", err, data)
		}
	})
}

// normal makes empty and missing lists equal.
func normal(c *Config) map[string]string {
	m := map[string]string{}
	for _, o := range options {
		m[o.Name] = o.value.get(c)
	}
	return m
}
