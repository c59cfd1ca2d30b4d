package file

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// madeAt is when the file was made, if the filesystem knows, else when it was last written.
func madeAt(f *os.File, info fs.FileInfo) time.Time {
	var st unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return info.ModTime()
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
}
