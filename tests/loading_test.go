//go:build !record

package tests

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bigLog writes a log of so many SETs, as a Redis would, and returns its size.
func bigLog(t *testing.T, dir string, sets int) int64 {
	t.Helper()
	log := filepath.Join(dir, "appendonlydir")
	if err := os.Mkdir(log, 0o755); err != nil {
		t.Fatal(err)
	}
	manifest := "file appendonly.aof.1.incr.aof seq 1 type i\n"
	if err := os.WriteFile(filepath.Join(log, "appendonly.aof.manifest"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(log, "appendonly.aof.1.incr.aof"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range sets {
		fmt.Fprintf(w, "*3\r\n$3\r\nSET\r\n$7\r\nk%06d\r\n$7\r\nv%06d\r\n", i%1000000, i%1000000)
	}
	err = w.Flush()
	size, err2 := f.Seek(0, io.SeekCurrent)
	if err = errors.Join(err, err2, f.Close()); err != nil {
		t.Fatal(err)
	}
	return size
}

// sidePage fetches a page of the side port.
func (p *program) sidePage(t *testing.T, path string) (status int, body string) {
	t.Helper()
	res, err := http.Get("http://" + p.side + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// field returns a field of INFO.
func field(info, name string) string {
	_, rest, _ := strings.Cut(info, "\r\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// While a big log is loaded, only what needs no data is answered, and everything
// that tells of the server tells how far it is.
func TestLoading(t *testing.T) {
	dir := t.TempDir()
	size := bigLog(t, dir, 1_200_000)
	p := startProgram(t, "--dir", dir, "--appendonly", "yes", "--latency-tracking", "no")
	c := p.dial(t, 2)
	info := c.must(t, "INFO", "persistence").text
	if field(info, "loading") != "1" {
		t.Fatalf("the log was loaded before anybody could ask:\n%s", info)
	}
	// Stopped for longer than the time between two lines of its log, the program
	// writes one as soon as it goes on.
	p.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(2100 * time.Millisecond)
	p.cmd.Process.Signal(syscall.SIGCONT)

	for _, args := range [][]string{{"GET", "k000000"}, {"SET", "a", "b"}, {"PING"}, {"KEYS", "*"}, {"BGSAVE"}, {"DBSIZE"}} {
		v, err := c.do(args...)
		if err != nil || v.text != "LOADING Redis is loading the dataset in memory" {
			t.Errorf("%q: %v %s", args, err, v.render())
		}
	}
	for _, args := range [][]string{{"INFO"}, {"CONFIG", "GET", "port"}, {"CLIENT", "ID"}, {"LASTSAVE"}, {"COMMAND", "COUNT"}, {"SUBSCRIBE", "c"}} {
		c.must(t, args...)
	}
	c.close()
	c = p.dial(t, 3)
	info = c.must(t, "INFO", "persistence").text
	if field(info, "loading") != "1" {
		t.Fatal("the log was loaded while it was asked for")
	}
	done, err := strconv.ParseInt(field(info, "loading_loaded_bytes"), 10, 64)
	percent, err2 := strconv.ParseFloat(field(info, "loading_loaded_perc"), 64)
	eta, err3 := strconv.Atoi(field(info, "loading_eta_seconds"))
	if errors.Join(err, err2, err3) != nil || done <= 0 || done >= size || percent <= 0 || percent >= 100 || eta < 0 ||
		field(info, "loading_total_bytes") != fmt.Sprint(size) || field(info, "loading_start_time") == "" {
		t.Errorf("of %d bytes:\n%s", size, info)
	}
	if status, body := p.sidePage(t, "/readyz"); status != 503 || !strings.Contains(body, "loading the data: ") {
		t.Error(status, body)
	}
	if status, _ := p.sidePage(t, "/healthz"); status != 200 {
		t.Error("not alive while loading:", status)
	}
	_, metrics := p.sidePage(t, "/metrics")
	contains(t, metrics, "\nsynap_loading 1\n", "\nredis_loading_dump_file 1\n", fmt.Sprintf("\nsynap_loading_bytes{kind=\"total\"} %g\n", float64(size)))

	p.awaitLoaded(t)
	c.must(t, "GET", "k000000")
	if status, body := p.sidePage(t, "/readyz"); status != 200 {
		t.Error(status, body)
	}
	if line := regexp.MustCompile(`"msg":"loading","percent":"[0-9.]+","remaining_seconds":\d+`); !line.MatchString(p.log.String()) {
		t.Error("no line of progress in the log")
	}
	if info = c.must(t, "INFO", "persistence").text; field(info, "loading") != "0" || strings.Contains(info, "loading_") && field(info, "async_loading") != "0" {
		t.Error(info)
	}
}

// inject lets system calls of a running program fail or last until it is called.
func (p *program) inject(t *testing.T, what string) (end func()) {
	t.Helper()
	pid := strconv.Itoa(p.cmd.Process.Pid) // the shell has become the program
	cmd := exec.Command(needProgram(t, "strace"), "-f", "-p", pid, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:"+what)
	log := &lockedBuffer{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() {
		cmd.Process.Signal(syscall.SIGINT) // it lets go of the program
		cmd.Wait()
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	for deadline := time.Now().Add(replyTimeout); !strings.Contains(log.String(), "attached"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("strace does not attach:", log)
		}
	}
	return end
}

// A disk that fails is told by metrics and /readyz, and its recovery too.
func TestFailingDiskIsSeen(t *testing.T) {
	p := startProgram(t, "--dir", t.TempDir(), "--appendonly", "yes", "--appendfsync", "always")
	p.awaitLoaded(t)
	p.dial(t, 2).must(t, "SET", "k", "v")
	end := p.inject(t, "error=EIO")
	if v, err := p.dial(t, 2).do("SET", "k", "w"); err == nil && v.kind != 'x' {
		t.Errorf("a write that was never synced was answered: %s", v.render())
	}
	c := p.dial(t, 2)
	v, err := c.do("SET", "k", "w")
	if err != nil || !strings.HasPrefix(v.text, "MISCONF ") {
		t.Errorf("%v %s", err, v.render())
	}
	if status, body := p.sidePage(t, "/readyz"); status != 503 || !strings.Contains(body, "the log cannot be written: ") || !strings.Contains(body, "input/output error") {
		t.Error(status, body)
	}
	_, metrics := p.sidePage(t, "/metrics")
	contains(t, metrics, "\nsynap_aof_healthy 0\n", "\nsynap_aof_failures_total 1\n", "\nredis_aof_last_write_status 0\n")
	end()
	for deadline := time.Now().Add(replyTimeout); ; time.Sleep(10 * time.Millisecond) {
		if v, err := c.do("SET", "k", "x"); err == nil && !v.isError() {
			break
		} else if err != nil || time.Now().After(deadline) {
			t.Fatalf("writes are not accepted again: %v %s", err, v.render())
		}
	}
	_, metrics = p.sidePage(t, "/metrics")
	contains(t, metrics, "\nsynap_aof_healthy 1\n", "\nsynap_aof_failures_total 1\n", "\nredis_aof_last_write_status 1\n")
	if status, body := p.sidePage(t, "/readyz"); status != 200 {
		t.Error(status, body)
	}
}

// A slow disk is seen in LATENCY and in the histogram of syncs.
func TestSlowDiskIsSeen(t *testing.T) {
	p := startProgram(t, "--dir", t.TempDir(), "--appendonly", "yes", "--appendfsync", "always", "--latency-monitor-threshold", "20")
	p.awaitLoaded(t)
	end := p.inject(t, "delay_exit=30000")
	defer end()
	c := p.dial(t, 2)
	c.must(t, "SET", "k", "v")
	latest := c.must(t, "LATENCY", "LATEST").render()
	contains(t, latest, `"aof-fsync-always"`)
	if strings.Contains(latest, `"aof-write"`) {
		t.Error("the write was not slow:", latest)
	}
	_, metrics := p.sidePage(t, "/metrics")
	quick, all := 0, 0
	for line := range strings.Lines(metrics) {
		fmt.Sscanf(line, `synap_aof_fsync_duration_seconds_bucket{le="0.025"} %d`, &quick)
		fmt.Sscanf(line, `synap_aof_fsync_duration_seconds_count %d`, &all)
	}
	if all == 0 || quick >= all {
		t.Errorf("%d of %d syncs took less than 25 ms", quick, all)
	}
}
