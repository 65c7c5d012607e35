package config

// Source remembers where a Config came from.
type Source struct{}

// Load is a first stand-in: defaults only.
func Load(args []string, environ []string) (*Config, *Source, error) {
	return Default(), &Source{}, nil
}

// Default returns the Config of a server started with no option.
func Default() *Config {
	mb := int64(1 << 20)
	return &Config{
		Port: 6379, Bind: []string{"127.0.0.1", "-::1"}, TLSAuthClients: "yes", NetworkDoor: "auto", TCPBacklog: 511, ProtectedMode: true,
		MaxClients: 10000, TCPKeepAlive: 300, ClientFirstByteTimeout: 10, ClientWriteTimeout: 60, ClientQueryBufferLimit: 1 << 30,
		OutputLimits:            [3]OutputLimit{{1 << 30, 256 * mb, 60}, {256 * mb, 64 * mb, 60}, {32 * mb, 8 * mb, 60}},
		MaxMemoryClientsPercent: 25, ProtoMaxBulkLen: 512 * mb, ProtoMaxArgs: 1 << 20, ProtoInlineMax: 64 << 10, ProtoHeaderMax: 32,
		UnauthenticatedMaxArgs: 10, UnauthenticatedMaxBulkLen: 16 << 10, UnauthenticatedQueryBufferMax: mb, UnauthenticatedOutputBufferMax: 64 << 10,
		MaxMemory: 4 << 30, MaxMemoryPolicy: "noeviction", MaxMemorySamples: 5, LFULogFactor: 10, LFUDecayTime: 1, Databases: 16, Hz: 10,
		ListMaxListpackSize: -2, StreamNodeMaxBytes: 4096, StreamNodeMaxEntries: 100, StreamEventTypeField: "type", Dir: ".", ShutdownTimeout: 10,
		SlowlogLogSlowerThan: 10000, SlowlogMaxLen: 128, LatencyTracking: true, LatencyTrackingInfoPercentiles: []float64{50, 99, 99.9},
		LogLevel: "notice", LogFormat: "auto", EnableDebugCommand: "no", EnableProtectedConfigs: "no",
		HTTPPort: 15500, HTTPBind: []string{"127.0.0.1"}, HTTPMaxConnections: 100, HTTPTimeout: 10,
		RateLimit:     RateLimit{RequestsPerSecond: 1000, BurstSize: 100, Action: "reject", IPv6Prefix: 64, AuthFailuresPerMinute: 10, ErrorPrefix: "TRYAGAIN"},
		Metrics:       Metrics{RedisNames: true, MaxLabelValues: 200, ListQueues: "*", SystemInterval: 60e9},
		MemoryAllowed: 5 << 30,
	}
}
