package command

import (
	"bytes"
	"cmp"
	"slices"

	"synap/resp"
	"synap/store"
)

// SORT and SORT_RO (https://redis.io/commands/sort).

func sortRows() []Row {
	const usage = "key [BY by-pattern] [LIMIT offset count] [GET get-pattern [GET get-pattern ...]] [ASC | DESC] [ALPHA]"
	keys := []KeySpec{
		{Flags: RO | Access, Begin: 1},
		{Flags: RO | Access, Unknown: true, Notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"},
	}
	row := Row{
		Name: "sort_ro", Usage: usage, Arity: -2,
		Summary: "Returns the elements of a list, set or sorted set in order, or what keys named after them hold.",
		Group:   "generic", Since: "7.0.0",
		Complexity: "O(N+M*log(M)) where N is the number of elements and M the number of those sorted; O(N) without sorting",
		Categories: []string{"-keyspace", "set", "sortedset", "list", "dangerous"},
		Flags:      ReadOnly | AllShards, Keys: keys, FindKeys: sortKeys(false), Run: func(c *Ctx) { sortKey(c, false) },
	}
	stores := row
	stores.Name, stores.Usage, stores.Since, stores.Event = "sort", usage+" [STORE destination]", "1.0.0", "sortstore"
	stores.Summary = "Sorts the elements of a list, set or sorted set, and may store the result as a list."
	stores.Flags = Write | DenyOOM | AllShards
	stores.Keys = append(keys[:2:2], KeySpec{Flags: OW | Update, Unknown: true, Notes: "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"})
	stores.FindKeys, stores.Run = sortKeys(true), func(c *Ctx) { sortKey(c, true) }
	return []Row{stores, row}
}

// sortKeys finds the key and, as the last STORE counts, its destination. Keys
// that BY and GET name depend on the elements.
func sortKeys(stores bool) func(args [][]byte, dst []KeyAt) ([]KeyAt, bool) {
	return func(args [][]byte, dst []KeyAt) ([]KeyAt, bool) {
		dst = append(dst, KeyAt{1, RO | Access})
		to := 0
		for i := 2; i < len(args); i++ {
			switch {
			case resp.EqualFold(args[i], "LIMIT"):
				i += 2
			case resp.EqualFold(args[i], "GET"), resp.EqualFold(args[i], "BY"):
				i++
			case stores && resp.EqualFold(args[i], "STORE") && i+1 < len(args):
				i++
				to = i
			}
		}
		if to > 0 {
			dst = append(dst, KeyAt{to, OW | Update})
		}
		return dst, true
	}
}

// sortOptions are the options of SORT.
type sortOptions struct {
	by            *sortPattern // nil: the elements themselves
	unsorted      bool         // BY a pattern that names no keys
	alpha, desc   bool
	offset, count int64 // count is negative for all
	get           []sortPattern
	store         []byte // nil: reply
}

func parseSort(args [][]byte, stores bool) (o sortOptions, err error) {
	o.count = -1
	a := resp.NewArgs(args)
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("ASC"):
			o.desc = false
		case a.Is("DESC"):
			o.desc = true
		case a.Is("ALPHA"):
			o.alpha = true
		case a.Left() > 2 && a.Is("LIMIT"):
			o.offset, o.count = a.Int(), a.Int()
		case stores && a.Left() > 1 && a.Is("STORE"):
			o.store = a.Next()
		case a.Left() > 1 && a.Is("BY"):
			p := parseSortPattern(a.Next())
			o.by = &p
			o.unsorted = o.unsorted || p.fixed()
		case a.Left() > 1 && a.Is("GET"):
			o.get = append(o.get, parseSortPattern(a.Next()))
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return o, a.Err()
}

// sortPattern names a key, or a field of a hash, after an element: the first *
// stands for the element, and what follows -> is the field.
type sortPattern struct {
	self          bool // #: the element itself
	star          bool
	before, after []byte
	field         []byte // nil: the key is a string
}

// fixed tells whether the pattern names the same key for every element.
func (p *sortPattern) fixed() bool { return !p.star }

func parseSortPattern(b []byte) sortPattern {
	text, _, _ := bytes.Cut(b, []byte{0}) // Redis reads it as C does
	if string(text) == "#" {
		return sortPattern{self: true}
	}
	star := bytes.IndexByte(text, '*')
	if star < 0 {
		return sortPattern{}
	}
	p := sortPattern{star: true, before: b[:star], after: b[star+1:]}
	if i := bytes.Index(text[star+1:], []byte("->")); i >= 0 && star+1+i+2 < len(text) {
		p.after, p.field = b[star+1:star+1+i], b[star+1+i+2:]
	}
	return p
}

// sortJob is a run of SORT: the elements and what they are sorted by are
// copies, one behind the other, as looking keys up may move values.
type sortJob struct {
	c     *Ctx
	o     sortOptions
	kind  store.Kind
	text  []byte
	items []sortItem
	name  []byte // a key while it is looked up
	bad   bool   // a weight is not a number
}

// sortItem is an element: text[at:at+n], and text[by:by+m] what it is sorted by
// under ALPHA with BY.
type sortItem struct {
	at, by int
	n, m   int32
	found  bool // there is something to sort it by
	score  float64
}

func (j *sortJob) element(i *sortItem) []byte { return j.text[i.at : i.at+int(i.n)] }
func (j *sortJob) weight(i *sortItem) []byte  { return j.text[i.by : i.by+int(i.m)] }

func sortKey(c *Ctx, stores bool) {
	j := sortJob{c: c, text: []byte{}}
	var err error
	if j.o, err = parseSort(c.Args[2:], stores); err != nil {
		c.Fail(err)
		return
	}
	j.kind = c.Tx.Kind(c.Args[1], store.Read)
	switch j.kind {
	case store.KindNone, store.KindList, store.KindSet, store.KindZSet:
	default:
		c.Fail(resp.ErrWrongType)
		return
	}
	if j.o.unsorted && j.kind == store.KindSet && j.o.store != nil {
		j.o.unsorted, j.o.alpha, j.o.by = false, true, nil // a set's order is nobody's business
	}
	j.load()
	if !j.o.unsorted {
		j.weigh()
		j.sort()
	}
	switch {
	case j.bad:
		c.Fail(resp.ErrSortScores)
	case j.o.store != nil:
		j.store()
	default:
		j.reply()
	}
}

// span returns which of n elements LIMIT asks for: [from, to).
func (o *sortOptions) span(n int) (from, to int) {
	from = int(min(max(o.offset, 0), int64(n)))
	to = n
	if o.count >= 0 {
		to = from + int(min(o.count, int64(n-from)))
	}
	return from, to
}

func (j *sortJob) add(v []byte) bool {
	j.items = append(j.items, sortItem{at: len(j.text), n: int32(len(v))})
	j.text = append(j.text, v...)
	return true
}

// load copies the elements; where order and number are settled already, only
// those that LIMIT asks for.
func (j *sortJob) load() {
	key := j.c.Args[1]
	switch j.kind {
	case store.KindList:
		l, _ := j.c.Tx.List(key, store.Peek)
		from, to := j.settled(l.Len())
		if from < to {
			l.Range(from, to-1, j.add)
		}
		if j.o.unsorted && j.o.desc {
			slices.Reverse(j.items)
		}
	case store.KindSet:
		set, _ := j.c.Tx.SetOf(key, store.Peek)
		set.Each(j.add)
	case store.KindZSet:
		z, _ := j.c.Tx.ZSetOf(key, store.Peek)
		from, to := j.settled(z.Len())
		z.ByRank(from, to, false, func(m []byte, _ float64) bool { return j.add(m) })
		if j.o.unsorted && j.o.desc {
			slices.Reverse(j.items)
		}
	}
}

// settled returns the range of n elements to load, all of them if they are to
// be sorted. Under DESC it is counted from the end. LIMIT is done with then.
func (j *sortJob) settled(n int) (from, to int) {
	if !j.o.unsorted {
		return 0, n
	}
	from, to = j.o.span(n)
	if j.o.desc {
		from, to = n-to, n-from
	}
	j.o.offset, j.o.count = 0, -1
	return from, to
}

// weigh finds what the elements are sorted by, unless that is themselves under
// ALPHA. Missing keys weigh 0.
func (j *sortJob) weigh() {
	if j.o.by == nil && j.o.alpha {
		return
	}
	for i := range j.items {
		item := &j.items[i]
		v := j.element(item)
		if j.o.by != nil {
			v, item.found = j.lookup(j.o.by, v)
			if !item.found {
				continue
			}
		}
		if j.o.alpha {
			item.by, item.m = len(j.text), int32(len(v))
			j.text = append(j.text, v...)
			continue
		}
		ok := false
		if item.score, ok = sortScore(v); !ok {
			j.bad = true
			return
		}
	}
}

// sortScore reads a number as C's strtod does: blanks before it, an end at NUL,
// and nothing at all is 0.
func sortScore(b []byte) (float64, bool) {
	b, _, _ = bytes.Cut(b, []byte{0})
	if len(b) == 0 {
		return 0, true
	}
	return resp.ParseFloat(bytes.TrimLeft(b, " \t\n\v\f\r"))
}

// lookup returns what the pattern names for an element, valid until the next
// look-up.
func (j *sortJob) lookup(p *sortPattern, element []byte) (v []byte, ok bool) {
	if p.self {
		return element, true
	}
	if !p.star {
		return nil, false
	}
	j.name = append(append(append(j.name[:0], p.before...), element...), p.after...)
	if p.field != nil {
		h, err := j.c.Tx.HashOf(j.name, store.Read)
		if err != nil {
			return nil, false
		}
		return h.Get(p.field)
	}
	v, err := j.c.Tx.Get(j.name, store.Read)
	return v, err == nil && v != nil
}

// sort orders the items. Elements of equal weight are ordered by themselves;
// under ALPHA with BY those of a list or sorted set stay as they were.
func (j *sortJob) sort() {
	slices.SortStableFunc(j.items, func(x, y sortItem) int {
		n := j.compare(&x, &y)
		if j.o.desc {
			n = -n
		}
		if n == 0 && j.kind == store.KindSet {
			return bytes.Compare(j.element(&x), j.element(&y))
		}
		return n
	})
}

func (j *sortJob) compare(x, y *sortItem) int {
	switch {
	case !j.o.alpha:
		if n := cmp.Compare(x.score, y.score); n != 0 {
			return n
		}
	case j.o.by != nil && x.found && y.found:
		return bytes.Compare(j.weight(x), j.weight(y))
	case j.o.by != nil && x.found:
		return 1
	case j.o.by != nil && y.found:
		return -1
	case j.o.by != nil:
		return 0
	}
	return bytes.Compare(j.element(x), j.element(y))
}

// results visits what is asked for of each element, nil for what is missing,
// until visit returns false.
func (j *sortJob) results(visit func(v []byte) bool) {
	from, to := j.o.span(len(j.items))
	for i := from; i < to; i++ {
		element := j.element(&j.items[i])
		if len(j.o.get) == 0 && !visit(element) {
			return
		}
		for g := range j.o.get {
			v, ok := j.lookup(&j.o.get[g], element)
			if !ok {
				v = nil
			}
			if !visit(v) {
				return
			}
		}
	}
}

// length returns how many results there are.
func (j *sortJob) length() int {
	from, to := j.o.span(len(j.items))
	return (to - from) * max(len(j.o.get), 1)
}

func (j *sortJob) reply() {
	r := j.c.Reply
	r.Array(j.length())
	j.results(func(v []byte) bool {
		if v == nil {
			r.Null()
		} else {
			r.Bulk(v)
		}
		return !r.Over()
	})
}

// store makes the results a list, or removes the destination if there are none.
func (j *sortJob) store() {
	if j.length() == 0 {
		j.c.Tx.Delete(j.o.store)
	} else if err := j.c.Tx.PutList(j.o.store, j.results); err != nil {
		j.c.Fail(err)
		return
	}
	j.c.Reply.Int(int64(j.length()))
}
