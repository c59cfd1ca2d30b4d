package api

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryChangeIsAudited(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	body := `{"name":"n","siem_type":"splunk","endpoint":"a.example.com","auth_type":"token","auth_token":"s3cr3t","enabled_event_types":["*"],"enabled":false}`
	a := r.want(201, "POST", "/connections", body, "Authorization", "Bearer "+writeToken)
	id := a.field("connection_id").(string)
	r.want(200, "PUT", "/connections/"+id, `{"name":"m","auth_token":"s3cr3t2"}`)
	r.want(422, "PUT", "/connections/"+id, `{"batch_size":0}`)
	r.want(200, "POST", "/retry-failed", "")
	r.want(200, "POST", "/reload", "")
	r.want(200, "DELETE", "/connections/"+id, "")
	r.want(404, "POST", "/orphans/nobody/purge", "")

	var got []string
	for _, m := range r.audit() {
		got = append(got, fmt.Sprintf("%v %v %v %v", m["actor"], m["action"], m["result"], m["target"] == id))
		if m["time"] == nil || m["address"] != "127.0.0.1" {
			t.Errorf("audit record: %v", m)
		}
	}
	want := []string{
		"ops create connection ok true", "api.token change connection ok true", "api.token change connection refused true",
		"api.token retry-failed started false", "api.token retry-failed ok false", "api.token reload ok false", "api.token delete connection ok true",
		"api.token purge orphan started false", "api.token purge orphan failed false",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("audit log:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if change := fmt.Sprint(r.audit()[1]["change"]); change != "map[auth_token:[*** ***] name:[n m]]" {
		t.Errorf("change = %v", change)
	}
	assertNoSecret(t, r)
}

func TestWhatCannotBeAuditedIsRefused(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	r.stop()
	audit := filepath.Join(r.dir, "state", "audit.jsonl")
	if err := os.Remove(audit); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", audit); err != nil { // where every write finds the disk full
		t.Fatal(err)
	}
	r.start()
	body := `{"name":"n","siem_type":"syslog","endpoint":"a.example.com","enabled_event_types":["*"]}`
	a := r.want(503, "POST", "/connections", body)
	if !strings.Contains(a.String(), "audit") {
		t.Errorf("POST = %v", a)
	}
	r.want(503, "POST", "/reload", "")
	r.want(503, "POST", "/retry-failed", "")
	r.want(503, "DELETE", "/failed", "")
	if a := r.want(200, "GET", "/connections", ""); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("a refused change has left %v", a)
	}
	if left, _ := filepath.Glob(filepath.Join(r.dir, "state", "connections", "SIEM*")); len(left) != 0 {
		t.Errorf("a refused change has left %v", left)
	}
	if o := r.want(200, "GET", "/status", ""); o.field("orphans") != nil {
		t.Errorf("a refused change has left the orphans %v", o.field("orphans"))
	}
	// Events are no changes.
	r.want(200, "POST", "/export", `{"event_type":"alert","event_source":"s","event_data":{}}`)
}
