package cli

import (
	"errors"
	"net/http"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/client"
	"github.com/adrian207/siemd/agent/internal/api"
	"github.com/adrian207/siemd/agent/internal/config"
)

// remote are the flags with which commands find a running agent.
type remote struct {
	socket, conf string
	json         bool
}

func (r *remote) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.socket, "socket", "", "the agent's socket; default: siemd.sock in the data_dir of the config")
	f.StringVarP(&r.conf, "config", "c", defaultConfig(), "config of the agent")
	f.BoolVar(&r.json, "json", false, "print JSON")
}

// client is a connection to the agent; nothing is sent yet.
func (r *remote) client() (*client.Client, error) {
	if r.socket != "" {
		return client.Socket(r.socket), nil
	}
	dir, err := r.dataDir()
	if err != nil {
		return nil, err
	}
	return client.Socket(filepath.Join(dir, api.SocketName)), nil
}

// dataDir is where the config says that the agent's state is.
func (r *remote) dataDir() (string, error) {
	cfg, problems := config.Load(r.conf, config.Options{NoSecrets: true})
	if cfg == nil {
		return "", exit(exitConfig, errors.New(problems[0].String()+"\n  or name the agent's socket with --socket"))
	}
	return cfg.DataDir, nil
}

// remoteError gives an answer of the agent, or the lack of one, its exit code.
func remoteError(err error) error {
	var e *client.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrUnreachable):
		return exit(exitUnreachable, err)
	case errors.As(err, &e) && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden):
		return exit(exitPermission, err)
	}
	return exit(exitFailure, err)
}
