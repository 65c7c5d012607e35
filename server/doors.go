package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"synap/command"
	"synap/config"
	"synap/limiter"
	"synap/resp"
	"synap/store"
)

// openDoors binds every configured address: TCP through the door that
// network-door names, TLS and unix sockets through redcon.
func (s *Server) openDoors() error {
	cfg := s.Config()
	if cfg.Port > 0 || s.opts.AnyPort {
		name := cfg.NetworkDoor
		if name == "auto" && runtime.GOOS == "linux" {
			name = "loop"
		}
		if err := s.openDoor("tcp", name, s.tcpSpec(cfg.Port)); err != nil {
			return err
		}
	}
	if cfg.TLSPort > 0 {
		if _, err := s.tlsConfig(); err != nil {
			return err
		}
		spec := s.tcpSpec(cfg.TLSPort)
		spec.TLS = s.handshake
		if err := s.openDoor("tls", "redcon", spec); err != nil {
			return err
		}
	}
	if cfg.UnixSocket != "" {
		spec := resp.ListenerSpec{Network: "unix", Path: cfg.UnixSocket, Perm: os.FileMode(cfg.UnixSocketPerm), Admission: s.admission}
		if err := s.openDoor("unix", "redcon", spec); err != nil {
			return err
		}
	}
	if len(s.doors) == 0 {
		return errors.New("no address to listen on: port, tls-port and unixsocket are all off")
	}
	return nil
}

func (s *Server) openDoor(kind, name string, spec resp.ListenerSpec) error {
	var d resp.Door
	var err error
	if name == "loop" {
		d, err = resp.NewLoopDoor(spec, s, len(s.loops), s.doorOptions)
	} else {
		d, err = resp.NewRedconDoor(spec, s, len(s.loops), s.doorOptions)
	}
	if err != nil {
		return err
	}
	s.doors = append(s.doors, namedDoor{kind, d.Addr().String(), d})
	return nil
}

func (s *Server) tcpSpec(port int) resp.ListenerSpec {
	cfg := s.Config()
	return resp.ListenerSpec{
		Network: "tcp", Hosts: cfg.Bind, Port: port, Backlog: cfg.TCPBacklog,
		ProxyFrom: cfg.ProxyTrusted, Admission: s.admission,
	}
}

// handshake returns the TLS configuration of this moment. Files that have gone
// bad since the start keep the last good one.
func (s *Server) handshake() *tls.Config {
	if tc, err := s.tlsConfig(); err == nil {
		return tc
	}
	return s.tls.Load()
}

// tlsConfig reads the certificate files anew when the options name others than
// the configuration in force.
func (s *Server) tlsConfig() (*tls.Config, error) {
	cfg := s.Config()
	if tc := s.tls.Load(); tc != nil && s.tlsOf.Load() == cfg {
		return tc, nil
	}
	tc, err := readTLS(cfg)
	if err != nil {
		return nil, err
	}
	s.tls.Store(tc)
	s.tlsOf.Store(cfg)
	return tc, nil
}

func readTLS(cfg *config.Config) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(cfg.TLSCertFile, cfg.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls-cert-file, tls-key-file: %w", err)
	}
	tc := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if cfg.TLSCACertFile != "" {
		pem, err := os.ReadFile(cfg.TLSCACertFile)
		if err != nil {
			return nil, fmt.Errorf("tls-ca-cert-file: %w", err)
		}
		tc.ClientCAs = x509.NewCertPool()
		if !tc.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls-ca-cert-file: no certificate in %s", cfg.TLSCACertFile)
		}
	}
	switch cfg.TLSAuthClients {
	case "yes":
		tc.ClientAuth = tls.RequireAndVerifyClientCert
	case "optional":
		tc.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return tc, nil
}

func (s *Server) closeDoors() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, d := range s.doors {
		if err := d.door.Shutdown(ctx); err != nil {
			s.log.Debug("closing a listener", "address", d.addr, "error", err)
		}
	}
	s.doors = nil
}

// applyConfig takes over a configuration, at start and by CONFIG SET or
// SIGHUP. On an error nothing has changed.
func (s *Server) applyConfig(c *config.Config) error {
	lim, err := limiterConfig(c)
	if err != nil {
		return err
	}
	if err := lim.Validate(); err != nil {
		return err
	}
	if err := s.applyMemory(c); err != nil {
		return err
	}
	if err := s.limiter.Update(lim, resp.Monotonic()); err != nil {
		return err
	}
	s.limits.Store(newSessionLimits(c))
	s.broker.setLimits(c.OutputLimits)
	s.conf.Store(commandConf(c))
	s.tracking.maxKeys.Store(c.TrackingTableMaxKeys)
	s.events.Store(uint32(parseEvents(c.NotifyKeyspaceEvents, config.EventClasses)))
	s.admission.Set(s.admissionConfig(c))
	s.doorOptions.Set(doorConfig(c))
	s.slow.configure(c)
	s.latency.configure(c)
	s.observeConfig(c)
	s.applyPersistence(c)
	s.cfg.Store(c)
	for _, x := range s.sessions.list() {
		x.conn.Post(x.setLimits)
	}
	return nil
}

// admissionConfig says who may connect. Reserved slots are for this machine.
func (s *Server) admissionConfig(c *config.Config) resp.AdmissionConfig {
	fit := resp.FitMaxClients(c.MaxClients + c.MaxClientsReserved)
	if fit < c.MaxClients+c.MaxClientsReserved {
		s.log.Warn("the limit of open files allows fewer clients than maxclients", "maxclients", c.MaxClients, "allowed", fit)
	}
	return resp.AdmissionConfig{
		MaxClients: min(c.MaxClients, max(1, fit-c.MaxClientsReserved)), Reserved: c.MaxClientsReserved,
		Protected: c.ProtectedMode && c.RequirePass == "",
		Admit:     func(addr netip.Addr) error { return s.limiter.Admit(addr, resp.Monotonic()) },
	}
}

func doorConfig(c *config.Config) resp.DoorConfig {
	d := resp.DefaultDoorConfig()
	d.IdleTimeout = time.Duration(c.Timeout) * time.Second
	d.FirstRequest = time.Duration(c.ClientFirstByteTimeout) * time.Second
	d.WriteProgress = time.Duration(c.ClientWriteTimeout) * time.Second
	d.KeepAlive = time.Duration(c.TCPKeepAlive) * time.Second
	return d
}

func limiterConfig(c *config.Config) (limiter.Config, error) {
	action, err := limiter.ParseAction(c.RateLimit.Action)
	r := &c.RateLimit
	return limiter.Config{
		Enabled: r.Enabled, Rate: r.RequestsPerSecond, Burst: r.BurstSize, Action: action, DryRun: r.DryRun,
		Exempt: r.Exempt, IPv6Prefix: r.IPv6Prefix, ConnectionsPerSecond: r.ConnectionsPerSecond,
		MaxConnections: r.MaxConnections, AuthFailuresPerMinute: r.AuthFailuresPerMinute,
		ErrorPrefix: r.ErrorPrefix, CostBySize: r.CostBySize,
	}, err
}

// commandConf is what handlers may know of the configuration.
func commandConf(c *config.Config) *command.Conf {
	return &command.Conf{
		ProtoMaxBulkLen:       c.ProtoMaxBulkLen,
		ListMaxListpackSize:   int64(c.ListMaxListpackSize),
		HLLSparseMaxBytes:     c.HLLSparseMaxBytes,
		Queue:                 queueConf(&c.Queue),
		StreamNodeMaxBytes:    c.StreamNodeMaxBytes,
		StreamNodeMaxEntries:  c.StreamNodeMaxEntries,
		MaxMemoryLFU:          strings.HasSuffix(c.MaxMemoryPolicy, "-lfu"),
		StreamEventTypeField:  c.StreamEventTypeField,
		LazyfreeLazyUserFlush: c.LazyfreeLazyUserFlush,
	}
}

func queueConf(q *config.Queue) command.QueueConf {
	return command.QueueConf{
		Settings: store.QueueSettings{
			MaxDepth: q.MaxDepth, AckDeadline: q.AckDeadline.Milliseconds(), Retries: q.Retries,
			DeadMax: q.DLQMax, Prefetch: q.Prefetch,
		},
		Priority: q.Priority, DedupWindow: q.DedupWindow.Milliseconds(), MaxConsumers: q.MaxConsumers,
	}
}
