package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// newGenerator makes events whose ids the ledger knows, about 400 bytes each.
func newGenerator() *plugintest.Generator {
	g := plugintest.NewGenerator(1)
	g.Prefix = idPrefix[:len(idPrefix)-1]
	g.Start = time.Now()
	g.Step = time.Microsecond
	return g
}

// bulkFile returns a file of n events in dir, written once and used by all trials.
func bulkFile(dir string, n int) (string, error) {
	path := filepath.Join(dir, "bulk-"+strconv.Itoa(n)+".jsonl")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.CreateTemp(dir, "bulk-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	w := bufio.NewWriterSize(f, 1<<20)
	g := newGenerator()
	var line []byte
	for range n {
		line = g.Append(line[:0])
		if _, err := w.Write(line); err != nil {
			return "", err
		}
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(f.Name(), path)
}

// steady appends n events to a file at a rate, in steps of two milliseconds,
// and notes when each was written.
func steady(path string, n, rate int, sent []int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	g := newGenerator()
	begin := time.Now()
	var b []byte
	for done := 0; done < n; {
		now := time.Now()
		due := min(n, int(now.Sub(begin).Seconds()*float64(rate))+1)
		if due == done {
			time.Sleep(2 * time.Millisecond)
			continue
		}
		b = b[:0]
		for ; done < due; done++ {
			atomic.StoreInt64(&sent[done], now.UnixNano())
			b = g.Append(b)
		}
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return nil
}
