package config

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/viper"
)

// readYAML reads a YAML file. An unknown key is an error: the format is our
// own, so it can only be a mistake.
func readYAML(name string, data []byte) (parsed, error) {
	var out parsed
	v := viper.New()
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(data)); err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	at := yamlKeys(data)
	origin := func(path string) string {
		if k, ok := at[path]; ok {
			return fmt.Sprintf("%s:%d", name, k.line+1)
		}
		return name
	}
	keys := v.AllKeys()
	slices.SortFunc(keys, func(a, b string) int {
		if d := at[a].line - at[b].line; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, path := range keys {
		x := v.Get(path)
		if x == nil {
			continue // "port:" with nothing behind it, or an empty section
		}
		o, ok := byPath[path]
		if !ok {
			return out, fmt.Errorf("%s: unknown option %q%s", origin(path), path, suggest(path, byPath))
		}
		s, err := yamlText(o, x)
		if err != nil {
			return out, &ValueError{Origin: origin(path), Option: o, Value: fmt.Sprint(x), Reason: err}
		}
		out.settings = append(out.settings, setting{o, s, origin(path)})
	}
	return out, nil
}

// yamlText turns a decoded YAML value into the text that the option reads.
func yamlText(o *Option, x any) (string, error) {
	switch x := x.(type) {
	case string:
		return x, nil
	case []any:
		if !o.value.words() {
			return "", reason("argument must be one value, not a list")
		}
		var words []string
		for _, e := range x {
			w, err := yamlText(o, e)
			if err != nil {
				return "", err
			}
			words = append(words, w)
		}
		return strings.Join(words, " "), nil
	}
	// YAML has read 0700 as 448 and 1e3 as 1000: what was meant is lost.
	switch o.value.(type) {
	case text, directory, fileMode:
		return "", reason("argument must stand in quotes")
	}
	switch x := x.(type) {
	case bool:
		if x {
			return "yes", nil
		}
		return "no", nil
	case int, int64, uint64:
		return fmt.Sprint(x), nil
	case float64:
		return formatReal(x), nil
	}
	return "", reason("argument must be a plain value")
}

// yamlKey is where a key of a block mapping stands.
type yamlKey struct {
	line   int // from 0
	end    int // line behind its value
	indent int
	parent string
}

var yamlKeyLine = regexp.MustCompile(`^( *)["']?([A-Za-z0-9_.-]+)["']?[ \t]*:([ \t].*)?$`)

// yamlKeys finds the keys of block mappings by their indentation. It is good
// enough to name a line and to change a value; what is changed is read back.
func yamlKeys(data []byte) map[string]yamlKey {
	found := map[string]yamlKey{}
	var open []string // keys whose value may go on
	closeFrom := func(indent, end int) {
		for len(open) > 0 && found[open[len(open)-1]].indent >= indent {
			k := found[open[len(open)-1]]
			k.end = end
			found[open[len(open)-1]] = k
			open = open[:len(open)-1]
		}
	}
	last := 0 // line behind the last one with content
	for n, line := range strings.Split(string(data), "\n") {
		line = strings.TrimRight(line, "\r")
		content := strings.TrimLeft(line, " \t")
		if content == "" || content[0] == '#' {
			continue
		}
		if m := yamlKeyLine.FindStringSubmatch(line); m != nil {
			indent := len(m[1])
			closeFrom(indent, last)
			k := yamlKey{line: n, indent: indent}
			path := strings.ToLower(m[2])
			if len(open) > 0 {
				k.parent = open[len(open)-1]
				path = k.parent + "." + path
			}
			if _, twice := found[path]; !twice {
				found[path] = k
				open = append(open, path)
			}
		}
		last = n + 1
	}
	closeFrom(0, last)
	return found
}

// yamlValue writes an option's text so that readYAML reads it back.
func yamlValue(o *Option, s string) string {
	switch o.value.(type) {
	case text, directory, fileMode:
		return yamlQuote(s)
	case outputLimits:
		var groups []string
		for g := range slices.Chunk(strings.Fields(s), 4) {
			groups = append(groups, yamlQuote(strings.Join(g, " ")))
		}
		return "[" + strings.Join(groups, ", ") + "]"
	case list, networks:
		var words []string
		for _, w := range strings.Fields(s) {
			words = append(words, yamlQuote(w))
		}
		return "[" + strings.Join(words, ", ") + "]"
	case percentiles:
		return "[" + strings.Join(strings.Fields(s), ", ") + "]"
	case saveParams:
		return yamlQuote(s)
	}
	return s
}

func yamlQuote(s string) string {
	if !utf8.ValidString(s) {
		return "!!binary " + base64.StdEncoding.EncodeToString([]byte(s))
	}
	return strconv.Quote(s)
}

// YAML writes every option, with what it is for; Load reads it back to an
// equal Config.
func (c *Config) YAML() string {
	return writeYAML(func(o *Option) string { return o.value.file(c) })
}

// writeYAML writes every option with the text that value gives it.
func writeYAML(value func(*Option) string) string {
	var b strings.Builder
	var sections []string
	bySection := map[string][]*Option{}
	for _, o := range options {
		section, _, nested := strings.Cut(o.Path, ".")
		if !nested {
			section = ""
		}
		if bySection[section] == nil {
			sections = append(sections, section)
		}
		bySection[section] = append(bySection[section], o)
	}
	slices.SortStableFunc(sections, func(a, b string) int {
		return min(len(a), 1) - min(len(b), 1) // keys outside of sections first
	})
	for _, section := range sections {
		indent := ""
		if section != "" {
			fmt.Fprintf(&b, "\n%s:\n", section)
			indent = "  "
		}
		for _, o := range bySection[section] {
			key := o.Path[strings.IndexByte(o.Path, '.')+1:]
			fmt.Fprintf(&b, "%s# %s [%s; %s]\n%s%s: %s\n", indent, o.Help, o.Allowed(), o.Mode, indent, key, yamlValue(o, value(o)))
		}
	}
	return b.String()
}
