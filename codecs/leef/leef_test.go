package leef

import (
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

func TestVectors(t *testing.T) {
	n := 0
	for _, v := range vectors.Load(t, "*") {
		want, ok := v.Target(t, "leef")
		if !ok {
			continue
		}
		n++
		t.Run(v.Name, func(t *testing.T) {
			for rfc, want := range map[string]string{"none": want.Message, "3164": want.RFC3164, "5424": want.RFC5424} {
				if want == "" {
					continue
				}
				c, err := New(Config{
					HeaderConfig: rfc5424.HeaderConfig{RFC: rfc, Facility: 16, App: v.AppOf(), Hostname: v.HostOf()},
					Version:      v.Config.LEEFVersion,
					Vendor:       vectors.Vendor, Product: vectors.Product, ProductVersion: vectors.Version,
				})
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.Encode(nil, vectors.Event(t, v.Raw(t)))
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != want {
					t.Errorf("rfc %s\n got %q\nwant %q", rfc, got, want)
				}
			}
		})
	}
	if n < 50 {
		t.Errorf("only %d vectors", n)
	}
}

func TestContract(t *testing.T) {
	c, err := New(Config{
		HeaderConfig: rfc5424.HeaderConfig{Facility: 16, App: vectors.App, Host: vectors.Host},
		Vendor:       vectors.Vendor, Product: vectors.Product, ProductVersion: vectors.Version, MaxMessage: 65536,
	})
	if err != nil {
		t.Fatal(err)
	}
	vectors.Contract(t, c)
}

func TestEventsThatResembleThoseBefore(t *testing.T) {
	for _, c := range []Config{
		{Vendor: "v", Product: "p", ProductVersion: "1"},
		{Vendor: "v", Product: "p", ProductVersion: "1", Delimiter: "^", MaxMessage: 480, Extensions: []Extension{{"usrName", "detection.method"}, {"base", "anomaly.baseline"}}},
	} {
		vectors.Alike(t, func(r *fields.Repairs) (agent.Encoder, error) {
			c.Repairs = r
			return New(c)
		})
	}
}

// A line that is too long is written twice, but repaired once.
func TestRepairsOfLongLinesAreCountedOnce(t *testing.T) {
	var r fields.Repairs
	c, err := New(Config{Vendor: "v", Product: "p", ProductVersion: "1", MaxMessage: 480, HeaderConfig: rfc5424.HeaderConfig{Repairs: &r}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		before := r.Count(fields.ControlChar)
		e := &agent.Event{Body: []byte(`{"title":"a\tb","description":"` + strings.Repeat("x", 600) + `"}`)}
		if out, err := c.Encode(nil, e); err != nil || len(out) > 480 {
			t.Errorf("%v: %d bytes", err, len(out))
		}
		if n := r.Count(fields.ControlChar) - before; n != 1 {
			t.Errorf("%d repairs", n)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c, err := New(Config{
		HeaderConfig: rfc5424.HeaderConfig{Facility: 16, App: vectors.App, Host: vectors.Host},
		Vendor:       vectors.Vendor, Product: vectors.Product, ProductVersion: vectors.Version, MaxMessage: 65536,
	})
	if err != nil {
		b.Fatal(err)
	}
	vectors.Encode(b, c)
}
