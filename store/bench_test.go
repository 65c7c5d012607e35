package store

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// benchKey writes an 11-byte key into buf.
func benchKey(buf []byte, i int) []byte {
	copy(buf, "key:0000000")
	for p := 10; i > 0; p-- {
		buf[p] = byte('0' + i%10)
		i /= 10
	}
	return buf[:11]
}

func filled(b testing.TB, n int) *Store {
	b.Helper()
	s := New(Options{})
	var tx Tx
	key, value := make([]byte, 11), make([]byte, 64)
	for i := range n {
		binary.LittleEndian.PutUint64(value, uint64(i))
		s.Begin(&tx, 0, 1)
		tx.LockKey(benchKey(key, i))
		tx.Set(key, value, false)
		tx.Unlock()
	}
	return s
}

func BenchmarkTxGet(b *testing.B) {
	for _, n := range []int{1000, 100_000, 2_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := filled(b, n)
			var tx Tx
			key := make([]byte, 11)
			b.ReportAllocs()
			x := uint64(1)
			for b.Loop() {
				s.Begin(&tx, 0, 1)
				tx.LockKey(benchKey(key, int(mix(&x)%uint64(n))))
				if v, _ := tx.Get(key, Read); len(v) != 64 {
					b.Fatal("missing")
				}
				tx.Unlock()
			}
		})
	}
}

func BenchmarkTxSetExisting(b *testing.B) {
	const n = 100_000
	s := filled(b, n)
	var tx Tx
	key, value := make([]byte, 11), make([]byte, 64)
	b.ReportAllocs()
	x := uint64(1)
	for b.Loop() {
		s.Begin(&tx, 0, 1)
		tx.LockKey(benchKey(key, int(mix(&x)%n)))
		tx.Set(key, value, false)
		tx.Unlock()
	}
}

func BenchmarkTxSetNew(b *testing.B) {
	s := New(Options{})
	var tx Tx
	key, value := make([]byte, 11), make([]byte, 64)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i++; i == 5_000_000 {
			b.StopTimer()
			s.Begin(&tx, 0, 1)
			tx.WantAll()
			tx.Lock()
			tx.Flush(-1)
			tx.Unlock()
			i = 0
			b.StartTimer()
		}
		s.Begin(&tx, 0, 1)
		tx.LockKey(benchKey(key, i))
		tx.Set(key, value, false)
		tx.Unlock()
	}
}

func BenchmarkTxSetUntilDelete(b *testing.B) {
	s := filled(b, 100_000)
	var tx Tx
	key, value := []byte("short-lived"), make([]byte, 64)
	b.ReportAllocs()
	at := int64(10)
	for b.Loop() {
		at++
		s.Begin(&tx, 0, 1)
		tx.LockKey(key)
		tx.SetUntil(key, value, at)
		tx.Delete(key)
		tx.Unlock()
	}
}

func BenchmarkDictGrow(b *testing.B) {
	b.ReportAllocs()
	value := value{kind: KindString, bytes: make([]byte, 16)}
	key := make([]byte, 11)
	for b.Loop() {
		c := newContents(New(Options{}).seed)
		for i := range 10_000 {
			k := benchKey(key, i)
			c.add(maphash.Bytes(c.seed, k), k, value, 0, 0)
		}
		c.release()
	}
}

// BenchmarkFootprint reports the memory that keys of 11 bytes with values of
// 64 take, as the store counts it and as the system does, and how long a
// collection takes meanwhile.
func BenchmarkFootprint(b *testing.B) {
	const n = 2_000_000
	for b.Loop() {
		runtime.GC()
		before := residentBytes()
		s := filled(b, n)
		resident := residentBytes() - before
		start := time.Now()
		runtime.GC()
		b.ReportMetric(float64(time.Since(start).Microseconds()), "gc-us")
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.PauseNs[(m.NumGC+255)%256])/1e3, "pause-us")
		b.ReportMetric(float64(s.Used())/n, "used-B/key")
		b.ReportMetric(float64(resident)/n, "rss-B/key")
		runtime.KeepAlive(s)
	}
}

// residentBytes reads the resident set size of this process; 0 where there
// is no /proc.
func residentBytes() int {
	text, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	kb := 0
	fmt.Sscan(after, &kb)
	return kb << 10
}

func BenchmarkEvict(b *testing.B) {
	for p := AllKeysLRU; p <= VolatileTTL; p++ {
		b.Run(p.String(), func(b *testing.B) {
			s := filled(b, 100_000)
			s.SetPolicy(p, 5, 10, 1)
			var tx Tx
			key, value := make([]byte, 11), make([]byte, 64)
			b.ReportAllocs()
			i := 100_000
			for b.Loop() {
				i++
				s.Begin(&tx, 0, int64(i))
				tx.LockKey(benchKey(key, i))
				tx.SetUntil(key, value, int64(i+10_000_000))
				tx.Unlock()
				s.Evict(&tx, int64(i), func(*Tx) {})
			}
		})
	}
}

// BenchmarkPipeline reads 16 keys, with what they need fetched beforehand or
// not; the time is that of one key.
func BenchmarkPipeline(b *testing.B) {
	for _, n := range []int{1000, 100_000, 2_000_000} {
		s := filled(b, n)
		for _, fetch := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/prefetch=%v", n, fetch), func(b *testing.B) {
				var tx Tx
				keys := make([][]byte, 16)
				for i := range keys {
					keys[i] = make([]byte, 11)
				}
				x := uint64(1)
				for i := 0; i < b.N; i += len(keys) {
					for _, key := range keys {
						benchKey(key, int(mix(&x)%uint64(n)))
					}
					if fetch {
						s.Prefetch(0, keys)
					}
					for _, key := range keys {
						s.Begin(&tx, 0, 1)
						tx.LockKey(key)
						if v, _ := tx.Get(key, Read); len(v) != 64 {
							b.Fatal("missing")
						}
						tx.Unlock()
					}
				}
			})
		}
	}
}
