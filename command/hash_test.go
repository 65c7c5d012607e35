package command

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"synap/resp"
	"synap/store"
)

func TestHashCommandsDoNotAllocate(t *testing.T) {
	r := newRunner(t)
	r.do("HSET h f vvvv g 1 x 2 y 3")
	for _, request := range []string{
		"HSET h f vvvv", "HSET h f wwww g 5", "HGET h f", "HMGET h f nosuch", "HEXISTS h f", "HSTRLEN h f", "HLEN h", "HGETALL h", "HKEYS h", "HVALS h",
		"HSETNX h f v", "HDEL h nosuch", "HINCRBY h g 1", "HTTL h FIELDS 1 f", "HRANDFIELD h", "HRANDFIELD h 2",
	} {
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

func TestHashJournalAndEvents(t *testing.T) {
	r := newRunner(t)
	const at = "1700000010000" // ten seconds from now
	for _, c := range []struct{ request, journal, events string }{
		{"HSET h a 1 b 2", "HSET h a 1 b 2", "hset:h"},
		{"HMSET h a 1", "HMSET h a 1", "hset:h"},
		{"HSETNX h a 1", "", ""},
		{"HSETNX h c 1", "HSETNX h c 1", "hset:h"},
		{"HINCRBY h a 1", "HINCRBY h a 1", "hincrby:h"},
		{"HINCRBYFLOAT h a 0.5", "HSET h a 2.5", "hincrbyfloat:h"},
		{"HEXPIRE h 10 FIELDS 2 a x", "HPEXPIREAT h " + at + " FIELDS 1 a", "hexpire:h"},
		{"HEXPIRE h 10 NX FIELDS 1 a", "", ""},
		{"HINCRBYFLOAT h a 0.5", "HSETEX h KEEPTTL FIELDS 1 a 3", "hincrbyfloat:h"},
		{"HPERSIST h FIELDS 2 a b", "HPERSIST h FIELDS 2 a b", "hpersist:h"},
		{"HPERSIST h FIELDS 2 a b", "", ""},
		{"HGETEX h PX 10000 FIELDS 2 a b", "HPEXPIREAT h " + at + " FIELDS 2 a b", "hexpire:h"},
		{"HGETEX h PERSIST FIELDS 2 c b", "HPERSIST h FIELDS 1 b", "hpersist:h"},
		{"HGETEX h FIELDS 1 a", "", ""},
		{"HGETEX h EXAT 1 FIELDS 1 a", "HDEL h a", "hdel:h"},
		{"HGETDEL h FIELDS 2 a b", "HDEL h b", "hdel:h"},
		{"HGETDEL h FIELDS 1 b", "", ""},
		{"HSETEX h FIELDS 1 a 1", "HSET h a 1", "hset:h"},
		{"HSETEX h EX 10 FIELDS 2 a 1 b 2", "HSETEX h PXAT " + at + " FIELDS 2 a 1 b 2", "hset:h hexpire:h"},
		{"HSETEX h KEEPTTL FIELDS 1 a 2", "HSETEX h KEEPTTL FIELDS 1 a 2", "hset:h"},
		{"HSETEX h FNX FIELDS 1 a 2", "", ""},
		{"HSETEX h PXAT 1 FIELDS 1 a 2", "HDEL h a", "hset:h hdel:h"},
		{"HEXPIRE h 0 FIELDS 1 b", "HDEL h b", "hdel:h"},
		{"HDEL h c x", "HDEL h c x", "hdel:h del:h"},
		{"HDEL h c", "", ""},
		{"HSETEX n EX 0 FIELDS 1 a 2", "HDEL n a", "hset:n hdel:n del:n"},
		{"HEXPIRE n 10 FIELDS 1 a", "", ""},
	} {
		r.expect(t, c.request, c.journal, c.events)
	}
}

// What cannot be replied is not made: neither for a client over its limit nor for
// a muted one.
func TestDrawsWithoutEnd(t *testing.T) {
	r := newRunner(t)
	r.do("HSET h a 1")
	r.do("SADD s a")
	r.do("ZADD z 1 a")
	for _, mute := range []bool{false, true} {
		for _, request := range []string{
			"HRANDFIELD h -9223372036854775807", "HRANDFIELD h -4611686018427387903 WITHVALUES", "HRANDFIELD h -1000000",
			"SRANDMEMBER s -9223372036854775807", "SRANDMEMBER s -1000000",
			"ZRANDMEMBER z -9223372036854775807", "ZRANDMEMBER z -4611686018427387903 WITHSCORES", "ZRANDMEMBER z -1000000",
		} {
			r.reply = resp.Reply{}
			r.reply.SetLimit(1 << 20)
			r.reply.Mute(mute)
			r.do(request)
			if r.reply.Over() == mute || r.reply.Len() > 0 {
				t.Errorf("%s, muted %v: over %v with %d bytes", request, mute, r.reply.Over(), r.reply.Len())
			}
		}
	}
}

// An expiry is noticed once, by whatever looks first, and before what the
// command itself does.
func TestFieldExpiryEvents(t *testing.T) {
	for request, events := range map[string]string{
		"HGET h b": "hexpired:h", "HLEN h": "hexpired:h", "EXISTS h": "hexpired:h", "HSET h a 2": "hexpired:h hset:h",
		"HDEL h b": "hexpired:h hdel:h del:h", "HGETEX h PERSIST FIELDS 2 a b": "hexpired:h", "RENAME h x": "hexpired:h rename_from:h rename_to:x",
		"HGET g a": "hexpired:g del:g", "HSET g b 1": "hexpired:g del:g hset:g", "TYPE g": "hexpired:g del:g", "HGET h2 a": "",
	} {
		r := newRunner(t)
		r.do("HSET h a 1 b 2")
		r.do("HPEXPIRE h 10 FIELDS 1 a")
		r.do("HSETEX g PX 10 FIELDS 1 a 1")
		r.now = r.now.Add(10 * time.Millisecond)
		r.do(request)
		if got := r.events(); got != events {
			t.Errorf("%s has the events %q, want %q", request, got, events)
		}
		r.do(request)
		if got := r.events(); strings.Contains(got, "hexpired") {
			t.Errorf("%s has the events %q the second time", request, got)
		}
	}
}

// Replaying what was journalled gives the same hashes as running the commands.
func TestHashReplayGivesEqualData(t *testing.T) {
	live, replayed := newRunner(t), newRunner(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	requests := []string{
		"HSET %k %f %i", "HSET %k %f 1 %f 2", "HMSET %k %f x", "HSETNX %k %f y", "HDEL %k %f %f", "HINCRBY %k %f 3", "HINCRBYFLOAT %k %f 0.1",
		"HEXPIRE %k 1 FIELDS 2 %f %f", "HPEXPIRE %k 5 GT FIELDS 1 %f", "HPEXPIRE %k 7 LT FIELDS 1 %f", "HPEXPIRE %k 9 NX FIELDS 1 %f", "HEXPIRE %k 0 FIELDS 1 %f",
		"HPEXPIREAT %k 1700000002000 XX FIELDS 1 %f", "HPERSIST %k FIELDS 2 %f %f", "HGETDEL %k FIELDS 1 %f", "HGETEX %k PX 20 FIELDS 2 %f %f",
		"HGETEX %k PERSIST FIELDS 2 %f %f", "HGETEX %k EXAT 1 FIELDS 1 %f", "HSETEX %k PX 8 FIELDS 2 %f 1 %f 2", "HSETEX %k KEEPTTL FIELDS 1 %f 7",
		"HSETEX %k FNX FIELDS 1 %f 8", "HSETEX %k FXX PX 30 FIELDS 1 %f 9", "HSETEX %k PX 0 FIELDS 1 %f 9", "HSETEX %k FIELDS 1 %f 9", "HSET %k %f " + strings.Repeat("long", 600),
		"HGETALL %k", "HLEN %k", "RENAME %k %k", "COPY %k %k REPLACE", "DEL %k", "EXPIRE %k 1", "PERSIST %k", "MOVE %k 1",
	}
	for range 20_000 {
		request := requests[rnd.IntN(len(requests))]
		for strings.Contains(request, "%k") {
			request = strings.Replace(request, "%k", string(rune('a'+rnd.IntN(4))), 1)
		}
		for strings.Contains(request, "%f") {
			request = strings.Replace(request, "%f", string(rune('f'+rnd.IntN(6))), 1)
		}
		request = strings.Replace(request, "%i", []string{"1", "-5", "9223372036854775807", "12.5"}[rnd.IntN(4)], 1)
		live.now = live.now.Add(time.Duration(rnd.IntN(3)) * time.Millisecond)
		live.do(request)
		replay(replayed, live)
	}
	if live.digest() != replayed.digest() {
		t.Error("the digests differ")
	}
}

// replay does what dispatch would have logged of the last request: first what
// expired, then the command.
func replay(to, live *runner) {
	records, typed := live.ctx.Records()
	own, last := false, store.Created
	to.now = live.now
	for _, c := range live.tx.Changes() {
		switch {
		case c.Effect == store.Expired:
			to.do("DEL " + string(c.Key))
		case c.Effect == store.FieldsExpired:
			to.do("HDEL " + string(c.Key) + " " + string(bytes.Join(c.Fields, []byte(" "))))
		case c.Effect != store.Emptied || last != store.FieldsExpired:
			own = true
		}
		last = c.Effect
	}
	if own && typed {
		records = [][][]byte{live.ctx.Args}
	}
	for _, args := range records {
		to.reply.Reset()
		to.run(args)
	}
}
