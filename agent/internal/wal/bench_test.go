package wal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	twal "github.com/tidwall/wal"

	"github.com/adrian207/siemd/agent"
)

// benchEvents are n events of 423 bytes with ids of high entropy.
func benchEvents(n int) []agent.Event {
	rnd := rand.New(rand.NewPCG(1, 2))
	events := make([]agent.Event, n)
	for i := range events {
		b := fmt.Appendf(nil, `{"event_id":"%016x%016x","timestamp":"2026-01-02T03:04:05.%06dZ","event_type":"anomaly","source":"device-%05d","severity":"high",`+
			`"anomaly":{"type":"authentication","severity":"high","score":%d.%02d,"confidence":0.%02d},"title":"Unusual login pattern",`+
			`"detection":{"method":"statistical","detector":"login_rate","model_version":"2.1.0"},"description":"`,
			rnd.Uint64(), rnd.Uint64(), rnd.IntN(1e6), rnd.IntN(500), rnd.IntN(100), rnd.IntN(100), rnd.IntN(100))
		b = append(b, bytes.Repeat([]byte("x"), 423-len(b)-2)...)
		b = append(b, `"}`...)
		id, typ, src := bytes.Index(b, []byte(`"event_id":"`))+12, bytes.Index(b, []byte(`anomaly`)), bytes.Index(b, []byte(`device-`))
		events[i] = agent.Event{
			Time: 1767323045_000000000 + int64(rnd.IntN(1e9)), Received: 1767323046_000000000, Severity: agent.High,
			ID: b[id : id+32], Type: b[typ : typ+7], Source: b[src : src+12], Input: "apps", Body: b,
		}
	}
	return events
}

// A appender stores the events and returns when they are durable.
type appender func(events []agent.Event) error

// BenchmarkAppend compares this log, tidwall's used plainly (one entry per
// event, one WriteBatch and fsync per commit) and a plain file with the same
// group commit and s2. An op is one event. p50 and p99 are of a whole commit.
func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1, 250} {
		for _, producers := range []int{1, 10, 100} {
			for _, kind := range []string{"siemd", "tidwall", "file"} {
				b.Run(fmt.Sprintf("batch=%d/producers=%d/%s", batch, producers, kind), func(b *testing.B) {
					benchAppend(b, kind, producers, batch)
				})
			}
		}
	}
}

func benchAppend(b *testing.B, kind string, producers, batch int) {
	dir := b.TempDir()
	var app appender
	switch kind {
	case "siemd":
		l, err := Open(Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		app = func(events []agent.Event) error {
			c := l.NewChunk()
			for i := range events {
				c.Add(&events[i])
			}
			cm, err := l.Append(context.Background(), c)
			if err == nil {
				_, _, err = cm.Wait(context.Background())
			}
			return err
		}
	case "tidwall":
		app = tidwallAppender(b, dir)
	case "file":
		app = fileAppender(b, dir)
	}
	events := benchEvents(batch * 16)
	var left atomic.Int64
	left.Store(int64(b.N))
	latencies := make([][]time.Duration, producers)
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	before, began := cpuTime(), time.Now()
	for p := range producers {
		wg.Go(func() {
			for i := p; left.Add(-int64(batch)) > -int64(batch); i++ {
				t := time.Now()
				at := i % 16 * batch
				if err := app(events[at : at+batch]); err != nil {
					b.Error(err)
					return
				}
				latencies[p] = append(latencies[p], time.Since(t))
			}
		})
	}
	wg.Wait()
	took, cpu := time.Since(began), cpuTime()-before
	b.StopTimer()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	n := float64(len(all) * batch)
	b.ReportMetric(n/took.Seconds(), "events/s")
	b.ReportMetric(n*423/took.Seconds()/1e6, "MB/s")
	b.ReportMetric(cpu.Seconds()*1e6/n, "cpu-µs/event")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1e3, "p99-ms")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func tidwallAppender(b *testing.B, dir string) appender {
	l, err := twal.Open(filepath.Join(dir, "tidwall"), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	var index uint64
	var batch twal.Batch
	return func(events []agent.Event) error {
		mu.Lock()
		defer mu.Unlock()
		for i := range events {
			index++
			batch.Write(index, events[i].Body)
		}
		return l.WriteBatch(&batch)
	}
}

// fileAppender gathers what waits, compresses it, writes and fsyncs it.
func fileAppender(b *testing.B, dir string) appender {
	f, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	var mu, disk sync.Mutex
	var buf, next, out []byte
	var waiting, taken []chan error
	return func(events []agent.Event) error {
		done := make(chan error, 1)
		mu.Lock()
		for i := range events {
			buf = append(buf, events[i].Body...)
		}
		waiting = append(waiting, done)
		mu.Unlock()
		disk.Lock()
		mu.Lock()
		select {
		case err := <-done:
			mu.Unlock()
			disk.Unlock()
			return err
		default:
		}
		buf, next = next[:0], buf
		waiting, taken = taken[:0], waiting
		mu.Unlock()
		if n := s2.MaxEncodedLen(len(next)); cap(out) < n {
			out = make([]byte, n)
		}
		out = s2.Encode(out[:cap(out)], next)
		_, err := f.Write(out)
		if err == nil {
			err = f.Sync()
		}
		for _, c := range taken {
			c <- err
		}
		disk.Unlock()
		return <-done
	}
}

// BenchmarkRead reads a log of about 400 MB of events. An op is one event.
func BenchmarkRead(b *testing.B) {
	for _, what := range []string{"events", "blocks", "headers"} {
		b.Run(what, func(b *testing.B) { benchRead(b, what) })
	}
}

func benchRead(b *testing.B, what string) {
	l, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c := l.Cursor("c", true)
	events := benchEvents(2000)
	var commits []*Commit
	for range 500 {
		ch := l.NewChunk()
		for i := range events {
			ch.Add(&events[i])
		}
		cm, err := l.Append(context.Background(), ch)
		if err != nil {
			b.Fatal(err)
		}
		commits = append(commits, cm)
	}
	for _, cm := range commits {
		cm.Wait(context.Background())
	}
	var dst []agent.Event
	read, bytes := 0, 0
	b.ReportAllocs()
	b.ResetTimer()
	began, before := time.Now(), cpuTime()
	for read < b.N {
		r := l.Reader(c)
		for read < b.N {
			blk, ok, err := r.TryNext()
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
			read += blk.Count()
			bytes += blk.Size()
			switch what {
			case "events":
				dst, err = blk.Events(dst[:0])
			case "blocks":
				err = blk.load()
			}
			if err != nil {
				b.Fatal(err)
			}
			blk.Release()
		}
		r.Close()
	}
	b.ReportMetric(float64(bytes)/time.Since(began).Seconds()/1e6, "MB/s")
	b.ReportMetric((cpuTime()-before).Seconds()*1e6/float64(read), "cpu-µs/event")
}

var _ = io.EOF
