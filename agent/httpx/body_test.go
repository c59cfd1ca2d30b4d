package httpx

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A receiver, or a gateway before it, that compresses its answers unasked is understood.
func TestAnswersMayBeCompressed(t *testing.T) {
	said := zip(t, `{"code":0}`)
	huge := zip(t, strings.Repeat("x", 4<<20))
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		switch r.URL.Path {
		case "/ok":
			w.Write(said)
		case "/refused":
			w.Header().Set("Content-Encoding", "X-GZIP")
			w.WriteHeader(http.StatusBadRequest)
			w.Write(said)
		case "/short":
			w.Write(said[:len(said)-4])
		case "/not":
			w.Write([]byte(`{"code":0}`))
		case "/huge":
			w.Write(huge)
		}
	})
	c := client(t, config(url), Options{})
	f := func(path string, status int, want string) {
		t.Helper()
		resp, err := c.Do(t.Context(), &Request{Path: path, Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Release()
		if resp.Status != status || string(resp.Body) != want {
			t.Errorf("%s: %d %q, want %d %q", path, resp.Status, resp.Body, status, want)
		}
	}
	f("/ok", 200, `{"code":0}`)
	f("/refused", 400, `{"code":0}`)
	f("/empty", 200, "")
	for _, path := range []string{"/short", "/not", "/huge"} {
		resp, err := c.Do(t.Context(), &Request{Path: path, Limit: 1 << 20})
		if err == nil {
			t.Errorf("%s: %d and %d bytes, want no answer", path, resp.Status, len(resp.Body))
			resp.Release()
		}
	}
}
