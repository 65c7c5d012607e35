package server

import (
	"fmt"
	"time"

	"synap/command"
	"synap/config"
	"synap/metrics"
	"synap/resp"
)

// openTracer prepares tracing if tracing-endpoint is set; the tracer stays nil
// otherwise.
func (s *Server) openTracer(cfg *config.Config) error {
	c := &cfg.Tracing
	if c.Endpoint == "" {
		return nil
	}
	t, err := metrics.NewTracer(metrics.TracerOptions{
		Endpoint: c.Endpoint, Ratio: c.SampleRatio, Queue: c.QueueSize,
		Service: c.ServiceName, Version: s.opts.Version, Instance: s.runID, Log: s.log,
	})
	if err != nil {
		return fmt.Errorf("tracing: %w", err)
	}
	s.tracer = t
	return nil
}

// traceparentName is the command that says how to trace others and makes no
// span itself.
const traceparentName = "client|traceparent"

// clientTraceparent names the cause of the session's next command. A bad value
// leaves it without one, as an empty one does.
func clientTraceparent(x *Session, c *command.Ctx) {
	x.traceparent = nil
	if len(c.Args[2]) > 0 {
		parent, ok := metrics.ParseTraceParent(string(c.Args[2]))
		if !ok {
			c.Reply.Error(resp.ErrTraceparent)
			return
		}
		if x.srv.tracer != nil {
			x.traceparent = parent
		}
	}
	c.Reply.OK()
}

// failure is the first word of the last error, if reply has had more than errs.
func failure(reply *resp.Reply, errs int) string {
	if reply.Errors() == errs {
		return ""
	}
	return reply.LastError()
}

// trace makes a span of a command that was just accounted. The session may be
// another loop's that was blocked: whoever serves it has claimed it, and so its
// traceparent.
func (s *Server) trace(w *worker, x *Session, cmd *command.Command, args [][]byte, took int64, failed string) {
	if cmd.FullName == traceparentName || cmd.Name == debugName && x.parked != nil {
		return // asleep: traceSlept follows
	}
	span := metrics.Span{DB: w.tx.DB(), Took: time.Duration(took), Error: failed, Slow: s.slowSpan(cmd, took)}
	if b := x.blocked.Load(); b != nil && b.cmd == cmd { // the wait belongs to it
		span.Took = time.Duration(w.last - b.since)
	}
	s.sendSpan(w, x, cmd, args, span)
}

// slowSpan tells whether a command would enter the slow log.
func (s *Server) slowSpan(cmd *command.Command, took int64) bool {
	return took >= s.slow.threshold.Load() && cmd.Flags&command.SkipSlowlog == 0
}

// traceRefused makes a span of a request that did not run, and whose arguments
// therefore say nothing; cmd is nil if there is no such command.
func (s *Server) traceRefused(w *worker, x *Session, cmd *command.Command, failed string) {
	s.sendSpan(w, x, cmd, nil, metrics.Span{DB: x.db, Took: time.Duration(w.watch.Now() - w.last), Error: failed})
}

// traceUnserved makes a span of a wait that ended by its time-out or by another
// client.
func (s *Server) traceUnserved(w *worker, x *Session, b *blocked, failed string) {
	s.sendSpan(w, x, b.cmd, b.args, metrics.Span{DB: b.db, Took: time.Duration(w.last - b.since), Error: failed})
}

// traceSlept makes a span of DEBUG SLEEP, which is accounted when it begins.
func (s *Server) traceSlept(x *Session, cmd *command.Command, wait time.Duration) {
	w := s.spare.Get().(*worker)
	defer s.spare.Put(w)
	w.begin(s)
	s.sendSpan(w, x, cmd, nil, metrics.Span{DB: x.db, Took: wait, Slow: s.slowSpan(cmd, int64(wait))})
}

// sendSpan completes a span that ends now, and queues it if it is slow or
// sampled. The session's traceparent is used up either way.
func (s *Server) sendSpan(w *worker, x *Session, cmd *command.Command, args [][]byte, span metrics.Span) {
	span.Parent, x.traceparent = x.traceparent, nil
	if !span.Slow && !s.tracer.Sample(span.Parent, w.rand.Uint64()) {
		return
	}
	if cmd != nil {
		span.Command = cmd.FullName
	}
	if args != nil {
		w.keys, _ = cmd.Keys(args, w.keys[:0])
		span.Keys = len(w.keys)
	}
	span.Start = w.now() - int64(span.Took)
	span.Door = x.doorKind()
	s.tracer.Record(span)
}
