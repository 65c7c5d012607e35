package server

import (
	"net/netip"
	"strconv"
	"strings"

	"synap/command"
	"synap/limiter"
	"synap/resp"
)

func ratelimitRows() []Row {
	sub := func(name, usage, summary, complexity string, arity int, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Summary: summary, Group: "server", Since: "1.0.0",
			Complexity: complexity, Arity: arity, Tips: []string{"nondeterministic_output"},
			Flags: command.Admin | command.NoScript | command.Loading | command.Stale | command.OwnGrouping,
		}, Session: run}
	}
	return []Row{container(
		command.Row{
			Name: "ratelimit", Group: "server", Since: "1.0.0", Arity: -2, Flags: command.OwnGrouping,
			Summary: "A container for rate limiter commands.", Complexity: "Depends on subcommand.",
		}, "1.0.0",
		sub("top", "[count]", "Returns the addresses refused most: 10, or count.",
			"O(N) where N is the size of the limiter's table", -2, ratelimitTop),
		sub("get", "address", "Tells what the limiter knows of an address.", "O(1)", 3, ratelimitGet),
		sub("reset", "<address | ALL>", "Fills the buckets of an address, or of all.",
			"O(1) for an address", 3, ratelimitReset),
		sub("status", "", "Tells the limiter's settings and figures.",
			"O(N) where N is the size of the limiter's table", 2, ratelimitStatus),
	)}
}

// replyEntry answers the map of one address.
func replyEntry(r *resp.Reply, e limiter.Entry) {
	r.Map(5)
	r.BulkString("address")
	r.BulkString(e.Address.String())
	r.BulkString("connections")
	r.Int(int64(e.Connections))
	r.BulkString("tokens")
	r.Int(int64(e.Tokens))
	r.BulkString("refused")
	r.Int(int64(e.Refused))
	r.BulkString("retry-after-ms")
	r.Int((e.RetryAfter.Microseconds() + 999) / 1000)
}

func ratelimitTop(x *Session, c *command.Ctx) {
	n := int64(10)
	if len(c.Args) > 3 {
		c.Reply.Error(resp.SubcommandSyntax("ratelimit", c.Args[1]))
		return
	}
	if len(c.Args) == 3 {
		var ok bool
		if n, ok = resp.ParseInt(c.Args[2]); !ok || n < 1 || n > 65536 {
			c.Reply.Error(resp.ErrRateLimitCount)
			return
		}
	}
	top := x.srv.limiter.Top(int(n), resp.Monotonic())
	c.Reply.Array(len(top))
	for _, e := range top {
		replyEntry(c.Reply, e)
	}
}

// ratelimitGet answers null for an address without a bucket.
func ratelimitGet(x *Session, c *command.Ctx) {
	addr, err := netip.ParseAddr(string(c.Args[2]))
	if err != nil {
		c.Reply.Error(resp.ErrRateLimitAddress)
		return
	}
	e, ok := x.srv.limiter.Get(addr, resp.Monotonic())
	if !ok {
		c.Reply.Null()
		return
	}
	replyEntry(c.Reply, e)
}

// ratelimitReset answers the number of addresses whose buckets are now full.
func ratelimitReset(x *Session, c *command.Ctx) {
	if strings.EqualFold(string(c.Args[2]), "all") {
		c.Reply.Int(int64(x.srv.limiter.ResetAll()))
		return
	}
	addr, err := netip.ParseAddr(string(c.Args[2]))
	if err != nil {
		c.Reply.Error(resp.ErrRateLimitAddress)
		return
	}
	n := int64(0)
	if x.srv.limiter.Reset(addr) {
		n = 1
	}
	c.Reply.Int(n)
}

func ratelimitStatus(x *Session, c *command.Ctx) {
	conf := x.srv.limiter.Config()
	s := x.srv.limiter.Stats(resp.Monotonic())
	yesNo := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	c.Reply.Map(9)
	for _, f := range []struct{ name, value string }{
		{"enabled", yesNo(s.Enabled)}, {"action", conf.Action.String()}, {"dry-run", yesNo(conf.DryRun)},
		{"requests-per-second", strconv.FormatFloat(conf.Rate, 'f', -1, 64)},
	} {
		c.Reply.BulkString(f.name)
		c.Reply.BulkString(f.value)
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"burst-size", int64(conf.Burst)}, {"buckets", int64(s.Buckets)}, {"slots", int64(s.Slots)},
		{"overflow", int64(s.Overflow)}, {"refused", int64(s.Refused)},
	} {
		c.Reply.BulkString(f.name)
		c.Reply.Int(f.value)
	}
}
