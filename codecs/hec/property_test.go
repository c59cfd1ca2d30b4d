package hec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

type envelope struct {
	Time                            json.Number
	Host, Source, Sourcetype, Index *string
	Event                           json.RawMessage
	Fields                          map[string]string
}

// parse reads a request the way Splunk does: objects one after the other. Unknown keys are an error.
func parse(stream []byte) (all []envelope, err error) {
	d := json.NewDecoder(bytes.NewReader(stream))
	d.DisallowUnknownFields()
	for {
		var e envelope
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestStreamsAreReadAsTheyWereMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{
			App: "zerotrust", Host: strings.ToValidUTF8(rapid.String().Draw(t, "host"), ""), Sourcetype: "_json", Index: "zt-{event_type}",
			Fields: map[string]string{"a": rapid.String().Draw(t, "field"), "b": ""},
		}
		codec, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		var stream []byte
		parts := rapid.SliceOfN(rapid.Custom(vectors.Draw), 1, 4).Draw(t, "events")
		for _, p := range parts {
			if stream, err = codec.Encode(stream, p.Event()); err != nil {
				t.Fatal(err)
			}
		}
		got, err := parse(stream)
		if err != nil || len(got) != len(parts) || bytes.Count(stream, []byte("\n")) != len(parts) {
			t.Fatalf("%d of %d events, %v: %q", len(got), len(parts), err, stream)
		}
		for i, p := range parts {
			g, source, index := got[i], p.Type, "zt"
			if source == "" {
				source = "event"
			}
			if strings.Trim(strings.ToLower(source), "abcdefghijklmnopqrstuvwxyz0123456789_-") == "" && len(source)+3 <= 255 {
				index = "zt-" + strings.ToLower(source)
			}
			if source = "zerotrust:" + source; len(p.Type) > 4096 {
				source = "zerotrust"
			}
			if text(g.Source) != source || text(g.Index) != index || text(g.Sourcetype) != "_json" || text(g.Host) != c.Host || (g.Host == nil) != (c.Host == "") {
				t.Fatalf("source %q, index %q of %+v", source, index, g)
			}
			if !bytes.Equal(g.Event, p.Event().Body) || g.Fields["a"] != c.Fields["a"] {
				t.Fatalf("event %q", g.Event)
			}
			if ms := strings.Replace(g.Time.String(), ".", "", 1); strings.ContainsAny(g.Time.String(), "eE-") || strings.TrimLeft(ms, "0") != strings.TrimLeft(decimal(p.Time/1e6), "0") {
				t.Fatalf("time %s of %d", g.Time, p.Time)
			}
		}
	})
}

func decimal(n int64) string {
	b, err := json.Marshal(n)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestEnvelopes(t *testing.T) {
	e := &agent.Event{Time: 1761739200_001_999_999, Type: []byte("Alert/1"), Source: []byte("DEV-1"), Severity: agent.High, Input: "apps", Body: []byte(`{"a":1}`)}
	var r fields.Repairs
	for _, tt := range []struct {
		config Config
		want   string
	}{
		{Config{}, `{"time":1761739200.001,"source":"siemd:Alert/1","event":{"a":1}}`},
		{Config{Raw: true, Host: "h"}, `{"a":1}`},
		{Config{App: "x\"y", Host: "h"}, `{"time":1761739200.001,"host":"h","source":"x\"y:Alert/1","event":{"a":1}}`},
		{
			Config{Source: "fixed", Index: "main", Fields: map[string]string{"z": "1", "a": "\""}},
			`{"time":1761739200.001,"source":"fixed","index":"main","event":{"a":1},"fields":{"a":"\"","z":"1"}}`,
		},
		{
			Config{Source: "s", Index: "zt_{event_type}", Sourcetype: "zt:{event_type}", Repairs: &r},
			`{"time":1761739200.001,"source":"s","sourcetype":"zt","index":"zt","event":{"a":1},"fields":{"siemd_route":"default"}}`,
		},
		{
			Config{Source: "s", Index: "zt_{event_type}", IndexDefault: "other", Sourcetype: "zt:{severity}"},
			`{"time":1761739200.001,"source":"s","sourcetype":"zt:high","index":"other","event":{"a":1},"fields":{"siemd_route":"default"}}`,
		},
		{
			Config{Source: "s/{source}/{input}", Index: "zt-{source}-%Y"},
			`{"time":1761739200.001,"source":"s/DEV-1/apps","index":"zt-dev-1-2025","event":{"a":1}}`,
		},
	} {
		c, err := New(tt.config)
		if err != nil {
			t.Errorf("%+v: %v", tt.config, err)
			continue
		}
		if got, err := c.Encode([]byte("."), e); err != nil || string(got) != "."+tt.want+"\n" {
			t.Errorf("%+v: %v\n got %s\nwant %s", tt.config, err, got, tt.want)
		}
	}
	if n := r.Count(fields.RouteFallback); n != 2 {
		t.Errorf("%d fallbacks", n)
	}
}

func TestBadConfigs(t *testing.T) {
	for want, c := range map[string]Config{
		"index: ":      {Index: "Main"},
		"index:  ":     {Index: "{event_type}"},
		"index:   ":    {Index: "-x"},
		"sourcetype: ": {Sourcetype: "a\n"},
		"source: ":     {Source: "x{nothing}"},
		"source:  ":    {App: "100%"},
	} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("anomaly", "DEV-1", int64(1761739200e9))
	f.Add("\"},{", "\xff\x00\n", int64(-1))
	c, err := New(Config{App: "zerotrust", Host: "h", Source: "zt:{event_type}:{source}", Index: "zt-{event_type}-{source}"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, typ, source string, at int64) {
		e := &agent.Event{Type: []byte(typ), Source: []byte(source), Time: at, Body: []byte(`{"a":1}`)}
		out, err := c.Encode(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse(out)
		if err != nil || len(got) != 1 || string(got[0].Event) != `{"a":1}` {
			t.Fatalf("%v: %q", err, out)
		}
		if !strings.HasPrefix(text(got[0].Index), "zt") || strings.Trim(text(got[0].Index), "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			t.Errorf("index %q", text(got[0].Index))
		}
	})
}
