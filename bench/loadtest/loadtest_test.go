package main

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"synap/config"
	"synap/server"
)

// A short run of the load against a server in this process, through both doors.
func TestMetricsEqualTheLoad(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems do not have the whole of 127.0.0.0/8")
	}
	for _, door := range []string{"loop", "redcon"} {
		t.Run(door, func(t *testing.T) {
			s := startServer(t, door)
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			did, err := run(s.Addr("tcp").String(), 1500*time.Millisecond, seed)
			if err != nil {
				t.Fatal(err)
			}
			side, err := settled(s.Addr("http").String(), did)
			if err != nil {
				t.Fatal(err)
			}
			rows := compare(did, side, nil)
			var out bytes.Buffer
			if report(&out, rows, false) > 0 {
				t.Errorf("numbers differ:\n%s", &out)
			}
			for _, name := range exact {
				if moves := !strings.Contains(stayZero, name); moves != contains(rows, name) {
					t.Errorf("%s moves: %v", name, !moves)
				}
			}
		})
	}
}

// stayZero are the families that nothing in the load should move.
const stayZero = "synap_evicted_keys_total synap_pubsub_subscriptions synap_connections synap_blocked_clients " +
	"synap_queue_delayed synap_ratelimit_overflow_total synap_panics_total synap_metrics_labels_dropped_total"

func contains(rows []row, name string) bool {
	for i := range rows {
		if family(rows[i].series) == name {
			return true
		}
	}
	return false
}

func startServer(t *testing.T, door string) *server.Server {
	t.Helper()
	args := []string{"--bind", "127.0.0.1", "--dir", t.TempDir(), "--network-door", door}
	for i := 0; i < len(serverOptions); i += 2 {
		args = append(args, "--"+serverOptions[i], serverOptions[i+1])
	}
	cfg, _, err := config.Load(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Config: cfg, AnyPort: true, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A difference of either kind is found and counted.
func TestCompareFindsDifferences(t *testing.T) {
	did := ledger{"synap_panics_total": 1, "synap_blocked_clients": 2, delivered: 3, received: 3}
	side := ledger{"synap_panics_total": 1, "synap_blocked_clients": 2, `synap_errors_total{prefix="ERR"}`: 1, "synap_uptime_seconds": 9}
	var out bytes.Buffer
	if wrong := report(&out, compare(did, side, nil), true); wrong != 1 || !strings.Contains(out.String(), `NO     synap_errors_total{prefix="ERR"}`) {
		t.Errorf("without a Prometheus %d differ:\n%s", wrong, &out)
	}
	out.Reset()
	if wrong := report(&out, compare(did, side, ledger{"synap_panics_total": 1}), false); wrong != 2 || strings.Contains(out.String(), "panics") {
		t.Errorf("with a Prometheus %d differ:\n%s", wrong, &out)
	}
}
