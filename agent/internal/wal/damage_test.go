package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
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
	err := inspect(dir, func(v *visit) error {
		for {
			ok, err := v.scan.next()
			if !ok || err != nil {
				return err
			}
			s.tail = filepath.Join("wal", filepath.Base(v.seg.path))
			s.blocks = append(s.blocks, sampleBlock{s.tail, v.scan.begin, v.scan.off, v.scan.h.first, v.scan.h.next() - 1})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
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

func TestUndamaged(t *testing.T) {
	for _, codec := range []string{"none", "s2", "zstd"} {
		s := newSample(t, codec, samplePuts)
		dir := fastDir(t)
		s.install(t, dir, func(map[string][]byte) {})
		r, err := Verify(dir)
		if err != nil || !r.Clean() || r.Unfinished != 0 || r.Events != s.head-1 || r.NextSeq != s.head {
			t.Errorf("%s: Verify = %+v, %v", codec, r, err)
		}
		s.survive(t, codec, dir, true, func(sampleBlock) bool { return true })
	}
}

// TestTail cuts the last segment at every offset, and fills it from every
// offset on with zeros, ones and garbage.
func TestTail(t *testing.T) {
	s := newSample(t, "s2", samplePuts)
	dir := fastDir(t)
	whole := s.files[s.tail]
	step := 7 // prime to most sizes; the long form takes every offset
	if torture {
		step = 1
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, kind := range []string{"cut", "zero", "ones", "garbage", "longer"} {
		for at := 0; at <= len(whole); at += step {
			s.install(t, dir, func(files map[string][]byte) {
				b := files[s.tail]
				switch kind {
				case "cut":
					files[s.tail] = b[:at]
					return
				case "longer": // than it was: what a power cut leaves of a new write
					b = append(b[:at:at], make([]byte, rnd.IntN(6000))...)
					files[s.tail] = b
				}
				for i := at; i < len(b); i++ {
					switch kind {
					case "zero":
						b[i] = 0
					case "ones":
						b[i] = 0xff
					case "garbage":
						b[i] = byte(rnd.Uint32())
					}
				}
			})
			what := fmt.Sprintf("%s from %d", kind, at)
			s.survive(t, what, dir, true, func(b sampleBlock) bool { return b.path != s.tail || b.to <= int64(at) })
		}
	}
}

// TestBitFlips flips every bit of every file.
func TestBitFlips(t *testing.T) {
	for _, codec := range []string{"none", "s2"} {
		s := newSample(t, codec, []int{3, 1, 20, 2, 1, 4})
		dir := fastDir(t)
		for name, data := range s.files {
			step := 97 // some of the bits; the long form takes all
			if torture {
				step = 1
			}
			for bit := 0; bit < len(data)*8; bit += step {
				s.install(t, dir, func(files map[string][]byte) { files[name][bit/8] ^= 1 << (bit % 8) })
				s.survive(t, fmt.Sprintf("%s: bit %d of %s", codec, bit, name), dir, true, func(b sampleBlock) bool {
					return b.path != name || int64(bit/8) < b.from || int64(bit/8) >= b.to
				})
			}
		}
	}
}

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

func TestDamagedFiles(t *testing.T) {
	s := newSample(t, "none", append(samplePuts, 20, 9, 1, 12, 2))
	names := segmentNames(s.files)
	if len(names) < 3 {
		t.Fatalf("want at least three segments, have %v", names)
	}
	dir := fastDir(t)
	test := func(what string, whole bool, gone string, change func(files map[string][]byte)) {
		t.Run(what, func(t *testing.T) {
			s.install(t, dir, change)
			s.survive(t, what, dir, whole, func(b sampleBlock) bool { return gone == "" || b.path != gone && gone != "all" })
		})
	}
	for i, name := range names {
		test(fmt.Sprint("missing segment ", i), true, name, func(f map[string][]byte) { f[name] = nil })
		test(fmt.Sprint("empty segment ", i), true, name, func(f map[string][]byte) { f[name] = []byte{} })
		test(fmt.Sprint("zero segment ", i), true, name, func(f map[string][]byte) { clear(f[name]) })
		test(fmt.Sprint("copy above ", i), true, "", func(f map[string][]byte) { f["wal/00000000000000000777"] = slices.Clone(f[name]) })
		test(fmt.Sprint("copy below ", i), true, "", func(f map[string][]byte) {
			f["wal/00000000000000000002"] = slices.Clone(f[name])
		})
		test(fmt.Sprint("half a segment ", i), true, name, func(f map[string][]byte) { f[name] = f[name][:len(f[name])/2] })
		test(fmt.Sprint("renamed ", i), true, name, func(f map[string][]byte) {
			f["wal/00000000000000000555"], f[name] = f[name], nil
		})
		test(fmt.Sprint("missing with the state lost ", i), false, name, func(f map[string][]byte) {
			f[name], f["state.json"], f["state.json.old"] = nil, nil, nil
		})
	}
	test("all segments missing", true, "all", func(f map[string][]byte) {
		for _, name := range names {
			f[name] = nil
		}
	})
	test("strays", true, "", func(f map[string][]byte) {
		for _, name := range []string{
			"00000000000000000001.START", "00000000000000000003.END", "00000000000000000001.START.TEMP",
			"00000000000000000000", "18446744073709551615", "99999999999999999999", "x", "00000000000000000004.tmp",
		} {
			f["wal/"+name] = []byte("stray")
		}
		f["state.json.next.tmp"] = []byte("{")
	})
	test("state missing", true, "", func(f map[string][]byte) { f["state.json"], f["state.json.old"] = nil, nil })
	test("state empty", true, "", func(f map[string][]byte) { f["state.json"], f["state.json.old"] = []byte{}, []byte{} })
	test("newest state missing", true, "", func(f map[string][]byte) { f["state.json"] = nil })
	test("newest state damaged", true, "", func(f map[string][]byte) { f["state.json"] = f["state.json"][:20] })
}

// TestNewer finds that a log of a newer version is refused and not touched.
func TestNewer(t *testing.T) {
	s := newSample(t, "none", samplePuts)
	dir := fastDir(t)
	test := func(what string, change func(f map[string][]byte)) {
		s.install(t, dir, change)
		before := snapshotDir(t, dir)
		o := s.opts
		o.Dir = dir
		if l, err := Open(o); !errors.Is(err, ErrNewer) {
			if err == nil {
				l.Close()
			}
			t.Errorf("%s: Open = %v, want ErrNewer", what, err)
		}
		if _, err := Verify(dir); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: Verify = %v, want ErrNewer", what, err)
		}
		after := snapshotDir(t, dir)
		delete(before, "lock")
		delete(after, "lock")
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("%s: the directory was touched", what)
		}
	}
	names := segmentNames(s.files)
	for i, name := range names {
		if len(s.files[name]) == 0 {
			continue
		}
		test(fmt.Sprint("version in segment ", i), func(f map[string][]byte) { resign(f[name], func(h []byte) { h[12] = version + 1 }) })
		test(fmt.Sprint("codec in segment ", i), func(f map[string][]byte) { resign(f[name], func(h []byte) { h[13] = 200 }) })
		test(fmt.Sprint("flags in segment ", i), func(f map[string][]byte) { resign(f[name], func(h []byte) { h[15] = 1 }) })
		test(fmt.Sprint("required field in segment ", i), func(f map[string][]byte) { resign(f[name], func(h []byte) { h[fixedHeader] = 100 }) })
	}
	test("state", func(f map[string][]byte) {
		data, _ := encodeState(&state{Version: stateVersion + 1, Generation: 99})
		f["state.json"] = data
	})
	// An unknown field that may be skipped is.
	s.install(t, dir, func(f map[string][]byte) {
		for _, name := range names {
			if len(f[name]) > 0 {
				resign(f[name], func(h []byte) {
					// Behind the field of the inputs' names comes that of the kinds.
					at := fixedHeader + 5 + int(binary.LittleEndian.Uint32(h[fixedHeader+1:]))
					if h[at] != fieldKinds {
						t.Fatalf("field %d, want the kinds", h[at])
					}
					h[at] = 101
				})
			}
		}
	})
	s.survive(t, "optional field", dir, true, func(sampleBlock) bool { return true })
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

// TestRepair: after it Verify is content, and nothing good is gone.
func TestRepair(t *testing.T) {
	s := newSample(t, "s2", samplePuts)
	dir := fastDir(t)
	rnd := rand.New(rand.NewPCG(7, 7))
	names := segmentNames(s.files)
	rounds := 60
	if torture {
		rounds = 3000
	}
	for round := range rounds {
		hit := map[sampleBlock]bool{}
		s.install(t, dir, func(f map[string][]byte) {
			for range 1 + rnd.IntN(3) {
				name := names[rnd.IntN(len(names))]
				if len(f[name]) == 0 {
					continue
				}
				at := rnd.IntN(len(f[name]))
				f[name][at] ^= 1 << rnd.IntN(8)
				for _, b := range s.blocks {
					if b.path == name && int64(at) >= b.from && int64(at) < b.to {
						hit[b] = true
					}
				}
			}
			if rnd.IntN(4) == 0 {
				name := names[rnd.IntN(len(names))]
				f[name] = nil
				for _, b := range s.blocks {
					hit[b] = hit[b] || b.path == name
				}
			}
		})
		damaged := false
		lost := uint64(0)
		for b, is := range hit {
			if is {
				damaged, lost = true, lost+b.last-b.first+1
			}
		}
		r, err := Repair(dir, nil)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if r.Before.Clean() == damaged {
			t.Errorf("round %d: damaged %v, Verify before: %+v", round, damaged, r.Before)
		}
		if !r.After.Clean() || r.After.LostBefore != lost || r.After.Events != s.head-1-lost {
			t.Errorf("round %d: after: %+v, want %d events lost of %d; before: %+v", round, r.After, lost, s.head-1, r.Before)
		}
		s.survive(t, fmt.Sprint("round ", round), dir, true, func(b sampleBlock) bool { return !hit[b] })
	}
}
