// Package sandbox compares what processes do, as strace sees it, with what
// siemd's unit lets them do: the system calls, the families of sockets, memory
// that can be written and executed, namespaces. It keeps the unit honest on
// machines where no systemd runs.
package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Unit is what a unit of systemd forbids and allows.
type Unit struct {
	calls    map[string]bool // by name; true for those that SystemCallFilter lets through
	families map[string]bool // AF_UNIX and so on, of RestrictAddressFamilies; empty for all
	// MemoryDenyWriteExecute and RestrictNamespaces
	noWriteExec, noNamespaces bool
	strace                    string
}

// Load reads a unit. It takes strace, and systemd-analyze, which knows the calls of each group that the unit names.
func Load(path string) (*Unit, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, err
	}
	groups, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager").Output()
	if err != nil {
		return nil, fmt.Errorf("systemd-analyze syscall-filter: %w", err)
	}
	u := parse(string(text), string(groups))
	u.strace = strace
	return u, nil
}

func parse(unit, groupsText string) *Unit {
	g := parseGroups(groupsText)
	u := &Unit{calls: map[string]bool{}, families: map[string]bool{}}
	for _, filter := range Setting(unit, "SystemCallFilter") {
		list, forbid := strings.CutPrefix(filter, "~")
		for name := range strings.FieldsSeq(list) {
			for _, call := range g.expand(name) {
				u.calls[call] = !forbid
			}
		}
	}
	for _, call := range g.expand("@default") { // always let through
		u.calls[call] = true
	}
	for _, list := range Setting(unit, "RestrictAddressFamilies") {
		for name := range strings.FieldsSeq(list) {
			u.families[name] = true
		}
	}
	yes := func(key string) bool {
		values := Setting(unit, key)
		return len(values) > 0 && values[len(values)-1] == "yes"
	}
	u.noWriteExec, u.noNamespaces = yes("MemoryDenyWriteExecute"), yes("RestrictNamespaces")
	return u
}

// Setting gives the values of a key of a unit, in order.
func Setting(unit, key string) []string {
	var values []string
	for line := range strings.Lines(unit) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			values = append(values, v)
		}
	}
	return values
}

// groups are the calls, and other groups, in each group: @io-event and so on.
type groups map[string][]string

func parseGroups(text string) groups {
	g := groups{}
	name := ""
	for line := range strings.Lines(text) {
		switch word := strings.TrimSpace(line); {
		case word == "" || strings.HasPrefix(word, "#"):
		case strings.HasPrefix(line, "@"):
			name = word
		default:
			g[name] = append(g[name], word)
		}
	}
	return g
}

func (g groups) expand(name string) []string {
	if !strings.HasPrefix(name, "@") {
		return []string{name}
	}
	var calls []string
	for _, n := range g[name] {
		calls = append(calls, g.expand(n)...)
	}
	return calls
}
