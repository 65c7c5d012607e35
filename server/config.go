package server

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"synap/command"
	"synap/config"
	"synap/resp"
	"synap/store"
)

// configState serializes whoever changes the configuration. Readers take the
// immutable Config in force and need no lock.
type configState struct {
	mu sync.Mutex // held over read, change and apply
}

func configRows() []Row {
	sub := func(name, usage, summary, since, complexity string, arity int, run func(*Session, *command.Ctx), tips ...string) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Summary: summary, Group: "server", Since: since,
			Complexity: complexity, Arity: arity,
			Flags: command.Admin | command.NoScript | command.Loading | command.Stale,
			Tips:  tips,
		}, Session: run}
	}
	everywhere := []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
	resetStat := sub("resetstat", "", "Resets the statistics of INFO.",
		"2.0.0", "O(1)", 2, configResetStat, everywhere...)
	resetStat.Flags |= command.Walks
	return []Row{container(
		command.Row{
			Name: "config", Group: "server", Since: "2.0.0", Arity: -2,
			Summary:    "A container for server configuration commands.",
			Complexity: "Depends on subcommand.",
		}, "5.0.0",
		sub("get", "parameter [parameter ...]", "Returns the values of the options that match the patterns.",
			"2.0.0", "O(N) when N is the number of options", -3, configGet),
		sub("set", "parameter value [parameter value ...]", "Changes options while the server runs: all of them or none.",
			"2.0.0", "O(N) when N is the number of options", -4, configSet, everywhere...),
		resetStat,
		sub("rewrite", "", "Brings the configuration file up to the options in force.",
			"2.8.0", "O(1)", 2, configRewrite, everywhere...),
	)}
}

func configGet(x *Session, c *command.Ctx) {
	patterns := make([]string, 0, len(c.Args)-2)
	for _, p := range c.Args[2:] {
		patterns = append(patterns, string(p))
	}
	pairs := x.srv.Config().Get(func(pattern, name string) bool {
		return command.GlobFold([]byte(pattern), []byte(name))
	}, patterns...)
	c.Reply.Map(len(pairs))
	for _, p := range pairs {
		c.Reply.BulkString(p[0])
		c.Reply.BulkString(p[1])
	}
}

func configSet(x *Session, c *command.Ctx) {
	args := c.Args[2:]
	if len(args)%2 != 0 {
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	pairs := make([][2]string, 0, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		pairs = append(pairs, [2]string{string(args[i]), string(args[i+1])})
	}
	if err := x.srv.setConfig(pairs, x.mayChangeProtected()); err != nil {
		c.Reply.ErrorText("ERR " + err.Error())
		return
	}
	c.Reply.OK()
}

// mayChangeProtected applies enable-protected-configs.
func (x *Session) mayChangeProtected() bool {
	switch x.srv.Config().EnableProtectedConfigs {
	case "yes":
		return true
	case "local":
		return x.conn.Unix() || x.conn.RemoteAddr().Addr().Unmap().IsLoopback()
	}
	return false
}

// setConfig changes all the options named in pairs, or none.
func (s *Server) setConfig(pairs [][2]string, protected bool) error {
	s.configs.mu.Lock()
	defer s.configs.mu.Unlock()
	next, err := s.Config().With(pairs, protected)
	if err != nil {
		return err
	}
	return s.takeOver(next, pairs[0][0])
}

// takeOver puts a new configuration into force; blame is the option to name if
// nobody knows better. On an error the old one stays. Needs configs.mu.
func (s *Server) takeOver(next *config.Config, blame string) error {
	old := s.Config()
	if next.Dir != old.Dir {
		if err := os.Chdir(next.Dir); err != nil {
			var code syscall.Errno
			if errors.As(err, &code) {
				err = code
			}
			return &config.SetError{Name: "dir", Reason: err.Error()}
		}
	}
	if err := s.applyConfig(next); err != nil {
		if next.Dir != old.Dir {
			err = errors.Join(err, os.Chdir(old.Dir))
		}
		// A part that names the option, as the limiter does, knows better.
		if name, why, ok := strings.Cut(err.Error(), ": "); ok {
			if o, ok := config.Lookup(name); ok {
				return &config.SetError{Name: o.Name, Reason: why}
			}
		}
		return &config.SetError{Name: blame, Reason: err.Error()}
	}
	if s.opts.Level != nil {
		s.opts.Level.Set(LogLevel(next))
	}
	return nil
}

// levelVerbose is loglevel verbose, which log/slog has no name for.
const levelVerbose = slog.LevelDebug + 2

// LogLevel returns the least level that option loglevel lets through.
func LogLevel(c *config.Config) slog.Level {
	switch c.LogLevel {
	case "debug":
		return slog.LevelDebug
	case "verbose":
		return levelVerbose
	case "warning":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Reload reads the configuration file again and takes over what can change
// while the server runs; the rest is named in the log. On an error everything
// stays as it was.
func (s *Server) Reload() error {
	if s.opts.Source == nil {
		return config.ErrNoFile
	}
	s.configs.mu.Lock()
	defer s.configs.mu.Unlock()
	next, ignored, err := s.opts.Source.Reload(s.Config())
	if err != nil {
		return err
	}
	for _, w := range s.opts.Source.Warnings {
		s.log.Warn(w)
	}
	if err := s.takeOver(next, ""); err != nil {
		return err
	}
	if len(ignored) > 0 {
		s.log.Warn("these options change only at a restart", "options", ignored)
	}
	return nil
}

func configRewrite(x *Session, c *command.Ctx) {
	if err := x.srv.rewriteConfig(); err != nil {
		x.srv.log.Warn("CONFIG REWRITE failed", "error", err)
		if errors.Is(err, config.ErrNoFile) {
			c.Reply.ErrorText("ERR " + err.Error())
			return
		}
		c.Reply.ErrorText("ERR Rewriting config file: " + err.Error())
		return
	}
	c.Reply.OK()
}

func (s *Server) rewriteConfig() error {
	if s.opts.Source == nil {
		return config.ErrNoFile
	}
	s.configs.mu.Lock()
	defer s.configs.mu.Unlock()
	return s.opts.Source.Rewrite(s.Config())
}

func configResetStat(x *Session, c *command.Ctx) {
	x.srv.resetStats(c.Tx)
	c.Reply.OK()
}

// resetStats sets to zero what INFO counts.
func (s *Server) resetStats(tx *store.Tx) {
	n := &s.counters
	for _, v := range []*atomic.Int64{
		&n.connections, &n.unknown, &n.outputLimit, &n.queryLimit, &n.memoryClients, &n.errorReplies, &n.deniedAuth,
	} {
		v.Store(0)
	}
	tx.ResetStats()
	s.commands.Reset()
	s.observer.errors.reset()
}

// configFile is the file that the configuration came from; empty if none.
func (s *Server) configFile() string {
	if s.opts.Source == nil {
		return ""
	}
	return s.opts.Source.Path
}
