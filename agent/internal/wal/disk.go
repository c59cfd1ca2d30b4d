package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// disk is the way to every file operation that durability hangs on, so that
// tests can make the Nth of them fail. The zero value is the real disk.
type disk struct {
	fault func(op, path string) error         // an error: the operation fails with it and is not done
	space func() (free, total int64, e error) // instead of the filesystem's
}

// errLie, from fault, makes the operation succeed without being done.
var errLie = errors.New("lie")

func (d *disk) do(op, path string, f func() error) error {
	if d.fault != nil {
		if err := d.fault(op, path); errors.Is(err, errLie) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s %s: %w", op, path, err)
		}
	}
	return f()
}

func (d *disk) sync(f *os.File) error { return d.do("sync", f.Name(), f.Sync) }

func (d *disk) open(path string, flag int) (f *os.File, err error) {
	err = d.do("open", path, func() error {
		f, err = os.OpenFile(path, flag, 0o600)
		return err
	})
	if err == nil && f == nil {
		err = &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	return f, err
}

func (d *disk) rename(from, to string) error {
	return d.do("rename", to, func() error { return os.Rename(from, to) })
}

func (d *disk) remove(path string) error {
	return d.do("remove", path, func() error { return os.Remove(path) })
}

// syncDir makes the names in a directory durable.
func (d *disk) syncDir(path string) error {
	return d.do("syncdir", path, func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// truncate cuts a file to size and makes that durable.
func (d *disk) truncate(path string, size int64) error {
	return d.do("truncate", path, func() error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			return err
		}
		return f.Sync()
	})
}

// writeFile puts a whole file in place: whoever looks finds the old or the new
// one. The new one stays after a power cut once its directory is synced.
func (d *disk) writeFile(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := d.open(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	err = d.do("write", tmp, func() error { _, err := f.Write(data); return err })
	if err == nil {
		err = d.sync(f)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = d.rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return nil
}

// works reports whether a small file can be made durable in dir.
func (d *disk) works(dir string) bool {
	path := filepath.Join(dir, "probe")
	err := d.writeFile(path, []byte("x"))
	os.Remove(path)
	return err == nil || noSpace(err)
}

// room is what the filesystem has left for us, and its size.
func (d *disk) room(path string) (free, total int64, err error) {
	if d.space != nil {
		return d.space()
	}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}

// A file is a segment opened for reading, shared by a reader and the blocks
// that it handed out.
type file struct {
	f    *os.File
	refs atomic.Int32
}

func openFile(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	sf := &file{f: f}
	sf.refs.Store(1)
	return sf, nil
}

func (f *file) retain() { f.refs.Add(1) }

func (f *file) release() {
	if f.refs.Add(-1) == 0 {
		f.f.Close()
	}
}

// readFull fills b from offset at. What lies beyond the end is errShort.
func (f *file) readFull(b []byte, at int64) error {
	n, err := f.f.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return errShort
	}
	return err
}

// A LockedError says that another process has the log open.
type LockedError struct {
	Dir string
	PID int // 0 if it is not known
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return e.Dir + " is in use by another process"
	}
	return fmt.Sprintf("%s is in use by process %d", e.Dir, e.PID)
}

// lockDir takes the lock of a data directory. It ends with the process, so
// that a crash leaves no obstacle; the file stays.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		var b [32]byte
		n, _ := f.Read(b[:])
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(string(bytes.TrimRight(b[:n], "\x00"))))
		return nil, &LockedError{Dir: dir, PID: pid}
	}
	// The number is for people only: a full disk is no reason not to start.
	if f.Truncate(0) == nil {
		f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}
