package server

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"time"

	"synap/resp"
)

// target is the server that MIGRATE sends to. Its network calls block: they run
// on a goroutine of their own.
type target struct {
	host, port string
	timeout    time.Duration // without progress
	greeting   [][]byte      // requests that go before all others
	out        []byte        // requests of the batch

	ctx  context.Context // its end closes conn
	conn net.Conn        // nil until the first batch
	in   *bufio.Reader
}

// answers are a target's to one batch.
type answers struct {
	taken   []bool     // by key: the target has it
	refused string     // the first other answer
	broken  resp.Error // no further answers will come
}

const (
	targetLine  = 1024     // bytes of the longest answer that is read
	targetChunk = 64 << 10 // bytes written in one time-out
)

func newTarget(host, port string, timeout time.Duration) target {
	if n, ok := resp.ParseInt([]byte(port)); !ok || n < 0 || n > 65535 {
		port = "0" // nobody listens there
	}
	return target{host: host, port: port, timeout: timeout}
}

// greet prepares what makes the target listen to us.
func (t *target) greet(user, password []byte, db int64) {
	switch {
	case user != nil:
		t.greeting = append(t.greeting, resp.AppendRequest(nil, []byte("AUTH"), user, password))
	case password != nil:
		t.greeting = append(t.greeting, resp.AppendRequest(nil, []byte("AUTH"), password))
	}
	t.greeting = append(t.greeting, resp.AppendRequest(nil, []byte("SELECT"), strconv.AppendInt(nil, db, 10)))
}

// talk sends the batch of n keys and reads the answers.
func (t *target) talk(n int) (a answers) {
	if n == 0 {
		return a
	}
	if t.conn == nil {
		if a = t.connect(); a.broken != "" {
			return a
		}
	}
	if !t.write(t.out) {
		return answers{broken: resp.ErrMigrateWriting}
	}
	a.taken = make([]bool, n)
	for i := range a.taken {
		switch line := t.line(); line {
		case "":
			a.broken = resp.ErrMigrateReading
			return a
		case "+OK":
			a.taken[i] = true
		default:
			a.refuse(line)
		}
	}
	return a
}

// refuse notes an answer that is not OK, be it an error or no Redis' at all.
func (a *answers) refuse(line string) {
	if a.refused != "" {
		return
	}
	if a.refused = line; line[0] == '-' {
		a.refused = line[1:]
	}
}

// connect dials and greets. Keys are sent only to who has taken the greeting:
// behind a refused SELECT they would end up in another database.
func (t *target) connect() (a answers) {
	dialer := net.Dialer{Timeout: t.timeout}
	conn, err := dialer.DialContext(t.ctx, "tcp", net.JoinHostPort(t.host, t.port))
	if err != nil {
		a.broken = resp.ErrMigrateConnecting
		var refused *os.SyscallError
		if errors.As(err, &refused) { // which Redis notices when it writes
			a.broken = resp.ErrMigrateWriting
		}
		return a
	}
	context.AfterFunc(t.ctx, func() { conn.Close() })
	t.conn, t.in = conn, bufio.NewReaderSize(conn, targetLine)
	for _, request := range t.greeting {
		if !t.write(request) {
			return answers{broken: resp.ErrMigrateWriting}
		}
		switch line := t.line(); line {
		case "":
			return answers{broken: resp.ErrMigrateReading}
		case "+OK":
		default:
			a.refuse(line)
			a.broken = resp.ErrMigrateReading
			return a
		}
	}
	return a
}

func (t *target) write(b []byte) bool {
	for len(b) > 0 {
		_ = t.conn.SetWriteDeadline(time.Now().Add(t.timeout))
		n, err := t.conn.Write(b[:min(len(b), targetChunk)])
		if err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// line reads an answer without its line end; empty: there is none, or it is too
// long.
func (t *target) line() string {
	_ = t.conn.SetReadDeadline(time.Now().Add(t.timeout))
	b, err := t.in.ReadSlice('\n')
	if err != nil {
		return ""
	}
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return string(b)
}
