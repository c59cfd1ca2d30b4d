package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkIngest posts NDJSON in batches of a thousand events of about 400
// bytes to the whole agent, by the number of clients that wait for their answer
// at a time. Each answer means that the batch is fsynced. Clients and agent
// share the machine; the processor time is the agent's alone.
func BenchmarkIngest(b *testing.B) {
	const batch = 1000
	a := startBench(b, "outputs:\n  keep: {type: file, path: /dev/null, enabled: false}\n")
	lines, _ := generate(1, "B-", 20*batch)
	bodies := slices.Collect(chunks(lines, batch))
	for _, clients := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			b.SetBytes(int64(len(lines) / len(bodies)))
			before := processorTime(b, a.cmd.Process.Pid)
			var next atomic.Int64
			var wait sync.WaitGroup
			began := time.Now()
			for range clients {
				wait.Go(func() {
					for {
						n := int(next.Add(1)) - 1
						if n >= b.N {
							return
						}
						if err := a.post(bodies[n%len(bodies)]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wait.Wait()
			events := float64(b.N * batch)
			b.ReportMetric(events/time.Since(began).Seconds(), "events/s")
			b.ReportMetric(float64((processorTime(b, a.cmd.Process.Pid)-before).Microseconds())/events, "cpu-µs/event")
		})
	}
	a.stop()
}

// processorTime is how much a process has used since its start.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := bytes.Cut(text, []byte(") ")) // what is before may hold spaces
	fields := bytes.Fields(rest)
	var ticks int64
	for _, f := range fields[11:13] { // user and system time, in hundredths of a second
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
