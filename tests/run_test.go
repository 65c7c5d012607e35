package tests

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// run executes one section against one server.
type run struct {
	sec     *section
	srv     *target
	peer    *target // of sections that name it; else nil
	proto   int
	clients map[string]*client
	blocked map[string]bool
	vars    variables
	logged  int // journal records already asserted

	// judge is told of each reply; it compares or records.
	judge func(*step, value) error
	fail  func(line int, format string, args ...any)
}

// maxFailures is how many wrong replies of one section are printed.
const maxFailures = 8

var errStop = errors.New("the rest of the section is pointless")

func (r *run) steps() {
	defer r.hangUp()
	failures := 0
	for i, s := range r.sec.steps {
		if s.proto != 0 && s.proto != r.proto || s.apart != "" && !r.srv.ours() {
			continue
		}
		if s.verb == "log>" {
			if i > 0 && r.sec.steps[i-1].verb == "log>" {
				continue // part of the group before
			}
			if err := r.checkLog(r.sec.steps[i:]); err != nil {
				r.fail(s.line, "%v", err)
			}
			continue
		}
		err := r.step(s)
		if err == nil {
			continue
		}
		r.fail(s.line, "%v", err)
		if failures++; failures == maxFailures || errors.Is(err, errStop) {
			return
		}
	}
}

func (r *run) hangUp() {
	for _, c := range r.clients {
		c.close()
	}
	if r.peer != nil {
		r.peer.stop()
	}
}

func (r *run) step(s *step) error {
	switch s.verb {
	case "clock":
		d, err := time.ParseDuration(strings.TrimPrefix(s.text, "+"))
		if err != nil {
			return err
		}
		r.vars.now = r.vars.now.Add(d)
		return r.srv.advance(d)
	case "close":
		if c := r.clients[s.client]; c != nil {
			c.close()
			delete(r.clients, s.client)
			delete(r.blocked, s.client)
		}
		return nil
	}
	c, err := r.client(s.client)
	if err != nil {
		return fmt.Errorf("%w: %w", errStop, err)
	}
	return r.talk(s, c)
}

func (r *run) talk(s *step, c *client) error {
	var err error
	switch s.verb {
	case ">", "send>":
		err = r.sendLine(s, c)
	case "block>":
		return r.block(s, c)
	case "raw>", "raw+>":
		var text string
		if text, _, err = unquote(s.text); err == nil {
			err = c.sendRaw([]byte(r.vars.expand(text)))
		}
	case "quiet":
		return r.quiet(s, c)
	case "wait":
		delete(r.blocked, s.client)
	}
	if err != nil && !closedByPeer(err) {
		return fmt.Errorf("%w: %w", errStop, err)
	}
	if !s.replies() {
		return nil
	}
	v, err := c.read()
	if err != nil {
		return fmt.Errorf("%w: no reply: %w", errStop, err)
	}
	return r.judge(s, v)
}

func (r *run) client(name string) (*client, error) {
	if c := r.clients[name]; c != nil {
		return c, nil
	}
	srv := r.srv
	if name == "peer" {
		srv = r.peer
	}
	c, err := dial(srv.network, srv.addr, r.proto)
	if err == nil {
		r.clients[name] = c
	}
	return c, err
}

func (r *run) sendLine(s *step, c *client) error {
	args, err := splitArgs(s.text)
	if err != nil {
		return err
	}
	for i := range args {
		args[i] = r.vars.expand(args[i])
	}
	return c.send(args...)
}

// block sends a command and returns once the server has parked its client.
func (r *run) block(s *step, c *client) error {
	control, err := dial(r.srv.network, r.srv.addr, 2)
	if err != nil {
		return err
	}
	defer control.close()
	before, err := blockedClients(control)
	if err != nil {
		return err
	}
	if err := r.sendLine(s, c); err != nil {
		return err
	}
	r.blocked[s.client] = true
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); {
		n, err := blockedClients(control)
		if err != nil || n > before {
			return err
		}
		if pending(c, time.Millisecond) {
			v, err := c.read()
			return fmt.Errorf("%w: did not block but answered %s (%v)", errStop, v.render(), err)
		}
	}
	return fmt.Errorf("%w: neither blocked nor answered", errStop)
}

func blockedClients(c *client) (int, error) {
	v, err := c.do("INFO", "clients")
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(v.text, "\r\nblocked_clients:")
	if !found {
		return 0, fmt.Errorf("INFO clients has no blocked_clients: %s", v.render())
	}
	line, _, _ := strings.Cut(rest, "\r\n")
	return strconv.Atoi(line)
}

// pending says whether a byte arrives within d.
func pending(c *client, d time.Duration) bool {
	c.conn.SetReadDeadline(time.Now().Add(d))
	_, err := c.in.Peek(1)
	var timeout net.Error
	return !(errors.As(err, &timeout) && timeout.Timeout())
}

// quiet asserts that nothing is waiting for a client. A blocked one cannot be
// asked, so it is only listened to for a moment.
func (r *run) quiet(s *step, c *client) error {
	if r.blocked[s.client] {
		if pending(c, 20*time.Millisecond) {
			v, err := c.read()
			return fmt.Errorf("%s should still be blocked, got %s (%v)", s.client, v.render(), err)
		}
		return nil
	}
	v, err := c.do("PING", "quiet?")
	if err != nil {
		return fmt.Errorf("%w: %w", errStop, err)
	}
	if last := v; v.kind == '*' && len(v.items) == 2 {
		v = last.items[1] // PING while subscribed in protocol 2
	}
	if v.text != "quiet?" {
		return fmt.Errorf("%s should have nothing more to read, got %s", s.client, v.render())
	}
	return nil
}

// checkLog asserts all journal records since the previous group of log> lines
// by the group that steps begins with.
func (r *run) checkLog(steps []*step) error {
	if r.srv.records == nil {
		return nil
	}
	all, err := r.srv.records()
	if err != nil {
		return err
	}
	fresh := all[r.logged:]
	r.logged = len(all)
	var want [][]string
	for _, s := range steps {
		if s.verb != "log>" {
			break
		}
		args, err := splitArgs(s.text)
		if err != nil {
			return err
		}
		for i := range args {
			args[i] = r.vars.expand(args[i])
		}
		if len(args) > 0 {
			want = append(want, args)
		}
	}
	if logMatches(want, fresh) {
		return nil
	}
	var b strings.Builder
	for _, record := range fresh {
		fmt.Fprintf(&b, "\n  %q", record)
	}
	return fmt.Errorf("the journal holds%s\n  and not %q", b.String(), want)
}

// logMatches compares records with log> lines, of which "..." stands for any number.
func logMatches(want, records [][]string) bool {
	if len(want) == 0 {
		return len(records) == 0
	}
	if len(want[0]) == 1 && want[0][0] == "..." {
		for i := range len(records) + 1 {
			if logMatches(want[1:], records[i:]) {
				return true
			}
		}
		return false
	}
	if len(records) == 0 || len(records[0]) != len(want[0]) {
		return false
	}
	for i, pattern := range want[0] {
		arg := records[0][i]
		if pattern != "*" && pattern != arg && !(i == 0 && strings.EqualFold(pattern, arg)) {
			return false
		}
	}
	return logMatches(want[1:], records[1:])
}

// compare judges a reply by the golden below its step.
func (r *run) compare(s *step, v value) error {
	text := s.golden(r.proto)
	g, err := parseGolden(text, r.vars.expand)
	if err != nil {
		return fmt.Errorf("%s\n  the golden cannot be read: %v\n  got %s", s.text, err, v.render())
	}
	if g.matches(v, r.vars.kept) {
		return nil
	}
	err = fmt.Errorf("%s %s\n  want %s\n  got  %s", s.verb, s.text, text, v.render())
	if v.kind == 'x' && g.value.kind != 'x' {
		return fmt.Errorf("%w: %w", errStop, err)
	}
	return err
}

// recording gathers the replies of a real Redis and writes them into a script.
type recording struct {
	script  *script
	replies map[int]map[int]value // line → protocol → reply
}

func (rec *recording) judge(proto int, r *run) func(*step, value) error {
	return func(s *step, v value) error {
		if rec.replies[s.line] == nil {
			rec.replies[s.line] = map[int]value{}
		}
		rec.replies[s.line][proto] = v
		text := s.golden(proto)
		if text == "" || text == "unordered" {
			return nil
		}
		g, err := parseGolden(text, r.vars.expand)
		if err != nil || g.determined() {
			return nil // replaced
		}
		if g.matches(v, r.vars.kept) {
			v.kind |= keepGolden
			rec.replies[s.line][proto] = v
			return nil
		}
		if g.match == "unordered" {
			return nil
		}
		return fmt.Errorf("%s\n  the matcher %s\n  does not fit the recorded %s", s.text, text, v.render())
	}
}

// keepGolden marks a recorded reply whose golden is a matcher that fits.
const keepGolden = 0x80

// rewrite returns the script's text with the recorded replies in place.
func (rec *recording) rewrite() string {
	var out []string
	next := 0
	for _, sec := range rec.script.sections {
		for _, s := range sec.steps {
			by := rec.replies[s.line]
			if by == nil {
				continue
			}
			out = append(out, rec.script.lines[next:s.line+1]...)
			out = append(out, s.recorded(by)...)
			next = s.last
		}
	}
	out = append(out, rec.script.lines[next:]...)
	return strings.Join(out, "\n") + "\n"
}

// recorded returns the reply lines to stand below the step.
func (s *step) recorded(by map[int]value) []string {
	text := func(proto int) string {
		v := by[proto]
		if v.kind&keepGolden != 0 {
			return s.golden(proto)
		}
		if strings.HasPrefix(s.golden(proto), "unordered") {
			sortValues(v.items)
			return "unordered " + v.render()
		}
		return v.render()
	}
	_, has2 := by[2]
	_, has3 := by[3]
	switch {
	case !has3:
		return strings.Split(text(2), "\n")
	case !has2 || text(2) == text(3):
		return strings.Split(text(3), "\n")
	}
	var lines []string
	for _, proto := range []int{2, 3} {
		for _, line := range strings.Split(text(proto), "\n") {
			lines = append(lines, fmt.Sprintf("%d| %s", proto, line))
		}
	}
	return lines
}

func (rec *recording) write() error {
	return os.WriteFile(rec.script.path, []byte(rec.rewrite()), 0o644)
}
