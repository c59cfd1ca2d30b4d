package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// snapshotName is the file below data_dir in which an agent says what it runs,
// so that a config can be compared with it. It holds hashes where secrets are.
const snapshotName = "running.json"

// A snapshot is as much of a config as a plan needs.
type snapshot struct {
	Hash     string                      `json:"hash"` // of the whole
	Settings config.Settings             `json:"settings"`
	Inputs   map[string]snapshotOfInput  `json:"inputs"`
	Outputs  map[string]snapshotOfOutput `json:"outputs"`
}

type snapshotOfInput struct {
	Kind string `json:"type"`
	Hash string `json:"hash"`
}

type snapshotOfOutput struct {
	Kind    string `json:"type"`
	Hash    string `json:"hash"`
	Enabled bool   `json:"enabled"`
}

func takeSnapshot(cfg *config.Config) snapshot {
	s := snapshot{Hash: cfg.Hash, Settings: cfg.Settings, Inputs: map[string]snapshotOfInput{}, Outputs: map[string]snapshotOfOutput{}}
	s.Settings.API.Tokens = nil
	for name, in := range cfg.Inputs {
		s.Inputs[name] = snapshotOfInput{in.Kind, in.Hash}
	}
	for name, out := range cfg.Outputs {
		s.Outputs[name] = snapshotOfOutput{out.Kind, out.Hash, out.Common.Enabled}
	}
	return s
}

// config is the skeleton that a plan can be made from.
func (s *snapshot) config() *config.Config {
	cfg := &config.Config{Settings: s.Settings, Hash: s.Hash, Inputs: map[string]*config.Input{}, Outputs: map[string]*config.Output{}}
	for name, in := range s.Inputs {
		cfg.Inputs[name] = &config.Input{Name: name, Kind: in.Kind, Hash: in.Hash}
	}
	for name, out := range s.Outputs {
		oc := &config.Output{Name: name, Kind: out.Kind, Hash: out.Hash}
		oc.Common.Enabled = out.Enabled
		cfg.Outputs[name] = oc
	}
	return cfg
}

// writeSnapshot says what the agent runs now.
func writeSnapshot(cfg *config.Config) error {
	data, err := json.Marshal(takeSnapshot(cfg))
	if err != nil {
		return err
	}
	return config.WriteFile(filepath.Join(cfg.DataDir, snapshotName), append(data, '\n'))
}

func readSnapshot(dataDir string) (*snapshot, error) {
	path := filepath.Join(dataDir, snapshotName)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, exit(exitUnreachable, fmt.Errorf("no agent has run with data_dir %s", dataDir))
	case errors.Is(err, fs.ErrPermission):
		return nil, exit(exitPermission, err)
	case err != nil:
		return nil, exit(exitIO, err)
	}
	var s snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, exit(exitFailure, fmt.Errorf("%s: %w", path, err))
	}
	return &s, nil
}

// compare is the plan that a reload with cfg would carry out. The agent must run.
func (c *checkCommand) compare(ctx context.Context, cfg *config.Config) (plan supervisor.Plan, err error) {
	r := remote{conf: c.path, socket: c.socket}
	dir, err := r.dataDir()
	if err != nil {
		return plan, err
	}
	for try := 0; ; try++ {
		var st struct {
			Hash string `json:"config_hash"`
		}
		if err := r.get(ctx, "/status", nil, &st); err != nil {
			return plan, err
		}
		s, err := readSnapshot(dir)
		if err != nil {
			return plan, err
		}
		if s.Hash == st.Hash {
			return supervisor.Diff(s.config(), cfg), nil
		}
		if try == 20 {
			return plan, exit(exitFailure, errors.New("the agent does not say what it runs; its log has the reason"))
		}
		select { // it is just being reloaded
		case <-ctx.Done():
			return plan, exit(exitFailure, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
