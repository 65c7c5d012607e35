// Package config turns a file, the environment and the command line into one
// immutable Config.
//
// Every option is one row of Options (options.go): CONFIG GET, SET and REWRITE,
// --help, --print-config, the environment and README's table are computed from
// the rows. To add an option: a field in Config and a row. Nothing else.
package config

import (
	"net/netip"
	"time"
)

// Queue holds the defaults and limits of reliable queues.
type Queue struct {
	MaxDepth     int64         // messages ready, delayed and unacked; 0 = no limit
	AckDeadline  time.Duration // ≥ 1 ms
	Retries      int64
	Priority     int
	Prefetch     int64 // messages one consumer may hold; 0 = no limit
	DedupWindow  time.Duration
	DLQMax       int64 // 0 = no limit
	MaxConsumers int
}

// Listpack holds the sizes up to which Redis packs small collections.
type Listpack struct {
	HashEntries, HashValue int // fields; bytes of the longest field or value
	SetIntset              int // members, while all are integers
	SetEntries, SetValue   int
	ZSetEntries, ZSetValue int
}

// Config is the value of every option. It is never changed after Load: a live
// change makes a new Config (With, Source.Reload) that the server swaps in.
type Config struct {
	// Where the server listens.
	Port           int
	Bind           []string // addresses; a leading "-" marks one that may be missing
	UnixSocket     string   // path; empty = none
	UnixSocketPerm uint32   // file mode; 0 = as the umask gives
	TLSPort        int      // 0 = none
	TLSCertFile    string
	TLSKeyFile     string
	TLSCACertFile  string
	TLSAuthClients string         // yes, no, optional
	NetworkDoor    string         // auto, loop, redcon
	Loops          int            // event loops; 0 = chosen for the machine
	TCPBacklog     int            // pending connections
	ProxyTrusted   []netip.Prefix // peers that must send a PROXY header
	ProtectedMode  bool
	RequirePass    string // empty = none

	// Limits on clients.
	MaxClients                     int
	MaxClientsReserved             int // extra slots for loopback peers
	MigrateMaxClients              int
	Timeout                        int // seconds without a command; 0 = for ever
	TCPKeepAlive                   int // seconds; 0 = off
	ClientFirstByteTimeout         int // seconds, while unauthenticated
	ClientWriteTimeout             int // seconds without progress of a write
	ClientQueryBufferLimit         int64
	OutputLimits                   [3]OutputLimit // by ClientClass
	MaxMemoryClients               int64          // bytes; see MaxMemoryClientsPercent
	MaxMemoryClientsPercent        int            // of maxmemory; used if not 0
	ProtoMaxBulkLen                int64
	ProtoMaxArgs                   int
	ProtoInlineMax                 int
	ProtoHeaderMax                 int
	UnauthenticatedMaxArgs         int
	UnauthenticatedMaxBulkLen      int64
	UnauthenticatedQueryBufferMax  int64
	UnauthenticatedOutputBufferMax int64

	// Memory and data.
	MaxMemory             int64 // bytes; 0 = no limit
	MaxMemoryPolicy       string
	MaxMemorySamples      int
	LFULogFactor          int
	LFUDecayTime          int // minutes
	Databases             int
	Shards                int // per database; 0 = chosen for the machine
	Hz                    int
	Listpack              Listpack // which form OBJECT ENCODING names
	HLLSparseMaxBytes     int      // of a HyperLogLog before it becomes dense
	Queue                 Queue
	ListMaxListpackSize   int // > 0 elements; -1 … -5: 4, 8, 16, 32, 64 KiB
	StreamNodeMaxBytes    int64
	StreamNodeMaxEntries  int64
	StreamEventTypeField  string
	LazyfreeLazyUserFlush bool
	NotifyKeyspaceEvents  string // letters, as CONFIG GET shows them
	TrackingTableMaxKeys  int64  // 0 = no limit
	Dir                   string // absolute

	// Durability.
	AppendOnly       bool
	AppendFsync      string // always, everysec, no
	AppendDirName    string // within Dir
	AppendFileName   string
	AOFLoadTruncated bool
	DBFileName       string // within Dir
	Save             []SavePoint

	StopWritesOnBgsaveError    bool
	RDBCompression             bool
	RDBChecksum                bool
	RDBSaveIncrementalFsync    bool
	AOFRewriteIncrementalFsync bool
	AOFUseRDBPreamble          bool
	AutoAOFRewritePercentage   int // 0: never
	AutoAOFRewriteMinSize      int64
	NoAppendFsyncOnRewrite     bool

	ShutdownTimeout int // seconds

	// What is watched.
	SlowlogLogSlowerThan           int64 // µs; < 0 = off
	SlowlogMaxLen                  int
	LatencyMonitorThreshold        int64 // ms; 0 = off
	LatencyTracking                bool
	LatencyTrackingInfoPercentiles []float64
	LogLevel                       string // debug, verbose, notice, warning
	LogFile                        string // empty = standard output
	LogFormat                      string // auto, text, json

	// Commands that are off by default: no, yes, local.
	EnableDebugCommand     string
	EnableProtectedConfigs string

	HTTPPort           int // side port; 0 = none
	HTTPBind           []string
	HTTPPprof          bool
	HTTPAdmin          bool
	HTTPMaxConnections int
	HTTPTimeout        int // seconds for one request and its answer

	RateLimit RateLimit
	Metrics   Metrics
	Tracing   Tracing

	// MemoryAllowed is what the process may use: the cgroup's limit, else the
	// host's memory. Not an option; percentages refer to it.
	MemoryAllowed int64

	launched string // working directory of the start; relative paths refer to it
}

// SavePoint asks for a snapshot Seconds after the last one, if at least Changes
// were made since.
type SavePoint struct{ Seconds, Changes int64 }

// ClientClass indexes Config.OutputLimits.
type ClientClass int

// The classes of client-output-buffer-limit.
const (
	ClassNormal ClientClass = iota
	ClassReplica
	ClassPubSub
)

// OutputLimit is one class of client-output-buffer-limit: the client is closed
// over Hard bytes, or after Seconds over Soft bytes; 0 = no limit.
type OutputLimit struct {
	Hard, Soft int64
	Seconds    int
}

// RateLimit holds the rate_limit section.
type RateLimit struct {
	Enabled               bool
	RequestsPerSecond     float64
	BurstSize             int
	Action                string
	DryRun                bool
	Exempt                []netip.Prefix
	IPv6Prefix            int
	ConnectionsPerSecond  int
	MaxConnections        int
	AuthFailuresPerMinute int
	ErrorPrefix           string
	CostBySize            bool
}

// Metrics holds the metrics section.
type Metrics struct {
	RedisNames     bool
	MaxLabelValues int
	ListQueues     string        // glob of the list keys that count as queues; empty = none
	SystemInterval time.Duration // between two samples of the system gauges
	AllowQueues    []string      // globs: names that keep their own series first
	AllowRooms     []string
	AllowTopics    []string
	AllowEvents    []string
}

// Tracing holds the tracing section.
type Tracing struct {
	Endpoint    string // URL; empty = off
	SampleRatio float64
	ServiceName string
	QueueSize   int // spans
}

// ClientsMemory returns the bytes that all clients' buffers may hold together
// (maxmemory-clients); 0 = no limit.
func (c *Config) ClientsMemory() int64 {
	if c.MaxMemoryClientsPercent == 0 {
		return c.MaxMemoryClients
	}
	of := c.MaxMemory
	if of == 0 {
		of = c.MemoryAllowed
	}
	return of / 100 * int64(c.MaxMemoryClientsPercent)
}
