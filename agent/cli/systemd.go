package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// statusEvery is how often systemd is told what goes on, if that has changed.
const statusEvery = 10 * time.Second

// reportToSystemd feeds the watchdog and keeps the line of systemctl status up
// to date, if there is a systemd that wants to know, until stop is called.
func reportToSystemd(a *supervisor.Agent, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if interval, err := daemon.SdWatchdogEnabled(false); err != nil {
		log.Warn("the watchdog is off", "err", err)
	} else if interval > 0 {
		running.Go(func() { feedWatchdog(ctx, interval, a.Alive, log) })
	}
	if os.Getenv("NOTIFY_SOCKET") != "" {
		running.Go(func() { reportStatus(ctx, a, log) })
	}
	return func() { cancel(); running.Wait() }
}

// feedWatchdog tells systemd four times per interval that the agent lives, each
// time only after alive has found that every loop has come round. An agent that
// hangs is not fed, and systemd starts another one.
func feedWatchdog(ctx context.Context, interval time.Duration, alive func(context.Context) error, log *slog.Logger) {
	t := time.NewTicker(max(interval/4, time.Millisecond))
	defer t.Stop()
	stuck := false
	for {
		look, cancel := context.WithTimeout(ctx, interval/2)
		err := alive(look)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			notify(log, daemon.SdNotifyWatchdog)
		case !stuck:
			log.Error("no progress, the watchdog is not fed", "err", err, "restart_after", interval)
		}
		stuck = err != nil
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func reportStatus(ctx context.Context, a *supervisor.Agent, log *slog.Logger) {
	t := time.NewTicker(statusEvery)
	defer t.Stop()
	last := ""
	for {
		if line := statusLine(a.Status(), time.Now()); line != last {
			notify(log, "STATUS="+line)
			last = line
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// statusLine is the agent in one line: "2 connections ok, hec failed for 4m; backlog 1200 events, log 12MiB".
func statusLine(st supervisor.Status, now time.Time) string {
	ok, pending := 0, uint64(0)
	var parts []string
	for _, o := range st.Outputs {
		pending += o.Pending
		switch o.Health {
		case "healthy", "unknown":
			ok++
		default:
			parts = append(parts, fmt.Sprintf("%s %s for %s", o.Name, o.Health, roughly(now.Sub(o.Since))))
		}
	}
	line := fmt.Sprintf("%d connections ok", ok)
	if ok == 1 {
		line = "1 connection ok"
	}
	line = strings.Join(append([]string{line}, parts...), ", ")
	line += fmt.Sprintf("; backlog %d events, log %s", pending, agent.Bytes(st.Log.Bytes))
	if st.Ready != "ok" {
		line += "; takes no events: " + st.Ready
	}
	if st.Problem != "" {
		line += "; the config on disk does not run: " + st.Problem
	}
	return visible([]byte(firstLine(line)))
}

// roughly is d in its largest unit, so that the line changes seldom.
func roughly(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return "moments"
}

// tellSystemd says when a reload begins, by systemd's clock, and how it ended.
func tellSystemd(log *slog.Logger) func() func(int, error) {
	return func() func(int, error) {
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // cannot fail for a clock that is always there
		notify(log, fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
		return func(generation int, err error) {
			status := fmt.Sprintf("config generation %d runs", generation)
			if err != nil {
				status = fmt.Sprintf("reload refused, config generation %d runs on: %s", generation, visible([]byte(firstLine(err.Error()))))
			}
			notify(log, daemon.SdNotifyReady+"\nSTATUS="+status)
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd was not told", "state", state, "err", err)
	}
}
