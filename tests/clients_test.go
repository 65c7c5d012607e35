//go:build !record

package tests

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// The tours use clients in their default settings, through each door, beside a
// control connection.

func onBothDoors(t *testing.T, tour func(t *testing.T, p *program, control *client)) {
	for _, door := range []string{"loop", "redcon"} {
		t.Run(door, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "s")
			p := startProgram(t, "--network-door", door, "--unixsocket", socket)
			var control *client // never limited by rate
			await(t, "the unix socket is open", func() bool {
				var err error
				control, err = dial("unix", socket, 2)
				return err == nil
			})
			if control == nil {
				t.FailNow()
			}
			defer control.close()
			tour(t, p, control)
		})
	}
}

func is[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// everyByte is a value of all bytes there are.
func everyByte() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

// awaitBlocked returns once the server has parked n clients.
func awaitBlocked(t *testing.T, control *client, n int) {
	t.Helper()
	await(t, fmt.Sprintf("%d clients are blocked", n), func() bool {
		blocked, err := blockedClients(control)
		return err == nil && blocked == n
	})
}

// killOthers ends all connections of a type but the control's own.
func killOthers(t *testing.T, control *client, kind string) {
	t.Helper()
	if v := control.must(t, "CLIENT", "KILL", "TYPE", kind); v.text == "0" {
		t.Errorf("CLIENT KILL TYPE %s found none", kind)
	}
}

// subscriberID is the id of the one client that hears a channel; "" while
// there are none or several.
func subscriberID(t *testing.T, control *client) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(control.must(t, "CLIENT", "LIST", "TYPE", "pubsub").text), "\n")
	id, _, _ := strings.Cut(lines[0], " ")
	if len(lines) > 1 {
		return ""
	}
	return id
}

// goRedisTour is one server with a client in default settings.
type goRedisTour struct {
	ctx     context.Context
	p       *program
	c       *goredis.Client
	control *client
}

func TestGoRedis(t *testing.T) {
	onBothDoors(t, func(t *testing.T, p *program, control *client) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*replyTimeout)
		defer cancel()
		c := goredis.NewClient(&goredis.Options{Addr: p.addr})
		defer c.Close()
		tour := &goRedisTour{ctx, p, c, control}
		t.Run("handshake", tour.handshake)
		t.Run("strings", tour.strings)
		t.Run("keys", tour.keys)
		t.Run("expiry", tour.expiry)
		t.Run("transactions", tour.transactions)
		t.Run("watch", tour.watch)
		t.Run("pipelines", tour.pipelines)
		t.Run("blocking", tour.blocking)
		t.Run("streams", tour.streams)
		t.Run("hashes", tour.hashes)
		t.Run("field expiry", tour.fieldExpiry)
		t.Run("sets", tour.sets)
		t.Run("sorted sets", tour.sortedSets)
		t.Run("places", tour.places)
		t.Run("bits", tour.bits)
		t.Run("groups", tour.groups)
		t.Run("generic", tour.generic)
		t.Run("events", tour.events)
		t.Run("tracking", tour.tracking)
		t.Run("pubsub", tour.pubSub)
		t.Run("sharded pubsub", tour.shardedPubSub)
		t.Run("errors", tour.errors)
		t.Run("reconnect", tour.reconnect)
		t.Run("resubscribe", tour.resubscribe)
		t.Run("password and database", tour.options)
	})
}

// handshake has the server's word for what the client negotiated.
func (r *goRedisTour) handshake(t *testing.T) {
	info, err := r.c.Do(r.ctx, "CLIENT", "INFO").Text()
	is(t, "CLIENT INFO", err, nil)
	for _, field := range []string{" resp=3 ", " lib-name=go-redis(", " lib-ver=" + goredis.Version() + " "} {
		is(t, "CLIENT INFO has"+field, strings.Contains(strings.TrimSpace(info)+" ", field), true)
	}
	is(t, "CONFIG GET", r.c.ConfigGet(r.ctx, "maxclients").Val()["maxclients"], "10000")
	hello, err := r.c.Do(r.ctx, "HELLO").Result()
	is(t, "HELLO", err, nil)
	fields, _ := hello.(map[any]any)
	is(t, "HELLO is a map", fields["proto"], any(int64(3)))
}

func (r *goRedisTour) strings(t *testing.T) {
	ctx, c := r.ctx, r.c
	is(t, "SET", c.Set(ctx, "k", "v", time.Minute).Err(), nil)
	v, err := c.Get(ctx, "k").Result()
	is(t, "GET", v, "v")
	is(t, "GET", err, nil)
	is(t, "GET of nothing", c.Get(ctx, "nothing").Err(), error(goredis.Nil))
	is(t, "SET NX", c.SetArgs(ctx, "k", "no", goredis.SetArgs{Mode: "NX"}).Err(), error(goredis.Nil))
	is(t, "SET XX GET", c.SetArgs(ctx, "k", "w", goredis.SetArgs{Mode: "XX", Get: true}).Val(), "v")
	is(t, "SET dropped the expiry", c.TTL(ctx, "k").Val(), time.Duration(-1))
	is(t, "SET PX", c.Set(ctx, "k", "x", 90*time.Second+500*time.Millisecond).Err(), nil)
	is(t, "SET KEEPTTL", c.Set(ctx, "k", "y", goredis.KeepTTL).Err(), nil)
	is(t, "KEEPTTL kept it", c.TTL(ctx, "k").Val() > 0, true)
	at := time.Now().Add(time.Hour).Truncate(time.Second)
	is(t, "SET EXAT", c.SetArgs(ctx, "k", "z", goredis.SetArgs{ExpireAt: at}).Err(), nil)
	is(t, "EXPIRETIME", c.ExpireTime(ctx, "k").Val(), time.Duration(at.Unix())*time.Second)
	is(t, "GETEX PERSIST", c.GetEx(ctx, "k", 0).Val(), "z")
	is(t, "GETDEL", c.GetDel(ctx, "k").Val(), "z")
	is(t, "INCRBY", c.IncrBy(ctx, "n", 5).Val(), int64(5))
	is(t, "INCRBYFLOAT", c.IncrByFloat(ctx, "f", 1.5).Val(), 1.5)
	is(t, "MGET", fmt.Sprint(c.MGet(ctx, "n", "nothing").Val()), "[5 <nil>]")
	for _, value := range []string{everyByte(), strings.Repeat("0123456789abcdef", 1<<16)} {
		is(t, "SET of bytes", c.Set(ctx, "bytes", value, 0).Err(), nil)
		got, err := c.Get(ctx, "bytes").Result()
		is(t, "GET of bytes", err, nil)
		is(t, "the bytes are the same", got == value, true)
		is(t, "STRLEN", c.StrLen(ctx, "bytes").Val(), int64(len(value)))
	}
}

func (r *goRedisTour) keys(t *testing.T) {
	ctx, c := r.ctx, r.c
	is(t, "MSET", c.MSet(ctx, "from", "1", "taken", "2").Err(), nil)
	is(t, "COPY", c.Copy(ctx, "from", "copy", 0, false).Val(), int64(1))
	is(t, "COPY onto a key", c.Copy(ctx, "from", "taken", 0, false).Val(), int64(0))
	is(t, "COPY REPLACE to database 5", c.Copy(ctx, "from", "copy", 5, true).Val(), int64(1))
	is(t, "RENAMENX onto a key", c.RenameNX(ctx, "copy", "taken").Val(), false)
	is(t, "RENAME", c.Rename(ctx, "copy", "renamed").Err(), nil)
	is(t, "GET", c.Get(ctx, "renamed").Val(), "1")
	is(t, "RENAME of nothing", fmt.Sprint(c.Rename(ctx, "copy", "x").Err()), "ERR no such key")
	is(t, "EXISTS", c.Exists(ctx, "from", "copy", "taken").Val(), int64(2))
	is(t, "TYPE", c.Type(ctx, "from").Val(), "string")
	is(t, "UNLINK", c.Unlink(ctx, "taken", "renamed").Val(), int64(2))
	iter := c.Scan(ctx, 0, "*", 2).Iterator()
	keys := map[string]bool{}
	for iter.Next(ctx) {
		keys[iter.Val()] = true
	}
	is(t, "SCAN", iter.Err(), nil)
	is(t, "SCAN found from", keys["from"], true)
	is(t, "SCAN found what is gone", keys["renamed"], false)
}

func (r *goRedisTour) expiry(t *testing.T) {
	ctx, c := r.ctx, r.c
	is(t, "SET", c.Set(ctx, "e", "v", 0).Err(), nil)
	for _, step := range []struct {
		what string
		cmd  *goredis.BoolCmd
		want bool
	}{
		{"EXPIRE XX without an expiry", c.ExpireXX(ctx, "e", time.Hour), false},
		{"EXPIRE NX", c.ExpireNX(ctx, "e", time.Hour), true},
		{"EXPIRE NX again", c.ExpireNX(ctx, "e", time.Hour), false},
		{"EXPIRE GT sooner", c.ExpireGT(ctx, "e", time.Minute), false},
		{"EXPIRE GT later", c.ExpireGT(ctx, "e", 2*time.Hour), true},
		{"EXPIRE LT", c.ExpireLT(ctx, "e", time.Hour), true},
		{"PEXPIRE", c.PExpire(ctx, "e", 1500*time.Second), true},
		{"EXPIRE of nothing", c.Expire(ctx, "nothing", time.Hour), false},
	} {
		is(t, step.what, step.cmd.Err(), nil)
		is(t, step.what, step.cmd.Val(), step.want)
	}
	is(t, "PTTL", c.PTTL(ctx, "e").Val() > 1000*time.Second, true)
	at := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	is(t, "PEXPIREAT", c.PExpireAt(ctx, "e", at).Val(), true)
	is(t, "PEXPIRETIME", c.PExpireTime(ctx, "e").Val(), time.Duration(at.UnixMilli())*time.Millisecond)
	is(t, "PERSIST", c.Persist(ctx, "e").Val(), true)
	is(t, "TTL without an expiry", c.TTL(ctx, "e").Val(), time.Duration(-1))
	is(t, "EXPIREAT in the past", c.ExpireAt(ctx, "e", time.Unix(1, 0)).Val(), true)
	is(t, "TTL of nothing", c.TTL(ctx, "e").Val(), time.Duration(-2))
}

func (r *goRedisTour) transactions(t *testing.T) {
	ctx, c := r.ctx, r.c
	cmds, err := c.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.Set(ctx, "a", 1, 0)
		p.Incr(ctx, "a")
		return nil
	})
	is(t, "MULTI", err, nil)
	is(t, "MULTI INCR", cmds[1].(*goredis.IntCmd).Val(), int64(2))
	_, err = c.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.Incr(ctx, "a")
		p.Do(ctx, "NOSUCHCOMMAND")
		return nil
	})
	is(t, "EXEC after a wrong command", goredis.IsExecAbortError(err), true)
	is(t, "nothing of it ran", c.Get(ctx, "a").Val(), "2")
}

// watch has one conflict for certain, then as many as ten writers make.
func (r *goRedisTour) watch(t *testing.T) {
	ctx, c := r.ctx, r.c
	is(t, "SET", c.Set(ctx, "w", 1, 0).Err(), nil)
	increment := func(disturb bool) error {
		return c.Watch(ctx, func(tx *goredis.Tx) error {
			n, err := tx.Get(ctx, "w").Int()
			if err != nil {
				return err
			}
			if disturb {
				is(t, "SET from elsewhere", c.Set(ctx, "w", n, 0).Err(), nil)
			}
			_, err = tx.TxPipelined(ctx, func(p goredis.Pipeliner) error { return p.Set(ctx, "w", n+1, 0).Err() })
			return err
		}, "w")
	}
	is(t, "EXEC after a foreign write", increment(true), error(goredis.TxFailedErr))
	is(t, "EXEC", increment(false), nil)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			for {
				if err := increment(false); !errors.Is(err, goredis.TxFailedErr) {
					is(t, "EXEC", err, nil)
					return
				}
			}
		})
	}
	group.Wait()
	is(t, "after eleven increments", c.Get(ctx, "w").Val(), "12")
}

func (r *goRedisTour) pipelines(t *testing.T) {
	cmds, err := r.c.Pipelined(r.ctx, func(p goredis.Pipeliner) error {
		p.Set(r.ctx, "p", "x", 0)
		for range 1000 {
			p.Append(r.ctx, "p", "y")
		}
		p.LPush(r.ctx, "p", "wrong")
		p.StrLen(r.ctx, "p")
		return nil
	})
	is(t, "the error of a pipeline", goredis.HasErrorPrefix(err, "WRONGTYPE"), true)
	is(t, "replies", len(cmds), 1003)
	for i, cmd := range cmds[1:1001] {
		is(t, "APPEND", cmd.(*goredis.IntCmd).Val(), int64(i+2))
	}
	is(t, "after the error", cmds[1002].(*goredis.IntCmd).Val(), int64(1001))
}

func (r *goRedisTour) blocking(t *testing.T) {
	ctx, c := r.ctx, r.c
	is(t, "RPUSH", c.RPush(ctx, "full", "1", "2", "3").Err(), nil)
	for command, ask := range map[string]func() (any, error){
		"BLPOP":      func() (any, error) { return c.BLPop(ctx, 0, "none", "jobs").Result() },
		"BRPOP":      func() (any, error) { return c.BRPop(ctx, 0, "none", "jobs").Result() },
		"BLMOVE":     func() (any, error) { return c.BLMove(ctx, "jobs", "done", "LEFT", "RIGHT", 0).Result() },
		"BRPOPLPUSH": func() (any, error) { return c.Do(ctx, "BRPOPLPUSH", "jobs", "done", "0").Result() },
		"BLMPOP": func() (any, error) {
			key, values, err := c.BLMPop(ctx, 0, "left", 2, "none", "jobs").Result()
			return append([]string{key}, values...), err
		},
	} {
		got := make(chan string, 1)
		go func() {
			v, err := ask()
			got <- strings.Trim(fmt.Sprint(v), "[]") + fmt.Sprint(" ", err)
		}()
		awaitBlocked(t, r.control, 1)
		is(t, "RPUSH", c.RPush(ctx, "jobs", "job").Err(), nil)
		is(t, command, strings.TrimPrefix(<-got, "jobs "), "job <nil>")
	}
	is(t, "what was moved", fmt.Sprint(c.LRange(ctx, "done", 0, -1).Val()), "[job job]")
	is(t, "BLPOP of nothing", c.Do(ctx, "BLPOP", "none", "0.01").Err(), error(goredis.Nil))
	key, values, err := c.BLMPop(ctx, 0, "right", 2, "none", "full").Result()
	is(t, "BLMPOP", fmt.Sprint(key, values, err), "full[3 2] <nil>")
	is(t, "LMPOP of nothing", c.LMPop(ctx, "left", 2, "none").Err(), error(goredis.Nil))
}

func (r *goRedisTour) streams(t *testing.T) {
	ctx, c := r.ctx, r.c
	add := func(value string) string {
		id, err := c.XAdd(ctx, &goredis.XAddArgs{Stream: "s", Values: []string{"f", value}}).Result()
		is(t, "XADD", err, nil)
		return id
	}
	first := add("1")
	got := make(chan string, 1)
	go func() {
		streams, err := c.XRead(ctx, &goredis.XReadArgs{Streams: []string{"s", "$"}, Block: 0}).Result()
		got <- fmt.Sprint(streams, err)
	}()
	awaitBlocked(t, r.control, 1)
	second := add("2")
	is(t, "XREAD", <-got, fmt.Sprintf("[{s [{%s map[f:2] 0 0}]}] <nil>", second))
	err := c.XRead(ctx, &goredis.XReadArgs{Streams: []string{"s", "$"}, Block: time.Millisecond}).Err()
	is(t, "XREAD of nothing", err, error(goredis.Nil))
	ids := func(entries []goredis.XMessage) (all string) {
		for _, e := range entries {
			all += e.ID + " "
		}
		return all
	}
	is(t, "XRANGE", ids(c.XRange(ctx, "s", "-", "+").Val()), first+" "+second+" ")
	is(t, "XRANGE exclusive", ids(c.XRange(ctx, "s", "("+first, "+").Val()), second+" ")
	is(t, "XREVRANGE COUNT", ids(c.XRevRangeN(ctx, "s", "+", "-", 1).Val()), second+" ")
	info, err := c.XInfoStream(ctx, "s").Result()
	is(t, "XINFO STREAM", err, nil)
	is(t, "XINFO STREAM", info.LastGeneratedID, second)
	is(t, "XTRIM", c.XTrimMaxLen(ctx, "s", 1).Val(), int64(1))
	is(t, "XDEL", c.XDel(ctx, "s", second).Val(), int64(1))
	is(t, "XLEN", c.XLen(ctx, "s").Val(), int64(0))
}

// expect receives the confirmations of subscriptions.
func (r *goRedisTour) expect(t *testing.T, sub *goredis.PubSub, wants ...goredis.Subscription) {
	t.Helper()
	for _, want := range wants {
		v, err := sub.Receive(r.ctx)
		is(t, want.Kind, err, nil)
		if got, _ := v.(*goredis.Subscription); got == nil || *got != want {
			t.Errorf("%s: %v, want %v", want.Kind, v, &want)
		}
	}
}

func (r *goRedisTour) pubSub(t *testing.T) {
	ctx, c := r.ctx, r.c
	sub := c.Subscribe(ctx, "news")
	defer sub.Close()
	is(t, "PSUBSCRIBE", sub.PSubscribe(ctx, "n*"), nil)
	r.expect(t, sub, goredis.Subscription{Kind: "subscribe", Channel: "news", Count: 1}, goredis.Subscription{Kind: "psubscribe", Channel: "n*", Count: 2})
	is(t, "PUBSUB NUMSUB", fmt.Sprint(c.PubSubNumSub(ctx, "news").Val()), "map[news:1]")
	is(t, "PUBSUB NUMPAT", c.PubSubNumPat(ctx).Val(), int64(1))
	is(t, "PUBLISH", c.Publish(ctx, "news", everyByte()).Val(), int64(2))
	for _, pattern := range []string{"", "n*"} {
		m, err := sub.ReceiveMessage(ctx)
		is(t, "message", err, nil)
		is(t, "message", m.Channel+" "+m.Pattern, "news "+pattern)
		is(t, "the bytes are the same", m.Payload == everyByte(), true)
	}
	is(t, "UNSUBSCRIBE", sub.Unsubscribe(ctx), nil)
	is(t, "PUNSUBSCRIBE", sub.PUnsubscribe(ctx, "n*"), nil)
	r.expect(t, sub, goredis.Subscription{Kind: "unsubscribe", Channel: "news", Count: 1}, goredis.Subscription{Kind: "punsubscribe", Channel: "n*", Count: 0})
	is(t, "PUBLISH to none", c.Publish(ctx, "news", "x").Val(), int64(0))
}

func (r *goRedisTour) shardedPubSub(t *testing.T) {
	sub := r.c.SSubscribe(r.ctx, "shard")
	defer sub.Close()
	r.expect(t, sub, goredis.Subscription{Kind: "ssubscribe", Channel: "shard", Count: 1})
	is(t, "PUBSUB SHARDNUMSUB", fmt.Sprint(r.c.PubSubShardNumSub(r.ctx, "shard").Val()), "map[shard:1]")
	is(t, "SPUBLISH", r.c.SPublish(r.ctx, "shard", "hello").Val(), int64(1))
	m, err := sub.ReceiveMessage(r.ctx)
	is(t, "message", err, nil)
	is(t, "message", m.Channel+" "+m.Payload, "shard hello")
	is(t, "SUNSUBSCRIBE", sub.SUnsubscribe(r.ctx, "shard"), nil)
	r.expect(t, sub, goredis.Subscription{Kind: "sunsubscribe", Channel: "shard", Count: 0})
}

// errors asks the client what kind of error it sees.
func (r *goRedisTour) errors(t *testing.T) {
	ctx, c := r.ctx, r.c
	is(t, "SET", c.Set(ctx, "k", "v", 0).Err(), nil)
	err := c.LPush(ctx, "k", "x").Err()
	is(t, "WRONGTYPE", goredis.HasErrorPrefix(err, "WRONGTYPE"), true)
	var reply goredis.Error
	is(t, "a reply of the server", errors.As(err, &reply), true)
	is(t, "INCR", fmt.Sprint(c.Incr(ctx, "k").Err()), "ERR value is not an integer or out of range")
	is(t, "unknown", fmt.Sprint(c.Do(ctx, "NOSUCHCOMMAND", "a").Err()), "ERR unknown command 'NOSUCHCOMMAND', with args beginning with: 'a' ")
	is(t, "CONFIG SET", c.ConfigSet(ctx, "maxmemory", "1").Err(), nil)
	is(t, "OOM", goredis.IsOOMError(c.Set(ctx, "k", "v", 0).Err()), true)
	is(t, "CONFIG SET", c.ConfigSet(ctx, "maxmemory", "0").Err(), nil)
}

// reconnect kills the connections of the pool: the application must not notice.
func (r *goRedisTour) reconnect(t *testing.T) {
	is(t, "SET", r.c.Set(r.ctx, "k", "kept", 0).Err(), nil)
	for range 3 {
		killOthers(t, r.control, "normal")
		v, err := r.c.Get(r.ctx, "k").Result()
		is(t, "GET after CLIENT KILL", err, nil)
		is(t, "GET after CLIENT KILL", v, "kept")
	}
}

// resubscribe kills a subscriber that is read through Channel.
func (r *goRedisTour) resubscribe(t *testing.T) {
	sub := r.c.Subscribe(r.ctx, "news")
	defer sub.Close()
	messages := sub.Channel()
	var id string
	await(t, "subscribed", func() bool { id = subscriberID(t, r.control); return id != "" })
	is(t, "PUBLISH", r.c.Publish(r.ctx, "news", "before").Val(), int64(1))
	is(t, "message", (<-messages).Payload, "before")
	killOthers(t, r.control, "pubsub")
	await(t, "subscribed again", func() bool { again := subscriberID(t, r.control); return again != "" && again != id })
	is(t, "PUBLISH", r.c.Publish(r.ctx, "news", "after").Val(), int64(1))
	is(t, "message", (<-messages).Payload, "after")
	is(t, "Close", sub.Close(), nil)
	_, open := <-messages
	is(t, "the channel is closed", !open, true)
}

// options are those of the connection's address: password, database, name.
func (r *goRedisTour) options(t *testing.T) {
	ctx := r.ctx
	r.control.must(t, "CONFIG", "SET", "requirepass", "secret")
	defer r.control.must(t, "CONFIG", "SET", "requirepass", "")
	dial := func(options string) *goredis.Client {
		parsed, err := goredis.ParseURL("redis://" + options)
		is(t, "the address", err, nil)
		c := goredis.NewClient(parsed)
		t.Cleanup(func() { c.Close() })
		return c
	}
	none := dial(r.p.addr)
	is(t, "no password", goredis.IsAuthError(none.Ping(ctx).Err()), true)
	wrong := dial(":wrong@" + r.p.addr)
	is(t, "a wrong password", goredis.HasErrorPrefix(wrong.Ping(ctx).Err(), "WRONGPASS"), true)
	c := dial(":secret@" + r.p.addr + "/3?client_name=tour")
	is(t, "SET", c.Set(ctx, "here", "3", 0).Err(), nil)
	is(t, "CLIENT GETNAME", c.ClientGetName(ctx).Val(), "tour")
	list, err := c.ClientList(ctx).Result()
	is(t, "CLIENT LIST", err, nil)
	is(t, "CLIENT LIST", slices.ContainsFunc(strings.Split(list, "\n"), regexp.MustCompile(` name=tour .* db=3 .* resp=3 `).MatchString), true)
	other := dial(":secret@" + r.p.addr + "/4")
	is(t, "another database", other.Exists(ctx, "here").Val(), int64(0))
	is(t, "MOVE", c.Move(ctx, "here", 4).Val(), true)
	is(t, "in the other database", other.Get(ctx, "here").Val(), "3")
}
