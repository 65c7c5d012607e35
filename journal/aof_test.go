package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// heard is a Target that notes what it is told.
type heard struct{ lines []string }

func (h *heard) Begin(int64)                       {}
func (h *heard) Progress(int)                      {}
func (h *heard) Snapshot(data []byte) (int, error) { return len(data), nil }
func (h *heard) Run(db int, args [][]byte) error {
	h.lines = append(h.lines, fmt.Sprintf("%d %q", db, args))
	return nil
}

// writeLog writes batches of units, each synced before the next, and returns
// the file and what a load must hear after each of them.
func writeLog(t *testing.T, dir string, f Files) (path string, want []string) {
	t.Helper()
	a := NewAOF(Dir(dir), f, func(err error) { t.Error(err) })
	a.SetPolicy(Always)
	r, err := a.BeginRewrite()
	if err != nil {
		t.Fatal(err)
	}
	r.Cut()
	if err := r.Commit(func(w io.Writer) error { _, err := io.WriteString(w, "REDIS"); return err }); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		set := Record{DB: i % 2, Args: [][]byte{[]byte("SET"), fmt.Appendf(nil, "k%d", i), []byte("#BATCH:\r\n")}}
		own := Record{DB: i % 2, Args: [][]byte{[]byte("QAPPLY"), []byte("q")}, Own: true, Covers: 1}
		seq := a.Append([]Record{set, own, {DB: i % 2, Args: [][]byte{[]byte("DEL"), []byte("q")}}})
		a.write()
		a.sync()
		if a.Durable() != seq {
			t.Fatalf("unit %d is not durable after a sync: %d", seq, a.Durable())
		}
		want = append(want, fmt.Sprintf("%d %q", set.DB, set.Args), fmt.Sprintf("%d %q", own.DB, own.Args))
	}
	path = filepath.Join(dir, a.file.name)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return path, want
}

// TestTruncation cuts the log at every byte: what is loaded is a prefix of whole
// units. TestFlips changes every byte: nothing wrong is ever loaded.
func TestTruncation(t *testing.T) {
	f := Files{Dir: "log", Name: "a.aof"}
	dir := t.TempDir()
	path, want := writeLog(t, dir, f)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		var h heard
		if _, err := Load(Dir(dir), f, true, &h); err != nil {
			if n >= fileHead {
				t.Fatalf("cut at %d: %v", n, err)
			}
			continue // the head is synced before the file is named
		}
		if len(h.lines)%2 != 0 || !prefix(h.lines, want) || n == len(whole) && len(h.lines) != len(want) {
			t.Fatalf("cut at %d: heard %q", n, h.lines)
		}
	}
}

func TestFlips(t *testing.T) {
	f := Files{Dir: "log", Name: "a.aof"}
	dir := t.TempDir()
	path, want := writeLog(t, dir, f)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := fileHead; n < len(whole); n++ {
		bad := append([]byte(nil), whole...)
		bad[n] ^= 4
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		var h heard
		_, err := Load(Dir(dir), f, true, &h)
		var damage *DamageError
		if err != nil && !errors.As(err, &damage) {
			t.Fatalf("byte %d: %v", n, err)
		}
		if err != nil {
			refused++
		}
		if !prefix(h.lines, want) {
			t.Fatalf("byte %d: heard %q", n, h.lines)
		}
	}
	if refused < len(whole)*3/4 {
		t.Errorf("only %d of %d changed bytes were refused: all but the last batch were proven synced", refused, len(whole))
	}
}

// TestFateOfAFailedWrite asks for the fate of a unit while its write fails.
func TestFateOfAFailedWrite(t *testing.T) {
	for seed := range uint64(1000) {
		l := newLife(seed)
		if err := l.load(); err != nil {
			t.Fatal(err)
		}
		l.log.SetPolicy(Always)
		l.begin()
		l.append()
		seq := l.log.appended.Load()
		told := make(chan bool)
		go func() {
			for {
				if settled, lost := l.log.Fate(seq); settled {
					told <- lost
					return
				}
			}
		}()
		l.disk.full = true
		l.log.write()
		if !<-told {
			t.Fatalf("seed %d: a unit whose write has failed counts as kept", seed)
		}
	}
}

func prefix(got, want []string) bool {
	if len(got) > len(want) {
		return false
	}
	for i := range got {
		if got[i] != want[i] {
			return false
		}
	}
	return true
}
