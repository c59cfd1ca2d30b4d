package api

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/adrian207/siemd/agent"
)

// listening is a bound address and whether its peers are trusted by where it is.
type listening struct {
	net.Listener
	local bool // loopback or a unix socket
	unix  bool
	group *int // whose members may use the socket; nil: nobody's
}

// maxSocketPath is what a unix socket's address can hold.
const maxSocketPath = 107

// listenUnix binds a socket for root, the agent's user and the named group, if there is one.
func listenUnix(path, group string) (listening, error) {
	ln := listening{local: true, unix: true}
	mode := os.FileMode(0o600)
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return ln, fmt.Errorf("api.socket_group: %w", err)
		}
		gid, err := strconv.Atoi(g.Gid)
		if err != nil {
			return ln, fmt.Errorf("api.socket_group: %w", err)
		}
		ln.group, mode = &gid, 0o660
	}
	if len(path) > maxSocketPath {
		// A long data_dir: bind through a short link to its directory's descriptor.
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			return ln, err
		}
		defer dir.Close()
		path = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	}
	// Whoever held it is gone: the lock of data_dir is ours.
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return ln, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return ln, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(true)
	// Until here the umask decides who may connect, and then admits does.
	err = os.Chmod(path, mode)
	if err == nil && ln.group != nil {
		err = os.Chown(path, -1, *ln.group)
	}
	if err != nil {
		return ln, errors.Join(err, l.Close())
	}
	ln.Listener = limit(l, mostConns())
	return ln, nil
}

// maxConns is how many connections one listener holds at once: a flood is not
// to take the descriptors that inputs and outputs need.
const maxConns = 1024

// mostConns is less where the process may have few descriptors.
func mostConns() int { return max(min(maxConns, agent.Descriptors()/8), 4) }

// limited waits with accepting while n connections are open.
type limited struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func limit(ln net.Listener, n int) *limited {
	return &limited{Listener: ln, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitedConn gives its slot back when it is closed.
type limitedConn struct {
	net.Conn
	free func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.free()
	return err
}
