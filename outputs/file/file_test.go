package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// open builds an output from the keys of a config, as the supervisor does.
func open(t *testing.T, keys string) agent.Output {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(keys), &n); err != nil {
		t.Fatal(err)
	}
	spec, _ := agent.OutputKind("file")
	ps := &agent.Problems{File: "test"}
	config := spec.Decode(ps, n.Content[0], nil)
	if ps.Errors() > 0 {
		t.Fatal(ps.List)
	}
	o, err := spec.BuildOutput(config, agent.Env{
		Name: "test", Kind: "output", Metrics: metrics.NewSet(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.(agent.Closer).Close(context.Background()) })
	return o
}

func events(from, to int) []agent.Event {
	var list []agent.Event
	for i := from; i < to; i++ {
		e := agent.Event{Seq: uint64(i), Body: fmt.Appendf(nil, `{"n":%d}`, i)}
		list = append(list, e)
	}
	return list
}

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "{\"n\":%d}\n", i)
	}
	return b.String()
}

func write(t *testing.T, o agent.Output, from, to int) {
	t.Helper()
	if err := o.Write(t.Context(), events(from, to)); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, path, content string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != content {
		t.Errorf("%s holds %.300q, want %.300q", filepath.Base(path), b, content)
	}
}

func TestAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	o := open(t, "path: "+path)
	write(t, o, 0, 3)
	write(t, o, 3, 4)
	want(t, path, lines(0, 4))
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	o.(agent.Closer).Close(context.Background())
	write(t, open(t, "path: "+path), 4, 6)
	want(t, path, lines(0, 6))
}

func TestMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	write(t, open(t, "{path: "+path+", mode: 0640}"), 0, 1)
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
}

// Wire is what the runner made with Encode, and goes out as it is.
func TestWire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	o := open(t, "path: "+path)
	list := events(0, 2)
	for i := range list {
		list[i].Wire, _ = o.(agent.Encoder).Encode(nil, &list[i])
	}
	if err := o.Write(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	want(t, path, lines(0, 2))
}

func TestMendsTheEnd(t *testing.T) {
	long := `{"text":"` + strings.Repeat("x", 200_000)
	for _, c := range []struct{ name, before, after string }{
		{"empty", "", ""},
		{"whole", lines(0, 2), lines(0, 2)},
		{"half a line", lines(0, 2) + `{"n":2,"x`, lines(0, 2)},
		{"half a long line", lines(0, 2) + long, lines(0, 2)},
		{"only half a line", long, ""},
		{"zeros after a power cut", lines(0, 1) + strings.Repeat("\x00", 70_000), lines(0, 1)},
		{"an object without line feed", lines(0, 1) + `{"n":1}`, lines(0, 2)},
		{"a long object without line feed", long + `"}`, long + "\"}\n"},
		{"a number is no object", lines(0, 1) + "12", lines(0, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
			write(t, open(t, "path: "+path), 7, 8)
			want(t, path, c.after+lines(7, 8))
		})
	}
}

func FuzzMend(f *testing.F) {
	for _, s := range []string{"", "\n", "x", "{}\n{", "{}", "\n\n\x00", "a\nb\n{}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "f")
		os.WriteFile(path, content, 0o600)
		file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		size, err := mend(file, int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := os.ReadFile(path)
		if int64(len(got)) != size {
			t.Errorf("size %d, file has %d", size, len(got))
		}
		if len(got) > 0 && got[len(got)-1] != '\n' {
			t.Errorf("%q ends within a line", got)
		}
		whole := content[:bytes.LastIndexByte(content, '\n')+1]
		if !bytes.HasPrefix(got, whole) {
			t.Errorf("%q lost a whole line of %q", got, content)
		}
	})
}

// Others may rename, remove or empty the file at any time.
func TestFollowsThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	o := open(t, "path: "+path)
	write(t, o, 0, 2)
	os.Rename(path, path+".1")
	write(t, o, 2, 3)
	want(t, path+".1", lines(0, 2))
	want(t, path, lines(2, 3))
	os.Remove(path)
	write(t, o, 3, 4)
	want(t, path, lines(3, 4))
	os.Truncate(path, 0)
	write(t, o, 4, 5)
	want(t, path, lines(4, 5))
}

func TestRotatesBySize(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	o := open(t, "{path: "+path+", rotate: {max_size: 80B, keep: 2}}") // ten lines of eight bytes
	write(t, o, 0, 8)
	os.WriteFile(path+".20200101T000000", []byte("not ours"), 0o600)
	os.WriteFile(path+".bak", []byte("not ours"), 0o600)
	// 2 lines fill the first file, 10 the second and third, 3 are in the present one.
	if err := o.Write(t.Context(), append(events(0, 2), append(events(0, 10), append(events(0, 10), events(0, 3)...)...)...)); err != nil {
		t.Fatal(err)
	}
	want(t, path, lines(0, 3))
	old, _ := filepath.Glob(path + ".*Z")
	if len(old) != 2 {
		t.Fatalf("old files: %q", old)
	}
	slices.Sort(old)
	want(t, old[0], lines(0, 10))
	want(t, old[1], lines(0, 10))
	want(t, path+".bak", "not ours")
	want(t, path+".20200101T000000", "not ours")
}

func TestLargeEventGetsItsOwnFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	o := open(t, "{path: "+path+", rotate: {max_size: 10B}}")
	big := []agent.Event{{Body: []byte(`{"text":"larger than a file"}`)}}
	for range 2 {
		if err := o.Write(t.Context(), big); err != nil {
			t.Fatal(err)
		}
	}
	if old, _ := filepath.Glob(path + ".*"); len(old) != 1 {
		t.Errorf("old files: %q", old)
	}
}

func TestRotatesByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	o := open(t, "{path: "+path+", rotate: {max_age: 1h}}").(*output)
	now := time.Now()
	o.now = func() time.Time { return now }
	write(t, o, 0, 1)
	now = now.Add(59 * time.Minute)
	write(t, o, 1, 2)
	now = now.Add(2 * time.Minute)
	write(t, o, 2, 3)
	want(t, path, lines(2, 3))
	want(t, path+"."+now.UTC().Format(stampLayout), lines(0, 2))
	// The age is that of the file, not of the process.
	o.Close(context.Background())
	now = time.Now().Add(30 * time.Minute) // the filesystem has the real time
	write(t, o, 3, 4)
	want(t, path, lines(2, 4))
}

func TestTwoWritersAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	write(t, open(t, "path: "+path), 0, 1)
	err := open(t, "path: "+path).Write(t.Context(), events(1, 2))
	if err == nil || !strings.Contains(err.Error(), "another output") {
		t.Errorf("Write: %v", err)
	}
	want(t, path, lines(0, 1))
}

// A write that fails in the middle leaves no half line and loses nothing.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	o := open(t, "path: "+path)
	write(t, o, 0, 5)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = 60 // a line ends at 56 and 64
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	err := o.Write(t.Context(), events(5, 10))
	syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
	if !errors.Is(err, syscall.EFBIG) || agent.IsPermanent(err) {
		t.Fatalf("Write: %v", err)
	}
	want(t, path, lines(0, 5))
	write(t, o, 5, 10)
	want(t, path, lines(0, 10))
}

func TestErrorsAreRetried(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	path := filepath.Join(dir, "events.jsonl")
	o := open(t, "path: "+path)
	if err := o.Write(t.Context(), events(0, 1)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Write: %v", err)
	}
	os.Mkdir(dir, 0o700)
	write(t, o, 0, 1)
	want(t, path, lines(0, 1))
}

func TestNamedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	o := open(t, "path: "+path)
	if err := o.Write(t.Context(), events(0, 1)); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("without a reader: %v", err)
	}
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()

	// A reader that does not read holds Write until the deadline, in the middle of a line.
	big := make([]agent.Event, 20)
	for i := range big {
		big[i].Body = fmt.Appendf(nil, `{"n":%d,"x":%q}`, i, strings.Repeat("x", 10_000))
	}
	var partial *agent.PartialError
	for d := 200 * time.Millisecond; d < 30*time.Second; d *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		// A deadline that was over before the first line went says that nothing did.
		if err = o.Write(ctx, big); errors.As(err, &partial) || err == nil {
			break
		}
	}
	if partial == nil || !errors.Is(partial.Failed[0].Err, context.DeadlineExceeded) {
		t.Fatalf("Write: %v", err)
	}
	done := partial.Failed[0].Index
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(r)
		got <- b
	}()
	write(t, o, 0, 3)
	o.(agent.Closer).Close(context.Background())
	all := strings.SplitAfter(string(<-got), "\n")
	for i, l := range all[:done+1] {
		if l != string(big[i].Body)+"\n" {
			t.Errorf("line %d of %d: %.40q...", i, len(all), l)
		}
	}
	if rest := strings.Join(all[done+1:], ""); rest != lines(0, 3) {
		t.Errorf("then: %q", rest)
	}
}

func TestStdout(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdout
	os.Stdout = w
	o := open(t, "path: '-'")
	write(t, o, 0, 3)
	os.Stdout = old
	w.Close()
	o.(agent.Closer).Close(context.Background())
	if got, _ := io.ReadAll(r); string(got) != lines(0, 3) {
		t.Errorf("stdout: %q", got)
	}
}

func TestProbe(t *testing.T) {
	f := func(path string, ok bool) {
		t.Helper()
		var steps []agent.Step
		err := open(t, "path: "+path).(agent.Prober).Probe(t.Context(), func(s agent.Step) { steps = append(steps, s) })
		if (err == nil) != ok || len(steps) != 1 || (steps[0].Fix == "") != ok {
			t.Errorf("%s: %v, %v", path, err, steps)
		}
	}
	dir := t.TempDir()
	f(filepath.Join(dir, "new"), true)
	f(dir, false)
	f(filepath.Join(dir, "no", "file"), false)
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("the probe made the file")
	}
}

func TestConfigMistakes(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{"{}", `"path" is missing`},
		{"{path: /a/}", "path is a directory"},
		{"{path: '-', rotate: {max_size: 1MiB}}", "standard output is not rotated"},
		{"{path: /a, mode: 999}", "is no file mode"},
		{"{path: /a, mode: 0440}", "the owner must be able to write"},
		{"{path: /a, rotate: {keep: 3}}", "without max_size and max_age"},
		{"{path: /a, rotate: {keep: -1, max_age: 1d}}", "cannot be negative"},
		{"{path: /a, rotate: {size: 1MiB}}", `unknown key "size"`},
	} {
		var n yaml.Node
		yaml.Unmarshal([]byte(c.keys), &n)
		spec, _ := agent.OutputKind("file")
		ps := &agent.Problems{File: "test"}
		spec.Decode(ps, n.Content[0], nil)
		if len(ps.List) == 0 || !strings.Contains(ps.List[0].Message, c.want) {
			t.Errorf("%s: %v, want %q", c.keys, ps.List, c.want)
		}
	}
}
