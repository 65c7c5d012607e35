package store

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkLoadSnapshot loads strings of 64 bytes and counts nanoseconds a key.
func BenchmarkLoadSnapshot(b *testing.B) {
	const keys = 500_000
	s := New(Options{})
	var tx Tx
	s.Begin(&tx, 0, 1_000_000)
	tx.WantAll()
	tx.Lock()
	for i := range keys {
		tx.Set(fmt.Appendf(nil, "key:%012d", i), fmt.Appendf(nil, "%064x", uint64(i)*0x9e3779b97f4a7c15), false)
	}
	tx.ResetChanges()
	var file bytes.Buffer
	if err := tx.WriteSnapshot(SnapshotOptions{}, &file); err != nil {
		b.Fatal(err)
	}
	tx.Flush(-1)
	tx.Unlock()
	for b.Loop() {
		s := New(Options{})
		var tx Tx
		s.Begin(&tx, 0, 0)
		tx.WantAll()
		tx.Lock()
		r := NewSnapshotReader(file.Bytes(), 0)
		for more := true; more; {
			var err error
			if more, err = r.Load(&tx, 1000); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		tx.Flush(-1)
		tx.Unlock()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
}
