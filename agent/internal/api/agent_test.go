package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
	"github.com/adrian207/siemd/agent/plugintest"

	_ "github.com/adrian207/siemd/outputs/elastic"
	_ "github.com/adrian207/siemd/outputs/exec"
	_ "github.com/adrian207/siemd/outputs/file"
	_ "github.com/adrian207/siemd/outputs/http"
	_ "github.com/adrian207/siemd/outputs/splunk"
	_ "github.com/adrian207/siemd/outputs/syslog"
)

// A rig is a real agent with its API, in a directory of its own.
type rig struct {
	t      testing.TB
	dir    string
	conf   string
	base   string // http://127.0.0.1:port
	token  string
	agent  *supervisor.Agent
	server *Server
	log    *logBuffer
	stop   func()

	once sync.Once
	spec document
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newRig starts an agent whose config is yaml below the usual head.
func newRig(t testing.TB, yaml string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	r.conf = filepath.Join(r.dir, "siemd.yaml")
	r.base = "http://" + plugintest.FreeAddr(t)
	r.write(yaml)
	r.start()
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("the agent said:\n%s", r.log)
		}
	})
	return r
}

const (
	readToken  = "read-only-token-of-grafana"
	writeToken = "token-of-somebody-who-may-write"
)

func (r *rig) write(yaml string) {
	r.t.Helper()
	head := fmt.Sprintf("data_dir: %s/state\nshutdown_timeout: 100ms\n", r.dir)
	if !strings.Contains(yaml, "api:") {
		head += fmt.Sprintf("api: {listen: [%q], tokens: [{name: grafana, token: %s}, {name: ops, token: %s, scope: write}], allowed_destinations: [public, private, loopback]}\n",
			strings.TrimPrefix(r.base, "http://"), readToken, writeToken)
	}
	if err := os.WriteFile(r.conf, []byte(head+yaml), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) start() {
	r.t.Helper()
	cfg, problems := config.Load(r.conf, config.Options{})
	if cfg == nil {
		r.t.Fatalf("config: %v", problems)
	}
	if r.log == nil {
		r.log = &logBuffer{}
	}
	log := slog.New(slog.NewTextHandler(r.log, nil))
	a, err := supervisor.New(cfg, supervisor.Options{Log: log, Version: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	srv, err := Listen(cfg, a, log)
	if err != nil {
		r.t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(r.dir, "state", TokenName))
	if err != nil {
		r.t.Fatal(err)
	}
	r.agent, r.server, r.token = a, srv, strings.TrimSpace(string(token))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Run(ctx); err != nil {
			r.t.Errorf("api: %v", err)
		}
	})
	wg.Go(func() {
		if err := a.Run(ctx); err != nil {
			r.t.Errorf("agent: %v", err)
		}
	})
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
}

// An answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// field is a member of a JSON answer, by a dotted path; nil if there is none.
func (a answer) field(path string) any {
	var v any
	if json.Unmarshal(a.body, &v) != nil {
		return nil
	}
	for _, p := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			var i int
			if _, err := fmt.Sscan(p, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// call sends one request, with the agent's token unless header says otherwise.
func (r *rig) call(method, path, body string, header ...string) answer {
	r.t.Helper()
	if strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "/api") && !strings.HasPrefix(path, "//") {
		switch strings.SplitN(strings.SplitN(path[1:], "?", 2)[0], "/", 2)[0] {
		case "", "page", "livez", "readyz", "metrics":
		default:
			path = prefix + path
		}
	}
	req, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body == "" {
		req.Body = nil
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	a := answer{resp.StatusCode, resp.Header, data}
	if err := r.doc().check(method, path, a); err != nil {
		r.t.Errorf("the OpenAPI document does not have this answer: %v\n%s %s = %v", err, method, path, a)
	}
	return a
}

// doc is the document that every answer is held to.
func (r *rig) doc() document {
	r.once.Do(func() {
		data, err := json.Marshal(openAPI())
		if err != nil {
			r.t.Fatal(err)
		}
		r.spec = newDocument(r.t, data)
	})
	return r.spec
}

// want is call for an answer of that status.
func (r *rig) want(status int, method, path, body string, header ...string) answer {
	r.t.Helper()
	a := r.call(method, path, body, header...)
	if a.status != status {
		r.t.Fatalf("%s %s %s\n= %v\nwant %d", method, path, body, a, status)
	}
	return a
}

// receiver starts a mock SIEM.
func receiver(t testing.TB, kind string, o plugintest.Options) *plugintest.Receiver {
	t.Helper()
	return plugintest.Started(t, kind, o)
}

// eventually waits for a condition, looking often.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
