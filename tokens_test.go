package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestTokenNames: events of every dialect get the name of the token that they
// came with, unless they have the field or the token has no name.
func TestTokenNames(t *testing.T) {
	in := startIngest(t, `, tokens: [nameless, {name: firewalls, token: of-the-firewalls}, {name: "büro \"7\"", token: of-the-office}], token_field: sender, fields: {sender: nobody, site: hq}`)
	post := func(token, path, body string) {
		t.Helper()
		req, err := http.NewRequest("POST", in.url()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
			t.Errorf("%s: %s %s", path, resp.Status, text)
		}
	}
	post("Bearer nameless", "/v1/events", `{"event_id":"a1"}`)
	post("Bearer of-the-firewalls", "/v1/events", `{"event_id":"a2"}`+"\n"+`{"event_id":"a3","sender":"its own"}`)
	post("Splunk of-the-office", "/services/collector", `{"event":{"event_id":"a4"}}`)
	post("Splunk of-the-firewalls", "/services/collector/raw", "a line")
	post("Basic eDpvZi10aGUtZmlyZXdhbGxz", "/_bulk", `{"create":{"_id":"a5"}}`+"\n{}\n")
	post("Bearer of-the-firewalls", "/v1/logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"},"eventName":"otlp"}]}]}]}`)
	events := in.exactly(7)
	for id, want := range map[string]string{"a1": "nobody", "a2": "firewalls", "a3": "its own", "a4": `büro "7"`, "a5": "firewalls"} {
		if e := events[id]; e["sender"] != want || e["site"] != "hq" {
			t.Errorf("%s: %v, want sender %s", id, e, want)
		}
		delete(events, id)
	}
	for id, e := range events { // those with ids of our own
		if e["sender"] != "firewalls" {
			t.Errorf("%s: %v", id, e)
		}
	}
}
