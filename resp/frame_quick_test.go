package resp

import (
	"fmt"
	"testing"
)

func TestQuick(t *testing.T) {
	lim := DefaultLimits()
	var p Parser
	for _, in := range []string{"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "*0\r\n", "*-1\r\n", "\r\n", "PING\r\n", `ECHO foo"bar" "\x41" 'a\nb'` + "\n", "*1\r\n$-1\r\n", "*1\r\n$123456\r\n", "*+1\r\n", "*1\n", "*1\r\nfoo"} {
		a, n, err := p.Next([]byte(in), &lim)
		fmt.Printf("%q -> %q %d %v\n", in, a, n, err)
		p.frame = frame{}
		var got string
		buf := []byte{}
		for i := range in {
			buf = append([]byte{}, in[:i+1]...)
			a, n, err := p.Next(buf, &lim)
			if n > 0 || err != nil {
				got = fmt.Sprintf("%q %d %v", a, n, err)
				break
			}
		}
		fmt.Println("   ", got)
		p.frame = frame{}
	}
}

func BenchmarkParsePipeline16(b *testing.B) {
	lim := DefaultLimits()
	var p Parser
	buf := []byte{}
	for range 16 {
		buf = append(buf, "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$64\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n"...)
	}
	for b.Loop() {
		for off := 0; off < len(buf); {
			_, n, _ := p.Next(buf[off:], &lim)
			off += n
		}
	}
}
