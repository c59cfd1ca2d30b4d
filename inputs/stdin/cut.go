package stdin

import (
	"bytes"
	"io"

	"github.com/adrian207/siemd/agent"
)

// A block is one read of the input and its lines, which point into it.
type block struct {
	data    []byte
	lines   [][]byte
	offsets []int64 // where each line began in the stream
	refused []agent.Refusal
}

// A cutter cuts a stream into lines. It keeps the part of a line that has not
// ended, up to limit bytes.
type cutter struct {
	limit    int
	rest     []byte
	offset   int64 // of rest in the stream
	skipping bool  // until the end of a line that was too long
}

// fill reads until a line has ended or become too long, which mostly is one
// read, and puts the lines into b. At the end of the input, and when reading stops, what is left
// is a line too, unless it goes on: if it is half of one, intake keeps it with the refused lines.
// The error is the reader's.
func (c *cutter) fill(b *block, in io.Reader, goesOn func() bool) (err error) {
	if cap(b.data) < len(c.rest)+blockSize || cap(b.data) > len(c.rest)+4*blockSize {
		b.data = make([]byte, 0, len(c.rest)+blockSize)
	}
	b.data = append(b.data[:0], c.rest...)
	for {
		have := len(b.data)
		if cap(b.data)-have < blockSize/2 {
			b.data = append(make([]byte, 0, 2*cap(b.data)), b.data...)
		}
		var n int
		n, err = in.Read(b.data[have:cap(b.data)])
		b.data = b.data[:have+n]
		if err != nil || c.skipping || len(b.data) > c.limit || bytes.IndexByte(b.data[have:], '\n') >= 0 {
			break
		}
	}
	c.rest = c.cut(b, err != nil && !goesOn())
	return err
}

// cut takes the lines from b.data and returns a copy of what is left.
func (c *cutter) cut(b *block, end bool) []byte {
	b.lines, b.offsets, b.refused = b.lines[:0], b.offsets[:0], b.refused[:0]
	text := b.data
	for len(text) > 0 {
		at := bytes.IndexByte(text, '\n')
		line, next := text, []byte(nil)
		if at >= 0 {
			line, next = text[:at], text[at+1:]
		}
		switch {
		case c.skipping:
			c.skipping = at < 0
		case len(line) > c.limit:
			b.refused = append(b.refused, agent.Refusal{
				Text: line[:c.limit], Offset: c.offset, Reason: agent.ReasonTooLong,
				Detail: "the line is longer than max_line; this is its beginning",
			})
			c.skipping = at < 0
		case at < 0 && !end:
			return bytes.Clone(line)
		default:
			if c.offset == 0 {
				line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
			}
			if len(line) > 0 {
				b.lines, b.offsets = append(b.lines, line), append(b.offsets, c.offset)
			}
		}
		c.offset += int64(len(text) - len(next))
		text = next
	}
	return nil
}
