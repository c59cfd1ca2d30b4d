package elastic

import (
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
	var path, body, auth, kind string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		path, body, auth, kind = r.URL.Path, string(b), r.Header.Get("Authorization"), r.Header.Get("Content-Type")
		if got := r.URL.Query().Get("filter_path"); !strings.Contains(got, "items.*.status") {
			t.Errorf("filter_path is %q", got)
		}
		io.WriteString(w, `{"errors":false,"items":[{"create":{"status":201}}]}`)
	})
	f := func(edit func(*Config), wantPath, wantAuth, wantAction string) {
		t.Helper()
		o, _ := newOutput(t, url, edit)
		if err := o.Write(t.Context(), batch(t, o, 1)); err != nil {
			t.Fatal(err)
		}
		action, rest, _ := strings.Cut(body, "\n")
		if path != wantPath || auth != wantAuth || action != wantAction || kind != "application/x-ndjson" {
			t.Errorf("%s %s %s %s\nwant %s %s %s", path, auth, kind, action, wantPath, wantAuth, wantAction)
		}
		if !strings.HasSuffix(rest, "\n") || strings.Count(rest, "\n") != 1 {
			t.Errorf("document %q", rest)
		}
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("siemd:"+password))
	f(nil, "/_bulk", basic, `{"create":{"_index":"zerotrust-events","_id":"E0"}}`)
	f(func(c *Config) { c.Endpoint[0] += "/es/"; c.Index = "zt-%Y.%m.%d"; c.Op = "index" }, "/es/_bulk", basic, `{"index":{"_index":"zt-2025.10.29","_id":"E0"}}`)
	f(func(c *Config) { c.Endpoint[0] += "/_bulk"; c.DataStream = "true" }, "/_bulk", basic, `{"create":{"_index":"logs-zerotrust.alert-default","_id":"E0"}}`)
	f(func(c *Config) { c.DataStream, c.Pipeline = "logs-a.b-c", "p" }, "/_bulk", basic, `{"create":{"_index":"logs-a.b-c","_id":"E0","pipeline":"p"}}`)
	key := func(text string) func(*Config) {
		return func(c *Config) { c.Username, c.Password, c.APIKey = "", agent.Secret{}, agent.NewSecret(text) }
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("id:key"))
	f(key("id:key"), "/_bulk", "ApiKey "+encoded, `{"create":{"_index":"zerotrust-events","_id":"E0"}}`)
	f(key(encoded), "/_bulk", "ApiKey "+encoded, `{"create":{"_index":"zerotrust-events","_id":"E0"}}`)
	f(func(c *Config) { c.Username, c.Password = "", agent.Secret{} }, "/_bulk", "", `{"create":{"_index":"zerotrust-events","_id":"E0"}}`)
}

// Whatever a target answers, no secret comes back in an error.
func TestSecretsNeverLeak(t *testing.T) {
	const id, key = "VuaCfGcBCdbkQm-e5aOx", "ui2lp2axTNmsyakw9tvNnw"
	pair := base64.StdEncoding.EncodeToString([]byte("siemd:" + password))
	encoded := base64.StdEncoding.EncodeToString([]byte(id + ":" + key))
	byPassword := func(c *Config) {}
	byKey := func(text string) func(*Config) {
		return func(c *Config) { c.Username, c.Password, c.APIKey = "", agent.Secret{}, agent.NewSecret(text) }
	}
	for _, edit := range []func(*Config){byPassword, byKey(id + ":" + key), byKey(encoded)} {
		for _, secret := range []string{password, pair, "Basic " + pair, strings.TrimRight(pair, "="), key, id + ":" + key, encoded} {
			quoted, _ := json.Marshal(secret)
			for _, status := range []int{200, 400, 401, 403, 413, 500, 503} {
				for _, body := range []string{
					secret, fmt.Sprintf(`{"error":{"type":"x","reason":%s}}`, quoted),
					fmt.Sprintf(`{"errors":true,"items":[{"create":{"status":400,"error":{"type":"x","reason":%s}}}]}`, quoted),
				} {
					o, _ := newOutput(t, answering(t, status, body), edit)
					err := o.Write(t.Context(), batch(t, o, 1))
					text := fmt.Sprintf("%v %+v %#v", err, o.config, o.config)
					var partial *agent.PartialError
					if errors.As(err, &partial) {
						text += partial.Failed[0].Err.Error()
					}
					own := []string{password, strings.TrimRight(pair, "=")}
					if !o.config.APIKey.IsZero() {
						own = []string{key, strings.TrimRight(encoded, "=")}
					}
					for _, s := range own {
						if strings.Contains(text, s) {
							t.Fatalf("%d %s: %s", status, body, text)
						}
					}
				}
			}
		}
	}
}
