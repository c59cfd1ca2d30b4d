package intake

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/adrian207/siemd/agent"
)

// A RefusedLine is a line that could not become an event, as it is kept.
type RefusedLine struct {
	ID     string    `json:"id"`
	Time   time.Time `json:"time"`
	Input  string    `json:"input"`
	File   string    `json:"file,omitempty"`
	Offset int64     `json:"offset"`
	Reason string    `json:"reason"`
	Detail string    `json:"detail,omitempty"`
	Line   string    `json:"line"`
	Raw    string    `json:"line_b64,omitempty"` // the line in base64, if it is not valid UTF-8
}

// Refused keeps refused lines in files of JSON, one object a line, below one
// directory. The oldest file goes when all are larger than the cap.
type Refused struct {
	dir     string
	maxSize int64

	mu    sync.Mutex
	files []refusedFile // by number; the last one is written to
	size  int64
	out   *os.File
	next  uint64 // number of the next line
}

type refusedFile struct {
	number uint64
	size   int64
}

// OpenRefused opens the store in dir, which is made if need be. A last line that
// a crash cut short is cut off.
func OpenRefused(dir string, maxSize int64) (*Refused, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &Refused{dir: dir, maxSize: maxSize, next: 1}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		n, ok := strings.CutSuffix(e.Name(), ".jsonl")
		number, err := strconv.ParseUint(n, 10, 64)
		info, statErr := e.Info()
		if !ok || err != nil || statErr != nil {
			continue
		}
		r.files = append(r.files, refusedFile{number: number, size: info.Size()})
		r.size += info.Size()
	}
	slices.SortFunc(r.files, func(a, b refusedFile) int { return cmp.Compare(a.number, b.number) })
	if len(r.files) == 0 {
		return r, nil
	}
	last := &r.files[len(r.files)-1]
	data, err := os.ReadFile(r.path(last.number))
	if err != nil {
		return nil, err
	}
	whole := int64(bytes.LastIndexByte(data, '\n') + 1)
	if whole < last.size {
		if err := os.Truncate(r.path(last.number), whole); err != nil {
			return nil, err
		}
		r.size -= last.size - whole
		last.size = whole
	}
	r.next = last.number + uint64(bytes.Count(data, []byte{'\n'}))
	return r, nil
}

// path of the file whose first line has that number.
func (r *Refused) path(number uint64) string {
	return filepath.Join(r.dir, fmt.Sprintf("%020d.jsonl", number))
}

// Add keeps the lines of one batch; they are on disk when it returns nil.
func (r *Refused) Add(input, file string, lines []agent.Refusal, now time.Time) error {
	if len(lines) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	for i, l := range lines {
		rec := RefusedLine{
			ID: fmt.Sprintf("R%d", r.next+uint64(i)), Time: now.UTC(), Input: input, File: file,
			Offset: l.Offset, Reason: l.Reason, Detail: l.Detail, Line: string(l.Text),
		}
		if !utf8.Valid(l.Text) {
			rec.Raw = base64.StdEncoding.EncodeToString(l.Text)
			rec.Line = strings.ToValidUTF8(rec.Line, "\uFFFD")
		}
		if err := enc.Encode(rec); err != nil {
			return err
		}
	}
	if err := r.rotateLocked(); err != nil {
		return fmt.Errorf("keep refused lines: %w", err)
	}
	if err := r.writeLocked(buf.Bytes()); err != nil {
		return fmt.Errorf("keep refused lines: %w", err)
	}
	r.next += uint64(len(lines))
	return nil
}

// writeLocked appends and syncs; what cannot be written whole is cut off again.
func (r *Refused) writeLocked(data []byte) error {
	last := &r.files[len(r.files)-1]
	_, err := r.out.Write(data)
	if err == nil {
		err = r.out.Sync()
	}
	if err != nil {
		err = errors.Join(err, r.out.Truncate(last.size), r.out.Close())
		r.out = nil
		return err
	}
	last.size += int64(len(data))
	r.size += int64(len(data))
	return nil
}

// rotateLocked makes sure that there is a file to write to with room in it.
func (r *Refused) rotateLocked() error {
	fileSize := max(r.maxSize/16, 64<<10)
	if n := len(r.files); n > 0 && r.files[n-1].size < fileSize {
		if r.out != nil {
			return nil
		}
		f, err := os.OpenFile(r.path(r.files[n-1].number), os.O_WRONLY|os.O_APPEND, 0o600)
		r.out = f
		return err
	}
	f, err := os.OpenFile(r.path(r.next), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := syncDir(r.dir); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if r.out != nil {
		_ = r.out.Close() // it is synced
	}
	r.out = f
	r.files = append(r.files, refusedFile{number: r.next})
	for r.size > r.maxSize && len(r.files) > 1 {
		if err := os.Remove(r.path(r.files[0].number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		r.size -= r.files[0].size
		r.files = r.files[1:]
	}
	return nil
}

// List gives up to limit lines, oldest first, beginning behind the line whose id
// is after (empty: the first). Next is the id to go on with, or "".
func (r *Refused) List(after string, limit int) (lines []RefusedLine, next string, err error) {
	from := uint64(1)
	if after != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(after, "R"), 10, 64)
		if err != nil {
			return nil, "", fmt.Errorf("%q is no id of a refused line", after)
		}
		from = n + 1
	}
	r.mu.Lock()
	files := slices.Clone(r.files)
	r.mu.Unlock()
	for i, f := range files {
		if i+1 < len(files) && files[i+1].number <= from {
			continue
		}
		more, err := r.read(f, from, limit-len(lines))
		if err != nil {
			return nil, "", err
		}
		lines = append(lines, more...)
		if len(lines) >= limit {
			return lines, lines[len(lines)-1].ID, nil
		}
	}
	return lines, "", nil
}

func (r *Refused) read(f refusedFile, from uint64, limit int) ([]RefusedLine, error) {
	file, err := os.Open(r.path(f.number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it fell off meanwhile
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var lines []RefusedLine
	dec := json.NewDecoder(io.LimitReader(file, f.size))
	for number := f.number; len(lines) < limit; number++ {
		var l RefusedLine
		if err := dec.Decode(&l); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read refused lines: %w", err)
		}
		if number >= from {
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// Close closes the file that is written to.
func (r *Refused) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.out == nil {
		return nil
	}
	err := r.out.Close()
	r.out = nil
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
