package server

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"synap/config"
)

// reading enters a tracker that is told over a reader of the broker's tests.
func reading(t *trackingTable, b *broker) *tracker {
	r := newReader(b)
	r.setProto(3)
	tr := &tracker{sub: r.subscriber}
	t.track(tr, 0, 0, nil)
	return tr
}

func (t *trackingTable) counts() [3]int64 {
	return [3]int64{t.keys.Load(), t.items.Load(), t.names.Load()}
}

func names(h holders, of []*tracker) string {
	var all []int
	if h.one != nil {
		h.each(func(tr *tracker) { all = append(all, slices.Index(of, tr)) })
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

func TestTrackingTable(t *testing.T) {
	table, b := newTrackingTable(), newBroker()
	var all []*tracker
	for range 40 {
		all = append(all, reading(table, b))
	}
	for round := range 2 { // the second remembers what is known
		for i, tr := range all {
			for k := range 40 - i { // key 0 has every reader, key 39 one
				table.remember(tr, fmt.Appendf(nil, "k%02d", k))
			}
		}
		if got, want := table.counts(), [3]int64{40, 820, 120}; got != want {
			t.Fatalf("round %d: counts %v, want %v", round, got, want)
		}
	}
	if n := all[3].items.Load(); n != 37 {
		t.Errorf("a tracker counts %d places, want 37", n)
	}
	for _, k := range []int{39, 38, 30, 0} {
		var want []int
		for i := range 40 - k {
			want = append(want, i)
		}
		if got := names(table.forget(fmt.Appendf(nil, "k%02d", k)), all); got != fmt.Sprint(want) {
			t.Errorf("key %d is held by %s, want %v", k, got, want)
		}
	}
	if got := names(table.forget([]byte("k00")), all); got != "[]" {
		t.Errorf("a forgotten key is held by %s", got)
	}
	if got, want := table.counts(), [3]int64{36, 820 - 1 - 2 - 10 - 40, 108}; got != want {
		t.Errorf("counts %v, want %v", got, want)
	}
	table.clear()
	if got := table.counts(); got != [3]int64{} || all[0].items.Load() != 0 {
		t.Errorf("counts %v and %d after clear", got, all[0].items.Load())
	}
}

// TestTrackingTableForgetsClients: who left costs nothing once a sweep is worth
// its while, and never more than a quarter of the table.
func TestTrackingTableForgetsClients(t *testing.T) {
	table, b := newTrackingTable(), newBroker()
	stays := reading(table, b)
	for range 50 {
		leaves := reading(table, b)
		for k := range 100 {
			table.remember(leaves, strconv.AppendInt(nil, int64(k), 10))
			table.remember(stays, strconv.AppendInt(nil, int64(k%10), 10))
		}
		table.leave(leaves)
		table.sweep()
	}
	table.sweep() // takes out the trackers themselves
	if got := table.counts(); got[0] != 10 || got[1] != 10 {
		t.Errorf("counts %v, want those of one client", got)
	}
	if len(table.trackers) != 1 || table.clients.Load() != 1 {
		t.Errorf("%d trackers and %d clients are left, want one", len(table.trackers), table.clients.Load())
	}
	h := table.forget([]byte("7"))
	if got := names(h, []*tracker{stays}); got != "[0]" {
		t.Errorf("the key of the client that stays is held by %s", got)
	}
}

// TestTrackingTableIsBounded by keys and by the bytes of their names.
func TestTrackingTableIsBounded(t *testing.T) {
	table, b := newTrackingTable(), newBroker()
	table.maxKeys.Store(1000)
	tr := reading(table, b)
	evict := func() (n int) {
		for table.over() {
			if _, h, ok := table.evict(); !ok || h.one != tr {
				t.Fatal("nothing to evict from a table over its limit")
			}
			n++
		}
		return n
	}
	for k := range 1500 {
		table.remember(tr, strconv.AppendInt(nil, int64(k), 10))
	}
	if n := evict(); n != 500 || table.keys.Load() != 1000 {
		t.Errorf("%d keys were evicted and %d are left, want 500 and 1000", n, table.keys.Load())
	}
	long := make([]byte, trackedName*100)
	for k := range 20 {
		long[0] = byte(k)
		table.remember(tr, long)
	}
	evict()
	if n := table.names.Load(); n > 1001*trackedName {
		t.Errorf("the names take %d bytes, want at most %d", n, 1001*trackedName)
	}
	for table.keys.Load() > 0 {
		table.evict()
	}
	if got := table.counts(); got != [3]int64{} || tr.items.Load() != 0 {
		t.Errorf("counts %v and %d of an empty table", got, tr.items.Load())
	}
	if _, _, ok := table.evict(); ok {
		t.Error("an empty table evicts")
	}
}

// TestPrefixOverlap compares overlap with what it means, pair by pair.
func TestPrefixOverlap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	words := func(n int) (all []string) {
		for range rnd.IntN(n) {
			w := make([]byte, rnd.IntN(4))
			for i := range w {
				w[i] = "ab"[rnd.IntN(2)]
			}
			all = append(all, string(w))
		}
		return all
	}
	both := func(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
	for range 20000 {
		var used []string
		for _, w := range words(5) {
			if !slices.ContainsFunc(used, func(u string) bool { return both(u, w) }) {
				used = append(used, w)
			}
		}
		slices.Sort(used)
		given := words(6)
		want := fmt.Sprint(-1, "", false)
	search:
		for i, p := range given {
			for _, u := range used {
				if both(p, u) {
					want = fmt.Sprint(i, u, true)
					break search
				}
			}
			for _, q := range given[i+1:] {
				if both(p, q) {
					want = fmt.Sprint(i, q, false)
					break search
				}
			}
		}
		i, with, existing := overlap(used, given)
		if got := fmt.Sprint(i, with, existing); got != want {
			t.Fatalf("overlap(%q, %q) is %s, want %s", used, given, got, want)
		}
	}
	many := make([]string, 200_000) // quadratic work would take minutes
	for i := range many {
		many[i] = fmt.Sprintf("%07d", i)
	}
	if i, _, _ := overlap(nil, append(many, many[len(many)-1])); i != len(many)-1 {
		t.Errorf("the overlap is at %d, want %d", i, len(many)-1)
	}
}

// TestOwnOutputIsNoTrackingMessage: replies that wait for a tracking client do
// not count towards the limit of its messages, unread messages do.
func TestOwnOutputIsNoTrackingMessage(t *testing.T) {
	b := newBroker()
	b.setLimits([3]config.OutputLimit{config.ClassPubSub: {Hard: 1000}})
	r := newReader(b)
	r.setProto(3)
	r.out.SetProto(3)
	r.out.BulkString(strings.Repeat("x", 5000))
	replies := r.out.Len()
	var m message
	for n := 0; n < 100 && !r.killed.Load(); n++ {
		m.setInvalid([][]byte{[]byte("key")})
		r.invalidate(&m, false)
		r.drain(&r.out, false)
	}
	if unread := r.out.Len() - replies; !r.killed.Load() || b.dropped.Load() != 1 || unread <= 900 || unread > 1000 {
		t.Errorf("with %d bytes of messages unread, closed is %v", unread, r.killed.Load())
	}
}

// cacheClient is a client that keeps what it reads until it is told otherwise.
type cacheClient struct {
	conn  net.Conn
	in    *bufio.Reader
	cache map[string]string
}

// TestTrackingIsCoherent: whatever others write, a value that stays in a
// client's cache once all is quiet is the value of the key.
func TestTrackingIsCoherent(t *testing.T) {
	bothDoors(t, func(t *testing.T, change func(*config.Config)) {
		for _, mode := range []string{"", " BCAST", " BCAST PREFIX k", " OPTOUT"} {
			t.Run(strings.TrimSpace("ON"+mode), func(t *testing.T) { checkCoherence(t, change, "CLIENT TRACKING ON"+mode) })
		}
	})
}

func checkCoherence(t *testing.T, change func(*config.Config), tracking string) {
	const readers, writers, keys, rounds = 8, 4, 20, 1500
	s := startServer(t, func(c *config.Config) {
		change(c)
		c.TrackingTableMaxKeys = keys / 2 // so that keys are forgotten, too
	})
	var all []*cacheClient
	var done, left sync.WaitGroup
	for range readers {
		c := &cacheClient{conn: dialTest(t, s), cache: map[string]string{}}
		c.in = bufio.NewReader(c.conn)
		fmt.Fprintf(c.conn, "HELLO 3\r\n%s\r\n", tracking)
		all = append(all, c)
	}
	for i := range writers {
		done.Add(1)
		go func() {
			defer done.Done()
			writeAtRandom(t, dialTest(t, s), uint64(i), keys, rounds)
		}()
	}
	var marks atomic.Int64
	for i, c := range all {
		left.Add(1)
		go func() {
			defer left.Done()
			c.follow(t, &marks)
		}()
		done.Add(1)
		go func() {
			defer done.Done()
			rnd := rand.New(rand.NewPCG(uint64(i), 7))
			for range rounds {
				fmt.Fprintf(c.conn, "ECHO k%[1]d\r\nGET k%[1]d\r\n", rnd.IntN(keys))
			}
		}()
	}
	done.Wait()
	truth := newCacheClient(t, s)
	for k := range keys { // none may expire unseen
		fmt.Fprintf(truth.conn, "PERSIST k%d\r\n", k)
		readFrame(t, truth.in)
	}
	for _, c := range all { // behind every reply and every message
		fmt.Fprint(c.conn, "ECHO end\r\n")
	}
	left.Wait()
	for k := range keys {
		key := fmt.Sprint("k", k)
		want := truth.get(t, key)
		for i, c := range all {
			if got, ok := c.cache[key]; ok && got != want {
				t.Errorf("client %d keeps %s = %q, which is %q", i, key, got, want)
			}
		}
	}
	if n := marks.Load(); n == 0 {
		t.Error("no client was told of anything")
	}
}

func newCacheClient(t *testing.T, s *Server) *cacheClient {
	c := &cacheClient{conn: dialTest(t, s)}
	c.in = bufio.NewReader(c.conn)
	return c
}

func (c *cacheClient) get(t *testing.T, key string) string {
	fmt.Fprintf(c.conn, "GET %s\r\n", key)
	return readFrame(t, c.in)
}

func dialTest(t *testing.T, s *Server) net.Conn {
	conn, err := net.Dial("tcp", s.Addr("tcp").String())
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// writeAtRandom sets, deletes, expires, renames and flushes, in pipelines and
// transactions.
func writeAtRandom(t *testing.T, conn net.Conn, seed uint64, keys, rounds int) {
	rnd := rand.New(rand.NewPCG(seed, 99))
	in := bufio.NewReader(conn)
	for i := range rounds {
		a, b := rnd.IntN(keys), rnd.IntN(keys)
		replies := 1
		switch rnd.IntN(12) {
		case 0:
			fmt.Fprintf(conn, "DEL k%d k%d\r\n", a, b)
		case 1:
			fmt.Fprintf(conn, "SET k%d %d-%d PX 1\r\n", a, seed, i)
		case 2:
			fmt.Fprintf(conn, "MULTI\r\nSET k%d %d-%d\r\nMSET k%d x k%d y\r\nEXEC\r\n", a, seed, i, b, a)
			replies = 4
		case 3:
			fmt.Fprintf(conn, "COPY k%d k%d REPLACE\r\n", a, b)
		case 4:
			if rnd.IntN(20) == 0 {
				fmt.Fprint(conn, "FLUSHALL\r\n")
			} else {
				fmt.Fprintf(conn, "APPEND k%d z\r\n", a)
			}
		default:
			fmt.Fprintf(conn, "SET k%d %d-%d\r\n", a, seed, i)
		}
		for range replies {
			readFrame(t, in)
		}
	}
}

// follow reads replies and messages in their order until the end is echoed.
func (c *cacheClient) follow(t *testing.T, marks *atomic.Int64) {
	readFrame(t, c.in) // HELLO
	readFrame(t, c.in) // CLIENT TRACKING
	key := ""
	for {
		switch got := readFrame(t, c.in); {
		case got == "":
			return // the connection failed
		case got == ">[invalidate nil]":
			clear(c.cache)
			marks.Add(1)
		case strings.HasPrefix(got, ">[invalidate ["):
			for _, k := range strings.Fields(strings.Trim(got[len(">[invalidate "):], "[]")) {
				maps.DeleteFunc(c.cache, func(name, _ string) bool { return name == k })
			}
			marks.Add(1)
		case got == "end":
			return
		case key == "":
			key = got
		default:
			c.cache[key], key = got, ""
		}
	}
}

// readFrame returns a reply or message as text: aggregates in brackets.
func readFrame(t *testing.T, in *bufio.Reader) string {
	line, err := in.ReadString('\n')
	if err != nil {
		t.Error(err)
		return ""
	}
	line = strings.TrimRight(line, "\r\n")
	n, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '$':
		if n < 0 {
			return "nil"
		}
		b := make([]byte, n+2)
		for at := 0; at < len(b); {
			m, err := in.Read(b[at:])
			if err != nil {
				t.Error(err)
				return ""
			}
			at += m
		}
		return string(b[:n])
	case '_':
		return "nil"
	case '%':
		n *= 2
		fallthrough
	case '*', '>':
		var parts []string
		for range n {
			parts = append(parts, readFrame(t, in))
		}
		return strings.Trim(line[:1], "*%") + "[" + strings.Join(parts, " ") + "]"
	}
	return line[1:]
}
