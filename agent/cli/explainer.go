package cli

import (
	"cmp"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/intake"
)

// An explanation is what siemd would do with one line.
type explanation struct {
	Input       string          `json:"input"`
	InputType   string          `json:"input_type,omitempty"`
	Refused     *explainedFault `json:"refused,omitempty"` // then there is no event
	Steps       []string        `json:"steps"`
	Event       *explainedEvent `json:"event,omitempty"`
	Connections []decision      `json:"connections"`
}

type explainedFault struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

type explainedEvent struct {
	ID       string         `json:"event_id"`
	Type     string         `json:"event_type"`
	Source   string         `json:"source"`
	Severity agent.Severity `json:"severity"`
	Time     time.Time      `json:"time"`
	Body     string         `json:"body"` // as it would be stored
}

// What becomes of an event at a connection.
const (
	decisionSent     = "sent"
	decisionFiltered = "filtered"
	decisionDisabled = "disabled" // it would wait in the log
	decisionFailed   = "failed"   // it can never be encoded, and goes to the failed store
)

// A decision is what one connection would do with the event.
type decision struct {
	Connection string `json:"connection"`
	Type       string `json:"type"`
	Decision   string `json:"decision"`
	Why        string `json:"why"`
	Size       int    `json:"size,omitempty"`
	Bytes      string `json:"bytes,omitempty"`     // exactly what goes over the wire
	BytesHex   string `json:"bytes_hex,omitempty"` // instead, if they are no UTF-8

	wire []byte
}

// explainer has everything of an agent that makes no connection and touches no file.
type explainer struct {
	cfg     *config.Config
	outputs []explainedOutput
}

type explainedOutput struct {
	cfg *config.Output
	out agent.Output
	err error // why it cannot be built
}

// newExplainer builds the outputs of cfg, or only the named ones.
func newExplainer(cfg *config.Config, only []string) (*explainer, error) {
	x := &explainer{cfg: cfg}
	for _, name := range only {
		if cfg.Outputs[name] == nil {
			return nil, unknownName("connection", name, sortedNames(cfg.Outputs))
		}
	}
	for _, name := range sortedNames(cfg.Outputs) {
		if len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		oc := cfg.Outputs[name]
		o := explainedOutput{cfg: oc}
		o.out, o.err = oc.Spec.BuildOutput(withoutFiles(oc.Config), offlineEnv(cfg, name))
		x.outputs = append(x.outputs, o)
	}
	return x, nil
}

// offlineEnv is that of an output that is only asked to encode.
func offlineEnv(cfg *config.Config, name string) agent.Env {
	return agent.Env{
		Name: name, Kind: "output", Version: version, Identity: cfg.Identity, DataDir: cfg.DataDir,
		Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet(),
	}
}

// withoutFiles is a copy of an output's config that names no certificates and no
// stand-ins for endpoints: neither changes anything in the bytes, and neither
// may be there where configs are tested.
func withoutFiles(config any) any {
	c := reflect.New(reflect.TypeOf(config).Elem())
	c.Elem().Set(reflect.ValueOf(config).Elem())
	if e := c.Elem().FieldByName("Endpoint"); e.IsValid() && e.Kind() == reflect.Slice && e.Type().Elem().Kind() == reflect.String {
		e.Set(reflect.ValueOf(realEndpoints(e.Interface().([]string), c.Elem().FieldByName("Transport").IsValid())))
	}
	t := c.Elem().FieldByName("TLS")
	if t.IsValid() && t.Kind() == reflect.Struct {
		for _, name := range []string{"CAFile", "CertFile", "KeyFile"} {
			if f := t.FieldByName(name); f.IsValid() && f.Kind() == reflect.String {
				f.SetString("")
			}
		}
	}
	return c.Interface()
}

// realEndpoints puts something that can be read as an address where a stand-in is.
func realEndpoints(list []string, stream bool) []string {
	list = slices.Clone(list)
	for i, e := range list {
		if !strings.Contains(e, config.StandIn) {
			continue
		}
		if list[i] = "https://stand-in.invalid"; stream {
			list[i] = "stand-in.invalid:1"
		}
	}
	return list
}

// input is the named input, or the first of the config; nil if there is none.
func (x *explainer) input(name string) (*config.Input, error) {
	if name != "" {
		if in := x.cfg.Inputs[name]; in != nil {
			return in, nil
		}
		return nil, unknownName("input", name, sortedNames(x.cfg.Inputs))
	}
	var first *config.Input
	for _, n := range sortedNames(x.cfg.Inputs) {
		in := x.cfg.Inputs[n]
		if first == nil || cmp.Or(slices.Index(x.cfg.Files, in.File)-slices.Index(x.cfg.Files, first.File), in.Line-first.Line) < 0 {
			first = in
		}
	}
	return first, nil
}

// explain takes line through in, which may be nil, and every connection.
func (x *explainer) explain(in *config.Input, line []byte, received time.Time) explanation {
	ex := explanation{Steps: []string{}, Connections: []decision{}}
	p := intake.Preparer{Identity: x.cfg.Identity}
	if in != nil {
		ex.Input, ex.InputType = in.Name, in.Kind
		p.Input, p.Common, p.MaxSize = in.Name, in.Common, limitOf(in.Config)
	}
	var e agent.Event
	// With an origin, an id that is made is the same each time.
	notes, refusal := p.Prepare(&e, line, "explain", 0, received.UnixNano())
	if refusal != nil {
		ex.Refused = &explainedFault{Reason: refusal.Reason, Detail: refusal.Detail}
		return ex
	}
	ex.Steps = append(ex.Steps, notes.Steps()...)
	e.Seq = 1
	ex.Event = &explainedEvent{
		ID: string(e.ID), Type: string(e.Type), Source: string(e.Source), Severity: e.Severity,
		Time: agent.When(e.Time), Body: string(e.Body),
	}
	for _, o := range x.outputs {
		ex.Connections = append(ex.Connections, o.decide(&e))
	}
	return ex
}

// limitOf is the longest event that an input takes, 0 if it has no limit of its own.
func limitOf(config any) int {
	for _, name := range []string{"MaxLine", "MaxEvent"} {
		if f := reflect.ValueOf(config).Elem().FieldByName(name); f.IsValid() && f.CanInt() {
			return int(f.Int())
		}
	}
	return 0
}

func (o *explainedOutput) decide(e *agent.Event) decision {
	d := decision{Connection: o.cfg.Name, Type: o.cfg.Kind}
	takes, why := filterVerdict(o.cfg.Common.Filter, string(e.Type), e.Severity)
	d.Why = why
	if !takes {
		d.Decision = decisionFiltered
		return d
	}
	if o.err != nil {
		d.Decision, d.Why = decisionFailed, "the connection cannot be built: "+o.err.Error()
		return d
	}
	d.Decision = decisionSent
	if m := o.cfg.Managed; m != nil && m.Severity(e.Severity) != e.Severity {
		mapped := *e
		mapped.Severity = m.Severity(e.Severity)
		why += fmt.Sprintf("; its severity_mapping shows %s as %s", e.Severity, mapped.Severity)
		d.Why, e = why, &mapped
	}
	d.wire = e.Body
	if enc, ok := o.out.(agent.Encoder); ok {
		wire, err := enc.Encode(nil, e)
		if err != nil {
			d.Decision, d.Why, d.wire = decisionFailed, "it can never be sent and goes to the failed store: "+err.Error(), nil
			return d
		}
		d.wire = wire
	}
	if !o.cfg.Common.Enabled {
		d.Decision, d.Why = decisionDisabled, "enabled is false: it waits in the log; "+why
	}
	d.Size = len(d.wire)
	if utf8.Valid(d.wire) {
		d.Bytes = string(d.wire)
	} else {
		d.BytesHex = fmt.Sprintf("%x", d.wire)
	}
	return d
}

// filterVerdict says what the runner's filter does with such an event, and why.
func filterVerdict(f delivery.Filter, typ string, sev agent.Severity) (takes bool, why string) {
	var reasons []string
	if f.MinSeverity != agent.Unset {
		if sev < f.MinSeverity {
			return false, fmt.Sprintf("severity %s is below filter.min_severity %s", sev, f.MinSeverity)
		}
		reasons = append(reasons, fmt.Sprintf("severity %s is at least filter.min_severity %s", sev, f.MinSeverity))
	}
	if len(f.EventTypes) > 0 {
		if !slices.Contains(f.EventTypes, typ) {
			return false, fmt.Sprintf("event_type %q is not in filter.event_types [%s]", typ, strings.Join(f.EventTypes, ", "))
		}
		reasons = append(reasons, fmt.Sprintf("event_type %s is in filter.event_types", typ))
	}
	if reasons == nil {
		return true, "the connection has no filter"
	}
	return true, strings.Join(reasons, "; ")
}

// unknownName is the error for a component that is not in the config.
func unknownName(what, name string, known []string) error {
	hint := "the config has none"
	if len(known) > 0 {
		hint = "there is " + strings.Join(known, ", ")
	}
	if near := agent.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Errorf("there is no %s %q: %s", what, name, hint)
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// prepare makes an event of body as an input without keys would.
func (x *explainer) prepare(body []byte) (*agent.Event, error) {
	p := intake.Preparer{Identity: x.cfg.Identity}
	var e agent.Event
	if _, refusal := p.Prepare(&e, body, "", 0, time.Now().UnixNano()); refusal != nil {
		return nil, fmt.Errorf("%s: %s", refusal.Reason, refusal.Detail)
	}
	e.Seq = 1
	return &e, nil
}
