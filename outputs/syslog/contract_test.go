package syslog

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

// Every kind over every transport, against receivers that were written from the standards alone.
func TestContract(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"syslog", "cef", "leef"} {
		transports := []string{"tcp", "tls", "udp"}
		if name != "syslog" {
			transports = transports[:1] // the transport is the same code
		}
		for _, transport := range transports {
			t.Run(name+"/"+transport, func(t *testing.T) {
				test := plugintest.OutputTest[*testing.T]{
					Kind:           name,
					Options:        plugintest.Options{Transport: transport},
					Unacknowledged: true,
					Build: func(t *testing.T, r *plugintest.Receiver) agent.Output {
						c := tcpConfig(r.Addr())
						c.Transport = transport
						if transport == "tls" {
							c.TLS.CAFile = filepath.Join(t.TempDir(), "ca.pem")
							if err := os.WriteFile(c.TLS.CAFile, r.CA(), 0o600); err != nil {
								t.Fatal(err)
							}
						}
						switch name {
						case "cef":
							cef := cefDefaults
							cef.Config = withRFC(c, "3164")
							return kind(t, name, cef)
						case "leef":
							leef := leefDefaults
							leef.Config = withRFC(c, "3164")
							return kind(t, name, leef)
						}
						return kind(t, name, c)
					},
				}
				if transport != "udp" {
					test.Faults = map[string]string{
						"refuse":       "none",
						"reset_before": "ok|none|partial:none",
						"reset_after":  "ok|none|partial:none",
						"slow=1ms":     "ok",
					}
				}
				plugintest.RunOutput(t, test)
			})
		}
	}
}
