package config

import (
	"reflect"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// cross checks what concerns several components.
func (l *loader) cross() {
	taken := map[string]string{}
	for _, addr := range l.cfg.API.Listen {
		taken[addr] = "the API"
	}
	for _, name := range sortedKeys(l.cfg.Inputs) {
		in := l.cfg.Inputs[name]
		addr := listenOf(in.Config)
		if addr == "" {
			continue
		}
		if other := taken[addr]; other != "" {
			ps := &agent.Problems{File: in.File}
			ps.Add(&yaml.Node{Line: in.Line, Column: 1}, "give each a port of its own", "input %q listens on %s, as %s does", name, addr, other)
			l.report(ps)
		}
		taken[addr] = "input " + name
	}
}

// listenOf is the address that a component's config says it listens on.
func listenOf(config any) string {
	f := reflect.ValueOf(config).Elem().FieldByName("Listen")
	if !f.IsValid() || f.Kind() != reflect.String {
		return ""
	}
	return f.String()
}
