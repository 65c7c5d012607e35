package resp

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRowsAgainstRedis sends every row to a redis-server and expects the answer
// that the doors give, except where the row says that it differs.
func TestRowsAgainstRedis(t *testing.T) {
	for _, password := range []string{"", "pw"} {
		path := startRedis(t, password)
		for i := range rows {
			if r := &rows[i]; (r.limit != nil) == (password != "") {
				t.Run(r.name, func(t *testing.T) { askRedis(t, r, path) })
			}
		}
	}
}

// startRedis starts a redis-server and returns its socket.
func startRedis(t *testing.T, password string) string {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server is installed")
	}
	path := filepath.Join(t.TempDir(), "s")
	cmd := exec.Command(binary, "--port", "0", "--unixsocket", path, "--save", "", "--requirepass", password)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	until(t, "redis-server listens", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return path
}

func askRedis(t *testing.T, r *row, path string) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(r.in))
	if r.fault == "" || r.differs != "" { // Redis may keep it open: the end comes from here
		_ = conn.(*net.UnixConn).CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	got, _ := io.ReadAll(conn)
	if same := string(got) == r.wire(); same != (r.differs == "") {
		t.Errorf("Redis answers %.300q, the doors %.300q; the row says it differs: %q", got, r.wire(), r.differs)
	}
}

// TestFloatsAgainstRedis compares INCRBYFLOAT's arithmetic and parsing, which
// are C's long double, with a redis-server's.
func TestFloatsAgainstRedis(t *testing.T) {
	conn, err := net.Dial("unix", startRedis(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		a, b := floats(r), floats(r)
		_, _ = conn.Write([]byte(arr("SET", "k", a) + arr("INCRBYFLOAT", "k", b)))
		want := ""
		for range 2 { // the first is SET's
			line, err := in.ReadString('\n')
			if err == nil && line[0] == '$' {
				line, err = in.ReadString('\n')
			}
			if err != nil {
				t.Fatal(err)
			}
			want = strings.TrimRight(line, "\r\n")
		}
		got, err := AddLongDouble([]byte(a), []byte(b))
		if err != nil {
			got = "-" + err.Error()
		}
		if got != want {
			t.Errorf("%q + %q: %q, Redis %q", a, b, got, want)
		}
	}
}
