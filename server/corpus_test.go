package server

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synap/config"
	"synap/journal"
)

var (
	flagCorpus = flag.Int("corpus", 16<<10, "bytes of the log of TestDamagedCorpus")
	flagFlips  = flag.Int("flips", 0, "offsets at which TestDamagedCorpus cuts and flips; 0: every one, few under the race detector")
)

// corpus is a log that holds every type, in its base and in its increment.
type corpus struct {
	files map[string][]byte
	base  string
	last  string           // the increment
	after map[int][20]byte // what is held when so many bytes of it are loaded
	ends  []int            // the keys of after, in order

	target *loadTarget
}

// whole is what is held when all of it is loaded.
func (k *corpus) whole() [20]byte { return k.after[k.ends[len(k.ends)-1]] }

// corpusStep is what one unit of the log does: a command, or a transaction.
func corpusStep(rnd *rand.Rand, i int) [][]string {
	n, text := fmt.Sprint(i), strings.Repeat(fmt.Sprint(rnd.IntN(100)), rnd.IntN(20))
	key := func(kind string) string { return fmt.Sprint(kind, rnd.IntN(3)) }
	steps := [][]string{
		{"SET", key("string"), text, "PXAT", "32503680000000"},
		{"APPEND", key("text"), text},
		{"INCRBY", key("number"), n},
		{"SETBIT", key("bits"), fmt.Sprint(rnd.IntN(2000)), "1"},
		{"RPUSH", key("list"), text, n, "\r\n#BATCH:0000000010\r\n"},
		{"LPOP", key("list")},
		{"HSET", key("hash"), fmt.Sprint("f", rnd.IntN(5)), text},
		{"HPEXPIREAT", key("hash"), "32503680000000", "FIELDS", "1", fmt.Sprint("f", rnd.IntN(5))},
		{"SADD", key("integers"), n, fmt.Sprint(rnd.IntN(9))},
		{"SADD", key("set"), text, "member" + n},
		{"ZADD", key("zset"), fmt.Sprint(rnd.Float64()), fmt.Sprint("m", rnd.IntN(9))},
		{"GEOADD", key("geo"), fmt.Sprint(rnd.Float64() * 100), "38.1", fmt.Sprint("m", rnd.IntN(9))},
		{"PFADD", key("estimate"), n},
		{"XADD", key("stream"), "MAXLEN", "8", fmt.Sprint(i+1, "-1"), "field", text},
		{"XGROUP", "CREATE", key("stream"), fmt.Sprint("g", rnd.IntN(2)), "0", "MKSTREAM"},
		{"XREADGROUP", "GROUP", "g0", "c", "COUNT", "2", "STREAMS", key("stream"), ">"},
		{"QPUBLISH", key("queue"), text, "ID", n, "PRIORITY", fmt.Sprint(rnd.IntN(10))},
		{"QCONSUME", key("queue"), "c", "DEADLINE", "1000000000"},
		{"DEL", key("string")},
		{"RENAME", key("set"), key("set")},
		{"COPY", key("hash"), "copy of a hash", "REPLACE"},
		{"SELECT", fmt.Sprint(rnd.IntN(2))},
	}
	if rnd.IntN(5) == 0 {
		return [][]string{{"MULTI"}, steps[rnd.IntN(len(steps)-1)], steps[rnd.IntN(len(steps)-1)], {"EXEC"}}
	}
	return steps[i%len(steps):][:1]
}

// held is a number for all that a server holds.
func held(s *Server) (sum [20]byte) {
	tx := s.lockAll()
	defer tx.Unlock()
	for db := range s.store.Databases() {
		tx.Use(db)
		one := tx.Digest()
		for i := range sum {
			sum[i] = sum[i]*31 + one[i]
		}
	}
	return sum
}

// makeCorpus lets a server write a log of so many bytes, half of them as a base.
func makeCorpus(t *testing.T, rnd *rand.Rand, size int) *corpus {
	t.Helper()
	s := startLogged(t, func(*config.Config) {}, "always")
	c, dir := connect(t, s), filepath.Join(s.Config().Dir, "appendonlydir")
	fill := func(i int, name func() string, until int64, noted func(bytes int)) int {
		for {
			for _, words := range corpusStep(rnd, i) {
				c.do(words...)
			}
			i++
			info, err := os.Stat(filepath.Join(dir, name()))
			if err != nil {
				t.Fatal(err)
			}
			if noted(int(info.Size())); info.Size() >= until {
				return i
			}
		}
	}
	i := fill(0, func() string { return "appendonly.aof.1.incr.aof" }, int64(size/2), func(int) {})
	c.do("BGREWRITEAOF")
	eventually(t, "a rewrite", func() bool { return s.persist.rewrite.count.Load() == 2 && !s.persist.rewrite.running.Load() })
	k := &corpus{files: map[string][]byte{}, base: "appendonly.aof.2.base.rdb", last: "appendonly.aof.2.incr.aof", after: map[int][20]byte{}}
	fill(i, func() string { return k.last }, int64(size/2), func(bytes int) {
		if _, known := k.after[bytes]; !known { // a step may change nothing
			k.ends = append(k.ends, bytes)
		}
		k.after[bytes] = held(s)
	})
	for _, name := range entriesOf(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		k.files[name] = b
	}
	return k
}

// corpusDisk is a directory in memory, good for loading.
type corpusDisk struct {
	journal.Disk
	files map[string][]byte
}

func (d corpusDisk) Read(name string) ([]byte, func(), error) {
	b, ok := d.files[filepath.Base(name)]
	if !ok {
		return nil, nil, fs.ErrNotExist
	}
	return b, func() {}, nil
}

func (corpusDisk) Truncate(string, int64) error { return nil }

// load loads the corpus with one file changed.
func (k *corpus) load(s *Server, name string, data []byte) (sum [20]byte, err error) {
	files := map[string][]byte{name: data}
	for other, b := range k.files {
		if other != name {
			files[other] = b
		}
	}
	if k.target == nil {
		k.target = s.newLoadTarget(nil)
	}
	_, err = journal.Load(corpusDisk{files: files}, s.logFiles(), true, k.target)
	sum = held(s)
	tx := s.lockAll()
	tx.Flush(-1)
	tx.ResetChanges()
	tx.Unlock()
	return sum, err
}

// offsets are the places of a file that are tried.
func offsets(rnd *rand.Rand, size int) (all []int) {
	n := *flagFlips
	if n == 0 && raceEnabled {
		n = 200
	}
	if n == 0 {
		n = size
	}
	if n >= size {
		for i := range size {
			all = append(all, i)
		}
		return all
	}
	for range n {
		all = append(all, rnd.IntN(size))
	}
	return all
}

// TestDamagedCorpus cuts off each file of a log at every byte, and flips a bit of
// every byte: what is loaded is what the server once held, or nothing is, and the
// error names the place.
func TestDamagedCorpus(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, uint64(*flagCorpus)))
	k := makeCorpus(t, rnd, *flagCorpus)
	s, err := New(Options{Config: config.Default()})
	if err != nil {
		t.Fatal(err)
	}
	before := map[[20]byte]bool{}
	for _, sum := range k.after {
		before[sum] = true
	}
	empty, err := k.load(s, k.last, k.files[k.last][:27])
	if err != nil {
		t.Fatal(err)
	}
	before[empty] = true
	for _, file := range []string{k.base, k.last, "appendonly.aof.manifest"} {
		whole, refused := k.files[file], 0
		if sum, err := k.load(s, file, whole); err != nil || sum != k.whole() {
			t.Fatalf("the whole log is not what the server held: %v", err)
		}
		at := offsets(rnd, len(whole))
		for _, n := range at {
			k.cutAt(t, s, file, n, empty)
			flipped := append([]byte(nil), whole...)
			flipped[n] ^= 1 << rnd.IntN(8)
			sum, err := k.load(s, file, flipped)
			var damage *journal.DamageError
			switch {
			case err == nil && !before[sum]:
				t.Errorf("%s, byte %d changed from %q to %q: something is loaded that never was", file, n, whole[n], flipped[n])
			case err == nil && file != k.last && sum != k.whole():
				t.Errorf("%s, byte %d changed from %q to %q: the increment is left out", file, n, whole[n], flipped[n])
			case err != nil && file != "appendonly.aof.manifest" && !errors.As(err, &damage):
				t.Errorf("%s, byte %d changed: %v", file, n, err)
			case err != nil:
				refused++
			}
		}
		t.Logf("%s: %d bytes, %d of %d flips were refused", file, len(whole), refused, len(at))
	}
}

// cutAt loads the log with a file cut off at n.
func (k *corpus) cutAt(t *testing.T, s *Server, file string, n int, empty [20]byte) {
	t.Helper()
	sum, err := k.load(s, file, k.files[file][:n])
	if file != k.last {
		if err == nil && sum != empty && sum != k.whole() {
			t.Errorf("%s, cut off at %d: something is loaded", file, n)
		}
		return
	}
	want := empty
	for _, end := range k.ends {
		if end <= n {
			want = k.after[end]
		}
	}
	if n >= 27 && err != nil || err == nil && sum != want {
		t.Errorf("%s, cut off at %d: %v, or not what was there", file, n, err)
	}
}
