package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const testUnit = `[Service]
SystemCallFilter=@service
SystemCallFilter=~@privileged
RestrictAddressFamilies=AF_UNIX AF_INET
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
`

const testGroups = `@default
    # Always permitted
    mmap
@privileged
    @chown
@chown
    # Ownership
    chown
    fchown
@service
    @chown
    openat
    socket
    bind
    renameat
    symlinkat
    mprotect
    clone
`

func TestRead(t *testing.T) {
	u := parse(testUnit, testGroups)
	f := func(line string, forbidden bool, written ...string) {
		t.Helper()
		got, err := u.Read(strings.NewReader("12 " + line + "\n"))
		if err != nil || len(got.Forbidden) > 0 != forbidden || !slices.Equal(got.Written, written) {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
	f(`openat(AT_FDCWD</>, "/a", O_RDONLY|O_CLOEXEC) = 3</a>`, false)
	f(`openat(AT_FDCWD</>, "/a", O_RDWR|O_CLOEXEC) = 3</a>`, false, "/a")
	f(`openat(3</srv/a>, "b\"c", O_WRONLY|O_CREAT, 0600 <unfinished ...>`, false, `/srv/a/b\"c`)
	f(`<... openat resumed>) = 4</srv/a/b>`, false)
	f(`renameat(3</a>, "b", AT_FDCWD</x>, "/c") = -1 EPERM (Operation not permitted)`, false, "/a/b", "/c")
	f(`symlinkat("/etc", 3</a>, "b") = 0`, false, "/a/b")
	f(`bind(3<socket:[1]>, {sa_family=AF_UNIX, sun_path="/a/s"}, 9) = 0`, false, "/a/s")
	f(`bind(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0`, false)
	f(`socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3<socket:[1]>`, false)
	f(`socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) = 3<socket:[1]>`, true)
	f(`mmap(NULL, 4096, PROT_READ|PROT_EXEC, MAP_PRIVATE, 3</lib>, 0) = 0x1`, false)
	f(`mmap(NULL, 4096, PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x1`, true)
	f(`mprotect(0x1, 4096, PROT_READ) = 0`, false)
	f(`mprotect(0x1, 4096, PROT_READ|PROT_EXEC) = 0`, true)
	f(`clone(child_stack=NULL, flags=CLONE_VM|SIGCHLD) = 13`, false)
	f(`clone(child_stack=NULL, flags=CLONE_NEWUSER|SIGCHLD) = 13`, true)
	f(`chown("/a", 0, 0) = 0`, true, "/a")
	f(`fchown(3</a>, 0, 0) = 0`, true)
	f(`ptrace(PTRACE_TRACEME) = 0`, true)
	f(`+++ exited with 0 +++`, false)
}

// What a process does under strace, and what its children do, is seen; its exit code is still its own.
func TestWrap(t *testing.T) {
	unit := filepath.Join(t.TempDir(), "test.service")
	if err := os.WriteFile(unit, []byte("[Service]\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := Load(unit)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("*** SKIPPED: %v ***", err)
	}
	dir := t.TempDir()
	mine, trace := filepath.Join(dir, "mine"), filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("/bin/sh", "-c", `cd "$1" && >mine && (chown "$(id -u)" mine); exit 3`, "sh", dir)
	u.Wrap(cmd, trace)
	cmd.Stdout, cmd.Stderr = new(strings.Builder), new(strings.Builder) // pipes, which end when strace does
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("the command ended with %v\n%s", err, cmd.Stderr)
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := u.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Forbidden) == 0 || slices.ContainsFunc(got.Forbidden, func(line string) bool { return !strings.Contains(line, "chown") }) {
		t.Errorf("forbidden: %q", got.Forbidden)
	}
	if !slices.Contains(got.Written, mine) || slices.ContainsFunc(got.Written, func(path string) bool { return path != mine && path != "/dev/null" }) {
		t.Errorf("written: %q", got.Written)
	}
}
