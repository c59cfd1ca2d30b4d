package tail

import (
	"reflect"
	"strings"
	"testing"
)

var fullState = state{
	print:  print{offset: 5000, head: 1<<64 - 1, headLen: window, tail: 42, tailLen: window},
	origin: "fd00:1234:18f0000000000000", gen: 3, skipping: true, seq: 99, seqSure: true, at: 1 << 60,
	past: []generation{{print{offset: 10, headLen: 10, tailLen: 10}, 2, 7}, {print{}, 1, 5}},
}

func TestStateSurvivesItsMark(t *testing.T) {
	for _, s := range []state{{}, fullState, {finished: true, origin: "a"}} {
		got, err := parseState(appendState(nil, &s))
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("got %+v, %v, want %+v", got, err, s)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendState(nil, &fullState))
	f.Add(appendState(nil, &state{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b)
		if err != nil {
			return
		}
		again, err := parseState(appendState(nil, &s))
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
	})
}

func FuzzParseCatalog(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendCatalog(nil, []entry{{id: identity{1, 2, 3}, path: "/a"}, {id: identity{1 << 63, 5, 0}, path: "/b\n", open: "/c", gone: 9, twin: true, former: "b"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseCatalog(b)
		if err != nil {
			return
		}
		again, err := parseCatalog(appendCatalog(nil, entries))
		if err != nil || len(again) != len(entries) {
			t.Errorf("%+v became %+v, %v", entries, again, err)
		}
	})
}

func TestStem(t *testing.T) {
	for name, want := range map[string]string{
		"/x/app.log": "app.log", "app.log.1": "app.log", "app.log.12.gz": "app.log", "app.log.old": "app.log",
		"app.log-20260131": "app.log", "app.log-20260131.gz": "app.log", "app-2026-01-31.log": "app.log",
		"app-2026-01-31T10:00:00.log": "app.log", "app.20260131.log.zst": "app.log", "app2.log": "app2.log",
		"app": "app", "app.1": "app", "12345": "12345", "app.jsonl.2026-01-31_10-00": "app.jsonl",
	} {
		if got := stem(name); got != want {
			t.Errorf("stem(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	f := func(want string, change func(*Config)) {
		t.Helper()
		c := defaults
		c.Paths = []string{"/var/log/*.log"}
		change(&c)
		err := c.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Validate() = %v, want %q", err, want)
		}
	}
	f("", func(*Config) {})
	f("", func(c *Config) { c.OnDone, c.ArchiveDir = "archive", "/done" })
	f("not a pattern", func(c *Config) { c.Paths = []string{"/a/[b"} })
	f("through ..", func(c *Config) { c.Paths = []string{"/a/../b"} })
	f("is empty", func(c *Config) { c.Paths = []string{""} })
	f("exclude", func(c *Config) { c.Exclude = []string{"{"} })
	f("max_line", func(c *Config) { c.MaxLine = 10 })
	f("archive_dir", func(c *Config) { c.OnDone = "archive" })
	f("archive_dir", func(c *Config) { c.ArchiveDir = "/done" })
	f("follow_symlinks", func(c *Config) { c.OnDone, c.FollowSymlinks = "delete", true })
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{"/v/*.log", []string{"/v/a.log"}, []string{"/v/a.txt", "/v/.a.log", "/v/b/a.log", "/w/a.log"}},
		{"/v/**/*.log", []string{"/v/a.log", "/v/b/c/a.log"}, []string{"/v/a.txt", "/v/b/.a.log"}},
		{"/v/.*.log", []string{"/v/.a.log"}, []string{"/v/a.log"}},
		{"/v/{a,b/c}.log", []string{"/v/a.log", "/v/b/c.log"}, []string{"/v/c.log"}},
		{"/v/a.log", []string{"/v/a.log"}, []string{"/v/a.log.1"}},
		{"/*.log", []string{"/a.log"}, []string{"/v/a.log"}},
	} {
		p, err := newPattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range c.yes {
			if !p.matches(path) {
				t.Errorf("%s does not match %s", c.pattern, path)
			}
		}
		for _, path := range c.no {
			if p.matches(path) {
				t.Errorf("%s matches %s", c.pattern, path)
			}
		}
	}
}
