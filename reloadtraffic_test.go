package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// counted is a way to a receiver that counts the connections made through it.
type counted struct {
	net.Listener
	accepted atomic.Int64
}

func startCounted(t *testing.T, target string) *counted {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Listener: ln}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			c.accepted.Add(1)
			wg.Go(func() { relay(from, target) })
		}
	})
	t.Cleanup(func() { ln.Close() })
	return c
}

// relay carries bytes both ways until either side ends.
func relay(from net.Conn, target string) {
	defer from.Close()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(way[0], way[1]) // the end of either is the end of both
			ended <- struct{}{}
		}()
	}
	<-ended
}

// traffic is events that come at a steady rate through three inputs: lines of a
// file, requests and a pipe.
type traffic struct {
	b    *bench
	rate float64 // events a second, of each input
	file *os.File
	pipe io.Writer
	gens [3]*plugintest.Generator

	quit   chan struct{}
	flow   sync.WaitGroup
	mu     sync.Mutex // guards errors
	errors []string
	again  atomic.Int64 // requests that were sent again
}

func newTraffic(t *testing.T, b *bench, rate float64, pipe io.Writer) *traffic {
	t.Helper()
	tr := &traffic{b: b, rate: rate / 3, pipe: pipe}
	for i, prefix := range []string{"FILE-", "HTTP-", "PIPE-"} {
		tr.gens[i] = plugintest.NewGenerator(uint64(i))
		tr.gens[i].Prefix = prefix
	}
	var err error
	if err = os.MkdirAll(filepath.Join(b.dir, "apps"), 0o700); err == nil {
		tr.file, err = os.Create(filepath.Join(b.dir, "apps", "app.jsonl"))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.file.Close() })
	return tr
}

func (tr *traffic) start() {
	tr.quit = make(chan struct{})
	give := []func([]byte) error{
		func(lines []byte) error { _, err := tr.file.Write(lines); return err },
		tr.post,
		func(lines []byte) error { _, err := tr.pipe.Write(lines); return err },
	}
	for i, g := range tr.gens {
		tr.flow.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			began, first := time.Now(), g.Count()
			for {
				select {
				case <-tr.quit:
					return
				case <-tick.C:
				}
				var lines []byte
				const most = 1000 // what a slow machine cannot take in time comes later
				for due := min(int64(time.Since(began).Seconds()*tr.rate), g.Count()-first+most); g.Count()-first < due; {
					lines = g.Append(lines)
				}
				if len(lines) == 0 {
					continue
				}
				if err := give[i](lines); err != nil {
					tr.mu.Lock()
					tr.errors = append(tr.errors, fmt.Sprintf("%s: %v", g.Prefix, err))
					tr.mu.Unlock()
				}
			}
		})
	}
}

// post sends as a client of HTTP must: an idle connection may be closed in the
// moment in which a request is sent over it, and then it is sent over another.
func (tr *traffic) post(lines []byte) (err error) {
	for range 3 {
		var broken *url.Error
		if err = tr.b.post(lines); !errors.As(err, &broken) {
			break
		}
		tr.again.Add(1)
	}
	return err
}

func (tr *traffic) stop() { close(tr.quit); tr.flow.Wait() }

// count is how many events there were. Nothing may flow.
func (tr *traffic) count() (n int64) {
	for _, g := range tr.gens {
		n += g.Count()
	}
	return n
}

// check reports events that a receiver got never or more than once. Nothing may flow.
func (tr *traffic) check(t *testing.T, name string, r *plugintest.Receiver) {
	t.Helper()
	seen, missing, again, example := r.IDs(), 0, 0, ""
	for _, g := range tr.gens {
		for i := range g.Count() {
			switch n := seen[g.ID(i)]; {
			case n == 0:
				missing, example = missing+1, fmt.Sprintf("%s of %d", g.ID(i), g.Count())
			case n > 1:
				again, example = again+1, g.ID(i)
			}
		}
	}
	if s := r.Stats(); missing > 0 || again > 0 || int64(len(seen)) != tr.count() || s.Malformed > 0 {
		t.Errorf("%s: of %d events %d are missing and %d came again (%s); %d ids, %d malformed", name, tr.count(), missing, again, example, len(seen), s.Malformed)
	}
}
