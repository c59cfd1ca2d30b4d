package packaging_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const everyKind = `
data_dir: DIR/data
api: {listen: []}
inputs:
  apps: {type: tail, paths: [DIR/in/*.jsonl]}
  ingest: {type: http, listen: "127.0.0.1:0"}
outputs:
  hec: {type: splunk, endpoint: "http://127.0.0.1:9", token: secret-of-the-test}
  es: {type: elastic, endpoint: "http://127.0.0.1:9", username: user, password: secret-of-the-test}
  sys: {type: syslog, endpoint: "127.0.0.1:9"}
  web: {type: http, endpoint: "http://127.0.0.1:9"}
  file: {type: file, path: DIR/out.jsonl}
`

// rules is the part of a file of Prometheus rules that is looked at.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr, For string
			Labels           map[string]string
			Annotations      map[string]string
		}
	}
}

var metricName = regexp.MustCompile(`\b(?:siemd|process)_[a-z0-9_]+`)

// exported are the names and labels in what the agent says to Prometheus.
func exported(text string) (names map[string]bool, labels map[string]bool) {
	names, labels = map[string]bool{}, map[string]bool{}
	label := regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	for line := range strings.Lines(text) {
		name := metricName.FindString(line)
		names[name] = true
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			labels[name+" "+m[1]] = true
			labels[name+" "+m[1]+"="+m[2]] = true
		}
	}
	return names, labels
}

// Every metric, label and value that rules and dashboard ask for is one that a running agent has.
func TestMetricsThatAreAskedFor(t *testing.T) {
	t.Parallel()
	names, labels := exported(startAgent(t, everyKind, nil).get(t, "/metrics"))
	matcher := regexp.MustCompile(`(siemd_[a-z0-9_]+)\{([^}]*)\}`)
	equal := regexp.MustCompile(`([a-z_]+)(=~|=|!=|!~)"([^"]*)"`)
	fromScrape := []string{"job", "instance"}
	for what, exprs := range map[string][]string{"alerts": alertExprs(t), "dashboard": dashboardExprs(t)} {
		if len(exprs) < 10 {
			t.Errorf("%s: only %d expressions", what, len(exprs))
		}
		for _, expr := range exprs {
			for _, name := range metricName.FindAllString(expr, -1) {
				if !names[name] {
					t.Errorf("%s: no metric is called %s: %s", what, name, expr)
				}
			}
			for _, m := range matcher.FindAllStringSubmatch(expr, -1) {
				for _, l := range equal.FindAllStringSubmatch(m[2], -1) {
					switch {
					case slices.Contains(fromScrape, l[1]):
					case !labels[m[1]+" "+l[1]]:
						t.Errorf("%s: %s has no label %s: %s", what, m[1], l[1], expr)
					case (l[2] == "=" || l[2] == "!=") && !labels[m[1]+" "+l[1]+"="+l[3]]:
						t.Errorf("%s: %s is never %s: %s", what, m[1], l[0], expr)
					}
				}
			}
		}
	}
}

func loadRules(t *testing.T) rules {
	t.Helper()
	var r rules
	if err := yaml.Unmarshal([]byte(read(t, "packaging/observability/siemd-alerts.yaml")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func alertExprs(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, g := range loadRules(t).Groups {
		for _, r := range g.Rules {
			all = append(all, r.Expr)
		}
	}
	return all
}

func dashboardExprs(t *testing.T) []string {
	t.Helper()
	var doc struct {
		UID    string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "packaging/observability/siemd-dashboard.json")), &doc); err != nil {
		t.Fatal(err)
	}
	var all []string
	ids := map[int]bool{}
	for _, p := range doc.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q: its id is taken, or it is too wide", p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

// Each alert says how bad it is and what to do, and has its entry in the runbook; there is no entry without an alert.
func TestAlertsAndRunbook(t *testing.T) {
	t.Parallel()
	runbook := read(t, "docs/runbook.md")
	entries := headings(runbook)[1:]
	var alerts []string
	for _, g := range loadRules(t).Groups {
		for _, r := range g.Rules {
			anchor := strings.ToLower(r.Alert)
			alerts = append(alerts, anchor)
			if !slices.Contains(entries, anchor) {
				t.Errorf("%s is not in docs/runbook.md", r.Alert)
			}
			if !strings.HasSuffix(r.Annotations["runbook_url"], "docs/runbook.md#"+anchor) {
				t.Errorf("%s: runbook_url is %q", r.Alert, r.Annotations["runbook_url"])
			}
			if !slices.Contains([]string{"warning", "critical"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: severity, summary or description is missing", r.Alert)
			}
			if open, shut := strings.Count(r.Expr, "("), strings.Count(r.Expr, ")"); open != shut {
				t.Errorf("%s: %d ( and %d )", r.Alert, open, shut)
			}
		}
	}
	for _, e := range entries {
		if !slices.Contains(alerts, e) {
			t.Errorf("the runbook has %s, which is no alert", e)
		}
	}
}
