package metrics

import "time"

// Stats is one snapshot of the server. INFO, /metrics and the pages of the side
// port show its figures and no others. Memory is in bytes.
type Stats struct {
	Server      ServerStats
	Clients     ClientStats
	Memory      MemoryStats
	Persistence PersistenceStats
	Totals      TotalStats
	Keyspace    []DBStats // databases that hold keys
	ShardKeys   []int64   // live keys by shard index, summed over databases
	KindBytes   map[string]int64
	Commands    []CommandStats
	Errors      map[string]uint64 // error replies by first word
	Process     ProcessStats
	Limiter     LimiterStats
	Slowlog     SlowlogStats
	Trace       TraceStats
}

// ServerStats does not change while the server runs, but for Now.
type ServerStats struct {
	Version, Revision, GoVersion, RedisVersion string
	RunID, OS, Executable, ConfigFile          string
	PID, TCPPort, Hz                           int
	Databases, Loops                           int
	Started, Now                               time.Time
}

// Uptime is whole seconds.
func (s *ServerStats) Uptime() int64 { return int64(s.Now.Sub(s.Started) / time.Second) }

// ClientStats counts connections.
type ClientStats struct {
	Connected, Max             int64
	Blocked, Watching, PubSub  int64
	BlockingKeys               int64
	RecentMaxInput             int64 // bytes
	RecentMaxOutput            int64
	Memory                     int64 // buffers of normal clients
	Doors                      []DoorStats
	Accepted                   int64
	Rejected                   map[string]int64 // connections refused, by reason
	Killed                     map[string]int64 // connections closed by a limit, by reason
	WatchedKeys                int64
	Channels, Patterns, Shards int64 // pub/sub: channels, patterns and shard channels with a subscriber
	Subscriptions              int64 // of channels and shard channels
}

// Refused is the number of connections refused for any reason.
func (c *ClientStats) Refused() (n int64) {
	for _, r := range c.Rejected {
		n += r
	}
	return n
}

// DoorStats are a listening address' connections.
type DoorStats struct {
	Door        string // tcp, tls, unix
	State       string // active, blocked, subscribed
	Connections int64
}

// MemoryStats are what the server and the runtime hold.
type MemoryStats struct {
	Used, Peak, RSS, Startup, Overhead, Dataset int64
	Max                                         int64 // maxmemory
	Policy                                      string
	Total, Allowed                              int64 // of the host; what the process may use
}

// PersistenceStats are figures of the write log and of snapshots.
type PersistenceStats struct {
	Loading             bool
	LoadTotal, LoadDone int64 // bytes
	Changes             int64 // since the last snapshot
	Save, Rewrite       SaveStats

	LogOn, LogFailed bool
	LogSize, LogBase int64 // bytes, with the base and of it alone
	LogWritten       int64 // bytes
	LogFailures      int64
	LogUnsynced      uint64    // units appended and not synced
	SyncBounds       []float64 // seconds
	Syncs            []uint64  // by bucket, one more than bounds
	SyncSum          float64
}

// SaveStats are figures of snapshots or of rewrites of the log.
type SaveStats struct {
	Running, Failed bool // Failed: the last one
	OK, Errors      int64
	Last            int64 // unix seconds of the last success, 0 = never
	Took            int64 // seconds of the last, -1 = none
}

// TotalStats count since start or CONFIG RESETSTAT.
type TotalStats struct {
	Commands                uint64
	OpsPerSecond            float64
	InputBytes, OutputBytes int64
	InputKbps, OutputKbps   float64
	Expired, Evicted        int64
	ExpiredFields           int64
	Hits, Misses            int64
	ErrorReplies, Panics    int64
	DeniedAuth              int64
}

// DBStats is one database.
type DBStats struct {
	DB            int
	Keys, Expires int64
	AvgTTL        int64 // milliseconds
}

// LimiterStats are the rate limiter's figures; see limiter.Stats.
type LimiterStats struct {
	Enabled        bool
	Action         string
	DryRun         bool
	Buckets, Slots int
	Overflow       uint64
	Refused        uint64
	Decisions      []Decision
	DelayBounds    []float64 // seconds
	DelayCount     []uint64  // one more than bounds
	DelaySum       float64   // seconds
}

// Decision counts refusals of one layer.
type Decision struct {
	Layer, Action string
	Count         uint64
}

// SlowlogStats are the slow log's length and newest entry.
type SlowlogStats struct {
	Length int
	Last   time.Duration // duration of the newest entry
	LastID int64
}
