package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// A process under the race detector sleeps for a second before it ends. The
// children of this test have nothing to wait for.
func init() {
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
}

// connection is what status tells about one output.
type connection struct {
	Name        string    `json:"name"`
	Accepted    int       `json:"accepted"`
	Sent        int       `json:"sent"`
	Failed      int       `json:"failed"`
	Filtered    int       `json:"filtered"`
	Expired     int       `json:"expired"`
	Pending     int       `json:"pending"`
	Unaccounted int       `json:"unaccounted"`
	Health      string    `json:"health"`
	LastSuccess time.Time `json:"last_success"`
	LastError   string    `json:"last_error"`
	LastErrorAt time.Time `json:"last_error_at"`
	Failures    int       `json:"consecutive_failures"`
	NextTry     time.Time `json:"next_try"`
}

// figures are the ledger's, to be compared.
type figures struct{ Sent, Failed, Filtered, Expired, Pending int }

func (c connection) figures() figures {
	return figures{c.Sent, c.Failed, c.Filtered, c.Expired, c.Pending}
}

func (f figures) sum() int { return f.Sent + f.Failed + f.Filtered + f.Expired + f.Pending }

// bench is a daemon with an http input, spoken to over its socket.
type bench struct {
	*daemon
	dir    string
	ingest string
	client *http.Client
}

// startBench starts siemd with the outputs section (and more) given, and an http input.
// A test that reloads by command and looks at what that says needs the flag --watch=false.
func startBench(t testing.TB, more string, flags ...string) *bench {
	t.Helper()
	return startBenchAPI(t, "{listen: []}", more, flags...)
}

// startBenchAPI is startBench with an api section; more may begin with further inputs.
func startBenchAPI(t testing.TB, api, more string, flags ...string) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), ingest: plugintest.FreeAddr(t)}
	b.client = socketClient(filepath.Join(b.dir, "state", "siemd.sock"))
	writeFile(t, b.conf(), fmt.Sprintf("data_dir: %s/state\napi: %s\ninputs:\n  ingest: {type: http, listen: %q}\n%s", b.dir, api, b.ingest, more))
	b.daemon = startDaemonAs(t, siemd(append([]string{"run", "-c", b.conf()}, flags...)...), b.conf(), nil)
	return b
}

func (b *bench) conf() string { return filepath.Join(b.dir, "siemd.yaml") }

// restart starts siemd again, after its end.
func (b *bench) restart() { b.daemon = startDaemon(b.t, b.conf(), nil) }

func (b *bench) post(lines []byte) error { return postEvents("http://"+b.ingest+"/v1/events", lines) }

// call asks the agent over its socket; its answer is decoded into v unless v is nil.
func (b *bench) call(method, path string, v any) error {
	req, err := http.NewRequest(method, "http://siemd"+path, nil)
	if err != nil {
		return err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	case v == nil:
		return nil
	}
	if text, ok := v.(*string); ok {
		*text = string(answer)
		return nil
	}
	return json.Unmarshal(answer, v)
}

// connections are all outputs by name.
func (b *bench) connections() (map[string]connection, error) {
	var status struct {
		Outputs []connection `json:"outputs"`
	}
	if err := b.call("GET", "/api/v1/siem/status", &status); err != nil {
		return nil, err
	}
	all := map[string]connection{}
	for _, c := range status.Outputs {
		all[c.Name] = c
	}
	return all, nil
}

// metric is the value of a series, by its whole name.
func (b *bench) metric(series string) (float64, error) {
	var text string
	if err := b.call("GET", "/metrics", &text); err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", series)
}

// failedEntry is a line of the failed store.
type failedEntry struct {
	ID           string          `json:"id"`
	Time         time.Time       `json:"time"`
	Seq          uint64          `json:"seq"`
	EventID      string          `json:"event_id"`
	EventType    string          `json:"event_type"`
	ConnectionID string          `json:"connection_id"`
	Endpoint     string          `json:"endpoint"`
	Status       int             `json:"status"`
	Answer       string          `json:"answer"`
	Attempts     int             `json:"attempts"`
	Event        json.RawMessage `json:"event"`
}

// failed reads a connection's failed store as it is on disk.
func (b *bench) failed(name string) ([]failedEntry, error) {
	files, err := filepath.Glob(filepath.Join(b.dir, "state", "failed", name, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var all []failedEntry
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var e failedEntry
			if json.Unmarshal(lines.Bytes(), &e) != nil || e.ID == "" {
				continue // not a file of entries
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// log is what siemd said that has text in it.
func (b *bench) log(text string) string {
	var out strings.Builder
	for line := range strings.Lines(b.diag.String()) {
		if strings.Contains(line, text) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// a watch looks at the connections all the time: it keeps the latest view for
// those who wait for something, and notes every moment at which the ledger does not add up.
type watch struct {
	b    *bench
	quit chan struct{}
	done sync.WaitGroup

	mu     sync.Mutex // guards the rest
	latest map[string]connection
	wrong  string
}

func startWatch(t *testing.T, b *bench) *watch {
	w := &watch{b: b, quit: make(chan struct{})}
	w.done.Go(w.run)
	t.Cleanup(w.stop)
	return w
}

func (w *watch) run() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-tick.C:
		}
		all, err := w.b.connections()
		w.mu.Lock()
		if err == nil {
			w.latest = all
		} else if w.wrong == "" {
			w.wrong = err.Error()
		}
		for name, c := range all {
			if w.wrong == "" && (c.Unaccounted != 0 || c.Accepted != c.figures().sum()) {
				w.wrong = fmt.Sprintf("%s: the ledger does not add up: %+v", name, c)
			}
		}
		w.mu.Unlock()
	}
}

// stop ends the watch. It may be called twice.
func (w *watch) stop() {
	select {
	case <-w.quit:
	default:
		close(w.quit)
	}
	w.done.Wait()
}

// trouble is the first thing that was not as it has to be at all times.
func (w *watch) trouble() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrong
}

// await waits until a connection is as ok wants it.
func (w *watch) await(within time.Duration, name, what string, ok func(connection) bool) (connection, error) {
	deadline := time.Now().Add(within)
	for {
		w.mu.Lock()
		c := w.latest[name]
		w.mu.Unlock()
		if c.Name != "" && ok(c) {
			return c, nil
		}
		if time.Now().After(deadline) {
			return c, fmt.Errorf("not within %v: %s; it is %+v", within, what, c)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// repeats compares what arrived with what was to arrive, and returns how often something came again.
func repeats(r *plugintest.Receiver, want []string) (int, error) {
	seen := r.IDs()
	again := 0
	for _, id := range want {
		if seen[id] == 0 {
			return 0, fmt.Errorf("%s never arrived; %d of %d did", id, len(seen), len(want))
		}
		again += seen[id] - 1
		delete(seen, id)
	}
	for id := range seen {
		return 0, fmt.Errorf("%s arrived and should not have", id)
	}
	return again, nil
}
