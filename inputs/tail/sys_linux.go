package tail

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An info is what the filesystem says about a file.
type info struct {
	id    identity
	size  int64
	mtime int64 // nanoseconds
	mode  uint32
	links uint32
	owner uint32
}

func (i info) regular() bool { return i.mode&unix.S_IFMT == unix.S_IFREG }
func (i info) symlink() bool { return i.mode&unix.S_IFMT == unix.S_IFLNK }
func (i info) fifo() bool    { return i.mode&unix.S_IFMT == unix.S_IFIFO }
func (i info) dir() bool     { return i.mode&unix.S_IFMT == unix.S_IFDIR }

// A stat looks at files: statx, or what a test has in its place.
type stat func(dir int, name string, flags int) (info, error)

// at looks at name in the directory dir, or at a path if dir is unix.AT_FDCWD.
func (s stat) at(dir int, name string, follow bool) (info, error) {
	flags := unix.AT_NO_AUTOMOUNT
	if !follow {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	return s(dir, name, flags)
}

func (s stat) path(path string, follow bool) (info, error) { return s.at(unix.AT_FDCWD, path, follow) }

func (s stat) file(f *os.File) (info, error) { return s(int(f.Fd()), "", unix.AT_EMPTY_PATH) }

func statx(dir int, name string, flags int) (info, error) {
	const want = unix.STATX_BASIC_STATS | unix.STATX_BTIME
	var s unix.Statx_t
	for {
		err := unix.Statx(dir, name, flags, want, &s)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return info{}, err
		}
		break
	}
	i := info{size: int64(s.Size), mtime: s.Mtime.Sec*1e9 + int64(s.Mtime.Nsec), mode: uint32(s.Mode), links: s.Nlink, owner: s.Uid}
	i.id = identity{dev: unix.Mkdev(s.Dev_major, s.Dev_minor), ino: s.Ino}
	if s.Mask&unix.STATX_BTIME != 0 && s.Btime.Sec > 0 {
		i.id.birth = s.Btime.Sec*1e9 + int64(s.Btime.Nsec)
	}
	return i, nil
}

// openBeneath opens rel below the directory base. base is the operator's word
// and may lead through symbolic links; rel is the work of those who write
// there, so no link is followed in any part of it, and a FIFO does not block.
func openBeneath(base, rel string, flags int) (*os.File, error) {
	dir, err := retry(func() (int, error) {
		return unix.Open(base, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := retry(func() (int, error) {
		return unix.Openat2(dir, rel, &unix.OpenHow{
			Flags:   uint64(flags),
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
	})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // a kernel before 5.6, or a seccomp filter that does not know it
		fd, err = openStepwise(dir, rel, flags)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), rel), nil
}

// openStepwise does what openat2 does with a system call for each directory.
func openStepwise(dir int, rel string, flags int) (int, error) {
	parts := strings.Split(rel, "/")
	at := dir
	for i, part := range parts {
		if part == "" || part == "." || part == ".." {
			return -1, unix.EXDEV
		}
		f := flags
		if i < len(parts)-1 {
			f = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		next, err := retry(func() (int, error) { return unix.Openat(at, part, f, 0) })
		if at != dir {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		at = next
	}
	return at, nil
}

func retry(open func() (int, error)) (int, error) {
	for {
		fd, err := open()
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// openAny follows links; it is for follow_symlinks alone.
func openAny(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
}

func isLoop(err error) bool { return errors.Is(err, unix.ELOOP) }
