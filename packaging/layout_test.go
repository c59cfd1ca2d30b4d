package packaging_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// layout is what a package is to have laid out: mode, owner, group.
var layout = map[string]string{
	"usr/bin/siemd":                                  "-rwxr-xr-x root root",
	"usr/lib/systemd/system/siemd.service":           "-rw-r--r-- root root",
	"usr/lib/sysusers.d/siemd.conf":                  "-rw-r--r-- root root",
	"usr/lib/tmpfiles.d/siemd.conf":                  "-rw-r--r-- root root",
	"etc/siemd":                                      "drwxr-x--- root siemd",
	"etc/siemd/conf.d":                               "drwxr-x--- root siemd",
	"etc/siemd/siemd.yaml":                           "-rw-r----- root siemd",
	"var/lib/siemd":                                  "drwx------ siemd siemd",
	"var/lib/siemd-drop":                             "dgtrwxrwx--- root siemd-drop",
	"usr/share/bash-completion/completions/siemd":    "-rw-r--r-- root root",
	"usr/share/fish/vendor_completions.d/siemd.fish": "-rw-r--r-- root root",
	"usr/share/siemd/siemd.schema.json":              "-rw-r--r-- root root",
	"usr/share/siemd/openapi.json":                   "-rw-r--r-- root root",
	"usr/share/siemd/siemd-dashboard.json":           "-rw-r--r-- root root",
	"usr/share/siemd/siemd-alerts.yaml":              "-rw-r--r-- root root",
	"usr/share/doc/siemd/examples/example.yaml":      "-rw-r--r-- root root",
}

func (c *chroot) wantLayout() {
	c.t.Helper()
	users, groups := c.ids("passwd"), c.ids("group")
	for path, want := range layout {
		info, err := os.Lstat(c.path(path))
		if err != nil {
			c.t.Error(err)
			continue
		}
		st := info.Sys().(*syscall.Stat_t)
		words := strings.Fields(want)
		if info.Mode().String() != words[0] || st.Uid != users[words[1]] || st.Gid != groups[words[2]] {
			c.t.Errorf("%s is %s %d:%d, want %s", path, info.Mode(), st.Uid, st.Gid, want)
		}
	}
	account := regexp.MustCompile(`(?m)^siemd:x:\d+:\d+:siemd agent:/var/lib/siemd:/(usr/)?sbin/nologin$`)
	if passwd := c.read("etc/passwd"); !account.MatchString(passwd) {
		c.t.Errorf("the account siemd is not as it should be:\n%s", passwd)
	}
	// Docs and manual for people without docs in their containers' dpkg.
	for _, page := range []string{"usr/share/man/man8/siemd.8.gz", "usr/share/man/man5/siemd.yaml.5.gz"} {
		if _, err := os.Stat(c.path(page)); err != nil {
			c.t.Error(err)
		}
	}
}

// tree is all that is below a folder: modes, owners, and sizes of files.
func (c *chroot) tree(dir string) string {
	c.t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(c.path(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(&b, strings.TrimPrefix(path, c.dir), info.Mode(), st.Uid, st.Gid, info.Size(), st.Ino)
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return b.String()
}
