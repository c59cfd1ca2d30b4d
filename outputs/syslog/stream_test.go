package syslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/adrian207/siemd/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFramings(t *testing.T) {
	texts := []string{"a", "ninety-nine " + strings.Repeat("x", 87), strings.Repeat("y", 100), "café 🔥", strings.Repeat("z", 5000)}
	for _, f := range []string{"octet", "newline"} {
		t.Run(f, func(t *testing.T) {
			r := listen(t, "127.0.0.1:0", nil)
			if f == "newline" {
				r.serve = func(c net.Conn) { r.read(c, newline) }
			}
			r.start()
			c := tcpConfig(r.Addr().String())
			c.Framing = f
			o := open(t, c)
			write(t, o, texts...)
			if got := r.awaitCount(t, len(texts)); !slices.Equal(got, texts) {
				t.Errorf("received %.200q", got)
			}
			if _, err := o.Encode(nil, &agent.Event{}); !errors.Is(err, errEmpty) {
				t.Errorf("empty message: %v", err)
			}
		})
	}
}

// A codec that lets a line feed through cannot forge a message.
func TestNewlineFramingIsSafe(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil)
	r.serve = func(c net.Conn) { r.read(c, newline) }
	r.start()
	c := tcpConfig(r.Addr().String())
	c.Framing = "newline"
	write(t, open(t, c), "one\n<8>1 forged\r\x00end", "two")
	if got, want := r.awaitCount(t, 2), []string{"one <8>1 forged  end", "two"}; !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}

// The end of an idle connection is noticed, and what may not have been read
// comes again without waiting for a new event; then new ones follow.
func TestIdleCloseIsNoticedAndMended(t *testing.T) {
	t.Parallel()
	r := listen(t, "127.0.0.1:0", nil).start()
	o := open(t, tcpConfig(r.Addr().String()))
	write(t, o, "one", "two")
	r.awaitCount(t, 2)
	r.forget()
	r.kill()
	r.awaitConns(t, 2)
	r.awaitCount(t, 2)
	write(t, o, "three")
	if got, want := r.awaitCount(t, 3), []string{"one", "two", "three"}; !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}

// A peer that acknowledges but never reads, and then resets, got nothing: all
// of it comes again on the next connection, before what is new.
func TestResetLosesNothing(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil)
	hold := make(chan struct{})
	r.serve = func(c net.Conn) {
		r.mu.Lock()
		first := r.count == 1
		r.mu.Unlock()
		if first {
			<-hold
			return
		}
		r.read(c, octet)
	}
	r.start()
	o := open(t, tcpConfig(r.Addr().String()))
	old := numbered(100, 300)
	write(t, o, old...) // the kernel took and acknowledged it, nobody read it
	r.reset()
	close(hold)
	insist(t, o, "new")
	if got := r.awaitCount(t, 101); !slices.Equal(got, append(old, "new")) {
		t.Errorf("received %.300q", got)
	}
}

func TestResendWindowIsBounded(t *testing.T) {
	for _, c := range []struct {
		name   string
		window agent.Bytes
		want   int // frames of 104 bytes that come again
	}{
		{"exact", 1040, 10},
		{"rounded up to whole frames", 1041, 11},
		{"one byte", 1, 1},
		{"off", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := listen(t, "127.0.0.1:0", nil).start()
			config := tcpConfig(r.Addr().String())
			config.ResendWindow = c.window
			o := open(t, config)
			texts := numbered(2000, 100) // several pieces
			for part := range slices.Chunk(texts, 700) {
				write(t, o, part...)
			}
			r.awaitCount(t, 2000)
			r.forget()
			r.kill()
			insist(t, o, "new")
			want := append(slices.Clone(texts[2000-c.want:]), "new")
			if got := r.awaitCount(t, len(want)); !slices.Equal(got, want) {
				t.Errorf("received %d messages, want %d; first %.20q", len(got), len(want), got[0])
			}
		})
	}
}

// A peer that accepts and never reads holds Write until its deadline; the
// acknowledged part counts, and the next Write finds another endpoint.
func TestPeerThatNeverReads(t *testing.T) {
	stuck := listen(t, "127.0.0.1:0", nil)
	hold := make(chan struct{})
	defer close(hold)
	stuck.serve = func(c net.Conn) {
		c.(*net.TCPConn).SetReadBuffer(1 << 20)
		<-hold
	}
	stuck.start()
	well := listen(t, "127.0.0.1:0", nil).start()
	o := open(t, tcpConfig(stuck.Addr().String(), well.Addr().String()))
	texts := numbered(200, 60_000) // 12 MB: more than the kernels hold
	list := events(t, o, texts...)
	began := time.Now()
	err := o.Write(deadline(t, 2*time.Second), list)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("Write took %v", took)
	}
	var partial *agent.PartialError
	if !errors.As(err, &partial) {
		t.Fatalf("Write: %v, want a partial error: some of it is in the peer's buffer", err)
	}
	if last := partial.Failed[0].Err; !errors.Is(last, context.DeadlineExceeded) {
		t.Errorf("reason: %v", last)
	}
	delivered := len(texts) - len(partial.Failed)
	if delivered == 0 || delivered == len(texts) {
		t.Fatalf("%d of %d count as delivered", delivered, len(texts))
	}
	// Once more without any progress: the connection is given up.
	err = o.Write(deadline(t, 300*time.Millisecond), list[delivered:])
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Write: %v", err)
	}
	write(t, o, texts[delivered:]...)
	well.await(t, "what was not delivered", func(m []string) bool {
		seen := map[string]bool{}
		for _, text := range m {
			seen[text] = true
		}
		for _, text := range texts[delivered:] {
			if !seen[text] {
				return false
			}
		}
		return true
	})
}

// When a connection breaks in the middle of a batch, what was acknowledged is
// in the window, what was not comes back: nothing is missing in the end.
func TestBreakInTheMiddle(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil)
	r.serve = func(c net.Conn) {
		r.mu.Lock()
		first := r.count == 1
		r.mu.Unlock()
		if first {
			io.CopyN(io.Discard, c, 100_000) // read, but lost
			c.(*net.TCPConn).SetLinger(0)
			return
		}
		r.read(c, octet)
	}
	r.start()
	config := tcpConfig(r.Addr().String())
	config.ResendWindow = 64 << 20
	o := open(t, config)
	texts := numbered(2000, 10_000)
	err := o.Write(deadline(t, 20*time.Second), events(t, o, texts...))
	if err == nil {
		t.Fatal("20 MB into a connection that was reset were delivered")
	}
	rest := texts
	var partial *agent.PartialError
	if errors.As(err, &partial) {
		rest = texts[partial.Failed[0].Index:]
		if len(partial.Failed) != len(rest) {
			t.Errorf("%d failed, want all from %d on", len(partial.Failed), partial.Failed[0].Index)
		}
	}
	write(t, o, rest...)
	r.await(t, "all messages", func(m []string) bool { return len(m) >= len(texts) && m[len(m)-1] == texts[len(texts)-1] })
	seen := map[string]int{}
	for _, m := range r.messages {
		seen[m]++
	}
	for _, text := range texts {
		if seen[text] == 0 {
			t.Fatalf("%.6s is missing", text)
		}
	}
}

func TestManyWritesAtOnce(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil).start()
	o := open(t, tcpConfig(r.Addr().String()))
	const writers, each = 16, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				list := []agent.Event{{Body: fmt.Appendf(nil, "%d/%d/a", w, i)}, {Body: fmt.Appendf(nil, "%d/%d/b", w, i)}}
				if err := o.Write(deadline(t, 20*time.Second), list); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := r.awaitCount(t, writers*each*2)
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != writers*each*2 || r.count != 1 {
		t.Errorf("%d different messages over %d connections", n, r.count)
	}
}

func TestFailover(t *testing.T) {
	nobody := listen(t, "127.0.0.1:0", nil) // not started; closed at once
	nobody.Close()
	closes := listen(t, "127.0.0.1:0", nil)
	closes.serve = func(net.Conn) {}
	closes.start()
	well := listen(t, "127.0.0.1:0", nil).start()
	write(t, open(t, tcpConfig(nobody.Addr().String(), closes.Addr().String(), well.Addr().String())), "one")
	well.awaitCount(t, 1)

	o := open(t, tcpConfig(nobody.Addr().String(), closes.Addr().String()))
	err := o.Write(deadline(t, 20*time.Second), events(t, o, "two"))
	if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, io.EOF) {
		t.Errorf("Write: %v, want both reasons", err)
	}
	if agent.IsBlocked(err) || agent.IsPermanent(err) {
		t.Errorf("Write: %v carries a word", err)
	}
}

func TestBadEventDoesNotStopTheOthers(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil).start()
	o := open(t, tcpConfig(r.Addr().String()))
	list := []agent.Event{{Body: []byte("one")}, {Body: []byte("bad")}, {Body: []byte("two")}}
	err := o.Write(deadline(t, 20*time.Second), list)
	var partial *agent.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 1 || partial.Failed[0].Index != 1 || !agent.IsPermanent(partial.Failed[0].Err) {
		t.Errorf("Write: %v", err)
	}
	if got := r.awaitCount(t, 2); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("received %q", got)
	}
	if err := o.Write(deadline(t, 20*time.Second), nil); err != nil {
		t.Errorf("empty Write: %v", err)
	}
}

// Close says goodbye: the peer sees the end of the stream after all frames.
func TestCloseIsOrderly(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil)
	ended := make(chan error, 1)
	r.serve = func(c net.Conn) {
		_, err := io.Copy(io.Discard, c)
		ended <- err
	}
	r.start()
	// On a busy machine one may take its time; one that waits in vain does so every time.
	least := time.Hour
	for try := 0; try < 5 && least > goodbye; try++ {
		o := open(t, tcpConfig(r.Addr().String()))
		write(t, o, "one")
		began := time.Now()
		if err := o.Close(deadline(t, 20*time.Second)); err != nil {
			t.Error(err)
		}
		least = min(least, time.Since(began))
		if err := <-ended; err != nil {
			t.Errorf("the peer saw %v", err)
		}
		if err := o.Write(deadline(t, 20*time.Second), events(t, o, "two")); !errors.Is(err, errClosed) {
			t.Errorf("Write after Close: %v", err)
		}
	}
	if least > goodbye {
		t.Errorf("Close takes %v although the peer closes", least)
	}
}

func TestControlCanRefuse(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil).start()
	no := errors.New("that address is not for us")
	for _, transport := range []string{"tcp", "udp"} {
		env := testEnv(t)
		env.Control = func(network, address string) error { return no }
		c := tcpConfig(r.Addr().String())
		c.Transport = transport
		o, err := newOutput(c, plain{}, env)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Write(deadline(t, 20*time.Second), events(t, o, "x")); !errors.Is(err, no) {
			t.Errorf("%s: %v", transport, err)
		}
		o.Close(context.Background())
	}
}
