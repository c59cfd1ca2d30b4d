// Floor is the least that any agent has to do: read, compress, write, fsync,
// post. It checks nothing, knows no events, has no log to speak of and loses
// its place when it ends. How near an agent comes to it is a figure that does
// not depend on the machine.
//
//	floor INPUT LOG URL [PACE]
//
// With a pace it goes on looking for more, that far apart.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/klauspost/compress/s2"
)

const block = 1 << 20

func main() {
	pace := time.Duration(0)
	if len(os.Args) > 4 {
		pace, _ = time.ParseDuration(os.Args[4])
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], pace); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(input, path, url string, pace time.Duration) error {
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
		if err := keep(in, log, pace, durable); err != nil {
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
func keep(in io.Reader, log *os.File, pace time.Duration, durable chan<- []byte) error {
	var rest, packed []byte
	var ring [4][]byte // one is posted, two wait, one is filled
	for i := 0; ; i++ {
		if i < len(ring) {
			ring[i] = make([]byte, block)
		}
		b := ring[i%len(ring)]
		kept := copy(b, rest)
		n, err := io.ReadFull(in, b[kept:])
		b = b[:kept+n]
		end := bytes.LastIndexByte(b, '\n') + 1
		b, rest = b[:end], b[end:]
		if end > 0 {
			packed = s2.Encode(packed[:cap(packed)], b)
			if _, err := log.Write(packed); err != nil {
				return err
			}
			if err := log.Sync(); err != nil {
				return err
			}
			durable <- b
		}
		if err != nil && pace == 0 {
			return nil
		} else if err != nil {
			time.Sleep(pace)
		}
	}
}
