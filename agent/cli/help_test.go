package cli

import (
	"testing"

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
	siemd(t, "", "completion", "tcsh").want(t, exitUsage, "unknown command")
	siemd(t, "", "__complete", "help", "spl").want(t, exitOK, "splunk")
}

func TestTopicsHaveHelp(t *testing.T) {
	for _, topic := range config.Topics() {
		siemd(t, "", "help", topic).want(t, exitOK)
	}
}
