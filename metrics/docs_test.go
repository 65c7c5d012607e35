package metrics

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const docsPath = "../docs/metrics.md"

// The table of families in docs/metrics.md is written from the registry.
func TestDocsFresh(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Metrics\n\nWritten by `go test ./metrics -run TestDocsFresh -update` from the families the server registers. " +
		"Try `curl http://127.0.0.1:15500/metrics`.\n\n" +
		"Names that clients choose (queue, room, topic, event_type) are capped by `metrics.max_label_values`; the rest is summed under `_other`, " +
		"and `/metrics/detailed?family=queue&match=orders-*` shows them all. Histograms are classic in the text formats and native too in protobuf.\n")
	familyRows(&b, "Synap's own", Families())
	familyRows(&b, "Under the names of redis_exporter (option `metrics.redis_names`)", append(redisFamilies(), FamilyInfo{
		Name: "redis_latency_percentiles_usec", Type: "summary", Labels: []string{"cmd", "quantile"}, Help: "Time of a command in microseconds, by quantile.",
	}))
	if *update {
		if err := os.WriteFile(docsPath, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(docsPath); err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Errorf("docs/metrics.md is stale (%v): go test ./metrics -run TestDocsFresh -update", err)
	}
}

func familyRows(b *bytes.Buffer, title string, families []FamilyInfo) {
	fmt.Fprintf(b, "\n## %s\n\n| family | type | labels | |\n|---|---|---|---|\n", title)
	for _, f := range families {
		help := f.Help
		if f.Waiting != "" {
			help += " Waits for " + f.Waiting + "."
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", f.Name, f.Type, strings.Join(f.Labels, ", "), help)
	}
}
