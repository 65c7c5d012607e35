// Package journal is the write log: one ordered stream of the commands that
// changed data, for files now and replicas later.
//
// Dispatch appends under the locks of the shards a command touched, so the
// stream's order equals the order of changes of every key.
package journal

import (
	"strconv"
	"sync"
)

// Log takes units of records. A unit is all or nothing at replay: one command,
// a transaction, a script.
type Log interface {
	// Append adds one unit of records and returns its sequence number, counted
	// from 1. It copies what it keeps. Callers hold the shard locks of the keys
	// concerned; Append takes one short mutex.
	Append(unit []Record) uint64
	// Durable returns the highest sequence number whose unit has reached the
	// promise of the log; replies that depend on later ones wait at their
	// session's gate.
	Durable() uint64
	// Notify asks for a call of f each time Durable has risen. It is called once,
	// before the first Append.
	Notify(f func())
	// Flush hands pending bytes to the log's medium; loops call it at the end
	// of a batch, before replies are written.
	Flush()
}

// Record is one command as the log repeats it, and the database it works on.
type Record struct {
	DB   int
	Args [][]byte
	// Own says that Redis 7.0 does not know the command: files hold it as a
	// PUBLISH, which a Redis executes without effect.
	Own bool
	// Covers is how many of the unit's next records tell a Redis the same as this
	// one. Only a Redis executes them.
	Covers int
}

// Memory keeps the newest records in memory up to a number of bytes, in the
// RESP form that files and replicas will use: SELECT where the database
// changes, MULTI and EXEC around units of several records.
type Memory struct {
	limit int

	mu    sync.Mutex // guards the fields below
	seq   uint64
	db    int
	bytes int
	head  int
	lines [][][]byte
}

// NewMemory returns a log that holds at most limit bytes of records; the
// oldest fall out first.
func NewMemory(limit int) *Memory { return &Memory{limit: limit, db: -1} }

// Append implements Log.
func (m *Memory) Append(unit []Record) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	if len(unit) > 1 {
		m.add([][]byte{[]byte("MULTI")})
	}
	for i := 0; i < len(unit); i += 1 + unit[i].Covers {
		r := unit[i]
		if r.DB != m.db {
			m.db = r.DB
			m.add([][]byte{[]byte("SELECT"), strconv.AppendInt(nil, int64(r.DB), 10)})
		}
		m.add(r.Args)
	}
	if len(unit) > 1 {
		m.add([][]byte{[]byte("EXEC")})
	}
	return m.seq
}

func (m *Memory) add(args [][]byte) {
	line := make([][]byte, len(args))
	for i, a := range args {
		line[i] = append([]byte(nil), a...)
		m.bytes += len(a)
	}
	m.lines = append(m.lines, line)
	for m.bytes > m.limit && m.head < len(m.lines) {
		for _, a := range m.lines[m.head] {
			m.bytes -= len(a)
		}
		m.lines[m.head] = nil
		m.head++
	}
	if m.head > 1024 && m.head > len(m.lines)/2 {
		m.lines = append([][][]byte(nil), m.lines[m.head:]...)
		m.head = 0
	}
}

// Durable implements Log: what is appended is as durable as memory is.
func (m *Memory) Durable() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seq
}

// Notify implements Log: Durable never lags behind.
func (m *Memory) Notify(func()) {}

// Flush implements Log.
func (m *Memory) Flush() {}

// Records returns the records held, oldest first. The caller must not change
// them.
func (m *Memory) Records() [][][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([][][]byte(nil), m.lines[m.head:]...)
}
