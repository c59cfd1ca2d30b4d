package elastic

import (
	"encoding/base64"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

// What the mock of Elasticsearch's own making says of us.
func contract(openSearch bool) plugintest.OutputTest[*testing.T] {
	return plugintest.OutputTest[*testing.T]{
		Kind:    "elastic",
		Options: plugintest.Options{Username: "siemd", Password: password, OpenSearch: openSearch},
		Build: func(t *testing.T, r *plugintest.Receiver) agent.Output {
			c := Defaults
			c.Endpoint, c.Username, c.Password = []string{r.URL()}, "siemd", agent.NewSecret(password)
			if openSearch {
				c.Compression, c.Op = "gzip", "index"
			} else {
				c.DataStream = "logs-zerotrust.{event_type}-default"
			}
			o, err := New(c, plugintest.Env("output", "t"))
			if err != nil {
				t.Fatal(err)
			}
			return o
		},
		Secrets: []string{password, base64.StdEncoding.EncodeToString([]byte("siemd:" + password))},
		Faults: map[string]string{
			"item=400": "partial:permanent", "item=429": "partial:none", "item=503": "partial:none", "item=403": "partial:blocked",
			"html": "none", "huge": "none", "400": "permanent",
		},
	}
}

func TestContract(t *testing.T) { plugintest.RunOutput(t, contract(false)) }

func TestContractWithOpenSearch(t *testing.T) { plugintest.RunOutput(t, contract(true)) }
