package rfc5424

import (
	"testing"

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

func BenchmarkEncode(b *testing.B) {
	c, err := New(Config{HeaderConfig: HeaderConfig{Facility: 16, App: vectors.App, Host: vectors.Host}})
	if err != nil {
		b.Fatal(err)
	}
	vectors.Encode(b, c)
}
