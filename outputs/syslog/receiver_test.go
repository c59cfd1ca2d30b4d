package syslog

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

// plain is a codec that sends bodies as they are.
type plain struct{}

func (plain) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	if string(e.Body) == "bad" {
		return dst, errors.New("cannot be encoded")
	}
	return append(dst, e.Body...), nil
}

func testEnv(t testing.TB) agent.Env {
	return agent.Env{
		Name: "test", Kind: "output", Identity: agent.DefaultIdentity, Metrics: metrics.NewSet(),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// open builds an output with the plain codec that is closed when the test ends.
func open(t *testing.T, c Config) *output {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	o, err := newOutput(c, plain{}, testEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(deadline(t, 20*time.Second)) })
	return o
}

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// events makes one event of each text, encoded as the runner does it.
func events(t *testing.T, o *output, texts ...string) []agent.Event {
	t.Helper()
	list := make([]agent.Event, len(texts))
	for i, text := range texts {
		list[i] = agent.Event{Seq: uint64(i + 1), Body: []byte(text)}
		wire, err := o.Encode(nil, &list[i])
		if err != nil {
			t.Fatal(err)
		}
		list[i].Wire = wire
	}
	return list
}

func write(t *testing.T, o *output, texts ...string) {
	t.Helper()
	if err := o.Write(deadline(t, 20*time.Second), events(t, o, texts...)); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// insist writes again after a lost connection, as the runner does.
func insist(t *testing.T, o *output, texts ...string) {
	t.Helper()
	list := events(t, o, texts...)
	ctx := deadline(t, 20*time.Second)
	for {
		err := o.Write(ctx, list)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("Write: %v", err)
		}
		t.Logf("once more after: %v", err)
	}
}

// A receiver is a syslog server that reads frames. What it does with a
// connection is up to its serve function.
type receiver struct {
	net.Listener
	serve func(net.Conn)

	mu       sync.Mutex // guards the rest
	changed  *sync.Cond
	messages []string
	conns    []net.Conn
	count    int // connections so far
	wg       sync.WaitGroup
}

// listen starts a receiver on address that reads octet-counted frames, under TLS if config is not nil.
func listen(t *testing.T, address string, config *tls.Config) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", address)
	for i := 0; err != nil && i < 100; i++ { // the port of a predecessor, just closed
		time.Sleep(10 * time.Millisecond)
		l, err = net.Listen("tcp", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	r := &receiver{Listener: l}
	r.changed = sync.NewCond(&r.mu)
	r.serve = func(c net.Conn) { r.read(c, octet) }
	t.Cleanup(r.stop)
	return r
}

func (r *receiver) start() *receiver {
	r.wg.Go(func() {
		for {
			c, err := r.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns = append(r.conns, c)
			r.count++
			r.changed.Broadcast()
			r.mu.Unlock()
			r.wg.Go(func() {
				defer c.Close()
				r.serve(c)
			})
		}
	})
	return r
}

func (r *receiver) stop() {
	r.Close()
	r.kill()
	r.wg.Wait()
}

// kill closes all connections, as the end of a process does.
func (r *receiver) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// reset makes all connections end with RST.
func (r *receiver) reset() {
	r.mu.Lock()
	for _, c := range r.conns {
		c.(*net.TCPConn).SetLinger(0)
	}
	r.mu.Unlock()
	r.kill()
}

func (r *receiver) read(c net.Conn, f framing) {
	br := bufio.NewReader(c)
	for {
		m, err := readFrame(br, f)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.messages = append(r.messages, m)
		r.changed.Broadcast()
		r.mu.Unlock()
	}
}

func readFrame(br *bufio.Reader, f framing) (string, error) {
	if f == newline {
		line, err := br.ReadString('\n')
		return strings.TrimSuffix(line, "\n"), err
	}
	count, err := br.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(count, " "))
	if err != nil || count[0] == '0' {
		return "", fmt.Errorf("count %q", count)
	}
	m := make([]byte, n)
	_, err = io.ReadFull(br, m)
	return string(m), err
}

// await waits until ok holds of the messages so far.
func (r *receiver) await(t *testing.T, what string, ok func(messages []string) bool) []string {
	t.Helper()
	timer := time.AfterFunc(10*time.Second, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changed.Broadcast()
	})
	defer timer.Stop()
	began := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !ok(r.messages) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("waited for %s; have %d messages: %.300q", what, len(r.messages), r.messages)
		}
		r.changed.Wait()
	}
	return append([]string(nil), r.messages...)
}

func (r *receiver) awaitCount(t *testing.T, n int) []string {
	t.Helper()
	return r.await(t, fmt.Sprintf("%d messages", n), func(m []string) bool { return len(m) >= n })
}

func (r *receiver) awaitConns(t *testing.T, n int) {
	t.Helper()
	r.await(t, fmt.Sprintf("%d connections", n), func([]string) bool { return r.count >= n })
}

func (r *receiver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = nil
}

func tcpConfig(addresses ...string) Config {
	c := defaults
	c.Endpoint = addresses
	return c
}

// numbered makes n texts of the given size with a number in front.
func numbered(n, size int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%06d ", i)
		texts[i] += strings.Repeat("x", max(size-len(texts[i]), 0))
	}
	return texts
}
