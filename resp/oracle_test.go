package resp

import (
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestRowsAgainstRedis sends every row to a redis-server and expects the answer
// that the doors give, except where the row says that it differs.
func TestRowsAgainstRedis(t *testing.T) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server is installed")
	}
	for _, password := range []string{"", "pw"} {
		path := filepath.Join(t.TempDir(), "s")
		cmd := exec.Command(binary, "--port", "0", "--unixsocket", path, "--save", "", "--requirepass", password, "--proto-max-bulk-len", "512mb")
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
		for i := range rows {
			if r := &rows[i]; (r.limit != nil) == (password != "") {
				t.Run(r.name, func(t *testing.T) { askRedis(t, r, path) })
			}
		}
	}
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
