package store

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestCRC64(t *testing.T) {
	whole := crc64Jones(0, []byte("123456789"))
	if whole != 0xe9c6d914c4b8d9ca { // the check value of CRC-64/REDIS
		t.Fatalf("%x", whole)
	}
	if got := crc64Jones(crc64Jones(0, []byte("1234")), []byte("56789")); got != whole {
		t.Fatalf("in two parts %x, whole %x", got, whole)
	}
}

// sealed adds version and checksum to a value.
func sealed(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, rdbVersionWritten)
	return binary.LittleEndian.AppendUint64(b, crc64Jones(0, b))
}

// ziplistOf and zipmapOf write what Redis no longer does.
func ziplistOf(texts ...string) []byte {
	b, before, last := make([]byte, ziplistHead), 0, ziplistHead
	for _, text := range texts {
		last = len(b)
		if before < ziplistFar {
			b = append(b, byte(before))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, ziplistFar), uint32(before))
		}
		switch n, number := canonicalInt([]byte(text)); {
		case number && n >= 0 && n <= 12:
			b = append(b, 0xf1+byte(n))
		case number && n == int64(int8(n)):
			b = append(b, 0xfe, byte(n))
		case number && n == int64(int16(n)):
			b = binary.LittleEndian.AppendUint16(append(b, 0xc0), uint16(n))
		case number && n >= -1<<23 && n < 1<<23:
			b = append(b, 0xf0, byte(n), byte(n>>8), byte(n>>16))
		case number && n == int64(int32(n)):
			b = binary.LittleEndian.AppendUint32(append(b, 0xd0), uint32(n))
		case number:
			b = binary.LittleEndian.AppendUint64(append(b, 0xe0), uint64(n))
		case len(text) < 1<<6:
			b = append(append(b, byte(len(text))), text...)
		case len(text) < 1<<14:
			b = append(append(b, 0x40|byte(len(text)>>8), byte(len(text))), text...)
		default:
			b = append(binary.BigEndian.AppendUint32(append(b, 0x80), uint32(len(text))), text...)
		}
		before = len(b) - last
	}
	b = append(b, ziplistEnd)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint32(b[4:], uint32(last))
	binary.LittleEndian.PutUint16(b[8:], uint16(min(len(texts), math.MaxUint16)))
	return b
}

func zipmapOf(unused int, texts ...string) []byte {
	b := []byte{byte(min(len(texts)/2, 254))}
	for i, text := range texts {
		if len(text) < 254 {
			b = append(b, byte(len(text)))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, 254), uint32(len(text)))
		}
		free := unused * (i & 1)
		if i&1 == 1 {
			b = append(b, byte(free))
		}
		b = append(append(b, text...), strings.Repeat("?", free)...)
	}
	return append(b, 0xff)
}

// TestOldForms reads the forms that were written before Redis 7.
func TestOldForms(t *testing.T) {
	texts := []string{
		"a", "", "0", "12", "13", "-1", "127", "-128", "32767", "-8388608", "8388607", "-2147483648", "9223372036854775807", "01",
		strings.Repeat("m", 63), strings.Repeat("n", 64), strings.Repeat("x", 251), strings.Repeat("y", 252), strings.Repeat("z", 300), strings.Repeat("w", 20000),
		"behind", "-9223372036854775808",
	}
	var got []string
	see := func(e element) bool {
		var room numberText
		got = append(got, string(e.value(&room)))
		return true
	}
	for name, ok := range map[string]bool{"ziplist": eachZiplist(ziplistOf(texts...), see), "zipmap": eachZipmap(zipmapOf(3, texts...), see)} {
		if !ok {
			t.Errorf("%s is refused", name)
		}
	}
	if want := append(texts[:len(texts):len(texts)], texts...); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %.300q", got)
	}
	for _, b := range [][]byte{ziplistOf(texts...), zipmapOf(0, texts...)} {
		each := eachZiplist
		if b[0] == byte(len(texts)/2) {
			each = eachZipmap
		}
		for n := range b { // no beginning is well formed
			if n < 1000 && each(b[:n], func(element) bool { return true }) {
				t.Fatalf("%d of %d bytes are taken", n, len(b))
			}
		}
	}
}

// fillRandom stores a random value of a random kind.
func fillRandom(tx *Tx, rnd *rand.Rand, key []byte) {
	text := func() []byte {
		switch rnd.IntN(6) {
		case 0:
			return fmt.Append(nil, rnd.Int64()>>rnd.IntN(64))
		case 1:
			return bytes.Repeat([]byte("ab"), rnd.IntN(1+rnd.IntN(2000)))
		}
		b := make([]byte, rnd.IntN(40))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	n := 1 + rnd.IntN(1+rnd.IntN(600))
	switch rnd.IntN(6) {
	case 0:
		tx.Set(key, text(), false)
	case 1:
		l, _ := tx.List(key, Write)
		for range n {
			l.Push(End(rnd.IntN(2)), text())
		}
	case 2:
		s, _ := tx.SetOf(key, Write)
		ints := rnd.IntN(2) == 0
		for range n {
			if ints {
				s.Add(fmt.Append(nil, rnd.Int64()>>rnd.IntN(64)))
			} else {
				s.Add(text())
			}
		}
		s.Done()
	case 3:
		z, _ := tx.ZSetOf(key, Write)
		for range n {
			z.Add(text(), []float64{rnd.NormFloat64(), float64(rnd.IntN(9)), math.Inf(1), math.Inf(-1), 1e300, -1e-300}[rnd.IntN(6)], 0)
		}
		z.Done()
	case 4:
		h, _ := tx.HashOf(key, Write)
		timed := rnd.IntN(2) == 0
		for range n {
			field := text()
			h.Set(field, text())
			if timed && rnd.IntN(3) == 0 {
				h.ExpireAt(field, tx.Now+1+rnd.Int64N(1e12))
			}
		}
		h.Done()
	case 5:
		s := tx.NewStream()
		for _, e := range randomStream(rnd, s, n) {
			s.Delete(e)
		}
		randomGroups(rnd, s)
		tx.SaveStream(key, s)
	}
}

// randomStream adds entries and returns some of their IDs.
func randomStream(rnd *rand.Rand, s *Stream, n int) (some []ID) {
	id := ID{}
	for range n {
		id = randomNextID(rnd, id)
		s.Add(id, bytesOf(randomPairs(rnd)), 4096, 100)
		if rnd.IntN(4) == 0 {
			some = append(some, id)
		}
	}
	return some
}

func randomGroups(rnd *rand.Rand, s *Stream) {
	for g := range rnd.IntN(3) {
		group := s.CreateGroup(fmt.Append(nil, "g", g), s.LastID(), int64(rnd.IntN(5)-1))
		for c := range rnd.IntN(4) {
			consumer := group.CreateConsumer(fmt.Append(nil, "c", c), rnd.Int64N(1e12))
			s.Range(ID{}, MaxID, func(e Entry) bool {
				if rnd.IntN(5) == 0 {
					group.Assign(Pending{ID: e.ID, Consumer: consumer, Time: rnd.Int64N(1e12), Count: int64(rnd.IntN(100_000))})
				}
				return true
			})
		}
	}
}

// TestDumpRestore stores random values and compares them with what their
// payloads give.
func TestDumpRestore(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s := New(Options{Shards: 1, MaxString: 1 << 20})
	a, b := []byte("a"), []byte("b")
	kinds := map[byte]int{}
	for range 3000 {
		with(s, 0, 1e6, func(tx *Tx) {
			fillRandom(tx, rnd, a)
			payload, ok := tx.Dump(a, nil)
			if !ok {
				t.Fatal("no payload")
			}
			kinds[payload[0]]++
			tx.ResetChanges()
			if err := tx.Restore(b, payload, Restored{Idle: -1, Freq: -1}); err != nil || CheckPayload(payload) != nil {
				t.Fatalf("%v: %.200x", err, payload)
			}
			if len(tx.Changes()) != 1 {
				t.Fatalf("changes %q", lines(tx))
			}
			if tx.DigestValue(a) != tx.DigestValue(b) {
				t.Fatalf("another value: type %d, %.200x", payload[0], payload)
			}
			one, _ := tx.Meta(a)
			two, _ := tx.Meta(b)
			if one.Encoding != two.Encoding && one.Kind != KindString && one.Kind != KindSet && one.Kind != KindList {
				t.Fatalf("%s became %s", one.Encoding, two.Encoding)
			}
			checkLoaded(t, tx, b)
			tx.Delete(a)
			if rnd.IntN(2) == 0 {
				tx.Delete(b)
			}
		})
		s.checkInvariants(t)
	}
	for _, kind := range []byte{rdbString, rdbSet, rdbHash, rdbZSet2, rdbSetIntset, rdbHashListpack, rdbZSetListpack, rdbListQuicklist2, rdbStream2, rdbHashMetadata, rdbHashListpackEx} {
		if kinds[kind] == 0 {
			t.Errorf("no payload of type %d was made", kind)
		}
	}
	with(s, 0, 1e6, func(tx *Tx) { tx.Flush(-1) })
	if n := live(s); n != 0 {
		t.Errorf("%d bytes of blocks are left", n)
	}
}

// checkLoaded reads a value through and compares it with what it says of
// itself.
func checkLoaded(t *testing.T, tx *Tx, key []byte) {
	t.Helper()
	seen, want := 0, 0
	switch tx.Kind(key, Peek) {
	case KindList:
		l, _ := tx.List(key, Peek)
		want = l.Len()
		l.Range(0, -1, func(v []byte) bool { seen++; return true })
	case KindSet:
		s, _ := tx.SetOf(key, Peek)
		want = s.Len()
		s.Each(func(m []byte) bool { seen++; return s.Has(bytes.Clone(m)) })
	case KindHash:
		h, _ := tx.HashOf(key, Peek)
		want = h.Len()
		h.Each(func(f, v []byte) bool { seen++; _, ok := h.Get(bytes.Clone(f)); return ok })
	case KindZSet:
		z, _ := tx.ZSetOf(key, Peek)
		want = z.Len()
		before := math.Inf(-1)
		z.ByRank(0, z.Len(), false, func(m []byte, score float64) bool {
			seen++
			got, ok := z.Score(bytes.Clone(m))
			ok = ok && got == score && score >= before
			before = score
			return ok
		})
	case KindStream:
		s, _ := tx.Stream(key, Peek)
		want = s.Len()
		checkBlocks(t, s)
		before := ID{}
		s.Range(ID{}, MaxID, func(e Entry) bool {
			e.Each(func([]byte) {})
			ok := before.Less(e.ID)
			before = e.ID
			seen++
			return ok
		})
		for _, g := range s.Groups() {
			pending := 0
			for _, c := range g.Consumers() {
				pending += c.Pending()
				g.Nacks(c, ID{}, MaxID, func(p Pending) bool { seen++; want++; return p.Consumer == c })
			}
			if pending != g.Pending() {
				t.Fatalf("%d are pending of the group, %d of its consumers", g.Pending(), pending)
			}
		}
	}
	if seen != want {
		t.Fatalf("saw %d elements of %d", seen, want)
	}
}

func TestRestoreRefuses(t *testing.T) {
	s := New(Options{Shards: 1, MaxString: 1 << 16})
	with(s, 0, 1000, func(tx *Tx) {
		for _, hexed := range []string{
			"00c3", "00c30100", "00c3030580000000", "00c34000", "00c3028100ffffffffffffff61", "0081000000000001000061",
			"0180ffffffff", "028100ffffffffffffff", "1280ffffffff", "138100ffffffffffffff", "05017f",
		} {
			b, err := hex.DecodeString(hexed)
			if err != nil {
				t.Fatal(err)
			}
			if err := tx.Restore([]byte("k"), sealed(b), Restored{}); !errors.Is(err, ErrBadData) {
				t.Errorf("%s: %v", hexed, err)
			}
		}
		bomb := []byte{rdbList}
		w := rdbWriter{tx: tx, out: append(bomb, 40)}
		for range 40 {
			w.text(make([]byte, 1<<16))
		}
		if err := tx.Restore([]byte("k"), sealed(w.out), Restored{}); !errors.Is(err, ErrBadData) {
			t.Errorf("a payload of %d bytes that unfolds to %d: %v", len(w.out), 40<<16, err)
		}
		w = rdbWriter{tx: tx, out: []byte{rdbString}}
		w.text(make([]byte, 1<<16+1))
		if err := tx.Restore([]byte("k"), sealed(w.out), Restored{}); !errors.Is(err, ErrBadData) {
			t.Errorf("a string longer than the longest: %v", err)
		}
		if tx.Size() != 0 || len(tx.Changes()) != 0 {
			t.Errorf("changes %q", lines(tx))
		}
	})
	if n := live(s); n != 0 {
		t.Errorf("%d bytes of blocks are left", n)
	}
}

// FuzzRestore loads values, under a right checksum: what is taken must hold
// together, survive a dump, and give its memory back.
func FuzzRestore(f *testing.F) {
	rnd := rand.New(rand.NewPCG(3, 4))
	seeds := New(Options{Shards: 1})
	for range 60 {
		with(seeds, 0, 1e6, func(tx *Tx) {
			fillRandom(tx, rnd, []byte("a"))
			if b, _ := tx.Dump([]byte("a"), nil); len(b) < 2000 {
				f.Add(b[:len(b)-footerBytes])
			}
			tx.Delete([]byte("a"))
		})
	}
	for _, b := range [][]byte{ziplistOf("a", "1", "b", "-70000"), zipmapOf(1, "a", "1", "b", "2")} {
		for _, kind := range []byte{rdbListZiplist, rdbZSetZiplist, rdbHashZiplist, rdbHashZipmap} {
			f.Add(append([]byte{kind, byte(len(b))}, b...))
		}
	}
	s := New(Options{Databases: 1, Shards: 1, MaxString: 1 << 16})
	a, b := []byte("a"), []byte("b")
	f.Fuzz(func(t *testing.T, v []byte) {
		with(s, 0, 1e6, func(tx *Tx) {
			if err := tx.Restore(a, sealed(v), Restored{Idle: -1, Freq: -1}); err != nil {
				if tx.Size() != 0 {
					t.Fatal("a refused value is there")
				}
				return
			}
			if tx.Kind(a, Peek) == KindNone { // all fields have expired
				return
			}
			checkLoaded(t, tx, a)
			payload, _ := tx.Dump(a, nil)
			if err := tx.Restore(b, payload, Restored{Idle: -1, Freq: -1}); err != nil || tx.DigestValue(a) != tx.DigestValue(b) {
				t.Fatalf("dumped and restored: %v", err)
			}
		})
		s.checkInvariants(t)
		with(s, 0, 1e6, func(tx *Tx) { tx.Flush(-1) })
		if n := live(s); n != 0 {
			t.Fatalf("%d bytes of blocks are left", n)
		}
	})
}

func TestPutListHasALimit(t *testing.T) {
	s := New(Options{Shards: 1, MaxString: 1000})
	with(s, 0, 1000, func(tx *Tx) {
		asked := 0
		endless := func(visit func([]byte) bool) {
			for visit(make([]byte, 100)) {
				asked++
			}
		}
		if err := tx.PutList([]byte("k"), endless); !errors.Is(err, ErrTooLarge) || asked != manyTimes*10 || tx.Size() != 0 {
			t.Fatalf("%v after %d values", err, asked)
		}
	})
}
