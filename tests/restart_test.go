//go:build !record

package tests

import (
	"fmt"
	"testing"
	"time"

	"synap/journal"
)

// startSynap starts our server in process, on a clock that stands still and with
// a log. A snapshot is written when it ends; no clock of a script reaches its
// save point.
func startSynap(t testing.TB, door string, options [][2]string) *target {
	clock, dir := newStandingClock(), t.TempDir()
	files := [][2]string{{"dir", dir}, {"appendonly", "yes"}, {"appendfsync", "no"}, {"save", "1000000000 1"}}
	s := startInProcess(t, door, append(files, options...), clock.now)
	s.now = clock.now
	s.move = func(d time.Duration) error { clock.nanos.Add(int64(d)); return nil }
	s.records = func() ([][]string, error) {
		if err := flushLog(s); err != nil {
			return nil, err
		}
		return logRecords(dir)
	}
	for _, o := range options {
		if o[0] == "appendonly" || o[0] == "save" {
			return s // there are no files to start from
		}
	}
	s.restart = func() error { return restart(t, s, clock, dir, options) }
	return s
}

// flushLog hands what the server has logged to the system, as every batch does.
func flushLog(s *target) error {
	c, err := dial(s.network, s.addr, 2)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.do("PING")
	return err
}

// restart ends a server and starts two others on its files, one that reads the
// log and one that reads the snapshot. Both must hold what it held.
func restart(t testing.TB, from *target, clock *standingClock, dir string, options [][2]string) error {
	from.stop()
	want := digest(from)
	for _, log := range []string{"yes", "no"} {
		again := newStandingClock()
		again.nanos.Store(clock.nanos.Load())
		files := [][2]string{{"dir", dir}, {"appendonly", log}, {"save", ""}}
		to := startInProcess(t, "loop", append(append([][2]string{}, options...), files...), again.now)
		to.now = again.now
		got := digest(to)
		if got != want {
			records, err := logRecords(dir)
			return fmt.Errorf("after a restart with appendonly %s there is %v, from %q (%v)", log, readState(t, to), records, err)
		}
		to.stop()
	}
	return nil
}

// logRecords returns the commands that the log in dir holds behind its base.
func logRecords(dir string) ([][]string, error) {
	var c collector
	_, err := journal.Load(journal.Dir(dir), journal.Files{Dir: "appendonlydir", Name: "appendonly.aof"}, false, &c)
	return c.records, err
}

// collector is a target that keeps the commands of a log.
type collector struct{ records [][]string }

func (c *collector) Snapshot(data []byte) (int, error) { return len(data), nil }

func (c *collector) Run(_ int, args [][]byte) error {
	record := make([]string, len(args))
	for i, a := range args {
		record[i] = string(a)
	}
	c.records = append(c.records, record)
	return nil
}

func (c *collector) Begin(int64) {}

func (c *collector) Progress(int) {}
