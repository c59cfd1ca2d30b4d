package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// BenchmarkDelivery measures the whole agent as it sends what waits in its log
// to a receiver that takes its time: by latency and concurrency, and each of
// these again beside a connection that hangs. The two are measured one after
// the other, so that their ratios, of time and of the agent's processor time,
// hold on a noisy machine. The connection hangs already when the clock starts:
// until then it reads the log up to its limit, which costs once what any other connection costs.
func BenchmarkDelivery(b *testing.B) {
	const n = 100_000
	mute := startReceiver(b, "http", plugintest.Options{Light: true, Fault: "hang"})
	// What is disabled keeps its place, and with it the events.
	outputs := fmt.Sprintf("outputs:\n  keep: {type: http, endpoint: %q, enabled: false, start: oldest}\n", mute.URL())
	a := startBench(b, outputs)
	base, err := os.ReadFile(a.conf())
	if err != nil {
		b.Fatal(err)
	}
	lines, _ := generate(1, "B-", n)
	for chunk := range chunks(lines, 2000) {
		if err := a.post(chunk); err != nil {
			b.Fatal(err)
		}
	}
	run := 0
	reload := func(conf string) {
		writeFile(b, a.conf(), conf)
		if err := a.call("POST", "/api/v1/siem/reload", nil); err != nil {
			b.Fatal(err)
		}
	}
	deliver := func(latency time.Duration, concurrency string, dead bool) cost {
		run++
		r := startReceiver(b, "splunk", plugintest.Options{Light: true, Fault: fmt.Sprintf("slow=%v", latency)})
		conf := string(base)
		if dead {
			conf += fmt.Sprintf("  dead-%d: {type: http, endpoint: %q, start: oldest, timeout: 10m}\n", run, mute.URL())
			before := mute.Stats().Faults
			reload(conf)
			eventually(b, time.Minute, "the neighbour hangs", func() bool { return mute.Stats().Faults > before && a.idles() })
		}
		conf += fmt.Sprintf("  run-%d: {type: splunk, endpoint: %q, token: T, start: oldest, concurrency: %s, batch: {max_events: 1000}}\n", run, r.URL(), concurrency)
		used := a.processor()
		took := make(chan time.Duration)
		go func() { took <- arrival(r, n) }() // it begins before the reload answers
		reload(conf)
		d := cost{time: <-took}
		d.processor = a.processor() - used
		if s := r.Stats(); s.Repeats != 0 || s.Events != n {
			b.Fatalf("%+v", s)
		}
		return d
	}
	deliver(0, "4", false) // the first one reads a cold log
	for _, latency := range []time.Duration{0, 10 * time.Millisecond, 50 * time.Millisecond} {
		for _, concurrency := range []string{"1", "4", "auto"} {
			b.Run(fmt.Sprintf("latency=%v/concurrency=%s", latency, concurrency), func(b *testing.B) {
				var alone, beside cost
				for range b.N {
					alone.add(deliver(latency, concurrency, false))
					beside.add(deliver(latency, concurrency, true))
				}
				b.ReportMetric(float64(n*b.N)/alone.time.Seconds(), "events/s")
				b.ReportMetric(alone.processor.Seconds()/float64(n*b.N)*1e6, "cpu-s/M")
				b.ReportMetric(alone.time.Seconds()/beside.time.Seconds(), "beside-dead/alone")
				b.ReportMetric(beside.processor.Seconds()/alone.processor.Seconds(), "cpu-beside-dead/alone")
			})
		}
	}
	reload(string(base))
	if got, err := a.metric("siemd_unaccounted_events"); err != nil || got != 0 {
		b.Errorf("siemd_unaccounted_events is %v, %v", got, err)
	}
	a.stop()
}

// A cost is what a delivery took.
type cost struct{ time, processor time.Duration }

func (c *cost) add(d cost) { c.time, c.processor = c.time+d.time, c.processor+d.processor }

// processor is the processor time that siemd has used.
func (d *daemon) processor() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var ticks int
	for _, f := range fields[11:13] { // user and system
		n, err := strconv.Atoi(f)
		if err != nil {
			d.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// idles reports whether siemd has used less than a tenth of a processor for a moment.
func (d *daemon) idles() bool {
	before := d.processor()
	time.Sleep(300 * time.Millisecond)
	return d.processor()-before <= 30*time.Millisecond
}

// arrival is how long n events take from the first request on, or a minute.
func arrival(r *plugintest.Receiver, n int64) time.Duration {
	deadline := time.Now().Add(time.Minute)
	for r.Stats().Requests == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	for r.Stats().Events < n && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}
