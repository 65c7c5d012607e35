package command

import (
	"synap/resp"
	"synap/store"
)

// lcsOptions are the options of LCS.
type lcsOptions struct {
	length, ranges, withLen bool
	minLen                  int64
}

func parseLCS(a *resp.Args) (o lcsOptions) {
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("IDX"):
			o.ranges = true
		case a.Is("LEN"):
			o.length = true
		case a.Is("WITHMATCHLEN"):
			o.withLen = true
		case a.Left() > 1 && a.Is("MINMATCHLEN"):
			o.minLen = max(a.Int(), 0)
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	if o.ranges && o.length {
		a.Fail(resp.ErrLCSLenIdx)
	}
	return o
}

// lcs finds the longest common subsequence (https://redis.io/commands/lcs/).
func lcs(c *Ctx) {
	x, errX := c.Tx.Get(c.Args[1], store.Read)
	y, errY := c.Tx.Get(c.Args[2], store.Read)
	if errX != nil || errY != nil {
		c.Fail(resp.ErrLCSNotString)
		return
	}
	a := resp.NewArgs(c.Args[3:])
	o := parseLCS(&a)
	// Redis' table has 32 bits a cell and is bounded so; ours has one bit.
	if cells := int64(len(x)+1) * int64(len(y)+1); cells*4 > c.Conf.ProtoMaxBulkLen {
		a.Fail(resp.ErrLCSMemory)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	t := newLCSTable(x, y, !o.length)
	switch {
	case o.ranges:
		c.Reply.Map(2)
		c.Reply.BulkString("matches")
		mark, n := c.Reply.DeferArray(), 0
		t.walk(nil, func(r lcsRange) {
			if int64(r.n) >= o.minLen {
				r.reply(c.Reply, o.withLen)
				n++
			}
		})
		c.Reply.SetDeferred(mark, n)
		c.Reply.BulkString("len")
		c.Reply.Int(int64(t.length))
	case o.length:
		c.Reply.Int(int64(t.length))
	default:
		text := make([]byte, t.length)
		t.walk(text, func(lcsRange) {})
		c.Reply.Bulk(text)
	}
}

// lcsTable knows the way back through the dynamic programming table of x and
// y: a bit a cell tells whether the longer subsequence lies up (in x) or left.
type lcsTable struct {
	x, y   []byte
	length int
	up     []uint64 // bit i*len(y)+j, for the cell of x[:i+1] and y[:j+1]
}

func newLCSTable(x, y []byte, way bool) *lcsTable {
	t := &lcsTable{x: x, y: y}
	if way {
		t.up = make([]uint64, (len(x)*len(y)+63)/64)
	}
	row := make([]uint32, len(y)+1) // lengths of the row above, overwritten from the left
	for i, b := range x {
		var left, diagonal uint32
		for j := range y {
			above := row[j+1]
			switch {
			case y[j] == b:
				left = diagonal + 1
			case above > left:
				left = above
				if way {
					bit := i*len(y) + j
					t.up[bit>>6] |= 1 << (bit & 63)
				}
			}
			row[j+1], diagonal = left, above
		}
	}
	t.length = int(row[len(y)])
	return t
}

// lcsRange is a run of n equal bytes at x[a:] and y[b:].
type lcsRange struct{ a, b, n int }

func (r lcsRange) reply(to *resp.Reply, withLen bool) {
	n := 2
	if withLen {
		n = 3
	}
	to.Array(n)
	for _, from := range [2]int{r.a, r.b} {
		to.Array(2)
		to.Int(int64(from))
		to.Int(int64(from + r.n - 1))
	}
	if withLen {
		to.Int(int64(r.n))
	}
}

// walk goes from the ends to the beginnings. It fills text, if given, with the
// subsequence and emits the runs of matches, the last one first.
func (t *lcsTable) walk(text []byte, emit func(lcsRange)) {
	var run lcsRange
	i, j, k := len(t.x)-1, len(t.y)-1, t.length-1
	for i >= 0 && j >= 0 {
		if t.x[i] == t.y[j] {
			if text != nil {
				text[k] = t.x[i]
			}
			run = lcsRange{i, j, run.n + 1}
			i, j, k = i-1, j-1, k-1
			continue
		}
		if run.n > 0 {
			emit(run)
			run.n = 0
		}
		if bit := i*len(t.y) + j; t.up[bit>>6]&(1<<(bit&63)) != 0 {
			i--
		} else {
			j--
		}
	}
	if run.n > 0 {
		emit(run)
	}
}
