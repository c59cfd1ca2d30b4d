package api

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// A location is an endpoint taken apart, in the form that it was given in.
type location struct {
	scheme, host, path string // scheme and path are empty if they were not given
	port               int    // 0: not given
}

// parseLocation takes "host", "host:port", or a URL if the kind has URLs.
func parseLocation(text string, hasURL bool) (location, error) {
	var l location
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok && hasURL {
		if scheme != "http" && scheme != "https" {
			return l, wrong("/endpoint", "http:// or https://, or the host alone", "%q is not a scheme for this type", scheme)
		}
		l.scheme, rest = scheme, after
	}
	if at := strings.IndexByte(rest, '/'); at >= 0 && hasURL {
		rest, l.path = rest[:at], rest[at:]
	}
	if u, err := url.Parse("//" + rest + l.path); err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Host != rest {
		return l, wrong("/endpoint", "for example siem.example.com or https://siem.example.com:8088", "%s", notPlace(u, err))
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		host = strings.Trim(rest, "[]")
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return l, wrong("/endpoint", "for example siem.example.com:8088", "this is not host:port")
		}
	} else if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return l, wrong("/endpoint", "1 to 65535", "%q is not a port", port)
		}
		l.port = int(n)
	}
	if l.host = host; host == "" || strings.ContainsAny(host, " \t\r\n\"'<>\\^`{|}%") {
		return l, wrong("/endpoint", "for example siem.example.com", "endpoint names no host")
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		return l, wrong("/endpoint", "write its xn-- form", "the name of a host has letters beyond ASCII")
	}
	return l, nil
}

func notPlace(u *url.URL, err error) string {
	switch {
	case err == nil && u.User != nil:
		return "credentials do not belong into the endpoint"
	case err == nil && (u.RawQuery != "" || u.Fragment != ""):
		return "an endpoint has no query and no fragment here"
	}
	return "this is neither a host nor a URL"
}

// asked is l in the form that it was given in.
func (l location) asked() string {
	text := l.host
	if l.port != 0 {
		text = net.JoinHostPort(l.host, strconv.Itoa(l.port))
	} else if strings.Contains(l.host, ":") {
		text = "[" + l.host + "]"
	}
	if l.scheme != "" {
		text = l.scheme + "://" + text
	}
	return text + l.path
}

// full is the endpoint for the config: a URL, or host:port.
func (l location) full(port int, ssl, hasURL bool) string {
	host := l.host
	if port != 0 {
		host = net.JoinHostPort(l.host, strconv.Itoa(port))
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if !hasURL {
		return host
	}
	if ssl {
		return "https://" + host + l.path
	}
	return "http://" + host + l.path
}

// sameHost reports whether two endpoints name the same host.
func sameHost(a, b string) bool {
	x, errX := parseLocation(a, true)
	y, errY := parseLocation(b, true)
	return errX == nil && errY == nil && x.host == y.host
}
