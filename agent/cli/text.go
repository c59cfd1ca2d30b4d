package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// short is text in at most n characters on one line, safe for a terminal.
func short(text string, n int) string {
	r := []rune(visible([]byte(text)))
	if len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return string(r)
}

func containsFold(text, part string) bool {
	return part == "" || strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// results is standard output. It remembers that something could not be written,
// so that no command has to look after each line of what it prints.
type results struct {
	w io.Writer

	mu  sync.Mutex // guards err: some commands print from more than one goroutine
	err error      // the first one
}

func (r *results) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err == nil {
			r.err = err
		}
	}
	return n, err
}

// failure is why something could not be written; nil if all was.
func (r *results) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// fileOf is the file behind a standard stream, which may be a terminal.
func fileOf(stream any) (*os.File, bool) {
	if r, ok := stream.(*results); ok {
		stream = r.w
	}
	f, ok := stream.(*os.File)
	return f, ok
}

// progressAfter is how long a command may be silent.
const progressAfter = time.Second

// progress tells on w how things stand, once a second, of what takes longer
// than that, until stop is called. On a terminal each line replaces the last.
func progress(w io.Writer, say func() string) (stop func()) {
	f, ok := fileOf(w)
	live := ok && term.IsTerminal(int(f.Fd()))
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(progressAfter)
		defer tick.Stop()
		began := time.Now()
		told := false
		for {
			select {
			case <-quit:
				if told && live {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			case now := <-tick.C:
				told = true
				line := fmt.Sprintf("siemd: %s, %s", say(), now.Sub(began).Round(time.Second))
				if live {
					fmt.Fprintf(w, "\r\x1b[K%s", line)
				} else {
					fmt.Fprintln(w, line)
				}
			}
		}
	}()
	return func() { close(quit); <-done }
}

// busy does f and says what it is about if it takes long.
func busy(std streams, what string, f func() error) error {
	stop := progress(std.err, func() string { return what })
	defer stop()
	return f()
}
