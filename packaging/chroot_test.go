package packaging_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/adrian207/siemd/packaging/sandbox"
)

// systemctlRecorder stands in for systemctl in a chroot, where no systemd runs:
// it notes what it is called for. /run/active says whether siemd runs.
const systemctlRecorder = `#!/bin/sh
echo "systemctl $*" >>/run/systemctl.log
case "$*" in
*is-active*) test -e /run/active ;;
*is-enabled*) echo enabled ;;
*"show"*LoadState*) echo LoadState=loaded ;;
*preset*) exec /bin/systemctl.distrib "$@" ;; # makes links, and needs no systemd
esac
`

// chroot is a Debian of its own.
type chroot struct {
	t   *testing.T
	dir string
}

// makeChroot begins to make one, with systemd's programs and without a systemd that runs, in memory where that can
// be: the thousands of times that dpkg waits for a disk take longer than all the rest. The function that it gives waits.
func makeChroot(t *testing.T) (ready func() *chroot) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("*** SKIPPED: a chroot takes root ***")
	}
	debootstrap := tool(t, "debootstrap")
	dir, err := os.MkdirTemp("", "siemd-chroot") // short: sockets live in it
	if err != nil {
		t.Fatal(err)
	}
	inMemory := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2g") == nil
	if err := os.Chmod(dir, 0o755); err != nil { // it is everybody's root
		t.Fatal(err)
	}
	args := []string{debootstrap, "--variant=minbase", "--include=systemd", "bookworm", dir}
	if made := os.Getenv("SIEMD_PACKAGE_CHROOT"); made != "" { // by that command, earlier
		args = []string{"cp", "-a", made + "/.", dir}
	}
	var said bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	made := sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		_ = made()
		_ = syscall.Unmount(filepath.Join(dir, "proc"), syscall.MNT_DETACH)
		if inMemory {
			if err := syscall.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return func() *chroot {
		t.Helper()
		if err := made(); err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "debootstrap/debootstrap.log"))
			t.Fatalf("no chroot: %v\n%s%s", err, said.String(), log)
		}
		c := &chroot{t: t, dir: dir}
		if err := syscall.Mount("proc", c.path("proc"), "proc", 0, ""); err != nil {
			t.Logf("without /proc: %v", err)
		}
		c.run("dpkg-divert", "--local", "--rename", "--add", "/bin/systemctl")
		c.put("bin/systemctl", systemctlRecorder, 0o755)
		c.put("run/systemd/system/.keep", "", 0o644) // its being there says that systemd runs
		return c
	}
}

func (c *chroot) path(name string) string { return filepath.Join(c.dir, name) }

func (c *chroot) put(name, text string, mode os.FileMode) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Dir(c.path(name)), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(c.path(name), []byte(text), mode); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Chmod(c.path(name), mode); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chroot) read(name string) string {
	c.t.Helper()
	data, err := os.ReadFile(c.path(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(data)
}

// ids are the numbers of the accounts in one of the chroot's files.
func (c *chroot) ids(file string) map[string]uint32 {
	c.t.Helper()
	all := map[string]uint32{}
	for lines := bufio.NewScanner(strings.NewReader(c.read("etc/" + file))); lines.Scan(); {
		f := strings.Split(lines.Text(), ":")
		if id, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			all[f[0]] = uint32(id)
		}
	}
	return all
}

// command makes a command in the chroot, as user or user:group, with these groups beside its own.
func (c *chroot) command(user string, groups []string, args ...string) *exec.Cmd {
	c.t.Helper()
	chrootTool := tool(c.t, "chroot")
	users, known := c.ids("passwd"), c.ids("group")
	id := func(of map[string]uint32, name string) string {
		n, ok := of[name]
		if !ok {
			c.t.Fatalf("there is no %s", name)
		}
		return strconv.FormatUint(uint64(n), 10)
	}
	name, group, ok := strings.Cut(user, ":")
	if !ok {
		group = name
	}
	var ids []string
	for _, g := range groups {
		ids = append(ids, id(known, g))
	}
	cmd := exec.Command(chrootTool, append([]string{
		"--userspec=" + id(users, name) + ":" + id(known, group), "--groups=" + strings.Join(ids, ","), c.dir,
	}, args...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "HOME=/"}
	return cmd
}

// as runs a command in the chroot to its end.
func (c *chroot) as(user string, groups []string, args ...string) result {
	c.t.Helper()
	return finish(c.t, c.command(user, groups, args...))
}

// run runs a command as root that has to go well.
func (c *chroot) run(args ...string) string {
	c.t.Helper()
	r := c.as("root", nil, args...)
	if r.code != 0 {
		c.t.Fatalf("%v: exit code %d\n%s%s", args, r.code, r.out, r.err)
	}
	return r.out + r.err
}

// systemctl gives what systemctl was asked for since the last time, but for questions.
func (c *chroot) systemctl() []string {
	c.t.Helper()
	data, _ := os.ReadFile(c.path("run/systemctl.log"))
	_ = os.Remove(c.path("run/systemctl.log"))
	var verbs []string
	for line := range strings.Lines(string(data)) {
		for _, verb := range []string{"start", "restart", "try-restart", "stop", "daemon-reload", "preset", "disable"} {
			if slices.Contains(strings.Fields(line), verb) {
				verbs = append(verbs, verb)
			}
		}
	}
	return verbs
}

// running says to the maintainer scripts whether the service runs.
func (c *chroot) running(is bool) {
	c.t.Helper()
	if is {
		c.put("run/active", "", 0o644)
	} else {
		_ = os.Remove(c.path("run/active"))
	}
}

// install copies a package into the chroot and has dpkg install it.
func (c *chroot) install(deb string) string {
	c.t.Helper()
	c.put("siemd.deb", string(must(os.ReadFile(deb))), 0o644)
	return c.run("dpkg", "-i", "/siemd.deb")
}

// start runs the service as the unit does, but for the sandbox, and waits until it is ready.
func (c *chroot) start() (stop func()) {
	c.t.Helper()
	unit := c.read("usr/lib/systemd/system/siemd.service")
	line := strings.Fields(sandbox.Setting(unit, "ExecStart")[0])
	cmd := c.command(sandbox.Setting(unit, "User")[0]+":"+sandbox.Setting(unit, "Group")[0], sandbox.Setting(unit, "SupplementaryGroups"), line...)
	for _, dir := range []string{"run/siemd", "var/log/siemd"} { // RuntimeDirectory=, LogsDirectory=
		c.run("install", "-d", "-o", "siemd", "-g", "siemd", "-m", "0750", "/"+dir)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	waitFor(c.t, "the service answers", func() bool {
		return c.as("root", nil, "siemd", "status").code == 0 || cmd.ProcessState != nil
	})
	c.running(true)
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			c.t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("the service ended with %v\n%s", err, log.String())
		}
		c.running(false)
	}
	c.t.Cleanup(stop)
	return stop
}

func debFor(t *testing.T, dir string) string { return one(t, dir, "*_"+runtime.GOARCH+".deb") }
