//go:build !record

package tests

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var flagFaults = flag.Int("faults", 6, "calls of a thread that fail in turn in TestFailingDisk")

const (
	faultWriters = 3
	faultWrites  = 30 // to be acknowledged for each when the fault has come
)

// faultLedger is what one writer knows of its list.
type faultLedger struct {
	key   string
	tried int // elements 1 … were sent
	acked map[int]bool
}

// TestFailingDisk lets one system call after the other fail under the log, once
// in each thread or from then on, at the start or later, and goes on until it
// has. What is acknowledged must be there after a kill; writes are refused with
// MISCONF while the log is broken, reads are not; and if the disk is well again,
// so is the server.
func TestFailingDisk(t *testing.T) {
	needProgram(t, "strace")
	begun := t.TempDir()
	tornLog(t, begun)
	var refused atomic.Int64
	t.Cleanup(func() {
		if refused.Load() == 0 {
			t.Error("no write was refused in any run")
		}
	})
	calls := map[string]int{"fdatasync": *flagFaults, "fsync": min(*flagFaults, 12), "write": *flagFaults, "openat": min(*flagFaults, 12), "renameat": min(*flagFaults, 4), "ftruncate": 1}
	for call, last := range calls {
		for n := 1; n <= last; n++ {
			e, lasting := []string{"EIO", "ENOSPC"}[n%2], n%4 >= 2
			when := strconv.Itoa(n)
			if lasting {
				when += "+"
			}
			t.Run(call+" "+e+" "+when, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(begun)); err != nil {
					t.Fatal(err)
				}
				inject := fmt.Sprintf("inject=%s:error=%s:when=%s", call, e, when)
				failingDisk(t, dir, call, inject, lasting, &refused)
			})
		}
	}
}

func failingDisk(t *testing.T, dir, call, inject string, lasting bool, refused *atomic.Int64) {
	ledgers := make([]*faultLedger, faultWriters)
	for i := range ledgers {
		ledgers[i] = &faultLedger{key: "list:" + strconv.Itoa(i), acked: map[int]bool{}}
	}
	p := startTraced(t, dir, call, inject)
	if call != "fdatasync" && call != "write" { // there may be too few of them
		p.came.Store(true)
	}
	if p.refused {
		return // it refused to start, and said why
	}
	admin := p.dial(t, 2)
	pid := serverPid(t, admin)
	var all sync.WaitGroup
	for _, l := range ledgers {
		all.Go(func() {
			if err := l.write(p, lasting, refused); err != nil {
				t.Errorf("%s: %v", l.key, err)
			}
		})
	}
	for range 3 {
		time.Sleep(10 * time.Millisecond)
		if v, err := admin.do("BGREWRITEAOF"); err != nil || v.kind == 'x' {
			t.Errorf("BGREWRITEAOF: %v %s", err, v.render())
		}
	}
	all.Wait()
	await(t, "the fault in what strace wrote", p.came.Load)
	if err := exec.Command("kill", "-KILL", pid).Run(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	again := startProgram(t, "--dir", dir, "--appendonly", "yes")
	again.awaitLoaded(t)
	c := again.dial(t, 2)
	for _, l := range ledgers {
		l.check(t, c)
	}
}

func serverPid(t *testing.T, c *client) string {
	t.Helper()
	_, rest, _ := strings.Cut(c.must(t, "INFO", "server").text, "process_id:")
	pid, _, _ := strings.Cut(rest, "\r\n")
	return pid
}

// tornLog leaves a log whose last write was interrupted.
func tornLog(t *testing.T, dir string) {
	t.Helper()
	p := startProgram(t, "--dir", dir, "--appendonly", "yes")
	p.awaitLoaded(t)
	p.dial(t, 2).must(t, "SET", "k", "v")
	p.cmd.Process.Kill()
	p.cmd.Wait()
	f, err := os.OpenFile(filepath.Join(dir, "appendonlydir", "appendonly.aof.1.incr.aof"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("#BATCH:0000000100\r\n*1"); err != nil {
		t.Fatal(err)
	}
}

// tracedProgram is the program under strace.
type tracedProgram struct {
	program
	ended   <-chan struct{}
	refused bool        // to start
	came    atomic.Bool // a call has failed
}

// watch looks for the first failed call in what strace writes.
func (p *tracedProgram) watch(trace string) {
	for {
		if b, err := os.ReadFile(trace); err == nil && bytes.Contains(b, []byte("(INJECTED)")) {
			p.came.Store(true)
			return
		}
		select {
		case <-p.ended:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// startTraced starts the program so that a system call on a file of the log
// fails, or refuses to start.
func startTraced(t *testing.T, dir, call, inject string) *tracedProgram {
	t.Helper()
	binary, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "appendonlydir")
	trace := filepath.Join(t.TempDir(), "trace")
	args := []string{"-f", "-qq", "-o", trace, "-e", "trace=" + call, "-e", inject, "-P", in, "-P", filepath.Join(in, "appendonly.aof.manifest.tmp")}
	for n := range 12 {
		name := filepath.Join(in, "appendonly.aof."+strconv.Itoa(n+1))
		args = append(args, "-P", name+".incr.aof", "-P", name+".base.rdb.tmp")
	}
	p := &tracedProgram{program: program{port: fmt.Sprint(freePort(t)), log: &lockedBuffer{}}}
	p.addr = "127.0.0.1:" + p.port
	args = append(args, binary, "--port", p.port, "--http-port", "0", "--dir", dir, "--appendonly", "yes", "--appendfsync", "always")
	p.cmd = exec.Command("strace", args...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to end it with what it traces
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		p.cmd.Wait()
		close(ended)
	}()
	p.ended = ended
	go p.watch(trace)
	t.Cleanup(func() {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("the server's log:\n%s", shortened(p.log.String(), 4000))
		}
	})
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		select {
		case <-ended:
			if text := p.log.String(); !strings.Contains(text, "INJECTED") && !strings.Contains(text, "synap: ") {
				t.Errorf("the program ended without a word:\n%s", text)
			}
			p.refused = true
			return p
		default:
		}
		c, err := dial("tcp", p.addr, 2)
		if err != nil {
			continue
		}
		v, err := c.do("PING")
		c.close()
		if err == nil && v.text == "PONG" {
			return p
		}
	}
	t.Fatalf("the program neither starts nor ends:\n%s", p.log.String())
	return nil
}

// write appends to its list until enough is acknowledged behind the fault, or
// with a lasting one until the first refusal.
func (l *faultLedger) write(p *tracedProgram, lasting bool, refused *atomic.Int64) error {
	var c *client
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for deadline, left := time.Now().Add(2*replyTimeout), faultWrites; left > 0; {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d writes are still to be accepted, of %d tried; the fault has come: %v", left, l.tried, p.came.Load())
		}
		if c == nil {
			var err error
			if c, err = dial("tcp", p.addr, 2); err != nil {
				return err
			}
		}
		l.tried++
		v, err := c.do("RPUSH", l.key, strconv.Itoa(l.tried))
		switch {
		case err != nil:
			return err
		case v.kind == 'x': // the outcome is unknown
			c.close()
			c = nil
		case v.isError() && !strings.HasPrefix(v.text, "MISCONF Errors writing to the AOF file: "):
			return fmt.Errorf("RPUSH: %s", v.render())
		case v.isError():
			refused.Add(1)
			if v, err := c.do("LLEN", l.key); err != nil || v.kind != ':' {
				return fmt.Errorf("LLEN while writes are refused: %v %s", err, v.render())
			}
			if lasting {
				return nil
			}
			time.Sleep(5 * time.Millisecond)
		default:
			l.acked[l.tried] = true
			if p.came.Load() {
				left--
			}
		}
	}
	return nil
}

func (l *faultLedger) check(t *testing.T, c *client) {
	t.Helper()
	last, there := 0, 0
	for _, item := range c.must(t, "LRANGE", l.key, "0", "-1").items {
		n, err := strconv.Atoi(item.text)
		if err != nil || n <= last || n > l.tried {
			t.Errorf("%s holds %q behind %d, of %d sent", l.key, item.text, last, l.tried)
		}
		if last = n; l.acked[n] {
			there++
		}
	}
	if there != len(l.acked) {
		t.Errorf("%s: %d of %d acknowledged elements are there", l.key, there, len(l.acked))
	}
}
