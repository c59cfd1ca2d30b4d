package plugintest

import "testing"

func TestLightMocksStillCountIDs(t *testing.T) {
	splunk := start(t, "splunk", Options{Light: true})
	post(t, splunk.URL()+"/services/collector", "{\"event\":{\"event_id\":\"1\"}}\n{\"event\":{\"event_id\":\"2\"}}\n{\"event\":{}}", splunkAuth)
	post(t, splunk.URL()+"/services/collector", "{\"event\":{\"event_id\":\"1\"}}", splunkAuth)
	if s := splunk.Stats(); s.Events != 4 || s.Distinct != 2 || s.Repeats != 1 || s.NoID != 1 || splunk.Seen("1") != 2 {
		t.Errorf("splunk %+v", s)
	}
	elastic := start(t, "elastic", Options{Light: true})
	const pairs = "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n{\"index\":{\"_id\":\"2\"}}\n{\"x\":1}\n{\"delete\":{\"_id\":\"2\"}}\n{\"index\":{}}\n{\"x\":1}\n"
	_, first, _ := post(t, elastic.URL()+"/_bulk", pairs, ndjson)
	_, second, _ := post(t, elastic.URL()+"/_bulk", pairs, ndjson)
	if first != `{"took":3,"errors":true,"items":[{"create":{"status":201}},{"index":{"status":201}},{"delete":{"status":404}},{"index":{"status":201}}]}` {
		t.Error(first)
	}
	if second != `{"took":3,"errors":true,"items":[{"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"document already exists"}}},{"index":{"status":200}},{"delete":{"status":404}},{"index":{"status":201}}]}` {
		t.Error(second)
	}
	if s := elastic.Stats(); s.Events != 5 || s.Distinct != 2 || s.Conflicts != 1 || s.Repeats != 1 || s.NoID != 2 {
		t.Errorf("elastic %+v", s)
	}
	syslog := start(t, "syslog", Options{Light: true})
	c, err := dial(syslog)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("<131>1 - - - - - [a@1 eventId=\"1\"] x\n<131>Oct  9 12:00:00 h CEF:0|v|p|1|c|n|5|externalId=2 rt=1\n<131>Oct  9 12:00:00 h LEEF:2.0|v|p|1|c|x09|a=b\texternalId=3\tsev=1\n"))
	if err := syslog.Await(t.Context(), func(s Stats) bool { return s.Distinct == 3 && syslog.Seen("2") == 1 && syslog.Seen("3") == 1 }); err != nil {
		t.Error(err)
	}
}
