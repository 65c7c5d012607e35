//go:build !record

package tests

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var flagMessages = flag.Int("messages", 50_000, "messages of TestQueueChaos")

const (
	chaosConsumers  = 50
	chaosPublishers = 4
	chaosBatch      = 50
	chaosDelayed    = 20 // one message in so many is delayed
	chaosLease      = 400 * time.Millisecond
	chaosShort      = 15 * time.Millisecond // of leases that are let pass
)

// delivery is what the ledger knows of the last delivery of a message.
type delivery struct {
	number   int64
	asked    time.Time     // when the request was sent: the lease began later
	lease    time.Duration // it may not be broken before
	released bool          // refused, or its client has hung up
	acked    int
}

// chaosLedger holds what consumers saw.
type chaosLedger struct {
	t  *testing.T
	mu sync.Mutex // guards what follows

	messages  []delivery
	delivered int64
	nacked    int64
	wrong     int

	done  atomic.Int64 // messages acknowledged
	lost  atomic.Int64 // connections closed with a request under way
	ended chan struct{}
}

func (l *chaosLedger) complain(format string, args ...any) {
	if l.wrong++; l.wrong <= 10 {
		l.t.Errorf(format, args...)
	}
}

// saw notes a delivery. Without a passed deadline, a refusal or a client that has
// gone there is no second one.
func (l *chaosLedger) saw(message int, number int64, asked time.Time, lease time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delivered++
	m := &l.messages[message]
	held := time.Since(asked)
	switch {
	case number <= m.number && held >= lease: // the reply was read so late that another one was first
		return
	case number <= m.number:
		l.complain("message %d: delivery %d, read after %v of %v, after delivery %d", message, number, held, lease, m.number)
	case m.acked > 0:
		l.complain("message %d came again after its acknowledgement", message)
	case number == m.number+1 && m.number > 0 && !m.released && time.Since(m.asked) < m.lease-2*time.Millisecond:
		l.complain("message %d: delivered again after %v of %v", message, time.Since(m.asked), m.lease)
	}
	m.number, m.asked, m.lease, m.released = number, asked, lease, false
}

func (l *chaosLedger) acked(message int) {
	l.mu.Lock()
	m := &l.messages[message]
	if m.acked++; m.acked > 1 {
		l.complain("message %d was acknowledged twice", message)
	}
	l.mu.Unlock()
	if l.done.Add(1) == int64(len(l.messages)) {
		close(l.ended)
	}
}

// release notes that messages may come again at once.
func (l *chaosLedger) release(held []heldMessage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range held {
		if m := &l.messages[h.message]; m.number == h.number {
			m.released = true
		}
	}
}

type heldMessage struct {
	message int
	number  int64
	receipt string
}

// chaosConsumer is one of those who take messages, and do not always do well.
type chaosConsumer struct {
	l             *chaosLedger
	name          string
	network, addr string
	c             *client
	rnd           *rand.Rand
	late          []heldMessage // of leases that are let pass
	newest        [10]int64     // number of the last first delivery, by priority
}

func (k *chaosConsumer) run() error {
	for {
		select {
		case <-k.l.ended:
			return nil
		default:
		}
		if k.c == nil {
			c, err := dial(k.network, k.addr, 2)
			if err != nil {
				return err
			}
			k.c = c
		}
		if err := k.round(); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
}

func (k *chaosConsumer) hangUp() {
	k.c.close()
	k.c = nil
}

// round takes some messages and does something with them.
func (k *chaosConsumer) round() error {
	lease := chaosLease
	what := k.rnd.IntN(100)
	if what < 4 {
		lease = chaosShort
	}
	args := []string{"QCONSUME", "chaos", k.name, "COUNT", strconv.Itoa(1 + k.rnd.IntN(30)), "BLOCK", "50", "DEADLINE", strconv.FormatInt(lease.Milliseconds(), 10)}
	if what == 99 {
		args = append(args, "AUTORELEASE")
	}
	asked := time.Now()
	if err := k.c.send(args...); err != nil {
		return err
	}
	if what == 98 { // while it waits or is being answered
		k.l.lost.Add(1)
		k.hangUp()
		return nil
	}
	v, err := k.c.read()
	if err != nil || v.isError() || v.kind == 'x' {
		return fmt.Errorf("QCONSUME: %v %s", err, v.render())
	}
	held := k.take(v, asked, lease)
	switch {
	case what < 4: // acknowledged when it is too late, or just not
		k.late = append(k.late, held...)
		return nil
	case what == 99 || what == 97:
		if what == 99 {
			k.l.release(held)
		}
		k.hangUp()
		return nil
	case what < 8:
		return k.refuse(held)
	}
	held, k.late = append(held, k.late...), nil
	return k.acknowledge(held)
}

// take notes the messages of a reply and checks the order of first deliveries.
func (k *chaosConsumer) take(v value, asked time.Time, lease time.Duration) []heldMessage {
	var held []heldMessage
	for _, m := range v.items {
		id, receipt := m.items[0].text, m.items[1].text
		priority, _ := strconv.Atoi(m.items[3].text)
		number, _ := strconv.ParseInt(m.items[4].text, 10, 64)
		message, _ := strconv.Atoi(strings.TrimPrefix(id, "m"))
		k.l.saw(message, number, asked, lease)
		held = append(held, heldMessage{message, number, receipt})
		if number > 1 || message%chaosDelayed == 0 {
			continue
		}
		hex, _, _ := strings.Cut(receipt, "-")
		seq, _ := strconv.ParseInt(hex, 16, 64)
		if seq <= k.newest[priority] {
			k.l.mu.Lock()
			k.l.complain("priority %d: message %d after %d", priority, seq, k.newest[priority])
			k.l.mu.Unlock()
		}
		k.newest[priority] = seq
	}
	return held
}

// each sends a command for every message at once and visits the integers.
func (k *chaosConsumer) each(name string, held []heldMessage, visit func(h heldMessage, n string)) error {
	var b []byte
	for _, h := range held {
		b = appendCommand(b, []string{name, "chaos", h.receipt})
	}
	if err := k.c.sendRaw(b); err != nil {
		return err
	}
	for _, h := range held {
		v, err := k.c.read()
		if err != nil || v.kind != ':' {
			return fmt.Errorf("%s: %v %s", name, err, v.render())
		}
		visit(h, v.text)
	}
	return nil
}

func (k *chaosConsumer) acknowledge(held []heldMessage) error {
	return k.each("QACK", held, func(h heldMessage, n string) {
		if n == "1" {
			k.l.acked(h.message)
		}
	})
}

func (k *chaosConsumer) refuse(held []heldMessage) error {
	k.l.release(held) // another may get one before the reply is read
	return k.each("QNACK", held, func(_ heldMessage, n string) {
		if n == "1" {
			k.l.mu.Lock()
			k.l.nacked++
			k.l.mu.Unlock()
		}
	})
}

// publishChaos publishes the messages from, from + step … below n.
func publishChaos(network, addr string, from, step, n int) error {
	c, err := dial(network, addr, 2)
	if err != nil {
		return err
	}
	defer c.close()
	for at := from; at < n; {
		var b []byte
		k := 0
		for ; k < chaosBatch && at < n; k, at = k+1, at+step {
			args := []string{"QPUBLISH", "chaos", "payload", "ID", "m" + strconv.Itoa(at), "PRIORITY", strconv.Itoa(at / step % 10)}
			if at%chaosDelayed == 0 {
				args = append(args, "DELAY", strconv.Itoa(1+at%200))
			}
			b = appendCommand(b, args)
		}
		if err := c.sendRaw(b); err != nil {
			return err
		}
		for range k {
			if v, err := c.read(); err != nil || v.kind != '$' {
				return fmt.Errorf("QPUBLISH: %v %s", err, v.render())
			}
		}
	}
	return nil
}

// TestQueueChaos publishes messages of ten priorities, some of them delayed, for
// fifty consumers behind both doors that hang up, refuse, come too late and let
// deadlines pass. Each message is acknowledged exactly once, comes again only if
// there was a reason, and the counts of all sides agree.
func TestQueueChaos(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	p := startProgram(t, "--network-door", "loop", "--unixsocket", socket)
	awaitListener(t, "unix", socket)
	doors := [2][2]string{{"tcp", p.addr}, {"unix", socket}}
	control, err := dial("tcp", p.addr, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer control.close()
	control.must(t, "QCREATE", "chaos", "RETRIES", "4294967294", "MAXDEPTH", "0")
	l := &chaosLedger{t: t, messages: make([]delivery, *flagMessages), ended: make(chan struct{})}
	failed := make(chan error, chaosConsumers+chaosPublishers)
	var all sync.WaitGroup
	start := func(f func() error) {
		all.Go(func() {
			if err := f(); err != nil {
				failed <- err
			}
		})
	}
	for i := range chaosPublishers {
		start(func() error { return publishChaos(doors[i%2][0], doors[i%2][1], i, chaosPublishers, len(l.messages)) })
	}
	for i := range chaosConsumers {
		k := &chaosConsumer{l: l, name: fmt.Sprint("w", i), network: doors[i%2][0], addr: doors[i%2][1], rnd: rand.New(rand.NewPCG(uint64(i), *flagSeed))}
		start(k.run)
	}
	select {
	case <-l.ended:
	case err := <-failed:
		t.Fatal(err)
	case <-time.After(replyTimeout + time.Duration(len(l.messages))*time.Millisecond):
		t.Fatalf("%d of %d messages were acknowledged: %s", l.done.Load(), len(l.messages), control.must(t, "QSTATS", "chaos").render())
	}
	all.Wait()
	checkChaos(t, l, control, p.side)
}

// checkChaos compares the ledger with QSTATS and the metrics.
func checkChaos(t *testing.T, l *chaosLedger, control *client, side string) {
	stats := map[string]int64{}
	v := control.must(t, "QSTATS", "chaos")
	for i := 0; i+1 < len(v.items); i += 2 {
		stats[v.items[i].text], _ = strconv.ParseInt(v.items[i+1].text, 10, 64)
	}
	n := int64(len(l.messages))
	for name, want := range map[string]int64{
		"ready": 0, "unacked": 0, "delayed": 0, "dead": 0, "published": n, "acked": n, "nacked": l.nacked, "dead_lettered": 0,
		"redelivered": stats["consumed"] - n,
	} {
		is(t, name, stats[name], want)
	}
	if lost := stats["consumed"] - l.delivered; lost < 0 || l.lost.Load() == 0 && lost != 0 {
		t.Errorf("%d messages were consumed, %d seen", stats["consumed"], l.delivered)
	}
	res, err := http.Get("http://" + side + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for operation, want := range map[string]int64{
		"publish": n, "consume": stats["consumed"], "ack": n, "nack": l.nacked, "redeliver": stats["redelivered"],
	} {
		line := fmt.Sprintf(`synap_queue_operations_total{operation="%s",queue="chaos",status="success"} %d`, operation, want)
		if !strings.Contains(asIntegers(string(page)), line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	t.Logf("%d messages, %d deliveries seen, %d again, %d refused, %d connections cut", n, l.delivered, stats["redelivered"], l.nacked, l.lost.Load())
}

// asIntegers writes the values of the queue's operations without exponents.
func asIntegers(page string) string {
	var out strings.Builder
	for line := range strings.Lines(page) {
		if name, number, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && strings.HasPrefix(name, "synap_queue_operations_total") {
			if f, err := strconv.ParseFloat(number, 64); err == nil {
				fmt.Fprintf(&out, "%s} %.0f\n", name, f)
			}
		}
	}
	return out.String()
}
