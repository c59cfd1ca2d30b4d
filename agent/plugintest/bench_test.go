package plugintest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// BenchmarkReceivers is events per second into mocks that only count, batches
// of 1000 over one connection, client and mock on the same machine.
func BenchmarkReceivers(b *testing.B) {
	const batch = 1000
	bodies := map[string]func(b []byte, id, line string) []byte{
		"splunk": func(b []byte, _, line string) []byte {
			return fmt.Appendf(b, `{"time":1761739200.000,"host":"h","source":"zerotrust:anomaly","sourcetype":"_json","index":"zerotrust","event":%s}`+"\n", line)
		},
		"elastic": func(b []byte, id, line string) []byte {
			return fmt.Appendf(b, `{"create":{"_index":"zerotrust-events","_id":"%s"}}`+"\n"+`{"@timestamp":"2025-10-29T12:00:00.000Z","zerotrust":%s}`+"\n", id, line)
		},
		"http": func(b []byte, _, line string) []byte { return append(append(b, line...), '\n') },
		"syslog": func(b []byte, id, line string) []byte {
			m := fmt.Sprintf(`<131>1 2025-10-29T12:00:00Z h zerotrust - anomaly [zerotrust@32473 eventId="%s"] %s`, id, line[:200])
			return fmt.Appendf(b, "%d %s", len(m), m)
		},
	}
	for kind, render := range bodies {
		for _, light := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/light=%v", kind, light), func(b *testing.B) {
				r, err := New(kind, Options{Light: light})
				if err != nil {
					b.Fatal(err)
				}
				if err := r.Start("127.0.0.1:0"); err != nil {
					b.Fatal(err)
				}
				defer r.Close(b.Context())
				g := NewGenerator(1)
				var body []byte
				for i := range int64(batch) {
					line := bytes.TrimSpace(g.Append(nil))
					body = render(body, g.ID(i), string(line))
				}
				b.ResetTimer()
				if kind == "syslog" {
					c, err := net.Dial("tcp", r.Addr())
					if err != nil {
						b.Fatal(err)
					}
					defer c.Close()
					for b.Loop() {
						c.Write(body)
					}
					r.Await(b.Context(), func(s Stats) bool { return s.Events == int64(b.N*batch) })
				} else {
					path := map[string]string{"splunk": "/services/collector", "elastic": "/_bulk"}[kind]
					for b.Loop() {
						req, _ := http.NewRequest("POST", r.URL()+path, bytes.NewReader(body))
						req.Header.Set("Authorization", "Splunk x")
						req.Header.Set("Content-Type", "application/x-ndjson")
						resp, err := http.DefaultClient.Do(req)
						if err != nil {
							b.Fatal(err)
						}
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
				}
				b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
