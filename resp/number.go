package resp

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// appendDouble appends f as Redis 7.2 writes a double in replies: an integral
// value as an integer, else the shortest digits that read back to f, with an
// exponent where that is shorter.
func appendDouble(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case f == 0:
		if math.Signbit(f) {
			return append(b, "-0"...)
		}
		return append(b, '0')
	case math.Abs(f) < 1<<52 && f == math.Trunc(f):
		return strconv.AppendInt(b, int64(f), 10)
	}
	return appendShortest(b, f)
}

// appendShortest places the point as fpconv, the library of Redis 7.2, does.
func appendShortest(b []byte, f float64) []byte {
	var tmp [32]byte
	e := strconv.AppendFloat(tmp[:0], f, 'e', -1, 64)
	if e[0] == '-' {
		b = append(b, '-')
		e = e[1:]
	}
	var digits []byte
	exp := 0
	for i, c := range e {
		if c == 'e' {
			exp, _ = strconv.Atoi(string(e[i+1:]))
			break
		}
		if c != '.' {
			digits = append(digits, c)
		}
	}
	k := exp - len(digits) + 1 // value = digits × 10^k
	abs := max(exp, -exp)
	switch {
	case k >= 0 && abs < len(digits)+7:
		b = append(b, digits...)
		return appendZeros(b, k)
	case k < 0 && (k > -7 || abs < 4):
		point := len(digits) + k
		if point <= 0 {
			b = append(b, '0', '.')
			b = appendZeros(b, -point)
			return append(b, digits...)
		}
		b = append(b, digits[:point]...)
		b = append(b, '.')
		return append(b, digits[point:]...)
	}
	b = append(b, digits[0])
	if len(digits) > 1 {
		b = append(b, '.')
		b = append(b, digits[1:]...)
	}
	b = append(b, 'e')
	if exp >= 0 {
		b = append(b, '+')
	}
	return strconv.AppendInt(b, int64(exp), 10)
}

func appendZeros(b []byte, n int) []byte {
	for range n {
		b = append(b, '0')
	}
	return b
}

// FormatFloat writes f for humans: 17 decimals at most, no exponent, no
// trailing zeros (Redis' LD_STR_HUMAN).
func FormatFloat(f float64) string {
	if math.IsInf(f, 0) {
		return string(appendDouble(nil, f))
	}
	return trimDecimals(strconv.FormatFloat(f, 'f', 17, 64))
}

// Redis computes INCRBYFLOAT in the 80-bit long double of x86: 64 bits of
// mantissa, exponents to 2^16384. A big.Float of that precision gives the same digits.
const (
	longDoubleBits   = 64
	longDoubleMaxExp = 16384
	longDoubleMinExp = -16444
)

// parseLongDouble reads a number by the rules of C's strtold with Redis' checks.
func parseLongDouble(b []byte) (*big.Float, bool) {
	if len(b) == 0 || len(b) > maxFloatText {
		return nil, false
	}
	s := string(b)
	hex, nonzero, ok := scanFloat(s)
	if !ok {
		return nil, false
	}
	switch word := strings.ToLower(strings.TrimLeft(s, "+-")); {
	case word == "inf" || word == "infinity":
		if len(s) > len(word)+1 {
			return nil, false
		}
		return new(big.Float).SetPrec(longDoubleBits).SetInf(s[0] == '-'), true
	case word == "" || word[0] != '.' && (word[0] < '0' || word[0] > '9'):
		return nil, false
	case !hex && strings.ContainsAny(word, "pxbo"): // forms of big.Float that C does not have
		return nil, false
	case hex && !hasExponent(s):
		s += "p0"
	}
	base := 10
	if hex {
		base = 0
	}
	if exponentTooLong(s) {
		return nil, false
	}
	f, _, err := big.ParseFloat(s, base, longDoubleBits, big.ToNearestEven)
	if err != nil || f.IsInf() || f.MantExp(nil) > longDoubleMaxExp {
		return nil, false
	}
	if nonzero && (f.Sign() == 0 || f.MantExp(nil) < longDoubleMinExp) {
		return nil, false
	}
	return f, true
}

// exponentTooLong refuses exponents that could only overflow or underflow,
// before big.Float computes a power of that size.
func exponentTooLong(s string) bool {
	i := strings.LastIndexAny(s, "eEpP")
	return i >= 0 && len(strings.TrimLeft(s[i+1:], "+-0")) > 5
}

// AddLongDouble returns value + increment as INCRBYFLOAT stores it. It fails
// with ErrNotFloat if one of them is no number, ErrNaNOrInf if the sum is not finite.
func AddLongDouble(value, increment []byte) (string, error) {
	a, ok := parseLongDouble(value)
	if !ok {
		return "", ErrNotFloat
	}
	b, ok := parseLongDouble(increment)
	if !ok {
		return "", ErrNotFloat
	}
	if a.IsInf() || b.IsInf() {
		return "", ErrNaNOrInf
	}
	sum := a.Add(a, b)
	if sum.MantExp(nil) > longDoubleMaxExp {
		return "", ErrNaNOrInf
	}
	return formatLongDouble(sum), nil
}

// formatLongDouble writes f for humans, as FormatFloat does.
func formatLongDouble(f *big.Float) string {
	if f.IsInf() {
		if f.Signbit() {
			return "-inf"
		}
		return "inf"
	}
	return trimDecimals(f.Text('f', 17))
}

// trimDecimals cuts trailing zeros behind the point, and a lone minus zero.
func trimDecimals(s string) string {
	if strings.IndexByte(s, '.') >= 0 {
		s = strings.TrimRight(s, "0")
		s = strings.TrimSuffix(s, ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}
