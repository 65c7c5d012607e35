package main

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestReadmeSession types README's sessions into redis-cli, each of a new server.
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
	sessions := strings.Split(string(readme), "\n$ redis-cli\n")[1:]
	if len(sessions) < 2 {
		t.Fatalf("README has %d sessions with redis-cli", len(sessions))
	}
	for i, session := range sessions {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) { typeSession(t, cli, session) })
	}
}

func typeSession(t *testing.T, cli, session string) {
	session, _, ok := strings.Cut(session, "\n```")
	if !ok {
		t.Fatal("a session of README has no end")
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
