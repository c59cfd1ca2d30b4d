package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adrian207/siemd/agent"
)

// Topics are what Help knows: config, inputs, outputs and the kinds of components.
func Topics() []string {
	topics := append([]string{"config", "inputs", "outputs"}, append(agent.InputKinds(), agent.OutputKinds()...)...)
	slices.Sort(topics)
	return slices.Compact(topics)
}

// Help is the reference of one topic for a terminal, or false if there is no
// such topic. What is both an input and an output has both.
func Help(topic string) (string, bool) {
	var b strings.Builder
	if topic == "config" {
		b.WriteString("keys of the config's top level\n\n")
		helpKeys(&b, TopLevel(), "  ")
		b.WriteString("\nand inputs and outputs, by name: see 'siemd help inputs', 'siemd help outputs'\n")
		return b.String(), true
	}
	for _, s := range sides() {
		if topic == s.Name {
			fmt.Fprintf(&b, "keys that all %s have\n\n  type  (required)\n      which kind it is: %s\n      'siemd help TYPE' has the keys of each\n", s.Name, strings.Join(kindsOf(s.Sections), ", "))
			helpKeys(&b, s.Common, "  ")
			return b.String(), true
		}
		for _, x := range s.Sections {
			if x.Kind != topic {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "keys of an %s of type %s\n\n", s.What, topic)
			helpKeys(&b, x.Keys, "  ")
			fmt.Fprintf(&b, "\nand those of every %s: see 'siemd help %s'\n", s.What, s.Name)
		}
	}
	return b.String(), b.Len() > 0
}

func helpKeys(b *strings.Builder, keys []Key, indent string) {
	for _, k := range keys {
		b.WriteString(indent + k.Name)
		switch {
		case k.Required:
			b.WriteString("  (required)")
		case k.Kind == "keys":
			b.WriteByte(':')
		case k.Default != "":
			b.WriteString(": " + k.Default)
		}
		b.WriteByte('\n')
		for _, line := range wrap(k.doc(), 96-len(indent)) {
			b.WriteString(indent + "    " + line + "\n")
		}
		if k.Example != "" && k.Example != k.Default {
			b.WriteString(indent + "    example: " + k.Example + "\n")
		}
		helpKeys(b, k.Keys, indent+"  ")
	}
}

// wrap cuts text into lines of at most width, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	for len(text) > width {
		at := strings.LastIndexByte(text[:width+1], ' ')
		if at <= 0 {
			break
		}
		lines, text = append(lines, text[:at]), text[at+1:]
	}
	if text != "" {
		lines = append(lines, text)
	}
	return lines
}
