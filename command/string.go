package command

import (
	"math"
	"slices"
	"strconv"

	"synap/resp"
	"synap/store"
)

// Strings (https://redis.io/commands/?group=string). GET and SET without
// options allocate nothing.

func stringRows() []Row {
	return slices.Concat(stringReadRows(), stringSetRows(), stringChangeRows(), counterRows())
}

func stringReadRows() []Row {
	return []Row{
		{
			Name: "get", Usage: "key", Arity: 2,
			Summary: "Returns the string value of a key.",
			Group:   "string", Since: "1.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: get,
		},
		{
			Name: "mget", Usage: "key [key ...]", Arity: -2,
			Summary: "Returns the string values of several keys at once.",
			Group:   "string", Since: "1.0.0", Complexity: "O(N) where N is the number of keys",
			Flags: ReadOnly | Fast, Keys: allKeys(RO|Access, 1), Run: mget,
			Tips: []string{"request_policy:multi_shard"},
		},
		{
			Name: "strlen", Usage: "key", Arity: 2,
			Summary: "Returns the length of a string value in bytes.",
			Group:   "string", Since: "2.2.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: strlen,
		},
		{
			Name: "getrange", Usage: "key start end", Arity: 4,
			Summary: "Returns a part of a string value, by the offsets of its first and last byte.",
			Group:   "string", Since: "2.4.0", Complexity: "O(N) where N is the number of bytes returned",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: getrange,
		},
		{
			Name: "substr", Usage: "key start end", Arity: 4,
			Summary: "Returns a part of a string value: the old name of GETRANGE.",
			Group:   "string", Since: "1.0.0", Complexity: "O(N) where N is the number of bytes returned",
			Deprecated: "2.0.0|`GETRANGE`",
			Flags:      ReadOnly, Keys: oneKey(RO | Access), Run: getrange,
		},
		{
			Name: "lcs", Usage: "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]", Arity: -3,
			Summary: "Finds the longest common subsequence of two string values.",
			Group:   "string", Since: "7.0.0", Complexity: "O(N*M) where N and M are the lengths of the two values",
			Flags: ReadOnly, Keys: []KeySpec{{Flags: RO | Access, Begin: 1, Last: 1}}, Run: lcs,
		},
	}
}

func stringSetRows() []Row {
	return []Row{
		{
			Name: "set", Arity: -3,
			Usage:   "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
			Summary: "Sets the string value of a key, whatever kind of value it held.",
			Group:   "string", Since: "1.0.0", Complexity: "O(1)",
			Flags: Write | DenyOOM, Run: set,
			Keys: []KeySpec{{Flags: RW | Access | Update | VariableFlags, Begin: 1, Notes: "RW and ACCESS due to the optional `GET` argument"}},
			FindKeys: func(args [][]byte, dst []KeyAt) ([]KeyAt, bool) {
				return append(dst, KeyAt{1, setKeyFlags(args)}), len(args) > 2
			},
		},
		{
			Name: "setnx", Usage: "key value", Arity: 3, Event: "set",
			Summary: "Sets the string value of a key that does not exist.",
			Group:   "string", Since: "1.0.0", Complexity: "O(1)",
			Deprecated: "2.6.12|`SET` with the `NX` argument",
			Flags:      Write | DenyOOM | Fast, Keys: oneKey(OW | Insert), Run: setnx,
		},
		{
			Name: "setex", Usage: "key seconds value", Arity: 4, Event: "set",
			Summary: "Sets the string value of a key and its time to live in seconds.",
			Group:   "string", Since: "2.0.0", Complexity: "O(1)",
			Deprecated: "2.6.12|`SET` with the `EX` argument",
			Flags:      Write | DenyOOM, Keys: oneKey(OW | Update), Run: func(c *Ctx) { setex(c, unitEX) },
		},
		{
			Name: "psetex", Usage: "key milliseconds value", Arity: 4, Event: "set",
			Summary: "Sets the string value of a key and its time to live in milliseconds.",
			Group:   "string", Since: "2.6.0", Complexity: "O(1)",
			Deprecated: "2.6.12|`SET` with the `PX` argument",
			Flags:      Write | DenyOOM, Keys: oneKey(OW | Update), Run: func(c *Ctx) { setex(c, unitPX) },
		},
		{
			Name: "mset", Usage: "key value [key value ...]", Arity: -3, Event: "set",
			Summary: "Sets the string values of several keys at once.",
			Group:   "string", Since: "1.0.1", Complexity: "O(N) where N is the number of keys",
			Flags: Write | DenyOOM, Keys: allKeys(OW|Update, 2), Run: mset,
			Tips: []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
		},
		{
			Name: "msetnx", Usage: "key value [key value ...]", Arity: -3, Event: "set",
			Summary: "Sets the string values of several keys, if none of them exists.",
			Group:   "string", Since: "1.0.1", Complexity: "O(N) where N is the number of keys",
			Flags: Write | DenyOOM, Keys: allKeys(OW|Insert, 2), Run: msetnx,
		},
	}
}

func stringChangeRows() []Row {
	return []Row{
		{
			Name: "getset", Usage: "key value", Arity: 3, Event: "set",
			Summary: "Sets the string value of a key and returns the one before.",
			Group:   "string", Since: "1.0.0", Complexity: "O(1)",
			Deprecated: "6.2.0|`SET` with the `!GET` argument",
			Flags:      Write | DenyOOM | Fast, Keys: oneKey(RW | Access | Update), Run: getset,
		},
		{
			Name: "getdel", Usage: "key", Arity: 2, Event: "del",
			Summary: "Returns the string value of a key and deletes the key.",
			Group:   "string", Since: "6.2.0", Complexity: "O(1)",
			Flags: Write | Fast, Keys: oneKey(RW | Access | Delete), Run: getdel,
		},
		{
			Name: "getex", Arity: -2,
			Usage:   "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
			Summary: "Returns the string value of a key and sets or removes its expiry.",
			Group:   "string", Since: "6.2.0", Complexity: "O(1)",
			Flags: Write | Fast, Run: getex,
			Keys: []KeySpec{{Flags: RW | Access | Update, Begin: 1, Notes: "RW and UPDATE because it changes the TTL"}},
		},
		{
			Name: "append", Usage: "key value", Arity: 3,
			Summary: "Appends to the string value of a key, creating it if it does not exist.",
			Group:   "string", Since: "2.0.0", Complexity: "O(1) amortized, for small additions to values of any size",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Insert), Run: appendTo,
		},
		{
			Name: "setrange", Usage: "key offset value", Arity: 4,
			Summary: "Overwrites a part of a string value from an offset on, padding with zero bytes.",
			Group:   "string", Since: "2.2.0", Complexity: "O(M) where M is the length of the value argument",
			Flags: Write | DenyOOM, Keys: oneKey(RW | Update), Run: setrange,
		},
	}
}

func counterRows() []Row {
	return []Row{
		{
			Name: "incr", Usage: "key", Arity: 2, Event: "incrby",
			Summary: "Adds one to the integer value of a key; an absent key counts as 0.",
			Group:   "string", Since: "1.0.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Access | Update), Run: func(c *Ctx) { addInt(c, 1) },
		},
		{
			Name: "decr", Usage: "key", Arity: 2, Event: "incrby",
			Summary: "Takes one from the integer value of a key; an absent key counts as 0.",
			Group:   "string", Since: "1.0.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Access | Update), Run: func(c *Ctx) { addInt(c, -1) },
		},
		{
			Name: "incrby", Usage: "key increment", Arity: 3,
			Summary: "Adds to the integer value of a key; an absent key counts as 0.",
			Group:   "string", Since: "1.0.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Access | Update), Run: incrby,
		},
		{
			Name: "decrby", Usage: "key decrement", Arity: 3, Event: "incrby",
			Summary: "Takes from the integer value of a key; an absent key counts as 0.",
			Group:   "string", Since: "1.0.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Access | Update), Run: decrby,
		},
		{
			Name: "incrbyfloat", Usage: "key increment:double", Arity: 3,
			Summary: "Adds to the floating point value of a key; an absent key counts as 0.",
			Group:   "string", Since: "2.6.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Access | Update), Run: incrbyfloat,
		},
	}
}

// Words of journal records.
var (
	wordSET       = []byte("SET")
	wordPXAT      = []byte("PXAT")
	wordKEEPTTL   = []byte("KEEPTTL")
	wordDEL       = []byte("DEL")
	wordPERSIST   = []byte("PERSIST")
	wordPEXPIREAT = []byte("PEXPIREAT")
)

// value replies with the string at the first argument, null if absent. It
// returns false when the key holds another kind: the error is then replied.
func value(c *Ctx, a store.Access) (v []byte, ok bool) {
	v, err := c.Tx.Get(c.Args[1], a)
	switch {
	case err != nil:
		c.Fail(err)
		return nil, false
	case v == nil:
		c.Reply.Null()
	default:
		c.Reply.Bulk(v)
	}
	return v, true
}

func get(c *Ctx) { value(c, store.Read) }

func mget(c *Ctx) {
	c.Reply.Array(len(c.Args) - 1)
	for _, key := range c.Args[1:] {
		v, _ := c.Tx.Get(key, store.Read) // another kind answers null, as Redis does
		if v == nil {
			c.Reply.Null()
		} else {
			c.Reply.Bulk(v)
		}
		if c.Reply.Over() {
			return
		}
	}
}

func strlen(c *Ctx) {
	v, err := c.Tx.Get(c.Args[1], store.Read)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Reply.Int(int64(len(v)))
}

func getrange(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	start, end := a.Int(), a.Int()
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	v, err := c.Tx.Get(c.Args[1], store.Read)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Reply.Bulk(cut(v, start, end))
}

// cut returns the bytes from start to end inclusive; negative offsets count
// from the end. Both are clamped, an end before the first byte to the first
// byte: GETRANGE k 0 -100 answers one byte, as in Redis.
func cut(v []byte, start, end int64) []byte {
	n := int64(len(v))
	if start < 0 && end < 0 && start > end {
		return nil
	}
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end || n == 0 {
		return nil
	}
	return v[start : end+1]
}

// expireUnit says how an expiry was given.
type expireUnit uint8

const (
	unitNone expireUnit = iota
	unitEX              // seconds from now
	unitPX              // milliseconds from now
	unitEXAT            // unix time in seconds
	unitPXAT            // unix time in milliseconds
)

// setOptions are the options of SET and GETEX.
type setOptions struct {
	nx, xx, get      bool
	keepTTL, persist bool
	unit             expireUnit
	amount           []byte // not parsed yet: a bad one is told after WRONGTYPE
}

// parseSet reads options up to the end of a. An option of an expiry may be
// given twice, and the last one counts; two different ones are a syntax error.
func parseSet(a *resp.Args, getex bool) (o setOptions) {
	for a.Left() > 0 && a.Err() == nil {
		free := o.unit == unitNone
		switch {
		case !getex && !o.xx && a.Is("NX"):
			o.nx = true
		case !getex && !o.nx && a.Is("XX"):
			o.xx = true
		case !getex && a.Is("GET"):
			o.get = true
		case !getex && free && a.Is("KEEPTTL"):
			o.keepTTL = true
		case getex && free && a.Is("PERSIST"):
			o.persist = true
		case o.keepTTL || o.persist:
			a.Fail(resp.ErrSyntax)
		case (free || o.unit == unitEX) && a.Is("EX"):
			o.unit, o.amount = unitEX, a.Next()
		case (free || o.unit == unitPX) && a.Is("PX"):
			o.unit, o.amount = unitPX, a.Next()
		case (free || o.unit == unitEXAT) && a.Is("EXAT"):
			o.unit, o.amount = unitEXAT, a.Next()
		case (free || o.unit == unitPXAT) && a.Is("PXAT"):
			o.unit, o.amount = unitPXAT, a.Next()
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return o
}

// expireAt turns an amount into unix milliseconds. It fails if the amount is no
// integer, not positive, or lies beyond the 64-bit clock.
func expireAt(c *Ctx, unit expireUnit, amount []byte) (int64, error) {
	n, ok := resp.ParseInt(amount)
	if !ok {
		return 0, resp.ErrNotInteger
	}
	scale, from := int64(1), int64(0)
	if unit == unitEX || unit == unitEXAT {
		scale = 1000
	}
	if unit == unitEX || unit == unitPX {
		from = c.Tx.Now
	}
	if n <= 0 || n > math.MaxInt64/scale || n*scale > math.MaxInt64-from {
		return 0, resp.InvalidExpire(c.Row.Name)
	}
	return from + n*scale, nil
}

func set(c *Ctx) {
	if len(c.Args) == 3 {
		c.Tx.Set(c.Args[1], c.Args[2], false)
		c.Reply.OK()
		return
	}
	a := resp.NewArgs(c.Args[3:])
	o := parseSet(&a, false)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	var at int64
	if o.unit != unitNone {
		var err error
		if at, err = expireAt(c, o.unit, o.amount); err != nil {
			c.Fail(err)
			return
		}
	}
	if o.get {
		if _, ok := value(c, store.Read); !ok {
			return
		}
	}
	if o.nx || o.xx {
		if exists := c.Tx.Kind(c.Args[1], store.Write) != store.KindNone; exists == o.nx {
			if !o.get {
				c.Reply.Null()
			}
			return
		}
	}
	put(c, c.Args[2], at, o.keepTTL)
	if o.get && at == 0 {
		logSet(c, c.Args[2], o.keepTTL)
	}
	if !o.get {
		c.Reply.OK()
	}
}

// put sets the key of the first argument. at is its expiry in unix
// milliseconds, 0 for none; the journal then gets the absolute time.
func put(c *Ctx, v []byte, at int64, keepTTL bool) {
	key := c.Args[1]
	if at == 0 {
		c.Tx.Set(key, v, keepTTL)
		return
	}
	c.Tx.SetUntil(key, v, at)
	c.LogAs(wordSET, key, v, wordPXAT, c.decimal(at))
}

func logSet(c *Ctx, v []byte, keepTTL bool) {
	if keepTTL {
		c.LogAs(wordSET, c.Args[1], v, wordKEEPTTL)
		return
	}
	c.LogAs(wordSET, c.Args[1], v)
}

// setKeyFlags are the flags of SET's key: with GET the old value is read too.
func setKeyFlags(args [][]byte) KeyFlags {
	if len(args) > 3 {
		for _, arg := range args[3:] {
			if resp.EqualFold(arg, "GET") {
				return RW | Access | Update
			}
		}
	}
	return OW | Update
}

func setnx(c *Ctx) {
	if c.Tx.Kind(c.Args[1], store.Write) != store.KindNone {
		c.Reply.Int(0)
		return
	}
	c.Tx.Set(c.Args[1], c.Args[2], false)
	c.Reply.Int(1)
}

func setex(c *Ctx, unit expireUnit) {
	at, err := expireAt(c, unit, c.Args[2])
	if err != nil {
		c.Fail(err)
		return
	}
	put(c, c.Args[3], at, false)
	c.Reply.OK()
}

func mset(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.Fail(resp.WrongArity(c.Row.Name))
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		c.Tx.Set(c.Args[i], c.Args[i+1], false)
	}
	c.Reply.OK()
}

func msetnx(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.Fail(resp.WrongArity(c.Row.Name))
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		if c.Tx.Kind(c.Args[i], store.Write) != store.KindNone {
			c.Reply.Int(0)
			return
		}
	}
	for i := 1; i < len(c.Args); i += 2 {
		c.Tx.Set(c.Args[i], c.Args[i+1], false)
	}
	c.Reply.Int(1)
}

func getset(c *Ctx) {
	if _, ok := value(c, store.Read); !ok {
		return
	}
	put(c, c.Args[2], 0, false)
	logSet(c, c.Args[2], false)
}

func getdel(c *Ctx) {
	v, ok := value(c, store.Read)
	if !ok || v == nil {
		return
	}
	c.Tx.Delete(c.Args[1])
	c.LogAs(wordDEL, c.Args[1])
}

func getex(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	o := parseSet(&a, true)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	key := c.Args[1]
	v, err := c.Tx.Get(key, store.Read)
	if err != nil {
		c.Fail(err)
		return
	}
	if v == nil {
		c.Reply.Null()
		return
	}
	var at int64
	if o.unit != unitNone {
		if at, err = expireAt(c, o.unit, o.amount); err != nil {
			c.Fail(err)
			return
		}
	}
	c.Reply.Bulk(v) // before the value moves
	switch {
	case at > 0:
		expireKey(c, at)
	case o.persist:
		if c.Tx.Persist(key) {
			c.LogAs(wordPERSIST, key)
		}
	}
}

func appendTo(c *Ctx) {
	key, tail := c.Args[1], c.Args[2]
	v, err := c.Tx.Get(key, store.Write)
	if err != nil {
		c.Fail(err)
		return
	}
	if v == nil {
		c.Tx.Set(key, tail, false)
		c.Reply.Int(int64(len(tail)))
		return
	}
	if int64(len(v))+int64(len(tail)) > c.Conf.ProtoMaxBulkLen {
		c.Fail(resp.ErrStringTooLong)
		return
	}
	n, err := c.Tx.Append(key, tail)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Reply.Int(int64(n))
}

func setrange(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	offset := a.Int()
	if offset < 0 {
		a.Fail(resp.ErrOffsetRange)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	key, part := c.Args[1], c.Args[3]
	v, err := c.Tx.Get(key, store.Write)
	if err != nil {
		c.Fail(err)
		return
	}
	if len(part) == 0 {
		c.Reply.Int(int64(len(v)))
		return
	}
	if offset > c.Conf.ProtoMaxBulkLen-int64(len(part)) {
		c.Fail(resp.ErrStringTooLong)
		return
	}
	n, err := c.Tx.SetRange(key, int(offset), part)
	if err != nil {
		c.Fail(err)
		return
	}
	c.Reply.Int(int64(n))
}

func incrby(c *Ctx) {
	n, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Fail(resp.ErrNotInteger)
		return
	}
	addInt(c, n)
}

func decrby(c *Ctx) {
	n, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Fail(resp.ErrNotInteger)
	case n == math.MinInt64: // has no positive twin
		c.Fail(resp.ErrDecrOverflow)
	default:
		addInt(c, -n)
	}
}

// addInt adds to the integer of the first argument's key, keeping its expiry.
func addInt(c *Ctx, by int64) {
	key := c.Args[1]
	var n int64
	err := c.Tx.Rewrite(key, func(v []byte) ([]byte, error) {
		ok := true
		if v != nil {
			n, ok = resp.ParseInt(v)
		}
		switch {
		case !ok:
			return nil, resp.ErrNotInteger
		case by < 0 && n < math.MinInt64-by || by > 0 && n > math.MaxInt64-by:
			return nil, resp.ErrOverflow
		}
		n += by
		return c.decimal(n), nil
	})
	if err != nil {
		c.Fail(err)
		return
	}
	c.Reply.Int(n)
}

func incrbyfloat(c *Ctx) {
	key := c.Args[1]
	v, err := c.Tx.Get(key, store.Write)
	if err != nil {
		c.Fail(err)
		return
	}
	if v == nil {
		v = []byte{'0'}
	}
	sum, err := resp.AddLongDouble(v, c.Args[2])
	if err != nil {
		c.Fail(err)
		return
	}
	// The journal gets the sum: another machine may add with other digits.
	text := []byte(sum)
	c.Tx.Set(key, text, true)
	logSet(c, text, true)
	c.Reply.Bulk(text)
}

// decimal formats n in the Ctx's own space, valid until the next call.
func (c *Ctx) decimal(n int64) []byte {
	c.digits = strconv.AppendInt(c.digits[:0], n, 10)
	return c.digits
}
