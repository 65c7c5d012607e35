package store

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// newListTx returns a transaction that holds every shard of a small store.
func newListTx(t testing.TB) *Tx {
	t.Helper()
	s := New(Options{Databases: 2, Shards: 1, MaxString: 1 << 29})
	tx := new(Tx)
	s.Begin(tx, 0, 1)
	tx.WantAll()
	tx.Lock()
	t.Cleanup(tx.Unlock)
	return tx
}

// listOf returns a handle on key's list.
func listOf(t testing.TB, tx *Tx, key string) *List {
	t.Helper()
	l, err := tx.List([]byte(key), Write)
	if err != nil {
		t.Fatal(err)
	}
	return &l
}

func contentsOf(l *List) []string {
	var all []string
	l.Range(0, -1, func(v []byte) bool {
		all = append(all, string(v))
		return true
	})
	return all
}

// checkList compares a list with its model, read in every way, and checks what
// a quicklist counts.
func checkList(t *testing.T, l *List, model []string) {
	t.Helper()
	if l.Len() != len(model) {
		t.Fatalf("length %d, want %d", l.Len(), len(model))
	}
	if got := contentsOf(l); !slices.Equal(got, model) {
		t.Fatalf("list differs from its model: %.200q, want %.200q", got, model)
	}
	if l.live != (len(model) > 0) {
		t.Fatalf("key lives: %v, with %d elements", l.live, len(model))
	}
	if !l.live {
		return
	}
	l.rangeBack(l.n-1, l.n, func(i int, r row, at int) bool {
		var num numberText
		if v := r.value(at, &num); string(v) != model[i] {
			t.Fatalf("backwards: element %d is %.50q, want %.50q", i, v, model[i])
		}
		return true
	})
	if q := l.big; q != nil {
		checkQuicklist(t, q)
	}
}

func checkQuicklist(t *testing.T, q *quicklist) {
	t.Helper()
	count, live, held := 0, 0, int64(0)
	for i, d := range q.nodes.all() {
		n := 0
		for at := 0; at < d.size(); at = d.row().next(at) {
			n++
		}
		if s := shapeOf(d.row().packed().b); d.shape != mixed && d.shape != s {
			t.Fatalf("node %d is of shape %d, its elements are of %d", i, d.shape, s)
		}
		if n != int(d.n) || n == 0 {
			t.Fatalf("node %d has %d elements and counts %d", i, n, d.n)
		}
		if d.size() > nodeMax && n > 1 {
			t.Fatalf("node %d has %d bytes in %d elements", i, d.size(), n)
		}
		count, live, held = count+n, live+d.packedSize(), held+int64(d.buf.n)
	}
	if count != q.count || live != q.live || held != q.held {
		t.Fatalf("counts %d, %d, %d; has %d, %d, %d", q.count, q.live, q.held, count, live, held)
	}
}

func randomValue(r *rand.Rand) string {
	switch r.IntN(20) {
	case 0:
		return ""
	case 1:
		return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)
	case 2:
		return strings.Repeat("long", r.IntN(1500))
	case 3:
		return fmt.Sprintf("%03d", r.IntN(30)) // no number: leading zeros
	case 4:
		if r.IntN(10) == 0 {
			return strings.Repeat("huge", 2000+r.IntN(3000))
		}
	}
	return strconv.Itoa(r.IntN(12))
}

// step does one random operation to the list and its model.
func step(t *testing.T, r *rand.Rand, l *List, model []string) []string {
	end := End(r.IntN(2))
	v := randomValue(r)
	switch r.IntN(12) {
	case 0, 1, 2:
		values := make([][]byte, 1+r.IntN(4))
		for i := range values {
			s := randomValue(r)
			values[i] = []byte(s)
			if end == Front {
				model = slices.Insert(model, 0, s)
			} else {
				model = append(model, s)
			}
		}
		l.Push(end, values...)
	case 3, 4:
		model = popBoth(t, l, model, end, r.IntN(5))
	case 5:
		i := r.IntN(2*len(model)+2) - len(model) - 1
		ok := l.Set(i, []byte(v))
		at := i
		if at < 0 {
			at += len(model)
		}
		if want := at >= 0 && at < len(model); ok != want {
			t.Fatalf("Set(%d) of %d: %v", i, len(model), ok)
		}
		if ok {
			model[at] = v
		}
	case 6, 7:
		pivot := randomValue(r)
		at, after := slices.Index(model, pivot), r.IntN(2)
		n := l.Insert([]byte(pivot), after == 1, []byte(v))
		if (at < 0) != (n < 0) {
			t.Fatalf("Insert answered %d, the pivot is at %d", n, at)
		}
		if at >= 0 {
			model = slices.Insert(model, at+after, v)
		}
	case 8:
		count := r.IntN(7) - 3
		got := l.Remove(count, []byte(v))
		before := len(model)
		model = removeFrom(model, count, v)
		if got != before-len(model) {
			t.Fatalf("Remove(%d) answered %d, want %d", count, got, before-len(model))
		}
	case 9:
		if r.IntN(12) == 0 {
			model = trimBoth(r, l, model)
		}
	case 10:
		checkFind(t, r, l, model, v)
	case 11:
		if i := r.IntN(len(model) + 1); i < len(model) {
			l.Index(i-len(model), func(v []byte) {
				if string(v) != model[i] {
					t.Fatalf("element %d is %.50q, want %.50q", i, v, model[i])
				}
			})
		}
	}
	return model
}

// popBoth pops up to n elements from the list and from the model.
func popBoth(t *testing.T, l *List, model []string, end End, n int) []string {
	want := model[:min(n, len(model))]
	rest := model[len(want):]
	if end == Back {
		want = slices.Clone(model[len(model)-len(want):])
		slices.Reverse(want)
		rest = model[:len(model)-len(want)]
	}
	var got []string
	l.Pop(end, n, func(v []byte) { got = append(got, string(v)) })
	if !slices.Equal(got, want) {
		t.Fatalf("popped %.100q, want %.100q", got, want)
	}
	return slices.Clone(rest)
}

// trimBoth trims the list and the model to a random range.
func trimBoth(r *rand.Rand, l *List, model []string) []string {
	start, stop := r.IntN(len(model)+4)-2, r.IntN(2*len(model)+2)-len(model)
	from, to := l.bounds(start, stop)
	l.Trim(start, stop)
	if from > to {
		return nil
	}
	return slices.Clone(model[from : to+1])
}

func removeFrom(model []string, count int, v string) []string {
	back := count < 0
	left := max(count, -count)
	if count == 0 {
		left = len(model)
	}
	var kept []string
	for i := range model {
		at := i
		if back {
			at = len(model) - 1 - i
		}
		if model[at] == v && left > 0 {
			left--
			continue
		}
		kept = append(kept, model[at])
	}
	if back {
		slices.Reverse(kept)
	}
	return kept
}

func checkFind(t *testing.T, r *rand.Rand, l *List, model []string, v string) {
	back, most := r.IntN(2) == 1, r.IntN(len(model)+3)
	var got, want []int
	l.Find([]byte(v), back, most, func(i int) bool {
		got = append(got, i)
		return len(got) < 3
	})
	for i := 0; i < min(most, len(model)) && len(want) < 3; i++ {
		at := i
		if back {
			at = len(model) - 1 - i
		}
		if model[at] == v {
			want = append(want, at)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("Find(back %v, most %d) found %v, want %v", back, most, got, want)
	}
}

func TestListAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			tx := newListTx(t)
			key := strings.Repeat("k", []int{1, 11, 255, 256, 5000, 16384, 20000}[seed%7])
			var model []string
			for i := range 1500 {
				l := listOf(t, tx, key)
				model = step(t, r, l, model)
				if i%10 == 0 || len(model) < 20 {
					checkList(t, l, model)
					checkList(t, listOf(t, tx, key), model)
				}
				if r.IntN(50) == 0 {
					tx.SetExpire([]byte(key), 1000)
				} else if r.IntN(50) == 0 {
					tx.Persist([]byte(key))
				}
				tx.ResetChanges()
			}
		})
	}
}

// TestListOfOneShape changes a list of many elements of few shapes, so that its
// nodes take every form and change it.
func TestListOfOneShape(t *testing.T) {
	of := func(r *rand.Rand, odd int) string {
		n := r.IntN(40)
		if odd > 0 && r.IntN(odd) == 0 {
			return randomValue(r)
		}
		switch r.IntN(400) {
		case 0:
			return strings.Repeat("x", 60+r.IntN(8)) // about where headers get longer
		case 1:
			return strings.Repeat("y", shapeTextMax-1+r.IntN(3))
		}
		return fmt.Sprintf("item-%08d", n)
	}
	texts := []func(r *rand.Rand) string{
		func(r *rand.Rand) string { return of(r, 0) },
		func(r *rand.Rand) string { return of(r, 1000) },
		func(r *rand.Rand) string { return of(r, 20) },
	}
	for _, n := range []int64{1, 100, 4000, 1 << 15, 1 << 23, 1 << 31, 1 << 62} {
		texts = append(texts, func(r *rand.Rand) string {
			if r.IntN(300) == 0 {
				return fmt.Sprintf("item-%08d", r.IntN(9))
			}
			return strconv.FormatInt((n-r.Int64N(30))*int64(1-2*r.IntN(2)), 10)
		})
	}
	for seed, text := range texts {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 9))
			tx := newListTx(t)
			var model []string
			for i := range 600 {
				l := listOf(t, tx, "k")
				if i%2 == 0 {
					for range r.IntN(200) {
						v, end := text(r), End(r.IntN(2))
						l.Push(end, []byte(v))
						if end == Front {
							model = slices.Insert(model, 0, v)
						} else {
							model = append(model, v)
						}
					}
				}
				model = step(t, r, l, model)
				if len(model) > 0 && r.IntN(3) == 0 {
					v := text(r)
					at := slices.Index(model, model[r.IntN(len(model))])
					if n := l.Insert([]byte(model[at]), false, []byte(v)); n != len(model)+1 {
						t.Fatalf("Insert answered %d of %d", n, len(model))
					}
					model = slices.Insert(model, at, v)
				}
				if i%10 == 0 {
					checkList(t, listOf(t, tx, "k"), model)
				}
				tx.ResetChanges()
			}
			payload, _ := tx.Dump([]byte("k"), nil)
			if err := tx.Restore([]byte("copy"), payload, Restored{}); err != nil {
				t.Fatal(err)
			}
			checkList(t, listOf(t, tx, "copy"), model)
		})
	}
}

func TestListAsQueue(t *testing.T) {
	for _, in := range []End{Front, Back} {
		tx := newListTx(t)
		pushed, popped := 0, 0
		r := rand.New(rand.NewPCG(1, uint64(in)))
		for round := range 60 {
			for range r.IntN(3000) {
				listOf(t, tx, "q").Push(in, []byte(fmt.Sprintf("item-%08d", pushed)))
				pushed++
			}
			n := r.IntN(3000)
			if round == 59 {
				n = pushed - popped
			}
			listOf(t, tx, "q").Pop(1-in, n, func(v []byte) {
				if want := fmt.Sprintf("item-%08d", popped); string(v) != want {
					t.Fatalf("popped %q, want %q", v, want)
				}
				popped++
			})
			if l := listOf(t, tx, "q"); l.Len() != pushed-popped {
				t.Fatalf("%d left, want %d", l.Len(), pushed-popped)
			} else if l.big != nil {
				checkQuicklist(t, l.big)
			}
		}
		if tx.Kind([]byte("q"), Peek) != KindNone {
			t.Fatal("an empty list stays")
		}
	}
}

func TestListChanges(t *testing.T) {
	tx := newListTx(t)
	tx.Event = "lpush"
	l := listOf(t, tx, "k")
	l.Push(Front, []byte("a"))
	l.Push(Front, []byte("b"))
	tx.Event = "lpop"
	l.Pop(Front, 5, func([]byte) {})
	var got []string
	for _, c := range tx.Changes() {
		got = append(got, fmt.Sprint(string(c.Key), c.Effect, c.Event))
	}
	want := []string{
		fmt.Sprint("k", Created, "lpush"), fmt.Sprint("k", Changed, "lpush"),
		fmt.Sprint("k", Changed, "lpop"), fmt.Sprint("k", Emptied, "del"),
	}
	if !slices.Equal(got, want) {
		t.Fatalf("changes %q, want %q", got, want)
	}
}

func TestListOfWrongKind(t *testing.T) {
	tx := newListTx(t)
	tx.Set([]byte("k"), []byte("v"), false)
	if _, err := tx.List([]byte("k"), Read); err != ErrWrongType {
		t.Fatalf("error %v, want %v", err, ErrWrongType)
	}
}

func TestListKeepsExpiryInEveryForm(t *testing.T) {
	tx := newListTx(t)
	listOf(t, tx, "k").Push(Back, []byte("a"))
	tx.SetExpire([]byte("k"), 5000)
	for range 300 {
		listOf(t, tx, "k").Push(Back, []byte("sixteen bytes of"))
	}
	if listOf(t, tx, "k").big == nil {
		t.Fatal("the list should have outgrown its blob")
	}
	listOf(t, tx, "k").Pop(Back, 299, func([]byte) {})
	if l := listOf(t, tx, "k"); l.big != nil || l.Len() != 2 {
		t.Fatal("the list should be a blob of 2 again")
	}
	if at, ok := tx.ExpireTime([]byte("k")); !ok || at != 5000 {
		t.Fatalf("expires at %d, %v", at, ok)
	}
}

func TestListCloneIsIndependent(t *testing.T) {
	tx := newListTx(t)
	for i := range 2000 {
		listOf(t, tx, "a").Push(Back, []byte(strconv.Itoa(i)+"-element"))
	}
	before := contentsOf(listOf(t, tx, "a"))
	if !tx.Copy([]byte("a"), 0, []byte("b")) {
		t.Fatal("not copied")
	}
	checkList(t, listOf(t, tx, "b"), before)
	listOf(t, tx, "a").Trim(5, 10)
	listOf(t, tx, "b").Push(Front, []byte("x"))
	checkList(t, listOf(t, tx, "b"), append([]string{"x"}, before...))
	checkList(t, listOf(t, tx, "a"), before[5:11])
}

func TestListEncoding(t *testing.T) {
	tx := newListTx(t)
	encoding := func() string {
		m, _ := tx.Meta([]byte("k"))
		return m.Encoding
	}
	listOf(t, tx, "k").Push(Back, []byte("a"))
	if got := encoding(); got != "listpack" {
		t.Fatal(got)
	}
	value := bytes.Repeat([]byte("x"), 997) // 1,001 bytes packed
	for range 8 {
		listOf(t, tx, "k").Push(Back, value)
	}
	if got := encoding(); got != "listpack" { // 7 + 3 + 8,008 bytes
		t.Fatal(got)
	}
	listOf(t, tx, "k").Push(Back, value)
	if got := encoding(); got != "quicklist" {
		t.Fatal(got)
	}
	if got := listOf(t, tx, "k").Encoding(-3); got != "listpack" {
		t.Fatal(got)
	}
	if got := listOf(t, tx, "k").Encoding(9); got != "quicklist" {
		t.Fatal(got)
	}
}

func TestPackedElementsRoundTrip(t *testing.T) {
	values := []string{"", "a", "007", "-0", "+1", " 1", "1 ", "0x1", "1e3", "9223372036854775808", "-9223372036854775809", "99999999999999999999"}
	for _, n := range []int64{0, 1, 127, 128, 4095, 4096, 32767, 32768, 8388607, 8388608, 2147483647, 2147483648, math.MaxInt64} {
		values = append(values, strconv.FormatInt(n, 10), strconv.FormatInt(-n, 10), strconv.FormatInt(-n-1, 10))
	}
	for _, n := range []int{63, 64, 125, 126, 127, 4095, 4096, 16383, 16384, 2097151, 2097152} {
		values = append(values, strings.Repeat("v", n))
	}
	for _, v := range values {
		e := pack([]byte(v))
		b := append([]byte("before"), make([]byte, e.total())...)
		if n := e.put(b[6:]); n != e.total() {
			t.Fatalf("%.30q: wrote %d bytes, said %d", v, n, e.total())
		}
		var num numberText
		if got := unpack(b[6:], &num); string(got) != v {
			t.Fatalf("%.30q reads as %.30q", v, got)
		}
		if span(b[6:]) != e.total() || backSpan(b) != e.total() || headSize(b[6:]) != e.size {
			t.Fatalf("%.30q: %d forwards, %d backwards, %d written", v, span(b[6:]), backSpan(b), e.total())
		}
	}
}

func BenchmarkListPushPop(b *testing.B) {
	value := []byte("sixteen byte val")
	for _, size := range []int{10, 100, 1000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			tx := newListTx(b)
			key := []byte("key:1")
			for range size {
				listOf(b, tx, "key:1").Push(Back, value)
			}
			sink := 0
			b.ReportAllocs()
			for b.Loop() {
				tx.ResetChanges()
				l, _ := tx.List(key, Write)
				l.Push(Front, value)
				l, _ = tx.List(key, Write)
				l.Pop(Back, 1, func(v []byte) { sink += len(v) })
			}
		})
	}
}

func BenchmarkListRange100(b *testing.B) {
	tx := newListTx(b)
	key := []byte("key:1")
	for i := range 1000 {
		listOf(b, tx, "key:1").Push(Back, []byte(fmt.Sprintf("value:%010d", i)))
	}
	sink := 0
	b.ReportAllocs()
	for b.Loop() {
		l, _ := tx.List(key, Read)
		l.Range(0, 99, func(v []byte) bool { sink += len(v); return true })
	}
}

func BenchmarkListIndexMiddle(b *testing.B) {
	tx := newListTx(b)
	key := []byte("key:1")
	for range 100_000 {
		listOf(b, tx, "key:1").Push(Back, []byte("sixteen byte val"))
	}
	b.ReportAllocs()
	for b.Loop() {
		l, _ := tx.List(key, Read)
		l.Index(50_000, func([]byte) {})
	}
}
