package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// TestSeedFlow is the way in which scripts written for the Python module use
// the API: make connections of each kind, test them, export the three kinds of
// raw records, look at health and statistics, process what is pending.
func TestSeedFlow(t *testing.T) {
	splunk := receiver(t, "splunk", plugintest.Options{Token: "hec-token"})
	elastic := receiver(t, "elastic", plugintest.Options{Username: "elastic", Password: "changeme"})
	syslog := receiver(t, "syslog", plugintest.Options{})
	qradar := receiver(t, "leef", plugintest.Options{})
	r := newRig(t, "outputs: {}\n")
	create := func(name, kind, address, more string) string {
		t.Helper()
		host, port, _ := strings.Cut(address, ":")
		a := r.want(201, "POST", "/connections", fmt.Sprintf(`{"name":%q,"siem_type":%q,"endpoint":%q,"port":%s,"use_ssl":false,"verify_ssl":true,
			"enabled_event_types":["anomaly","risk_assessment","compliance_check"],"min_severity":"informational",%s}`, name, kind, host, port, more))
		return a.field("connection_id").(string)
	}
	ids := []string{
		create("Production Splunk", "splunk", splunk.Addr(), `"auth_type":"token","auth_token":"hec-token","index_name":"security","source_type":"_json"`),
		create("ELK Stack", "elastic", elastic.Addr(), `"auth_type":"basic","username":"elastic","password":"changeme","index_name":"zerotrust-%Y.%m.%d"`),
		create("Central Syslog", "syslog", syslog.Addr(), `"auth_type":"tcp","facility":"local0"`),
		create("QRadar", "qradar", qradar.Addr(), `"auth_type":"tcp"`),
	}
	for _, id := range ids {
		a := r.want(200, "POST", "/connections/"+id+"/test", "")
		if a.field("healthy") != true || a.field("status") != "healthy" || a.field("connection_id") != id || a.field("last_check") == nil || a.field("steps.0.ok") != true {
			t.Errorf("test = %v", a)
		}
		for _, s := range a.field("steps").([]any) {
			if s.(map[string]any)["ok"] != true {
				t.Errorf("test: step %v", s)
			}
		}
	}
	records := map[string]string{
		"anomaly":          `{"anomaly_id":"ANOM-1","device_id":"mac-7","detected_at":"2025-01-02T03:04:05Z","anomaly_type":"authentication","anomaly_severity":"high","anomaly_score":0.9,"title":"many failures"}`,
		"risk_assessment":  `{"assessment_id":"RISK-1","device_id":"mac-7","assessment_time":"2025-01-02T03:04:05Z","total_risk_score":71,"risk_level":"high","score_delta":5}`,
		"compliance_check": `{"id":42,"device_id":"mac-7","recorded_at":"2025-01-02T03:04:05Z","is_compliant":false,"critical_failures":["filevault"],"policies_failed":1}`,
	}
	for typ, record := range records {
		a := r.want(200, "POST", "/export", fmt.Sprintf(`{"event_type":%q,"event_source":"engine","event_data":%s}`, typ, record))
		for _, id := range ids {
			if a.field("results."+id) != true {
				t.Errorf("export of %s = %v", typ, a)
			}
		}
	}
	for _, id := range []string{"ANOM-1", "RISK-1", "COMP-42"} {
		if splunk.Seen(id) != 1 || elastic.Seen(id) != 1 {
			t.Errorf("splunk has %v, elastic %v", splunk.IDs(), elastic.IDs())
			break
		}
	}
	a := r.want(200, "GET", "/health", "")
	for _, id := range ids {
		if a.field("connections."+id+".healthy") != true || a.field("connections."+id+".status") != "healthy" {
			t.Errorf("health = %v", a)
		}
	}
	if a.field("connections."+ids[3]+".siem_type") != "qradar" {
		t.Errorf("health = %v", a)
	}
	a = r.want(200, "GET", "/statistics", "")
	if a.field("total_events") != 12.0 || a.field("sent_events") != 12.0 || a.field("success_rate") != 1.0 || a.field("active_connections") != 4.0 {
		t.Errorf("statistics = %v", a)
	}
	a = r.want(200, "POST", "/process-pending?limit=1000", "")
	if fmt.Sprint(a.field("results."+ids[0])) != "[0 0]" {
		t.Errorf("process-pending = %v", a)
	}
	r.want(200, "POST", "/retry-failed?max_age_hours=24", "")
	var list []map[string]any
	if err := json.Unmarshal(r.want(200, "GET", "/connections?enabled_only=true", "").body, &list); err != nil || len(list) != 4 {
		t.Errorf("%d connections, %v", len(list), err)
	}
}

func TestTestTellsWhatIsWrong(t *testing.T) {
	splunk := receiver(t, "splunk", plugintest.Options{Token: "right"})
	r := newRig(t, fmt.Sprintf(`
outputs:
  wrong: {type: splunk, endpoint: %q, token: wrong-token}
  gone: {type: cef, endpoint: '127.0.0.1:1'}
  off: {type: splunk, endpoint: %q, token: right, enabled: false}
  file: {type: file, path: %s/out.jsonl}
`, splunk.URL(), splunk.URL(), t.TempDir()))
	a := r.want(200, "POST", "/connections/wrong/test", "")
	if a.field("healthy") != false || a.field("status") != "failed" || a.field("last_error") == nil {
		t.Errorf("test with a wrong token = %v", a)
	}
	if strings.Contains(string(a.body), "wrong-token") {
		t.Errorf("the token is told: %v", a)
	}
	a = r.want(200, "POST", "/connections/gone/test", "")
	steps := a.field("steps").([]any)
	last := steps[len(steps)-1].(map[string]any)
	if a.field("healthy") != false || last["ok"] != false || last["fix"] == nil {
		t.Errorf("test of a closed port = %v", a)
	}
	a = r.want(200, "POST", "/connections/off/test", "")
	if a.field("healthy") != true || a.field("enabled") != false {
		t.Errorf("test of a disabled one = %v", a)
	}
	r.want(404, "POST", "/connections/nobody/test", "")

	// What was held back is sent as soon as a test goes well.
	if err := splunk.SetFault("503"); err != nil {
		t.Fatal(err)
	}
	a = r.want(201, "POST", "/connections", fmt.Sprintf(`{"name":"n","siem_type":"splunk","endpoint":%q,"auth_type":"token","auth_token":"right","enabled_event_types":["*"],"retry_delay_seconds":3600}`, splunk.URL()))
	path := "/connections/" + a.field("connection_id").(string)
	r.want(200, "POST", "/export?wait=200ms", `{"event_type":"alert","event_source":"s","event_data":{"event_id":"held"}}`)
	if a := r.want(200, "POST", path+"/test", ""); a.field("healthy") != false {
		t.Errorf("test during an outage = %v", a)
	}
	if err := splunk.SetFault(""); err != nil {
		t.Fatal(err)
	}
	if a := r.want(200, "POST", path+"/test", ""); a.field("healthy") != true || a.field("pending_events") != 0.0 {
		t.Errorf("test after it = %v", a)
	}
	if splunk.Seen("held") != 1 {
		t.Errorf("splunk has %v", splunk.IDs())
	}
	if a := r.call("POST", "/connections/file/test", ""); a.status != 200 && a.status != 409 {
		t.Errorf("test of a file = %v", a)
	}
}

// TestWaitingEventsGoWithTheChange holds events of a connection with the usual
// interval of a minute, and then mends the connection.
func TestWaitingEventsGoWithTheChange(t *testing.T) {
	splunk := receiver(t, "splunk", plugintest.Options{Token: "right"})
	r := newRig(t, "outputs: {}\n")
	a := r.want(201, "POST", "/connections", fmt.Sprintf(`{"name":"n","siem_type":"splunk","endpoint":%q,"auth_type":"token","auth_token":"wrong","enabled_event_types":["*"]}`, splunk.URL()))
	path := "/connections/" + a.field("connection_id").(string)
	export := func(id string) {
		t.Helper()
		r.want(200, "POST", "/export?wait=0s", fmt.Sprintf(`{"event_type":"alert","event_source":"s","event_data":{"event_id":%q}}`, id))
	}
	export("held")
	eventually(t, "the connection is held", func() bool { return r.want(200, "GET", path, "").field("health_status") == "failed" })
	r.want(200, "PUT", path, `{"auth_token":"right"}`)
	eventually(t, "the held event is sent", func() bool { return splunk.Seen("held") == 1 })
	r.want(200, "PUT", path, `{"enabled":false}`)
	export("meanwhile")
	r.want(200, "PUT", path, `{"enabled":true}`)
	eventually(t, "what came while it was disabled is sent", func() bool { return splunk.Seen("meanwhile") == 1 })
}

// TestLedgerUnderLoad exports from many clients at once while connections come,
// change and go.
func TestLedgerUnderLoad(t *testing.T) {
	es := receiver(t, "elastic", plugintest.Options{})
	bad := receiver(t, "elastic", plugintest.Options{})
	if err := bad.SetFault("item=400:20%,503:10%"); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, fmt.Sprintf("outputs: {fixed: {type: elastic, endpoint: %q}}\n", es.URL()))
	clients, each := 200, 6
	if testing.Short() {
		clients = 10
	}
	var wg, churn sync.WaitGroup
	done := make(chan struct{})
	for k := range 3 {
		churn.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				a := r.call("POST", "/connections", fmt.Sprintf(`{"name":"c%d","siem_type":"elastic","endpoint":%q,"enabled_event_types":["*"],"retry_delay_seconds":0.01,"batch_interval_seconds":0.01,"options":{"start":"latest"}}`, k, bad.URL()))
				if a.status != 201 {
					t.Errorf("POST = %v", a)
					return
				}
				path := "/connections/" + a.field("connection_id").(string)
				if a := r.call("PUT", path, fmt.Sprintf(`{"batch_size":%d}`, 1+i%50)); a.status != 200 {
					t.Errorf("PUT = %v", a)
				}
				time.Sleep(20 * time.Millisecond)
				if a := r.call("DELETE", path+"?force=true", ""); a.status != 200 {
					t.Errorf("DELETE = %v", a)
				}
			}
		})
	}
	for k := range clients {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", k, i)
				a := r.call("POST", "/export?wait=20s", fmt.Sprintf(`{"event_type":"alert","event_source":"s","event_data":{"event_id":%q}}`, id))
				if a.status != 200 || a.field("results.fixed") != true {
					t.Errorf("export = %v", a)
				}
			}
		})
	}
	wg.Wait()
	close(done)
	churn.Wait()
	if es.Events() != clients*each {
		t.Errorf("the connection that stayed got %d of %d events", es.Events(), clients*each)
	}
	a := r.want(200, "GET", "/status", "")
	if a.field("orphans") != nil || a.field("outputs.1") != nil || a.field("outputs.0.unaccounted") != 0.0 || a.field("outputs.0.sent") != float64(clients*each) {
		t.Errorf("status = %v", a)
	}
	m := r.want(200, "GET", "/metrics", "")
	if !strings.Contains(string(m.body), "\nsiemd_unaccounted_events 0\n") {
		t.Error("siemd_unaccounted_events is not 0")
	}
	if strings.Contains(r.log.String(), "does not add up") {
		t.Error("the ledger did not add up for a while")
	}
}
