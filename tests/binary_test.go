//go:build !record

package tests

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// builtBinary builds the program once for all black-box tests.
var builtBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "synap-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "synap")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/synap").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := builtBinary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// program is the built binary, running.
type program struct {
	addr, side string // of the RESP port and of the side port
	port       string
	cmd        *exec.Cmd
	log        *lockedBuffer
}

// lockedBuffer collects a program's output while tests look at it.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startProgram runs the binary on free ports of loopback, with nothing kept on
// disk unless args say so, and with at most 8 GB of address space, so that
// hostile input cannot take the machine.
func startProgram(t testing.TB, args ...string) *program {
	t.Helper()
	binary, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{port: fmt.Sprint(freePort(t)), log: &lockedBuffer{}}
	sidePort := fmt.Sprint(freePort(t))
	p.addr, p.side = "127.0.0.1:"+p.port, "127.0.0.1:"+sidePort
	all := append([]string{"-c", `ulimit -v 8000000; exec "$@"`, "sh", binary, "--port", p.port, "--http-port", sidePort,
		"--dir", t.TempDir(), "--appendonly", "no", "--save", ""}, args...)
	p.cmd = exec.Command("sh", all...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		if t.Failed() {
			t.Logf("the server's log:\n%s", shortened(p.log.String(), 4000))
		}
	})
	awaitListener(t, "tcp", p.addr)
	if i := slices.Index(args, "--unixsocket"); i >= 0 {
		awaitListener(t, "unix", args[i+1])
	}
	return p
}

func (p *program) dial(t testing.TB, proto int) *client {
	t.Helper()
	c, err := dial("tcp", p.addr, proto)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

// must runs a command that may not fail.
func (c *client) must(t testing.TB, args ...string) value {
	t.Helper()
	v, err := c.do(args...)
	if err != nil || v.isError() {
		t.Fatalf("%q: %v %s", args, err, v.render())
	}
	return v
}

// resident returns the megabytes of memory the program holds.
func (p *program) resident(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kb int
	fmt.Sscan(rest, &kb)
	return kb / 1024
}

// cli runs redis-cli against the program and returns what it printed.
func (p *program) cli(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	path := needProgram(t, "redis-cli")
	ctx, cancel := context.WithTimeout(context.Background(), 2*replyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"-p", p.port}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, shortened(text, 2000))
		}
	}
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestRedisCLI(t *testing.T) {
	p := startProgram(t)
	c := p.dial(t, 2)
	for i := range 500 {
		c.must(t, "SET", fmt.Sprintf("key:%d", i), strings.Repeat("x", i+1))
	}
	c.must(t, "RPUSH", "alist", "a", "b", "c")
	c.must(t, "XADD", "astream", "1-1", "f", "v")
	c.must(t, "HSET", "ahash", "f", "v", "g", "w")
	c.must(t, "SADD", "aset", "a", "b", "c", "d")
	c.must(t, "ZADD", "azset", "1", "a", "2", "b", "3", "c")
	t.Run("help", func(t *testing.T) {
		out := colours.ReplaceAllString(p.cli(t, "help getex\nhelp @list\n"), "")
		contains(t, out, "GETEX key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]",
			"since: 6.2.0", "group: string", "BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout")
	})
	t.Run("protocol 3", func(t *testing.T) {
		contains(t, p.cli(t, "", "-3", "CONFIG", "GET", "maxclients"), "maxclients", "10000")
	})
	t.Run("scan", func(t *testing.T) {
		if n := len(strings.Fields(p.cli(t, "", "--scan"))); n != 505 {
			t.Errorf("--scan printed %d keys", n)
		}
		if n := len(strings.Fields(p.cli(t, "", "--scan", "--pattern", "key:1?"))); n != 10 {
			t.Errorf("--scan --pattern printed %d keys", n)
		}
	})
	t.Run("bigkeys", func(t *testing.T) {
		contains(t, p.cli(t, "", "--bigkeys"), `Biggest string found '"key:499"' has 500 bytes`, `Biggest   list found '"alist"' has 3 items`,
			`Biggest stream found '"astream"' has 1 entries`, `Biggest   hash found '"ahash"' has 2 fields`,
			`Biggest    set found '"aset"' has 4 members`, `Biggest   zset found '"azset"' has 3 members`, "Sampled 505 keys")
	})
	t.Run("memkeys", func(t *testing.T) {
		out := p.cli(t, "", "--memkeys")
		contains(t, out, `Biggest string found '"key:4`, // keys of about one size take the same memory
			`Biggest stream found '"astream"' has `, `Biggest   hash found '"ahash"' has `, `Biggest    set found '"aset"' has `,
			`Biggest   zset found '"azset"' has `, "Sampled 505 keys")
		if strings.Contains(out, "failed") || strings.Contains(out, "WRONGTYPE") {
			t.Error(out)
		}
	})
	t.Run("hotkeys", func(t *testing.T) {
		c.must(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
		for range 200 {
			c.must(t, "ZSCORE", "azset", "a")
		}
		contains(t, p.cli(t, "", "--hotkeys"), "Sampled 505 keys", "azset")
		c.must(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	})
	t.Run("pipe", func(t *testing.T) {
		var b []byte
		for i := range 5000 {
			b = appendCommand(b, []string{"SET", fmt.Sprintf("p:%d", i), "v\r\n"})
		}
		contains(t, p.cli(t, string(b), "--pipe"), "errors: 0, replies: 5000")
		cmd := exec.Command(needProgram(t, "redis-cli"), "-p", p.port, "--pipe")
		cmd.Stdin = strings.NewReader("SET a b\r\nLPUSH a c\r\n")
		out, _ := cmd.CombinedOutput() // one error: redis-cli exits with 1
		contains(t, string(out), "WRONGTYPE", "errors: 1, replies: 2")
	})
	t.Run("latency", func(t *testing.T) {
		fields := strings.Fields(p.cli(t, "", "--latency", "--raw", "-i", "0.2"))
		if len(fields) != 4 {
			t.Errorf("--latency printed %q", fields)
		}
	})
	t.Run("stat", func(t *testing.T) { watchStat(t, p) })
}

// watchStat reads a few rows of redis-cli --stat, which does not end by itself.
func watchStat(t *testing.T, p *program) {
	t.Helper()
	cmd := exec.Command(needProgram(t, "redis-cli"), "-p", p.port, "--stat", "-i", "0.05")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	in := bufio.NewScanner(out)
	for rows := 0; rows < 3 && in.Scan(); {
		fields := strings.Fields(in.Text())
		if len(fields) < 6 || fields[0] == "keys" || fields[0][0] == '-' {
			continue
		}
		if rows++; strings.Contains(in.Text(), "-9223372") || fields[0] != "5505" && fields[0] != "5506" {
			t.Errorf("--stat printed %q", in.Text())
		}
	}
}

func TestMonitor(t *testing.T) {
	p := startProgram(t)
	m := p.dial(t, 2)
	m.must(t, "MONITOR")
	c := p.dial(t, 2)
	c.must(t, "SELECT", "3")
	c.must(t, "SET", "k", "a\"b\r\n\xff")
	for _, want := range []string{`] "SELECT" "3"`, `] "SET" "k" "a\"b\r\n\xff"`} {
		v, err := m.read()
		if err != nil || v.kind != '+' || !strings.Contains(v.text, " [3 127.0.0.1:") || !strings.HasSuffix(v.text, want) {
			t.Fatalf("MONITOR showed %s (%v), want %s", v.render(), err, want)
		}
	}
}

func TestRedisBenchmark(t *testing.T) {
	path := needProgram(t, "redis-benchmark")
	for _, door := range []string{"loop", "redcon"} {
		t.Run(door, func(t *testing.T) {
			p := startProgram(t, "--network-door", door)
			for _, more := range [][]string{nil, {"-P", "16"}, {"-3"}} {
				args := append([]string{"-p", p.port, "-q", "-n", "2000", "-r", "1000"}, more...) // its whole default list
				out, err := exec.Command(path, args...).CombinedOutput()
				text := strings.ToLower(string(out))
				if err != nil || strings.Contains(text, "error") || strings.Contains(text, "warning") || strings.Contains(text, "fail") {
					t.Errorf("redis-benchmark %q: %v\n%s", more, err, out)
				}
				contains(t, text, "ping_inline: ", "sadd: ", "hset: ", "spop: ", "zadd: ", "zpopmin: ", "lrange_600", "mset (10 keys): ")
			}
		})
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	p := startProgram(t, "--unixsocket", path, "--unixsocketperm", "700")
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	c, err := dial("unix", path, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.must(t, "SET", "k", "v")
	if v := p.dial(t, 2).must(t, "GET", "k"); v.text != "v" {
		t.Errorf("over TCP: %s", v.render())
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's mode is %v (%v)", info.Mode(), err)
	}
}
