package supervisor

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/VictoriaMetrics/metrics"
)

// registerMetrics adds what no single component can tell.
func (a *Agent) registerMetrics(problem string) {
	a.metrics.NewGauge("siemd_unaccounted_events", func() float64 {
		a.mu.Lock()
		outs := values(a.outputs)
		a.mu.Unlock()
		n := 0.0
		for _, o := range outs {
			n += math.Abs(float64(o.runner.Load().Unaccounted()))
		}
		return n
	})
	a.reloads.register(a.metrics, problem)
	a.refused.Register(a.metrics)
	a.metrics.NewGauge(fmt.Sprintf("siemd_build_info{version=%q}", a.version), func() float64 { return 1 })
}

// WriteMetrics writes everything that is measured in Prometheus's text format.
func (a *Agent) WriteMetrics(w io.Writer) {
	metrics.ExposeMetadata(true) // the lines that say which are counters, gauges and histograms
	var b bytes.Buffer
	a.metrics.WritePrometheus(&b)
	metrics.WriteProcessMetrics(&b)
	metrics.WriteFDMetrics(&b)
	for line := range bytes.Lines(b.Bytes()) {
		if name, ok := bytes.CutPrefix(line, []byte("# HELP ")); ok {
			// The library knows no more than the name here.
			if m := metricNamed(string(bytes.TrimSpace(name))); m != nil {
				fmt.Fprintf(w, "# HELP %s %s\n", m.name, m.help)
			}
			continue
		}
		if _, err := w.Write(line); err != nil {
			return
		}
	}
}

func metricNamed(name string) *metric {
	for i := range metricList {
		if metricList[i].name == name {
			return &metricList[i]
		}
	}
	return nil
}

// MetricsReference is the text of docs/metrics.md: every metric of siemd in a table.
func MetricsReference() string {
	var b strings.Builder
	b.WriteString("# Metrics\n\n" +
		"What `GET /metrics` shows, in Prometheus's text format; each metric says there what it is, too. Beside these there are `go_*` and\n" +
		"`process_*`, of the Go runtime and the process. After a restart `siemd_output_events_total` and `siemd_refused_dropped_total` go on\n" +
		"where they were, other counters begin at 0. `packaging/observability/` has alerts, which the [runbook](runbook.md) explains, and a dashboard.\n\n" +
		"| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, m := range metricList {
		kind := "gauge"
		switch {
		case strings.HasSuffix(m.name, "_total"):
			kind = "counter"
		case strings.HasSuffix(m.name, "_seconds") && !strings.HasSuffix(m.name, "_age_seconds") && !strings.HasSuffix(m.name, "_timestamp_seconds"):
			kind = "histogram"
		}
		labels := ""
		if m.labels != "" {
			labels = "`" + strings.ReplaceAll(m.labels, " ", "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, kind, labels, strings.ReplaceAll(m.help, "|", `\|`))
	}
	return b.String()
}
