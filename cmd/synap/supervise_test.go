package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"synap/config"
)

func TestHealthCheck(t *testing.T) {
	status := http.StatusOK
	side := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	_, port, _ := net.SplitHostPort(side.Listener.Addr().String())
	cfg := *config.Default()
	cfg.HTTPPort, _ = strconv.Atoi(port)
	for _, bind := range []string{"127.0.0.1", "0.0.0.0"} {
		cfg.HTTPBind = []string{bind}
		if err := healthCheck(&cfg); err != nil {
			t.Errorf("%s: %v", bind, err)
		}
	}
	status = http.StatusServiceUnavailable
	if err := healthCheck(&cfg); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a sick server: %v", err)
	}
	side.Close()
	if err := healthCheck(&cfg); err == nil {
		t.Error("a server that is gone is alive")
	}
	cfg.HTTPPort = 0
	if err := healthCheck(&cfg); err == nil || !strings.Contains(err.Error(), "http-port") {
		t.Errorf("without a side port: %v", err)
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skip("no unix datagram sockets here:", err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	notify(log, "READY=1")
	b := make([]byte, 64)
	n, err := conn.Read(b)
	if err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("systemd got %q, %v", b[:n], err)
	}
}
