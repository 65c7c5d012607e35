package store

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestLZF(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var z lzf
	packed := 0
	for range 3000 {
		src := make([]byte, rnd.IntN(1+rnd.IntN(20_000)))
		letters := 1 + rnd.IntN(256)
		for i := range src {
			src[i] = byte(rnd.IntN(letters))
			if i > 300 && rnd.IntN(3) > 0 {
				src[i] = src[i-rnd.IntN(300)-1]
			}
		}
		if rnd.IntN(3) == 0 {
			src = bytes.Repeat(src, 1+rnd.IntN(5))
		}
		out, ok := z.compress([]byte("head"), src, len(src)-4)
		if !ok {
			if string(out) != "head" {
				t.Fatal("a refusal leaves bytes")
			}
			continue
		}
		packed++
		body := out[4:]
		if len(body) > len(src)-4 || len(src) > lzfRatio*len(body) {
			t.Fatalf("%d bytes of %d", len(body), len(src))
		}
		got := make([]byte, len(src))
		if !lzfExpand(got, body) || !bytes.Equal(got, src) {
			t.Fatalf("%d bytes come back otherwise", len(src))
		}
		for _, n := range []int{-1, 1} {
			if lzfExpand(make([]byte, len(src)+n), body) {
				t.Fatal("another length is taken")
			}
		}
		body[rnd.IntN(len(body))] ^= 1 << rnd.IntN(8)
		lzfExpand(got, body) // must not panic
	}
	if packed < 500 {
		t.Errorf("only %d texts could be compressed", packed)
	}
}

func TestLZFRefuses(t *testing.T) {
	for _, src := range []string{"\x00", "\x05abc", "\x20", "\x20\x00", "\xe0", "\xe0\x00", "\x00a\x20\x01", "\x00a\x3f\xff", "\x1f"} {
		if lzfExpand(make([]byte, 8), []byte(src)) {
			t.Errorf("%q is taken", src)
		}
	}
	got := make([]byte, 10)
	if !lzfExpand(got, []byte("\x00a\xe0\x00\x00")) || string(got) != "aaaaaaaaaa" {
		t.Errorf("a copy over itself gives %q", got)
	}
}
