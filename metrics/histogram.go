package metrics

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// histogram is a finished histogram: classic buckets for the text formats and,
// when native is set, the exact ones for protobuf.
type histogram struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	count  uint64
	sum    float64 // seconds
	upper  []float64
	cum    []uint64 // beside upper, cumulative
	native []uint64 // as Commands keeps them; nil: classic only
}

func (h *histogram) Desc() *prometheus.Desc { return h.desc }

// Write implements prometheus.Metric.
func (h *histogram) Write(m *dto.Metric) error {
	out := &dto.Histogram{SampleCount: proto.Uint64(h.count), SampleSum: proto.Float64(h.sum)}
	out.Bucket = make([]*dto.Bucket, len(h.upper))
	for i := range h.upper {
		out.Bucket[i] = &dto.Bucket{CumulativeCount: &h.cum[i], UpperBound: &h.upper[i]}
	}
	if h.native != nil {
		writeNative(out, h.native)
	}
	m.Label, m.Histogram = h.labels, out
	return nil
}

// writeNative adds the sparse form: the first bucket is the zero bucket, the
// others are spans of consecutive buckets with the differences of their counts.
func writeNative(out *dto.Histogram, counts []uint64) {
	out.Schema = proto.Int32(schema)
	out.ZeroThreshold = proto.Float64(math.Exp2(firstIndex >> schema))
	out.ZeroCount = proto.Uint64(counts[0])
	out.PositiveSpan = []*dto.BucketSpan{} // an empty histogram is a native one too
	var span *dto.BucketSpan
	last, end := int64(0), int32(0)
	for i, n := range counts[1:] {
		if n == 0 {
			continue
		}
		index := int32(firstIndex + 1 + i)
		if span == nil || index != end {
			span = &dto.BucketSpan{Offset: proto.Int32(index - end), Length: proto.Uint32(0)}
			out.PositiveSpan = append(out.PositiveSpan, span)
		}
		*span.Length++
		end = index + 1
		out.PositiveDelta = append(out.PositiveDelta, int64(n)-last)
		last = int64(n)
	}
	if len(out.PositiveSpan) == 0 {
		out.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
	}
}

// classic are the indexes of the bucket bounds shown in classic histograms:
// every power of two, or every second one.
var (
	fineBounds, fineIndex     = classicBounds(1)
	coarseBounds, coarseIndex = classicBounds(2)
	objectUpper               = objectSeconds()
)

func classicBounds(step int) (upper []float64, index []int) {
	for i := 0; i < bounds; i += step << schema {
		upper = append(upper, math.Exp2(float64(firstIndex+i)/(1<<schema)))
		index = append(index, i)
	}
	return upper, index
}

func objectSeconds() (upper []float64) {
	for i := range objectBounds {
		upper = append(upper, math.Exp2(float64(firstIndex>>schema+3*i)))
	}
	return upper
}

// classic adds bucket counts up at the chosen bounds.
func classic(counts []uint64, index []int) []uint64 {
	cum := make([]uint64, len(index))
	var sum uint64
	next := 0
	for i, n := range counts {
		sum += n
		if next < len(index) && index[next] == i {
			cum[next] = sum
			next++
		}
	}
	return cum
}
