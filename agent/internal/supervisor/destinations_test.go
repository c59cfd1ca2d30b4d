package supervisor

import (
	"net/netip"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
)

func TestKnownDestinations(t *testing.T) {
	f := func(listen []string, ip string, want bool) {
		t.Helper()
		cfg := &config.Config{Settings: config.Settings{API: config.API{Listen: listen}}}
		if got := known(cfg, netip.MustParseAddr(ip)); got != want {
			t.Errorf("with the API at %v %s is known: %t, want %t", listen, ip, got, want)
		}
	}
	for _, ip := range []string{"127.0.0.1", "127.9.9.9", "::1"} {
		f(nil, ip, true)
		f([]string{"unix:/run/api.sock", "127.0.0.1:8000", "[::1]:8000", "localhost:8000"}, ip, true)
		f([]string{"127.0.0.1:8000", "192.0.2.1:8000"}, ip, false)
		f([]string{"0.0.0.0:8000"}, ip, false)
		f([]string{"[::]:8000"}, ip, false)
		f([]string{":8000"}, ip, false)
		f([]string{"siem.example.com:8000"}, ip, false)
	}
	f(nil, "169.254.169.254", false)
	f(nil, "10.0.0.1", false)

	far := &config.Config{Settings: config.Settings{API: config.API{Listen: []string{"0.0.0.0:8000"}}}, Outputs: map[string]*config.Output{
		"api": {Config: &struct{ Endpoint string }{"http://127.0.0.1:1"}, Managed: &config.Managed{}},
	}}
	g := func(ip string, want bool) {
		t.Helper()
		if got := known(far, netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s is known: %t, want %t", ip, got, want)
		}
	}
	g("127.0.0.1", false)
	far.Outputs["file"] = &config.Output{Config: &struct{ Endpoint []string }{[]string{"https://192.0.2.1:8088", "localhost:514"}}}
	g("127.0.0.1", true)
	g("192.0.2.1", true)
	g("192.0.2.2", false)
}
