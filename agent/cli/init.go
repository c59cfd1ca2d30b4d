package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// initCommand is siemd init.
type initCommand struct {
	std     streams
	file    string
	dataDir string
	force   bool
}

func newInit(std streams) *cobra.Command {
	c := &initCommand{std: std}
	cmd := &cobra.Command{
		Use:   "init [tail PATH... | http ADDRESS | stdin] [to TYPE ENDPOINT]...",
		Short: "write a config to begin with",
		Long: "init writes a commented config and checks it. Without arguments it asks. Quote patterns, so that the shell leaves them alone.\n" +
			"Secrets are not asked for: the config names the file that each is to stand in. Use --file - to see the config only.",
		Example: `  siemd init
  siemd init tail '/var/log/apps/*.jsonl' to splunk https://splunk.example.com:8088
  siemd init http 127.0.0.1:8088 to elastic https://es.example.com:9200 to syslog siem.example.com:6514 --file siemd.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	f := cmd.Flags()
	f.StringVar(&c.file, "file", defaultConfig(), "file to write; - for standard output")
	f.StringVar(&c.dataDir, "data-dir", "/var/lib/siemd", "where the agent keeps its log and state")
	f.BoolVar(&c.force, "force", false, "replace a file that is there")
	return cmd
}

// A draft is what a config is to hold.
type draft struct {
	dataDir string
	input   []string   // type and arguments; empty: none
	outputs [][]string // type and endpoint
}

func (c *initCommand) run(args []string) error {
	d, err := parseDraft(args)
	if err == nil && len(args) == 0 {
		d, err = c.ask()
	}
	if err != nil {
		return err
	}
	d.dataDir = c.dataDir
	text, secrets := d.render()
	if err := c.check(text); err != nil {
		return err
	}
	if c.file == "-" {
		_, err := c.std.out.Write(text)
		return err
	}
	if err := c.write(text); err != nil {
		return err
	}
	fmt.Fprintf(c.std.out, "%s is written.\n\nNext:\n", c.file)
	for _, s := range secrets {
		fmt.Fprintf(c.std.out, "  put the secret of %s into %s, readable by siemd alone\n", s[0], s[1])
	}
	fmt.Fprintf(c.std.out, "  siemd check -c %s\n", c.file)
	for _, o := range d.outputs {
		fmt.Fprintf(c.std.out, "  siemd test %s --local -c %s\n", outputName(d, o), c.file)
	}
	fmt.Fprintf(c.std.out, "  siemd run -c %s\n", c.file)
	return nil
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

// ask fills a draft from answers on standard input.
func (c *initCommand) ask() (draft, error) {
	in := bufio.NewScanner(c.std.in)
	question := func(text, fallback string) string {
		fmt.Fprintf(c.std.err, "%s [%s]: ", text, fallback)
		if !in.Scan() {
			return ""
		}
		if answer := strings.TrimSpace(in.Text()); answer != "" {
			return answer
		}
		return fallback
	}
	var d draft
	for {
		kind := question("Where do events come from? tail (files), http or stdin", "tail")
		if kind == "" {
			return d, errors.New("there were no answers; 'siemd init --help' shows how to say it all at once")
		}
		d.input = []string{kind}
		switch kind {
		case "tail":
			d.input = append(d.input, strings.Fields(question("Which files", "/var/log/apps/*.jsonl"))...)
		case "http":
			d.input = append(d.input, question("On which address", "127.0.0.1:8088"))
		}
		err := checkInput(d.input)
		if err == nil {
			break
		}
		fmt.Fprintf(c.std.err, "%v\n", err)
	}
	for {
		kind := question("Where do they go? "+strings.Join(agent.OutputKinds(), ", ")+", or none", "splunk")
		if kind == "none" || kind == "" {
			return d, nil
		}
		o := []string{kind}
		err := checkOutput(append(o, "x"))
		if err == nil {
			o = append(o, strings.Fields(question("Endpoint", exampleEndpoint(kind)))...)
			if err = checkOutput(o); err == nil {
				d.outputs = append(d.outputs, o)
				if question("Another one? yes or no", "no") != "yes" {
					return d, nil
				}
				continue
			}
		}
		fmt.Fprintf(c.std.err, "%v\n", err)
	}
}

// check loads the text as a config, with stand-ins for secrets.
func (c *initCommand) check(text []byte) error {
	dir, err := os.MkdirTemp("", "siemd-init-")
	if err != nil {
		return exit(exitCannotMake, err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "siemd.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return exit(exitIO, err)
	}
	cfg, problems := config.Load(path, config.Options{NoSecrets: true})
	if cfg == nil {
		for i := range problems {
			problems[i].File = "siemd.yaml"
		}
		config.Print(c.std.err, problems)
		return exit(exitUsage, errors.New("this would be no valid config; nothing is written"))
	}
	return nil
}

func (c *initCommand) write(text []byte) error {
	if !c.force {
		if _, err := os.Lstat(c.file); err == nil {
			return exit(exitCannotMake, fmt.Errorf("%s is there already; --force replaces it, --file names another", c.file))
		}
	}
	err := config.WriteFile(c.file, text)
	if err == nil {
		err = os.Chmod(c.file, 0o640)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return exit(exitPermission, err)
	case err != nil:
		return exit(exitCannotMake, err)
	}
	return nil
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
