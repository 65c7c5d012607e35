// Package command is the state machine: one row a command, one family a file.
//
// A handler sees its arguments, a reply buffer, a store transaction whose
// shards are already locked, the time and a source of randomness. It never
// sees a socket, a file or a clock, so the same call with the same Ctx gives
// the same reply and the same changes: that is what log replay relies on.
//
// To add a command: write its row beside its handler in the family's file and
// a line in the family's script under testdata. Nothing else.
package command

import (
	"math/rand/v2"
	"time"

	"synap/resp"
	"synap/store"
)

// Flags are the command flags of Redis' COMMAND reply and a few of our own.
type Flags uint32

const (
	Write           Flags = 1 << iota // may change the key space
	ReadOnly                          // never changes the key space
	DenyOOM                           // may grow memory: refused over maxmemory
	Admin                             // administration
	PubSub                            // belongs to pub/sub
	NoScript                          // not from scripts
	Blocking                          // may park the session
	Loading                           // allowed while loading
	Stale                             // allowed on a stale replica
	SkipMonitor                       // not shown to MONITOR
	SkipSlowlog                       // not entered into the slow log
	Asking                            // cluster only
	Fast                              // O(1) or O(log n)
	NoAuth                            // allowed before authentication
	MayReplicate                      // may enter the journal though not a write
	NoMulti                           // refused inside MULTI
	MovableKeys                       // keys depend on the arguments' content
	AllowBusy                         // allowed while a script is busy
	NoAsyncLoad                       // refused during an asynchronous load
	NoMandatoryKeys                   // key arguments may be absent
	OnlySentinel
	Protected // guarded by an enable-… option

	AllShards   // ours: its keys cannot be known beforehand; every shard is locked
	Walks       // ours: locks shard by shard as it goes; AllShards inside EXEC
	NeverLimit  // ours: the rate limiter lets it pass
	Subscribed  // ours: allowed in RESP2 subscribe mode
	OwnGrouping // ours: not part of Redis
	RunsInMulti // ours: runs at once inside MULTI instead of being queued
	FreshTime   // ours: a time it promises counts from when it runs, not from when its batch began
)

// KeyFlags say what is done with a key (COMMAND INFO's key specs).
type KeyFlags uint16

const (
	RO KeyFlags = 1 << iota
	RW
	OW
	RM
	Access
	Update
	Insert
	Delete
	NotKey
	Incomplete
	VariableFlags
)

// KeySpec tells where keys stand (https://redis.io/docs/reference/key-specs).
// Begin: argument index, or the index after Keyword searched from From.
// Find: by range (Last relative to the first key, negative from the end; Step;
// Limit), or by a count of keys when NumKeys is set (NumIdx and First relative
// to the begin).
type KeySpec struct {
	Flags   KeyFlags
	Begin   int
	Keyword string
	From    int

	Last, Step, Limit int

	NumKeys       bool
	NumIdx, First int

	Notes   string
	Unknown bool // begin_search unknown
}

// Row is the whole truth of a command. Name is lower case. Usage is the
// grammar behind the name: `key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]`;
// COMMAND DOCS, docs/commands.md and the differential test's generator are
// computed from it.
type Row struct {
	Name       string
	Usage      string
	Summary    string
	Group      string // string, list, generic, stream, pubsub, transactions, connection, server …
	Since      string
	Complexity string
	Deprecated string // "version|replacement", or empty
	Arity      int    // as Redis: name included, negative = at least
	Flags      Flags
	Categories []string // ACL categories that flags and group do not imply
	Keys       []KeySpec
	FindKeys   func(args [][]byte, dst []KeyAt) ([]KeyAt, bool)   // instead of Keys where these cannot tell (SORT … STORE); may be nil
	Tips       []string                                           // command tips: nondeterministic_output, nondeterministic_output_order …
	Elsewhere  func(args [][]byte, want func(db int, key []byte)) // keys it touches in other databases (MOVE, COPY … DB); may be nil
	Event      string                                             // keyspace event where it is not the command's name
	Subs       []Row
	Run        func(*Ctx)
}

// HasFlag tells whether any of the flags f is set.
func (r *Row) HasFlag(f Flags) bool { return r.Flags&f != 0 }

// Ctx is what one run of a command sees. It is reused: keep nothing of it.
type Ctx struct {
	Row   *Row
	ID    int      // the row's dense index in the Table
	Args  [][]byte // whole request, Args[0] the name; valid until the handler returns
	Reply *resp.Reply
	Tx    *store.Tx
	Now   time.Time // the command's one point in time
	Rand  *rand.Rand
	Conf  *Conf

	Client uint64 // whose request it is; 0 = nobody's

	// Retry is true when a blocked command runs again because one of its keys
	// became ready.
	Retry bool

	block  Block
	noLog  bool
	logged [][][]byte // records, each a part of flat
	flat   [][]byte
	digits []byte // space of decimal
	moved  []Moved
	leased bool // see ReleaseAtEnd
}

// Conf holds the live options that handlers read.
type Conf struct {
	ProtoMaxBulkLen       int64
	ListMaxListpackSize   int64
	HLLSparseMaxBytes     int
	Queue                 QueueConf
	StreamNodeMaxBytes    int64
	StreamNodeMaxEntries  int64
	MaxMemoryLFU          bool // maxmemory-policy is an LFU one
	StreamEventTypeField  string
	LazyfreeLazyUserFlush bool
}

// QueueConf are the defaults and limits of reliable queues.
type QueueConf struct {
	Settings     store.QueueSettings // of a queue that says nothing else
	Priority     int                 // of a message that says nothing else
	DedupWindow  int64               // milliseconds in which an id counts as seen
	MaxConsumers int                 // of one queue
}

// Block asks dispatch to park the client until one of Keys becomes ready or
// Timeout passes (0 = for ever). TimeOut writes the reply of a time-out. Refused
// writes the reply where nothing may wait (EXEC, scripts, replay); nil means
// TimeOut. Args, if set, replaces the request for the runs to come (XREAD
// resolves $ with it).
type Block struct {
	Keys    [][]byte
	Timeout time.Duration
	TimeOut func(*resp.Reply)
	Refused func(*resp.Reply)
	Kind    store.Kind // the kind of value waited for
	Args    [][]byte

	Gone  bool          // it also runs again when a key goes, or becomes another kind
	Again time.Duration // … and after this time; 0: no
	Disk  bool          // it waits for the log's sync, with no key
}

// Block parks the client after the handler returns; the handler writes nothing.
func (c *Ctx) Block(b Block) { c.block = b }

// Refuse replies where nothing may wait.
func (b *Block) Refuse(r *resp.Reply) {
	if b.Refused != nil {
		b.Refused(r)
		return
	}
	b.TimeOut(r)
}

// Blocked returns what the handler asked for; Keys is nil if it did not block.
func (c *Ctx) Blocked() *Block { return &c.block }

// LogAs replaces the journal's record of this command by args (may be called
// several times: the records form one unit). The slices are copied by dispatch
// before the locks are released.
func (c *Ctx) LogAs(args ...[]byte) {
	start := len(c.flat)
	c.flat = append(c.flat, args...)
	c.logged = append(c.logged, c.flat[start:len(c.flat):len(c.flat)])
}

// NoLog keeps this command out of the journal.
func (c *Ctx) NoLog() { c.noLog = true }

// Records returns the journal records that replace the request: nil with
// typed=true means the request itself.
func (c *Ctx) Records() (records [][][]byte, typed bool) {
	if c.noLog || len(c.logged) > 0 {
		return c.logged, false
	}
	return nil, true
}

// Count says how many messages or elements the command moved, for the object
// metrics (LPUSH q a b: 2). Without it a success counts as 1 for the first key.
func (c *Ctx) Count(n int) { c.CountAt(nil, n) }

// CountAt is Count for one key of several (BLPOP, XREAD); nil is the first.
func (c *Ctx) CountAt(key []byte, n int) { c.moved = append(c.moved, Moved{key, n}) }

// Moved is one call of CountAt. Key aliases the request.
type Moved struct {
	Key []byte
	N   int
}

// ReleaseAtEnd asks that the messages which this client was just leased are given
// back when it disconnects.
func (c *Ctx) ReleaseAtEnd() { c.leased = true }

// Leased reports whether ReleaseAtEnd was called.
func (c *Ctx) Leased() bool { return c.leased }

// Counts returns what CountAt was told; empty if it was not called.
func (c *Ctx) Counts() []Moved { return c.moved }

// Reset prepares the Ctx for the next command.
func (c *Ctx) Reset() {
	c.Row, c.Args, c.Retry = nil, nil, false
	c.block = Block{}
	c.noLog, c.moved = false, c.moved[:0]
	c.leased = false
	if len(c.logged) > 0 { // keep the space, not what it points to
		clear(c.flat)
		clear(c.logged)
		c.flat, c.logged = c.flat[:0], c.logged[:0]
	}
}

// Fail replies with err: a resp.Error as it is, a store sentinel in Redis' words.
func (c *Ctx) Fail(err error) { c.Reply.Error(translate(err)) }
