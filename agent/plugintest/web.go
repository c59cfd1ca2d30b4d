package plugintest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// site is what differs between the mocks that speak HTTP.
type site interface {
	// answer deals with one request; body is unzipped, and the caller's. problem says
	// what was wrong with the body, if it could not be read.
	answer(req *http.Request, body []byte, problem error) reply
	// failure is what the SIEM says along with a status.
	failure(status int) reply
}

// reply is an answer before it is sent.
type reply struct {
	status int
	body   []byte
	header map[string]string
}

var (
	errTooLarge = errors.New("the body is too large")
	errEncoding = errors.New("unknown content encoding")
	errUnzip    = errors.New("the body is not gzip")
)

// web serves a site, with its faults.
type web struct {
	r    *Receiver
	site site

	srv  *http.Server
	quit chan struct{} // closed when hanging requests shall end
	done sync.WaitGroup
}

func newWeb(r *Receiver, s site) *web { return &web{r: r, site: s} }

func (s *web) listen(addr string) (string, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	at := ln.Addr().String()
	ln = gate{ln, s.r}
	if s.r.opts.TLSConfig != nil {
		ln = tls.NewListener(ln, s.r.opts.TLSConfig)
	}
	quit := make(chan struct{})
	s.quit = quit
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { s.serve(w, req, quit) })
	s.srv = &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 30 * time.Second}
	srv := s.srv
	s.done.Go(func() { srv.Serve(ln) })
	return at, nil
}

func (s *web) shut(ctx context.Context) {
	close(s.quit)
	if s.srv.Shutdown(ctx) != nil {
		s.srv.Close()
	}
	s.done.Wait()
}

func (s *web) serve(w http.ResponseWriter, req *http.Request, quit <-chan struct{}) {
	buf := bodies.Get().(*bytes.Buffer)
	buf.Reset()
	defer bodies.Put(buf)
	problem := readBody(buf, w, req, s.r.opts.MaxBody)
	if problem != nil && !errors.Is(problem, errTooLarge) && !errors.Is(problem, errEncoding) && !errors.Is(problem, errUnzip) {
		panic(http.ErrAbortHandler) // the client is gone; nothing is taken
	}
	body := buf.Bytes()
	s.r.ledger.bytes.Add(int64(len(body)))

	hit, delay := s.r.faults.strike(body)
	if req.Method == http.MethodOptions {
		hit = nil
	}
	if delay > 0 {
		wait(req.Context(), quit, delay)
	}
	if hit == nil {
		send(w, s.site.answer(req, body, problem))
		return
	}
	switch hit.kind {
	case "reset_before":
		drop(w)
		return
	case "hang":
		if hit.taken {
			s.site.answer(req, body, problem)
		}
		wait(req.Context(), quit, time.Hour)
		drop(w)
		return
	case "reset_after":
		s.site.answer(req, body, problem)
		drop(w)
		return
	}
	// An answer that says no takes nothing, unless it lies; the others do, for the client is told that all is well.
	good := reply{status: http.StatusOK, body: []byte(`{}`)}
	yes := hit.kind == "short" || hit.kind == "hec" && hecAnswers[hit.code].status == http.StatusOK
	if yes || hit.taken {
		good = s.site.answer(req, body, problem)
	}
	a := s.spoiled(hit, good)
	if hit.retryAfter != "" {
		a.header = map[string]string{"Retry-After": hit.retryAfter}
	}
	switch hit.kind {
	case "short":
		sendShort(w, a)
		return
	case "huge":
		sendHuge(w)
		return
	}
	send(w, a)
}

const loginPage = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form action=\"/login\">Please sign in to continue</form></body></html>\n"

// spoiled is what a fault makes of an answer.
func (s *web) spoiled(f *fault, good reply) reply {
	switch f.kind {
	case "status":
		return s.site.failure(f.code)
	case "hec":
		a := hecReply(f.code, -1, -1)
		if a.status == http.StatusOK && good.status != http.StatusOK {
			return good
		}
		return a
	case "html":
		return reply{status: http.StatusOK, body: []byte(loginPage), header: map[string]string{"Content-Type": "text/html"}}
	}
	return good
}

// wait lasts d, or until the client or the mock goes.
func wait(ctx context.Context, quit <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-quit:
	}
}

func send(w http.ResponseWriter, a reply) {
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	for k, v := range a.header {
		h.Set(k, v)
	}
	h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

// sendShort promises the whole answer and sends half of it.
func sendShort(w http.ResponseWriter, a reply) {
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	w.WriteHeader(a.status)
	w.Write(a.body[:len(a.body)/2])
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// sendHuge promises a GiB of nothing and sends as much as the client wants of it.
func sendHuge(w http.ResponseWriter) {
	const size = 1 << 30
	w.Header()["Content-Length"] = []string{strconv.Itoa(size)}
	w.WriteHeader(http.StatusOK)
	piece := bytes.Repeat([]byte(" "), 64<<10)
	for range size / len(piece) {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// drop cuts the connection without an answer.
func drop(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 resets the stream
	}
	cut(c)
}

var (
	bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	unzips = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

// readBody fills buf with the body, unzipped, of at most limit bytes.
func readBody(buf *bytes.Buffer, w http.ResponseWriter, req *http.Request, limit int64) error {
	raw := &failing{r: http.MaxBytesReader(w, req.Body, limit)}
	var in io.Reader = raw
	switch req.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		z := unzips.Get().(*gzip.Reader)
		defer unzips.Put(z)
		if err := z.Reset(in); err != nil {
			return raw.blame(errUnzip)
		}
		in = io.LimitReader(z, limit+1)
	default:
		io.Copy(io.Discard, in)
		return errEncoding
	}
	n, err := buf.ReadFrom(in)
	switch {
	case n > limit:
		return errTooLarge
	case err != nil:
		return raw.blame(errUnzip)
	}
	return nil
}

// failing remembers the error of the reader below, so that a client that went
// is told from one that sent rubbish.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

func (f *failing) blame(otherwise error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(f.err, &large):
		return errTooLarge
	case f.err != nil:
		return f.err
	}
	return otherwise
}
