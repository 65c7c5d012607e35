package server

import (
	"encoding/binary"
	"slices"
	"strconv"

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

// dialect tells whether a command that Redis 7.0 knows has arguments that it does
// not know, and what it is told instead.
func dialect(tx *store.Tx, name []byte, args [][]byte) (plain [][][]byte, strange bool) {
	switch string(name) {
	case "restore", "restore-asking":
		if len(args) < 4 || len(args[3]) < payloadFoot || binary.LittleEndian.Uint16(args[3][len(args[3])-payloadFoot:]) <= plainPayload {
			return nil, false
		}
		return restored(tx, args[1]), true
	case "bitop":
		for _, op := range []string{"AND", "OR", "XOR", "NOT"} {
			if resp.EqualFold(args[1], op) {
				return nil, false
			}
		}
		return restored(tx, args[2]), true
	case "xadd", "xtrim":
		if slices.ContainsFunc(args[2:min(len(args), 2+trimWords)], refWord) {
			return plainTrim(args, string(name) == "xtrim")
		}
	}
	return nil, false
}

// The version of payloads that Redis 7.0 reads, and the bytes of the version and
// the checksum behind it.
const (
	plainPayload = 10
	payloadFoot  = 2 + 8
)

// restored puts what key holds in place of whatever a Redis has there.
func restored(tx *store.Tx, key []byte) [][][]byte {
	payload, at, ok := tx.DumpPlain(key, nil)
	if !ok {
		return [][][]byte{{delName, key}}
	}
	return [][][]byte{{[]byte("RESTORE"), key, strconv.AppendInt(nil, at, 10), payload, []byte("REPLACE"), []byte("ABSTTL")}}
}

// trimWords is how many words may stand before an ID.
const trimWords = 8

func refWord(word []byte) bool {
	return resp.EqualFold(word, "KEEPREF") || resp.EqualFold(word, "DELREF") || resp.EqualFold(word, "ACKED")
}

// plainTrim is XADD or XTRIM without the word that says what becomes of
// references in groups; a Redis keeps them. Where only what every group has
// acknowledged goes, a Redis keeps all.
func plainTrim(args [][]byte, alone bool) (plain [][][]byte, strange bool) {
	kept, trims := args[:2:2], true
	i := 2
	for ; i < len(args) && len(args[i]) > 0 && (args[i][0]|0x20 >= 'a' && args[i][0]|0x20 <= 'z'); i++ { // up to the ID
		word := args[i]
		switch {
		case resp.EqualFold(word, "MAXLEN"), resp.EqualFold(word, "MINID"), resp.EqualFold(word, "LIMIT"):
			kept = append(kept, word)
			if i+1 < len(args) && (string(args[i+1]) == "=" || string(args[i+1]) == "~") {
				i++
				kept = append(kept, args[i])
			}
			if i+1 < len(args) {
				i++
				kept = append(kept, args[i])
			}
		case refWord(word):
			strange, trims = true, trims && !resp.EqualFold(word, "ACKED")
		default:
			kept = append(kept, word)
		}
	}
	switch {
	case !strange || trims:
	case alone:
		return nil, true
	default:
		kept = args[:2:2]
	}
	return [][][]byte{append(kept, args[i:]...)}, strange
}

// newerThan70 reads "7.4.0".
func newerThan70(since string) bool {
	return since >= "7.2" && since != "" || len(since) > 1 && since[1] != '.'
}

// addRecord appends a record to a unit, with what a Redis executes instead.
func (s *Server) addRecord(unit []journal.Record, tx *store.Tx, db int, args [][]byte, changes []store.Change) []journal.Record {
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
	if plain, strange := dialect(tx, name, args); strange {
		return covered(unit, db, args, plain)
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
	if slices.ContainsFunc(args[:len(args)-len(ids)], func(w []byte) bool { return resp.EqualFold(w, "ACKED") }) {
		return all // some may have been kept: a Redis keeps all
	}
	return append(all, append([][]byte{[]byte("XDEL"), args[1]}, ids...))
}
