package plugintest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, kind string, o Options) *Receiver {
	t.Helper()
	r, err := New(kind, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		r.Close(ctx)
	})
	return r
}

// post sends one request on a connection of its own; header is "Key: value" pairs.
func post(t *testing.T, url, body string, header ...string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (int, string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestFaultsStrike(t *testing.T) {
	const two = `{"event":{"event_id":"a"}}{"event":{"event_id":"b"}}`
	f := func(spec string, status int, answer string, taken int) {
		t.Helper()
		r := start(t, "splunk", Options{Fault: spec})
		got, text, err := post(t, r.URL()+"/services/collector", two, "Authorization: Splunk x")
		if got != status || (err != nil) != (status == 0 || answer == "cut") {
			t.Errorf("%s: status %d, err %v; want %d", spec, got, err, status)
		}
		if answer != "cut" && !strings.Contains(text, answer) {
			t.Errorf("%s: answer %q, want %q in it", spec, text, answer)
		}
		if err := r.Await(t.Context(), func(s Stats) bool { return s.Events == int64(taken) }); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	f("", 200, `{"text":"Success","code":0}`, 2)
	f("503", 503, `"code":9`, 0)
	f("429:retry_after=2", 429, `"code":26`, 0)
	f("401", 401, `"code":3`, 0)
	f("403", 403, `"code":4`, 0)
	f("404", 404, `"code":404`, 0)
	f("500:taken", 500, `"code":8`, 2)
	f("502", 502, "", 0)
	f("hec=9", 503, `"code":9`, 0)
	f("hec=24", 200, `"code":24`, 2)
	f("hec=0", 200, `"code":0`, 2)
	f("reset_before", 0, "", 0)
	f("reset_after", 0, "", 2)
	f("refuse", 0, "", 0)
	f("refuse:100%", 0, "", 0)
	f("short", 200, "cut", 2)
	f("html", 200, "login", 0)
	f("413:over=1KB", 200, `"code":0`, 2)
	f("413:over=10B", 413, "", 0)
	f("503:match=nothing", 200, `"code":0`, 2)
	f("503:0%", 200, `"code":0`, 2)
	f("item=400:match=\"b\"", 400, `"code":6,"invalid-event-number":1`, 1)
	f("slow=1ms,503:match=a", 503, `"code":9`, 0)
	f("off", 200, `"code":0`, 2)
}

func TestFaultLimits(t *testing.T) {
	r := start(t, "splunk", Options{Fault: "503:n=2"})
	for i, want := range []int{503, 503, 200} {
		if got, _, err := post(t, r.URL()+"/services/collector", `{"event":1}`, "Authorization: Splunk x"); got != want {
			t.Errorf("request %d: %d %v, want %d", i, got, err, want)
		}
	}
	if s := r.Stats(); s.Faults != 2 {
		t.Errorf("%d faults counted, want 2", s.Faults)
	}
	now := time.Now()
	list, err := parseFaults("503:for=10s", now)
	if err != nil {
		t.Fatal(err)
	}
	fs := faults{clock: func() time.Time { return now }}
	fs.set(list)
	if hit, _ := fs.strike(nil); hit == nil {
		t.Error("no fault within its time")
	}
	now = now.Add(11 * time.Second)
	if hit, _ := fs.strike(nil); hit != nil {
		t.Error("a fault after its time")
	}
}

func TestRetryAfterIsSent(t *testing.T) {
	r := start(t, "elastic", Options{Fault: "429:retry_after=7"})
	resp, err := http.Get(r.URL() + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Retry-After"); got != "7" || resp.StatusCode != 429 {
		t.Errorf("status %d, Retry-After %q", resp.StatusCode, got)
	}
}

func TestFaultSpecsThatAreRefused(t *testing.T) {
	f := func(kind, spec, want string) {
		t.Helper()
		_, err := New(kind, Options{Fault: spec})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s with %q: %v, want %q", kind, spec, err, want)
		}
	}
	f("splunk", "reset_befor", `did you mean "reset_before"?`)
	f("splunk", "banana", "unknown kind")
	f("splunk", "200", "not a status from 300 to 599")
	f("splunk", "503:101%", "not a share")
	f("splunk", "503:-1%", "not a share")
	f("splunk", "503:NaN%", "not a share")
	f("splunk", "503:n=0", "not a number of times")
	f("splunk", "503:for=x", "not a duration")
	f("splunk", "slow=x", "not a duration")
	f("splunk", "slow", "not a duration")
	f("splunk", "hec=29", "not one of Splunk's codes")
	f("splunk", "hec=x", "not one of Splunk's codes")
	f("splunk", "item=200", "not a status")
	f("splunk", "413:over=100", "not a size")
	f("splunk", "503:nonsense", "unknown option")
	f("splunk", "hang=3", "takes no value")
	f("splunk", "refuse:n=3", "does not fit")
	f("elastic", "hec=9", "splunk's")
	f("syslog", "503", "has no answers")
	f("http", "item=400", "whole bodies")
	f("nonsense", "", "unknown kind of receiver")
}

func TestRefuseIsSwitchedAtRunTime(t *testing.T) {
	for _, kind := range []string{"splunk", "syslog"} {
		r := start(t, kind, Options{})
		before := r.Addr()
		if err := r.SetFault("refuse"); err != nil {
			t.Fatal(err)
		}
		if c, err := dial(r); err == nil {
			c.Close()
			t.Errorf("%s: connected although it refuses", kind)
		}
		if err := r.SetFault("slow=1ms"); err != nil {
			t.Fatal(err)
		}
		c, err := dial(r)
		if err != nil {
			t.Fatalf("%s: %v after the fault ended", kind, err)
		}
		c.Close()
		if r.Addr() != before {
			t.Errorf("%s: moved from %s to %s", kind, before, r.Addr())
		}
		if err := r.SetFault("refuse:for=30ms"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			if c, err := dial(r); err == nil {
				c.Close()
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s: still refuses after its time", kind)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestHangEndsWithTheClientOrTheMock(t *testing.T) {
	r := start(t, "splunk", Options{Fault: "hang"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		r.Await(t.Context(), func(s Stats) bool { return s.Faults == 1 })
		cancel()
	}()
	req, _ := http.NewRequestWithContext(ctx, "POST", r.URL()+"/services/collector", strings.NewReader(`{"event":1}`))
	if _, _, err := do(t, req); err == nil {
		t.Error("an answer while it hangs")
	}
	gone := make(chan error, 1)
	go func() {
		_, _, err := post(t, r.URL()+"/services/collector", `{"event":1}`)
		gone <- err
	}()
	r.Await(t.Context(), func(s Stats) bool { return s.Faults == 2 })
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if <-gone == nil {
		t.Error("an answer from a closed mock")
	}
	if r.Events() != 0 {
		t.Error("an event was taken while it hung")
	}
}

func TestItemFaultsBlameTheSameEvents(t *testing.T) {
	list, err := parseFaults("item=400:30%", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	fs := faults{clock: time.Now}
	fs.set(list)
	g := NewGenerator(3)
	bad := 0
	for range 2000 {
		line := g.Append(nil)
		first := fs.item(line)
		if first != 0 {
			bad++
		}
		if fs.item(line) != first {
			t.Fatal("an event was refused once and taken once")
		}
	}
	if bad < 450 || bad > 750 {
		t.Errorf("%d of 2000 refused, want about 600", bad)
	}
}

func TestKeepAndOnEvent(t *testing.T) {
	var seen []string
	r := start(t, "http", Options{Keep: 2, OnEvent: func(e Received) { seen = append(seen, e.ID) }})
	post(t, r.URL(), "{\"event_id\":\"1\"}\n{\"event_id\":\"2\"}\r\n\n{\"event_id\":\"3\"}")
	last := bytes.Join(r.Last(), []byte("|"))
	if string(last) != `{"event_id":"2"}|{"event_id":"3"}` || strings.Join(seen, "") != "123" {
		t.Errorf("last %s, seen %v", last, seen)
	}
	post(t, r.URL(), `[{"event_id":"1"},{"x":1}]`)
	if s := r.Stats(); s.Events != 5 || s.Distinct != 3 || s.Repeats != 1 || s.NoID != 1 || r.Seen("1") != 2 || r.IDs()["1"] != 2 {
		t.Errorf("stats %+v", s)
	}
	r.Reset()
	if s := r.Stats(); s.Events != 0 || r.Seen("1") != 0 {
		t.Errorf("after Reset %+v", s)
	}
}
