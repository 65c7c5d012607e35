package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"math"
	"time"

	"synap/command"
	"synap/resp"
)

// Rows of https://redis.io/docs/latest/commands/?group=connection except CLIENT,
// which is in client.go.

// Names that other files treat in a way of their own.
const (
	authName  = "auth"
	helloName = "hello"
	pingName  = "ping"
)

// helloWithAuth is the length of the shortest HELLO that carries a password.
const helloWithAuth = 5

// defaultUser is the one user there is.
const defaultUser = "default"

func connectionRows() []Row {
	const early = command.NoScript | command.Loading | command.Stale | command.Fast | command.NoAuth | command.AllowBusy | command.NeverLimit
	row := func(name, usage, since, summary string, arity int, flags command.Flags, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Since: since, Summary: summary, Arity: arity, Flags: flags,
			Group: "connection", Complexity: "O(1)",
		}, Session: run}
	}
	ping := row(pingName, "[message]", "1.0.0", "Answers PONG, or the message.", -1, command.Fast|command.Subscribed, ping)
	ping.Tips = []string{"request_policy:all_shards", "response_policy:all_succeeded"}
	quit := row("quit", "", "1.0.0", "Closes the connection.", -1, early|command.Subscribed|command.RunsInMulti, quit)
	quit.Deprecated = "7.2.0|just closing the connection"
	auth := row(authName, "[username] password", "1.0.0", "Authenticates the connection.", -2, early, auth)
	auth.Complexity = "O(N) where N is the number of passwords of the user."
	return []Row{
		ping, quit, auth,
		row("echo", "message", "1.0.0", "Answers the message.", 2, command.Loading|command.Stale|command.Fast, echo),
		row(selectName, "index", "1.0.0", "Chooses the database.", 2, command.Loading|command.Stale|command.Fast, selectDB),
		row("reset", "", "6.2.0", "Makes the connection as new.", 1, early|command.Subscribed|command.RunsInMulti, reset),
		row(helloName, "[protover [AUTH username password] [SETNAME clientname]]", "6.0.0",
			"Chooses the protocol and tells about the server.", -1, early, hello),
		clientContainer(),
	}
}

func ping(x *Session, c *command.Ctx) {
	if len(c.Args) > 2 {
		c.Reply.Error(resp.WrongArity(c.Row.Name))
		return
	}
	if x.inSubscribeMode() {
		c.Reply.Array(2)
		c.Reply.BulkString("pong")
		if len(c.Args) == 2 {
			c.Reply.Bulk(c.Args[1])
		} else {
			c.Reply.BulkString("")
		}
		return
	}
	if len(c.Args) == 2 {
		c.Reply.Bulk(c.Args[1])
		return
	}
	c.Reply.Status("PONG")
}

func echo(x *Session, c *command.Ctx) { c.Reply.Bulk(c.Args[1]) }

func selectDB(x *Session, c *command.Ctx) {
	n, ok := resp.ParseInt(c.Args[1])
	switch {
	case !ok:
		c.Reply.Error(resp.ErrNotInteger)
	case n < math.MinInt32 || n > math.MaxInt32:
		c.Reply.Error(resp.ErrInt32Range)
	case n < 0 || n >= int64(x.srv.Config().Databases):
		c.Reply.Error(resp.ErrDBIndex)
	default:
		x.useDB(int(n))
		c.Reply.OK()
	}
}

func (x *Session) useDB(n int) {
	x.db = n
	x.pub.db.Store(int32(n))
}

func quit(x *Session, c *command.Ctx) {
	c.Reply.OK()
	x.closing = true
}

// reset makes the session as it was when it connected, but for its library's
// name, which Redis keeps too.
func reset(x *Session, c *command.Ctx) {
	x.endMulti()
	x.unwatch()
	if tr := x.tracker.Load(); tr != nil {
		x.srv.tracking.untrack(tr)
	}
	if x.sub != nil {
		x.sub.leave()
		x.sub.drain(&x.out, x.muted())
	}
	x.useDB(0)
	x.setProto(2)
	x.reply = replyOn
	c.Reply.Mute(false)
	x.pub.flags.Store(0)
	x.pub.noEvict.Store(false)
	x.user = defaultUser
	x.authd = x.srv.Config().RequirePass == ""
	x.setLimits()
	x.setName("")
	c.Reply.Status("RESET")
}

// setProto changes the protocol of what is sent from now on.
func (x *Session) setProto(version int) {
	if version == x.out.Proto() {
		return
	}
	x.out.SetProto(version)
	x.pub.resp.Store(int32(version))
	if sub := x.subscription.Load(); sub != nil {
		sub.drain(&x.out, x.muted())
		sub.setProto(version)
	}
}

func auth(x *Session, c *command.Ctx) {
	user := []byte(defaultUser)
	switch len(c.Args) {
	case 2:
		if x.srv.Config().RequirePass == "" {
			c.Reply.Error(resp.ErrNoPassword)
			return
		}
	case 3:
		user = c.Args[1]
	default:
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	if !x.authenticate(user, c.Args[len(c.Args)-1]) {
		c.Reply.Error(resp.ErrWrongPass)
		return
	}
	c.Reply.OK()
}

// authenticate checks a password and, if it is right, lets the session in.
func (x *Session) authenticate(user, password []byte) bool {
	want := x.srv.Config().RequirePass
	if string(user) != defaultUser || want != "" && !samePassword(password, want) {
		x.srv.counters.deniedAuth.Add(1)
		if x.bucket != nil {
			x.srv.limiter.AuthFailed(x.conn.RemoteAddr().Addr(), resp.Monotonic())
		}
		return false
	}
	x.authd, x.user = true, defaultUser
	x.setLimits()
	return true
}

// samePassword takes the same time wherever and however the two differ.
func samePassword(given []byte, want string) bool {
	a, b := sha256.Sum256(given), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// authWait returns how long an AUTH or HELLO has to wait because its address
// failed too often; it waits once.
func (x *Session) authWait(cmd *command.Command, args [][]byte) time.Duration {
	if x.bucket == nil || !(cmd.Name == authName || cmd.Name == helloName && len(args) >= helloWithAuth) {
		return 0
	}
	if x.authWaited {
		x.authWaited = false
		return 0
	}
	wait := x.srv.limiter.AuthDelay(x.conn.RemoteAddr().Addr(), resp.Monotonic())
	x.authWaited = wait > 0
	return wait
}

// helloRequest is what HELLO asks for.
type helloRequest struct {
	proto          int
	auth           bool
	user, password []byte
	name           []byte // nil: keep
}

func parseHello(args [][]byte) (h helloRequest, e resp.Error) {
	if len(args) == 0 {
		return h, ""
	}
	version, ok := resp.ParseInt(args[0])
	if !ok {
		return h, resp.ErrProtoNotInteger
	}
	if version < 2 || version > 3 {
		return h, resp.ErrNoProto
	}
	h.proto = int(version)
	a := resp.NewArgs(args[1:])
	for a.Left() > 0 {
		option := a.Peek()
		switch {
		case a.Left() > 2 && a.Is("AUTH"):
			h.auth, h.user, h.password = true, a.Next(), a.Next()
		case a.Left() > 1 && a.Is("SETNAME"):
			h.name = a.Next()
			if !validName(h.name) {
				return h, resp.ErrClientName
			}
		default:
			return h, resp.HelloOption(option)
		}
	}
	return h, ""
}

func hello(x *Session, c *command.Ctx) {
	h, e := parseHello(c.Args[1:])
	if e != "" {
		c.Reply.Error(e)
		return
	}
	if h.auth && !x.authenticate(h.user, h.password) {
		c.Reply.Error(resp.ErrWrongPass)
		return
	}
	if !x.authd {
		c.Reply.Error(resp.ErrNoAuthHello)
		return
	}
	if h.name != nil {
		x.setName(string(h.name))
	}
	if h.proto != 0 {
		x.setProto(h.proto)
	}
	r := c.Reply
	r.Map(7)
	r.BulkString("server")
	r.BulkString("redis")
	r.BulkString("version")
	r.BulkString(RedisVersion)
	r.BulkString("proto")
	r.Int(int64(r.Proto()))
	r.BulkString("id")
	r.Int(x.id)
	r.BulkString("mode")
	r.BulkString("standalone")
	r.BulkString("role")
	r.BulkString("master")
	r.BulkString("modules")
	r.Array(0)
}
