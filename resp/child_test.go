package resp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Some tests need a process of their own: one that could be killed, whose peak
// of memory is told by the system, or that may run out of descriptors. The test
// binary is that process when childVar is set.
const childVar = "SYNAP_TEST_DOOR"

func TestMain(m *testing.M) {
	if kind := os.Getenv(childVar); kind != "" {
		os.Exit(serveChild(kind))
	}
	goleak.VerifyTestMain(m)
}

// serveChild serves a door until its standard input ends, then reports.
func serveChild(kind string) int {
	if n, err := strconv.Atoi(os.Getenv("SYNAP_TEST_FILES")); err == nil {
		limitFiles(uint64(n))
		fmt.Println("fits", FitMaxClients(10_000))
	}
	server := &echoServer{outLimit: 16 << 20}
	admission := NewAdmission(AdmissionConfig{MaxClients: 10_000})
	spec := ListenerSpec{Network: "tcp", Hosts: []string{"127.0.0.1"}, Admission: admission}
	options := NewDoorOptions(DefaultDoorConfig())
	var door Door
	var err error
	if kind == "loop" {
		door, err = NewLoopDoor(spec, server, 1, options)
	} else {
		door, err = NewRedconDoor(spec, server, 1, options)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	go func() { _ = door.Serve() }()
	fmt.Println("listening", door.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Println("rejected", admission.Rejected(RejectedFiles))
	return 0
}

// child is a door in a process of its own.
type child struct {
	*harness
	cmd   *exec.Cmd
	lines *bufio.Scanner
	stdin interface{ Close() error }
}

func startChild(t *testing.T, kind string, env ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childVar+"="+kind), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{harness: &harness{t: t, kind: kind}, cmd: cmd, lines: bufio.NewScanner(stdout), stdin: stdin}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process ended with %v", err)
		}
	})
	addr := c.line("listening")
	c.dialer = func() (net.Conn, error) { return net.DialTimeout("tcp", addr, patience) }
	return c
}

// line returns what follows word on the next line that begins with it.
func (c *child) line(word string) string {
	c.t.Helper()
	for c.lines.Scan() {
		if rest, ok := strings.CutPrefix(c.lines.Text(), word+" "); ok {
			return rest
		}
	}
	c.t.Fatalf("the process said nothing about %q", word)
	return ""
}

// memory returns a figure of /proc/PID/status in bytes: VmRSS, or its peak VmHWM.
func (c *child) memory(name string) int {
	c.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb << 10
		}
	}
	c.t.Fatalf("no %s", name)
	return 0
}

func eachChild(t *testing.T, f func(c *child)) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	for _, kind := range []string{"loop", "redcon"} {
		t.Run(kind, func(t *testing.T) { f(startChild(t, kind)) })
	}
}

// killers end, pin or bloat a redcon that faces the network bare (section 2).
var killers = []struct {
	name string
	run  func(c *client)
	want string
}{
	{"W1 length of 2^63-1", func(c *client) { c.offer("*1\r\n$9223372036854775807\r\nx") }, "-ERR Protocol error: invalid bulk length\r\n"},
	{"W2 count of 2^63-1", func(c *client) { c.offer("*9223372036854775807\r\n") }, "-ERR Protocol error: invalid multibulk length\r\n"},
	{"W2 count of 10^9", func(c *client) { c.offer("*1000000000\r\n") }, "-ERR Protocol error: invalid multibulk length\r\n"},
	{"W3 a byte a segment", func(c *client) {
		c.offer("*1\r\n$536870912\r\n")
		for range 100_000 {
			c.offer("x")
		}
	}, ""},
	{"W4 misaligned pipeline", func(c *client) {
		request := arr("SET", "key", strings.Repeat("v", 1000))
		chunk := strings.Repeat(request, 64)
		go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
		c.offer(chunk[:500])
		for range 1000 {
			c.offer(chunk[500:] + chunk[:500])
		}
	}, ""},
	{"W5 inline of one-letter words", func(c *client) { c.offer(strings.Repeat("a ", 32<<10)[:64<<10-2] + "\n") }, ""},
	{"W5 endless line", func(c *client) { c.offer(strings.Repeat("a", 1<<20)) }, "-ERR Protocol error: too big inline request\r\n"},
	{"W7 many arguments in drips", func(c *client) {
		in := arr(strings.Split(strings.Repeat("x", 20_000), "")...)
		for i := 0; i < len(in); i += 7 {
			c.offer(in[i:min(i+7, len(in))])
		}
	}, ""},
	{"W18 replies that nobody reads", func(c *client) { c.offer(strings.Repeat(arr("BIG", "1000000"), 500)) }, ""},
}

// Every killer leaves the process alive, its peak of memory low, and another
// client served.
func TestDoorKillers(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector multiplies memory")
	}
	eachChild(t, func(c *child) {
		other := c.dial()
		other.ping()
		start := c.memory("VmHWM")
		for _, k := range killers {
			attacker := c.dial()
			done := make(chan struct{})
			go func() { k.run(attacker); close(done) }()
			for serving := true; serving; {
				select {
				case <-done:
					serving = false
				default:
					other.ping()
				}
			}
			if k.want != "" {
				attacker.expectClosed(k.want)
			}
			attacker.Close()
			other.ping()
			if grown := c.memory("VmHWM") - start; grown > 64<<20 {
				c.t.Fatalf("%s: resident memory grew by %d MB", k.name, grown>>20)
			}
		}
	})
}

// A thousand clients that announce as much as they may cost next to nothing:
// nothing is allocated ahead of the data (CVE-2021-32675).
func TestDoorAnnouncementsAreFree(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector multiplies memory")
	}
	eachChild(t, func(c *child) {
		c.dial().ping()
		start := c.memory("VmHWM")
		for range 1000 {
			c.dial().send("*1048576\r\n$536870912\r\n")
		}
		c.dial().ping()
		if grown := c.memory("VmHWM") - start; grown > 64<<20 {
			c.t.Fatalf("resident memory grew by %d MB", grown>>20)
		}
	})
}

// Idle connections hold no buffers, whatever they sent before.
func TestDoorIdleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector multiplies memory")
	}
	eachChild(t, func(c *child) {
		const conns = 2000
		c.dial().ping()
		start := c.memory("VmRSS")
		v := strings.Repeat("v", 10_000)
		for range conns {
			x := c.dial()
			x.send(arr("ECHO", v))
			x.expect("$10000\r\n" + v + "\r\n")
		}
		each := (c.memory("VmRSS") - start) / conns
		c.t.Logf("%d bytes a connection", each)
		if limit := map[string]int{"loop": 4 << 10, "redcon": 32 << 10}[c.kind]; each > limit {
			c.t.Errorf("%d bytes a connection, want at most %d", each, limit)
		}
	})
}

// Out of descriptors, the door keeps serving those inside and recovers.
func TestDoorOutOfFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a limit of descriptors")
	}
	for _, kind := range []string{"loop", "redcon"} {
		t.Run(kind, func(t *testing.T) {
			c := startChild(t, kind, "SYNAP_TEST_FILES=100")
			inside := c.dial()
			inside.ping()
			var crowd []net.Conn
			for range 300 {
				conn, err := c.dialer()
				if err != nil {
					break // the backlog is full
				}
				crowd = append(crowd, conn)
				inside.ping()
			}
			for _, conn := range crowd {
				conn.Close()
			}
			inside.ping()
			c.dial().ping()
			c.stdin.Close()
			if n := c.line("rejected"); n == "0" {
				t.Error("no connection was turned away")
			}
		})
	}
}

func TestFitMaxClients(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a limit of descriptors")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"=loop", "SYNAP_TEST_FILES=100")
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), fmt.Sprintf("fits %d\n", 100-reservedFiles)) {
		t.Fatalf("%q, %v", out, err)
	}
}

func TestAdmission(t *testing.T) {
	a := NewAdmission(AdmissionConfig{MaxClients: 2, Reserved: 1})
	for i, c := range []struct {
		local bool
		want  error
	}{{false, nil}, {true, nil}, {false, ErrMaxClients}, {true, nil}, {true, ErrMaxClients}} {
		if err := a.enter(c.local); err != c.want {
			t.Errorf("%d: %v, want %v", i, err, c.want)
		}
	}
	if a.Clients() != 3 || a.Accepted() != 3 || a.Rejected(RejectedMaxClients) != 2 {
		t.Errorf("%d clients, %d accepted, %d rejected", a.Clients(), a.Accepted(), a.Rejected(RejectedMaxClients))
	}
	a.Set(AdmissionConfig{Protected: true})
	for addr, want := range map[string]error{"127.0.0.1": nil, "::1": nil, "192.0.2.1": Denied, "2001:db8::1": Denied} {
		if err := a.check(netip.MustParseAddr(addr)); err != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if err := a.check(netip.Addr{}); err != nil {
		t.Errorf("unix socket: %v", err)
	}
	if n := a.Rejected(RejectedProtected); n != 2 {
		t.Errorf("%d rejected", n)
	}
}
