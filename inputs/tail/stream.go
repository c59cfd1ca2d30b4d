package tail

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packing is how a file is compressed.
type packing uint8

const (
	plain packing = iota
	gzipped
	zstandard
)

// packingOf goes by the name: the bytes may not be there yet.
func packingOf(path string) packing {
	switch {
	case strings.HasSuffix(path, ".gz"):
		return gzipped
	case strings.HasSuffix(path, ".zst"):
		return zstandard
	}
	return plain
}

// maxWindow bounds the memory that a zstd file can ask for.
const maxWindow = 32 << 20

// A stream gives random access, forwards cheaply, to the plain text of a
// compressed file. Positions count plain bytes. Going back starts over.
type stream struct {
	file io.ReaderAt
	pack packing

	in    *counter // what was read of the file
	plain io.Reader
	end   func()
	base  int64  // position of kept[0]
	kept  []byte // read but perhaps still wanted
	err   error  // what the decoder ended with
}

func newStream(file io.ReaderAt, pack packing) *stream {
	s := &stream{file: file, pack: pack}
	s.rewind()
	return s
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (s *stream) rewind() {
	s.close()
	s.base, s.kept, s.plain, s.err = 0, s.kept[:0], nil, nil
	s.in = &counter{r: io.NewSectionReader(s.file, 0, 1<<62)}
}

// start makes the decoder; it fails on an empty or foreign file.
func (s *stream) start() error {
	in := bufio.NewReaderSize(s.in, 64<<10)
	if s.pack == zstandard {
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return err
		}
		s.plain, s.end = d, d.Close
		return nil
	}
	d, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	s.plain = d
	return nil
}

// errUnfinished says that the compressed file ends in the middle.
var errUnfinished = errors.New("the compressed file ends in the middle")

// readAt reads plain text from off on. io.EOF comes with the proper end.
func (s *stream) readAt(buf []byte, off int64) (int, error) {
	if off < s.base {
		s.rewind()
	}
	for s.err == nil && s.base+int64(len(s.kept)) < off+int64(len(buf)) {
		s.drop(off)
		s.more(off + int64(len(buf)) - s.base - int64(len(s.kept)))
	}
	s.drop(off)
	if s.base < off {
		return 0, s.err
	}
	n := copy(buf, s.kept)
	if n < len(buf) {
		return n, s.err
	}
	return n, nil
}

// drop forgets what is before off.
func (s *stream) drop(off int64) {
	n := min(off-s.base, int64(len(s.kept)))
	if n > 0 {
		s.kept = s.kept[:copy(s.kept, s.kept[n:])]
		s.base += n
	}
}

// more decodes up to n bytes, in pieces.
func (s *stream) more(n int64) {
	if s.plain == nil {
		if s.err = s.start(); s.err != nil {
			s.err = s.fault(s.err)
			return
		}
	}
	have := len(s.kept)
	want := int(min(n, blockSize))
	if cap(s.kept) < have+want {
		s.kept = append(make([]byte, 0, max(2*cap(s.kept), have+want)), s.kept...)
	}
	for target := have + want; len(s.kept) < target && s.err == nil; {
		n, err := s.plain.Read(s.kept[len(s.kept):target])
		s.kept = s.kept[:len(s.kept)+n]
		if err == io.EOF {
			s.err = io.EOF
		} else if err != nil {
			s.err = s.fault(err)
		}
	}
}

// fault tells an unfinished file from a damaged one.
func (s *stream) fault(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errUnfinished
	}
	return fmt.Errorf("decompress: %w", err)
}

func (s *stream) close() {
	if s.end != nil {
		s.end()
		s.end = nil
	}
}
