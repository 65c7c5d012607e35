package server

import (
	"sync"
	"sync/atomic"
	"time"

	"synap/config"
	"synap/resp"
)

// port is what the broker needs of a subscriber's connection; resp.Conn has it.
type port interface {
	Post(task func()) bool
	Kill()
}

// subscriber is a session as the broker sees it: its subscriptions and its
// outbox. Methods are for the session's own loop, except push.
type subscriber struct {
	broker *broker
	port   port
	wake   func() // moves the outbox to the output, on the session's loop
	own    [topicKinds]map[string]*subscription
	counts [topicKinds]atomic.Int32 // lengths of own, for CLIENT LIST
	bytes  atomic.Int64             // memory of own, estimated

	mu      sync.Mutex // guards the fields below
	box     *outbox    // what is not yet in the output; nil: nothing
	proto   int
	monitor bool // in broker.monitors
	posted  bool // wake is on its way
	gone    bool
	moved   int   // of what drain put into the output, at most this may be there still
	since   int64 // Monotonic() when the soft limit was passed, 0: it is not
}

// subscriptionBytes is about what one subscription costs beside its name: the
// binding, the topic of which it is the first, and their places in two maps.
const subscriptionBytes = 160

func (b *broker) newSubscriber(p port, wake func()) *subscriber {
	return &subscriber{broker: b, port: p, wake: wake, proto: 2}
}

// subscribe reports whether name is new to s.
func (s *subscriber) subscribe(kind topicKind, name []byte) bool {
	if s.own[kind][string(name)] != nil {
		return false
	}
	if s.own[kind] == nil {
		s.own[kind] = make(map[string]*subscription)
	}
	if s.total() == 0 {
		s.broker.subscribers.Add(1)
	}
	sn := s.broker.add(kind, name, s)
	s.own[kind][sn.topic.name] = sn
	s.counts[kind].Add(1)
	s.bytes.Add(subscriptionBytes + int64(len(name)))
	return true
}

// unsubscribe reports whether s was subscribed to name.
func (s *subscriber) unsubscribe(kind topicKind, name string) bool {
	sn := s.own[kind][name]
	if sn == nil {
		return false
	}
	s.broker.remove(kind, sn)
	delete(s.own[kind], name)
	if len(s.own[kind]) == 0 {
		s.own[kind] = nil // a map never shrinks
	}
	s.counts[kind].Add(-1)
	s.bytes.Add(-subscriptionBytes - int64(len(name)))
	if s.total() == 0 {
		s.broker.subscribers.Add(-1)
	}
	return true
}

// names returns what s is subscribed to, in no order.
func (s *subscriber) names(kind topicKind) [][]byte {
	all := make([][]byte, 0, len(s.own[kind]))
	for name := range s.own[kind] {
		all = append(all, []byte(name))
	}
	return all
}

// count returns the number of subscriptions of a kind; any goroutine may ask.
func (s *subscriber) count(kind topicKind) int { return int(s.counts[kind].Load()) }

func (s *subscriber) total() int {
	return s.count(channelTopic) + s.count(patternTopic) + s.count(shardTopic)
}

// watch makes s a subscriber of MONITOR's lines.
func (s *subscriber) watch() {
	if !s.setMonitor(true) {
		return
	}
	b := s.broker
	b.monitorsMu.Lock()
	b.monitors = append(b.monitors, s)
	b.monitorN.Add(1)
	b.monitorsMu.Unlock()
}

func (s *subscriber) unwatch() {
	if !s.setMonitor(false) {
		return
	}
	b := s.broker
	b.monitorsMu.Lock()
	for i, other := range b.monitors {
		if other == s {
			b.monitors = append(b.monitors[:i:i], b.monitors[i+1:]...)
			break
		}
	}
	b.monitorN.Add(-1)
	b.monitorsMu.Unlock()
}

// setMonitor reports whether on is a change.
func (s *subscriber) setMonitor(on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.monitor != on
	s.monitor = on
	return changed
}

// leave ends every subscription: the client left, or RESET.
func (s *subscriber) leave() {
	for kind := range topicKinds {
		for name := range s.own[kind] {
			s.unsubscribe(kind, name)
		}
	}
	s.unwatch()
}

// close is leave for a client that is no more; later messages are dropped.
func (s *subscriber) close() {
	s.leave()
	s.mu.Lock()
	s.gone = true
	s.broker.recycle(s.box)
	s.box = nil
	s.mu.Unlock()
}

// setProto changes the protocol of messages to come. What is in the outbox was
// written in the old one, so the caller drains it first.
func (s *subscriber) setProto(proto int) {
	s.mu.Lock()
	s.proto = proto
	s.mu.Unlock()
}

// pending returns the bytes in the outbox; any goroutine may ask.
func (s *subscriber) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box == nil {
		return 0
	}
	return len(s.box.bytes)
}

// push appends m to the outbox. Any goroutine calls it, under the lock of m.
func (s *subscriber) push(m *message) {
	s.mu.Lock()
	s.append(m)
}

// invalidate is push for a message of tracking, which RESP2 has a form for only
// if it was redirected to a subscriber.
func (s *subscriber) invalidate(m *message, redirected bool) {
	s.mu.Lock()
	if s.proto == 2 && !(redirected && s.total() > 0) {
		s.mu.Unlock()
		return
	}
	s.append(m)
}

// append is push with s.mu held, which it releases.
func (s *subscriber) append(m *message) {
	if s.gone {
		s.mu.Unlock()
		return
	}
	if s.box == nil {
		s.box = s.broker.outboxes.Get().(*outbox)
	}
	frame := m.frame(s.proto)
	if s.over(len(s.box.bytes) + len(frame)) {
		s.drop()
		s.mu.Unlock()
		return
	}
	s.box.bytes = append(s.box.bytes, frame...)
	post := !s.posted
	s.posted = true
	s.mu.Unlock()
	if post {
		s.port.Post(s.wake)
	}
}

// drain moves the outbox into the session's output. Messages reach a client
// that is muted (CLIENT REPLY OFF) too.
func (s *subscriber) drain(out *resp.Reply, muted bool) {
	s.mu.Lock()
	box := s.box
	s.box, s.posted = nil, false
	if box == nil {
		s.mu.Unlock()
		return
	}
	n := len(box.bytes) + out.Len()
	if s.moved = len(box.bytes) + min(s.moved, out.Len()); !s.monitor && s.total() == 0 {
		n = s.moved // the rest is replies, which have a limit of their own
	}
	if !s.over(n) {
		s.settle(n)
	} else if !s.gone {
		s.drop()
	}
	gone := s.gone
	s.mu.Unlock()
	if !gone {
		if muted {
			out.Mute(false)
		}
		out.Raw(box.bytes)
		if muted {
			out.Mute(true)
		}
	}
	s.broker.recycle(box)
}

// outputLimit returns the limit of the client's class: to Redis a client in
// MONITOR mode is a normal one.
func (s *subscriber) outputLimit() config.OutputLimit {
	class := config.ClassPubSub
	if s.monitor {
		class = config.ClassNormal
	}
	return s.broker.limits.Load()[class]
}

// over tells whether n bytes waiting are too many. s.mu is held. Where the loop
// does not drain, as the peer of a redcon connection does not read, n is the
// outbox alone.
func (s *subscriber) over(n int) bool {
	limit := s.outputLimit()
	if limit.Hard > 0 && int64(n) > limit.Hard {
		return true
	}
	if limit.Soft <= 0 || int64(n) <= limit.Soft {
		return false
	}
	now := resp.Monotonic()
	if s.since == 0 {
		s.since = now
	}
	return now-s.since > int64(limit.Seconds)*int64(time.Second)
}

// settle ends the time over the soft limit if n, all that waits for the
// client, is under it. s.mu is held.
func (s *subscriber) settle(n int) {
	if int64(n) <= s.outputLimit().Soft {
		s.since = 0
	}
}

// drop closes the client. s.mu is held.
func (s *subscriber) drop() {
	s.gone = true
	s.broker.recycle(s.box)
	s.box = nil
	s.broker.dropped.Add(1)
	s.port.Kill()
}

// outbox is a buffer of messages for one subscriber.
type outbox struct{ bytes []byte }

func (b *broker) recycle(box *outbox) {
	if box != nil && cap(box.bytes) <= outboxKept {
		box.bytes = box.bytes[:0]
		b.outboxes.Put(box)
	}
}
