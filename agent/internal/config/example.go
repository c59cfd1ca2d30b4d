package config

import (
	"fmt"
	"strings"
)

// Example is the text of configs/example.yaml: every key with its default, its
// unit and what it does. Components stand in comments, so that the file is
// valid and does nothing.
func Example() string {
	var b strings.Builder
	b.WriteString("# yaml-language-server: $schema=../packaging/siemd.schema.json\n")
	b.WriteString("#\n# Every key of siemd with its default. The file is valid and inert as it stands: take what you need\n")
	b.WriteString("# from the comments below inputs and outputs. Values may be ${env:NAME}, ${env:NAME:-default},\n")
	b.WriteString("# ${file:/path} or ${cred:NAME} (a systemd credential); $$ is a dollar sign. Further files: conf.d/*.yaml.\n\n")
	exampleKeys(&b, TopLevel(), "")
	for _, side := range []struct {
		name, doc string
		sections  []Section
		common    []Key
	}{
		{"inputs", "Where events come from, by name.", Inputs(), CommonInput()},
		{"outputs", "Where events go, by name: the connections.", Outputs(), CommonOutput()},
	} {
		fmt.Fprintf(&b, "\n# %s\n%s: {}\n", side.doc, side.name)
		fmt.Fprintf(&b, "\n# keys of every one of the %s\n", side.name)
		commented(&b, side.common)
		for _, s := range side.sections {
			fmt.Fprintf(&b, "\n# my-%s:\n#   type: %s\n", s.Kind, s.Kind)
			commented(&b, s.Keys)
		}
	}
	return b.String()
}

// commented writes keys as a comment, in the place of a component's.
func commented(b *strings.Builder, keys []Key) {
	var inner strings.Builder
	exampleKeys(&inner, keys, "  ")
	for line := range strings.Lines(inner.String()) {
		b.WriteString("# " + line)
	}
}

func exampleKeys(b *strings.Builder, keys []Key, indent string) {
	for _, k := range keys {
		doc := k.Doc
		if len(k.OneOf) > 0 {
			doc += " One of " + strings.Join(k.OneOf, ", ") + "."
		}
		line := indent + k.Name + ":"
		switch {
		case k.Kind == "keys":
			fmt.Fprintf(b, "%s# %s\n%s\n", indent, doc, line)
			exampleKeys(b, k.Keys, indent+"  ")
			continue
		case k.Default != "" && k.Kind == "list":
			line += " " + strings.ReplaceAll(k.Default, " ", ", ")
		case k.Default != "":
			line += " " + k.Default
		case k.Example != "":
			line = indent + "# " + k.Name + ": " + k.Example
		default:
			line = indent + "# " + k.Name + ":"
		}
		fmt.Fprintf(b, "%-44s # %s\n", line, doc)
	}
}
