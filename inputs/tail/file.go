package tail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// A file is one that is or was read: by inode, whatever its name is now.
type file struct {
	id      identity
	path    string // its name, or the last one
	own     bool   // that is a name that rotated names are made of
	wasOwn  bool   // it was, at some time
	open    string // what to open, if that differs: where a symbolic link led
	pattern *pattern
	pack    packing

	fd     *os.File
	used   time.Time // for closing the descriptor that was idle longest
	stream *stream   // of a compressed file

	state         // as far as handed over; what is on disk may lag behind
	begin  *state // where it begins, if not at its beginning
	marked bool   // this state continues a mark, or was decided on: it may be read
	seen   int64  // end of what was looked at: no newline is between offset and seen

	scan        int       // the last that found it
	size, mtime int64     // as last seen
	peak        int64     // the largest size since the last truncation
	links       uint32    // likewise
	changed     time.Time // when they last did
	found       time.Time

	queued   bool  // it has its turn coming
	inflight int   // batches on their way
	atEnd    bool  // nothing was left when it was last read
	since    int64 // what was written since then was not before this, Unix nanoseconds; 0: unknown

	was      string    // the name that it had before
	former   string    // the stem of the last name with another one; see families
	moved    bool      // it has another name than before: the writer will let go of it
	lost     bool      // no pattern names it any more; it is drained
	missed   bool      // it was not found when it was looked for
	leftAt   time.Time // when it was moved or lost
	namedAt  int64     // when it last had its own name for sure, Unix nanoseconds; 0: unknown
	followed bool      // it left its name, and what had the name since then is known
	final    bool      // what is left of it now is a line
	known    int64     // when it was found, Unix nanoseconds: copies from before are none of ours
	copiesTo int64     // copies made until then are known, or hold what it holds; Unix nanoseconds
	looked   time.Time // when it was last read and was what it had been; in this run and since it last went back to its mark
	onlyTwin bool      // found beside the patterns: read it only if it continues a file of ours
	gone     int64     // finished or vanished: since when, Unix nanoseconds; 0: alive

	acked     int64  // offset up to which lines are on disk
	ackedSeq  uint64 // highest number that came back for it
	markedSeq uint64 // what its last mark says about that
	doubt     bool   // an earlier run stored lines of it whose numbers are not known
	disposing bool   // it is being archived
	trouble   string // the last error that was logged
}

// where is the path at which f can be opened.
func (f *file) where() string {
	if f.open != "" {
		return f.open
	}
	return f.path
}

func (f *file) compressed() bool { return f.pack != plain }

// beginning is the state of a file of which nothing was read.
func (f *file) beginning() state { return state{origin: f.id.String()} }

// originOf names the file's present content for the derivation of ids.
func (f *file) originOf() string { return fmt.Sprintf("%s:%d", f.origin, f.gen) }

// lag is how many bytes are there but not handed over.
func (f *file) lag() int64 {
	if f.compressed() {
		if f.stream != nil && !f.atEnd {
			return max(0, f.size-f.stream.in.n)
		}
		if f.atEnd {
			return 0
		}
		return f.size
	}
	return max(0, f.size-f.offset)
}

// errReplaced says that another file has taken the name.
var errReplaced = errors.New("the name belongs to another file now")

// A refusal to open a file is a matter of safety, not a failure.
type refusalError struct{ reason string }

func (e *refusalError) Error() string { return "the file is not safe to read: " + e.reason }

// openFile opens path safely and checks that it is what want says.
func (t *Tail) openFile(p *pattern, path string, want identity) (*os.File, info, error) {
	var fd *os.File
	var err error
	if t.config.FollowSymlinks {
		fd, err = openAny(path)
	} else {
		rel, ok := below(p.base, path)
		if !ok {
			return nil, info{}, &refusalError{"outside"}
		}
		fd, err = openBeneath(p.base, rel, os.O_RDONLY)
	}
	if err != nil {
		if isLoop(err) {
			return nil, info{}, &refusalError{"symlink"}
		}
		return nil, info{}, err
	}
	i, err := t.stat.file(fd)
	if err == nil {
		err = t.safe(path, i)
	}
	if err == nil && i.id != want {
		err = errReplaced
	}
	if err != nil {
		fd.Close()
		return nil, info{}, err
	}
	return fd, i, nil
}

// safe refuses what is no plain file with one name, or with names that only its
// own owner can have given it.
func (t *Tail) safe(path string, i info) error {
	switch {
	case i.symlink():
		return &refusalError{"symlink"}
	case !i.regular():
		return &refusalError{"not_regular"}
	case i.links > 1 && !t.config.AllowHardLinks && !t.ownLink(path, i):
		return &refusalError{"hard_link"}
	}
	return nil
}

// ownLink reports whether the file lies in a directory of the operator's choice
// where nobody but the file's owner can make links, so that this one is no trap.
func (t *Tail) ownLink(path string, i info) bool {
	dir := filepath.Dir(path)
	if !slices.ContainsFunc(t.patterns, func(p pattern) bool { return p.base == dir }) {
		return false
	}
	d, err := t.stat.path(dir, true)
	return err == nil && d.owner == i.owner && d.mode&0o022 == 0
}

// readAt reads plain text from off on. It returns io.EOF with what there is at the end.
func (f *file) readAt(buf []byte, off int64) (int, error) {
	if f.pack == plain {
		return readFull(f.fd, buf, off)
	}
	if f.stream == nil {
		f.stream = newStream(f.fd, f.pack)
	}
	return f.stream.readAt(buf, off)
}

func readFull(r io.ReaderAt, buf []byte, off int64) (int, error) {
	n, err := r.ReadAt(buf, off)
	if n == len(buf) {
		err = nil
	}
	return n, err
}

// intact reads what stood before p's offset and says whether it still does.
// short says that the text ends before.
func (f *file) intact(p *print) (ok, short bool, err error) {
	if p.tailLen == 0 {
		return true, false, nil
	}
	buf := make([]byte, p.tailLen)
	n, err := f.readAt(buf, p.offset-int64(p.tailLen))
	if err != nil && err != io.EOF {
		return false, false, err
	}
	if n < len(buf) {
		return false, true, nil
	}
	return xxhash.Sum64(buf) == p.tail, false, nil
}

// close gives the descriptor back.
func (f *file) close() {
	if f.stream != nil {
		f.stream.close()
		f.stream = nil
	}
	if f.fd != nil {
		f.fd.Close()
		f.fd = nil
	}
}

func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
