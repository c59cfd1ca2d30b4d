package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// A finding is the result of one check of the machine that siemd runs on.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, warn or fail
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

const (
	findOK   = "ok"
	findWarn = "warn"
	findFail = "fail"
)

// doctor looks at what siemd needs from the machine.
type doctor struct {
	remote
	std    streams
	report []finding
}

func newDoctor(std streams) *cobra.Command {
	d := &doctor{std: std}
	cmd := &cobra.Command{
		Use: "doctor", Short: "check what siemd needs from this machine, with a fix for what is wrong", Args: cobra.NoArgs,
		Long: "doctor looks at the config, data_dir and its disk, inotify and file limits, the clock, ports, files to read, the systemd unit and the running\n" +
			"agent. Run it as the user that siemd runs as. The exit code is 2 if something is wrong; warnings do not count.",
		Example: `  sudo -u siemd siemd doctor
  siemd doctor --json | jq '.[] | select(.result != "ok")'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stop := progress(std.err, func() string { return "the machine is looked at" })
			d.examine(cmd.Context())
			stop()
			if d.json {
				if err := json.NewEncoder(std.out).Encode(d.report); err != nil {
					return exit(exitIO, err)
				}
			} else {
				printFindings(std.out, d.report)
			}
			for _, f := range d.report {
				if f.Result == findFail {
					return exit(exitFound, nil)
				}
			}
			return nil
		},
	}
	d.flags(cmd)
	return cmd
}

func printFindings(w io.Writer, report []finding) {
	for _, f := range report {
		fmt.Fprintf(w, "%-4s  %-10s  %s\n", f.Result, f.Check, visible([]byte(f.Detail)))
		if f.Fix != "" {
			fmt.Fprintf(w, "                  fix: %s\n", visible([]byte(f.Fix)))
		}
	}
}

func (d *doctor) ok(check, format string, args ...any) {
	d.report = append(d.report, finding{check, findOK, fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(check, fix, format string, args ...any) {
	d.report = append(d.report, finding{check, findWarn, fmt.Sprintf(format, args...), fix})
}

func (d *doctor) fail(check, fix, format string, args ...any) {
	d.report = append(d.report, finding{check, findFail, fmt.Sprintf(format, args...), fix})
}

// examine runs every check. Without a config it looks at the machine alone.
func (d *doctor) examine(ctx context.Context) {
	cfg, problems := config.Load(d.conf, config.Options{})
	switch {
	case cfg == nil:
		d.fail("config", "siemd check -c "+d.conf, "%s: %s, the first on line %d: %s", d.conf, count(len(problems), "mistake"), problems[0].Line, problems[0].Message)
		cfg, _ = config.Load(d.conf, config.Options{NoSecrets: true})
	case len(problems) > 0:
		d.warn("config", problems[0].Hint, "%s:%d: %s", problems[0].File, problems[0].Line, problems[0].Message)
	default:
		d.ok("config", "%s is valid: %s, %s", d.conf, count(len(cfg.Inputs), "input"), count(len(cfg.Outputs), "output"))
	}
	running := false
	if cfg != nil {
		running = d.agent(ctx, cfg)
		d.dataDir(cfg)
		d.disk(cfg)
		d.ports(cfg, running)
		d.files(cfg)
	}
	d.inotify()
	d.descriptors()
	d.clock()
	d.unit("/etc/systemd/system/siemd.service", "/usr/lib/systemd/system/siemd.service")
}

// agent asks the one that runs, if there is one.
func (d *doctor) agent(ctx context.Context, cfg *config.Config) bool {
	var st supervisor.Status
	if err := d.get(ctx, "/status", nil, &st); err != nil {
		d.warn("agent", "systemctl start siemd", "none runs with data_dir %s", cfg.DataDir)
		return false
	}
	switch {
	case st.Version != version:
		d.warn("agent", "systemctl restart siemd", "it runs version %s, and this is %s", st.Version, version)
	case st.Ready != "ok":
		d.fail("agent", "see 'siemd status' and the agent's log", "intake is closed: %s", st.Ready)
	case st.ConfigHash != cfg.Hash:
		d.warn("agent", "siemd check --diff && siemd reload", "it runs another config than %s", d.conf)
	default:
		d.ok("agent", "runs %s, intake is open", st.Version)
	}
	for _, o := range st.Outputs {
		if o.Health == "failed" {
			d.fail("connection", "siemd test "+o.Name, "%s does not take events: %s", o.Name, o.LastError)
		}
	}
	return true
}
