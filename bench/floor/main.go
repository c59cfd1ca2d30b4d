// Floor is the least that any agent has to do: read, compress, write, fsync,
// post. It checks nothing, knows no events, has no log to speak of and loses
// its place when it ends. How near an agent comes to it is a figure that does
// not depend on the machine.
//
//	floor INPUT LOG URL
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/klauspost/compress/s2"
)

const block = 1 << 20

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(input, path, url string) error {
	in, err := os.Open(input)
	if err != nil {
		return err
	}
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	durable := make(chan []byte, 2)
	failed := make(chan error, 1)
	go func() {
		defer close(durable)
		if err := keep(in, log, durable); err != nil {
			failed <- err
		}
	}()
	for b := range durable {
		resp, err := http.Post(url, "application/json", bytes.NewReader(b))
		if err != nil {
			return err
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// keep reads whole lines, about a block at a time, makes them durable and passes them on.
func keep(in io.Reader, log *os.File, durable chan<- []byte) error {
	var rest []byte
	for {
		b := make([]byte, block)
		kept := copy(b, rest)
		n, err := io.ReadFull(in, b[kept:])
		b = b[:kept+n]
		end := bytes.LastIndexByte(b, '\n') + 1
		if end == 0 {
			return nil
		}
		b, rest = b[:end], b[end:]
		if _, err := log.Write(s2.Encode(nil, b)); err != nil {
			return err
		}
		if err := log.Sync(); err != nil {
			return err
		}
		durable <- b
		if err != nil {
			return nil
		}
	}
}
