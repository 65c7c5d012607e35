package resp

import (
	"math"
	"strings"
	"testing"
)

func TestReplyBothProtocols(t *testing.T) {
	for _, c := range []struct {
		name       string
		write      func(r *Reply)
		two, three string
	}{
		{"ok", (*Reply).OK, "+OK\r\n", "+OK\r\n"},
		{"status", func(r *Reply) { r.Status("a\r\nb") }, "+a  b\r\n", "+a  b\r\n"},
		{"error", func(r *Reply) { r.Error(ErrSyntax) }, "-ERR syntax error\r\n", "-ERR syntax error\r\n"},
		{"error text", func(r *Reply) { r.ErrorText("X a\r\nb\r\n") }, "-X a  b\r\n", "-X a  b\r\n"},
		{"integers", func(r *Reply) { r.Int(0); r.Int(9); r.Int(10); r.Int(-1); r.Int(math.MinInt64) },
			":0\r\n:9\r\n:10\r\n:-1\r\n:-9223372036854775808\r\n", ":0\r\n:9\r\n:10\r\n:-1\r\n:-9223372036854775808\r\n"},
		{"bulks", func(r *Reply) { r.Bulk([]byte("a\r\n")); r.Bulk(nil); r.BulkString("0123456789"); r.BulkInt(-12) },
			"$3\r\na\r\n\r\n$0\r\n\r\n$10\r\n0123456789\r\n$3\r\n-12\r\n", "$3\r\na\r\n\r\n$0\r\n\r\n$10\r\n0123456789\r\n$3\r\n-12\r\n"},
		{"nulls", func(r *Reply) { r.Null(); r.NullArray() }, "$-1\r\n*-1\r\n", "_\r\n_\r\n"},
		{"aggregates", func(r *Reply) { r.Array(2); r.Map(11); r.Set(3); r.Push(4) }, "*2\r\n*22\r\n*3\r\n*4\r\n", "*2\r\n%11\r\n~3\r\n>4\r\n"},
		{"doubles", func(r *Reply) { r.Double(1.5); r.Double(math.Inf(-1)) }, "$3\r\n1.5\r\n$4\r\n-inf\r\n", ",1.5\r\n,-inf\r\n"},
		{"booleans", func(r *Reply) { r.Bool(true); r.Bool(false) }, ":1\r\n:0\r\n", "#t\r\n#f\r\n"},
		{"verbatim", func(r *Reply) { r.Verbatim("hello") }, "$5\r\nhello\r\n", "=9\r\ntxt:hello\r\n"},
		{"raw", func(r *Reply) { r.Raw([]byte("+X\r\n")) }, "+X\r\n", "+X\r\n"},
	} {
		for proto, want := range map[int]string{2: c.two, 3: c.three} {
			r := new(Reply)
			r.SetProto(proto)
			c.write(r)
			if got := string(r.Bytes()); got != want || r.Proto() != proto {
				t.Errorf("%s, RESP%d: %q, want %q", c.name, proto, got, want)
			}
		}
	}
}

func TestReplyDeferredLengths(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 123, 100_000} {
		r, want := new(Reply), new(Reply)
		r.OK()
		want.OK()
		outer := r.DeferArray()
		inner := r.DeferArray()
		want.Array(2)
		want.Array(n)
		for i := range n {
			r.Int(int64(i))
			want.Int(int64(i))
		}
		r.SetDeferred(inner, n)
		r.BulkString("end")
		want.BulkString("end")
		r.SetDeferred(outer, 2)
		if string(r.Bytes()) != string(want.Bytes()) {
			t.Errorf("%d elements: %.80q, want %.80q", n, r.Bytes(), want.Bytes())
		}
	}
}

func TestReplyMarkAndRollback(t *testing.T) {
	r := new(Reply)
	r.OK()
	mark := r.Mark()
	r.Int(1)
	if string(r.Since(mark)) != ":1\r\n" {
		t.Errorf("since: %q", r.Since(mark))
	}
	r.Rollback(mark)
	r.Null()
	if string(r.Bytes()) != "+OK\r\n$-1\r\n" {
		t.Errorf("%q", r.Bytes())
	}
}

func TestReplyLimit(t *testing.T) {
	r := new(Reply)
	r.SetLimit(100)
	r.BulkString(strings.Repeat("x", 60))
	r.Consume(40) // what is written makes room
	r.BulkString(strings.Repeat("y", 40))
	if r.Over() {
		t.Fatal("over too early")
	}
	before := r.Len()
	r.BulkString(strings.Repeat("z", 60))
	if !r.Over() || r.Len() != before {
		t.Fatalf("over %v, %d bytes", r.Over(), r.Len())
	}
	r.OK()
	r.Reset()
	r.SetLimit(0)
	r.OK()
	if !r.Over() || r.Len() != 0 {
		t.Fatal("an append passed after one was dropped")
	}
	if r.DeferArray() != -1 {
		t.Error("a deferred array passed")
	}
	r.SetDeferred(-1, 5)
}

func TestReplyMute(t *testing.T) {
	r := new(Reply)
	r.SetLimit(10)
	r.Mute(true)
	r.BulkString(strings.Repeat("x", 100))
	r.Error(ErrWrongType)
	r.Mute(false)
	r.OK()
	if string(r.Bytes()) != "+OK\r\n" || r.Over() {
		t.Errorf("%q, over %v", r.Bytes(), r.Over())
	}
	if r.Errors() != 1 || r.LastError() != "WRONGTYPE" {
		t.Errorf("%d errors, last %q", r.Errors(), r.LastError())
	}
}

func TestReplyConsume(t *testing.T) {
	r := new(Reply)
	for i := range 100_000 { // a peer that never quite catches up
		r.Int(int64(i))
		if r.Len() > 100 {
			r.Consume(r.Len() - 50)
		}
	}
	if cap(r.buf) > 4*keptBuffer {
		t.Errorf("%d bytes of buffer for %d owed", cap(r.buf), r.Len())
	}
	r.Bulk(make([]byte, 1<<20))
	r.Reset()
	if cap(r.buf) > keptBuffer || r.Len() != 0 {
		t.Errorf("%d bytes of buffer when empty", cap(r.buf))
	}
	r.OK()
	if b := r.Bytes(); string(b) != "+OK\r\n" {
		t.Errorf("a kept buffer holds %q", b)
	}
}

func TestReplyAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := new(Reply)
	key := []byte("value")
	r.Bulk(make([]byte, 1000))
	r.Reset()
	if n := testing.AllocsPerRun(100, func() {
		r.OK()
		r.Bulk(key)
		r.Int(12345)
		r.BulkInt(-99)
		r.Double(0.1)
		r.Map(3)
		r.Null()
		r.Error(ErrSyntax)
		r.Consume(r.Len())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErrors(t *testing.T) {
	long := []byte(strings.Repeat("n", 200))
	for _, c := range []struct {
		got  Error
		want string
	}{
		{UnknownCommand([][]byte{[]byte("FO\r\nO"), []byte("a\r\nb")}), "ERR unknown command 'FO  O', with args beginning with: 'a  b' "},
		{UnknownCommand([][]byte{long, long, []byte("x")}), "ERR unknown command '" + strings.Repeat("n", 128) + "', with args beginning with: '" + strings.Repeat("n", 128) + "' "},
		{UnknownCommand([][]byte{[]byte("a\x00b")}), "ERR unknown command 'a', with args beginning with: "},
		{UnknownSubcommand("config", []byte("FOO")), "ERR unknown subcommand 'FOO'. Try CONFIG HELP."},
		{WrongArity("client|kill"), "ERR wrong number of arguments for 'client|kill' command"},
		{InvalidExpire("set"), "ERR invalid expire time in 'set' command"},
	} {
		if string(c.got) != c.want {
			t.Errorf("got  %q\nwant %q", c.got, c.want)
		}
	}
	if p := ErrOOM.Prefix(); p != "OOM" {
		t.Errorf("prefix %q", p)
	}
}
