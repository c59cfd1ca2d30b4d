package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// result is one trial; the names are those of the results file.
type result struct {
	At       string `json:"at"`
	Agent    string `json:"agent"`
	Version  string `json:"version"`
	Mode     string `json:"mode"`
	Target   string `json:"target"`
	Scenario string `json:"scenario"`

	Rate          float64 `json:"events_per_s"`
	Seconds       float64 `json:"seconds"` // from the start to the last event's arrival
	CPUPerMillion float64 `json:"cpu_s_per_million"`
	CPU           float64 `json:"cpu_percent"` // of one core
	PeakRSS       float64 `json:"peak_rss_mb"`
	RSS           float64 `json:"rss_mb"`
	Written       float64 `json:"disk_written_mb"`
	Wire          float64 `json:"wire_mb"`
	Requests      int     `json:"requests"`
	Delivered     int     `json:"delivered"`
	Lost          int     `json:"lost"`
	Repeated      int     `json:"repeated"`
	P50           float64 `json:"latency_p50_ms,omitempty"`
	P99           float64 `json:"latency_p99_ms,omitempty"`
	CatchUp       float64 `json:"catch_up_s,omitempty"`
	Others        float64 `json:"others_cpu_percent"`  // of one core, by other programs
	Harness       float64 `json:"harness_cpu_percent"` // of one core, by feeder and receivers
}

func (r result) String() string {
	return fmt.Sprintf("%-7s %-8s %-16s %7.0f events/s  %6.2f CPU-s/M  %5.1f%% of a core  peak %4.0f MB  lost %d  repeated %d  p50 %.1f p99 %.1f ms  (others %.0f%%)",
		r.Scenario, r.Target, r.Agent, r.Rate, r.CPUPerMillion, r.CPU, r.PeakRSS, r.Lost, r.Repeated, r.P50, r.P99, r.Others)
}

func (r result) appendTo(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(f).Encode(r), f.Close())
}

// column is one figure of a table.
type column struct {
	head    string
	decimal int
	get     func(r result) float64
}

var (
	rate     = column{"events/s", 0, func(r result) float64 { return r.Rate }}
	perM     = column{"CPU-s per million", 2, func(r result) float64 { return r.CPUPerMillion }}
	cpu      = column{"% of a core", 1, func(r result) float64 { return r.CPU }}
	peak     = column{"peak RSS, MB", 0, func(r result) float64 { return r.PeakRSS }}
	rss      = column{"RSS, MB", 1, func(r result) float64 { return r.RSS }}
	written  = column{"written, MB", 0, func(r result) float64 { return r.Written }}
	lost     = column{"lost", 0, func(r result) float64 { return float64(r.Lost) }}
	repeated = column{"repeated", 0, func(r result) float64 { return float64(r.Repeated) }}
	p50      = column{"p50, ms", 1, func(r result) float64 { return r.P50 }}
	p99      = column{"p99, ms", 1, func(r result) float64 { return r.P99 }}
	catchUp  = column{"catch-up, s", 1, func(r result) float64 { return r.CatchUp }}
	others   = column{"others, % of a core", 0, func(r result) float64 { return r.Others }}

	columns = map[string][]column{
		"bulk":   {rate, perM, peak, written, lost, repeated, others},
		"fanout": {rate, perM, peak, written, lost, repeated, others},
		"files":  {rate, perM, peak, written, lost, repeated, others},
		"kill":   {lost, repeated, rate, peak, others},
		"steady": {cpu, p50, p99, peak, lost, repeated, others},
		"outage": {catchUp, cpu, peak, lost, repeated, others},
		"idle":   {cpu, rss, others},
	}
)

// report prints Markdown tables, one for each scenario and target, with the
// median of each figure, its range where runs differ, and the ratio to siemd's rate.
func report(w io.Writer, all []result) error {
	type row struct{ scenario, target, agent string }
	var rows []row
	runs := map[row][]result{}
	for _, r := range all {
		k := row{r.Scenario, r.Target, r.Agent}
		if runs[k] == nil {
			rows = append(rows, k)
		}
		runs[k] = append(runs[k], r)
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return slices.Compare([]string{a.scenario, a.target}, []string{b.scenario, b.target})
	})
	last := row{}
	for _, k := range rows {
		cols := columns[k.scenario]
		if k.scenario != last.scenario || k.target != last.target {
			fmt.Fprintf(w, "\n### %s, %s\n\n| agent | durable | runs |", k.scenario, k.target)
			for _, c := range cols {
				fmt.Fprintf(w, " %s |", c.head)
			}
			fmt.Fprint(w, "\n|---|---|---:|")
			for range cols {
				fmt.Fprint(w, "---:|")
			}
			fmt.Fprintln(w)
		}
		last = k
		rs := runs[k]
		fmt.Fprintf(w, "| %s | %s | %d |", k.agent, rs[0].Mode, len(rs))
		for _, c := range cols {
			fmt.Fprintf(w, " %s |", c.show(rs))
		}
		fmt.Fprintln(w)
	}
	return nil
}

// show is the median and, where runs differ, the range.
func (c column) show(rs []result) string {
	v := make([]float64, len(rs))
	for i, r := range rs {
		v[i] = c.get(r)
	}
	slices.Sort(v)
	text := func(f float64) string { return strconv.FormatFloat(f, 'f', c.decimal, 64) }
	mid, low, high := text((v[(len(v)-1)/2]+v[len(v)/2])/2), text(v[0]), text(v[len(v)-1])
	if low == high {
		return mid
	}
	return fmt.Sprintf("%s (%s–%s)", mid, low, high)
}

// reportFiles prints the tables of results files, or puts them into a document
// between the two lines that begin with tablesBegin and tablesEnd.
func reportFiles(w io.Writer, args []string) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	into := flags.String("into", "", "document in which the tables are replaced")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("report wants the results files, as in: bench report results.jsonl")
	}
	var all []result
	for _, path := range flags.Args() {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		for sc := bufio.NewScanner(f); sc.Scan(); {
			var r result
			if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, r)
		}
	}
	if *into == "" {
		return report(w, all)
	}
	return replaceTables(*into, all)
}

const (
	tablesBegin = "<!-- tables: make bench-e2e, then go run ./bench report -into -->"
	tablesEnd   = "<!-- end of tables -->"
)

func replaceTables(path string, all []result) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(b), tablesBegin)
	_, after, ended := strings.Cut(rest, tablesEnd)
	if !ok || !ended {
		return fmt.Errorf("%s has no place for tables: want the lines %s and %s", path, tablesBegin, tablesEnd)
	}
	var out strings.Builder
	out.WriteString(before + tablesBegin + "\n")
	if err := report(&out, all); err != nil {
		return err
	}
	out.WriteString("\n" + tablesEnd + after)
	return os.WriteFile(path, []byte(out.String()), 0o644)
}
