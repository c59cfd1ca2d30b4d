package supervisor

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// control refuses addresses that connections made through the API may not
// dial. It asks the config that runs at that moment.
func (a *Agent) control(_, address string) error {
	cfg := a.Config()
	return agent.Blocked(cfg.API.AllowedDestinations.Check(address, func(ip netip.Addr) bool { return known(cfg, ip) }))
}

// known reports whether ip needs no list. Whoever uses an API that only this
// machine can reach can reach the machine's own services without siemd; for
// others they would be a way in.
func known(cfg *config.Config, ip netip.Addr) bool {
	return ip.IsLoopback() && cfg.API.Local() || named(cfg, ip)
}

// named reports whether an output in a config file sends to ip, by address or
// to localhost: who wrote that file has allowed it.
func named(cfg *config.Config, ip netip.Addr) bool {
	for _, o := range cfg.Outputs {
		if o.Managed != nil {
			continue
		}
		for _, e := range endpointsOf(o.Config) {
			host := hostOf(e)
			if strings.EqualFold(host, "localhost") && ip.IsLoopback() {
				return true
			}
			if named, err := netip.ParseAddr(host); err == nil && named.Unmap() == ip {
				return true
			}
		}
	}
	return false
}

// hostOf is the host of a URL or of host:port.
func hostOf(endpoint string) string {
	if strings.Contains(endpoint, "://") {
		u, err := url.Parse(endpoint)
		if err != nil {
			return ""
		}
		return u.Hostname()
	}
	if host, _, err := net.SplitHostPort(endpoint); err == nil {
		return host
	}
	return strings.Trim(endpoint, "[]")
}
