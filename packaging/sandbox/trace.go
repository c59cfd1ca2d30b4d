package sandbox

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// writers are the calls that can change what a path leads to.
var writers = strings.Fields(`open openat creat mkdir mkdirat mknod mknodat unlink unlinkat rmdir rename renameat renameat2
	link linkat symlink symlinkat chmod fchmodat fchmodat2 chown lchown fchownat truncate utimensat bind`)

// judged are those that are forbidden for some arguments.
var judged = strings.Fields("socket mmap mprotect pkey_mprotect clone clone3 unshare setns")

// Wrap has cmd run under strace, which writes to the file at path what Read looks at. The command is still the
// caller's child, and gets its signals: strace watches from behind.
func (u *Unit) Wrap(cmd *exec.Cmd, path string) {
	var quiet []string // strace leaves alone what is allowed anyway, which makes it quick
	for call, ok := range u.calls {
		if ok && !slices.Contains(writers, call) && !slices.Contains(judged, call) {
			quiet = append(quiet, "?"+call) // ? for one that this strace does not know
		}
	}
	slices.Sort(quiet)
	cmd.Args = append([]string{
		u.strace, "-D", "-f", "-y", "-qq", "--seccomp-bpf", "-e", "signal=none",
		"-e", "trace=!" + strings.Join(quiet, ","), "-o", path, cmd.Path,
	}, cmd.Args[1:]...)
	cmd.Path = u.strace
}

// Trace is what a process and its children did.
type Trace struct {
	Forbidden []string // the lines of strace about what the unit forbids
	Written   []string // the paths that were changed, or would have been
}

// Read takes in what strace wrote.
func (u *Unit) Read(r io.Reader) (Trace, error) {
	var t Trace
	call := regexp.MustCompile(`^\d+ +(?:<\.\.\. )?(\w+)(?:\((.*)| resumed)`)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := call.FindStringSubmatch(lines.Text())
		if m == nil {
			continue // how a process ended
		}
		name, args := m[1], m[2]
		if u.forbids(name, args) {
			t.Forbidden = append(t.Forbidden, lines.Text())
		}
		if slices.Contains(writers, name) && changes(name, args) {
			t.Written = append(t.Written, paths(name, args)...)
		}
	}
	if err := lines.Err(); err != nil {
		return t, fmt.Errorf("read what strace wrote: %w", err)
	}
	return t, nil
}

var family = regexp.MustCompile(`^AF_\w+`)

// forbids tells whether the unit forbids a call. Of one that is resumed the arguments were seen when it began.
func (u *Unit) forbids(name, args string) bool {
	if !u.calls[name] {
		return true
	}
	switch name {
	case "socket":
		return args != "" && len(u.families) > 0 && !u.families[family.FindString(args)]
	case "mmap", "mprotect", "pkey_mprotect":
		return u.noWriteExec && strings.Contains(args, "PROT_EXEC") && (strings.Contains(args, "PROT_WRITE") || name != "mmap")
	case "clone", "clone3", "unshare", "setns":
		return u.noNamespaces && strings.Contains(args, "CLONE_NEW")
	}
	return false
}

// changes tells whether a call changes what its path leads to.
func changes(name, args string) bool {
	switch name {
	case "open", "openat":
		return strings.Contains(args, "O_WRONLY") || strings.Contains(args, "O_RDWR") || strings.Contains(args, "O_CREAT")
	case "bind":
		return strings.Contains(args, "AF_UNIX")
	}
	return true
}

var quoted = regexp.MustCompile(`(?:\d+|AT_FDCWD)<([^>]*)>, "((?:[^"\\]|\\.)*)"|"((?:[^"\\]|\\.)*)"`)

// paths are those that a call changes, from the root.
func paths(name, args string) []string {
	var all []string
	for _, m := range quoted.FindAllStringSubmatch(args, -1) {
		path := m[2] + m[3]
		if !filepath.IsAbs(path) {
			path = filepath.Join(m[1], path)
		}
		all = append(all, path)
	}
	if strings.Contains(name, "link") && !strings.HasPrefix(name, "unlink") && len(all) == 2 {
		return all[1:] // what a link leads to stays as it is
	}
	return all
}
