package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/internal/config"
)

func TestHelp(t *testing.T) {
	siemd(t, "", "help").want(t, exitOK, "explain", "connections", "siemd demo")
	siemd(t, "", "help", "check").want(t, exitOK, "--tests", "Examples:")
	siemd(t, "", "help", "failed", "retry").want(t, exitOK, "--max-age")
	siemd(t, "", "help", "splunk").want(t, exitOK, "keys of an output of type splunk", "token  (required)", "sourcetype: _json")
	siemd(t, "", "help", "http").want(t, exitOK, "keys of an input of type http", "keys of an output of type http")
	siemd(t, "", "help", "elastic").want(t, exitOK, "keys of an output of type elastic", "a command of that name", "elastic setup")
	siemd(t, "", "help", "outputs").want(t, exitOK, "max_attempts: 3")
	siemd(t, "", "help", "config").want(t, exitOK, "shutdown_timeout: 20s")
	siemd(t, "", "help", "splnk").want(t, exitUsage, `did you mean "splunk"?`)
	siemd(t, "", "help", "check", "nonsense").want(t, exitUsage, "no help on")
	siemd(t, "", "explain", "--help").want(t, exitOK, "exact bytes")
	siemd(t, "", "completion", "bash").want(t, exitOK, "__start_siemd")
	siemd(t, "", "__complete", "help", "spl").want(t, exitOK, "splunk")
}

// TestEveryCommandHasAnExample holds commands to what people look for first.
func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Short == "" {
			t.Errorf("%s says nothing about itself", c.CommandPath())
		}
		if c.HasSubCommands() || strings.HasPrefix(c.CommandPath(), "siemd wal ") || c.Name() == "version" {
			return
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example", c.CommandPath())
		}
	}
	walk(newRoot(streams{}))
}

func TestTopicsHaveHelp(t *testing.T) {
	for _, topic := range config.Topics() {
		siemd(t, "", "help", topic).want(t, exitOK)
	}
}
