package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// lastGoodName is the folder below data_dir with a copy of the config that was
// applied last, for run --fallback last-good. Like all of data_dir it is its
// owner's alone.
const lastGoodName = "last-good"

// keepLastGood copies the files that cfg was loaded from.
func keepLastGood(cfg *config.Config, path string) error {
	dir := filepath.Join(cfg.DataDir, lastGoodName)
	fresh := dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(fresh, "conf.d"), 0o700); err != nil {
		return err
	}
	main := filepath.Dir(path)
	for _, from := range cfg.Files {
		to := filepath.Join(fresh, "siemd.yaml")
		if filepath.Dir(from) == filepath.Join(main, "conf.d") {
			to = filepath.Join(fresh, "conf.d", filepath.Base(from))
		}
		if err := config.WriteFile(to, cfg.Text(from)); err != nil {
			return err
		}
	}
	// At every moment one of the two is whole.
	old := dir + ".old"
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := errors.Join(os.Rename(fresh, dir), config.SyncDir(cfg.DataDir)); err != nil {
		return err
	}
	return os.RemoveAll(old)
}

var dataDirLine = regexp.MustCompile(`(?m)^data_dir:[ \t]*(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"'#]+))`)

// dataDirOf finds out which data_dir a config means that cannot be loaded.
func dataDirOf(path string) (string, error) {
	more, _ := config.Further(path) // what cannot be listed says nothing about data_dir
	for _, file := range append([]string{path}, more...) {
		dir := ""
		if root := config.Parse(&agent.Problems{File: file}, file); root != nil {
			if n := agent.Find(root, "data_dir"); n.Kind == yaml.ScalarNode {
				dir = n.Value
			}
		} else if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() { // a pipe would be waited for
			data, _ := os.ReadFile(file)
			if m := dataDirLine.FindStringSubmatch(string(data)); m != nil {
				dir = m[1] + m[2] + m[3]
			}
		}
		switch {
		case strings.Contains(dir, "$"):
			return "", fmt.Errorf("there is no last good config: data_dir is %s, and that cannot be found out", dir)
		case dir != "":
			return dir, nil
		}
	}
	return config.Default().DataDir, nil
}

// loadLastGood is the config that was applied last, in place of the broken one
// at path. Reloads look at path again.
func loadLastGood(path string, diag io.Writer) (*config.Config, error) {
	dir, err := dataDirOf(path)
	if err != nil {
		return nil, err
	}
	copied := filepath.Join(dir, lastGoodName, "siemd.yaml")
	if _, err := os.Stat(copied); errors.Is(err, fs.ErrNotExist) {
		copied = filepath.Join(dir, lastGoodName+".old", "siemd.yaml") // the process was killed while it made the copy
	}
	if _, err := os.Stat(copied); err != nil {
		return nil, fmt.Errorf("there is no last good config: %w", err)
	}
	cfg, problems := config.Load(copied, config.Options{})
	if cfg == nil {
		config.Print(diag, problems)
		return nil, errors.New("the last good config does not work here any more")
	}
	cfg.Relocate(path)
	return cfg, nil
}
