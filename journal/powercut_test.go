package journal

import (
	"bytes"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

var (
	flagCuts = flag.Int("cuts", 4000, "power cuts and kills of TestPowerCuts")
	flagSeed = flag.Uint64("seed", 0, "first seed of TestPowerCuts")
)

// counted is a Target for logs of numbered units: the state is how many of them
// were repeated, and any other than the next one is an error.
type counted struct {
	units int
	part  int // of a unit that has begun
}

func (c *counted) Begin(int64)  {}
func (c *counted) Progress(int) {}

const countedImage = len("REDIS") + 8 + 2 + 8 + 2

// image is a snapshot of the state after so many units.
func image(units int) []byte {
	b := fmt.Appendf(nil, "REDIS%08d\r\n", units)
	return fmt.Appendf(b, "%08x\r\n", crc32.ChecksumIEEE(b))
}

func (c *counted) Snapshot(data []byte) (int, error) {
	if len(data) < countedImage {
		return 0, errShort
	}
	n, err := strconv.Atoi(string(data[5:13]))
	if err != nil || !bytes.Equal(image(n), data[:countedImage]) {
		return 0, errCRC
	}
	c.units = n
	return countedImage, nil
}

func (c *counted) Run(_ int, args [][]byte) error {
	var unit, part, parts int
	if _, err := fmt.Sscanf(string(args[1]), "%d %d %d", &unit, &part, &parts); err != nil {
		return err
	}
	if unit != c.units || part != c.part {
		return fmt.Errorf("unit %d part %d comes behind unit %d part %d", unit, part, c.units, c.part)
	}
	if c.part++; c.part == parts {
		c.units, c.part = c.units+1, 0
	}
	return nil
}

// life is a log on a crashing disk, from one start to the next.
type life struct {
	rnd  *rand.Rand
	disk *crashDisk
	log  *AOF
	base int // units that were loaded, less the log's sequence then

	rewrite *Rewrite
	at      int // units at its cut
	written int // units that no kill may take
	synced  int // … and no power cut
	said    []string
}

var powerFiles = Files{Dir: "log", Name: "a.aof"}

func (l *life) units() int { return l.base + int(l.log.appended.Load()) }

// note takes down what is promised now.
func (l *life) note() {
	durable, synced := l.base+int(l.log.Durable()), l.base+int(l.log.synced.Load())
	if Policy(l.log.policy.Load()) == Always {
		synced = max(synced, durable)
	}
	if l.log.Err() == nil && !l.disk.dead() {
		l.written, l.synced = max(l.written, durable), max(l.synced, synced)
	}
}

func (l *life) say(format string, args ...any) { l.said = append(l.said, fmt.Sprintf(format, args...)) }

// load starts a process on what the disk holds.
func (l *life) load() error {
	var c counted
	loaded, err := Load(l.disk, powerFiles, true, &c)
	if err != nil {
		return fmt.Errorf("not loadable: %w", err)
	}
	l.say("loaded %d units, cut %d bytes", c.units, loaded.Cut)
	if c.part != 0 {
		return fmt.Errorf("half a unit was loaded: %d of unit %d", c.part, c.units)
	}
	if l.log != nil && c.units > l.units() {
		return fmt.Errorf("%d units were loaded, %d written", c.units, l.units())
	}
	if c.units < l.synced {
		return fmt.Errorf("%d units were loaded, %d promised", c.units, l.synced)
	}
	l.log = NewAOF(l.disk, powerFiles, func(error) {})
	l.log.SetPolicy(Policy(l.rnd.IntN(3)))
	l.written, l.synced, l.rewrite, l.base = c.units, c.units, nil, c.units
	if loaded.Found {
		err = l.log.Resume(loaded)
		l.base -= int(l.log.appended.Load())
		if err != nil && !l.disk.off {
			return fmt.Errorf("the log cannot go on: %w", err)
		}
	}
	return nil
}

// begin is the start of a log that was not there.
func (l *life) begin() bool {
	if l.log.file != nil {
		return true
	}
	l.cut()
	l.commit()
	return l.log.file != nil && !l.disk.off
}

func (l *life) cut() {
	r, err := l.log.BeginRewrite()
	l.say("begin a rewrite: %v", err)
	if err == nil {
		r.Cut()
		l.rewrite, l.at = r, l.units()
	}
}

func (l *life) commit() {
	if l.rewrite == nil {
		return
	}
	at := l.at
	err := l.rewrite.Commit(func(w io.Writer) error {
		_, err := w.Write(image(at))
		return err
	})
	l.say("rewritten at %d: %v", at, err)
	l.rewrite = nil
	if err == nil && !l.disk.off {
		l.synced = max(l.synced, at)
	}
}

func (l *life) append() {
	parts := 1 + l.rnd.IntN(3)
	var unit []Record
	n := l.units()
	for part := range parts {
		args := [][]byte{[]byte("SET"), fmt.Appendf(nil, "%d %d %d", n, part, parts), bytes.Repeat([]byte("x"), l.rnd.IntN(40))}
		r := Record{DB: l.rnd.IntN(2), Args: args, Own: l.rnd.IntN(3) == 0}
		unit = append(unit, r)
		if r.Own && l.rnd.IntN(2) == 0 {
			unit[len(unit)-1].Covers = 1
			unit = append(unit, Record{DB: r.DB, Args: [][]byte{[]byte("SET"), []byte("covered")}})
		}
	}
	l.log.Append(unit)
}

// act does one thing that a server does.
func (l *life) act() {
	switch what := l.rnd.IntN(100); {
	case what < 50:
		if l.log.Err() == nil || l.rnd.IntN(4) == 0 { // expiry goes on behind a failed log
			l.append()
		}
	case what < 70:
		l.log.Flush()
		if Policy(l.log.policy.Load()) == Always { // what it wakes
			l.log.write()
			l.log.sync()
		}
	case what < 78:
		l.log.write()
		if Policy(l.log.policy.Load()) != Never {
			l.log.sync()
		}
	case what < 82:
		l.log.SetPolicy(Policy(l.rnd.IntN(3)))
	case what < 90 && l.rewrite == nil:
		l.cut()
	case what < 95:
		l.commit()
	case what < 97:
		l.disk.fault = []float64{0, 0, 0.02, 0.3}[l.rnd.IntN(4)]
	case what < 98:
		l.disk.full = l.rnd.IntN(3) == 0
	case what < 99 && l.rewrite == nil: // an orderly end, or appendonly off and on
		l.say("closed: %v", l.log.Close())
		l.note()
		if l.log.file == nil {
			l.disk.fault, l.disk.full = 0, false
			l.begin()
		}
	default:
		if l.log.Err() != nil && l.rewrite == nil {
			l.cut()
			l.commit()
		}
	}
	l.note()
}

// lives runs several processes one after another on one disk, each of them ended
// by a kill or a power cut; the first at the operation cut.
func (l *life) lives(cut int) error {
	for range 3 {
		if err := l.load(); err != nil {
			return err
		}
		l.disk.left = cut
		cut = 1 + l.rnd.IntN(60)
		for ok := l.begin(); ok && !l.disk.dead(); {
			l.act()
		}
		power := l.rnd.IntN(4) > 0
		if !power {
			l.synced = max(l.synced, l.written)
		}
		l.say("ended after %d units, power %v: %d are promised", l.units(), power, l.synced)
		l.disk.cut(power)
	}
	return l.load()
}

func newLife(seed uint64) *life {
	rnd := rand.New(rand.NewPCG(seed, 1))
	return &life{rnd: rnd, disk: newCrashDisk(rand.New(rand.NewPCG(seed, 2)))}
}

// TestPowerCuts cuts the power, or kills the process, at each operation on the
// disk in turn, with a new random workload for each row of cuts: the log must
// load, hold a beginning of what was written in whole units, and all that was
// promised.
func TestPowerCuts(t *testing.T) {
	done, cut := 0, 0
	for seed := *flagSeed; done < *flagCuts; done++ {
		if cut++; cut > 100 {
			seed, cut = seed+1, 1
		}
		l := newLife(seed)
		if err := l.lives(cut); err != nil {
			for _, line := range l.said {
				t.Log(line)
			}
			t.Fatalf("seed %d, cut at operation %d: %v", seed, cut, err)
		}
	}
}

// TestCutBackThatWasNotSynced lets a write fail halfway and the sync behind it
// fail too, so that on disk the half stays that was cut off. The next process
// sees a whole file and goes on in another one; it must not find the half there
// when the power has failed.
func TestCutBackThatWasNotSynced(t *testing.T) {
	for seed := range uint64(100) {
		l := newLife(seed)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		must(l.load())
		l.begin()
		l.cut()
		l.append()
		l.disk.full = true
		l.log.write()
		l.disk.full, l.disk.fault = false, 1
		if l.log.Err() == nil || l.log.file.f.Sync() == nil {
			t.Fatal("the disk does not fail")
		}
		l.disk.cut(false)
		must(l.load())
		l.cut()
		l.append()
		l.log.write()
		l.disk.cut(true)
		must(l.load())
	}
}

// TestPowerCutsAmongMany does so with goroutines that append, wait and rewrite at
// once, under appendfsync always.
func TestPowerCutsAmongMany(t *testing.T) {
	for seed := range uint64(60) {
		l := newLife(seed)
		if err := l.load(); err != nil {
			t.Fatal(err)
		}
		l.log.SetPolicy(Always)
		l.begin()
		l.log.Start()
		l.disk.mu.Lock()
		l.disk.left = 5 + l.rnd.IntN(60)
		l.disk.fault = []float64{0, 0, 0.05}[seed%3]
		l.disk.mu.Unlock()
		l.crowd()
		if err := l.log.Close(); err == nil {
			t.Errorf("seed %d: a log without power was closed well", seed)
		}
		l.disk.cut(true)
		if err := l.load(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// crowd runs until the power fails.
func (l *life) crowd() {
	var all sync.WaitGroup
	var shards sync.Mutex // the locks of the shards, of which there is one
	for range 3 {
		all.Go(func() {
			for !l.disk.dead() {
				shards.Lock()
				if l.log.Err() == nil {
					l.append()
				}
				l.note()
				shards.Unlock()
				l.log.Flush()
				runtime.Gosched()
			}
		})
	}
	all.Go(func() {
		for !l.disk.dead() {
			r, err := l.log.BeginRewrite()
			if err != nil {
				continue
			}
			shards.Lock()
			r.Cut()
			at := l.units()
			shards.Unlock()
			// A failure is told by the log too, and the next round begins anew.
			_ = r.Commit(func(w io.Writer) error { _, err := w.Write(image(at)); return err })
			runtime.Gosched()
		}
	})
	all.Wait()
}
