package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// A receiver that acknowledges events and dies before it has read them, while
// the agent is stopped too, gets them when both are back.
func TestUnreadTailSurvivesARestart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	held := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			held <- c // nobody reads it
		}
	}()
	dir := t.TempDir()
	conf := filepath.Join(dir, "siemd.yaml")
	writeFile(t, conf, fmt.Sprintf(`data_dir: %s
api: {listen: "127.0.0.1:0"}
inputs: {apps: {type: tail, paths: [%s]}}
outputs: {sys: {type: syslog, endpoint: %q, start: oldest, batch: {max_wait: 10ms}}}
`, filepath.Join(dir, "state"), filepath.Join(dir, "*.jsonl"), address))
	var lines strings.Builder
	for i := range 50 {
		fmt.Fprintf(&lines, `{"event_id":"TAIL-%02d","event_type":"alert","title":"unread"}`+"\n", i)
	}
	writeFile(t, filepath.Join(dir, "a.jsonl"), lines.String())

	d := startDaemon(t, conf, nil)
	eventually(t, 30*time.Second, "all events count as sent", func() bool {
		stdout, _, _ := runSiemd(t, "", "status", "--json", "-c", conf)
		return strings.Contains(strings.ReplaceAll(stdout, " ", ""), `"sent":50`) || strings.Contains(strings.ReplaceAll(stdout, " ", ""), `"sent_events":50`)
	})
	l.Close()
	for len(held) > 0 {
		c := <-held
		if err := c.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close() // with unread bytes: a reset
	}
	d.stop()

	r, err := plugintest.New("syslog", plugintest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the port is free", func() bool { return r.Start(address) == nil })
	defer r.Close(t.Context())
	writeFile(t, filepath.Join(dir, "b.jsonl"), `{"event_id":"AFTER","event_type":"alert","title":"new"}`+"\n")
	startDaemon(t, conf, nil)
	eventually(t, 30*time.Second, "all events arrived", func() bool { return len(r.IDs()) == 51 })
}
