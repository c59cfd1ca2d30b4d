package plugintest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

// T is the part of *testing.T that the checks use. It keeps package testing out of the program.
type T[Self any] interface {
	Helper()
	Run(name string, f func(Self)) bool
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
	Context() context.Context
}

// Env is what a component under test gets from its host.
func Env(kind, name string) agent.Env {
	id := agent.DefaultIdentity
	id.Host = "zerotrust-platform"
	return agent.Env{
		Name: name, Kind: kind, Version: "test", Identity: id,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: metrics.NewSet(),
	}
}

// Event makes the event that a log would hand out for a line of a Generator.
// It is a scan for tests; the fields are views into line.
func Event(seq uint64, line []byte) agent.Event {
	line = line[:len(line)-len("\n")]
	text := func(key string) []byte {
		if v := member(line, key); len(v) > 1 && v[0] == '"' {
			return v[1 : len(v)-1]
		}
		return nil
	}
	e := agent.Event{Seq: seq, ID: text("event_id"), Type: text("event_type"), Source: text("source"), Input: "test", Body: line}
	e.Severity, _ = agent.ParseSeverity(text("severity"))
	if t, err := time.Parse(time.RFC3339Nano, string(text("timestamp"))); err == nil {
		e.Time = t.UnixNano()
	}
	e.Received = e.Time + int64(5*time.Second)
	return e
}

// Events makes n events with ids that differ between seeds.
func Events(seed uint64, n int) []agent.Event {
	g := NewGenerator(seed)
	g.Prefix = fmt.Sprintf("T%d-", seed)
	events := make([]agent.Event, n)
	for i := range events {
		events[i] = Event(uint64(i+1), g.Append(nil))
	}
	return events
}
