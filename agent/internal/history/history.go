// Package history remembers the last hour of an agent's figures, in memory: a
// fixed number of points for each component that there is now, and nothing of
// those that are gone.
package history

import (
	"math"
	"sync"
	"time"
)

const (
	// Step is the time between two points.
	Step = 10 * time.Second
	// Points is how many are kept: an hour.
	Points = 360
)

// A Sample is what is known at one moment.
type Sample struct {
	Time     time.Time
	LogBytes int64  // in the write-ahead log
	Accepted uint64 // events ever
	Inputs   map[string]Input
	Outputs  map[string]Output
}

// Input is one input's part of a sample.
type Input struct{ Events uint64 }

// Output is one connection's part of a sample.
type Output struct {
	Sent    uint64
	Pending uint64
	Lag     time.Duration // age of the oldest event that waits
}

// A Recorder keeps samples. Its zero value is empty and ready.
type Recorder struct {
	mu       sync.Mutex // guards the rest
	n        uint64     // samples ever
	times    [Points]int64
	logBytes series
	accepted series
	inputs   map[string]*series
	outputs  map[string]*[3]series // sent, pending, lag
}

// A series has one value for each of the last points; NaN where there was none.
type series [Points]float64

func emptySeries(s *series) {
	for i := range s {
		s[i] = math.NaN()
	}
}

// Add keeps s and forgets what is older than an hour, and components that are not in s.
func (r *Recorder) Add(s Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.n % Points
	r.n++
	r.times[at] = s.Time.Unix()
	r.logBytes[at], r.accepted[at] = float64(s.LogBytes), float64(s.Accepted)
	if r.inputs == nil {
		r.inputs, r.outputs = map[string]*series{}, map[string]*[3]series{}
	}
	for name := range r.inputs {
		if _, ok := s.Inputs[name]; !ok {
			delete(r.inputs, name)
		}
	}
	for name := range r.outputs {
		if _, ok := s.Outputs[name]; !ok {
			delete(r.outputs, name)
		}
	}
	for name, in := range s.Inputs {
		if r.inputs[name] == nil {
			r.inputs[name] = new(series)
			emptySeries(r.inputs[name])
		}
		r.inputs[name][at] = float64(in.Events)
	}
	for name, out := range s.Outputs {
		o := r.outputs[name]
		if o == nil {
			o = new([3]series)
			for i := range o {
				emptySeries(&o[i])
			}
			r.outputs[name] = o
		}
		o[0][at], o[1][at], o[2][at] = float64(out.Sent), float64(out.Pending), out.Lag.Seconds()
	}
}

// A Report is the hour, oldest point first: every list has as many values as
// Times, null where the component was not there.
type Report struct {
	Step     float64                `json:"step_seconds" doc:"The time between two points."`
	Times    []int64                `json:"times" doc:"When, in seconds since 1970."`
	LogBytes []*float64             `json:"log_bytes" doc:"Size of the write-ahead log."`
	Accepted []*float64             `json:"accepted" doc:"Events ever taken into the log."`
	Inputs   map[string]InputHours  `json:"inputs" doc:"By input."`
	Outputs  map[string]OutputHours `json:"outputs" doc:"By connection."`
}

// InputHours is one input's part of a report.
type InputHours struct {
	Events []*float64 `json:"events" doc:"Events since the agent started."`
}

// OutputHours is one connection's part of a report.
type OutputHours struct {
	Sent    []*float64 `json:"sent" doc:"Events sent ever."`
	Pending []*float64 `json:"pending" doc:"Events that wait."`
	Lag     []*float64 `json:"lag_seconds" doc:"Age of the oldest event that waits."`
}

// Report is what is kept now.
func (r *Recorder) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := int(min(r.n, Points))
	first := int(r.n - uint64(n))
	list := func(s *series) []*float64 {
		values, out := make([]float64, n), make([]*float64, n)
		for i := range n {
			if v := s[(first+i)%Points]; !math.IsNaN(v) {
				values[i] = v
				out[i] = &values[i]
			}
		}
		return out
	}
	rep := Report{
		Step: Step.Seconds(), Times: make([]int64, n), LogBytes: list(&r.logBytes), Accepted: list(&r.accepted),
		Inputs: map[string]InputHours{}, Outputs: map[string]OutputHours{},
	}
	for i := range n {
		rep.Times[i] = r.times[(first+i)%Points]
	}
	for name, s := range r.inputs {
		rep.Inputs[name] = InputHours{list(s)}
	}
	for name, o := range r.outputs {
		rep.Outputs[name] = OutputHours{list(&o[0]), list(&o[1]), list(&o[2])}
	}
	return rep
}
