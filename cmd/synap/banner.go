package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"

	"synap/config"
	"synap/server"
)

// banner tells on one screen what runs where and what to type next.
func banner(cfg *config.Config, listeners []server.Listener) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n  Synap %s (%s) speaks Redis %s, %s, pid %d\n\n", version, revision(), server.RedisVersion, runtime.Version(), os.Getpid())
	for _, l := range listeners {
		address := l.Address
		if l.Kind == "http" {
			address = "http://" + l.Address
		}
		fmt.Fprintf(&b, "  %-9s %-32s %s\n", l.Kind, address, doors[l.Door])
	}
	fmt.Fprintf(&b, "\n  %-9s %s\n", "limits", limits(cfg))
	fmt.Fprintf(&b, "  %-9s %s\n", "data", kept(cfg))
	if cfg.RequirePass == "" {
		fmt.Fprintf(&b, "  %-9s none; set one with --requirepass\n", "password")
	}
	b.WriteString("\n  what to type next, in another terminal:\n\n")
	for _, l := range next(cfg, listeners) {
		b.WriteString("    " + l + "\n")
	}
	b.WriteString("\n")
	return b.String()
}

var doors = map[string]string{
	"loop":   "event loops",
	"redcon": "redcon",
	"http":   "/metrics /healthz /readyz /version",
}

// kept tells where data is kept and what of it a crash takes.
func kept(cfg *config.Config) string {
	var parts []string
	if cfg.AppendOnly {
		parts = append(parts, map[string]string{
			"always":   "every write is on disk before its reply",
			"everysec": "every write is logged, on disk within a second or two",
			"no":       "every write is logged, on disk when the system likes",
		}[cfg.AppendFsync])
	}
	if len(cfg.Save) > 0 {
		parts = append(parts, "snapshots by save")
	}
	if len(parts) == 0 {
		return "in memory alone: a restart begins empty"
	}
	return cfg.Dir + " (" + strings.Join(parts, "; ") + ")"
}

func limits(cfg *config.Config) string {
	memory := "no memory limit"
	if cfg.MaxMemory > 0 {
		memory = fmt.Sprintf("%s memory (%s)", size(cfg.MaxMemory), cfg.MaxMemoryPolicy)
	}
	rate := "rate limit off"
	if r := &cfg.RateLimit; r.Enabled {
		rate = fmt.Sprintf("%v commands/s and %d at once per address", r.RequestsPerSecond, r.BurstSize)
	}
	return fmt.Sprintf("%d clients, %s, %s a value, %s", cfg.MaxClients, memory, size(cfg.ProtoMaxBulkLen), rate)
}

func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}

// next lists commands that work with the addresses just bound.
func next(cfg *config.Config, listeners []server.Listener) (lines []string) {
	seen := map[string]bool{}
	auth := ""
	if cfg.RequirePass != "" {
		auth = " --askpass"
	}
	for _, l := range listeners {
		if seen[l.Kind] {
			continue
		}
		seen[l.Kind] = true
		host, port, _ := net.SplitHostPort(l.Address)
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		switch l.Kind {
		case "tcp":
			cli := "redis-cli"
			if host != "127.0.0.1" {
				cli += " -h " + host
			}
			if port != "6379" {
				cli += " -p " + port
			}
			lines = append(lines, cli+auth+" SET greeting hello", cli+auth+" GET greeting")
		case "tls":
			lines = append(lines, fmt.Sprintf("redis-cli --tls -h %s -p %s%s PING", host, port, auth))
		case "unix":
			lines = append(lines, fmt.Sprintf("redis-cli -s %s%s PING", l.Address, auth))
		case "http":
			lines = append(lines, "curl "+"http://"+net.JoinHostPort(host, port)+"/metrics")
		}
	}
	return append(lines, "synap --help")
}
