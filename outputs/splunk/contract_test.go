package splunk

import (
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

// What the mock of Splunk's own making says of us.
func contract(ack bool, compression string) plugintest.OutputTest[*testing.T] {
	return plugintest.OutputTest[*testing.T]{
		Kind:    "splunk",
		Options: plugintest.Options{Token: token, Ack: ack, Indexes: []string{"zerotrust"}},
		Build: func(t *testing.T, r *plugintest.Receiver) agent.Output {
			c := Defaults
			c.Endpoint, c.Token, c.Index, c.Ack, c.Compression = []string{r.URL()}, agent.NewSecret(token), "zerotrust", ack, compression
			o, err := New(c, plugintest.Env("output", "t"))
			if err != nil {
				t.Fatal(err)
			}
			if ack {
				o.acks.pace = quick
			}
			return o
		},
		Secrets: []string{token},
		Faults: map[string]string{
			"hec=1": "blocked", "hec=2": "blocked", "hec=4": "blocked", "hec=6": "permanent|partial:permanent,after=0s|partial:permanent",
			"hec=8": "suspect", "hec=9": "none", "hec=10": "blocked", "hec=16": "blocked", "hec=23": "none", "hec=24": "ok", "hec=26": "none", "hec=27": "none",
			"html": "none", "huge": "none",
		},
	}
}

func TestContract(t *testing.T) { plugintest.RunOutput(t, contract(false, "none")) }

func TestContractWithAck(t *testing.T) {
	c := contract(true, "gzip")
	c.Faults["hec=24"] = "blocked" // as told, it comes without an ackId
	plugintest.RunOutput(t, c)
}
