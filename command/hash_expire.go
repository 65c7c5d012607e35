package command

import (
	"synap/resp"
	"synap/store"
)

// Fields of hashes that expire: https://redis.io/commands/hexpire of Redis 7.4,
// https://redis.io/commands/hsetex of Redis 8.0 and their relatives.

func hashExpireRows() []Row {
	rows := append(fieldExpireRows(), fieldTTLRows()...)
	return append(rows, fieldGetSetRows()...)
}

const fieldsUsage = "FIELDS numfields field [field ...]"

func fieldExpireRows() []Row {
	row := func(name, usage, summary string, unit expireUnit) Row {
		return Row{
			Name: name, Usage: "key " + usage + " [NX | XX | GT | LT] " + fieldsUsage, Arity: -6, Event: "hexpire",
			Summary: summary,
			Group:   "hash", Since: "7.4.0", Complexity: "O(N) where N is the number of fields given",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Update), Run: func(c *Ctx) { hexpire(c, unit) },
		}
	}
	return []Row{
		row("hexpire", "seconds", "Sets the time to live of fields in seconds.", unitEX),
		row("hpexpire", "milliseconds", "Sets the time to live of fields in milliseconds.", unitPX),
		row("hexpireat", "unix-time-seconds", "Sets the unix time in seconds at which fields expire.", unitEXAT),
		row("hpexpireat", "unix-time-milliseconds", "Sets the unix time in milliseconds at which fields expire.", unitPXAT),
		{
			Name: "hpersist", Usage: "key " + fieldsUsage, Arity: -5,
			Summary: "Removes the expiry of fields.",
			Group:   "hash", Since: "7.4.0", Complexity: "O(N) where N is the number of fields given",
			Flags: Write | Fast, Keys: oneKey(RW | Update), Run: hpersist,
		},
	}
}

func fieldTTLRows() []Row {
	row := func(name, summary string, tips []string, answer func(c *Ctx, at int64) int64) Row {
		return Row{
			Name: name, Usage: "key " + fieldsUsage, Arity: -5,
			Summary: summary,
			Group:   "hash", Since: "7.4.0", Complexity: "O(N) where N is the number of fields given",
			Flags: ReadOnly | Fast, Keys: oneKey(RO | Access), Run: func(c *Ctx) { fieldExpiry(c, answer) },
			Tips: tips,
		}
	}
	varies := []string{"nondeterministic_output"}
	return []Row{
		row("httl", "Returns the time to live of fields in seconds.", varies,
			func(c *Ctx, at int64) int64 { return (at - c.Tx.Now + 999) / 1000 }),
		row("hpttl", "Returns the time to live of fields in milliseconds.", varies,
			func(c *Ctx, at int64) int64 { return at - c.Tx.Now }),
		row("hexpiretime", "Returns the unix time in seconds at which fields expire.", nil,
			func(_ *Ctx, at int64) int64 { return (at + 999) / 1000 }),
		row("hpexpiretime", "Returns the unix time in milliseconds at which fields expire.", nil,
			func(_ *Ctx, at int64) int64 { return at }),
	}
}

func fieldGetSetRows() []Row {
	const expiry = "EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds"
	return []Row{
		{
			Name: "hgetdel", Usage: "key " + fieldsUsage, Arity: -5, Event: "hdel",
			Summary: "Returns the values of fields and removes the fields.",
			Group:   "hash", Since: "8.0.0", Complexity: "O(N) where N is the number of fields given",
			Flags: Write | Fast, Keys: oneKey(RW | Access | Delete), Run: hgetdel,
		},
		{
			Name: "hgetex", Usage: "key [" + expiry + " | PERSIST] " + fieldsUsage, Arity: -5,
			Summary: "Returns the values of fields and sets or removes their expiry.",
			Group:   "hash", Since: "8.0.0", Complexity: "O(N) where N is the number of fields given",
			Flags: Write | Fast, Run: hgetex,
			Keys: []KeySpec{{Flags: RW | Access | Update, Begin: 1, Notes: "RW and UPDATE because it changes the TTL"}},
		},
		{
			Name: "hsetex", Arity: -6, Event: "hset",
			Usage:   "key [FNX | FXX] [" + expiry + " | KEEPTTL] FIELDS numfields field value [field value ...]",
			Summary: "Sets fields of a hash and their expiry, if all or none of them exist.",
			Group:   "hash", Since: "8.0.0", Complexity: "O(N) where N is the number of fields given",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Update), Run: hsetex,
		},
	}
}

// Words of journal records.
var (
	wordHSET       = []byte("HSET")
	wordHDEL       = []byte("HDEL")
	wordHSETEX     = []byte("HSETEX")
	wordHPEXPIREAT = []byte("HPEXPIREAT")
	wordHPERSIST   = []byte("HPERSIST")
	wordFIELDS     = []byte("FIELDS")
	wordOne        = []byte("1")
)

// maxFieldExpiry is the last unix millisecond at which a field can expire, as in
// Redis.
const maxFieldExpiry = 1<<46 - 1

// fieldDeadline consumes a time in the given unit and turns it into unix
// milliseconds.
func fieldDeadline(c *Ctx, a *resp.Args, unit expireUnit) int64 {
	n := a.Int()
	if n < 0 {
		a.Fail(resp.ErrExpireNegative)
		return 0
	}
	base := int64(0)
	if unit == unitEX || unit == unitPX {
		base = c.Tx.Now
	}
	if unit == unitEX || unit == unitEXAT {
		if n > maxFieldExpiry/1000 {
			a.Fail(resp.InvalidExpire(c.Row.Name))
			return 0
		}
		n *= 1000
	}
	if n > maxFieldExpiry-base {
		a.Fail(resp.InvalidExpire(c.Row.Name))
		return 0
	}
	return n + base
}

// parseFields consumes FIELDS, a count and as many fields up to the end; bad is
// the error of a count that is none.
func parseFields(c *Ctx, a *resp.Args, bad resp.Error) [][]byte {
	if !a.Is("FIELDS") {
		a.Fail(resp.ErrFieldsMissing)
	}
	if a.Left() == 0 {
		a.Fail(resp.WrongArity(c.Row.Name))
	}
	n := a.IntOr(bad)
	if n < 1 {
		a.Fail(bad)
	}
	if n != int64(a.Left()) {
		a.Fail(resp.ErrFieldsMismatch)
	}
	return a.Rest()
}

func parseFieldCondition(a *resp.Args) (o expireCondition) {
	switch {
	case a.Is("NX"):
		o.nx = true
	case a.Is("XX"):
		o.xx = true
	case a.Is("GT"):
		o.gt = true
	case a.Is("LT"):
		o.lt = true
	}
	return o
}

// expiring gathers what a command does to the expiry of fields.
type expiring struct {
	h       *store.Hash
	at      int64    // unix milliseconds
	updated [][]byte // fields that expire then
	removed [][]byte // fields that were removed, as that time has gone by
}

// put lets a field expire, which exists; a time that has come removes it at once.
// It returns the code that HEXPIRE replies with.
func (e *expiring) put(c *Ctx, field []byte) int64 {
	if e.at <= c.Tx.Now {
		e.h.Delete(field)
		e.removed = append(e.removed, field)
		return 2
	}
	e.h.ExpireAt(field, e.at)
	e.updated = append(e.updated, field)
	return 1
}

// log gives the journal the fields with the absolute time, and those removed.
func (e *expiring) log(c *Ctx) {
	if len(e.updated) > 0 {
		n := int64(len(e.updated))
		at := append([]byte(nil), c.decimal(e.at)...)
		c.LogAs(append([][]byte{wordHPEXPIREAT, c.Args[1], at, wordFIELDS, c.decimal(n)}, e.updated...)...)
	}
	if len(e.removed) > 0 {
		c.LogAs(append([][]byte{wordHDEL, c.Args[1]}, e.removed...)...)
	}
}

// done records the change under the name of what was done.
func (e *expiring) done(c *Ctx) {
	c.Tx.Event = "hexpire"
	if len(e.removed) > 0 {
		c.Tx.Event = "hdel"
	}
	e.log(c)
	e.h.Done()
}

// hexpire is HEXPIRE, HPEXPIRE, HEXPIREAT and HPEXPIREAT.
func hexpire(c *Ctx, unit expireUnit) {
	h, ok := hashAt(c, store.Write)
	if !ok {
		return
	}
	a := resp.NewArgs(c.Args[2:])
	e := expiring{h: &h, at: fieldDeadline(c, &a, unit)}
	o := parseFieldCondition(&a)
	fields := parseFields(c, &a, resp.ErrNumFieldsPositive)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	c.Reply.Array(len(fields))
	for _, field := range fields {
		current, ok := h.Deadline(field)
		switch {
		case !ok:
			c.Reply.Int(-2)
		case !o.allows(e.at, current):
			c.Reply.Int(0)
		default:
			c.Reply.Int(e.put(c, field))
		}
	}
	e.done(c)
}

// fieldExpiry tells the expiry of fields.
func fieldExpiry(c *Ctx, answer func(c *Ctx, at int64) int64) {
	if h, ok := hashAt(c, store.Read); ok {
		replyTimed(c, &h, func(_ []byte, at int64) int64 { return answer(c, at) })
	}
}

func hpersist(c *Ctx) {
	if h, ok := hashAt(c, store.Write); ok {
		replyTimed(c, &h, func(field []byte, _ int64) int64 {
			h.ExpireAt(field, 0)
			return 1
		})
		h.Done()
	}
}

// replyTimed replies -2 without a field, -1 without an expiry, else the answer.
func replyTimed(c *Ctx, h *store.Hash, answer func(field []byte, at int64) int64) {
	a := resp.NewArgs(c.Args[2:])
	fields := parseFields(c, &a, resp.ErrFieldsPositive)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	c.Reply.Array(len(fields))
	for _, field := range fields {
		at, ok := h.Deadline(field)
		switch {
		case !ok:
			c.Reply.Int(-2)
		case at == -1:
			c.Reply.Int(-1)
		default:
			c.Reply.Int(answer(field, at))
		}
	}
}

func hgetdel(c *Ctx) {
	h, ok := hashAt(c, store.Write)
	if !ok {
		return
	}
	a := resp.NewArgs(c.Args[2:])
	fields := parseFields(c, &a, resp.ErrFieldsPositive)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	record := [][]byte{wordHDEL, c.Args[1]}
	c.Reply.Array(len(fields))
	for _, field := range fields {
		if replyField(c, &h, field) {
			h.Delete(field)
			record = append(record, field)
		}
	}
	if len(record) > 2 {
		c.LogAs(record...)
	}
	h.Done()
}

// hgetexOptions are HGETEX' options.
type hgetexOptions struct {
	unit    expireUnit
	at      int64
	persist bool
}

// parseUnit consumes one of EX, PX, EXAT and PXAT.
func parseUnit(a *resp.Args) expireUnit {
	switch {
	case a.Is("EX"):
		return unitEX
	case a.Is("PX"):
		return unitPX
	case a.Is("EXAT"):
		return unitEXAT
	case a.Is("PXAT"):
		return unitPXAT
	}
	return unitNone
}

func parseHgetex(c *Ctx, a *resp.Args) (o hgetexOptions) {
	if o.unit = parseUnit(a); o.unit != unitNone {
		o.at = fieldDeadline(c, a, o.unit)
	} else {
		o.persist = a.Is("PERSIST")
	}
	return o
}

func hgetex(c *Ctx) {
	h, ok := hashAt(c, store.Write)
	if !ok {
		return
	}
	a := resp.NewArgs(c.Args[2:])
	o := parseHgetex(c, &a)
	fields := parseFields(c, &a, resp.ErrFieldsPositive)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	e := expiring{h: &h, at: o.at}
	c.Reply.Array(len(fields))
	for _, field := range fields {
		if !replyField(c, &h, field) {
			continue
		}
		if o.unit != unitNone {
			e.put(c, field)
		} else if at, _ := h.Deadline(field); o.persist && at != -1 {
			h.ExpireAt(field, 0)
			e.updated = append(e.updated, field)
		}
	}
	if o.persist && len(e.updated) > 0 {
		c.Tx.Event = "hpersist"
		c.LogAs(append([][]byte{wordHPERSIST, c.Args[1], wordFIELDS, c.decimal(int64(len(e.updated)))}, e.updated...)...)
		h.Done()
		return
	}
	e.done(c)
}

// hsetexOptions are HSETEX' arguments.
type hsetexOptions struct {
	fnx, fxx bool
	keepTTL  bool
	unit     expireUnit
	at       int64
	pairs    [][]byte
}

func parseHsetex(c *Ctx, a *resp.Args) (o hsetexOptions) {
	for a.Err() == nil && !a.Is("FIELDS") {
		word := a.Peek()
		unit := parseUnit(a)
		switch {
		case unit != unitNone || a.Is("KEEPTTL"):
			if o.unit != unitNone || o.keepTTL {
				a.Fail(resp.ErrHsetexExpiry)
			}
			if o.unit, o.keepTTL = unit, unit == unitNone; o.keepTTL {
				break
			}
			if a.Left() == 0 {
				a.Fail(resp.ErrExpireMissing)
			}
			o.at = fieldDeadline(c, a, unit)
		case a.Is("FNX"):
			if o.fnx || o.fxx {
				a.Fail(resp.ErrHsetexCondition)
			}
			o.fnx = true
		case a.Is("FXX"):
			if o.fnx || o.fxx {
				a.Fail(resp.ErrHsetexCondition)
			}
			o.fxx = true
		default:
			a.Fail(resp.UnknownArgument(word))
		}
	}
	if a.Left() < 3 {
		a.Fail(resp.WrongArity(c.Row.Name))
	}
	n := a.IntOr(resp.ErrFieldCount)
	if n < 1 || n > 1<<31-1 {
		a.Fail(resp.ErrFieldCount)
	}
	if a.Left()%2 != 0 || n != int64(a.Left()/2) {
		a.Fail(resp.WrongArity(c.Row.Name))
	}
	o.pairs = a.Rest()
	return o
}

// allows tells whether the condition on the fields' existence is met.
func (o *hsetexOptions) allows(h *store.Hash) bool {
	if !o.fnx && !o.fxx {
		return true
	}
	for i := 0; i < len(o.pairs); i += 2 {
		if _, exists := h.Get(o.pairs[i]); exists == o.fnx {
			return false
		}
	}
	return true
}

func hsetex(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	o := parseHsetex(c, &a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	h, ok := hashAt(c, store.Write)
	if !ok {
		return
	}
	if !o.allows(&h) {
		c.Reply.Int(0)
		return
	}
	if !fits(c, &h, o.pairs...) {
		return
	}
	e := expiring{h: &h, at: o.at}
	for i := 0; i < len(o.pairs); i += 2 {
		if o.keepTTL {
			h.Update(o.pairs[i], o.pairs[i+1])
		} else {
			h.Set(o.pairs[i], o.pairs[i+1])
		}
		if o.unit != unitNone {
			e.put(c, o.pairs[i])
		}
	}
	o.log(c, &e)
	switch {
	case len(e.removed) > 0:
		h.Done("hdel")
	case len(e.updated) > 0:
		h.Done("hexpire")
	default:
		h.Done()
	}
	c.Reply.Int(1)
}

// log gives the journal the absolute time, and plain HSET where that does the
// same.
func (o *hsetexOptions) log(c *Ctx, e *expiring) {
	switch {
	case len(e.removed) > 0:
		e.log(c)
	case o.unit != unitNone:
		at := append([]byte(nil), c.decimal(o.at)...)
		n := c.decimal(int64(len(o.pairs) / 2))
		c.LogAs(append([][]byte{wordHSETEX, c.Args[1], wordPXAT, at, wordFIELDS, n}, o.pairs...)...)
	case !o.keepTTL:
		c.LogAs(append([][]byte{wordHSET, c.Args[1]}, o.pairs...)...)
	}
}
