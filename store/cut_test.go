package store

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

var cutRuns = flag.Int("cuts", 30, "snapshots of TestCutEqualsTheMoment")

// cutDriver changes a store at random, with all that the store can do to keys.
type cutDriver struct {
	s   *Store
	rnd *rand.Rand
	tx  Tx
	now int64
}

func newCutDriver(s *Store, seed uint64) *cutDriver {
	return &cutDriver{s: s, rnd: rand.New(rand.NewPCG(seed, 3)), now: 1_000_000}
}

// begin takes all shards.
func (d *cutDriver) begin(db int) *Tx {
	d.s.Begin(&d.tx, db, d.now)
	d.tx.WantAll()
	d.tx.Lock()
	return &d.tx
}

func (d *cutDriver) key() []byte { return fmt.Appendf(nil, "key:%d", d.rnd.IntN(300)) }

// step does one thing, under the locks of all shards or of one.
func (d *cutDriver) step() {
	d.now += d.rnd.Int64N(3)
	db := d.rnd.IntN(2)
	switch d.rnd.IntN(400) {
	case 0:
		d.begin(db).Flush(db)
		d.tx.Unlock()
		return
	case 1:
		d.begin(db).FlushAsync(-1)
		d.tx.Unlock()
		return
	case 2, 3, 4:
		d.begin(db).SwapDB(0, 1)
		d.tx.Unlock()
		return
	case 5, 6, 7, 8, 9, 10:
		d.begin(db).Rename(d.key(), d.key())
		d.tx.Move(d.key(), 1-db)
		d.tx.Copy(d.key(), 1-db, d.key())
		d.tx.Unlock()
		return
	case 11, 12, 13:
		d.s.ExpireSome(&d.tx, d.now, 100, func(tx *Tx) {})
		d.s.CompactStep()
		return
	}
	key := d.key()
	d.s.Begin(&d.tx, db, d.now)
	d.tx.LockKey(key)
	d.change(key)
	d.tx.Unlock()
}

func (d *cutDriver) change(key []byte) {
	tx, rnd := &d.tx, d.rnd
	switch k := tx.Kind(key, Peek); {
	case k == KindNone:
		if rnd.IntN(7) == 0 {
			d.publish(key)
		} else {
			fillRandom(tx, rnd, key)
		}
	case rnd.IntN(20) == 0:
		tx.Delete(key)
	case rnd.IntN(20) == 0:
		tx.SetExpire(key, d.now+rnd.Int64N(2000))
	case rnd.IntN(20) == 0:
		tx.Persist(key)
	case rnd.IntN(20) == 0:
		tx.Set(key, bytes.Repeat([]byte{byte(rnd.Uint32())}, rnd.IntN(1+rnd.IntN(200_000))), rnd.IntN(2) == 0)
	default:
		d.edit(key, k)
	}
}

// edit changes a part of a value.
func (d *cutDriver) edit(key []byte, k Kind) {
	tx, rnd := &d.tx, d.rnd
	text := fmt.Appendf(nil, "%d", rnd.IntN(1000))
	switch k {
	case KindString:
		switch rnd.IntN(3) {
		case 0:
			tx.Append(key, text)
		case 1:
			tx.SetRange(key, rnd.IntN(100), text)
		default:
			b, _, _ := tx.Extend(key, 10)
			b[rnd.IntN(10)]++
			tx.Edited(key)
		}
	case KindList:
		l, _ := tx.List(key, Write)
		if l.Push(End(rnd.IntN(2)), text); rnd.IntN(3) == 0 {
			l.Pop(End(rnd.IntN(2)), 1+rnd.IntN(l.Len()), func([]byte) {})
		}
	case KindSet:
		s, _ := tx.SetOf(key, Write)
		s.Add(text)
		s.Remove(fmt.Appendf(nil, "%d", rnd.IntN(1000)))
		s.Done()
	case KindZSet:
		z, _ := tx.ZSetOf(key, Write)
		z.Add(text, rnd.Float64(), 0)
		z.Remove(fmt.Appendf(nil, "%d", rnd.IntN(1000)))
		z.Done()
	case KindHash:
		h, _ := tx.HashOf(key, Write)
		h.Set(text, text)
		h.ExpireAt(text, d.now+1+rnd.Int64N(1000))
		h.Done()
	case KindStream:
		s, _ := tx.Stream(key, Read)
		s.Add(ID{s.LastID().Ms + 1, 0}, bytesOf(randomPairs(rnd)), 4096, 100)
		tx.SaveStream(key, s)
	case KindQueue:
		d.publish(key)
	}
}

func (d *cutDriver) publish(key []byte) {
	q, _ := d.tx.Queue(key, Peek)
	if q == nil {
		q = d.tx.NewQueue()
	}
	log := d.tx.QueueLog()
	q.Publish(&Publication{Payload: key, Priority: 1, Retries: -1, TTL: 1 + d.rnd.Int64N(3000)}, d.now, 0, log, nil)
	d.tx.SaveQueue(key, q, log, true)
}

// cutDigest returns the digests of both databases, of which the transaction
// holds all shards, at a time when nothing has expired.
func cutDigest(tx *Tx) (sums [2][20]byte) {
	now, db := tx.Now, tx.DB()
	tx.Now = 0
	for i := range sums {
		tx.Use(i)
		sums[i] = tx.Digest()
	}
	tx.Now = now
	tx.Use(db)
	return sums
}

// digestOfSnapshot loads a snapshot into a store of other shards.
func digestOfSnapshot(t *testing.T, data []byte) [2][20]byte {
	t.Helper()
	s := New(Options{Databases: 2, Shards: 8})
	var tx Tx
	s.Begin(&tx, 0, 0)
	tx.WantAll()
	tx.Lock()
	defer tx.Unlock()
	r := NewSnapshotReader(data, 0)
	for more := true; more; {
		var err error
		if more, err = r.Load(&tx, 1000); err != nil {
			t.Fatalf("at %d of %d: %v", r.Offset(), len(data), err)
		}
	}
	if r.Offset() != len(data) {
		t.Fatalf("%d bytes of %d read", r.Offset(), len(data))
	}
	sums := cutDigest(&tx)
	tx.Flush(-1)
	return sums
}

// TestCutEqualsTheMoment interleaves the steps of a snapshot with changes, in
// one goroutine, so that a seed that fails fails again.
func TestCutEqualsTheMoment(t *testing.T) {
	for seed := range uint64(*cutRuns) {
		d := newCutDriver(New(Options{Databases: 2, Shards: 2}), seed)
		for range 300 + d.rnd.IntN(2000) {
			d.step()
		}
		tx := d.begin(0)
		want := cutDigest(tx)
		s := tx.Cut(SnapshotOptions{})
		tx.Unlock()
		changes := d.rnd.IntN(20)
		for _, c := range s.cuts {
			for more := true; more; more = c.step() {
				for range changes {
					d.step()
				}
			}
		}
		s.queue.close()
		var out bytes.Buffer
		file := &snapshotFile{to: &out}
		file.write(s.head)
		for b := s.queue.take(); b != nil; b = s.queue.take() {
			file.write(b)
		}
		if err := file.end(); err != nil {
			t.Fatal(err)
		}
		if got := digestOfSnapshot(t, out.Bytes()); got != want {
			t.Fatalf("seed %d: the snapshot is not the state of the cut", seed)
		}
		if keys, total, _ := s.Progress(); keys != total {
			t.Fatalf("seed %d: %d keys written of %d", seed, keys, total)
		}
		d.begin(0).Flush(-1)
		d.tx.Unlock()
	}
}

// TestCutUnderLoad takes snapshots while several goroutines write.
func TestCutUnderLoad(t *testing.T) {
	s := New(Options{Databases: 2, Shards: 4})
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w := range uint64(3) {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for d := newCutDriver(s, 100+w); !stop.Load(); {
				d.step()
			}
		}()
	}
	d := newCutDriver(s, 99)
	for range 3 + *cutRuns/10 {
		for range 1000 {
			d.step()
		}
		tx := d.begin(0)
		want := cutDigest(tx)
		snapshot := tx.Cut(SnapshotOptions{})
		tx.Unlock()
		var out bytes.Buffer
		if err := snapshot.Save(&out); err != nil {
			t.Fatal(err)
		}
		if got := digestOfSnapshot(t, out.Bytes()); got != want {
			t.Fatal("the snapshot is not the state of the cut")
		}
	}
	stop.Store(true)
	writers.Wait()
}

// brokenPipe fails after some bytes.
type brokenPipe int

func (p *brokenPipe) Write(b []byte) (int, error) {
	if *p -= brokenPipe(len(b)); *p < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

// TestCutGivenUp lets the file fail, or the snapshot be closed unwritten: the
// next one is whole.
func TestCutGivenUp(t *testing.T) {
	d := newCutDriver(New(Options{Databases: 2, Shards: 2}), 5)
	for i := range 20 {
		for range 500 {
			d.step()
		}
		s := d.begin(0).Cut(SnapshotOptions{})
		d.tx.Unlock()
		d.begin(0).SwapDB(0, 1)
		d.tx.Flush(i % 2)
		d.tx.Unlock()
		if i%3 == 0 {
			pipe := brokenPipe(d.rnd.IntN(100_000))
			if err := s.Save(&pipe); err == nil && pipe < 0 {
				t.Fatal("the failure is not reported")
			}
		}
		s.Close()
		tx := d.begin(0)
		want := cutDigest(tx)
		next := tx.Cut(SnapshotOptions{Plain: true, Unsure: true})
		tx.Unlock()
		var out bytes.Buffer
		if err := next.Save(&out); err != nil {
			t.Fatal(err)
		}
		if got := digestOfSnapshot(t, out.Bytes()); got != want {
			t.Fatal("the snapshot is not the state of the cut")
		}
	}
}
