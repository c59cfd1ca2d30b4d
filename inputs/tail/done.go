package tail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// disposeIfDone deletes or archives f if every output is done with all of it.
// A crash at any point repeats nothing and loses nothing: the mark says what
// was read and which event was the last, and is forgotten after the file.
func (r *run) disposeIfDone(f *file, now time.Time) {
	switch {
	case f.gone != 0 || f.lost || f.queued || f.disposing || f.inflight > 0 || r.pending[f]:
		return
	case !f.atEnd || f.trouble != "" || now.Sub(f.changed) < r.t.config.DoneAfter.D():
		return
	case !f.marked && f.size > 0:
		return
	case f.unended() && !f.finished:
		f.final = true // its last line has no newline
		r.enqueue(f)
		return
	case f.doubt && r.firstSeq == 0:
		return // its events are older than any that are still to come; their number is not known better
	case f.doubt:
		f.doubt, f.ackedSeq = false, max(f.ackedSeq, r.firstSeq)
		return
	case f.marked && !f.seqSure:
		f.seq, f.seqSure = f.ackedSeq, true
		r.saveState(f)
		return
	case f.ackedSeq > 0 && f.ackedSeq >= r.sink.Settled():
		return
	}
	f.disposing = true
	// What was read is settled here: a file that grows from now on must not be taken for read.
	p, path, size, mtime := f.pattern, f.path, f.size, f.mtime
	r.dispose.Go(func() {
		d := disposal{file: f, err: r.t.remove(p, path, f.id, size, mtime)}
		select {
		case r.disposed <- d:
		case <-r.ended:
		}
	})
}

// unended reports whether f, which was read to the end, has a last line without
// a newline that was not handed over. The size of a compressed file says nothing of its text.
func (f *file) unended() bool {
	if f.compressed() {
		return f.offset < f.seen
	}
	return f.offset < f.size
}

// A disposal is the end of an attempt to delete or archive a file.
type disposal struct {
	file *file
	err  error
}

func (r *run) removed(d disposal) {
	f := d.file
	f.disposing = false
	switch {
	case d.err == nil:
		r.t.env.Counter("files_done_total").Inc()
		// A look may have missed it before this was heard, and ended it as one that somebody else removed.
		if r.files[f.id] == f {
			r.forget(f)
			r.flushCatalog()
		}
	case errors.Is(d.err, errReplaced) || isGone(d.err):
		f.changed = time.Now()
		r.scanWanted = true
	default:
		f.changed = time.Now() // try again after done_after
		r.log.Warn("a file that is done cannot be removed", "path", f.path, "err", d.err)
	}
}

// remove deletes or archives the file at path, if it is still the one that is
// meant, and unchanged.
func (t *Tail) remove(p *pattern, path string, id identity, size, mtime int64) error {
	rel, ok := below(p.base, path)
	if !ok {
		return &refusalError{"outside"}
	}
	dir, err := openDir(p.base, filepath.Dir(rel))
	if err != nil {
		return err
	}
	defer dir.Close()
	name := filepath.Base(rel)
	i, err := t.stat.at(int(dir.Fd()), name, false)
	if err != nil {
		return err
	}
	if i.id != id || i.size != size || i.mtime != mtime {
		return errReplaced
	}
	if t.config.OnDone == "delete" {
		if err := unix.Unlinkat(int(dir.Fd()), name, 0); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		return nil
	}
	if err := archive(dir, name, t.config.ArchiveDir, id); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

func openDir(base, rel string) (*os.File, error) {
	if rel == "." {
		return os.Open(base)
	}
	return openBeneath(base, rel, os.O_RDONLY|unix.O_DIRECTORY)
}

// archive moves name from dir to the directory target, under a new name if it
// is taken there. From another filesystem it is copied, and deleted when the
// copy is on disk.
func archive(dir *os.File, name, target string, id identity) error {
	if err := os.MkdirAll(target, 0o750); err != nil {
		return err
	}
	to, err := os.Open(target)
	if err != nil {
		return err
	}
	defer to.Close()
	err = place(int(dir.Fd()), name, to, name)
	if errors.Is(err, unix.EXDEV) {
		return archiveCopy(dir, name, to, id)
	}
	if err != nil {
		return err
	}
	return errors.Join(to.Sync(), dir.Sync())
}

// place renames from/name to the first free of to/want, to/want.1, ...
func place(from int, name string, to *os.File, want string) error {
	for n := 0; ; n++ {
		free := want
		if n > 0 {
			free += "." + strconv.Itoa(n)
		}
		err := unix.Renameat2(from, name, int(to.Fd()), free, unix.RENAME_NOREPLACE)
		if !errors.Is(err, unix.EEXIST) || n == 100_000 {
			return err
		}
	}
}

func archiveCopy(dir *os.File, name string, to *os.File, id identity) (err error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	in := os.NewFile(uintptr(fd), name)
	defer in.Close()
	if i, err := stat(statx).file(in); err != nil || i.id != id {
		return errors.Join(err, errReplaced)
	}
	temp := "." + name + ".part" // of an earlier attempt, if it exists
	fd, err = unix.Openat(int(to.Fd()), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), temp)
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		unix.Unlinkat(int(to.Fd()), temp, 0)
		return err
	}
	if err := place(int(to.Fd()), temp, to, name); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	// The copy is on disk: nothing is lost from here on.
	return unix.Unlinkat(int(dir.Fd()), name, 0)
}
