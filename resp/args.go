package resp

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

// Args is a cursor over a command's arguments with a latched error: parse
// everything, check Err once, then act. Every method returns a zero value after
// an error.
type Args struct {
	v   [][]byte
	i   int
	err Error
}

// NewArgs starts at v[0]; v is without the command's name.
func NewArgs(v [][]byte) Args { return Args{v: v} }

// Left returns how many arguments are not consumed. After an error there are
// none: a loop over them must end.
func (a *Args) Left() int {
	if a.err != "" {
		return 0
	}
	return len(a.v) - a.i
}

// Next consumes one argument; without one it latches ErrSyntax.
func (a *Args) Next() []byte {
	if a.err != "" {
		return nil
	}
	if a.i >= len(a.v) {
		a.err = ErrSyntax
		return nil
	}
	a.i++
	return a.v[a.i-1]
}

// Peek returns the next argument without consuming it, nil at the end.
func (a *Args) Peek() []byte {
	if a.err != "" || a.i >= len(a.v) {
		return nil
	}
	return a.v[a.i]
}

// Is consumes the next argument if it is word, ignoring case; word is upper case.
func (a *Args) Is(word string) bool {
	if a.err != "" || a.i >= len(a.v) || !EqualFold(a.v[a.i], word) {
		return false
	}
	a.i++
	return true
}

// Int consumes a 64-bit integer in Redis' strict form; else it latches ErrNotInteger.
func (a *Args) Int() int64 { return a.IntOr(ErrNotInteger) }

// IntOr is Int with an error of the caller's.
func (a *Args) IntOr(e Error) int64 {
	b := a.Next()
	if a.err != "" {
		return 0
	}
	n, ok := ParseInt(b)
	if !ok {
		a.err = e
	}
	return n
}

// Float consumes a float; else it latches ErrNotFloat. inf is accepted, nan refused.
func (a *Args) Float() float64 { return a.FloatOr(ErrNotFloat) }

// FloatOr is Float with an error of the caller's.
func (a *Args) FloatOr(e Error) float64 {
	b := a.Next()
	if a.err != "" {
		return 0
	}
	f, ok := ParseFloat(b)
	if !ok {
		a.err = e
	}
	return f
}

// Rest consumes and returns all arguments left.
func (a *Args) Rest() [][]byte {
	if a.err != "" {
		return nil
	}
	rest := a.v[a.i:]
	a.i = len(a.v)
	return rest
}

// Fail latches e unless an error is latched already.
func (a *Args) Fail(e Error) {
	if a.err == "" {
		a.err = e
	}
}

// Err returns the first latched error, nil if there is none.
func (a *Args) Err() error {
	if a.err == "" {
		return nil
	}
	return a.err
}

// End latches ErrSyntax if arguments are left.
func (a *Args) End() {
	if a.i < len(a.v) {
		a.Fail(ErrSyntax)
	}
}

// EqualFold compares b with upper, an upper-case ASCII word, ignoring case.
func EqualFold(b []byte, upper string) bool {
	if len(b) != len(upper) {
		return false
	}
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// ParseInt reads a decimal 64-bit integer in the one form Redis accepts: no
// plus sign, no leading zero, no space, no "-0".
func ParseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	neg := b[0] == '-'
	if neg {
		b = b[1:]
		if len(b) == 0 {
			return 0, false
		}
	}
	if b[0] == '0' {
		return 0, len(b) == 1 && !neg
	}
	if len(b) > 19 {
		return 0, false
	}
	var n uint64 // 19 digits cannot overflow 64 bits
	for _, c := range b {
		c -= '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	if neg {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

// ParseFloat reads a double by the rules of C's strtod with Redis' checks:
// decimal, hexadecimal and infinity; nan, blanks and results out of range
// (to infinity, or to zero) are refused.
func ParseFloat(b []byte) (float64, bool) {
	if len(b) == 0 || len(b) > maxFloatText {
		return 0, false
	}
	s := unsafe.String(unsafe.SliceData(b), len(b))
	hex, nonzero, ok := scanFloat(s)
	if !ok {
		return 0, false
	}
	var f float64
	var err error
	switch {
	case hex && !hasExponent(s):
		f, err = strconv.ParseFloat(s+"p0", 64)
	default:
		f, err = strconv.ParseFloat(s, 64)
	}
	if err != nil || math.IsNaN(f) || (f == 0 && nonzero) {
		return 0, false
	}
	return f, true
}

// ParseBound reads an end of a range of scores, for which Redis asks strtod
// without checks: blanks may stand before the number, a NUL ends it, what is out
// of range becomes infinite or zero, and nothing at all is 0.
func ParseBound(b []byte) (float64, bool) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if len(b) == 0 {
		return 0, true
	}
	s := strings.TrimLeft(unsafe.String(unsafe.SliceData(b), len(b)), " \t\n\v\f\r")
	if len(s) == 0 {
		return 0, false
	}
	hex, _, ok := scanFloat(s)
	if !ok {
		return 0, false
	}
	if hex && !hasExponent(s) {
		s += "p0"
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}

// maxFloatText is Redis' longest text of a floating-point number.
const maxFloatText = 5*1024 - 1

// scanFloat refuses what Go accepts and C does not (underscores, nan), and tells
// whether the number is hexadecimal and whether its mantissa has a digit other
// than zero.
func scanFloat(s string) (hex, nonzero, ok bool) {
	i := 0
	if s[0] == '+' || s[0] == '-' {
		i = 1
	}
	if i < len(s) && (s[i] == 'n' || s[i] == 'N') {
		return false, false, false
	}
	if len(s) > i+1 && s[i] == '0' && s[i+1]|0x20 == 'x' {
		hex = true
		i += 2
	}
	mantissa := true
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '_':
			return hex, nonzero, false
		case c == 'p' || c == 'P' || !hex && (c == 'e' || c == 'E'):
			mantissa = false
		case mantissa && c != '0' && c != '.':
			nonzero = true
		}
	}
	return hex, nonzero, true
}

func hasExponent(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == 'p' || s[i] == 'P' {
			return true
		}
	}
	return false
}
