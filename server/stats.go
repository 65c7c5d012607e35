package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"synap/command"
	"synap/config"
	"synap/limiter"
	"synap/metrics"
	"synap/resp"
	"synap/store"
)

// observer is the part of a Server that watches the rest of it.
type observer struct {
	objectOps []bool // by command ID: the command moves queue or stream metrics
	moves     []metrics.ObjectOp
	objects   *metrics.Objects
	metrics   *metrics.Metrics
	host      *metrics.Host
	tracer    *metrics.Tracer // nil: tracing is off
	sides     []net.Listener
	system    string // of INFO's os field
	program   string
	startUsed int64
	errors    errorCounts
	rates     rates
}

// maxErrorPrefixes bounds the error counters: a script may invent prefixes.
const maxErrorPrefixes = 128

// errorCounts counts error replies by their first word.
type errorCounts struct {
	byPrefix sync.Map // string → *atomic.Uint64
	n        atomic.Int64
}

func (c *errorCounts) add(prefix string) {
	v, ok := c.byPrefix.Load(prefix)
	if !ok {
		if c.n.Load() >= maxErrorPrefixes {
			prefix = "_other"
		}
		var loaded bool
		if v, loaded = c.byPrefix.LoadOrStore(strings.Clone(prefix), new(atomic.Uint64)); !loaded {
			c.n.Add(1)
		}
	}
	v.(*atomic.Uint64).Add(1)
}

func (c *errorCounts) snapshot() map[string]uint64 {
	out := map[string]uint64{}
	c.byPrefix.Range(func(k, v any) bool {
		out[k.(string)] = v.(*atomic.Uint64).Load()
		return true
	})
	return out
}

func (c *errorCounts) reset() {
	c.byPrefix.Clear()
	c.n.Store(0)
}

// countError counts an error reply by its prefix.
func (s *Server) countError(prefix string) {
	s.counters.errorReplies.Add(1)
	s.observer.errors.add(prefix)
}

// observe builds the metrics; the command table stands.
func (s *Server) observe() {
	resp.UseTicks()
	cfg := s.Config()
	s.objects = metrics.NewObjects(cfg.Metrics.MaxLabelValues)
	all := s.table.All()
	s.objectOps, s.moves = make([]bool, len(all)), make([]metrics.ObjectOp, len(all))
	for _, c := range all {
		s.moves[c.ID] = metrics.ObjectOpOf(c.FullName)
		s.objectOps[c.ID] = s.moves[c.ID] != metrics.NoObject
	}
	s.broker.published = func(_ topicKind, channel []byte, _ int) { s.objects.RecordMessage(channel, 1) }
	s.host = metrics.NewHost(cfg.Metrics.SystemInterval, time.Now())
	s.system, s.program = systemName(), executable()
	s.metrics = metrics.New(metrics.Options{
		Stats: s.Stats, Commands: s.commands, Objects: s.objects,
		Gauges: s.objectGauges, Walk: s.walkObjects,
		Match: func(pattern, name string) bool { return command.Glob([]byte(pattern), []byte(name)) },
		Ready: s.ready, Limit: s.limitHTTP, Routes: s.queueRoutes(),
		RedisNames:     func() bool { return s.Config().Metrics.RedisNames },
		Pprof:          cfg.HTTPPprof,
		MaxConnections: cfg.HTTPMaxConnections,
		Timeout:        time.Duration(cfg.HTTPTimeout) * time.Second,
		Log:            s.log,
	})
	s.observeConfig(cfg)
}

// observeConfig takes over the options that change live.
func (s *Server) observeConfig(c *config.Config) {
	if s.objects == nil {
		return // observe calls again
	}
	m := &c.Metrics
	s.objects.SetLimit(m.MaxLabelValues)
	s.objects.SetAllowed(metrics.Queues, anyGlob(m.AllowQueues))
	s.objects.SetAllowed(metrics.Rooms, anyGlob(m.AllowRooms))
	s.objects.SetAllowed(metrics.Topics, anyGlob(m.AllowTopics))
	s.objects.SetAllowed(metrics.Events, anyGlob(m.AllowEvents))
	switch m.ListQueues {
	case "*":
		s.objects.SetListQueues(nil)
	case "":
		s.objects.SetListQueues(func([]byte) bool { return false })
	default:
		s.objects.SetListQueues(anyGlob([]string{m.ListQueues}))
	}
	s.host.SetInterval(m.SystemInterval)
	if s.tracer != nil {
		s.tracer.SetRatio(c.Tracing.SampleRatio)
	}
}

// anyGlob matches names against patterns; nil if there are none.
func anyGlob(patterns []string) func([]byte) bool {
	if len(patterns) == 0 {
		return nil
	}
	globs := make([][]byte, len(patterns))
	for i, p := range patterns {
		globs[i] = []byte(p)
	}
	return func(name []byte) bool {
		for _, g := range globs {
			if command.Glob(g, name) {
				return true
			}
		}
		return false
	}
}

// noteTopic lets a topic have its series as soon as somebody listens to it.
func (s *Server) noteTopic(kind topicKind, name []byte) {
	if kind != patternTopic {
		s.objects.RecordMessage(name, 0)
	}
}

// ready returns why the server should get no traffic, or nil.
func (s *Server) ready() error {
	if s.draining.Load() {
		return errors.New("shutting down")
	}
	if p := &s.persist; p.loading.Load() {
		return fmt.Errorf("loading the data: %.1f%%, about %d s left", p.loadedPercent(), p.loadETA(time.Now()))
	} else if p.failed.Load() {
		return errors.New("the log cannot be written: " + p.failure())
	}
	return nil
}

// limitHTTP asks the limiter before a page of the side port is made.
func (s *Server) limitHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !s.limiter.Enabled() {
			next.ServeHTTP(w, r)
			return
		}
		d := s.limiter.Check(peer.Addr(), resp.Monotonic())
		if d.Limit > 0 {
			h := w.Header()
			h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit))
			h.Set("X-RateLimit-Remaining", strconv.Itoa(d.Remaining))
			h.Set("X-RateLimit-Reset", strconv.FormatInt(int64((d.Reset+time.Second-1)/time.Second), 10))
		}
		if !d.OK {
			w.Header().Set("Retry-After", strconv.FormatInt(int64((d.RetryAfter+time.Second-1)/time.Second), 10))
			http.Error(w, "rate limit exceeded", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// openSidePort binds http-port and serves it in the background.
func (s *Server) openSidePort() error {
	cfg := s.Config()
	s.nodes.Add(1)
	go func() {
		defer s.nodes.Done()
		s.host.Run(s.stopCron)
	}()
	if cfg.HTTPPort == 0 && !s.opts.AnyPort {
		return nil
	}
	for _, host := range cfg.HTTPBind {
		optional := strings.HasPrefix(host, "-")
		address := net.JoinHostPort(strings.TrimPrefix(host, "-"), strconv.Itoa(cfg.HTTPPort))
		ln, err := net.Listen("tcp", address)
		if err != nil && optional {
			continue
		}
		if err != nil {
			return fmt.Errorf("http-port, http-bind: %w", err)
		}
		s.sides = append(s.sides, ln)
		if s.side == nil {
			s.side = ln
		}
		s.nodes.Add(1)
		go func() {
			defer s.nodes.Done()
			if err := s.metrics.Serve(ln); err != nil && !s.draining.Load() {
				s.log.Error("side port stopped", "address", address, "error", err)
			}
		}()
	}
	return nil
}

func (s *Server) closeSidePort(ctx context.Context) error { return s.metrics.Shutdown(ctx) }

// recordObjects counts a command by the queues or streams it worked on.
func (s *Server) recordObjects(w *worker, ctx *command.Ctx, cmd *command.Command, args [][]byte, took int64, failed bool) {
	i := cmd.OneKey()
	if i == 0 {
		if w.keys, _ = cmd.Keys(args, w.keys[:0]); len(w.keys) == 0 {
			return
		}
		i = w.keys[0].Index
	}
	first := args[i]
	op, counts := s.moves[cmd.ID], ctx.Counts()
	if len(counts) == 1 && counts[0].Key == nil && op == metrics.ListPublish { // by far the most frequent
		w.tally.RecordListOp(first, metrics.QueuePublish, counts[0].N, took, failed)
		return
	}
	if len(counts) == 0 {
		s.recordObject(w, ctx, op, first, args, 1, took, failed)
	}
	for _, m := range counts {
		key := m.Key
		if key == nil {
			key = first
		}
		s.recordObject(w, ctx, op, key, args, m.N, took, failed)
	}
}

func (s *Server) recordObject(w *worker, ctx *command.Ctx, op metrics.ObjectOp, key []byte, args [][]byte, n int, took int64, failed bool) {
	switch op {
	case metrics.ListPublish:
		w.tally.RecordListOp(key, metrics.QueuePublish, n, took, failed)
	case metrics.ListConsume:
		w.tally.RecordListOp(key, metrics.QueueConsume, n, took, failed)
	case metrics.ListMove:
		w.tally.RecordListOp(key, metrics.QueueConsume, n, took, failed)
		if !failed && n > 0 && len(w.keys) > 1 { // as it has, being no command of one key
			w.tally.RecordListOp(args[w.keys[1].Index], metrics.QueuePublish, n, took, false)
		}
	default:
		if q, ok := op.QueueOp(); ok {
			w.tally.RecordQueueOp(key, q, n, took, failed)
			return
		}
		s.recordRoom(w, ctx, op, key, args, n, failed)
	}
}

// recordRoom counts a stream command; an entry added counts as an event too.
func (s *Server) recordRoom(w *worker, ctx *command.Ctx, op metrics.ObjectOp, room []byte, args [][]byte, n int, failed bool) {
	stream, ok := op.StreamOp()
	if !ok {
		return
	}
	var event []byte
	if stream == metrics.StreamPublish && !failed && n > 0 {
		event = eventType(args, ctx.Conf.StreamEventTypeField)
	}
	w.tally.RecordStreamOp(room, stream, n, event, failed)
}

var message0 = []byte("message")

// eventType returns the value of the entry's field of the given name: XADD ends
// with pairs of field and value.
func eventType(args [][]byte, field string) []byte {
	for i := len(args) - 2; i >= 3; i -= 2 {
		if string(args[i]) == field {
			return args[i+1]
		}
	}
	return message0
}

// forgetObjects drops the series of lists, queues and streams that were deleted
// or overwritten by another kind. An emptied list keeps its own: queues run empty
// all the time.
func (s *Server) forgetObjects(w *worker, changes []store.Change) {
	for i := range changes {
		c := &changes[i]
		queue, room := c.Kind == store.KindList || c.Kind == store.KindQueue, c.Kind == store.KindStream
		switch c.Effect {
		case store.Flushed:
			w.tally.Flush()
			s.forgetFlushed()
			continue
		case store.Deleted, store.Expired, store.Evicted:
		case store.Overwritten: // what it was is any other kind
			queue, room = !queue, !room
		default:
			continue
		}
		if queue || room {
			w.tally.Flush() // or it would bring the name back
		}
		if queue {
			s.objects.Forget(metrics.Queues, c.Key)
		}
		if room {
			s.objects.Forget(metrics.Rooms, c.Key)
		}
	}
}

// forgetFlushed drops all series: which of them had their data in the flushed
// database is not known, and a name that goes on being used comes back.
func (s *Server) forgetFlushed() {
	for _, f := range []metrics.Family{metrics.Queues, metrics.Rooms, metrics.Events} {
		s.objects.ForgetAll(f)
	}
}

// onlooker is the time of a transaction that only looks and tells nobody of its
// changes: at that time no key has expired, so it lets none expire unheard.
const onlooker = 0

// objectGauges looks the named objects up in every database that holds keys.
func (s *Server) objectGauges(f metrics.Family, names []string) []metrics.Gauge {
	out := make([]metrics.Gauge, len(names))
	if f == metrics.Topics {
		for i, name := range names {
			out[i].Size = int64(s.broker.numSub(channelTopic, []byte(name)) + s.broker.numSub(shardTopic, []byte(name)))
		}
		return out
	}
	var tx store.Tx
	for db := range s.store.Databases() {
		if s.store.DBSize(db) == 0 && s.store.BlockedKeys() == 0 {
			continue
		}
		for i, name := range names {
			key := []byte(name)
			s.store.Begin(&tx, db, onlooker)
			tx.LockKey(key)
			s.gauge(&tx, f, key, &out[i])
			tx.Unlock()
		}
	}
	return out
}

// gauge adds what the locked key holds in the transaction's database.
func (s *Server) gauge(tx *store.Tx, f metrics.Family, key []byte, g *metrics.Gauge) {
	kind := tx.Kind(key, store.Peek)
	if f == metrics.Queues && kind == store.KindList || f == metrics.Rooms && kind == store.KindStream {
		if m, ok := tx.Meta(key); ok {
			g.Size += int64(m.Len)
			if f == metrics.Rooms {
				g.DBs = append(g.DBs, metrics.DBSize{DB: tx.DB(), Size: int64(m.Len)})
			}
		}
	}
	if f == metrics.Queues && kind == store.KindQueue {
		s.queueGauge(tx, key, g)
	}
	if f == metrics.Rooms {
		s.groupGauges(tx, key, g)
		for _, w := range tx.Waiters(key) {
			if b, ok := w.Owner.(*blocked); ok && b.kind == store.KindStream {
				g.Subscribers++
			}
		}
	}
}

// groupGauges adds the groups of a stream: max_label_values of them at most,
// those behind together under no name.
func (s *Server) groupGauges(tx *store.Tx, key []byte, g *metrics.Gauge) {
	stream, err := tx.Stream(key, store.Peek)
	if err != nil || stream == nil {
		return
	}
	limit := s.Config().Metrics.MaxLabelValues
	rest := metrics.GroupGauge{DB: tx.DB(), Name: "_other"}
	all := stream.Groups()
	for i, group := range all {
		g.Subscribers += int64(len(group.Consumers()))
		lag, ok := group.Lag()
		if !ok {
			lag = -1
		}
		if i < limit {
			g.Groups = append(g.Groups, metrics.GroupGauge{DB: tx.DB(), Name: group.Name(), Pending: int64(group.Pending()), Lag: lag})
			continue
		}
		rest.Pending += int64(group.Pending())
		rest.Lag += max(lag, 0)
	}
	if len(all) > limit {
		g.Groups = append(g.Groups, rest)
	}
}

// walkObjects visits every list, stream or topic, for /metrics/detailed.
func (s *Server) walkObjects(f metrics.Family, visit func(name string, g metrics.Gauge)) {
	if f == metrics.Topics {
		for _, kind := range []topicKind{channelTopic, shardTopic} {
			for _, t := range s.broker.topics(kind, nil) {
				visit(t.Name, metrics.Gauge{Size: int64(t.Subscribers)})
			}
		}
		return
	}
	want := store.KindList
	if f == metrics.Rooms {
		want = store.KindStream
	}
	var tx store.Tx
	for db := range s.store.Databases() {
		if s.store.DBSize(db) == 0 {
			continue
		}
		seen := map[string]bool{} // a scan may meet a key twice
		for cursor := uint64(0); ; {
			var names []string
			s.store.Begin(&tx, db, onlooker)
			cursor = tx.Scan(cursor, 100, func(key []byte, k store.Kind) {
				if (k == want || f == metrics.Queues && k == store.KindQueue) && !seen[string(key)] {
					names = append(names, string(key))
					seen[string(key)] = true
				}
			})
			for i, g := range s.objectGaugesIn(db, f, names) {
				visit(names[i], g)
			}
			if cursor == 0 {
				break
			}
		}
	}
}

func (s *Server) objectGaugesIn(db int, f metrics.Family, names []string) []metrics.Gauge {
	out := make([]metrics.Gauge, len(names))
	var tx store.Tx
	for i, name := range names {
		s.store.Begin(&tx, db, onlooker)
		tx.LockKey([]byte(name))
		s.gauge(&tx, f, []byte(name), &out[i])
		tx.Unlock()
	}
	return out
}

// Stats takes the one snapshot that INFO, /metrics and the pages of the side
// port show.
func (s *Server) Stats() metrics.Stats {
	var tx store.Tx
	s.store.Begin(&tx, 0, s.now().UnixMilli())
	return s.statsIn(&tx)
}

// statsIn is Stats for a command, which may hold every shard in an EXEC.
func (s *Server) statsIn(tx *store.Tx) metrics.Stats {
	cfg := s.Config()
	now := s.now()
	data := tx.Stats()
	st := metrics.Stats{
		Server: metrics.ServerStats{
			Version: s.opts.Version, Revision: s.opts.Revision, GoVersion: runtime.Version(), RedisVersion: RedisVersion,
			RunID: s.runID, OS: s.system, Executable: s.program, ConfigFile: s.configFile(),
			PID: os.Getpid(), TCPPort: s.tcpPort(), Hz: cfg.Hz, Databases: cfg.Databases, Loops: len(s.loops),
			Started: s.started, Now: now,
		},
		Clients:  s.clientStats(cfg),
		Commands: s.commands.Snapshot(),
		Errors:   s.observer.errors.snapshot(),
		Process:  s.host.Stats(time.Now()),
		Limiter:  s.limiterStats(),
		Slowlog:  metrics.SlowlogStats{Length: s.slow.len(), LastID: -1},
		Trace:    s.tracer.Stats(),
	}
	if newest := s.slow.newest(1); len(newest) > 0 {
		st.Slowlog.Last, st.Slowlog.LastID = newest[0].took, newest[0].id
	}
	st.Persistence = s.persistenceStats()
	s.totalStats(&st, &data)
	s.memoryStats(&st, &data, cfg)
	for db, d := range data.Databases {
		if d.Keys > 0 {
			st.Keyspace = append(st.Keyspace, metrics.DBStats{DB: db, Keys: int64(d.Keys), Expires: int64(d.Expires), AvgTTL: d.AvgTTL})
		}
	}
	for _, n := range data.ShardKeys {
		st.ShardKeys = append(st.ShardKeys, int64(n))
	}
	return st
}

func (s *Server) clientStats(cfg *config.Config) metrics.ClientStats {
	c := metrics.ClientStats{
		Connected: s.admission.Clients(), Max: int64(cfg.MaxClients), Accepted: s.counters.connections.Load(),
		Blocked: s.counters.blocked.Load(), BlockingKeys: s.store.BlockedKeys(),
		PubSub:   s.broker.subscribers.Load(),
		Channels: s.broker.numTopics(channelTopic), Patterns: s.broker.numTopics(patternTopic), Shards: s.broker.numTopics(shardTopic),
		Memory: s.memory.clients.Load(),
		Killed: map[string]int64{
			"output_buffer": s.counters.outputLimit.Load() + s.broker.dropped.Load(), "query_buffer": s.counters.queryLimit.Load(),
			"maxmemory_clients": s.counters.memoryClients.Load(), "timeout": 0,
		},
		Rejected: map[string]int64{},
	}
	for r := range resp.Reasons {
		c.Rejected[resp.Reason(r).String()] = s.admission.Rejected(resp.Reason(r))
	}
	states := map[[2]string]int64{}
	for _, d := range s.doors {
		c.Killed["timeout"] += d.door.Timeouts()
		for _, state := range []string{"active", "blocked", "subscribed"} {
			states[[2]string{d.kind, state}] = 0
		}
	}
	for _, x := range s.sessions.list() {
		x.addTo(&c, states)
	}
	for k, n := range states {
		c.Doors = append(c.Doors, metrics.DoorStats{Door: k[0], State: k[1], Connections: n})
	}
	return c
}

// doorKind is the door that the session came through, as the metrics call it.
func (x *Session) doorKind() string {
	switch {
	case x.conn.Unix():
		return "unix"
	case x.conn.TLS():
		return "tls"
	}
	return "tcp"
}

// addTo counts a session by its door and state.
func (x *Session) addTo(c *metrics.ClientStats, states map[[2]string]int64) {
	door, state := x.doorKind(), "active"
	sub := x.subscription.Load()
	switch {
	case x.blocked.Load() != nil:
		state = "blocked"
	case sub != nil && sub.total() > 0:
		state = "subscribed"
	}
	if sub != nil {
		c.Subscriptions += int64(sub.count(channelTopic) + sub.count(shardTopic))
	}
	states[[2]string{door, state}]++
	if n := x.pub.watch.Load(); n > 0 {
		c.Watching++
		c.WatchedKeys += int64(n)
	}
	c.RecentMaxInput = max(c.RecentMaxInput, x.pub.qbuf.Load())
	c.RecentMaxOutput = max(c.RecentMaxOutput, x.pub.obuf.Load())
}

func (s *Server) totalStats(st *metrics.Stats, data *store.Stats) {
	t := &st.Totals
	for i := range st.Commands {
		t.Commands += st.Commands[i].Calls
	}
	t.Panics = s.counters.panics.Load()
	for _, d := range s.doors {
		t.InputBytes += d.door.InputBytes()
		t.OutputBytes += d.door.OutputBytes()
		t.Panics += d.door.Panics()
	}
	t.OpsPerSecond, t.InputKbps, t.OutputKbps = s.rates.now()
	t.Expired, t.Evicted, t.Hits, t.Misses = data.Expired, data.Evicted, data.Hits, data.Misses
	t.ExpiredFields = data.ExpiredFields
	t.ErrorReplies, t.DeniedAuth = s.counters.errorReplies.Load(), s.counters.deniedAuth.Load()
}

func (s *Server) memoryStats(st *metrics.Stats, data *store.Stats, cfg *config.Config) {
	m := &st.Memory
	m.Used = s.usedMemory()
	m.Peak = max(s.memory.peak.Load(), m.Used)
	m.Max, m.Policy, m.Allowed = cfg.MaxMemory, cfg.MaxMemoryPolicy, cfg.MemoryAllowed
	m.RSS, m.Total = st.Process.RSS, st.Process.HostTotal
	m.Startup = s.startUsed
	values := int64(0)
	st.KindBytes = map[string]int64{}
	for kind, n := range data.Bytes {
		values += n
		if store.Kind(kind) != store.KindNone {
			st.KindBytes[store.Kind(kind).String()] = n
		}
	}
	overhead := data.Index + data.Idle
	st.KindBytes["overhead"] = overhead
	m.Dataset = values
	m.Overhead = max(m.Used-values, 0)
}

func (s *Server) limiterStats() metrics.LimiterStats {
	l := s.limiter.Stats(resp.Monotonic())
	c := s.limiter.Config()
	out := metrics.LimiterStats{
		Enabled: l.Enabled, Action: c.Action.String(), DryRun: c.DryRun,
		Buckets: l.Buckets, Slots: l.Slots, Overflow: l.Overflow, Refused: l.Refused,
		DelayBounds: limiter.DelayBounds[:], DelayCount: l.DelayCount[:], DelaySum: l.DelaySum.Seconds(),
	}
	for _, d := range l.Decisions {
		out.Decisions = append(out.Decisions, metrics.Decision{Layer: d.Layer, Action: d.Action, Count: d.Count})
	}
	return out
}

func (s *Server) tcpPort() int {
	if a, ok := s.Addr("tcp").(*net.TCPAddr); ok {
		return a.Port
	}
	return s.Config().Port
}

// rates are running means over the last samples, as Redis' instantaneous_*.
type rates struct {
	mu     sync.Mutex // guards what follows
	at     int64      // wall nanoseconds of the last sample
	before [3]float64
	ring   [16][3]float64 // commands, input and output bytes a second
	next   int
}

// samplePeriod is the least time between two samples.
const samplePeriod = int64(100 * time.Millisecond)

// sampleRates is called by the cron.
func (s *Server) sampleRates(now int64) {
	r := &s.rates
	r.mu.Lock()
	defer r.mu.Unlock()
	passed := now - r.at
	if r.at != 0 && passed >= 0 && passed < samplePeriod {
		return
	}
	total := [3]float64{float64(s.commands.Calls())}
	for _, d := range s.doors {
		total[1] += float64(d.door.InputBytes())
		total[2] += float64(d.door.OutputBytes())
	}
	if r.at != 0 && passed > 0 {
		for i := range total {
			r.ring[r.next][i] = max(total[i]-r.before[i], 0) / float64(passed) * 1e9
		}
		r.next = (r.next + 1) % len(r.ring)
	}
	r.at, r.before = now, total
}

// now returns commands a second and kilobytes in and out a second.
func (r *rates) now() (ops, inKbps, outKbps float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sample := range r.ring {
		ops += sample[0]
		inKbps += sample[1]
		outKbps += sample[2]
	}
	n := float64(len(r.ring))
	return ops / n, inKbps / n / 1024, outKbps / n / 1024
}

// systemName is the system, its release and the machine, as uname tells.
func systemName() string {
	name := strings.ToUpper(runtime.GOOS[:1]) + runtime.GOOS[1:]
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		name += " " + strings.TrimSpace(string(release))
	}
	machine := runtime.GOARCH
	if machine == "amd64" {
		machine = "x86_64"
	}
	return name + " " + machine
}

func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
