package exec

import (
	"errors"
	"strings"

	"github.com/adrian207/siemd/agent"
)

// Config is the config of kind exec.
type Config struct {
	Command []string                `yaml:"command" required:"true" example:"[/usr/local/lib/siemd/connector.py, --table, events]" doc:"Program and arguments. No shell is involved."`
	Env     map[string]agent.Secret `yaml:"env" example:"{API_TOKEN: '${file:/etc/siemd/api.token}'}" doc:"Environment of the program, beside PATH, HOME, LANG, TZ and TMPDIR. Nothing else is passed on."`
}

// Validate reports an empty program and names that no environment can hold.
func (c Config) Validate() error {
	var errs []error
	if len(c.Command) > 0 && c.Command[0] == "" {
		errs = append(errs, &agent.KeyError{Key: "command", Message: "the program has no name"})
	}
	for name, value := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			errs = append(errs, &agent.KeyError{Key: "env", Message: "a variable's name cannot be empty or hold = or NUL"})
		}
		if strings.ContainsRune(value.Reveal(), 0) {
			errs = append(errs, &agent.KeyError{Key: "env." + name, Message: "a variable's value cannot hold NUL"})
		}
	}
	return errors.Join(errs...)
}
