package deploy

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"synap/server"
)

var loadTime = flag.Duration("load", 2*time.Second, "how long TestCountersAgreeWithLoad drives the server")

// tally is what a load generator knows it did, by series.
type tally map[string]float64

func (n tally) add(other tally) {
	for k, v := range other {
		n[k] += v
	}
}

// generator drives one connection.
type generator struct {
	conn net.Conn
	r    *bufio.Reader
	rnd  *rand.Rand
	did  tally
}

func newGenerator(s *server.Server, from string, seed uint64) (*generator, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", s.Addr("tcp").String())
	if err != nil {
		return nil, err
	}
	return &generator{conn, bufio.NewReader(conn), rand.New(rand.NewPCG(seed, 1)), tally{}}, nil
}

// request is one command and what it counts: n is the number of elements in
// its reply.
type request struct {
	words []string
	count func(did tally, n int, failed bool)
}

// series counts a command, and what else it moves.
func series(command string, more func(did tally, n int, failed bool)) func(tally, int, bool) {
	return func(did tally, n int, failed bool) {
		status := "success"
		if failed {
			status = "error"
		}
		did[`synap_commands_total{command="`+command+`",status="`+status+`"}`]++
		if more != nil {
			more(did, n, failed)
		}
	}
}

func queue(name, op string, fixed int) func(tally, int, bool) {
	return func(did tally, n int, failed bool) {
		switch {
		case failed:
			did[`synap_queue_operations_total{operation="`+op+`",queue="`+name+`",status="error"}`]++
		case fixed > 0:
			n = fixed
			fallthrough
		default:
			did[`synap_queue_operations_total{operation="`+op+`",queue="`+name+`",status="success"}`] += float64(n)
		}
		did[`synap_queue_operation_duration_seconds_count{operation="`+op+`",queue="`+name+`"}`]++
	}
}

func room(name, op string, fixed int) func(tally, int, bool) {
	return func(did tally, n int, _ bool) {
		if fixed > 0 {
			n = fixed
			did[`synap_stream_events_total{event_type="tick",room="`+name+`"}`]++
		}
		did[`synap_stream_operations_total{operation="`+op+`",room="`+name+`",status="success"}`] += float64(n)
	}
}

func counted(name string) func(tally, int, bool) {
	return func(did tally, _ int, _ bool) { did[name]++ }
}

func kvCounted(op string) func(tally, int, bool) {
	return func(did tally, _ int, failed bool) {
		status := "success"
		if failed {
			status = "error"
		}
		did[`synap_kv_operations_total{operation="`+op+`",status="`+status+`"}`]++
		did[`synap_kv_operation_duration_seconds_count{operation="`+op+`"}`]++
	}
}

// next makes up a request.
func (g *generator) next() request {
	i := strconv.Itoa(g.rnd.IntN(20))
	switch g.rnd.IntN(11) {
	case 0, 1:
		return request{[]string{"SET", "key:" + i, "v"}, series("set", kvCounted("set"))}
	case 2, 3:
		return request{[]string{"GET", "key:" + i}, series("get", kvCounted("get"))}
	case 4:
		return request{[]string{"INCR", "key:" + i}, series("incr", kvCounted("incr"))} // an error where SET was
	case 5:
		return request{[]string{"LPUSH", "queue:" + i, "a", "b", "c"}, series("lpush", queue("queue:"+i, "publish", 3))}
	case 6:
		return request{[]string{"RPOP", "queue:" + i, "4"}, series("rpop", queue("queue:"+i, "consume", 0))}
	case 7:
		return request{[]string{"LPUSH", "string", "x"}, series("lpush", queue("string", "publish", 0))}
	case 8:
		return request{[]string{"XADD", "room:" + i, "MAXLEN", "50", "*", "type", "tick"}, series("xadd", room("room:"+i, "publish", 1))}
	case 9:
		return request{[]string{"XRANGE", "room:" + i, "-", "+", "COUNT", "5"}, series("xrange", room("room:"+i, "consume", 0))}
	}
	return request{[]string{"PUBLISH", "topic:" + i, "m"}, series("publish", counted(`synap_pubsub_messages_total{topic="topic:`+i+`"}`))}
}

// run sends pipelines until end.
func (g *generator) run(end time.Time) error {
	for time.Now().Before(end) {
		batch := make([]request, 1+g.rnd.IntN(32))
		var b strings.Builder
		for i := range batch {
			batch[i] = g.next()
			fmt.Fprintf(&b, "*%d\r\n", len(batch[i].words))
			for _, w := range batch[i].words {
				fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
			}
		}
		if _, err := io.WriteString(g.conn, b.String()); err != nil {
			return err
		}
		for _, r := range batch {
			n, failed, err := g.reply()
			if err != nil {
				return err
			}
			r.count(g.did, n, failed)
		}
	}
	return nil
}

// reply reads one reply and returns the number of its elements.
func (g *generator) reply() (n int, failed bool, err error) {
	line, err := g.r.ReadString('\n')
	if err != nil {
		return 0, false, err
	}
	size, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '-':
		return 0, true, nil
	case '$':
		if size >= 0 {
			_, err = g.r.Discard(size + 2)
		}
	case '*':
		for range max(size, 0) {
			if _, _, err = g.reply(); err != nil {
				break
			}
		}
		return max(size, 0), false, err
	}
	return 0, false, err
}

// What the metrics say is what the load generators know they did, to the
// operation: on the side port, and in a Prometheus that scraped all the while.
func TestCountersAgreeWithLoad(t *testing.T) {
	s := start(t)
	addr := prometheus(t, s)
	first, err := newGenerator(s, "127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(first.conn, "SET string x\r\n")
	if _, _, err := first.reply(); err != nil {
		t.Fatal(err)
	}
	total := tally{}
	first.count(total)
	end := time.Now().Add(*loadTime)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards total
	for w := range 8 {
		g, err := newGenerator(s, "127.0.0."+strconv.Itoa(1+w%4), uint64(w))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer g.conn.Close()
			if err := g.run(end); err != nil {
				t.Error(err)
			}
			mu.Lock()
			total.add(g.did)
			mu.Unlock()
		})
	}
	wg.Wait()
	first.conn.Close()
	compare(t, "the side port", total, sidePort(t, s))
	compare(t, "Prometheus", total, stored(t, addr, total))
	report(t, total)
}

// count enters the first SET.
func (g *generator) count(total tally) {
	series("set", kvCounted("set"))(total, 0, false)
}

func compare(t *testing.T, where string, want, got tally) {
	t.Helper()
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %s is %v, the load generators did %v", where, name, got[name], n)
		}
	}
}

// sidePort scrapes once.
func sidePort(t *testing.T, s *server.Server) tally {
	t.Helper()
	res, err := http.Get("http://" + s.Addr("http").String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out := tally{}
	for sc := bufio.NewScanner(res.Body); sc.Scan(); {
		if line := sc.Text(); line != "" && line[0] != '#' {
			i := strings.LastIndexByte(line, ' ')
			out[line[:i]], _ = strconv.ParseFloat(line[i+1:], 64)
		}
	}
	return out
}

// stored asks Prometheus until its last scrape is younger than the load.
func stored(t *testing.T, addr string, want tally) tally {
	t.Helper()
	after := time.Now()
	for end := after.Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if n, err := results(addr, fmt.Sprintf(`timestamp(synap_uptime_seconds{job="synap"}) > %f`, float64(after.UnixMilli())/1000)); err == nil && n == 1 {
			break
		} else if time.Now().After(end) {
			t.Fatal("Prometheus does not scrape any more", err)
		}
	}
	out := tally{}
	for name := range want {
		out[name] = instant(t, addr, strings.Replace(name, "{", `{job="synap",`, 1))
	}
	return out
}

func instant(t *testing.T, addr, expr string) float64 {
	t.Helper()
	res, err := http.Get("http://" + addr + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || len(answer.Data.Result) != 1 {
		t.Errorf("%s: %d results, %v", expr, len(answer.Data.Result), err)
		return -1
	}
	v, _ := strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
	return v
}

// report prints the commands and how many series agreed.
func report(t *testing.T, total tally) {
	var names []string
	sum := 0.0
	for name, n := range total {
		if strings.HasPrefix(name, "synap_commands_total") {
			names = append(names, name)
			sum += n
		}
	}
	sort.Strings(names)
	t.Logf("%.0f commands in %v; %d series compared with the side port and with Prometheus", sum, *loadTime, len(total))
	for _, name := range names {
		t.Logf("%12.0f  %s", total[name], name)
	}
}
