package figures

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
	"github.com/adrian207/siemd/codecs/cef"
	"github.com/adrian207/siemd/codecs/ecs"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/hec"
	"github.com/adrian207/siemd/codecs/internal/vectors"
	"github.com/adrian207/siemd/codecs/leef"
	"github.com/adrian207/siemd/codecs/raw"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

// A codec, and the most that it may take for the sample event, in nanoseconds.
type codec struct {
	name string
	enc  agent.Encoder
	goal time.Duration
}

// reader is what ecs, rfc5424, cef and leef have in common: it has no goal of its own.
type reader struct{ fields.Reader }

func (r *reader) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	var f fields.Fields
	r.Read(&f, e)
	return append(dst, f.Get(fields.Title)...), nil
}

func codecs(tb testing.TB) []codec {
	tb.Helper()
	must := func(e agent.Encoder, err error) agent.Encoder {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return e
	}
	header := rfc5424.HeaderConfig{Facility: 16, App: vectors.App, Host: vectors.Host}
	h, err := hec.New(hec.Config{App: vectors.App, Host: vectors.Host, Index: vectors.App, Sourcetype: "_json"})
	e, err2 := ecs.New(ecs.Config{App: vectors.App, Index: "zerotrust-%Y.%m.%d"})
	s, err3 := rfc5424.New(rfc5424.Config{HeaderConfig: header})
	c, err4 := cef.New(cef.Config{HeaderConfig: header, Vendor: vectors.Vendor, Product: vectors.Product, ProductVersion: vectors.Version})
	l, err5 := leef.New(leef.Config{HeaderConfig: header, Vendor: vectors.Vendor, Product: vectors.Product, ProductVersion: vectors.Version})
	r, err6 := ecs.New(ecs.Config{App: vectors.App, Index: "zerotrust-%Y.%m.%d", Schema: "raw"})
	return []codec{
		{"fields", &reader{}, 0},
		{"json", raw.Codec{}, 250},
		{"hec", must(h, err), 250},
		{"ecs", must(e, err2), 250},
		{"ecs-raw", must(r, err6), 250},
		{"rfc5424", must(s, err3), 800},
		{"cef", must(c, err4), 1200},
		{"leef", must(l, err5), 1200},
	}
}

// mixed are events of all types, about 400 bytes each, no two of them the same:
// what a codec does next cannot be learnt from the event before.
func mixed(tb testing.TB) []*agent.Event {
	g := plugintest.NewGenerator(1)
	events := make([]*agent.Event, 100*len(plugintest.EventTypes()))
	for i := range events {
		events[i] = vectors.Event(tb, bytes.TrimSpace(g.Append(nil)))
	}
	return events
}

// BenchmarkCodecs prints one table: nanoseconds of processor time for an
// event of 423 bytes like those before it, and for one of many different ones; the
// best and the middle of many short rounds, so that what else the machine does counts little.
func BenchmarkCodecs(b *testing.B) {
	one := slices.Repeat(vectors.Samples(b), 4)
	many := mixed(b)
	fmt.Printf("\n%-8s %9s %9s %9s %7s %7s %11s %9s\n", "codec", "best ns", "median ns", "goal ns", "allocs", "bytes", "mixed, best", "median")
	for _, c := range codecs(b) {
		dst, err := c.enc.Encode(nil, one[0])
		if err != nil {
			b.Fatal(err)
		}
		size := len(dst)
		allocs := testing.AllocsPerRun(100, func() { dst, _ = c.enc.Encode(dst[:0], one[0]) })
		if allocs != 0 {
			b.Errorf("%s: %v allocations for an event", c.name, allocs)
		}
		best, median := measure(c.enc, one, 200)
		mixedBest, mixedMedian := measure(c.enc, many, 60)
		fmt.Printf("%-8s %9d %9d %9d %7.0f %7d %11d %9d\n", c.name, best, median, c.goal, allocs, size, mixedBest, mixedMedian)
		b.ReportMetric(float64(median), c.name+"-ns/event")
	}
}

// measure is the processor time that an event takes: that of the best and of the middle round.
func measure(enc agent.Encoder, events []*agent.Event, rounds int) (best, median time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var dst []byte
	took := make([]time.Duration, rounds)
	for i := range took {
		began := processor()
		for _, e := range events {
			dst, _ = enc.Encode(dst[:0], e)
		}
		took[i] = (processor() - began) / time.Duration(len(events))
	}
	slices.Sort(took)
	return took[0], took[rounds/2]
}

// TestCodecsDoNotAllocate holds for every codec, on any machine.
func TestCodecsDoNotAllocate(t *testing.T) {
	e := vectors.Event(t, vectors.Sample())
	for _, c := range codecs(t) {
		dst, err := c.enc.Encode(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { dst, _ = c.enc.Encode(dst[:0], e) }); n != 0 {
			t.Errorf("%s: %v allocations for an event", c.name, n)
		}
	}
}
