package command

import (
	"math"
	"time"

	"synap/resp"
	"synap/store"
)

// Blocking list commands try at once and else ask for a park. Dispatch runs
// them again when one of their keys is ready; the journal gets what they did.

func listBlockRows() []Row {
	return []Row{
		{
			Name: "blpop", Usage: "key [key ...] timeout:double", Arity: -3, Event: "lpop",
			Summary: "Removes and returns the head of the first list that is not empty, and waits for one if there is none.",
			Group:   "list", Since: "2.0.0", Complexity: "O(N) where N is the number of keys",
			Flags: Write | Blocking, Run: func(c *Ctx) { bpop(c, store.Front) },
			Keys: []KeySpec{{Flags: RW | Access | Delete, Begin: 1, Last: -2, Step: 1}},
		},
		{
			Name: "brpop", Usage: "key [key ...] timeout:double", Arity: -3, Event: "rpop",
			Summary: "Removes and returns the tail of the first list that is not empty, and waits for one if there is none.",
			Group:   "list", Since: "2.0.0", Complexity: "O(N) where N is the number of keys",
			Flags: Write | Blocking, Run: func(c *Ctx) { bpop(c, store.Back) },
			Keys: []KeySpec{{Flags: RW | Access | Delete, Begin: 1, Last: -2, Step: 1}},
		},
		{
			Name: "blmove", Usage: "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout:double", Arity: 6,
			Summary: "Moves an element between the ends of two lists, and waits for one if the source is empty.",
			Group:   "list", Since: "6.2.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Blocking, Keys: twoKeys(RW|Access|Delete, RW|Insert), Run: blmove,
		},
		{
			Name: "brpoplpush", Usage: "source destination timeout:double", Arity: 4,
			Summary: "Moves the tail of a list to the head of another, and waits for it if the source is empty.",
			Group:   "list", Since: "2.2.0", Complexity: "O(1)",
			Deprecated: "6.2.0|`BLMOVE` with the `RIGHT` and `LEFT` arguments",
			Flags:      Write | DenyOOM | Blocking, Keys: twoKeys(RW|Access|Delete, RW|Insert), Run: brpoplpush,
		},
		{
			Name: "blmpop", Usage: "timeout:double numkeys key [key ...] <LEFT | RIGHT> [COUNT count]", Arity: -5,
			Summary: "Removes and returns elements at an end of the first list that is not empty, and waits for one if there is none.",
			Group:   "list", Since: "7.0.0", Complexity: "O(N+M) where N is the number of keys and M the number of elements returned",
			Flags: Write | Blocking, Run: blmpop,
			Keys: []KeySpec{{Flags: RW | Access | Delete, Begin: 2, NumKeys: true, First: 1, Step: 1}},
		},
	}
}

// Words of journal records.
var (
	wordLMOVE     = []byte("LMOVE")
	wordRPOPLPUSH = []byte("RPOPLPUSH")
	popWords      = [2][]byte{[]byte("LPOP"), []byte("RPOP")}
)

// parseTimeout reads a timeout in seconds; 0 means for ever. Redis rounds it up
// to milliseconds: here the fraction below counts too.
func parseTimeout(c *Ctx, a *resp.Args) time.Duration {
	seconds := a.FloatOr(resp.ErrTimeout)
	ms := math.Ceil(seconds * 1000)
	switch {
	case a.Err() != nil:
	case ms > float64(math.MaxInt64-c.Tx.Now):
		a.Fail(resp.ErrTimeoutRange)
	case ms < 0:
		a.Fail(resp.ErrTimeoutNegative)
	case ms > 0:
		return time.Duration(min(math.Ceil(seconds*1e9), maxTimeout))
	}
	return 0
}

// maxTimeout in nanoseconds (146 years) leaves room for sums.
const maxTimeout = 1 << 62

func bpop(c *Ctx, end store.End) {
	last := len(c.Args) - 1
	a := resp.NewArgs(c.Args[last:])
	timeout := parseTimeout(c, &a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	keys := c.Args[1:last]
	l, key, done := firstList(c, keys)
	switch {
	case done:
	case key == nil:
		waitForList(c, keys, timeout)
	default:
		c.LogAs(popWords[end], key)
		c.CountAt(key, 1)
		c.Reply.Array(2)
		c.Reply.Bulk(key)
		l.Pop(end, 1, c.Reply.Bulk)
	}
}

// waitForList blocks until one of keys is a list that has elements.
func waitForList(c *Ctx, keys [][]byte, timeout time.Duration) {
	c.Count(0)
	c.Block(Block{Keys: keys, Timeout: timeout, TimeOut: (*resp.Reply).NullArray, Kind: store.KindList})
}

// waitForSource is waitForList for a move, which answers a null that is no
// array's where it may not wait.
func waitForSource(c *Ctx, timeout time.Duration) {
	waitForList(c, c.Args[1:2], timeout)
	c.block.Refused = (*resp.Reply).Null
}

func blmove(c *Ctx) {
	a := resp.NewArgs(c.Args[3:])
	from, to := parseEnd(&a), parseEnd(&a)
	timeout := parseTimeout(c, &a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if !moveElement(c, from, to, wordLMOVE, c.Args[1], c.Args[2], c.Args[3], c.Args[4]) {
		waitForSource(c, timeout)
	}
}

func brpoplpush(c *Ctx) {
	a := resp.NewArgs(c.Args[3:])
	timeout := parseTimeout(c, &a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	if !moveElement(c, store.Back, store.Front, wordRPOPLPUSH, c.Args[1], c.Args[2]) {
		waitForSource(c, timeout)
	}
}

func blmpop(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	o := parseMpop(&a, parseEnd)
	err := a.Err()
	first := resp.NewArgs(c.Args[1:2])
	timeout := parseTimeout(c, &first)
	if err == nil { // the timeout is looked at last
		err = first.Err()
	}
	if err != nil {
		c.Fail(err)
		return
	}
	if !mpop(c, &o) {
		waitForList(c, o.keys, timeout)
	}
}
