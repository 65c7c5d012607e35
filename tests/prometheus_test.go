//go:build !record

package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPrometheus lets a real Prometheus scrape the side port.
func TestPrometheus(t *testing.T) {
	path := needProgram(t, "prometheus")
	p := startProgram(t)
	c := p.dial(t, 2)
	for range 100 {
		c.must(t, "SET", "k", "v")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("scrape_configs:\n- job_name: synap\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['%s']\n", p.side)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	cmd := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+listen)
	log := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for query, want := range map[string]string{
		"up":                              "1",
		`redis_commands_total{cmd="set"}`: "100",
		"redis_connected_clients":         "1",
		`redis_db_keys{db="db0"}`:         "1",
	} {
		if got := awaitSample(listen, query, want); got != want {
			t.Errorf("Prometheus says %q of %s, want %s\n%s", got, query, want, shortened(log.String(), 1000))
		}
	}
}

// awaitSample asks Prometheus until it has the wanted sample.
func awaitSample(listen, query, want string) (got string) {
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get("http://" + listen + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			continue
		}
		var answer struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		resp.Body.Close()
		if err == nil && len(answer.Data.Result) == 1 {
			if got = fmt.Sprint(answer.Data.Result[0].Value[1]); got == want {
				break
			}
		}
	}
	return got
}

// grownNames break a rule of naming, but dashboards know them by these names.
var grownNames = map[string]bool{"synap_kv_keys_total": true}

// TestMetricsFormat has promtool judge the exposition.
func TestMetricsFormat(t *testing.T) {
	path := needProgram(t, "promtool")
	p := startProgram(t)
	c := p.dial(t, 3)
	c.must(t, "SET", "k", "v")
	c.must(t, "XADD", "s", "*", "f", "v")
	for _, page := range []string{"/metrics", "/healthz", "/readyz", "/version"} {
		resp, err := http.Get("http://" + p.side + page)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s: %v, %s, %d bytes", page, err, resp.Status, len(body))
		}
		if page != "/metrics" {
			continue
		}
		check := exec.Command(path, "check", "metrics")
		check.Stdin = strings.NewReader(string(body))
		out, _ := check.CombinedOutput()
		for complaint := range strings.Lines(string(out)) {
			if name, _, _ := strings.Cut(complaint, " "); !grownNames[name] {
				t.Errorf("promtool: %s", complaint)
			}
		}
	}
}
