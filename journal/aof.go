package journal

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Policy says when the log is synced: appendfsync.
type Policy uint32

// The policies. A reply waits for the sync under Always, else for the write.
const (
	EverySecond Policy = iota
	Always
	Never
)

// AOF is a log in files, in the layout of Redis 7: a manifest, a base and
// increments. It takes records from the first BeginRewrite and Cut on, or from
// Resume.
type AOF struct {
	disk   Disk
	files  Files
	failed func(error) // told once of each failure
	notify func()
	watch  func(op Op, bytes int, took time.Duration)

	policy   atomic.Uint32
	appended atomic.Uint64 // newest unit; changes under mu
	written  atomic.Uint64 // … handed to the system
	synced   atomic.Uint64 // … on disk
	enough   atomic.Uint64 // unit from which on a sync under Always does not wait, see gathering
	lost     atomic.Uint64 // newest unit of a failed write
	kept     atomic.Uint64 // newest durable unit before the first of them
	broken   atomic.Pointer[error]
	size     atomic.Int64 // of all files, see Size
	baseSize atomic.Int64

	mu      sync.Mutex // guards what follows; short, taken inside shard locks
	pending []byte     // the batch being collected, with room for its first line
	spare   []byte
	db      int
	discard bool   // broken: nothing that is appended is worth keeping
	parts   []part // finished batches of files that a Cut has ended
	fails   int    // counts failures, so that a rewrite notices one; changes under mu

	io       sync.Mutex // held while bytes are written; taken before mu
	file     *increment // being written; nil: none yet
	retired  []File     // to be closed by whoever syncs
	manifest Manifest
	named    int        // how many of its increments a manifest on disk may name
	bases    int        // number of the newest base that was tried
	syncing  sync.Mutex // held over a sync; taken before io

	gather gathering

	wake chan struct{}
	stop chan struct{}
	done sync.WaitGroup
}

// part is what belongs to the present file before the next takes its place.
type part struct {
	batch []byte
	seq   uint64
	next  *increment
}

// increment is a file that is written on.
type increment struct {
	f      File
	name   string
	key    []byte
	size   int64
	synced int64
}

// keptBatch is the largest buffer kept for the next batch.
const keptBatch = 4 << 20

// NewAOF returns a log on a disk; failed is called with each failure to write or
// sync, from any goroutine, with no lock held.
func NewAOF(d Disk, f Files, failed func(error)) *AOF {
	a := &AOF{disk: d, files: f, failed: failed, notify: func() {}, watch: func(Op, int, time.Duration) {}, db: -1, wake: make(chan struct{}, 1)}
	a.gather.a = a
	return a
}

// SetPolicy changes when the log is synced.
func (a *AOF) SetPolicy(p Policy) {
	a.policy.Store(uint32(p))
	a.poke()
}

// Notify implements Log.
func (a *AOF) Notify(f func()) { a.notify = f }

// Append implements Log.
func (a *AOF) Append(unit []Record) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	seq := a.appended.Load() + 1
	if a.discard {
		a.lost.Store(seq)
	} else {
		a.encode(unit)
	}
	a.appended.Store(seq)
	return seq
}

func (a *AOF) encode(unit []Record) {
	if len(a.pending) == 0 {
		a.pending = append(a.pending, make([]byte, batchHead)...)
	}
	b := a.pending
	for i := range unit {
		r := &unit[i]
		if r.DB != a.db {
			a.db = r.DB
			b = appendCommand(b, []byte("SELECT"), strconv.AppendInt(nil, int64(r.DB), 10))
		}
		if i == 0 && len(unit) > 1 {
			b = append(b, "*1\r\n$5\r\nMULTI\r\n"...)
		}
		if r.Own || r.Covers > 0 {
			b = appendOwn(b, r)
		} else {
			b = appendCommand(b, r.Args...)
		}
	}
	if len(unit) > 1 {
		b = append(b, "*1\r\n$4\r\nEXEC\r\n"...)
	}
	a.pending = b
}

// Durable implements Log.
func (a *AOF) Durable() uint64 {
	if a.broken.Load() != nil {
		return a.lost.Load()
	}
	if Policy(a.policy.Load()) == Always {
		return a.synced.Load()
	}
	return a.written.Load()
}

// Op is what the log asks of its disk.
type Op uint8

// The operations that Watch tells of.
const (
	Wrote Op = iota
	Synced
)

// Watch has f called after each write and each sync. It comes before the log's
// first use.
func (a *AOF) Watch(f func(op Op, bytes int, took time.Duration)) { a.watch = f }

// Unsynced returns how many units are not on disk yet.
func (a *AOF) Unsynced() uint64 {
	synced := a.synced.Load() // first: it never passes what is appended
	return a.appended.Load() - synced
}

// Synced returns the newest unit that is on disk, with all before it.
func (a *AOF) Synced() uint64 { return a.synced.Load() }

// Fate tells whether it is settled what becomes of a unit, and whether it may
// have been in a failed write: then the outcome is unknown, and nobody may be
// told that it succeeded.
func (a *AOF) Fate(seq uint64) (settled, lost bool) {
	if a.Durable() < seq {
		return false, false
	}
	// Asked last: a failure settles units too, and may have come in between.
	return true, seq <= a.lost.Load() && seq > a.kept.Load()
}

// Err returns why the log takes no more writes, nil while it does.
func (a *AOF) Err() error {
	if p := a.broken.Load(); p != nil {
		return *p
	}
	return nil
}

// Size returns the bytes of all files, and of the base alone.
func (a *AOF) Size() (all, base int64) { return a.size.Load(), a.baseSize.Load() }

// Flush implements Log. Under Always it leaves the writing to whoever syncs, so
// that one sync serves many; see gathering.
func (a *AOF) Flush() {
	if a.appended.Load() == a.written.Load() {
		return
	}
	if Policy(a.policy.Load()) == Always {
		if a.appended.Load() >= a.enough.Load() {
			a.poke()
		}
		return
	}
	a.write()
}

func (a *AOF) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// WriteAll hands everything appended to the system, whatever the policy.
func (a *AOF) WriteAll() { a.write() }

// write hands everything appended to the system.
func (a *AOF) write() {
	a.io.Lock()
	a.mu.Lock()
	parts, last, seq := a.parts, a.pending, a.appended.Load()
	a.parts, a.pending, a.spare = nil, a.spare, nil
	a.mu.Unlock()
	err := a.writeParts(parts, last, seq)
	if err != nil {
		a.breakOff(err) // before anybody writes behind the gap
	}
	a.mu.Lock()
	if cap(last) <= keptBatch {
		a.spare = last[:0]
	}
	a.mu.Unlock()
	a.io.Unlock()
	if err != nil {
		a.tell(err)
		return
	}
	if a.broken.Load() == nil {
		a.notify()
	}
}

// writeParts needs io.
func (a *AOF) writeParts(parts []part, last []byte, seq uint64) error {
	for _, p := range parts {
		if err := a.writeBatch(p.batch, p.seq); err != nil && a.broken.Load() == nil {
			return err
		}
		// What follows in the next file must not outlive what stands in this one.
		if a.file != nil && a.broken.Load() == nil {
			if err := a.syncFile(a.file.f); err != nil {
				return err
			}
		}
		if a.file != nil {
			a.retired = append(a.retired, a.file.f)
		}
		a.file = p.next
		a.written.Store(p.seq)
	}
	if err := a.writeBatch(last, seq); err != nil {
		return err
	}
	a.written.Store(max(seq, a.written.Load()))
	return nil
}

// writeBatch needs io.
func (a *AOF) writeBatch(b []byte, seq uint64) error {
	f := a.file
	if len(b) == 0 || f == nil {
		return nil
	}
	b = closeBatch(b, f.key, seq, f.synced)
	start := time.Now()
	n, err := f.f.Write(b)
	a.watch(Wrote, n, time.Since(start))
	if err != nil {
		if n > 0 { // if the cut fails too, loading finds an unfinished batch
			err = errors.Join(err, f.f.Truncate(f.size))
		}
		return err
	}
	f.size += int64(len(b))
	a.size.Add(int64(len(b)))
	return nil
}

// sync makes what is written last. It does not hold writers up.
func (a *AOF) sync() {
	a.syncing.Lock()
	defer a.syncing.Unlock()
	a.io.Lock()
	f, seq, retired := a.file, a.written.Load(), a.retired
	a.retired = nil
	var size int64
	if f != nil {
		size = f.size
	}
	a.io.Unlock()
	var err error
	for _, old := range retired { // synced before the next file took its place
		err = errors.Join(err, old.Close())
	}
	if f == nil || a.broken.Load() != nil {
		return
	}
	if size != f.synced {
		err = errors.Join(err, a.syncFile(f.f))
	}
	if err != nil {
		a.breakOff(err)
		a.tell(err)
		return
	}
	a.io.Lock()
	f.synced = size
	a.synced.Store(max(seq, a.synced.Load()))
	a.io.Unlock()
	a.notify()
}

func (a *AOF) syncFile(f File) error {
	start := time.Now()
	err := f.Sync()
	a.watch(Synced, 0, time.Since(start))
	return err
}

// breakOff ends the log's promise: what was appended is lost, and so is what
// comes until a rewrite has made a new beginning. Whoever calls it tells.
func (a *AOF) breakOff(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken.Load() == nil {
		a.kept.Store(a.Durable())
	}
	a.fails++
	a.discard = true
	a.pending, a.parts = a.pending[:0], nil
	a.lost.Store(a.appended.Load())
	a.broken.Store(&err)
}

// tell needs no lock.
func (a *AOF) tell(err error) {
	a.failed(err)
	a.notify()
}

// Start runs the goroutine that syncs.
func (a *AOF) Start() {
	a.stop = make(chan struct{})
	late := a.gather.begin()
	a.done.Add(1)
	go func() {
		defer a.done.Done()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		defer a.gather.end()
		for {
			select {
			case <-a.stop:
				return
			case <-a.wake:
				if Policy(a.policy.Load()) == Always {
					a.gather.commit()
				}
			case <-late:
				a.gather.giveUp()
			case <-tick.C:
				a.write()
				if Policy(a.policy.Load()) != Never {
					a.sync()
				}
			}
		}
	}()
}

// Close writes and syncs what there is and ends the log; it can be begun anew by
// BeginRewrite.
func (a *AOF) Close() error {
	if a.stop != nil {
		close(a.stop)
		a.done.Wait()
		a.stop = nil
	}
	a.write()
	a.sync()
	if err := a.Err(); err != nil {
		return err
	}
	a.io.Lock()
	defer a.io.Unlock()
	if a.file == nil {
		return nil
	}
	// An empty batch proves that all before it was synced.
	err := a.writeBatch(make([]byte, batchHead), a.written.Load())
	err = errors.Join(err, a.syncFile(a.file.f), a.file.f.Close())
	a.file = nil
	return err
}

// Resume goes on with a log that was loaded. It starts a new increment if the
// last file is not ours.
func (a *AOF) Resume(l *Loaded) error {
	a.manifest = l.manifest
	a.bases = l.manifest.baseSeq
	a.adopt(l.seq)
	all, base := a.manifest.sizes(a.disk, a.files)
	a.size.Store(all)
	a.baseSize.Store(base)
	if err := a.settle(l); err != nil {
		return err
	}
	if l.key == nil {
		next, err := a.newIncrement()
		if err != nil {
			return err
		}
		a.file = next
		return a.writeManifest(&a.manifest)
	}
	a.named = len(a.manifest.Increments)
	f, err := a.disk.Append(l.last)
	if err != nil {
		return err
	}
	a.file = &increment{f: f, name: l.last, key: l.key, size: l.size, synced: l.size}
	return nil
}

// settle syncs what was loaded: it may stand in the page cache alone, left there
// by a process that was killed.
func (a *AOF) settle(l *Loaded) error {
	for _, t := range l.tails {
		if err := a.disk.Refresh(t.name, t.from); err != nil {
			return err
		}
	}
	return a.disk.SyncDir(a.files.Dir)
}

func (a *AOF) adopt(seq uint64) {
	seq = max(seq, a.appended.Load())
	a.appended.Store(seq)
	a.written.Store(seq)
	a.synced.Store(seq)
}

// newIncrement makes the next increment and adds it to the manifest in memory.
func (a *AOF) newIncrement() (*increment, error) {
	if err := a.disk.MakeDir(a.files.Dir); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s.%d.incr.aof", a.files.Name, a.manifest.incrementNo+1)
	path := a.files.path(name)
	f, err := a.disk.Create(path)
	if err != nil {
		return nil, err
	}
	key := fmt.Appendf(nil, "%016x", rand.Uint64())
	head := fileLine + string(key) + "\r\n"
	if _, err = io.WriteString(f, head); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, a.disk.SyncDir(a.files.Dir)); err != nil {
		return nil, errors.Join(err, f.Close(), a.disk.Remove(path))
	}
	a.manifest.incrementNo++
	a.manifest.Increments = append(a.manifest.Increments, name)
	n := int64(len(head))
	return &increment{f: f, name: path, key: key, size: n, synced: n}, nil
}

// writeManifest needs io.
func (a *AOF) writeManifest(m *Manifest) error {
	a.named = len(m.Increments) // even if it fails: it may be on disk
	return m.write(a.disk, a.files.manifest())
}

// sizes returns the bytes of all files, and of the base alone.
func (m *Manifest) sizes(d Disk, f Files) (all, base int64) {
	for _, name := range append([]string{m.Base}, m.Increments...) {
		if name == "" {
			continue
		}
		if data, release, err := d.Read(f.path(name)); err == nil {
			if all += int64(len(data)); name == m.Base {
				base = int64(len(data))
			}
			release()
		}
	}
	return all, base
}
