package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlpClient sends spans by HTTP: https://opentelemetry.io/docs/specs/otlp/#otlphttp
// It stands for otlptracehttp, whose gRPC stubs weigh a quarter of the binary.
type otlpClient struct {
	http     *http.Client
	endpoint string
	headers  http.Header
}

// newOTLPClient takes further headers from the environment, as the specification
// of exporters names them.
func newOTLPClient(client *http.Client, endpoint string) (*otlpClient, error) {
	c := &otlpClient{http: client, endpoint: endpoint, headers: http.Header{}}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		for pair := range strings.SplitSeq(os.Getenv(name), ",") {
			if pair = strings.TrimSpace(pair); pair == "" {
				continue
			}
			key, value, ok := strings.Cut(pair, "=")
			value, err := url.PathUnescape(strings.TrimSpace(value))
			if !ok || err != nil {
				return nil, fmt.Errorf("%s must be a list of name=value", name)
			}
			c.headers.Set(strings.TrimSpace(key), value)
		}
	}
	c.headers.Set("Content-Type", "application/x-protobuf")
	return c, nil
}

// Start implements otlptrace.Client.
func (c *otlpClient) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *otlpClient) Stop(context.Context) error { return nil }

// UploadTraces implements otlptrace.Client. A collector that is not there or
// overloaded is asked again, with growing pauses, for traceRetry.
func (c *otlpClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans}) // has the wire form of an export request
	if err != nil {
		return err
	}
	begin := time.Now()
	for pause := traceRetry / 6; ; pause = min(2*pause, traceRetry/2) {
		again, err := c.post(ctx, body)
		if !again || time.Since(begin)+pause > traceRetry {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// maxAnswer is the most that is read of what a collector says.
const maxAnswer = 64 << 10

// post sends one request; again says that another may succeed.
func (c *otlpClient) post(ctx context.Context, body []byte) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header = c.headers.Clone()
	answer, err := c.http.Do(r)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)) // so that the connection serves again
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	if answer.StatusCode/100 != 2 {
		err = fmt.Errorf("the collector answered %s", answer.Status)
	}
	return again, err
}
