package command

import (
	"synap/resp"
	"synap/store"
)

// DUMP and RESTORE (https://redis.io/commands/restore): values as bytes, in the
// format of Redis' files.

func dumpRows() []Row {
	return []Row{
		{
			Name: "dump", Usage: "key", Arity: 2,
			Summary: "Returns the value of a key as bytes that RESTORE, of a Redis too, makes a key of.",
			Group:   "generic", Since: "2.6.0", Complexity: "O(N) where N is the size of the value",
			Flags: ReadOnly, Keys: oneKey(RO | Access), Run: dump, Tips: []string{"nondeterministic_output"},
		},
		{
			Name: "restore", Usage: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]", Arity: -4,
			Summary: "Creates a key of bytes that DUMP has returned.",
			Group:   "generic", Since: "2.6.0", Complexity: "O(N) where N is the size of the value, O(N*log(N)) for sorted sets",
			Flags: Write | DenyOOM, Keys: oneKey(OW | Update), Categories: []string{"dangerous"}, Run: restore,
		},
		{
			Name: "restore-asking", Usage: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]", Arity: -4, Event: "restore",
			Summary: "RESTORE, as the nodes of a cluster send it to each other.",
			Group:   "server", Since: "3.0.0", Complexity: "That of RESTORE.",
			Flags: Write | DenyOOM | Asking, Keys: oneKey(OW | Update), Categories: []string{"dangerous", "keyspace"}, Run: restore,
		},
	}
}

func dump(c *Ctx) {
	payload, ok := c.Tx.Dump(c.Args[1], nil)
	if !ok {
		c.Reply.Null()
		return
	}
	c.Reply.Bulk(payload)
}

var (
	wordRESTORE = []byte("RESTORE")
	wordABSTTL  = []byte("ABSTTL")
)

// restoreOptions are the options of RESTORE.
type restoreOptions struct {
	store.Restored
	replace, absolute bool
}

func parseRestore(args [][]byte) (o restoreOptions, err error) {
	o.Idle, o.Freq = -1, -1
	a := resp.NewArgs(args)
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("REPLACE"):
			o.replace = true
		case a.Is("ABSTTL"):
			o.absolute = true
		case a.Left() > 1 && o.Freq < 0 && a.Is("IDLETIME"):
			if o.Idle = a.Int(); o.Idle < 0 {
				a.Fail(resp.ErrIdleTime)
			}
		case a.Left() > 1 && o.Idle < 0 && a.Is("FREQ"):
			n := a.Int()
			if n < 0 || n > 255 {
				a.Fail(resp.ErrFreq)
			}
			o.Freq = int(n)
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return o, a.Err()
}

// restore checks in Redis' order: options, the key, the time, the payload.
func restore(c *Ctx) {
	key, payload := c.Args[1], c.Args[3]
	o, err := parseRestore(c.Args[4:])
	exists := err == nil && c.Tx.Kind(key, store.Write) != store.KindNone
	if exists && !o.replace {
		err = resp.ErrBusyKey
	}
	if err == nil {
		err = o.parseTime(c)
	}
	if err == nil {
		err = store.CheckPayload(payload)
	}
	if o.ExpireAt > 0 && !o.absolute {
		if o.ExpireAt += c.Tx.Now; o.ExpireAt < 0 && err == nil {
			err = resp.InvalidExpire(c.Row.Name)
		}
	}
	if err != nil {
		c.Fail(err)
		return
	}
	if err = c.Tx.Restore(key, payload, o.Restored); err != nil {
		c.Fail(err)
		return
	}
	c.Reply.OK()
	switch {
	case o.ExpireAt != 0 && o.ExpireAt <= c.Tx.Now:
		c.LogAs(wordDEL, key)
	case o.ExpireAt != 0 && !o.absolute:
		record := append([][]byte{wordRESTORE, key, c.decimal(o.ExpireAt), payload}, c.Args[4:]...)
		c.LogAs(append(record, wordABSTTL)...)
	}
}

// parseTime reads the time to live; 0 is for ever.
func (o *restoreOptions) parseTime(c *Ctx) error {
	a := resp.NewArgs(c.Args[2:3])
	o.ExpireAt = a.Int()
	if o.ExpireAt < 0 {
		a.Fail(resp.ErrRestoreTTL)
	}
	return a.Err()
}
