//go:build !record

package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// check runs the program's check of files and returns what it printed.
func check(t *testing.T, code int, args ...string) string {
	t.Helper()
	binary, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binary, args...).CombinedOutput()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	if got := exitCode(err); got != code {
		t.Errorf("%q ended with %d, not %d:\n%s", args, got, code, out)
	}
	return string(out)
}

func exitCode(err error) int {
	if failed, ok := err.(*exec.ExitError); ok {
		return failed.ExitCode()
	}
	return 0
}

// everyType writes a value of every type that the server has.
func everyType(t *testing.T, c *client, ours bool) {
	t.Helper()
	for i := range 100 {
		c.must(t, "SET", fmt.Sprint("string", i), strings.Repeat("v", i))
	}
	c.must(t, "SET", "timed", "v", "PXAT", "32503680000000")
	c.must(t, "RPUSH", "list", "a", "b", "c")
	c.must(t, "HSET", "hash", "f", "v")
	c.must(t, "SADD", "set", "1", "2")
	c.must(t, "ZADD", "zset", "1.5", "a")
	c.must(t, "XADD", "stream", "1-1", "f", "v")
	if ours {
		c.must(t, "QPUBLISH", "queue", "m")
	}
}

// shutDown ends a server by SHUTDOWN and waits for its end.
func shutDown(t *testing.T, c *client, cmd *exec.Cmd) {
	t.Helper()
	if err := c.send("SHUTDOWN"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// ownData leaves the files of our server in a directory: a base, an increment
// and a snapshot.
func ownData(t *testing.T) string {
	dir := t.TempDir()
	p := startProgram(t, "--dir", dir, "--appendonly", "yes", "--save", "3600 1")
	p.awaitLoaded(t)
	c := p.dial(t, 2)
	everyType(t, c, true)
	shutDown(t, c, p.cmd)
	return dir
}

// redisData is ownData of a redis-server.
func redisData(t *testing.T) string {
	dir := t.TempDir()
	port := fmt.Sprint(freePort(t))
	cmd := exec.Command(needProgram(t, "redis-server"), "--port", port, "--bind", "127.0.0.1", "--dir", dir,
		"--appendonly", "yes", "--save", "3600 1", "--loglevel", "warning")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	awaitListener(t, "tcp", "127.0.0.1:"+port)
	c, err := dial("tcp", "127.0.0.1:"+port, 2)
	if err != nil {
		t.Fatal(err)
	}
	everyType(t, c, false)
	shutDown(t, c, cmd)
	return dir
}

func TestCheckOfWholeFiles(t *testing.T) {
	for name, data := range map[string]func(*testing.T) string{"ours": ownData, "of redis-server": redisData} {
		t.Run(name, func(t *testing.T) {
			dir := data(t)
			log := filepath.Join(dir, "appendonlydir")
			for _, path := range []string{dir, log, filepath.Join(log, "appendonly.aof.manifest"), filepath.Join(log, "appendonly.aof.1.incr.aof")} {
				out := check(t, 0, "--check-aof", path)
				contains(t, out, "set 10", "rpush 1", "zadd 1", "xadd 1", "\nwhole\n")
				if name == "ours" {
					contains(t, out, "qapply 1")
				}
			}
			out := check(t, 0, "--check-rdb", filepath.Join(dir, "dump.rdb"))
			contains(t, out, "string 101", "list 1", "hash 1", "set 1", "zset 1", "stream 1", "\nwhole\n")
			if name == "ours" {
				contains(t, out, "keys of snapshots: 107 ", "queue 1")
			}
		})
	}
}

// change writes a file anew.
func change(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, how(bytes.Clone(data)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckCutsATornTail(t *testing.T) {
	const half = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf of it"
	for name, data := range map[string]func(*testing.T) string{"ours": ownData, "of redis-server": redisData} {
		t.Run(name, func(t *testing.T) {
			dir := data(t)
			file := filepath.Join(dir, "appendonlydir", "appendonly.aof.1.incr.aof")
			change(t, file, func(b []byte) []byte {
				return append(b, half...)
			})
			size := func() int64 {
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				return info.Size()
			}
			torn := size()
			out := check(t, 1, "--check-aof", dir)
			contains(t, out, "NOT WHOLE", "appendonly.aof.1.incr.aof", fmt.Sprint("offset ", torn-int64(len(half))), "--fix cuts it off")
			if size() != torn {
				t.Error("a check without --fix changed the file")
			}
			contains(t, check(t, 0, "--check-aof", dir, "--fix"), fmt.Sprintf("cut off: the last %d bytes of", len(half)), "\nwhole\n")
			if whole := torn - int64(len(half)); size() != whole {
				t.Errorf("%d bytes are left, not %d", size(), whole)
			}
			contains(t, check(t, 0, "--check-aof", dir), "set 10", "\nwhole\n")
		})
	}
}

func TestCheckLeavesDamageInTheMiddle(t *testing.T) {
	flip := func(b []byte) []byte { // in the value of a SET
		b[bytes.Index(b, []byte("vvvvvvvvvv"))] ^= 1
		return b
	}
	lengthen := func(b []byte) []byte {
		return bytes.Replace(b, []byte("$9\r\nvvvvvvvvv\r\n"), []byte("$9999\r\nvvvvvvvvv\r\n"), 1)
	}
	garbage := func(b []byte) []byte {
		return bytes.Replace(b, []byte("*3\r\n$3\r\nSET"), []byte("*3\r\n!3\r\nSET"), 1)
	}
	for _, tc := range []struct {
		name   string
		data   func(*testing.T) string
		damage func([]byte) []byte
	}{
		{"a bit of ours", ownData, flip},
		{"a length of ours", ownData, lengthen},
		{"a length of redis-server's", redisData, lengthen},
		{"a command of redis-server's", redisData, garbage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tc.data(t)
			file := filepath.Join(dir, "appendonlydir", "appendonly.aof.1.incr.aof")
			change(t, file, tc.damage)
			for _, args := range [][]string{{"--check-aof", dir}, {"--check-aof", dir, "--fix"}, {"--check-aof", file, "--fix"}} {
				before, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				contains(t, check(t, 1, args...), "DAMAGED", "appendonly.aof.1.incr.aof is damaged at offset ", "nothing was changed")
				if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
					t.Errorf("%q changed the file (%v)", args, err)
				}
			}
		})
	}
}

func TestCheckOfDamagedSnapshots(t *testing.T) {
	for name, data := range map[string]func(*testing.T) string{"ours": ownData, "of redis-server": redisData} {
		t.Run(name, func(t *testing.T) {
			dir := data(t)
			good, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
			if err != nil {
				t.Fatal(err)
			}
			for what, damage := range map[string]func([]byte) []byte{
				"the file ends before": func(b []byte) []byte { return b[:len(b)/2] },
				"the checksum is wrong": func(b []byte) []byte {
					b[bytes.Index(b, []byte("vvv"))] ^= 1
					return b
				},
				"no RDB file":       func([]byte) []byte { return []byte("hello, world") },
				"RDB version 99":    func(b []byte) []byte { return append([]byte("REDIS0099"), b[9:]...) },
				"3 bytes follow":    func(b []byte) []byte { return append(b, "xyz"...) },
				"damaged at offset": func([]byte) []byte { return nil },
			} {
				file := filepath.Join(dir, "damaged.rdb")
				if err := os.WriteFile(file, damage(bytes.Clone(good)), 0o644); err != nil {
					t.Fatal(err)
				}
				contains(t, check(t, 1, "--check-rdb", file), "DAMAGED: "+file+" is damaged at offset ", what)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	dir := ownData(t)
	empty := t.TempDir()
	contains(t, check(t, 1, "--check-aof", filepath.Join(dir, "none")), "no such file")
	contains(t, check(t, 1, "--check-rdb", filepath.Join(dir, "none")), "no such file")
	contains(t, check(t, 1, "--check-aof", empty), "there is no log in "+empty)
	contains(t, check(t, 2, "--check-rdb", filepath.Join(dir, "dump.rdb"), "--fix"), "--fix goes with --check-aof alone")

	other := filepath.Join(dir, "appendonlydir", "other.manifest")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	contains(t, check(t, 1, "--check-aof", dir), "there are several logs")
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	increment := filepath.Join(dir, "appendonlydir", "appendonly.aof.1.incr.aof")
	hidden := filepath.Join(dir, "hidden")
	if err := os.Rename(increment, hidden); err != nil {
		t.Fatal(err)
	}
	contains(t, check(t, 1, "--check-aof", dir), "appendonly.aof.1.incr.aof", "no such file")
	if err := os.Rename(hidden, increment); err != nil {
		t.Fatal(err)
	}

	startProgram(t, "--dir", dir, "--appendonly", "yes")
	contains(t, check(t, 0, "--check-aof", dir), "\nwhole\n")
	contains(t, check(t, 1, "--check-aof", dir, "--fix"), "cannot be changed", "another process uses it")
}
