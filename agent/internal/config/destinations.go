package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Destinations say where connections that were made through the API may go.
// Each is a word (public, private, loopback, * for all three), an address, a network, or one of
// these with a port behind it. They are checked against the address that is
// dialled, so a name cannot be turned around after the check.
type Destinations []string

// defaultDestinations holds what no list is given for.
var defaultDestinations = Destinations{"public", "private"}

// metadata are addresses at which clouds hand out credentials, beside the
// link-local ones.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("168.63.129.16/32"),
}

// shared is the address space of carriers, as private as RFC 1918.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// embedding are IPv6 networks whose addresses carry one of IPv4, and where.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
}

// plain is the address that is really reached.
func plain(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip == netip.IPv6Unspecified() || ip == netip.IPv6Loopback() {
		return ip
	}
	for _, e := range embedding {
		if e.prefix.Contains(ip) {
			b := ip.As16()
			return netip.AddrFrom4([4]byte(b[e.at : e.at+4]))
		}
	}
	return ip
}

// never reports whether nothing may ever be sent to ip.
func never(ip netip.Addr) bool {
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) ||
		ip.Is4() && ip.As4()[0] == 0 {
		return true
	}
	for _, p := range metadata {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// Check says why address (ip:port, as a dialer has resolved it) is not allowed;
// nil if it is. Without a list of their own the addresses for which known is
// true are allowed too.
func (d Destinations) Check(address string, known func(netip.Addr) bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s is no address", address)
	}
	ip := plain(ap.Addr())
	if never(ip) {
		return fmt.Errorf("connections made through the API may never go to %s", ip)
	}
	if d == nil {
		if known(ip) {
			return nil
		}
		d = defaultDestinations
	}
	for _, text := range d {
		if r, err := parseDestination(text); err == nil && r.holds(ip, ap.Port()) {
			return nil
		}
	}
	return fmt.Errorf("connections made through the API may not go to %s: api.allowed_destinations does not list it", netip.AddrPortFrom(ip, ap.Port()))
}

// A destination is one entry of the list.
type destination struct {
	word    string
	network netip.Prefix
	port    uint16 // 0: any
}

func parseDestination(text string) (destination, error) {
	bad := fmt.Errorf("%q is not public, private, loopback, *, an address or a network", text)
	switch text {
	case "public", "private", "loopback", "*":
		return destination{word: text}, nil
	case "localhost":
		return destination{word: "loopback"}, nil
	}
	var d destination
	host := text
	if h, ok := strings.CutSuffix(text, ":*"); ok { // any port
		return parseDestination(strings.Trim(h, "[]"))
	}
	if h, p, err := net.SplitHostPort(text); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return d, fmt.Errorf("%q is not a port", p)
		}
		host, d.port = h, uint16(n)
		if host == "localhost" || host == "loopback" {
			d.word = "loopback"
			return d, nil
		}
	}
	if p, err := netip.ParsePrefix(host); err == nil {
		d.network = p.Masked()
	} else if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		ip = ip.Unmap().WithZone("")
		d.network = netip.PrefixFrom(ip, ip.BitLen())
	} else {
		return d, bad
	}
	if d.network.Bits() >= 8 && never(d.network.Addr()) {
		return d, fmt.Errorf("%s can never be allowed", text)
	}
	return d, nil
}

func (d destination) holds(ip netip.Addr, port uint16) bool {
	if d.port != 0 && d.port != port {
		return false
	}
	private := ip.IsPrivate() || shared.Contains(ip)
	switch d.word {
	case "loopback":
		return ip.IsLoopback()
	case "private":
		return private
	case "*":
		return true
	case "public":
		return !private && !ip.IsLoopback()
	}
	return d.network.Contains(ip)
}
