package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// exact are the families whose every series must be what the load did; a
// series it knows nothing of must be 0.
var exact = []string{
	"synap_commands_total", "synap_command_duration_seconds_count", "redis_commands_processed_total", "synap_errors_total",
	"synap_kv_operations_total", "synap_kv_operation_duration_seconds_count",
	"synap_keyspace_hits_total", "synap_keyspace_misses_total", "synap_expired_keys_total", "synap_evicted_keys_total",
	"synap_queue_operations_total", "synap_queue_operation_duration_seconds_count", "synap_queue_depth",
	"synap_queue_unacked", "synap_queue_delayed", "synap_queue_dlq_messages", "synap_queue_redelivered_total",
	"synap_stream_operations_total", "synap_stream_events_total", "synap_stream_buffer_size",
	"synap_pubsub_operations_total", "synap_pubsub_messages_total", "synap_pubsub_subscriptions",
	"synap_connections_accepted_total", "synap_connections_rejected_total", "synap_connections", "synap_blocked_clients",
	"synap_net_input_bytes_total", "synap_net_output_bytes_total",
	"synap_ratelimit_decisions_total", "synap_ratelimit_overflow_total", "synap_panics_total", "synap_metrics_labels_dropped_total",
}

// family is the name of a series without its labels.
func family(series string) string {
	name, _, _ := strings.Cut(series, "{")
	return name
}

// row is one line of the report.
type row struct {
	series                    string
	expected, side, stored    float64
	atMost, withoutPrometheus bool
}

func (r *row) holds() bool {
	if r.atMost {
		return r.side <= r.expected
	}
	return r.side == r.expected && (r.withoutPrometheus || r.stored == r.expected)
}

// compare makes the rows of everything that did or the side port knows; stored
// is nil without a Prometheus.
func compare(did, side, stored ledger) []row {
	var rows []row
	names := map[string]bool{}
	for _, l := range []ledger{did, side, stored} {
		for name, n := range l {
			if n != 0 && slices.Contains(exact, family(name)) {
				names[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		rows = append(rows, row{series: name, expected: did[name], side: side[name], stored: stored[name], withoutPrometheus: stored == nil})
	}
	rows = append(rows, row{series: received, expected: did[delivered], side: did[received], withoutPrometheus: true})
	for _, from := range limited {
		rows = append(rows, row{
			series: series(admitted, "address", from), expected: did[series(allowed, "address", from)],
			side: did[series(admitted, "address", from)], atMost: true,
		})
	}
	return rows
}

// report prints the rows, or those only that do not hold, and returns how many
// those are.
func report(w io.Writer, rows []row, all bool) (wrong int) {
	fmt.Fprintf(w, "%14s %14s %14s  %-6s %s\n", "expected", "measured", "Prometheus", "equal", "series")
	for i := range rows {
		r := &rows[i]
		verdict, stored := "yes", number(r.stored)
		switch {
		case !r.holds():
			verdict = "NO"
			wrong++
		case !all:
			continue
		case r.atMost:
			verdict = "within"
		}
		if r.withoutPrometheus || r.atMost {
			stored = "-"
		}
		fmt.Fprintf(w, "%14s %14s %14s  %-6s %s\n", number(r.expected), number(r.side), stored, verdict, r.series)
	}
	fmt.Fprintf(w, "%d of %d agree\n", len(rows)-wrong, len(rows))
	return wrong
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// fetch reads a page of an HTTP server.
func fetch(address string) (string, error) {
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get(address)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", address, res.Status)
	}
	return string(body), err
}

// scrape reads /metrics of the side port.
func scrape(side string) (ledger, error) {
	page, err := fetch("http://" + side + "/metrics")
	if err != nil {
		return nil, err
	}
	l := ledger{}
	for sc := bufio.NewScanner(strings.NewReader(page)); sc.Scan(); {
		if text := sc.Text(); text != "" && text[0] != '#' {
			i := strings.LastIndexByte(text, ' ')
			if l[text[:i]], err = strconv.ParseFloat(text[i+1:], 64); err != nil {
				return nil, fmt.Errorf("/metrics: %q: %w", text, err)
			}
		}
	}
	return l, nil
}

// settled scrapes until what goes on by itself has come to rest: clients have
// left, keys have expired, and messages are where they belong. If it does not, the last scrape is returned: it
// will differ.
func settled(side string, did ledger) (ledger, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		l, err := scrape(side)
		if err != nil || time.Now().After(deadline) {
			return l, err
		}
		clients, queued := 0.0, true
		for name, n := range l {
			switch family(name) {
			case "synap_connections":
				clients += n
			case "synap_queue_depth", "synap_queue_unacked", "synap_queue_delayed":
				queued = queued && n == did[name]
			}
		}
		if clients == 0 && queued && l["synap_expired_keys_total"] >= did["synap_expired_keys_total"] {
			return l, nil
		}
	}
}

// stored asks a Prometheus for the values of its last scrape, which must be
// younger than this call, and how many scrapes there were.
func stored(prometheus string) (l ledger, scrapes float64, err error) {
	after := time.Now()
	for {
		up, err := query(prometheus, fmt.Sprintf("timestamp(up) > %.3f", float64(after.UnixMilli())/1000))
		if err == nil && len(up) == 1 {
			break
		}
		if time.Since(after) > patience {
			return nil, 0, errors.Join(errors.New("nothing is scraped"), err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if l, err = query(prometheus, `{job="synap"}`); err != nil {
		return nil, 0, err
	}
	count, err := query(prometheus, "sum(count_over_time(up[1h]))")
	return l, count["{}"], err
}

// query runs an instant query; series are named as on the side port.
func query(prometheus, expr string) (ledger, error) {
	page, err := fetch("http://" + prometheus + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal([]byte(page), &answer); err != nil {
		return nil, err
	}
	l := ledger{}
	for _, r := range answer.Data.Result {
		name := r.Metric["__name__"]
		var labels []string
		for _, label := range slices.Sorted(maps.Keys(r.Metric)) {
			if label != "__name__" && label != "job" && label != "instance" {
				labels = append(labels, label, r.Metric[label])
			}
		}
		text, _ := r.Value[1].(string)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if name == "" && len(labels) == 0 {
			name = "{}"
		}
		l[series(name, labels...)] = n
	}
	return l, nil
}
