package main

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// agents/ has each agent's config, a text/template with a site.
//
//go:embed agents/*.tmpl
var configs embed.FS

// An agent is one program in one of its modes.
type agent struct {
	name    string
	program string
	mode    string // what of an event survives kill -9, for the table
	config  string // template in agents/, written into the trial's directory
	args    func(config, dir string) []string
	version []string // arguments that print it
	targets []string // nil: all
	only    []string // scenarios, nil: all
}

// site is what a config is made from.
type site struct {
	Dir, State, Input string
	Mode              string // of the agent
	Target            string
	Addrs             []string // of receivers
	Steady            bool     // latency counts
}

var agents = []agent{
	{
		name: "floor", program: "siemd-floor", mode: "fsync, nothing checked", config: "", targets: []string{"hec"}, only: []string{"bulk", "steady"},
	},
	{
		name: "siemd", program: "siemd", mode: "fsync", config: "siemd.yaml.tmpl", version: []string{"version"},
		args: func(config, _ string) []string { return []string{"run", "--config", config} },
	},
	{
		name: "rsyslog", program: "rsyslogd", mode: "disk", config: "rsyslog.conf.tmpl", version: []string{"-v"},
		args: rsyslogArgs, targets: rsyslogTargets(),
		only: []string{"bulk", "kill", "steady", "outage", "idle"},
	},
	{
		name: "rsyslog-memory", program: "rsyslogd", mode: "memory", config: "rsyslog.conf.tmpl", version: []string{"-v"},
		args: rsyslogArgs, targets: rsyslogTargets(),
		only: []string{"bulk", "steady", "idle"},
	},
	{
		name: "syslog-ng", program: "syslog-ng", mode: "disk", config: "syslog-ng.conf.tmpl", version: []string{"--version"},
		args: syslogNGArgs, only: []string{"bulk", "kill", "steady", "outage", "idle"},
	},
	{
		name: "syslog-ng-memory", program: "syslog-ng", mode: "memory", config: "syslog-ng.conf.tmpl", version: []string{"--version"},
		args: syslogNGArgs, only: []string{"bulk", "steady", "idle"},
	},
}

// rsyslogTargets are those whose module is there: distributions leave some out.
func rsyslogTargets() []string {
	targets := []string{"syslog"}
	for target, module := range map[string]string{"hec": "omhttp.so", "elastic": "omelasticsearch.so"} {
		for _, dir := range []string{"/usr/lib/rsyslog", "/usr/lib64/rsyslog", "/usr/lib/*/rsyslog", "/usr/local/lib/rsyslog"} {
			if found, _ := filepath.Glob(filepath.Join(dir, module)); len(found) > 0 {
				targets = append(targets, target)
				break
			}
		}
	}
	return targets
}

func rsyslogArgs(config, dir string) []string {
	return []string{"-n", "-f", config, "-i", filepath.Join(dir, "state", "pid")}
}

func syslogNGArgs(config, dir string) []string {
	state := filepath.Join(dir, "state")
	return []string{
		"-F", "--no-caps", "-f", config, "-R", filepath.Join(state, "persist"), "-p", filepath.Join(state, "pid"), "-c", filepath.Join(state, "ctl"),
	}
}

func agentNames() (names []string) {
	for _, a := range agents {
		names = append(names, a.name)
	}
	return names
}

// pickAgents returns those named, or all whose program is found.
func pickAgents(names []string) ([]agent, error) {
	for _, n := range names {
		if !slices.Contains(agentNames(), n) {
			return nil, fmt.Errorf("no agent %q: want %s", n, strings.Join(agentNames(), ", "))
		}
	}
	var found []agent
	for _, a := range agents {
		if len(names) > 0 && !slices.Contains(names, a.name) {
			continue
		}
		path, err := exec.LookPath(a.program)
		switch {
		case err == nil:
			a.program = path
			found = append(found, a)
		case len(names) > 0:
			return nil, fmt.Errorf("%s: %w", a.name, err)
		default:
			fmt.Fprintf(os.Stderr, "%s: not installed, left out\n", a.name)
		}
	}
	return found, nil
}

func (a agent) can(target, scenario string) bool {
	return (a.targets == nil || slices.Contains(a.targets, target)) && (a.only == nil || slices.Contains(a.only, scenario))
}

// command writes the config and returns what to start.
func (a agent) command(s site) ([]string, error) {
	if a.config == "" { // the floor has arguments instead
		argv := []string{a.program, s.Input, filepath.Join(s.State, "log"), "http://" + s.Addrs[0] + "/services/collector"}
		if s.Steady {
			argv = append(argv, "40ms") // as often as siemd looks
		}
		return argv, nil
	}
	t, err := template.New(a.config).Funcs(template.FuncMap{"port": func(addr string) string {
		return addr[strings.LastIndexByte(addr, ':')+1:]
	}}).ParseFS(configs, "agents/"+a.config)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.Dir, strings.TrimSuffix(a.config, ".tmpl"))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s.Mode = a.mode
	if err := t.Execute(f, s); err != nil {
		return nil, err
	}
	return append([]string{a.program}, a.args(path, s.Dir)...), nil
}

// versionText is the first line that the program says of itself.
func (a agent) versionText() string {
	if a.version == nil {
		return ""
	}
	out, _ := exec.Command(a.program, a.version...).Output()
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
