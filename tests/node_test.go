//go:build !record

package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// oldestNode is the first major version of Node that the clients run on.
const oldestNode = 20

// TestNodeClients runs tests/node/tour.mjs, which uses the versions of ioredis
// and node-redis that tests/node/package.json names.
func TestNodeClients(t *testing.T) {
	node := needNode(t)
	needClients(t)
	onBothDoors(t, func(t *testing.T, p *program, control *client) {
		socket := control.conn.RemoteAddr().String()
		ctx, cancel := context.WithTimeout(context.Background(), 5*replyTimeout)
		defer cancel()
		out, err := exec.CommandContext(ctx, node, "node/tour.mjs", p.port, p.side, socket).CombinedOutput()
		const want = "ok tourIORedis\nok tourNodeRedis\nok limitIORedis\nok limitIORedisConnecting\nok limitNodeRedis\n"
		if err != nil || string(out) != want {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// needNode skips the test where Node is missing or too old.
func needNode(t *testing.T) string {
	t.Helper()
	path := needProgram(t, "node")
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	var major int
	if _, err := fmt.Sscanf(string(out), "v%d.", &major); err != nil {
		t.Fatalf("node calls itself %q", out)
	}
	if major < oldestNode {
		lacking(t, "node is %s, the clients need %d (make test-deps)", strings.TrimSpace(string(out)), oldestNode)
	}
	return path
}

// needClients installs the clients of package.json unless they are there in
// the versions it names.
func needClients(t *testing.T) {
	t.Helper()
	missing := missingClients(t)
	if len(missing) == 0 {
		return
	}
	install := exec.Command(needProgram(t, "npm"), "install", "--no-package-lock", "--no-audit", "--no-fund")
	install.Dir = "node"
	if out, err := install.CombinedOutput(); err != nil {
		lacking(t, "npm cannot fetch %q: %v\n%s", missing, err, out)
	}
	if missing := missingClients(t); len(missing) > 0 {
		t.Fatalf("npm did not install %q", missing)
	}
}

func missingClients(t *testing.T) (missing []string) {
	t.Helper()
	type manifest struct {
		Version      string
		Dependencies map[string]string
	}
	read := func(path string) (m manifest, err error) {
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &m)
		}
		return m, err
	}
	wanted, err := read("node/package.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, version := range wanted.Dependencies {
		installed, err := read(filepath.Join("node/node_modules", name, "package.json"))
		if err != nil || installed.Version != version {
			missing = append(missing, name+"@"+version)
		}
	}
	return missing
}

// lacking skips the test, or fails it where nothing may be left out.
func lacking(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
