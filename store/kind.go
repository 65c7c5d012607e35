package store

import "errors"

// Kind is the type of a value.
type Kind uint8

// The kinds of values; KindNone is that of an absent key.
const (
	KindNone Kind = iota
	KindString
	KindList
	KindSet
	KindZSet
	KindHash
	KindStream
	KindQueue
)

var kindNames = [...]string{"none", "string", "list", "set", "zset", "hash", "stream", "queue"}

// String returns the word the TYPE command answers.
func (k Kind) String() string { return kindNames[k&7] }

// Access says what a look-up leaves behind.
type Access uint8

const (
	Peek  Access = iota // nothing
	Read                // the access clock and the hit or miss counter
	Write               // the access clock
	Note                // the hit or miss counter
)

// Effect is what a change did to its key.
type Effect uint8

const (
	Created       Effect = iota // the key did not exist before
	Changed                     // the value or the expiry changed
	Overwritten                 // the value was replaced by one of another kind
	Reduced                     // the value changed, but not to the good of those who wait for it
	Emptied                     // the collection lost its last element and was removed
	Deleted                     // removed by a command
	Expired                     // removed because its time had come
	Evicted                     // removed to free memory
	FieldsExpired               // some fields of a hash were removed because their time had come
	Flushed                     // the whole database was emptied, or exchanged with another
	Missed                      // nothing: the key was looked for in vain (Tx.Misses)
)

// Change is one line of a transaction's change list.
type Change struct {
	DB     int
	Key    []byte // a copy, valid until the transaction's next Begin; nil when Flushed
	Kind   Kind
	Effect Effect
	Event  string   // name of the keyspace event, empty: none
	Fields [][]byte // the fields removed, with FieldsExpired; valid as Key is
	Log    [][]byte // the record that repeats it; nil: the command as it was typed. Valid as Key is

	DeadLettered, Redelivered int32 // messages of a queue
}

// Object is a value that is not an entry's bytes because it is large.
type Object interface {
	Kind() Kind
	Len() int     // elements
	Bytes() int64 // memory held, by the object's own account
	Clone() Object
}

// offHeap is an object with memory outside the Go heap.
type offHeap interface {
	Object
	heapBytes() int64 // the part of Bytes on the Go heap
	release()         // gives the rest back; the object must not be used again
}

// gradual is an object that may take long to release: releaseSome gives back
// about n bytes, and reports whether release would still find any.
type gradual interface {
	offHeap
	releaseSome(n int64) (more bool)
}

// release gives back what o holds outside the Go heap. Whatever drops an object
// calls it, once.
func release(o Object) {
	if o, ok := o.(interface{ release() }); ok {
		o.release()
	}
}

var (
	// ErrWrongType is returned when the key holds another kind of value.
	ErrWrongType = errors.New("store: wrong kind of value")
	// ErrTooLarge is returned when a string would pass Options.MaxString.
	ErrTooLarge = errors.New("store: string too large")
)
