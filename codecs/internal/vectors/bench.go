package vectors

import (
	"fmt"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
)

// sample is an anomaly of 423 bytes, the size that the project's figures are given for.
const sample = `{"event_id":"ANO-1000000042","timestamp":"2025-10-29T12:00:00.123456Z","event_type":"anomaly","source":"DEV-4217",` +
	`"severity":"high","title":"Unusual outbound traffic volume","anomaly":{"type":"network","score":0.874,"confidence":0.92,` +
	`"baseline":48210,"observed":731877},"detection":{"method":"statistical","detector":"StatisticalDetector"},` +
	`"mitre_attack":{"tactic":"TA0010","technique":"T1048"},"description":"bytes_out >"}`

// Encode measures a codec on events of 423 bytes, and fails if it allocates.
func Encode(b *testing.B, c agent.Encoder) {
	b.Helper()
	events := Samples(b)
	dst := make([]byte, 0, 16<<10)
	each := func() {
		for _, e := range events {
			dst, _ = c.Encode(dst[:0], e)
		}
	}
	for range 10 { // until it knows these events
		each()
	}
	if n := testing.AllocsPerRun(10, each); n != 0 {
		b.Errorf("%v allocations for %d events", n, len(events))
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(sample)))
	for i := 0; b.Loop(); i++ {
		dst, _ = c.Encode(dst[:0], events[i%len(events)])
	}
}

// Sample is the event that figures are given for.
func Sample() []byte { return []byte(sample) }

// Samples are events like Sample, of the same size, from one device after the
// other: each has an id, a time, a source and scores of its own.
func Samples(tb testing.TB) []*agent.Event {
	tb.Helper()
	events := make([]*agent.Event, 64)
	for i := range events {
		own := strings.NewReplacer(
			"ANO-1000000042", fmt.Sprintf("ANO-10000%05d", i*i),
			"12:00:00.123", fmt.Sprintf("12:00:%02d.%03d", i/10, i*7%1000),
			"DEV-4217", fmt.Sprintf("DEV-%04d", 1000+i*37),
			"0.874", fmt.Sprintf("0.%03d", 100+i*13),
			"731877", fmt.Sprint(731877-i*577),
		).Replace(sample)
		if len(own) != 423 {
			tb.Fatalf("a sample has %d bytes: %s", len(own), own)
		}
		events[i] = Event(tb, []byte(own))
	}
	return events
}
