package httpx

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// writes is a connection that notes what it is given.
type writes struct {
	net.Conn
	got [][]byte
}

func (w *writes) Write(p []byte) (int, error) {
	w.got = append(w.got, p)
	return len(p), nil
}

func TestBodiesAreNotCopied(t *testing.T) {
	src := &source{data: bytes.Repeat([]byte("0123456789abcdef"), 1<<16)}
	body, _ := src.reader()
	w := &writes{}
	n, err := sender{w}.ReadFrom(io.LimitReader(body, int64(len(src.data))))
	if err != nil || n != int64(len(src.data)) || len(w.got) != 1 || &w.got[0][0] != &src.data[0] {
		t.Fatalf("%d bytes, %v, in %d writes", n, err, len(w.got))
	}
}

// What is no body of ours, or is to be sent in part, is copied as usual.
func TestOtherBodiesAreCopied(t *testing.T) {
	src := &source{data: []byte("0123456789")}
	body, _ := src.reader()
	for name, r := range map[string]io.Reader{
		"a part":        io.LimitReader(body, 4),
		"a buffer":      io.LimitReader(bytes.NewBufferString("0123"), 4),
		"without limit": bytes.NewBufferString("0123"),
	} {
		w := &writes{}
		n, err := sender{w}.ReadFrom(r)
		if err != nil || n != 4 || string(bytes.Join(w.got, nil)) != "0123" {
			t.Errorf("%s: %d bytes, %v: %q", name, n, err, w.got)
		}
	}
}
