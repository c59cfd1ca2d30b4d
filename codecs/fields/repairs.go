package fields

import (
	"fmt"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

// A Reason is why a codec could not render a value as it is. Reasons are
// metric labels.
type Reason uint8

// The reasons.
const (
	ControlChar   Reason = iota // a control character became a space
	HeaderChar                  // a character that a header field cannot hold was replaced
	Truncated                   // a value or message was longer than the format takes and was cut
	PairDropped                 // a pair was left out to keep a message within its size
	NotNumber                   // a value does not fit a numeric or address field: left out
	NumberMoved                 // a number that is no integer went to a text field
	IDHashed                    // an id longer than the target takes was replaced by its SHA-256
	RouteFallback               // a value from the event did not fit the target's name: the default name was used
	DateClamped                 // the event's date is too far off: the date of receipt was used
	reasons
)

var reasonNames = [reasons]string{
	"control_char", "header_char", "truncated", "pair_dropped", "not_number",
	"number_moved", "id_hashed", "route_fallback", "date_clamped",
}

func (r Reason) String() string { return reasonNames[r] }

// Repairs counts what a codec changed to make events fit their format. A nil
// *Repairs counts nothing. It is safe for concurrent use.
type Repairs struct {
	n        [reasons]atomic.Uint64
	counters [reasons]*metrics.Counter // nil: no metric
}

// ShowRepairs returns a Repairs that counts in the metric
// siemd_codec_repairs_total too, by env's name and the reason. The metric goes
// on counting when the output is built anew.
func ShowRepairs(env agent.Env) *Repairs {
	r := &Repairs{}
	for i := range r.counters {
		r.counters[i] = env.Metrics.GetOrCreateCounter(fmt.Sprintf(`siemd_codec_repairs_total{output=%q,reason=%q}`, env.Name, Reason(i)))
	}
	return r
}

// Add counts one repair.
func (r *Repairs) Add(why Reason) {
	if r == nil {
		return
	}
	r.n[why].Add(1)
	if c := r.counters[why]; c != nil {
		c.Inc()
	}
}

// Count is the number of repairs for one reason.
func (r *Repairs) Count(why Reason) uint64 {
	if r == nil {
		return 0
	}
	return r.n[why].Load()
}

// any reports whether there was a repair.
func (r *Repairs) any() bool {
	for i := range r.n {
		if r.n[i].Load() > 0 {
			return true
		}
	}
	return false
}

// Reasons lists all reasons, for an exporter.
func Reasons() []Reason {
	all := make([]Reason, reasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}
