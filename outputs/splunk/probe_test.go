package splunk

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
)

func TestProbe(t *testing.T) {
	health, post, ack := `{"text":"HEC is healthy","code":17}`, `{"text":"No data","code":5}`, `{"acks":{"2147483647":false}}`
	status := map[string]int{"": 400}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case healthPath:
			w.WriteHeader(max(status["health"], 200))
			io.WriteString(w, health)
		case ackPath:
			w.WriteHeader(max(status["ack"], 200))
			io.WriteString(w, ack)
		default:
			if len(b) > 0 {
				t.Errorf("the probe sent %s", b)
			}
			w.WriteHeader(max(status["post"], 400))
			io.WriteString(w, post)
		}
	})
	f := func(edit func(*Config), want string) {
		t.Helper()
		var steps []string
		err := newOutput(t, url, edit).Probe(t.Context(), func(s agent.Step) {
			text := s.Name
			if s.Err != nil {
				text += "!"
				if s.Fix == "" || strings.Contains(s.Err.Error(), token) {
					t.Errorf("%+v", s)
				}
			}
			steps = append(steps, text)
		})
		if got := strings.Join(steps, " "); got != want || (err != nil) != strings.HasSuffix(want, "!") {
			t.Errorf("steps %s, error %v, want %s", got, err, want)
		}
	}
	withAck := func(c *Config) { c.Ack = true }
	f(nil, "dns tcp health clock auth permission")
	f(withAck, "dns tcp health clock auth ack permission")
	status["ack"], ack = 400, `{"text":"ACK is disabled","code":14}`
	f(withAck, "dns tcp health clock auth ack!")
	status["post"], post = 403, `{"text":"Invalid token `+token+`","code":4}`
	f(nil, "dns tcp health clock auth!")
	post = `{"text":"Token disabled","code":1}`
	f(nil, "dns tcp health clock auth!")
	if err := newOutput(t, url, nil).Probe(t.Context(), func(agent.Step) {}); !agent.IsBlocked(err) {
		t.Errorf("err = %v, want one that waits for a person", err)
	}
	status["post"], post = 502, `<html>`
	f(nil, "dns tcp health clock auth!")
	status["health"], health = 200, "<html>"
	f(nil, "dns tcp health clock auth!")
	f(func(c *Config) { c.Endpoint = []string{"http://127.0.0.1:1"} }, "dns tcp!")
}
