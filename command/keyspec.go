package command

import "synap/resp"

// KeyAt is a key of a request: args[Index], and what is done with it.
type KeyAt struct {
	Index int
	Flags KeyFlags
}

// OneKey returns the argument index of the only key of c's requests, or 0 when
// their keys have to be asked from Keys.
func (c *Command) OneKey() int { return c.oneKey }

// HasKeys tells whether requests of c may name keys.
func (c *Command) HasKeys() bool { return c.hasKeys }

// Keys appends the keys of a request to dst. It is the one answer for locking,
// access control and COMMAND GETKEYS. It returns false, with the keys found so
// far, when the arguments cannot be right (a key count that is no number or
// exceeds the arguments, a keyword that is missing).
func (c *Command) Keys(args [][]byte, dst []KeyAt) ([]KeyAt, bool) {
	if c.FindKeys != nil {
		return c.FindKeys(args, dst)
	}
	if i := c.oneKey; i > 0 && i < len(args) {
		return append(dst, KeyAt{i, c.Row.Keys[0].Flags}), true
	}
	ok := true
	for i := range c.Row.Keys {
		k := &c.Row.Keys[i]
		if k.Flags&NotKey != 0 {
			continue
		}
		var found bool
		if dst, found = k.find(args, dst); !found {
			ok = false
		}
	}
	return dst, ok
}

// find appends the keys that one spec yields.
func (k *KeySpec) find(args [][]byte, dst []KeyAt) ([]KeyAt, bool) {
	first := k.begin(args)
	if first == 0 {
		return dst, false
	}
	step, last := max(k.Step, 1), 0
	switch {
	case k.NumKeys:
		if first+k.NumIdx >= len(args) {
			return dst, false
		}
		n, ok := resp.ParseInt(args[first+k.NumIdx])
		if !ok || n < 0 || n > int64(len(args)) {
			return dst, false
		}
		first += k.First
		last = first + (int(n)-1)*step
	case k.Last >= 0:
		last = first + k.Last
	case k.Limit > 1:
		last = first + (len(args)-first)/k.Limit + k.Last
	default:
		last = len(args) + k.Last
	}
	if first >= len(args) || last >= len(args) || last < first {
		return dst, false
	}
	for i := first; i <= last; i += step {
		dst = append(dst, KeyAt{i, k.Flags})
	}
	return dst, true
}

// begin returns the index of the first argument the spec speaks of, 0 if its
// keyword is missing or the spec is an unknown one.
func (k *KeySpec) begin(args [][]byte) int {
	if k.Unknown || k.Keyword == "" {
		return k.Begin
	}
	if k.From < 0 { // searched from the end backwards
		for i := len(args) + k.From; i > 0; i-- {
			if resp.EqualFold(args[i], k.Keyword) {
				return i + 1
			}
		}
		return 0
	}
	for i := k.From; i < len(args)-1; i++ {
		if resp.EqualFold(args[i], k.Keyword) {
			return i + 1
		}
	}
	return 0
}

// oneKey is the spec of a command whose only key is its first argument.
func oneKey(flags KeyFlags) []KeySpec { return []KeySpec{{Flags: flags, Begin: 1}} }

// allKeys is the spec of a command whose arguments are keys, or groups of step
// arguments that begin with a key.
func allKeys(flags KeyFlags, step int) []KeySpec {
	return []KeySpec{{Flags: flags, Begin: 1, Last: -1, Step: step}}
}

// twoKeys is the spec of a source and a destination.
func twoKeys(source, destination KeyFlags) []KeySpec {
	return []KeySpec{{Flags: source, Begin: 1}, {Flags: destination, Begin: 2}}
}
