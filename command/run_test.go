package command

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"synap/resp"
	"synap/store"
)

// runner runs commands as dispatch does, without a server around.
type runner struct {
	table *Table
	store *store.Store
	tx    store.Tx
	ctx   Ctx
	reply resp.Reply
	now   time.Time
	db    int
}

func newRunner(t testing.TB) *runner {
	t.Helper()
	r := &runner{table: NewTable(Rows()), store: store.New(store.Options{Databases: 4, Shards: 4}), now: time.UnixMilli(1_700_000_000_000)}
	r.ctx.Rand = rand.New(rand.NewPCG(1, 2))
	r.ctx.Conf = &Conf{
		ProtoMaxBulkLen: 1 << 20, ListMaxListpackSize: -2, StreamNodeMaxBytes: 4096, StreamNodeMaxEntries: 100,
	}
	return r
}

// run executes a request and leaves the reply in r.reply. Requests that cannot
// run (unknown, wrong arity) are answered with their error.
func (r *runner) run(args [][]byte) {
	cmd, err := r.table.Resolve(args)
	if err == "" && (!cmd.ArityOK(len(args)) || len(cmd.Subs) > 0) {
		err = resp.WrongArity(cmd.FullName)
	}
	if err != "" {
		r.reply.Error(err)
		return
	}
	r.store.Begin(&r.tx, r.db, r.now.UnixMilli())
	if i := cmd.OneKey(); i > 0 && cmd.Elsewhere == nil {
		r.tx.LockKey(args[i])
	} else if !cmd.HasFlag(Walks) {
		r.tx.WantAll()
		r.tx.Lock()
	}
	r.ctx.Reset()
	r.ctx.Row, r.ctx.ID, r.ctx.Args, r.ctx.Reply, r.ctx.Tx, r.ctx.Now = cmd.Row, cmd.ID, args, &r.reply, &r.tx, r.now
	if r.tx.Event = cmd.Event; r.tx.Event == "" {
		r.tx.Event = cmd.Name
	}
	cmd.Run(&r.ctx)
	if b := r.ctx.Blocked(); b.Keys != nil {
		b.TimeOut(&r.reply)
	}
	r.tx.Unlock()
}

// do runs a request of words parted by blanks and returns the raw reply.
func (r *runner) do(request string) string {
	r.reply.Reset()
	r.run(words(request))
	return string(r.reply.Bytes())
}

// journal returns what dispatch would log of the last request.
func (r *runner) journal() string {
	records, typed := r.ctx.Records()
	if len(r.tx.Changes()) > 0 && typed {
		records = [][][]byte{r.ctx.Args}
	}
	var out []string
	for _, args := range records {
		out = append(out, string(bytes.Join(args, []byte(" "))))
	}
	return strings.Join(out, "; ")
}

// events returns the keyspace events of the last request.
func (r *runner) events() string {
	var out []string
	for _, c := range r.tx.Changes() {
		out = append(out, c.Event+":"+string(c.Key))
	}
	return strings.Join(out, " ")
}

func TestGetAndSetDoNotAllocate(t *testing.T) {
	r := newRunner(t)
	for _, request := range []string{"SET k vvvv", "GET k", "INCR n", "SET e v EX 100", "GETEX e PX 1000", "EXPIRE e 50", "EXISTS k", "TTL e", "DEL nosuch", "SETNX k v", "STRLEN k", "TYPE k", "MGET k e", "CL.THROTTLE t 1000 1 1"} {
		args := words(request)
		once := func() {
			r.reply.Reset()
			r.run(args)
		}
		once()
		if n := testing.AllocsPerRun(200, once); n != 0 {
			t.Errorf("%s: %v allocations", request, n)
		}
	}
}

// expect runs a request and compares what it journals and its events.
func (r *runner) expect(t *testing.T, request, journal, events string) {
	t.Helper()
	reply := r.do(request)
	if got := r.journal(); got != journal {
		t.Errorf("%s (%q) journals %q, want %q", request, reply, got, journal)
	}
	if got := r.events(); got != events {
		t.Errorf("%s has the events %q, want %q", request, got, events)
	}
}

func TestJournalAndEvents(t *testing.T) {
	r := newRunner(t)
	const at = "1700000010000" // ten seconds from now
	for _, c := range []struct{ request, journal, events string }{
		{"SET k v", "SET k v", "set:k"},
		{"SET k v NX", "", ""},
		{"SET k v EX 10", "SET k v PXAT " + at, "set:k expire:k"},
		{"SET k v GET KEEPTTL", "SET k v KEEPTTL", "set:k"},
		{"SET k v GET", "SET k v", "set:k"},
		{"SETEX k 10 v", "SET k v PXAT " + at, "set:k expire:k"},
		{"PSETEX k 10000 v", "SET k v PXAT " + at, "set:k expire:k"},
		{"GETEX k PERSIST", "PERSIST k", "persist:k"},
		{"GETEX k PERSIST", "", ""},
		{"GETEX k PX 10000", "PEXPIREAT k " + at, "expire:k"},
		{"GETEX k", "", ""},
		{"GETEX k EXAT 1", "DEL k", "del:k"},
		{"MSET a 1 b 2", "MSET a 1 b 2", "set:a set:b"},
		{"MSETNX a 1 c 2", "", ""},
		{"INCR a", "INCR a", "incrby:a"},
		{"DECRBY a 3", "DECRBY a 3", "incrby:a"},
		{"INCRBYFLOAT a 1.25", "SET a 0.25 KEEPTTL", "incrbyfloat:a"},
		{"APPEND a 1", "APPEND a 1", "append:a"},
		{"SETRANGE a 1 x", "SETRANGE a 1 x", "setrange:a"},
		{"GETSET a 1", "SET a 1", "set:a"},
		{"GETDEL a", "DEL a", "del:a"},
		{"GETDEL a", "", ""},
		{"EXPIRE b 10", "PEXPIREAT b " + at, "expire:b"},
		{"EXPIREAT b 1700000010 XX", "PEXPIREAT b " + at, "expire:b"},
		{"EXPIRE b 10 NX", "", ""},
		{"PERSIST b", "PERSIST b", "persist:b"},
		{"PERSIST b", "", ""},
		{"RENAME b c", "RENAME b c", "rename_from:b rename_to:c"},
		{"COPY c d", "COPY c d", "copy_to:d"},
		{"MOVE c 1", "MOVE c 1", "move_from:c move_to:c"},
		{"EXPIRE d -1", "DEL d", "del:d"},
		{"UNLINK d", "", ""},
		{"TOUCH d", "", ""},
	} {
		r.expect(t, c.request, c.journal, c.events)
	}
}

// Replaying what was journalled gives the same data as running the commands.
func TestReplayGivesEqualData(t *testing.T) {
	live, replayed := newRunner(t), newRunner(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	requests := []string{
		"SET %k %i", "SET %k v NX", "SET %k v XX GET", "SET %k v EX 100", "SET %k v PX 1", "SET %k v KEEPTTL", "SETEX %k 50 v", "GETSET %k z",
		"GETDEL %k", "GETEX %k EX 70", "GETEX %k PERSIST", "GETEX %k PXAT 1", "INCR %k", "INCRBY %k %i", "INCRBYFLOAT %k 0.1", "APPEND %k 1",
		"SETRANGE %k 3 abc", "MSET %k 1 %k 2", "MSETNX %k 1 %k 2", "DEL %k", "UNLINK %k %k", "EXPIRE %k 40", "PEXPIREAT %k 1700000050000 GT",
		"EXPIRE %k 0", "PERSIST %k", "RENAME %k %k", "RENAMENX %k %k", "COPY %k %k", "COPY %k %k REPLACE DB 1", "MOVE %k 1",
	}
	for range 20_000 {
		request := requests[rnd.IntN(len(requests))]
		for strings.Contains(request, "%k") {
			request = strings.Replace(request, "%k", string(rune('a'+rnd.IntN(6))), 1)
		}
		request = strings.Replace(request, "%i", []string{"1", "-5", "9223372036854775807", "12.5"}[rnd.IntN(4)], 1)
		live.now = live.now.Add(time.Duration(rnd.IntN(3)) * time.Millisecond)
		live.do(request)
		records, typed := live.ctx.Records()
		own := false
		for _, c := range live.tx.Changes() {
			if c.Effect == store.Expired {
				replayed.do("DEL " + string(c.Key))
			} else {
				own = true
			}
		}
		if own && typed {
			records = [][][]byte{live.ctx.Args}
		}
		replayed.now = live.now
		for _, args := range records {
			replayed.reply.Reset()
			replayed.run(args)
		}
	}
	if live.digest() != replayed.digest() {
		t.Error("the digests differ")
	}
}

func (r *runner) digest() [20]byte {
	r.store.Begin(&r.tx, 0, r.now.UnixMilli())
	r.tx.WantAll()
	r.tx.Lock()
	defer r.tx.Unlock()
	return r.tx.Digest()
}

// hostileWords are arguments that have broken servers.
func hostileWords() []string {
	return []string{
		"-9223372036854775808", "-9223372036854775807", "-1", "0", "1", "2147483647", "2147483648", "-2147483649", "4294967296",
		"9223372036854775807", "9223372036854775808", "18446744073709551616", "", " 1", "+1", "1e3", "nan", "inf", "-inf", "0x10",
		"\r\n+OK\r\n", "$-1\r\n", "\x00", "\xff\xfe", "k", "l", "s", "*", "[", "\\", "NX", "XX", "GET", "EX", "PX", "COUNT", "MATCH",
		"STREAMS", "GROUP", "BLOCK", "LIMIT", "MAXLEN", "MINID", "~", "=", ">", "$", "-", "+", "LEFT", "RIGHT", "BEFORE", "DB", "REPLACE",
		"IDX", "LEN", "MINMATCHLEN", "2", "3", "0-0", "1-1", "18446744073709551615-18446744073709551615", "(1-1", "HELP", "TYPE", "FULL",
	}
}

// Whatever the arguments: no panic, one reply to a command, the lock free again.
func TestHostileArguments(t *testing.T) {
	r := newRunner(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	odd := hostileWords()
	for _, cmd := range r.table.All() {
		if len(cmd.Subs) > 0 {
			continue
		}
		for range 400 {
			args := words(strings.Replace(cmd.FullName, "|", " ", 1))
			for range rnd.IntN(8) {
				args = append(args, []byte(odd[rnd.IntN(len(odd))]))
			}
			if rnd.IntN(20) == 0 {
				for _, request := range []string{"FLUSHALL", "SET k 10", "RPUSH l a b c", "XADD s 1-1 f v"} {
					r.do(request)
				}
			}
			r.reply.SetProto(2 + rnd.IntN(2))
			r.reply.Reset()
			r.run(args)
			if rest, ok := oneReply(r.reply.Bytes()); !ok || len(rest) > 0 {
				t.Fatalf("%q answered %q", args, r.reply.Bytes())
			}
		}
	}
}

// oneReply cuts one whole reply off b.
func oneReply(b []byte) (rest []byte, ok bool) {
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || len(line) == 0 || bytes.ContainsAny(line, "\r\n") {
		return nil, false
	}
	n, isNumber := resp.ParseInt(line[1:])
	switch line[0] {
	case '+', '-', '_', ',', '#', '(':
		return rest, true
	case ':':
		return rest, isNumber
	case '$', '=':
		if n == -1 {
			return rest, true
		}
		if !isNumber || int64(len(rest)) < n+2 {
			return nil, false
		}
		return rest[n+2:], string(rest[n:n+2]) == "\r\n"
	case '%':
		n *= 2
	case '*', '~', '>':
	default:
		return nil, false
	}
	for ; n > 0 && ok; n-- {
		rest, ok = oneReply(rest)
	}
	return rest, ok && isNumber
}

// A reply that would pass the client's limit ends the walk, not the memory.
func TestLongRepliesStopAtTheLimit(t *testing.T) {
	r := newRunner(t)
	const keys = 20_000
	mget := "MGET"
	for i := range keys {
		name := fmt.Sprintf("key:%06d", i)
		r.do("SET " + name + " v")
		mget += " " + name
	}
	const limit = 10_000
	for _, request := range []string{"KEYS *", "KEYS key:*", "SCAN 0 COUNT 1000000", mget} {
		r.reply = resp.Reply{}
		r.reply.SetLimit(limit)
		r.do(request)
		if !r.reply.Over() || r.reply.Len() > limit {
			t.Errorf("%.20s: over %v, %d bytes", request, r.reply.Over(), r.reply.Len())
		}
	}
}

// A whole scan sees every key once or more, whatever COUNT is.
func TestScanSeesEveryKey(t *testing.T) {
	r := newRunner(t)
	for i := range 3000 {
		r.do(fmt.Sprintf("SET key:%d v", i))
	}
	for _, options := range []string{"", " COUNT 1", " COUNT 7", " COUNT 2500", " COUNT 9223372036854775807", " MATCH key:1*", " TYPE string MATCH *"} {
		seen := map[string]bool{}
		for cursor, calls := "0", 0; ; calls++ {
			fields := strings.Split(r.do("SCAN "+cursor+options), "\r\n")
			cursor = fields[2] // *2 $n cursor *n $n key …
			for i := 5; i < len(fields); i += 2 {
				seen[fields[i]] = true
			}
			if cursor == "0" {
				break
			}
			if calls > 20_000 {
				t.Fatalf("SCAN%s does not end", options)
			}
		}
		want := 3000
		if strings.Contains(options, "key:1*") {
			want = 1111
		}
		if len(seen) != want {
			t.Errorf("SCAN%s saw %d keys, want %d", options, len(seen), want)
		}
	}
}

// LCS is as long as the definition says, and a subsequence of both values.
func FuzzLCS(f *testing.F) {
	f.Add([]byte("ohmytext"), []byte("mynewtext"))
	f.Fuzz(func(t *testing.T, x, y []byte) {
		if len(x) > 64 || len(y) > 64 {
			return
		}
		table := newLCSTable(x, y, true)
		text := make([]byte, table.length)
		runs := 0
		table.walk(text, func(r lcsRange) {
			runs += r.n
			if !bytes.Equal(x[r.a:r.a+r.n], y[r.b:r.b+r.n]) {
				t.Errorf("%q %q: run %+v differs", x, y, r)
			}
		})
		if runs != table.length || !subsequence(text, x) || !subsequence(text, y) || table.length != lcsLength(x, y, map[[2]int]int{}) {
			t.Errorf("%q %q: %q of %d", x, y, text, table.length)
		}
	})
}

func subsequence(s, of []byte) bool {
	for _, c := range of {
		if len(s) > 0 && s[0] == c {
			s = s[1:]
		}
	}
	return len(s) == 0
}

func lcsLength(x, y []byte, known map[[2]int]int) int {
	if len(x) == 0 || len(y) == 0 {
		return 0
	}
	at := [2]int{len(x), len(y)}
	n, ok := known[at]
	if !ok {
		if x[0] == y[0] {
			n = 1 + lcsLength(x[1:], y[1:], known)
		} else {
			n = max(lcsLength(x[1:], y, known), lcsLength(x, y[1:], known))
		}
		known[at] = n
	}
	return n
}
