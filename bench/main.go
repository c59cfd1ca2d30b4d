package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// settings are what all trials of one invocation share.
type settings struct {
	events   int           // of bulk, kill, fanout and files
	rate     int           // events/s of steady and outage
	length   time.Duration // of steady, outage and idle
	idle     int           // files beside the busy one, in files
	patience time.Duration // without any arrival, until a trial is given up
	quiet    time.Duration // longest wait for the rest of the machine to be idle
	work     string        // directory for inputs and state
	bin      string        // directory of programs to find before PATH
	keep     bool
	profile  string // siemd writes where its time goes to this file
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "report" {
		exit(reportFiles(os.Stdout, os.Args[2:]))
	}
	var s settings
	names := flag.String("agents", "", "comma-separated agents; empty for all that are installed: "+strings.Join(agentNames(), ", "))
	targets := flag.String("targets", strings.Join(targetNames, ","), "comma-separated targets")
	which := flag.String("scenario", "bulk", "comma-separated: "+strings.Join(scenarioNames(), ", "))
	reps := flag.Int("reps", 1, "times to run each, interleaved")
	out := flag.String("o", "", "file to which results are appended, one JSON object a line")
	flag.IntVar(&s.events, "n", 1_000_000, "events to drain")
	flag.IntVar(&s.rate, "rate", 5000, "events per second (steady, outage)")
	flag.DurationVar(&s.length, "for", 20*time.Second, "how long to feed or to watch (steady, outage, idle)")
	flag.IntVar(&s.idle, "files", 10_000, "idle files beside the busy one (files)")
	flag.DurationVar(&s.patience, "patience", 20*time.Second, "give a trial up when nothing arrives for this long")
	flag.DurationVar(&s.quiet, "quiet", 5*time.Second, "wait at most this long for the rest of the machine to be idle")
	flag.StringVar(&s.work, "work", filepath.Join(os.TempDir(), "siemd-bench"), "directory for inputs and state; its disk is what is measured")
	flag.StringVar(&s.bin, "bin", "", "directory in which to find the agents' programs before PATH")
	flag.StringVar(&s.profile, "profile", "", "have siemd write where its processor time goes to this file, for go tool pprof and bench/siemd.pgo")
	flag.BoolVar(&s.keep, "keep", false, "keep what each trial wrote")
	flag.Parse()
	exit(s.run(split(*names), split(*targets), split(*which), *reps, *out))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func split(s string) []string {
	return slices.DeleteFunc(strings.Split(s, ","), func(p string) bool { return p == "" })
}

// lookFirstIn makes programs be looked for in dir before PATH.
func lookFirstIn(dir string) error {
	dir, err := filepath.Abs(dir) // what is found by way of a relative directory is not run
	if err != nil {
		return err
	}
	return os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// run carries out every combination, the repetitions outermost, and prints the tables.
func (s *settings) run(names, targets, which []string, reps int, out string) error {
	if err := os.MkdirAll(s.work, 0o755); err != nil {
		return err
	}
	if s.bin != "" {
		if err := lookFirstIn(s.bin); err != nil {
			return err
		}
	}
	if s.profile != "" {
		path, err := filepath.Abs(s.profile) // siemd runs elsewhere
		if err != nil {
			return err
		}
		s.profile = path
	}
	agents, err := pickAgents(names)
	if err != nil {
		return err
	}
	for _, name := range which {
		if scenarios[name] == nil {
			return fmt.Errorf("no scenario %q: want %s", name, strings.Join(scenarioNames(), ", "))
		}
	}
	var all []result
	failed := 0
	for range reps {
		for _, scenario := range which {
			for _, target := range targets {
				for _, a := range agents {
					if !a.can(target, scenario) {
						continue
					}
					r, err := s.trial(a, target, scenario)
					if err != nil {
						fmt.Fprintf(os.Stderr, "%s to %s, %s: %v\n", a.name, target, scenario, err)
						failed++
						continue
					}
					fmt.Fprintln(os.Stderr, r)
					all = append(all, r)
					if err := r.appendTo(out); err != nil {
						return err
					}
				}
			}
		}
	}
	if err := report(os.Stdout, all); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d trials failed", failed)
	}
	return nil
}
