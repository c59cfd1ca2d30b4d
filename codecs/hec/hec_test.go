package hec

import (
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

func TestVectors(t *testing.T) {
	n := 0
	for _, v := range vectors.Load(t, "*") {
		want, ok := v.Target(t, "hec")
		if !ok {
			continue
		}
		n++
		t.Run(v.Name, func(t *testing.T) {
			c, err := New(Config{App: v.AppOf(), Host: v.HostOf(), Sourcetype: "_json", Index: "zerotrust"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Encode(nil, vectors.Event(t, v.Raw(t)))
			if err != nil {
				t.Fatal(err)
			}
			vectors.Equal(t, got, []byte(want.Body))
		})
	}
	if n < 50 {
		t.Errorf("only %d vectors", n)
	}
}

func TestContract(t *testing.T) {
	c, err := New(Config{App: vectors.App, Host: vectors.Host, Sourcetype: "_json", Index: "zt-{event_type}-%Y"})
	if err != nil {
		t.Fatal(err)
	}
	vectors.Contract(t, c)
}

// An event that may not choose its index says so in Splunk.
func TestDefaultNamesAreFlagged(t *testing.T) {
	c, err := New(Config{App: "a", Index: "zt-{event_type}", IndexDefault: "zt", Fields: map[string]string{"env": "prod"}})
	if err != nil {
		t.Fatal(err)
	}
	for eventType, want := range map[string]string{
		"alert": `{"time":0.000,"source":"a:alert","index":"zt-alert","event":{},"fields":{"env":"prod"}}` + "\n",
		"../x":  `{"time":0.000,"source":"a:../x","index":"zt","event":{},"fields":{"env":"prod","siemd_route":"default"}}` + "\n",
	} {
		got, err := c.Encode(nil, &agent.Event{Type: []byte(eventType), Body: []byte("{}")})
		if err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", eventType, err, got, want)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c, err := New(Config{App: vectors.App, Host: vectors.Host, Sourcetype: "_json", Index: "zerotrust"})
	if err != nil {
		b.Fatal(err)
	}
	vectors.Encode(b, c)
}
