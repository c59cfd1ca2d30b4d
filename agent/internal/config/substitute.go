package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

const maxSecret = 64 << 10

var (
	// The last one is a reference that does not end.
	reference = regexp.MustCompile(`\$\$|\$\{([^{}]*)\}|\$\{(env|file|cred):`)
	// bareVariable is what a shell would replace.
	bareVariable = regexp.MustCompile(`^\$([A-Z_][A-Z0-9_]*)$`)
	envName      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// StandIn is put where values from elsewhere would go if they are not resolved.
const StandIn = "substituted"

// substituter replaces references in the scalars of one file.
type substituter struct {
	ps      *agent.Problems
	resolve bool // false: put a stand-in where a secret would go
	seen    map[*yaml.Node]bool
	sources []string              // files that values come from, there or not
	open    map[*yaml.Node]string // values from files that everybody can read

	sealedOnly bool // the file was made through the API: only ${secret:KEY} is known
	sealed     map[string]string
}

// walk replaces the references below n, whose depth is bounded.
func (s *substituter) walk(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if s.seen[n] {
		return
	}
	s.seen[n] = true
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue // keys are taken as they stand
		}
		s.walk(c)
	}
	if n.Kind == yaml.ScalarNode {
		s.scalar(n)
	}
}

func (s *substituter) scalar(n *yaml.Node) {
	if !strings.Contains(n.Value, "$") {
		return
	}
	private, failed := false, false
	text := reference.ReplaceAllStringFunc(n.Value, func(m string) string {
		if m == "$$" {
			return "$"
		}
		private = true
		if !strings.HasSuffix(m, "}") {
			s.ps.Add(n, "end it with }, or write $$ for a literal dollar sign", "%s... has no closing brace", m)
			failed = true
			return StandIn
		}
		if !s.resolve {
			return StandIn
		}
		if path, ok := strings.CutPrefix(m, "${file:"); ok {
			s.sources = append(s.sources, strings.TrimSuffix(path, "}"))
		}
		value, err := s.lookUp(m[2 : len(m)-1])
		if err != nil {
			hint := hintFor(m)
			if errors.Is(err, fs.ErrPermission) {
				hint = "the user that siemd runs as must be able to read it, for example 0640 with siemd's group"
			}
			s.ps.Add(n, hint, "%s: %s", withoutDefault(m), reason(err))
			failed = true
			return StandIn
		}
		if path, ok := strings.CutPrefix(m, "${file:"); ok && err == nil && worldReadable(strings.TrimSuffix(path, "}")) {
			if s.open == nil {
				s.open = map[*yaml.Node]string{}
			}
			s.open[n] = strings.TrimSuffix(path, "}")
		}
		return value
	})
	if private {
		s.ps.Private[n] = true
	}
	if m := bareVariable.FindStringSubmatch(n.Value); m != nil {
		s.ps.Warn(n, "write ${env:"+m[1]+"} for the environment variable, or $$"+m[1]+" for the text", "$%s is taken as it stands", m[1])
	}
	if private && !s.resolve || failed {
		if s.ps.StandIns == nil {
			s.ps.StandIns = map[*yaml.Node]bool{}
		}
		s.ps.StandIns[n] = true
	}
	n.Value, n.Tag = text, "!!str"
}

// hintFor says how a reference is mended.
func hintFor(ref string) string {
	switch {
	case strings.HasPrefix(ref, "${env:"):
		return "set the variable where siemd runs, or give a default: ${env:NAME:-default}"
	case strings.HasPrefix(ref, "${file:"):
		return "name a file of at most 64 KiB by its absolute path, as in ${file:/etc/siemd/hec.token}"
	case strings.HasPrefix(ref, "${cred:"):
		return "name a credential of the unit, as LoadCredential=NAME:/path gives it"
	case strings.HasPrefix(ref, "${secret:"):
		return "give the secret again through the API"
	}
	return "write ${env:NAME}, ${file:/path} or ${cred:NAME}; a literal dollar sign is $$"
}

// withoutDefault is a reference without its default, which may be a secret.
func withoutDefault(ref string) string {
	if before, _, ok := strings.Cut(ref, ":-"); ok {
		return before + ":-...}"
	}
	return ref
}

// lookUp is the function below, or what is sealed beside the file.
func (s *substituter) lookUp(ref string) (string, error) {
	if !s.sealedOnly {
		return lookUp(ref)
	}
	key, ok := strings.CutPrefix(ref, "secret:")
	if !ok {
		return "", errors.New("only ${secret:KEY} is known in this file")
	}
	value, ok := s.sealed[key]
	if !ok {
		return "", fmt.Errorf("no secret is kept for %s", key)
	}
	return value, nil
}

// lookUp gives the value of one reference, such as "env:NAME:-default".
func lookUp(ref string) (string, error) {
	kind, arg, ok := strings.Cut(ref, ":")
	if !ok {
		if name, _, _ := strings.Cut(ref, ":"); envName.MatchString(name) {
			return "", fmt.Errorf("want ${env:%s}, ${file:/path} or ${cred:%[1]s}; a literal dollar sign is $$", name)
		}
		return "", errors.New(`want ${env:NAME}, ${file:/path} or ${cred:NAME}; a literal dollar sign is $$`)
	}
	switch kind {
	case "env":
		name, fallback, hasFallback := strings.Cut(arg, ":-")
		if !envName.MatchString(name) {
			return "", fmt.Errorf("%q is no name of an environment variable", name)
		}
		if v, ok := os.LookupEnv(name); ok {
			return v, nil
		}
		if hasFallback {
			return fallback, nil
		}
		return "", fmt.Errorf("the environment variable %s is not set; a default can be given as ${env:%s:-default}", name, name)
	case "file":
		if !filepath.IsAbs(arg) {
			return "", fmt.Errorf("%q is no absolute path", arg)
		}
		return readSecret(arg)
	case "cred":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		switch {
		case dir == "":
			return "", errors.New("no systemd credentials here: $CREDENTIALS_DIRECTORY is not set (see LoadCredential= in systemd.exec)")
		case arg == "" || strings.ContainsAny(arg, "/\x00") || arg == "." || arg == "..":
			return "", fmt.Errorf("%q is no name of a credential", arg)
		}
		return readSecret(filepath.Join(dir, arg))
	}
	return "", fmt.Errorf("%q is no source of values: want env, file or cred", kind)
}

// readSecret is the file's text without the newline that editors add.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file", path)
	case info.Size() > maxSecret:
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}
