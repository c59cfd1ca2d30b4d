package packaging_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// pending is how many events wait for the connection, by siemd status.
func (c *chroot) pending() uint64 {
	c.t.Helper()
	var st struct {
		Outputs []struct{ Pending, Unaccounted uint64 }
	}
	r := c.as("root", nil, "siemd", "status", "--json")
	if err := json.Unmarshal([]byte(r.out), &st); err != nil || len(st.Outputs) != 1 {
		c.t.Fatalf("status: %v, exit code %d\n%s%s", err, r.code, r.out, r.err)
	}
	return st.Outputs[0].Pending
}

// drop has the app write a file with n events into the drop folder, the way an app does:
// as a user without rights, with an ordinary umask.
func (c *chroot) drop(name string, from, n int) {
	c.t.Helper()
	cmd := c.command("app", []string{"siemd-drop"}, "sh", "-c", "umask 027; cat >/var/lib/siemd-drop/"+name)
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"event_id":"e%d","event_type":"alert","severity":"high","title":"hello"}`+"\n", from+i)
	}
	cmd.Stdin = strings.NewReader(lines.String())
	if r := finish(c.t, cmd); r.code != 0 {
		c.t.Fatalf("the app cannot write: %s", r.err)
	}
}

// The life of a deb: installed, run, upgraded with events waiting, downgraded, removed, purged.
func TestPackageLifecycle(t *testing.T) {
	wantPackages(t)
	ready := makeChroot(t) // while the packages are built
	first, _, newer := builtPackages(t)
	c := ready()
	siem := plugintest.Started(t, "splunk", plugintest.Options{Token: "secret-of-the-test"})
	if err := siem.SetFault("refuse"); err != nil {
		t.Fatal(err)
	}

	if got := c.install(debFor(t, first)); strings.Contains(got, "warning") {
		t.Errorf("installed with warnings:\n%s", got)
	}
	c.wantLayout()
	if got := c.systemctl(); !slices.Contains(got, "start") || slices.Contains(got, "restart") {
		t.Errorf("the installation asked systemctl for %v", got)
	}
	if _, err := os.Lstat(c.path("etc/systemd/system/multi-user.target.wants/siemd.service")); err != nil {
		t.Errorf("the service is not enabled: %v", err)
	}
	conffiles := c.run("dpkg-query", "--show", "--showformat=${Conffiles}", "siemd")
	if !strings.Contains(conffiles, "/etc/siemd/siemd.yaml ") || strings.Contains(conffiles, ".service") {
		t.Errorf("conffiles: %s", conffiles)
	}
	agentGroups := []string{"siemd", "siemd-drop"}
	if r := c.as("siemd", agentGroups, "siemd", "check"); r.code != 0 {
		t.Errorf("the config as installed: exit code %d\n%s", r.code, r.err)
	}
	if r := c.as("siemd", agentGroups, "sh", "-c", "echo >>/etc/siemd/siemd.yaml"); r.code == 0 {
		t.Error("the agent can write its config")
	}

	// An app, its neighbour, and somebody else.
	c.run("useradd", "--groups", "siemd-drop", "app")
	c.run("useradd", "--groups", "siemd-drop", "neighbour")
	c.run("useradd", "stranger")
	config := fmt.Sprintf("inputs:\n  apps: {type: tail, paths: [/var/lib/siemd-drop/*.jsonl]}\n"+
		"outputs:\n  hec: {type: splunk, endpoint: 'http://%s', token: '${file:/etc/siemd/hec.token}', retry: {max: 1s}}\n", siem.Addr())
	c.put("etc/siemd/siemd.yaml", config, 0o640)
	c.put("etc/siemd/hec.token", "secret-of-the-test\n", 0o640)
	c.run("chgrp", "siemd", "/etc/siemd/hec.token")
	stop := c.start()
	c.drop("a.jsonl", 0, 100)
	waitFor(t, "the events are in the log", func() bool { return c.pending() == 100 })
	for who, does := range map[string]string{
		"neighbour": "rm -f /var/lib/siemd-drop/a.jsonl", "stranger": "ls /var/lib/siemd-drop", "app": "ls /var/lib/siemd",
	} {
		groups := []string{"siemd-drop"}
		if who == "stranger" {
			groups = nil
		}
		if r := c.as(who, groups, "sh", "-c", does); r.code == 0 {
			t.Errorf("%s can: %s", who, does)
		}
	}

	// Upgrade, with the service running and the SIEM away; then SIEM and service come back.
	c.systemctl()
	mine := c.read("etc/siemd/siemd.yaml")
	c.put("var/lib/siemd/foreign", "root's", 0o600)
	before := c.tree("var/lib/siemd/foreign") + c.tree("etc/siemd")
	c.install(debFor(t, newer))
	if got := c.systemctl(); !slices.Contains(got, "restart") || slices.Contains(got, "stop") {
		t.Errorf("the upgrade of a running service asked systemctl for %v", got)
	}
	if after := c.tree("var/lib/siemd/foreign") + c.tree("etc/siemd"); after != before || c.read("etc/siemd/siemd.yaml") != mine {
		t.Errorf("the upgrade touched what is the administrator's:\n%s\n%s", before, after)
	}
	stop()
	stop = c.start()
	if got := c.run("siemd", "version"); !strings.Contains(got, "v1.1.0") {
		t.Errorf("version: %s", got)
	}
	if err := siem.SetFault(""); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the events are sent", func() bool { return siem.Events() == 100 })
	for id, n := range siem.IDs() {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}

	// Back to the older version, with events waiting, while the service is stopped: it stays stopped.
	if err := siem.SetFault("refuse"); err != nil {
		t.Fatal(err)
	}
	c.drop("b.jsonl", 100, 50)
	waitFor(t, "more events are in the log", func() bool { return c.pending() == 50 })
	stop()
	c.systemctl()
	c.install(debFor(t, first))
	if got := c.systemctl(); slices.ContainsFunc(got, func(verb string) bool { return verb != "daemon-reload" }) {
		t.Errorf("the downgrade of a stopped service asked systemctl for %v", got)
	}
	stop = c.start()
	waitFor(t, "the older version has the events", func() bool { return c.pending() == 50 })
	stop()

	// Removed: the events stay. Purged: they still do, and the purge says so.
	data := c.tree("var/lib/siemd/wal")
	c.systemctl()
	c.running(true)
	c.run("dpkg", "--remove", "siemd")
	c.running(false)
	if got := c.systemctl(); !slices.Contains(got, "stop") {
		t.Errorf("the removal asked systemctl for %v", got)
	}
	if _, err := os.Stat(c.path("usr/bin/siemd")); !os.IsNotExist(err) {
		t.Errorf("the binary after the removal: %v", err)
	}
	if c.read("etc/siemd/siemd.yaml") != mine || c.tree("var/lib/siemd/wal") != data {
		t.Error("the removal touched config or events")
	}
	said := c.run("dpkg", "--purge", "siemd")
	for _, want := range []string{"/var/lib/siemd may hold events that no SIEM has got", "/var/lib/siemd-drop", "/etc/siemd", "are left"} {
		if !strings.Contains(said, want) {
			t.Errorf("the purge does not say %q:\n%s", want, said)
		}
	}
	if _, err := os.Stat(c.path("etc/siemd/siemd.yaml")); !os.IsNotExist(err) {
		t.Errorf("the config after the purge: %v", err)
	}
	if c.tree("var/lib/siemd/wal") != data || c.read("etc/siemd/hec.token") == "" {
		t.Error("the purge touched events, or what it has not installed")
	}

	// And again: what was left is taken up, and the events arrive.
	c.systemctl()
	c.install(debFor(t, newer))
	c.put("etc/siemd/siemd.yaml", config, 0o640)
	c.wantLayout()
	stop = c.start()
	if err := siem.SetFault(""); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the events that outlived the purge are sent", func() bool { return len(siem.IDs()) == 150 })
	stop()

	c.clear()
	c.testRPM(t, first, newer)
	c.clear()
	c.testWithoutTools(t, first)
}

// clear makes the chroot one that never had siemd.
func (c *chroot) clear() {
	c.t.Helper()
	c.run("dpkg", "--purge", "siemd")
	for _, dir := range []string{"etc/siemd", "var/lib/siemd", "var/lib/siemd-drop"} {
		if err := os.RemoveAll(c.path(dir)); err != nil {
			c.t.Fatal(err)
		}
	}
	c.run("userdel", "siemd")
	c.run("groupdel", "siemd-drop")
	c.systemctl()
}

// testWithoutTools installs both packages where systemd's tools for accounts and folders are missing, or give up:
// the scripts make them on their own.
func (c *chroot) testWithoutTools(t *testing.T, dir string) {
	gone := []string{"usr/bin/systemd-sysusers", "usr/bin/systemd-tmpfiles"}
	for _, tool := range gone {
		if err := os.Rename(c.path(tool), c.path(tool)+".away"); err != nil {
			t.Fatal(err)
		}
	}
	c.install(debFor(t, dir))
	c.wantLayout()
	c.clear()
	c.rpm("--install", rpmFor(t, dir))
	c.wantLayout()
	c.rpm("--erase", "siemd")
	for _, tool := range gone { // they are there, and cannot do it
		c.put(tool, "#!/bin/sh\necho '/proc/ is not mounted' >&2\nexit 1\n", 0o755)
	}
	c.clear()
	c.install(debFor(t, dir))
	c.wantLayout()
}

// rpm has rpm do something in the chroot. Its scripts find the same commands there as
// the deb's; its dependencies have other names, and are not asked for.
func (c *chroot) rpm(args ...string) string {
	c.t.Helper()
	cmd := exec.Command(tool(c.t, "rpm"), append([]string{"--root=" + c.dir, "--dbpath=/var/lib/rpm", "--nodeps"}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	r := finish(c.t, cmd)
	if r.code != 0 || strings.Contains(r.err, "scriptlet failed") {
		c.t.Fatalf("rpm %v: exit code %d\n%s%s", args, r.code, r.out, r.err)
	}
	return r.out + r.err
}

func rpmFor(t *testing.T, dir string) string {
	t.Helper()
	return one(t, dir, "*."+map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]+".rpm")
}

// testRPM is the same for the rpm, in a chroot that has no siemd any more.
func (c *chroot) testRPM(t *testing.T, first, newer string) {
	t.Helper()
	c.rpm("--install", rpmFor(t, first))
	c.wantLayout()
	if got := c.systemctl(); !slices.Contains(got, "preset") {
		t.Errorf("the installation asked systemctl for %v", got)
	}
	c.put("var/lib/siemd/wal/1", "events", 0o600)
	c.put("etc/siemd/siemd.yaml", "# mine\n", 0o640)
	c.rpm("--upgrade", rpmFor(t, newer))
	if got := c.systemctl(); !slices.Contains(got, "try-restart") || slices.Contains(got, "disable") || slices.Contains(got, "stop") {
		t.Errorf("the upgrade asked systemctl for %v", got)
	}
	c.wantLayout()
	if got := c.read("etc/siemd/siemd.yaml"); got != "# mine\n" {
		t.Errorf("the upgrade replaced the config: %s", got)
	}
	said := c.rpm("--erase", "siemd")
	if got := c.systemctl(); !slices.Contains(got, "disable") {
		t.Errorf("the removal asked systemctl for %v", got)
	}
	if !strings.Contains(said, "/var/lib/siemd may hold events") || c.read("var/lib/siemd/wal/1") != "events" {
		t.Errorf("the removal says %q", said)
	}
	if saved, _ := filepath.Glob(c.path("etc/siemd/siemd.yaml*")); len(saved) != 1 {
		t.Errorf("the changed config is gone: %v", saved)
	}
}
