package delivery

import (
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// meters are an output's metrics. Gauges belong to one Runner and are
// unregistered with it; counters outlive it.
type meters struct {
	env      agent.Env
	gauges   []string
	events   [Expired + 1]*metrics.Counter
	retries  [permanent + 1]*metrics.Counter
	splits   *metrics.Counter
	requests *metrics.PrometheusHistogram
	carried  *carry
}

func (r *Runner) newMeters() *meters {
	m := &meters{env: r.o.Env, carried: &r.o.Failed.carried}
	counts := r.o.Cursor.Counts()
	for _, c := range []struct {
		Result
		n uint64
	}{{Sent, counts.Sent}, {Failed, counts.Failed}, {Filtered, counts.Filtered}, {Expired, counts.Expired}} {
		m.events[c.Result] = r.o.Env.Counter("events_total", "result", c.Result.String())
		if m.events[c.Result].Get() == 0 {
			m.events[c.Result].Set(c.n) // it goes on where the last process ended
		}
	}
	for v := again; v <= permanent; v++ {
		m.retries[v] = r.o.Env.Counter("retries_total", "reason", v.String())
	}
	m.splits = r.o.Env.Counter("splits_total")
	m.requests = r.o.Env.Histogram("request_seconds")
	m.gauge("pending_events", func() float64 { return float64(r.Pending()) })
	m.gauge("failed_events", func() float64 { return float64(r.o.Failed.Len()) })
	m.gauge("oldest_pending_age_seconds", func() float64 { return r.oldestAge(time.Now()).Seconds() })
	m.gauge("requests_in_flight", func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(r.busy)
	})
	m.gauge("up", func() float64 {
		if r.Health().Status == Unwell {
			return 0
		}
		return 1
	})
	return m
}

// gauge registers f in place of what a predecessor left.
func (m *meters) gauge(name string, f func() float64) {
	full := fmt.Sprintf("siemd_%s_%s{%s=%q}", m.env.Kind, name, m.env.Kind, m.env.Name)
	m.env.Metrics.UnregisterMetric(full)
	m.env.Gauge(name, f)
	m.gauges = append(m.gauges, full)
}

func (m *meters) unregister() {
	for _, name := range m.gauges {
		m.env.Metrics.UnregisterMetric(name)
	}
}

func (m *meters) count(c wal.Counts) {
	c = m.carried.pay(c)
	m.events[Sent].AddInt64(int64(c.Sent))
	m.events[Failed].AddInt64(int64(c.Failed))
	m.events[Filtered].AddInt64(int64(c.Filtered))
}

// expired is told how many there are by the ledger, where the log and the failed
// store count too. The counter does not go back: what was in flight when the log gave it up may be sent yet.
func (m *meters) expired(n uint64) {
	if c := m.events[Expired]; c.Get() < n {
		c.Set(n)
	}
}

func (m *meters) retry(v verdict)         { m.retries[v].Inc() }
func (m *meters) split()                  { m.splits.Inc() }
func (m *meters) request(d time.Duration) { m.requests.Update(d.Seconds()) }
