package command

import (
	"math"
	"synap/resp"
	"synap/store"
)

// Hashes (https://redis.io/commands/?group=hash); fields that expire are in
// hash_expire.go.

func hashRows() []Row {
	rows := append(hashWriteRows(), hashReadRows()...)
	rows = append(rows, hashWalkRows()...)
	return append(rows, hashExpireRows()...)
}

func hashWriteRows() []Row {
	return []Row{
		{
			Name: "hset", Usage: "key field value [field value ...]", Arity: -4,
			Summary: "Sets fields of a hash, which is created if it does not exist, and returns how many are new.",
			Group:   "hash", Since: "2.0.0", Complexity: "O(1) for each field",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Update), Run: hset,
		},
		{
			Name: "hmset", Usage: "key field value [field value ...]", Arity: -4, Event: "hset",
			Summary: "Sets fields of a hash, which is created if it does not exist.",
			Group:   "hash", Since: "2.0.0", Complexity: "O(1) for each field",
			Deprecated: "4.0.0|`HSET` with multiple field-value pairs",
			Flags:      Write | DenyOOM | Fast, Keys: oneKey(RW | Update), Run: hmset,
		},
		{
			Name: "hsetnx", Usage: "key field value", Arity: 4, Event: "hset",
			Summary: "Sets a field of a hash unless it exists.",
			Group:   "hash", Since: "2.0.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Insert), Run: hsetnx,
		},
		{
			Name: "hdel", Usage: "key field [field ...]", Arity: -3,
			Summary: "Removes fields of a hash and returns how many there were.",
			Group:   "hash", Since: "2.0.0", Complexity: "O(1) for each field",
			Flags: Write | Fast, Keys: oneKey(RW | Delete), Run: hdel,
		},
		{
			Name: "hincrby", Usage: "key field increment", Arity: 4,
			Summary: "Adds to the integer value of a field; an absent field counts as 0.",
			Group:   "hash", Since: "2.0.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Access | Update), Run: hincrby,
		},
		{
			Name: "hincrbyfloat", Usage: "key field increment:double", Arity: 4,
			Summary: "Adds to the floating point value of a field; an absent field counts as 0.",
			Group:   "hash", Since: "2.6.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Access | Update), Run: hincrbyfloat,
		},
	}
}

func hashReadRows() []Row {
	return []Row{
		{
			Name: "hget", Usage: "key field", Arity: 3,
			Summary: "Returns the value of a field of a hash.",
			Group:   "hash", Since: "2.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: hget,
		},
		{
			Name: "hmget", Usage: "key field [field ...]", Arity: -3,
			Summary: "Returns the values of several fields of a hash.",
			Group:   "hash", Since: "2.0.0", Complexity: "O(1) for each field",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: hmget,
		},
		{
			Name: "hexists", Usage: "key field", Arity: 3,
			Summary: "Tells whether a hash has a field.",
			Group:   "hash", Since: "2.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: hexists,
		},
		{
			Name: "hstrlen", Usage: "key field", Arity: 3,
			Summary: "Returns the length of the value of a field in bytes.",
			Group:   "hash", Since: "3.2.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: hstrlen,
		},
		{
			Name: "hlen", Usage: "key", Arity: 2,
			Summary: "Returns the number of fields of a hash.",
			Group:   "hash", Since: "2.0.0", Complexity: "O(1)",
			Flags: ReadOnly | Fast, Keys: oneKey(RO), Run: hlen,
		},
	}
}

func hashWalkRows() []Row {
	all := func(name, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Usage: "key", Arity: 2,
			Summary: summary,
			Group:   "hash", Since: "2.0.0", Complexity: "O(N) where N is the number of fields",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: run,
			Tips: []string{"nondeterministic_output_order"},
		}
	}
	return []Row{
		all("hgetall", "Returns all fields of a hash with their values.", hgetall),
		all("hkeys", "Returns all fields of a hash.", hkeys),
		all("hvals", "Returns the values of all fields of a hash.", hvals),
		{
			Name: "hrandfield", Usage: "key [count [WITHVALUES]]", Arity: -2,
			Summary: "Returns fields of a hash chosen by chance.",
			Group:   "hash", Since: "6.2.0", Complexity: "O(N) where N is the number of fields returned",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: hrandfield,
			Tips: []string{"nondeterministic_output"},
		},
		{
			Name: "hscan", Usage: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]", Arity: -3,
			Summary: "Walks over the fields of a hash, a part at every call.",
			Group:   "hash", Since: "2.8.0", Complexity: "O(1) a call, O(N) for a whole walk, where N is the number of fields",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: hscan,
			Tips: []string{"nondeterministic_output"},
		},
	}
}

// hashAt returns the hash of the first argument's key. It returns false when the
// key holds another kind: the error is then replied.
func hashAt(c *Ctx, a store.Access) (h store.Hash, ok bool) {
	h, err := c.Tx.HashOf(c.Args[1], a)
	if err != nil {
		c.Fail(err)
		return h, false
	}
	return h, true
}

// fits reports whether the hash can take fields and values; if it cannot, the
// error is replied.
func fits(c *Ctx, h *store.Hash, pairs ...[]byte) bool {
	if !h.Fits(pairs) {
		c.Reply.Error(resp.ErrCollectionFull)
		return false
	}
	return true
}

// setFields sets the fields of HSET and HMSET and returns how many are new. It
// returns false when the error is replied.
func setFields(c *Ctx) (created int, ok bool) {
	pairs := c.Args[2:]
	if len(pairs)%2 == 1 {
		c.Reply.Error(resp.WrongArity(c.Row.Name))
		return 0, false
	}
	var h store.Hash
	if err := c.Tx.OpenHash(&h, c.Args[1], store.Write); err != nil {
		c.Fail(err)
		return 0, false
	}
	if !fits(c, &h, pairs...) {
		return 0, false
	}
	created = h.SetMany(pairs)
	h.Done()
	return created, true
}

func hset(c *Ctx) {
	if created, ok := setFields(c); ok {
		c.Reply.Int(int64(created))
	}
}

func hmset(c *Ctx) {
	if _, ok := setFields(c); ok {
		c.Reply.OK()
	}
}

func hsetnx(c *Ctx) {
	h, ok := hashAt(c, store.Write)
	if !ok {
		return
	}
	if _, exists := h.Get(c.Args[2]); exists {
		c.Reply.Int(0)
		return
	}
	if !fits(c, &h, c.Args[2], c.Args[3]) {
		return
	}
	h.Set(c.Args[2], c.Args[3])
	h.Done()
	c.Reply.Int(1)
}

func hdel(c *Ctx) {
	h, ok := hashAt(c, store.Write)
	if !ok {
		return
	}
	n := 0
	for _, field := range c.Args[2:] {
		if h.Delete(field) {
			n++
		}
	}
	h.Done()
	c.Reply.Int(int64(n))
}

func hincrby(c *Ctx) {
	by, ok := resp.ParseInt(c.Args[3])
	if !ok {
		c.Reply.Error(resp.ErrNotInteger)
		return
	}
	h, ok := hashAt(c, store.Write)
	if !ok {
		return
	}
	var n int64
	if v, exists := h.Get(c.Args[2]); exists {
		if n, ok = resp.ParseInt(v); !ok {
			c.Reply.Error(resp.ErrHashNotInteger)
			return
		}
	}
	if by < 0 && n < math.MinInt64-by || by > 0 && n > math.MaxInt64-by {
		c.Reply.Error(resp.ErrOverflow)
		return
	}
	n += by
	text := c.decimal(n)
	if !fits(c, &h, c.Args[2], text) {
		return
	}
	h.Update(c.Args[2], text)
	h.Done()
	c.Reply.Int(n)
}

func hincrbyfloat(c *Ctx) {
	zero := []byte{'0'}
	field, by := c.Args[2], c.Args[3]
	if _, err := resp.AddLongDouble(zero, by); err != nil {
		if err == resp.ErrNaNOrInf {
			err = resp.ErrNotFinite
		}
		c.Fail(err)
		return
	}
	h, ok := hashAt(c, store.Write)
	if !ok {
		return
	}
	v, exists := h.Get(field)
	if !exists {
		v = zero
	}
	text, err := resp.AddLongDouble(v, by)
	if err == resp.ErrNotFloat {
		err = resp.ErrHashNotFloat
	}
	if err != nil {
		c.Fail(err)
		return
	}
	sum := []byte(text)
	if !fits(c, &h, field, sum) {
		return
	}
	h.Update(field, sum)
	// The journal gets the sum: another machine may add with other digits.
	if at, _ := h.Deadline(field); at >= 0 {
		c.LogAs(wordHSETEX, c.Args[1], wordKEEPTTL, wordFIELDS, wordOne, field, sum)
	} else {
		c.LogAs(wordHSET, c.Args[1], field, sum)
	}
	h.Done()
	c.Reply.Bulk(sum)
}

func hget(c *Ctx) {
	if h, ok := hashAt(c, store.Read); ok {
		replyField(c, &h, c.Args[2])
	}
}

// replyField replies with the value of a field, null if there is none, and
// reports whether there is.
func replyField(c *Ctx, h *store.Hash, field []byte) bool {
	v, ok := h.Get(field)
	if !ok {
		c.Reply.Null()
		return false
	}
	c.Reply.Bulk(v)
	return true
}

func hmget(c *Ctx) {
	h, ok := hashAt(c, store.Read)
	if !ok {
		return
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, field := range c.Args[2:] {
		replyField(c, &h, field)
		if c.Reply.Over() {
			return
		}
	}
}

func hexists(c *Ctx) {
	h, ok := hashAt(c, store.Read)
	if !ok {
		return
	}
	n := int64(0)
	if _, exists := h.Get(c.Args[2]); exists {
		n = 1
	}
	c.Reply.Int(n)
}

func hstrlen(c *Ctx) {
	if h, ok := hashAt(c, store.Read); ok {
		v, _ := h.Get(c.Args[2])
		c.Reply.Int(int64(len(v)))
	}
}

func hlen(c *Ctx) {
	if h, ok := hashAt(c, store.Read); ok {
		c.Reply.Int(int64(h.Len()))
	}
}

func hgetall(c *Ctx) {
	h, ok := hashAt(c, store.Read)
	if !ok {
		return
	}
	c.Reply.Map(h.Len())
	h.Each(func(field, value []byte) bool {
		c.Reply.Bulk(field)
		c.Reply.Bulk(value)
		return !c.Reply.Over()
	})
}

func hkeys(c *Ctx) {
	h, ok := hashAt(c, store.Read)
	if !ok {
		return
	}
	c.Reply.Array(h.Len())
	h.Each(func(field, _ []byte) bool {
		c.Reply.Bulk(field)
		return !c.Reply.Over()
	})
}

func hvals(c *Ctx) {
	h, ok := hashAt(c, store.Read)
	if !ok {
		return
	}
	c.Reply.Array(h.Len())
	h.Each(func(_, value []byte) bool {
		c.Reply.Bulk(value)
		return !c.Reply.Over()
	})
}

// randfieldOptions are the arguments of HRANDFIELD.
type randfieldOptions struct {
	count  int64
	many   bool // a count was given
	values bool
}

func parseRandfield(a *resp.Args) (o randfieldOptions) {
	if a.Left() == 0 {
		return randfieldOptions{count: -1}
	}
	o.many = true
	if o.count = a.Int(); o.count == math.MinInt64 {
		a.Fail(resp.ErrRankRange)
	}
	if a.Left() > 0 {
		o.values = a.Is("WITHVALUES")
		a.End()
		if o.count < -math.MaxInt64/2 || o.count > math.MaxInt64/2 {
			a.Fail(resp.ErrRange)
		}
	}
	return o
}

func hrandfield(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	o := parseRandfield(&a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	h, ok := hashAt(c, store.Read)
	n := h.Len()
	switch {
	case !ok:
		return
	case n == 0 && !o.many:
		c.Reply.Null()
		return
	case n == 0:
		c.Reply.Array(0)
		return
	}
	rnd := c.Rand.Uint64()
	visit := func(field, value []byte) bool {
		mark := c.Reply.Mark()
		if o.values && c.Reply.Proto() == 3 {
			c.Reply.Array(2)
		}
		c.Reply.Bulk(field)
		if o.values {
			c.Reply.Bulk(value)
		}
		return c.Reply.Mark() != mark // else the client is muted or over its limit
	}
	if o.count < 0 {
		if !expectBulks(c, -o.count) {
			return
		}
		if o.many {
			pairHead(c, -o.count, o.values)
		}
		h.Random(-o.count, &rnd, visit)
		return
	}
	n = int(min(o.count, int64(n)))
	pairHead(c, int64(n), o.values)
	h.Sample(n, &rnd, visit)
}

// expectBulks tells the reply that n bulk strings are to come, and reports
// false if the client cannot be sent them: not even empty ones.
func expectBulks(c *Ctx, n int64) bool {
	const least = len("$0\r\n\r\n")
	return c.Reply.Expect(int(min(n, math.MaxInt/16)) * least)
}

// pairHead begins the array of n fields: with their values each is a pair in
// RESP3, and two elements in RESP2.
func pairHead(c *Ctx, n int64, values bool) {
	if values && c.Reply.Proto() == 2 {
		n *= 2
	}
	c.Reply.Array(int(n))
}

func hscan(c *Ctx) {
	cursor, ok := parseCursor(c.Args[2])
	if !ok {
		c.Reply.Error(resp.ErrInvalidCursor)
		return
	}
	h, ok := hashAt(c, store.Read)
	if !ok {
		return
	}
	scanMembers(c, cursor, h.Len(), "NOVALUES", func(s *memberScan, cursor uint64, count int) uint64 {
		return h.Scan(cursor, count, func(field, value []byte) {
			if s.add(field) {
				s.found.Bulk(value)
			}
		})
	})
}
