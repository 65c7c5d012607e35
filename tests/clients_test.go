//go:build !record

package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
)

// The tours use clients in their default settings.

func TestGoRedis(t *testing.T) {
	p := startProgram(t)
	ctx, cancel := context.WithTimeout(context.Background(), replyTimeout)
	defer cancel()
	c := goredis.NewClient(&goredis.Options{Addr: p.addr})
	defer c.Close()
	is(t, "SET", c.Set(ctx, "k", "v", time.Minute).Err(), nil)
	v, err := c.Get(ctx, "k").Result()
	is(t, "GET", v, "v")
	is(t, "GET", err, nil)
	is(t, "GET of nothing", c.Get(ctx, "nothing").Err(), error(goredis.Nil))
	if ttl := c.TTL(ctx, "k").Val(); ttl <= 50*time.Second || ttl > time.Minute {
		t.Errorf("TTL %v", ttl)
	}
	is(t, "INCRBY", c.IncrBy(ctx, "n", 5).Val(), int64(5))
	is(t, "INCRBYFLOAT", c.IncrByFloat(ctx, "f", 1.5).Val(), 1.5)
	is(t, "MGET", fmt.Sprint(c.MGet(ctx, "k", "nothing").Val()), "[v <nil>]")
	is(t, "CONFIG GET", c.ConfigGet(ctx, "maxclients").Val()["maxclients"], "10000")
	goRedisTransactions(t, ctx, c)
	goRedisQueues(t, ctx, c)
	goRedisStreams(t, ctx, c)
	goRedisPubSub(t, ctx, c)
	iter := c.Scan(ctx, 0, "*", 2).Iterator()
	keys := map[string]bool{}
	for iter.Next(ctx) {
		keys[iter.Val()] = true
	}
	is(t, "SCAN", iter.Err(), nil)
	is(t, "SCAN found k", keys["k"], true)
	if list, err := c.ClientList(ctx).Result(); err != nil || !strings.Contains(list, "lib-name=go-redis") {
		t.Errorf("CLIENT LIST: %v %s", err, list)
	}
}

func goRedisTransactions(t *testing.T, ctx context.Context, c *goredis.Client) {
	cmds, err := c.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.Set(ctx, "a", 1, 0)
		p.Incr(ctx, "a")
		return nil
	})
	is(t, "MULTI", err, nil)
	is(t, "MULTI INCR", cmds[1].(*goredis.IntCmd).Val(), int64(2))
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			for {
				err := c.Watch(ctx, func(tx *goredis.Tx) error {
					n, err := tx.Get(ctx, "a").Int()
					if err != nil {
						return err
					}
					_, err = tx.TxPipelined(ctx, func(p goredis.Pipeliner) error { return p.Set(ctx, "a", n+1, 0).Err() })
					return err
				}, "a")
				if !errors.Is(err, goredis.TxFailedErr) {
					is(t, "WATCH", err, nil)
					return
				}
			}
		})
	}
	group.Wait()
	is(t, "after ten increments under WATCH", c.Get(ctx, "a").Val(), "12")
}

func goRedisQueues(t *testing.T, ctx context.Context, c *goredis.Client) {
	got := make(chan []string, 1)
	go func() { got <- c.BLPop(ctx, 10*time.Second, "jobs").Val() }()
	is(t, "RPUSH", c.RPush(ctx, "jobs", "job").Err(), nil)
	is(t, "BLPOP", fmt.Sprint(<-got), "[jobs job]")
	is(t, "BLPOP of nothing", c.BLPop(ctx, 10*time.Millisecond, "none").Err(), error(goredis.Nil))
	key, values, err := c.LMPop(ctx, "left", 2, "none", "jobs").Result()
	is(t, "LMPOP", err, error(goredis.Nil))
	is(t, "LMPOP", key+fmt.Sprint(values), "[]")
}

func goRedisStreams(t *testing.T, ctx context.Context, c *goredis.Client) {
	id, err := c.XAdd(ctx, &goredis.XAddArgs{Stream: "s", Values: []string{"f", "v"}}).Result()
	is(t, "XADD", err, nil)
	read, err := c.XRead(ctx, &goredis.XReadArgs{Streams: []string{"s", "0"}, Count: 10, Block: time.Second}).Result()
	is(t, "XREAD", err, nil)
	is(t, "XREAD", fmt.Sprint(read), fmt.Sprintf("[{s [{%s map[f:v] 0 0}]}]", id))
	info, err := c.XInfoStream(ctx, "s").Result()
	is(t, "XINFO STREAM", err, nil)
	is(t, "XINFO STREAM", info.LastGeneratedID, id)
}

func goRedisPubSub(t *testing.T, ctx context.Context, c *goredis.Client) {
	sub := c.Subscribe(ctx, "news")
	defer sub.Close()
	_, err := sub.Receive(ctx)
	is(t, "SUBSCRIBE", err, nil)
	is(t, "PSUBSCRIBE", sub.PSubscribe(ctx, "n*"), nil)
	_, err = sub.Receive(ctx)
	is(t, "PSUBSCRIBE", err, nil)
	is(t, "PUBLISH", c.Publish(ctx, "news", "hello").Val(), int64(2))
	for range 2 {
		m, err := sub.ReceiveMessage(ctx)
		is(t, "message", err, nil)
		is(t, "message", m.Channel+" "+m.Payload, "news hello")
	}
	is(t, "PUBSUB NUMSUB", fmt.Sprint(c.PubSubNumSub(ctx, "news").Val()), "map[news:1]")
}

func is[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestRedigo(t *testing.T) {
	p := startProgram(t)
	pool := &redis.Pool{MaxIdle: 3, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", p.addr) }}
	defer pool.Close()
	c := pool.Get()
	defer c.Close()
	_, err := c.Do("SET", "k", "v")
	is(t, "SET", err, nil)
	v, err := redis.String(c.Do("GET", "k"))
	is(t, "GET", v, "v")
	is(t, "GET", err, nil)
	_, err = redis.String(c.Do("GET", "nothing"))
	is(t, "GET of nothing", err, redis.ErrNil)
	for i := range 100 {
		is(t, "Send", c.Send("RPUSH", "l", i), nil)
	}
	is(t, "Flush", c.Flush(), nil)
	for i := range 100 {
		n, err := redis.Int(c.Receive())
		is(t, "RPUSH", err, nil)
		is(t, "RPUSH", n, i+1)
	}
	c.Send("MULTI")
	c.Send("LLEN", "l")
	c.Send("LPOP", "l")
	r, err := redis.Values(c.Do("EXEC"))
	is(t, "EXEC", err, nil)
	is(t, "EXEC", fmt.Sprintf("%d %s", r[0], r[1]), "100 0")
	_, err = c.Do("LPUSH", "k", "x")
	is(t, "WRONGTYPE", fmt.Sprint(err), "WRONGTYPE Operation against a key holding the wrong kind of value")
	other := pool.Get()
	defer other.Close()
	sub := redis.PubSubConn{Conn: other}
	is(t, "SUBSCRIBE", sub.Subscribe("news"), nil)
	_, ok := sub.Receive().(redis.Subscription)
	is(t, "subscription", ok, true)
	n, _ := redis.Int(c.Do("PUBLISH", "news", "hello"))
	is(t, "PUBLISH", n, 1)
	m, _ := sub.Receive().(redis.Message)
	is(t, "message", string(m.Data), "hello")
	is(t, "PING", sub.Ping("x"), nil)
	pong, _ := sub.Receive().(redis.Pong)
	is(t, "pong", pong.Data, "x")
	is(t, "UNSUBSCRIBE", sub.Unsubscribe(), nil)
}

// TestNodeClients runs tests/node/tour.mjs; its packages are pinned there.
func TestNodeClients(t *testing.T) {
	node := needProgram(t, "node")
	if _, err := os.Stat("node/node_modules/ioredis"); err != nil {
		npm := needProgram(t, "npm")
		install := exec.Command(npm, "install", "--no-package-lock", "--no-audit", "--no-fund")
		install.Dir = "node"
		if out, err := install.CombinedOutput(); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("npm install: %v\n%s", err, out)
			}
			t.Skipf("npm cannot fetch the clients: %v", err)
		}
	}
	for _, door := range []string{"loop", "redcon"} {
		p := startProgram(t, "--network-door", door)
		out, err := exec.Command(node, "node/tour.mjs", p.port).CombinedOutput()
		if err != nil || string(out) != "ok ioredis\nok node-redis\n" {
			t.Errorf("door %s: %v\n%s", door, err, out)
		}
	}
}

// TestPrometheus lets a real Prometheus scrape the side port.
func TestPrometheus(t *testing.T) {
	path := needProgram(t, "prometheus")
	p := startProgram(t)
	c := p.dial(t, 2)
	for range 100 {
		c.must(t, "SET", "k", "v")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("scrape_configs:\n- job_name: synap\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['%s']\n", p.side)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	cmd := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+listen)
	log := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for query, want := range map[string]string{
		"up":                              "1",
		`redis_commands_total{cmd="set"}`: "100",
		"redis_connected_clients":         "1",
		`redis_db_keys{db="db0"}`:         "1",
	} {
		if got := awaitSample(listen, query, want); got != want {
			t.Errorf("Prometheus says %q of %s, want %s\n%s", got, query, want, shortened(log.String(), 1000))
		}
	}
}

// awaitSample asks Prometheus until it has the wanted sample.
func awaitSample(listen, query, want string) (got string) {
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get("http://" + listen + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			continue
		}
		var answer struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		resp.Body.Close()
		if err == nil && len(answer.Data.Result) == 1 {
			if got = fmt.Sprint(answer.Data.Result[0].Value[1]); got == want {
				break
			}
		}
	}
	return got
}

// grownNames break a rule of naming, but dashboards know them by these names.
var grownNames = map[string]bool{"synap_kv_keys_total": true}

// TestMetricsFormat has promtool judge the exposition.
func TestMetricsFormat(t *testing.T) {
	path := needProgram(t, "promtool")
	p := startProgram(t)
	c := p.dial(t, 3)
	c.must(t, "SET", "k", "v")
	c.must(t, "XADD", "s", "*", "f", "v")
	for _, page := range []string{"/metrics", "/healthz", "/readyz", "/version"} {
		resp, err := http.Get("http://" + p.side + page)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s: %v, %s, %d bytes", page, err, resp.Status, len(body))
		}
		if page != "/metrics" {
			continue
		}
		check := exec.Command(path, "check", "metrics")
		check.Stdin = strings.NewReader(string(body))
		out, _ := check.CombinedOutput()
		for complaint := range strings.Lines(string(out)) {
			if name, _, _ := strings.Cut(complaint, " "); !grownNames[name] {
				t.Errorf("promtool: %s", complaint)
			}
		}
	}
}
