package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
