package server

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"synap/command"
	"synap/resp"
	"synap/store"
)

// DEBUG serves test suites; enable-debug-command opens it. Its subcommands are
// no rows of the table, as in Redis.

const debugName = "debug"

func debugRow() Row {
	return Row{Row: command.Row{
		Name: debugName, Usage: "subcommand [argument [argument ...]]", Group: "server", Since: "1.0.0", Arity: -2,
		Summary: "Serves tests of the server.", Complexity: "Depends on subcommand.",
		Flags: command.Admin | command.NoScript | command.Loading | command.Stale | command.Protected | command.AllShards,
	}, Session: debugRun}
}

// debugCommand is one subcommand: args are those behind its name, between least
// and most of them.
type debugCommand struct {
	name, usage, summary string
	least, most          int
	run                  func(x *Session, c *command.Ctx, args [][]byte)
}

func debugCommands() []debugCommand {
	const any = math.MaxInt
	return []debugCommand{
		{"DIGEST", "", "A number that depends on all data and on nothing else.", 0, 0, debugDigest},
		{"DIGEST-VALUE", "<key> [<key> ...]", "The same of the values of keys.", 0, any, debugDigestValue},
		{"JMAP", "", "The statistics of the allocator.", 0, 0, func(x *Session, c *command.Ctx, _ [][]byte) { c.Reply.Verbatim(x.srv.allocatorReport()) }},
		{"LOADAOF", "", "Forgets all data and loads it from the log.", 0, 0, debugLoadAOF},
		{"OBJECT", "<key>", "How the value of a key is kept.", 1, 1, debugObject},
		{"POPULATE", "<count> [<prefix>] [<size>]", "Makes count strings named prefix:number (default key:number) where they are missing.", 1, 3, debugPopulate},
		{"RELOAD", "", "Writes a snapshot, forgets all data and loads it from there.", 0, 0, debugReload},
		{"SET-ACTIVE-EXPIRE", "<0|1>", "Stops (0) and starts (1) the removal of expired keys that nobody asks for.", 1, 1, debugActiveExpire},
		{"SLEEP", "<seconds>", "Lets this client wait; others go on.", 1, 1, debugSleep},
	}
}

func debugRun(x *Session, c *command.Ctx) {
	name, args := string(bytes.ToUpper(c.Args[1])), c.Args[2:]
	if name == "HELP" && len(args) == 0 {
		debugHelp(c.Reply)
		return
	}
	for _, d := range debugCommands() {
		if d.name == name && len(args) >= d.least && len(args) <= d.most {
			d.run(x, c, args)
			return
		}
	}
	c.Reply.Error(resp.SubcommandSyntax(debugName, c.Args[1]))
}

func debugHelp(r *resp.Reply) {
	all := debugCommands()
	r.Array(2*len(all) + 3)
	r.Status("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
	for _, d := range all {
		r.Status(string(bytes.TrimSpace([]byte(d.name + " " + d.usage))))
		r.Status("    " + d.summary)
	}
	r.Status("HELP")
	r.Status("    Prints this help.")
}

// debugSleep parks the client. What Redis takes for a number strtod takes.
func debugSleep(x *Session, c *command.Ctx, args [][]byte) {
	seconds, _ := resp.ParseFloat(args[0])
	const most = float64(math.MaxInt64 / 2)
	wait := time.Duration(min(seconds*float64(time.Second), most))
	if wait <= 0 || x.inTransaction(c) {
		c.Reply.OK()
		return
	}
	cmd, words := x.srv.table.Lookup(c.Args[0]), copyArgs(c.Args)
	x.park(parkSleep, resp.Monotonic()+int64(wait), func() resp.Next {
		x.srv.noteSlow(x, cmd, words, int64(wait), x.srv.now().UnixNano())
		if x.srv.tracer != nil {
			x.srv.traceSlept(x, cmd, wait)
		}
		x.out.OK()
		return x.next()
	})
}

func debugActiveExpire(x *Session, c *command.Ctx, args [][]byte) {
	x.srv.activeOff.Store(string(args[0]) == "0")
	c.Reply.OK()
}

func debugObject(x *Session, c *command.Ctx, args [][]byte) {
	meta, ok := c.Tx.Meta(args[0])
	if !ok {
		c.Reply.Error(resp.ErrNoSuchKey)
		return
	}
	c.Reply.Status(fmt.Sprintf("Value at:0x0 refcount:%d encoding:%s serializedlength:%d lru:%d lru_seconds_idle:%d",
		meta.Refs, meta.Encoding, meta.Bytes, (c.Now.Unix()-meta.Idle)&(1<<24-1), meta.Idle))
}

// debugPopulate writes nothing to the log, as in Redis.
func debugPopulate(x *Session, c *command.Ctx, args [][]byte) {
	count, ok := resp.ParseInt(args[0])
	if !ok || count < 0 {
		c.Reply.Error(resp.ErrNotPositive)
		return
	}
	prefix, size := []byte("key"), int64(0)
	if len(args) > 1 {
		prefix = args[1]
	}
	if len(args) > 2 {
		if size, ok = resp.ParseInt(args[2]); !ok || size < 0 {
			c.Reply.Error(resp.ErrNotPositive)
			return
		}
	}
	if size > c.Conf.ProtoMaxBulkLen {
		c.Reply.Error(resp.ErrStringTooLong)
		return
	}
	c.NoLog()
	var key, value []byte
	for i := range count {
		key = strconv.AppendInt(append(append(key[:0], prefix...), ':'), i, 10)
		if c.Tx.Kind(key, store.Peek) != store.KindNone {
			continue
		}
		value = strconv.AppendInt(append(value[:0], "value:"...), i, 10)
		if size > 0 {
			value = append(value, make([]byte, max(0, int(size)-len(value)))...)[:size]
		}
		c.Tx.Set(key, value, false)
		c.Tx.ResetChanges() // nobody may hear of them, and the list would grow
	}
	c.Reply.OK()
}

// digest is Redis' own (DEBUG DIGEST): equal data give the same number in both.
type digest [sha1.Size]byte

// xor adds a part whose place among the others does not matter.
func (d *digest) xor(b []byte) {
	for i, v := range sha1.Sum(b) {
		d[i] ^= v
	}
}

// mix adds a part whose place matters.
func (d *digest) mix(b []byte) {
	d.xor(b)
	*d = sha1.Sum(d[:])
}

func (d *digest) String() string { return hex.EncodeToString(d[:]) }

// digestKinds are the numbers of Redis' types.
var digestKinds = [...]byte{
	store.KindString: 0, store.KindList: 1, store.KindSet: 2, store.KindZSet: 3, store.KindHash: 4, store.KindStream: 6, store.KindQueue: 7,
}

// mixValue adds the value of a key, if it exists, and whether it expires.
func (d *digest) mixValue(tx *store.Tx, key []byte) {
	kind := tx.Kind(key, store.Peek)
	if kind == store.KindNone {
		return
	}
	d.mix([]byte{0, 0, 0, digestKinds[kind]})
	switch kind {
	case store.KindString:
		value, _ := tx.Get(key, store.Peek)
		d.mix(value)
	case store.KindList:
		list, _ := tx.List(key, store.Peek)
		list.Range(0, -1, func(v []byte) bool {
			d.mix(v)
			return true
		})
	case store.KindSet:
		set, _ := tx.SetOf(key, store.Peek)
		set.Each(func(m []byte) bool {
			d.xor(m)
			return true
		})
	case store.KindZSet:
		zset, _ := tx.ZSetOf(key, store.Peek)
		zset.ByRank(0, zset.Len(), false, func(member []byte, score float64) bool {
			var one digest
			one.mix(member)
			one.mix(bytes.ToLower(bytes.TrimPrefix(fmt.Appendf(nil, "%.17g", score), []byte("+")))) // as C writes it: inf
			d.xor(one[:])
			return true
		})
	case store.KindHash:
		d.mixHash(tx, key)
	case store.KindStream:
		stream, _ := tx.Stream(key, store.Peek)
		stream.Range(store.ID{}, store.MaxID, func(e store.Entry) bool {
			d.mix(fmt.Appendf(nil, "%d.%d", e.ID.Ms, e.ID.Seq))
			e.Each(d.mix)
			return true
		})
	case store.KindQueue:
		sum := tx.DigestValue(key)
		d.mix(sum[:])
	}
	if at, _ := tx.ExpireTime(key); at >= 0 {
		d.xor([]byte("!!expire!!"))
	}
}

// mixHash adds fields and values, in any order.
func (d *digest) mixHash(tx *store.Tx, key []byte) {
	h, _ := tx.HashOf(key, store.Peek)
	h.EachTimed(func(field, value []byte, at int64) bool {
		var one digest
		one.mix(field)
		one.mix(value)
		if at >= 0 {
			one.xor([]byte("!!hexpire!!"))
		}
		d.xor(one[:])
		return true
	})
}

func debugDigest(x *Session, c *command.Ctx, _ [][]byte) {
	var all digest
	db := c.Tx.DB()
	for i := range c.Tx.Databases() {
		if x.srv.store.DBSize(i) == 0 {
			continue
		}
		c.Tx.Use(i)
		var keys [][]byte
		c.Tx.Walk(func(key []byte, _ store.Kind) bool {
			keys = append(keys, bytes.Clone(key))
			return true
		})
		if len(keys) > 0 {
			all.mix([]byte{0, 0, byte(i >> 8), byte(i)})
		}
		for _, key := range keys {
			var one digest
			one.mix(key)
			one.mixValue(c.Tx, key)
			all.xor(one[:])
		}
	}
	c.Tx.Use(db)
	c.Reply.Status(all.String())
}

func debugDigestValue(x *Session, c *command.Ctx, args [][]byte) {
	c.Reply.Array(len(args))
	for _, key := range args {
		var one digest
		one.mixValue(c.Tx, key)
		c.Reply.Status(one.String())
	}
}
