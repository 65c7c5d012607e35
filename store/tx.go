package store

type Tx struct {
	Now   int64  // unix milliseconds
	Event string // name of the keyspace event that the changes carry
	store *Store
	db    int
}

type slot struct{}

func (s *Store) Begin(tx *Tx, db int, now int64)        { panic("todo") }
func (tx *Tx) LockKey(key []byte)                       { panic("todo") }
func (tx *Tx) Want(db int, key []byte)                  { panic("todo") }
func (tx *Tx) WantAll()                                 { panic("todo") }
func (tx *Tx) WantDB(db int)                            { panic("todo") }
func (tx *Tx) Lock()                                    { panic("todo") }
func (tx *Tx) Unlock()                                  { panic("todo") }
func (tx *Tx) TryAlso(db int, key []byte) bool          { panic("todo") }
func (tx *Tx) Holds(db int, key []byte) bool            { panic("todo") }
func (tx *Tx) Changes() []Change                        { panic("todo") }
func (tx *Tx) ResetChanges()                            { panic("todo") }
func (tx *Tx) DB() int                                  { return tx.db }
func (tx *Tx) Use(db int)                               { panic("todo") }
func (tx *Tx) Kind(key []byte, a Access) Kind           { panic("todo") }
func (tx *Tx) Delete(key []byte) bool                   { panic("todo") }
func (tx *Tx) ExpireTime(key []byte) (int64, bool)      { panic("todo") }
func (tx *Tx) SetExpire(key []byte, at int64) bool      { panic("todo") }
func (tx *Tx) Persist(key []byte) bool                  { panic("todo") }
func (tx *Tx) Rename(src, dst []byte) bool              { panic("todo") }
func (tx *Tx) Copy(src []byte, db int, dst []byte) bool { panic("todo") }
func (tx *Tx) Move(key []byte, db int) bool             { panic("todo") }

// Meta describes a value.
type Meta struct {
	Kind     Kind
	Encoding string
	Refs     int
	Idle     int64 // seconds
	Freq     int
	Bytes    int64
	Len      int
}

func (tx *Tx) Meta(key []byte) (Meta, bool)                                         { panic("todo") }
func (tx *Tx) Scan(cursor uint64, count int, visit func(key []byte, k Kind)) uint64 { panic("todo") }
func (tx *Tx) Walk(visit func(key []byte, k Kind) bool)                             { panic("todo") }
func (tx *Tx) RandomKey(rnd uint64) ([]byte, bool)                                  { panic("todo") }
func (tx *Tx) Flush(db int) int                                                     { panic("todo") }
func (tx *Tx) SwapDB(a, b int)                                                      { panic("todo") }

func (tx *Tx) Get(key []byte, a Access) ([]byte, error)            { panic("todo") }
func (tx *Tx) Set(key, value []byte, keepTTL bool)                 { panic("todo") }
func (tx *Tx) Append(key, tail []byte) (int, error)                { panic("todo") }
func (tx *Tx) SetRange(key []byte, off int, v []byte) (int, error) { panic("todo") }
func (tx *Tx) Digest() [20]byte                                    { panic("todo") }
func (tx *Tx) DigestValue(key []byte) [20]byte                     { panic("todo") }

// find returns where key's entry lives.
func (tx *Tx) find(key []byte, a Access) (slot, bool)    { panic("todo") }
func (tx *Tx) kindOf(s slot) Kind                        { panic("todo") }
func (tx *Tx) blob(s slot) []byte                        { panic("todo") }
func (tx *Tx) object(s slot) Object                      { panic("todo") }
func (tx *Tx) putBlob(key []byte, k Kind, v []byte)      { panic("todo") }
func (tx *Tx) putBlobFresh(key []byte, k Kind, v []byte) { panic("todo") }
func (tx *Tx) growBlob(s slot, n int) (slot, []byte)     { panic("todo") }
func (tx *Tx) putObject(key []byte, o Object)            { panic("todo") }
func (tx *Tx) remove(key []byte, e Effect)               { panic("todo") }
func (tx *Tx) changed(key []byte, k Kind, e Effect)      { panic("todo") }
func (tx *Tx) settle(s slot)                             { panic("todo") }
func (tx *Tx) waitsOf(key []byte) *waitTable             { panic("todo") }
