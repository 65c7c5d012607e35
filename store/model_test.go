package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// model is what the store should hold: a map for each database.
type model struct {
	t    *testing.T
	s    *Store
	tx   Tx
	rnd  *rand.Rand
	now  int64
	dbs  []map[string]modelValue
	keys []string
}

type modelValue struct {
	text string
	at   int64 // expiry, -1 for none
	raw  bool
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{
		t:   t,
		s:   New(Options{Databases: 3, Shards: 2}),
		rnd: rand.New(rand.NewPCG(seed, 1)),
		now: 1_000_000,
	}
	for range 3 {
		m.dbs = append(m.dbs, map[string]modelValue{})
	}
	for i := range 400 {
		key := fmt.Sprintf("key:%d", i)
		switch {
		case i%97 == 0:
			key += strings.Repeat("l", 300)
		case i%101 == 0:
			key += strings.Repeat("f", maxKey+10)
		}
		m.keys = append(m.keys, key)
	}
	return m
}

func (m *model) get(db int, key string) (modelValue, bool) {
	v, ok := m.dbs[db][key]
	if ok && v.at >= 0 && v.at <= m.now {
		delete(m.dbs[db], key)
		return modelValue{}, false
	}
	return v, ok
}

func (m *model) randomValue() []byte {
	n := m.rnd.IntN(100)
	switch m.rnd.IntN(400) {
	case 0, 1, 2, 3, 4, 5, 6, 7, 8:
		n = m.rnd.IntN(5000)
	case 9, 10:
		n = maxSlot - 100 + m.rnd.IntN(200)
	case 11:
		n = m.rnd.IntN(3 * maxSlot)
	case 12:
		n = 0
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + m.rnd.IntN(26))
	}
	return b
}

func (m *model) begin(db int) {
	m.s.Begin(&m.tx, db, m.now)
	m.tx.WantAll()
	m.tx.Lock()
}

// step does one random thing to both.
func (m *model) step() {
	db := m.rnd.IntN(len(m.dbs))
	key := m.keys[m.rnd.IntN(len(m.keys))]
	other := m.keys[m.rnd.IntN(len(m.keys))]
	m.begin(db)
	defer m.tx.Unlock()
	old, had := m.get(db, key)
	switch op := m.rnd.IntN(100); {
	case op < 25:
		m.set(db, key, old, had)
	case op < 35:
		m.appendTo(db, key, old, had)
	case op < 42:
		m.setRange(db, key, old, had)
	case op < 57:
		if got := m.tx.Delete([]byte(key)); got != had {
			m.t.Fatalf("Delete(%.20q) = %v, want %v", key, got, had)
		}
		delete(m.dbs[db], key)
	case op < 70:
		m.expire(db, key, old, had)
	case op < 74:
		m.rename(db, key, other, old, had)
	case op < 78:
		m.copyMove(db, key, other, old, had)
	case op == 78 && m.rnd.IntN(20) == 0:
		m.flushSwap(db)
	case op == 79:
		m.now += int64(m.rnd.IntN(200))
	case op == 80:
		m.compare(db)
	default:
		got, err := m.tx.Get([]byte(key), Read)
		if err != nil || (got != nil) != had || string(got) != old.text {
			m.t.Fatalf("Get(%.20q) = %.40q, %v; want %.40q, %v", key, got, err, old.text, had)
		}
	}
}

func (m *model) set(db int, key string, old modelValue, had bool) {
	v := modelValue{text: string(m.randomValue()), at: -1}
	switch m.rnd.IntN(3) {
	case 0:
		m.tx.Set([]byte(key), []byte(v.text), false)
	case 1:
		m.tx.Set([]byte(key), []byte(v.text), true)
		if had {
			v.at = old.at
		}
	case 2:
		v.at = m.now + 1 + int64(m.rnd.IntN(300))
		m.tx.SetUntil([]byte(key), []byte(v.text), v.at)
	}
	m.dbs[db][key] = v
}

func (m *model) appendTo(db int, key string, old modelValue, had bool) {
	tail := m.randomValue()
	n, err := m.tx.Append([]byte(key), tail)
	v := modelValue{text: old.text + string(tail), at: -1, raw: had}
	if had {
		v.at = old.at
	}
	if err != nil || n != len(v.text) {
		m.t.Fatalf("Append(%.20q) = %d, %v; want %d", key, n, err, len(v.text))
	}
	m.dbs[db][key] = v
}

func (m *model) setRange(db int, key string, old modelValue, had bool) {
	part, off := m.randomValue(), m.rnd.IntN(300)
	n, err := m.tx.SetRange([]byte(key), off, part)
	if len(part) == 0 {
		if n != len(old.text) || err != nil {
			m.t.Fatalf("empty SetRange = %d, %v", n, err)
		}
		return
	}
	b := make([]byte, max(len(old.text), off+len(part)))
	copy(b, old.text)
	copy(b[off:], part)
	v := modelValue{text: string(b), at: -1, raw: true}
	if had {
		v.at = old.at
	}
	if err != nil || n != len(b) {
		m.t.Fatalf("SetRange(%.20q) = %d, %v; want %d", key, n, err, len(b))
	}
	m.dbs[db][key] = v
}

func (m *model) expire(db int, key string, old modelValue, had bool) {
	if m.rnd.IntN(4) == 0 {
		if got := m.tx.Persist([]byte(key)); got != (had && old.at >= 0) {
			m.t.Fatalf("Persist(%.20q) = %v", key, got)
		}
		old.at = -1
	} else {
		at := m.now + 1 + int64(m.rnd.IntN(300))
		if got := m.tx.SetExpire([]byte(key), at); got != had {
			m.t.Fatalf("SetExpire(%.20q) = %v", key, got)
		}
		old.at = at
	}
	if had {
		m.dbs[db][key] = old
	}
}

func (m *model) rename(db int, key, other string, old modelValue, had bool) {
	if got := m.tx.Rename([]byte(key), []byte(other)); got != had {
		m.t.Fatalf("Rename(%.20q) = %v", key, got)
	}
	if had {
		delete(m.dbs[db], key)
		m.dbs[db][other] = old
	}
}

func (m *model) copyMove(db int, key, other string, old modelValue, had bool) {
	to := m.rnd.IntN(len(m.dbs))
	if m.rnd.IntN(2) == 0 {
		if key == other && db == to {
			return
		}
		if got := m.tx.Copy([]byte(key), to, []byte(other)); got != had {
			m.t.Fatalf("Copy(%.20q) = %v", key, got)
		}
		if had {
			m.dbs[to][other] = old
		}
		return
	}
	if _, taken := m.get(to, key); to != db {
		if got := m.tx.Move([]byte(key), to); got != (had && !taken) {
			m.t.Fatalf("Move(%.20q) = %v", key, got)
		}
		if had && !taken {
			delete(m.dbs[db], key)
			m.dbs[to][key] = old
		}
	}
}

func (m *model) flushSwap(db int) {
	other := (db + 1) % len(m.dbs)
	switch m.rnd.IntN(4) {
	case 0:
		m.tx.Flush(db)
		clear(m.dbs[db])
	case 1:
		m.tx.FlushAsync(db)
		clear(m.dbs[db])
	default:
		m.tx.SwapDB(db, other)
		m.dbs[db], m.dbs[other] = m.dbs[other], m.dbs[db]
	}
}

// compare checks a whole database, by Walk, Scan and key by key.
func (m *model) compare(db int) {
	live := 0
	for key := range m.dbs[db] {
		if want, ok := m.get(db, key); ok {
			live++
			at, _ := m.tx.ExpireTime([]byte(key))
			got, _ := m.tx.Get([]byte(key), Peek)
			meta, ok := m.tx.Meta([]byte(key))
			if !ok || string(got) != want.text || at != want.at || (want.raw && meta.Encoding != "raw") {
				m.t.Fatalf("%.20q: got %.40q at %d %q; want %.40q at %d", key, got, at, meta.Encoding, want.text, want.at)
			}
		}
	}
	walked := map[string]bool{}
	m.tx.Walk(func(key []byte, k Kind) bool {
		walked[string(key)] = true
		return true
	})
	scanned := map[string]bool{}
	for cursor := uint64(0); ; {
		cursor = m.tx.Scan(cursor, 10, func(key []byte, k Kind) { scanned[string(key)] = true })
		if cursor == 0 {
			break
		}
	}
	if len(walked) != live || len(scanned) != live {
		m.t.Fatalf("walked %d, scanned %d, want %d keys", len(walked), len(scanned), live)
	}
	if n := m.tx.Size(); n < live {
		m.t.Fatalf("Size = %d, want at least %d", n, live)
	}
}

// between does what runs between commands.
func (m *model) between() {
	switch m.rnd.IntN(10) {
	case 0:
		m.s.CompactStep()
	case 1:
		m.s.ExpireSome(&m.tx, m.now, 1+m.rnd.IntN(20), func(tx *Tx) {
			for _, c := range tx.Changes() {
				v, ok := m.dbs[c.DB][string(c.Key)]
				if c.Effect != Expired || ok && (v.at < 0 || v.at > m.now) {
					m.t.Fatalf("expired %.20q of %d: at %d, now %d", c.Key, c.DB, v.at, m.now)
				}
				delete(m.dbs[c.DB], string(c.Key))
			}
		})
	}
}

func TestAgainstModel(t *testing.T) {
	steps := 60_000
	if testing.Short() {
		steps = 5_000
	}
	for seed := range uint64(3) {
		m := newModel(t, seed)
		for i := range steps {
			m.step()
			m.between()
			if i%1000 == 0 {
				m.s.checkInvariants(t)
			}
		}
		for db := range m.dbs {
			m.begin(db)
			m.compare(db)
			m.tx.Unlock()
		}
		m.begin(0)
		m.tx.Flush(-1)
		m.tx.Unlock()
		if used := m.s.Used(); used != 0 {
			t.Fatalf("Used = %d after a flush of all", used)
		}
	}
}

// checkInvariants recounts what is counted as the store goes.
func (s *Store) checkInvariants(t *testing.T) {
	t.Helper()
	for i := range s.locks {
		sh := &s.locks[i]
		if sh.data != nil {
			sh.data.checkInvariants(t)
		}
	}
}

func (c *contents) checkInvariants(t *testing.T) {
	t.Helper()
	count, expiring, slots := 0, uint32(0), int64(0)
	var kinds [kindMask + 1]int64
	var objects, onHeap int64
	for b := range c.dict.n {
		c.dict.visit(b, func(r ref) {
			e := c.entry(r)
			count++
			slots += int64(e.slot)
			kinds[e.kind()] += int64(e.slot)
			if e.expires() {
				expiring++
				if got := c.heap.at(e.heapPlace()).ref; got != r {
					t.Fatalf("heap place %d holds %d, want %d", e.heapPlace(), got, r)
				}
			}
			for _, n := range c.recordsOf(e) {
				held := c.records.at(n).bytes + recordBytes
				if o := c.records.at(n).object; o != nil && o.Bytes() != c.records.at(n).bytes {
					t.Fatalf("object of %d bytes counted as %d", o.Bytes(), c.records.at(n).bytes)
				}
				if o, ok := c.records.at(n).object.(offHeap); ok {
					onHeap -= o.Bytes() - o.heapBytes()
				}
				objects += held
				kinds[e.kind()] += held
			}
			if home := c.dict.home(c.hashOf(r)); home != b {
				t.Fatalf("key %.20q in bucket %d, want %d", c.key(e), b, home)
			}
		})
	}
	if count != c.dict.count || expiring != c.heap.n || slots != c.arena.live || objects != c.objects || kinds != c.kinds {
		t.Fatalf("counted %d keys, %d expiring, %d slot bytes, %d object bytes, by kind %v; the books say %d, %d, %d, %d, %v",
			count, expiring, slots, objects, kinds, c.dict.count, c.heap.n, c.arena.live, c.objects, c.kinds)
	}
	if onHeap += objects; onHeap != c.onHeap {
		t.Fatalf("%d bytes on the heap, the books say %d", onHeap, c.onHeap)
	}
	idle := int64(0)
	for class, sz := range c.arena.sizes {
		idle += int64(sz.cut-sz.live) * int64(slotSizes[class])
	}
	if idle != c.arena.idle {
		t.Fatalf("%d bytes idle, the books say %d", idle, c.arena.idle)
	}
	for i := uint32(1); i < c.heap.n; i++ {
		if c.heap.at(i).when() < c.heap.at((i-1)/arity).when() {
			t.Fatalf("heap out of order at %d", i)
		}
	}
}

func (c *contents) recordsOf(e entry) (numbers []uint32) {
	if e.isFar() {
		numbers = append(numbers, farNumber(e.near()))
	}
	if e.flags()&flagObject != 0 {
		numbers = append(numbers, e.record())
	}
	return numbers
}
