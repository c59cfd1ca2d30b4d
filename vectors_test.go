package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A vector is an example of an event with the bytes that each format makes of
// it. Here the program itself makes them; the tests of the codecs make them
// without the intake and the config in front.
type vector struct {
	Name  string
	Input struct {
		Raw    string
		RawB64 string `json:"raw_b64"`
		Events []string
	}
	Config map[string]any
	Expect map[string]json.RawMessage
}

// wanted is what a vector expects of one format.
type wanted struct {
	Body    string
	Message string
	BSD     string `json:"syslog_rfc3164"`
	New     string `json:"syslog_rfc5424"`
	Octets  string `json:"octet_counted"`
	Line    string `json:"lf_framed"`
}

// elsewhere are the vectors that hold no event to be rendered, and the tests that go through them.
var elsewhere = map[string]string{
	"framing-octet-counting": "codecs/rfc5424",
	"parse-rfc5424":          "codecs/rfc5424 and agent/plugintest",
	"seed-syslog-line":       "codecs/rfc5424",
	"severity-table":         "TestSeverityTable",
}

func loadVectors(t *testing.T) (all []vector) {
	t.Helper()
	files, err := filepath.Glob("codecs/internal/vectors/testdata/*.json")
	if err != nil || len(files) < 75 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, v)
	}
	return all
}

// lines are the vector's events.
func (v *vector) lines(t *testing.T) [][]byte {
	t.Helper()
	if v.Input.RawB64 != "" {
		raw, err := base64.StdEncoding.DecodeString(v.Input.RawB64)
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{raw}
	}
	if v.Input.Raw != "" {
		return [][]byte{[]byte(v.Input.Raw)}
	}
	var all [][]byte
	for _, e := range v.Input.Events {
		all = append(all, []byte(e))
	}
	return all
}

// conf is a config in which every format has a connection, with what c says.
func vectorConf(t *testing.T, c map[string]any) string {
	t.Helper()
	text := func(key, otherwise string) string {
		if v, ok := c[key]; ok {
			return fmt.Sprint(v)
		}
		return otherwise
	}
	host, app := text("host", "zerotrust-platform"), text("app", "zerotrust")
	lines := fmt.Sprintf("hostname: %q, app_name: %q", host, app)
	conf := fmt.Sprintf(`data_dir: %s
identity: {vendor: ZeroTrust, product: Mac-Compliance-System, version: "1.0", app: zerotrust, host: zerotrust-platform}
inputs: {in: {type: stdin}}
outputs:
  hec: {type: splunk, endpoint: "http://127.0.0.1:1", token: t, index: zerotrust, host: %q}
  es: {type: elastic, endpoint: "http://127.0.0.1:1", index: %q, op: %s}
  octets: {type: syslog, endpoint: "127.0.0.1:1", bom: %q, %s}
  line: {type: syslog, endpoint: "127.0.0.1:1", framing: newline, bom: %q, %s}
  datagram: {type: syslog, endpoint: "127.0.0.1:1", transport: udp, bom: %q, %s}
  cef-old: {type: cef, endpoint: "127.0.0.1:1", framing: newline, cef_version: "%s", %s}
  cef-new: {type: cef, endpoint: "127.0.0.1:1", framing: newline, rfc: "5424", cef_version: "%s", %s}
  leef-old: {type: leef, endpoint: "127.0.0.1:1", framing: newline, leef_version: "%s", %s}
  leef-new: {type: leef, endpoint: "127.0.0.1:1", framing: newline, rfc: "5424", leef_version: "%s", %s}
`, filepath.Join(t.TempDir(), "state"), host, text("es_index", "zerotrust-events"), text("es_op", "index"),
		text("bom", "off"), lines, text("bom", "off"), lines, text("bom", "off"), lines, text("cef_version", "0"), lines, text("cef_version", "0"), lines,
		text("leef_version", "2.0"), lines, text("leef_version", "2.0"), lines)
	path := filepath.Join(t.TempDir(), "siemd.yaml")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// explained runs siemd explain on the lines and gives, for each, the bytes by connection.
func explained(t *testing.T, conf string, lines [][]byte) (all []map[string]string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := runSiemd(t, "", "explain", file, "-c", conf, "--json", "--at", "2025-10-29T12:00:05.250Z")
	if code != 0 {
		t.Fatalf("explain: exit code %d: %s", code, stderr)
	}
	d := json.NewDecoder(strings.NewReader(stdout))
	for d.More() {
		var ex struct {
			Event struct {
				ID string `json:"event_id"`
			}
			Connections []struct{ Connection, Bytes string }
		}
		if err := d.Decode(&ex); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{"id": ex.Event.ID}
		for _, c := range ex.Connections {
			got[c.Connection] = c.Bytes
		}
		all = append(all, got)
	}
	if len(all) != len(lines) {
		t.Fatalf("%d explanations for %d lines", len(all), len(lines))
	}
	return all
}

// TestVectors goes through all vectors with the program itself.
func TestVectors(t *testing.T) {
	byConfig := map[string][]vector{}
	for _, v := range loadVectors(t) {
		if _, ok := elsewhere[v.Name]; ok {
			continue
		}
		key, err := json.Marshal(v.Config)
		if err != nil {
			t.Fatal(err)
		}
		byConfig[string(key)] = append(byConfig[string(key)], v)
	}
	checked := map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(byConfig)) {
		list := byConfig[key]
		var lines [][]byte
		for _, v := range list {
			lines = append(lines, v.lines(t)...)
		}
		got := explained(t, vectorConf(t, list[0].Config), lines)
		for _, v := range list {
			n := len(v.lines(t))
			t.Run(v.Name, func(t *testing.T) { v.compare(t, got[:n], checked) })
			got = got[n:]
		}
	}
	for format, least := range map[string]int{"hec": 60, "es": 60, "rfc5424": 60, "cef": 60, "leef": 60} {
		if checked[format] < least {
			t.Errorf("only %d vectors of %s", checked[format], format)
		}
	}
}

func (v *vector) compare(t *testing.T, got []map[string]string, checked map[string]int) {
	if raw, ok := v.Expect["body"]; ok { // several events in one request
		var body, all string
		if err := json.Unmarshal(raw, &body); err != nil {
			t.Fatal(err)
		}
		for _, g := range got {
			all += g["es"]
		}
		sameJSON(t, "es", all, body)
		checked["es"]++
		return
	}
	if len(got) != 1 {
		t.Fatalf("%d events", len(got))
	}
	made := strings.HasPrefix(got[0]["id"], "siemd-")
	if made {
		withoutID(got[0])
	}
	if len(v.Expect) == 0 {
		t.Fatal("it expects nothing")
	}
	g := got[0]
	for format, raw := range v.Expect {
		var w wanted
		if err := json.Unmarshal(raw, &w); err != nil {
			t.Fatal(err)
		}
		checked[format]++
		switch format {
		case "hec", "es":
			sameJSON(t, format, g[format], w.Body)
			if format == "es" && !strings.HasSuffix(g[format], "\n") {
				t.Error("no line feed in the end")
			}
		case "rfc5424":
			same(t, format, g["datagram"], w.Message)
			if !made { // the count is of the line with the id
				same(t, "octets", g["octets"], w.Octets)
			}
			if w.Line != "" {
				same(t, "lines", g["line"], w.Line)
			}
		case "cef", "leef":
			same(t, format+" behind RFC 3164", g[format+"-old"], w.BSD+"\n")
			same(t, format+" behind RFC 5424", g[format+"-new"], w.New+"\n")
			if !strings.HasSuffix(g[format+"-old"], w.Message+"\n") {
				t.Errorf("%s: %q does not end in the message", format, g[format+"-old"])
			}
		default:
			t.Errorf("nobody compares %s", format)
		}
	}
}

// withoutID takes out the id that siemd makes for an event without one: the vectors leave it out.
func withoutID(got map[string]string) {
	id := got["id"]
	for connection := range got {
		for _, form := range [][2]string{
			{`"event_id":"` + id + `"`, `"event_id":""`},
			{`,"_id":"` + id + `"`, ""},
			{`"id":"` + id + `",`, ""},
			{` eventId="` + id + `"`, ""},
			{" externalId=" + id, ""},
			{"\texternalId=" + id, ""},
		} {
			got[connection] = strings.ReplaceAll(got[connection], form[0], form[1])
		}
	}
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// sameJSON compares streams of JSON values, numbers by their exact value.
func sameJSON(t *testing.T, what, got, want string) {
	t.Helper()
	if g, w := canonical(t, got), canonical(t, want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func canonical(t *testing.T, stream string) string {
	t.Helper()
	var b strings.Builder
	d := json.NewDecoder(strings.NewReader(stream))
	d.UseNumber()
	for d.More() {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v: %s", err, stream)
		}
		text, err := json.Marshal(exact(v))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	return b.String()
}

func exact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = exact(v[k])
		}
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok {
			return "number " + r.RatString()
		}
	}
	return v
}

// TestSeverityTable puts every row of the table into each of the places that severity comes from.
func TestSeverityTable(t *testing.T) {
	text, err := os.ReadFile("codecs/internal/vectors/testdata/severity-table.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Expect struct {
			Rows []struct {
				Input          string
				PRI            int `json:"pri_local0"`
				CEF, LEEF, ECS int
			}
		}
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	shapes := []string{
		`{"event_id":"E","event_type":"anomaly","severity":%q}`,
		`{"event_id":"E","event_type":"anomaly","severity":%q,"anomaly":{"severity":"medium"}}`,
		`{"event_id":"E","event_type":"anomaly","anomaly":{"severity":%q},"risk":{"level":"medium"}}`,
		`{"event_id":"E","event_type":"risk_assessment","risk":{"level":%q}}`,
	}
	rows := table.Expect.Rows
	for _, row := range rows {
		for _, shape := range shapes {
			lines = append(lines, fmt.Appendf(nil, shape, row.Input))
		}
	}
	if len(rows) < 15 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, got := range explained(t, vectorConf(t, nil), lines) {
		row := rows[i/len(shapes)]
		if row.Input == "" && i%len(shapes) != 0 && i%len(shapes) != 3 {
			continue // an empty one counts as absent, so the next place decides
		}
		f := func(connection, want string) {
			t.Helper()
			if !strings.Contains(got[connection], want) {
				t.Errorf("%s\n%s got %q, want %q in it", lines[i], connection, got[connection], want)
			}
		}
		f("datagram", fmt.Sprintf("<%d>1 ", row.PRI))
		f("cef-old", fmt.Sprintf("|%d|rt=", row.CEF))
		f("leef-old", fmt.Sprintf("\tsev=%d\t", row.LEEF))
		f("es", fmt.Sprintf(`"severity":%d`, row.ECS))
	}
}

// TestIdentityOfLines: the name that receivers see may change, the id of the structured data may not.
func TestIdentityOfLines(t *testing.T) {
	got := explained(t, vectorConf(t, map[string]any{"app": "other"}), [][]byte{[]byte(`{"event_id":"E","event_type":"alert","title":"t"}`)})
	if want := " other - alert [zerotrust@32473 eventId=\"E\""; !strings.Contains(got[0]["datagram"], want) {
		t.Errorf("%q lacks %q", got[0]["datagram"], want)
	}
}
