package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A cluster is two indexers behind one address. A session stays with its node
// by a cookie; a node knows only the acknowledgements that it gave itself, by
// channel and counted from 0, says false at first, and true just once.
type cluster struct {
	t  *testing.T
	mu sync.Mutex // guards the rest

	nodes    [2]map[string]map[int]int // by channel: how often an id was asked for
	given    [2]map[string]int         // ids, by channel
	next     int                       // node of the next session
	channels map[string]bool
	seen     map[string]int // events, by id
	never    bool           // acknowledges nothing
	noACK    bool           // the token has no useACK
	strays   int            // polls at a node that knows nothing of it
}

var (
	channelForm = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	eventIDForm = regexp.MustCompile(`"event_id":"([^"]+)"`)
)

func newCluster(t *testing.T) (*cluster, string) {
	c := &cluster{t: t, channels: map[string]bool{}, seen: map[string]int{}}
	for i := range c.nodes {
		c.nodes[i], c.given[i] = map[string]map[int]int{}, map[string]int{}
	}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, s.URL
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the agent was killed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.next
	if cookie, err := r.Cookie("AWSALB"); err == nil {
		node = int(cookie.Value[0] - 'A')
	} else {
		c.next = 1 - c.next
		http.SetCookie(w, &http.Cookie{Name: "AWSALB", Value: string(rune('A' + node)), Path: "/"})
	}
	channel := r.Header.Get("X-Splunk-Request-Channel")
	if asked := r.URL.Query().Get("channel"); asked != "" {
		channel = asked
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/health"):
		io.WriteString(w, `{"text":"HEC is healthy","code":17}`)
		return
	case !channelForm.MatchString(channel):
		c.t.Errorf("%s on channel %q", r.URL.Path, channel)
	case strings.HasSuffix(r.URL.Path, "/ack"):
		c.poll(w, node, channel, body)
		return
	}
	c.channels[channel] = true
	for _, m := range eventIDForm.FindAllSubmatch(body, -1) {
		c.seen[string(m[1])]++
	}
	if c.noACK {
		io.WriteString(w, `{"text":"Success","code":0}`)
		return
	}
	id := c.given[node][channel]
	c.given[node][channel]++
	if c.nodes[node][channel] == nil {
		c.nodes[node][channel] = map[int]int{}
	}
	c.nodes[node][channel][id] = 0
	fmt.Fprintf(w, `{"text":"Success","code":0,"ackId":%d}`, id)
}

func (c *cluster) poll(w io.Writer, node int, channel string, body []byte) {
	var ask struct{ Acks []int }
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&ask); err != nil {
		c.t.Errorf("poll with %s: %v", body, err)
	}
	answer := map[string]bool{}
	for _, id := range ask.Acks {
		asked, known := c.nodes[node][channel][id]
		if known = known && !c.never; known {
			c.nodes[node][channel][id]++
		} else if !c.never && id < c.given[1-node][channel] {
			c.strays++
		}
		answer[fmt.Sprint(id)] = known && asked == 1
	}
	json.NewEncoder(w).Encode(map[string]any{"acks": answer})
}

// Acknowledgements come to the program that asks for them as it has to: on its
// channel, at the node that gave the id, 0 too, and it takes the one true that it gets. What
// was not acknowledged when it is killed is sent again, by the next run on a channel of its own.
func TestAcksThroughTheProgram(t *testing.T) {
	t.Parallel()
	c, url := newCluster(t)
	c.never = true
	b := startBench(t, fmt.Sprintf("outputs:\n  splunk: {type: splunk, endpoint: %q, token: T, ack: true, concurrency: 2, batch: {max_events: 20, max_wait: 20ms}}\n", url))
	const n = 100
	lines, ids := generate(1, "ACK-", n)
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	arrived := func(times int) func() bool {
		return func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, id := range ids {
				if c.seen[id] < times {
					return false
				}
			}
			return true
		}
	}
	// However many requests go out before the first acknowledgement, none of them counts as sent.
	eventually(t, faultPatience, "something arrived", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.seen) > 0 })
	if all, err := b.connections(); err != nil || all["splunk"].Sent != 0 || all["splunk"].Pending != n {
		t.Errorf("before any acknowledgement: %+v, %v", all["splunk"], err)
	}
	b.kill()
	c.mu.Lock()
	before := len(c.seen)
	c.never = false
	c.mu.Unlock()
	b.restart()
	eventually(t, faultPatience, "everything is acknowledged", func() bool {
		all, err := b.connections()
		return err == nil && all["splunk"].figures() == figures{Sent: n}
	})
	if !arrived(1)() {
		t.Error("events that count as sent never arrived")
	}
	c.mu.Lock()
	repeats := 0
	for _, times := range c.seen {
		repeats += times - 1
	}
	if repeats != before {
		t.Errorf("%d events arrived again, %d were not acknowledged when the agent was killed", repeats, before)
	}
	if len(c.channels) != 2 {
		t.Errorf("two runs used %d channels", len(c.channels))
	}
	if c.strays > 0 {
		t.Errorf("%d polls went to a node that had not given the id", c.strays)
	}
	c.mu.Unlock()
	b.stop()
}

// A token without useACK is told to whoever looks, and no event counts as sent for it.
func TestTokenWithoutAcksIsTold(t *testing.T) {
	t.Parallel()
	c, url := newCluster(t)
	c.noACK = true
	b := startBench(t, fmt.Sprintf("outputs:\n  splunk: {type: splunk, endpoint: %q, token: T, ack: true, batch: {max_wait: 20ms}}\n", url))
	lines, _ := generate(1, "NOACK-", 10)
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	w := startWatch(t, b)
	at, err := w.await(20*time.Second, "splunk", "useACK is asked for", func(c connection) bool { return strings.Contains(c.LastError, "useACK") })
	if err != nil || at.Sent != 0 || at.Pending != 10 || at.Failed != 0 || at.Health != "failed" {
		t.Errorf("%+v, %v", at, err)
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}
