package server

import (
	"fmt"
	"strconv"

	"synap/command"
	"synap/resp"
)

// MONITOR shows each command once it has run, as Redis does. Monitors are
// subscribers of the broker: one that does not read is closed like any other.

// configSetName is CONFIG SET, which may carry a password.
const configSetName = "config|set"

// hiddenArg stands for an argument that must not be shown.
var hiddenArg = []byte("(redacted)")

func monitorRow() Row {
	return Row{Row: command.Row{
		Name: "monitor", Usage: "", Group: "server", Since: "1.0.0", Arity: 1,
		Summary: "Shows every command that is run.", Complexity: "O(1), and O(N) in every command with N monitors.",
		Flags: command.Admin | command.NoScript | command.Loading | command.Stale,
	}, Session: monitor}
}

func monitor(x *Session, c *command.Ctx) {
	if x.inTransaction(c) {
		c.Reply.Error(resp.ErrMonitorDenied)
		return
	}
	if x.monitoring() { // Redis answers nothing at all
		return
	}
	x.subscriber().watch()
	x.setFlag(flagMonitor, true)
	c.Reply.OK()
}

// monitoring tells whether the session is in MONITOR mode; any goroutine may ask.
func (x *Session) monitoring() bool { return x.pub.flags.Load()&flagMonitor != 0 }

// feedMonitors shows a command that x ran at the time now, in unix nanoseconds,
// to every monitor.
func (s *Server) feedMonitors(x *Session, cmd *command.Command, args [][]byte, now int64) {
	if cmd.HasFlag(command.SkipMonitor | command.Admin) { // Redis: too dangerous to be shown
		return
	}
	line := make([]byte, 0, 128)
	line = strconv.AppendInt(line, now/1e9, 10)
	line = append(line, '.')
	for unit := int64(1e8); unit >= 1e3; unit /= 10 {
		line = append(line, byte('0'+now/unit%10))
	}
	line = append(line, " ["...)
	line = strconv.AppendInt(line, int64(x.db), 10)
	line = append(line, ' ')
	if x.conn.Unix() {
		line = append(line, "unix:"...)
		line = append(line, s.Config().UnixSocket...)
	} else {
		line = append(line, x.conn.Remote()...)
	}
	line = append(line, ']')
	s.broker.monitor(appendRequest(line, shownArgs(cmd, args)))
}

// A line of MONITOR shows so much of an argument, and about so much in all:
// with four bytes for one and a copy at every step, a request as large as the
// limits allow would take more memory than there may be.
const (
	monitorArgBytes  = 1 << 20
	monitorLineBytes = 4 << 20
)

// appendRequest appends the arguments, quoted, and tells how much is missing.
func appendRequest(line []byte, args [][]byte) []byte {
	for i, arg := range args {
		line = append(line, ' ')
		if len(line) > monitorLineBytes {
			return fmt.Appendf(line, `"... (%d more arguments)"`, len(args)-i)
		}
		if more := len(arg) - monitorArgBytes; more > 0 {
			arg = fmt.Appendf(nil, "%s... (%d more bytes)", arg[:monitorArgBytes], more)
		}
		line = appendQuoted(line, arg)
	}
	return line
}

// shownArgs returns a request as MONITOR and the slow log may show it: without
// passwords.
func shownArgs(cmd *command.Command, args [][]byte) [][]byte {
	switch cmd.FullName {
	case authName:
		return hideArgs(args, 1, len(args))
	case migrateName:
		return hideMigrate(args)
	case configSetName:
		for i := 2; i+1 < len(args); i += 2 {
			if resp.EqualFold(args[i], "REQUIREPASS") {
				args = hideArgs(args, i+1, i+2)
			}
		}
	case helloName:
		for i := 2; i+2 < len(args); i++ {
			if resp.EqualFold(args[i], "AUTH") {
				return hideArgs(args, i+1, i+3)
			}
		}
	}
	return args
}

func hideArgs(args [][]byte, from, to int) [][]byte {
	shown := append([][]byte(nil), args...)
	for i := from; i < to; i++ {
		shown[i] = hiddenArg
	}
	return shown
}

// appendQuoted appends s between quotes with the escapes of redis-cli.
func appendQuoted(b, s []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, ch := range s {
		switch {
		case ch == '\\' || ch == '"':
			b = append(b, '\\', ch)
		case ch >= ' ' && ch <= '~':
			b = append(b, ch)
		case ch == '\n':
			b = append(b, '\\', 'n')
		case ch == '\r':
			b = append(b, '\\', 'r')
		case ch == '\t':
			b = append(b, '\\', 't')
		case ch == '\a':
			b = append(b, '\\', 'a')
		case ch == '\b':
			b = append(b, '\\', 'b')
		default:
			b = append(b, '\\', 'x', hex[ch>>4], hex[ch&15])
		}
	}
	return append(b, '"')
}
