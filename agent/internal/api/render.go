package api

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// kinds are the types that connections made through the API may have. What
// runs programs or writes files can only be set up in a config file.
var kinds = map[string]string{"splunk": "splunk", "elastic": "elastic", "syslog": "syslog", "cef": "cef", "leef": "leef", "qradar": "leef", "http": "http"}

// maxName is how many characters a connection's name may have.
const maxName = 200

// A draft is a connection on its way from fields to its file.
type draft struct {
	w        *wish
	old      *config.Output // nil for a new one
	kind     string
	stream   bool // speaks syslog's transports
	ssl      bool
	at       location
	keys     map[string]any // the output, dotted keys nested
	secrets  map[string]string
	kept     []string        // pointers of secrets that were not given anew
	opted    map[string]bool // keys whose field is given as an option
	mistakes []fieldError
}

func (d *draft) bad(pointer, hint, message string, args ...any) {
	d.mistakes = append(d.mistakes, fieldError{Pointer: pointer, Message: fmt.Sprintf(message, args...), Hint: hint})
}

// render turns a wish into the output's keys and secrets. The error is a
// *problem with all mistakes.
func render(w *wish, old *config.Output) (*draft, error) {
	d := &draft{w: w, old: old, keys: map[string]any{}, secrets: map[string]string{}, mistakes: w.mistakes}
	f := &w.fields
	d.kind = kinds[f.SIEMType]
	switch {
	case f.SIEMType == "":
		d.bad("/siem_type", "one of "+strings.Join(slices.Sorted(maps.Keys(kinds)), ", "), "siem_type is missing")
	case d.kind == "":
		d.bad("/siem_type", nearestHint(f.SIEMType, slices.Sorted(maps.Keys(kinds))), "%q is not a type of connection here", f.SIEMType)
	case old != nil && d.kind != old.Kind:
		d.bad("/siem_type", "delete this connection and make another", "the type of a connection cannot change")
	}
	switch {
	case f.Name == "":
		d.bad("/name", "", "name is missing")
	case utf8.RuneCountInString(f.Name) > maxName:
		d.bad("/name", "", "name is longer than %d characters", maxName)
	case strings.ContainsFunc(f.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		d.bad("/name", "letters, digits, signs and spaces", "name has characters that cannot be seen")
	}
	if f.Endpoint == "" {
		d.bad("/endpoint", "for example siem.example.com", "endpoint is missing")
	}
	if old == nil && !w.has("enabled_event_types") {
		d.bad("/enabled_event_types", `for example ["alert"], or ["*"] for all`, "enabled_event_types is missing")
	}
	if len(d.mistakes) > 0 {
		return nil, mistaken(d.mistakes)
	}
	d.stream = d.kind == "syslog" || d.kind == "cef" || d.kind == "leef"
	d.set("type", d.kind)
	d.set("enabled", f.Enabled)
	d.options()
	d.place()
	d.identify()
	d.words()
	d.numbers()
	d.guardSecrets()
	if len(d.mistakes) > 0 {
		return nil, mistaken(d.mistakes)
	}
	return d, nil
}

// set puts a value at a dotted key, unless an option has it.
func (d *draft) set(path string, v any) {
	if d.opted[path] {
		return
	}
	m := d.keys
	for {
		head, rest, nested := strings.Cut(path, ".")
		if !nested {
			m[head] = v
			return
		}
		inner, ok := m[head].(map[string]any)
		if !ok {
			inner = map[string]any{}
			m[head] = inner
		}
		m, path = inner, rest
	}
}

// place puts endpoint, port, use_ssl and verify_ssl together.
func (d *draft) place() {
	f, w := &d.w.fields, d.w
	at, err := parseLocation(f.Endpoint, !d.stream)
	if err != nil {
		d.mistakes = append(d.mistakes, problemOf(err).Errors...)
		return
	}
	switch {
	case d.stream:
		d.transport()
	case at.scheme == "":
		d.ssl = f.UseSSL
	case !w.has("endpoint"): // it is the one that is kept: use_ssl may change its scheme
		d.ssl = f.UseSSL
		at.scheme = map[bool]string{true: "https", false: "http"}[d.ssl]
	default:
		d.ssl = at.scheme == "https"
		if w.has("use_ssl") && f.UseSSL != d.ssl {
			d.bad("/use_ssl", "change one of them", "use_ssl is %t and the endpoint begins with %s://", f.UseSSL, at.scheme)
		}
	}
	port, ok := d.port(at)
	if !ok {
		return
	}
	if at.port != 0 {
		at.port = port
	}
	d.at = at
	d.set("endpoint", at.full(port, d.ssl, !d.stream))
	if (d.ssl || !d.stream) && !f.VerifySSL {
		d.set("tls.verify", false)
	}
}

// port is the one to use; 0: the scheme's.
func (d *draft) port(at location) (int, bool) {
	f, w := &d.w.fields, d.w
	switch {
	case f.Port != nil && (*f.Port < 1 || *f.Port > 65535):
		d.bad("/port", "1 to 65535", "%d is not a port", *f.Port)
		return 0, false
	case w.has("port"):
		if w.has("endpoint") && at.port != 0 && at.port != *f.Port {
			d.bad("/port", "change one of them", "port is %d and the endpoint names %d", *f.Port, at.port)
			return 0, false
		}
		return *f.Port, true
	case at.port != 0:
		return at.port, true
	case d.old != nil && f.Port != nil:
		// The port stays, unless it is the default and the default is another now.
		_, _, wasSSL := place(d.old)
		if *f.Port != usualPort(d.kind, wasSSL) {
			return *f.Port, true
		}
	}
	return defaultPort(d.kind, d.ssl), true
}

// transport is auth_type for syslog, cef and leef.
func (d *draft) transport() {
	f, w := &d.w.fields, d.w
	transport := f.AuthType
	switch {
	case transport == "" || transport == "none":
		transport = "tcp"
		if w.has("use_ssl") && f.UseSSL {
			transport = "tls"
		}
	case transport != "udp" && transport != "tcp" && transport != "tls":
		d.bad("/auth_type", "udp, tcp or tls", "%q is not a transport of %s", transport, f.SIEMType)
	case w.has("use_ssl") && w.has("auth_type") && f.UseSSL != (transport == "tls"):
		d.bad("/use_ssl", "auth_type tls encrypts, udp and tcp do not", "use_ssl is %t and auth_type is %s", f.UseSSL, transport)
	case w.has("use_ssl") && !w.has("auth_type") && f.UseSSL != (transport == "tls"):
		transport = map[bool]string{true: "tls", false: "tcp"}[f.UseSSL]
	}
	d.ssl = transport == "tls"
	d.set("transport", transport)
}

// words sets what is text.
func (d *draft) words() {
	f := &d.w.fields
	var defaults any
	if spec, ok := agent.OutputKind(d.kind); ok {
		defaults = spec.Config()
	}
	word := func(name string, v *string, key string, fits ...string) {
		switch {
		case v == nil || *v == "":
		case *v == textOf(defaults, key): // left out, so that reading and sending back changes nothing
		case slices.Contains(fits, d.kind):
			d.set(key, escape(*v))
		case d.w.has(name):
			d.bad("/"+name, "leave it out", "%s has no meaning for %s", name, f.SIEMType)
		}
	}
	word("index_name", f.IndexName, "index", "splunk", "elastic")
	word("source_type", f.SourceType, "sourcetype", "splunk")
	word("facility", f.Facility, "facility", "syslog", "cef", "leef")
	if f.MinSeverity != nil && *f.MinSeverity != "" {
		if sev, ok := agent.ParseSeverity([]byte(*f.MinSeverity)); ok {
			d.set("filter.min_severity", sev.String())
		} else {
			d.bad("/min_severity", "informational, low, medium, high or critical", "%q is not a severity", *f.MinSeverity)
		}
	}
	if len(f.EventTypes) == 0 {
		d.bad("/enabled_event_types", `["*"] for all`, "enabled_event_types is empty")
	}
	if slices.Contains(f.EventTypes, "*") {
		return
	}
	list := make([]any, 0, len(f.EventTypes))
	for i, t := range f.EventTypes {
		if near := agent.Nearest(t, eventTypes); t == "" || near != "" && !slices.Contains(eventTypes, t) {
			d.bad(fmt.Sprintf("/enabled_event_types/%d", i), hintType(t), "%q is not a type of event", t)
		}
		list = append(list, escape(t))
	}
	d.set("filter.event_types", list)
}

// numbers sets sizes and times.
func (d *draft) numbers() {
	f := &d.w.fields
	seconds := func(name string, v float64) string {
		if !(v >= 0 && v <= 86400) {
			d.bad("/"+name, "0 to 86400", "%v is not a number of seconds", v)
			return "1s"
		}
		return agent.Duration(math.Round(v * float64(time.Second))).String()
	}
	d.set("batch.max_events", f.BatchSize)
	d.set("batch.max_wait", seconds("batch_interval_seconds", f.BatchInterval))
	d.set("retry.max_attempts", f.MaxRetries)
	delay := seconds("retry_delay_seconds", f.RetryDelay)
	d.set("retry.initial", delay)
	if _, ok := d.keys["retry"].(map[string]any)["max"]; !ok && f.RetryDelay > 60 {
		d.set("retry.max", delay)
	}
	for _, from := range slices.Sorted(maps.Keys(f.SeverityMapping)) {
		_, okA := agent.ParseSeverity([]byte(from))
		_, okB := agent.ParseSeverity([]byte(f.SeverityMapping[from]))
		if !okA || !okB {
			d.bad("/severity_mapping/"+escapePointer(from), "informational, low, medium, high or critical on both sides", "this does not turn a severity into a severity")
		}
	}
}

// file is the connection's file.
func (d *draft) file(id string, m config.Managed) (config.Change, error) {
	m.Name, m.SIEMType, m.Endpoint, m.SeverityMapping = d.w.fields.Name, d.w.fields.SIEMType, d.at.asked(), d.w.fields.SeverityMapping
	doc := struct {
		Connection config.Managed            `yaml:"connection"`
		Outputs    map[string]map[string]any `yaml:"outputs"`
	}{m, map[string]map[string]any{id: d.keys}}
	data, err := yaml.Marshal(doc)
	if err != nil {
		return config.Change{}, err
	}
	head := "# Made through the API. What is changed here by hand takes effect with the next reload.\n"
	return config.Change{ID: id, Data: append([]byte(head), data...), Secrets: d.secrets}, nil
}

// escape keeps a text from being taken for a reference: through the API nobody
// reads files or the environment.
func escape(s string) string { return strings.ReplaceAll(s, "$", "$$") }
