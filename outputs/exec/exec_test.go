package exec

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/goleak"
	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// The test binary is the connector too: a scenario says how it behaves.
func TestMain(m *testing.M) {
	if scenario := os.Getenv("CONNECTOR"); scenario != "" {
		connector(scenario)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func connector(scenario string) {
	in := bufio.NewReader(os.Stdin)
	fmt.Fprintln(os.Stderr, "starting", scenario)
	switch scenario {
	case "exit78":
		fmt.Fprintln(os.Stderr, "no configuration")
		os.Exit(78)
	case "deaf":
		time.Sleep(time.Hour)
	case "chatty":
		fmt.Println("hello\x1b[2J, I am no answer and know", os.Getenv("TOKEN"))
	case "long":
		fmt.Println(strings.Repeat("x", 1<<20))
	case "stderr":
		fmt.Fprintf(os.Stderr, "token %s \x1b[31mred\x07\n%s\n", os.Getenv("TOKEN"), strings.Repeat("y", 100_000))
		for i := range 500 {
			fmt.Fprintln(os.Stderr, "flood", i)
		}
	case "children":
		// A child that outlives us and holds our pipes.
		p, _ := os.StartProcess("/bin/sleep", []string{"sleep", "3600"}, &os.ProcAttr{Files: []*os.File{nil, os.Stdout, os.Stderr}})
		fmt.Fprintln(os.Stderr, "child", p.Pid)
	}
	var late []string
	for n := 0; ; n++ {
		line, err := in.ReadBytes('\n')
		if err != nil {
			if scenario == "goodbye" {
				os.WriteFile(os.Getenv("MARK"), []byte("bye"), 0o600)
			}
			return
		}
		var r struct {
			Seq   uint64
			Event struct{ Do string }
		}
		if err := json.Unmarshal(line, &r); err != nil {
			panic(err)
		}
		switch r.Event.Do {
		case "permanent":
			fmt.Printf(`{"seq":%d,"error":"no","permanent":true}`+"\n", r.Seq)
		case "retry":
			fmt.Printf(`{"seq":%d,"error":"later"}`+"\n", r.Seq)
		case "after":
			fmt.Printf(`{"seq":%d,"error":"busy","retry_after":7.5}`+"\n", r.Seq)
		case "blocked":
			fmt.Printf(`{"seq":%d,"error":"token %s expired","blocked":true}`+"\n", r.Seq, os.Getenv("TOKEN"))
		case "late":
			late = append(late, fmt.Sprintf(`{"seq":%d,"ok":true}`, r.Seq))
		case "flush":
			for i := len(late) - 1; i >= 0; i-- {
				fmt.Println(late[i])
			}
			late = nil
			fmt.Printf(`{"seq":%d,"ok":true}`+"\n", r.Seq)
		case "die":
			os.Exit(3)
		case "silent":
		case "twice":
			fmt.Printf("{\"seq\":%d,\"ok\":true}\n{\"seq\":%d,\"ok\":true}\n", r.Seq, r.Seq)
		case "blank":
			fmt.Printf("\n \r\n{\"seq\":%d,\"ok\":true}\r\n\n", r.Seq)
		case "env":
			fmt.Printf(`{"seq":%d,"error":%q,"permanent":true}`+"\n", r.Seq, strings.Join(os.Environ(), " "))
		default:
			fmt.Printf(`{"seq":%d,"ok":true,"unknown":[1]}`+"\n", r.Seq)
		}
	}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func open(t *testing.T, scenario string, env map[string]string) (*output, *buffer) {
	t.Helper()
	c := Config{Command: []string{os.Args[0]}, Env: map[string]agent.Secret{
		"CONNECTOR": agent.NewSecret(scenario),
		"GORACE":    agent.NewSecret("atexit_sleep_ms=0"), // else each end of a connector takes a second
	}}
	for k, v := range env {
		c.Env[k] = agent.NewSecret(v)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	log := &buffer{}
	o := newOutput(c, agent.Env{Name: "test", Kind: "output", Metrics: metrics.NewSet(), Log: slog.New(slog.NewTextHandler(log, nil))})
	t.Cleanup(func() { o.Close(context.Background()) })
	if !agent.Serial(o).OneAtATime() {
		t.Error("batches share a connector")
	}
	return o, log
}

// does makes one event for each thing that the connector shall do.
func does(what ...string) []agent.Event {
	list := make([]agent.Event, len(what))
	for i, w := range what {
		list[i] = agent.Event{Seq: uint64(100 + i), Body: fmt.Appendf(nil, `{"do":%q}`, w)}
	}
	return list
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// failures are the indexes and errors of a PartialError.
func failures(t *testing.T, err error) map[int]error {
	t.Helper()
	var p *agent.PartialError
	if !errors.As(err, &p) {
		t.Fatalf("Write: %v, want a partial error", err)
	}
	m := map[int]error{}
	for _, f := range p.Failed {
		m[f.Index] = f.Err
	}
	return m
}

func TestVerdicts(t *testing.T) {
	o, _ := open(t, "normal", map[string]string{"TOKEN": "s3cret"})
	if err := o.Write(within(t, 10*time.Second), does("ok", "ok")); err != nil {
		t.Fatal(err)
	}
	m := failures(t, o.Write(within(t, 10*time.Second), does("ok", "permanent", "late", "retry", "late", "after", "blocked", "flush")))
	if len(m) != 4 {
		t.Errorf("failed: %v", m)
	}
	if !agent.IsPermanent(m[1]) {
		t.Errorf("permanent: %v", m[1])
	}
	if agent.IsPermanent(m[3]) || agent.IsBlocked(m[3]) || !strings.Contains(m[3].Error(), "later") {
		t.Errorf("retry: %v", m[3])
	}
	if d, ok := agent.RetryAfter(m[5]); !ok || d != 7500*time.Millisecond {
		t.Errorf("after: %v", m[5])
	}
	if !agent.IsBlocked(m[6]) || !strings.Contains(m[6].Error(), "token *** expired") {
		t.Errorf("blocked: %v", m[6])
	}
	var answer *agent.AnswerError
	if !errors.As(m[1], &answer) || answer.Answer != "no" {
		t.Errorf("answer: %v", m[1])
	}
	// When nothing is taken and something is blocked, the whole output is.
	if err := o.Write(within(t, 10*time.Second), does("retry", "blocked")); !agent.IsBlocked(err) {
		t.Errorf("Write: %v", err)
	}
	for range 2 {
		if err := o.Write(within(t, 10*time.Second), does("blank", "blank")); err != nil {
			t.Errorf("empty lines between answers: %v", err)
		}
	}
	if err := o.Write(within(t, 10*time.Second), nil); err != nil {
		t.Error(err)
	}
}

// A batch larger than all pipes, answered while it is still being written.
func TestLargeBatch(t *testing.T) {
	o, _ := open(t, "normal", nil)
	list := make([]agent.Event, 20_000)
	for i := range list {
		list[i] = agent.Event{Body: fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 300))} // all with seq 0
		if i%2 == 0 {
			list[i].Wire, _ = o.Encode(nil, &list[i])
		}
	}
	if err := o.Write(within(t, 30*time.Second), list); err != nil {
		t.Fatal(err)
	}
}

func TestConnectorThatDies(t *testing.T) {
	o, _ := open(t, "normal", nil)
	m := failures(t, o.Write(within(t, 10*time.Second), does("ok", "permanent", "die", "ok")))
	if len(m) != 3 || !agent.IsPermanent(m[1]) || agent.IsPermanent(m[2]) || agent.IsPermanent(m[3]) {
		t.Errorf("failed: %v", m)
	}
	if !strings.Contains(m[2].Error(), "exit status 3") {
		t.Errorf("reason: %v", m[2])
	}
	// It is started anew, but not at once, and later each time.
	now := time.Now()
	o.now = func() time.Time { return now }
	for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		o.notYet = now.Add(o.pause)
		d, ok := agent.RetryAfter(o.Write(within(t, 10*time.Second), does("die")))
		if !ok || d != wait {
			t.Errorf("not before %v, want %v", d, wait)
		}
		now = now.Add(wait)
		if err := o.Write(within(t, 10*time.Second), does("die")); err == nil {
			t.Error("a dead connector took an event")
		}
	}
	now = now.Add(time.Hour)
	if err := o.Write(within(t, 10*time.Second), does("ok")); err != nil {
		t.Fatal(err)
	}
	if o.pause != 0 {
		t.Errorf("pause is %v after success", o.pause)
	}
}

func TestConnectorThatIsSilent(t *testing.T) {
	for _, scenario := range []string{"normal", "deaf"} {
		o, _ := open(t, scenario, nil)
		list := does("silent", "ok")
		if scenario == "deaf" {
			list[0].Body = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 1<<20)) // more than its pipe holds
		}
		err := o.Write(within(t, 300*time.Millisecond), list)
		if !errors.Is(err, context.DeadlineExceeded) {
			m := failures(t, err)
			if len(m) != 1 || !errors.Is(m[0], context.DeadlineExceeded) {
				t.Errorf("%s: failed %v", scenario, m)
			}
		}
		if o.process != nil {
			t.Errorf("%s: still there", scenario)
		}
	}
}

func TestProtocolErrors(t *testing.T) {
	for scenario, want := range map[string]string{
		"chatty": "the connector wrote hello\ufffd[2J, I am no answer and know ***: that is no answer",
		"long":   "a line of more than 65536 bytes",
		"exit78": "exit status 78",
	} {
		o, _ := open(t, scenario, map[string]string{"TOKEN": "s3cret"})
		err := o.Write(within(t, 10*time.Second), does("ok"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", scenario, err, want)
		}
		if agent.IsPermanent(err) || agent.IsBlocked(err) != (scenario == "exit78") {
			t.Errorf("%s: wrong word in %v", scenario, err)
		}
	}
	// An answer too many belongs to nobody.
	o, _ := open(t, "normal", nil)
	if err := o.Write(within(t, 10*time.Second), does("twice")); err != nil {
		t.Fatal(err)
	}
	if err := o.Write(within(t, 10*time.Second), []agent.Event{{Seq: 7, Body: []byte("{}")}}); err == nil || !strings.Contains(err.Error(), "seq 100") {
		t.Errorf("Write: %v", err)
	}
}

func TestCommandThatIsMissing(t *testing.T) {
	o := newOutput(Config{Command: []string{"/does/not/exist"}}, agent.Env{Name: "x", Log: slog.New(slog.DiscardHandler)})
	for range 2 {
		if err := o.Write(t.Context(), does("ok")); !agent.IsBlocked(err) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Write: %v", err)
		}
	}
	var step agent.Step
	if err := o.Probe(t.Context(), func(s agent.Step) { step = s }); err == nil || step.Fix == "" {
		t.Errorf("probe: %v, %+v", err, step)
	}
	o, _ = open(t, "normal", nil)
	if err := o.Probe(t.Context(), func(s agent.Step) {}); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{"{command: [a, b], env: {X: y}}", ""},
		{"{command: a}", ""},
		{"{}", `"command" is missing`},
		{"{command: ['']}", "no name"},
		{"{command: a, env: {'X=': y}}", "variable's name"},
		{"{command: a, env: {'X': \"y\\0\"}}", "cannot hold NUL"},
		{"{command: a, shell: true}", `unknown key "shell"`},
	} {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(c.keys), &n); err != nil {
			t.Fatal(err)
		}
		spec, _ := agent.OutputKind("exec")
		ps := &agent.Problems{File: "test"}
		spec.Decode(ps, n.Content[0], nil)
		if c.want == "" && len(ps.List) > 0 || c.want != "" && (len(ps.List) == 0 || !strings.Contains(ps.List[0].Message, c.want)) {
			t.Errorf("%s: %v, want %q", c.keys, ps.List, c.want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"seq":1,"ok":true}`, `{"seq":1,"error":"x","permanent":true}`, `{"seq":1,"error":"x","retry_after":1e300}`,
		`{"seq":-1}`, `{"seq":1,"ok":true,"error":"x"}`, `null`, `[]`, `{"seq":null,"ok":true}`, `{"seq":1,"error":"x","retry_after":-5}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := parseAnswer(line)
		if err != nil {
			return
		}
		if a.Seq == nil || a.OK != (a.err() == nil) {
			t.Errorf("%q became %+v", line, a)
		}
		if d, ok := agent.RetryAfter(a.err()); ok && (d < 0 || d > maxRetryAfter) {
			t.Errorf("%q waits %v", line, d)
		}
	})
}
