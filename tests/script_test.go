package tests

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// script is one file of command/testdata; its README defines the notation.
type script struct {
	path     string
	lines    []string
	sections []*section
}

type section struct {
	title   string
	line    int
	proto   int // 0: both
	options [][2]string
	apart   string // the own line at its head
	steps   []*step
}

// step is one line that does something, with the reply lines below it.
type step struct {
	verb   string // ">" "block>" "send>" "raw>" "raw+>" "log>" "wait" "quiet" "close" "clock"
	client string
	proto  int
	text   string // what follows the client
	line   int    // of the verb, from 0
	last   int    // first line behind the reply
	apart  string // the since or differs line that covers it
	reply  []string
}

// replies says whether the step reads a reply, which then stands below it.
func (s *step) replies() bool { return s.verb == ">" || s.verb == "raw>" || s.verb == "wait" }

var (
	commandLine = regexp.MustCompile(`^([23]?)(>|block>|send>|raw>|raw\+>)(?: ([a-z][a-z0-9]*):(?: |$)| |$)(.*)$`)
	clientLine  = regexp.MustCompile(`^(wait|quiet|close) ([a-z][a-z0-9]*)$`)
)

const defaultClient = "c"

func readScript(path string) (*script, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &script{path: path, lines: strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")}
	p := scriptParser{script: s, section: &section{title: "start"}}
	for i := range s.lines {
		if err := p.line(i); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	p.flush()
	return s, nil
}

type scriptParser struct {
	*script
	section *section
	step    *step // whose reply is being read
	apart   string
}

func (p *scriptParser) flush() {
	if len(p.section.steps) > 0 {
		p.sections = append(p.sections, p.section)
	}
}

func (p *scriptParser) add(s *step, line int) {
	s.line, s.last, s.apart = line, line+1, p.apart
	if s.apart == "" {
		s.apart = p.section.apart
	}
	p.apart = ""
	p.section.steps = append(p.section.steps, s)
	p.step = nil
	if s.replies() {
		p.step = s
	}
}

func (p *scriptParser) line(i int) error {
	text := strings.TrimRight(p.lines[i], " \t\r")
	if m := commandLine.FindStringSubmatch(text); m != nil {
		s := &step{verb: m[2], client: m[3], text: m[4]}
		if m[1] != "" {
			s.proto = int(m[1][0] - '0')
		}
		if s.client == "" {
			s.client = defaultClient
		}
		p.add(s, i)
		return nil
	}
	if m := clientLine.FindStringSubmatch(text); m != nil {
		p.add(&step{verb: m[1], client: m[2]}, i)
		return nil
	}
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case text == "" || strings.HasPrefix(text, "#"):
		p.step = nil
	case word == "==":
		p.flush()
		p.section, p.step = &section{title: rest, line: i}, nil
	case word == "option":
		name, val, _ := strings.Cut(rest, " ")
		p.section.options = append(p.section.options, [2]string{name, strings.Trim(val, `"`)})
	case word == "protocol":
		p.section.proto = int(rest[0] - '0')
	case word == "log>" || word == "clock":
		p.add(&step{verb: word, text: rest}, i)
	case word == "since" || word == "differs":
		if rest == "" {
			return fmt.Errorf("%s needs its source", word)
		}
		p.apart, p.step = text, nil
	case word == "own" && len(p.section.steps) == 0:
		p.section.apart = text
	case p.step == nil:
		return fmt.Errorf("not a line of a script: %q", text)
	default:
		p.step.reply = append(p.step.reply, text)
		p.step.last = i + 1
	}
	return nil
}

// golden returns the step's expected reply text for one protocol.
func (s *step) golden(proto int) string {
	var own, common []string
	for _, line := range s.reply {
		switch {
		case strings.HasPrefix(line, fmt.Sprint(proto, "| ")):
			own = append(own, line[3:])
		case !strings.HasPrefix(line, "2| ") && !strings.HasPrefix(line, "3| "):
			common = append(common, line)
		}
	}
	if len(own) > 0 {
		return strings.Join(own, "\n")
	}
	return strings.Join(common, "\n")
}

// splitArgs cuts a command line into arguments as redis-cli does.
func splitArgs(line string) ([]string, error) {
	var args []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return args, nil
		}
		var arg string
		var err error
		switch {
		case line[0] == '"':
			arg, line, err = unquote(line)
		case line[0] == '\'':
			end := 1
			for end < len(line) && line[end] != '\'' {
				if line[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(line) {
				return nil, errors.New("the quote is not closed")
			}
			arg, line = strings.ReplaceAll(line[1:end], `\'`, `'`), line[end+1:]
		default:
			end := wordEnd(line)
			arg, line = line[:end], line[end:]
		}
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
}

// wordEnd is where a bare argument ends: at a space outside of {rep 3 x}.
func wordEnd(line string) int {
	for i := 0; i < len(line); i++ {
		if strings.HasPrefix(line[i:], "{rep ") {
			if end := strings.IndexByte(line[i:], '}'); end > 0 {
				i += end
				continue
			}
		}
		if line[i] == ' ' || line[i] == '\t' {
			return i
		}
	}
	return len(line)
}

// variables expands {now}, {rep 3 x} and the values kept by `<… as name>`.
type variables struct {
	now  time.Time
	kept map[string]string
}

var placeholder = regexp.MustCompile(`\{(now|nowms)([+-]\d+)?\}|\{rep (\d+) ([^}]+)\}|\{([a-z][a-z0-9]*)\}`)

func (v *variables) expand(s string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	return placeholder.ReplaceAllStringFunc(s, func(word string) string {
		m := placeholder.FindStringSubmatch(word)
		switch {
		case m[1] != "":
			n := v.now.Unix()
			if m[1] == "nowms" {
				n = v.now.UnixMilli()
			}
			var delta int64
			fmt.Sscanf(m[2], "%d", &delta)
			return fmt.Sprint(n + delta)
		case m[3] != "":
			var n int
			fmt.Sscanf(m[3], "%d", &n)
			return strings.Repeat(m[4], n)
		}
		if kept, ok := v.kept[m[5]]; ok {
			return kept
		}
		return word
	})
}
