package httpx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

func TestByteOrderMarkIsNoPartOfAnAnswer(t *testing.T) {
	for body, want := range map[string]string{
		"\ufeff{}": "{}", "\ufeff": "", "{}": "{}", "{\ufeff}": "{\ufeff}", "\ufeff\ufeff{}": "\ufeff{}",
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		resp, err := client(t, config(url), Options{}).Do(context.Background(), &Request{Body: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(resp.Body); got != want {
			t.Errorf("the body of %q = %q, want %q", body, got, want)
		}
		resp.Release()
	}
}

// The body of such an answer is the connection, and has no end.
func TestSwitchedProtocolsHaveNoBody(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nhello")
		rw.Flush()
		<-done
	})
	c := client(t, config(url), Options{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answered := make(chan *Response, 1)
	go func() {
		resp, err := c.Do(ctx, &Request{Body: []byte("{}")})
		if err != nil {
			t.Error(err)
		}
		answered <- resp
	}()
	select {
	case resp := <-answered:
		if resp == nil || resp.Status != http.StatusSwitchingProtocols || len(resp.Body) != 0 {
			t.Errorf("%+v", resp)
		}
	case <-time.After(10 * time.Second):
		t.Error("the answer is waited for as long as the server keeps the connection")
	}
}

func TestEndpointHints(t *testing.T) {
	for endpoint, want := range map[string]string{"unix:/run/siem.sock": "receiver's URL", "/run/siem.sock": "receiver's URL", "http://::1:8088": "brackets", "https://a b": "for example"} {
		err := config(endpoint).Validate()
		var ke *agent.KeyError
		if !errors.As(err, &ke) || ke.Key != "endpoint" || !strings.Contains(ke.Hint, want) {
			t.Errorf("%s: %+v, want a hint about %s", endpoint, err, want)
		}
	}
}

func TestTLSFixNamesTheFix(t *testing.T) {
	for want, err := range map[string]error{
		"min_version": &net.OpError{Op: "remote error", Err: errors.New("tls: protocol version not supported")},
		"plain text":  fmt.Errorf("handshake: %w", context.DeadlineExceeded),
		"cert_file":   &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")},
	} {
		if got := TLSFix(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want something about %s", err, got, want)
		}
	}
}
