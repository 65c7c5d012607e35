package server

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"synap/config"
)

// moved compares two scrapes with what must differ, and what must be.
func moved(t *testing.T, before, after, delta map[string]float64) {
	t.Helper()
	for name, want := range delta {
		if _, ok := after[name]; !ok {
			t.Errorf("there is no %s", name)
		} else if got := after[name] - before[name]; got != want {
			t.Errorf("%s moved by %v, want %v", name, got, want)
		}
	}
}

// logBytes adds up the files of the log, all and those of the base.
func logBytes(t *testing.T, dir string) (all, base float64) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "appendonlydir"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.HasSuffix(e.Name(), ".base.rdb"):
			all, base = all+float64(info.Size()), base+float64(info.Size())
		case strings.HasSuffix(e.Name(), ".incr.aof"):
			all += float64(info.Size())
		}
	}
	return all, base
}

func TestLogFamiliesMove(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		s := startLogged(t, change, "always")
		c, dir := connect(t, s), s.Config().Dir
		before := scrape(t, s)
		moved(t, nil, before, map[string]float64{
			"synap_aof_enabled": 1, "synap_aof_healthy": 1, "redis_aof_enabled": 1, "redis_aof_last_write_status": 1, "redis_aof_last_bgrewrite_status": 1,
			`synap_aof_rewrites_total{status="success"}`: 1, // the log's beginning
		})
		for range 3 {
			c.do("SET", "k", "v")
		}
		after := scrape(t, s)
		all, base := logBytes(t, dir)
		written := after["synap_aof_written_bytes_total"] - before["synap_aof_written_bytes_total"]
		if written < 3*27 {
			t.Errorf("three SETs are %v bytes in the log", written)
		}
		moved(t, before, after, map[string]float64{
			"synap_aof_fsync_duration_seconds_count": 3, `synap_aof_fsync_duration_seconds_bucket{le="+Inf"}`: 3,
			"synap_aof_size_bytes": written, "redis_aof_current_size_bytes": written, "synap_aof_unsynced_writes": 0,
			"synap_snapshot_changes_since_last": 3, "redis_rdb_changes_since_last_save": 3,
		})
		if after["synap_aof_fsync_duration_seconds_sum"] <= before["synap_aof_fsync_duration_seconds_sum"] {
			t.Error("syncs took no time")
		}
		moved(t, nil, after, map[string]float64{
			"synap_aof_size_bytes": all, "synap_aof_base_size_bytes": base, "redis_aof_base_size_bytes": base,
		})

		c.do("CONFIG", "SET", "appendfsync", "no")
		c.do("SET", "k", "w")
		moved(t, after, scrape(t, s), map[string]float64{"synap_aof_unsynced_writes": 1})
		c.do("CONFIG", "SET", "appendonly", "no")
		eventually(t, "the log's end", func() bool { return !s.persist.on.Load() })
		moved(t, nil, scrape(t, s), map[string]float64{"synap_aof_enabled": 0, "redis_aof_enabled": 0, "synap_aof_size_bytes": 0})
	})
}

func TestRewriteFamiliesMove(t *testing.T) {
	s := startLogged(t, func(*config.Config) {}, "everysec")
	c, dir := connect(t, s), s.Config().Dir
	c.do("SET", "k", strings.Repeat("v", 1000))
	before := scrape(t, s)
	c.do("BGREWRITEAOF")
	eventually(t, "a rewrite", func() bool { return s.persist.rewrite.count.Load() == 2 && !s.persist.rewrite.running.Load() })
	after := scrape(t, s)
	all, base := logBytes(t, dir)
	moved(t, before, after, map[string]float64{
		`synap_aof_rewrites_total{status="success"}`: 1, `synap_aof_rewrites_total{status="error"}`: 0,
	})
	moved(t, nil, after, map[string]float64{"synap_aof_size_bytes": all, "synap_aof_base_size_bytes": base, "synap_aof_last_rewrite_duration_seconds": float64(s.persist.rewrite.took.Load())})

	next := 0 // a directory stands where the next base would
	for _, e := range entriesOf(t, filepath.Join(dir, "appendonlydir")) {
		if word := strings.Split(e, "."); word[len(word)-2] == "base" {
			next, _ = strconv.Atoi(word[2])
		}
	}
	block := filepath.Join(dir, "appendonlydir", "appendonly.aof."+strconv.Itoa(next+1)+".base.rdb", "x")
	if err := os.MkdirAll(block, 0o755); err != nil {
		t.Fatal(err)
	}
	c.do("BGREWRITEAOF")
	eventually(t, "a failed rewrite", func() bool { return s.persist.rewrite.errors.Load() == 1 && !s.persist.rewrite.running.Load() })
	moved(t, after, scrape(t, s), map[string]float64{
		`synap_aof_rewrites_total{status="success"}`: 0, `synap_aof_rewrites_total{status="error"}`: 1, "redis_aof_last_bgrewrite_status": -1,
	})

	s.persist.rewrite.running.Store(true)
	moved(t, after, scrape(t, s), map[string]float64{"synap_aof_rewrite_in_progress": 1, "redis_aof_rewrite_in_progress": 1})
	s.persist.rewrite.running.Store(false)
}

func entriesOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestSnapshotFamiliesMove(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, func(c *config.Config) { c.Dir = dir })
	c := connect(t, s)
	c.do("SET", "a", "1")
	c.do("SET", "b", "1")
	s.persist.save.last.Add(-100)
	before := scrape(t, s)
	if before["synap_snapshot_last_duration_seconds"] != -1 || before["synap_snapshot_changes_since_last"] != 2 {
		t.Error(before["synap_snapshot_last_duration_seconds"], before["synap_snapshot_changes_since_last"])
	}
	c.do("SAVE")
	after := scrape(t, s)
	moved(t, before, after, map[string]float64{
		`synap_snapshot_saves_total{status="success"}`: 1, `synap_snapshot_saves_total{status="error"}`: 0, "redis_rdb_saves_total": 1,
		"synap_snapshot_changes_since_last": -2, "redis_rdb_changes_since_last_save": -2,
	})
	if age := after["synap_snapshot_last_success_timestamp_seconds"] - before["synap_snapshot_last_success_timestamp_seconds"]; age < 100 || after["redis_rdb_last_save_timestamp_seconds"] != after["synap_snapshot_last_success_timestamp_seconds"] {
		t.Errorf("the last snapshot is %v s newer", age)
	}
	if after["synap_snapshot_last_duration_seconds"] < 0 {
		t.Error("the snapshot took no time")
	}

	file := filepath.Join(dir, "dump.rdb") // a directory takes its place
	if err := errors.Join(os.Remove(file), os.MkdirAll(filepath.Join(file, "x"), 0o755)); err != nil {
		t.Fatal(err)
	}
	c.do("SAVE")
	moved(t, after, scrape(t, s), map[string]float64{
		`synap_snapshot_saves_total{status="success"}`: 0, `synap_snapshot_saves_total{status="error"}`: 1, "redis_rdb_last_bgsave_status": -1,
	})

	s.persist.save.running.Store(true)
	moved(t, after, scrape(t, s), map[string]float64{"synap_snapshot_in_progress": 1, "redis_rdb_bgsave_in_progress": 1})
	s.persist.save.running.Store(false)
}

func TestLoadingFamiliesMove(t *testing.T) {
	s := startServer(t, nil)
	s.persist.loading.Store(true)
	s.persist.loadTotal.Store(1000)
	s.persist.loadDone.Store(250)
	moved(t, nil, scrape(t, s), map[string]float64{
		"synap_loading": 1, "redis_loading_dump_file": 1, `synap_loading_bytes{kind="total"}`: 1000, `synap_loading_bytes{kind="read"}`: 250,
	})
	if got := page(t, s, "/readyz", 503); !strings.Contains(got, "loading the data: 25.0%, about ") {
		t.Error(got)
	}
	s.persist.loading.Store(false)
	moved(t, nil, scrape(t, s), map[string]float64{"synap_loading": 0, "redis_loading_dump_file": 0})
	page(t, s, "/readyz", 200)
}
