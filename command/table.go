package command

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"synap/resp"
)

// Command is an executable row: a command, a container or a subcommand.
type Command struct {
	*Row
	ID       int        // dense over all commands and subcommands of the Table
	Parent   *Command   // the container of a subcommand, else nil
	FullName string     // "get", "config|get"
	Subs     []*Command // in the rows' order

	subs    index
	hasKeys bool
	oneKey  int // argument index of the only key, 0 if keys are found otherwise
}

// Table finds commands by name. It is immutable after NewTable and safe for
// concurrent use.
type Table struct {
	top   index
	all   []*Command
	names []*Command
}

// Rows returns the rows of every family of this package.
func Rows() []Row {
	var all []Row
	for _, family := range [][]Row{
		stringRows(), bitmapRows(), hyperloglogRows(), throttleRows(), keyRows(), dumpRows(), sortRows(),
		hashRows(), listRows(), setRows(), zsetRows(), geoRows(), streamRows(), queueRows(),
	} {
		all = append(all, family...)
	}
	return all
}

// NewTable builds the table of rows, numbering commands and their subcommands
// in order. It panics on a name that is doubled, empty, over 24 bytes or not
// lower case: rows are written by programmers, not by users.
func NewTable(rows []Row) *Table {
	t := &Table{}
	for i := range rows {
		c := t.add(&rows[i], nil)
		for j := range rows[i].Subs {
			c.Subs = append(c.Subs, t.add(&rows[i].Subs[j], c))
		}
		c.subs = newIndex(c.Subs)
		t.names = append(t.names, c)
	}
	t.top = newIndex(t.names)
	return t
}

func (t *Table) add(r *Row, parent *Command) *Command {
	c := &Command{Row: r, ID: len(t.all), Parent: parent, FullName: r.Name}
	if parent != nil {
		c.FullName = parent.Name + "|" + r.Name
	}
	c.hasKeys = r.FindKeys != nil || slices.ContainsFunc(r.Keys, func(k KeySpec) bool { return k.Flags&NotKey == 0 })
	if len(r.Keys) == 1 && len(r.Subs) == 0 {
		k := &r.Keys[0]
		plain := k.Begin > 0 && k.Last == 0 && !k.NumKeys && k.Flags&(Incomplete|NotKey) == 0
		if plain && (r.FindKeys == nil || k.Flags&VariableFlags != 0) {
			c.oneKey = k.Begin
		}
	}
	t.all = append(t.all, c)
	return c
}

// Lookup finds a command or container by name, ignoring ASCII case; nil if
// there is none.
func (t *Table) Lookup(name []byte) *Command { return t.top.find(name) }

// Sub finds a subcommand of the container c, ignoring case; nil if there is none.
func (c *Command) Sub(name []byte) *Command { return c.subs.find(name) }

// All returns every command and subcommand; All()[i].ID is i.
func (t *Table) All() []*Command { return t.all }

// Top returns commands and containers without the subcommands.
func (t *Table) Top() []*Command { return t.names }

// Resolve finds what a request runs: the command, or the subcommand when a
// container has arguments. Arity is not checked.
func (t *Table) Resolve(args [][]byte) (*Command, resp.Error) {
	c := t.top.find(args[0])
	if c == nil {
		return nil, resp.UnknownCommand(args)
	}
	if len(c.Subs) == 0 || len(args) == 1 {
		return c, ""
	}
	if sub := c.subs.find(args[1]); sub != nil {
		return sub, ""
	}
	return nil, resp.UnknownSubcommand(c.Name, args[1])
}

// Find finds a command by its full name: "get", "config|get". It returns nil if
// there is none.
func (t *Table) Find(full []byte) *Command {
	name, sub, ok := bytes.Cut(full, []byte{'|'})
	c := t.Lookup(name)
	if c == nil || !ok {
		return c
	}
	return c.Sub(sub)
}

// ArityOK tells whether a request of n arguments, name included, fits.
func (c *Command) ArityOK(n int) bool {
	if c.Arity < 0 {
		return n >= -c.Arity
	}
	return n == c.Arity
}

// maxName is the longest name an index can hold.
const maxName = 24

// index is a pair of open-addressed hash tables from folded names: up to eight
// bytes, which fit into one word, and longer ones, whose bytes fit into three
// that overlap. Equal words and lengths mean equal names, so that no byte loop
// is needed.
type index struct {
	short []shortSlot
	long  []longSlot
	shift uint
}

type shortSlot struct {
	w   uint64
	n   int
	cmd *Command
}

type longSlot struct {
	w   [3]uint64
	n   int
	cmd *Command
}

func newIndex(cmds []*Command) index {
	if len(cmds) == 0 {
		return index{}
	}
	width := bits.Len(uint(4*len(cmds) - 1))
	x := index{short: make([]shortSlot, 1<<width), long: make([]longSlot, 1<<width), shift: uint(64 - width)}
	for _, c := range cmds {
		name, n := []byte(c.Name), len(c.Name)
		if n == 0 || n > maxName || x.find(name) != nil {
			panic(fmt.Sprintf("command: bad or doubled name %q", c.FullName))
		}
		if n <= 8 {
			w := shortWord(name)
			i := x.place(w)
			for x.short[i].cmd != nil {
				i = x.after(i)
			}
			x.short[i] = shortSlot{w, n, c}
			continue
		}
		w := longWords(name)
		i := x.place(w[0] ^ bits.RotateLeft64(w[1], 23))
		for x.long[i].cmd != nil {
			i = x.after(i)
		}
		x.long[i] = longSlot{w, n, c}
	}
	return x
}

// place is where the search for a word begins: Fibonacci hashing, by 2^64
// divided by the golden ratio.
func (x *index) place(w uint64) int { return int(w * 0x9E3779B97F4A7C15 >> (x.shift & 63)) }

func (x *index) after(i int) int { return (i + 1) & (len(x.short) - 1) }

func (x *index) find(name []byte) *Command {
	n := len(name)
	if n > 8 || len(x.short) == 0 {
		return x.findLong(name)
	}
	w := shortWord(name)
	for i := x.place(w); ; i = x.after(i) {
		s := &x.short[i]
		if s.w == w && s.n == n || s.cmd == nil {
			return s.cmd
		}
	}
}

func (x *index) findLong(name []byte) *Command {
	if len(name) > maxName || len(x.long) == 0 {
		return nil
	}
	w := longWords(name)
	for i := x.place(w[0] ^ bits.RotateLeft64(w[1], 23)); ; i = x.after(i) {
		s := &x.long[i]
		if s.w == w && s.n == len(name) || s.cmd == nil {
			return s.cmd
		}
	}
}

// shortWord loads up to 8 bytes, in lower case.
func shortWord(b []byte) (w uint64) {
	switch n := len(b); {
	case n == 8:
		w = binary.LittleEndian.Uint64(b)
	case n >= 4:
		lo, hi := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[n-4:])
		w = uint64(lo) | uint64(hi)<<(8*(n-4)&63)
	case n > 0:
		w = uint64(b[0]) | uint64(b[n/2])<<(8*(n/2)&63) | uint64(b[n-1])<<(8*(n-1)&63)
	}
	return lowerWord(w)
}

// longWords loads 9 to maxName bytes, in lower case.
func longWords(b []byte) (w [3]uint64) {
	n := len(b)
	w[0] = lowerWord(binary.LittleEndian.Uint64(b))
	w[1] = lowerWord(binary.LittleEndian.Uint64(b[n-8:]))
	if n > 16 {
		w[2] = lowerWord(binary.LittleEndian.Uint64(b[8:]))
	}
	return w
}

// lowerWord turns the ASCII capitals among eight bytes into small letters.
func lowerWord(x uint64) uint64 {
	const ones = 0x0101010101010101
	low := x & (0x7F * ones)
	fromA := low + (0x80-'A')*ones
	pastZ := low + (0x7F-'Z')*ones
	capital := (fromA &^ pastZ) & ^x & (0x80 * ones)
	return x | capital>>2
}
