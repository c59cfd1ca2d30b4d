package elastic

import (
	"fmt"
	"sync"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

// A tally carries what the codec counts over to siemd_codec_repairs_total,
// which goes on counting when the output is rebuilt.
type tally struct {
	repairs  *fields.Repairs
	counters []*metrics.Counter // one for each reason

	mu   sync.Mutex // guards told
	told []uint64
}

func newTally(repairs *fields.Repairs, env agent.Env) *tally {
	t := &tally{repairs: repairs}
	for _, reason := range fields.Reasons() {
		name := fmt.Sprintf(`siemd_codec_repairs_total{output=%q,reason=%q}`, env.Name, reason)
		t.counters = append(t.counters, env.Metrics.GetOrCreateCounter(name))
		t.told = append(t.told, 0)
	}
	return t
}

// settle adds what is new since the last call.
func (t *tally) settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, reason := range fields.Reasons() {
		if n := t.repairs.Count(reason); n != t.told[i] {
			t.counters[i].AddInt64(int64(n - t.told[i]))
			t.told[i] = n
		}
	}
}
