package store

// Packing holds the sizes up to which Redis keeps small collections in one
// piece (hash-max-listpack-entries and its relatives). Here they only decide
// what OBJECT ENCODING answers: as in Redis, a collection that once passed its
// limit keeps the name of the large form for good.
type Packing struct {
	HashEntries, HashValue int // fields; bytes of the longest field or value
	SetIntset              int // members, while all are integers
	SetEntries, SetValue   int // members; bytes of the longest
	ZSetEntries, ZSetValue int
}

// DefaultPacking is what Redis 7.2 starts with.
var DefaultPacking = Packing{
	HashEntries: 512, HashValue: 64,
	SetIntset: 512, SetEntries: 128, SetValue: 64,
	ZSetEntries: 128, ZSetValue: 64,
}

// SetPacking replaces the limits for the writes to come.
func (s *Store) SetPacking(p Packing) { s.packing.Store(&p) }

// packing returns the limits in force.
func (tx *Tx) packing() *Packing { return tx.store.packing.Load() }
