package command

import (
	"math"
	"math/rand/v2"
	"strconv"

	"synap/resp"
	"synap/store"
)

// HyperLogLog (https://redis.io/commands/?group=hyperloglog): strings in the
// format of hll.go.

func hyperloglogRows() []Row {
	return []Row{
		{
			Name: "pfadd", Usage: "key [element [element ...]]", Arity: -2,
			Summary: "Adds elements to a HyperLogLog, which is created if it does not exist.",
			Group:   "hyperloglog", Since: "2.8.9", Complexity: "O(1) for each element",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Insert), Run: pfadd,
		},
		{
			Name: "pfcount", Usage: "key [key ...]", Arity: -2,
			Summary: "Estimates the number of different elements added to one or several HyperLogLogs.",
			Group:   "hyperloglog", Since: "2.8.9", Complexity: "O(1) for one key, and a much longer O(N) for N keys",
			Flags: ReadOnly | MayReplicate, Run: pfcount,
			Keys: []KeySpec{{Flags: RW | Access, Begin: 1, Last: -1, Notes: "RW because it may change the internal representation of the key, and propagate to replicas"}},
		},
		{
			Name: "pfmerge", Usage: "destkey [sourcekey [sourcekey ...]]", Arity: -2, Event: "pfadd",
			Summary: "Merges HyperLogLogs into one.",
			Group:   "hyperloglog", Since: "2.8.9", Complexity: "O(N) where N is the number of keys, each taking long",
			Flags: Write | DenyOOM, Run: pfmerge,
			Keys: []KeySpec{{Flags: RW | Access | Insert, Begin: 1}, {Flags: RO | Access, Begin: 2, Last: -1}},
		},
		{
			Name: "pfdebug", Usage: "subcommand key", Arity: 3,
			Summary: "Shows or converts the representation of a HyperLogLog.",
			Group:   "hyperloglog", Since: "2.8.9", Complexity: "N/A",
			Flags: Write | DenyOOM | Admin, Run: pfdebug,
			Keys: []KeySpec{{Flags: RW | Access, Begin: 2}},
		},
		{
			Name: "pfselftest", Usage: "", Arity: 1,
			Summary: "Checks the arithmetic of HyperLogLogs.",
			Group:   "hyperloglog", Since: "2.8.9", Complexity: "N/A",
			Flags: Admin, Run: pfselftest,
		},
	}
}

// readHLL returns the HyperLogLog at a key, nil if there is none.
func readHLL(c *Ctx, key []byte, a store.Access) (hll, error) {
	v, err := c.Tx.Get(key, a)
	if err == nil && v != nil && !isHLL(v) {
		err = resp.ErrNotHLL
	}
	return v, err
}

// editHLL returns the HyperLogLog at a key for changes: a dense one in place,
// a sparse one copied, with room to grow by some runs, nil if there is none.
func editHLL(c *Ctx, key []byte) (hll, error) {
	h, err := readHLL(c, key, store.Write)
	switch {
	case err != nil || h == nil:
		return nil, err
	case h.dense():
		h, _, err = c.Tx.Extend(key, 0)
		return h, err
	}
	const runs = 16 // bytes
	return append(make([]byte, 0, len(h)+runs), h...), nil
}

// storeHLL takes what editHLL returned and was changed. before is its length
// then, 0 if the key did not exist.
func storeHLL(c *Ctx, key []byte, h hll, before int) {
	if before == hllDenseLen && h.dense() {
		c.Tx.Edited(key)
		return
	}
	c.Tx.SetRaw(key, h)
}

func pfadd(c *Ctx) {
	key := c.Args[1]
	h, err := editHLL(c, key)
	if err != nil {
		c.Fail(err)
		return
	}
	before := len(h)
	changed := before == 0
	if changed {
		h = newHLL(nil)
	}
	for _, element := range c.Args[2:] {
		grown, raised, ok := h.add(element, c.Conf.HLLSparseMaxBytes)
		if !ok {
			c.Fail(resp.ErrHLLCorrupt)
			return
		}
		h, changed = grown, changed || raised
	}
	if !changed {
		c.Reply.Int(0)
		return
	}
	h.invalidate()
	storeHLL(c, key, h, before)
	c.Reply.Int(1)
}

func pfcount(c *Ctx) {
	if len(c.Args) > 2 {
		var union hllRegs
		if _, err := mergeHLLs(c, &union); err != nil {
			c.Fail(err)
			return
		}
		c.Reply.Int(int64(union.count()))
		return
	}
	key := c.Args[1]
	h, err := readHLL(c, key, store.Read)
	switch {
	case err != nil:
		c.Fail(err)
		return
	case h == nil:
		c.Reply.Int(0)
		return
	}
	n, ok := h.cached()
	if !ok {
		if n, ok = h.count(); !ok {
			c.Fail(resp.ErrHLLCorrupt)
			return
		}
		b, _, err := c.Tx.Extend(key, 0)
		if err != nil {
			c.Fail(err)
			return
		}
		hll(b).cache(n)
		c.Tx.Event = "" // a change for watchers and the journal that has no event
		c.Tx.Edited(key)
	}
	c.Reply.Int(int64(n))
}

// mergeHLLs merges those at the keys of all arguments into regs and tells
// whether one of them is dense.
func mergeHLLs(c *Ctx, regs *hllRegs) (dense bool, err error) {
	for _, key := range c.Args[1:] {
		h, err := readHLL(c, key, store.Read)
		if err != nil {
			return false, err
		}
		if h == nil {
			continue
		}
		if !h.mergeInto(regs) {
			return false, resp.ErrHLLCorrupt
		}
		dense = dense || h.dense()
	}
	return dense, nil
}

func pfmerge(c *Ctx) {
	var union hllRegs
	dense, err := mergeHLLs(c, &union)
	if err != nil {
		c.Fail(err)
		return
	}
	key := c.Args[1]
	h, err := editHLL(c, key)
	if err != nil {
		c.Fail(err)
		return
	}
	before := len(h)
	if before == 0 {
		h = newHLL(nil)
	}
	if dense {
		h, _ = h.toDense() // whole, or the merge would have failed
	}
	h = h.raiseAll(&union, c.Conf.HLLSparseMaxBytes)
	h.invalidate()
	storeHLL(c, key, h, before)
	c.Reply.OK()
}

func pfdebug(c *Ctx) {
	key := c.Args[2]
	h, err := editHLL(c, key)
	switch {
	case err != nil:
		c.Fail(err)
	case h == nil:
		c.Fail(resp.ErrHLLNoKey)
	case resp.EqualFold(c.Args[1], "GETREG"):
		pfgetreg(c, h)
	case resp.EqualFold(c.Args[1], "DECODE"):
		if h.dense() {
			c.Fail(resp.ErrHLLNotSparse)
			return
		}
		c.Reply.Bulk(h.decode())
	case resp.EqualFold(c.Args[1], "ENCODING"):
		name := "sparse"
		if h.dense() {
			name = "dense"
		}
		c.Reply.Status(name)
	case resp.EqualFold(c.Args[1], "TODENSE"):
		switch _, ok := densify(c, h); {
		case !ok:
		case h.dense():
			c.Reply.Int(0)
		default:
			c.Reply.Int(1)
		}
	default:
		c.Fail(resp.UnknownPfdebug(c.Args[1]))
	}
}

// densify stores the dense form of PFDEBUG's HyperLogLog unless it is dense.
func densify(c *Ctx, h hll) (d hll, ok bool) {
	d, ok = h.toDense()
	switch {
	case !ok:
		c.Fail(resp.ErrHLLCorrupt)
	case !h.dense():
		c.Tx.Event = "" // Redis has none for it
		c.Tx.SetRaw(c.Args[2], d)
	}
	return d, ok
}

func pfgetreg(c *Ctx, h hll) {
	d, ok := densify(c, h)
	if !ok {
		return
	}
	c.Reply.Array(hllRegisters)
	for i := range hllRegisters {
		c.Reply.Int(int64(d.register(i)))
	}
}

// pfselftest adds elements to a HyperLogLog and to plain registers, which must
// agree, and checks the estimates: within five times the standard error of
// 1.04/√m (Redis' own test allows that much).
func pfselftest(c *Ctx) {
	const most = 50000
	var plain hllRegs
	h := newHLL(nil)
	rnd := rand.New(rand.NewPCG(hllSeed, 1))
	for n := 1; n <= most; n++ {
		element := strconv.AppendUint(nil, rnd.Uint64(), 16)
		grown, _, ok := h.add(element, 3000)
		register, value := hllPlace(element)
		plain[register] = max(plain[register], value)
		h = grown
		if n%5000 != 0 && n != 100 && ok {
			continue
		}
		var merged hllRegs
		whole := ok && h.mergeInto(&merged)
		estimate, _ := h.count()
		if !whole || merged != plain || estimate != plain.count() ||
			math.Abs(float64(estimate)-float64(n)) > max(5*1.04/math.Sqrt(hllRegisters)*float64(n), 10) {
			c.Fail(resp.HLLSelftest(n))
			return
		}
	}
	c.Reply.OK()
}
