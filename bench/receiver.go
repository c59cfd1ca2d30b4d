package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
)

var targetNames = []string{"hec", "elastic", "syslog"}

// receiver is one SIEM as far as a benchmark needs it: it takes everything,
// counts, and answers as briefly as the protocol allows.
type receiver struct {
	target string
	addr   string // kept when it goes down and comes up again
	ledger *ledger

	mu    sync.Mutex // guards the rest
	l     net.Listener
	srv   *http.Server
	conns map[net.Conn]bool
}

func newReceiver(target string, l *ledger) *receiver {
	return &receiver{target: target, addr: "127.0.0.1:0", ledger: l, conns: map[net.Conn]bool{}}
}

// up starts to listen.
func (r *receiver) up() error {
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.l, r.addr = l, l.Addr().String()
	if r.target == "syslog" {
		go r.acceptFrames(l)
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) { answer(w, siemInfo) })
	mux.HandleFunc("/services/collector/health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, `{"text":"HEC is healthy","code":17}`)
	})
	mux.HandleFunc("/services/collector", r.hec)
	mux.HandleFunc("/services/collector/event", r.hec)
	mux.HandleFunc("/_bulk", r.bulk)
	mux.HandleFunc("/{index}/_bulk", r.bulk)
	r.srv = &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	go r.srv.Serve(l)
	return nil
}

// down stops listening and cuts every connection.
func (r *receiver) down() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.l.Close()
	if r.srv != nil {
		r.srv.Close()
	}
	for c := range r.conns {
		c.Close()
	}
}

const siemInfo = `{"name":"bench","cluster_name":"bench","version":{"number":"8.17.0","build_flavor":"default"},"tagline":"You Know, for Search"}`

func answer(w http.ResponseWriter, body string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Elastic-Product", "Elasticsearch")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	io.WriteString(w, body)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// body reads all of a request, unzipped. The buffer goes back to buffers.
func (r *receiver) body(req *http.Request) (*bytes.Buffer, error) {
	b := buffers.Get().(*bytes.Buffer)
	b.Reset()
	from := io.Reader(req.Body)
	if req.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(req.Body)
		if err != nil {
			return b, err
		}
		from = z
	}
	_, err := b.ReadFrom(from)
	r.ledger.wire.Add(max(req.ContentLength, 0))
	return b, err
}

func (r *receiver) hec(w http.ResponseWriter, req *http.Request) {
	b, err := r.body(req)
	defer buffers.Put(b)
	if err != nil || b.Len() == 0 {
		http.Error(w, `{"text":"No data","code":5}`, http.StatusBadRequest)
		return
	}
	r.ledger.take(b.Bytes(), -1)
	answer(w, `{"text":"Success","code":0}`)
}

// bulk answers one item for each action, all of them created.
func (r *receiver) bulk(w http.ResponseWriter, req *http.Request) {
	b, err := r.body(req)
	defer buffers.Put(b)
	if err != nil {
		http.Error(w, `{"error":{"type":"parse_exception"},"status":400}`, http.StatusBadRequest)
		return
	}
	r.ledger.take(b.Bytes(), -1)
	lines := bytes.Count(b.Bytes(), []byte("\n"))
	out := make([]byte, 0, 64+lines*16)
	out = append(out, `{"took":1,"errors":false,"items":[`...)
	for i := range lines / 2 {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"create":{"status":201}}`...)
	}
	answer(w, string(append(out, "]}"...)))
}

// acceptFrames takes syslog connections, by RFC 6587.
func (r *receiver) acceptFrames(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns[c] = true
		r.mu.Unlock()
		go func() {
			r.frames(c)
			c.Close()
			r.mu.Lock()
			delete(r.conns, c)
			r.mu.Unlock()
		}()
	}
}

// frames counts what one connection brings. Ids can be counted without
// telling the frames apart.
func (r *receiver) frames(c net.Conn) {
	buf := make([]byte, 1<<20)
	kept, before := 0, -1
	for {
		n, err := c.Read(buf[kept:])
		if err != nil {
			return
		}
		r.ledger.wire.Add(int64(n))
		all := buf[:kept+n]
		end := whole(all)
		before = r.ledger.take(all[:end], before)
		kept = copy(buf, all[end:])
	}
}
