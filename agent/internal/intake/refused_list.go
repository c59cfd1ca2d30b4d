package intake

import (
	"bufio"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/codecs/json"
)

// A RefusedLine is a line that could not become an event, as it is kept.
type RefusedLine struct {
	ID     string    `json:"id"` // "R" and its number
	Time   time.Time `json:"time"`
	Input  string    `json:"input"`
	File   string    `json:"file"` // what the line came from, as a person calls it
	Offset int64     `json:"offset"`
	Reason string    `json:"reason"`
	Detail string    `json:"detail"`
	Line   string    `json:"line"`               // with U+FFFD for what is no UTF-8
	Raw    string    `json:"line_b64,omitempty"` // the line in base64, if it is not valid UTF-8
}

// A RefusedFilter selects lines. Zero fields select all.
type RefusedFilter struct {
	Input  string
	Reason string
	Match  string    // a part of the line's text, in any case
	Since  time.Time // received then or later
}

func (f *RefusedFilter) takes(l *RefusedLine) bool {
	return (f.Input == "" || l.Input == f.Input) && (f.Reason == "" || l.Reason == f.Reason) &&
		(f.Match == "" || json.Holds([]byte(l.Line), f.Match)) && !l.Time.Before(f.Since)
}

const (
	defaultPage  = 1000
	maxPageBytes = 8 << 20 // a page ends early rather than hold more than about this
)

// List is Find without a filter.
func (r *Refused) List(after string, limit int) (lines []RefusedLine, next string, err error) {
	return r.Find(RefusedFilter{}, after, limit)
}

// Find gives up to limit lines that f takes, oldest first, beginning behind the
// line whose id is after; empty means the first. next is the id to go on
// behind, or "" if there are no more. A limit of 0 means 1000. Damaged lines
// are passed over.
func (r *Refused) Find(f RefusedFilter, after string, limit int) (lines []RefusedLine, next string, err error) {
	from := uint64(1)
	if after != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(after, "R"), 10, 63)
		if err != nil {
			return nil, "", fmt.Errorf("%q is no id of a refused line", after)
		}
		from = n + 1
	}
	if limit <= 0 {
		limit = defaultPage
	}
	r.mu.Lock()
	files := slices.Clone(r.files)
	r.mu.Unlock()
	p := page{filter: f, from: from, limit: limit}
	for i, file := range files {
		if i+1 < len(files) && files[i+1].number <= from {
			continue
		}
		if err := p.read(r.path(file.number), file); err != nil {
			return nil, "", fmt.Errorf("read refused lines: %w", err)
		}
		if p.more {
			return p.lines, p.lines[len(p.lines)-1].ID, nil
		}
	}
	return p.lines, "", nil
}

// A page is what one Find gathers.
type page struct {
	filter RefusedFilter
	from   uint64
	limit  int
	lines  []RefusedLine
	bytes  int
	more   bool // there is at least one line beyond the page
}

func (p *page) read(path string, f refusedFile) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it fell off meanwhile
	}
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(io.LimitReader(file, f.size), 64<<10)
	for number := f.number; ; number++ {
		text, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var l RefusedLine
		if number < p.from || stdjson.Unmarshal(text, &l) != nil || !p.filter.takes(&l) {
			continue
		}
		if len(p.lines) == p.limit || p.bytes > maxPageBytes {
			p.more = true
			return nil
		}
		l.ID = "R" + strconv.FormatUint(number, 10) // the place decides
		p.lines = append(p.lines, l)
		p.bytes += len(text)
	}
}
