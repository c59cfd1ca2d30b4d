package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
)

// FuzzConnection makes connections of any bodies. What is taken must load, with
// no reference but to its own secrets, and must be the same after a client has
// read it and sent it back.
func FuzzConnection(f *testing.F) {
	for _, body := range []string{
		`{"name":"n","siem_type":"splunk","endpoint":"h","auth_type":"token","auth_token":"t$","enabled_event_types":["*"]}`,
		`{"name":"${env:HOME}","siem_type":"elastic","endpoint":"https://h:1/p","auth_type":"basic","username":"$u","password":"p","enabled_event_types":["alert"],"min_severity":"low"}`,
		`{"name":"n","siem_type":"qradar","endpoint":"h:515","auth_type":"tls","verify_ssl":false,"enabled_event_types":["*"],"options":{"delimiter":"^","tls":{"server_name":"x"}}}`,
		`{"name":"n","siem_type":"cef","endpoint":"[::1]:515","enabled_event_types":["x"],"options":{"extensions":{"cs6":"a.b"},"batch":{"max_bytes":"64KiB"}},"severity_mapping":{"low":"high"}}`,
		`{"name":"n","siem_type":"http","endpoint":"http://h","auth_type":"token","auth_token":"t","enabled_event_types":["*"],"options":{"headers":{"A.b":"c"},"status":{"ok":[200]},"rate_limit":{"events":5}}}`,
		`{"name":"n","siem_type":"http","endpoint":"h","auth_type":"oauth2","enabled_event_types":["*"],"options":{"auth":{"token_url":"https://t","client_id":"c","client_secret":"x"}},"retry_delay_seconds":0.5,"batch_interval_seconds":0}`,
	} {
		f.Add(body)
	}
	none := &config.Config{Outputs: map[string]*config.Output{}}
	f.Fuzz(func(t *testing.T, body string) {
		build := func(body string, base connectionFields, old *config.Output) *config.Output {
			w, err := parseWish([]byte(body), base, old != nil)
			if err != nil {
				return nil
			}
			d, err := render(w, old)
			if err != nil {
				return nil
			}
			ch, err := d.change("SIEM-CONN-00000000", config.Managed{})
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			cfg, problems := config.With(none, ch.Change)
			if cfg == nil {
				for _, p := range problems {
					if strings.Contains(p.Message, "YAML") || strings.Contains(p.Message, "is known in this file") || strings.Contains(p.Message, "no secret is kept") {
						t.Fatalf("%s: %v in\n%s", body, p, ch.Data)
					}
				}
				return nil
			}
			return cfg.Outputs["SIEM-CONN-00000000"]
		}
		o := build(body, newConnection, nil)
		if o == nil {
			return
		}
		seen, err := json.Marshal(fieldsOf(o))
		if err != nil {
			t.Fatal(err)
		}
		again := build(string(seen), fieldsOf(o), o)
		if again == nil {
			_, err := parseWish(seen, fieldsOf(o), true)
			t.Fatalf("%s: sent back it is refused: %s (%v)", body, seen, err)
		}
		if !reflect.DeepEqual(again.Config, o.Config) || !reflect.DeepEqual(again.Common, o.Common) {
			back, _ := json.Marshal(fieldsOf(again))
			t.Fatalf("%s: read as\n%s\nit becomes\n%s", body, seen, back)
		}
	})
}

func FuzzLocation(f *testing.F) {
	for _, s := range []string{"h", "h:1", "https://h:1/p/", "[::1]:5", "::1", "http://[::1]", "a b", "h:", "//", "https://u@h", "h?x#y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, url := range []bool{true, false} {
			l, err := parseLocation(s, url)
			if err != nil {
				continue
			}
			again, err := parseLocation(l.asked(), url)
			if err != nil || again != l {
				t.Errorf("%q is %+v, and %q is %+v, %v", s, l, l.asked(), again, err)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("L2Vz")
	f.Fuzz(func(_ *testing.T, s string) { _, _, _ = readCursor(s) })
}
