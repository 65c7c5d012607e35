package server

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"synap/command"
	"synap/config"
	"synap/resp"
)

// reader is a subscriber's connection whose loop is the test: posted tasks run
// when the test says so.
type reader struct {
	*subscriber
	out    resp.Reply
	mu     sync.Mutex // guards tasks
	tasks  []func()
	killed atomic.Bool
}

func (r *reader) Post(task func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tasks = append(r.tasks, task)
	return true
}

func (r *reader) Kill() { r.killed.Store(true) }

// turn runs what was posted and returns what the client then reads.
func (r *reader) turn() string {
	r.mu.Lock()
	tasks := r.tasks
	r.tasks = nil
	r.mu.Unlock()
	for _, task := range tasks {
		task()
	}
	got := string(r.out.Bytes())
	r.out.Reset()
	return got
}

func newReader(b *broker) *reader {
	r := &reader{}
	r.subscriber = b.newSubscriber(r, func() { r.drain(&r.out, false) })
	return r
}

func wire(words ...string) string {
	var out resp.Reply
	out.Push(len(words))
	for _, w := range words {
		out.BulkString(w)
	}
	return string(out.Bytes())
}

func wire3(words ...string) string { return ">" + wire(words...)[1:] }

func (b *broker) send(kind topicKind, channel, payload string) int {
	return b.publish(kind, []byte(channel), []byte(payload))
}

func (s *subscriber) sub(kind topicKind, names ...string) {
	for _, name := range names {
		s.subscribe(kind, []byte(name))
	}
}

func TestBrokerDelivers(t *testing.T) {
	b := newBroker()
	var seen []string
	b.published = func(kind topicKind, channel []byte, n int) {
		seen = append(seen, fmt.Sprintf("%d %s %d", kind, channel, n))
	}
	a, c := newReader(b), newReader(b)
	c.setProto(3)
	if n := b.send(channelTopic, "news", "x"); n != 0 {
		t.Fatalf("delivered to %d of no subscribers", n)
	}
	a.sub(channelTopic, "news", "news", "sport")
	a.sub(patternTopic, "n*s", "z*")
	c.sub(channelTopic, "news")
	c.sub(shardTopic, "news")
	if got := a.total(); got != 4 {
		t.Fatalf("a has %d subscriptions", got)
	}
	if n := b.send(channelTopic, "news", "hi\r\n"); n != 3 {
		t.Fatalf("delivered %d times, want 3", n)
	}
	if n := b.send(shardTopic, "news", "s"); n != 1 {
		t.Fatalf("delivered %d times, want 1", n)
	}
	if got, want := a.turn(), wire("message", "news", "hi\r\n")+wire("pmessage", "n*s", "news", "hi\r\n"); got != want {
		t.Errorf("a read %q, want %q", got, want)
	}
	if got, want := c.turn(), wire3("message", "news", "hi\r\n")+wire3("smessage", "news", "s"); got != want {
		t.Errorf("c read %q, want %q", got, want)
	}
	if got := strings.Join(seen, ","); got != "0 news 0,0 news 3,2 news 1" {
		t.Errorf("published saw %q", got)
	}
}

func TestBrokerCounts(t *testing.T) {
	b := newBroker()
	var all []*reader
	for i := range 5 {
		r := newReader(b)
		for j := range i + 1 {
			r.sub(channelTopic, fmt.Sprint("c", j))
		}
		r.sub(patternTopic, "p*")
		r.sub(shardTopic, "s")
		all = append(all, r)
	}
	check := func(channels, patterns, shards, c0, clients int64) {
		t.Helper()
		got := []int64{b.numTopics(channelTopic), b.numTopics(patternTopic), b.numTopics(shardTopic),
			int64(b.numSub(channelTopic, []byte("c0"))), b.subscribers.Load()}
		want := []int64{channels, patterns, shards, c0, clients}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("channels, patterns, shards, c0, clients = %v, want %v", got, want)
		}
	}
	check(5, 1, 1, 5, 5)
	if n := len(b.topics(channelTopic, []byte("c[12]"))); n != 2 {
		t.Errorf("%d channels match c[12], want 2", n)
	}
	all[2].unsubscribe(channelTopic, "c0") // from the middle of the list
	if all[2].unsubscribe(channelTopic, "c0") {
		t.Error("unsubscribed twice")
	}
	check(5, 1, 1, 4, 5)
	if n := b.send(channelTopic, "c0", "x"); n != 4 {
		t.Errorf("c0 delivered %d times, want 4", n)
	}
	for _, r := range all {
		r.close()
	}
	check(0, 0, 0, 0, 0)
	for _, r := range all {
		if n := r.bytes.Load(); n != 0 {
			t.Errorf("%d bytes of subscriptions left", n)
		}
		if got := r.turn(); got != "" {
			t.Errorf("a closed client read %q", got)
		}
	}
}

func TestBrokerClosesStalledSubscriber(t *testing.T) {
	b := newBroker()
	b.setLimits([3]config.OutputLimit{config.ClassPubSub: {Hard: 1000}})
	stalled, other := newReader(b), newReader(b)
	stalled.sub(channelTopic, "c")
	other.sub(channelTopic, "c")
	frame := wire("message", "c", strings.Repeat("x", 100))
	for range 20 {
		if n := b.send(channelTopic, "c", strings.Repeat("x", 100)); n != 2 {
			t.Fatalf("delivered %d times, want 2", n)
		}
		if got := other.turn(); got != frame {
			t.Fatalf("the other read %q", got)
		}
		if n := stalled.pending(); n > 1000 {
			t.Fatalf("%d bytes in the outbox", n)
		}
	}
	if !stalled.killed.Load() || other.killed.Load() || b.dropped.Load() != 1 {
		t.Errorf("killed: stalled %v, other %v; dropped %d", stalled.killed.Load(), other.killed.Load(), b.dropped.Load())
	}
	if got := stalled.turn(); got != "" {
		t.Errorf("a closed client read %d bytes", len(got))
	}
}

// Output that the peer does not take counts with the outbox.
func TestBrokerCountsUnsentOutput(t *testing.T) {
	b := newBroker()
	b.setLimits([3]config.OutputLimit{config.ClassPubSub: {Hard: 1000}})
	r := newReader(b)
	r.sub(channelTopic, "c")
	for i := range 20 {
		b.send(channelTopic, "c", strings.Repeat("x", 100))
		for _, task := range r.tasks {
			task()
		}
		r.tasks = nil
		if want := (i+1)*len(wire("message", "c", strings.Repeat("x", 100))) > 1000; want != r.killed.Load() {
			t.Fatalf("after %d messages killed = %v", i+1, !want)
		}
	}
}

func TestBrokerSoftLimit(t *testing.T) {
	b := newBroker()
	b.setLimits([3]config.OutputLimit{config.ClassPubSub: {Soft: 150, Seconds: 1000}})
	r := newReader(b)
	r.sub(channelTopic, "c")
	send := func() { b.send(channelTopic, "c", strings.Repeat("x", 100)) }
	send()
	if r.since != 0 {
		t.Error("the clock of the soft limit runs below it")
	}
	send()
	if r.since == 0 {
		t.Error("the clock of the soft limit does not run above it")
	}
	r.turn() // drained while over: it runs on
	send()
	r.turn()
	if r.since != 0 {
		t.Error("the clock of the soft limit was not stopped below it")
	}
	send()
	send()
	r.since -= 1001e9
	send()
	if !r.killed.Load() {
		t.Error("not closed after the time over the soft limit")
	}
}

// The index must offer every pattern that matches; the matcher itself decides.
func TestPatternIndexMissesNothing(t *testing.T) {
	b := newBroker()
	r := newReader(b)
	long := strings.Repeat("l", maxPrefix+5)
	patterns := []string{"*", "", "a*", "a?", "ab", "ab*", "a[bc]d", `a\*`, "abc*", "abcd", "?bcd", "[a]bcd", long, long + "*", long[:maxPrefix] + "*"}
	channels := []string{"", "a", "ab", "ac", "acd", "abd", "abc", "abcd", "a*", "b", long, long + "x", long[:maxPrefix]}
	check := func() {
		t.Helper()
		for _, channel := range channels {
			want := 0
			for name := range r.own[patternTopic] {
				if command.Glob([]byte(name), []byte(channel)) {
					want++
				}
			}
			if got := b.send(channelTopic, channel, "x"); got != want {
				t.Errorf("%q was delivered %d times, want %d", channel, got, want)
			}
		}
	}
	r.sub(patternTopic, patterns...)
	check()
	for i, p := range patterns {
		r.unsubscribe(patternTopic, p)
		check()
		if i%3 == 0 {
			r.sub(patternTopic, p)
			check()
		}
	}
	r.leave()
	if n := b.patterns.n.Load(); n != 0 || len(b.patterns.byName)+len(b.patterns.byPrefix)+len(b.patterns.lengths) != 0 {
		t.Errorf("%d patterns and something of the index are left", n)
	}
}

func TestBrokerMonitors(t *testing.T) {
	b := newBroker()
	r := newReader(b)
	if b.monitoring() {
		t.Fatal("monitoring without a monitor")
	}
	r.setProto(3)
	r.watch()
	r.watch()
	b.monitor([]byte(`1.5 [0 1.2.3.4:5] "ping"`))
	if got, want := r.turn(), "+1.5 [0 1.2.3.4:5] \"ping\"\r\n"; got != want {
		t.Errorf("the monitor read %q, want %q", got, want)
	}
	r.close()
	if b.monitoring() || len(b.monitors) != 0 {
		t.Error("a monitor is left")
	}
}

// Publishers of one channel and subscribers that come and go, each on its own
// goroutine: every subscriber sees each publisher's numbers in order, and all
// of them see one order.
func TestBrokerConcurrent(t *testing.T) {
	b := newBroker()
	const publishers, messages = 4, 500
	var readers []*reader
	for i := range 8 {
		r := newReader(b)
		if i%2 == 0 {
			r.sub(channelTopic, "c")
		} else {
			r.sub(patternTopic, "c*")
		}
		readers = append(readers, r)
	}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range messages {
				b.send(channelTopic, "c", fmt.Sprintf("%d-%04d", p, i))
			}
		})
		wg.Go(func() {
			r := newReader(b)
			for range messages {
				r.sub(channelTopic, "c", "d")
				r.unsubscribe(channelTopic, "c")
				r.sub(patternTopic, "*", "c?")
				r.leave()
			}
			r.close()
		})
	}
	wg.Wait()
	var order string
	for i, r := range readers {
		got := r.turn()
		got = strings.ReplaceAll(got, wire("pmessage", "c*", "c", "")[:len(wire("pmessage", "c*", "c", ""))-6], wire("message", "c", "")[:len(wire("message", "c", ""))-6])
		if i == 0 {
			order = got
		}
		if got != order || len(got) != publishers*messages*len(wire("message", "c", "0-0000")) {
			t.Fatalf("reader %d saw another order or number of messages: %d bytes against %d", i, len(got), len(order))
		}
	}
	last := map[string]string{}
	for _, word := range strings.Split(order, "\r\n") {
		if len(word) == 6 && word[1] == '-' {
			if word <= last[word[:1]] {
				t.Fatalf("%s after %s", word, last[word[:1]])
			}
			last[word[:1]] = word
		}
	}
	if n := b.subscribers.Load(); n != 8 {
		t.Errorf("%d clients subscribed, want 8", n)
	}
}

func BenchmarkPublish(bench *testing.B) {
	for _, n := range []int{0, 1, 100} {
		bench.Run(fmt.Sprint(n), func(bench *testing.B) {
			b := newBroker()
			var readers []*reader
			for range n {
				r := newReader(b)
				r.sub(channelTopic, "channel")
				readers = append(readers, r)
			}
			channel, payload := []byte("channel"), make([]byte, 64)
			bench.ReportAllocs()
			for i := 0; bench.Loop(); i++ {
				b.publish(channelTopic, channel, payload)
				if i%16 == 0 {
					for _, r := range readers {
						r.tasks = r.tasks[:0]
						r.drain(&r.out, false)
						r.out.Reset()
					}
				}
			}
		})
	}
}

func BenchmarkPublishBesidePatterns(bench *testing.B) {
	b := newBroker()
	r := newReader(b)
	for i := range 10000 {
		r.sub(patternTopic, fmt.Sprintf("user:%d:*", i))
	}
	channel, payload := []byte("user:123:inbox"), make([]byte, 64)
	bench.ReportAllocs()
	for bench.Loop() {
		b.publish(channelTopic, channel, payload)
		r.tasks = r.tasks[:0]
		r.drain(&r.out, false)
		r.out.Reset()
	}
}
