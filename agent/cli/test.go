package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// testCommand is siemd test.
type testCommand struct {
	remote
	std   streams
	local bool
	event bool
	wait  time.Duration
}

// probeStep is one check on the way to a SIEM, as the API has it.
type probeStep struct {
	Name   string  `json:"name"`
	OK     bool    `json:"ok"`
	Detail string  `json:"detail,omitempty"`
	Error  string  `json:"error,omitempty"`
	Fix    string  `json:"fix,omitempty"`
	Took   float64 `json:"seconds,omitempty"`
}

// answerTime is for the agent to say what it found when the time for finding it is up.
const answerTime = 5 * time.Second

// tested is the result as JSON.
type tested struct {
	Connection string      `json:"connection"`
	OK         bool        `json:"ok"`
	Steps      []probeStep `json:"steps"`
}

func newTest(std streams) *cobra.Command {
	c := &testCommand{std: std, wait: 30 * time.Second}
	cmd := &cobra.Command{
		Use:   "test CONNECTION",
		Short: "check the way to a SIEM: name, TCP, TLS, token, permission, one marked event",
		Long: "test has the running agent check its way to the SIEM and prints each step, its result and what mends it. If all is well it sends one event,\n" +
			"marked as a test, that passes the connection's filter; --event=false leaves it out. --local checks from here, as the config says,\n" +
			"without an agent. The exit code is 2 if a step fails.",
		Example: `  siemd test splunk-prod
  siemd test splunk-prod --local -c new.yaml
  siemd test splunk-prod --event=false --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, wait := c.remoteTest, c.wait+answerTime
			if c.local {
				run, wait = c.localTest, c.wait
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			r := tested{Connection: args[0], OK: true, Steps: []probeStep{}}
			err := run(ctx, args[0], func(s probeStep) {
				r.OK = r.OK && s.OK
				r.Steps = append(r.Steps, s)
				if !c.json {
					c.print(s)
				}
			})
			if err != nil {
				return err
			}
			if c.json {
				if err := json.NewEncoder(std.out).Encode(r); err != nil {
					return exit(exitIO, err)
				}
			}
			if !r.OK {
				return exit(exitFound, nil)
			}
			return nil
		},
	}
	c.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&c.local, "local", false, "check from here, without an agent")
	f.BoolVar(&c.event, "event", true, "send one marked event if the other steps are well")
	f.Var(durationFlag{&c.wait}, "wait", "how long it may take")
	return cmd
}

func (c *testCommand) print(s probeStep) {
	result, text := "ok  ", s.Detail
	if !s.OK {
		result = "FAIL"
		if text != "" {
			text += ": "
		}
		text += s.Error
	}
	fmt.Fprintf(c.std.out, "%s  %-11s", result, s.Name)
	if s.Took > 0 {
		fmt.Fprintf(c.std.out, " %7.1fms", s.Took*1000)
	}
	fmt.Fprintf(c.std.out, "  %s\n", visible([]byte(text)))
	if !s.OK && s.Fix != "" {
		fmt.Fprintf(c.std.out, "      fix: %s\n", visible([]byte(s.Fix)))
	}
}

func (c *testCommand) remoteTest(ctx context.Context, name string, report func(probeStep)) error {
	var health struct {
		Steps  []probeStep `json:"steps"`
		Status string      `json:"status"`
		Error  *string     `json:"last_error"`
	}
	stop := func() {}
	if !c.json {
		stop = progress(c.std.err, func() string { return "the agent checks its way to " + name })
	}
	q := url.Values{"wait": {agent.Duration(min(c.wait, time.Minute)).String()}}
	err := c.do(ctx, http.MethodPost, "/connections/"+url.PathEscape(name)+"/test", q, nil, &health)
	stop()
	if err != nil {
		return err
	}
	failed := false
	for _, s := range health.Steps {
		failed = failed || !s.OK
		report(s)
	}
	if c.event && !failed {
		return c.sendProbe(ctx, name, report)
	}
	return nil
}

// localTest builds the output as the config says and probes from this process.
func (c *testCommand) localTest(ctx context.Context, name string, report func(probeStep)) error {
	cfg, problems := config.Load(c.conf, config.Options{})
	if cfg == nil {
		config.Print(c.std.err, problems)
		return exit(exitConfig, nil)
	}
	oc := cfg.Outputs[name]
	if oc == nil {
		return unknownName("connection", name, sortedNames(cfg.Outputs))
	}
	out, err := oc.Spec.BuildOutput(oc.Config, offlineEnv(cfg, name))
	if err != nil {
		report(probeStep{Name: "config", Error: err.Error()})
		return nil
	}
	if closer, ok := out.(agent.Closer); ok {
		defer func() {
			bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = closer.Close(bye) // nothing was sent that could be lost
		}()
	}
	prober, ok := out.(agent.Prober)
	if !ok {
		return exit(exitFailure, fmt.Errorf("connections of type %s have nothing to check", oc.Kind))
	}
	last, failed := time.Now(), false
	tell := func(st agent.Step) {
		now := time.Now()
		s := probeStep{Name: st.Name, OK: st.Err == nil, Detail: st.Detail, Took: now.Sub(last).Seconds()}
		if st.Err != nil {
			s.Error, s.Fix, failed = st.Err.Error(), st.Fix, true
		}
		last = now
		report(s)
	}
	if err := prober.Probe(ctx, tell); err != nil && !failed {
		tell(agent.Step{Name: "probe", Err: err})
	}
	if c.event && !failed {
		tell(agent.Step{Name: "event", Detail: "siemd test", Err: writeProbe(ctx, cfg, out)})
	}
	return nil
}
