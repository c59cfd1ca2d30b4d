package tail

import (
	"bytes"

	"github.com/adrian207/siemd/agent"
)

// blockSize is how much of a file is read in one turn.
const blockSize = 256 << 10

// maxLines bounds the lines of one batch: a file of newlines must not cost
// thirty times its size.
const maxLines = 16 << 10

// A cut is a block cut into lines. Its slices point into the block.
type cut struct {
	lines   [][]byte
	offsets []int64
	refused []agent.Refusal
}

func (c *cut) reset() {
	c.lines, c.offsets, c.refused = c.lines[:0], c.offsets[:0], c.refused[:0]
}

// split cuts block, which begins at offset base of its file, into lines. It
// says how much of block it used up; the rest is a line that has not ended.
// If final, the end of block ends it. Of a line longer than limit the
// beginning is refused, and skipping says that its end has not been seen;
// given back in the next call, the line is skipped to its end.
func (c *cut) split(block []byte, base int64, limit int, skipping, final bool) (used int, skip bool) {
	for len(c.lines)+len(c.refused) < maxLines {
		rest := block[used:]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			switch {
			case skipping:
				return len(block), !final
			case len(rest) > limit:
				c.refuse(rest[:limit], base+int64(used))
				return len(block), !final
			case final:
				c.add(rest, base+int64(used))
				return len(block), false
			}
			return used, false
		}
		switch {
		case skipping:
			skipping = false
		case end > limit:
			c.refuse(rest[:limit], base+int64(used))
		default:
			c.add(rest[:end], base+int64(used))
		}
		used += end + 1
	}
	return used, skipping
}

var bom = []byte("\xef\xbb\xbf")

func (c *cut) add(line []byte, offset int64) {
	if offset == 0 && bytes.HasPrefix(line, bom) {
		line, offset = line[len(bom):], int64(len(bom))
	}
	if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
		return
	}
	c.lines = append(c.lines, line)
	c.offsets = append(c.offsets, offset)
}

func (c *cut) refuse(prefix []byte, offset int64) {
	c.refused = append(c.refused, agent.Refusal{
		Text: prefix, Offset: offset, Reason: agent.ReasonTooLong,
		Detail: "the line is longer than max_line; this is its beginning",
	})
}
