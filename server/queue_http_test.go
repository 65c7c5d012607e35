package server

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"synap/config"
)

// ask sends a request to the side port and returns the answer, decoded.
func ask(t testing.TB, s *Server, method, path string, status int) map[string]any {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+s.Addr("http").String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, res.StatusCode, status, body)
	}
	out := map[string]any{}
	if err := json.Unmarshal(body, &out); err != nil && res.Header.Get("Content-Type") == "application/json" {
		t.Fatalf("%s %s: %v in %s", method, path, err, body)
	}
	return out
}

// same compares a part of an answer, as JSON.
func same(t testing.TB, what string, got any, want string) {
	t.Helper()
	b, err := json.Marshal(got)
	if err != nil || string(b) != want {
		t.Errorf("%s is %s, want %s (%v)", what, b, want, err)
	}
}

func TestQueuePages(t *testing.T) {
	s := startServer(t, func(c *config.Config) { c.HTTPAdmin = true })
	c := connect(t, s)
	c.do("QCREATE", "a/b c", "RETRIES", "0", "MAXDEPTH", "7")
	c.do("QPUBLISH", "a/b c", "hello", "PRIORITY", "7", "ID", "one", "HEADERS", "1", "type", "mail")
	c.do("QPUBLISH", "a/b c", "\xff\x00", "ID", "two")
	c.do("QPUBLISH", "a/b c", strings.Repeat("é", 4000), "ID", "three")
	c.do("SET", "other", "x")
	c.do("SELECT", "3")
	c.do("QPUBLISH", "third", "x")
	c.do("SELECT", "0")

	list := ask(t, s, "GET", "/queues", 200)
	same(t, "cursor", list["cursor"], `"0"`)
	row := list["queues"].([]any)[0].(map[string]any)
	same(t, "name", row["name"], `"a/b c"`)
	same(t, "ready", row["ready"], `3`)
	same(t, "queues", len(list["queues"].([]any)), `1`)
	same(t, "no match", ask(t, s, "GET", "/queues?match=x*", 200)["queues"], `[]`)
	same(t, "database 3", len(ask(t, s, "GET", "/queues?db=3&match=th*", 200)["queues"].([]any)), `1`)

	page := ask(t, s, "GET", "/queues/a%2Fb%20c", 200)
	same(t, "depth", page["settings"].(map[string]any)["max_depth"], `7`)
	same(t, "published", page["published"], `3`)
	same(t, "rates", page["rates"], `{"acked":0,"consumed":0,"over_seconds":0,"published":0}`)
	m := page["messages"].([]any)
	same(t, "payload", m[0].(map[string]any)["payload"], `"hello"`)
	same(t, "headers", m[0].(map[string]any)["headers"], `["type","mail"]`)
	same(t, "bytes", m[1].(map[string]any)["payload"], `{"base64":"/wA="}`)
	same(t, "long", m[2].(map[string]any)["payload"].(map[string]any)["bytes"], `8000`)
	same(t, "count", len(ask(t, s, "GET", "/queues/a%2Fb%20c?count=2", 200)["messages"].([]any)), `2`)

	c.do("QCONSUME", "a/b c", "w", "COUNT", "3")
	c.do("QNACK", "a/b c", "1-1")
	c.do("QNACK", "a/b c", "2-1", "DEAD")
	dead := ask(t, s, "GET", "/queues/a%2Fb%20c/dead?offset=1", 200)
	same(t, "dead", dead["dead"], `2`)
	same(t, "reason", dead["letters"].([]any)[0].(map[string]any)["reason"], `"dead"`)

	// What changes a queue reaches those who wait, the counters and the other pages.
	before := scrape(t, s)
	waiting := connect(t, s)
	waiting.send("QCONSUME", "target", "w", "BLOCK", "0")
	for s.counters.blocked.Load() == 0 {
		c.do("PING")
	}
	same(t, "redriven", ask(t, s, "POST", "/queues/a%2Fb%20c/redrive?id=one&to=target", 200), `{"redriven":1}`)
	if got := waiting.read(); !strings.Contains(got, `"one"`) {
		t.Errorf("who waits got %s", got)
	}
	same(t, "redriven", ask(t, s, "POST", "/queues/a%2Fb%20c/redrive", 200), `{"redriven":1}`)
	same(t, "purged", ask(t, s, "POST", "/queues/a%2Fb%20c/purge?state=all", 200), `{"purged":2}`)
	after := scrape(t, s)
	for name, delta := range map[string]float64{
		queueOp("target", "publish", "success"):                                               1,
		queueOp("a/b c", "publish", "success"):                                                1,
		`synap_http_requests_total{method="POST",path="/queues/{name}/redrive",status="200"}`: 2,
		`synap_http_requests_total{method="POST",path="/queues/{name}/purge",status="200"}`:   1,
	} {
		if after[name]-before[name] != delta {
			t.Errorf("%s moved by %v, want %v", name, after[name]-before[name], delta)
		}
	}
}

func TestQueuePagesRefuse(t *testing.T) {
	s := startServer(t, nil)
	c := connect(t, s)
	c.do("QPUBLISH", "q", "m")
	c.do("SET", "s", "x")
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/queues?db=16", 400}, {"GET", "/queues?db=-1", 400}, {"GET", "/queues?count=0", 400}, {"GET", "/queues?count=1001", 400},
		{"GET", "/queues?cursor=-1", 400}, {"GET", "/queues?cursor=99999999999999999999", 400}, {"GET", "/queues?%zz", 400},
		{"GET", "/queues/nosuch", 404}, {"GET", "/queues/s", 404}, {"GET", "/queues/q?db=1", 404}, {"GET", "/queues/q/dead?offset=x", 400},
		{"GET", "/queues/q/nosuch", 404}, {"POST", "/queues", 405}, {"GET", "/queues/q/redrive", 405}, {"DELETE", "/queues/q", 405},
		{"POST", "/queues/q/purge?state=all", 403}, {"POST", "/queues/q/redrive", 403},
	} {
		ask(t, s, tt.method, tt.path, tt.status)
	}
	if got := c.do("QPEEK", "q"); !strings.Contains(got, `"m"`) {
		t.Errorf("the queue is %s", got)
	}
	admin := startServer(t, func(c *config.Config) { c.HTTPAdmin = true })
	d := connect(t, admin)
	d.do("QCREATE", "q", "RETRIES", "0")
	d.do("QPUBLISH", "q", "m")
	d.do("QCONSUME", "q", "w")
	d.do("QNACK", "q", "1-1")
	d.do("SET", "s", "x")
	for _, tt := range []struct {
		path   string
		status int
	}{
		{"/queues/nosuch/purge?state=all", 404}, {"/queues/q/purge", 400}, {"/queues/q/purge?state=x", 409}, {"/queues/s/redrive", 404},
		{"/queues/q/redrive?count=0", 409}, {"/queues/q/redrive?count=1&id=x", 409}, {"/queues/q/redrive?to=s", 409},
	} {
		if got := ask(t, admin, "POST", tt.path, tt.status); got["error"] == "" {
			t.Errorf("%s says %v", tt.path, got)
		}
	}
	if got := ask(t, admin, "GET", "/queues/q", 200); got["dead"] != 1.0 {
		t.Errorf("refused requests changed %v", got)
	}
}
