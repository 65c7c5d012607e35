package server

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"synap/command"
	"synap/resp"
)

// CLIENT: https://redis.io/docs/latest/commands/?group=connection. What it tells
// of other sessions it reads from what they publish (Session.pub); what it does
// to them it asks of their loops.

// clientFlags are the bits of published.flags.
const (
	flagNoTouch uint32 = 1 << iota
	flagMonitor
)

func (x *Session) setFlag(bit uint32, on bool) {
	if on {
		x.pub.flags.Or(bit)
	} else {
		x.pub.flags.And(^bit)
	}
}

func clientContainer() Row {
	const all = command.NoScript | command.Loading | command.Stale
	row := func(name, usage, since, summary string, arity int, flags command.Flags, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Since: since, Summary: summary, Arity: arity, Flags: all | flags,
			Group: "connection", Complexity: "O(1)",
		}, Session: run}
	}
	info := row("info", "", "6.2.0", "Describes this connection.", 2, 0, clientInfo)
	list := row("list", "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]", "2.4.0",
		"Describes the connections.", -2, command.Admin, clientList)
	kill := row("kill", "<ip-port | <ID client-id | TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB> | USER username | ADDR ip-port | LADDR ip-port | SKIPME <YES | NO> | MAXAGE maxage> ...>", "2.4.0",
		"Closes connections.", -3, command.Admin, clientKill)
	setInfo := row("setinfo", "<LIB-NAME libname | LIB-VER libver>", "7.2.0", "Notes which library the client uses.", 4, 0, clientSetInfo)
	setName := row("setname", "connection-name", "2.6.9", "Names the connection.", 3, 0, clientSetName)
	tracking := row("tracking", "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]", "6.0.0",
		"Switches messages about changes of the keys that the client reads.", -3, 0, clientTracking)
	tracking.Complexity = "O(N log N) where N is the number of prefixes."
	unpause := row("unpause", "", "6.2.0", "Ends a pause of clients.", 2, command.Admin, clientUnpause)
	unblock := row("unblock", "client-id [TIMEOUT | ERROR]", "5.0.0", "Ends the wait of a blocked client.", -3, command.Admin, clientUnblock)
	info.Tips, list.Tips = []string{"nondeterministic_output"}, []string{"nondeterministic_output"}
	setInfo.Tips = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
	setName.Tips = setInfo.Tips
	list.Complexity, kill.Complexity = "O(N) where N is the number of connections.", "O(N) where N is the number of connections."
	unpause.Complexity = "O(N) where N is the number of paused clients."
	unblock.Complexity = "O(log N) where N is the number of connections."
	return container(command.Row{
		Name: clientName, Group: "connection", Since: "2.4.0", Arity: -2,
		Summary: "Container of the commands about connections.", Complexity: "Depends on subcommand.",
	}, "5.0.0",
		row("caching", "<YES | NO>", "6.0.0", "Says whether the next command's keys are remembered for invalidation.", 3, 0, clientCaching),
		row("getname", "", "2.6.9", "Tells the connection's name.", 2, 0, clientGetName),
		row("getredir", "", "6.0.0", "Tells which client invalidation messages go to.", 2, 0, clientGetRedir),
		row("id", "", "5.0.0", "Tells the connection's ID.", 2, 0, clientID),
		info, kill, list,
		row("no-evict", "<ON | OFF>", "7.0.0", "Keeps the connection when clients hold too much memory.", 3, command.Admin, clientNoEvict),
		row("no-touch", "<ON | OFF>", "7.2.0", "Lets this connection's commands leave access times alone.", 3, 0, clientNoTouch),
		row("pause", "timeout [WRITE | ALL]", "3.0.0", "Lets clients wait for a number of milliseconds.", -3, command.Admin, clientPause),
		row("reply", "<ON | OFF | SKIP>", "3.2.0", "Switches replies off and on.", 3, 0, clientReply),
		setInfo, setName,
		row("traceparent", "traceparent", "1.0.0", "Names the span that causes the next command (W3C Trace Context); an empty text names none.", 3, command.OwnGrouping, clientTraceparent),
		tracking,
		row("trackinginfo", "", "6.2.0", "Tells about server-assisted caching of this connection.", 2, 0, clientTrackingInfo),
		unblock, unpause,
	)
}

func clientID(x *Session, c *command.Ctx) { c.Reply.Int(x.id) }

func clientGetName(x *Session, c *command.Ctx) {
	if x.name == "" {
		c.Reply.Null()
		return
	}
	c.Reply.BulkString(x.name)
}

func clientSetName(x *Session, c *command.Ctx) {
	if !validName(c.Args[2]) {
		c.Reply.Error(resp.ErrClientName)
		return
	}
	x.setName(string(c.Args[2]))
	c.Reply.OK()
}

// validName allows the visible characters of ASCII, so that a name can neither
// break CLIENT LIST's lines nor its fields.
func validName(b []byte) bool {
	for _, ch := range b {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}

func (x *Session) setName(name string) {
	x.name = name
	x.publishNames()
}

func (x *Session) publishNames() {
	x.pub.names.Store(&clientNames{x.name, x.libName, x.libVer, x.user})
}

func clientSetInfo(x *Session, c *command.Ctx) {
	var at *string
	switch word := c.Args[2]; {
	case resp.EqualFold(word, "LIB-NAME"):
		at = &x.libName
	case resp.EqualFold(word, "LIB-VER"):
		at = &x.libVer
	default:
		c.Reply.Error(resp.UnknownClientInfo(word))
		return
	}
	if !validName(c.Args[3]) {
		c.Reply.Error(resp.InvalidClientInfo(c.Args[2]))
		return
	}
	*at = string(c.Args[3])
	x.publishNames()
	c.Reply.OK()
}

// onOff parses the last argument.
func onOff(c *command.Ctx) (on, ok bool) {
	switch word := c.Args[len(c.Args)-1]; {
	case resp.EqualFold(word, "ON"):
		return true, true
	case resp.EqualFold(word, "OFF"):
		return false, true
	}
	c.Reply.Error(resp.ErrSyntax)
	return false, false
}

func clientNoEvict(x *Session, c *command.Ctx) {
	if on, ok := onOff(c); ok {
		x.pub.noEvict.Store(on)
		x.setLimits()
		c.Reply.OK()
	}
}

func clientNoTouch(x *Session, c *command.Ctx) {
	if on, ok := onOff(c); ok {
		x.setFlag(flagNoTouch, on)
		c.Reply.OK()
	}
}

// touchName is the command that renews access times in spite of NO-TOUCH.
const touchName = "touch"

// still tells whether cmd leaves access times alone; any goroutine may ask.
func (x *Session) still(cmd *command.Command) bool {
	return x.pub.flags.Load()&flagNoTouch != 0 && cmd.Name != touchName
}

func clientReply(x *Session, c *command.Ctx) {
	switch word := c.Args[2]; {
	case resp.EqualFold(word, "ON"):
		x.reply = replyOn
		c.Reply.Mute(false)
		c.Reply.OK()
	case resp.EqualFold(word, "OFF"):
		x.reply = replyOff
		c.Reply.Mute(true)
	case resp.EqualFold(word, "SKIP"):
		if x.reply != replyOff {
			x.reply = replySkipNext
			c.Reply.Mute(false)
		}
	default:
		c.Reply.Error(resp.ErrSyntax)
	}
}

func clientPause(x *Session, c *command.Ctx) {
	all := true
	switch {
	case len(c.Args) > 4:
		c.Reply.Error(resp.SubcommandSyntax("client", c.Args[1]))
		return
	case len(c.Args) < 4 || resp.EqualFold(c.Args[3], "ALL"):
	case resp.EqualFold(c.Args[3], "WRITE"):
		all = false
	default:
		c.Reply.Error(resp.ErrPauseMode)
		return
	}
	ms, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Reply.Error(resp.ErrTimeoutInteger)
		return
	}
	if ms < 0 {
		c.Reply.Error(resp.ErrTimeoutNegative)
		return
	}
	now := resp.Monotonic()
	until := int64(math.MaxInt64)
	if ms < (math.MaxInt64-now)/int64(time.Millisecond) {
		until = now + ms*int64(time.Millisecond)
	}
	x.srv.pauseClients(until, all)
	c.Reply.OK()
}

func clientUnpause(x *Session, c *command.Ctx) {
	x.srv.unpauseClients()
	c.Reply.OK()
}

func clientUnblock(x *Session, c *command.Ctx) {
	var answer func(*resp.Reply)
	switch {
	case len(c.Args) > 4:
		c.Reply.Error(resp.SubcommandSyntax("client", c.Args[1]))
		return
	case len(c.Args) < 4 || resp.EqualFold(c.Args[3], "TIMEOUT"):
	case resp.EqualFold(c.Args[3], "ERROR"):
		answer = func(r *resp.Reply) { r.Error(resp.ErrUnblocked) }
	default:
		c.Reply.Error(resp.ErrUnblockReason)
		return
	}
	id, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Reply.Error(resp.ErrNotInteger)
		return
	}
	if other := x.srv.sessions.get(id); other != nil && other.endBlock(answer) {
		c.Reply.Int(1)
		return
	}
	c.Reply.Int(0)
}

// clientType is what TYPE of CLIENT LIST and KILL names.
type clientType uint8

const (
	anyClient clientType = iota
	normalClient
	masterClient
	replicaClient
	pubsubClient
)

func parseClientType(word []byte) (clientType, bool) {
	switch {
	case resp.EqualFold(word, "NORMAL"):
		return normalClient, true
	case resp.EqualFold(word, "MASTER"):
		return masterClient, true
	case resp.EqualFold(word, "REPLICA"), resp.EqualFold(word, "SLAVE"):
		return replicaClient, true
	case resp.EqualFold(word, "PUBSUB"):
		return pubsubClient, true
	}
	return anyClient, false
}

// kind returns the session's type; any goroutine may ask.
func (x *Session) kind() clientType {
	if sub := x.subscription.Load(); sub != nil && sub.total() > 0 {
		return pubsubClient
	}
	return normalClient
}

// clientFilter holds the conditions of CLIENT KILL; all of them must hold.
type clientFilter struct {
	id          int64 // 0: any
	kind        clientType
	addr, laddr []byte // nil: any
	user        []byte
	maxAge      int64 // seconds, 0: any
	skipMe      bool
}

func parseFilter(args [][]byte) (f clientFilter, e error) {
	f.skipMe = true
	a := resp.NewArgs(args)
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Left() < 2:
			a.Fail(resp.ErrSyntax)
		case a.Is("ID"):
			if f.id = a.IntOr(resp.ErrClientIDInvalid); f.id < 1 {
				a.Fail(resp.ErrClientIDInvalid)
			}
		case a.Is("TYPE"):
			word := a.Next()
			kind, ok := parseClientType(word)
			if f.kind = kind; !ok {
				a.Fail(resp.UnknownClientType(word))
			}
		case a.Is("ADDR"):
			f.addr = a.Next()
		case a.Is("LADDR"):
			f.laddr = a.Next()
		case a.Is("USER"):
			if f.user = a.Next(); string(f.user) != defaultUser {
				a.Fail(resp.NoSuchUser(f.user))
			}
		case a.Is("MAXAGE"):
			if f.maxAge = a.IntOr(resp.ErrMaxAge); f.maxAge < 1 {
				a.Fail(resp.ErrMaxAgePositive)
			}
		case a.Is("SKIPME"):
			if f.skipMe = a.Is("YES"); !f.skipMe && !a.Is("NO") {
				a.Fail(resp.ErrSyntax)
			}
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return f, a.Err()
}

func (f *clientFilter) matches(other *Session, now int64) bool {
	return (f.id == 0 || other.id == f.id) &&
		(f.kind == anyClient || other.kind() == f.kind) &&
		(f.addr == nil || other.conn.Remote() == string(f.addr)) &&
		(f.laddr == nil || other.conn.Local() == string(f.laddr)) &&
		(f.user == nil || other.pub.names.Load().user == string(f.user)) &&
		(f.maxAge == 0 || now-other.birth >= f.maxAge*int64(time.Second))
}

func clientKill(x *Session, c *command.Ctx) {
	filter := clientFilter{addr: c.Args[2]}
	old := len(c.Args) == 3 // CLIENT KILL ip:port
	if !old {
		var err error
		if filter, err = parseFilter(c.Args[2:]); err != nil {
			c.Fail(err)
			return
		}
	}
	killed := 0
	now := resp.Monotonic()
	for _, other := range x.srv.sessions.list() {
		if other == x && filter.skipMe || !filter.matches(other, now) {
			continue
		}
		killed++
		if other == x {
			x.closing = true // after the reply
		} else {
			other.conn.Kill()
		}
	}
	switch {
	case !old:
		c.Reply.Int(int64(killed))
	case killed == 0:
		c.Reply.Error(resp.ErrNoSuchClient)
	default:
		c.Reply.OK()
	}
}

func clientInfo(x *Session, c *command.Ctx) {
	c.Reply.Verbatim(string(x.describe(nil, x, c, resp.Monotonic())))
}

func clientList(x *Session, c *command.Ctx) {
	var list []*Session
	switch a := resp.NewArgs(c.Args[2:]); {
	case a.Left() == 0:
		list = x.srv.sessions.list()
	case a.Left() == 2 && a.Is("TYPE"):
		word := a.Next()
		kind, ok := parseClientType(word)
		if !ok {
			c.Reply.Error(resp.UnknownClientType(word))
			return
		}
		list = slices.DeleteFunc(x.srv.sessions.list(), func(other *Session) bool { return other.kind() != kind })
	case a.Left() > 1 && a.Is("ID"):
		for a.Left() > 0 {
			if other := x.srv.sessions.get(a.IntOr(resp.ErrNoSuchClientID)); other != nil {
				list = append(list, other)
			}
		}
		if err := a.Err(); err != nil {
			c.Fail(err)
			return
		}
		c.Reply.Verbatim(x.describeAll(c, list))
		return
	default:
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	slices.SortFunc(list, func(a, b *Session) int { return cmp.Compare(a.id, b.id) })
	c.Reply.Verbatim(x.describeAll(c, list))
}

func (x *Session) describeAll(c *command.Ctx, list []*Session) string {
	now := resp.Monotonic()
	b := make([]byte, 0, 256*len(list))
	for _, other := range list {
		b = other.describe(b, x, c, now)
	}
	return string(b)
}

// smallOutput is what Redis keeps in a client's fixed buffer: output up to it
// is shown as obl, more as oll and omem.
const smallOutput = 16 << 10

// describe appends the line of CLIENT LIST. Any goroutine may call it: asker is
// the session whose own loop it is, c its command.
func (x *Session) describe(b []byte, asker *Session, c *command.Ctx, now int64) []byte {
	p := &x.pub
	names := p.names.Load()
	var argv, sub, psub, ssub, owed int64
	idle := (now - p.last.Load()<<lastShift) / int64(time.Second)
	if x == asker {
		idle = 0
		for _, arg := range c.Args {
			argv += int64(len(arg))
		}
	}
	owed = p.obuf.Load()
	if s := x.subscription.Load(); s != nil {
		sub, psub, ssub = int64(s.count(channelTopic)), int64(s.count(patternTopic)), int64(s.count(shardTopic))
		owed += int64(s.pending())
	}
	obl, oll, omem := owed, int64(0), int64(0)
	if owed > smallOutput {
		obl, oll, omem = 0, 1, owed
	}
	events := "r"
	if owed > 0 && x != asker {
		events = "rw"
	}
	cmd := "NULL"
	if id := p.command.Load(); id >= 0 {
		cmd = x.srv.table.All()[id].FullName
	}
	number := func(name string, n int64) {
		b = append(append(b, name...), '=')
		b = append(strconv.AppendInt(b, n, 10), ' ')
	}
	word := func(name, s string) { b = append(append(append(append(b, name...), '='), s...), ' ') }
	number("id", x.id)
	word("addr", x.conn.Remote())
	word("laddr", x.conn.Local())
	number("fd", int64(x.conn.FD()))
	word("name", names.name)
	number("age", (now-x.birth)/int64(time.Second))
	number("idle", max(idle, 0))
	word("flags", x.flagLetters())
	number("db", int64(p.db.Load()))
	number("sub", sub)
	number("psub", psub)
	number("ssub", ssub)
	number("multi", int64(p.multi.Load()))
	number("qbuf", p.qbuf.Load())
	number("qbuf-free", 0)
	number("argv-mem", argv)
	number("multi-mem", p.multiMem.Load())
	number("rbs", smallOutput)
	number("rbp", min(owed, smallOutput))
	number("obl", obl)
	number("oll", oll)
	number("omem", omem)
	number("tot-mem", x.memory()+argv)
	word("events", events)
	word("cmd", cmd)
	word("user", names.user)
	number("redir", x.redirection())
	number("resp", int64(p.resp.Load()))
	word("lib-name", names.libName)
	word("lib-ver", names.libVer)
	b[len(b)-1] = '\n'
	return b
}

// flagLetters returns CLIENT LIST's flags, in Redis' order.
func (x *Session) flagLetters() string {
	var b []byte
	flag := func(on bool, letter byte) {
		if on {
			b = append(b, letter)
		}
	}
	p := &x.pub
	flags := p.flags.Load()
	flag(flags&flagMonitor != 0, 'O')
	flag(x.kind() == pubsubClient, 'P')
	flag(p.multi.Load() >= 0, 'x')
	flag(x.blocked.Load() != nil, 'b')
	if tr := x.tracker.Load(); tr != nil {
		flag(tr.is(trackingOn), 't')
		flag(tr.is(trackingBroken), 'R')
		flag(tr.is(trackingBroadcast), 'B')
	}
	flag(x.dirty.Load(), 'd')
	flag(x.conn.Unix(), 'U')
	flag(p.noEvict.Load(), 'e')
	flag(flags&flagNoTouch != 0, 'T')
	if len(b) == 0 {
		return "N"
	}
	return string(b)
}
