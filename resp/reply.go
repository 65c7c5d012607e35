package resp

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/redcon"
)

// Reply is a session's output: replies are appended, the door writes and
// consumes them. What differs between RESP2 and RESP3 differs only here.
// The zero value is an empty RESP2 reply without a limit.
type Reply struct {
	buf      []byte
	off      int // bytes of buf already written to the peer
	limit    int // most bytes owed at once; 0 = unlimited
	room     int // appends pass while len(buf) < room; maintained by refit
	errors   int
	elements int
	last     string // prefix of the last error
	three    bool   // RESP3
	ready    bool   // room is valid
	muted    bool
	over     bool
}

// Proto returns 2 or 3.
func (r *Reply) Proto() int {
	if r.three {
		return 3
	}
	return 2
}

// SetProto chooses RESP2 or RESP3.
func (r *Reply) SetProto(version int) { r.three = version == 3 }

// refit recomputes room after limit, off, muted or over changed.
func (r *Reply) refit() {
	r.ready = true
	switch {
	case r.muted || r.over:
		r.room = -1
	case r.limit <= 0:
		r.room = math.MaxInt
	default:
		r.room = r.off + r.limit
	}
}

// fits tells whether n more bytes may be appended.
func (r *Reply) fits(n int) bool { return len(r.buf)+n <= r.room || r.refuse(n) }

func (r *Reply) refuse(n int) bool {
	if !r.ready {
		r.refit()
		return r.fits(n)
	}
	if !r.muted {
		r.over = true
		r.refit()
	}
	return false
}

// headRoom is more than any length line takes.
const headRoom = 24

// OK appends +OK.
func (r *Reply) OK() {
	if r.fits(5) {
		r.buf = append(r.buf, "+OK\r\n"...)
	}
}

// Status appends a simple string; CR and LF become spaces.
func (r *Reply) Status(s string) {
	if r.fits(len(s) + 3) {
		r.buf = redcon.AppendString(r.buf, s)
	}
}

// Error appends an error reply and counts it, also while muted.
func (r *Reply) Error(e Error) { r.ErrorText(string(e)) }

// ErrorText is Error for a text made at run time; CR and LF become spaces, and
// vanish at its end.
func (r *Reply) ErrorText(s string) {
	s = strings.TrimRight(s, "\r\n")
	r.errors++
	r.last = errorPrefix(s)
	if r.fits(len(s) + 3) {
		r.buf = redcon.AppendError(r.buf, oneLine(s))
	}
}

// Errors returns how many error replies were appended since the session began.
func (r *Reply) Errors() int { return r.errors }

// Elements returns the number of elements of all aggregates appended.
func (r *Reply) Elements() int { return r.elements }

// LastError returns the prefix word of the last error.
func (r *Reply) LastError() string { return r.last }

// Int appends an integer.
func (r *Reply) Int(n int64) {
	if r.fits(headRoom) {
		r.buf = appendHead(r.buf, ':', n)
	}
}

// Bulk appends a bulk string. A nil b is an empty string, not a null.
func (r *Reply) Bulk(b []byte) {
	if r.fits(len(b) + headRoom) {
		r.buf = appendHead(r.buf, '$', int64(len(b)))
		r.buf = append(r.buf, b...)
		r.buf = append(r.buf, '\r', '\n')
	}
}

// BulkString is Bulk for a string.
func (r *Reply) BulkString(s string) {
	if r.fits(len(s) + headRoom) {
		r.buf = appendHead(r.buf, '$', int64(len(s)))
		r.buf = append(r.buf, s...)
		r.buf = append(r.buf, '\r', '\n')
	}
}

// BulkInt appends an integer as a bulk string.
func (r *Reply) BulkInt(n int64) {
	var tmp [20]byte
	r.Bulk(strconv.AppendInt(tmp[:0], n, 10))
}

// Null appends the null of one value: $-1 or _.
func (r *Reply) Null() { r.choose("$-1\r\n", "_\r\n") }

// NullArray appends the null of an array: *-1 or _.
func (r *Reply) NullArray() { r.choose("*-1\r\n", "_\r\n") }

func (r *Reply) choose(two, three string) {
	if !r.fits(len(two)) {
		return
	}
	if r.three {
		two = three
	}
	r.buf = append(r.buf, two...)
}

// Array begins an array of n replies.
func (r *Reply) Array(n int) { r.head('*', n) }

// Map begins a map of pairs × 2 replies; in RESP2 an array.
func (r *Reply) Map(pairs int) {
	if r.three {
		r.head('%', pairs)
		return
	}
	r.head('*', pairs*2)
}

// Set begins a set of n replies; in RESP2 an array.
func (r *Reply) Set(n int) { r.head(r.kind('~'), n) }

// Push begins an out-of-band message of n replies; in RESP2 an array.
func (r *Reply) Push(n int) { r.head(r.kind('>'), n) }

func (r *Reply) kind(three byte) byte {
	if r.three {
		return three
	}
	return '*'
}

func (r *Reply) head(c byte, n int) {
	r.elements += n
	if r.fits(headRoom) {
		r.buf = appendHead(r.buf, c, int64(n))
	}
}

// Double appends a double: a bulk string or RESP3's ','.
func (r *Reply) Double(f float64) {
	var tmp [40]byte
	text := appendDouble(tmp[:0], f)
	if !r.three {
		r.Bulk(text)
		return
	}
	if r.fits(len(text) + 3) {
		r.buf = append(r.buf, ',')
		r.buf = append(r.buf, text...)
		r.buf = append(r.buf, '\r', '\n')
	}
}

// BulkDouble appends a double as a bulk string in both protocols.
func (r *Reply) BulkDouble(f float64) {
	var tmp [40]byte
	r.Bulk(appendDouble(tmp[:0], f))
}

// Decimal appends a double without exponent, with at most 17 decimals: a bulk
// string or RESP3's ','.
func (r *Reply) Decimal(f float64) {
	var tmp [64]byte
	text := strconv.AppendFloat(tmp[:0], f, 'f', 17, 64)
	text = bytes.TrimRight(bytes.TrimRight(text, "0"), ".")
	if string(text) == "-0" {
		text = text[1:]
	}
	if !r.three {
		r.Bulk(text)
		return
	}
	if r.fits(len(text) + 3) {
		r.buf = append(r.buf, ',')
		r.buf = append(r.buf, text...)
		r.buf = append(r.buf, '\r', '\n')
	}
}

// Bool appends a boolean: :1 and :0, or #t and #f.
func (r *Reply) Bool(b bool) {
	if b {
		r.choose(":1\r\n", "#t\r\n")
		return
	}
	r.choose(":0\r\n", "#f\r\n")
}

// Verbatim appends a text for humans: a bulk string, or RESP3's "txt:" string.
func (r *Reply) Verbatim(s string) {
	if !r.three {
		r.BulkString(s)
		return
	}
	if r.fits(len(s) + headRoom) {
		r.buf = appendHead(r.buf, '=', int64(len(s)+4))
		r.buf = append(r.buf, "txt:"...)
		r.buf = append(r.buf, s...)
		r.buf = append(r.buf, '\r', '\n')
	}
}

// Raw appends bytes that another Reply of the same protocol has written.
func (r *Reply) Raw(b []byte) {
	if r.fits(len(b)) {
		r.buf = append(r.buf, b...)
	}
}

// DeferArray begins an array whose length is given to SetDeferred afterwards.
// Deferred lengths may be nested; the inner one is set first.
func (r *Reply) DeferArray() (mark int) {
	if !r.fits(headRoom) {
		return -1
	}
	mark = len(r.buf)
	r.buf = append(r.buf, "*0\r\n"...)
	return mark
}

// DeferSet is DeferArray for a set of RESP3.
func (r *Reply) DeferSet() (mark int) {
	if mark = r.DeferArray(); mark >= 0 {
		r.buf[mark] = r.kind('~')
	}
	return mark
}

// DeferMap is DeferArray for a map of RESP3.
func (r *Reply) DeferMap() (mark int) {
	if mark = r.DeferArray(); mark >= 0 {
		r.buf[mark] = r.kind('%')
	}
	return mark
}

// SetDeferred gives the length of the array or map begun at mark. Its elements move
// by the digits that the length needs beyond one.
func (r *Reply) SetDeferred(mark, n int) {
	if mark < 0 || n == 0 {
		return
	}
	var tmp [headRoom]byte
	head := appendHead(tmp[:0], r.buf[mark], int64(n))
	const reserved = len("*0\r\n")
	if more := len(head) - reserved; more > 0 {
		end := len(r.buf)
		r.buf = append(r.buf, tmp[:more]...)
		copy(r.buf[mark+len(head):], r.buf[mark+reserved:end])
	}
	copy(r.buf[mark:], head)
}

// Mark remembers the place for Rollback. Nothing may be consumed between.
func (r *Reply) Mark() int { return len(r.buf) }

// Rollback takes back what was appended since mark.
func (r *Reply) Rollback(mark int) { r.buf = r.buf[:mark] }

// Since returns what was appended since mark, aliasing the buffer.
func (r *Reply) Since(mark int) []byte { return r.buf[mark:] }

// Len returns the bytes owed.
func (r *Reply) Len() int { return len(r.buf) - r.off }

// Bytes returns the bytes owed, aliasing the buffer until the next append.
func (r *Reply) Bytes() []byte { return r.buf[r.off:] }

// keptBuffer is the largest buffer that a drained Reply keeps.
const keptBuffer = 64 << 10

// Consume forgets the first n bytes owed. What is left moves to the front once
// it is the smaller part, so a peer that never quite catches up costs no memory.
func (r *Reply) Consume(n int) {
	r.sent(n)
	if len(r.buf) == 0 && cap(r.buf) > keptBuffer {
		r.buf = nil
	}
}

// sent is Consume for a door, which reclaims the drained buffer itself.
func (r *Reply) sent(n int) {
	r.off += n
	switch left := len(r.buf) - r.off; {
	case left == 0:
		r.buf, r.off = r.buf[:0], 0
	case r.off > keptBuffer && left < r.off:
		copy(r.buf, r.buf[r.off:])
		r.buf, r.off = r.buf[:left], 0
	}
	r.refit()
}

// Reset drops the bytes owed.
func (r *Reply) Reset() { r.Consume(r.Len()) }

// SetLimit sets the most bytes that may be owed at once; 0 = unlimited.
func (r *Reply) SetLimit(n int) {
	r.limit = n
	r.refit()
}

// Over is true for good once an append was dropped because of the limit.
func (r *Reply) Over() bool { return r.over }

// Expect tells that at least n more bytes are to come. It returns false where
// they cannot: they would pass the limit, which is over then, or are muted.
func (r *Reply) Expect(n int) bool { return r.fits(n) }

// Mute drops appends while on (CLIENT REPLY OFF and SKIP); errors still count.
func (r *Reply) Mute(on bool) {
	r.muted = on
	r.refit()
}

// appendHead appends a type byte, a number and CRLF.
func appendHead(b []byte, c byte, n int64) []byte {
	if 0 <= n && n < 10 {
		return append(b, c, byte('0'+n), '\r', '\n')
	}
	b = append(b, c)
	b = strconv.AppendInt(b, n, 10)
	return append(b, '\r', '\n')
}
