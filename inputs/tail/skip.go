package tail

import (
	"io"

	"github.com/cespare/xxhash/v2"
)

// skipToEnd sets f to the end of its last complete line.
func (r *run) skipToEnd(f *file) {
	if f.compressed() || r.ensureOpen(f) != nil {
		return
	}
	i, err := r.t.stat.file(f.fd)
	if err != nil || i.size == 0 {
		return
	}
	end := i.size
	buf := make([]byte, min(end, int64(r.t.config.MaxLine)+1))
	n, err := f.readAt(buf, end-int64(len(buf)))
	if err != nil || n < len(buf) {
		r.trouble(f, io.ErrUnexpectedEOF)
		return
	}
	skipping := false
	if at := lastNewline(buf); at >= 0 {
		end -= int64(len(buf) - at - 1)
	} else if int64(len(buf)) == end {
		end = 0 // one line that has not ended
	} else {
		skipping = true
	}
	if f.print, err = f.printUpTo(end); err != nil {
		r.trouble(f, err)
		return
	}
	f.skipping, f.marked, f.at = skipping, true, f.copiesTo
	f.acked = f.offset
	begin := f.state
	f.begin = &begin
	r.saveState(f)
}

func lastNewline(b []byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == '\n' {
			return i
		}
	}
	return -1
}

// printUpTo is the print of f's text before end.
func (f *file) printUpTo(end int64) (p print, err error) {
	head := make([]byte, min(end, window))
	if n, err := f.readAt(head, 0); n < len(head) {
		return p, noEOF(err)
	}
	p.offset, p.headLen, p.head = end, len(head), growHead(fnvBasis, head)
	tail := make([]byte, len(head))
	if n, err := f.readAt(tail, end-int64(len(tail))); n < len(tail) {
		return p, noEOF(err)
	}
	p.tailLen, p.tail = len(tail), xxhash.Sum64(tail)
	return p, nil
}

func noEOF(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
