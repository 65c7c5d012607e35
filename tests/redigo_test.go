//go:build !record

package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// redigoTour is one server with a pool of connections in default settings.
type redigoTour struct {
	p       *program
	pool    *redis.Pool
	control *client
}

// TestRedigo walks through what an application does. redigo speaks RESP2.
func TestRedigo(t *testing.T) {
	onBothDoors(t, func(t *testing.T, p *program, control *client) {
		pool := &redis.Pool{MaxIdle: 3, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", p.addr) }}
		defer pool.Close()
		tour := &redigoTour{p: p, pool: pool, control: control}
		t.Run("values", tour.values)
		t.Run("pipeline", tour.pipeline)
		t.Run("blocking", tour.blocking)
		t.Run("streams", tour.streams)
		t.Run("families", tour.families)
		t.Run("pubsub", tour.pubSub)
		t.Run("watch", tour.watch)
		t.Run("pool", tour.reconnect)
		t.Run("dial options", tour.dialOptions)
	})
}

// conn takes a connection from the pool until the test's end.
func (r *redigoTour) conn(t *testing.T) redis.Conn {
	t.Helper()
	c := r.pool.Get()
	t.Cleanup(func() { c.Close() })
	return c
}

func (r *redigoTour) values(t *testing.T) {
	c := r.conn(t)
	_, err := c.Do("SET", "k", "v")
	is(t, "SET", err, nil)
	v, err := redis.String(c.Do("GET", "k"))
	is(t, "GET", v, "v")
	is(t, "GET", err, nil)
	_, err = redis.String(c.Do("GET", "nothing"))
	is(t, "GET of nothing", err, redis.ErrNil)
	_, err = c.Do("LPUSH", "k", "x")
	is(t, "WRONGTYPE", err, error(redis.Error("WRONGTYPE Operation against a key holding the wrong kind of value")))
	for _, value := range []string{everyByte(), strings.Repeat("0123456789abcdef", 1<<16)} {
		_, err = c.Do("SET", "bytes", []byte(value))
		is(t, "SET of bytes", err, nil)
		got, err := redis.Bytes(c.Do("GET", "bytes"))
		is(t, "GET of bytes", err, nil)
		is(t, "the bytes are the same", string(got) == value, true)
	}
	settings, err := redis.StringMap(c.Do("CONFIG", "GET", "maxclients"))
	is(t, "CONFIG GET", err, nil)
	is(t, "CONFIG GET", settings["maxclients"], "10000")
}

func (r *redigoTour) pipeline(t *testing.T) {
	c := r.conn(t)
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
	replies, err := redis.Values(c.Do("EXEC"))
	is(t, "EXEC", err, nil)
	is(t, "EXEC", fmt.Sprintf("%d %s", replies[0], replies[1]), "100 0")
}

func (r *redigoTour) blocking(t *testing.T) {
	for _, command := range []string{"BLPOP", "BRPOP"} {
		waiter := r.conn(t)
		got := make(chan string, 1)
		go func() {
			popped, err := redis.Strings(waiter.Do(command, "none", "jobs", 0))
			got <- fmt.Sprint(popped, err)
		}()
		awaitBlocked(t, r.control, 1)
		_, err := r.conn(t).Do("RPUSH", "jobs", "job")
		is(t, "RPUSH", err, nil)
		is(t, command, <-got, "[jobs job] <nil>")
		_, err = redis.Strings(waiter.Do(command, "none", 0.01))
		is(t, command+" of nothing", err, redis.ErrNil)
	}
}

func (r *redigoTour) streams(t *testing.T) {
	c, reader := r.conn(t), r.conn(t)
	id, err := redis.String(c.Do("XADD", "s", "*", "f", "1"))
	is(t, "XADD", err, nil)
	entries, err := redis.Values(c.Do("XRANGE", "s", "-", "+"))
	is(t, "XRANGE", err, nil)
	is(t, "XRANGE", fmt.Sprintf("%s", entries), fmt.Sprintf("[[%s [f 1]]]", id))
	got := make(chan string, 1)
	go func() {
		streams, err := redis.Values(reader.Do("XREAD", "BLOCK", 0, "STREAMS", "s", "$"))
		got <- fmt.Sprintf("%s %v", streams, err)
	}()
	awaitBlocked(t, r.control, 1)
	id, err = redis.String(c.Do("XADD", "s", "*", "f", "2"))
	is(t, "XADD", err, nil)
	is(t, "XREAD", <-got, fmt.Sprintf("[[s [[%s [f 2]]]]] <nil>", id))
	_, err = redis.Values(reader.Do("XREAD", "BLOCK", 1, "STREAMS", "s", "$"))
	is(t, "XREAD of nothing", err, redis.ErrNil)
}

func (r *redigoTour) pubSub(t *testing.T) {
	c, sub := r.conn(t), redis.PubSubConn{Conn: r.conn(t)}
	is(t, "SUBSCRIBE", sub.Subscribe("news"), nil)
	is(t, "subscription", sub.Receive(), any(redis.Subscription{Kind: "subscribe", Channel: "news", Count: 1}))
	is(t, "PSUBSCRIBE", sub.PSubscribe("n?ws"), nil)
	is(t, "subscription", sub.Receive(), any(redis.Subscription{Kind: "psubscribe", Channel: "n?ws", Count: 2}))
	n, err := redis.Int(c.Do("PUBLISH", "news", "hello"))
	is(t, "PUBLISH", err, nil)
	is(t, "PUBLISH", n, 2)
	for _, pattern := range []string{"", "n?ws"} {
		m, _ := sub.Receive().(redis.Message)
		is(t, "message", fmt.Sprintf("%s %s %s", m.Channel, m.Pattern, m.Data), "news "+pattern+" hello")
	}
	is(t, "PING", sub.Ping("x"), nil)
	is(t, "pong", sub.Receive(), any(redis.Pong{Data: "x"}))
	is(t, "UNSUBSCRIBE", sub.Unsubscribe(), nil)
	is(t, "subscription", sub.Receive(), any(redis.Subscription{Kind: "unsubscribe", Channel: "news", Count: 1}))
	is(t, "PUNSUBSCRIBE", sub.PUnsubscribe("n?ws"), nil)
	is(t, "subscription", sub.Receive(), any(redis.Subscription{Kind: "punsubscribe", Channel: "n?ws", Count: 0}))
	reply, err := redis.String(sub.Conn.Do("ECHO", "free again"))
	is(t, "ECHO", err, nil)
	is(t, "ECHO", reply, "free again")
}

func (r *redigoTour) watch(t *testing.T) {
	c, other := r.conn(t), r.conn(t)
	for _, disturbed := range []bool{true, false} {
		_, err := c.Do("WATCH", "w")
		is(t, "WATCH", err, nil)
		if disturbed {
			_, err = other.Do("SET", "w", "theirs")
			is(t, "SET", err, nil)
		}
		c.Send("MULTI")
		c.Send("SET", "w", "mine")
		replies, err := redis.Values(c.Do("EXEC"))
		if disturbed {
			is(t, "EXEC after a foreign write", err, redis.ErrNil)
		} else {
			is(t, "EXEC", fmt.Sprint(replies, err), "[OK] <nil>")
		}
	}
}

// reconnect kills what the pool holds; the pool must replace it.
func (r *redigoTour) reconnect(t *testing.T) {
	c := r.pool.Get()
	_, err := c.Do("SET", "k", "kept")
	is(t, "SET", err, nil)
	killOthers(t, r.control, "normal")
	_, err = c.Do("PING")
	if _, fromServer := err.(redis.Error); err == nil || fromServer {
		t.Errorf("PING on a killed connection: %v", err)
	}
	is(t, "the connection is known to be broken", c.Err() != nil, true)
	c.Close()
	await(t, "the pool gives a working connection", func() bool {
		c := r.pool.Get()
		defer c.Close()
		v, err := redis.String(c.Do("GET", "k"))
		return err == nil && v == "kept"
	})
}

func (r *redigoTour) dialOptions(t *testing.T) {
	r.control.must(t, "CONFIG", "SET", "requirepass", "secret")
	defer r.control.must(t, "CONFIG", "SET", "requirepass", "")
	open, err := redis.Dial("tcp", r.p.addr)
	is(t, "dial", err, nil)
	defer open.Close()
	_, err = open.Do("PING")
	is(t, "without a password", err, error(redis.Error("NOAUTH Authentication required.")))
	_, err = redis.Dial("tcp", r.p.addr, redis.DialPassword("wrong"))
	is(t, "a wrong password", err, error(redis.Error("WRONGPASS invalid username-password pair or user is disabled.")))
	c, err := redis.Dial("tcp", r.p.addr, redis.DialPassword("secret"), redis.DialDatabase(3),
		redis.DialClientName("tour"), redis.DialReadTimeout(replyTimeout), redis.DialConnectTimeout(replyTimeout))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	info, err := redis.String(c.Do("CLIENT", "INFO"))
	is(t, "CLIENT INFO", err, nil)
	for _, field := range []string{" name=tour ", " db=3 ", " resp=2 "} {
		is(t, "CLIENT INFO has"+field, strings.Contains(info, field), true)
	}
	_, err = redis.DoWithTimeout(c, time.Minute, "BLPOP", "none", 0.01)
	is(t, "BLPOP with a read timeout", err, nil)
}
