package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"synap/config"
)

// healthTimeout is how long --health-check waits for an answer.
const healthTimeout = 3 * time.Second

// healthCheck asks the side port of a server with this configuration whether it
// is alive, for container runtimes.
func healthCheck(cfg *config.Config) error {
	if cfg.HTTPPort == 0 || len(cfg.HTTPBind) == 0 {
		return fmt.Errorf("http-port is 0, so there is nobody to ask")
	}
	host := strings.TrimPrefix(cfg.HTTPBind[0], "-")
	switch host {
	case "0.0.0.0", "*":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	c := http.Client{Timeout: healthTimeout}
	res, err := c.Get("http://" + net.JoinHostPort(host, strconv.Itoa(cfg.HTTPPort)) + "/healthz")
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz answered %s", res.Status)
	}
	return nil
}

// notify tells systemd about the server's state (sd_notify(3), Type=notify).
// Without systemd it does nothing.
func notify(log *slog.Logger, state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if path[0] == '@' { // the abstract name space
		path = "\x00" + path[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = conn.Write([]byte(state))
		conn.Close()
	}
	if err != nil {
		log.Warn("systemd was not told", "state", state, "error", err)
	}
}
