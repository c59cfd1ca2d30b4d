package config

import (
	"fmt"
	"strings"
)

// Reference is the text of docs/config.md: every key in a table.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Configuration reference\n\n" +
		"Every key of siemd, its default and what it does. This page, `configs/example.yaml`, `siemd help TYPE` and the JSON Schema\n" +
		"(`siemd schema`) are made from the same description. `siemd check` finds mistakes, `siemd explain` shows what a config does with an event.\n\n" +
		"The main file is `/etc/siemd/siemd.yaml`, or what `-c` names; `conf.d/*.yaml` beside it add components.\n" +
		"Durations are written `10s`, `5m` or `7d`, sizes `64KiB`, `5MB` or `4GiB`. A value may be `${env:NAME}`, `${env:NAME:-default}`,\n" +
		"`${file:/path}` or `${cred:NAME}` (a systemd credential); `$$` is a dollar sign. One value may stand for a list of one.\n\n")
	b.WriteString("- [Top level](#top-level)\n")
	for _, s := range sides() {
		fmt.Fprintf(&b, "- [Keys of all %s](#keys-of-all-%s)", s.Name, s.Name)
		for _, x := range s.Sections {
			fmt.Fprintf(&b, " · [%s](#%s-%s)", x.Kind, s.What, x.Kind)
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n## Top level\n\n")
	table(&b, TopLevel())
	for _, s := range sides() {
		fmt.Fprintf(&b, "\n## Keys of all %s\n\n%s\n\n", s.Name, s.Doc)
		table(&b, append([]Key{{Name: "type", Kind: "words", Required: true, Doc: "Which kind of " + s.What + " it is.", OneOf: kindsOf(s.Sections)}}, s.Common...))
		for _, x := range s.Sections {
			fmt.Fprintf(&b, "\n### %s `%s`\n\n", strings.ToUpper(s.What[:1])+s.What[1:], x.Kind)
			if len(x.Keys) == 0 {
				b.WriteString("No keys of its own.\n")
				continue
			}
			table(&b, x.Keys)
		}
	}
	return b.String()
}

func kindsOf(sections []Section) []string {
	var kinds []string
	for _, s := range sections {
		kinds = append(kinds, s.Kind)
	}
	return kinds
}

func table(b *strings.Builder, keys []Key) {
	b.WriteString("| key | kind | default | meaning |\n| --- | --- | --- | --- |\n")
	rows(b, keys, "")
}

func rows(b *strings.Builder, keys []Key, prefix string) {
	for _, k := range keys {
		if k.Kind == "keys" {
			fmt.Fprintf(b, "| `%s%s` | map | | %s |\n", prefix, k.Name, cell(k.Doc))
			rows(b, k.Keys, prefix+k.Name+".")
			continue
		}
		def := ""
		switch {
		case k.Required:
			def = "required"
		case k.Default != "":
			def = "`" + cell(k.Default) + "`"
		}
		doc := k.doc()
		if k.Example != "" && k.Example != k.Default {
			doc += " Example: `" + k.Example + "`"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, k.Name, kindWords(k), def, cell(doc))
		if len(k.Keys) > 0 {
			rows(b, k.Keys, prefix+k.Name+"[].")
		}
	}
}

// kindWords is a key's kind for people.
func kindWords(k Key) string {
	switch k.Kind {
	case "words", "severity":
		return "word"
	case "text", "any":
		return "value"
	case "string":
		return "text"
	case "bool":
		return "true or false"
	case "portion":
		return "size or share"
	case "list":
		switch {
		case len(k.Keys) > 0 && k.Item == "secret":
			return "list of secrets or maps"
		case len(k.Keys) > 0:
			return "list of maps"
		case k.Item == "secret":
			return "list of secrets"
		}
		return "list"
	}
	return k.Kind
}

// cell makes text fit into a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}
