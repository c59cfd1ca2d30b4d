package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"
)

// A peer is who is at the other end of a unix socket, as the kernel says.
type peer struct {
	uid, gid, pid int
	name          string
}

func (p peer) String() string { return fmt.Sprintf("%s (uid %d, pid %d)", p.name, p.uid, p.pid) }

type peerKey struct{}

// withPeer notes who has connected. It is an http.Server's ConnContext.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	if l, ok := conn.(*limitedConn); ok {
		conn = l.Conn
	}
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	p, err := credentials(uc)
	if err != nil {
		return ctx
	}
	p.name = "uid " + strconv.Itoa(p.uid)
	if u, err := user.LookupId(strconv.Itoa(p.uid)); err == nil {
		p.name = u.Username
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// peerBehind is who sent a request over a socket; false where the kernel does not tell.
func peerBehind(r *http.Request) (peer, bool) {
	p, ok := r.Context().Value(peerKey{}).(peer)
	if !ok {
		return peer{uid: -1, gid: -1, name: "socket"}, false
	}
	return p, true
}

// admits reports whether p may use the socket. Its mode says the same; this
// holds also where somebody has changed the mode, or has handed on a descriptor's path.
func (ln listening) admits(p peer) bool {
	if p.uid == 0 || p.uid == os.Geteuid() {
		return true
	}
	if ln.group == nil {
		return false
	}
	gid := strconv.Itoa(*ln.group)
	if strconv.Itoa(p.gid) == gid {
		return true
	}
	u, err := user.LookupId(strconv.Itoa(p.uid))
	if err != nil {
		return false
	}
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, gid)
}

// peerAddress is where a request came from.
func peerAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "socket"
	}
	return host
}
