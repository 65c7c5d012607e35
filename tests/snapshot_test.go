package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// persistenceField returns a field of INFO persistence.
func persistenceField(t testing.TB, c *client, name string) string {
	t.Helper()
	for line := range strings.Lines(c.must(t, "INFO", "persistence").text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return v
		}
	}
	t.Fatalf("INFO persistence has no %s", name)
	return ""
}

// awaitField waits until a field of INFO persistence has a value.
func awaitField(t testing.TB, c *client, name, want string) {
	t.Helper()
	deadline := time.Now().Add(2 * replyTimeout)
	for persistenceField(t, c, name) != want {
		if time.Now().After(deadline) {
			t.Fatalf("%s is %s, not %s", name, persistenceField(t, c, name), want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// bgsave writes a snapshot and returns it.
func (p *program) bgsave(t testing.TB, c *client, dir string) []byte {
	t.Helper()
	c.must(t, "BGSAVE")
	awaitField(t, c, "rdb_bgsave_in_progress", "0")
	data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSnapshotOptions(t *testing.T) {
	dir := t.TempDir()
	p := startProgram(t, "--dir", dir, "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--maxmemory-policy", "allkeys-lfu")
	c := p.dial(t, 2)
	text := strings.Repeat("abcd", 100)
	c.must(t, "SET", "k", text)
	if data := p.bgsave(t, c, dir); bytes.Contains(data, []byte(text)) {
		t.Error("with rdbcompression yes the string stands in the file as it is")
	}
	c.must(t, "CONFIG", "SET", "rdbcompression", "no", "rdb-save-incremental-fsync", "no")
	data := p.bgsave(t, c, dir)
	if !bytes.Contains(data, []byte(text)) {
		t.Error("with rdbcompression no the string is compressed")
	}
	if sum := data[len(data)-8:]; bytes.Equal(sum, make([]byte, 8)) {
		t.Error("with rdbchecksum yes there is no checksum")
	}
	for range 50 {
		c.must(t, "GET", "k")
	}
	before := c.must(t, "OBJECT", "FREQ", "k").render()
	c.must(t, "DEBUG", "RELOAD")
	if after := c.must(t, "OBJECT", "FREQ", "k").render(); after != before {
		t.Errorf("the access counter was %s, and is %s after a reload", before, after)
	}
	c.must(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	c.must(t, "RESTORE", "old", "0", c.must(t, "DUMP", "k").text, "IDLETIME", "1000")
	c.must(t, "DEBUG", "RELOAD")
	if v := c.must(t, "OBJECT", "IDLETIME", "old").render(); v < "1000" || v > "1100" || len(v) != 4 {
		t.Errorf("the idle time is %s after a reload", v)
	}
}

func TestSnapshotWithoutChecksum(t *testing.T) {
	dir := t.TempDir()
	args := []string{"--dir", dir, "--save", "", "--appendonly", "no", "--rdbcompression", "no", "--rdbchecksum"}
	p := startProgram(t, append(args, "no")...)
	c := p.dial(t, 2)
	c.must(t, "SET", "key", "value")
	data := p.bgsave(t, c, dir)
	if sum := data[len(data)-8:]; !bytes.Equal(sum, make([]byte, 8)) {
		t.Errorf("the checksum is %x", sum)
	}
	copy(data[len(data)-8:], "nonsense")
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	c = startProgram(t, append(args, "no")...).dial(t, 2)
	if v := c.must(t, "GET", "key").text; v != "value" {
		t.Errorf("loaded %q", v)
	}
	if n := persistenceField(t, c, "rdb_last_load_keys_loaded"); n != "1" {
		t.Errorf("%s keys loaded", n)
	}
}

func TestStopWritesOnBgsaveError(t *testing.T) {
	dir := t.TempDir()
	p := startProgram(t, "--dir", dir, "--save", "3600 1", "--appendonly", "no", "--dbfilename", "taken")
	c := p.dial(t, 2)
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o755); err != nil { // nothing can be renamed to it
		t.Fatal(err)
	}
	c.must(t, "SET", "k", "v")
	c.must(t, "BGSAVE")
	awaitField(t, c, "rdb_last_bgsave_status", "err")
	awaitField(t, c, "rdb_bgsave_in_progress", "0")
	v, err := c.do("SET", "k", "w")
	if err != nil || !strings.HasPrefix(v.text, "MISCONF Redis is configured to save RDB snapshots") {
		t.Fatalf("a write is answered %s, %v", v.render(), err)
	}
	c.must(t, "CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
	c.must(t, "SET", "k", "w")
	c.must(t, "CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
	if v, _ := c.do("SET", "k", "x"); !v.isError() {
		t.Error("a write is taken again though no snapshot has succeeded")
	}
	if err := os.Remove(filepath.Join(dir, "taken")); err != nil {
		t.Fatal(err)
	}
	c.must(t, "SAVE")
	c.must(t, "SET", "k", "x")
}

func TestAutomaticRewrite(t *testing.T) {
	dir := t.TempDir()
	p := startProgram(t, "--dir", dir, "--save", "", "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0",
		"--auto-aof-rewrite-min-size", "10kb", "--aof-use-rdb-preamble", "no", "--enable-debug-command", "yes",
		"--no-appendfsync-on-rewrite", "yes", "--aof-rewrite-incremental-fsync", "no")
	p.awaitLoaded(t)
	c := p.dial(t, 2)
	c.must(t, "HSET", "h", "a", "1", "b", "2")
	c.must(t, "HPEXPIREAT", "h", "32503680000000", "FIELDS", "1", "a")
	c.must(t, "QPUBLISH", "q", "message")
	c.must(t, "SELECT", "3")
	for i := range 300 {
		c.must(t, "SET", "k", strings.Repeat(fmt.Sprint(i), 40), "PXAT", "32503680000000")
	}
	rewrites := persistenceField(t, c, "aof_rewrites")
	c.must(t, "CONFIG", "SET", "auto-aof-rewrite-percentage", "100")
	deadline := time.Now().Add(2 * replyTimeout)
	for persistenceField(t, c, "aof_rewrites") == rewrites {
		if time.Now().After(deadline) {
			t.Fatal("the log has grown, and is not rewritten")
		}
		time.Sleep(20 * time.Millisecond)
	}
	awaitField(t, c, "aof_rewrite_in_progress", "0")
	bases, _ := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.base.aof"))
	if len(bases) != 1 {
		t.Fatalf("bases of commands: %q", bases)
	}
	if data, err := os.ReadFile(bases[0]); err != nil || !bytes.HasPrefix(data, []byte("*2\r\n$6\r\nSELECT\r\n")) {
		t.Errorf("the base begins with %.40q, %v", data, err)
	}
	before := c.must(t, "DEBUG", "DIGEST").text
	c.must(t, "DEBUG", "LOADAOF")
	if after := c.must(t, "DEBUG", "DIGEST").text; after != before {
		t.Errorf("the digest was %s, and is %s when the log is loaded", before, after)
	}
}

// TestRewritesUnderLoad rewrites the log over and over while clients write: the
// base and what follows it must make what the server holds.
func TestRewritesUnderLoad(t *testing.T) {
	p := startProgram(t, "--save", "", "--appendonly", "yes", "--enable-debug-command", "yes", "--databases", "2")
	p.awaitLoaded(t)
	c := p.dial(t, 2)
	c.must(t, "DEBUG", "POPULATE", "20000", "key", "50")
	var stop atomic.Bool
	var clients sync.WaitGroup
	for n := range 3 {
		w := p.dial(t, 2)
		clients.Go(func() {
			for i := 0; !stop.Load(); i++ {
				key := fmt.Sprint("key:", i*7919%20000)
				for _, args := range [][]string{
					{"SET", key, fmt.Sprint(n, i)}, {"LPUSH", fmt.Sprint("l", i%50), key}, {"ZADD", fmt.Sprint("z", i%50), fmt.Sprint(i), key},
					{"HSET", fmt.Sprint("h", i%50), key, key}, {"RENAME", key, fmt.Sprint("key:", i*104729%20000)}, {"EXPIRE", fmt.Sprint("key:", i%20000), "1000"},
					{"XADD", fmt.Sprint("x", i%20), "*", "f", key}, {"QPUBLISH", fmt.Sprint("q", i%20), key}, {"DEL", fmt.Sprint("h", (i+1)%50)},
				} {
					if _, err := w.do(args...); err != nil {
						t.Error(err)
						return
					}
				}
				if i%500 == 499 {
					w.do("SWAPDB", "0", "1")
				}
			}
		})
	}
	awaitField(t, c, "aof_rewrite_in_progress", "0") // a new log begins with one
	for range 10 {
		c.must(t, "BGREWRITEAOF")
		awaitField(t, c, "aof_rewrite_in_progress", "0")
	}
	stop.Store(true)
	clients.Wait()
	if v := persistenceField(t, c, "aof_last_bgrewrite_status"); v != "ok" {
		t.Errorf("the last rewrite: %s", v)
	}
	before := c.must(t, "DEBUG", "DIGEST").text
	c.must(t, "DEBUG", "LOADAOF")
	if after := c.must(t, "DEBUG", "DIGEST").text; after != before {
		t.Errorf("the digest was %s, and is %s when the log is loaded", before, after)
	}
}

// TestRdbOfRedisCli fetches a snapshot while another client takes nothing of
// its own, and lets redis-server load it.
func TestRdbOfRedisCli(t *testing.T) {
	for _, door := range []string{"loop", "redcon"} {
		t.Run(door, func(t *testing.T) {
			p := startProgram(t, "--save", "", "--appendonly", "no", "--network-door", door, "--enable-debug-command", "yes", "--rdbcompression", "no")
			c := p.dial(t, 2)
			c.must(t, "DEBUG", "POPULATE", "50000", "key", "500")
			c.must(t, "RPUSH", "l", "a", "b")
			stuck := p.dial(t, 2)
			if err := stuck.send("SYNC"); err != nil {
				t.Fatal(err)
			}
			memory := p.resident(t)
			dir := t.TempDir()
			if out := p.cli(t, "", "--rdb", filepath.Join(dir, "dump.rdb")); !strings.Contains(out, "success") {
				t.Fatalf("redis-cli says %s", out)
			}
			if more := p.resident(t) - memory; more > 20 {
				t.Errorf("memory has grown by %d MB", more)
			}
			redis := startRedis(t, [][2]string{{"dir", dir}, {"dbfilename", "dump.rdb"}})
			there, err := dial(redis.network, redis.addr, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer there.close()
			awaitField(t, there, "loading", "0")
			if n := there.must(t, "DBSIZE").render(); n != "50001" {
				t.Errorf("redis-server loaded %s keys", n)
			}
			if v := there.must(t, "LRANGE", "l", "0", "-1").render(); v != `["a" "b"]` {
				t.Errorf("redis-server loaded the list %s", v)
			}
		})
	}
}
