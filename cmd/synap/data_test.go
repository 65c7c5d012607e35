package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Without options data is kept in ./data, which is made for it; what is given as
// dir must be there; and nothing is made where nothing is kept.
func TestDefaultDataDirectory(t *testing.T) {
	here := t.TempDir()
	for _, want := range []string{":0", ":1"} {
		p := startIn(t, here, nil, anyPort(t)...)
		p.until("ready")
		c := p.dial()
		if got := c.do("EXISTS greeting"); got != want {
			t.Errorf("EXISTS says %q, want %q", got, want)
		}
		c.do("SET greeting hello")
		if kept := filepath.Join(here, "data") + " (every write is logged"; !strings.Contains(p.wholeBanner(), kept) {
			t.Errorf("the banner does not say %q:\n%s", kept, p.banner)
		}
		p.signal(os.Interrupt)
		p.until("bye")
		p.exit()
	}
	if _, err := os.Stat(filepath.Join(here, "data", "appendonlydir", "appendonly.aof.manifest")); err != nil {
		t.Error(err)
	}

	memory := t.TempDir()
	p := startIn(t, memory, nil, append(anyPort(t), "--appendonly", "no")...)
	p.until("ready")
	if entries, err := os.ReadDir(memory); err != nil || len(entries) > 0 {
		t.Errorf("a server that keeps nothing made %v (%v)", entries, err)
	}
	if !strings.Contains(p.wholeBanner(), "in memory alone: a restart begins empty") {
		t.Errorf("the banner does not warn:\n%s", p.banner)
	}
	c := p.dial()
	c.do("SET k v")
	if got := c.do("SAVE"); got != "+OK" && got != "OK" {
		t.Error(got)
	}
	if _, err := os.Stat(filepath.Join(memory, "data", "dump.rdb")); err != nil {
		t.Error(err)
	}
}
