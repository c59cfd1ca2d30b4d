package syslog

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// deliver writes the events like the runner: what was not delivered comes again.
func deliver(ctx context.Context, o *output, list []agent.Event) error {
	for {
		err := o.Write(ctx, list)
		if err == nil {
			return nil
		}
		var partial *agent.PartialError
		if errors.As(err, &partial) {
			rest := make([]agent.Event, 0, len(partial.Failed))
			for _, f := range partial.Failed {
				rest = append(rest, list[f.Index])
			}
			list = rest
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// A receiver that resets, closes and stalls at random, and each time loses
// what it had not read: every event arrives at least once.
func TestTorture(t *testing.T) {
	t.Parallel()
	t.Run("tcp", func(t *testing.T) { torture(t, nil) })
	t.Run("tls", func(t *testing.T) {
		ca := newAuthority(t)
		torture(t, ca)
	})
}

func torture(t *testing.T, ca *authority) {
	duration := 700 * time.Millisecond
	if os.Getenv("SIEMD_TORTURE") != "" {
		duration = 30 * time.Second
	}
	var config *tls.Config
	if ca != nil {
		config = ca.server(t, "127.0.0.1", time.Now().Add(time.Hour))
	}
	r := listen(t, "127.0.0.1:0", config)
	var calm atomic.Bool
	seen := map[string]int{}
	r.serve = func(c net.Conn) {
		raw := c
		if tc, ok := c.(*tls.Conn); ok {
			raw = tc.NetConn()
		}
		raw.(*net.TCPConn).SetReadBuffer(64 << 10)
		br := bufio.NewReader(c)
		for {
			m, err := readFrame(br, octet)
			if err != nil {
				return
			}
			r.mu.Lock()
			seen[m]++
			r.changed.Broadcast()
			r.mu.Unlock()
			if calm.Load() {
				continue
			}
			switch rand.IntN(10000) {
			case 0:
				raw.(*net.TCPConn).SetLinger(0)
				raw.Close()
				return
			case 1:
				raw.Close()
				return
			case 2:
				time.Sleep(20 * time.Millisecond)
			case 3: // half-closed, and reads on for a while
				raw.(*net.TCPConn).CloseWrite()
				io.CopyN(io.Discard, c, 100_000)
				return
			}
		}
	}
	r.start()
	conf := tcpConfig(r.Addr().String())
	if ca != nil {
		conf = tlsConfig(ca, r.Addr().String())
	}
	o := open(t, conf)

	var sent atomic.Int64
	var wg sync.WaitGroup
	until := time.Now().Add(duration)
	for range 4 {
		wg.Go(func() {
			for time.Now().Before(until) {
				n := rand.IntN(300) + 1
				at := int(sent.Add(int64(n))) - n
				list := make([]agent.Event, n)
				for i, text := range numbered(at+n, rand.IntN(600))[at:] {
					list[i].Body = []byte(text)
				}
				if err := deliver(deadline(t, 30*time.Second), o, list); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	calm.Store(true)
	// The last of them may be lost with a connection that is about to end:
	// their turn comes with the repair.
	want := int(sent.Load())
	numbers := map[string]bool{}
	r.await(t, "every event", func([]string) bool {
		for m := range seen {
			numbers[m[:6]] = true
		}
		return len(numbers) >= want
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	total := 0
	for _, n := range seen {
		total += n
	}
	t.Attr("trials", fmt.Sprint(r.count))
	t.Logf("%d events over %d connections arrived, %d repeats", want, r.count, total-want)
}

// A peer that stops reading is given up even while nobody's deadline presses (Linux).
func TestKernelGivesUpOnStuckPeer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("TCP_USER_TIMEOUT is Linux's")
	}
	r := listen(t, "127.0.0.1:0", nil)
	hold := make(chan struct{})
	defer close(hold)
	r.serve = func(net.Conn) { <-hold }
	r.start()
	o := open(t, tcpConfig(r.Addr().String()))
	o.dialer.patience = 500 * time.Millisecond
	began := time.Now()
	err := o.Write(deadline(t, 30*time.Second), events(t, o, numbered(300, 60_000)...))
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Write: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
