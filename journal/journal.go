// Package journal is the write log: one ordered stream of the commands that
// changed data, for files now and replicas later.
//
// Dispatch appends under the locks of the shards a command touched, so the
// stream's order equals the order of changes of every key.
package journal

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
