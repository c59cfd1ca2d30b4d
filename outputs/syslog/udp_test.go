package syslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/adrian207/siemd/agent"
)

func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadBuffer(4 << 20)
	return c
}

func receive(t *testing.T, c *net.UDPConn, n int) []string {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 1<<16)
	var list []string
	for range n {
		m, _, err := c.ReadFromUDP(buf)
		if err != nil {
			t.Fatalf("after %d datagrams: %v", len(list), err)
		}
		list = append(list, string(buf[:m]))
	}
	return list
}

func udpConfig(addresses ...string) Config {
	c := tcpConfig(addresses...)
	c.Transport = "udp"
	return c
}

func TestUDP(t *testing.T) {
	server := listenUDP(t)
	o := open(t, udpConfig(server.LocalAddr().String()))
	texts := numbered(200, 400)
	write(t, o, texts...)
	if got := receive(t, server, 200); !slices.Equal(got, texts) {
		t.Errorf("received %.200q", got)
	}
	// One bad event does not stop the others.
	err := o.Write(deadline(t, 20*time.Second), []agent.Event{{Body: []byte("one")}, {Body: []byte("bad")}, {Body: []byte("two")}})
	var partial *agent.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 1 || partial.Failed[0].Index != 1 || !agent.IsPermanent(partial.Failed[0].Err) {
		t.Errorf("Write: %v", err)
	}
	if got := receive(t, server, 2); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("received %q", got)
	}
}

// A port that nobody listens on refuses the first batch already, and the next endpoint gets it.
func TestUDPRefused(t *testing.T) {
	nobody := listenUDP(t)
	nobody.Close()
	server := listenUDP(t)
	o := open(t, udpConfig(nobody.LocalAddr().String(), server.LocalAddr().String()))
	err := o.Write(deadline(t, 20*time.Second), events(t, o, "one", "two"))
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("Write: %v, want a refusal of all", err)
	}
	write(t, o, "one", "two")
	if got := receive(t, server, 2); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("received %q", got)
	}
}

// A name with several addresses: whichever is listened at gets the events, also after another endpoint has been tried.
func TestUDPAddresses(t *testing.T) {
	server := listenUDP(t)
	_, port, err := net.SplitHostPort(server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	o := open(t, udpConfig("siem.test:"+port, "spare.test:"+port))
	o.udp.lookup = func(_ context.Context, host string) ([]string, error) {
		if host == "siem.test" {
			return []string{"127.0.0.9", "127.0.0.6", "127.0.0.1"}, nil
		}
		return []string{"127.0.0.8", "127.0.0.7"}, nil
	}
	o.udp.control = func(_, address string) error {
		if strings.HasPrefix(address, "127.0.0.6:") {
			return errors.New("there is no way to it")
		}
		return nil
	}
	if err := o.Write(deadline(t, time.Second), events(t, o, "one")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("Write: %v, want a refusal", err)
	}
	for range 2 {
		write(t, o, "one", "two")
		if got := receive(t, server, 2); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("received %q", got)
		}
		o.udp.made = time.Time{} // the address is looked up again, and stays the one that is listened at
	}
	// With nobody there each address of each endpoint has its turn.
	server.Close()
	asked := map[string]bool{}
	for range 8 {
		err := o.Write(deadline(t, time.Second), events(t, o, "one"))
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("Write: %v, want a refusal", err)
		}
		_, to, _ := strings.Cut(err.Error(), "->")
		to, _, _ = strings.Cut(to, ":")
		asked[to] = true
	}
	if len(asked) != 4 {
		t.Errorf("%v were tried", asked)
	}
}

func TestUDPDatagramTooLarge(t *testing.T) {
	server := listenUDP(t)
	o := open(t, udpConfig(server.LocalAddr().String()))
	err := o.Write(deadline(t, 20*time.Second), events(t, o, "one", strings.Repeat("x", 65_508), "two"))
	var partial *agent.PartialError
	if !errors.As(err, &partial) || len(partial.Failed) != 1 || partial.Failed[0].Index != 1 || !agent.IsPermanent(partial.Failed[0].Err) {
		t.Errorf("Write: %v", err)
	}
	if got := receive(t, server, 2); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("received %q", got)
	}
}

// Messages are cut to the datagram's size between characters.
func TestUDPSizes(t *testing.T) {
	server := listenUDP(t)
	for _, c := range []struct {
		max  agent.Bytes
		want int
	}{{0, 2048}, {480, 480}, {65507, 65507}} {
		config := udpConfig(server.LocalAddr().String())
		config.MaxMessage = c.max
		o := kind(t, "syslog", config)
		for shift := range 4 {
			body, _ := json.Marshal(map[string]string{"title": strings.Repeat("a", shift) + strings.Repeat("🔥", 20_000)})
			e := agent.Event{Seq: 1, ID: []byte("id"), Type: []byte("alert"), Body: body}
			if err := o.Write(deadline(t, 20*time.Second), []agent.Event{e}); err != nil {
				t.Fatal(err)
			}
			got := receive(t, server, 1)[0]
			if len(got) > c.want || len(got) <= c.want-4 || !utf8.ValidString(got) {
				t.Errorf("limit %d: %d bytes, valid %v", c.want, len(got), utf8.ValidString(got))
			}
		}
	}
}

func TestUDPDeadline(t *testing.T) {
	o := open(t, udpConfig("127.0.0.1:9"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Write(ctx, events(t, o, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Write: %v", err)
	}
}

func TestProbeUDPSaysWhatItCannotKnow(t *testing.T) {
	o := open(t, udpConfig("127.0.0.1:9"))
	var out bytes.Buffer
	if err := o.Probe(t.Context(), func(s agent.Step) { out.WriteString(s.Name + ": " + s.Detail + "\n") }); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "cannot be checked") {
		t.Errorf("steps: %s", out.String())
	}
}
