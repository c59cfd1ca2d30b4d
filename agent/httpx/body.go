package httpx

import (
	"bytes"
	"io"
	"net/http"
	"strings"
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

// An answer reads the body of resp, decompressed. Compressed answers are not
// asked for, but a receiver may take silence for consent.
type answer struct {
	resp *http.Response
	body io.Reader // nil before the first Read
}

func (a *answer) Read(p []byte) (int, error) {
	if a.body == nil {
		a.body = a.resp.Body
		switch strings.ToLower(a.resp.Header.Get("Content-Encoding")) {
		case "gzip", "x-gzip":
			plain, err := gzip.NewReader(a.resp.Body) // EOF if there is no body
			if err != nil {
				return 0, err
			}
			a.body = plain
		}
	}
	return a.body.Read(p)
}
