package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/plugintest"

	_ "github.com/adrian207/siemd/inputs/http"
	_ "github.com/adrian207/siemd/outputs/elastic"
	_ "github.com/adrian207/siemd/outputs/splunk"
	_ "github.com/adrian207/siemd/outputs/syslog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is an agent in a directory of its own.
type rig struct {
	*Agent
	t    *testing.T
	dir  string
	conf string
	stop func()
}

func newRig(t *testing.T, yaml string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	r.conf = filepath.Join(r.dir, "siemd.yaml")
	r.write(yaml)
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) write(yaml string) {
	r.t.Helper()
	head := fmt.Sprintf("data_dir: %s/state\nshutdown_timeout: 100ms\napi: {listen: []}\n", r.dir)
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
	a, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Agent = a
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Run(ctx); err != nil {
			r.t.Errorf("run: %v", err)
		}
	})
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
}

func (r *rig) export(id string, wait time.Duration, targets ...string) Exported {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	x, waiting, err := r.Store(ctx, Export{Event: fmt.Appendf(nil, `{"event_type":"alert","event_id":%q}`, id), Targets: targets, Patience: time.Second})
	r.Await(ctx, x.Seq, waiting, x.Results)
	if err != nil {
		r.t.Fatal(err)
	}
	return x
}

func receiver(t *testing.T, kind string) *plugintest.Receiver {
	t.Helper()
	return plugintest.Started(t, kind, plugintest.Options{})
}

func (r *rig) metrics() string {
	var b bytes.Buffer
	r.WriteMetrics(&b)
	return b.String()
}

// What is measured has the promised names, and stands in families that say what they are.
func TestMetricsAreOfTheirKind(t *testing.T) {
	hec := receiver(t, "splunk")
	r := newRig(t, fmt.Sprintf("outputs:\n  s: {type: splunk, endpoint: %q, token: t}\n", hec.URL()))
	text := r.metrics()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(text, "siemd_output_up{") && time.Now().Before(end); text = r.metrics() {
		time.Sleep(time.Millisecond)
	}
	kinds, described := map[string]string{}, map[string]bool{}
	family := ""
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); f[0] == "#" {
			switch f[1] {
			case "HELP":
				described[f[2]] = len(f) > 3
			case "TYPE":
				if family = f[2]; kinds[family] != "" {
					t.Errorf("%s is in two places", family)
				}
				kinds[family] = f[3]
				if strings.HasPrefix(family, "siemd_") && !described[family] {
					t.Errorf("%s does not say what it is", family)
				}
			}
			continue
		}
		name, _, _ := strings.Cut(line[:strings.LastIndexByte(line, ' ')], "{")
		if kinds[family] == "histogram" || kinds[family] == "summary" {
			for _, end := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, end)
			}
		}
		if name != family {
			t.Errorf("%s stands below %s", name, family)
		}
	}
	for kind, names := range map[string]string{
		"counter": "input_events_total input_bytes_total input_refused_total wal_corrupt_blocks_total output_events_total output_retries_total config_reloads_total refused_dropped_total",
		"gauge": `wal_bytes wal_max_bytes wal_oldest_age_seconds output_pending_events output_failed_events output_oldest_pending_age_seconds output_up
			config_last_reload_success unaccounted_events build_info`,
		"histogram": "wal_fsync_seconds output_request_seconds output_ack_seconds",
	} {
		for name := range strings.FieldsSeq(names) {
			if got := kinds["siemd_"+name]; got != kind {
				t.Errorf("siemd_%s is a %q, not a %s", name, got, kind)
			}
		}
	}
}

func TestAReloadIsWholeOrNothing(t *testing.T) {
	es := receiver(t, "elastic")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	outputs := fmt.Sprintf("outputs:\n  es: {type: elastic, endpoint: %q}\n", es.URL())
	r := newRig(t, outputs)
	before, _ := r.Connection("es")

	// A new output, a changed one, and an input whose port is taken.
	r.write(fmt.Sprintf("outputs:\n  es: {type: elastic, endpoint: %q, index: other}\n  new: {type: elastic, endpoint: %q}\ninputs: {in: {type: http, listen: %q}}\n",
		es.URL(), es.URL(), busy.Addr()))
	_, err = r.Reload(Actor{Name: "test"})
	var build *BuildError
	if !errors.As(err, &build) || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("Reload = %v", err)
	}
	r.write("outputs: {es: {type: elastics}}\n")
	var mistakes *ConfigError
	if _, err = r.Reload(Actor{Name: "test"}); !errors.As(err, &mistakes) || len(mistakes.Problems) != 1 {
		t.Fatalf("Reload = %v", err)
	}
	if err := os.WriteFile(r.conf, fmt.Appendf(nil, "# moved\ndata_dir: %s\n", t.TempDir()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = r.Reload(Actor{Name: "test"}); !errors.As(err, &mistakes) || !strings.HasPrefix(mistakes.Problems[0].Message, "data_dir cannot change") || mistakes.Problems[0].Line != 2 {
		t.Fatalf("Reload with another data_dir = %v, %+v", err, mistakes)
	}
	st := r.Status()
	if st.Generation != 1 || len(st.Outputs) != 1 || len(st.Inputs) != 0 || len(st.Orphans) != 0 {
		t.Errorf("after refused reloads: %+v", st)
	}
	if after, _ := r.Connection("es"); after.Config != before.Config {
		t.Error("the config has changed")
	}
	if left, _ := filepath.Glob(filepath.Join(r.dir, "state", "failed", "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	for _, line := range []string{`siemd_config_reloads_total{result="refused"} 3`, "siemd_config_last_reload_success 0", `siemd_config_reloads_total{result="applied"} 0`} {
		if !strings.Contains(r.metrics(), line+"\n") {
			t.Errorf("no metric %s", line)
		}
	}
	if x := r.export("e", 5*time.Second); x.Results["es"].Result != delivery.Sent {
		t.Errorf("export = %v", x)
	}

	r.write(outputs + fmt.Sprintf("  new: {type: elastic, endpoint: %q}\n", es.URL()))
	got, err := r.Reload(Actor{Name: "test"})
	if err != nil || !got.Changed || got.Generation != 2 || fmt.Sprint(got.Plan.Outputs) != "[{es keep} {new start}]" {
		t.Errorf("Reload = %+v, %v", got, err)
	}
	for _, line := range []string{`siemd_config_reloads_total{result="applied"} 1`, "siemd_config_last_reload_success 1"} {
		if !strings.Contains(r.metrics(), line+"\n") {
			t.Errorf("no metric %s", line)
		}
	}
}

func TestAnExportWaitsAcrossReloads(t *testing.T) {
	es := receiver(t, "elastic")
	if err := es.SetFault("503"); err != nil {
		t.Fatal(err)
	}
	yaml := "outputs: {es: {type: elastic, endpoint: %q, retry: {initial: 10ms, max: %dms}}}\n"
	r := newRig(t, fmt.Sprintf(yaml, es.URL(), 20))
	done := make(chan Exported)
	go func() { done <- r.export("e", 20*time.Second) }()
	for i := range 5 {
		r.write(fmt.Sprintf(yaml, es.URL(), 30+i))
		if got, err := r.Reload(Actor{}); err != nil || fmt.Sprint(got.Plan.Outputs) != "[{es restart}]" {
			t.Fatalf("Reload = %+v, %v", got, err)
		}
	}
	if err := es.SetFault(""); err != nil {
		t.Fatal(err)
	}
	if x := <-done; x.Results["es"].Result != delivery.Sent || es.Seen("e") != 1 {
		t.Errorf("export = %v, elastic has %v", x, es.IDs())
	}
}

func TestReloadsAndErrandsAtOnce(t *testing.T) {
	es := receiver(t, "elastic")
	yaml := "outputs: {es: {type: elastic, endpoint: %q, timeout: %ds}, two: {type: elastic, endpoint: %q, enabled: %t}}\n"
	r := newRig(t, fmt.Sprintf(yaml, es.URL(), 10, es.URL(), true))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	end := time.Now().Add(time.Second)
	wg.Go(func() {
		for i := 0; time.Now().Before(end); i++ {
			r.write(fmt.Sprintf(yaml, es.URL(), 10+i%2, es.URL(), i%3 != 0))
			if _, err := r.Reload(Actor{}); err != nil {
				t.Errorf("Reload: %v", err)
			}
		}
	})
	n := 0
	wg.Go(func() {
		for ; time.Now().Before(end); n++ {
			if x := r.export(fmt.Sprint(n), 20*time.Second); x.Results["es"].Result != delivery.Sent {
				t.Errorf("export = %v", x)
			}
		}
	})
	wg.Go(func() {
		for time.Now().Before(end) {
			_, _ = r.ProcessPending(ctx, "", 100)
			_, _ = r.RetryFailed(ctx, "", delivery.FailedFilter{})
			_ = r.Drain(ctx, "two")
			_, _, _ = r.Failed("", delivery.FailedFilter{}, "", "", 10)
			_ = r.Probe(ctx, "two", func(agent.Step) {})
			r.Connections()
			r.Status()
			r.metrics()
		}
	})
	wg.Wait()
	for i := range n {
		if es.Seen(fmt.Sprint(i)) == 0 {
			t.Errorf("event %d is missing", i)
		}
	}
	if !strings.Contains(r.metrics(), "siemd_unaccounted_events 0\n") {
		t.Error("the ledger does not add up")
	}
}

func TestWhatRunsIsToldFromWhatDoesNot(t *testing.T) {
	es := receiver(t, "elastic")
	r := newRig(t, fmt.Sprintf("outputs: {es: {type: elastic, endpoint: %q}, off: {type: elastic, endpoint: %q, enabled: false}}\n", es.URL(), es.URL()))
	ctx := context.Background()
	if err := r.Drain(ctx, "off"); !errors.Is(err, ErrDisabled) {
		t.Errorf("Drain = %v", err)
	}
	if err := r.Drain(ctx, "nobody"); !errors.Is(err, ErrUnknownConnection) {
		t.Errorf("Drain = %v", err)
	}
	if err := r.Drain(ctx, "es"); err != nil {
		t.Errorf("Drain = %v", err)
	}
	if _, _, err := r.Store(ctx, Export{Event: []byte(`{}`), Targets: []string{"nobody"}, Patience: time.Second}); !errors.Is(err, ErrUnknownConnection) {
		t.Errorf("Export = %v", err)
	}
	var refused *RefusedError
	if _, _, err := r.Store(ctx, Export{Event: []byte(`{"a":`), Patience: time.Second}); !errors.As(err, &refused) {
		t.Errorf("Export = %v", err)
	}
	if err := r.Probe(ctx, "off", func(agent.Step) {}); err != nil {
		t.Errorf("Probe = %v", err)
	}
	if _, err := r.PurgeOrphan("off"); !errors.Is(err, ErrNoOrphan) {
		t.Errorf("PurgeOrphan = %v", err)
	}
	if c, _ := r.Connection("off"); c.Running || c.Health.Status != delivery.Unknown {
		t.Errorf("Connection = %+v", c)
	}
	if st := r.Status(); len(st.Disabled) != 0 || len(st.Orphans) != 0 {
		t.Errorf("without a place in the log: %+v, %+v", st.Disabled, st.Orphans)
	}
	r.write(fmt.Sprintf("outputs: {es: {type: elastic, endpoint: %q, enabled: false}}\n", es.URL()))
	if _, err := r.Reload(Actor{}); err != nil {
		t.Fatal(err)
	}
	if st := r.Status(); len(st.Disabled) != 1 || st.Disabled[0].Name != "es" || len(st.Orphans) != 0 {
		t.Errorf("disabled: %+v, gone: %+v", st.Disabled, st.Orphans)
	}
	r.write("outputs: {}\n")
	if _, err := r.Reload(Actor{}); err != nil {
		t.Fatal(err)
	}
	if st := r.Status(); len(st.Disabled) != 0 || len(st.Orphans) != 1 {
		t.Errorf("disabled: %+v, gone: %+v", st.Disabled, st.Orphans)
	}
	if err := r.Ready(); err != nil {
		t.Errorf("Ready = %v", err)
	}
	r.stop()
	if err := r.Ready(); !errors.Is(err, ErrStopping) {
		t.Errorf("Ready after the end = %v", err)
	}
	if _, err := r.Reload(Actor{}); !errors.Is(err, ErrStopping) {
		t.Errorf("Reload after the end = %v", err)
	}
}

func TestTheAuditLogGoesOnAfterACrash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, AuditName)
	if err := os.WriteFile(path, []byte("{\"whole\":1}\n{\"hal"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a, err := openAudit(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Add(AuditRecord{Actor: "x\n\x1b[2J", Action: "a", Result: "ok"}); err != nil {
			t.Fatal(err)
		}
		if err := a.close(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 4 || lines[1] != `{"hal` || !strings.Contains(lines[3], `\u001b`) {
		t.Errorf("audit log:\n%s", data)
	}
}

func TestSeveritiesAreMapped(t *testing.T) {
	m := &config.Managed{SeverityMapping: map[string]string{"low": "critical", "warn": "info"}}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	out := withSeverities(&spy{}, m)
	events := []agent.Event{{Severity: agent.Low}, {Severity: agent.Medium}, {Severity: agent.High}}
	if err := out.Write(context.Background(), events); err != nil {
		t.Fatal(err)
	}
	wire, err := out.(agent.Encoder).Encode([]byte("x"), &events[0])
	if err != nil || string(wire) != "xcritical" || events[0].Severity != agent.Low {
		t.Errorf("Encode = %q, %v", wire, err)
	}
	s := out.(encodedSeverities).out.(*spy)
	if fmt.Sprint(s.seen) != "[critical informational high]" {
		t.Errorf("the output saw %v", s.seen)
	}
	if one, ok := out.(agent.Serial); !ok || !one.OneAtATime() {
		t.Error("that it does one thing at a time is forgotten")
	}
	if same := withSeverities(s, &config.Managed{}); same != agent.Output(s) {
		t.Error("without a mapping the output is wrapped")
	}
}

// spy is an output that notes severities.
type spy struct{ seen []agent.Severity }

func (s *spy) Write(_ context.Context, events []agent.Event) error {
	for i := range events {
		s.seen = append(s.seen, events[i].Severity)
	}
	return nil
}

func (s *spy) OneAtATime() bool { return true }

func (s *spy) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	return append(dst, e.Severity.String()...), nil
}
