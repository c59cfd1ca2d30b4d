package http

import (
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

func contract(format string) plugintest.OutputTest[*testing.T] {
	return plugintest.OutputTest[*testing.T]{
		Kind:    "http",
		Options: plugintest.Options{Token: "s3cr3t-t0ken"},
		Build: func(t *testing.T, r *plugintest.Receiver) agent.Output {
			c := Defaults
			c.Endpoint, c.Format, c.Auth = []string{r.URL()}, format, Auth{Type: "bearer", Token: agent.NewSecret("s3cr3t-t0ken")}
			o, err := New(c, plugintest.Env("output", "t"))
			if err != nil {
				t.Fatal(err)
			}
			return o
		},
		Secrets: []string{"s3cr3t-t0ken"},
		Faults:  map[string]string{"html": "none", "huge": "ok", "short": "ok", "400": "permanent"},
	}
}

func TestContract(t *testing.T) { plugintest.RunOutput(t, contract("ndjson")) }

func TestContractOfArrays(t *testing.T) { plugintest.RunOutput(t, contract("array")) }
