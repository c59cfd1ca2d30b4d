package history

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func sample(i int, outputs ...string) Sample {
	s := Sample{
		Time: time.Unix(int64(1000+10*i), 0), LogBytes: int64(i), Accepted: uint64(2 * i),
		Inputs: map[string]Input{"in": {uint64(3 * i)}}, Outputs: map[string]Output{},
	}
	for _, name := range outputs {
		s.Outputs[name] = Output{Sent: uint64(i), Pending: uint64(10 * i), Lag: time.Duration(i) * time.Second / 2}
	}
	return s
}

func values(list []*float64) string {
	out := ""
	for _, v := range list {
		if v == nil {
			out += "- "
			continue
		}
		out += fmt.Sprint(*v, " ")
	}
	return out
}

func TestReportIsEmptyAtFirst(t *testing.T) {
	var r Recorder
	data, err := json.Marshal(r.Report())
	if err != nil || string(data) != `{"step_seconds":10,"times":[],"log_bytes":[],"accepted":[],"inputs":{},"outputs":{}}` {
		t.Errorf("report = %s, %v", data, err)
	}
}

func TestNewAndGoneComponents(t *testing.T) {
	var r Recorder
	r.Add(sample(1, "a"))
	r.Add(sample(2, "a", "b"))
	r.Add(sample(3, "b"))
	rep := r.Report()
	if _, ok := rep.Outputs["a"]; ok || len(rep.Outputs) != 1 {
		t.Errorf("a connection that is gone is still there: %v", rep.Outputs)
	}
	b := rep.Outputs["b"]
	if got := values(b.Pending) + "/ " + values(b.Sent) + "/ " + values(b.Lag); got != "- 20 30 / - 2 3 / - 1 1.5 " {
		t.Errorf("b = %s", got)
	}
	if got := fmt.Sprint(rep.Times) + values(rep.LogBytes) + values(rep.Accepted) + values(rep.Inputs["in"].Events); got != "[1010 1020 1030]1 2 3 2 4 6 3 6 9 " {
		t.Errorf("report = %s", got)
	}
}

// TestAnHourIsKept: the ring turns, and takes no more memory.
func TestAnHourIsKept(t *testing.T) {
	var r Recorder
	for i := range 2*Points + 7 {
		r.Add(sample(i, "a"))
	}
	rep := r.Report()
	last := 2*Points + 6
	if len(rep.Times) != Points || rep.Times[0] != int64(1000+10*(last-Points+1)) || rep.Times[Points-1] != int64(1000+10*last) {
		t.Errorf("%d points from %d to %d", len(rep.Times), rep.Times[0], rep.Times[Points-1])
	}
	for i, v := range rep.Outputs["a"].Pending {
		if want := float64(10 * (last - Points + 1 + i)); v == nil || *v != want {
			t.Fatalf("point %d = %v, want %v", i, v, want)
		}
	}
	if span := Step * Points; span != time.Hour {
		t.Errorf("an hour has %v", span)
	}
}
