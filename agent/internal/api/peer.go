package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/user"
	"strconv"
)

type peerKey struct{}

// withPeer notes who is at the other end of a unix socket. It is an http.Server's ConnContext.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	uid, pid, err := peerOf(uc)
	if err != nil {
		return context.WithValue(ctx, peerKey{}, "socket")
	}
	name := "uid " + strconv.Itoa(uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		name = u.Username
	}
	return context.WithValue(ctx, peerKey{}, fmt.Sprintf("%s (uid %d, pid %d)", name, uid, pid))
}

// peerName is the user behind a request over the socket.
func peerName(r *http.Request) string {
	name, _ := r.Context().Value(peerKey{}).(string)
	return name
}

// peerAddress is where a request came from.
func peerAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "socket"
	}
	return host
}
