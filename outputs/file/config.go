package file

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/adrian207/siemd/agent"
)

// Config is the config of kind file.
type Config struct {
	Path   string   `yaml:"path" required:"true" example:"/var/log/siemd/events.jsonl" doc:"File to append to, which may be a named pipe; - is standard output."`
	Mode   FileMode `yaml:"mode" example:"0640" doc:"Permissions of new files, in octal."`
	Rotate Rotate   `yaml:"rotate" doc:"When to begin a new file; by default never. The old one is renamed to <path>.<UTC time>."`
}

// Rotate is the rotate key.
type Rotate struct {
	MaxSize agent.Bytes    `yaml:"max_size" example:"100MiB" doc:"Largest file; a single larger event still gets a file of its own. 0: no limit."`
	MaxAge  agent.Duration `yaml:"max_age" example:"1d" doc:"How long a file is written to, looked at when events come. 0: no limit."`
	Keep    int            `yaml:"keep" example:"10" doc:"How many old files stay; 0: all."`
}

var defaults = Config{Mode: 0o600}

// FileMode is a file's permissions, in octal as with chmod.
type FileMode fs.FileMode

// UnmarshalText takes octal digits.
func (m *FileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(string(text), "0o"), 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("%q is no file mode: want octal digits as in 0640", text)
	}
	*m = FileMode(n)
	return nil
}

// MarshalText writes four octal digits.
func (m FileMode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// Validate reports keys that do not fit together.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, hint, message string) {
		errs = append(errs, &agent.KeyError{Key: key, Message: message, Hint: hint})
	}
	if c.Path == "-" && c.Rotate != (Rotate{}) {
		bad("rotate", "remove rotate", "standard output is not rotated")
	}
	if strings.HasSuffix(c.Path, "/") {
		bad("path", "for example "+c.Path+"events.jsonl", "path is a directory")
	}
	if c.Mode&0o200 == 0 {
		bad("mode", "for example 0640", "the owner must be able to write the file")
	}
	if c.Rotate.Keep < 0 {
		bad("rotate.keep", "0 keeps all", "keep cannot be negative")
	}
	if c.Rotate.Keep > 0 && c.Rotate.MaxSize == 0 && c.Rotate.MaxAge == 0 {
		bad("rotate.keep", "add max_size or max_age", "without max_size and max_age there are no old files")
	}
	return errors.Join(errs...)
}
