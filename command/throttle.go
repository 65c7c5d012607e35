package command

import (
	"math"
	"math/bits"
	"strconv"

	"synap/resp"
	"synap/store"
)

// CL.THROTTLE (https://github.com/brandur/redis-cell): the generic cell rate
// algorithm on a key. The key is a string that holds the theoretical arrival
// time (TAT) in unix microseconds and expires when it has passed. Package
// limiter does the same for addresses; limiter/testdata/gcra.txt tests both.

func throttleRows() []Row {
	return []Row{{
		Name: "cl.throttle", Usage: "key max-burst:integer count period:integer [quantity:integer]", Arity: -5, Event: "set",
		Summary: "Takes from an allowance of count in period seconds, max-burst + 1 at once; quantity 0 asks only.",
		Group:   "string", Since: "1.0.0", Complexity: "O(1)",
		Categories: []string{"-string"}, // the category holds the commands of Redis alone
		Flags:      Write | DenyOOM | Fast | OwnGrouping, Keys: oneKey(RW | Access | Update), Run: throttle,
	}}
}

// allowance is a rate in whole microseconds. The interval is rounded up, so
// that no rate is ever exceeded; one above a million a second is refused.
type allowance struct {
	limit     int64 // max_burst + 1
	interval  int64 // µs between two
	tolerance int64 // limit × interval
	need      int64 // quantity × interval
}

// parseAllowance reads max_burst, count, period and quantity.
func parseAllowance(args [][]byte) (p allowance, err error) {
	a := resp.NewArgs(args)
	burst, count, period, quantity := a.Int(), a.Int(), a.Int(), int64(1)
	if a.Left() > 0 {
		quantity = a.Int()
	}
	if a.End(); a.Err() != nil {
		return p, a.Err()
	}
	if burst < 0 || count <= 0 || period <= 0 || quantity < 0 {
		return p, resp.ErrNotPositive
	}
	const second = 1_000_000
	if burst == math.MaxInt64 || period > math.MaxInt64/second {
		return p, resp.ErrNotInteger
	}
	if count/second > period || count/second == period && count%second > 0 {
		return p, resp.ErrThrottleRate
	}
	p.limit = burst + 1
	p.interval = (period*second-1)/count + 1
	var fits, alsoFits bool
	p.tolerance, fits = product(p.interval, p.limit)
	p.need, alsoFits = product(p.interval, quantity)
	if !fits || !alsoFits {
		return p, resp.ErrNotInteger
	}
	return p, nil
}

// product multiplies two numbers that are not negative.
func product(a, b int64) (n int64, fits bool) {
	high, low := bits.Mul64(uint64(a), uint64(b))
	return int64(low), high == 0 && low <= math.MaxInt64
}

// take decides at the time now, µs. wait is the time in µs after which it would
// not be refused, 0 if it is not, -1 if it always will be.
func (p *allowance) take(tat, now int64) (next, wait int64, err error) {
	tat = max(tat, now)
	if tat > math.MaxInt64-p.need {
		return tat, 0, resp.ErrOverflow
	}
	switch next = tat + p.need; {
	case next-now <= p.tolerance:
		return next, 0, nil
	case p.need > p.tolerance:
		return tat, -1, nil
	}
	return tat, next - now - p.tolerance, nil
}

func throttle(c *Ctx) {
	p, err := parseAllowance(c.Args[2:])
	if err != nil {
		c.Fail(err)
		return
	}
	v, err := c.Tx.Get(c.Args[1], store.Write)
	if err != nil {
		c.Fail(err)
		return
	}
	var tat int64
	if v != nil {
		var ok bool
		if tat, ok = resp.ParseInt(v); !ok {
			c.Fail(resp.ErrNotInteger)
			return
		}
	}
	now := c.Now.UnixMicro()
	tat, wait, err := p.take(tat, now)
	if err != nil {
		c.Fail(err)
		return
	}
	if wait == 0 && p.need > 0 {
		c.setTAT(tat)
	}
	limited, retry := int64(0), int64(-1)
	if wait != 0 {
		limited = 1
	}
	if wait > 0 {
		retry = wholeSeconds(wait)
	}
	c.Reply.Array(5)
	c.Reply.Int(limited)
	c.Reply.Int(p.limit)
	c.Reply.Int(max(p.tolerance-(tat-now), 0) / p.interval)
	c.Reply.Int(retry)
	c.Reply.Int(wholeSeconds(tat - now))
}

// setTAT stores the TAT until it has passed; the journal gets that moment.
func (c *Ctx) setTAT(tat int64) {
	key, until := c.Args[1], (tat-1)/1000+1
	n := len(c.decimal(tat))
	c.digits = strconv.AppendInt(c.digits, until, 10)
	value, at := c.digits[:n], c.digits[n:]
	c.Tx.SetUntil(key, value, until)
	c.LogAs(wordSET, key, value, wordPXAT, at)
}

// wholeSeconds rounds up if at least a millisecond is left over, as redis-cell
// does.
func wholeSeconds(us int64) int64 {
	n := us / 1_000_000
	if us%1_000_000 >= 1000 {
		n++
	}
	return n
}
