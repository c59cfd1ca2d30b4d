package client_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/adrian207/siemd/agent/client"
	"github.com/adrian207/siemd/agent/internal/api"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"

	_ "github.com/adrian207/siemd/outputs/file"
)

// runAgent starts a real agent with its API on a socket.
func runAgent() (dataDir string, stop func()) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "siemd-client-*")
	must(err)
	conf := filepath.Join(dir, "siemd.yaml")
	// A path that is too long for a socket's address.
	dataDir = filepath.Join(dir, strings.Repeat("long-", 30), "state")
	must(os.MkdirAll(filepath.Dir(dataDir), 0o700))
	must(os.WriteFile(conf, fmt.Appendf(nil, "data_dir: %s\napi: {listen: []}\noutputs: {archive: {type: file, path: %s/out.jsonl}}\n", dataDir, dir), 0o600))
	cfg, problems := config.Load(conf, config.Options{})
	if cfg == nil {
		panic(problems[0].String())
	}
	a, err := supervisor.New(cfg, supervisor.Options{Log: slog.New(slog.DiscardHandler), Version: "test"})
	must(err)
	srv, err := api.Listen(cfg, a, slog.New(slog.DiscardHandler))
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { must(srv.Run(ctx)) })
	wg.Go(func() { must(a.Run(ctx)) })
	return dataDir, func() { cancel(); wg.Wait(); must(os.RemoveAll(dir)) }
}

func TestClient(t *testing.T) {
	dataDir, stop := runAgent()
	defer stop()
	c := client.Socket(filepath.Join(dataDir, "siemd.sock"))
	defer c.Close()
	ctx := t.Context()
	var list []struct {
		ID string `json:"connection_id"`
	}
	if err := c.Get(ctx, "/api/v1/siem/connections", &list); err != nil || len(list) != 1 || list[0].ID != "archive" {
		t.Errorf("connections = %v, %v", list, err)
	}
	var e *client.Error
	if err := c.Get(ctx, "/api/v1/siem/connections/nobody", nil); !errors.As(err, &e) || e.Status != 404 || e.Error() == "" {
		t.Errorf("what is not there: %v", err)
	}
	if err := c.Post(ctx, "/api/v1/siem/connections", map[string]any{"nmae": "x"}, nil); !errors.As(err, &e) || e.Status != 400 || len(e.Errors) < 2 {
		t.Errorf("a mistake: %v %+v", err, e)
	}
	if err := c.Do(ctx, "DELETE", "/api/v1/siem/connections/archive", nil, nil); !errors.As(err, &e) || e.Status != 409 || e.File == "" || e.Line == 0 {
		t.Errorf("a connection of the config file: %v %+v", err, e)
	}
	event := map[string]any{"event_type": "alert", "event_data": map[string]any{"a": 1}}
	var first, second struct {
		Seq uint64 `json:"seq"`
	}
	for _, out := range []any{&first, &second} {
		if err := c.PostOnce(ctx, "key", "/api/v1/siem/export", event, out); err != nil {
			t.Error(err)
		}
	}
	if first.Seq == 0 || first != second {
		t.Errorf("once is %v and %v", first, second)
	}
	resp, err := c.Open(ctx, "GET", "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	before := descriptors(t)
	for range 50 {
		c.Close()
		if err := c.Get(ctx, "/livez", nil); err != nil {
			t.Fatal(err)
		}
	}
	if after := descriptors(t); after > before+5 {
		t.Errorf("%d descriptors became %d", before, after)
	}
	if err := client.Socket(filepath.Join(dataDir, "nobody.sock")).Get(ctx, "/livez", nil); !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody there: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.Get(gone, "/livez", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gives up: %v", err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("only Linux lists descriptors: ", err)
	}
	return len(fds)
}

// TestTheTokenStays: the token goes to the agent, and nowhere that it points.
func TestTheTokenStays(t *testing.T) {
	leaked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked = true }))
	defer elsewhere.Close()
	var token string
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	defer agent.Close()
	c := client.Address(agent.URL+"/", "secret", nil)
	defer c.Close()
	var e *client.Error
	if err := c.Get(t.Context(), "/x", nil); !errors.As(err, &e) || e.Status != 307 || leaked || token != "Bearer secret" {
		t.Errorf("a redirect: %v, leaked %v, token %q", err, leaked, token)
	}
}
