package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/internal/api"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
	"github.com/adrian207/siemd/agent/plugintest"
)

func newDemo(std streams) *cobra.Command {
	var length time.Duration
	var rate int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "see events flow: mock SIEMs, a generator and the agent in one process",
		Long: "demo needs no config, no SIEM, no root and no network. It starts mock Splunk, Elasticsearch and syslog receivers on loopback, an agent\n" +
			"with its log in a temporary directory, and a generator that writes a rotating JSONL file and posts over HTTP. Half-way Splunk goes down\n" +
			"and comes back; a status page shows it. In the end the ledger is added up: exit code 0 means that every receiver holds every event.",
		Example: `  siemd demo
  siemd demo --for 20s --rate 2000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "siemd-demo-")
			if err != nil {
				return exit(exitCannotMake, err)
			}
			defer os.RemoveAll(dir)
			d := &demo{dir: dir, rate: rate, length: length, view: newDemoView(std.out)}
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "how long; 0: until Ctrl-C")
	cmd.Flags().IntVar(&rate, "rate", 1000, "events per second")
	return cmd
}

// demo is the whole path in one process.
type demo struct {
	dir    string
	rate   int
	length time.Duration
	view   *demoView

	receivers []*plugintest.Receiver
	names     []string // of the outputs, as the receivers
	agent     *supervisor.Agent
	server    *api.Server // of the status page
	feed      string      // URL of the http input
}

const demoOutage = 0 // index of the receiver that goes down

func (d *demo) run(ctx context.Context) error {
	for _, kind := range []string{"splunk", "elastic", "syslog"} {
		r, err := plugintest.New(kind, plugintest.Options{})
		if err == nil {
			err = r.Start("127.0.0.1:0")
		}
		if err != nil {
			return exit(exitCannotMake, err)
		}
		d.receivers, d.names = append(d.receivers, r), append(d.names, kind)
		defer closeReceiver(r)
	}
	if err := d.startAgent(); err != nil {
		return exit(exitFailure, err)
	}
	agentCtx, stopAgent := context.WithCancel(context.WithoutCancel(ctx))
	ended, served := make(chan error, 1), make(chan error, 1)
	go func() { ended <- d.agent.Run(agentCtx) }()
	go func() { served <- d.server.Run(agentCtx) }()

	made, err := d.flow(ctx)
	lost := d.settle(made)
	stopAgent()
	if stopErr := errors.Join(<-ended, <-served); err == nil {
		err = stopErr
	}
	if err != nil {
		return exit(exitFailure, err)
	}
	if lost {
		return exit(exitFailure, nil)
	}
	return nil
}

func (d *demo) startAgent() error {
	port, err := plugintest.FindPort()
	if err != nil {
		return err
	}
	pagePort, err := plugintest.FindPort()
	if err != nil {
		return err
	}
	d.feed = fmt.Sprintf("http://127.0.0.1:%d/v1/events", port)
	text := fmt.Sprintf(`data_dir: %[1]s/state
api: {listen: ["127.0.0.1:%[6]d"]}
inputs:
  file: {type: tail, paths: ["%[1]s/apps/*.jsonl*"]}
  http: {type: http, listen: "127.0.0.1:%[2]d"}
outputs:
  splunk: {type: splunk, endpoint: "%[3]s", token: demo, batch: {max_wait: 200ms}, retry: {max: 2s}}
  elastic: {type: elastic, endpoint: "%[4]s", index: demo, batch: {max_wait: 200ms}, retry: {max: 2s}}
  syslog: {type: syslog, endpoint: "%[5]s", batch: {max_wait: 200ms}, retry: {max: 2s}}
`, d.dir, port, d.receivers[0].URL(), d.receivers[1].URL(), d.receivers[2].URL(), pagePort)
	path := filepath.Join(d.dir, "demo.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(d.dir, "apps"), 0o700); err != nil {
		return err
	}
	cfg, problems := config.Load(path, config.Options{})
	if cfg == nil {
		return fmt.Errorf("the demo's config: %s", problems[0])
	}
	log := slog.New(slog.DiscardHandler)
	if d.agent, err = supervisor.New(cfg, supervisor.Options{Log: log, Version: version}); err != nil {
		return err
	}
	if d.server, err = api.Listen(cfg, d.agent, log); err != nil {
		done, cancel := context.WithCancel(context.Background())
		cancel()
		return errors.Join(err, d.agent.Run(done))
	}
	token, err := os.ReadFile(filepath.Join(cfg.DataDir, api.TokenName))
	if err != nil {
		return err
	}
	// The token is as short-lived as the demo.
	fmt.Fprintf(d.view.out, "status page: http://127.0.0.1:%d/ with the token %s\n", pagePort, strings.TrimSpace(string(token)))
	return nil
}

// flow generates, shows the table every second and runs the outage, until ctx
// or the length ends. It returns the number of events made.
func (d *demo) flow(ctx context.Context) (made int64, err error) {
	period := d.length
	if period == 0 {
		period = 40 * time.Second
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.length)
		defer cancel()
	}
	g := newDemoFeed(filepath.Join(d.dir, "apps", "app.jsonl"), d.feed, d.rate)
	ended := make(chan error, 1)
	feedCtx, stopFeed := context.WithCancel(ctx)
	go func() { ended <- g.run(feedCtx) }()
	defer stopFeed()

	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	down := false
	for {
		select {
		case <-ctx.Done():
			err := <-ended
			if down {
				_ = d.receivers[demoOutage].SetFault("") // "" is always valid
			}
			return g.made.Load(), err
		case err := <-ended:
			return g.made.Load(), err
		case now := <-tick.C:
			phase := now.Sub(began) % period
			want := phase > period*2/5 && phase < period*7/10
			if want != down {
				down = want
				fault := ""
				if down {
					fault = "refuse"
				}
				_ = d.receivers[demoOutage].SetFault(fault)
			}
			d.view.show(d.agent.Status(), down)
		}
	}
}

// settle waits until everything has arrived, at most half a minute, and prints
// the ledger. It reports whether something is missing.
func (d *demo) settle(made int64) (lost bool) {
	deadline := time.Now().Add(30 * time.Second)
	balanced := func(st supervisor.Status) bool {
		for i, o := range st.Outputs {
			s := d.receiver(o.Name).Stats()
			if o.Accepted != uint64(made) || o.Sent != uint64(made) || o.Pending != 0 || o.Unaccounted != 0 || s.Distinct != made || s.Malformed != 0 {
				return false
			}
			_ = i
		}
		return true
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !balanced(d.agent.Status()) && time.Now().Before(deadline) {
		<-tick.C
	}
	st := d.agent.Status()
	d.view.show(st, false)
	d.view.end()
	return d.verdict(d.view.out, st, made, !balanced(st))
}

func (d *demo) receiver(name string) *plugintest.Receiver {
	for i, n := range d.names {
		if n == name {
			return d.receivers[i]
		}
	}
	return nil
}

func (d *demo) verdict(w io.Writer, st supervisor.Status, made int64, lost bool) bool {
	fmt.Fprintf(w, "\nmade %d events, accepted %d", made, st.Accepted)
	missing := int64(0)
	for _, o := range st.Outputs {
		s := d.receiver(o.Name).Stats()
		fmt.Fprintf(w, "; %s holds %d (%d repeated)", o.Name, s.Distinct, s.Repeats+s.Conflicts)
		missing += made - s.Distinct
		if s.Malformed > 0 {
			fmt.Fprintf(w, ", %d malformed: %s", s.Malformed, d.receiver(o.Name).LastMalformed())
		}
	}
	fmt.Fprintf(w, "; lost %d.\n", missing)
	if lost {
		fmt.Fprintln(w, "The ledger does NOT balance.")
	} else {
		fmt.Fprintln(w, "The ledger balances: for each connection accepted = sent + failed + filtered + expired + pending.")
	}
	return lost
}

func closeReceiver(r *plugintest.Receiver) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.Close(ctx) // what is still open is cut
}
