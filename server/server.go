// Package server is the world around the state machine: connections, the one
// function that runs commands, time, and everything that more than one
// connection shares.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"synap/command"
	"synap/config"
	"synap/journal"
	"synap/limiter"
	"synap/metrics"
	"synap/resp"
	"synap/store"
)

// RedisVersion is what HELLO and INFO report; clients branch on it.
const RedisVersion = "7.2.4"

// Row is a command that may need its session or the server: Session runs it in
// place of Run. Its keys are locked like any other's.
type Row struct {
	command.Row
	Session func(*Session, *command.Ctx)
	Subs    []Row
}

// Options are what main, or a test, gives a Server.
type Options struct {
	Config   *config.Config
	Source   *config.Source   // where Config came from; nil: no Reload, no CONFIG REWRITE
	Level    *slog.LevelVar   // follows loglevel; nil: the log's level stays
	Clock    func() time.Time // wall clock; nil means the system's
	Log      *slog.Logger     // nil discards
	Journal  journal.Log      // nil: no write log
	AnyPort  bool             // port 0 means a free one, not none; for tests
	Version  string
	Revision string
}

// Server is one Synap instance. All its methods are safe for concurrent use.
type Server struct {
	opts    Options
	log     *slog.Logger
	cfg     atomic.Pointer[config.Config]
	configs configState
	conf    atomic.Pointer[command.Conf]
	clock   func() time.Time
	started time.Time
	runID   string

	table    *command.Table
	handlers []func(*Session, *command.Ctx) // by command ID; nil: the row's Run

	strangers strangers // what the log must not say to a Redis

	store    *store.Store
	journal  journal.Log
	broker   *broker
	tracking *trackingTable
	limiter  *limiter.Limiter
	slow     *slowlog
	latency  *latencyMonitor
	commands *metrics.Commands
	observer

	loops    []*worker
	spare    sync.Pool // *worker for sessions of the redcon door
	rateBook rateBook  // of queues that the side port was asked for

	doors       []namedDoor
	admission   *resp.Admission
	doorOptions *resp.DoorOptions
	tls         atomic.Pointer[tls.Config]
	tlsOf       atomic.Pointer[config.Config] // what tls was read for
	side        net.Listener
	sessions    registry
	pause       pauseState
	gate        gateState
	disk        diskWait
	persist     persistence
	dumps       dumps
	evicting    sync.Mutex   // held by whoever closes clients over maxmemory-clients
	gcPercent   atomic.Int32 // in force, see tuneCollector
	counters    counters
	memory      memoryState
	limits      atomic.Pointer[sessionLimits]

	events      atomic.Uint32 // eventClass bits of notify-keyspace-events
	activeOff   atomic.Bool   // DEBUG SET-ACTIVE-EXPIRE 0
	draining    atomic.Bool
	nodes       sync.WaitGroup // background goroutines
	stopCron    chan struct{}
	stopOnce    sync.Once
	done        chan struct{}
	shutdownErr error
}

// counters are what INFO's Stats section and /metrics count.
type counters struct {
	connections   atomic.Int64 // ever accepted
	unknown       atomic.Int64
	warned        atomic.Int64 // Monotonic of the last cross-protocol warning
	panics        atomic.Int64
	outputLimit   atomic.Int64 // clients closed for their output
	queryLimit    atomic.Int64
	memoryClients atomic.Int64 // clients closed by maxmemory-clients
	blocked       atomic.Int64
	errorReplies  atomic.Int64
	dirty         atomic.Int64
	deniedAuth    atomic.Int64
	migrations    atomic.Int64 // that run
}

// New builds a server from its options; Start opens it to the world.
func New(o Options) (*Server, error) {
	if o.Config == nil {
		return nil, errors.New("server: Options.Config is nil")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s := &Server{
		opts: o, log: o.Log, clock: o.Clock, journal: o.Journal,
		started: o.Clock(), runID: randomHex(40),
		stopCron: make(chan struct{}), done: make(chan struct{}), dumps: dumps{places: make(chan struct{}, dumpFiles)},
	}
	s.buildTable()
	s.store = store.New(store.Options{Databases: o.Config.Databases, Shards: o.Config.Shards})
	s.slow = newSlowlog()
	s.latency = newLatencyMonitor()
	s.limiter = limiter.New(limiter.Config{})
	s.limiter.LogTo(o.Log)
	s.broker, s.tracking = newBroker(), newTrackingTable()
	s.admission = resp.NewAdmission(resp.AdmissionConfig{})
	s.doorOptions = resp.NewDoorOptions(resp.DefaultDoorConfig())
	s.sessions.byID = make(map[int64]*Session)
	s.newPersistence(o.Config)
	if err := s.applyConfig(o.Config); err != nil {
		return nil, err
	}
	s.commands = metrics.NewCommands(s.commandInfos(), s.loopCount())
	s.observe()
	if err := s.openTracer(o.Config); err != nil {
		return nil, err
	}
	for i := range s.loopCount() {
		s.loops = append(s.loops, s.newWorker(i))
	}
	s.spare.New = func() any { return s.newWorker(0) }
	return s, nil
}

// buildTable joins the families of package command and the server's own rows
// into the one table.
func (s *Server) buildTable() {
	var rows []command.Row
	byName := map[string]func(*Session, *command.Ctx){}
	for _, r := range serverRows() {
		rows = append(rows, r.flatten("", byName))
	}
	s.table = command.NewTable(append(command.Rows(), rows...))
	all := s.table.All()
	s.handlers = make([]func(*Session, *command.Ctx), len(all))
	for _, c := range all {
		s.handlers[c.ID] = byName[c.FullName]
	}
	s.strangers = s.newStrangers()
}

// serverRows are the rows of this package, family by family.
func serverRows() []Row {
	var all []Row
	for _, family := range [][]Row{
		connectionRows(), pubsubRows(), multiRows(), adminRows(), introspectRows(),
		configRows(), infoRows(), slowlogRows(), latencyRows(), ratelimitRows(), persistenceRows(), syncRows(),
	} {
		all = append(all, family...)
	}
	return all
}

// flatten turns a server row into the plain row of the table and notes the
// session handlers by full name ("config|get").
func (r Row) flatten(container string, handlers map[string]func(*Session, *command.Ctx)) command.Row {
	full := r.Name
	if container != "" {
		full = container + "|" + r.Name
	}
	if r.Session != nil {
		handlers[full] = r.Session
	}
	row := r.Row
	for _, sub := range r.Subs {
		row.Subs = append(row.Subs, sub.flatten(r.Name, handlers))
	}
	return row
}

// Config returns the configuration in force; it is immutable.
func (s *Server) Config() *config.Config { return s.cfg.Load() }

// Table returns the joined command table.
func (s *Server) Table() *command.Table { return s.table }

// Store returns the data, for tests that compare digests.
func (s *Server) Store() *store.Store { return s.store }

// now returns the wall clock.
func (s *Server) now() time.Time { return s.clock() }

func randomHex(n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[rand.IntN(16)]
	}
	return string(b)
}

// namedDoor is a listening address and the door that serves it.
type namedDoor struct {
	kind string // "tcp", "tls", "unix"
	addr string
	door resp.Door
}

// Start binds every address, then serves in the background. On an error
// nothing is left listening.
func (s *Server) Start() error {
	s.tuneCollector(0)
	s.startUsed = s.usedMemory()
	if err := s.openDoors(); err != nil {
		s.closeDoors()
		return err
	}
	if err := s.openSidePort(); err != nil {
		s.closeDoors()
		return err
	}
	if s.tracer != nil {
		s.tracer.Start()
	}
	s.persist.loadStarted.Store(time.Now().Unix())
	s.persist.loading.Store(true)
	for _, d := range s.doors {
		s.nodes.Add(1)
		go func() {
			defer s.nodes.Done()
			if err := d.door.Serve(); err != nil && !s.draining.Load() {
				s.log.Error("listener stopped", "address", d.addr, "error", err)
			}
		}()
	}
	s.persist.work.Add(1) // the end of the server waits for that of the load
	err := s.openData()
	s.persist.work.Done()
	if s.draining.Load() && err != nil {
		err = ErrLoadEnded
	}
	if err != nil { // still loading: nobody may take what is there for the data
		return errors.Join(err, s.Shutdown(context.Background()))
	}
	s.persist.loading.Store(false)
	s.persist.opened.Store(true)
	s.followOption() // it may have changed meanwhile
	s.nodes.Add(1)
	go func() {
		defer s.nodes.Done()
		s.cron()
	}()
	return nil
}

// Addr returns the address bound for kind: "tcp", "loop", "redcon", "tls",
// "unix" or "http"; nil if there is none.
func (s *Server) Addr(kind string) net.Addr {
	if kind == "http" && s.side != nil {
		return s.side.Addr()
	}
	for _, d := range s.doors {
		if d.kind == kind || kind == d.door.Name() && d.kind == "tcp" {
			return d.door.Addr()
		}
	}
	return nil
}

// Listener is an address that the server is bound to.
type Listener struct {
	Kind    string // "tcp", "tls", "unix", "http"
	Address string
	Door    string // "loop", "redcon", "http"
}

// Listeners lists what Start has bound.
func (s *Server) Listeners() []Listener {
	var all []Listener
	for _, d := range s.doors {
		for _, a := range d.door.Addrs() {
			all = append(all, Listener{d.kind, a.String(), d.door.Name()})
		}
	}
	if a := s.Addr("http"); a != nil {
		all = append(all, Listener{"http", a.String(), "http"})
	}
	return all
}

// Shutdown stops the server in order: not ready, no new connections, blocked
// clients woken, what is in flight finished (until ctx ends), log flushed.
// Later calls wait for the first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopOnce.Do(func() {
		s.shutdownErr = s.shutdown(ctx)
		close(s.done)
	})
	<-s.done
	return s.shutdownErr
}

func (s *Server) shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.log.Info("shutting down: not ready any more")
	for _, d := range s.doors {
		d.door.StopAccepting()
	}
	s.log.Info("shutting down: no new connections")
	n := s.wakeParked()
	s.log.Info("shutting down: blocked clients woken", "clients", n)
	var errs []error
	for _, d := range s.doors {
		if err := d.door.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", d.addr, err))
		}
	}
	s.log.Info("shutting down: clients finished")
	if s.journal != nil {
		s.journal.Flush()
	}
	close(s.stopCron)
	if err := s.closeSidePort(ctx); err != nil {
		errs = append(errs, err)
	}
	if s.tracer != nil {
		s.tracer.Shutdown(ctx)
	}
	s.nodes.Wait()
	if err := s.closeData(); err != nil {
		errs = append(errs, err)
	}
	s.log.Info("bye")
	return errors.Join(errs...)
}

// Done is closed when the server has shut down, by whatever way.
func (s *Server) Done() <-chan struct{} { return s.done }

// wakeParked ends the wait of every parked session and returns their number.
func (s *Server) wakeParked() int {
	n := 0
	for _, x := range s.sessions.list() {
		if x.pub.sentMem.Load() > 0 {
			x.conn.Post(x.breakOffMigration)
			n++
		}
		if x.blocked.Load() == nil {
			continue
		}
		if x.endBlock(nil) {
			n++
		}
	}
	s.unpauseClients()
	return n
}

// registry holds the open sessions.
type registry struct {
	mu   sync.Mutex // guards byID
	byID map[int64]*Session
}

func (r *registry) add(x *Session) {
	r.mu.Lock()
	r.byID[x.id] = x
	r.mu.Unlock()
}

func (r *registry) remove(x *Session) {
	r.mu.Lock()
	delete(r.byID, x.id)
	r.mu.Unlock()
}

func (r *registry) get(id int64) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byID)
}

// list returns the sessions, in no order.
func (r *registry) list() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Session, 0, len(r.byID))
	for _, x := range r.byID {
		all = append(all, x)
	}
	return all
}

// commandInfos lists the table for the metrics, by ID.
func (s *Server) commandInfos() []metrics.CommandInfo {
	infos := make([]metrics.CommandInfo, 0, len(s.table.All()))
	for _, c := range s.table.All() {
		infos = append(infos, metrics.CommandInfo{Name: c.FullName, Group: c.Group})
	}
	return infos
}

// crossProtocolPeriod: at most one warning a minute, or an attack fills the log.
const crossProtocolPeriod = int64(time.Minute)

func (s *Server) warnCrossProtocol(x *Session) {
	now, last := resp.Monotonic(), s.counters.warned.Load()
	if last != 0 && now-last < crossProtocolPeriod || !s.counters.warned.CompareAndSwap(last, now) {
		return
	}
	s.log.Warn("a client speaks HTTP to the Redis port: possible cross-protocol attack, closed", "client", x.conn.Remote())
}
