package server

import (
	"strconv"
	"strings"

	"synap/store"
)

// Keyspace notifications: https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/.
// Every change of a key is an event, which is published as the name of the
// event to __keyspace@<db>__:<key> and as the key to __keyevent@<db>__:<event>.

// eventClass is a bit for each letter of notify-keyspace-events but A, in the
// order of eventLetters.
type eventClass uint32

const eventLetters = "KEg$lshzxetdnm"

const (
	byKey eventClass = 1 << iota
	byEvent
	genericEvents
	stringEvents
	listEvents
	setEvents
	hashEvents
	zsetEvents
	expiredEvents
	evictedEvents
	streamEvents
	moduleEvents
	newEvents
	missEvents
)

// classOfKind is the class of what commands of a type do to their keys.
var classOfKind = [...]eventClass{
	store.KindString: stringEvents, store.KindList: listEvents, store.KindSet: setEvents, store.KindZSet: zsetEvents,
	store.KindHash: hashEvents, store.KindStream: streamEvents, store.KindQueue: moduleEvents,
}

// classOf returns the class that a change's event belongs to.
func classOf(c *store.Change) eventClass {
	switch c.Event {
	case "del", "expire", "persist", "rename_from", "rename_to", "move_from", "move_to", "copy_to", "restore":
		return genericEvents
	}
	switch c.Effect {
	case store.Expired:
		return expiredEvents
	case store.Evicted:
		return evictedEvents
	case store.Missed:
		return missEvents
	}
	return classOfKind[c.Kind]
}

// parseEvents reads notify-keyspace-events; without K or E nothing is
// published.
func parseEvents(letters string, all string) eventClass {
	var on eventClass
	for _, letter := range strings.ReplaceAll(letters, "A", all) {
		on |= 1 << strings.IndexRune(eventLetters, letter)
	}
	if on&(byKey|byEvent) == 0 {
		return 0
	}
	return on
}

// notify publishes the events of a command's changes, in order. The shards of
// the keys are held, so that the events of a key keep the order of its changes.
func (s *Server) notify(w *worker, on eventClass, changes []store.Change) {
	if !s.broker.heard() {
		return
	}
	moving := false // the change before gave this one's key its value
	for i := range changes {
		c := &changes[i]
		if c.Effect == store.Flushed || c.Event == "" {
			continue
		}
		if on&newEvents != 0 {
			// Redis makes the new key before it removes the old one.
			if !moving && isNew(c) {
				s.announce(w, on, newEvents, "new", c)
			}
			moving = c.Event == "rename_from" || c.Event == "move_from"
			if moving && i+1 < len(changes) {
				s.announce(w, on, newEvents, "new", &changes[i+1])
			}
		}
		s.announce(w, on, classOf(c), c.Event, c)
	}
	if cap(w.channel) > scratchKept {
		w.channel = nil
	}
}

// isNew tells whether Redis adds the key: some commands remove what they
// overwrite first.
func isNew(c *store.Change) bool {
	switch c.Event {
	case "rename_to", "move_to", "copy_to", "restore":
		return true
	}
	return c.Effect == store.Created
}

// announce publishes one event, if its class is on.
func (s *Server) announce(w *worker, on, class eventClass, event string, c *store.Change) {
	if on&class == 0 {
		return
	}
	n := 0
	if on&byKey != 0 {
		w.channel = appendChannel(w.channel[:0], "__keyspace@", c.DB)
		w.channel = append(w.channel, c.Key...)
		w.payload = append(w.payload[:0], event...)
		n += s.broker.distribute(channelTopic, w.channel, w.payload)
	}
	if on&byEvent != 0 {
		w.channel = appendChannel(w.channel[:0], "__keyevent@", c.DB)
		w.channel = append(w.channel, event...)
		n += s.broker.distribute(channelTopic, w.channel, c.Key)
	}
	w.pushed = w.pushed || n > 0
}

func appendChannel(b []byte, kind string, db int) []byte {
	b = strconv.AppendInt(append(b, kind...), int64(db), 10)
	return append(b, "__:"...)
}
