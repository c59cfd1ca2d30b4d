package wal

import (
	"context"
	"runtime"
	"testing"
)

// TestTailBufferIsReused: what is written does not pass through the allocator.
// Tidwall's log left to itself allocates several bytes for each.
func TestTailBufferIsReused(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	if !tailBuffers.ok {
		t.Fatal("the fields of tidwall's log are not where they are expected")
	}
	const segmentSize = 1 << 20
	l := open(t, Options{Dir: fastDir(t), SegmentSize: segmentSize, Compression: "none", disk: noSync()})
	events := benchEvents(500)
	fill := func(segments int) {
		t.Helper()
		for end := l.Stats().Segments + segments; l.Stats().Segments < end; {
			c := l.NewChunk()
			for i := range events {
				c.Add(&events[i])
			}
			cm, err := l.Append(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := cm.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(2) // the first buffer grows, and pools fill
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fill(20)
	runtime.ReadMemStats(&after)
	if perByte := float64(after.TotalAlloc-before.TotalAlloc) / (20 * segmentSize); perByte > 0.2 {
		t.Errorf("%.2f bytes allocated for each that was written, want next to none", perByte)
	}
}

// TestHugeTailBufferIsLetGo: one huge block does not stay in memory.
func TestHugeTailBufferIsLetGo(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t), SegmentSize: 64 << 10, Compression: "none"})
	c := l.NewChunk()
	for range 20 {
		e := event(1)
		e.Body = make([]byte, 512<<10)
		c.Add(e)
	}
	cm, err := l.Append(context.Background(), c)
	if err == nil {
		_, _, err = cm.Wait(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil { // the committer has come to its end
		t.Fatal(err)
	}
	if n := cap(*tailBuffers.of(l.tw, 0)); n > 0 {
		t.Errorf("a buffer of %d bytes was kept", n)
	}
}
