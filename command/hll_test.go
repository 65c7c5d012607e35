package command

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"testing"
)

// FuzzHLL feeds foreign bytes to everything that reads a HyperLogLog: nothing
// panics, and a value that is whole counts the same sparse, dense and merged.
func FuzzHLL(f *testing.F) {
	h := newHLL(nil)
	f.Add([]byte(h), uint64(1))
	for i := range 300 {
		h, _, _ = h.add([]byte(strconv.Itoa(i)), 3000)
	}
	f.Add([]byte(h), uint64(2))
	d, _ := h.toDense()
	f.Add([]byte(d), uint64(3))
	f.Add(append(bytes.Clone(h[:hllHeader]), 0x80, 0x7f), uint64(4))
	f.Fuzz(func(t *testing.T, v []byte, seed uint64) {
		if !isHLL(v) {
			return
		}
		h := hll(bytes.Clone(v))
		if !h.dense() {
			h.decode()
		}
		n, whole := h.count()
		var regs hllRegs
		if h.mergeInto(&regs) != whole {
			t.Fatal("merge and count disagree about corruption")
		}
		d, ok := h.toDense()
		if ok != whole {
			t.Fatal("conversion and count disagree about corruption")
		}
		if whole {
			if dense, _ := d.count(); dense != n || regs.count() != n {
				t.Fatalf("counts %d, dense %d, merged %d", n, dense, regs.count())
			}
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		for range 50 {
			register, value := rnd.IntN(hllRegisters), byte(1+rnd.IntN(51))
			grown, _, ok := h.raise(register, value, 3000)
			if !ok {
				return
			}
			h, regs[register] = grown, max(regs[register], value)
		}
		var after hllRegs
		if whole && (!h.mergeInto(&after) || after != regs) {
			t.Fatal("raised registers are not those asked for")
		}
	})
}

// TestHLLRaiseAll checks that a merge with its moving cursor gives the bytes
// that raising one register after another gives, which are Redis'.
func TestHLLRaiseAll(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		h := newHLL(nil)
		for range rnd.IntN(400) {
			h, _, _ = h.raise(rnd.IntN(1<<(1+rnd.IntN(hllBits))), byte(1+rnd.IntN(3)), 3000)
		}
		var regs hllRegs
		for range rnd.IntN(800) {
			regs[rnd.IntN(1<<(1+rnd.IntN(hllBits)))] = byte(1 + rnd.IntN(4))
		}
		want := hll(bytes.Clone(h))
		for i, v := range regs {
			if v > 0 {
				want, _, _ = want.raise(i, v, 3000)
			}
		}
		if got := hll(bytes.Clone(h)).raiseAll(&regs, 3000); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: merged bytes differ", seed)
		}
	}
}

func TestHLLDenseRegisters(t *testing.T) {
	h, _ := newHLL(nil).toDense()
	rnd := rand.New(rand.NewPCG(1, 2))
	var want hllRegs
	for range 60000 {
		i, v := rnd.IntN(hllRegisters), byte(rnd.IntN(64))
		if raised := h.raiseDense(i, v); raised != (v > want[i]) {
			t.Fatalf("register %d of %d, raised to %d: %v", i, want[i], v, raised)
		}
		want[i] = max(want[i], v)
	}
	var got hllRegs
	h.mergeInto(&got)
	if got != want {
		t.Fatal("registers differ")
	}
}

func TestHLLEstimate(t *testing.T) {
	h := newHLL(nil)
	for n := 1; n <= 200000; n++ {
		h, _, _ = h.add(strconv.AppendInt(nil, int64(n), 10), 3000)
		if n&(n-1) != 0 {
			continue
		}
		if got, ok := h.count(); !ok || float64(got) < float64(n)*0.96-1 || float64(got) > float64(n)*1.04+1 {
			t.Errorf("%d elements are estimated as %d", n, got)
		}
	}
}
