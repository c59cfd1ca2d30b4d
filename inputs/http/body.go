package http

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// What can be wrong with a body before anybody looks into it.
var (
	errTooLarge    = errors.New("the body is too large")
	errRatio       = errors.New("the body is compressed beyond reason")
	errEncoding    = errors.New("the content encoding is unknown: want gzip or zstd")
	errUnpack      = errors.New("the body is not what its content encoding says")
	errInterrupted = errors.New("the body broke off")
	errSlow        = errors.New("the body came too slowly")
	errBusy        = errors.New("too many requests are under way")
)

// grace is how long a body may come at any rate.
const grace = 5 * time.Second

// A work is what one request needs, reused by the next one.
type work struct {
	body    []byte
	items   [][]byte
	arena   []byte  // texts of events that are built, not found
	offsets []int64 // of the items in the body, if they are known: there a refused one was
	split   splitter

	envelope envelope

	held int64 // bytes of body that count as in flight
}

// offset is where part, a piece of the body, begins in it: pieces reach, by
// capacity, as far as the body does.
func (w *work) offset(part []byte) int64 { return int64(cap(w.body) - cap(part)) }

var works = sync.Pool{New: func() any { return new(work) }}

// keepBody is the largest body whose memory is kept for the next request.
const keepBody = 4 << 20

// done gives w back. Nothing of it may be used afterwards.
func (in *Input) done(w *work) {
	in.inFlight.Add(-w.held)
	w.held = 0
	if cap(w.body) > keepBody || cap(w.arena) > 2*keepBody || cap(w.items) > keepBody/64 {
		return // it goes to the garbage
	}
	clear(w.items)
	w.body, w.items, w.arena, w.offsets = w.body[:0], w.items[:0], w.arena[:0], w.offsets[:0]
	works.Put(w)
}

// read fills w with the whole body, unpacked.
func (in *Input) read(w *work, rw http.ResponseWriter, req *http.Request) error {
	limit := int64(in.config.MaxBody)
	if req.ContentLength > limit {
		return errTooLarge
	}
	wire := &wire{r: req.Body, ctl: http.NewResponseController(rw), limit: limit, rate: int64(in.config.MinRate), start: time.Now(), most: in.config.ReadTimeout.D()}
	err := in.unpack(w, req, wire)
	if err == nil {
		// The deadlines of the body must not strike while its events are on their way to the disk.
		wire.ctl.SetReadDeadline(time.Time{})
		return nil
	}
	// The server reads what is left of the body before it looks at the next
	// request: it shall not wait for it.
	wire.ctl.SetReadDeadline(time.Now().Add(leftover))
	return err
}

// leftover is how long the rest of a refused body is read, so that the client
// sees the answer rather than a broken connection.
const leftover = time.Second

func (in *Input) unpack(w *work, req *http.Request, wire *wire) error {
	hint := req.ContentLength
	var from io.Reader = wire
	switch encoding := strings.ToLower(strings.TrimSpace(req.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		z := gzips.Get().(*gzip.Reader)
		defer gzips.Put(z)
		if err := z.Reset(wire); err != nil {
			return wire.blame(err)
		}
		from, hint = z, 4*hint
	case "zstd":
		if strings.HasPrefix(req.URL.Path, "/services/collector") {
			return errEncoding // as Splunk, which unpacks gzip alone
		}
		z := zstds.Get().(*zstd.Decoder)
		defer func() { z.Reset(nil); zstds.Put(z) }()
		if err := z.Reset(wire); err != nil {
			return wire.blame(err)
		}
		from, hint = z, 4*hint
	default:
		return errEncoding
	}
	return in.fill(w, from, wire, hint)
}

// fill reads from until its end into w.body, which grows as data arrives: what
// a header promises costs nobody memory.
func (in *Input) fill(w *work, from io.Reader, wire *wire, hint int64) error {
	limit := int64(in.config.MaxBody)
	if err := in.hold(w, min(max(hint+1, 4<<10), limit+1, 256<<10)); err != nil {
		return err
	}
	for {
		if int64(len(w.body)) == w.held {
			if err := in.hold(w, min(2*w.held, limit+1)); err != nil {
				return err
			}
		}
		n, err := from.Read(w.body[len(w.body):w.held])
		w.body = w.body[:len(w.body)+n]
		switch size := int64(len(w.body)); {
		case size > limit:
			return errTooLarge
		case size > 1<<20 && size/int64(in.config.MaxRatio) > wire.n.Load():
			return errRatio
		case err == io.EOF:
			return nil
		case err != nil:
			return wire.blame(err)
		}
	}
}

// hold makes room for size bytes in w.body, if there is some left for all.
func (in *Input) hold(w *work, size int64) error {
	if in.inFlight.Add(size-w.held) > int64(in.config.MaxInFlight) {
		in.inFlight.Add(w.held - size)
		return errBusy
	}
	w.held = size
	if size > int64(cap(w.body)) {
		grown := make([]byte, len(w.body), size)
		copy(grown, w.body)
		w.body = grown
	}
	return nil
}

var (
	gzips = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zstds = sync.Pool{New: func() any {
		// One goroutine and 8 MiB of window: what every level up to 19 needs.
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			panic(err) // the options are wrong
		}
		return z
	}}
)

// wire reads the body as it comes. It gives a slow client a deadline, and
// remembers what went wrong below the decompressor.
type wire struct {
	r     io.Reader
	ctl   *http.ResponseController
	limit int64 // bytes
	rate  int64 // bytes a second
	start time.Time
	most  time.Duration
	n     atomic.Int64 // bytes read; the decompressor may read from another goroutine
	err   error
}

func (w *wire) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	// Without deadlines, as in a test's recorder, the body is just read.
	w.ctl.SetReadDeadline(w.start.Add(w.due()))
	n, err := w.r.Read(p)
	if w.n.Add(int64(n)) > w.limit {
		w.err = errTooLarge
		return n, w.err
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.err = errSlow
	case err != nil && err != io.EOF:
		w.err = errInterrupted
	default:
		return n, err
	}
	return n, w.err
}

// due is how long after the start the next byte must come.
func (w *wire) due() time.Duration {
	if w.rate == 0 {
		return w.most
	}
	earned := float64(w.n.Load()) / float64(w.rate) * float64(time.Second)
	return min(w.most, grace+time.Duration(min(earned, float64(time.Hour))))
}

// blame finds the cause of a decompressor's error.
func (w *wire) blame(err error) error {
	switch {
	case w.err != nil:
		return w.err
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return errTooLarge
	}
	return errUnpack
}
