package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A stormWriter is an app in a process of its own that logs numbered lines to
// app.log, one system call each, and rotates.
type stormWriter struct {
	dir    string
	f      *os.File
	n, gen int
	rng    *rand.Rand
	owed   time.Time // when the next line is due
	agent  string    // its process
}

// stormRate is in lines a second, five hundred to a generation: one lives for a
// fortieth of a second.
const stormRate = 20_000

// A stormStyle is a way in which logs are rotated. It leaves w.f open for writing.
type stormStyle struct {
	name   string
	paths  string // what siemd reads
	keys   string // further keys of the input
	away   bool   // the agent may be down while it happens
	rotate func(w *stormWriter) error
}

var stormStyles = []stormStyle{
	{"rename", "app.log", "", true, func(w *stormWriter) error {
		old := w.f
		return errors.Join(os.Rename(w.name(), w.rotated()), w.lines(5), w.reopen(w.name()), w.lines(3), w.line(old), old.Close())
	}},
	{"rename-glob", "app.log*", "", true, func(w *stormWriter) error {
		for i := 3; i > 0; i-- { // app.log.3 becomes app.log.gone-N, so that every line stays
			to := fmt.Sprintf("%s.%d", w.name(), i+1)
			if i == 3 {
				to = fmt.Sprintf("%s.kept-%d", w.name(), w.gen)
			}
			if err := os.Rename(fmt.Sprintf("%s.%d", w.name(), i), to); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		old := w.f
		return errors.Join(os.Rename(w.name(), w.name()+".1"), w.lines(5), w.reopen(w.name()), old.Close())
	}},
	{"delete", "app.log", "", false, func(w *stormWriter) error {
		// What is created and deleted before the agent gets to run, nobody can read.
		for !w.opened() {
			if err := w.lines(20); err != nil {
				return err
			}
		}
		old := w.f
		return errors.Join(os.Remove(w.name()), w.lines(5), w.reopen(w.name()), old.Close())
	}},
	{"copytruncate", "app.log", "", true, func(w *stormWriter) error {
		return errors.Join(w.copyTo(w.rotated()), os.Truncate(w.name(), 0))
	}},
	{"copytruncate-glob", "app.log*", "", true, func(w *stormWriter) error {
		return errors.Join(w.copyTo(w.rotated()), os.Truncate(w.name(), 0))
	}},
	{"compress", "app.log*", "", true, func(w *stormWriter) error {
		old := w.f
		return errors.Join(os.Rename(w.name(), w.rotated()), w.lines(2), w.reopen(w.name()), old.Close(), compressFile(w.rotated()))
	}},
	{"symlink", "app.log", ", follow_symlinks: true", true, func(w *stormWriter) error {
		old, target := w.f, fmt.Sprintf("gen-%d.log", w.gen)
		next := filepath.Join(w.dir, "next")
		return errors.Join(w.reopen(filepath.Join(w.dir, target)), old.Close(), os.Symlink(target, next), os.Rename(next, w.name()))
	}},
}

// stormMain is the writer's process: directory and style are its arguments.
// For each number, with the agent's process, that it reads it rotates so often,
// and says how many lines there are.
func stormMain(args []string) error {
	w := &stormWriter{dir: args[0], rng: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)), owed: time.Now()}
	var style stormStyle
	for _, s := range stormStyles {
		if s.name == args[1] {
			style = s
		}
	}
	first := w.name()
	if style.name == "symlink" {
		first = filepath.Join(w.dir, "gen-0.log")
		if err := os.Symlink("gen-0.log", w.name()); err != nil {
			return err
		}
	}
	if err := w.reopen(first); err != nil {
		return err
	}
	fmt.Println("ready")
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		count, pid, _ := strings.Cut(commands.Text(), " ")
		rounds, err := strconv.Atoi(count)
		if err != nil {
			return err
		}
		w.owed, w.agent = time.Now(), pid
		for range rounds {
			w.gen++
			if err := errors.Join(w.lines(300+w.rng.IntN(400)), style.rotate(w)); err != nil {
				return err
			}
		}
		if err := w.lines(10); err != nil {
			return err
		}
		fmt.Println(w.n)
	}
	return commands.Err()
}

func (w *stormWriter) name() string    { return filepath.Join(w.dir, "app.log") }
func (w *stormWriter) rotated() string { return fmt.Sprintf("%s.%d", w.name(), w.gen) }

// opened reports whether the agent has the file open.
func (w *stormWriter) opened() bool {
	dir := "/proc/" + w.agent + "/fd/"
	fds, _ := os.ReadDir(dir)
	for _, fd := range fds {
		if to, _ := os.Readlink(dir + fd.Name()); to == w.name() {
			return true
		}
	}
	return false
}

func (w *stormWriter) reopen(path string) (err error) {
	w.f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	return err
}

func (w *stormWriter) lines(count int) error {
	for range count {
		if err := w.line(w.f); err != nil {
			return err
		}
	}
	return nil
}

const stormFiller = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"

// line writes the next line to f when it is due. Who is late does not hurry.
func (w *stormWriter) line(f *os.File) error {
	text := fmt.Appendf(nil, "{\"n\":%d,\"text\":%q}\n", w.n, strings.Repeat(stormFiller, 2)[:w.rng.IntN(140)])
	if _, err := f.Write(text); err != nil {
		return err
	}
	w.n++
	w.owed = w.owed.Add(time.Second / stormRate)
	if ahead := time.Until(w.owed); ahead > time.Millisecond {
		time.Sleep(ahead)
	} else if ahead < -50*time.Millisecond {
		w.owed = time.Now()
	}
	return nil
}

func (w *stormWriter) copyTo(path string) error {
	in, err := os.Open(w.name())
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func compressFile(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(path + ".gz")
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	return errors.Join(err, z.Close(), out.Close(), os.Remove(path))
}
