package main

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeSession types README's first session into redis-cli.
func TestReadmeSession(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-cli is not installed")
		}
		t.Skip("redis-cli is not installed (make test-deps)")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, session, ok := strings.Cut(string(readme), "\n$ redis-cli\n")
	session, _, ok2 := strings.Cut(session, "\n```")
	if !ok || !ok2 {
		t.Fatal("README has no session with redis-cli")
	}
	prompt := regexp.MustCompile(`^127\.0\.0\.1:6379(?:\(TX\))?> (.*)$`)
	var commands, want []string
	for line := range strings.Lines(session) {
		line = strings.TrimSuffix(line, "\n")
		if m := prompt.FindStringSubmatch(line); m != nil {
			commands = append(commands, m[1])
		} else if line != "" {
			want = append(want, line)
		}
	}
	if len(commands) < 10 {
		t.Fatalf("only %d commands", len(commands))
	}
	p := start(t, anyPort(t)...)
	p.until("ready")
	_, port, _ := net.SplitHostPort(p.addr)
	cmd := exec.Command(cli, "--no-raw", "-p", port)
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimRight(string(out), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("README shows\n%s\nredis-cli shows\n%s", strings.Join(want, "\n"), got)
	}
}
