package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/internal/supervisor"
	"github.com/adrian207/siemd/agent/internal/wal"
	"github.com/adrian207/siemd/agent/plugintest"
)

func heard(t *testing.T, conn *net.UnixConn, within time.Duration) string {
	t.Helper()
	buf := make([]byte, 4096)
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// The watchdog is fed by what comes round, and starves when that does not.
func TestWatchdogIsFedByProgress(t *testing.T) {
	conn := plugintest.ListenAsSystemd(t)
	t.Setenv("NOTIFY_SOCKET", conn.LocalAddr().String())
	var stuck atomic.Bool
	starving := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		feedWatchdog(ctx, 40*time.Millisecond, func(ctx context.Context) error {
			if !stuck.Load() {
				return nil
			}
			starving <- struct{}{}
			<-ctx.Done()
			return errors.New("the committer of the log does not come round")
		}, slog.New(slog.DiscardHandler))
	}()
	for range 3 {
		if got := heard(t, conn, 10*time.Second); got != "WATCHDOG=1" {
			t.Fatalf("the watchdog was not fed: %q", got)
		}
	}
	stuck.Store(true)
	<-starving
	for heard(t, conn, time.Millisecond) != "" { // fed before it was stuck
	}
	<-starving
	<-starving
	if got := heard(t, conn, time.Millisecond); got != "" {
		t.Errorf("a stuck agent says %q", got)
	}
	stuck.Store(false)
	select {
	case <-starving: // it had looked already
	default:
	}
	if got := heard(t, conn, 10*time.Second); got != "WATCHDOG=1" {
		t.Errorf("the watchdog is not fed again: %q", got)
	}
	cancel()
	<-done
}

func TestStatusLine(t *testing.T) {
	now := time.Now()
	f := func(want string, st supervisor.Status) {
		t.Helper()
		if got := statusLine(st, now); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	hec := supervisor.OutputStatus{Name: "hec", Health: "failed", Since: now.Add(-4 * time.Minute), Pending: 1200}
	fine := supervisor.OutputStatus{Name: "es", Health: "healthy", Since: now}
	f("0 connections ok; backlog 0 events, log 0B", supervisor.Status{Ready: "ok"})
	f("1 connection ok, hec failed for 4m; backlog 1200 events, log 12MiB",
		supervisor.Status{Ready: "ok", Log: wal.Stats{Bytes: 12 << 20}, Outputs: []supervisor.OutputStatus{fine, hec}})
	f("2 connections ok; backlog 0 events, log 0B; takes no events: the log is full",
		supervisor.Status{Ready: "the log is full", Outputs: []supervisor.OutputStatus{fine, fine}})
	got := statusLine(supervisor.Status{Ready: "ok", Problem: "a.yaml:1:\x1b[31m\nb.yaml"}, now)
	if strings.ContainsAny(got, "\n\x1b") || !strings.Contains(got, "the config on disk does not run: a.yaml:1:") {
		t.Errorf("%q", got)
	}
}
