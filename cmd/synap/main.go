// Command synap is the server: flags → config.Load → server.New → Start, then
// it waits for signals.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"synap/config"
	"synap/server"
)

const version = "0.1.0"

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // wrong configuration, the server cannot start, or files are damaged
	exitUsage = 2 // the command line cannot be understood
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

func run(args, environ []string, stdout, stderr *os.File) int {
	cfg, src, err := config.Load(args, environ)
	var usage config.UsageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "synap: %v\nTry synap --help.\n", err)
		return exitUsage
	case err != nil:
		fmt.Fprintf(stderr, "synap: %v\n", err)
		return exitError
	}
	switch src.Action {
	case config.ShowHelp:
		fmt.Fprint(stdout, config.Help())
		return exitOK
	case config.ShowVersion:
		fmt.Fprintf(stdout, "synap %s (%s, %s, %s/%s)\n", version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return exitOK
	}
	if src.Action != config.Run {
		for _, w := range src.Warnings {
			fmt.Fprintf(stderr, "synap: %s\n", w)
		}
	}
	switch src.Action {
	case config.PrintConfig:
		fmt.Fprint(stdout, cfg.YAML())
		return exitOK
	case config.PrintCommands:
		srv, err := server.New(server.Options{Config: cfg})
		if err != nil {
			fmt.Fprintf(stderr, "synap: %v\n", err)
			return exitError
		}
		fmt.Fprint(stdout, srv.Table().Markdown())
		return exitOK
	case config.CheckConfig:
		fmt.Fprintln(stdout, "synap: the configuration is good")
		return exitOK
	case config.CheckAOF, config.CheckRDB:
		return check(cfg, src, stdout, stderr)
	case config.HealthCheck:
		if err := healthCheck(cfg); err != nil {
			fmt.Fprintf(stderr, "synap: not alive: %v\n", err)
			return exitError
		}
		return exitOK
	}
	if err := serve(cfg, src, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "synap: %v\n", err)
		return exitError
	}
	return exitOK
}

// check reads files on disk and tells what they are.
func check(cfg *config.Config, src *config.Source, stdout, stderr *os.File) int {
	var report *server.CheckReport
	var err error
	if src.Action == config.CheckAOF {
		report, err = server.CheckLog(cfg, src.CheckPath, src.Fix)
	} else {
		report, err = server.CheckSnapshot(cfg, src.CheckPath)
	}
	if err != nil {
		fmt.Fprintf(stderr, "synap: %v\n", err)
		return exitError
	}
	fmt.Fprint(stdout, report)
	if report.Err != nil {
		return exitError
	}
	return exitOK
}

// revision returns the commit that the binary was built from.
func revision() string {
	rev, dirty := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				rev = s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "+changes"
			}
		}
	}
	return rev + dirty
}

// enterDir makes the default dir if it will hold data, or goes to the one given.
func enterDir(cfg *config.Config) error {
	switch {
	case !cfg.DefaultDir():
		return os.Chdir(cfg.Dir)
	case cfg.AppendOnly || len(cfg.Save) > 0:
		return cfg.MakeDir()
	}
	return nil
}

// serve runs the server until a signal or SHUTDOWN ends it.
func serve(cfg *config.Config, src *config.Source, stdout, stderr *os.File) error {
	if err := enterDir(cfg); err != nil {
		return fmt.Errorf("dir: %w", err)
	}
	out, err := openLog(cfg.LogFile, stdout)
	if err != nil {
		return fmt.Errorf("logfile: %w", err)
	}
	level := new(slog.LevelVar)
	level.Set(server.LogLevel(cfg))
	log := slog.New(logHandler(cfg.LogFormat, out, level))
	for _, w := range src.Warnings {
		log.Warn(w)
	}
	// A log that nobody reads any more must not end the server.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	srv, err := server.New(server.Options{
		Config: cfg, Source: src, Log: log, Level: level, Version: version, Revision: revision(),
	})
	if err != nil {
		return err
	}
	started := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		endLoad(srv, log, signals, started)
	}()
	err = srv.Start()
	close(started)
	<-over
	if errors.Is(err, server.ErrLoadEnded) {
		return nil
	}
	if err != nil {
		return err
	}
	if cfg.LogFormat != "json" {
		fmt.Fprint(stderr, banner(cfg, srv.Listeners()))
	}
	for _, l := range srv.Listeners() {
		log.Info("listening", "kind", l.Kind, "address", l.Address, "door", l.Door)
	}
	notify(log, "READY=1")
	log.Info("ready", "version", version, "revision", revision(), "pid", os.Getpid())
	return wait(srv, out, log, signals)
}

// endLoad shuts down at a signal that comes before the data is loaded.
func endLoad(srv *server.Server, log *slog.Logger, signals <-chan os.Signal, started <-chan struct{}) {
	for {
		select {
		case <-started:
			return
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				continue
			}
			log.Info("signal received while loading, shutting down", "signal", sig.String())
			if err := shutdown(srv); err != nil {
				log.Error("shutdown was not clean", "error", err)
			}
			<-started
			return
		}
	}
}

// wait handles signals until the server has shut down. SIGHUP reloads, the
// first SIGINT or SIGTERM shuts down in order, the second ends at once.
func wait(srv *server.Server, out *logOutput, log *slog.Logger, signals <-chan os.Signal) error {
	stopping, failed := false, make(chan error, 1)
	for {
		select {
		case <-srv.Done():
			if stopping {
				return <-failed
			}
			return nil // by SHUTDOWN
		case sig := <-signals:
			switch {
			case sig == syscall.SIGHUP:
				reload(srv, out, log)
			case stopping:
				log.Warn("second signal: ending at once", "signal", sig.String())
				os.Exit(exitError)
			default:
				stopping = true
				notify(log, "STOPPING=1")
				log.Info("signal received, shutting down; a second one ends at once", "signal", sig.String())
				go func() { failed <- shutdown(srv) }()
			}
		}
	}
}

func reload(srv *server.Server, out *logOutput, log *slog.Logger) {
	if err := out.reopen(); err != nil {
		log.Error("log file not reopened", "error", err)
	}
	switch err := srv.Reload(); {
	case errors.Is(err, config.ErrNoFile):
		log.Info("SIGHUP: there is no configuration file to read again")
	case err != nil:
		log.Error("configuration not reloaded", "error", err)
	default:
		log.Info("configuration reloaded")
	}
}

func shutdown(srv *server.Server) error {
	wait := time.Duration(srv.Config().ShutdownTimeout) * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	// Clients that did not finish in time were closed; that is no failure.
	if err := srv.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// logHandler returns the handler for option log-format.
func logHandler(format string, out *logOutput, level slog.Leveler) slog.Handler {
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.LevelKey && len(groups) == 0 {
			if l, ok := a.Value.Any().(slog.Level); ok && l > slog.LevelDebug && l < slog.LevelInfo {
				a.Value = slog.StringValue("VERBOSE")
			}
		}
		return a
	}}
	if format == "text" || format == "auto" && out.terminal() {
		return slog.NewTextHandler(out, o)
	}
	return slog.NewJSONHandler(out, o)
}
