package rfc5424

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

func TestVectors(t *testing.T) {
	n := 0
	for _, v := range vectors.Load(t, "*") {
		want, ok := v.Target(t, "rfc5424")
		if !ok || v.Config.Style != "" { // a style of old has no key
			continue
		}
		n++
		t.Run(v.Name, func(t *testing.T) {
			c, err := New(Config{
				HeaderConfig: HeaderConfig{Facility: 16, App: v.AppOf(), Hostname: v.HostOf()},
				BOM:          v.Config.BOM, SDID: "zerotrust@32473",
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Encode(nil, vectors.Event(t, v.Raw(t)))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != want.Message {
				t.Errorf("\n got %q\nwant %q", got, want.Message)
			}
			if framed := AppendOctets(nil, got); want.Octets != "" && string(framed) != want.Octets {
				t.Errorf("octet counting\n got %q\nwant %q", framed, want.Octets)
			}
			if framed := AppendLine(nil, got); want.Line != "" && string(framed) != want.Line {
				t.Errorf("lines\n got %q\nwant %q", framed, want.Line)
			}
		})
	}
	if n < 50 {
		t.Errorf("only %d vectors", n)
	}
}

func TestContract(t *testing.T) {
	c, err := New(Config{HeaderConfig: HeaderConfig{Facility: 16, App: vectors.App, Host: vectors.Host}, MaxMessage: 2048, BOM: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	vectors.Contract(t, c)
}

func TestEventsThatResembleThoseBefore(t *testing.T) {
	for _, c := range []Config{{BOM: "auto"}, {MaxMessage: 480, BOM: "always"}, {HeaderConfig: HeaderConfig{RFC: "3164"}}} {
		vectors.Alike(t, func(r *fields.Repairs) (agent.Encoder, error) {
			c.Repairs = r
			return New(c)
		})
	}
}

// A message that is too long is written twice, but repaired once, and what does not fit at all is not repaired.
func TestRepairsOfLongMessagesAreCountedOnce(t *testing.T) {
	var r fields.Repairs
	c, err := New(Config{MaxMessage: 480, HeaderConfig: HeaderConfig{Repairs: &r}})
	if err != nil {
		t.Fatal(err)
	}
	title := []byte(`{"title":"a\tb` + strings.Repeat("x", 600) + `"}`)
	for range 3 {
		for _, want := range []struct {
			id   string
			err  error
			more uint64
		}{{"1", nil, 1}, {strings.Repeat("1", 500), ErrTooLong, 0}} {
			before := r.Count(fields.ControlChar)
			if out, err := c.Encode(nil, &agent.Event{ID: []byte(want.id), Body: title}); !errors.Is(err, want.err) || len(out) > 480 {
				t.Errorf("%v: %d bytes", err, len(out))
			}
			if n := r.Count(fields.ControlChar) - before; n != want.more {
				t.Errorf("%d repairs with an id of %d bytes, want %d", n, len(want.id), want.more)
			}
		}
	}
}

// An event with a technique that is longer than a datagram is an event all the same.
func TestLongStructuredData(t *testing.T) {
	for _, rfc := range []string{"5424", "3164"} {
		var r fields.Repairs
		c, err := New(Config{MaxMessage: 480, HeaderConfig: HeaderConfig{RFC: rfc, Repairs: &r}})
		if err != nil {
			t.Fatal(err)
		}
		for _, long := range []string{`"mitre_attack":{"technique":"%s"},"title":"what happened"`, `"title":"what happened","anomaly":{"score":"%s"}`} {
			before := r.Count(fields.PairDropped)
			e := &agent.Event{ID: []byte("id-1"), Type: []byte("anomaly"), Source: []byte("mac-1"), Body: fmt.Appendf(nil, "{"+long+"}", strings.Repeat("é", 500))}
			out, err := c.Encode(nil, e)
			if got := string(out); err != nil || len(got) > 480 || strings.Contains(got, "é") || !strings.Contains(got, `eventId="id-1" device="mac-1" severity=`) || !strings.HasSuffix(got, `"] what happened`) {
				t.Errorf("%v: %q", err, got)
			}
			if n := r.Count(fields.PairDropped) - before; n != 1 {
				t.Errorf("%d dropped", n)
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c, err := New(Config{HeaderConfig: HeaderConfig{Facility: 16, App: vectors.App, Host: vectors.Host}})
	if err != nil {
		b.Fatal(err)
	}
	vectors.Encode(b, c)
}
