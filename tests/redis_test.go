package tests

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// target is a server under test: ours in process, or a real Redis.
type target struct {
	network, addr string
	name          string // "synap" or "redis"
	now           func() time.Time
	move          func(time.Duration) error  // nil: the clock is the wall's
	records       func() ([][]string, error) // the journal's commands in order; nil: not ours
	restart       func() error               // files → empty server → equal digest; ends this one; nil: not ours
	stop          func()
	inside        *inside // nil: not ours
}

func (s *target) ours() bool { return s.name == "synap" }

// longestSleep bounds what `clock` costs against a real Redis.
const longestSleep = 5 * time.Second

func (s *target) advance(d time.Duration) error {
	if s.move != nil {
		return s.move(d)
	}
	if d > longestSleep {
		return fmt.Errorf("%w: clock +%v against a real Redis", errStop, d)
	}
	time.Sleep(d)
	return nil
}

// needProgram skips the test by name when a program is missing; with CI set
// that is a failure, so that nothing is left out unseen.
func needProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed (make test-deps)", name)
	return ""
}

// Ports below those that the system takes for connections of its own.
const firstPort, lastPort = 10_000, 20_000

// ports gives each port out only once.
var ports = struct {
	mu   sync.Mutex // guards next
	next int
}{next: firstPort + os.Getpid()*97%(lastPort-firstPort)}

// freePort returns a TCP port of the loopback that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	ports.mu.Lock()
	defer ports.mu.Unlock()
	for range lastPort - firstPort {
		port := ports.next
		if ports.next++; ports.next == lastPort {
			ports.next = firstPort
		}
		ln, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// startRedis starts a redis-server of its own, without persistence.
func startRedis(t testing.TB, options [][2]string) *target {
	t.Helper()
	path := needProgram(t, "redis-server")
	port := strconv.Itoa(freePort(t))
	args := []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--enable-debug-command", "yes", "--dir", t.TempDir(), "--loglevel", "warning"}
	for _, o := range options {
		args = append(args, "--"+o[0], o[1])
	}
	cmd := exec.Command(path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &target{network: "tcp", addr: "127.0.0.1:" + port, name: "redis", now: time.Now}
	s.stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(s.stop)
	awaitListener(t, s.network, s.addr)
	return s
}

// awaitListener returns once addr accepts connections.
func awaitListener(t testing.TB, network, addr string) {
	t.Helper()
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); {
		conn, err := net.Dial(network, addr)
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("nothing listens on %s", addr)
}

// remoteServer is an already running server (-addr), emptied for a section.
func remoteServer(t testing.TB, addr string) *target {
	t.Helper()
	c, err := dial("tcp", addr, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if v, err := c.do("FLUSHALL"); err != nil || v.isError() {
		t.Fatalf("FLUSHALL at %s: %v %s", addr, err, v.render())
	}
	return &target{network: "tcp", addr: addr, name: "redis", now: time.Now, stop: func() {}}
}
