package resp

import "bytes"

// Limits bound one request and the input held for one session. A session's
// Limits may change between two requests.
type Limits struct {
	Args   int // arguments in one request
	Bulk   int // bytes of one argument (proto-max-bulk-len)
	Inline int // bytes of an inline request's line
	Header int // bytes of a "*3" or "$5" line
	Query  int // input bytes held for one session (client-query-buffer-limit)

	// Unauthenticated chooses the error texts of limits that AUTH lifts.
	Unauthenticated bool
}

const (
	maxCount       = 1<<31 - 1 // Redis keeps the argument count in an int
	defaultMaxBulk = 512 << 20
)

// DefaultLimits are Redis' limits, except for the argument count (Redis: 2³¹−1)
// and the header line (Redis: 64 KiB).
func DefaultLimits() Limits {
	return Limits{Args: 1 << 20, Bulk: defaultMaxBulk, Inline: 64 << 10, Header: 32, Query: 1 << 30}
}

// BeforeAuth narrows l to what a client may send before it has authenticated
// (CVE-2021-32675).
func (l Limits) BeforeAuth() Limits {
	l.Args, l.Bulk, l.Query = min(l.Args, 10), min(l.Bulk, 16<<10), min(l.Query, 1<<20)
	l.Unauthenticated = true
	return l
}

// ProtocolError is bad framing: it is answered "-ERR Protocol error: …" and the
// connection closed. Text is without "ERR ".
type ProtocolError struct{ Text string }

func (e *ProtocolError) Error() string { return e.Text }

func protocolError(text string) error { return &ProtocolError{Text: "Protocol error: " + text} }

// Parser reads requests of the Redis protocol incrementally
// (https://redis.io/docs/reference/protocol-spec). Its state is offsets, so the
// unfinished request may be moved between two calls, and nothing is read twice:
// the work is linear in the bytes received, however they are cut.
//
// The zero value is ready for the first request.
type Parser struct {
	frame
	args [][]byte
}

// keptArgs is the longest argument list that a Parser keeps for reuse.
const keptArgs = 1024

// Next takes one request from buf, which begins at the unfinished request and
// holds every byte received since. It consumes n bytes; args alias buf and are
// valid until the next call. args == nil with n == 0: more bytes are needed.
// No args with n > 0: a blank line or an empty array, to be skipped. Quoted
// inline arguments are unescaped in place. After an error the connection is to
// be closed.
func (p *Parser) Next(buf []byte, lim *Limits) (args [][]byte, n int, err error) {
	if cap(p.args) > keptArgs {
		p.args = nil
	}
	args, n, err = p.frame.next(buf, lim, p.args[:0])
	if args != nil {
		p.args = args
	}
	return args, n, err
}

// frame is where the parsing of an unfinished request stands. It begins with
// buf[0] in every call; all zero means nothing is read yet.
type frame struct {
	pos  int // bytes parsed; of an inline request: bytes without a line end, or nulInLine
	left int // arguments not yet seen whole
	bulk int // length of the argument at pos, plus one; 0: its header is next
}

// nulInLine marks an inline request whose line holds a NUL: Redis searches the
// line's end as a C string and so never finds it.
const nulInLine = -1

// Results of header other than a length.
const (
	headerShort = -1 - iota
	headerLong
	headerBad
	headerNegative
)

func (f *frame) next(buf []byte, lim *Limits, args [][]byte) ([][]byte, int, error) {
	if len(buf) == 0 {
		return nil, 0, nil
	}
	if buf[0] != '*' {
		return f.inline(buf, lim, args)
	}
	if f.pos != 0 {
		return f.resume(buf, lim, args)
	}
	count, pos := length(buf, 1)
	if pos == 0 {
		var err error
		if count, pos, err = f.count(buf, lim); pos == 0 {
			return nil, 0, err
		}
	} else if count > lim.Args {
		return nil, 0, tooManyArgs(count, lim)
	}
	for left := count; left > 0; left-- {
		if pos >= len(buf) {
			f.pos, f.left, f.bulk = pos, left, 0
			return nil, 0, nil
		}
		start := 0
		size := 0
		if buf[pos] == '$' {
			size, start = length(buf, pos+1)
		}
		if start == 0 || size > lim.Bulk {
			var err error
			if size, start, err = f.size(buf, pos, lim); start == 0 {
				f.pos, f.left, f.bulk = pos, left, 0
				return f.fail(err)
			}
		}
		if len(buf)-start-2 < size {
			f.pos, f.left, f.bulk = start, left, size+1
			return nil, 0, nil
		}
		end := start + size
		if buf[end] != '\r' || buf[end+1] != '\n' {
			return f.fail(errTrailer)
		}
		args = append(args, buf[start:end:end])
		pos = end + 2
	}
	return args, pos, nil
}

var errTrailer = protocolError("invalid bulk length")

func (f *frame) fail(err error) ([][]byte, int, error) {
	if err != nil {
		*f = frame{}
	}
	return nil, 0, err
}

// length reads up to three digits and CRLF at buf[i:]. next is 0 if what stands
// there is anything else: header then looks closer.
func length(buf []byte, i int) (v, next int) {
	if i+3 > len(buf) {
		return 0, 0
	}
	b := buf[i:]
	d0 := b[0] - '0'
	if d0 > 9 {
		return 0, 0
	}
	if b[1] == '\r' {
		if b[2] == '\n' {
			return int(d0), i + 3
		}
		return 0, 0
	}
	d1 := b[1] - '0'
	if d1 > 9 || d0 == 0 || len(b) < 4 {
		return 0, 0
	}
	v = int(d0)*10 + int(d1)
	if b[2] == '\r' {
		if b[3] == '\n' {
			return v, i + 4
		}
		return 0, 0
	}
	d2 := b[2] - '0'
	if d2 > 9 || len(b) < 5 || b[3] != '\r' || b[4] != '\n' {
		return 0, 0
	}
	return v*10 + int(d2), i + 5
}

// header reads the number of the line at buf[pos:], whose first byte is its
// type. next is where the line ends; n is negative if it holds no length.
func header(buf []byte, pos int, lim *Limits) (n int64, next int) {
	line := buf[pos:min(len(buf), pos+lim.Header)]
	end := bytes.IndexByte(line, '\r')
	if lf := bytes.IndexByte(line, '\n'); lf >= 0 && (end < 0 || lf < end) {
		return headerBad, 0 // a bare LF: Redis would wait for a CR for ever
	}
	switch {
	case end < 0 && len(line) == lim.Header:
		return headerLong, 0
	case end < 0 || pos+end+1 == len(buf):
		return headerShort, 0
	case buf[pos+end+1] != '\n':
		return headerBad, 0
	}
	n, ok := ParseInt(line[1:end])
	if !ok {
		return headerBad, 0
	}
	if n < 0 {
		n = headerNegative
	}
	return n, pos + end + 2
}

// count reads the "*3" line with every check. next == 0: error or incomplete.
func (f *frame) count(buf []byte, lim *Limits) (n, next int, err error) {
	v, next := header(buf, 0, lim)
	switch {
	case v == headerShort:
		return 0, 0, nil
	case v == headerLong:
		return 0, 0, protocolError("too big mbulk count string")
	case v == headerBad:
		return 0, 0, protocolError("invalid multibulk length")
	case v == headerNegative:
		return 0, next, nil
	case v > int64(lim.Args):
		return 0, 0, tooManyArgs(int(v), lim)
	}
	return int(v), next, nil
}

func tooManyArgs(n int, lim *Limits) error {
	if lim.Unauthenticated && n <= maxCount {
		return protocolError("unauthenticated multibulk length")
	}
	return protocolError("invalid multibulk length")
}

// size reads the "$5" line at buf[pos:]. start == 0: error or incomplete.
func (f *frame) size(buf []byte, pos int, lim *Limits) (n, start int, err error) {
	if buf[pos] != '$' {
		return 0, 0, protocolError(oneLine("expected '$', got '" + string(buf[pos:pos+1]) + "'"))
	}
	v, start := header(buf, pos, lim)
	switch {
	case v == headerShort:
		return 0, 0, nil
	case v == headerLong:
		return 0, 0, protocolError("too big bulk count string")
	case v < 0:
		return 0, 0, errTrailer
	case v > int64(lim.Bulk):
		if lim.Unauthenticated && v <= defaultMaxBulk {
			return 0, 0, protocolError("unauthenticated bulk length")
		}
		return 0, 0, errTrailer
	}
	return int(v), start, nil
}

// resume goes on with a request that an earlier call saw in part. Arguments are
// collected only when it is whole: buf may have moved since.
func (f *frame) resume(buf []byte, lim *Limits, args [][]byte) ([][]byte, int, error) {
	for f.left > 0 {
		if f.bulk == 0 {
			if f.pos >= len(buf) {
				return nil, 0, nil
			}
			size, start, err := f.size(buf, f.pos, lim)
			if start == 0 {
				return f.fail(err)
			}
			f.pos, f.bulk = start, size+1
		}
		size := f.bulk - 1
		if len(buf)-f.pos-2 < size {
			return nil, 0, nil
		}
		end := f.pos + size
		if buf[end] != '\r' || buf[end+1] != '\n' {
			return f.fail(errTrailer)
		}
		f.pos, f.bulk = end+2, 0
		f.left--
	}
	n := f.pos
	*f = frame{}
	return collect(buf[:n], args), n, nil
}

// collect lists the arguments of a whole, checked request.
func collect(buf []byte, args [][]byte) [][]byte {
	for pos := bytes.IndexByte(buf, '\n') + 1; pos < len(buf); {
		size, start := length(buf, pos+1)
		if start == 0 {
			eol := pos + bytes.IndexByte(buf[pos:], '\r')
			n, _ := ParseInt(buf[pos+1 : eol])
			size, start = int(n), eol+2
		}
		args = append(args, buf[start:start+size:start+size])
		pos = start + size + 2
	}
	return args
}

// missing returns how many bytes the argument being received still lacks, its
// CRLF included; 0 if that is not known.
func (f *frame) missing(have int) int {
	if f.bulk == 0 {
		return 0
	}
	return max(0, f.pos+f.bulk-1+2-have)
}

// inline reads a request given as a line of words.
func (f *frame) inline(buf []byte, lim *Limits, args [][]byte) ([][]byte, int, error) {
	end := -1
	if f.pos != nulInLine {
		fresh := buf[f.pos:min(len(buf), lim.Inline+1)]
		end = bytes.IndexByte(fresh, '\n')
		if end < 0 {
			f.pos += len(fresh)
		} else {
			fresh = fresh[:end]
			end += f.pos
		}
		if bytes.IndexByte(fresh, 0) >= 0 {
			f.pos, end = nulInLine, -1
		}
	}
	if end < 0 {
		if len(buf) > lim.Inline {
			return f.fail(protocolError("too big inline request"))
		}
		return nil, 0, nil
	}
	*f = frame{}
	line := buf[:end]
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	args, ok := splitLine(line, args)
	if !ok {
		return nil, 0, protocolError("unbalanced quotes in request")
	}
	return args, end + 1, nil
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// splitLine cuts a line into words by the rules of redis-cli: double quotes with
// \n \r \t \b \a \" \\ \xHH, single quotes with \' only. A closing quote must
// end its word. Words are unescaped in place: they never grow.
func splitLine(line []byte, args [][]byte) (_ [][]byte, ok bool) {
	i := 0
	for {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return args, true
		}
		start, w := i, i
	word:
		for ; i < len(line); i++ {
			switch c := line[i]; c {
			case ' ', '\t', '\n', '\r':
				break word
			case '"', '\'':
				i, w, ok = quoted(line, i+1, w, c)
				if !ok {
					return nil, false
				}
				break word
			default:
				line[w] = c
				w++
			}
		}
		args = append(args, line[start:w:w])
	}
}

// quoted unescapes the text from line[i] to its closing quote to line[w:]. It
// returns the place behind the quote and the end of what it wrote.
func quoted(line []byte, i, w int, quote byte) (next, end int, ok bool) {
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case c == quote:
			i++
			return i, w, i == len(line) || isSpace(line[i])
		case c == '\\' && quote == '\'' && i+1 < len(line) && line[i+1] == '\'':
			i++
			c = '\''
		case c == '\\' && quote == '"' && i+1 < len(line):
			c, i = unescape(line, i+1)
		}
		line[w] = c
		w++
	}
	return i, w, false
}

// unescape decodes the escape whose backslash stands before line[i]; it returns
// the byte and the place of the escape's last character.
func unescape(line []byte, i int) (byte, int) {
	switch c := line[i]; c {
	case 'n':
		return '\n', i
	case 'r':
		return '\r', i
	case 't':
		return '\t', i
	case 'b':
		return '\b', i
	case 'a':
		return '\a', i
	case 'x':
		if i+2 < len(line) {
			hi, ok1 := hexDigit(line[i+1])
			lo, ok2 := hexDigit(line[i+2])
			if ok1 && ok2 {
				return hi<<4 | lo, i + 2
			}
		}
		return c, i
	default:
		return c, i
	}
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
