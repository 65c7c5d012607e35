package resp

import (
	"strconv"
	"strings"
)

// Error is an error reply without its leading '-': a prefix word, a space and a
// text, in the words of Redis 7.2.
type Error string

func (e Error) Error() string { return string(e) }

// Prefix returns the first word: "ERR", "WRONGTYPE", "NOAUTH" …
func (e Error) Prefix() string { return errorPrefix(string(e)) }

func errorPrefix(text string) string {
	if i := strings.IndexByte(text, ' '); i >= 0 {
		return text[:i]
	}
	return text
}

// Every error text of the server stands in this file, once.
const (
	// Arguments.
	ErrSyntax          Error = "ERR syntax error"
	ErrNotInteger      Error = "ERR value is not an integer or out of range"
	ErrNotFloat        Error = "ERR value is not a valid float"
	ErrNotPositive     Error = "ERR value is out of range, must be positive"
	ErrOffsetRange     Error = "ERR offset is out of range"
	ErrIndexRange      Error = "ERR index out of range"
	ErrNumKeys         Error = "ERR numkeys should be greater than 0"
	ErrNumKeysArgs     Error = "ERR Number of keys can't be greater than number of args"
	ErrSetFull         Error = "ERR set is too large, must be at most 16 GiB"
	ErrCountPositive   Error = "ERR count should be greater than 0"
	ErrCountNegative   Error = "ERR COUNT can't be negative"
	ErrMaxLenNegative  Error = "ERR MAXLEN can't be negative"
	ErrRank            Error = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"
	ErrRankRange       Error = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
	ErrInt32Range      Error = "ERR value is out of range, value must between -2147483648 and 2147483647"
	ErrInvalidCursor   Error = "ERR invalid cursor"
	ErrTimeout         Error = "ERR timeout is not a float or out of range"
	ErrTimeoutInteger  Error = "ERR timeout is not an integer or out of range"
	ErrTimeoutNegative Error = "ERR timeout is negative"
	ErrTimeoutRange    Error = "ERR timeout is out of range"

	// Keys and values.
	ErrWrongType       Error = "WRONGTYPE Operation against a key holding the wrong kind of value"
	ErrNoSuchKey       Error = "ERR no such key"
	ErrOverflow        Error = "ERR increment or decrement would overflow"
	ErrDecrOverflow    Error = "ERR decrement would overflow"
	ErrNaNOrInf        Error = "ERR increment would produce NaN or Infinity"
	ErrStringTooLong   Error = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	ErrSameObject      Error = "ERR source and destination objects are the same"
	ErrBusyKey         Error = "BUSYKEY Target key name already exists."
	ErrPayload         Error = "ERR DUMP payload version or checksum are wrong"
	ErrBadData         Error = "ERR Bad data format"
	ErrRestoreTTL      Error = "ERR Invalid TTL value, must be >= 0"
	ErrIdleTime        Error = "ERR Invalid IDLETIME value, must be >= 0"
	ErrFreq            Error = "ERR Invalid FREQ value, must be >= 0 and <= 255"
	ErrSortScores      Error = "ERR One or more scores can't be converted into double"
	ErrDBIndex         Error = "ERR DB index is out of range"
	ErrInvalidFirstDB  Error = "ERR invalid first DB index"
	ErrInvalidSecondDB Error = "ERR invalid second DB index"
	ErrNXWithXXGTLT    Error = "ERR NX and XX, GT or LT options at the same time are not compatible"
	ErrGTWithLT        Error = "ERR GT and LT options at the same time are not compatible"
	ErrNoLFU           Error = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
	ErrLFU             Error = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
	ErrLCSLenIdx       Error = "ERR If you want both the length and indexes, please just use IDX."
	ErrLCSMemory       Error = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
	ErrThrottleRate    Error = "ERR rate is out of range, must be at most 1000000 a second"
	ErrLCSNotString    Error = "ERR The specified keys must contain string values"

	// Hashes.
	ErrCollectionFull    Error = "ERR the collection cannot take more elements"
	ErrHashNotInteger    Error = "ERR hash value is not an integer"
	ErrHashNotFloat      Error = "ERR hash value is not a float"
	ErrNotFinite         Error = "ERR value is NaN or Infinity"
	ErrFieldsMissing     Error = "ERR Mandatory argument FIELDS is missing or not at the right position"
	ErrFieldsPositive    Error = "ERR Number of fields must be a positive integer"
	ErrFieldsMismatch    Error = "ERR The `numfields` parameter must match the number of arguments"
	ErrNumFieldsPositive Error = "ERR Parameter `numFields` should be greater than 0"
	ErrFieldCount        Error = "ERR invalid number of fields"
	ErrExpireNegative    Error = "ERR invalid expire time, must be >= 0"
	ErrExpireMissing     Error = "ERR missing expire time"
	ErrHsetexExpiry      Error = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
	ErrHsetexCondition   Error = "ERR Only one of FXX or FNX arguments can be specified"

	// Bitmaps.
	ErrBitOffset        Error = "ERR bit offset is not an integer or out of range"
	ErrBit              Error = "ERR bit is not an integer or out of range"
	ErrBitArgument      Error = "ERR The bit argument must be 1 or 0."
	ErrBitopNot         Error = "ERR BITOP NOT must be called with a single source key."
	ErrBitfieldType     Error = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
	ErrBitfieldOverflow Error = "ERR Invalid OVERFLOW type specified"
	ErrBitfieldReadOnly Error = "ERR BITFIELD_RO only supports the GET subcommand"

	// Geospatial indexes.
	ErrGeoUnit           Error = "ERR unsupported unit provided. please use M, KM, FT, MI"
	ErrGeoRadius         Error = "ERR need numeric radius"
	ErrGeoRadiusNegative Error = "ERR radius cannot be negative"
	ErrGeoWidth          Error = "ERR need numeric width"
	ErrGeoHeight         Error = "ERR need numeric height"
	ErrGeoBoxNegative    Error = "ERR height or width cannot be negative"
	ErrGeoMember         Error = "ERR could not decode requested zset member"
	ErrGeoCount          Error = "ERR COUNT must be > 0"
	ErrGeoAny            Error = "ERR the ANY argument requires COUNT argument"

	// HyperLogLogs.
	ErrNotHLL       Error = "WRONGTYPE Key is not a valid HyperLogLog string value."
	ErrHLLCorrupt   Error = "INVALIDOBJ Corrupted HLL object detected"
	ErrHLLNoKey     Error = "ERR The specified key does not exist"
	ErrHLLNotSparse Error = "ERR HLL encoding is not sparse"

	// Reliable queues.
	ErrPriority     Error = "ERR PRIORITY is out of range, must be 0 to 9"
	ErrMessageID    Error = "ERR a message ID must have 1 to 65535 bytes"
	ErrConsumerName Error = "ERR the name of a consumer must have 1 to 1024 bytes"
	ErrQueueRoom    Error = "ERR the queue holds as many bytes as it can"
	ErrConsumers    Error = "ERR the queue has as many consumers as queue-max-consumers allows"
	ErrQueueExists  Error = "ERR the queue exists with other settings, say UPDATE to change them"
	ErrQueueData    Error = "ERR bad queue data"

	// Streams.
	ErrStreamID             Error = "ERR Invalid stream ID specified as stream command argument"
	ErrStreamIDSmaller      Error = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
	ErrStreamIDZero         Error = "ERR The ID specified in XADD must be greater than 0-0"
	ErrStreamExhausted      Error = "ERR The stream has exhausted the last possible ID, unable to add more items"
	ErrStreamElementLarge   Error = "ERR Elements are too large to be stored"
	ErrStreamLimitApprox    Error = "ERR syntax error, LIMIT cannot be used without the special ~ option"
	ErrStreamLimitNegative  Error = "ERR The LIMIT argument must be >= 0."
	ErrStreamMaxLenNegative Error = "ERR The MAXLEN argument must be >= 0."
	ErrStreamTrimTwice      Error = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
	ErrStreamTrimNone       Error = "ERR syntax error, XTRIM must be called with a trimming strategy"
	ErrStreamLimitNoTrim    Error = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
	ErrInvalidStart         Error = "ERR invalid start ID for the interval"
	ErrInvalidEnd           Error = "ERR invalid end ID for the interval"
	ErrSetIDSmaller         Error = "ERR The ID specified in XSETID is smaller than the target stream top item"
	ErrSetIDMaxDeleted      Error = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
	ErrSetIDMaxDeletedCur   Error = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
	ErrSetIDLength          Error = "ERR The entries_added specified in XSETID is smaller than the target stream length"
	ErrEntriesAddedPositive Error = "ERR entries_added must be positive"
	ErrXReadGroupOnly       Error = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
	ErrXReadNoAckOnly       Error = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
	ErrXReadGreater         Error = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
	ErrXReadClaimOnly       Error = "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead."
	ErrXReadGroupMissing    Error = "ERR Missing GROUP option for XREADGROUP"
	ErrXReadGroupDollar     Error = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set."
	ErrXReadGroupUnbalanced Error = "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
	ErrMinIdleInteger       Error = "ERR min-idle-time is not an integer"
	ErrMinIdlePositive      Error = "ERR min-idle-time must be a positive integer"
	ErrBusyGroup            Error = "BUSYGROUP Consumer Group name already exists"
	ErrXGroupNoKey          Error = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically."
	ErrEntriesRead          Error = "ERR value for ENTRIESREAD must be positive or -1"
	ErrXClaimMinIdle        Error = "ERR Invalid min-idle-time argument for XCLAIM"
	ErrXClaimIdle           Error = "ERR Invalid IDLE option argument for XCLAIM"
	ErrXClaimTime           Error = "ERR Invalid TIME option argument for XCLAIM"
	ErrXClaimRetryCount     Error = "ERR Invalid RETRYCOUNT option argument for XCLAIM"
	ErrXAutoClaimMinIdle    Error = "ERR Invalid min-idle-time argument for XAUTOCLAIM"
	ErrXAutoClaimCount      Error = "ERR COUNT must be > 0"
	ErrXAutoClaimMemory     Error = "ERR Insufficient memory, failed allocating transient memory, COUNT too high."
	ErrIDsNumber            Error = "ERR Number of IDs must be a positive integer"
	ErrIDsMismatch          Error = "ERR The `numids` parameter must match the number of arguments"
	ErrIDsMissing           Error = "ERR IDS option is required"
	ErrXReadUnbalanced      Error = "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified."

	// Sorted sets.
	ErrZAddXXNX       Error = "ERR XX and NX options at the same time are not compatible"
	ErrZAddGTLTNX     Error = "ERR GT, LT, and/or NX options at the same time are not compatible"
	ErrZAddIncr       Error = "ERR INCR option supports a single increment-element pair"
	ErrScoreNaN       Error = "ERR resulting score is not a number (NaN)"
	ErrScoreRange     Error = "ERR min or max is not a float"
	ErrLexRange       Error = "ERR min or max not valid string range item"
	ErrZRangeLimit    Error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	ErrZRangeLexScore Error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
	ErrZSetFull       Error = "ERR sorted set is too large, must be at most 16 GiB"
	ErrWeight         Error = "ERR weight value is not a float"
	ErrLimitNegative  Error = "ERR LIMIT can't be negative"
	ErrRange          Error = "ERR value is out of range"

	// Authentication, permissions and state.
	ErrNoAuth           Error = "NOAUTH Authentication required."
	ErrNoAuthHello      Error = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
	ErrWrongPass        Error = "WRONGPASS invalid username-password pair or user is disabled."
	ErrNoPassword       Error = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
	ErrNoProto          Error = "NOPROTO unsupported protocol version"
	ErrProtoNotInteger  Error = "ERR Protocol version is not an integer or out of range"
	ErrOOM              Error = "OOM command not allowed when used memory > 'maxmemory'."
	ErrInternal         Error = "ERR internal error"
	ErrMaxClients       Error = "ERR max number of clients reached"
	ErrLoading          Error = "LOADING Redis is loading the dataset in memory"
	ErrSaving           Error = "ERR Background save already in progress"
	ErrRewriting        Error = "ERR Background append only file rewriting already in progress"
	ErrRewritingNow     Error = "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible."
	ErrUnsaved          Error = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
	ErrLogOff           Error = "ERR BGREWRITEAOF needs appendonly yes"
	ErrLoadLogOff       Error = "ERR DEBUG LOADAOF needs appendonly yes"
	ErrShutdown         Error = "ERR Errors trying to SHUTDOWN. Check logs."
	ErrShutdownNone     Error = "ERR No shutdown in progress."
	ErrClusterDisabled  Error = "ERR This instance has cluster support disabled"
	ErrDebugDisallowed  Error = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server."
	ErrModuleDisallowed Error = "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server."

	// MIGRATE.
	ErrMigrateKeys       Error = "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
	ErrMigrateConnecting Error = "IOERR error or timeout connecting to the client"
	ErrMigrateWriting    Error = "IOERR error or timeout writing to target instance"
	ErrMigrateReading    Error = "IOERR error or timeout reading from target instance"
	ErrMigrateChanged    Error = "ERR a key was changed while it was sent: it stays here too, MIGRATE it again with REPLACE"
	ErrMigrateBusy       Error = "ERR as many MIGRATE commands run as client-migrate-max-clients allows"

	// Transactions.
	ErrNestedMulti      Error = "ERR MULTI calls can not be nested"
	ErrExecNoMulti      Error = "ERR EXEC without MULTI"
	ErrDiscardNoMulti   Error = "ERR DISCARD without MULTI"
	ErrWatchInMulti     Error = "ERR WATCH inside MULTI is not allowed"
	ErrExecAbort        Error = "EXECABORT Transaction discarded because of previous errors."
	ErrNotInTransaction Error = "ERR Command not allowed inside a transaction"

	// Connection, CLIENT, HELLO, COMMAND, CONFIG.
	ErrClientName          Error = "ERR Client names cannot contain spaces, newlines or special characters."
	ErrNoSuchClient        Error = "ERR No such client"
	ErrNoSuchClientID      Error = "ERR Invalid client ID"
	ErrClientIDInvalid     Error = "ERR client-id should be greater than 0"
	ErrMaxAge              Error = "ERR maxage is not an integer or out of range"
	ErrMaxAgePositive      Error = "ERR maxage should be greater than 0"
	ErrUnblockReason       Error = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
	ErrTwoRedirects        Error = "ERR A client can only redirect to a single other client"
	ErrRedirectMissing     Error = "ERR The client ID you want redirect to does not exist"
	ErrPrefixWithoutBcast  Error = "ERR PREFIX option requires BCAST mode to be enabled"
	ErrTrackingSwitchBcast Error = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."
	ErrOptWithBcast        Error = "ERR OPTIN and OPTOUT are not compatible with BCAST"
	ErrOptInAndOut         Error = "ERR You can't specify both OPTIN mode and OPTOUT mode"
	ErrTrackingSwitchOpt   Error = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."
	ErrCachingWithoutOpt   Error = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
	ErrCachingYes          Error = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
	ErrCachingNo           Error = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
	ErrUnblocked           Error = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
	ErrPauseMode           Error = "ERR CLIENT PAUSE mode must be WRITE or ALL"
	ErrInvalidCommandName  Error = "ERR Invalid command specified"
	ErrInvalidArgCount     Error = "ERR Invalid number of arguments specified for command"
	ErrInvalidArguments    Error = "ERR Invalid arguments specified for command"
	ErrNoKeyArguments      Error = "ERR The command has no key arguments"
	ErrMonitorDenied       Error = "ERR MONITOR isn't allowed for DENY BLOCKING client"
	ErrMonitorKeys         Error = "ERR Replica can't interact with the keyspace"
	ErrSSubscribeDenied    Error = "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"
	ErrMasterPort          Error = "ERR Invalid master port"
	ErrNoReplication       Error = "ERR this server cannot be a replica yet"
	ErrNoFollowers         Error = "ERR this server cannot have replicas yet"
	ErrDumpFailed          Error = "ERR BGSAVE failed, replication can't continue"
	ErrWaitAOFOff          Error = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
	ErrZeroOrOne           Error = "ERR value is out of range, value must between 0 and 1"
	ErrSlowlogCount        Error = "ERR count should be greater than or equal to -1"
	ErrRateLimitCount      Error = "ERR count must be between 1 and 65536"
	ErrRateLimitAddress    Error = "ERR Invalid IP address"
	ErrTraceparent         Error = "ERR traceparent must be empty or of the form 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case and not all zero"
)

// Denied is sent to a peer that protected mode refuses.
const Denied Error = "DENIED Running in protected mode because protected mode is enabled and no password is set for the default user. " +
	"In this mode connections are only accepted from the loopback interface. " +
	"If you want to connect from external computers, you may adopt one of the following solutions: " +
	"1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting from the same host the server is running, " +
	"however MAKE SURE it's not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. " +
	"2) Alternatively you can just disable the protected mode by editing the configuration file, and setting the protected mode option to 'no', and then restarting the server. " +
	"3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. " +
	"4) Set up an authentication password for the default user. " +
	"NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside."

// ExecAborted refuses an EXEC for the reason e.
func ExecAborted(e Error) Error {
	return "EXECABORT Transaction discarded because of: " + Error(strings.TrimPrefix(string(e), "ERR "))
}

// TargetReplied is the answer to a MIGRATE whose target answered text instead of OK.
func TargetReplied(text string) Error {
	return Error(oneLine("ERR Target instance replied with error: " + text))
}

// NoQueue is the answer where a queue must exist.
func NoQueue(key []byte) Error {
	return Error(oneLine("NOQUEUE no such queue '" + string(key) + "'"))
}

// QueueFull is the answer to a message for which a queue has no room.
func QueueFull(key []byte, most int64) Error {
	return Error(oneLine("QUEUEFULL queue '" + string(key) + "' is at its maximum depth of " + strconv.FormatInt(most, 10)))
}

// WrongArity is the answer to a wrong number of arguments; a subcommand's name
// is "client|kill".
func WrongArity(name string) Error {
	return Error("ERR wrong number of arguments for '" + name + "' command")
}

// maxQuoted is how many bytes of a name, and of all quoted arguments together,
// an error repeats.
const maxQuoted = 128

// UnknownCommand repeats the name and the beginning of the arguments, each cut
// at 128 bytes and at a NUL as Redis' printf does.
func UnknownCommand(args [][]byte) Error {
	b := make([]byte, 0, 256)
	b = append(b, "ERR unknown command '"...)
	b = appendQuoted(b, args[0], maxQuoted)
	b = append(b, "', with args beginning with: "...)
	start := len(b)
	for _, arg := range args[1:] {
		left := maxQuoted - (len(b) - start)
		if left <= 0 {
			break
		}
		b = append(b, '\'')
		b = appendQuoted(b, arg, left)
		b = append(b, '\'', ' ')
	}
	return Error(oneLine(string(b)))
}

// UnknownSubcommand is the answer of a container command such as CONFIG.
func UnknownSubcommand(container string, sub []byte) Error {
	b := append(make([]byte, 0, 192), "ERR unknown subcommand '"...)
	b = appendQuoted(b, sub, maxQuoted)
	b = append(b, "'. Try "...)
	b = append(b, strings.ToUpper(container)...)
	b = append(b, " HELP."...)
	return Error(oneLine(string(b)))
}

// SubcommandSyntax is the answer of a container to a wrong number of arguments
// that only the subcommand itself can see.
func SubcommandSyntax(container string, sub []byte) Error {
	b := append(make([]byte, 0, 192), "ERR unknown subcommand or wrong number of arguments for '"...)
	b = appendQuoted(b, sub, maxQuoted)
	b = append(b, "'. Try "...)
	b = append(b, strings.ToUpper(container)...)
	b = append(b, " HELP."...)
	return Error(oneLine(string(b)))
}

// NoInputKeys is the answer of ZUNION and its relatives to a number of keys
// below 1.
func NoInputKeys(name string) Error {
	return Error("ERR at least 1 input key is needed for '" + name + "' command")
}

// InvalidExpire is the answer to an expiry that is not positive or overflows.
func InvalidExpire(name string) Error {
	return Error("ERR invalid expire time in '" + name + "' command")
}

// BitopSources is the answer to too few sources of a BITOP operation.
func BitopSources(operation string) Error {
	return Error("ERR BITOP " + operation + " must be called with at least two source keys.")
}

// UnknownPfdebug is the answer to a subcommand that PFDEBUG does not know.
func UnknownPfdebug(sub []byte) Error {
	return Error(oneLine("ERR Unknown PFDEBUG subcommand '" + string(sub) + "'"))
}

// HLLSelftest is the answer of PFSELFTEST when it fails after n elements.
func HLLSelftest(n int) Error {
	return Error("ERR TESTFAILED wrong registers or estimate after " + strconv.Itoa(n) + " elements")
}

// GeoPosition is the answer to a position off the map.
func GeoPosition(lon, lat float64) Error {
	b := strconv.AppendFloat([]byte("ERR invalid longitude,latitude pair "), lon, 'f', 6, 64)
	b = strconv.AppendFloat(append(b, ','), lat, 'f', 6, 64)
	return Error(strings.ReplaceAll(strings.ReplaceAll(string(b), "+Inf", "inf"), "-Inf", "-inf"))
}

// GeoStoreWith is the answer to a search that is to be stored and shown; search
// tells GEOSEARCHSTORE from the older commands.
func GeoStoreWith(search bool) Error {
	if search {
		return "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
	}
	return "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
}

// GeoFrom is the answer of GEOSEARCH, by the name used, to a missing centre.
func GeoFrom(name string) Error {
	return Error(oneLine("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + name))
}

// GeoBy is the answer of GEOSEARCH, by the name used, to a missing shape.
func GeoBy(name string) Error {
	return Error(oneLine("ERR exactly one of BYRADIUS and BYBOX can be specified for " + name))
}

// UnsupportedOption is the answer of EXPIRE and its relatives to an unknown option.
func UnsupportedOption(option []byte) Error {
	return Error(oneLine("ERR Unsupported option " + string(appendQuoted(nil, option, len(option)))))
}

// UnknownArgument is the answer of HSETEX to an option that it does not know.
func UnknownArgument(word []byte) Error {
	return Error(oneLine("ERR unknown argument: " + string(word)))
}

// HelloOption is the answer to an option that HELLO does not know or that lacks
// its arguments.
func HelloOption(opt []byte) Error {
	return Error(oneLine("ERR Syntax error in HELLO option '" + string(opt) + "'"))
}

// NoLatencySamples is the answer of LATENCY GRAPH for an event never seen.
func NoLatencySamples(event []byte) Error {
	return Error(oneLine("ERR No samples available for event '" + string(event) + "'"))
}

// UnknownClientType is the answer to a TYPE of CLIENT LIST and KILL.
func UnknownClientType(word []byte) Error {
	return Error(oneLine("ERR Unknown client type '" + string(word) + "'"))
}

// NoSuchUser is the answer to a USER of CLIENT KILL.
func NoSuchUser(name []byte) Error {
	return Error(oneLine("ERR No such user '" + string(name) + "'"))
}

// UnknownClientInfo is the answer to an attribute that CLIENT SETINFO does not
// know.
func UnknownClientInfo(word []byte) Error {
	return Error(oneLine("ERR Unrecognized option '" + string(word) + "'"))
}

// InvalidClientInfo is the answer to a bad value of CLIENT SETINFO; word is the
// attribute as the client wrote it.
func InvalidClientInfo(word []byte) Error {
	return Error(oneLine("ERR " + string(word) + " cannot contain spaces, newlines or special characters."))
}

// SubscribeContext is the answer to a command that RESP2 subscribers may not use.
func SubscribeContext(name string) Error {
	return Error("ERR Can't execute '" + name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
}

// NoGroup is the answer to a key or a group that is not there.
func NoGroup(key, group []byte) Error {
	b := append(quotedName("NOGROUP No such key '", key), "' or consumer group '"...)
	return Error(oneLine(string(append(appendQuoted(b, group, len(group)), '\''))))
}

// NoGroupToRead is NoGroup of XREADGROUP.
func NoGroupToRead(key, group []byte) Error {
	return NoGroup(key, group) + " in XREADGROUP with GROUP option"
}

// NoGroupOfKey is the answer to a group that a stream does not have.
func NoGroupOfKey(key, group []byte) Error {
	b := append(quotedName("NOGROUP No such consumer group '", group), "' for key name '"...)
	return Error(oneLine(string(append(appendQuoted(b, key, len(key)), '\''))))
}

// UnrecognizedClaim is the answer to an option that XCLAIM does not know.
func UnrecognizedClaim(option []byte) Error {
	return Error(oneLine(string(append(quotedName("ERR Unrecognized XCLAIM option '", option), '\''))))
}

func quotedName(text string, name []byte) []byte { return appendQuoted([]byte(text), name, len(name)) }

// PrefixOverlap is the answer of CLIENT TRACKING to a prefix that another one
// makes needless, or that makes the other needless.
func PrefixOverlap(prefix, other string, existing bool) Error {
	which := "another provided"
	if existing {
		which = "an existing"
	}
	return Error(oneLine("ERR Prefix '" + prefix + "' overlaps with " + which + " prefix '" + other +
		"'. Prefixes for a single client must not overlap."))
}

// appendQuoted appends at most n bytes of s, up to its first NUL.
func appendQuoted(b, s []byte, n int) []byte {
	for i := 0; i < len(s) && i < n && s[i] != 0; i++ {
		b = append(b, s[i])
	}
	return b
}

// oneLine cuts CR and LF from the ends and replaces the others by spaces, as
// Redis does, so that no argument can end a reply early.
func oneLine(s string) string {
	s = strings.Trim(s, "\r\n")
	if strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, '\n') < 0 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c == '\r' || c == '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}

// UnknownReplconf refuses an option of REPLCONF.
func UnknownReplconf(name []byte) Error {
	return Error(oneLine("ERR Unrecognized REPLCONF option: " + string(name)))
}

// Misconf refuses a write because the log cannot be written.
func Misconf(why string) Error { return Error("MISCONF Errors writing to the AOF file: " + why) }
