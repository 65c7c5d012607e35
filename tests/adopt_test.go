//go:build !record

package tests

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAdoptsOldLog starts on the single file that a Redis older than 7 keeps: a
// snapshot or commands, and commands behind it, the last of them unfinished. It
// becomes the base of a log of ours, which later starts and rewrites go on from.
func TestAdoptsOldLog(t *testing.T) {
	snapshot := needRedisLog(t)
	for name, head := range map[string][]byte{"commands": nil, "snapshot": snapshot} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			old := slices.Concat(head, appendCommand(nil, []string{"SELECT", "0"}), appendCommand(nil, []string{"RPUSH", "l", "a", "b"}))
			torn := slices.Concat(old, appendCommand(nil, []string{"SET", "k", "v"})[:7])
			if err := os.WriteFile(filepath.Join(dir, "appendonly.aof"), torn, 0o600); err != nil {
				t.Fatal(err)
			}
			want := "2"
			if head != nil {
				want = "3"
			}
			for range 3 {
				p := startProgram(t, "--dir", dir, "--appendonly", "yes")
				p.awaitLoaded(t)
				c := p.dial(t, 2)
				c.must(t, "SET", "later", "x")
				if v := c.must(t, "LRANGE", "l", "0", "-1").render(); v != `["a" "b"]` {
					t.Errorf("the list is %s", v)
				}
				if v := c.must(t, "DBSIZE").render(); v != want {
					t.Errorf("%s keys, not %s", v, want)
				}
				p.cmd.Process.Kill()
				p.cmd.Wait()
			}
			if _, err := os.Stat(filepath.Join(dir, "appendonly.aof")); err == nil {
				t.Error("the old file is still in its place")
			}
			base := filepath.Join(dir, "appendonlydir", "appendonly.aof")
			if data, err := os.ReadFile(base); err != nil || !bytes.Equal(data, old) {
				t.Errorf("the base is %.100q, %v", data, err)
			}
			p := startProgram(t, "--dir", dir, "--appendonly", "yes")
			p.awaitLoaded(t)
			c := p.dial(t, 2)
			c.must(t, "BGREWRITEAOF")
			awaitField(t, c, "aof_rewrite_in_progress", "0")
			await(t, "the old base to go", func() bool { _, err := os.Stat(base); return err != nil })
		})
	}
}

// needRedisLog returns the snapshot at the head of a redis-server's log.
func needRedisLog(t *testing.T) []byte {
	needProgram(t, "redis-server")
	dir := t.TempDir()
	redis := startRedis(t, [][2]string{{"dir", dir}, {"dbfilename", "dump.rdb"}})
	c, err := dial(redis.network, redis.addr, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.must(t, "SET", "of a snapshot", strings.Repeat("x", 100))
	c.must(t, "SAVE")
	data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestAdoptionGoesOn starts on what a power cut in the middle of an adoption
// leaves: the manifest names the file, which has not moved.
func TestAdoptionGoesOn(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "appendonlydir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"appendonlydir/appendonly.aof.manifest": "file appendonly.aof seq 1 type b\n",
		"appendonly.aof":                        string(appendCommand(nil, []string{"SET", "k", "v"})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := startProgram(t, "--dir", dir, "--appendonly", "yes")
	p.awaitLoaded(t)
	if v := p.dial(t, 2).must(t, "GET", "k").text; v != "v" {
		t.Errorf("the key is %q", v)
	}
}
