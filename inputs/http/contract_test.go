package http

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

func TestContract(t *testing.T) {
	plugintest.RunInput(t, plugintest.InputTest[*testing.T]{
		Acknowledges: true,
		Build: func(t *testing.T) (agent.Input, func(context.Context, [][]byte) error) {
			c := defaults
			c.Listen = "127.0.0.1:0"
			c.FullWait = agent.Duration(20 * time.Millisecond)
			in, err := New(c, plugintest.Env("input", "ingest"))
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			return in, func(ctx context.Context, lines [][]byte) error {
				req, err := http.NewRequestWithContext(ctx, "POST", "http://"+in.Addr().String()+"/v1/events", bytes.NewReader(bytes.Join(lines, []byte("\n"))))
				if err != nil {
					return err
				}
				resp, err := client.Do(req)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err == nil && resp.StatusCode != 200 {
					return fmt.Errorf("%d %s", resp.StatusCode, text)
				}
				return err
			}
		},
	})
}
