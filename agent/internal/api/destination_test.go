package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// TestWhereConnectionsMayGo dials real addresses: the check is at the socket,
// whatever a name resolves to.
func TestWhereConnectionsMayGo(t *testing.T) {
	es := receiver(t, "elastic", plugintest.Options{})
	cef := receiver(t, "cef", plugintest.Options{Transport: "udp"})
	r := newRig(t, "")
	api := fmt.Sprintf("api: {listen: [%q]%%s}\n", strings.TrimPrefix(r.base, "http://"))
	reload := func(destinations, outputs string) {
		t.Helper()
		r.write(fmt.Sprintf(api, destinations) + outputs)
		r.want(200, "POST", "/reload", "")
	}
	create := func(kind, endpoint, more string) string {
		t.Helper()
		a := r.want(201, "POST", "/connections", fmt.Sprintf(`{"name":"n","siem_type":%q,"endpoint":%q,"enabled_event_types":["*"]%s}`, kind, endpoint, more))
		return "/connections/" + a.field("connection_id").(string)
	}
	refused := func(path string) {
		t.Helper()
		a := r.want(200, "POST", path+"/test", "")
		if a.field("healthy") != false || !strings.Contains(fmt.Sprint(a.field("last_error")), "made through the API may") {
			t.Errorf("test = %v", a)
		}
	}
	allowed := func(path string) {
		t.Helper()
		if a := r.want(200, "POST", path+"/test", ""); a.field("healthy") != true {
			t.Errorf("test = %v", a)
		}
	}
	reload(", allowed_destinations: [public, private]", "outputs: {}\n")
	_, port, _ := strings.Cut(es.Addr(), ":")
	byAddress, byName := create("elastic", es.URL(), ""), create("elastic", "http://localhost:"+port, "")
	datagrams := create("cef", cef.Addr(), `,"auth_type":"udp"`)
	metadata := create("http", "http://169.254.169.254", "")
	r.want(200, "POST", "/export?wait=0s", `{"event_type":"alert","event_source":"s","event_data":{"event_id":"e"}}`)
	refused(byAddress)
	refused(byName)
	refused(metadata)
	eventually(t, "the UDP connection says why it holds", func() bool {
		r.want(200, "POST", datagrams+"/drain?wait=50ms", "")
		return strings.Contains(fmt.Sprint(r.want(200, "GET", datagrams, "").field("last_error")), "made through the API may")
	})
	if es.Events() != 0 || cef.Events() != 0 {
		t.Error("something was sent to where nothing may go")
	}
	reload(", allowed_destinations: [127.0.0.0/8, '::1', 169.0.0.0/8]", "outputs: {}\n")
	allowed(byAddress)
	allowed(byName)
	refused(metadata)
	r.want(200, "POST", datagrams+"/drain?wait=5s", "")
	eventually(t, "events that were held are sent", func() bool { return es.Events() == 1 && cef.Events() == 1 }) // the id is the same: created once
	reload(", allowed_destinations: [public]", fmt.Sprintf("outputs: {yaml: {type: elastic, endpoint: %q}}\n", es.URL()))
	refused(byAddress)
	if a := r.want(200, "POST", "/connections/yaml/test", ""); a.field("healthy") != true {
		t.Errorf("a connection of the config file = %v", a)
	}
	reload("", "outputs: {}\n") // the API is on loopback: who may use it is on this machine
	allowed(byAddress)
	allowed(byName)
	refused(metadata)
}
