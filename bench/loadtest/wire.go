package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// reply is one reply or message of either protocol.
type reply struct {
	kind  byte
	text  string
	n     int64
	null  bool
	items []reply
}

func (r *reply) failed() bool { return r.kind == '-' }

// first is the word that begins an array: what kind of message it is.
func (r *reply) first() string {
	if len(r.items) == 0 {
		return ""
	}
	return r.items[0].text
}

// request is a command and its arguments.
type request []string

// line makes a request of words parted by blanks.
func line(format string, args ...any) request {
	return strings.Fields(fmt.Sprintf(format, args...))
}

// client is one connection. It enters what it does into its ledger and belongs
// to one goroutine.
type client struct {
	conn   net.Conn
	r      *bufio.Reader
	did    ledger
	queued []request // since MULTI
	multi  bool
}

// patience is how long a reply may take.
const patience = 30 * time.Second

// dial connects from a source address and enters the connection.
func dial(addr, from string, did ledger) (*client, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	did.add(1, "synap_connections_accepted_total")
	return &client{conn: conn, r: bufio.NewReader(conn), did: did}, nil
}

func (c *client) close() { c.conn.Close() }

// send writes requests in one piece.
func (c *client) send(all ...request) error {
	var b []byte
	for _, r := range all {
		b = fmt.Appendf(b, "*%d\r\n", len(r))
		for _, arg := range r {
			b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(arg), arg)
		}
	}
	c.did.add(float64(len(b)), "synap_net_input_bytes_total")
	c.conn.SetDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(b)
	return err
}

// do sends requests in one pipeline, reads their replies and enters both.
func (c *client) do(all ...request) ([]reply, error) {
	if err := c.send(all...); err != nil {
		return nil, err
	}
	replies := make([]reply, len(all))
	for i, r := range all {
		var err error
		if replies[i], err = c.read(); err != nil {
			return nil, fmt.Errorf("%q: %w", r, err)
		}
		c.enter(r, &replies[i])
	}
	return replies, nil
}

// enter follows MULTI and enters what was run.
func (c *client) enter(r request, got *reply) {
	switch name := strings.ToLower(r[0]); {
	case got.text == "QUEUED":
		c.queued = append(c.queued, r)
		return
	case name == "multi" && !got.failed():
		c.multi = true
	case name == "exec":
		for i := range got.items {
			c.did.enter(c.queued[i], &got.items[i])
		}
		fallthrough
	case name == "discard":
		c.multi, c.queued = false, nil
	}
	c.did.enter(r, got)
}

// read reads one reply and enters its size.
func (c *client) read() (reply, error) {
	text, err := c.line()
	if err != nil {
		return reply{}, err
	}
	r := reply{kind: text[0], text: text[1:]}
	size, _ := strconv.ParseInt(r.text, 10, 64)
	switch r.kind {
	case '_':
		r.null = true
	case ':':
		r.n = size
	case '$', '=':
		if r.null = size < 0; r.null {
			break
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(c.r, b); err != nil {
			return r, err
		}
		c.did.add(float64(len(b)), "synap_net_output_bytes_total")
		r.text = string(b[:size])
	case '*', '~', '>', '%':
		r.null = size < 0
		if r.kind == '%' {
			size *= 2
		}
		for range size {
			item, err := c.read()
			if err != nil {
				return r, err
			}
			r.items = append(r.items, item)
		}
	}
	return r, nil
}

func (c *client) line() (string, error) {
	text, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	c.did.add(float64(len(text)), "synap_net_output_bytes_total")
	if text = strings.TrimSuffix(text, "\r\n"); text == "" {
		return "", errors.New("empty reply")
	}
	return text, nil
}
