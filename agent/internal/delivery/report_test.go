package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

func TestMetrics(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Filter.EventTypes = []string{"good", "bad"}
		b.cursor.counts, b.cursor.start, b.cursor.seq = wal.Counts{Sent: 7}, 1, 8 // from an earlier life
		b.log.next = 8
		b.fake.set(typed("bad", agent.Permanent(errSaid)))
		b.log.put(nil, event(0, "good"), event(1, "bad"), event(2, "other"))
		b.start()
		within(5 * time.Second)
		b.fake.set(outage(time.Hour, errors.New("down")))
		b.log.put(nil, events(3, 4, "good")...)
		within(10 * time.Minute)
		var out bytes.Buffer
		b.env.Metrics.WritePrometheus(&out)
		for _, want := range []string{
			`siemd_output_events_total{output="siem",result="sent"} 8`, `siemd_output_events_total{output="siem",result="failed"} 1`,
			`siemd_output_events_total{output="siem",result="filtered"} 1`, `siemd_output_events_total{output="siem",result="expired"} 0`,
			`siemd_output_pending_events{output="siem"} 4`, `siemd_output_failed_events{output="siem"} 1`,
			`siemd_output_up{output="siem"} 0`, `siemd_output_oldest_pending_age_seconds{output="siem"} 600`,
			`siemd_output_retries_total{output="siem",reason="failure"} `, `siemd_output_request_seconds_count{output="siem"} `,
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %s in\n%s", want, out.String())
			}
		}
		b.stop()
		out.Reset()
		b.env.Metrics.WritePrometheus(&out)
		if strings.Contains(out.String(), "pending_events") || !strings.Contains(out.String(), "events_total") {
			t.Errorf("after the end:\n%s", out.String())
		}
	})
}

// TestLog: a failure is logged when it begins, changes and ends, not each time.
func TestLog(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		var out bytes.Buffer
		b.env.Log = slog.New(slog.NewTextHandler(&out, nil))
		b.fake.set(outage(time.Hour, errors.New("down")))
		b.log.put(nil, events(0, 100, "good")...)
		b.start()
		within(2 * time.Hour)
		b.stop()
		lines := strings.Count(out.String(), "\n")
		if lines != 3 || !strings.Contains(out.String(), "takes events again") { // begins, is called failed, ends
			t.Errorf("log:\n%s", out.String())
		}
	})
}

// TestLogOfPartialRecovery: an output that takes some of a batch takes events
// again, and the log says since when it had not.
func TestLogOfPartialRecovery(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		var out bytes.Buffer
		b.env.Log = slog.New(slog.NewTextHandler(&out, nil))
		began := time.Now()
		b.fake.set(func(events []agent.Event) error {
			switch since := time.Since(began); {
			case since < time.Minute:
				return errors.New("down")
			case since < time.Hour:
				return typed("busy", errors.New("429"))(events)
			}
			return nil
		})
		b.log.put(nil, append(events(0, 99, "good"), event(99, "busy"))...)
		b.start()
		within(2 * time.Hour)
		b.stop()
		b.counts(wal.Counts{Sent: 100})
		for line := range strings.Lines(out.String()) {
			_, after, again := strings.Cut(line, "failed_for=")
			if took, err := time.ParseDuration(strings.TrimSpace(after)); again && (err != nil || took > 2*time.Hour) {
				t.Errorf("%v: %s", err, line)
			}
		}
		if strings.Count(out.String(), "takes events again") != 2 {
			t.Errorf("log:\n%s", out.String())
		}
	})
}

// TestLedgerSpeaks: a difference is logged with both sides, once.
func TestLedgerSpeaks(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		var out bytes.Buffer
		b.env.Log = slog.New(slog.NewTextHandler(&out, nil))
		b.log.put(nil, events(0, 10, "good")...)
		b.start()
		within(2 * time.Second)
		b.cursor.mu.Lock()
		b.cursor.counts.Sent -= 3
		b.cursor.mu.Unlock()
		within(time.Minute)
		if b.runner.Unaccounted() != 3 || strings.Count(out.String(), "does not add up") != 1 || !strings.Contains(out.String(), "passed=10 counted=7") {
			t.Errorf("unaccounted = %d\n%s", b.runner.Unaccounted(), out.String())
		}
		b.cursor.mu.Lock()
		b.cursor.counts.Sent += 3
		b.cursor.mu.Unlock()
		within(time.Minute)
		if b.runner.Unaccounted() != 0 || fmt.Sprint(b.runner.Pending()) != "0" {
			t.Errorf("unaccounted = %d", b.runner.Unaccounted())
		}
	})
}
