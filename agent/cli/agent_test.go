package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// running is an agent that runs in this process, as 'siemd run' does.
type running struct {
	t    *testing.T
	conf string // the config file
	log  *syncBuffer
	stop func() int
}

// startSiemd runs an agent; {dir} in the config is a directory of its own.
func startSiemd(t *testing.T, text string) *running {
	t.Helper()
	return startWith(t, "data_dir: {dir}/state\nshutdown_timeout: 100ms\napi:\n  listen: []\n"+text)
}

// startWith is startSiemd with a whole config.
func startWith(t *testing.T, text string, flags ...string) *running {
	t.Helper()
	dir := t.TempDir()
	r := &running{t: t, conf: filepath.Join(dir, "siemd.yaml"), log: &syncBuffer{}}
	r.write(text)
	r.start(flags...)
	return r
}

// again is the agent started once more, after it has been stopped.
func (r *running) again() *running {
	r.t.Helper()
	next := &running{t: r.t, conf: r.conf, log: r.log}
	next.start()
	return next
}

func (r *running) start(flags ...string) {
	t := r.t
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"run", "--watch=false", "-c", r.conf}, flags...), streams{in: strings.NewReader(""), out: r.log, err: r.log})
	}()
	r.stop = sync.OnceValue(func() int {
		cancel()
		code := <-ended
		if t.Failed() {
			t.Logf("siemd said:\n%s", r.log)
		}
		return code
	})
	t.Cleanup(func() { r.stop() })
	eventually(t, "the agent is ready", func() bool {
		select {
		case code := <-ended:
			ended <- code
			t.Fatalf("siemd ended with %d:\n%s", code, r.log)
		default:
		}
		return siemd(t, "", "status", "-c", r.conf).code == exitOK
	})
}

// write replaces the config.
func (r *running) write(text string) {
	r.t.Helper()
	text = strings.ReplaceAll(text, "{dir}", filepath.Dir(r.conf))
	if err := os.WriteFile(r.conf, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// siemd is a command that speaks to the agent.
func (r *running) siemd(stdin string, args ...string) result {
	r.t.Helper()
	return siemd(r.t, stdin, append(args, "-c", r.conf)...)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// receiver starts a mock SIEM.
func receiver(t *testing.T, kind string, o plugintest.Options) *plugintest.Receiver {
	t.Helper()
	return plugintest.Started(t, kind, o)
}
