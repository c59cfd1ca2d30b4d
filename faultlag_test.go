package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// Two SIEMs that take nothing do not pin the disk for the third: max_lag and
// max_age let go of the segments that only they wait for.
func TestDeadOutputsDoNotPinTheLog(t *testing.T) {
	t.Parallel()
	dead := startReceiver(t, "splunk", plugintest.Options{Fault: "503"})
	live := startReceiver(t, "http", plugintest.Options{})
	b := startBench(t, fmt.Sprintf(`outputs:
  far: {type: splunk, endpoint: %[1]q, token: x, max_lag: 1MiB, %[3]s}
  old: {type: splunk, endpoint: %[1]q, token: x, max_age: 1s, %[3]s}
  live: {type: http, endpoint: %[2]q, %[3]s}
wal: {compression: none}
`, dead.URL(), live.URL(), quick))
	w := startWatch(t, b)
	lines, ids := generate(11, "L-", 40_000)
	for chunk := range chunks(lines, 1000) {
		if err := b.post(chunk); err != nil {
			t.Fatal(err)
		}
	}
	const segment = 2 << 20
	if size := len(lines); size < 7*segment {
		t.Fatalf("%d bytes of events, want many segments", size)
	}
	all := len(ids)
	for name, done := range map[string]func(connection) bool{
		"live": func(c connection) bool { return c.figures() == figures{Sent: all} },
		"far":  func(c connection) bool { return c.Expired+c.Pending == all && c.Pending < all/10 },
		"old":  func(c connection) bool { return c.figures() == figures{Expired: all} },
	} {
		if _, err := w.await(time.Minute, name, "it keeps to its limit", done); err != nil {
			t.Errorf("%s: %v\n%s", name, err, b.log("="+name+" "))
		}
	}
	awaited := time.Now().Add(time.Minute)
	for {
		held, err := b.metric("siemd_wal_bytes")
		if err != nil {
			t.Fatal(err)
		}
		if held < 3*segment {
			break
		}
		if time.Now().After(awaited) {
			t.Fatalf("%.0f bytes are still in the log, of which one connection wants 1 MiB", held)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n, err := repeats(live, ids); err != nil || n > 0 {
		t.Errorf("live: %d events came again, %v", n, err)
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}
