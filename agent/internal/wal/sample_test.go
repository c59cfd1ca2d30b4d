package wal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// torture says that the long form of the tests is wanted.
var torture = os.Getenv("SIEMD_TORTURE") != ""

// fastDir is a directory in memory where there is one, for tests that open a
// log many thousand times.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "siemd-wal-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// noSync is a disk without fsyncs.
func noSync() *disk {
	return &disk{fault: func(op, _ string) error {
		if op == "sync" || op == "syncdir" {
			return errLie
		}
		return nil
	}}
}

// A sample is a small log as it lies on disk, and what is in it.
type sample struct {
	files  map[string][]byte // by path below the data directory
	blocks []sampleBlock
	head   uint64
	tail   string // path of the last segment with blocks
	opts   Options
}

type sampleBlock struct {
	path        string
	from, to    int64
	first, last uint64
}

// newSample makes a log of a few segments with cursor "c" at its start.
func newSample(t testing.TB, compression string, puts []int) *sample {
	t.Helper()
	dir := fastDir(t)
	s := &sample{files: map[string][]byte{}, opts: Options{SegmentSize: 4 << 10, Compression: compression}}
	o := s.opts
	o.Dir = dir
	l := open(t, o)
	l.Cursor("c", true)
	n := 0
	for _, k := range puts {
		put(t, l, n, k)
		n += k
	}
	s.head = l.Head()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.locate(t, dir)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "ballast" {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		s.files[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// locate notes where in the log in dir the blocks are.
func (s *sample) locate(t testing.TB, dir string) {
	t.Helper()
	w := inspection{block: func(v *visit, h *header) error {
		s.tail = filepath.Join("wal", v.name())
		s.blocks = append(s.blocks, sampleBlock{s.tail, v.scan.begin, v.scan.off, h.first, h.next() - 1})
		return nil
	}}
	if err := w.walk(dir); err != nil {
		t.Fatal(err)
	}
}

// install writes the files, as change leaves them, into an emptied dir.
func (s *sample) install(t testing.TB, dir string, change func(files map[string][]byte)) {
	t.Helper()
	files := map[string][]byte{}
	for name, data := range s.files {
		files[name] = slices.Clone(data)
	}
	change(files)
	os.RemoveAll(dir)
	if err := os.MkdirAll(filepath.Join(dir, "wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if data == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// survive opens the log in dir, whatever is there, and checks that it gives
// exactly the events of the blocks for which intact is true, reports all others
// as lost, goes on, and is the same after another start. whole: the numbers
// known before must all be there, as event or as loss.
func (s *sample) survive(t testing.TB, what, dir string, whole bool, intact func(sampleBlock) bool) {
	t.Helper()
	o := s.opts
	o.Dir, o.disk = dir, noSync()
	head, put1 := uint64(0), uint64(0)
	for round := range 2 {
		l, err := Open(o)
		if err != nil {
			t.Fatalf("%s: Open: %v", what, err)
		}
		if round == 0 {
			if head = l.Head(); whole && head < s.head {
				t.Fatalf("%s: Head = %d, numbers up to %d were seen", what, head, s.head)
			}
			put1, _ = put(t, l, 1000, 3)
			if put1 < head {
				t.Fatalf("%s: new events at %d, below the head %d", what, put1, head)
			}
		}
		seen := s.readAll(t, what, l, put1)
		for _, b := range s.blocks {
			for seq := b.first; seq <= b.last; seq++ {
				if intact(b) && !seen[seq] {
					t.Fatalf("%s: round %d: event %d of an undamaged block is not delivered (head %d)", what, round, seq, head)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Fatalf("%s: Close: %v", what, err)
		}
	}
}

// readAll reads from cursor c on, checks that numbers follow each other and
// events are what was written, and says which were delivered.
func (s *sample) readAll(t testing.TB, what string, l *Log, put1 uint64) map[uint64]bool {
	t.Helper()
	seen := map[uint64]bool{}
	c := l.Cursor("c", true)
	r := l.Reader(c)
	defer r.Close()
	next := c.Seq()
	for {
		b, ok, err := r.TryNext()
		if err != nil {
			t.Fatalf("%s: TryNext: %v", what, err)
		}
		if !ok {
			break
		}
		if b.First() > next || b.Last() < next {
			t.Fatalf("%s: got block %d-%d, want one with %d", what, b.First(), b.Last(), next)
		}
		if !b.Lost() {
			events, err := b.Events(nil)
			if err != nil && !(errors.Is(err, ErrDamaged) && b.Lost()) {
				t.Fatalf("%s: Events: %v", what, err)
			}
			for i := range events {
				n := int(events[i].Seq) - 1
				if put1 > 0 && events[i].Seq >= put1 {
					n = 1000 + int(events[i].Seq-put1)
				}
				want := event(n)
				want.Seq = events[i].Seq
				if !equalEvents(&events[i], want) {
					t.Fatalf("%s: event %d is wrong: %+v", what, n, events[i])
				}
				seen[events[i].Seq] = true
			}
		}
		next = b.Last() + 1
		b.Release()
	}
	if next != l.Head() {
		t.Fatalf("%s: read up to %d, the head is %d", what, next, l.Head())
	}
	return seen
}

var samplePuts = []int{3, 1, 40, 2, 5, 1, 1, 30, 4, 2, 1}

func segmentNames(files map[string][]byte) []string {
	var names []string
	for name := range files {
		if strings.HasPrefix(name, "wal/0") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// resign changes the header of the first block in a segment and mends its checksum.
func resign(segment []byte, change func(header []byte)) {
	at := strings.Index(string(segment), magic)
	size, err := headerSize(segment[at:])
	if err != nil {
		panic(err)
	}
	h := segment[at : at+size]
	change(h)
	sum := checksum(h[8:])
	h[4], h[5], h[6], h[7] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
}

func snapshotDir(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
