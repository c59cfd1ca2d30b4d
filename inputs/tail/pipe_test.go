package tail

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/adrian207/siemd/agent"
)

func (r *rig) fifo(name string) {
	r.t.Helper()
	r.must(syscall.Mkfifo(r.path(name), 0o644))
}

func (r *rig) writer(name string) *os.File {
	r.t.Helper()
	w, err := os.OpenFile(r.path(name), os.O_WRONLY, 0) // waits for the reader
	r.must(err)
	return w
}

func TestNamedPipe(t *testing.T) {
	r := newRig(t, "pipe")
	r.conf.MaxLine = 2 << 10
	r.fifo("pipe")
	r.start()
	w := r.writer("pipe")
	io.WriteString(w, "{\"n\":1}\n\n{\"n\":")
	r.expect(`{"n":1}`, "")
	io.WriteString(w, "2}\r\n"+strings.Repeat("x", 5<<10)+"\n{\"n\":3}\n")
	r.expect(`{"n":1}`, "", "{\"n\":2}\r", `{"n":3}`)
	io.WriteString(w, `{"n":4}`) // and the writer goes, which ends the line
	w.Close()
	r.expect(`{"n":1}`, "", "{\"n\":2}\r", `{"n":3}`, `{"n":4}`)
	w = r.writer("pipe")
	defer w.Close()
	var want []string
	for i := range 2000 {
		l := fmt.Sprintf(`{"m":%d,"text":"%s"}`, i, strings.Repeat("y", i%1500))
		want = append(want, l)
		io.WriteString(w, l+"\n")
	}
	r.sink.await(t, "the second writer's lines", func(s *fakeSink) bool { return len(s.lines) == 2005 })
	if got := r.sink.got()[5:]; !slices.Equal(got, want) {
		t.Errorf("got %d lines, not those that were written", len(got))
	}
	r.sink.await(t, "the refusal", func(s *fakeSink) bool { return len(s.refused) == 1 })
	if f := r.sink.refused[0]; len(f.Text) != 2<<10 || f.Reason != agent.ReasonTooLong || f.Offset != 18 {
		t.Errorf("refused %d bytes at %d: %s", len(f.Text), f.Offset, f.Reason)
	}
	// Where each line began in the stream, of which the fifth had no newline.
	r.halt()
	at := int64(18 + 5<<10 + 1)
	places := []int64{0, 8, 9, at, at + 8}
	at += 15
	for _, l := range want {
		places = append(places, at)
		at += int64(len(l)) + 1
	}
	for i, id := range r.sink.ids {
		if wanted := fmt.Sprintf("@%d", places[i]); id != wanted {
			t.Fatalf("line %d has the place %s, want %s", i, id, wanted)
		}
	}
}

// Half of a line that is too long ends with its writer.
func TestNamedPipePlaces(t *testing.T) {
	r := newRig(t, "pipe")
	r.conf.MaxLine = 1 << 10
	r.fifo("pipe")
	r.start()
	w := r.writer("pipe")
	io.WriteString(w, "{}\n"+strings.Repeat("x", 3<<10))
	r.sink.await(t, "the first refusal", func(s *fakeSink) bool { return len(s.refused) == 1 })
	w.Close()
	r.calm()
	w = r.writer("pipe")
	defer w.Close()
	io.WriteString(w, "{\"n\":1}\n"+strings.Repeat("y", 2<<10)+"\n")
	r.sink.await(t, "the second refusal", func(s *fakeSink) bool { return len(s.refused) == 2 })
	r.halt()
	if got := []int64{r.sink.refused[0].Offset, r.sink.refused[1].Offset}; !slices.Equal(got, []int64{3, 3 + 3<<10 + 8}) {
		t.Errorf("refused at %d", got)
	}
	if got := r.sink.ids; !slices.Equal(got, []string{"@0", fmt.Sprintf("@%d", 3+3<<10)}) {
		t.Errorf("lines at %v", got)
	}
}

// What was taken from the pipe is stored when the agent stops, the beginning of a line too.
func TestNamedPipeAtTheEnd(t *testing.T) {
	r := newRig(t, "pipe")
	r.fifo("pipe")
	r.start()
	w := r.writer("pipe")
	defer w.Close()
	io.WriteString(w, "{\"n\":1}\n{\"half")
	r.expect(`{"n":1}`)
	r.halt()
	r.expect(`{"n":1}`, `{"half`)
	r.start() // and an idle one ends too
	r.halt()
}

// A pipe's lines are tried again until the log has them, and meanwhile the writer waits.
func TestNamedPipeAndFailingLog(t *testing.T) {
	r := newRig(t, "pipe")
	r.fifo("pipe")
	n := 0
	r.sink.fail = func(b agent.Batch) error {
		if n++; n%3 != 0 && len(b.Lines) > 0 {
			return errDisk
		}
		return nil
	}
	r.start()
	w := r.writer("pipe")
	defer w.Close()
	for i := range 50 {
		fmt.Fprintf(w, "{\"n\":%d}\n", i)
	}
	r.all(50)
	r.must(os.Remove(r.path("pipe")))
	r.fifo("pipe") // another one of that name
	r.calm()
	w2 := r.writer("pipe")
	defer w2.Close()
	fmt.Fprintf(w2, "{\"n\":50}\n")
	r.all(51)
}
