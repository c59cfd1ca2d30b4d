package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/internal/api"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
	"github.com/adrian207/siemd/agent/internal/wal"
)

func newRun(std streams) *cobra.Command {
	var path string
	var watch bool
	var fallback, profile string
	cmd := &cobra.Command{
		Use:   "run [-c FILE]",
		Short: "run the agent in the foreground",
		Long: "run takes events in and delivers them until SIGTERM or Ctrl-C, then sends what waits for at most shutdown_timeout and exits 0;\n" +
			"a second signal exits at once. What is not delivered stays in the log for the next start. An edit of the config reloads it, as SIGHUP does:\n" +
			"all of it is applied, or, if it has mistakes, nothing.\n" +
			"If stdin is the only input, its end drains every connection and ends the agent.",
		Example: `  siemd run -c /etc/siemd/siemd.yaml
  some-app | siemd run -c stdin.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, problems := config.Load(path, config.Options{})
			problem := ""
			config.Print(std.err, problems)
			switch {
			case fallback != "" && fallback != "last-good":
				return fmt.Errorf("--fallback takes last-good, not %q", fallback)
			case cfg == nil && fallback == "":
				return exit(exitConfig, nil)
			case cfg == nil:
				var err error
				if cfg, err = loadLastGood(path, std.err); err != nil {
					return exit(exitConfig, err)
				}
				problem = (&supervisor.ConfigError{Problems: problems}).Error() + "; the one that was applied last runs in its place"
				fmt.Fprintf(std.err, "siemd: %s CANNOT BE USED: the config that was applied last runs in its place, until this one is mended\n", path)
			}
			stop, err := profileCPU(profile)
			if err != nil {
				return exit(exitCannotMake, err)
			}
			defer stop()
			return runAgent(cmd.Context(), cfg, path, problem, watch, std)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&fallback, "fallback", "", "last-good: if the config has mistakes, run the one that was applied last")
	cmd.Flags().BoolVar(&watch, "watch", true, "reload when config files change; also --watch=false")
	cmd.Flags().StringVar(&profile, "cpuprofile", "", "write to this file where the time goes until the agent ends, for 'go tool pprof'")
	return cmd
}

// runAgent is the daemon's life: open, serve, drain.
func runAgent(ctx context.Context, cfg *config.Config, path, problem string, watch bool, std streams) error {
	boundMemory()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // from here on it does not end the process; opening the log can take long
	defer signal.Stop(hup)
	log, level := newLog(std.err, cfg.Log)
	fallenBack := problem != ""
	notify(log, "STATUS=opening the log")
	a, err := supervisor.New(cfg, supervisor.Options{Log: log, Version: version, Problem: problem, Reloading: tellSystemd(log), Applied: func(cfg *config.Config) {
		setLevel(level, cfg.Log.Level)
		if err := writeSnapshot(cfg); err != nil {
			log.Warn("check --diff will not work", "err", err)
		}
		if fallenBack {
			fallenBack = false // it is the copy that runs
		} else if err := keepLastGood(cfg, path); err != nil {
			log.Warn("run --fallback last-good would run an older config", "err", err)
		}
	}})
	if err != nil {
		return startError(cfg, err)
	}
	srv, err := api.Listen(cfg, a, log)
	if err != nil {
		done, cancel := context.WithCancel(ctx)
		cancel()
		return startError(cfg, errors.Join(err, a.Run(done)))
	}
	serve, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- srv.Run(serve) }()
	stopWatching := exitOnSecondSignal()
	defer stopWatching()
	edits := make(chan struct{}, 1)
	var watching sync.WaitGroup
	watchCtx, stopWatch := context.WithCancel(ctx)
	defer watching.Wait()
	defer stopWatch()
	if watch {
		w := config.Watch{Path: path, Log: log, Sources: func() []string { return a.Config().Sources }}
		watching.Go(func() {
			w.Run(watchCtx, cfg.Hash, func() {
				select {
				case edits <- struct{}{}:
				default: // one is waiting, and will see this edit too
				}
			})
		})
	}
	reloads := reloadWhenAsked(ctx, a, edits, hup)
	notify(log, daemon.SdNotifyReady)
	defer reportToSystemd(a, log)()
	log.Info("siemd runs", "version", version, "data_dir", cfg.DataDir, "inputs", len(cfg.Inputs), "outputs", len(cfg.Outputs))
	err = a.Run(ctx)
	notify(log, daemon.SdNotifyStopping)
	<-reloads
	stopServing()
	err = errors.Join(err, <-served)
	log.Info("siemd has stopped")
	if err != nil {
		return exit(exitFailure, err)
	}
	return nil
}

// reloadWhenAsked applies the config anew on each SIGHUP and each edit, until
// ctx ends; then the channel closes.
func reloadWhenAsked(ctx context.Context, a *supervisor.Agent, edits <-chan struct{}, hup <-chan os.Signal) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			by := "SIGHUP"
			select {
			case <-ctx.Done():
				return
			case <-a.Done():
				return
			case <-edits:
				by = "edit"
			case <-hup:
			}
			_, _ = a.Reload(supervisor.Actor{Name: by}) // the agent logs what became of it
		}
	}()
	return done
}

// exitOnSecondSignal ends the process at once when the person insists. What was
// acknowledged is in the log.
func exitOnSecondSignal() (stop func()) {
	signals, done := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-done:
				return
			}
		}
		os.Exit(exitFailure)
	}()
	return func() { signal.Stop(signals); close(done) }
}

// startError gives the reason that the agent did not start its exit code.
func startError(cfg *config.Config, err error) error {
	var locked *wal.LockedError
	switch {
	case errors.As(err, &locked):
		return exit(exitCannotMake, fmt.Errorf("%w; stop it, or give this agent a data_dir of its own", locked))
	case errors.Is(err, fs.ErrPermission):
		return exit(exitPermission, fmt.Errorf("%w; data_dir must belong to the user that siemd runs as", err))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EADDRINUSE), errors.Is(err, syscall.EROFS):
		return exit(exitCannotMake, err)
	case errors.Is(err, wal.ErrNewer):
		return exit(exitFailure, fmt.Errorf("%s: %w; nothing was touched", cfg.DataDir, err))
	}
	return exit(exitFailure, err)
}

// newLog makes the agent's logger. Under systemd lines carry the priority that
// journald reads and no time of their own.
func newLog(w io.Writer, c config.Log) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	setLevel(level, c.Level)
	opts := &slog.HandlerOptions{Level: level}
	switch {
	case c.Format == "json":
		return slog.New(slog.NewJSONHandler(w, opts)), level
	case c.Format == "auto" && os.Getenv("JOURNAL_STREAM") != "":
		return slog.New(newJournalHandler(w, opts)), level
	}
	return slog.New(slog.NewTextHandler(w, opts)), level
}

func setLevel(v *slog.LevelVar, name string) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err == nil {
		v.Set(l)
	}
}
