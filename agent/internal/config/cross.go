package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// cross checks what concerns several components.
func (l *loader) cross() {
	l.crossListens()
	l.crossStdin()
	l.crossFiles()
	l.crossIdentity()
	l.crossSizes()
	l.checkTypes()
}

// sound are those of names that have no mistakes of their own.
func (l *loader) sound(what string, names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return l.places[what+" "+name].ps == nil })
}

// crossListens finds two that listen on one address.
func (l *loader) crossListens() {
	taken := map[string]string{} // address -> by whom
	for _, addr := range l.cfg.API.Listen {
		taken[addr] = "the API"
	}
	for _, name := range l.sound("input", sortedKeys(l.cfg.Inputs)) {
		addr := stringOf(l.cfg.Inputs[name].Config, "Listen")
		if addr == "" {
			continue
		}
		for _, other := range sortedKeys(taken) {
			if !sameAddress(addr, other) {
				continue
			}
			l.late("input "+name, "listen", func(ps *agent.Problems, n *yaml.Node) {
				at := ""
				if other != addr {
					at = ", which is part of " + other
				}
				ps.Add(n, "give each a port of its own", "%s listens on %s too%s", taken[other], addr, at)
			})
			break
		}
		taken[addr] = fmt.Sprintf("input %q", name)
	}
}

// crossSizes finds inputs whose events may be larger than the log.
func (l *loader) crossSizes() {
	for _, name := range l.sound("input", sortedKeys(l.cfg.Inputs)) {
		for field, key := range map[string]string{"MaxLine": "max_line", "MaxEvent": "max_event"} {
			f := fieldOf(l.cfg.Inputs[name].Config, field)
			if !f.IsValid() || f.Int() <= int64(l.cfg.WAL.MaxSize) {
				continue
			}
			l.late("input "+name, key, func(ps *agent.Problems, n *yaml.Node) {
				ps.Add(n, "an event may have up to a quarter of wal.max_size", "%s is more than the log holds (wal.max_size: %s)", agent.Bytes(f.Int()), l.cfg.WAL.MaxSize)
			})
		}
	}
}

// crossStdin finds two that read standard input: each would get parts of lines.
func (l *loader) crossStdin() {
	reader := ""
	for _, name := range l.sound("input", sortedKeys(l.cfg.Inputs)) {
		switch {
		case l.cfg.Inputs[name].Kind != "stdin":
		case reader == "":
			reader = name
		default:
			l.late("input "+name, "", func(ps *agent.Problems, n *yaml.Node) {
				ps.Add(n, "keep one of them", "input %q reads standard input too", reader)
			})
		}
	}
}

// sameAddress reports whether one cannot listen on a while another listens on b.
func sameAddress(a, b string) bool {
	if a == b {
		return true
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	local := func(host string) string { return strings.Replace(host, "localhost", "127.0.0.1", 1) }
	every := func(host string) bool { ip := net.ParseIP(host); return host == "" || ip != nil && ip.IsUnspecified() }
	return local(hostA) == local(hostB) || every(hostA) || every(hostB)
}

// crossFiles finds two that write one file, and inputs that read what an output writes.
func (l *loader) crossFiles() {
	written := map[string]string{} // path -> by which output
	for _, name := range l.sound("output", sortedKeys(l.cfg.Outputs)) {
		path := stringOf(l.cfg.Outputs[name].Config, "Path")
		if path == "" || path == "-" {
			continue
		}
		path = filepath.Clean(path)
		if other := written[path]; other != "" {
			l.late("output "+name, "path", func(ps *agent.Problems, n *yaml.Node) {
				ps.Add(n, "give each a file of its own", "output %q writes %s too", other, path)
			})
		}
		written[path] = name
	}
	for _, name := range l.sound("input", sortedKeys(l.cfg.Inputs)) {
		f := fieldOf(l.cfg.Inputs[name].Config, "Paths")
		if f.Kind() != reflect.Slice || f.Type().Elem().Kind() != reflect.String {
			continue
		}
		for i := range f.Len() {
			pattern := f.Index(i).String()
			for _, path := range sortedKeys(written) {
				if !matches(pattern, path) || l.excluded(name, path) {
					continue
				}
				l.late("input "+name, "paths", func(ps *agent.Problems, n *yaml.Node) {
					ps.Add(n, "write the file elsewhere, or exclude it", "this reads %s, which output %q writes: every event would come again for ever", path, written[path])
				})
			}
		}
	}
}

// matches knows the simple patterns; what it does not understand matches nothing.
func matches(pattern, path string) bool {
	ok, err := filepath.Match(pattern, path)
	return err == nil && ok
}

func (l *loader) excluded(input, path string) bool {
	f := fieldOf(l.cfg.Inputs[input].Config, "Exclude")
	if f.Kind() != reflect.Slice || f.Type().Elem().Kind() != reflect.String {
		return false
	}
	for i := range f.Len() {
		if p := f.Index(i).String(); matches(p, path) || matches(p, filepath.Base(path)) {
			return true
		}
	}
	return false
}

// eventTypes are the seven that the platform sends.
var eventTypes = []string{"anomaly", "risk_assessment", "compliance_check", "telemetry", "workflow_execution", "security_event", "alert"}

// crossIdentity finds outputs that could not be built for what follows from the agent's identity.
func (l *loader) crossIdentity() {
	for _, name := range l.sound("output", sortedKeys(l.cfg.Outputs)) {
		if e := l.misfit(name); e != nil {
			l.late("output "+name, e.Key, func(ps *agent.Problems, n *yaml.Node) { ps.Add(n, e.Hint, "%s", e.Message) })
		}
	}
}

// misfit is what is wrong with an output beside the agent's identity, or nil.
func (l *loader) misfit(output string) *agent.KeyError {
	config, ok := l.cfg.Outputs[output].Config.(interface{ ValidateAs(agent.Identity) error })
	if !ok {
		return nil
	}
	var e *agent.KeyError
	if !errors.As(config.ValidateAs(l.cfg.Identity), &e) {
		return nil
	}
	return &agent.KeyError{
		Key: e.Key, Message: fmt.Sprintf("the %s that follows from identity will not do: %s", e.Key, e.Message),
		Hint: "change identity, or give this output a value of its own",
	}
}

// checkTypes warns of filters that name an event type which is probably a slip.
func (l *loader) checkTypes() {
	known := slices.Clone(eventTypes)
	for _, in := range l.cfg.Inputs {
		known = append(known, in.Common.EventType)
	}
	for _, name := range l.sound("output", sortedKeys(l.cfg.Outputs)) {
		if types := l.cfg.Outputs[name].Common.Filter.EventTypes; types != nil && len(types) == 0 {
			l.late("output "+name, "filter.event_types", func(ps *agent.Problems, n *yaml.Node) {
				ps.Warn(n, "leave event_types out; an output that is to take nothing has enabled: false", "an empty list is no filter: this output takes every type")
			})
		}
		for i, typ := range l.cfg.Outputs[name].Common.Filter.EventTypes {
			near := agent.Nearest(typ, eventTypes)
			if slices.Contains(known, typ) || near == "" || len(typ) < 4 {
				continue
			}
			l.late("output "+name, "filter.event_types", func(ps *agent.Problems, n *yaml.Node) {
				if n.Kind == yaml.SequenceNode && i < len(n.Content) {
					n = n.Content[i]
				}
				ps.Warn(n, fmt.Sprintf("did you mean %q? A type of your own is fine too", near), "%q is none of the usual event types", typ)
			})
		}
	}
}

// stringOf is a string field of a component's config, or "".
func stringOf(config any, name string) string {
	if f := fieldOf(config, name); f.Kind() == reflect.String {
		return f.String()
	}
	return ""
}

func fieldOf(config any, name string) reflect.Value {
	return reflect.ValueOf(config).Elem().FieldByName(name)
}
