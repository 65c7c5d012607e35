//go:build !record

package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestForeignLog runs every section of the scripts, and lets a redis-server load
// the log that it left: every key of a type that Redis knows must be there with
// the same contents.
func TestForeignLog(t *testing.T) {
	needProgram(t, "redis-server")
	paths, err := filepath.Glob("../command/testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	theirs := &foreignLoader{t: t}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s, err := readScript(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, sec := range s.sections {
				t.Run(sec.title, func(t *testing.T) { foreignLog(t, s, sec, theirs) })
			}
		})
	}
	if theirs.loads < 100 {
		t.Errorf("only %d logs were loaded", theirs.loads)
	}
}

// aboutStreams are sections in which entries go only when every group has
// acknowledged them, or are named by a word that Redis 7.0 does not have: it is
// told to keep them.
var aboutStreams = []string{"XDELEX", "XACKDEL", "trimming and the groups that entries are pending in"}

func foreignLog(t *testing.T, s *script, sec *section, theirs *foreignLoader) {
	for _, o := range sec.options {
		if o[0] == "appendonly" || o[0] == "save" {
			return // there are no files to load
		}
	}
	dir := t.TempDir()
	srv := startSynap(t, "loop", append([][2]string{{"dir", dir}}, sec.options...))
	defer srv.stop()
	srv.records = func() ([][]string, error) {
		if err := flushLog(srv); err != nil {
			return nil, err
		}
		return logRecords(dir)
	}
	proto := 2
	if sec.proto != 0 {
		proto = sec.proto
	}
	r := newRun(t, s, sec, srv, proto)
	r.judge = r.compare
	r.steps()
	want := readState(t, srv)
	srv.stop()
	got, err := theirs.load(filepath.Join(dir, "appendonlydir"))
	if err != nil {
		records, _ := logRecords(dir)
		t.Fatalf("%v\nthe log: %q", err, records)
	}
	if slices.Contains(aboutStreams, sec.title) {
		return // loaded without an error
	}
	for _, fault := range foreignFaults(want, got, time.Now().UnixMilli()) {
		records, _ := logRecords(dir)
		t.Errorf("%s\nthe log: %q", fault, records)
	}
}

// foreignFaults compares what both hold. A section's clock stands in the past, so
// most keys that expire are gone from a Redis.
func foreignFaults(ours, theirs map[string]keyState, now int64) (faults []string) {
	for _, k := range sortedKeys(ours, theirs) {
		our, here := ours[k]
		their, there := theirs[k]
		switch {
		case here && strings.HasPrefix(our.text, "queue "):
		case here && our.expires >= 0 && our.expires <= now+clockTolerance:
		case !here && there && their.expires >= 0: // it has expired by the section's clock
		case here != there:
			faults = append(faults, fmt.Sprintf("%s: here %v %s, in a Redis %v %s", k, here, our.render(), there, their.render()))
		case our != their:
			faults = append(faults, fmt.Sprintf("%s\n  is         %s\n  in a Redis %s", k, our.render(), their.render()))
		}
	}
	return faults
}

// foreignLoader is a redis-server that loads one log after the other.
type foreignLoader struct {
	t     *testing.T
	dir   string
	srv   *target
	loads int
}

func (f *foreignLoader) load(log string) (map[string]keyState, error) {
	if f.srv == nil {
		f.dir = f.t.TempDir()
		f.srv = startRedis(f.t, [][2]string{{"dir", f.dir}, {"appendonly", "yes"}, {"appendfsync", "no"}})
		c, err := dial(f.srv.network, f.srv.addr, 2)
		if err != nil {
			return nil, err
		}
		defer c.close()
		if v, err := c.do("PING"); err != nil || v.text != "PONG" { // it has begun a log of its own
			return nil, fmt.Errorf("a Redis does not start: %v %s", err, v.render())
		}
	}
	in := filepath.Join(f.dir, "appendonlydir")
	if err := os.RemoveAll(in); err != nil {
		return nil, err
	}
	if err := os.CopyFS(in, os.DirFS(log)); err != nil {
		return nil, err
	}
	c, err := dial(f.srv.network, f.srv.addr, 2)
	if err != nil {
		return nil, err
	}
	defer c.close()
	v, err := c.do("DEBUG", "LOADAOF")
	if err != nil || v.text != "OK" {
		f.srv.stop()
		f.srv = nil
		return nil, fmt.Errorf("a Redis does not load the log: %v %s", err, v.render())
	}
	f.loads++
	return readState(f.t, f.srv), nil
}
