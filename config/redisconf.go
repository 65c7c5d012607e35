package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Limits on what is read as configuration.
const (
	maxFileSize     = 1 << 20 // bytes of one file
	maxIncludeDepth = 16
	maxIncludes     = 1000 // files in all
)

// setting is one option's value where it was found.
type setting struct {
	option *Option
	value  string
	origin string // "redis.conf:12", "SYNAP_PORT", "--port"
}

// parsed is what a file says.
type parsed struct {
	settings []setting
	warnings []string
}

// confReader reads files in the format of redis.conf.
type confReader struct {
	dir   string // relative includes refer to it
	files int
	out   parsed
}

// readConf reads data, named name in messages, and what it includes. As for
// redis-server, relative includes refer to dir, where the program was started.
func readConf(name string, data []byte, dir string) (parsed, error) {
	r := confReader{dir: dir}
	err := r.read(name, data, 0)
	return r.out, err
}

func (r *confReader) read(name string, data []byte, depth int) error {
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		origin := fmt.Sprintf("%s:%d", name, n)
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		words, ok := splitWords(line)
		if !ok {
			return fmt.Errorf("%s: unbalanced quotes", origin)
		}
		if strings.EqualFold(words[0], "include") {
			if err := r.include(origin, words[1:], depth); err != nil {
				return err
			}
			continue
		}
		s, err := confSetting(origin, words)
		if err != nil {
			return err
		}
		if s.option == nil {
			r.out.warnings = append(r.out.warnings, fmt.Sprintf("%s: unknown directive %q is ignored", origin, words[0]))
			continue
		}
		r.out.settings = append(r.out.settings, s)
	}
	return nil
}

// confSetting turns the words of a line into a setting; its option is nil if
// the directive is unknown.
func confSetting(origin string, words []string) (setting, error) {
	o, ok := Lookup(words[0])
	if !ok {
		return setting{}, nil
	}
	if !o.value.words() && len(words) != 2 || len(words) < 2 {
		return setting{}, &ValueError{Origin: origin, Option: o, Value: strings.Join(words[1:], " "), Reason: reason("wrong number of arguments")}
	}
	return setting{o, strings.Join(words[1:], " "), origin}, nil
}

func (r *confReader) include(origin string, words []string, depth int) error {
	if len(words) != 1 {
		return fmt.Errorf("%s: include: wrong number of arguments; allowed: one path", origin)
	}
	if depth >= maxIncludeDepth {
		return fmt.Errorf("%s: include: files are nested deeper than %d", origin, maxIncludeDepth)
	}
	path := words[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.dir, path)
	}
	paths := []string{path}
	if strings.ContainsAny(words[0], "*?[") {
		found, err := filepath.Glob(path)
		if err != nil {
			return fmt.Errorf("%s: include: %w", origin, err)
		}
		paths = found // none is fine, as in redis-server
	}
	for _, p := range paths {
		if r.files++; r.files > maxIncludes {
			return fmt.Errorf("%s: include: more than %d files", origin, maxIncludes)
		}
		data, err := readFile(p)
		if err != nil {
			return fmt.Errorf("%s: include: %w", origin, err)
		}
		if err := r.read(p, data, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// readFile reads a whole configuration file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%s is larger than %s", path, formatSize(maxFileSize))
	}
	return data, nil
}

// splitWords splits a line as redis-server does: words are separated by space;
// "…" knows \xHH and \n \r \t \b \a, '…' only \'; a closing quote ends a word.
func splitWords(line string) (words []string, ok bool) {
	for {
		line = strings.TrimLeft(line, " \t\r\n\v\f")
		if line == "" {
			return words, true
		}
		var word []byte
		for line != "" && !isSpace(line[0]) {
			if c := line[0]; c == '"' || c == '\'' {
				n, closed := quotedWord(line, &word)
				if !closed || n < len(line) && !isSpace(line[n]) {
					return nil, false
				}
				line = line[n:]
				break
			}
			word = append(word, line[0])
			line = line[1:]
		}
		words = append(words, string(word))
	}
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// quotedWord appends what stands between the quotes at the begin of s and
// returns the length with both quotes; false if the second is missing.
func quotedWord(s string, word *[]byte) (int, bool) {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return i + 1, true
		case c != '\\' || i+1 == len(s):
			*word = append(*word, c)
		case quote == '\'':
			if s[i+1] == '\'' {
				i++
			}
			*word = append(*word, s[i])
		default:
			b, n := unescape(s[i+1:])
			*word = append(*word, b)
			i += n
		}
	}
	return 0, false
}

// unescape reads what follows a backslash between double quotes.
func unescape(s string) (b byte, n int) {
	if s[0] == 'x' && len(s) > 2 {
		if hi, ok := hexDigit(s[1]); ok {
			if lo, ok := hexDigit(s[2]); ok {
				return hi<<4 | lo, 3
			}
		}
	}
	if i := strings.IndexByte("nrtba", s[0]); i >= 0 {
		return "\n\r\t\b\a"[i], 1
	}
	return s[0], 1
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// quoteWord writes a word so that splitWords reads it back.
func quoteWord(w string) string {
	plain := w != ""
	for i := 0; i < len(w); i++ {
		if c := w[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\'' || c == '\\' || c == '#' {
			plain = false
		}
	}
	if plain {
		return w
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(w); i++ {
		switch c := w[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
