package server

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"synap/command"
	"synap/config"
	"synap/journal"
	"synap/store"
)

// CheckReport is what a check of files on disk has found. Err is nil if they are
// whole, or were made so.
type CheckReport struct {
	Path     string
	Bytes    int64
	Keys     map[string]int // of snapshots, by type
	Commands map[string]int // by name
	Cut      int64          // bytes of an unfinished write that were cut off …
	CutFrom  string         // … from this file
	Fixable  bool           // Err is an unfinished write, which can be cut off
	Err      error
}

// String returns the report in lines.
func (r *CheckReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d bytes\n", r.Path, r.Bytes)
	if n := total(r.Keys); n > 0 || len(r.Commands) == 0 {
		fmt.Fprintf(&b, "keys of snapshots: %d%s\n", n, counts(r.Keys))
	}
	if len(r.Commands) > 0 {
		fmt.Fprintf(&b, "commands: %d%s\n", total(r.Commands), counts(r.Commands))
	}
	if r.Cut > 0 {
		fmt.Fprintf(&b, "cut off: the last %d bytes of %s, an unfinished write\n", r.Cut, r.CutFrom)
	}
	switch {
	case r.Err == nil:
		b.WriteString("whole\n")
	case r.Fixable:
		fmt.Fprintf(&b, "NOT WHOLE: %v\nThis is an unfinished write at the very end, and all before it is good: --fix cuts it off.\n", r.Err)
	default:
		fmt.Fprintf(&b, "DAMAGED: %v\nCutting would lose what follows, so nothing was changed: restore the file from a copy or a replica.\n", r.Err)
	}
	return b.String()
}

func total(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// counts puts numbers by name into words, the largest first.
func counts(m map[string]int) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, m[name])
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// CheckSnapshot reads an RDB file to its end.
func CheckSnapshot(c *config.Config, path string) (*CheckReport, error) {
	t, err := newCheckTarget(c)
	if err != nil {
		return nil, err
	}
	r := t.report
	r.Path = path
	data, release, err := journal.Dir(filepath.Dir(path)).Read(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	defer release()
	r.Bytes = int64(len(data))
	n, err := t.Snapshot(data)
	if err == nil && n < len(data) {
		err = fmt.Errorf("%d bytes follow its end", len(data)-n)
	}
	if err != nil {
		r.Err = fmt.Errorf("%s is damaged at offset %d: %w", path, n, err)
	}
	return r, nil
}

// CheckLog reads a log: a data directory, the log's own, its manifest, or one
// file. With fix it cuts off an unfinished write at the very end.
func CheckLog(c *config.Config, path string, fix bool) (*CheckReport, error) {
	disk, files, single, err := locateLog(c, path)
	if err != nil {
		return nil, err
	}
	if fix {
		lock, err := lockData(path)
		if err != nil {
			return nil, err
		}
		if lock != nil {
			defer lock.Close()
		}
	}
	t, err := newCheckTarget(c)
	if err != nil {
		return nil, err
	}
	r := t.report
	r.Path = path
	var l *journal.Loaded
	if single != "" {
		l, err = journal.LoadFile(disk, single, fix, t)
	} else {
		l, err = journal.Load(disk, files, fix, t)
	}
	switch {
	case err != nil:
		r.Err, r.Fixable = err, errors.Is(err, journal.ErrUnfinished)
	case !l.Found:
		return nil, fmt.Errorf("there is no log in %s", path)
	default:
		r.Cut, r.CutFrom = l.Cut, l.CutFrom
	}
	return r, nil
}

// lockData keeps a server from using the data directory around path, if one
// ever has.
func lockData(path string) (lock interface{ Close() error }, err error) {
	for dir, n := path, 0; n < 3; dir, n = filepath.Dir(dir), n+1 {
		if _, err := os.Stat(filepath.Join(dir, lockName)); err == nil {
			if lock, err = journal.Dir(dir).Lock(lockName); err != nil {
				return nil, fmt.Errorf("%s cannot be changed: %w", dir, err)
			}
			return lock, nil
		}
	}
	return nil, nil
}

// locateLog finds the log that path means; single is the name of a file that is
// meant alone.
func locateLog(c *config.Config, path string) (d journal.Disk, f journal.Files, single string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, f, "", err
	}
	if !info.IsDir() {
		dir, name := filepath.Split(filepath.Clean(path))
		d = journal.Dir(filepath.Clean(dir + "."))
		if base, ok := strings.CutSuffix(name, ".manifest"); ok {
			return d, journal.Files{Dir: ".", Name: base}, "", nil
		}
		return d, f, name, nil
	}
	d = journal.Dir(path)
	for _, dir := range []string{".", c.AppendDirName} {
		names, err := d.List(dir)
		if err != nil {
			return nil, f, "", err
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".manifest") })
		switch len(names) {
		case 0:
		case 1:
			return d, journal.Files{Dir: dir, Name: strings.TrimSuffix(names[0], ".manifest")}, "", nil
		default:
			return nil, f, "", fmt.Errorf("there are several logs in %s: name a manifest", filepath.Join(path, dir))
		}
	}
	if _, err := os.Stat(filepath.Join(path, c.AppendFileName)); err == nil {
		return d, f, c.AppendFileName, nil // a Redis older than 7
	}
	return d, journal.Files{Dir: c.AppendDirName, Name: c.AppendFileName}, "", nil
}

// checkTarget takes what a log or a snapshot holds, counts it and forgets it.
type checkTarget struct {
	report *CheckReport
	store  *store.Store
	table  *command.Table
	dbs    int
}

func newCheckTarget(c *config.Config) (*checkTarget, error) {
	s, err := New(Options{Config: c})
	if err != nil {
		return nil, err
	}
	report := &CheckReport{Keys: map[string]int{}, Commands: map[string]int{}}
	return &checkTarget{report, s.store, s.table, c.Databases}, nil
}

// checkStep is how many keys of a snapshot are held in memory at once.
const checkStep = 10_000

// Snapshot implements journal.Target.
func (t *checkTarget) Snapshot(data []byte) (int, error) {
	r := store.NewSnapshotReader(data, 0)
	var tx store.Tx
	for more := true; more; {
		t.store.Begin(&tx, 0, 0)
		tx.WantAll()
		tx.Lock()
		var err error
		more, err = r.Load(&tx, checkStep)
		for db := range t.dbs {
			tx.Use(db)
			tx.Walk(func(_ []byte, k store.Kind) bool {
				t.report.Keys[k.String()]++
				return true
			})
		}
		tx.Flush(-1)
		tx.ResetChanges()
		tx.Unlock()
		if err != nil {
			return r.Offset(), err
		}
	}
	return r.Offset(), nil
}

// Run implements journal.Target.
func (t *checkTarget) Run(db int, args [][]byte) error {
	cmd, unknown := t.table.Resolve(args)
	switch {
	case unknown != "":
		return errors.New(strings.TrimPrefix(string(unknown), "ERR "))
	case !cmd.ArityOK(len(args)):
		return errors.New("it has a wrong number of arguments")
	case cmd.Run == nil:
		return errors.New("it cannot be repeated")
	case db >= t.dbs:
		return fmt.Errorf("it works on database %d, but option databases is %d", db, t.dbs)
	}
	t.report.Commands[cmd.FullName]++
	return nil
}

// Begin implements journal.Target.
func (t *checkTarget) Begin(total int64) { t.report.Bytes = total }

// Progress implements journal.Target.
func (t *checkTarget) Progress(int) {}
