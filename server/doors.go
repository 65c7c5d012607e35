package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"synap/command"
	"synap/config"
	"synap/limiter"
	"synap/resp"
)

// openDoors binds every configured address: TCP through the door that
// network-door names, TLS and unix sockets through redcon.
func (s *Server) openDoors() error {
	cfg := s.Config()
	loop := cfg.NetworkDoor == "loop" || cfg.NetworkDoor == "auto" && runtime.GOOS == "linux"
	if cfg.Port > 0 || s.opts.AnyPort {
		if err := s.bindTCP("tcp", cfg.Port, loop, nil); err != nil {
			return err
		}
	}
	if cfg.TLSPort > 0 {
		tc, err := tlsConfig(cfg)
		if err != nil {
			return err
		}
		if err := s.bindTCP("tls", cfg.TLSPort, false, tc); err != nil {
			return err
		}
	}
	if cfg.UnixSocket != "" {
		d, err := resp.NewRedconDoor(s.spec("unix", cfg.UnixSocket, nil), s, len(s.loops), s.doorOptions)
		if err != nil {
			return fmt.Errorf("unixsocket %s: %w", cfg.UnixSocket, err)
		}
		s.doors = append(s.doors, namedDoor{"unix", cfg.UnixSocket, d})
	}
	if len(s.doors) == 0 {
		return errors.New("no address to listen on: port, tls-port and unixsocket are all off")
	}
	return nil
}

// bindTCP binds port on each bind address. An address marked "-" may be
// missing on this machine.
func (s *Server) bindTCP(kind string, port int, loop bool, tc *tls.Config) error {
	bound := 0
	for _, host := range s.Config().Bind {
		optional := strings.HasPrefix(host, "-")
		addr := net.JoinHostPort(bindHost(strings.TrimPrefix(host, "-")), strconv.Itoa(port))
		var d resp.Door
		var err error
		if loop {
			d, err = resp.NewLoopDoor(s.spec("tcp", addr, nil), s, len(s.loops), s.doorOptions)
		} else {
			d, err = resp.NewRedconDoor(s.spec("tcp", addr, tc), s, len(s.loops), s.doorOptions)
		}
		if err != nil {
			if optional {
				s.log.Debug("optional address not bound", "address", addr, "error", err)
				continue
			}
			return fmt.Errorf("bind %s: %w", addr, err)
		}
		s.doors = append(s.doors, namedDoor{kind, addr, d})
		bound++
	}
	if bound == 0 {
		return fmt.Errorf("none of the bind addresses could be bound on port %d", port)
	}
	return nil
}

// bindHost turns Redis' "*" and "::*" into what net understands.
func bindHost(host string) string {
	switch host {
	case "*":
		return "0.0.0.0"
	case "::*":
		return "::"
	}
	return host
}

func (s *Server) spec(network, addr string, tc *tls.Config) resp.ListenerSpec {
	cfg := s.Config()
	return resp.ListenerSpec{
		Network: network, Address: addr, Backlog: cfg.TCPBacklog, TLS: tc,
		UnixPerm: os.FileMode(cfg.UnixSocketPerm), Gate: s.gate,
	}
}

func tlsConfig(cfg *config.Config) (*tls.Config, error) {
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
	if err := s.limiter.Update(lim); err != nil {
		return err
	}
	s.limits.Store(newSessionLimits(c))
	s.broker.setLimits(c.OutputLimits)
	s.conf.Store(commandConf(c))
	s.doorOptions.Store(newDoorOptions(c))
	s.slow.configure(c)
	s.latency.configure(c)
	s.cfg.Store(c)
	return nil
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
		StreamNodeMaxBytes:    c.StreamNodeMaxBytes,
		StreamNodeMaxEntries:  c.StreamNodeMaxEntries,
		LFULogFactor:          int64(c.LFULogFactor),
		LFUDecayTime:          int64(c.LFUDecayTime),
		MaxMemoryLFU:          strings.HasSuffix(c.MaxMemoryPolicy, "-lfu"),
		StreamEventTypeField:  c.StreamEventTypeField,
		LazyfreeLazyUserDel:   c.LazyfreeLazyUserDel,
		LazyfreeLazyUserFlush: c.LazyfreeLazyUserFlush,
	}
}
