package command

import (
	"math"
	"strconv"

	"synap/resp"
	"synap/store"
)

// Keys of any kind and whole databases (https://redis.io/commands/?group=generic).

func keyRows() []Row {
	var rows []Row
	rows = append(rows, keyRemoveRows()...)
	rows = append(rows, keyExpireRows()...)
	rows = append(rows, keyMoveRows()...)
	rows = append(rows, keySpaceRows()...)
	return append(rows, objectRow())
}

func keyRemoveRows() []Row {
	return []Row{
		{
			Name: "del", Usage: "key [key ...]", Arity: -2,
			Summary: "Deletes keys and returns how many there were.",
			Group:   "generic", Since: "1.0.0", Complexity: "O(N) where N is the number of keys, and of the elements they hold",
			Flags: Write, Keys: allKeys(RM|Delete, 1), Run: del,
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		},
		{
			Name: "unlink", Usage: "key [key ...]", Arity: -2, Event: "del",
			Summary: "Deletes keys and returns how many there were: DEL under another name.",
			Group:   "generic", Since: "4.0.0", Complexity: "O(N) where N is the number of keys",
			Flags: Write | Fast, Keys: allKeys(RM|Delete, 1), Run: del,
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		},
		{
			Name: "exists", Usage: "key [key ...]", Arity: -2,
			Summary: "Returns how many of the keys exist; a key given twice counts twice.",
			Group:   "generic", Since: "1.0.0", Complexity: "O(N) where N is the number of keys",
			Flags: ReadOnly | Fast, Keys: allKeys(RO, 1), Run: exists,
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		},
		{
			Name: "touch", Usage: "key [key ...]", Arity: -2,
			Summary: "Returns how many of the keys exist and renews their time of last use.",
			Group:   "generic", Since: "3.2.1", Complexity: "O(N) where N is the number of keys",
			Flags: ReadOnly | Fast, Keys: allKeys(RO, 1), Run: touch,
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		},
		{
			Name: "type", Usage: "key", Arity: 2,
			Summary: "Returns the kind of value a key holds.",
			Group:   "generic", Since: "1.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: typeOf,
		},
	}
}

func keyExpireRows() []Row {
	const condition = " [NX | XX | GT | LT]"
	row := func(name, usage, since, summary string, unit expireUnit) Row {
		return Row{
			Name: name, Usage: "key " + usage + condition, Arity: -3, Event: "expire",
			Summary: summary,
			Group:   "generic", Since: since, Complexity: "O(1)",
			Flags: Write | Fast, Keys: oneKey(RW | Update), Run: func(c *Ctx) { expire(c, unit) },
		}
	}
	read := func(name, since, summary string, tips []string, answer func(c *Ctx, at int64) int64) Row {
		return Row{
			Name: name, Usage: "key", Arity: 2,
			Summary: summary,
			Group:   "generic", Since: since, Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: func(c *Ctx) { expiry(c, answer) },
			Tips: tips,
		}
	}
	varies := []string{"nondeterministic_output"}
	return []Row{
		row("expire", "seconds", "1.0.0", "Sets the time to live of a key in seconds.", unitEX),
		row("pexpire", "milliseconds", "2.6.0", "Sets the time to live of a key in milliseconds.", unitPX),
		row("expireat", "unix-time-seconds", "1.2.0", "Sets the unix time in seconds at which a key expires.", unitEXAT),
		row("pexpireat", "unix-time-milliseconds", "2.6.0", "Sets the unix time in milliseconds at which a key expires.", unitPXAT),
		read("ttl", "1.0.0", "Returns the time to live of a key in seconds.", varies,
			func(c *Ctx, at int64) int64 { return toSeconds(max(at-c.Tx.Now, 0)) }),
		read("pttl", "2.6.0", "Returns the time to live of a key in milliseconds.", varies,
			func(c *Ctx, at int64) int64 { return max(at-c.Tx.Now, 0) }),
		read("expiretime", "7.0.0", "Returns the unix time in seconds at which a key expires.", nil,
			func(_ *Ctx, at int64) int64 { return toSeconds(at) }),
		read("pexpiretime", "7.0.0", "Returns the unix time in milliseconds at which a key expires.", nil,
			func(_ *Ctx, at int64) int64 { return at }),
		{
			Name: "persist", Usage: "key", Arity: 2,
			Summary: "Removes the expiry of a key.",
			Group:   "generic", Since: "2.2.0", Complexity: "O(1)",
			Flags: Write | Fast, Keys: oneKey(RW | Update), Run: persist,
		},
	}
}

func keyMoveRows() []Row {
	return []Row{
		{
			Name: "rename", Usage: "key newkey", Arity: 3,
			Summary: "Renames a key, replacing what the new name holds.",
			Group:   "generic", Since: "1.0.0", Complexity: "O(1), and the cost of deleting what the new name held",
			Flags: Write, Keys: twoKeys(RW|Access|Delete, OW|Update), Run: func(c *Ctx) { rename(c, false) },
		},
		{
			Name: "renamenx", Usage: "key newkey", Arity: 3,
			Summary: "Renames a key if the new name is free.",
			Group:   "generic", Since: "1.0.0", Complexity: "O(1)",
			Flags: Write | Fast, Keys: twoKeys(RW|Access|Delete, OW|Insert), Run: func(c *Ctx) { rename(c, true) },
		},
		{
			Name: "copy", Usage: "source destination [DB destination-db] [REPLACE]", Arity: -3, Event: "copy_to",
			Summary: "Copies the value and expiry of a key to another key.",
			Group:   "generic", Since: "6.2.0", Complexity: "O(N) where N is the number of elements in a collection, O(1) for a string",
			Flags: Write | DenyOOM, Keys: twoKeys(RO|Access, OW|Update), Run: copyKey, Elsewhere: copyElsewhere,
		},
		{
			Name: "move", Usage: "key db", Arity: 3,
			Summary: "Moves a key to another database.",
			Group:   "generic", Since: "1.0.0", Complexity: "O(1)",
			Flags: Write | Fast, Keys: oneKey(RW | Access | Update), Run: move,
			Elsewhere: func(args [][]byte, want func(db int, key []byte)) { wantIn(args[2], args[1], want) },
		},
		{
			Name: "swapdb", Usage: "index1 index2", Arity: 3, Categories: []string{"keyspace", "dangerous"},
			Summary: "Exchanges the contents of two databases.",
			Group:   "server", Since: "4.0.0", Complexity: "O(N) where N is the number of clients that watch or wait for keys of them",
			Flags: Write | Fast | AllShards, Run: swapdb,
		},
	}
}

func keySpaceRows() []Row {
	row := func(name, summary, complexity string, run func(*Ctx)) Row {
		return Row{
			Name: name, Usage: "[ASYNC | SYNC]", Arity: -1, Categories: []string{"keyspace", "dangerous"},
			Summary: summary,
			Group:   "server", Since: "1.0.0", Complexity: complexity,
			Flags: Write | AllShards, Run: run,
			Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"},
		}
	}
	return []Row{
		{
			Name: "keys", Usage: "pattern", Arity: 2, Categories: []string{"dangerous"},
			Summary: "Returns the names of all keys that match a pattern.",
			Group:   "generic", Since: "1.0.0", Complexity: "O(N) where N is the number of keys in the database",
			Flags: ReadOnly | Walks, Run: keys,
			Tips: []string{"request_policy:all_shards", "nondeterministic_output_order"},
		},
		{
			Name: "scan", Usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]", Arity: -2,
			Summary: "Walks over the names of the keys, a part at every call.",
			Group:   "generic", Since: "2.8.0", Complexity: "O(1) a call, O(N) for a whole walk, where N is the number of keys",
			Flags: ReadOnly | Walks, Run: scan,
			Tips: []string{"nondeterministic_output", "request_policy:special", "response_policy:special"},
		},
		{
			Name: "randomkey", Usage: "", Arity: 1,
			Summary: "Returns the name of some key, chosen by chance.",
			Group:   "generic", Since: "1.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Walks, Run: randomkey,
			Tips: []string{"request_policy:all_shards", "response_policy:special", "nondeterministic_output"},
		},
		{
			Name: "dbsize", Usage: "", Arity: 1, Categories: []string{"keyspace"},
			Summary: "Returns the number of keys in the database.",
			Group:   "server", Since: "1.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Run: func(c *Ctx) { c.Reply.Int(int64(c.Tx.Size())) },
			Tips: []string{"request_policy:all_shards", "response_policy:agg_sum"},
		},
		row("flushdb", "Removes all keys of the database.", "O(N) where N is the number of keys in the database", func(c *Ctx) { flush(c, c.Tx.DB()) }),
		row("flushall", "Removes all keys of all databases.", "O(N) where N is the number of keys in all databases", func(c *Ctx) { flush(c, -1) }),
	}
}

func objectRow() Row {
	read := func(name, since, summary string, answer func(*Ctx, store.Meta)) Row {
		return Row{
			Name: name, Usage: "key", Arity: 3,
			Summary: summary,
			Group:   "generic", Since: since, Complexity: "O(1)",
			Flags: ReadOnly, Keys: []KeySpec{{Flags: RO, Begin: 2}}, Run: func(c *Ctx) { object(c, answer) },
			Tips: []string{"nondeterministic_output"},
		}
	}
	subs := []Row{
		read("encoding", "2.2.3", "Returns how the value of a key is kept in memory.",
			objectEncoding),
		read("freq", "4.0.0", "Returns the logarithmic counter of a key's uses.", objectFreq),
		read("idletime", "2.2.3", "Returns the seconds since a key was last used.", objectIdle),
		read("refcount", "2.2.3", "Returns the number of references to the value of a key.",
			func(c *Ctx, m store.Meta) { c.Reply.Int(int64(m.Refs)) }),
	}
	return Row{
		Name: "object", Arity: -2,
		Summary: "Tells how the value of a key is stored and used.",
		Group:   "generic", Since: "2.2.3", Complexity: "Depends on the subcommand",
		Subs: append(subs, HelpRow("object", Row{Group: "generic", Since: "6.2.0", Flags: Loading | Stale}, subs)),
	}
}

func del(c *Ctx) {
	n := 0
	for _, key := range c.Args[1:] {
		if c.Tx.Delete(key) {
			n++
		}
	}
	c.Reply.Int(int64(n))
}

func exists(c *Ctx) { countKeys(c, store.Note) }
func touch(c *Ctx)  { countKeys(c, store.Read) }

func countKeys(c *Ctx, a store.Access) {
	n := 0
	for _, key := range c.Args[1:] {
		if c.Tx.Kind(key, a) != store.KindNone {
			n++
		}
	}
	c.Reply.Int(int64(n))
}

func typeOf(c *Ctx) { c.Reply.Status(c.Tx.Kind(c.Args[1], store.Note).String()) }

// expireCondition holds the options of EXPIRE and its relatives.
type expireCondition struct{ nx, xx, gt, lt bool }

func parseCondition(a *resp.Args) (o expireCondition) {
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("NX"):
			o.nx = true
		case a.Is("XX"):
			o.xx = true
		case a.Is("GT"):
			o.gt = true
		case a.Is("LT"):
			o.lt = true
		default:
			a.Fail(resp.UnsupportedOption(a.Peek()))
		}
	}
	switch {
	case o.nx && (o.xx || o.gt || o.lt):
		a.Fail(resp.ErrNXWithXXGTLT)
	case o.gt && o.lt:
		a.Fail(resp.ErrGTWithLT)
	}
	return o
}

// allows tells whether an expiry at replaces the current one, which is -1 if
// there is none: for ever, to GT and LT.
func (o *expireCondition) allows(at, current int64) bool {
	switch {
	case o.nx && current != -1, o.xx && current == -1:
		return false
	case o.gt && (current == -1 || at <= current):
		return false
	case o.lt && current != -1 && at >= current:
		return false
	}
	return true
}

// expire is EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT. A time that has come
// deletes the key at once.
func expire(c *Ctx, unit expireUnit) {
	a := resp.NewArgs(c.Args[3:])
	o := parseCondition(&a)
	at, err := deadline(c, unit)
	if e := a.Err(); e != nil {
		err = e
	}
	if err != nil {
		c.Fail(err)
		return
	}
	current, ok := c.Tx.ExpireTime(c.Args[1])
	if !ok || !o.allows(at, current) {
		c.Reply.Int(0)
		return
	}
	expireKey(c, at)
	c.Reply.Int(1)
}

// deadline turns the second argument into unix milliseconds, negative ones
// allowed. It fails if they do not fit into 64 bits.
func deadline(c *Ctx, unit expireUnit) (int64, error) {
	n, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return 0, resp.ErrNotInteger
	}
	if unit == unitEX || unit == unitEXAT {
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return 0, resp.InvalidExpire(c.Row.Name)
		}
		n *= 1000
	}
	if unit == unitEX || unit == unitPX {
		if n > math.MaxInt64-c.Tx.Now {
			return 0, resp.InvalidExpire(c.Row.Name)
		}
		n += c.Tx.Now
	}
	return n, nil
}

// expireKey gives the existing key of the first argument an expiry in unix
// milliseconds. The journal gets the absolute time, or DEL if it has come.
func expireKey(c *Ctx, at int64) {
	key := c.Args[1]
	if at <= c.Tx.Now {
		c.Tx.Delete(key)
		c.LogAs(wordDEL, key)
		return
	}
	c.Tx.SetExpire(key, at)
	c.LogAs(wordPEXPIREAT, key, c.decimal(at))
}

// expiry replies -2 without a key, -1 without an expiry, else the answer.
func expiry(c *Ctx, answer func(c *Ctx, at int64) int64) {
	c.Tx.Kind(c.Args[1], store.Note) // counts as a hit or miss, as in Redis
	at, ok := c.Tx.ExpireTime(c.Args[1])
	switch {
	case !ok:
		c.Reply.Int(-2)
	case at == -1:
		c.Reply.Int(-1)
	default:
		c.Reply.Int(answer(c, at))
	}
}

// toSeconds rounds milliseconds to the nearest second; unsigned, because half
// a second more than the last millisecond does not fit into 63 bits.
func toSeconds(ms int64) int64 { return int64((uint64(ms) + 500) / 1000) }

func persist(c *Ctx) {
	if !c.Tx.Persist(c.Args[1]) {
		c.Reply.Int(0)
		return
	}
	c.Reply.Int(1)
}

func rename(c *Ctx, nx bool) {
	src, dst := c.Args[1], c.Args[2]
	if c.Tx.Kind(src, store.Write) == store.KindNone {
		c.Fail(resp.ErrNoSuchKey)
		return
	}
	same := string(src) == string(dst)
	if nx && (same || c.Tx.Kind(dst, store.Write) != store.KindNone) {
		c.Reply.Int(0)
		return
	}
	if !same {
		c.Tx.Rename(src, dst)
	}
	if nx {
		c.Reply.Int(1)
	} else {
		c.Reply.OK()
	}
}

// copyOptions are the options of COPY.
type copyOptions struct {
	db      int
	replace bool
}

func parseCopy(c *Ctx) (o copyOptions, err error) {
	o.db = c.Tx.DB()
	a := resp.NewArgs(c.Args[3:])
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("REPLACE"):
			o.replace = true
		case a.Left() > 1 && a.Is("DB"):
			o.db = database(c, &a)
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return o, a.Err()
}

// database consumes the number of a database.
func database(c *Ctx, a *resp.Args) int {
	n := a.Int()
	if n < math.MinInt32 || n > math.MaxInt32 {
		a.Fail(resp.ErrInt32Range)
	}
	if n < 0 || n >= int64(c.Tx.Databases()) {
		a.Fail(resp.ErrDBIndex)
	}
	return int(n)
}

func copyKey(c *Ctx) {
	o, err := parseCopy(c)
	src, dst, home := c.Args[1], c.Args[2], c.Tx.DB()
	if err == nil && o.db == home && string(src) == string(dst) {
		err = resp.ErrSameObject
	}
	if err != nil {
		c.Fail(err)
		return
	}
	if c.Tx.Kind(src, store.Read) == store.KindNone || !o.replace && existsIn(c, o.db, dst) {
		c.Reply.Int(0)
		return
	}
	c.Tx.Copy(src, o.db, dst)
	c.Reply.Int(1)
}

// existsIn tells whether the key exists in a database whose shard is held.
func existsIn(c *Ctx, db int, key []byte) bool {
	home := c.Tx.DB()
	c.Tx.Use(db)
	kind := c.Tx.Kind(key, store.Write)
	c.Tx.Use(home)
	return kind != store.KindNone
}

// copyElsewhere asks for the destination in every database that DB names.
func copyElsewhere(args [][]byte, want func(db int, key []byte)) {
	for i := 3; i+1 < len(args); i++ {
		if resp.EqualFold(args[i], "DB") {
			wantIn(args[i+1], args[2], want)
		}
	}
}

func wantIn(db, key []byte, want func(db int, key []byte)) {
	if n, ok := resp.ParseInt(db); ok && 0 <= n && n <= math.MaxInt32 {
		want(int(n), key)
	}
}

func move(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	db, key := database(c, &a), c.Args[1]
	if db == c.Tx.DB() {
		a.Fail(resp.ErrSameObject)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if c.Tx.Kind(key, store.Write) == store.KindNone || existsIn(c, db, key) {
		c.Reply.Int(0)
		return
	}
	c.Tx.Move(key, db)
	c.Reply.Int(1)
}

func swapdb(c *Ctx) {
	a := resp.NewArgs(c.Args[1:])
	first := a.IntOr(resp.ErrInvalidFirstDB)
	if first < math.MinInt32 || first > math.MaxInt32 {
		a.Fail(resp.ErrInvalidFirstDB)
	}
	second := a.IntOr(resp.ErrInvalidSecondDB)
	if second < math.MinInt32 || second > math.MaxInt32 {
		a.Fail(resp.ErrInvalidSecondDB)
	}
	if n := int64(c.Tx.Databases()); first < 0 || first >= n || second < 0 || second >= n {
		a.Fail(resp.ErrDBIndex)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if first != second {
		c.Tx.SwapDB(int(first), int(second))
	}
	c.Reply.OK()
}

func keys(c *Ctx) {
	pattern := c.Args[1]
	all := string(pattern) == "*"
	mark, n := c.Reply.DeferArray(), 0
	c.Tx.Walk(func(key []byte, _ store.Kind) bool {
		if all || Glob(pattern, key) {
			c.Reply.Bulk(key)
			n++
		}
		return !c.Reply.Over()
	})
	c.Reply.SetDeferred(mark, n)
}

// scanOptions are the options of SCAN.
type scanOptions struct {
	cursor uint64
	count  int64
	match  []byte // nil: every key
	kind   []byte // nil: every kind
}

func parseScan(args [][]byte) (o scanOptions, err error) {
	a := resp.NewArgs(args)
	cursor, ok := parseCursor(a.Next())
	if !ok {
		a.Fail(resp.ErrInvalidCursor)
	}
	o = scanOptions{cursor: cursor, count: 10}
	for a.Left() > 0 && a.Err() == nil {
		if a.Left() < 2 {
			a.Fail(resp.ErrSyntax)
		}
		switch {
		case a.Is("COUNT"):
			if o.count = a.Int(); o.count < 1 {
				a.Fail(resp.ErrSyntax)
			}
		case a.Is("MATCH"):
			if o.match = a.Next(); string(o.match) == "*" {
				o.match = nil
			}
		case a.Is("TYPE"):
			o.kind = a.Next()
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return o, a.Err()
}

// parseCursor reads a cursor as C's strtoul does: signs, leading zeros and
// nothing at all are numbers, a blank is none.
func parseCursor(b []byte) (uint64, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg || len(b) > 0 && b[0] == '+' {
		b = b[1:]
		if len(b) == 0 {
			return 0, false
		}
	}
	if len(b) == 0 {
		return 0, true
	}
	if len(b) > 64 || b[0] == '+' || b[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	if neg {
		n = -n
	}
	return n, err == nil
}

// scanStep is how many keys are visited between two looks at the reply's size,
// scanReply the size at which SCAN stops: COUNT is only a hint.
const (
	scanStep  = 1000
	scanReply = 16 << 20
)

func scan(c *Ctx) {
	o, err := parseScan(c.Args[1:])
	if err != nil {
		c.Fail(err)
		return
	}
	// The cursor stands before the keys but is known after them.
	var found resp.Reply
	cursor, n := o.cursor, 0
	for left := o.count; left > 0; left -= scanStep {
		cursor = c.Tx.Scan(cursor, int(min(left, scanStep)), func(key []byte, kind store.Kind) {
			if o.kind != nil && !foldEqual(o.kind, kind.String()) || o.match != nil && !Glob(o.match, key) {
				return
			}
			found.Bulk(key)
			n++
		})
		if cursor == 0 || found.Len() > scanReply {
			break
		}
	}
	c.Reply.Array(2)
	c.Reply.BulkString(strconv.FormatUint(cursor, 10))
	c.Reply.Array(n)
	c.Reply.Raw(found.Bytes())
}

// foldEqual compares b with a lower-case word, ignoring ASCII case.
func foldEqual(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		if lower(b[i]) != word[i] {
			return false
		}
	}
	return true
}

func randomkey(c *Ctx) {
	key, ok := c.Tx.RandomKey(c.Rand.Uint64())
	if !ok {
		c.Reply.Null()
		return
	}
	c.Reply.Bulk(key)
}

// flush is FLUSHDB, and FLUSHALL for database -1. ASYNC gives the memory back
// little by little.
func flush(c *Ctx, db int) {
	a := resp.NewArgs(c.Args[1:])
	async := a.Is("ASYNC")
	if !async && !a.Is("SYNC") && c.Conf.LazyfreeLazyUserFlush {
		async = true
	}
	a.End()
	switch err := a.Err(); {
	case err != nil:
		c.Fail(err)
		return
	case async:
		c.Tx.FlushAsync(db)
	default:
		c.Tx.Flush(db)
	}
	c.Reply.OK()
}

func object(c *Ctx, answer func(*Ctx, store.Meta)) {
	m, ok := c.Tx.Meta(c.Args[2])
	if !ok {
		c.Reply.Null()
		return
	}
	answer(c, m)
}

// objectEncoding asks lists themselves: their name depends on an option.
func objectEncoding(c *Ctx, m store.Meta) {
	if m.Kind == store.KindList {
		l, _ := c.Tx.List(c.Args[2], store.Peek)
		m.Encoding = l.Encoding(c.Conf.ListMaxListpackSize)
	}
	c.Reply.BulkString(m.Encoding)
}

func objectFreq(c *Ctx, m store.Meta) {
	if !c.Conf.MaxMemoryLFU {
		c.Fail(resp.ErrNoLFU)
		return
	}
	c.Reply.Int(int64(m.Freq))
}

func objectIdle(c *Ctx, m store.Meta) {
	if c.Conf.MaxMemoryLFU {
		c.Fail(resp.ErrLFU)
		return
	}
	c.Reply.Int(m.Idle)
}
