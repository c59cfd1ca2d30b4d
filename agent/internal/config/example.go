package config

import (
	"fmt"
	"strings"
)

// Example is the text of configs/example.yaml: every key with its default, its
// unit and what it does. Components stand in comments, so that the file is
// valid and does nothing; without the "# " each of them is a valid one.
func Example() string {
	var b strings.Builder
	b.WriteString(`# yaml-language-server: $schema=../packaging/siemd.schema.json
#
# Every key of siemd with its default. The file is valid and does nothing as it stands: take what you
# need from the comments below inputs and outputs. A key that is still a comment there has no default.
# Values may be ${env:NAME}, ${env:NAME:-default}, ${file:/path} or ${cred:NAME} (a systemd credential);
# $$ is a dollar sign. Further files: conf.d/*.yaml beside this one.

`)
	writeKeys(&b, TopLevel(), "")
	for _, side := range sides() {
		fmt.Fprintf(&b, "\n# %s\n%s: {}\n#\n# %s:\n", side.Doc, side.Name, side.Name)
		fmt.Fprintf(&b, "#   # Keys that all %s have:\n", side.Name)
		b.WriteString(indented(exampleOf(side.Common), "#   # "))
		for _, s := range side.Sections {
			fmt.Fprintf(&b, "#\n#   my-%s:\n#     type: %s\n", s.Kind, s.Kind)
			b.WriteString(indented(exampleOf(s.Keys), "#     "))
		}
	}
	return b.String()
}

// A side is the inputs or the outputs.
type side struct {
	Name, What, Doc string
	Sections        []Section
	Common          []Key
}

func sides() []side {
	return []side{
		{"inputs", "input", "Where events come from, by name.", Inputs(), CommonInput()},
		{"outputs", "output", "Where events go, by name: the connections.", Outputs(), CommonOutput()},
	}
}

func exampleOf(keys []Key) string {
	var b strings.Builder
	writeKeys(&b, keys, "")
	return b.String()
}

func indented(text, indent string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(indent+line, " \n") + "\n")
	}
	return b.String()
}

// writeKeys writes one key a line, with what it does behind it.
func writeKeys(b *strings.Builder, keys []Key, indent string) {
	for _, k := range keys {
		line := indent + k.Name + ":"
		switch {
		case k.Kind == "keys":
			commented(b, line, k.doc())
			writeKeys(b, k.Keys, indent+"  ")
			continue
		case k.Kind == "list" && len(k.Keys) > 0:
			commented(b, indent+"# "+k.Name+":", k.doc())
			dash := "- "
			for _, inner := range k.Keys {
				commented(b, indent+"#   "+dash+inner.Name+": "+inner.Example, inner.doc())
				dash = "  "
			}
			continue
		case k.Required:
			line += " " + k.Example
		case k.Default != "":
			line += " " + k.Default
		default:
			line = strings.TrimRight(indent+"# "+k.Name+": "+k.Example, " ")
		}
		commented(b, line, k.doc())
	}
}

// doc is what a key does and which words it takes.
func (k *Key) doc() string {
	doc := k.Doc
	if k.Replaces != "" && !strings.Contains(doc, k.Replaces) {
		doc += " It stands in place of " + k.Replaces + "."
	}
	if len(k.OneOf) > 0 && !mentions(doc, k.OneOf) {
		doc += " One of " + strings.Join(k.OneOf, ", ") + "."
	}
	return strings.TrimSpace(doc)
}

// mentions reports whether doc names all words anyway.
func mentions(doc string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(doc, w) {
			return false
		}
	}
	return true
}

const (
	commentColumn = 40
	commentWidth  = 84
)

// commented writes line with a comment behind it, over several lines if it is long.
func commented(b *strings.Builder, line, comment string) {
	for comment != "" {
		part := comment
		if len(part) > commentWidth {
			at := strings.LastIndexByte(part[:commentWidth], ' ')
			if at < 0 {
				at = commentWidth
			}
			part = part[:at]
		}
		comment = strings.TrimSpace(comment[len(part):])
		fmt.Fprintf(b, "%-*s # %s\n", commentColumn-1, line, part)
		line = ""
	}
	if line != "" {
		b.WriteString(line + "\n")
	}
}
