package syslog

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

func init() {
	agent.RegisterOutput("syslog", defaults, newSyslog)
}

func newSyslog(c Config, env agent.Env) (agent.Output, error) {
	repairs := new(fields.Repairs)
	codec, err := rfc5424.New(rfc5424.Config{
		HeaderConfig: c.header(env.Identity, repairs),
		SDID:         c.SDID,
		BOM:          c.BOM,
		MaxMessage:   c.size(),
	})
	if err != nil {
		return nil, err
	}
	return newOutput(c, codec, repairs, env)
}

// header is the config of what stands in front of every message.
func (c Config) header(id agent.Identity, repairs *fields.Repairs) rfc5424.HeaderConfig {
	facility, _ := rfc5424.Facility(c.Facility)
	return rfc5424.HeaderConfig{
		RFC: c.RFC, Facility: facility, App: or(c.AppName, id.App), Hostname: c.Hostname, Host: id.Host, Repairs: repairs,
	}
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// A tally carries what a codec counts over to the metric
// siemd_codec_repairs_total, which goes on counting when the output is rebuilt.
type tally struct {
	repairs  *fields.Repairs
	counters []*metrics.Counter // one for each reason
	told     []uint64
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

// settle adds what is new since the last call. The caller sees to it that calls do not overlap.
func (t *tally) settle() {
	for i, reason := range fields.Reasons() {
		if n := t.repairs.Count(reason); n != t.told[i] {
			t.counters[i].AddInt64(int64(n - t.told[i]))
			t.told[i] = n
		}
	}
}
