package wal

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/s2"
)

// BenchmarkFloor is what cannot go: each part of the work alone, on the events of
// BenchmarkAppend. An op is one event. chunk fills chunks of 250, s2 compresses and crc checks them;
// commit and block write and fsync what is stored of one chunk and of nine; un-s2
// decompresses a block of nine, un-s2-in-cache one chunk.
func BenchmarkFloor(b *testing.B) {
	const per = 250
	events := benchEvents(130 * per)
	l := new(Log)
	chunk := func(n int) *Chunk {
		c := l.NewChunk()
		for i := range per {
			c.Add(&events[n%130*per+i])
		}
		return c
	}
	var raws, stored [][]byte
	for n := range 130 {
		c := chunk(n)
		raw := slices.Clone(c.buf.b[maxRunHeader:])
		c.recycle()
		raws, stored = append(raws, raw), append(stored, s2.Encode(nil, raw))
	}
	const full = 9 // chunks in a block
	block, whole := slices.Concat(stored[:full]...), s2.Encode(nil, slices.Concat(raws[:full]...))
	scratch := make([]byte, s2.MaxEncodedLen(blockSize))
	part := func(name string, chunks int, f func(n int)) {
		b.Run(name, func(b *testing.B) {
			n := 0
			before := cpuTime()
			for ; n*chunks*per < b.N; n++ {
				f(n)
			}
			b.ReportMetric((cpuTime()-before).Seconds()*1e6/float64(n*chunks*per), "cpu-µs/event")
		})
	}
	write := func(name string, chunks int, data []byte) {
		f, err := os.Create(filepath.Join(b.TempDir(), name))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		part(name, chunks, func(int) {
			_, err := f.Write(data)
			if err == nil {
				err = f.Sync()
			}
			if err != nil {
				b.Fatal(err)
			}
		})
	}
	part("chunk", 1, func(n int) { chunk(n).recycle() })
	part("s2", 1, func(n int) { s2.Encode(scratch, raws[n%130]) })
	part("crc", 1, func(n int) { checksum(stored[n%130]) })
	write("commit", 1, stored[0])
	write("block", full, block)
	part("un-s2", full, func(int) { s2.Decode(scratch, whole) })
	part("un-s2-in-cache", 1, func(n int) { s2.Decode(scratch, stored[n%130]) })
}
