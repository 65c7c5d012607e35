package resp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func words(s ...string) [][]byte {
	var v [][]byte
	for _, w := range s {
		v = append(v, []byte(w))
	}
	return v
}

func TestArgs(t *testing.T) {
	a := NewArgs(words("key", "5", "Nx", "1.5", "x", "y"))
	if string(a.Next()) != "key" || a.Int() != 5 || a.Is("XX") || !a.Is("NX") || a.Float() != 1.5 {
		t.Fatal("read wrongly")
	}
	if a.Left() != 2 || string(a.Peek()) != "x" || len(a.Rest()) != 2 || a.Left() != 0 || a.Peek() != nil {
		t.Fatal("rest read wrongly")
	}
	if a.End(); a.Err() != nil {
		t.Fatal(a.Err())
	}
	for _, c := range []struct {
		use  func(a *Args)
		want Error
	}{
		{func(a *Args) { a.Rest(); a.Next() }, ErrSyntax},
		{func(a *Args) { a.Int() }, ErrNotInteger},
		{func(a *Args) { a.IntOr(ErrDBIndex) }, ErrDBIndex},
		{func(a *Args) { a.Float() }, ErrNotFloat},
		{func(a *Args) { a.End() }, ErrSyntax},
		{func(a *Args) { a.Fail(ErrOverflow); a.Int(); a.End() }, ErrOverflow},
		{func(a *Args) { a.Int(); a.Fail(ErrOverflow) }, ErrNotInteger},
	} {
		a := NewArgs(words("x", "y"))
		c.use(&a)
		if a.Err() != c.want {
			t.Errorf("%v, want %v", a.Err(), c.want)
		}
		if a.Next() != nil || a.Is("Y") || a.Int() != 0 || a.Float() != 0 || a.Rest() != nil || a.Peek() != nil {
			t.Error("reads on after an error")
		}
	}
}

func TestParseInt(t *testing.T) {
	for _, s := range []string{"0", "1", "-1", "10", "9223372036854775807", "-9223372036854775808", "999999999999999999"} {
		want, _ := strconv.ParseInt(s, 10, 64)
		if n, ok := ParseInt([]byte(s)); !ok || n != want {
			t.Errorf("%q: %d, %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1a", "a", "9223372036854775808", "-9223372036854775809",
		"18446744073709551616", "99999999999999999999", "1e3", "0x1", "1.0", "\x00", "00"} {
		if n, ok := ParseInt([]byte(s)); ok {
			t.Errorf("%q: %d", s, n)
		}
	}
}

func TestParseFloat(t *testing.T) {
	for s, want := range map[string]float64{"0": 0, "-0": 0, "1": 1, "1.": 1, ".5": .5, "+1.5": 1.5, "1e3": 1000, "1E-3": .001, "0x10": 16,
		"0X.8": .5, "0x1p4": 16, "0xep1": 28, "inf": math.Inf(1), "-INF": math.Inf(-1), "+infinity": math.Inf(1), "5e-324": 5e-324, "0e999": 0, "00": 0} {
		if f, ok := ParseFloat([]byte(s)); !ok || f != want {
			t.Errorf("%q: %v, %v, want %v", s, f, ok, want)
		}
	}
	for _, s := range []string{"", "nan", "-nan", "NaN", " 1", "1 ", "1x", "1_000", "0x", "0x_1", "0b1", "0o7", "1e", "1e400", "-1e400", "1e-400",
		"infin", "+-1", "--1", ".", "e5", "0x1p", "1p4", "1\x00", strings.Repeat("1", maxFloatText+1)} {
		if f, ok := ParseFloat([]byte(s)); ok {
			t.Errorf("%q: %v", s, f)
		}
	}
}

func TestAppendDouble(t *testing.T) {
	for f, want := range map[float64]string{0: "0", math.Copysign(0, -1): "0", 1: "1", -17: "-17", 0.1: "0.1", 3.14: "3.14", 1e15: "1000000000000000", 1e20: "1e+20",
		1e21: "1e+21", 1.5e300: "1.5e+300", 1e-6: "0.000001", 1e-7: "1e-7", 1.25e-10: "1.25e-10", 0.000123456789: "1.23456789e-4", 0.00123456789: "0.00123456789", 123456.789: "123456.789",
		math.Inf(1): "inf", math.Inf(-1): "-inf", 5e-324: "5e-324", math.MaxFloat64: "1.7976931348623157e+308", 4503599627370497: "4503599627370497"} {
		if f == 0 && math.Signbit(f) {
			want = "-0"
		}
		if got := string(appendDouble(nil, f)); got != want {
			t.Errorf("%g: %q, want %q", f, got, want)
		}
	}
	for range 100_000 { // whatever the form, it reads back
		f := math.Float64frombits(rand.Uint64())
		if math.IsNaN(f) {
			continue
		}
		s := string(appendDouble(nil, f))
		if back, err := strconv.ParseFloat(s, 64); err != nil || back != f {
			t.Fatalf("%g: %q reads back as %g, %v", f, s, back, err)
		}
	}
}

func TestFormatFloat(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 100: "100", 0.5: "0.5", 1e20: "100000000000000000000", 1e-20: "0", -1e-20: "0", math.Inf(1): "inf"} {
		if got := FormatFloat(f); got != want {
			t.Errorf("%g: %q, want %q", f, got, want)
		}
	}
}

func TestAddLongDouble(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"10.5", "0.1", "10.6"}, {"5.0e3", "2.0e2", "5200"}, {"0", "-0", "0"}, {"3", "-3", "0"}, {"1", "0x10", "17"},
		{"0.1", "0.2", "0.3"}, {"1e-17", "0", "0.00000000000000001"}, {"1e-18", "0", "0"}, {"-1e-18", "0", "0"}, {"1e20", "1", "100000000000000000000"}, {"1e18", "1", "1000000000000000001"},
	} {
		if got, err := AddLongDouble([]byte(c.a), []byte(c.b)); err != nil || got != c.want {
			t.Errorf("%s + %s: %q, %v, want %q", c.a, c.b, got, err, c.want)
		}
	}
	for _, c := range []struct {
		a, b string
		want Error
	}{{"1", "nan", ErrNotFloat}, {"x", "1", ErrNotFloat}, {"1", "inf", ErrNaNOrInf}, {"inf", "-inf", ErrNaNOrInf}, {"1", "1e999999999999", ErrNotFloat},
		{"1", "1e5000", ErrNotFloat}, {"1", "1e-5000", ErrNotFloat}, {"1e4932", "1e4932", ErrNaNOrInf}, {"1", "0b1", ErrNotFloat}, {"1", "", ErrNotFloat}, {"1", "1_0", ErrNotFloat}, {"1", "+", ErrNotFloat}} {
		if got, err := AddLongDouble([]byte(c.a), []byte(c.b)); err != c.want {
			t.Errorf("%s + %s: %q, %v, want %v", c.a, c.b, got, err, c.want)
		}
	}
}

// floats are numbers in many forms, among them what is no number.
func floats(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return strconv.FormatInt(r.Int64()-r.Int64(), 10)
	case 1:
		return strconv.FormatFloat(r.NormFloat64(), 'f', r.IntN(25), 64)
	case 2:
		return strconv.FormatFloat(r.NormFloat64()*math.Pow(10, float64(r.IntN(40)-20)), 'g', -1, 64)
	case 3:
		return fmt.Sprintf("%d.%de%d", r.IntN(100), r.IntN(100), r.IntN(60)-30)
	case 4:
		return strconv.FormatFloat(r.NormFloat64(), 'x', -1, 64)
	}
	return []string{"0", "-0", ".5", "5.", "0x10", "1e4000", "1e-4000", "nan", "inf", "1e", "", " 1", "1 ", "0x", "+3", "--3", "1e+5", "0x1p-3", "1p5", "infinity"}[r.IntN(20)]
}
