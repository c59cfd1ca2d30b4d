package splunk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
)

func TestRequests(t *testing.T) {
	var path, query, body, auth, kind, channel string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		path, query, body = r.URL.Path, r.URL.RawQuery, string(b)
		auth, kind, channel = r.Header.Get("Authorization"), r.Header.Get("Content-Type"), r.Header.Get(channelHeader)
		io.WriteString(w, `{"text":"Success","code":0}`)
	})
	f := func(edit func(*Config), wantPath, wantQuery, wantBody string) {
		t.Helper()
		o := newOutput(t, url, edit)
		if err := o.Write(t.Context(), batch(t, o, 2)); err != nil {
			t.Fatal(err)
		}
		if path != wantPath || query != wantQuery || body != wantBody {
			t.Errorf("POST %s?%s\n%s\nwant %s?%s\n%s", path, query, body, wantPath, wantQuery, wantBody)
		}
		if auth != "Splunk "+token || kind != "application/json" {
			t.Errorf("auth %q, type %q", auth, kind)
		}
	}
	f(func(c *Config) { c.Index = "zerotrust" }, "/services/collector/event", "",
		`{"time":1761739200.000,"host":"zerotrust-platform","source":"zerotrust:anomaly","sourcetype":"_json","index":"zerotrust","event":{"event_id":"E0","event_type":"anomaly"}}`+"\n"+
			`{"time":1761739200.000,"host":"zerotrust-platform","source":"zerotrust:anomaly","sourcetype":"_json","index":"zerotrust","event":{"event_id":"E1","event_type":"anomaly"}}`+"\n")
	f(func(c *Config) {
		c.Index, c.Source, c.Host, c.Sourcetype = "zt-{event_type}", "s", "h", "zt"
		c.Fields = map[string]string{"env": "prod"}
	}, "/services/collector/event", "",
		`{"time":1761739200.000,"host":"h","source":"s","sourcetype":"zt","index":"zt-anomaly","event":{"event_id":"E0","event_type":"anomaly"},"fields":{"env":"prod"}}`+"\n"+
			`{"time":1761739200.000,"host":"h","source":"s","sourcetype":"zt","index":"zt-anomaly","event":{"event_id":"E1","event_type":"anomaly"},"fields":{"env":"prod"}}`+"\n")
	if channel != "" {
		t.Errorf("a channel was sent for nothing")
	}
	f(func(c *Config) { c.Mode, c.Index, c.Source = "raw", "zt", "a b" }, "/services/collector/raw",
		"host=zerotrust-platform&index=zt&source=a+b&sourcetype=_json",
		`{"event_id":"E0","event_type":"anomaly"}`+"\n"+`{"event_id":"E1","event_type":"anomaly"}`+"\n")
	if len(channel) != 36 {
		t.Errorf("raw mode has the channel %q", channel)
	}
	f(func(c *Config) { c.Endpoint[0] += "/services/collector" }, "/services/collector/event", "",
		`{"time":1761739200.000,"host":"zerotrust-platform","source":"zerotrust:anomaly","sourcetype":"_json","index":"zerotrust","event":{"event_id":"E0","event_type":"anomaly"}}`+"\n"+
			`{"time":1761739200.000,"host":"zerotrust-platform","source":"zerotrust:anomaly","sourcetype":"_json","index":"zerotrust","event":{"event_id":"E1","event_type":"anomaly"}}`+"\n")
}

func TestEmptyEventIsRefused(t *testing.T) {
	o := newOutput(t, "http://127.0.0.1:1", nil)
	for _, body := range []string{"{}", "{ }", " {\t} "} {
		if _, err := o.Encode(nil, &agent.Event{Body: []byte(body)}); !agent.IsPermanent(err) {
			t.Errorf("Encode(%s) = %v", body, err)
		}
	}
	if _, err := o.Encode(nil, &agent.Event{Body: []byte(`{"":{}}`)}); err != nil {
		t.Error(err)
	}
}

// Whatever a receiver answers, the token does not come back in an error.
func TestTokenNeverLeaks(t *testing.T) {
	quoted, _ := json.Marshal("Splunk " + token)
	for _, echo := range []string{
		token, "Splunk " + token, string(quoted), base64.StdEncoding.EncodeToString([]byte(token)), strings.ReplaceAll(token, "-", "%2D") + token,
	} {
		for _, status := range []int{200, 302, 400, 401, 403, 404, 413, 422, 429, 500, 503} {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Location", "/login?token="+token)
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"text":%q,"code":6,"invalid-event-number":1}`, echo)
			})
			o := newOutput(t, url, nil)
			err := o.Write(t.Context(), batch(t, o, 3))
			if err == nil {
				t.Fatalf("%d was taken for success", status)
			}
			var partial *agent.PartialError
			texts := []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", o.config)}
			if errors.As(err, &partial) {
				for _, f := range partial.Failed {
					texts = append(texts, f.Err.Error())
				}
			}
			for _, text := range texts {
				if strings.Contains(text, token) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(token))) {
					t.Errorf("%d: %s", status, text)
				}
			}
		}
	}
}

func TestSlowDown(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"text":"HEC queue is approaching its capacity limit","code":24}`)
	})
	o := newOutput(t, url, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go cancel() // a slowed Write ends with its context, and is a success all the same
	if err := o.Write(ctx, batch(t, o, 1)); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := o.Write(t.Context(), batch(t, o, 1)); err != nil {
		t.Error(err)
	}
}
