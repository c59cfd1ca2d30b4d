package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// Further are the conf.d/*.yaml beside the config file at path, in the order in
// which they are read. That there is no conf.d is no error.
func Further(path string) ([]string, error) {
	files, err := list(confDir(path), ".yaml")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	return files, err
}

func confDir(path string) string { return filepath.Join(filepath.Dir(path), "conf.d") }

// Problem is a mistake at a top-level key that shows only beside what runs.
func (c *Config) Problem(key, hint, format string, args ...any) agent.Problem {
	at := agent.Problems{File: c.Files[0]}
	place, lines := &yaml.Node{Line: 1, Column: 1}, []string(nil)
	for _, file := range c.Files {
		var l loader
		root := l.parseData(&agent.Problems{}, c.texts[file])
		if root == nil {
			continue
		}
		if n := valueOf(root, key); n != nil {
			at.File, place, lines = file, n, l.lines
			break
		}
	}
	at.Add(place, hint, format, args...)
	newSource(&at, lines).show()
	return at.List[0]
}

// list gives the paths of what in dir has a name that ends in suffix, in order.
// As for a shell, names that begin with a dot are not among them: editors keep
// their locks under such. Unlike filepath.Glob it takes dir as it stands, and
// says when that cannot be read.
func list(dir, suffix string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, suffix) && !strings.HasPrefix(name, ".") {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, nil
}
