//go:build !record

package tests

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestExamples runs the programs of examples/.
func TestExamples(t *testing.T) {
	const want = "QNACK m2, delivery 1\nQNACK m2, delivery 2\nQACK m1, delivery 1\nredriven: 1\n"
	p := startProgram(t)
	run := func(t *testing.T, program string, args ...string) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*replyTimeout)
		defer cancel()
		out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%v\n%s", err, out)
		}
	}
	t.Run("go-redis", func(t *testing.T) {
		run(t, needProgram(t, "go"), "run", "../examples/queue", "-addr", p.addr)
	})
	t.Run("ioredis", func(t *testing.T) {
		node := needNode(t)
		needClients(t)
		source, err := os.ReadFile("../examples/queue-node/queue.mjs")
		if err != nil {
			t.Fatal(err)
		}
		// Node finds modules by the place of the file: beside ours.
		copied := filepath.Join("node", "example.tmp.mjs")
		if err := os.WriteFile(copied, source, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(copied)
		run(t, node, copied, p.port)
	})
}
