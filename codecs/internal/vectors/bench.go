package vectors

import (
	"testing"

	"github.com/adrian207/siemd/agent"
)

// sample is an anomaly of 423 bytes, the size that the project's figures are given for.
const sample = `{"event_id":"ANO-1000000042","timestamp":"2025-10-29T12:00:00.123456Z","event_type":"anomaly","source":"DEV-4217",` +
	`"severity":"high","title":"Unusual outbound traffic volume","anomaly":{"type":"network","score":0.874,"confidence":0.92,` +
	`"baseline":48210,"observed":731877},"detection":{"method":"statistical","detector":"StatisticalDetector"},` +
	`"mitre_attack":{"tactic":"TA0010","technique":"T1048"},"description":"bytes_out >"}`

// Encode measures a codec on an event of 423 bytes, and fails if it allocates.
func Encode(b *testing.B, c agent.Encoder) {
	b.Helper()
	if len(sample) != 423 {
		b.Fatalf("the sample has %d bytes", len(sample))
	}
	e := Event(b, []byte(sample))
	dst, err := c.Encode(nil, e)
	if err != nil {
		b.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { dst, _ = c.Encode(dst[:0], e) }); n != 0 {
		b.Errorf("%v allocations for an event", n)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(e.Body)))
	for b.Loop() {
		dst, _ = c.Encode(dst[:0], e)
	}
}

// Sample is the event that Encode measures with.
func Sample() []byte { return []byte(sample) }
