package syslog

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// openIn is open with a data directory.
func openIn(t *testing.T, dir string, c Config) *output {
	t.Helper()
	env := testEnv(t)
	env.DataDir = dir
	o, err := newOutput(c, plain{}, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(deadline(t, 20*time.Second)) })
	return o
}

// What a receiver acknowledged and never read is sent again by the next run of
// the agent, if the receiver was gone when this one stopped.
func TestTailOutlivesAStop(t *testing.T) {
	dir := t.TempDir()
	r := listen(t, "127.0.0.1:0", nil)
	held := make(chan net.Conn, 1)
	dead := make(chan struct{})
	r.serve = func(c net.Conn) { // it reads nothing
		held <- c
		<-dead
	}
	r.start()
	address := r.Addr().String()
	o := openIn(t, dir, tcpConfig(address))
	write(t, o, "one", "two")
	c := <-held
	r.Close()
	c.(*net.TCPConn).SetLinger(0)
	c.Close() // a receiver that dies resets its connections
	close(dead)
	if err := o.Close(deadline(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "syslog", "test.tail")
	info, err := os.Stat(kept)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the tail is not kept: %v, %v", info, err)
	}

	again := listen(t, address, nil).start()
	o = openIn(t, dir, tcpConfig(address))
	write(t, o, "three")
	if got := again.awaitCount(t, 3); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("received %q", got)
	}
	if err := o.Close(deadline(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); !os.IsNotExist(err) {
		t.Errorf("what was read is kept: %v", err)
	}
}

func TestTailIsOnlyForItsReceiver(t *testing.T) {
	dir := t.TempDir()
	f := newTailFile(dir, "out", octet, []string{"a:1", "b:2"})
	var w window
	w.limit = 1 << 20
	want := []string{"5 hello", "", "0"}
	var c cut
	for i, text := range want {
		if text != "" {
			c.add(i, []byte(text))
		}
	}
	w.add(c.pieces[0], time.Now())
	if err := f.save(&w); err != nil {
		t.Fatal(err)
	}
	frames, err := f.load()
	if err != nil || len(frames) != 2 || string(frames[0]) != "5 hello" || string(frames[1]) != "0" {
		t.Errorf("loaded %q, %v", frames, err)
	}
	for _, other := range []*tailFile{
		newTailFile(dir, "out", newline, []string{"a:1", "b:2"}), newTailFile(dir, "out", octet, []string{"a:1"}),
	} {
		if frames, err := other.load(); err != errOtherTail || frames != nil {
			t.Errorf("another one loaded %q, %v", frames, err)
		}
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(f.head); i < len(data); i++ {
		damaged := slices.Clone(data)
		damaged[i] ^= 1
		if err := os.WriteFile(f.path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if frames, err := f.load(); err != errDamagedTail {
			t.Errorf("byte %d damaged: %q, %v", i, frames, err)
		}
		if err := os.WriteFile(f.path, data[:i], 0o600); err != nil {
			t.Fatal(err)
		}
		if frames, err := f.load(); err == nil {
			t.Errorf("cut at %d: %q", i, frames)
		}
	}
	if err := f.remove(); err != nil {
		t.Error(err)
	}
	if frames, err := f.load(); err != nil || frames != nil {
		t.Errorf("without a file: %q, %v", frames, err)
	}
	if err := f.remove(); err != nil {
		t.Errorf("removed twice: %v", err)
	}
}
