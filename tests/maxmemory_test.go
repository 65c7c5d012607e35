//go:build !record

package tests

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestMaxMemoryWithLists pushes several times maxmemory into many lists from
// many clients: every push is taken, old lists go, and the process stays within
// a quarter and 64 MB above the limit.
func TestMaxMemoryWithLists(t *testing.T) {
	const limit, clients, rounds, batch = 64 << 20, 8, 100, 8
	p := startProgram(t, "--maxmemory", strconv.Itoa(limit), "--maxmemory-policy", "allkeys-lru")
	pushed := 0
	var group sync.WaitGroup
	errs := make(chan error, clients)
	for seed := range uint64(clients) {
		c := p.dial(t, 2)
		r := rand.New(rand.NewPCG(seed, 3))
		group.Go(func() {
			for range rounds {
				var b []byte
				for range batch {
					args := []string{"LPUSH", fmt.Sprintf("list:%d", r.IntN(3000))}
					for range 50 {
						args = append(args, strings.Repeat("x", 10+r.IntN(2000)))
					}
					b = appendCommand(b, args)
				}
				if err := c.sendRaw(b); err != nil {
					errs <- err
					return
				}
				for range batch {
					if v, err := c.read(); err != nil || v.isError() {
						errs <- fmt.Errorf("LPUSH: %v %s", err, v.render())
						return
					}
				}
			}
		})
		pushed += rounds * batch * 50 * 1000
	}
	group.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	c := p.dial(t, 2)
	if v := c.must(t, "DBSIZE"); v.render() == "(integer) 3000" || pushed < 4*limit {
		t.Errorf("%s lists are there after %d bytes", v.render(), pushed)
	}
	if got, most := p.resident(t)<<20, limit+limit/4+64<<20; got > most {
		t.Errorf("resident: %d bytes, want %d at most", got, most)
	}
}
