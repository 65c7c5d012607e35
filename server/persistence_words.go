package server

import (
	"synap/command"
	"synap/journal"
	"synap/resp"
	"synap/store"
)

// The log holds only words of Redis 7.0, so that a Redis can load it. A command
// that it does not know is kept as it is inside a PUBLISH, and before what says
// the same to a Redis as far as that can be said (durability.md, section 1).

// strangers are the commands that change data and that Redis 7.0 does not know,
// and what a Redis is told instead; nil: nothing.
type strangers map[string]func(args [][]byte) [][][]byte

func (s *Server) newStrangers() strangers {
	all := strangers{}
	for _, c := range s.table.All() {
		if c.HasFlag(command.Write) && c.Parent == nil && (c.Group == "queue" || c.HasFlag(command.OwnGrouping) || newerThan70(c.Since)) {
			all[c.Name] = nil
		}
	}
	all["hsetex"] = plainHSETEX
	all["hgetdel"] = plainHGETDEL
	all["xackdel"] = func(args [][]byte) [][][]byte { return plainXACKDEL(args, true) }
	all["xdelex"] = func(args [][]byte) [][][]byte { return plainXACKDEL(args, false) }
	return all
}

// newerThan70 reads "7.4.0".
func newerThan70(since string) bool {
	return since >= "7.2" && since != "" || len(since) > 1 && since[1] != '.'
}

// addRecord appends a record to a unit, with what a Redis executes instead.
func (s *Server) addRecord(unit []journal.Record, db int, args [][]byte, changes []store.Change) []journal.Record {
	var room [32]byte
	name := room[:0]
	for _, c := range args[0] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		name = append(name, c)
	}
	plain, strange := s.strangers[string(name)]
	if strange {
		return covered(unit, db, args, instead(plain, args))
	}
	if len(changes) > 0 && touchesQueue(changes) {
		var gone [][][]byte
		for i := range changes {
			if c := &changes[i]; c.Effect == store.Overwritten && c.DB == db {
				gone = append(gone, copyArgs([][]byte{delName, c.Key}))
			}
		}
		return covered(unit, db, args, gone)
	}
	return append(unit, journal.Record{DB: db, Args: args})
}

// touchesQueue tells whether a command made a queue of a key or changed one as a
// whole, which a Redis cannot know of.
func touchesQueue(changes []store.Change) bool {
	for i := range changes {
		if c := &changes[i]; c.Kind == store.KindQueue && c.Effect <= store.Reduced {
			return true
		}
	}
	return false
}

func instead(plain func([][]byte) [][][]byte, args [][]byte) [][][]byte {
	if plain == nil {
		return nil
	}
	return plain(args)
}

// covered appends a record of ours and those that a Redis executes instead.
func covered(unit []journal.Record, db int, args [][]byte, plain [][][]byte) []journal.Record {
	unit = append(unit, journal.Record{DB: db, Args: args, Own: true, Covers: len(plain)})
	for _, p := range plain {
		unit = append(unit, journal.Record{DB: db, Args: p})
	}
	return unit
}

// fieldsAt returns what follows FIELDS and its count; nil if it is not there.
func fieldsAt(args [][]byte, word string) [][]byte {
	for i := 2; i+1 < len(args); i++ {
		if resp.EqualFold(args[i], word) {
			return args[i+2:]
		}
	}
	return nil
}

// plainHSETEX is HSET of the same fields.
func plainHSETEX(args [][]byte) [][][]byte {
	pairs := fieldsAt(args, "FIELDS")
	if len(pairs) == 0 {
		return nil
	}
	return [][][]byte{append([][]byte{[]byte("HSET"), args[1]}, pairs...)}
}

// plainHGETDEL is HDEL of the same fields.
func plainHGETDEL(args [][]byte) [][][]byte {
	fields := fieldsAt(args, "FIELDS")
	if len(fields) == 0 {
		return nil
	}
	return [][][]byte{append([][]byte{hdelName, args[1]}, fields...)}
}

// plainXACKDEL is XACK and XDEL of the same IDs, which stand behind IDS. What
// became of references in other groups a Redis is not told.
func plainXACKDEL(args [][]byte, ack bool) [][][]byte {
	ids := fieldsAt(args, "IDS")
	if len(ids) == 0 {
		return nil
	}
	var all [][][]byte
	if ack {
		all = append(all, append([][]byte{[]byte("XACK"), args[1], args[2]}, ids...))
	}
	return append(all, append([][]byte{[]byte("XDEL"), args[1]}, ids...))
}
