//go:build !record

package tests

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"synap/command"
	"synap/config"
	"synap/server"
	"synap/store"
)

// inside is what a test may see of our server beside its replies.
type inside struct{ server *server.Server }

// standingClock moves only when told to.
type standingClock struct{ nanos atomic.Int64 }

// scriptStart is the time at which every section begins: fixed and past, so
// that code which asks the wall clock instead is found out.
var scriptStart = time.Date(2024, time.February, 29, 12, 0, 0, 0, time.UTC)

func newStandingClock() *standingClock {
	c := &standingClock{}
	c.nanos.Store(scriptStart.UnixNano())
	return c
}

func (c *standingClock) now() time.Time { return time.Unix(0, c.nanos.Load()) }

// startSynapRealTime starts our server in process, on the wall's clock.
func startSynapRealTime(t testing.TB, door string, options [][2]string) *target {
	return startInProcess(t, door, append([][2]string{{"dir", t.TempDir()}, {"appendonly", "no"}, {"save", ""}}, options...), nil)
}

// startInProcess starts our server on a clock; nil: the wall's.
func startInProcess(t testing.TB, door string, options [][2]string, clock func() time.Time) *target {
	t.Helper()
	if door == "" {
		door = "auto"
	}
	args := []string{"--port", fmt.Sprint(freePort(t)), "--network-door", door, "--enable-debug-command", "yes", "--http-port", "0"}
	for _, o := range options {
		args = append(args, "--"+o[0], o[1])
	}
	cfg, _, err := config.Load(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(server.Options{Config: cfg, Clock: clock, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), replyTimeout)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	}
	t.Cleanup(stop)
	return &target{
		network: "tcp", addr: srv.Addr("tcp").String(), name: "synap", now: time.Now,
		inside: &inside{srv}, stop: stop,
	}
}

// digest is one number for all that a server holds, with exact expiries and
// what else DEBUG DIGEST leaves out.
func digest(s *target) string {
	data := s.inside.server.Store()
	var tx store.Tx
	data.Begin(&tx, 0, s.now().UnixMilli())
	tx.WantAll()
	tx.Lock()
	defer tx.Unlock()
	var all []byte
	for db := range data.Databases() {
		tx.Use(db)
		sum := tx.Digest()
		all = append(all, sum[:]...)
	}
	return fmt.Sprintf("%x", all)
}

// differentialSubjects are all executable rows with their grammar.
func differentialSubjects(t testing.TB, ours *inside) []subject {
	t.Helper()
	var all []subject
	for _, c := range ours.server.Table().All() {
		if len(c.Subs) > 0 && len(c.Usage) == 0 && c.Name != "command" {
			continue // a container alone: its errors come with the unknown subcommands
		}
		args, err := c.Arguments()
		if err != nil {
			t.Fatal(err)
		}
		s := subject{full: c.FullName, args: grammar(args), writes: c.HasFlag(command.Write), tips: map[string]bool{}}
		if c.Parent != nil {
			s.words = append(s.words, c.Parent.Name)
		}
		s.words = append(s.words, c.Name)
		for _, tip := range c.Tips {
			s.tips[tip] = true
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b subject) int { return strings.Compare(a.full, b.full) })
	return all
}

func grammar(args []command.Arg) []argument {
	var out []argument
	for _, a := range args {
		out = append(out, argument{a.Name, string(a.Type), a.Token, a.Optional, a.Multiple, a.MultipleToken, grammar(a.Args)})
	}
	return out
}
