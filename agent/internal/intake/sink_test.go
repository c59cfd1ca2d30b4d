package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// A bench is a sink over a real log and a real store of refused lines.
type bench struct {
	t       testing.TB
	dir     string
	log     *wal.Log
	refused *Refused
	set     *metrics.Set
	sink    *Sink
}

func newBench(t testing.TB, o wal.Options, common Common) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), set: metrics.NewSet()}
	o.Dir, o.Log, o.Metrics = b.dir, slog.New(slog.NewTextHandler(io.Discard, nil)), b.set
	var err error
	if b.log, err = wal.Open(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.log.Close() })
	if b.refused, err = OpenRefused(filepath.Join(b.dir, "refused"), 1<<20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.refused.Close() })
	b.sink = New(Options{
		Common: common, Log: b.log, Refused: b.refused,
		Env: agent.Env{Name: "apps", Kind: "input", Identity: agent.DefaultIdentity, Metrics: b.set, Log: o.Log},
		Now: func() time.Time { return receivedAt },
	})
	return b
}

func (b *bench) emit(batch agent.Batch) agent.Receipt {
	b.t.Helper()
	r, err := b.sink.Emit(context.Background(), batch)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// events reads all that is in the log.
func (b *bench) events() []agent.Event {
	b.t.Helper()
	r := b.log.Reader(b.log.Cursor("test", true))
	defer r.Close()
	var all []agent.Event
	for {
		block, ok, err := r.TryNext()
		if err != nil {
			b.t.Fatal(err)
		}
		if !ok {
			return all
		}
		events, err := block.Events(nil)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range events {
			e.ID, e.Type, e.Source, e.Body = clone(e.ID), clone(e.Type), clone(e.Source), clone(e.Body)
			all = append(all, e)
		}
		block.Release()
	}
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

func (b *bench) metric(line string) {
	b.t.Helper()
	var out strings.Builder
	b.set.WritePrometheus(&out)
	if !strings.Contains(out.String(), line+"\n") {
		var near []string
		for l := range strings.Lines(out.String()) {
			if strings.HasPrefix(l, line[:strings.IndexByte(line, '{')]) {
				near = append(near, l)
			}
		}
		b.t.Errorf("no metric %s, but %v", line, near)
	}
}

func lines(texts ...string) [][]byte {
	var out [][]byte
	for _, t := range texts {
		out = append(out, []byte(t))
	}
	return out
}

func TestEmit(t *testing.T) {
	b := newBench(t, wal.Options{}, Common{EventType: "telemetry"})
	mark := agent.Mark{Key: "file-1", Pos: []byte("100")}
	r := b.emit(agent.Batch{
		Lines: lines(
			`{"event_id":"a","timestamp":"2025-10-29T12:00:00Z","event_type":"alert","source":"h","severity":"high"}`,
			``, "\r", "  ",
			`not json`,
			`{"x":1}`+"\r",
			`[1]`,
			`{"event_id":"b","x":1,"x":2,"t":"`+"\xff"+`"}`,
			`{"event_id":"c","timestamp":"2025-10-29T12:00:00"}`,
			`{"event_id":"d","timestamp":"gestern"}`,
		),
		Origin: "o", Offsets: []int64{0, 1, 2, 3, 40, 50, 60, 70, 80, 90}, File: "/var/log/a", Mark: &mark,
		Refused: []agent.Refusal{{Text: []byte("too long"), Offset: 1000, Reason: agent.ReasonTooLong, Detail: "more than 1MiB"}},
	})
	if r.First != 1 || r.Last != 5 || r.Accepted != 5 || len(r.Refused) != 2 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []agent.Refusal{{Line: 4, Offset: 40, Reason: "not_json"}, {Line: 6, Offset: 60, Reason: "not_object"}} {
		if got := r.Refused[i]; got.Line != want.Line || got.Offset != want.Offset || got.Reason != want.Reason || got.Detail == "" || got.Text != nil {
			t.Errorf("refusal %d: %+v", i, got)
		}
	}
	var got []string
	for _, e := range b.events() {
		got = append(got, fmt.Sprintf("%d %s %s %s %v %s %d %s", e.Seq, e.ID, e.Type, e.Source, e.Severity, e.Input, e.Time, e.Body))
		if e.Received != received {
			t.Errorf("received %d", e.Received)
		}
	}
	var p Preparer
	id := strings.Trim(string(p.appendID(nil, []byte(`{"x":1}`), "o", 50)), `"`)
	want := []string{
		`1 a alert h high apps 1761739200000000000 {"event_id":"a","timestamp":"2025-10-29T12:00:00Z","event_type":"alert","source":"h","severity":"high"}`,
		fmt.Sprintf(`2 %s telemetry  informational apps 1761739205250000000 {"event_id":"%s","x":1}`, id, id),
		`3 b telemetry  informational apps 1761739205250000000 {"event_id":"b","x":2,"t":"` + "\uFFFD" + `"}`,
		`4 c telemetry  informational apps 1761739200000000000 {"event_id":"c","timestamp":"2025-10-29T12:00:00"}`,
		`5 d telemetry  informational apps 1761739205250000000 {"event_id":"d","timestamp":"gestern"}`,
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("got  %q\nwant %q", got, want)
			break
		}
	}
	kept, _, err := b.refused.List("", 0)
	if err != nil || len(kept) != 3 || kept[0].Line != "not json" || kept[0].File != "/var/log/a" || kept[0].Offset != 40 || kept[2].Line != "too long" || kept[2].Offset != 1000 {
		t.Errorf("refused: %+v, %v", kept, err)
	}
	if pos, ok := b.sink.Resume("file-1"); !ok || string(pos) != "100" {
		t.Errorf("Resume = %s, %v", pos, ok)
	}
	if _, ok := b.log.Mark("apps/file-1"); !ok {
		t.Error("the mark's key is not within the input's own")
	}
	for _, m := range []string{
		`siemd_input_events_total{input="apps"} 5`,
		`siemd_input_refused_total{input="apps",reason="not_json"} 1`,
		`siemd_input_refused_total{input="apps",reason="not_object"} 1`,
		`siemd_input_refused_total{input="apps",reason="too_long"} 1`,
		`siemd_input_refused_total{input="apps",reason="too_deep"} 0`,
		`siemd_input_refused_total{input="apps",reason="too_many_keys"} 0`,
		`siemd_input_repaired_total{input="apps",reason="utf8"} 1`,
		`siemd_input_repaired_total{input="apps",reason="duplicate_key"} 1`,
		`siemd_input_time_total{input="apps",reason="missing"} 2`,
		`siemd_input_time_total{input="apps",reason="no_zone"} 1`,
		`siemd_input_time_total{input="apps",reason="unreadable"} 1`,
	} {
		b.metric(m)
	}
}

// A client that sends the same words twice means two events.
func TestOffsetsWithoutAnOriginMakeNoId(t *testing.T) {
	b := newBench(t, wal.Options{}, Common{})
	for range 2 {
		b.emit(agent.Batch{Lines: lines(`{"a":1}`, `not json`), Offsets: []int64{0, 8}})
	}
	all := b.events()
	if len(all) != 2 || len(all[0].ID) == 0 || string(all[0].ID) == string(all[1].ID) {
		t.Errorf("%v", all)
	}
}

func TestEmitNothing(t *testing.T) {
	b := newBench(t, wal.Options{}, Common{})
	if r := b.emit(agent.Batch{Lines: lines("", "\n")}); r.First != 0 || r.Last != 0 || r.Accepted != 0 || r.Refused != nil {
		t.Errorf("%+v", r)
	}
	if r := b.emit(agent.Batch{Mark: &agent.Mark{Key: "k", Pos: []byte("1")}}); r.First != 0 || r.Last != 0 || r.Accepted != 0 {
		t.Errorf("a mark alone: %+v", r)
	}
	if r := b.emit(agent.Batch{Lines: lines("nope"), Mark: &agent.Mark{Key: "k", Pos: []byte("2")}}); r.First != 0 || r.Last != 0 || len(r.Refused) != 1 {
		t.Errorf("nothing but refused lines: %+v", r)
	}
	if pos, _ := b.sink.Resume("k"); string(pos) != "2" {
		t.Errorf("mark %s", pos)
	}
	b.emit(agent.Batch{Mark: &agent.Mark{Key: "k"}})
	if pos, ok := b.sink.Resume("k"); ok {
		t.Errorf("a mark that was forgotten: %s", pos)
	}
}

func TestBatchBuffersAreFreeAfterSubmit(t *testing.T) {
	b := newBench(t, wal.Options{}, Common{})
	line := []byte(`{"event_id":"first","n":1}`)
	bad := []byte(`bad line`)
	ticket, err := b.sink.Submit(context.Background(), agent.Batch{Lines: [][]byte{line, bad}})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range [][]byte{line, bad} {
		for i := range l {
			l[i] = '#'
		}
	}
	if _, err := ticket.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if e := b.events()[0]; string(e.Body) != `{"event_id":"first","n":1}` || string(e.ID) != "first" {
		t.Errorf("%s: %s", e.ID, e.Body)
	}
	if kept, _, _ := b.refused.List("", 0); kept[0].Line != "bad line" {
		t.Errorf("%+v", kept)
	}
}

func TestTargets(t *testing.T) {
	b := newBench(t, wal.Options{}, Common{})
	b.emit(agent.Batch{Lines: lines(`{"event_id":"a"}`), Targets: []string{"splunk"}})
	b.emit(agent.Batch{Lines: lines(`{"event_id":"b"}`)})
	r := b.log.Reader(b.log.Cursor("splunk", true))
	defer r.Close()
	block, ok, err := r.TryNext()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer block.Release()
	if got := fmt.Sprint(block.Targets(), block.First(), block.Last()); got != "[splunk] 1 1" {
		t.Error(got)
	}
}

// fill makes the log full. Submit's deadline counts only while it is that: a slow disk is waited for.
func (b *bench) fill() {
	b.t.Helper()
	for i := 0; ; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		ticket, err := b.sink.Submit(ctx, agent.Batch{Lines: lines(fmt.Sprintf(`{"event_id":"%d","x":"%s"}`, i, noise(200<<10)))})
		if err == nil {
			_, err = ticket.Wait(context.Background())
		}
		cancel()
		if errors.Is(err, agent.ErrFull) {
			return
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// noise is text that does not compress.
func noise(n int) string {
	f, err := os.Open("/dev/urandom")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	b := make([]byte, n/2)
	io.ReadFull(f, b)
	return fmt.Sprintf("%x", b)
}

func TestRefusedLinesOfABatchThatIsTriedAgainAreKeptOnce(t *testing.T) {
	b := newBench(t, wal.Options{MaxSize: 4 << 20, Compression: "none"}, Common{})
	b.log.Cursor("slow", true) // holds the log
	b.fill()
	batch := agent.Batch{Lines: lines("bad", "bad", `{"event_id":"x","x":"`+noise(200<<10)+`"}`)}
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		if _, err := b.sink.Emit(ctx, batch); !errors.Is(err, agent.ErrFull) {
			t.Fatalf("err = %v", err)
		}
		cancel()
	}
	kept, _, _ := b.refused.List("", 0)
	if len(kept) != 2 {
		t.Errorf("%d lines kept, want 2", len(kept))
	}
	b.metric(`siemd_input_refused_total{input="apps",reason="not_json"} 2`)
}

func TestRefusedStoreFails(t *testing.T) {
	b := newBench(t, wal.Options{}, Common{})
	if err := os.RemoveAll(b.refused.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := b.sink.Emit(context.Background(), agent.Batch{Lines: lines("bad", `{"event_id":"x"}`)}); err == nil {
		t.Fatal("a batch is taken whose refused line is lost")
	}
	if n := len(b.events()); n != 0 {
		t.Errorf("%d events of it are in the log", n)
	}
}

func TestClosed(t *testing.T) {
	b := newBench(t, wal.Options{}, Common{})
	b.log.Close()
	if _, err := b.sink.Submit(context.Background(), agent.Batch{Lines: lines(`{"a":1}`)}); !errors.Is(err, agent.ErrClosed) {
		t.Errorf("err = %v", err)
	}
}

func BenchmarkSubmit(b *testing.B) {
	bb := newBench(b, wal.Options{Sync: "interval"}, Common{})
	var batch agent.Batch
	for range 600 { // a read of 256 KiB
		batch.Lines = append(batch.Lines, []byte(usual))
		batch.Offsets = append(batch.Offsets, 0)
	}
	batch.Origin = "o"
	b.SetBytes(600 * int64(len(usual)))
	b.ReportAllocs()
	for b.Loop() {
		bb.emit(batch)
	}
	b.ReportMetric(float64(b.N)*600/b.Elapsed().Seconds(), "events/s")
}

// An event for which a small log never has room is refused, and those beside it are not.
func TestEventsLargerThanASmallLog(t *testing.T) {
	b := newBench(t, wal.Options{MaxSize: 1 << 20}, Common{})
	long := []byte(`{"event_type":"alert","description":"` + strings.Repeat("x", 300<<10) + `"}`)
	r := b.emit(agent.Batch{Lines: [][]byte{[]byte(`{"n":1}`), long, []byte(`{"n":2}`)}, File: "/a.log"})
	if r.Accepted != 2 || len(r.Refused) != 1 || r.Refused[0].Line != 1 || r.Refused[0].Reason != agent.ReasonTooLong {
		t.Errorf("%+v", r)
	}
	b.metric(`siemd_input_refused_total{input="apps",reason="too_long"} 1`)
}
