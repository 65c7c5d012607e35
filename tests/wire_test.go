package tests

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// value is one reply as it stood on the wire. Kind is the RESP type byte; the
// null kinds are '$' and '*' with null set (RESP2) and '_' (RESP3). A closed
// connection is the kind 'x'.
type value struct {
	kind  byte
	null  bool
	text  string // everything that is not an aggregate, without framing
	items []value
}

var errProtocol = errors.New("the server broke the protocol")

// maxDepth bounds the nesting a reply may have: no command nests deeper.
const maxDepth = 16

// readValue reads one reply. It accepts exactly what RESP2 and RESP3 define and
// takes anything else for a desynchronized stream.
func readValue(r *bufio.Reader) (value, error) { return readNested(r, 0) }

func readNested(r *bufio.Reader, depth int) (value, error) {
	line, err := readLine(r)
	if err != nil {
		return value{}, err
	}
	v := value{kind: line[0], text: line[1:]}
	switch v.kind {
	case '+', '-', ':', ',', '#', '(', '_':
		return v, scalarFault(v)
	case '$', '=', '!':
		return readBulk(r, v)
	case '*', '~', '>', '%':
		if depth == maxDepth {
			return v, fmt.Errorf("%w: nested deeper than %d", errProtocol, maxDepth)
		}
		return readItems(r, v, depth)
	}
	return v, fmt.Errorf("%w: reply begins with %q", errProtocol, line)
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	if len(line) < 3 || !strings.HasSuffix(line, "\r\n") {
		return "", fmt.Errorf("%w: line %q", errProtocol, line)
	}
	return line[:len(line)-2], nil
}

func scalarFault(v value) error {
	var err error
	switch v.kind {
	case ':':
		_, err = strconv.ParseInt(v.text, 10, 64)
	case ',':
		_, err = strconv.ParseFloat(v.text, 64)
	case '#':
		if v.text != "t" && v.text != "f" {
			err = errProtocol
		}
	case '_':
		if v.text != "" {
			err = errProtocol
		}
	}
	if err != nil {
		return fmt.Errorf("%w: scalar %q", errProtocol, string(v.kind)+v.text)
	}
	return nil
}

func readBulk(r *bufio.Reader, v value) (value, error) {
	n, err := strconv.Atoi(v.text)
	if v.kind == '$' && n == -1 && err == nil {
		return value{kind: '$', null: true}, nil
	}
	if err != nil || n < 0 {
		return v, fmt.Errorf("%w: bulk length %q", errProtocol, v.text)
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(r, b); err != nil {
		return v, err
	}
	if string(b[n:]) != "\r\n" {
		return v, fmt.Errorf("%w: bulk of %d bytes is followed by %q", errProtocol, n, b[n:])
	}
	v.text = string(b[:n])
	return v, nil
}

func readItems(r *bufio.Reader, v value, depth int) (value, error) {
	n, err := strconv.Atoi(v.text)
	if v.kind == '*' && n == -1 && err == nil {
		return value{kind: '*', null: true}, nil
	}
	if err != nil || n < 0 {
		return v, fmt.Errorf("%w: aggregate length %q", errProtocol, v.text)
	}
	if v.kind == '%' {
		n *= 2
	}
	v.text = ""
	for range n {
		item, err := readNested(r, depth+1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
	}
	return v, nil
}

func (v value) aggregate() bool {
	return !v.null && (v.kind == '*' || v.kind == '~' || v.kind == '>' || v.kind == '%')
}

func (v value) isError() bool { return v.kind == '-' || v.kind == '!' }

// render writes v in the notation of command/testdata/README.md.
func (v value) render() string {
	if line, ok := v.renderLine(); ok {
		return line
	}
	var b strings.Builder
	v.renderTree(&b, "")
	return strings.TrimSuffix(b.String(), "\n")
}

// lineWidth is where a rendered aggregate is broken into several lines.
const lineWidth = 100

func (v value) renderLine() (string, bool) {
	if !v.aggregate() {
		return v.renderScalar(), true
	}
	open, end := v.brackets()
	parts := make([]string, 0, len(v.items))
	size := 0
	for i, item := range v.items {
		s, ok := item.renderLine()
		if !ok || strings.HasPrefix(s, "(error)") || strings.HasPrefix(s, "(status)") {
			return "", false
		}
		if v.kind == '%' && i%2 == 0 {
			s += ":"
		}
		parts = append(parts, s)
		if size += len(s) + 1; size > lineWidth {
			return "", false
		}
	}
	return open + strings.Join(parts, " ") + end, true
}

func (v value) renderTree(b *strings.Builder, indent string) {
	if line, ok := v.renderLine(); ok {
		b.WriteString(indent + line + "\n")
		return
	}
	open, end := v.brackets()
	b.WriteString(indent + open + "\n")
	for i := 0; i < len(v.items); i++ {
		item := v.items[i]
		if v.kind != '%' {
			item.renderTree(b, indent+"  ")
			continue
		}
		key, _ := item.renderLine()
		i++
		rest := &strings.Builder{}
		v.items[i].renderTree(rest, indent+"  ")
		b.WriteString(indent + "  " + key + ": " + strings.TrimLeft(rest.String(), " "))
	}
	b.WriteString(indent + end + "\n")
}

func (v value) brackets() (string, string) {
	switch v.kind {
	case '%':
		return "{", "}"
	case '~':
		return "set[", "]"
	case '>':
		return "push[", "]"
	}
	return "[", "]"
}

func (v value) renderScalar() string {
	switch {
	case v.kind == 'x':
		return "(closed)"
	case v.kind == '_':
		return "nil"
	case v.null && v.kind == '*':
		return "nil-array"
	case v.null:
		return "nil"
	}
	switch v.kind {
	case '+':
		if bareStatus(v.text) {
			return v.text
		}
		return "(status) " + plainOrQuoted(v.text)
	case '-':
		return "(error) " + plainOrQuoted(v.text)
	case ':':
		return v.text
	case ',':
		return "double " + v.text
	case '#':
		return map[string]string{"t": "true", "f": "false"}[v.text]
	case '(':
		return "bignum " + v.text
	case '=':
		kind, text, _ := strings.Cut(v.text, ":")
		return "verbatim " + kind + " " + quote(text)
	}
	return quote(v.text)
}

func bareStatus(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '@' || c == '_'
		if !letter && (c != '-' || i == 0) {
			return false
		}
	}
	switch s {
	case "", "nil", "true", "false", "set", "push", "double", "bignum", "verbatim", "unordered":
		return false
	}
	return true
}

func plainOrQuoted(s string) string {
	if s == "" || s[0] == '"' || strings.TrimSpace(s) != s || quote(s) != `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)+`"` {
		return quote(s)
	}
	return s
}

// quote writes a text as redis-cli does: only ASCII, the rest escaped.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\' || c == '"':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c > '~':
			const hex = "0123456789abcdef"
			b.WriteString(`\x`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// sorted is v with the elements of sets and maps in a canonical order.
func (v value) sorted() value {
	if len(v.items) == 0 {
		return v
	}
	items := make([]value, len(v.items))
	for i, item := range v.items {
		items[i] = item.sorted()
	}
	v.items = items
	switch v.kind {
	case '~':
		sortValues(items)
	case '%':
		sort.Stable(pairs(items))
	}
	return v
}

func sortValues(items []value) {
	sort.SliceStable(items, func(i, j int) bool { return items[i].render() < items[j].render() })
}

// pairs sorts a map's items by key.
type pairs []value

func (p pairs) Len() int           { return len(p) / 2 }
func (p pairs) Less(i, j int) bool { return p[2*i].render() < p[2*j].render() }
func (p pairs) Swap(i, j int) {
	p[2*i], p[2*j] = p[2*j], p[2*i]
	p[2*i+1], p[2*j+1] = p[2*j+1], p[2*i+1]
}

// equalValues compares with sets and maps taken as unordered. What is equal as it
// stands, as nearly everything is, is not put into order or words.
func equalValues(a, b value) bool {
	return same(a, b) || a.sorted().render() == b.sorted().render()
}

func same(a, b value) bool {
	return a.kind == b.kind && a.null == b.null && a.text == b.text && slices.EqualFunc(a.items, b.items, same)
}

// client is one connection to a server under test.
type client struct {
	conn  net.Conn
	in    *bufio.Reader
	proto int
}

// replyTimeout ends a test that would hang; nothing is ever asserted about time.
const replyTimeout = 20 * time.Second

func dial(network, addr string, proto int) (*client, error) {
	conn, err := net.DialTimeout(network, addr, replyTimeout)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), proto: proto}
	if proto == 3 {
		if v, err := c.do("HELLO", "3"); err != nil || v.isError() {
			conn.Close()
			return nil, fmt.Errorf("HELLO 3: %v %s", err, v.render())
		}
	}
	return c, nil
}

func (c *client) close() { c.conn.Close() }

func (c *client) sendRaw(b []byte) error {
	c.conn.SetWriteDeadline(time.Now().Add(replyTimeout))
	_, err := c.conn.Write(b)
	return err
}

func (c *client) send(args ...string) error { return c.sendRaw(appendCommand(nil, args)) }

// read returns one reply; the kind 'x' when the server has closed.
func (c *client) read() (value, error) {
	c.conn.SetReadDeadline(time.Now().Add(replyTimeout))
	v, err := readValue(c.in)
	if closedByPeer(err) {
		return value{kind: 'x'}, nil
	}
	return v, err
}

func (c *client) do(args ...string) (value, error) {
	if err := c.send(args...); err != nil {
		if closedByPeer(err) {
			return value{kind: 'x'}, nil
		}
		return value{}, err
	}
	return c.read()
}

func closedByPeer(err error) bool {
	if err == nil {
		return false
	}
	return errors.Is(err, io.EOF) || strings.Contains(err.Error(), "connection reset") || strings.Contains(err.Error(), "broken pipe")
}

func appendCommand(b []byte, args []string) []byte {
	b = fmt.Appendf(b, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}
