package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/client"
	"github.com/adrian207/siemd/agent/internal/api"
	"github.com/adrian207/siemd/agent/internal/config"
)

// apiPrefix begins the paths of the REST API.
const apiPrefix = "/api/v1/siem"

// remote are the flags with which commands find a running agent.
type remote struct {
	socket, conf string
	json         bool
	key          string // Idempotency-Key of POSTs; "": none
}

func (r *remote) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.socket, "socket", "", "the agent's socket; default: siemd.sock in the data_dir of the config")
	f.StringVarP(&r.conf, "config", "c", defaultConfig(), "config of the agent")
	f.BoolVar(&r.json, "json", false, "print JSON")
}

// keyFlag adds --key.
func (r *remote) keyFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.key, "key", "", "a word of your own: the command may be given again with the same one, and is done once in 24 hours")
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
	if r.socket != "" {
		return filepath.Dir(r.socket), nil
	}
	cfg, problems := config.Load(r.conf, config.Options{NoSecrets: true})
	if cfg == nil {
		return "", exit(exitConfig, errors.New(problems[0].String()+"\n  or name the agent's socket with --socket"))
	}
	return cfg.DataDir, nil
}

// get asks the agent for path, below the REST API, and decodes the answer into out.
func (r *remote) get(ctx context.Context, path string, q url.Values, out any) error {
	return r.do(ctx, http.MethodGet, path, q, nil, out)
}

// do is one request to the REST API.
func (r *remote) do(ctx context.Context, method, path string, q url.Values, in, out any) error {
	c, err := r.client()
	if err != nil {
		return err
	}
	path = apiPrefix + path
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	if r.key != "" && method == http.MethodPost {
		return remoteError(c.PostOnce(ctx, r.key, path, in, out))
	}
	return remoteError(c.Do(ctx, method, path, in, out))
}

// remoteError gives an answer of the agent, or the lack of one, its exit code.
func remoteError(err error) error {
	var e *client.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrUnreachable) && errors.Is(err, fs.ErrPermission):
		return exit(exitPermission, fmt.Errorf("%w\n  hint: be root or the user that siemd runs as", err))
	case errors.Is(err, client.ErrUnreachable):
		return exit(exitUnreachable, err)
	case !errors.As(err, &e):
		return exit(exitFailure, err)
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return exit(exitPermission, err)
	case e.Status == http.StatusBadRequest:
		return exit(exitUsage, withHints(e))
	}
	return exit(exitFailure, withHints(e))
}

// withHints is e and what would help.
func withHints(e *client.Error) error {
	text := e.Error()
	for _, m := range e.Errors {
		if m.Hint != "" {
			text += "\n  hint: " + m.Hint
		}
	}
	if e.File != "" {
		text += fmt.Sprintf("\n  see %s:%d", e.File, e.Line)
	}
	return errors.New(text)
}

// problemsOf are the mistakes in config files that the agent has found.
func problemsOf(e *client.Error) []agent.Problem {
	var list []agent.Problem
	for _, m := range e.Errors {
		if m.File != "" {
			list = append(list, agent.Problem{
				File: m.File, Line: m.Line, Column: m.Column, Width: m.Width, Source: m.Source, Caret: m.Caret,
				Warning: m.Warning, Message: m.Message, Hint: m.Hint,
			})
		}
	}
	return list
}

// durationFlag is a flag as configs write durations: 90s, 12h, 7d.
type durationFlag struct{ d *time.Duration }

func (f durationFlag) String() string {
	if f.d == nil || *f.d == 0 {
		return ""
	}
	return agent.Duration(*f.d).String()
}

func (f durationFlag) Set(text string) error {
	var d agent.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil {
		return err
	}
	*f.d = d.D()
	return nil
}

func (durationFlag) Type() string { return "duration" }
