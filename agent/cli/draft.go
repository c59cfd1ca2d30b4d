package cli

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/adrian207/siemd/agent"
)

// A draft is what a config is to hold.
type draft struct {
	dataDir string
	input   []string   // type and arguments; empty: none
	outputs [][]string // type and endpoint
}

// parseDraft reads "tail PATH... to TYPE ENDPOINT to ...".
func parseDraft(args []string) (draft, error) {
	var d draft
	for n, group := range split(args, "to") {
		switch {
		case n == 0:
			d.input = group
		case len(group) == 0:
			return d, errors.New("behind to stands a type of output and its endpoint")
		default:
			d.outputs = append(d.outputs, group)
		}
	}
	if len(d.input) > 0 {
		if err := checkInput(d.input); err != nil {
			return d, err
		}
	}
	for _, o := range d.outputs {
		if err := checkOutput(o); err != nil {
			return d, err
		}
	}
	return d, nil
}

// split cuts words at each separator.
func split(words []string, separator string) [][]string {
	groups := [][]string{{}}
	for _, w := range words {
		if w == separator {
			groups = append(groups, []string{})
			continue
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], w)
	}
	return groups
}

func checkInput(words []string) error {
	kind, args := words[0], words[1:]
	switch {
	case !slices.Contains(agent.InputKinds(), kind):
		return unknownName("type of input", kind, agent.InputKinds())
	case kind == "tail" && len(args) == 0:
		return errors.New("tail needs a path, for example '/var/log/apps/*.jsonl'")
	case kind == "http" && len(args) != 1:
		return errors.New("http needs an address, for example 127.0.0.1:8088")
	case kind == "stdin" && len(args) > 0:
		return errors.New("stdin takes no arguments")
	}
	return nil
}

func checkOutput(words []string) error {
	kind := words[0]
	if kind == "qradar" {
		return nil
	}
	switch {
	case !slices.Contains(agent.OutputKinds(), kind):
		return unknownName("type of output", kind, append(agent.OutputKinds(), "qradar"))
	case len(words) < 2 || len(words) > 2 && kind != "exec":
		return fmt.Errorf("%s needs one endpoint, for example: to %s %s", kind, kind, exampleEndpoint(kind))
	}
	return nil
}

func exampleEndpoint(kind string) string {
	switch kind {
	case "splunk":
		return "https://splunk.example.com:8088"
	case "elastic":
		return "https://elastic.example.com:9200"
	case "file":
		return "/var/log/siemd/events.jsonl"
	case "exec":
		return "/usr/local/lib/siemd/connector"
	case "http":
		return "https://siem.example.com/ingest"
	}
	return "siem.example.com:514"
}

// outputName is a name for the i-th of several outputs of one type.
func outputName(d draft, o []string) string {
	n := 0
	for _, other := range d.outputs {
		if other[0] == o[0] {
			n++
		}
		if &other[0] == &o[0] {
			break
		}
	}
	if n > 1 {
		return fmt.Sprintf("%s-%d", o[0], n)
	}
	return o[0]
}

// render is the config, and for each connection with a secret the file that it belongs in.
func (d *draft) render() (text []byte, secrets [][2]string) {
	var b bytes.Buffer
	b.WriteString("# yaml-language-server: $schema=file:///usr/share/siemd/siemd.schema.json\n" +
		"#\n# 'siemd check' finds mistakes, 'siemd explain' shows what becomes of an event, 'siemd help TYPE' has every key.\n" +
		"data_dir: " + quoteYAML(d.dataDir) + "\n\ninputs:")
	if len(d.input) == 0 {
		b.WriteString(" {}\n")
	} else {
		fmt.Fprintf(&b, "\n  %s:\n    type: %s\n", inputName(d.input[0]), d.input[0])
		switch d.input[0] {
		case "tail":
			b.WriteString("    paths:\n")
			for _, p := range d.input[1:] {
				b.WriteString("      - " + quoteYAML(p) + "\n")
			}
			b.WriteString("    # start_at: end              # leave out what is in the files now\n")
		case "http":
			b.WriteString("    listen: " + quoteYAML(d.input[1]) + "\n")
			if host, _, err := net.SplitHostPort(d.input[1]); err == nil && !isLoopback(host) {
				b.WriteString("    tokens: [\"${file:/etc/siemd/ingest.token}\"]\n    tls: {cert_file: /etc/siemd/ingest.pem, key_file: /etc/siemd/ingest.key}\n")
				secrets = append(secrets, [2]string{"the http input", "/etc/siemd/ingest.token"})
			}
		}
		b.WriteString("    # event_type: telemetry      # for events that carry none\n")
	}
	b.WriteString("\noutputs:")
	if len(d.outputs) == 0 {
		b.WriteString(" {}\n")
	}
	for _, o := range d.outputs {
		name := outputName(*d, o)
		fmt.Fprintf(&b, "\n  %s:\n", name)
		if file := renderOutput(&b, name, o); file != "" {
			secrets = append(secrets, [2]string{name, file})
		}
		b.WriteString("    # filter: {event_types: [anomaly, alert], min_severity: medium}\n")
	}
	return b.Bytes(), secrets
}

func inputName(kind string) string {
	switch kind {
	case "tail":
		return "files"
	case "http":
		return "ingest"
	}
	return kind
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// renderOutput writes one output's keys and returns the file of its secret.
func renderOutput(b *bytes.Buffer, name string, o []string) (secret string) {
	kind, endpoint := o[0], exampleEndpoint(o[0])
	if len(o) > 1 {
		endpoint = o[1]
	}
	if kind == "qradar" {
		kind = "leef"
	}
	fmt.Fprintf(b, "    type: %s\n", kind)
	token := func(key string) {
		secret = "/etc/siemd/" + name + ".token"
		fmt.Fprintf(b, "    %s: ${file:%s}\n", key, secret)
	}
	switch kind {
	case "file":
		b.WriteString("    path: " + quoteYAML(endpoint) + "\n    # rotate: {max_size: 100MiB, keep: 10}\n")
		return ""
	case "exec":
		b.WriteString("    command: [" + strings.Join(quoteAll(o[1:]), ", ") + "]\n")
		return ""
	}
	b.WriteString("    endpoint: " + quoteYAML(endpoint) + "\n")
	switch kind {
	case "splunk":
		token("token")
		b.WriteString("    # index: zerotrust\n    # compression: gzip\n")
	case "elastic":
		token("api_key")
		b.WriteString("    # index: zerotrust-%Y.%m.%d\n    # compression: gzip\n")
	case "http":
		b.WriteString("    # auth: {type: bearer, token: \"${file:/etc/siemd/" + name + ".token}\"}\n")
	default:
		transport := "tcp"
		if _, port, err := net.SplitHostPort(endpoint); err == nil && port == "6514" {
			transport = "tls"
		}
		fmt.Fprintf(b, "    transport: %s%s# udp, tcp or tls\n", transport, strings.Repeat(" ", 13))
	}
	return secret
}

func quoteAll(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quoteYAML(w)
	}
	return out
}

// quoteYAML is s as a scalar, quoted if it has anything that YAML, or the
// substitution of references, could take for its own.
func quoteYAML(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:*+?", r))
	}) && !strings.ContainsAny(s[:1], "*?:-") && !strings.HasSuffix(s, ":")
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, "'", "''"), "$", "$$") + "'"
}
