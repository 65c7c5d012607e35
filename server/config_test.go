package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"synap/config"
)

func TestProtectedConfigs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // puts the working directory back afterwards
	for allowed, want := range map[string]string{
		"no":    "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config",
		"local": "+OK",
		"yes":   "+OK",
	} {
		s := startServer(t, func(c *config.Config) { c.EnableProtectedConfigs = allowed })
		c := connect(t, s)
		c.want(want, "CONFIG", "SET", "dir", dir)
		if allowed == "no" {
			continue
		}
		c.want(`["dir" `+strconv.Quote(dir)+`]`, "CONFIG", "GET", "dir")
		c.want("-ERR CONFIG SET failed (possibly related to argument 'dir') - no such file or directory", "CONFIG", "SET", "timeout", "9", "dir", dir+"/none")
		c.want(`["timeout" "0"]`, "CONFIG", "GET", "timeout")
	}
}

// What the limiter alone refuses must leave everything as it was.
func TestRefusedByAPart(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	got := c.do("CONFIG", "SET", "timeout", "7", "rate-limit-enabled", "yes", "rate-limit-requests-per-second", "0.000001", "rate-limit-burst-size", "1000000")
	if !strings.HasPrefix(got, "-ERR CONFIG SET failed (possibly related to argument 'rate-limit-burst-size') - 1000000 tokens at") {
		t.Error(got)
	}
	c.want(`["timeout" "0"]`, "CONFIG", "GET", "timeout")
	c.want(`["rate-limit-enabled" "no"]`, "CONFIG", "GET", "rate-limit-enabled")
}

// Changes of different options by many clients at once must not undo each other.
func TestConcurrentChanges(t *testing.T) {
	s := startServer(t, nil)
	options := []string{"timeout", "tcp-keepalive", "maxclients", "slowlog-max-len", "lfu-decay-time", "shutdown-timeout"}
	var wg sync.WaitGroup
	for _, name := range options {
		c := connect(t, s)
		wg.Go(func() {
			for i := range 50 {
				c.want("+OK", "CONFIG", "SET", name, strconv.Itoa(1000+i))
				c.want(`["`+name+`" "`+strconv.Itoa(1000+i)+`"]`, "CONFIG", "GET", name)
			}
		})
	}
	wg.Wait()
}

func TestReloadTakesOverWhatIsLive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "synap.yml")
	if err := os.WriteFile(path, []byte("log:\n  level: warning\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, src, err := config.Load([]string{path, "--http-port", "0", "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""}, nil)
	if err != nil {
		t.Fatal(err)
	}
	level := new(slog.LevelVar)
	s, err := New(Options{Config: cfg, Source: src, Level: level, AnyPort: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("log:\n  level: verbose\nslowlog:\n  max_len: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if level.Level() != levelVerbose || s.Config().SlowlogMaxLen != 3 {
		t.Error(level, s.Config().SlowlogMaxLen)
	}
	if err := os.WriteFile(path, []byte("log:\n  level: loud\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || s.Config().LogLevel != "verbose" {
		t.Error(err, s.Config().LogLevel)
	}
}
