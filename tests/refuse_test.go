//go:build !record

package tests

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// logDir returns a data directory with a log of a base and an increment, and a
// snapshot.
func logDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	p := startProgram(t, "--dir", dir, "--appendonly", "yes")
	p.awaitLoaded(t)
	c := p.dial(t, 2)
	for range 40 {
		c.must(t, "RPUSH", "in the base", rand.Text())
	}
	c.must(t, "SAVE")
	c.must(t, "BGREWRITEAOF")
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "appendonlydir", "appendonly.aof.1.incr.aof")); err != nil {
			break // removed at the end
		}
	}
	c.must(t, "CONFIG", "SET", "appendfsync", "always") // else bytes that were never on disk may be lost
	for range 3 {
		c.must(t, "RPUSH", "in the increment", "a", "b")
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	return dir
}

// refuses starts the program, which must end by itself with an error, and
// returns the line that says why.
func refuses(t *testing.T, dir string, args ...string) string {
	t.Helper()
	binary, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), replyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"--port", fmt.Sprint(freePort(t)), "--http-port", "0", "--dir", dir}, args...)...)
	var out bytes.Buffer
	cmd.Stderr = &out
	err = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); err == nil || code != 1 {
		t.Fatalf("it ends with code %d: %s", code, out.String())
	}
	_, line, _ := strings.Cut("\n"+out.String(), "\nsynap: ")
	line, rest, _ := strings.Cut(line, "\n")
	if line == "" || rest != "" {
		t.Errorf("not one line: %q", out.String())
	}
	return line
}

// damages are what can have become of a data directory, and what the program
// then says.
var damages = []struct {
	name   string
	damage func(dir string) error
	log    string // appendonly
	says   []string
}{
	{"base cut off", changed(logFile("2.base.rdb"), cutOff), "yes", []string{"appendonly.aof.2.base.rdb is damaged at offset", "nothing was loaded or changed"}},
	{"base changed", changed(logFile("2.base.rdb"), flipped), "yes", []string{"appendonly.aof.2.base.rdb is damaged at offset"}},
	{"base of a newer version", changed(logFile("2.base.rdb"), newer), "yes", []string{"appendonly.aof.2.base.rdb", "version 99"}},
	{"base missing", removed(logFile("2.base.rdb")), "yes", []string{"appendonly.aof.2.base.rdb"}},
	{"increment missing", removed(logFile("2.incr.aof")), "yes", []string{"appendonly.aof.2.incr.aof"}},
	{"increment changed in the middle", changed(logFile("2.incr.aof"), func(b []byte) []byte { b[60] ^= 1; return b }), "yes", []string{"appendonly.aof.2.incr.aof"}},
	{"manifest missing", removed(logFile("manifest")), "yes", []string{"appendonly.aof.manifest is missing, but", "is there"}},
	{"manifest with another file", changed(logFile("manifest"), func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("2.base"), []byte("7.base")) }), "yes", []string{"appendonly.aof.manifest is damaged: its checksum is wrong; if you changed it yourself, remove the line that begins with #CRC:"}},
	{"manifest with another file, of a Redis", changed(logFile("manifest"), func([]byte) []byte { return []byte("file appendonly.aof.7.base.rdb seq 7 type b\n") }), "yes", []string{"appendonly.aof.7.base.rdb"}},
	{"manifest of something else", changed(logFile("manifest"), func([]byte) []byte { return []byte("a text\n") }), "yes", []string{"appendonly.aof.manifest is damaged: line 1 is not valid"}},
	{"a file in place of the directory", func(dir string) error {
		if err := os.RemoveAll(filepath.Join(dir, "appendonlydir")); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "appendonlydir"), []byte("x"), 0o600)
	}, "yes", []string{"appendonlydir"}},
	{"snapshot cut off", changed("dump.rdb", cutOff), "no", []string{"dump.rdb is damaged at offset"}},
	{"snapshot changed", changed("dump.rdb", flipped), "no", []string{"dump.rdb is damaged at offset"}},
	{"snapshot of a newer version", changed("dump.rdb", newer), "no", []string{"dump.rdb", "version 99"}},
	{"snapshot with data of a module", changed("dump.rdb", ofModule("\xf7")), "no", []string{"dump.rdb is damaged at offset 9: it holds data of a module"}},
	{"snapshot with a value of a module", changed("dump.rdb", ofModule("\x07\x01k")), "no", []string{"dump.rdb is damaged at offset 9: it holds data of a module"}},
	{"a directory in place of the snapshot", func(dir string) error {
		return errors.Join(os.Remove(filepath.Join(dir, "dump.rdb")), os.Mkdir(filepath.Join(dir, "dump.rdb"), 0o700))
	}, "no", []string{"dump.rdb: it is not a regular file"}},
	{"increment of a Redis with an unknown command", changed(logFile("2.incr.aof"), func([]byte) []byte { return []byte("*1\r\n$8\r\nFLUSHALL\r\n*1\r\n$6\r\nNOSUCH\r\n") }), "yes", []string{"appendonly.aof.2.incr.aof is damaged at offset 18", `"NOSUCH"`}},
}

func logFile(name string) string { return filepath.Join("appendonlydir", "appendonly.aof."+name) }

func changed(name string, how func([]byte) []byte) func(dir string) error {
	return func(dir string) error {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), how(b), 0o600)
	}
}

func removed(name string) func(dir string) error {
	return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
}

// ofModule puts what begins with head, and then a number of an id's size, in
// front of the keys.
func ofModule(head string) func([]byte) []byte {
	return func(b []byte) []byte { return append([]byte("REDIS0010"+head+"\x8112345678"), b[9:]...) }
}

func newer(b []byte) []byte   { return append([]byte("REDIS0099"), b[9:]...) }
func flipped(b []byte) []byte { b[len(b)-200] ^= 1; return b }
func cutOff(b []byte) []byte  { return b[:len(b)-100] }

// TestRefusesToStart damages a data directory. The program says in one line what
// is wrong, changes nothing and does not start empty.
func TestRefusesToStart(t *testing.T) {
	good := logDir(t)
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			before := filesIn(t, dir)
			contains(t, refuses(t, dir, "--appendonly", c.log), c.says...)
			if after := filesIn(t, dir); after != before {
				t.Errorf("the files were\n%s\nand are\n%s", before, after)
			}
		})
	}
	t.Run("directory missing", func(t *testing.T) {
		contains(t, refuses(t, filepath.Join(t.TempDir(), "nowhere"), "--appendonly", "yes"), "nowhere", "no such file or directory")
	})
	t.Run("directory that cannot be written", func(t *testing.T) {
		contains(t, refuses(t, "/proc", "--appendonly", "yes"), "/proc cannot be used", "synap.lock")
	})
	t.Run("second process", func(t *testing.T) {
		p := startProgram(t, "--dir", good, "--appendonly", "yes")
		p.awaitLoaded(t)
		contains(t, refuses(t, good, "--appendonly", "yes"), good+" cannot be used", "another process uses it")
		p.dial(t, 2).must(t, "SET", "a", "b")
	})
}

// filesIn describes the files below dir.
func filesIn(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %x\n", strings.TrimPrefix(path, dir), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestShutdownWithoutSnapshot asks for a snapshot that cannot be written: the
// server says so in Redis' words and stays.
func TestShutdownWithoutSnapshot(t *testing.T) {
	dir := t.TempDir()
	p := startProgram(t, "--dir", dir, "--appendonly", "no")
	c := p.dial(t, 2)
	c.must(t, "SET", "a", "b")
	if err := os.Mkdir(filepath.Join(dir, "dump.rdb"), 0o700); err != nil {
		t.Fatal(err)
	}
	if v, err := c.do("SHUTDOWN", "SAVE"); err != nil || v.text != "ERR Errors trying to SHUTDOWN. Check logs." {
		t.Fatalf("SHUTDOWN SAVE: %v %s", err, v.render())
	}
	if v := c.must(t, "GET", "a"); v.text != "b" {
		t.Errorf("GET behind it: %s", v.render())
	}
	if v, err := c.do("SHUTDOWN", "NOSAVE"); err != nil || v.kind != 'x' {
		t.Errorf("SHUTDOWN NOSAVE: %v %s", err, v.render())
	}
}

// TestShutdownBesideSnapshots ends the server while others write snapshots over
// and over, holding all data.
func TestShutdownBesideSnapshots(t *testing.T) {
	for _, busy := range [][]string{{"SAVE"}, {"DEBUG", "RELOAD"}, {"BGSAVE"}} {
		t.Run(busy[0], func(t *testing.T) {
			p := startProgram(t, "--network-door", "redcon", "--enable-debug-command", "yes")
			c := p.dial(t, 2)
			c.must(t, "DEBUG", "POPULATE", "200000")
			var all sync.WaitGroup
			begun := make(chan bool, 1)
			for range 3 {
				other := p.dial(t, 2)
				all.Go(func() {
					for {
						if v, err := other.do(busy...); err != nil || v.kind == 'x' {
							return // the server has ended
						}
						select {
						case begun <- true:
						default:
						}
					}
				})
			}
			<-begun
			if v, err := c.do("SHUTDOWN", "SAVE"); err != nil || v.kind != 'x' {
				t.Errorf("SHUTDOWN SAVE: %v %s", err, v.render())
				p.cmd.Process.Kill()
			}
			all.Wait()
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}

// TestSignalWhileLoading ends the program while it loads: it leaves the files as
// they are.
func TestSignalWhileLoading(t *testing.T) {
	dir := t.TempDir()
	p := startProgram(t, "--dir", dir, "--appendonly", "yes", "--save", "1 1000000")
	p.awaitLoaded(t)
	c := p.dial(t, 2)
	c.must(t, "CONFIG", "SET", "appendfsync", "no")
	line := appendCommand(nil, []string{"RPUSH", "l", "element"})
	for range 100 {
		if err := c.sendRaw(bytes.Repeat(line, 10_000)); err != nil {
			t.Fatal(err)
		}
		for range 10_000 {
			if v, err := c.read(); err != nil || v.isError() {
				t.Fatalf("RPUSH: %v %s", err, v.render())
			}
		}
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	before := filesIn(t, filepath.Join(dir, "appendonlydir"))
	again := startProgram(t, "--dir", dir, "--appendonly", "yes", "--save", "1 1000000")
	if err := again.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := again.cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	contains(t, again.log.String(), "signal received while loading", `"bye"`)
	if filesIn(t, filepath.Join(dir, "appendonlydir")) != before {
		t.Error("the files of the log have changed")
	}
	if _, err := os.Stat(filepath.Join(dir, "dump.rdb")); err == nil {
		t.Error("half of the data was saved")
	}
}
