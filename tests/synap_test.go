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
	"synap/journal"
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

// startSynap starts our server in process, on a clock that stands still.
func startSynap(t testing.TB, door string, options [][2]string) *target {
	clock := newStandingClock()
	log := journal.NewMemory(64 << 20)
	s := startInProcess(t, door, options, clock.now, log)
	s.now = clock.now
	s.move = func(d time.Duration) error { clock.nanos.Add(int64(d)); return nil }
	s.records = func() [][]string { return effects(log) }
	s.replay = func() error { return replay(t, s, clock, log) }
	return s
}

// startSynapRealTime starts our server in process, on the wall's clock.
func startSynapRealTime(t testing.TB, door string, options [][2]string) *target {
	return startInProcess(t, door, options, nil, nil)
}

func startInProcess(t testing.TB, door string, options [][2]string, clock func() time.Time, log journal.Log) *target {
	t.Helper()
	if door == "" {
		door = "auto"
	}
	args := []string{"--port", fmt.Sprint(freePort(t)), "--network-door", door, "--enable-debug-command", "yes", "--http-port", "0", "--dir", t.TempDir()}
	for _, o := range options {
		args = append(args, "--"+o[0], o[1])
	}
	cfg, _, err := config.Load(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(server.Options{Config: cfg, Clock: clock, Journal: log, Version: "test"})
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

// effects returns the journal's commands without the words that only frame them.
func effects(log *journal.Memory) [][]string {
	var all [][]string
	for _, record := range log.Records() {
		args := toStrings(record)
		switch args[0] {
		case "SELECT", "MULTI", "EXEC":
			continue
		}
		all = append(all, args)
	}
	return all
}

func toStrings(record [][]byte) []string {
	args := make([]string, len(record))
	for i, a := range record {
		args[i] = string(a)
	}
	return args
}

// replay runs the journal in an empty server and compares the digests of both.
// Its clock stands at the beginning: what a record says of the past must not
// delete keys that a later record saves.
func replay(t testing.TB, from *target, clock *standingClock, log *journal.Memory) error {
	want, err := digest(from)
	if err != nil {
		return err
	}
	records := log.Records()
	past := newStandingClock()
	to := startInProcess(t, "loop", nil, past.now, nil)
	to.now = past.now
	defer to.stop()
	c, err := dial(to.network, to.addr, 2)
	if err != nil {
		return err
	}
	defer c.close()
	for i, record := range records {
		args := toStrings(record)
		v, err := c.do(args...)
		if err != nil || v.isError() {
			return fmt.Errorf("record %d %q: %v %s", i, args, err, v.render())
		}
	}
	past.nanos.Store(clock.nanos.Load())
	got, err := digest(to)
	if err == nil && got != want {
		ours, theirs := readState(t, to), readState(t, from)
		for _, k := range sortedKeys(ours, theirs) {
			if ours[k] != theirs[k] {
				return fmt.Errorf("%s\n  is       %s\n  replayed %s\n  journal  %q", k, theirs[k].render(), ours[k].render(), effects(log))
			}
		}
		err = fmt.Errorf("the digests differ after replay of %q", effects(log))
	}
	return err
}

// digest is one number for all that a server holds, with exact expiries and
// what else DEBUG DIGEST leaves out.
func digest(s *target) (string, error) {
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
	return fmt.Sprintf("%x", all), nil
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
