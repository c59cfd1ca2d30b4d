package cli

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// testFile is what check --tests reads.
type testFile struct {
	Host     string       `yaml:"host" doc:"stands for the machine's name, so that the bytes are the same everywhere"`
	Received string       `yaml:"received" doc:"time of receipt of every event" example:"2026-01-01T00:00:00Z"`
	Tests    []configTest `yaml:"tests" required:"true" doc:"what is to become of which event"`
}

// configTest is one event and what is to become of it.
type configTest struct {
	Name     string    `yaml:"name" required:"true" example:"anomalies reach splunk" doc:"what the test shows"`
	Input    string    `yaml:"input" doc:"the input that takes the event; default: the first of the config"`
	Event    yaml.Node `yaml:"event" doc:"the event: a map, or the text of a line"`
	Received string    `yaml:"received" doc:"time of receipt" example:"2026-01-01T00:00:00Z"`
	Refused  string    `yaml:"refused" oneof:"not_json|not_object|too_long|too_deep|too_many_keys" doc:"the line is to be refused for this reason"`

	Expect map[string]yaml.Node `yaml:"expect" doc:"by connection: filtered, sent, failed, disabled, the exact bytes, or a map"`
}

// expectation is the map form of what one connection is to get.
type expectation struct {
	Bytes    *string  `yaml:"-"`
	Text     string   `yaml:"bytes" doc:"exactly these bytes"`
	Contains []string `yaml:"contains" doc:"all of these"`
	Lacks    []string `yaml:"lacks" doc:"none of these"`
	Matches  []string `yaml:"matches" doc:"a regular expression"`
	Decision string   `yaml:"decision" oneof:"sent|filtered|disabled|failed" doc:"what becomes of the event"`

	patterns []*regexp.Regexp
}

// outcomeWords are scalars that mean a decision. Everything else means bytes.
var outcomeWords = []string{decisionSent, decisionFiltered, decisionDisabled, decisionFailed}

const (
	testHost     = "test-host"
	testReceived = "2026-01-01T00:00:00Z"
)

// A testResult is how one test went.
type testResult struct {
	Name     string   `json:"name"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	OK       bool     `json:"ok"`
	Failures []string `json:"failures,omitempty"` // several lines each
}

// runTests runs the tests of the file at path against cfg. Mistakes in the
// file are returned as problems, and then nothing is run.
func runTests(cfg *config.Config, host, path string) ([]testResult, []agent.Problem) {
	ps := &agent.Problems{File: path}
	root := config.Parse(ps, path)
	if root == nil {
		return nil, ps.List
	}
	file := testFile{Host: testHost, Received: testReceived}
	agent.Decode(ps, root, &file)
	received := readTime(ps, agent.Find(root, "received"), file.Received)
	if cfg.Identity.Host == host {
		cfg.Identity.Host = file.Host // nobody chose the machine's own
	}
	x, err := newExplainer(cfg, nil)
	if err != nil {
		ps.Add(root, "", "%s", err)
		return nil, ps.List
	}
	var results []testResult
	for i := range file.Tests {
		node := item(agent.Find(root, "tests"), i)
		r := testResult{Name: file.Tests[i].Name, File: path, Line: node.Line}
		r.Failures = x.test(ps, node, &file.Tests[i], received)
		r.OK = len(r.Failures) == 0
		results = append(results, r)
	}
	if ps.Errors() > 0 {
		ps.Sort()
		return nil, ps.List
	}
	return results, nil
}

// item is the i-th of a list, or the only one where a list was not written.
func item(n *yaml.Node, i int) *yaml.Node {
	if n.Kind == yaml.SequenceNode && i < len(n.Content) {
		n = n.Content[i]
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func readTime(ps *agent.Problems, n *yaml.Node, text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		ps.Add(n, "for example 2026-01-01T00:00:00Z", "%q is no time", text)
	}
	return t
}

// test runs one test. What is wrong with the test itself goes to ps.
func (x *explainer) test(ps *agent.Problems, node *yaml.Node, t *configTest, received time.Time) (failures []string) {
	if t.Received != "" {
		received = readTime(ps, agent.Find(node, "received"), t.Received)
	}
	in, err := x.input(t.Input)
	if err != nil {
		ps.Add(agent.Find(node, "input"), "", "%s", err)
		return nil
	}
	line, err := eventOf(&t.Event)
	if err != nil {
		ps.Add(agent.Find(node, "event"), `for example event: {event_type: alert, severity: high}`, "%s", err)
		return nil
	}
	if len(t.Expect) == 0 && t.Refused == "" {
		ps.Add(node, "for example expect: {my-connection: filtered}", "the test expects nothing")
		return nil
	}
	wants := map[string]*expectation{}
	for name := range t.Expect {
		if x.cfg.Outputs[name] == nil {
			ps.Add(agent.Find(node, "expect."+name), "", "%s", unknownName("connection", name, sortedNames(x.cfg.Outputs)))
			continue
		}
		n := t.Expect[name]
		wants[name] = readExpectation(ps, &n)
	}
	ex := x.explain(in, line, received)
	switch {
	case ex.Refused != nil && t.Refused == "":
		return []string{fmt.Sprintf("the line is refused, %s: %s", ex.Refused.Reason, ex.Refused.Detail)}
	case ex.Refused != nil && t.Refused != ex.Refused.Reason:
		return []string{fmt.Sprintf("the line is refused for %s, not for %s: %s", ex.Refused.Reason, t.Refused, ex.Refused.Detail)}
	case ex.Refused == nil && t.Refused != "":
		return []string{"the line is taken, not refused"}
	}
	for _, d := range ex.Connections {
		if want := wants[d.Connection]; want != nil {
			for _, f := range want.check(&d) {
				failures = append(failures, d.Connection+": "+f)
			}
		}
	}
	return failures
}

func readExpectation(ps *agent.Problems, n *yaml.Node) *expectation {
	w := &expectation{}
	switch {
	case n.Kind == yaml.ScalarNode && slices.Contains(outcomeWords, n.Value):
		w.Decision = n.Value
	case n.Kind == yaml.ScalarNode:
		w.Bytes = &n.Value
	case n.Kind == yaml.MappingNode:
		agent.Decode(ps, n, w)
		if b := agent.Find(n, "bytes"); b != n {
			w.Bytes = &w.Text
		}
		for _, m := range w.Matches {
			re, err := regexp.Compile(m)
			if err != nil {
				ps.Add(agent.Find(n, "matches"), "see https://golang.org/s/re2syntax", "%q is no regular expression", m)
				continue
			}
			w.patterns = append(w.patterns, re)
		}
	default:
		ps.Add(n, "a word, a text or a map: one of "+strings.Join(outcomeWords, ", ")+", the bytes, or {contains: ...}", "want what the connection gets")
	}
	if w.Decision == "" {
		w.Decision = decisionSent
	}
	return w
}

// check compares what a connection would do with what was expected.
func (w *expectation) check(d *decision) (failures []string) {
	if w.Decision != d.Decision {
		f := fmt.Sprintf("is %s, not %s: %s", d.Decision, w.Decision, d.Why)
		if d.wire != nil {
			f += "\n" + block("it would get", string(d.wire))
		}
		return []string{f}
	}
	got := string(d.wire)
	if w.Bytes != nil && *w.Bytes != got {
		failures = append(failures, difference(*w.Bytes, got))
	}
	for _, text := range w.Contains {
		if !strings.Contains(got, text) {
			failures = append(failures, "does not contain "+visible([]byte(text))+"\n"+block("got", got))
		}
	}
	for _, text := range w.Lacks {
		if strings.Contains(got, text) {
			failures = append(failures, "contains "+visible([]byte(text))+"\n"+block("got", got))
		}
	}
	for _, re := range w.patterns {
		if !re.MatchString(got) {
			failures = append(failures, "does not match "+re.String()+"\n"+block("got", got))
		}
	}
	return failures
}

// block is a text under a heading.
func block(heading, text string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, %s:\n", heading, count(len(text), "byte"))
	writeBytes(&b, []byte(text))
	return strings.TrimSuffix(b.String(), "\n")
}

// difference shows where two texts part.
func difference(want, got string) string {
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	around := func(s string) string {
		from, to := max(0, at-20), min(len(s), at+40)
		text := s[from:to]
		if from > 0 {
			text = "..." + text
		}
		if to < len(s) {
			return visible([]byte(text + "..."))
		}
		return visible([]byte(text)) + " (end)"
	}
	return fmt.Sprintf("the bytes differ from byte %d on\n  want: %s\n  got:  %s\n%s\n%s", at+1, around(want), around(got), block("want", want), block("got", got))
}
