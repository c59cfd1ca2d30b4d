package httpx

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// buffers holds compressed bodies and answers.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// recycle keeps buf for another request, but not one that grew out of the ordinary.
func recycle(buf *bytes.Buffer) {
	if buf.Cap() <= 2<<20 {
		buf.Reset()
		buffers.Put(buf)
	}
}

var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is valid
	return w
}}

// deflate compresses data into a buffer that wants to be recycled.
func deflate(data []byte) *bytes.Buffer {
	buf := buffers.Get().(*bytes.Buffer)
	w := gzipWriters.Get().(*gzip.Writer)
	w.Reset(buf)
	// A bytes.Buffer takes everything.
	w.Write(data)
	w.Close()
	gzipWriters.Put(w)
	return buf
}

// A source is a request's body. The transport may open it more than once, and
// may read it beyond its own return if the answer came early: it promises only
// to close what it opened.
type source struct {
	data []byte
	open sync.WaitGroup
}

type reader struct {
	bytes.Reader
	once sync.Once
	src  *source
}

func (s *source) reader() (io.ReadCloser, error) {
	r := &reader{src: s}
	r.Reset(s.data)
	s.open.Add(1)
	return r, nil
}

func (r *reader) Close() error {
	r.once.Do(r.src.open.Done)
	return nil
}
