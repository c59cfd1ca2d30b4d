package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// dataDir looks at permissions.
func (d *doctor) dataDir(cfg *config.Config) {
	info, err := os.Stat(cfg.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := filepath.Dir(cfg.DataDir)
		if unix.Access(parent, unix.W_OK) != nil {
			d.fail("data_dir", "install -d -m 0700 -o siemd "+cfg.DataDir, "%s is not there and cannot be made", cfg.DataDir)
			return
		}
		d.ok("data_dir", "%s will be made at the first start", cfg.DataDir)
	case err != nil:
		d.fail("data_dir", "run doctor as the user that siemd runs as", "%s", err)
	case !info.IsDir():
		d.fail("data_dir", "name a directory", "%s is no directory", cfg.DataDir)
	case unix.Access(cfg.DataDir, unix.R_OK|unix.W_OK|unix.X_OK) != nil:
		d.fail("data_dir", "chown -R siemd "+cfg.DataDir+", or run doctor as that user", "%s cannot be written by this user", cfg.DataDir)
	case info.Mode().Perm()&0o077 != 0:
		d.warn("data_dir", "chmod 0700 "+cfg.DataDir, "%s can be read by others: mode %04o", cfg.DataDir, info.Mode().Perm())
	default:
		d.ok("data_dir", "%s belongs to this user alone", cfg.DataDir)
	}
}

// Filesystems that the log should not be on.
var oddFilesystems = map[int64]string{
	unix.NFS_SUPER_MAGIC: "NFS", unix.SMB2_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "CIFS", unix.TMPFS_MAGIC: "memory (tmpfs)",
	unix.OVERLAYFS_SUPER_MAGIC: "an overlay of a container",
}

// disk looks at the filesystem of the log.
func (d *doctor) disk(cfg *config.Config) {
	dir := cfg.DataDir
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		d.warn("disk", "", "%s: %s", dir, err)
		return
	}
	if name, odd := oddFilesystems[int64(st.Type)]; odd {
		d.warn("disk", "put data_dir on a local disk that outlives a restart", "%s lies on %s", dir, name)
	}
	size, free := int64(st.Blocks)*int64(st.Bsize), int64(st.Bavail)*int64(st.Bsize)
	used := int64(0)
	_ = filepath.WalkDir(filepath.Join(cfg.DataDir, "wal"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				used += info.Size()
			}
		}
		return nil // what cannot be seen counts as nothing
	})
	need := int64(cfg.WAL.MaxSize) - used + cfg.WAL.MinFree.Of(size)
	switch {
	case free <= cfg.WAL.MinFree.Of(size):
		d.fail("disk", "make room, or lower wal.min_free", "%s are free, and below wal.min_free (%s) the log takes nothing", agent.Bytes(free).Short(), cfg.WAL.MinFree)
	case free < need:
		d.warn("disk", "lower wal.max_size, or give it a larger disk", "%s are free, less than wal.max_size (%s) may need: the disk will be full before the log is", agent.Bytes(free).Short(), cfg.WAL.MaxSize)
	default:
		d.ok("disk", "%s are free, enough for wal.max_size %s", agent.Bytes(free).Short(), cfg.WAL.MaxSize)
	}
	if st.Files > 0 && st.Ffree*100 < st.Files {
		d.warn("disk", "remove small files", "only %d of %d inodes are free", st.Ffree, st.Files)
	}
}

// ports tries to bind what the config listens on, if no agent does.
func (d *doctor) ports(cfg *config.Config, running bool) {
	if running {
		return
	}
	addresses := map[string]string{}
	for _, a := range cfg.API.Listen {
		addresses[a] = "the API"
	}
	for name, in := range cfg.Inputs {
		if f := reflect.ValueOf(in.Config).Elem().FieldByName("Listen"); f.IsValid() && f.Kind() == reflect.String {
			addresses[f.String()] = "input " + name
		}
	}
	for _, a := range sortedNames(addresses) {
		if strings.HasPrefix(a, "unix:") {
			continue
		}
		ln, err := net.Listen("tcp", a)
		switch {
		case errors.Is(err, unix.EACCES):
			d.fail("port", "use a port from 1024 on, or AmbientCapabilities=CAP_NET_BIND_SERVICE", "%s may not listen on %s", addresses[a], a)
		case errors.Is(err, unix.EADDRINUSE):
			d.fail("port", "ss -ltnp says who; give it another port", "%s cannot listen on %s: somebody else does", addresses[a], a)
		case err != nil:
			d.fail("port", "check the address", "%s cannot listen on %s: %s", addresses[a], a, err)
		default:
			ln.Close()
			d.ok("port", "%s can listen on %s", addresses[a], a)
		}
	}
}

// files tries to open what inputs of files would read.
func (d *doctor) files(cfg *config.Config) {
	for _, name := range sortedNames(cfg.Inputs) {
		f := reflect.ValueOf(cfg.Inputs[name].Config).Elem().FieldByName("Paths")
		if !f.IsValid() || f.Kind() != reflect.Slice || f.Type().Elem().Kind() != reflect.String {
			continue
		}
		found, closed := 0, ""
		for i := range f.Len() {
			matches, err := filepath.Glob(f.Index(i).String())
			if err != nil {
				continue // a pattern that only the input understands
			}
			found += len(matches)
			for _, m := range matches {
				if unix.Access(m, unix.R_OK) != nil {
					closed = m
				}
			}
		}
		switch {
		case closed != "":
			d.fail("files", "setfacl -m u:siemd:r "+closed+", or put siemd into the file's group", "input %s cannot read %s", name, closed)
		case found == 0:
			d.warn("files", "check the patterns; files that come later are read", "input %s finds no file now", name)
		default:
			d.ok("files", "input %s can read %s", name, count(found, "file"))
		}
	}
}

// inotify looks at limits that containers and desktops use up.
func (d *doctor) inotify() {
	for _, limit := range []struct {
		name  string
		least int
	}{{"max_user_watches", 8192}, {"max_user_instances", 128}} {
		path := "/proc/sys/fs/inotify/" + limit.name
		data, err := os.ReadFile(path)
		n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
		switch {
		case err != nil:
			d.warn("inotify", "", "%s cannot be read: files are noticed within seconds, not at once", path)
		case n < limit.least:
			d.warn("inotify", "sysctl -w fs.inotify."+limit.name+"="+strconv.Itoa(8*limit.least), "fs.inotify.%s is %d, which is little", limit.name, n)
		default:
			d.ok("inotify", "fs.inotify.%s is %d", limit.name, n)
		}
	}
}

func (d *doctor) descriptors() {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		d.warn("limits", "", "open files: %s", err)
		return
	}
	if r.Max < 4096 {
		d.warn("limits", "LimitNOFILE=65536 in the unit", "at most %d open files", r.Max)
		return
	}
	d.ok("limits", "up to %d open files", r.Max)
}

// clock asks the kernel whether somebody keeps its time.
func (d *doctor) clock() {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	switch {
	case err != nil:
		d.warn("clock", "", "the kernel does not say: %s", err)
	case state == unix.TIME_ERROR || tx.Status&unix.STA_UNSYNC != 0:
		d.warn("clock", "timedatectl set-ntp true, or have the host keep time", "nobody keeps it in step: times of receipt may be off, and TLS may fail")
	default:
		d.ok("clock", "is kept in step")
	}
}

// unit finds a copy of the unit that hides the packaged one.
func (d *doctor) unit(local, packaged string) {
	ours, err := os.ReadFile(packaged)
	if err != nil {
		return // not installed as a package
	}
	theirs, err := os.ReadFile(local)
	switch {
	case err != nil:
		d.ok("unit", "the packaged one is in use")
	case bytes.Equal(ours, theirs):
		d.warn("unit", "rm "+local, "%s is a copy of the packaged unit and will hide what updates change", local)
	default:
		d.warn("unit", "systemctl revert siemd, and systemctl edit siemd for what you need", "%s hides the packaged unit, and differs from it", local)
	}
}
