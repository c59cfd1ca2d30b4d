// Package jsonbench compares the check that every event goes through with what
// else Go has for JSON. It is a module of its own, so that siemd does not
// depend on what it is compared with: `make bench-json`.
package jsonbench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/tidwall/gjson"
	"github.com/valyala/fastjson"

	"github.com/adrian207/siemd/agent/internal/intake"
	"github.com/adrian207/siemd/agent/plugintest"
)

// usual is an event as applications send them, of 423 bytes.
const usual = `{"event_id":"ANO-7F3A9C21","timestamp":"2025-10-29T12:00:00.123Z","event_type":"anomaly","source":"DEV-123","severity":"high","anomaly":{"type":"authentication","severity":"high","score":85.0,"confidence":0.92},"detection":{"method":"statistical","detector":"StatisticalDetector"},"title":"Excessive failed authentication attempts","recommendations":["Lock user account"],"mitre_attack":{"tactic":"TA0006","technique":"T1110"}}`

// A contestant says whether a text is JSON. Those that parse keep what they
// found, as siemd does; those that check do not.
type contestant struct {
	name  string
	keeps string
	valid func([]byte) bool
}

func contestants() []contestant {
	var siemd intake.Preparer
	var parser fastjson.Parser
	return []contestant{
		{"siemd", "seven members, flags for repairs", func(b []byte) bool { return siemd.Check(b) == nil }},
		{"gjson.ValidBytes", "nothing", gjson.ValidBytes},
		{"fastjson.ValidateBytes", "nothing", func(b []byte) bool { return fastjson.ValidateBytes(b) == nil }},
		{"fastjson.Parser", "everything", func(b []byte) bool { _, err := parser.ParseBytes(b); return err == nil }},
		{"encoding/json.Valid", "nothing", json.Valid},
		{"encoding/json.Unmarshal", "everything, in a map", func(b []byte) bool { var v map[string]any; return json.Unmarshal(b, &v) == nil }},
	}
}

// BenchmarkJSON prints a table: nanoseconds of processor time for the event
// of 423 bytes, always the same, and for one of many different ones; the best
// and the middle of many short rounds, in which the contestants take turns.
func BenchmarkJSON(b *testing.B) {
	const rounds = 100
	one := slices.Repeat([][]byte{[]byte(usual)}, 500)
	g := plugintest.NewGenerator(1)
	many := make([][]byte, 500)
	for i := range many {
		many[i] = bytes.TrimSpace(g.Append(nil))
	}
	list := contestants()
	took := make([][2][]time.Duration, len(list))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range rounds {
		for i, c := range list {
			for k, texts := range [][][]byte{one, many} {
				began := processor()
				for _, text := range texts {
					if !c.valid(text) {
						b.Fatalf("%s refuses %s", c.name, text)
					}
				}
				took[i][k] = append(took[i][k], (processor()-began)/time.Duration(len(texts)))
			}
		}
	}
	fmt.Printf("\n%-24s %8s %8s %12s %8s %7s  %s\n", "", "best ns", "median", "mixed, best", "median", "allocs", "keeps")
	for i, c := range list {
		slices.Sort(took[i][0])
		slices.Sort(took[i][1])
		allocs := testing.AllocsPerRun(100, func() { c.valid(one[0]) })
		fmt.Printf("%-24s %8d %8d %12d %8d %7.0f  %s\n", c.name, took[i][0][0], took[i][0][rounds/2], took[i][1][0], took[i][1][rounds/2], allocs, c.keeps)
		b.ReportMetric(float64(took[i][0][rounds/2]), strings.ReplaceAll(c.name, "/", ".")+"-ns/event")
	}
}

// processor is the processor time of this thread, so that waiting for a busy machine does not count.
func processor() time.Duration {
	const threadTime = 3 // CLOCK_THREAD_CPUTIME_ID
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadTime, uintptr(unsafe.Pointer(&ts)), 0)
	return time.Duration(ts.Nano())
}

// What is no JSON, by RFC 8259, and who takes it all the same. siemd takes
// nothing of it. Bad UTF-8 and duplicate keys it takes and repairs.
func TestStrictness(t *testing.T) {
	var out strings.Builder
	for _, text := range []string{
		"{\"a\":\"\x01\"}", "{\"a\":\"\x00\"}", "{\"a\":\"b\tc\"}", `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":.5}`, `{"a":+1}`, `{"a":1e}`,
		`{"a":NaN}`, `{"a":nul}`, `{"a":1,}`, `{"a":[1,]}`, `{"a":"\x41"}`, `{"a":"\u12g4"}`, `{'a':1}`, `{"a":1}x`, `{"a":1`, "{\"a\":\v1}",
		strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000),
	} {
		fmt.Fprintf(&out, "\n%.24q:", text)
		for _, c := range contestants() {
			if c.valid([]byte(text)) {
				fmt.Fprint(&out, " ", c.name)
				if c.name == "siemd" {
					t.Errorf("siemd takes %.40q", text)
				}
			}
		}
	}
	t.Logf("taken by:%s", out.String())
}
