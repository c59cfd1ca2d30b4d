package wal

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
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

// An appender stores the events and returns when they are durable.
type appender func(events []agent.Event) error

// BenchmarkAppend compares this log, tidwall's used plainly (one entry per
// event, one WriteBatch and fsync per commit) and a plain file of lines with
// the same group commit, block size and s2. An op is one event. p50 and p99 are
// of a whole commit; fsync is what the disk needs for one block alone, measured
// behind each run. No event comes twice among those that can be under way at
// the same time: repetition would make them all too easy to compress.
func BenchmarkAppend(b *testing.B) {
	events := benchEvents(130 * 250)
	for _, batch := range []int{1, 250} {
		for _, producers := range []int{1, 10, 100} {
			for _, kind := range []string{"siemd", "tidwall", "file"} {
				b.Run(fmt.Sprintf("batch=%d/producers=%d/%s", batch, producers, kind), func(b *testing.B) {
					benchAppend(b, kind, producers, batch, events)
				})
			}
		}
	}
}

func benchAppend(b *testing.B, kind string, producers, batch int, events []agent.Event) {
	dir := b.TempDir()
	var app appender
	switch kind {
	case "siemd":
		app = logAppender(b, dir)
	case "tidwall":
		app = tidwallAppender(b, dir)
	case "file":
		app = fileAppender(b, dir)
	}
	var next atomic.Int64
	latencies := make([][]time.Duration, producers)
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	before, began := cpuTime(), time.Now()
	for p := range producers {
		wg.Go(func() {
			for {
				at := int(next.Add(int64(batch))) - batch
				if at >= b.N {
					return
				}
				at %= len(events)
				t := time.Now()
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
	n := float64(len(all) * batch)
	b.ReportMetric(n/took.Seconds(), "events/s")
	b.ReportMetric(n*423/took.Seconds()/1e6, "MB/s")
	b.ReportMetric(cpu.Seconds()*1e6/n, "cpu-µs/event")
	reportTimes(b, all, "")
	reportTimes(b, fsyncTimes(b, dir), "fsync-")
}

func reportTimes(b *testing.B, times []time.Duration, name string) {
	slices.Sort(times)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(times[len(times)*p/100].Microseconds())/1e3, fmt.Sprintf("%sp%d-ms", name, p))
	}
}

// fsyncTimes are those that the disk takes to make what is written of a full
// block durable, with nothing else of ours under way.
func fsyncTimes(b *testing.B, dir string) (times []time.Duration) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, blockSize/3)
	for range 50 {
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		t := time.Now()
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(t))
	}
	return times
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func logAppender(b *testing.B, dir string) appender {
	l, err := Open(Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return func(events []agent.Event) error {
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

// fileAppender gathers what waits, compresses it block by block, writes all of
// it, and fsyncs once.
func fileAppender(b *testing.B, dir string) appender {
	f, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	var mu, disk sync.Mutex
	var buf, next []byte
	out := make([]byte, s2.MaxEncodedLen(blockSize))
	var waiting, taken []chan error
	return func(events []agent.Event) error {
		done := make(chan error, 1)
		mu.Lock()
		for i := range events {
			buf = append(append(buf, events[i].Body...), '\n')
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
		var err error
		for block := range slices.Chunk(next, blockSize) {
			if _, e := f.Write(s2.Encode(out, block)); err == nil {
				err = e
			}
		}
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

// BenchmarkRead reads a log of about 400 MB of events, with one reader and with
// one for each processor. An op is one event.
func BenchmarkRead(b *testing.B) {
	for _, what := range []string{"events", "blocks", "headers"} {
		for _, readers := range slices.Compact([]int{1, runtime.GOMAXPROCS(0)}) {
			b.Run(fmt.Sprintf("%s/readers=%d", what, readers), func(b *testing.B) { benchRead(b, what, readers) })
		}
	}
}

func benchRead(b *testing.B, what string, readers int) {
	l, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c := l.Cursor("c", true)
	events := benchEvents(20 * 2000)
	var commits []*Commit
	for n := range 500 {
		ch := l.NewChunk()
		for i := range 2000 {
			ch.Add(&events[n%20*2000+i])
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
	var read, bytes atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	began, before := time.Now(), cpuTime()
	for range readers {
		wg.Go(func() {
			n, size, err := readSome(l, c, what, b.N/readers)
			if err != nil {
				b.Error(err)
			}
			read.Add(int64(n))
			bytes.Add(int64(size))
		})
	}
	wg.Wait()
	b.ReportMetric(float64(bytes.Load())/time.Since(began).Seconds()/1e6, "MB/s")
	b.ReportMetric((cpuTime()-before).Seconds()*1e6/float64(read.Load()), "cpu-µs/event")
}

// readSome reads n events or a block more, over and over from c on.
func readSome(l *Log, c *Cursor, what string, n int) (read, bytes int, err error) {
	seen := 0 // bytes of bodies
	for read < n && err == nil {
		r := l.Reader(c)
		for read < n && err == nil {
			blk, ok, e := r.TryNext()
			if err = e; err != nil || !ok {
				break
			}
			read += blk.Count()
			bytes += blk.Size()
			switch what {
			case "events":
				err = blk.Each(func(e *agent.Event) { seen += len(e.Body) })
			case "blocks":
				err = blk.load()
			}
			blk.Release()
		}
		r.Close()
	}
	return read, bytes, err
}
