package plugintest

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// portHolder keeps a TCP port from being given to others without listening on
// it: connections to it are refused. The zero value holds nothing.
type portHolder struct{ fd int }

// holdPort binds addr. If that fails nothing is held, and the port may be gone
// when it is wanted again.
func holdPort(addr string) portHolder {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || !ap.Addr().Is4() {
		return portHolder{}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return portHolder{}
	}
	// As the listener had it: else connections that are closing would be in the way.
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()})
	}
	if err != nil {
		unix.Close(fd)
		return portHolder{}
	}
	return portHolder{fd: fd}
}

// Close lets the port go.
func (h *portHolder) Close() {
	if h.fd > 0 {
		unix.Close(h.fd)
		h.fd = 0
	}
}
