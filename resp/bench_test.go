package resp

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkDoorEcho sends pipelines of ECHO over loopback and reads the replies:
// the client's half of the work is in the figure.
func BenchmarkDoorEcho(b *testing.B) {
	for _, kind := range doorKinds() {
		for _, depth := range []int{1, 16} {
			b.Run(kind+"/"+strconv.Itoa(depth), func(b *testing.B) {
				h := start(b, kind, nil)
				b.RunParallel(func(pb *testing.PB) {
					conn, err := h.dialer()
					if err != nil {
						b.Error(err)
						return
					}
					defer conn.Close()
					echo(b, conn, depth, pb.Next)
				})
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(depth), "ns/request")
			})
		}
	}
}

func echo(b *testing.B, conn net.Conn, depth int, next func() bool) {
	value := strings.Repeat("v", 64)
	in := []byte(strings.Repeat(arr("ECHO", value), depth))
	out := make([]byte, depth*len("$64\r\n\r\n"+value))
	for next() {
		if _, err := conn.Write(in); err != nil {
			b.Error(err)
			return
		}
		if _, err := io.ReadFull(conn, out); err != nil {
			b.Error(err)
			return
		}
	}
}
