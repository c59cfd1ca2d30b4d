package ecs

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/adrian207/siemd/codecs/internal/vectors"
)

func TestVectors(t *testing.T) {
	n := 0
	for _, v := range vectors.Load(t, "*") {
		want, ok := v.Target(t, "es")
		events := [][]byte{v.Raw(t)}
		if len(v.Input.Events) > 0 {
			var body string
			if err := json.Unmarshal(v.Expect["body"], &body); err != nil {
				t.Fatal(err)
			}
			want.Body, ok = body, true
			events = nil
			for _, raw := range v.Input.Events {
				events = append(events, []byte(raw))
			}
		}
		if !ok {
			continue
		}
		n++
		t.Run(v.Name, func(t *testing.T) {
			config := Config{App: v.AppOf(), Index: "zerotrust-events", Op: "index"}
			if v.Config.Index != "" {
				config.Index, config.Op = v.Config.Index, v.Config.Op
			}
			c, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			for _, raw := range events {
				if got, err = c.Encode(got, vectors.Event(t, raw)); err != nil {
					t.Fatal(err)
				}
			}
			vectors.Equal(t, got, []byte(want.Body))
			if lines := bytes.Count(got, []byte("\n")); lines != 2*len(events) || got[len(got)-1] != '\n' {
				t.Errorf("%d lines for %d events", lines, len(events))
			}
		})
	}
	if n < 50 {
		t.Errorf("only %d vectors", n)
	}
}

func TestContract(t *testing.T) {
	c, err := New(Config{App: vectors.App, Index: "zt-{event_type}-%Y.%m.%d", Pipeline: "p", Routing: "{source}"})
	if err != nil {
		t.Fatal(err)
	}
	vectors.Contract(t, c)
}

func BenchmarkEncode(b *testing.B) {
	for _, schema := range []string{"ecs", "raw"} {
		c, err := New(Config{App: vectors.App, Index: "zerotrust-%Y.%m.%d", Schema: schema})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(schema, func(b *testing.B) { vectors.Encode(b, c) })
	}
}
