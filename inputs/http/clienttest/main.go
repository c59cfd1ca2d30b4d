// Command clienttest sends documents with the official clients of
// Elasticsearch, as an application would. It is a module of its own so that
// their dependencies are none of siemd's; the tests of siemd build and run it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	elastic8 "github.com/elastic/go-elasticsearch/v8"
	bulk8 "github.com/elastic/go-elasticsearch/v8/esutil"
	elastic9 "github.com/elastic/go-elasticsearch/v9"
	bulk9 "github.com/elastic/go-elasticsearch/v9/esutil"
)

// A job is what to send, and how it went.
type job struct {
	url, token, prefix string
	count              int

	Flushed, Created, Failed uint64
	Version                  string // of the server
}

func main() {
	var j job
	client := flag.String("client", "8", "major version of the client, 8 or 9")
	flag.StringVar(&j.url, "url", "", "where to send")
	flag.StringVar(&j.token, "token", "", "password")
	flag.StringVar(&j.prefix, "prefix", "", "of the ids")
	flag.IntVar(&j.count, "count", 1000, "documents")
	flag.Parse()
	run := map[string]func(*job) error{"8": send8, "9": send9}[*client]
	if run == nil {
		log.Fatalf("there is no client %q", *client)
	}
	if err := run(&j); err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(j); err != nil {
		log.Fatal(err)
	}
}

// document is the n-th; every tenth has no id of its own.
func (j *job) document(n int) (id string, body []byte) {
	if n%10 != 0 {
		id = fmt.Sprintf("%s%d", j.prefix, n)
	}
	return id, fmt.Appendf(nil, `{"@timestamp":"2026-01-02T03:04:05Z","n":%d,"client":%q}`, n, j.prefix)
}

// The retries are the clients' own; only their pause is made short.
func backoff(int) time.Duration { return 100 * time.Millisecond }

var retryOn = []int{429, 502, 503, 504}

func send8(j *job) error {
	c, err := elastic8.NewClient(elastic8.Config{
		Addresses: []string{j.url}, Username: "app", Password: j.token, CompressRequestBody: true,
		RetryOnStatus: retryOn, MaxRetries: 50, RetryBackoff: backoff, EnableCompatibilityMode: true,
	})
	if err != nil {
		return err
	}
	info, err := c.Info()
	if err != nil {
		return err
	}
	defer info.Body.Close()
	if j.Version, err = version(info.Body); err != nil {
		return err
	}
	in, err := bulk8.NewBulkIndexer(bulk8.BulkIndexerConfig{Client: c, Index: "apps", NumWorkers: 2, FlushBytes: 16 << 10})
	if err != nil {
		return err
	}
	for n := range j.count {
		id, body := j.document(n)
		item := bulk8.BulkIndexerItem{Action: "create", DocumentID: id, Body: bytes.NewReader(body)}
		if err := in.Add(context.Background(), item); err != nil {
			return err
		}
	}
	err = in.Close(context.Background())
	s := in.Stats()
	j.Flushed, j.Created, j.Failed = s.NumFlushed, s.NumCreated, s.NumFailed
	return err
}

func send9(j *job) error {
	c, err := elastic9.NewClient(elastic9.Config{
		Addresses: []string{j.url}, Username: "app", Password: j.token,
		RetryOnStatus: retryOn, MaxRetries: 50, RetryBackoff: backoff,
	})
	if err != nil {
		return err
	}
	info, err := c.Info()
	if err != nil {
		return err
	}
	defer info.Body.Close()
	if j.Version, err = version(info.Body); err != nil {
		return err
	}
	in, err := bulk9.NewBulkIndexer(bulk9.BulkIndexerConfig{Client: c, Index: "apps", NumWorkers: 2, FlushBytes: 16 << 10})
	if err != nil {
		return err
	}
	for n := range j.count {
		id, body := j.document(n)
		item := bulk9.BulkIndexerItem{Action: "create", DocumentID: id, Body: bytes.NewReader(body)}
		if err := in.Add(context.Background(), item); err != nil {
			return err
		}
	}
	err = in.Close(context.Background())
	s := in.Stats()
	j.Flushed, j.Created, j.Failed = s.NumFlushed, s.NumCreated, s.NumFailed
	return err
}
