package config

import (
	"net/netip"
	"testing"
)

func TestDestinations(t *testing.T) {
	nobody := func(netip.Addr) bool { return false }
	f := func(list Destinations, address string, want bool) {
		t.Helper()
		if err := list.Check(address, nobody); (err == nil) != want {
			t.Errorf("%v: %s: %v, want allowed %t", list, address, err, want)
		}
	}
	f(nil, "192.0.2.1:443", true)
	f(nil, "[2001:db8::1]:443", true)
	f(nil, "10.1.2.3:8088", true)
	f(nil, "100.64.0.1:8088", true)
	f(nil, "[fd12::1]:8088", true)
	f(nil, "127.0.0.1:8088", false)
	f(nil, "[::1]:8088", false)
	f(nil, "[::ffff:127.0.0.1]:8088", false)
	f(nil, "[64:ff9b::7f00:1]:8088", false)
	f(nil, "[2002:7f00:1::]:8088", false)
	loopback := Destinations{"loopback"}
	f(loopback, "127.9.9.9:1", true)
	f(loopback, "[::1]:1", true)
	f(loopback, "192.0.2.1:1", false)
	f(Destinations{"localhost:514"}, "127.0.0.1:514", true)
	f(Destinations{"localhost:514"}, "127.0.0.1:515", false)
	f(Destinations{"10.1.0.0/16", "192.0.2.7:8088"}, "10.1.255.1:1", true)
	f(Destinations{"10.1.0.0/16", "192.0.2.7:8088"}, "10.2.0.1:1", false)
	f(Destinations{"10.1.0.0/16", "192.0.2.7:8088"}, "192.0.2.7:8088", true)
	f(Destinations{"10.1.0.0/16", "192.0.2.7:8088"}, "192.0.2.7:8089", false)
	f(Destinations{"[2001:db8::1]:1"}, "[2001:db8::1]:1", true)
	f(Destinations{"127.0.0.1:*", "[::1]:*"}, "127.0.0.1:9", true)
	f(Destinations{"127.0.0.1:*", "[::1]:*"}, "[::1]:9", true)
	f(Destinations{"*"}, "127.0.0.1:9", true)
	f(Destinations{"*"}, "169.254.169.254:80", false)
	f(Destinations{}, "192.0.2.1:443", false)
	all := Destinations{"public", "private", "loopback", "0.0.0.0/0", "::/0"}
	for _, address := range []string{
		"169.254.169.254:80", "[fe80::1%eth0]:80", "[::ffff:169.254.169.254]:80", "[64:ff9b::a9fe:a9fe]:80", "[2002:a9fe:a9fe::]:80", "[fd00:ec2::254]:80",
		"100.100.100.200:80", "168.63.129.16:80", "0.0.0.0:80", "0.1.2.3:80", "[::]:80", "224.0.0.1:514", "[ff02::1]:514", "255.255.255.255:514", "not an address", "169.254.169.254",
	} {
		f(all, address, false)
	}
	f(all, "198.51.100.7:1", true)
	if err := Destinations(nil).Check("127.0.0.1:1", func(ip netip.Addr) bool { return ip.IsLoopback() }); err != nil {
		t.Errorf("an address that a config file names: %v", err)
	}
	if err := Destinations(nil).Check("169.254.169.254:80", func(netip.Addr) bool { return true }); err == nil {
		t.Error("a config file opens the way to metadata")
	}
	for _, bad := range []string{"", "everything", "10.0.0.0/99", "10.0.0.1:0", "10.0.0.1:99999", "example.com", "169.254.0.0/16", "169.254.169.254", "fe80::1", "224.0.0.1"} {
		if _, err := parseDestination(bad); err == nil {
			t.Errorf("%q is taken for a destination", bad)
		}
	}
}

func FuzzDestination(f *testing.F) {
	for _, s := range []string{"public", "10.0.0.0/8", "[::1]:5", "localhost:1", "1.2.3.4:80"} {
		f.Add(s, "127.0.0.1:80")
	}
	f.Fuzz(func(t *testing.T, text, address string) {
		if _, err := parseDestination(text); err != nil {
			return
		}
		err := Destinations{text}.Check(address, func(netip.Addr) bool { return false })
		if ap, e := netip.ParseAddrPort(address); e == nil && err == nil && never(plain(ap.Addr())) {
			t.Errorf("%q opens the way to %s", text, address)
		}
	})
}
