package server

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"synap/config"
	"synap/store"
)

func TestEventClasses(t *testing.T) {
	for letters, want := range map[string]eventClass{
		"": 0, "A": 0, "gxm": 0, "Ex": byEvent | expiredEvents, "gKE": byKey | byEvent | genericEvents,
		"AnKm": byKey | genericEvents | stringEvents | listEvents | setEvents | hashEvents | zsetEvents |
			expiredEvents | evictedEvents | streamEvents | moduleEvents | newEvents | missEvents,
	} {
		if got := parseEvents(letters, config.EventClasses); got != want {
			t.Errorf("%q is %b, want %b", letters, got, want)
		}
	}
	for kind := store.KindString; kind <= store.KindQueue; kind++ {
		if classOf(&store.Change{Kind: kind, Event: "some"}) == 0 {
			t.Errorf("changes of a %s belong to no class", kind)
		}
		if got := classOf(&store.Change{Kind: kind, Event: "del", Effect: store.Emptied}); got != genericEvents {
			t.Errorf("del of a %s is of class %b", kind, got)
		}
	}
}

// TestEvictionIsAnnounced to subscribers and to those who read the key.
func TestEvictionIsAnnounced(t *testing.T) {
	s := startServer(t, func(c *config.Config) { c.NotifyKeyspaceEvents, c.MaxMemoryPolicy = "eE", "allkeys-random" })
	newClient := func(lines ...string) *bufio.Reader {
		conn := dialTest(t, s)
		in := bufio.NewReader(conn)
		for _, line := range lines {
			fmt.Fprint(conn, line, "\r\n")
			readFrame(t, in)
		}
		return in
	}
	newClient("SET victim v")
	reader := newClient("HELLO 3", "CLIENT TRACKING ON", "GET victim")
	caster := newClient("HELLO 3", "CLIENT TRACKING ON BCAST PREFIX vic")
	subscriber := newClient("HELLO 3", "SUBSCRIBE __keyevent@0__:evicted")
	newClient("CONFIG SET maxmemory 1", "SET more v")
	for in, want := range map[*bufio.Reader]string{
		reader: ">[invalidate [victim]]", caster: ">[invalidate [victim]]",
		subscriber: ">[message __keyevent@0__:evicted victim]",
	} {
		if got := readFrame(t, in); got != want {
			t.Errorf("a client was told %q, want %q", got, want)
		}
	}
}

// TestEventsAreNoTopics: keys must not fill the table of topics that have
// series of their own.
func TestEventsAreNoTopics(t *testing.T) {
	s := startServer(t, func(c *config.Config) { c.NotifyKeyspaceEvents = "AKE" })
	conn := dialTest(t, s)
	in := bufio.NewReader(conn)
	for _, line := range []string{"HELLO 3", "PSUBSCRIBE *", "SET k v"} {
		fmt.Fprint(conn, line, "\r\n")
		readFrame(t, in)
	}
	for _, want := range []string{">[pmessage * __keyspace@0__:k set]", ">[pmessage * __keyevent@0__:set k]"} {
		if got := readFrame(t, in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for name := range scrape(t, s) {
		if strings.Contains(name, "__key") {
			t.Errorf("a keyspace event has a series: %s", name)
		}
	}
}
