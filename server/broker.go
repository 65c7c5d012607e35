package server

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"synap/command"
	"synap/config"
	"synap/resp"
)

// The broker carries messages from publishers to subscribers. Any goroutine
// may publish; a message is encoded once a protocol and its bytes are appended
// to the outbox of each subscriber, which the subscriber's own loop moves into
// its output. Nobody ever waits for a subscriber: one whose outbox is over its
// limit is closed and counted.
//
// Order: messages of one channel reach all their subscribers in the same order,
// as a channel's publishers take the lock of its part of the index in turn.
//
// Locks, in this order: part, patternIndex.mu or monitorsMu, subscriber.mu.
// They are leaves: shard locks of the store may be held around them, and
// nothing else is taken inside but the mailbox of a loop (resp.Conn.Post).

// topicKind is a kind of name that clients subscribe to.
type topicKind uint8

const (
	channelTopic topicKind = iota
	patternTopic
	shardTopic
	topicKinds
)

// brokerParts is the number of locks of an index; a power of two.
const brokerParts = 64

// outboxKept is the largest outbox, in bytes, that is used again.
const outboxKept = 64 << 10

type broker struct {
	seed     maphash.Seed
	channels topicIndex
	shards   topicIndex

	patterns patternIndex

	monitorsMu sync.Mutex // guards the two below
	monitors   []*subscriber
	line       message
	monitorN   atomic.Int64 // len(monitors)

	outboxes    sync.Pool // *outbox of at most outboxKept bytes
	limits      atomic.Pointer[[3]config.OutputLimit]
	subscribers atomic.Int64 // clients with at least one subscription
	dropped     atomic.Int64 // clients closed because they did not read

	// published, if set, is told of every PUBLISH and SPUBLISH and the number
	// of clients that got the message. Set before the first use.
	published func(kind topicKind, channel []byte, receivers int)
}

// topicIndex maps the names of one kind of channel to their subscribers.
type topicIndex struct {
	topics atomic.Int64 // names with at least one subscriber
	parts  [brokerParts]topicPart
}

type topicPart struct {
	mu     sync.Mutex // guards the fields below, and the subs of its topics
	topics map[string]*topic
	msg    message
	_      [32]byte // keeps neighbouring locks off one cache line
}

// topic is a channel or pattern with at least one subscriber. Guarded by the
// lock of its part, or of the pattern index.
type topic struct {
	name string
	subs []*subscription
}

// subscription binds a subscriber to a topic. pos is its place in topic.subs
// and has the guard of topic.subs.
type subscription struct {
	sub   *subscriber
	topic *topic
	pos   int
}

func newBroker() *broker {
	b := &broker{seed: maphash.MakeSeed(), patterns: newPatternIndex()}
	b.limits.Store(new([3]config.OutputLimit))
	b.outboxes.New = func() any { return &outbox{make([]byte, 0, 512)} }
	for i := range brokerParts {
		b.channels.parts[i].topics = make(map[string]*topic)
		b.shards.parts[i].topics = make(map[string]*topic)
	}
	return b
}

// setLimits takes over client-output-buffer-limit.
func (b *broker) setLimits(limits [3]config.OutputLimit) { b.limits.Store(&limits) }

func (b *broker) index(kind topicKind) *topicIndex {
	if kind == shardTopic {
		return &b.shards
	}
	return &b.channels
}

func (x *topicIndex) part(seed maphash.Seed, name []byte) *topicPart {
	return &x.parts[maphash.Bytes(seed, name)&(brokerParts-1)]
}

// publish is PUBLISH or SPUBLISH. It returns the number of deliveries.
func (b *broker) publish(kind topicKind, channel, payload []byte) int {
	n := b.distribute(kind, channel, payload)
	if b.published != nil {
		b.published(kind, channel, n)
	}
	return n
}

// heard reports whether anybody could get a message of a channel.
func (b *broker) heard() bool { return b.channels.topics.Load() > 0 || b.patterns.n.Load() > 0 }

// distribute sends payload to the subscribers of a channel or shard channel, and
// for a channel to those of each pattern that matches it. It returns the number
// of deliveries. The arguments are not kept.
func (b *broker) distribute(kind topicKind, channel, payload []byte) int {
	n := 0
	x := b.index(kind)
	matching := kind == channelTopic && b.patterns.n.Load() > 0
	if matching || x.topics.Load() > 0 {
		p := x.part(b.seed, channel)
		p.mu.Lock()
		if t := p.topics[string(channel)]; t != nil {
			p.msg.set(kind, nil, channel, payload)
			n = t.deliver(&p.msg)
		}
		if matching {
			n += b.publishMatching(&p.msg, channel, payload)
		}
		p.msg.forget()
		p.mu.Unlock()
	}
	return n
}

func (b *broker) publishMatching(m *message, channel, payload []byte) int {
	n := 0
	b.patterns.mu.RLock()
	b.patterns.each(channel, func(p *pattern) {
		if command.Glob(p.bytes, channel) {
			m.set(patternTopic, p.bytes, channel, payload)
			n += p.deliver(m)
		}
	})
	b.patterns.mu.RUnlock()
	return n
}

func (t *topic) deliver(m *message) int {
	for _, s := range t.subs {
		s.sub.push(m)
	}
	return len(t.subs)
}

// monitoring reports whether any client is in MONITOR mode; one atomic load.
func (b *broker) monitoring() bool { return b.monitorN.Load() > 0 }

// monitor sends a line, without its line end, to every client in MONITOR mode.
func (b *broker) monitor(line []byte) {
	b.monitorsMu.Lock()
	b.line.setLine(line)
	for _, s := range b.monitors {
		s.push(&b.line)
	}
	b.line.forget()
	b.monitorsMu.Unlock()
}

// numSub returns the number of subscribers of a channel or shard channel.
func (b *broker) numSub(kind topicKind, name []byte) int {
	p := b.index(kind).part(b.seed, name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.topics[string(name)]; t != nil {
		return len(t.subs)
	}
	return 0
}

// numTopics returns how many names of a kind have at least one subscriber.
func (b *broker) numTopics(kind topicKind) int64 {
	if kind == patternTopic {
		return b.patterns.n.Load()
	}
	return b.index(kind).topics.Load()
}

// topicSize is a channel's name and its number of subscribers.
type topicSize struct {
	Name        string
	Subscribers int
}

// topics lists the channels or shard channels whose name matches pattern (nil:
// all) in no order. It holds one part's lock at a time.
func (b *broker) topics(kind topicKind, pattern []byte) []topicSize {
	var all []topicSize
	x := b.index(kind)
	for i := range x.parts {
		p := &x.parts[i]
		p.mu.Lock()
		for name, t := range p.topics {
			if pattern == nil || command.Glob(pattern, []byte(name)) {
				all = append(all, topicSize{name, len(t.subs)})
			}
		}
		p.mu.Unlock()
	}
	return all
}

// add enters s under name and returns the binding.
func (b *broker) add(kind topicKind, name []byte, s *subscriber) *subscription {
	if kind == patternTopic {
		return b.patterns.add(name, s)
	}
	x := b.index(kind)
	p := x.part(b.seed, name)
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.topics[string(name)]
	if t == nil {
		t = &topic{name: string(name)}
		p.topics[t.name] = t
		x.topics.Add(1)
	}
	return t.add(s)
}

// remove undoes add: once it returns, no message of the topic enters the
// outbox.
func (b *broker) remove(kind topicKind, sn *subscription) {
	if kind == patternTopic {
		b.patterns.remove(sn)
		return
	}
	x := b.index(kind)
	p := x.part(b.seed, []byte(sn.topic.name))
	p.mu.Lock()
	defer p.mu.Unlock()
	if !sn.topic.remove(sn) {
		delete(p.topics, sn.topic.name)
		x.topics.Add(-1)
	}
}

func (t *topic) add(s *subscriber) *subscription {
	sn := &subscription{sub: s, topic: t, pos: len(t.subs)}
	t.subs = append(t.subs, sn)
	return sn
}

// remove takes sn out in constant time and reports whether others are left.
func (t *topic) remove(sn *subscription) bool {
	last := len(t.subs) - 1
	moved := t.subs[last]
	t.subs[sn.pos], moved.pos = moved, sn.pos
	t.subs[last] = nil
	t.subs = t.subs[:last]
	return last > 0
}

// message is one message on its way, encoded at most once a protocol. Guarded
// by the lock of the part or list that it belongs to, or a worker's own.
type message struct {
	form             messageForm
	kind             topicKind
	pattern, channel []byte
	payload          []byte
	keys             [][]byte      // that became invalid; nil: all
	id               int64         // of the client that a redirection cannot reach
	encoded          [2]resp.Reply // RESP2, RESP3; empty: not yet encoded
}

// messageForm says what a message is; the first is one that was published.
type messageForm uint8

const (
	publishedForm messageForm = iota
	lineForm                  // a line of MONITOR, in payload
	invalidForm
	brokenForm // the redirection of invalidations is broken
)

func (m *message) set(kind topicKind, pattern, channel, payload []byte) {
	m.forget()
	m.form, m.kind, m.pattern, m.channel, m.payload = publishedForm, kind, pattern, channel, payload
}

func (m *message) setLine(line []byte) {
	m.set(0, nil, nil, line)
	m.form = lineForm
}

func (m *message) setInvalid(keys [][]byte) {
	m.forget()
	m.form, m.keys = invalidForm, keys
}

func (m *message) setBroken(id int64) {
	m.forget()
	m.form, m.id = brokenForm, id
}

// forget drops what was set.
func (m *message) forget() {
	m.pattern, m.channel, m.payload, m.keys = nil, nil, nil, nil
	m.encoded[0].Reset()
	m.encoded[1].Reset()
}

// frame returns the message in protocol 2 or 3.
func (m *message) frame(proto int) []byte {
	r := &m.encoded[proto-2]
	if r.Len() > 0 {
		return r.Bytes()
	}
	r.SetProto(proto)
	switch m.form {
	case lineForm:
		r.Status(string(m.payload))
	case invalidForm:
		m.encodeInvalid(r)
	case brokenForm:
		r.Push(2)
		r.BulkString("tracking-redir-broken")
		r.Int(m.id)
	default:
		m.encodePublished(r)
	}
	return r.Bytes()
}

// encodeInvalid writes keys that became invalid: in RESP2 as a message of a
// channel.
func (m *message) encodeInvalid(r *resp.Reply) {
	if r.Proto() == 2 {
		r.Push(3)
		r.BulkString("message")
		r.BulkString("__redis__:invalidate")
	} else {
		r.Push(2)
		r.BulkString("invalidate")
	}
	if m.keys == nil {
		r.Null()
		return
	}
	r.Array(len(m.keys))
	for _, key := range m.keys {
		r.Bulk(key)
	}
}

func (m *message) encodePublished(r *resp.Reply) {
	switch m.kind {
	case patternTopic:
		r.Push(4)
		r.BulkString("pmessage")
		r.Bulk(m.pattern)
	case shardTopic:
		r.Push(3)
		r.BulkString("smessage")
	default:
		r.Push(3)
		r.BulkString("message")
	}
	r.Bulk(m.channel)
	r.Bulk(m.payload)
}
