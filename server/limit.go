package server

import (
	"time"

	"synap/command"
	"synap/config"
	"synap/limiter"
	"synap/resp"
)

// sessionLimits are the limits that sessions look up at each request, made
// anew by applyConfig.
type sessionLimits struct {
	frame           resp.Limits
	unauthenticated resp.Limits
	output          int64
	clients         int64 // maxmemory-clients
	unauthOutput    int64
}

func newSessionLimits(c *config.Config) *sessionLimits {
	frame := resp.Limits{
		Args: c.ProtoMaxArgs, Bulk: int(c.ProtoMaxBulkLen), Inline: c.ProtoInlineMax,
		Header: c.ProtoHeaderMax, Query: int(c.ClientQueryBufferLimit),
	}
	early := frame
	early.Args, early.Bulk = c.UnauthenticatedMaxArgs, int(c.UnauthenticatedMaxBulkLen)
	early.Query = int(c.UnauthenticatedQueryBufferMax)
	early.Unauthenticated = true
	return &sessionLimits{
		frame: frame, unauthenticated: early,
		output: c.OutputLimits[config.ClassNormal].Hard, unauthOutput: c.UnauthenticatedOutputBufferMax,
		clients: c.ClientsMemory(),
	}
}

// outputOf returns how much one client may be owed, 0 = no limit: not more than
// all of them may hold, or a single command could outgrow maxmemory-clients,
// unless CLIENT NO-EVICT protects it.
func (l *sessionLimits) outputOf(protected bool) int64 {
	if protected || l.clients == 0 || l.output != 0 && l.output < l.clients {
		return l.output
	}
	return l.clients
}

// limit asks the client's token bucket. cmd is nil for an unknown command.
func (x *Session) limit(w *worker, cmd *command.Command, args [][]byte) (resp.Next, bool) {
	if x.bucket == nil || cmd != nil && cmd.FullName == pingName && x.sub != nil && x.sub.total() > 0 {
		return resp.Continue, false // a subscriber's sign of life
	}
	ok, retry := x.bucket.Allow(w.last, x.cost(args))
	if ok {
		return resp.Continue, false
	}
	return x.overLimit(w, cmd, args, retry), true
}

// overLimit does what option rate-limit-action says.
func (x *Session) overLimit(w *worker, cmd *command.Command, args [][]byte, retry time.Duration) resp.Next {
	switch x.srv.limiter.Action() {
	case limiter.Delay:
		return x.delay(w.last, retry, args)
	case limiter.Close:
		x.closing = true
	}
	return x.refuse(w, cmd, resp.Error(x.srv.limiter.Message(retry)))
}

// delay runs args anew when retry has passed since now, and notes how long that
// really took: a loop's timers go by milliseconds.
func (x *Session) delay(now int64, retry time.Duration, args [][]byte) resp.Next {
	next := x.parkRequest(parkDelay, now+int64(retry), args)
	run := x.parked.wake
	x.parked.wake = func() resp.Next {
		x.srv.limiter.Delayed(time.Duration(resp.Monotonic() - now))
		return run()
	}
	return next
}

// cost is what a request takes from the bucket.
func (x *Session) cost(args [][]byte) int {
	if !x.srv.limiter.CostsBySize() {
		return 1
	}
	n := 0
	for _, a := range args {
		n += len(a)
	}
	return x.srv.limiter.Cost(n)
}

// inSubscribeMode tells whether only the commands of subscribe mode are
// allowed (RESP2).
func (x *Session) inSubscribeMode() bool {
	return x.sub != nil && x.out.Proto() == 2 && x.sub.total() > 0
}
