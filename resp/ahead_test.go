package resp

import (
	"slices"
	"testing"
)

// aheadSession hears keys and members, and can do nothing else.
type aheadSession struct {
	Session
	limits  Limits
	keys    []string
	members []string
}

func (s *aheadSession) Ahead() bool     { return true }
func (s *aheadSession) Limits() *Limits { return &s.limits }
func (s *aheadSession) Prefetch(keys, members [][]byte) {
	for i, k := range keys {
		s.keys = append(s.keys, string(k))
		s.members = append(s.members, string(members[i]))
	}
}

func TestLookAhead(t *testing.T) {
	get := func(key string) string { return "*2\r\n$3\r\nGET\r\n$1\r\n" + key + "\r\n" }
	ping := "*1\r\n$4\r\nPING\r\n"
	for _, c := range []struct {
		name, in string
		keys     []string
		seen     int
	}{
		{"nothing", "", nil, 0},
		{"a single request", get("a"), nil, 20},
		{"a pipeline", get("a") + ping + get("b"), []string{"a", "b"}, 54},
		{"an unfinished request behind", get("a") + get("b") + "*2\r\n$3\r\nGE", []string{"a", "b"}, 50},
		{"an inline request first", "GET \"a\\x41\"\r\n" + get("b") + get("c"), nil, 53},
		{"an inline request behind", get("a") + get("b") + "GET \"a\\x41\"\r\n", []string{"a", "b"}, 40},
		{"bad framing behind", get("a") + get("b") + "*1\r\n$-5\r\n", []string{"a", "b"}, 49},
	} {
		s := &aheadSession{limits: DefaultLimits()}
		var sc scout
		buf := []byte(c.in)
		seen := sc.look(s, buf)
		if string(buf) != c.in {
			t.Errorf("%s: the input was changed to %q", c.name, buf)
		}
		if !slices.Equal(s.keys, c.keys) {
			t.Errorf("%s: keys %q, want %q", c.name, s.keys, c.keys)
		}
		if seen != c.seen {
			t.Errorf("%s: saw %d bytes, want %d", c.name, seen, c.seen)
		}
	}
	s := &aheadSession{limits: DefaultLimits()}
	var sc scout
	long := ""
	for range 3 * aheadRequests {
		long += get("k")
	}
	if seen := sc.look(s, []byte(long)); seen != 20*aheadRequests || len(s.keys) != aheadRequests {
		t.Errorf("saw %d bytes and %d keys of a long pipeline", seen, len(s.keys))
	}
	s = &aheadSession{limits: DefaultLimits()}
	sc.look(s, []byte("*3\r\n$4\r\nSADD\r\n$1\r\ns\r\n$1\r\nm\r\n"+get("k")))
	if want := []string{"m", ""}; !slices.Equal(s.members, want) {
		t.Errorf("members %q, want %q", s.members, want)
	}
}
