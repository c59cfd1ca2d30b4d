package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/internal/supervisor"
)

var callerForTest = supervisor.Actor{Name: "test"}

func TestSocketPeers(t *testing.T) {
	group := os.Getgid()
	nobody := peer{uid: 65534, gid: 65534}
	for _, c := range []struct {
		ln   listening
		p    peer
		want bool
	}{
		{listening{}, peer{uid: 0, gid: 0}, true},
		{listening{}, peer{uid: os.Geteuid(), gid: 1}, true},
		{listening{}, nobody, false},
		{listening{group: &group}, peer{uid: 4242, gid: group}, true},
		{listening{group: &group}, nobody, group == 65534},
	} {
		if got := c.ln.admits(c.p); got != c.want {
			t.Errorf("%+v at %+v: %v", c.p, c.ln.group, got)
		}
	}
}

// TestSocketGroup: the mode of a socket and the kernel's word about the peer keep others out.
func TestSocketGroup(t *testing.T) {
	g, err := user.LookupGroupId(strconv.Itoa(os.Getgid()))
	if err != nil {
		t.Skip("the group of this process has no name: ", err)
	}
	dir, err := os.MkdirTemp("", "siemd-socket-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "api.sock")
	r := newRig(t, "outputs: {}\n")
	r.stop()
	r.write("api: {listen: ['unix:" + path + "'], socket_group: " + g.Name + "}\noutputs: {}\n")
	r.start()
	mode := func(path string, want os.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", path, info.Mode(), err, want)
		}
	}
	mode(path, 0o660)
	mode(filepath.Join(r.dir, "state", SocketName), 0o600)
	if os.Geteuid() != 0 {
		return // nobody else can be asked to try
	}
	curl := func(uid, gid uint32) string {
		cmd := exec.Command("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", path, "http://siemd"+prefix+"/status")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		cmd.Dir = "/"
		out, _ := cmd.Output() // its exit code is in the status, 000
		return string(out)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("*** nobody else tries the socket: ", err)
	}
	if got := curl(65534, uint32(os.Getgid())); got != "200" {
		t.Errorf("a member of the group: %s", got)
	}
	if got := curl(65534, 65534); got != "000" {
		t.Errorf("another user: %s", got)
	}
	if err := os.Chmod(path, 0o666); err != nil { // somebody means well
		t.Fatal(err)
	}
	if got := curl(65534, 65534); got != "403" {
		t.Errorf("another user, with the mode wide open: %s", got)
	}
	audit, err := os.ReadFile(filepath.Join(r.dir, "state", supervisor.AuditName))
	if err != nil || !strings.Contains(string(audit), `"action":"authenticate"`) || !strings.Contains(string(audit), "uid 65534") {
		t.Errorf("audit log = %s", audit)
	}
}

// TestConnectionsAreLimited: more clients than slots wait, and none is lost.
func TestConnectionsAreLimited(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := limit(inner, 2)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	eventually(t, "both slots are taken", func() bool { return len(ln.slots) == 2 })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+inner.Addr().String(), nil)
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
		t.Error("a third connection was served")
	}
	held[0].Close()
	resp, err := client.Get("http://" + inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	held[1].Close()
	srv.Close()
	<-done
	eventually(t, "the slots are free", func() bool { return len(ln.slots) == 0 })
}
