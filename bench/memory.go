package main

import "fmt"

// filling is a command that adds items to a key: 16-byte members and values,
// and 8-byte names of fields.
type filling struct {
	what, many string
	verb       string
	item       func(args []string, i int) []string
}

var fillings = []filling{
	{"hash", "hashes", "HSET", func(args []string, i int) []string {
		return append(args, fmt.Sprintf("%08d", i), fmt.Sprintf("v%015d", i))
	}},
	{"list", "lists", "RPUSH", func(args []string, i int) []string { return append(args, fmt.Sprintf("v%015d", i)) }},
	{"set", "sets", "SADD", func(args []string, i int) []string { return append(args, fmt.Sprintf("v%015d", i)) }},
	{"sorted set", "sorted sets", "ZADD", func(args []string, i int) []string {
		return append(args, fmt.Sprint(i), fmt.Sprintf("v%015d", i))
	}},
}

// collectionMemory are the rows about the memory of hashes, lists, sets, sorted
// sets and streams: many small ones and, in the whole table, one large one.
func collectionMemory(full bool) []otherRow {
	const few, small, large = 10, 100_000, 1_000_000
	var rows []otherRow
	for _, f := range fillings {
		add := func(name string, keys, items int) {
			rows = append(rows, otherRow{name, func(o options, door string) (row, error) {
				return itemRow(o, door, name, keys*items, func(p *process, things int) error {
					keys := min(keys, things/few)
					return f.fill(p, keys, things/keys)
				})
			}})
		}
		add(fmt.Sprintf("memory an item, 100 k %s of 10", f.many), small, few)
		if full {
			add(fmt.Sprintf("memory an item, a %s of 1 M", f.what), 1, large)
		}
	}
	if full {
		rows = append(rows, streamRow("memory a stream entry of one field, 1 M", 1), streamRow("memory a stream entry of 10 fields, 100 k", few))
	}
	return rows
}

// fill makes keys with so many items each, batch at most in a command.
func (f filling) fill(p *process, keys, items int) error {
	perKey := max(items/batch, 1)
	return p.fill(keys*perKey, func(b []byte, i int) []byte {
		args := []string{f.verb, fmt.Sprintf("key:%07d", i/perKey)}
		for j := range items / perKey {
			n := i%perKey*batch + j
			if keys > 1 {
				n += i * items // no two keys have the same
			}
			args = f.item(args, n)
		}
		return command(b, args...)
	})
}

// itemRow is memoryRow of a command that both servers have run before, so that
// the code itself is not counted: fill runs it for so many items.
func itemRow(o options, door, name string, things int, fill func(p *process, things int) error) (row, error) {
	const few = 1000
	ours, theirs, err := both(o, door, func(p *process) (float64, error) {
		if err := fill(p, few); err != nil {
			return 0, err
		}
		if err := p.do("FLUSHALL"); err != nil {
			return 0, err
		}
		grown, err := growth(p, func() error { return fill(p, things) })
		return grown / float64(things), err
	})
	return row{name: name, ours: ours, theirs: theirs, unit: "B", bar: 0.9, atMost: true, cpu: "–"}, err
}

func streamRow(name string, fields int) otherRow {
	entries := 1_000_000
	if fields > 1 {
		entries = 100_000
	}
	return otherRow{name, func(o options, door string) (row, error) {
		return itemRow(o, door, name, entries, func(p *process, entries int) error {
			return p.fill(entries, func(b []byte, i int) []byte {
				args := []string{"XADD", "stream", fmt.Sprintf("%d-1", i+1)}
				for j := range fields {
					args = append(args, fmt.Sprintf("field:%02d", j), fmt.Sprintf("v%015d", i*fields+j))
				}
				return command(b, args...)
			})
		})
	}}
}
