package plugintest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// ListenAsSystemd is the socket that a service tells its state to: its address
// belongs into NOTIFY_SOCKET (sd_notify(3)). It lives as long as the test.
func ListenAsSystemd(t *testing.T) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // a test's own directory can be longer than the path of a socket may be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
