package resp

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func (h *harness) timeouts() int64 {
	type counter interface{ Timeouts() int64 }
	return h.door.(counter).Timeouts()
}

func TestDoorFirstRequestDeadline(t *testing.T) {
	eachDoor(t, func(h *harness, _ *ListenerSpec, conf *DoorConfig) {
		h.server.password = "pw"
		conf.FirstRequest = 100 * time.Millisecond
	}, func(h *harness) {
		silent, dripping, busy := h.dial(), h.dial(), h.dial()
		dripping.send("*2\r\n$4\r\nAUTH\r\n$2\r\np")
		busy.ping()
		silent.expectClosed("")
		dripping.expectClosed("")
		busy.ping()
		if n := h.timeouts(); n != 2 {
			h.t.Errorf("%d timeouts", n)
		}
	})
}

func TestDoorIdleTimeout(t *testing.T) {
	eachDoor(t, func(_ *harness, _ *ListenerSpec, conf *DoorConfig) {
		conf.IdleTimeout = 100 * time.Millisecond
	}, func(h *harness) {
		parked, idle := h.dial(), h.dial()
		parked.send(arr("PARK", "0"))
		idle.ping()
		idle.expectClosed("")
		h.server.exempt.Store(true)
		exempt := h.dial()
		exempt.ping()
		time.Sleep(300 * time.Millisecond) // its deadline passes meanwhile
		exempt.ping()
		if n := h.server.countParked(); n != 1 || h.server.open.Load() != 2 {
			h.t.Errorf("%d parked, %d open", n, h.server.open.Load())
		}
		h.server.exempt.Store(false)
		exempt.expectClosed("")
	})
}

// Options change under connections that stand.
func TestDoorOptionsAreLive(t *testing.T) {
	eachDoor(t, nil, func(h *harness) {
		c := h.dial()
		c.ping()
		conf := *h.options.Get()
		conf.IdleTimeout = 50 * time.Millisecond
		h.options.Set(conf)
		c.ping() // redcon door: a waiting read keeps its old deadline
		c.expectClosed("")
	})
}

func TestDoorStalledReader(t *testing.T) {
	eachDoor(t, func(_ *harness, _ *ListenerSpec, conf *DoorConfig) {
		conf.WriteProgress = 200 * time.Millisecond
	}, func(h *harness) {
		stalled, slow := h.dial(), h.dial()
		stalled.send(arr("BIG", "60000000"))
		slow.send(arr("BIG", "8000000") + ping)
		want := "$8000000\r\n" + strings.Repeat("\x00", 8000000) + "\r\n+PONG\r\n"
		got := make([]byte, 0, len(want))
		piece := make([]byte, 256<<10)
		for len(got) < len(want) { // takes longer than WriteProgress in all
			n, err := slow.Read(piece[:min(len(piece), len(want)-len(got))])
			if err != nil {
				h.t.Fatalf("the slow reader was closed after %d bytes: %v", len(got), err)
			}
			got = append(got, piece[:n]...)
			time.Sleep(10 * time.Millisecond)
		}
		if !bytes.Equal(got, []byte(want)) {
			h.t.Error("the slow reader got other bytes")
		}
		h.until("the stalled reader is closed", func() bool { return h.server.open.Load() == 1 })
		slow.ping()
		if n := h.timeouts(); n != 1 {
			h.t.Errorf("%d timeouts", n)
		}
	})
}

// A reply over the output limit closes its client, and the pipeline behind it
// does not run.
func TestDoorOutputLimit(t *testing.T) {
	eachDoor(t, func(h *harness, _ *ListenerSpec, _ *DoorConfig) { h.server.outLimit = 1 << 20 }, func(h *harness) {
		other := h.dial()
		other.ping()
		c := h.dial()
		c.offer(ping + arr("BIG", "2000000") + ping)
		c.expectClosed("+PONG\r\n")
		c = h.dial()
		for range 5 { // more in all, but never owed at once
			c.send(arr("BIG", "500000"))
			c.expect("$500000\r\n" + strings.Repeat("\x00", 500000) + "\r\n")
		}
		other.ping()
	})
}

// A session that holds more unfinished input than Limits.Query is closed
// without a word.
func TestDoorQueryLimit(t *testing.T) {
	eachDoor(t, func(h *harness, _ *ListenerSpec, _ *DoorConfig) {
		h.server.limits = DefaultLimits()
		h.server.limits.Query = 1 << 20
	}, func(h *harness) {
		c := h.dial()
		c.offer(ping + "*2\r\n$4\r\nECHO\r\n$3000000\r\n" + strings.Repeat("x", 3000000))
		c.expectClosed("+PONG\r\n")
		c = h.dial()
		c.send("*2\r\n$4\r\nECHO\r\n$900000\r\n" + strings.Repeat("x", 800000))
		h.until("the input is reported", func() bool { return h.server.latest().buffered.Load() > 800000 })
		c.send(strings.Repeat("x", 100000) + "\r\n")
		c.expect("$900000\r\n" + strings.Repeat("x", 900000) + "\r\n")
		c.ping()
		h.until("nothing is reported", func() bool { return h.server.latest().buffered.Load() == 0 })
	})
}
