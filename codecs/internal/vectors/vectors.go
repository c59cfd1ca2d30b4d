// Package vectors holds examples of events with the exact bytes that every
// format makes of them, for the tests of the codecs. It makes an agent.Event of
// an example's raw text by itself, so that the codecs are tested without the intake.
package vectors

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

//go:embed testdata
var files embed.FS

// A Vector is one example.
type Vector struct {
	Name  string
	Input struct {
		Raw      string
		RawB64   string `json:"raw_b64"`
		Events   []string
		Messages []string
	}
	Config struct {
		Host, App   *string
		BOM         string
		Op          string `json:"es_op"`
		Index       string `json:"es_index"`
		CEFVersion  int    `json:"cef_version"`
		LEEFVersion string `json:"leef_version"`
		Style       string
	}
	Expect map[string]json.RawMessage
}

// A Target is what a vector expects of one format.
type Target struct {
	Body    string
	Message string
	RFC3164 string `json:"syslog_rfc3164"`
	RFC5424 string `json:"syslog_rfc5424"`
	Octets  string `json:"octet_counted"`
	Line    string `json:"lf_framed"`
}

// Received is the time of receipt in all vectors.
var Received = time.Date(2025, 10, 29, 12, 0, 5, 250e6, time.UTC)

// Identity and Host are what the vectors assume where their config says nothing else.
const (
	App     = "zerotrust"
	Host    = "zerotrust-platform"
	Vendor  = "ZeroTrust"
	Product = "Mac-Compliance-System"
	Version = "1.0"
)

// Load reads all vectors, or those that a pattern of path.Match names.
func Load(t testing.TB, pattern string) []Vector {
	t.Helper()
	names, err := fs.Glob(files, "testdata/"+pattern+".json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no vectors %s: %v", pattern, err)
	}
	var all []Vector
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var v Vector
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", path.Base(name), err)
		}
		all = append(all, v)
	}
	return all
}

// Target is what v expects of a format, if it has an opinion.
func (v Vector) Target(t testing.TB, format string) (Target, bool) {
	t.Helper()
	raw, ok := v.Expect[format]
	if !ok {
		return Target{}, false
	}
	var target Target
	if err := json.Unmarshal(raw, &target); err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return target, true
}

// Raw is the vector's event as it comes in.
func (v Vector) Raw(t testing.TB) []byte {
	t.Helper()
	if v.Input.RawB64 == "" {
		return []byte(v.Input.Raw)
	}
	raw, err := base64.StdEncoding.DecodeString(v.Input.RawB64)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// AppOf and HostOf are the vector's or the default.
func (v Vector) AppOf() string { return or(v.Config.App, App) }

// HostOf: see AppOf.
func (v Vector) HostOf() string { return or(v.Config.Host, Host) }

func or(s *string, otherwise string) string {
	if s != nil {
		return *s
	}
	return otherwise
}

// Event makes an event of raw JSON text.
func Event(t testing.TB, raw []byte) *agent.Event {
	t.Helper()
	body := repair(t, raw)
	var m map[string]json.RawMessage
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("event: %v", err)
	}
	e := &agent.Event{
		Seq: 1, Time: Received.UnixNano(), Received: Received.UnixNano(), Input: "vectors", Body: body,
		ID: text(m["event_id"]), Type: text(m["event_type"]), Source: text(m["source"]),
	}
	if at, ok := parseTime(m["timestamp"]); ok {
		e.Time = at
	}
	e.Severity = agent.Informational
	for _, p := range [][]string{{"severity"}, {"anomaly", "severity"}, {"risk", "level"}} {
		value := m[p[0]]
		if len(p) == 2 {
			var inner map[string]json.RawMessage
			_ = json.Unmarshal(value, &inner) // what is no object has no members
			value = inner[p[1]]
		}
		if s := strings.TrimSpace(string(text(value))); s != "" {
			if severity, ok := agent.ParseSeverity([]byte(s)); ok {
				e.Severity = severity
			}
			break
		}
	}
	return e
}

func text(raw json.RawMessage) []byte {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return []byte(s)
}

// Equal compares streams of JSON values, numbers by their exact decimal value.
func Equal(t testing.TB, got, want []byte) {
	t.Helper()
	g, w := values(t, got), values(t, want)
	if len(g) != len(w) {
		t.Fatalf("%d values, want %d\n got %s\nwant %s", len(g), len(w), got, want)
	}
	for i := range g {
		if !bytes.Equal(g[i], w[i]) {
			t.Errorf("value %d\n got %s\nwant %s", i, g[i], w[i])
		}
	}
}
