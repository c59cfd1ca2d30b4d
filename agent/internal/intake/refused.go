package intake

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/json"
)

// Refused keeps refused lines in files of JSON, one object a line, below one
// directory. Lines are numbered from 1 on, a file bears the number of its first
// line. The oldest files go when all together would exceed the cap. It may be
// used from several goroutines.
type Refused struct {
	dir     string
	maxSize int64

	mu      sync.Mutex       // guards all below
	files   []refusedFile    // in order; the last one is written to
	size    int64            // of all files
	out     *os.File         // the last file; nil until it is needed
	next    uint64           // number of the next line
	dropped uint64           // lines that have gone with their file since the store was opened
	drops   *metrics.Counter // the same for Register's set, once it was called; else nil
	buf     []byte
}

type refusedFile struct {
	number uint64 // of its first line
	size   int64
}

// OpenRefused opens the store in dir, which is made if need be; maxSize is its
// cap in bytes. A last line that a crash has cut short goes away.
func OpenRefused(dir string, maxSize int64) (*Refused, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	r := &Refused{dir: dir, maxSize: maxSize, next: 1}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".jsonl")
		number, err := strconv.ParseUint(name, 10, 64)
		if !ok || err != nil || number == 0 {
			continue // not ours
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		r.files = append(r.files, refusedFile{number, info.Size()})
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
	if whole < int64(len(data)) {
		if err := os.Truncate(r.path(last.number), whole); err != nil {
			return nil, err
		}
	}
	r.size += whole - last.size
	last.size = whole
	r.next = last.number + uint64(bytes.Count(data, []byte{'\n'}))
	return r, nil
}

func (r *Refused) path(number uint64) string {
	return filepath.Join(r.dir, fmt.Sprintf("%020d.jsonl", number))
}

// Add keeps the lines of one batch, with the name of the input and what a
// person calls their origin. When it returns nil they are fsynced; else none
// of them is kept, and without room on the disk the error is agent.ErrFull.
func (r *Refused) Add(input, file string, lines []agent.Refusal, now time.Time) error {
	if len(lines) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	data := r.buf[:0]
	for i := range lines {
		data = appendRefused(data, r.next+uint64(i), input, file, &lines[i], now)
	}
	if r.buf = data; cap(data) > 1<<20 {
		r.buf = nil
	}
	err := r.prepareLocked(int64(len(data)))
	if err == nil {
		err = r.writeLocked(data)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("keep refused lines: %w: %w", agent.ErrFull, err)
	}
	if err != nil {
		return fmt.Errorf("keep refused lines: %w", err)
	}
	r.next += uint64(len(lines))
	return nil
}

// appendRefused appends the stored form of a line, which a RefusedLine reads.
func appendRefused(dst []byte, number uint64, input, file string, l *agent.Refusal, now time.Time) []byte {
	dst = append(dst, `{"id":"R`...)
	dst = strconv.AppendUint(dst, number, 10)
	dst = append(dst, `","time":"`...)
	dst = now.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = json.AppendString(append(dst, `","input":`...), input)
	dst = json.AppendString(append(dst, `,"file":`...), file)
	dst = strconv.AppendInt(append(dst, `,"offset":`...), l.Offset, 10)
	dst = json.AppendString(append(dst, `,"reason":`...), l.Reason)
	dst = json.AppendString(append(dst, `,"detail":`...), l.Detail)
	dst = json.AppendString(append(dst, `,"line":`...), l.Text)
	if !utf8.Valid(l.Text) {
		dst = append(dst, `,"line_b64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, l.Text)
		dst = append(dst, '"')
	}
	return append(dst, "}\n"...)
}

// prepareLocked makes sure that there is a file to write to and that n more
// bytes stay within the cap.
func (r *Refused) prepareLocked(n int64) error {
	fileSize := max(r.maxSize/16, 4<<10)
	if k := len(r.files); k == 0 || r.files[k-1].size >= fileSize {
		if err := r.beginLocked(); err != nil {
			return err
		}
	}
	if r.out == nil {
		last := r.files[len(r.files)-1]
		f, err := os.OpenFile(r.path(last.number), os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		// A write that failed may have left the beginning of a line.
		if err := f.Truncate(last.size); err != nil {
			return errors.Join(err, f.Close())
		}
		r.out = f
	}
	for r.size+n > r.maxSize && len(r.files) > 1 {
		if err := r.dropLocked(); err != nil {
			return err
		}
	}
	return nil
}

// beginLocked begins a new file.
func (r *Refused) beginLocked() error {
	f, err := os.OpenFile(r.path(r.next), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := syncDir(r.dir); err != nil {
		return errors.Join(err, f.Close())
	}
	if r.out != nil {
		_ = r.out.Close() // all in it is synced
	}
	r.out = f
	if k := len(r.files); k == 0 || r.files[k-1].number != r.next { // else it was begun before, in vain
		r.files = append(r.files, refusedFile{number: r.next})
	}
	return nil
}

// dropLocked removes the oldest file.
func (r *Refused) dropLocked() error {
	oldest := r.files[0]
	if err := os.Remove(r.path(oldest.number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.size -= oldest.size
	r.dropped += r.files[1].number - oldest.number
	if r.drops != nil {
		r.drops.Set(r.dropped)
	}
	r.files = slices.Delete(r.files, 0, 1)
	return nil
}

// writeLocked appends and syncs. What could not be written whole is cut off,
// now or before the next write.
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

// RefusedStats say how full the store is.
type RefusedStats struct {
	Lines   uint64 `json:"lines"`
	Bytes   int64  `json:"bytes"`
	Dropped uint64 `json:"dropped"` // lines that fell off at the cap, since the agent started
}

// Stats are as of now.
func (r *Refused) Stats() RefusedStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := RefusedStats{Bytes: r.size, Dropped: r.dropped}
	if len(r.files) > 0 {
		s.Lines = r.next - r.files[0].number
	}
	return s
}

// Register exports the stats to set.
func (r *Refused) Register(set *metrics.Set) {
	gauge := func(name string, f func(RefusedStats) float64) {
		set.UnregisterMetric(name) // of a store that was open before in this process
		set.GetOrCreateGauge(name, func() float64 { return f(r.Stats()) })
	}
	gauge("siemd_refused_lines", func(s RefusedStats) float64 { return float64(s.Lines) })
	gauge("siemd_refused_bytes", func(s RefusedStats) float64 { return float64(s.Bytes) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drops = set.GetOrCreateCounter("siemd_refused_dropped_total")
	r.drops.Set(r.dropped)
}

// Close closes the file that is written to. The store may be used on, and opens it again.
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
