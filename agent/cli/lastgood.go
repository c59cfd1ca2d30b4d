package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

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
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := config.WriteFile(to, data); err != nil {
			return err
		}
	}
	// They may have been edited since they were loaded.
	if copied, _ := config.Load(filepath.Join(fresh, "siemd.yaml"), config.Options{}); copied == nil || copied.Hash != cfg.Hash {
		return errors.New("the config was edited in this moment")
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(fresh, dir)); err != nil {
		return err
	}
	return config.SyncDir(cfg.DataDir)
}

var dataDirLine = regexp.MustCompile(`(?m)^data_dir:[ \t]*["']?([^\s"'#]+)`)

// loadLastGood is the config that was applied last, in place of the broken one
// at path. Reloads look at path again.
func loadLastGood(path string, diag io.Writer) (*config.Config, error) {
	dir := config.Default().DataDir
	if data, err := os.ReadFile(path); err == nil {
		if m := dataDirLine.FindSubmatch(data); m != nil {
			dir = string(m[1])
		}
	}
	if strings.Contains(dir, "${") {
		return nil, fmt.Errorf("there is no last good config: data_dir is %s, and that cannot be found out", dir)
	}
	copied := filepath.Join(dir, lastGoodName, "siemd.yaml")
	if _, err := os.Stat(copied); err != nil {
		return nil, fmt.Errorf("there is no last good config: %w", err)
	}
	cfg, problems := config.Load(copied, config.Options{})
	if cfg == nil {
		config.Print(diag, problems)
		return nil, errors.New("the last good config does not work here any more")
	}
	cfg.Files[0] = path
	return cfg, nil
}
