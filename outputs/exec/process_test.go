package exec

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestStandardErrorIsLogged(t *testing.T) {
	o, log := open(t, "stderr", map[string]string{"TOKEN": "s3cret"})
	if err := o.Write(within(t, 10*time.Second), does("ok")); err != nil {
		t.Fatal(err)
	}
	o.Close(t.Context())
	text := log.String()
	for _, want := range []string{"starting ***", "token ***", "flood 1", "connector said more"} {
		if !strings.Contains(text, want) {
			t.Errorf("log lacks %q", want)
		}
	}
	if strings.Contains(text, "s3cret") || strings.Contains(text, "\x1b") || strings.Contains(text, `\x1b`) {
		t.Error("the log holds a secret or control characters")
	}
	if n := strings.Count(text, "connector says"); n > 80 || len(text) > 64<<10 {
		t.Errorf("%d lines, %d bytes were logged", n, len(text))
	}
}

// The connector sees the end of its input and may finish.
func TestGoodbye(t *testing.T) {
	mark := t.TempDir() + "/mark"
	o, _ := open(t, "goodbye", map[string]string{"MARK": mark})
	if err := o.Write(within(t, 10*time.Second), does("ok")); err != nil {
		t.Fatal(err)
	}
	o.Close(within(t, 10*time.Second))
	if b, _ := os.ReadFile(mark); string(b) != "bye" {
		t.Error("the connector was ended before it could say goodbye")
	}
}

// Children that a connector leaves behind are ended with it.
func TestChildrenAreEnded(t *testing.T) {
	o, log := open(t, "children", nil)
	if err := o.Write(within(t, 10*time.Second), does("ok")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	o.Close(within(t, 10*time.Second))
	if took := time.Since(began); took > 4500*time.Millisecond { // it would be 5 s
		t.Errorf("Close took %v", took)
	}
	_, rest, _ := strings.Cut(log.String(), "child ")
	var pid int
	fmt.Sscan(rest, &pid)
	for i := 0; syscall.Kill(pid, 0) == nil; i++ {
		state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if bytes.Contains(state, []byte(") Z ")) {
			break // dead, only nobody has asked for it
		}
		if i == 2000 {
			t.Fatalf("child %d is alive", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestWritesTakeTurns(t *testing.T) {
	o, _ := open(t, "normal", nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if err := o.Write(within(t, 10*time.Second), does("ok", "late", "flush")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestEnvironmentIsItsOwn(t *testing.T) {
	t.Setenv("SIEM_PASSWORD", "hunter2")
	o, _ := open(t, "normal", map[string]string{"A": "b"})
	m := failures(t, o.Write(within(t, 10*time.Second), does("ok", "env")))
	text := m[1].Error()
	if strings.Contains(text, "hunter2") || !strings.Contains(text, "A=b") || !strings.Contains(text, "SIEMD_OUTPUT=test") || !strings.Contains(text, "PATH=") {
		t.Errorf("environment: %s", text)
	}
}
