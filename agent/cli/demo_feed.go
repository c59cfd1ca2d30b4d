package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// demoFeed is an app: it appends events to a file that it rotates, and posts
// every fifth one over HTTP instead.
type demoFeed struct {
	path, url string
	rate      int
	gen       *plugintest.Generator
	made      atomic.Int64 // events that siemd has to account for
}

func newDemoFeed(path, url string, rate int) *demoFeed {
	gen := plugintest.NewGenerator(1)
	gen.Start = time.Now()
	return &demoFeed{path: path, url: url, rate: max(rate, 20), gen: gen}
}

const (
	feedTick   = 50 * time.Millisecond
	feedRotate = 3 * time.Second
)

func (f *demoFeed) run(ctx context.Context) error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { file.Close() }()
	tick := time.NewTicker(feedTick)
	defer tick.Stop()
	began, rotated := time.Now(), time.Now()
	var toFile, toHTTP []byte
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		toFile, toHTTP = toFile[:0], toHTTP[:0]
		due := int64(time.Since(began).Seconds() * float64(f.rate))
		var filed, posted int64
		for ; f.gen.Count() < due; n++ {
			if n%5 == 0 {
				toHTTP = f.gen.Append(toHTTP)
				posted++
			} else {
				toFile = f.gen.Append(toFile)
				filed++
			}
		}
		if _, err := file.Write(toFile); err != nil {
			return err
		}
		f.made.Add(filed)
		if posted > 0 {
			if err := post(ctx, f.url, toHTTP); err != nil {
				return err
			}
			f.made.Add(posted)
		}
		if time.Since(rotated) > feedRotate {
			rotated = time.Now()
			if err := os.Rename(f.path, f.path+".1"); err != nil {
				return err
			}
			old := file
			if file, err = os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
				return err
			}
			old.Close()
		}
	}
}

// post sends NDJSON, even if the demo is just ending: what was made is to be delivered.
func post(ctx context.Context, url string, body []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent answered %s: %s", resp.Status, answer)
	}
	return nil
}
