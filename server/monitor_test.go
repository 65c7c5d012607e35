package server

import (
	"bytes"
	"strings"
	"testing"
)

func TestPasswordsAreNotShown(t *testing.T) {
	s, _ := newQuietSession(t, nil)
	for _, c := range []struct{ typed, shown string }{
		{"GET secret", "GET secret"},
		{"AUTH secret", "AUTH (redacted)"},
		{"auth default secret", "auth (redacted) (redacted)"},
		{"HELLO 3 SETNAME n AUTH default secret", "HELLO 3 SETNAME n AUTH (redacted) (redacted)"},
		{"HELLO 3 AUTH default", "HELLO 3 AUTH default"},
		{"CONFIG SET maxclients 5 RequirePass secret", "CONFIG SET maxclients 5 RequirePass (redacted)"},
		{"CONFIG GET requirepass", "CONFIG GET requirepass"},
	} {
		args := bytes.Fields([]byte(c.typed))
		cmd, e := s.table.Resolve(args)
		if e != "" {
			t.Fatal(e)
		}
		if got := string(bytes.Join(shownArgs(cmd, args), []byte(" "))); got != c.shown {
			t.Errorf("%s is shown as %s", c.typed, got)
		}
		if got := string(bytes.Join(args, []byte(" "))); got != c.typed {
			t.Errorf("%s was changed to %s", c.typed, got)
		}
	}
}

// A monitor's lines come in the order of the commands of each client.
func TestMonitorsSeeEveryCommandInOrder(t *testing.T) {
	s := startServer(t, nil)
	monitor, c := connect(t, s), connect(t, s)
	monitor.want("+OK", "MONITOR")
	var words []string
	for i := range 500 {
		word := strings.Repeat("w", i%7) + "!"
		words = append(words, word)
		c.send("ECHO", word)
	}
	for range words {
		c.read()
	}
	for i, word := range words {
		if got := monitor.read(); !strings.HasSuffix(got, ` "ECHO" "`+word+`"`) {
			t.Fatalf("line %d is %s, want ECHO %s", i, got, word)
		}
	}
}
