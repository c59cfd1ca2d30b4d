package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

func TestConfig(t *testing.T) {
	decode := func(text string) (Config, string) {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		c := DefaultConfig()
		ps := agent.Problems{File: "f"}
		agent.Decode(&ps, n.Content[0], &c)
		var all []string
		for _, p := range ps.List {
			all = append(all, p.String())
		}
		return c, strings.Join(all, "\n")
	}
	c, problems := decode(`
enabled: false
start: oldest
filter: {event_types: [anomaly, alert], min_severity: high}
batch: {max_events: 10, max_bytes: 5MiB, max_wait: 200ms}
concurrency: 4
timeout: 5s
retry: {initial: 2s, max: 30s, max_attempts: 5}
max_age: 7d
max_lag: 1GiB
rate_limit: {events: 1000, bytes: 1MB}
`)
	want := Config{
		Enabled: false, Start: "oldest", Filter: Filter{[]string{"anomaly", "alert"}, agent.High},
		Batch: Batch{10, 5 << 20, agent.Duration(200 * time.Millisecond)}, Concurrency: 4, Timeout: agent.Duration(5 * time.Second),
		Retry: Retry{agent.Duration(2 * time.Second), agent.Duration(30 * time.Second), 5}, MaxAge: agent.Duration(7 * 24 * time.Hour),
		MaxLag: 1 << 30, RateLimit: RateLimit{1000, 1e6},
	}
	if problems != "" || fmt.Sprintf("%+v", c) != fmt.Sprintf("%+v", want) {
		t.Errorf("config = %+v\nwant     %+v\n%s", c, want, problems)
	}
	if c, problems := decode("concurrency: auto"); c.Concurrency != 0 || problems != "" {
		t.Errorf("auto = %d, %s", c.Concurrency, problems)
	}
	for text, want := range map[string]string{
		"concurrency: 0":                      "want auto or a number from 1 to 64",
		"concurrency: many":                   "want auto or a number",
		"concurrency: [1]":                    "want auto or a number",
		"start: now":                          "is not a value for this key",
		"batch: {max_events: 0}":              "want 1 to 100000 events",
		"batch: {max_bytes: 1B}":              "want 1KiB to 64MiB",
		"batch: {max_wait: 2h}":               "want at most 1h",
		"timeout: 0s":                         "want 1ms to 1h",
		"retry: {initial: 2m}":                "want at least retry.initial",
		"retry: {max_attempts: 0}":            "want 1 to 1000",
		"rate_limit: {events: -1}":            "want 0 (no limit) or more",
		"filter: {event_types: [\"\"]}":       "an event type is empty",
		"filter: {min_severity: warn}":        "is not a severity",
		"retry: {initial: 0s}":                "want 1ms to 1h",
		"filter: {types: [a]}":                "unknown key",
		"enabled: perhaps":                    "is not a boolean",
		"rate_limit: {bytes: -1B}":            "is not a size",
		"retry: {initial: 1m1s, max: 1m}":     "at least retry.initial",
		"batch: {max_events: 1, max_wait: x}": "is not a duration",
	} {
		if _, problems := decode(text); !strings.Contains(problems, want) || !strings.HasPrefix(problems, "f:1:") {
			t.Errorf("%s: %q, want %q", text, problems, want)
		}
	}
	if text, _ := Concurrency(0).MarshalText(); string(text) != "auto" {
		t.Errorf("0 = %s", text)
	}
	if text, _ := Concurrency(3).MarshalText(); string(text) != "3" {
		t.Errorf("3 = %s", text)
	}
	d := DefaultConfig()
	if err := d.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestJudge(t *testing.T) {
	cause := errors.New("cause")
	f := func(err error, want verdict, wait time.Duration) {
		t.Helper()
		if v, d := judge(err); v != want || d != wait {
			t.Errorf("judge(%v) = %v, %v, want %v, %v", err, v, d, want, wait)
		}
	}
	f(cause, noWord, 0)
	f(agent.Permanent(cause), permanent, 0)
	f(fmt.Errorf("post: %w", agent.TooLarge(cause)), tooLarge, 0)
	f(agent.Suspect(cause), suspect, 0)
	f(agent.Blocked(cause), blocked, 0)
	f(agent.After(time.Second, cause), later, time.Second)
	f(agent.After(-1, cause), again, 0)
	f(agent.After(1e9*time.Second, cause), later, maxAfter)
	f(agent.Permanent(context.DeadlineExceeded), noWord, 0)
	f(agent.Blocked(context.Canceled), noWord, 0)
}

func TestOverloaded(t *testing.T) {
	f := func(err error, want bool) {
		t.Helper()
		if got := overloaded(err); got != want {
			t.Errorf("overloaded(%v) = %v", err, got)
		}
	}
	f(&agent.AnswerError{Status: 429}, true)
	f(agent.Suspect(&agent.AnswerError{Status: 503}), true)
	f(agent.Suspect(&agent.AnswerError{Status: 500}), false)
	f(agent.After(time.Second, errors.New("busy")), true)
	f(agent.After(0, errors.New("stale")), false)
	f(context.DeadlineExceeded, true)
	f(errors.New("refused"), false)
}

func TestBackoff(t *testing.T) {
	g := newGate(DefaultConfig().Retry)
	for tries, most := range map[int]time.Duration{0: time.Second, 1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 7: time.Minute, 1000: time.Minute} {
		g.random = func(n int64) int64 { return n - 1 }
		if got := g.backoff(tries); got != most {
			t.Errorf("longest wait of try %d = %v, want %v", tries, got, most)
		}
		g.random = func(int64) int64 { return 0 }
		if got := g.backoff(tries); got != 1 {
			t.Errorf("shortest wait of try %d = %v", tries, got)
		}
	}
}

func TestGate(t *testing.T) {
	now := time.Unix(1000, 0)
	g := newGate(DefaultConfig().Retry)
	g.random = func(n int64) int64 { return n - 1 }
	admits := func(want bool, wantAt time.Time) {
		t.Helper()
		if ok, at := g.admits(now); ok != want || !at.Equal(wantAt) {
			t.Errorf("admits = %v, %v, want %v, %v", ok, at, want, wantAt)
		}
	}
	admits(true, time.Time{})
	g.close(now, 0, 0, false)
	admits(false, now.Add(time.Second))
	g.close(now, 0, 0, false) // in flight together with the first
	admits(false, now.Add(time.Second))
	g.close(now, 0, 5*time.Second, false) // but it knows better
	admits(false, now.Add(5*time.Second))
	now = now.Add(5 * time.Second)
	admits(true, time.Time{})
	g.probing = true
	admits(false, time.Time{})
	g.probing = false
	g.close(now, g.epoch, 0, true)
	admits(false, now.Add(2*time.Second))
	g.kick(now)
	admits(true, time.Time{})
	// A kick while the one try is in flight is about what comes after it, once.
	g.probing = true
	g.kick(now)
	g.probing = false
	g.close(now, g.epoch, 0, false)
	admits(true, time.Time{})
	g.close(now, g.epoch, 0, false)
	admits(false, now.Add(8*time.Second))
	g.open()
	admits(true, time.Time{})
	if g.fails != 0 || g.blocked {
		t.Errorf("open gate = %+v", g)
	}
}

func TestMatcher(t *testing.T) {
	f := func(filter Filter, typ string, sev agent.Severity, want bool) {
		t.Helper()
		m := newMatcher(filter)
		if got := m.match([]byte(typ), sev); got != want {
			t.Errorf("%+v takes %s %s: %v", filter, typ, sev, got)
		}
	}
	f(Filter{}, "", agent.Unset, true)
	f(Filter{EventTypes: []string{"a", "b"}}, "b", agent.Unset, true)
	f(Filter{EventTypes: []string{"a", "b"}}, "c", agent.Critical, false)
	f(Filter{MinSeverity: agent.Informational}, "a", agent.Unset, false)
	f(Filter{MinSeverity: agent.High}, "a", agent.High, true)
	f(Filter{EventTypes: []string{"a"}, MinSeverity: agent.High}, "a", agent.Medium, false)
}

func TestHistory(t *testing.T) {
	var h history
	for i := range 300 {
		s := span{from: uint64(i * 10), to: uint64(i*10 + 10)}
		s.note(uint64(i*10+3), uint64(i*10+5), Filtered)
		h.add(&s)
	}
	f := func(seq uint64, want Result, known bool) {
		t.Helper()
		if r, ok := h.find(seq); r != want || ok != known {
			t.Errorf("find(%d) = %v, %v", seq, r, ok)
		}
	}
	f(2993, Filtered, true)
	f(2995, Sent, true)
	f(5, Sent, false)
	f(3000, Sent, false)
	// What runs have no room for is not known, rather than sent.
	s := span{from: 3000, to: 4000}
	for i := range uint64(500) {
		s.note(3000+2*i, 3001+2*i, Filtered)
	}
	h.add(&s)
	f(3000, Filtered, true)
	f(3998, Sent, false)
}
