package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "synap")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "synap")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// patience bounds every wait; a test that meets it has failed.
const patience = 20 * time.Second

// finish runs the program to its end.
func finish(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), environ...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// process is a running server.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	addr    string // of the first TCP listener
	logs    chan map[string]any
	banner  *lockedBuffer
	stopped chan struct{}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start starts the server on a free port and waits until it is ready. What it
// logs on standard output comes through logs.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startIn(t, t.TempDir(), nil, args...)
}

func startIn(t *testing.T, dir string, environ []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...), logs: make(chan map[string]any, 1000), banner: &lockedBuffer{}, stopped: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), environ...)
	p.cmd.Stderr = p.banner
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var record map[string]any
			if json.Unmarshal(lines.Bytes(), &record) != nil {
				record = map[string]any{"msg": "not JSON: " + lines.Text()}
			}
			p.logs <- record
		}
		close(p.logs)
		p.cmd.Wait()
		close(p.stopped)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.stopped
	})
	return p
}

// until reads the log up to the record with this message.
func (p *process) until(msg string) map[string]any {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case r, ok := <-p.logs:
			if !ok {
				p.t.Fatalf("ended before logging %q: %s", msg, p.banner)
			}
			if r["msg"] == "listening" && r["kind"] == "tcp" && p.addr == "" {
				p.addr = r["address"].(string)
			}
			if r["msg"] == msg {
				return r
			}
		case <-timeout:
			p.t.Fatalf("does not log %q", msg)
		}
	}
}

// exit waits for the end and returns the code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.stopped:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatal("still running")
		return -1
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// client is a connection that speaks inline commands.
// wholeBanner returns the banner as soon as its last line is there.
func (p *process) wholeBanner() string {
	for deadline := time.Now().Add(patience); !strings.Contains(p.banner.String(), "synap --help") && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return p.banner.String()
}

type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (p *process) dial() *client {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{p.t, conn, bufio.NewReader(conn)}
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// do sends an inline command and returns the reply, the lines of an array
// joined by spaces.
func (c *client) do(line string) string {
	c.t.Helper()
	c.send(line)
	return c.read()
}

func (c *client) read() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	line = strings.TrimRight(line, "\r\n")
	var n int
	fmt.Sscanf(line[1:], "%d", &n)
	switch line[0] {
	case '$':
		b := make([]byte, n+2)
		if _, err := io.ReadFull(c.in, b); err != nil {
			c.t.Fatal(err)
		}
		return string(b[:n])
	case '*':
		var words []string
		for range n {
			words = append(words, c.read())
		}
		return strings.Join(words, " ")
	}
	return line
}

// anyPort are the flags for ports that nobody else uses.
func anyPort(t *testing.T) []string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return []string{"--port", port, "--bind", "127.0.0.1", "--http-port", "0"}
}

func TestPrintAndEnd(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yml")
	old := filepath.Join(dir, "redis.conf")
	for path, text := range map[string]string{bad: "server:\n  port: x\n", old: "port 7000\ndaemonize yes\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args           []string
		environ        []string
		code           int
		stdout, stderr string // patterns; empty: nothing is printed
	}{
		{args: []string{"--version"}, stdout: `^synap \d+\.\d+\.\d+ \(\S+, go1\.\S+, \w+/\w+\)\n$`},
		{args: []string{"--help"}, stdout: `(?s)^Usage: synap .*--print-config.*rate-limit-enabled.*Exit:`},
		{args: []string{"--print-config", "--port", "7001"}, stdout: `(?s)^#.*\n  port: 7001\n`},
		{args: []string{"--print-config"}, environ: []string{"SYNAP_RATE_LIMIT_BURST_SIZE=7"}, stdout: `\n  burst_size: 7\n`},
		{args: []string{"--check-config"}, stdout: `^synap: the configuration is good\n$`},
		{args: []string{"--print-commands"}, stdout: "(?s)^# Commands\n.*`GET key`"},
		{args: []string{old, "--check-config"}, stdout: `good`, stderr: `^synap: \S+/redis.conf:2: unknown directive "daemonize" is ignored\n$`},
		{args: []string{bad, "--check-config"}, code: 1, stderr: `^synap: \S+/bad.yml:2: port "x": argument couldn't be parsed into an integer; allowed: 0 to 65535\n$`},
		{args: []string{bad}, code: 1, stderr: `/bad.yml:2: port "x"`},
		{args: []string{filepath.Join(dir, "none.yml")}, code: 1, stderr: `no such file`},
		{args: []string{"--appendonly", "maybe"}, code: 1, stderr: `^synap: --appendonly "maybe": argument must be 'yes' or 'no'`},
		{args: []string{"--save", "900"}, code: 1, stderr: `^synap: --save "900": Invalid save parameters`},
		{args: []string{"--prot", "1"}, code: 2, stderr: `^synap: unknown option --prot; did you mean "port"\?\nTry synap --help.\n$`},
		{args: []string{"--port"}, code: 2, stderr: `^synap: --port needs a value`},
		{args: []string{"--dir", filepath.Join(dir, "none")}, code: 1, stderr: `^synap: dir: chdir \S+: no such file`},
		{args: []string{"--logfile", filepath.Join(dir, "none", "x")}, code: 1, stderr: `^synap: logfile: open `},
		{args: []string{"--port", "0", "--tls-port", "7001", "--tls-cert-file", old, "--tls-key-file", old, "--tls-auth-clients", "no", "--http-port", "0"}, code: 1, stderr: `^synap: .*tls`},
	} {
		code, stdout, stderr := finish(t, tc.environ, tc.args...)
		if code != tc.code {
			t.Errorf("%q: exit code %d, want %d", tc.args, code, tc.code)
		}
		for name, x := range map[string][2]string{"stdout": {stdout, tc.stdout}, "stderr": {stderr, tc.stderr}} {
			if x[1] == "" && x[0] != "" || !regexp.MustCompile(x[1]).MatchString(x[0]) {
				t.Errorf("%q: %s is %q, want %s", tc.args, name, x[0], x[1])
			}
		}
	}
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	code, _, stderr := finish(t, nil, "--port", port, "--bind", "127.0.0.1", "--http-port", "0")
	if code != 1 || !strings.Contains(stderr, port) || !strings.Contains(stderr, "address already in use") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%d %q", code, stderr)
	}
}

func TestBannerAndLog(t *testing.T) {
	p := start(t, append(anyPort(t), "--unixsocket", "s.sock")...)
	ready := p.until("ready")
	if ready["level"] != "INFO" || ready["version"] != version {
		t.Error(ready)
	}
	banner := p.wholeBanner()
	for _, want := range []string{"Synap " + version, p.addr, "s.sock", "redcon", "redis-cli", "10000 clients"} {
		if !strings.Contains(banner, want) {
			t.Errorf("the banner does not tell %q:\n%s", want, banner)
		}
	}
	if n := strings.Count(banner, "\n"); n > 24 {
		t.Errorf("the banner has %d lines", n)
	}
	if got := p.dial().do("PING"); got != "+PONG" {
		t.Error(got)
	}
}

func TestTextLogInAFile(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "a.conf")
	if err := os.WriteFile(conf, []byte("loglevel verbose\nunknown 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, nil, append([]string{conf, "--logfile", "x.log", "--log-format", "text"}, anyPort(t)...)...)
	path := filepath.Join(dir, "x.log")
	awaitText(t, path, "msg=ready")
	if text := awaitText(t, path, "level=WARN"); !strings.Contains(text, `unknown directive`) {
		t.Error(text)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	awaitText(t, path, "configuration reloaded")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Error(code)
	}
	awaitText(t, path, "bye")
}

// awaitText waits until a file holds want and returns all of it.
func awaitText(t *testing.T, path, want string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), want) {
			return string(b)
		}
	}
	t.Fatalf("%s never holds %q", path, want)
	return ""
}

// The order of a shutdown is visible in the log; a blocked client is answered.
func TestTerminate(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := start(t, anyPort(t)...)
		p.until("ready")
		c := p.dial()
		c.do("PING")
		c.send("BLPOP nokey 0")
		eventually(t, p.dial(), "INFO clients", `blocked_clients:1\r`)
		p.signal(sig)
		p.until("signal received, shutting down; a second one ends at once")
		p.until("shutting down: not ready any more")
		p.until("shutting down: no new connections")
		if woken := p.until("shutting down: blocked clients woken"); woken["clients"] != 1.0 {
			t.Error(woken)
		}
		if got := c.read(); got != "" && !strings.HasPrefix(got, "-") && got != "*-1" {
			t.Errorf("the blocked client got %q", got)
		}
		p.until("bye")
		if code := p.exit(); code != 0 {
			t.Errorf("%v: exit code %d", sig, code)
		}
	}
}

// eventually repeats a command until its reply matches.
func eventually(t *testing.T, c *client, line, pattern string) {
	t.Helper()
	want := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if want.MatchString(c.do(line)) {
			return
		}
	}
	t.Fatalf("%s never shows %s", line, pattern)
}

// A client that does not read its replies keeps the first signal waiting.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := start(t, append(anyPort(t), "--shutdown-timeout", "600", "--client-write-timeout", "0")...)
	p.until("ready")
	c := p.dial()
	c.do("SETRANGE big 20000000 x")
	c.send("GET big\r\nGET big\r\nGET big\r\nGET big")
	eventually(t, p.dial(), "CLIENT LIST", `omem=[1-9]`)
	p.signal(syscall.SIGTERM)
	p.until("shutting down: blocked clients woken")
	p.signal(syscall.SIGTERM)
	p.until("second signal: ending at once")
	if code := p.exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestShutdownCommand(t *testing.T) {
	p := start(t, anyPort(t)...)
	p.until("ready")
	p.dial().send("SHUTDOWN NOSAVE")
	p.until("bye")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestReloadSetRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "synap.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# mine\nserver:\n  timeout: 100 # idle\n  tcp_keepalive: 1\n")
	p := startIn(t, t.TempDir(), []string{"SYNAP_SLOWLOG_MAX_LEN=7"}, append([]string{path}, anyPort(t)...)...)
	p.until("ready")
	c := p.dial()
	expect := func(line, want string) {
		t.Helper()
		if got := c.do(line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	expect("CONFIG GET timeout slowlog-max-len", "timeout 100 slowlog-max-len 7")
	write("# mine\nserver:\n  timeout: 200 # idle\n  tcp_keepalive: 1\n  databases: 3\n")
	p.signal(syscall.SIGHUP)
	if r := p.until("these options change only at a restart"); fmt.Sprint(r["options"]) != "[databases]" {
		t.Error(r)
	}
	p.until("configuration reloaded")
	expect("CONFIG GET timeout databases", "timeout 200 databases 16")
	write("server:\n  timeout: x\n")
	p.signal(syscall.SIGHUP)
	if r := p.until("configuration not reloaded"); !strings.Contains(fmt.Sprint(r["error"]), `synap.yml:2: timeout "x"`) {
		t.Error(r)
	}
	expect("CONFIG GET timeout", "timeout 200")

	write("# mine\nserver:\n  timeout: 200 # idle\n  tcp_keepalive: 1\n")
	expect("CONFIG SET timeout 5 maxclients 77", "+OK")
	expect("CONFIG REWRITE", "+OK")
	got, err := os.ReadFile(path)
	text := string(got)
	if err != nil || !strings.HasPrefix(text, "# mine\nserver:\n  timeout: 5 # idle\n  tcp_keepalive: 1\n") ||
		!strings.Contains(text, "\n  maxclients: 77\n") || !strings.Contains(text, "\nslowlog:\n  max_len: 7\n") {
		t.Errorf("%s %v", text, err)
	}
}
