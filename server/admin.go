package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"synap/command"
	"synap/resp"
)

// Rows of https://redis.io/docs/latest/commands/?group=server that concern the
// server as a whole, WAIT, and what a server without cluster mode, modules and
// replicas answers about these.

func adminRows() []Row {
	const anytime = command.Loading | command.Stale
	row := func(name, usage, group, since, summary string, arity int, flags command.Flags, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Group: group, Since: since, Summary: summary, Arity: arity, Flags: flags, Complexity: "O(1)",
		}, Session: run}
	}
	now := row("time", "", "server", "2.6.0", "Tells the server's time.", 1, anytime|command.Fast, nil)
	now.Run, now.Tips = unixTime, []string{"nondeterministic_output"}
	role := row("role", "", "server", "2.8.12", "Tells the server's part in replication.", 1, anytime|command.NoScript|command.Fast, role)
	role.Categories = []string{"admin", "dangerous"}
	perShard := []string{"request_policy:all_shards", "response_policy:agg_min"}
	wait := row("wait", "numreplicas timeout", "generic", "3.0.0", "Waits until replicas have the connection's writes.", 3, command.Blocking, nil)
	wait.Run, wait.Tips, wait.Categories = waitReplicas, perShard, []string{"connection", "-keyspace"}
	waitDisk := row("waitaof", "numlocal numreplicas timeout", "generic", "7.2.0", "Waits until the connection's writes are on disk.", 4, command.Blocking, waitAOF)
	waitDisk.Tips, waitDisk.Categories = perShard, wait.Categories
	const replication = command.NoAsyncLoad | command.Admin | command.NoScript | command.Stale
	slaveOf := row("slaveof", "<host port | <NO ONE>>", "server", "1.0.0", "Makes the server a replica of another, or a master.", 3, replication, replicaOf)
	slaveOf.Deprecated = "5.0.0|`REPLICAOF`"
	lolwut := row("lolwut", "[VERSION version]", "server", "5.0.0", "Draws a picture.", -1, command.ReadOnly|command.Fast, lolwut)
	shutdown := row("shutdown", "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", "server", "1.0.0", "Ends the server.", -1,
		anytime|command.Admin|command.NoScript|command.NoMulti|command.AllowBusy, shutdownNow)
	shutdown.Complexity = "O(N) where N is the number of clients whose replies are still on their way."
	return []Row{
		migrateRow(), now, role, wait, waitDisk, lolwut, shutdown, slaveOf,
		row("replicaof", "<host port | <NO ONE>>", "server", "5.0.0", "Makes the server a replica of another, or a master.", 3, replication, replicaOf),
		monitorRow(), memoryContainer(), debugRow(), moduleContainer(), clusterContainer(),
		clusterRow("readonly", "3.0.0", anytime|command.Fast), clusterRow("readwrite", "3.0.0", anytime|command.Fast),
		clusterRow("asking", "3.0.0", command.Fast),
	}
}

func unixTime(c *command.Ctx) {
	c.Reply.Array(2)
	c.Reply.BulkInt(c.Now.Unix())
	c.Reply.BulkInt(int64(c.Now.Nanosecond() / 1000))
}

func role(x *Session, c *command.Ctx) {
	c.Reply.Array(3)
	c.Reply.BulkString("master")
	c.Reply.Int(0)
	c.Reply.Array(0)
}

// parseMillis reads a time-out in milliseconds.
func parseMillis(a *resp.Args) time.Duration {
	ms := a.IntOr(resp.ErrTimeoutInteger)
	if ms < 0 {
		a.Fail(resp.ErrTimeoutNegative)
	}
	const most = int64(1<<62) / int64(time.Millisecond) // leaves room for sums
	return time.Duration(min(ms, most)) * time.Millisecond
}

// waitReplicas waits for replicas that do not exist: the answer is 0, at once
// or after the time-out.
func waitReplicas(c *command.Ctx) {
	a := resp.NewArgs(c.Args[1:])
	wanted := a.Int()
	timeout := parseMillis(&a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	none := func(r *resp.Reply) { r.Int(0) }
	if wanted <= 0 {
		none(c.Reply)
		return
	}
	c.Block(command.Block{Keys: [][]byte{}, Timeout: timeout, TimeOut: none})
}

func replicaOf(x *Session, c *command.Ctx) {
	if resp.EqualFold(c.Args[1], "NO") && resp.EqualFold(c.Args[2], "ONE") {
		c.Reply.OK()
		return
	}
	if port, ok := resp.ParseInt(c.Args[2]); !ok || port < 0 || port > 65535 {
		c.Reply.Error(resp.ErrMasterPort)
		return
	}
	c.Reply.Error(resp.ErrNoReplication)
}

// shutdownRequest is what SHUTDOWN asks for.
type shutdownRequest struct{ save, noSave, now, force, abort bool }

func parseShutdown(args [][]byte) (q shutdownRequest, err error) {
	a := resp.NewArgs(args)
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("NOSAVE"):
			q.noSave = true
		case a.Is("SAVE"):
			q.save = true
		case a.Is("NOW"):
			q.now = true
		case a.Is("FORCE"):
			q.force = true
		case a.Is("ABORT"):
			q.abort = true
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	if q.abort && (q.save || q.noSave || q.now || q.force) || q.save && q.noSave {
		a.Fail(resp.ErrSyntax)
	}
	return q, a.Err()
}

// shutdownNow ends the server as SIGTERM does. It answers only if it does not.
func shutdownNow(x *Session, c *command.Ctx) {
	q, err := parseShutdown(c.Args[1:])
	switch {
	case err != nil:
		c.Fail(err)
		return
	case q.abort: // nothing holds a shutdown up, so none can be ended
		c.Reply.Error(resp.ErrShutdownNone)
		return
	}
	save := q.save || len(x.srv.Config().Save) > 0 && !q.noSave
	if save && !q.force && !x.srv.persist.loading.Load() && x.srv.saveInTurn() != nil {
		c.Reply.Error(resp.ErrShutdown)
		return
	}
	x.srv.persist.forced.Store(q.save)
	x.srv.persist.noSave.Store(q.noSave)
	x.srv.log.Info("user requested shutdown", "client", x.conn.Remote())
	x.closing = true
	go x.srv.shutdownWithin(q.now)
}

// shutdownWithin shuts down, giving clients at most shutdown-timeout, or no
// time at all.
func (s *Server) shutdownWithin(now bool) {
	timeout := time.Duration(s.Config().ShutdownTimeout) * time.Second
	if now {
		timeout = 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil && !now {
		s.log.Warn("shutdown was not clean", "error", err)
	}
}

// protectedDenied tells why a command guarded by an enable-… option may not
// run: it may if the option says yes, or local and the client is on this
// machine.
func (s *Server) protectedDenied(cmd *command.Command, x *Session) resp.Error {
	if cmd.Name != debugName {
		return resp.ErrModuleDisallowed
	}
	switch s.Config().EnableDebugCommand {
	case "yes":
		return ""
	case "local":
		if x.conn.Unix() || x.conn.RemoteAddr().Addr().Unmap().IsLoopback() {
			return ""
		}
	}
	return resp.ErrDebugDisallowed
}

func moduleContainer() Row {
	row := func(name, usage, since, summary string, arity int, flags command.Flags, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Group: "server", Since: since, Summary: summary, Arity: arity, Flags: flags, Complexity: "O(1)",
		}, Session: run}
	}
	const loading = command.NoAsyncLoad | command.Admin | command.NoScript | command.Protected
	refused := func(x *Session, c *command.Ctx) { c.Reply.Error(resp.ErrModuleDisallowed) }
	list := row("list", "", "4.0.0", "Lists the modules: there are none.", 2, command.Admin|command.NoScript,
		func(x *Session, c *command.Ctx) { c.Reply.Array(0) })
	list.Tips = []string{"nondeterministic_output_order"}
	return container(command.Row{
		Name: "module", Group: "server", Since: "4.0.0", Arity: -2,
		Summary: "Container of the commands about modules.", Complexity: "Depends on subcommand.",
	}, "5.0.0",
		list,
		row("load", "path [arg [arg ...]]", "4.0.0", "Refused: there are no modules.", -3, loading, refused),
		row("loadex", "path [CONFIG name value [CONFIG name value ...]] [ARGS args [args ...]]", "7.0.0", "Refused: there are no modules.", -3, loading, refused),
		row("unload", "name", "4.0.0", "Refused: there are no modules.", 3, loading, refused),
	)
}

func clusterDisabled(x *Session, c *command.Ctx) { c.Reply.Error(resp.ErrClusterDisabled) }

// clusterRow is a command that only cluster mode knows.
func clusterRow(name, since string, flags command.Flags) Row {
	return Row{Row: command.Row{
		Name: name, Group: "cluster", Since: since, Arity: 1, Flags: flags, Complexity: "O(1)",
		Summary: "Refused: there is no cluster mode.", Categories: []string{"connection"},
	}, Session: clusterDisabled}
}

// clusterContainer knows every subcommand of Redis 7.2, so that clients that
// probe for cluster mode get the answer they look for.
func clusterContainer() Row {
	const (
		change = command.NoAsyncLoad | command.Admin | command.Stale
		admin  = command.Admin | command.Stale
		read   = command.Stale
		any    = command.Loading | command.Stale
	)
	changing := []string{"nondeterministic_output"}
	subs := []command.Row{
		{Name: "addslots", Usage: "slot [slot ...]", Arity: -3, Flags: change},
		{Name: "addslotsrange", Usage: "start-slot end-slot [start-slot end-slot ...]", Since: "7.0.0", Arity: -4, Flags: change},
		{Name: "bumpepoch", Arity: 2, Flags: change, Tips: changing},
		{Name: "count-failure-reports", Usage: "node-id", Arity: 3, Flags: admin, Tips: changing},
		{Name: "countkeysinslot", Usage: "slot", Arity: 3, Flags: read},
		{Name: "delslots", Usage: "slot [slot ...]", Arity: -3, Flags: change},
		{Name: "delslotsrange", Usage: "start-slot end-slot [start-slot end-slot ...]", Since: "7.0.0", Arity: -4, Flags: change},
		{Name: "failover", Usage: "[FORCE | TAKEOVER]", Arity: -2, Flags: change},
		{Name: "flushslots", Arity: 2, Flags: change},
		{Name: "forget", Usage: "node-id", Arity: 3, Flags: change},
		{Name: "getkeysinslot", Usage: "slot count", Arity: 4, Flags: read, Tips: changing},
		{Name: "info", Arity: 2, Flags: any, Tips: changing},
		{Name: "keyslot", Usage: "name", Arity: 3, Flags: read},
		{Name: "links", Since: "7.0.0", Arity: 2, Flags: read, Tips: changing},
		{Name: "meet", Usage: "ip port [cluster-bus-port]", Arity: -4, Flags: change},
		{Name: "myid", Arity: 2, Flags: any},
		{Name: "myshardid", Since: "7.2.0", Arity: 2, Flags: any, Tips: changing},
		{Name: "nodes", Arity: 2, Flags: any, Tips: changing},
		{Name: "replicas", Usage: "node-id", Since: "5.0.0", Arity: 3, Flags: admin, Tips: changing},
		{Name: "replicate", Usage: "node-id", Arity: 3, Flags: change},
		{Name: "reset", Usage: "[HARD | SOFT]", Arity: -2, Flags: admin | command.NoScript},
		{Name: "saveconfig", Arity: 2, Flags: change},
		{Name: "set-config-epoch", Usage: "config-epoch", Arity: 3, Flags: change},
		{Name: "setslot", Usage: "slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE>", Arity: -4, Flags: change | command.MayReplicate},
		{Name: "shards", Since: "7.0.0", Arity: 2, Flags: any, Tips: changing},
		{Name: "slaves", Usage: "node-id", Arity: 3, Flags: admin, Tips: changing, Deprecated: "5.0.0|`CLUSTER REPLICAS`"},
		{Name: "slots", Arity: 2, Flags: any, Tips: changing, Deprecated: "7.0.0|`CLUSTER SHARDS`"},
		{Name: "help", Since: "5.0.0", Arity: 2, Flags: any},
	}
	c := Row{Row: command.Row{
		Name: "cluster", Group: "cluster", Since: "3.0.0", Arity: -2,
		Summary: "Container of the commands of cluster mode, which there is not.", Complexity: "Depends on subcommand.",
	}}
	for _, sub := range subs {
		if sub.Since == "" {
			sub.Since = "3.0.0"
		}
		sub.Group, sub.Complexity, sub.Summary = "cluster", "O(1)", "Refused: there is no cluster mode."
		c.Subs = append(c.Subs, Row{Row: sub, Session: clusterDisabled})
	}
	return c
}

// lolwutNumbers is how many numbers Redis reads behind VERSION 5 and 6.
var lolwutNumbers = map[int64]int{5: 3, 6: 2}

// lolwut draws nerve cells and their links, a different net each time.
func lolwut(x *Session, c *command.Ctx) {
	a := resp.NewArgs(c.Args[1:])
	if a.Left() > 1 && a.Is("VERSION") {
		// What follows is the size of Redis' drawing of that version; ours has
		// one size, but numbers they must be.
		for n := lolwutNumbers[a.Int()]; n > 0 && a.Left() > 0; n-- {
			a.Int()
		}
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	const width, height, cells = 48, 9, 7
	grid := make([][]byte, height)
	for i := range grid {
		grid[i] = []byte(strings.Repeat(" ", width))
	}
	var from [2]int
	for i := range cells {
		to := [2]int{c.Rand.IntN(width), c.Rand.IntN(height)}
		if i > 0 {
			link(grid, from, to)
		}
		from = to
	}
	text := ""
	for _, line := range grid {
		text += strings.TrimRight(string(line), " ") + "\n"
	}
	c.Reply.Verbatim(text + fmt.Sprintf("\nSynap ver. %s, Redis ver. %s\n", x.srv.opts.Version, RedisVersion))
}

// link draws a line of dots from one cell to another.
func link(grid [][]byte, from, to [2]int) {
	dx, dy := to[0]-from[0], to[1]-from[1]
	steps := max(dx, -dx, dy, -dy, 1)
	for i := range steps + 1 {
		cell := &grid[from[1]+dy*i/steps][from[0]+dx*i/steps]
		switch {
		case i == 0 || i == steps:
			*cell = 'O'
		case *cell == ' ':
			*cell = '.'
		}
	}
}
