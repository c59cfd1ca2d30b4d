package cef

import (
	"testing"

	"github.com/adrian207/siemd/codecs/internal/vectors"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

func TestVectors(t *testing.T) {
	n := 0
	for _, v := range vectors.Load(t, "*") {
		want, ok := v.Target(t, "cef")
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
					Version:      v.Config.CEFVersion,
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
		HeaderConfig: rfc5424.HeaderConfig{Facility: 16, App: vectors.App, Host: vectors.Host}, Version: 1,
		Vendor: vectors.Vendor, Product: vectors.Product, ProductVersion: vectors.Version, MaxMessage: 65536,
		Extensions: []Extension{{"cs6", "anomaly.type", "type"}, {"suser", "source", ""}},
	})
	if err != nil {
		t.Fatal(err)
	}
	vectors.Contract(t, c)
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
