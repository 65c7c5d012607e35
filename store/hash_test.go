package store

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// hashModel is what a hash should hold, and when its fields expire.
type hashModel map[string]hashField

type hashField struct {
	value string
	at    int64 // unix milliseconds, -1: never
}

// expire takes out the fields whose time has come and returns their names.
func (m hashModel) expire(now int64) (gone []string) {
	for f, v := range m {
		if v.at >= 0 && v.at <= now {
			delete(m, f)
			gone = append(gone, f)
		}
	}
	slices.Sort(gone)
	return gone
}

// hashBench is a store with some hashes, their models and a clock.
type hashBench struct {
	t      *testing.T
	s      *Store
	tx     Tx
	rnd    *rand.Rand
	models map[string]hashModel
	named  map[string]bool
	timed  map[string]bool
	gone   map[string][]string // fields that changes said expired
	ttls   bool
	fields int // different names of fields
}

func newHashBench(t *testing.T, seed uint64, fields int, ttls bool) *hashBench {
	b := &hashBench{
		t: t, s: New(Options{Databases: 2, Shards: 2}), rnd: rand.New(rand.NewPCG(seed, 7)),
		models: map[string]hashModel{}, named: map[string]bool{}, timed: map[string]bool{}, gone: map[string][]string{},
		ttls: ttls, fields: fields,
	}
	b.tx.Now = 1_000_000
	return b
}

// open begins a transaction and returns a handle on key's hash. What the look-up
// expired is compared with the model.
func (b *hashBench) open(key string) *Hash {
	b.s.Begin(&b.tx, 0, b.tx.Now)
	b.tx.Event = "test"
	b.tx.WantAll()
	b.tx.Lock()
	h, err := b.tx.HashOf([]byte(key), Write)
	if err != nil {
		b.t.Fatal(err)
	}
	return &h
}

// close ends the transaction and gathers what expired.
func (b *hashBench) close() {
	b.gather(&b.tx)
	b.tx.Unlock()
}

func (b *hashBench) gather(tx *Tx) {
	for i, c := range tx.Changes() {
		if c.Effect == FieldsExpired {
			if c.Event != "hexpired" || len(c.Fields) == 0 {
				b.t.Fatalf("change %+v", c)
			}
			for _, f := range c.Fields {
				b.gone[string(c.Key)] = append(b.gone[string(c.Key)], string(f))
			}
		}
		if c.Effect == Emptied && (i == 0 || string(tx.Changes()[i-1].Key) != string(c.Key)) {
			b.t.Fatal("a hash vanished without a change of it")
		}
	}
}

func (b *hashBench) model(key string) hashModel {
	m := b.models[key]
	if m == nil {
		m = hashModel{}
		b.models[key] = m
	}
	m.expire(b.tx.Now)
	if len(m) == 0 {
		delete(b.named, key)
		delete(b.timed, key)
	}
	return m
}

func (b *hashBench) field() string {
	n := b.rnd.IntN(b.fields)
	switch n % 7 {
	case 0:
		return fmt.Sprint(n - 20)
	case 1:
		return fmt.Sprintf("%04d", n)
	case 2:
		return strings.Repeat("f", n%60) + fmt.Sprint(n)
	}
	return fmt.Sprintf("field:%d", n)
}

// step does one random thing to a hash and its model.
func (b *hashBench) step(key string) {
	h := b.open(key)
	defer b.close()
	m := b.model(key)
	f, v := b.field(), randomValue(b.rnd)
	old, had := m[f]
	op := b.rnd.IntN(14)
	if !b.ttls && op >= 10 && op < 13 {
		op = 0
	}
	switch op {
	case 0, 1, 2, 3, 4:
		if h.Set([]byte(f), []byte(v)) == had {
			b.t.Fatalf("Set(%.40q): new and there, or neither", f)
		}
		m[f] = hashField{v, -1}
		b.name(key, f, v)
	case 5:
		if h.Update([]byte(f), []byte(v)) == had {
			b.t.Fatalf("Update(%.40q): new and there, or neither", f)
		}
		if !had {
			old.at = -1
		}
		m[f] = hashField{v, old.at}
		b.name(key, f, v)
	case 6, 7:
		if h.Delete([]byte(f)) != had {
			b.t.Fatalf("Delete(%.40q) = %v", f, !had)
		}
		delete(m, f)
	case 8, 9:
		if got, ok := h.Get([]byte(f)); ok != had || string(got) != old.value {
			b.t.Fatalf("Get(%.40q) = %.40q, %v; want %.40q, %v", f, got, ok, old.value, had)
		}
	case 10, 11, 12:
		b.setTime(h, m, key, f)
	case 13:
		b.many(h, m, key)
	}
	h.Done()
	b.check(h, m, key)
}

// name notes what makes Redis call the hash a hash table.
func (b *hashBench) name(key, f, v string) {
	if len(f) > 64 || len(v) > 64 || len(b.models[key]) > 512 {
		b.named[key] = true
	}
}

func (b *hashBench) setTime(h *Hash, m hashModel, key, f string) {
	at := b.tx.Now + 1 + b.rnd.Int64N(3000)
	if b.rnd.IntN(4) == 0 {
		at = 0
	}
	old, had := m[f]
	if h.ExpireAt([]byte(f), at) != had {
		b.t.Fatalf("ExpireAt(%.40q) = %v", f, !had)
	}
	if !had {
		return
	}
	if at != 0 {
		b.timed[key] = true
	}
	m[f] = hashField{old.value, orNever(at)}
}

// many sets or deletes a row of fields.
func (b *hashBench) many(h *Hash, m hashModel, key string) {
	drop := b.rnd.IntN(2) == 0
	if !drop && b.rnd.IntN(2) == 0 {
		b.setMany(h, m, key)
		return
	}
	for range b.rnd.IntN(60) {
		f := b.field()
		if drop {
			h.Delete([]byte(f))
			delete(m, f)
		} else {
			h.Set([]byte(f), []byte("many"))
			m[f] = hashField{"many", -1}
			b.name(key, f, "many")
		}
	}
}

func (b *hashBench) setMany(h *Hash, m hashModel, key string) {
	var pairs [][]byte
	had := len(m)
	for range b.rnd.IntN(90) {
		f, v := b.field(), randomValue(b.rnd)
		pairs = append(pairs, []byte(f), []byte(v))
		m[f] = hashField{v, -1}
		b.name(key, f, v)
	}
	if len(pairs)/2 > 512 {
		b.named[key] = true
	}
	if got := h.SetMany(pairs); got != len(m)-had {
		b.t.Fatalf("SetMany says %d are new, not %d", got, len(m)-had)
	}
}

// check compares a hash with its model, read in every way.
func (b *hashBench) check(h *Hash, m hashModel, key string) {
	b.t.Helper()
	if h.Len() != len(m) || h.live != (len(m) > 0) {
		b.t.Fatalf("length %d, lives %v; want %d", h.Len(), h.live, len(m))
	}
	got := hashModel{}
	h.EachTimed(func(f, v []byte, at int64) bool {
		got[string(f)] = hashField{string(v), at}
		return true
	})
	if !maps.Equal(got, m) {
		b.t.Fatalf("hash %.300v, want %.300v", got, m)
	}
	if len(m) == 0 {
		return
	}
	want := "listpack"
	switch {
	case b.named[key]:
		want = "hashtable"
	case b.timed[key]:
		want = "listpackex"
	}
	if h.Encoding() != want {
		b.t.Fatalf("encoding %s, want %s", h.Encoding(), want)
	}
	if h.big == nil && h.n > hashPackedMax {
		b.t.Fatalf("%d fields are packed", h.n)
	}
	b.checkWalks(h, m)
	f := b.field()
	at, ok := h.Deadline([]byte(f))
	if old, had := m[f]; ok != had || had && at != old.at {
		b.t.Fatalf("Deadline(%.40q) = %d, %v; want %d, %v", f, at, ok, old.at, had)
	}
}

// checkWalks reads by Scan, Sample and Random.
func (b *hashBench) checkWalks(h *Hash, m hashModel) {
	seen := map[string]string{}
	for cursor := uint64(0); ; {
		if cursor = h.Scan(cursor, 10, func(f, v []byte) { seen[string(f)] = string(v) }); cursor == 0 {
			break
		}
	}
	if len(seen) != len(m) {
		b.t.Fatalf("Scan found %d of %d", len(seen), len(m))
	}
	rnd, n := b.rnd.Uint64(), b.rnd.IntN(len(m)+1)
	clear(seen)
	if n > 0 {
		h.Sample(n, &rnd, func(f, v []byte) bool { seen[string(f)] = string(v); return true })
	}
	if len(seen) != n {
		b.t.Fatalf("Sample found %d of %d", len(seen), n)
	}
	h.Random(5, &rnd, func(f, v []byte) bool { seen[string(f)] = string(v); return true })
	for f, v := range seen {
		if m[f].value != v {
			b.t.Fatalf("a walk found %.40q = %.40q", f, v)
		}
	}
}

// generic does something to a whole key: values move, the times with them.
func (b *hashBench) generic(keys []string) {
	src, dst := keys[b.rnd.IntN(len(keys))], keys[b.rnd.IntN(len(keys))]
	h := b.open(src)
	m := b.model(src)
	defer b.close()
	if !h.live || src == dst {
		return
	}
	switch b.rnd.IntN(6) {
	case 0, 1:
		b.tx.Copy([]byte(src), 0, []byte(dst))
		b.models[dst], b.named[dst], b.timed[dst] = maps.Clone(m), b.named[src], b.timed[src]
	case 2:
		b.tx.Rename([]byte(src), []byte(dst))
		b.models[dst], b.named[dst], b.timed[dst] = m, b.named[src], b.timed[src]
		delete(b.models, src)
	case 3: // another length of the header
		b.tx.SetExpire([]byte(src), b.tx.Now+1_000_000_000)
	case 4:
		b.tx.Persist([]byte(src))
	case 5:
		b.tx.Set([]byte(dst), []byte(strings.Repeat("x", b.rnd.IntN(300))), false)
		b.tx.Delete([]byte(dst))
		delete(b.models, dst)
	}
}

// TestHashAgainstModel drives hashes through both forms, with fields that
// expire by look-ups, by active expiry, or are passed over meanwhile.
func TestHashAgainstModel(t *testing.T) {
	for _, c := range []struct {
		fields int
		ttls   bool
	}{{12, false}, {12, true}, {120, true}, {400, false}, {2000, true}} {
		t.Run(fmt.Sprintf("%d fields, times %v", c.fields, c.ttls), func(t *testing.T) {
			b := newHashBench(t, uint64(c.fields), c.fields, c.ttls)
			keys := []string{"a", "b", "c", strings.Repeat("long", 100)}
			for i := range 6000 {
				b.step(keys[b.rnd.IntN(len(keys))])
				switch {
				case i%50 == 0:
					b.generic(keys)
				case i%20 == 0:
					b.tx.Now += b.rnd.Int64N(800)
				case i%30 == 0:
					b.s.CompactStep()
				}
				if i%40 == 0 && b.rnd.IntN(2) == 0 {
					b.expireActively()
				}
			}
			b.end(keys)
		})
	}
}

// expireActively runs ExpireSome and demands that nothing due is left.
func (b *hashBench) expireActively() {
	now := b.tx.Now
	var tx Tx
	for b.s.ExpireSome(&tx, now, 1+b.rnd.IntN(50), b.gather) {
	}
	if next := b.s.NextExpiry(); next != 0 && next <= now {
		b.t.Fatalf("something due at %d is left at %d", next, now)
	}
	b.tx.Now = now
}

// end lets all times pass, removes the rest and demands that nothing is left.
func (b *hashBench) end(keys []string) {
	b.tx.Now += 10_000
	b.expireActively()
	for _, key := range keys {
		h := b.open(key)
		b.check(h, b.model(key), key)
		for f := range b.model(key) {
			h.Delete([]byte(f))
		}
		h.Done()
		b.close()
	}
	if next := b.s.NextExpiry(); b.s.DBSize(0) != 0 || next != 0 {
		b.t.Fatalf("%d keys and a next expiry of %d are left", b.s.DBSize(0), next)
	}
	if n := b.s.Stats(b.tx.Now).Bytes[KindHash]; n != 0 {
		b.t.Errorf("%d bytes of hashes are left", n)
	}
}

// Fields are reported once each, in the change that removes them.
func TestFieldsExpiredAreReported(t *testing.T) {
	for _, n := range []int{5, 1000} {
		b := newHashBench(t, 1, 10, true)
		h := b.open("h")
		for i := range n {
			f := fmt.Appendf(nil, "f%d", i)
			h.Set(f, []byte("v"))
			h.ExpireAt(f, b.tx.Now+1+int64(i%2))
		}
		h.Done()
		b.close()
		due := b.tx.Now + 1
		if got := b.s.NextExpiry(); got != due {
			t.Fatalf("next expiry %d, want %d", got, due)
		}
		b.tx.Now = due
		h = b.open("h")
		if h.Len() != n/2 {
			t.Fatalf("%d fields are left, want %d", h.Len(), n/2)
		}
		if _, ok := h.Get([]byte("f0")); ok {
			t.Fatal("a field is there past its time")
		}
		b.close()
		b.expireActively()
		b.tx.Now++
		b.expireActively()
		gone := b.gone["h"]
		slices.Sort(gone)
		if len(slices.Compact(gone)) != n || b.s.DBSize(0) != 0 {
			t.Fatalf("%d fields were reported, %d keys are left", len(gone), b.s.DBSize(0))
		}
		if got := b.s.Stats(due).ExpiredFields; got != int64(n) {
			t.Fatalf("%d fields are counted", got)
		}
	}
}

// Fields of a large hash whose time has come are absent to everything, though
// only some of them are removed by a look-up.
func TestOverdueFieldsArePassedOver(t *testing.T) {
	const n = 20 * lazyFields
	b := newHashBench(t, 1, 10, true)
	h := b.open("h")
	m := hashModel{}
	for i := range n {
		f := fmt.Sprintf("f%d", i)
		h.Set([]byte(f), []byte("v"))
		m[f] = hashField{"v", -1}
		if i%100 != 0 {
			h.ExpireAt([]byte(f), b.tx.Now+1)
			delete(m, f)
		}
	}
	h.Done()
	b.close()
	b.tx.Now++
	b.models["h"], b.named["h"] = m, true
	for range 5 {
		h = b.open("h")
		b.check(h, m, "h")
		for f := range m {
			if v, ok := h.Get([]byte(f)); !ok || string(v) != "v" {
				t.Fatalf("Get(%s) = %q, %v", f, v, ok)
			}
		}
		over := fmt.Appendf(nil, "f%d", n-1) // far behind what look-ups remove
		if _, ok := h.Get(over); ok || h.Delete(over) || h.ExpireAt(over, b.tx.Now+5) {
			t.Fatal("an overdue field is there")
		}
		if _, ok := h.Deadline(over); ok {
			t.Fatal("an overdue field has a deadline")
		}
		b.close()
	}
	h = b.open("h")
	for i, set := range []func(f, v []byte) bool{h.Set, h.Update} {
		f := fmt.Sprintf("f%d", n-1-i)
		if !set([]byte(f), []byte("new")) {
			t.Fatal("an overdue field is not new")
		}
		m[f] = hashField{"new", -1}
	}
	h.Done()
	b.check(h, m, "h")
	b.close()
	b.end([]string{"h"})
}

// A random field is found even where nearly all are overdue.
func TestRandomAmongOverdueFields(t *testing.T) {
	b := newHashBench(t, 1, 10, true)
	h := b.open("h")
	for i := range 50 * lazyFields {
		f := fmt.Appendf(nil, "f%d", i)
		h.Set(f, []byte("v"))
		h.ExpireAt(f, b.tx.Now+1)
	}
	h.Set([]byte("alive"), []byte("v"))
	h.Done()
	b.close()
	b.tx.Now++
	h = b.open("h")
	defer b.close()
	rnd := uint64(1)
	h.Random(3, &rnd, func(f, _ []byte) bool {
		if string(f) != "alive" {
			t.Errorf("%s is overdue", f)
		}
		return true
	})
}

// A hash that has nothing left but overdue fields is no key to a walk.
func TestOverdueHashIsNotWalked(t *testing.T) {
	for _, size := range []int{1, packedMax} {
		b := newHashBench(t, 1, 10, true)
		h := b.open("h")
		h.Set([]byte("f"), []byte(strings.Repeat("v", size)))
		h.ExpireAt([]byte("f"), b.tx.Now+1)
		h.Done()
		b.close()
		for now, want := range map[int64]int{b.tx.Now: 1, b.tx.Now + 1: 0} {
			n := 0
			var tx Tx
			b.s.Begin(&tx, 0, now)
			tx.Walk(func([]byte, Kind) bool { n++; return true })
			if n != want {
				t.Fatalf("a walk at %d finds %d keys, want %d", now, n, want)
			}
		}
	}
}

// Whatever takes the place of a hash takes its times from the shard's plan.
func TestReplacedHashIsForgotten(t *testing.T) {
	key := []byte("h")
	for name, replace := range map[string]func(tx *Tx){
		"in place": func(tx *Tx) { tx.Set(key, []byte("fvxxxxxxxxxxxxxxxxxxxx"), false) },
		"anew":     func(tx *Tx) { tx.Set(key, bytes.Repeat(key, 1000), false) },
		"deleted":  func(tx *Tx) { tx.Delete(key) },
		"flushed":  func(tx *Tx) { tx.Flush(0) },
		"no time":  func(tx *Tx) { h, _ := tx.HashOf(key, Write); h.Delete([]byte("f")); h.Done() },
	} {
		for _, size := range []int{1, packedMax} {
			b := newHashBench(t, 1, 10, true)
			h := b.open("h")
			h.Set([]byte("f"), bytes.Repeat([]byte("v"), size))
			h.ExpireAt([]byte("f"), b.tx.Now+1)
			h.Done()
			b.close()
			if b.s.NextExpiry() != b.tx.Now+1 {
				t.Fatal("the shard does not know when a field expires")
			}
			b.open("h")
			replace(&b.tx)
			b.close()
			if next := b.s.NextExpiry(); next != 0 {
				t.Errorf("%s, %d bytes: next expiry %d", name, size, next)
			}
		}
	}
}

func TestHashWritesDoNotAllocate(t *testing.T) {
	b := newHashBench(t, 1, 10, false)
	key, f, v := []byte("h"), []byte("field"), []byte("value-1")
	for _, n := range []int{0, 1000} {
		h := b.open("h")
		for i := range n {
			h.Set(fmt.Appendf(nil, "f%d", i), v)
		}
		h.Set(f, v)
		h.Done()
		b.close()
		once := func() {
			b.s.Begin(&b.tx, 0, b.tx.Now)
			b.tx.LockKey(key)
			h, _ := b.tx.HashOf(key, Write)
			h.Set(f, v)
			h.Done()
			if got, ok := h.Get(f); !ok || len(got) != len(v) {
				t.Error("the field is lost")
			}
			b.tx.Unlock()
		}
		if got := testing.AllocsPerRun(100, once); got != 0 {
			t.Errorf("%v allocations with %d fields", got, n)
		}
	}
}
