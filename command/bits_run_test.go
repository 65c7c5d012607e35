package command

import "testing"

// TestBitsAndPlaces runs what writes bitmaps, HyperLogLogs and geospatial
// indexes, and looks at the journal and the events.
func TestBitsAndPlaces(t *testing.T) {
	r := newRunner(t)
	r.ctx.Conf.HLLSparseMaxBytes = 3000
	r.do("SET none v")
	for _, c := range []struct{ request, journal, events string }{
		{"SETBIT k 1 1", "SETBIT k 1 1", "setbit:k"},
		{"SETBIT k 1 1", "", ""},
		{"SETBIT k 99 0", "SETBIT k 99 0", "setbit:k"},
		{"BITOP NOT d k", "BITOP NOT d k", "set:d"},
		{"BITOP AND d nosuch", "BITOP AND d nosuch", "del:d"},
		{"BITOP AND d nosuch", "", ""},
		{"BITFIELD k SET u8 0 1 INCRBY u8 0 1", "BITFIELD k SET u8 0 1 INCRBY u8 0 1", "setbit:k"},
		{"BITFIELD k SET u8 0 2 GET u8 0", "", ""},
		{"PFADD h a", "PFADD h a", "pfadd:h"},
		{"PFADD h a", "", ""},
		{"PFCOUNT h", "PFCOUNT h", ":h"},
		{"PFCOUNT h", "", ""},
		{"PFCOUNT h h", "", ""},
		{"PFMERGE m h", "PFMERGE m h", "pfadd:m"},
		{"PFDEBUG TODENSE m", "PFDEBUG TODENSE m", ":m"},
		{"PFADD m b", "PFADD m b", "pfadd:m"},
		{"GEOADD g 1 1 a 2 2 b", "GEOADD g 1 1 a 2 2 b", "zadd:g"},
		{"GEOADD g 1 1 a", "", ""},
		{"GEOSEARCHSTORE s g FROMMEMBER a BYRADIUS 1 km", "GEOSEARCHSTORE s g FROMMEMBER a BYRADIUS 1 km", "geosearchstore:s"},
		{"GEORADIUS g 1 1 1 km STORE s", "GEORADIUS g 1 1 1 km STORE s", "georadiusstore:s"},
		{"GEORADIUS g 9 9 1 km STORE s", "GEORADIUS g 9 9 1 km STORE s", "del:s"},
		{"GEORADIUS g 9 9 1 km", "", ""},
	} {
		r.do(c.request)
		if got := r.journal(); got != c.journal {
			t.Errorf("%s: journal %q, want %q", c.request, got, c.journal)
		}
		if got := r.events(); got != c.events {
			t.Errorf("%s: events %q, want %q", c.request, got, c.events)
		}
	}
}

func TestBitsAndPlacesDoNotAllocate(t *testing.T) {
	r := newRunner(t)
	r.ctx.Conf.HLLSparseMaxBytes = 3000
	for _, request := range []string{
		"SETBIT k 70000 1", "GETBIT k 7", "BITCOUNT k", "BITPOS k 1 3", "BITFIELD k INCRBY u8 #3 7 GET i64 3",
		"PFADD h a b c", "PFADD h a", "PFCOUNT h", "PFDEBUG TODENSE h", "PFADD h d e", "PFCOUNT h", "PFMERGE h h",
		"GEOADD g 1 1 a 2 2 b 3 3 c", "GEOADD g 1 1 a", "GEOPOS g a b", "GEOHASH g a", "GEODIST g a b km", "GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 200 km WITHDIST",
	} {
		args := words(request)
		once := func() {
			r.reply.Reset()
			r.run(args)
		}
		once()
		if n := testing.AllocsPerRun(100, once); n > 1 {
			t.Errorf("%s: %v allocations", request, n)
		}
	}
}
