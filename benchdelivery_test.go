package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// BenchmarkDelivery measures the whole agent as it sends what waits in its log
// to a receiver that takes its time: by latency and concurrency, and each of
// these again beside a connection that hangs. The two are measured one after
// the other, so that their ratio holds on a noisy machine.
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
	deliver := func(latency time.Duration, concurrency string, dead bool) time.Duration {
		run++
		r := startReceiver(b, "splunk", plugintest.Options{Light: true, Fault: fmt.Sprintf("slow=%v", latency)})
		conf := string(base)
		if dead {
			conf += fmt.Sprintf("  dead-%d: {type: http, endpoint: %q, start: oldest, timeout: 10m}\n", run, mute.URL())
		}
		conf += fmt.Sprintf("  run-%d: {type: splunk, endpoint: %q, token: T, start: oldest, concurrency: %s, batch: {max_events: 1000}}\n", run, r.URL(), concurrency)
		writeFile(b, a.conf(), conf)
		took := make(chan time.Duration)
		go func() { took <- arrival(r, n) }() // it begins before the reload answers
		if err := a.call("POST", "/api/v1/siem/reload", nil); err != nil {
			b.Fatal(err)
		}
		d := <-took
		if s := r.Stats(); s.Repeats != 0 || s.Events != n {
			b.Fatalf("%+v", s)
		}
		return d
	}
	deliver(0, "4", false) // the first one reads a cold log
	for _, latency := range []time.Duration{0, 10 * time.Millisecond, 50 * time.Millisecond} {
		for _, concurrency := range []string{"1", "4", "auto"} {
			b.Run(fmt.Sprintf("latency=%v/concurrency=%s", latency, concurrency), func(b *testing.B) {
				var alone, beside time.Duration
				for range b.N {
					alone += deliver(latency, concurrency, false)
					beside += deliver(latency, concurrency, true)
				}
				rate := float64(n*b.N) / alone.Seconds()
				b.ReportMetric(rate, "events/s")
				b.ReportMetric(float64(n*b.N)/beside.Seconds()/rate, "beside-dead/alone")
			})
		}
	}
	writeFile(b, a.conf(), string(base))
	if err := a.call("POST", "/api/v1/siem/reload", nil); err != nil {
		b.Fatal(err)
	}
	if got, err := a.metric("siemd_unaccounted_events"); err != nil || got != 0 {
		b.Errorf("siemd_unaccounted_events is %v, %v", got, err)
	}
	a.stop()
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
