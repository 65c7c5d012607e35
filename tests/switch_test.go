//go:build !record

package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestLogSwitchedQuickly switches the log off and on faster than it can follow:
// what was asked for last holds in the end, and all data is in the log.
func TestLogSwitchedQuickly(t *testing.T) {
	dir := t.TempDir()
	p := startProgram(t, "--dir", dir, "--appendonly", "yes", "--enable-debug-command", "yes")
	p.awaitLoaded(t)
	c := p.dial(t, 2)
	c.must(t, "DEBUG", "POPULATE", "20000")
	for i := range 20 {
		last := []string{"yes", "no"}[i%2]
		var b []byte
		words := []string{"no", "yes", "no", "yes", last}
		for _, word := range words {
			b = appendCommand(b, []string{"CONFIG", "SET", "appendonly", word})
		}
		if err := c.sendRaw(b); err != nil {
			t.Fatal(err)
		}
		for range words {
			if v, err := c.read(); err != nil || v.isError() {
				t.Fatalf("CONFIG SET: %v %s", err, v.render())
			}
		}
		c.must(t, "SET", "round", fmt.Sprint(i))
		awaitField(t, c, "aof_enabled", map[string]string{"yes": "1", "no": "0"}[last])
	}
	c.must(t, "CONFIG", "SET", "appendonly", "yes")
	awaitField(t, c, "aof_enabled", "1")
	awaitField(t, c, "aof_rewrite_in_progress", "0")
	want := c.must(t, "DEBUG", "DIGEST").text
	p.cmd.Process.Kill()
	p.cmd.Wait()
	again := startProgram(t, "--dir", dir, "--appendonly", "yes", "--enable-debug-command", "yes")
	again.awaitLoaded(t)
	if got := again.dial(t, 2).must(t, "DEBUG", "DIGEST").text; got != want {
		t.Error("the log does not hold what the server did")
	}
}

// TestLogThatCannotBeBegun asks for a log where none can be, and then for none:
// writes are refused only in between.
func TestLogThatCannotBeBegun(t *testing.T) {
	dir := t.TempDir()
	p := startProgram(t, "--dir", dir, "--appendonly", "no")
	c := p.dial(t, 2)
	inTheWay := filepath.Join(dir, "appendonlydir")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused := func() bool {
		v, err := c.do("SET", "k", "v")
		if err != nil {
			t.Fatal(err)
		}
		return v.isError()
	}
	c.must(t, "CONFIG", "SET", "appendonly", "yes")
	await(t, "a refused write", refused)
	c.must(t, "CONFIG", "SET", "appendonly", "no")
	await(t, "an accepted write", func() bool { return !refused() })
	awaitField(t, c, "aof_enabled", "0")
	c.must(t, "CONFIG", "SET", "appendonly", "yes")
	await(t, "a refused write", refused)
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	await(t, "an accepted write", func() bool { return !refused() })
	awaitField(t, c, "aof_enabled", "1")
}
